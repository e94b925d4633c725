"""Many pictures at once: threads decode (Pillow releases the GIL), results come in order, little is in flight.

Work is handed out in small runs of neighbouring pictures; no more than a few runs per thread wait or work at a time, so
memory is bounded by the batch and not by the number of pictures, and a source is fetched only when its turn comes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..arrays import available_threads
from ..errors import UsageError
from .decode import decode, fingerprinted
from .preprocessing import Preprocessing
from .quiet import present
from .unreadable import Unreadable

RUN = 16  # pictures handed to a thread at once: tiny ones must not drown in the cost of handing over
AHEAD = 3  # runs per thread that are in flight

Progress = Callable[[int, int], object]
T = TypeVar("T")


class Look(NamedTuple):
    """One picture seen by `look_many`: pixels, or the reason why there are none, or neither where its key was known."""

    index: int
    key: bytes | None  # SHA-256 of the picture's bytes; None where they could not be read
    pixels: np.ndarray | None = None  # (h, w, c) uint8
    notes: tuple[str, ...] = ()
    reason: str | None = None


class Batch(NamedTuple):
    """Consecutive pictures: pictures[i] is source indices[i]; `bad` lists (source index, reason)."""

    indices: list[int]
    pictures: np.ndarray  # (m, h, w, c) uint8
    bad: list[tuple[int, str]]
    notes: Counter[str]  # conversion → in how many pictures


def decode_many(
    sources: Sequence[Any],
    preprocessing: Preprocessing,
    threads: int | None = None,
    progress: Progress | None = None,
    batch: int = 256,
) -> Iterator[Batch]:
    """`decode` of every source, in order, in batches of at most `batch`; the same for any number of threads.

    sources[i] is asked for in a worker thread, when its turn comes, so it may read a file; an OSError there makes that
    picture bad. progress(done, total) is called in the caller's thread. Ends its threads when it is closed early.
    """
    if batch < 1 or (threads is not None and threads < 1):
        raise UsageError(f"batch={batch} and threads={threads}: both have to be at least 1.")
    return _batches(sources, preprocessing, threads or available_threads(), progress, batch)


def look_many(
    sources: Sequence[Any], preprocessing: Preprocessing, known: Container[bytes] = (), threads: int | None = None
) -> Iterator[list[Look]]:
    """Every source read once and named by the SHA-256 of its bytes; decoded only where that name is not in `known`.

    In order, a few at a time; `known` is asked in worker threads. The pixels are those of `decode`.
    """
    total = len(sources)
    runs = [range(a, min(a + RUN, total)) for a in range(0, total, RUN)]
    yield from _in_order(lambda run: [_look(sources, i, preprocessing, known) for i in run], runs, threads)


def _look(sources: Sequence[Any], i: int, preprocessing: Preprocessing, known: Container[bytes]) -> Look:
    key = None
    try:
        source, key = fingerprinted(_fetched(sources, i), preprocessing.pixel_limit)
        return Look(i, key) if key in known else Look(i, key, *decode(source, preprocessing))
    except Unreadable as error:
        return Look(i, key, reason=error.reason)


def _batches(
    sources: Sequence[Any], preprocessing: Preprocessing, threads: int, progress: Progress | None, batch: int
) -> Iterator[Batch]:
    total, run = len(sources), min(RUN, batch)
    # a run never crosses a batch's end, so batches depend on `batch` alone
    runs = [
        range(a, min(a + run, b + batch, total))
        for b in range(0, total, batch)
        for a in range(b, min(b + batch, total), run)
    ]
    held: list[Batch] = []
    done = 0
    for part in _in_order(lambda run: _decode_run(sources, run, preprocessing), runs, threads):
        held.append(part)
        done += len(part.indices) + len(part.bad)
        if progress:
            progress(done, total)
        if done % batch == 0 or done == total:
            yield _joined(held)
            held = []


def _in_order(work: Callable[[range], T], runs: Sequence[range], threads: int | None) -> Iterator[T]:
    """work(run) of every run on `threads` threads, in order, with a few runs in flight."""
    threads = threads or available_threads()
    waiting: deque[Future[T]] = deque()
    rest = iter(runs)
    with present(), ThreadPoolExecutor(threads, "decode") as pool:
        try:
            while True:
                while len(waiting) < AHEAD * threads and (next_run := next(rest, None)) is not None:
                    waiting.append(pool.submit(work, next_run))
                if not waiting:
                    break
                yield waiting.popleft().result()
        finally:  # an error or the caller's end of interest: what has not begun need not begin
            pool.shutdown(wait=True, cancel_futures=True)


def _decode_run(sources: Sequence[Any], places: range, preprocessing: Preprocessing) -> Batch:
    pictures = np.empty((len(places), *preprocessing.shape), dtype=np.uint8)
    indices: list[int] = []
    bad: list[tuple[int, str]] = []
    notes: Counter[str] = Counter()
    for i in places:
        try:
            pixels, converted = decode(_fetched(sources, i), preprocessing)
        except Unreadable as error:
            bad.append((i, error.reason))
            continue
        pictures[len(indices)] = pixels
        indices.append(i)
        if converted:
            notes.update(converted)
    return Batch(indices, pictures[: len(indices)], bad, notes)


def _fetched(sources: Sequence[Any], i: int) -> Any:
    try:
        return sources[i]
    except MemoryError as error:
        raise Unreadable("too large for the memory of this machine") from error
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from error


def _joined(parts: list[Batch]) -> Batch:
    return Batch(
        [i for part in parts for i in part.indices],
        np.concatenate([part.pictures for part in parts]),
        [b for part in parts for b in part.bad],
        sum((part.notes for part in parts), Counter()),
    )
