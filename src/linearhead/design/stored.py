"""Rows on disk, read in place: a .npy file, a `np.memmap`, or the shards of a feature store; any n, bounded memory.

A pass reads slabs of SLAB_BYTES in the order of the rows with pread, a thread ahead of the arithmetic, so that disk and
cores work at the same time. What is resident is stated: the first rows that fit half of `budget` are kept from the
first pass on and never read again; besides them, the slabs at hand. A mapping is not touched, because pages that were
touched count as this process's memory until the system takes them back.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import DataError, FileError
from .rows import Rows

SLAB_BYTES = 4 << 20  # one read; fixed, as the order of sums follows it
BUDGET = 512 << 20  # bytes of rows and buffers, unless stated


class StoredArray:
    """n rows of d numbers in one or several files, indexed by slices and index arrays of rows; both read into memory.

    `source` is the path of a .npy file, a C-ordered `np.memmap`, anything whose `shards` are such memmaps, or chosen
    rows of a feature store: row i is parts[part[i]][row[i]].
    """

    ndim = 2

    def __init__(self, source: Any, budget: int = BUDGET) -> None:
        chosen = is_choice(source)
        shards = source.parts if chosen else getattr(source, "shards", None)
        shards = [_mapped(source)] if shards is None else [shard if chosen else _mapped(shard) for shard in shards]
        first = shards[0]
        for shard in shards:
            if shard.ndim != 2 or shard.shape[1] != first.shape[1] or shard.dtype != first.dtype:
                raise DataError(
                    f"Rows on disk need one number of columns and one type: found {shard.dtype} of shape {shard.shape} "
                    f"in {_name(shard)}, and {first.dtype} of shape {first.shape} in {_name(first)}."
                )
        if first.dtype.kind not in "fiub" or first.dtype.itemsize > 8:
            raise DataError(f"{_name(first)} holds {first.dtype}; a linear classifier needs real numbers.")
        self.dtype = first.dtype
        self.starts = np.cumsum([0] + [len(shard) for shard in shards])
        self._parts, self._chosen = shards, (source.part, source.row) if chosen else None
        self.shape = (len(source.row) if chosen else int(self.starts[-1]), int(first.shape[1]))
        self.budget = budget
        self._row = self.shape[1] * self.dtype.itemsize
        # parts that are in memory stay there
        self._files = [_opened(shard) if not chosen or is_file(shard) else shard for shard in shards]
        weakref.finalize(self, _close, [file[0] for file in self._files if isinstance(file, tuple)])
        self._kept = np.empty((min(self.shape[0], budget // 2 // max(self._row, 1)), self.shape[1]), self.dtype)
        self._filled, self._lock = 0, threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return self._span(start, max(start, stop))[::step] if step > 0 else self[np.arange(start, stop, step)]
        rows = np.asarray(rows)
        return self._gathered(np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def column(self, j: int) -> np.ndarray:
        """Column j, (n,): one pass."""
        size = self.slab_rows(1)
        return np.concatenate([self[i : i + size][:, j] for i in range(0, len(self), size)])

    def take(self, rows: np.ndarray) -> StoredArray:
        """Some rows (m,), still where they are."""
        part, row = self._places(rows)
        return StoredArray(SimpleNamespace(parts=self._parts, part=part, row=row), self.budget)

    def joined(self, other: StoredArray) -> StoredArray:
        """These rows, then the other's, which are of the same type."""
        (part, row), (after, there) = (each._places(np.arange(len(each))) for each in (self, other))
        part, row = np.concatenate([part, after + len(self._parts)]), np.concatenate([row, there])
        return StoredArray(SimpleNamespace(parts=[*self._parts, *other._parts], part=part, row=row), self.budget)

    def _places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The part of each row and its number there, (m,) both."""
        if self._chosen is not None:
            return self._chosen[0][rows], self._chosen[1][rows]
        part = np.searchsorted(self.starts, rows, side="right") - 1
        return part, rows - self.starts[part]

    def slab_rows(self, multiple: int) -> int:
        """Rows of one read: whole blocks of `multiple` rows."""
        return max(1, SLAB_BYTES // (max(self._row, 1) * multiple)) * multiple

    def _span(self, start: int, stop: int) -> np.ndarray:
        """Rows start … stop, contiguous: a view of what is kept, or read; keeps them if they come next."""
        with self._lock:
            if start <= self._filled < stop <= len(self._kept):
                self._read(self._filled, self._kept[self._filled : stop])
                self._filled = stop
            if stop <= self._filled:
                view = self._kept[start:stop]
                view.flags.writeable = False
                return view
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        self._read(start, out)
        return out

    def _gathered(self, rows: np.ndarray) -> np.ndarray:
        """Some rows in the order asked for, read in the order of the files, neighbours together."""
        rows = np.where(rows < 0, rows + len(self), rows)
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        order = np.argsort(rows, kind="stable")
        runs = np.split(order, np.flatnonzero(np.diff(rows[order]) != 1) + 1) if len(rows) else []
        for run in runs:
            out[run] = self._span(int(rows[run[0]]), int(rows[run[-1]]) + 1)
        return out

    def _read(self, start: int, out: np.ndarray) -> None:
        """Fill out (m, d) with the rows from `start` on, across files."""
        done = 0
        for i, first, m in self._runs(start, start + len(out)):
            file, target = self._files[i], out[done : done + m]
            if isinstance(file, tuple):
                _pread(file, first * self._row, target)
            else:
                target[...] = file[first : first + m]
            done += m

    def _runs(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Where the rows start … stop are: (file, first row in it, number), in order."""
        if self._chosen is not None:
            part, row = (each[start:stop] for each in self._chosen)
            cuts = np.flatnonzero((np.diff(part) != 0) | (np.diff(row) != 1)) + 1
            for a, b in pairwise([0, *cuts.tolist(), len(row)] if len(row) else []):
                yield int(part[a]), int(row[a]), b - a
            return
        while start < stop:
            i = int(np.searchsorted(self.starts, start, side="right")) - 1
            m = min(stop, int(self.starts[i + 1])) - start
            yield i, start - int(self.starts[i]), m
            start += m


