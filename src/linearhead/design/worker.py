"""What runs on a worker of a cluster: its rows, read from files that it sees, and a pass over them.

A task is (what to do with a block, a run of leaves): it needs nothing but those files, changes nothing, and may run
anywhere, twice or again. Rows stay in this process from one pass to the next as far as its share of memory goes; the
pages of the files are the system's to keep.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from .. import remote
from ..errors import FileError
from .stored import BUDGET, StoredArray, StoredRows, _close
from .tree import Node, Nodes, leaf_rows

SHARE = 0.4  # of a worker's memory limit that rows may take: Dask stops a worker at 0.8 of it and ends it at 0.95
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
PACKAGES = ("linearhead", "numpy", "distributed")  # whose versions decide what comes out, or whether anything does


def versions() -> dict[str, str]:
    """Of Python and of PACKAGES, in this process."""
    from importlib.metadata import version

    return {"python": ".".join(platform.python_version_tuple()[:2])} | {name: version(name) for name in PACKAGES}


def unseen(files: Sequence[str]) -> list[str]:
    """Those of the files that cannot be opened here."""
    return [file for file in files if not remote.readable(file)]


@lru_cache(maxsize=16)  # a file that is removed while it is mapped keeps its place on the disk
def column(file: str) -> np.ndarray:
    """The numbers (n, …) in a .npy file, mapped."""
    try:
        return np.asarray(np.load(remote.here(file), mmap_mode="r", allow_pickle=False))
    except OSError as error:
        raise FileError(f"{file} cannot be read here: {error}.") from None


@lru_cache(maxsize=16)
def layout(file: str) -> dict[str, Any]:
    """Where rows are: {"dtype", "columns", "files": [[name, byte, rows] …], "part", "row": columns or null}."""
    try:
        return json.loads(remote.here(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{file} cannot be read here: {error}.") from None


class Window(StoredArray):
    """Rows [first, last) of a layout, indexed by slices of all its rows; `room` bytes of them are kept."""

    def __init__(self, place: dict[str, Any], first: int, last: int, room: int) -> None:
        self.dtype, width = np.dtype(place["dtype"]), int(place["columns"])
        self._row = width * self.dtype.itemsize
        self.starts = np.cumsum([0] + [rows for *_, rows in place["files"]])
        self._chosen = None
        if place["part"] is not None:
            self._chosen = tuple(column(place[name])[first:last] for name in ("part", "row"))
        self._first, self.shape, self.budget = first, (last - first, width), room
        self._files: Any = Files(place["files"], self._row)
        self._kept = np.empty((min(last - first, room // max(self._row, 1)), width), self.dtype)
        self._filled, self._lock = 0, threading.Lock()

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._span(rows.start - self._first, rows.stop - self._first)

    def _runs(self, start: int, stop: int) -> Any:
        shift = 0 if self._chosen is not None else self._first
        return super()._runs(start + shift, stop + shift)


class Files:
    """Files opened when they are first read: (descriptor, byte where the rows begin, name)."""

    def __init__(self, files: Sequence[Sequence[Any]], row_bytes: int) -> None:
        self._files, self._row_bytes, self._lock = files, row_bytes, threading.Lock()
        self._open: dict[int, tuple[int, int, str]] = {}
        descriptors: list[int] = []
        self._descriptors = descriptors
        weakref.finalize(self, _close, descriptors)

    def __getitem__(self, i: int) -> tuple[int, int, str]:
        with self._lock:
            if i not in self._open:
                self._open[i] = self._opened(*self._files[i])
            return self._open[i]

    def _opened(self, name: str, offset: int, rows: int) -> tuple[int, int, str]:
        try:
            fd = os.open(remote.here(name), os.O_RDONLY)
        except OSError as error:
            raise FileError(f"{name} cannot be read on {platform.node()}: {error.strerror}.") from None
        self._descriptors.append(fd)
        found, needed = os.fstat(fd).st_size, offset + rows * self._row_bytes
        if found < needed:
            raise FileError(f"{name} has {found} bytes on {platform.node()}; {needed} are needed: it is another file.")
        return fd, offset, name


class Windows:
    """The windows of this process, the least recently used given up where their rows exceed its share of memory."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, int, int], Window] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, file: str, first: int, last: int, most: int) -> Window:
        """`most`: bytes of rows that all windows together may keep."""
        key = (file, first, last)
        with self._lock:
            window = self._windows.pop(key, None)
            if window is None:
                place = layout(file)
                wanted = min((last - first) * place["columns"] * np.dtype(place["dtype"]).itemsize, most)
                while self._windows and self._taken() + wanted > most:
                    self._windows.popitem(last=False)
                window = Window(place, first, last, wanted)
            self._windows[key] = window
            return window

    def _taken(self) -> int:
        return sum(window._kept.nbytes for window in self._windows.values())


_windows = Windows()


@dataclass(frozen=True)
class WorkerRows(StoredRows):
    """A design whose chunks are some leaves of all rows."""

    cuts: tuple[int, ...] = ()  # first rows of the leaves, and the end

    def chunks(self) -> list[tuple[int, int]]:
        return list(zip(self.cuts[:-1], self.cuts[1:], strict=True))


class Address:
    """What stands for the rows in a task: the file with their layout, and the tree's height."""

    def __init__(self, file: str, H: int) -> None:
        self.file, self.H = file, H


class Pass:
    """The task: called with a run of leaves [first, last) it gives the nodes of the tree that it makes up, and what
    `collect` asks for. `design.X` is an Address by the time it is called."""

    __name__ = "linearhead-pass"  # what Dask calls it

    def __init__(self, design: Any, fn: Callable[[Any], tuple], collects: bool = False) -> None:
        self.design, self.fn, self.collects = design, fn, collects

    def __call__(self, first: int, last: int) -> tuple[list[Node], dict[int, Any]]:
        keep_pages()
        most, threads = resources()
        design, address = self.design, self.design.X
        cuts = tuple(leaf_rows(design.n, address.H, leaf) for leaf in range(first, last + 1))
        X = _windows.get(address.file, cuts[0], cuts[-1], most)
        same = {f.name: getattr(design, f.name) for f in fields(StoredRows)} | {"X": X, "threads": threads}
        nodes, found = Nodes(), {}

        def collect(block: Any) -> tuple:
            found[block.rows.start], *sums = self.fn(block)
            return tuple(sums)

        # overflow is a step that diverges: who asked will find and name it
        with np.errstate(over="ignore", invalid="ignore"):
            parts = WorkerRows(**same, cuts=cuts).parts(collect if self.collects else self.fn)
            for leaf, sums in enumerate(parts, first):
                nodes.push(0, leaf, sums)
        return nodes.stack, found


@lru_cache(maxsize=1)
def keep_pages() -> None:
    """Lets the C library keep what blocks free for the next block, as it does unless told otherwise: Dask's nanny tells
    it to give all back at once, and new pages for every block's scores cost two thirds more processor time."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, most in ((M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, 64 << 20)):  # glibc's own upper ends
            mallopt(option, most)


def resources() -> tuple[int, int]:
    """Bytes of rows that this worker may keep, and its threads."""
    worker = import_module("distributed").get_worker()
    limit = worker.memory_manager.memory_limit
    return int(SHARE * limit) if limit else BUDGET, worker.state.nthreads
