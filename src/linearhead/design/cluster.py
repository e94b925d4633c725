"""Rows on the workers of a Dask cluster: every worker reads its own from storage that all machines see, and keeps them.

A pass is one task per worker, a run of leaves of the fixed tree (tree.py): θ travels inside the task, the sums of a few
nodes come back, and the client adds up the rest. Leaves and tree depend on the data alone, so the bits of a sum, and
with them every coefficient, are the same for any number of workers. A worker that dies loses nothing but time: its task
runs elsewhere, from the same files. Labels and weights are files, too, named by their content.
"""

from __future__ import annotations

import io
import json
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import remote
from ..errors import DataError, UsageError, explained
from ..files import sha256, write_atomic
from .journal import Journal, key
from .stored import StoredArray, StoredRows
from .tree import LEAF_BYTES, height, total
from .worker import Address, Pass, column, versions

COLUMNS = "columns"  # the folder for labels, weights and layouts, beside the rows unless told otherwise


class Column(np.ndarray):
    """(n, …) numbers that workers read from `file`; here an array like any other."""

    file: str | None = None

    def __array_finalize__(self, other: Any) -> None:
        self.file = None  # a part, or something computed from it

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.asarray(self).__reduce_ex__(protocol) if self.file is None else (column, (self.file,))


class ClusterArray(StoredArray):
    """n rows of d numbers in files that the client and every worker see under the same names.

    `source`: as of `StoredArray`, but files only. `cluster`: what `connect` gives. `folder`: where labels, weights and
    the list of files are put for the workers to read, also on storage that all see. `journal`: where a fit that is
    killed and started again finds its passes. Raises DataError for rows in memory, FileError where a worker does not
    see a file.
    """

    def __init__(
        self,
        source: Any,
        cluster: Any,
        folder: str | os.PathLike[str] | None = None,
        leaf_bytes: int = LEAF_BYTES,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(source, budget=0)
        files = [self._place(i) for i in range(len(self._files))]
        self.journal = journal
        self.cluster, self.H = cluster, height(*self.shape[:1], self._row, leaf_bytes)
        own = Path(self._files[0][2]).parent / COLUMNS if folder is None else folder
        self.folder = remote.local(own)
        part, row = (None, None) if self._chosen is None else map(self._written, self._chosen)
        told = {"dtype": self.dtype.str, "columns": self.shape[1], "files": files, "part": part, "row": row}
        self._columns: Any = weakref.WeakValueDictionary()
        self.layout = self._named(json.dumps(told).encode(), ".json")
        self._told = [versions(), [_stamp(name) for name, *_ in files]]
        cluster.require([self.layout, *(name for name, _, rows in files if rows)])

    def _place(self, i: int) -> tuple[str, int, int]:
        """(name, byte where the rows begin, rows) of a file."""
        file = self._files[i]
        if not isinstance(file, tuple):
            raise DataError(
                "Rows in memory cannot be given to a cluster, whose workers read files: save them with np.save where "
                "all of them see it, and give its path."
            )
        return remote.name_of(file[2]), file[1], int(self.starts[i + 1] - self.starts[i])

    def _named(self, content: bytes, ending: str) -> str:
        """The file of this content; whoever writes it writes the same."""
        path = self.folder / (sha256(content)[:32] + ending)
        with explained("write", path):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_atomic(path, content)
                remote.push(path)
        return remote.name_of(path)

    def _written(self, values: np.ndarray) -> str:
        file = io.BytesIO()
        np.save(file, np.ascontiguousarray(values), allow_pickle=False)
        return self._named(file.getvalue(), ".npy")

    def column(self, values: np.ndarray | None) -> Any:
        """Labels, weights or more (n, …) that travel as the name of a file; one of many columns goes with the array."""
        if values is None or len(values) != len(self) or getattr(values, "file", None) is not None:
            return values
        file = self._written(np.asarray(values))
        view: Any = self._columns.get(file)
        if view is None:
            self._columns[file] = view = np.asarray(values).view(Column)
            view.file = file
            if view.ndim > 1:
                weakref.finalize(view, _remove, remote.local(file))
        return view

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Address, (self.layout, self.H)

    def run(self, task: Pass) -> list:
        """The answers of all workers, in the order of the rows."""
        return self.cluster.run(task, self.H)

    def sums(self, task: Pass) -> tuple:
        """What a task that only sums finds on all rows, or what the journal says that it found."""

        def find() -> tuple:
            return total([nodes for nodes, _ in self.run(task)])

        if self.journal is None:
            return find()
        return self.journal.recall(key(self._told, task), find)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    remote.drop(file)


def _stamp(file: str) -> tuple[int, int]:
    """Another one says that the file has changed."""
    seen = os.stat(remote.here(file))
    return seen.st_size, seen.st_mtime_ns


@dataclass(frozen=True)
class ClusterRows(StoredRows):
    """`StoredRows` whose passes run on the workers; single rows are read here."""

    apart = True

    X: Any = None

    def column(self, values: np.ndarray | None) -> Any:
        return self.X.column(values)

    def moments(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return super().moments(self.column(weights))

    def gram(self, y: np.ndarray, k: int, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return super().gram(self.column(y), k, self.column(weights))

    def batch(self, rows: np.ndarray, size: int = 1) -> Any:
        raise UsageError("Mini-batches pick single rows, which lie on many workers: take a solver of full passes.")

    def sweep(self, fn: Callable[[Any], tuple]) -> tuple:
        sums = self.X.sums(Pass(self, fn))
        if not sums:  # a function that keeps what it finds to itself has found it on another computer
            raise UsageError("This needs a number for every row at hand, which rows on a cluster do not give.")
        return sums

    def collect(self, fn: Callable[[Any], tuple]) -> tuple[list, tuple]:
        answers = self.X.run(Pass(self, fn, collects=True))
        found = {start: one for _, part in answers for start, one in part.items()}
        return [found[start] for start in sorted(found)], total([nodes for nodes, _ in answers])

    def fill(self, out: np.ndarray, fn: Callable[[Any], tuple]) -> tuple:
        found, sums = self.collect(fn)
        np.concatenate(found, out=out)
        return sums