def _pread(file: tuple[int, int, str], at: int, out: np.ndarray) -> None:
    """Fill out from a file's rows, beginning `at` bytes after the first."""
    fd, offset, name = file
    target: Any = memoryview(out).cast("B")  # pyright: ignore
    while len(target):
        got = os.preadv(fd, [target], offset + at)
        if not got:
            raise FileError(f"{name} ends at byte {offset + at}, before its last row: it was cut while it was in use.")
        target, at = target[got:], at + got


def opened(X: Any) -> Any:
    """X as a `StoredArray` where it is a path, a mapping of a file or a feature store; else X itself."""
    if isinstance(X, StoredArray):
        return X
    if isinstance(X, (str, Path)) or hasattr(X, "shards") or is_choice(X):
        return StoredArray(X)
    return StoredArray(X) if is_file(X) and X.ndim == 2 else X


def is_choice(X: Any) -> bool:
    """Whether X is chosen rows of a feature store."""
    return hasattr(X, "parts") and hasattr(X, "part") and hasattr(X, "row")


def is_file(X: Any) -> bool:
    """Whether X is the bytes of a file in their order."""
    return isinstance(X, np.memmap) and place(X) >= 0


def place(X: np.memmap) -> int:
    """The byte of the file where X begins, or −1 where a file's bytes in order are not X: strides, private changes."""
    root: Any = X
    while isinstance(root.base, np.memmap):
        root = root.base
    named = X.filename is not None and os.path.exists(X.filename)
    if not named or X.mode == "c" or not X.flags.c_contiguous or not X.dtype.isnative:
        return -1
    return int(root.offset + X.ctypes.data - root.ctypes.data)


def _mapped(source: Any) -> np.memmap:
    if isinstance(source, (str, Path)):
        try:
            source = np.load(source, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise FileError(
                f"{source} cannot be read: {error}. Rows on disk are a .npy file of shape (n, d)."
            ) from None
        except ValueError as error:
            raise DataError(f"{source} is no .npy file of numbers ({error}); save it with numpy.save(X).") from None
    if not isinstance(source, np.memmap) or place(source) < 0:
        raise DataError(
            "Rows on disk must lie in C order in a file of this machine's byte order; copy them with np.save."
        )
    return source


def _opened(X: np.memmap) -> tuple[int, int, str]:
    """(descriptor, byte where the rows begin, name)"""
    return os.open(str(X.filename), os.O_RDONLY), place(X), str(X.filename)


def _name(X: Any) -> str:
    return str(getattr(X, "filename", "memory"))


def _close(files: list[int]) -> None:
    for fd in files:
        os.close(fd)


@dataclass(frozen=True)
class StoredRows(Rows):
    """`Rows` whose X is a `StoredArray`."""

    X: Any = None

    @classmethod
    def of(cls, X: Any, intercept: bool = True, threads: int | None = None) -> StoredRows:
        exact = X.dtype not in (np.float32, np.float16, np.uint8)
        design = cls(n=X.shape[0], d=X.shape[1], intercept=intercept, exact=exact, X=X)
        return design if threads is None else replace(design, threads=threads)

    @property
    def held(self) -> int:
        return self.X.budget // (self.d * self.X.dtype.itemsize)

    def take(self, rows: np.ndarray) -> Rows:
        """Some rows, in memory."""
        names = ("d", "intercept", "shift", "scale", "threads", "exact", "energy", "centre_blocks")
        return Rows(n=len(rows), X=self.X[rows], **{name: getattr(self, name) for name in names})

    def chunks(self) -> list[tuple[int, int]]:
        """The slabs of a pass."""
        size = self.X.slab_rows(self.block_rows())
        return [(start, min(start + size, self.n)) for start in range(0, self.n, size)]

    def parts(self, fn: Callable[[Any], tuple]) -> Iterator[list]:
        # the session is opened outside: where fn fails, reading ends first, so that no worker waits for a slab
        with self.session(), ReadAhead(self.X, self.chunks(), self.threads + 2) as ahead:
            yield from super(StoredRows, replace(self, X=ahead)).parts(fn)


class ReadAhead:
    """The array of one pass: a thread reads the slabs in their order, at most `most` of them alive at once."""

    def __init__(self, X: StoredArray, chunks: list[tuple[int, int]], most: int) -> None:
        self.dtype, self.slab_rows = X.dtype, X.slab_rows
        self._X, self._chunks, self._starts = X, chunks, np.array([start for start, _ in chunks])
        self._slabs: dict[int, Future] = {i: Future() for i in range(len(chunks))}
        self._room, self._stopped = threading.Semaphore(most), False
        self._thread = threading.Thread(target=self._run, name="linearhead-read-ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stopped = True
        self._room.release()
        self._thread.join()

    def __getitem__(self, rows: slice) -> np.ndarray:
        i = int(np.searchsorted(self._starts, rows.start, side="right")) - 1
        start, stop = self._chunks[i]
        slab = self._slabs[i].result()
        if rows.stop == stop:  # the last block: the slab lives on in the view alone
            del self._slabs[i]
            self._room.release()
        return slab[rows.start - start : rows.stop - start]

    def _run(self) -> None:
        for i in self._reading():
            future = self._slabs[i]
            try:
                future.set_result(self._X[slice(*self._chunks[i])])
            except Exception as error:
                future.set_exception(error)

    def _reading(self) -> Iterator[int]:
        for i in range(len(self._chunks)):
            self._room.acquire()
            if self._stopped:
                for future in list(self._slabs.values()):
                    future.cancel()
                return
            yield i
