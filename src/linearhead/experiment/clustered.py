"""The work of `train` on a cluster: workers decode pictures, compute features and make the passes of the fit.

A job is some rows of the data set, or some pictures of the store. What it writes into the store is named by its
content, so a job that ran twice, or whose worker died half-way, does no harm; what is there already is not computed
again. Store and data lie on storage that every worker sees under the same paths.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from .. import container, remote
from ..data import Data, Dataset
from ..data.feature_store import Store, Table
from ..data.stored_rows import StoredRows
from ..design import Cluster, ClusterArray, Journal, connect
from ..design.stored import is_file
from ..design.worker import resources
from ..errors import FileError, UsageError, explained
from ..features import Extractor, from_contract
from ..files import sha256, write_atomic
from ..images import Preprocessing
from .extract import LEARNED, Pictures, Seen, Tolerance
from .fitting import Rows
from .names import open_readable
from .progress import Progress
from .roles import fingerprint

JOB = 1024  # pictures
LAG = 90.0  # seconds after which a network's file system shows every client what another has written


@dataclass
class Spread:
    """A cluster, the data as every worker finds them, the store, and the passes of a run that was killed."""

    cluster: Cluster
    data: str
    store: str
    journal: Journal

    def pictures(self, dataset: Dataset, rows: np.ndarray, looks: Preprocessing, *others: Any) -> SpreadPictures:
        """`Pictures` whose work is done by the workers."""
        pictures = SpreadPictures(dataset, rows, looks, *others)
        pictures.spread, pictures.place = (
            self,
            Place(self.data, dataset.reader, fingerprint(dataset), looks, self.store),
        )
        return pictures

    def rows(self, stored: StoredRows, y: np.ndarray, n_train: int, drawn: bool) -> SpreadRows:
        """The train, then the valid rows, on the workers."""
        parts = [part if is_file(part) else self._saved(part) for part in stored.parts]
        stored = StoredRows(parts, stored.part, stored.row, stored.shape[1], stored.dtype)
        X: Any = self.array(stored, 0, len(y))
        return SpreadRows(X, y, n_train, self, stored, drawn=drawn)

    def array(self, stored: StoredRows, first: int, last: int) -> ClusterArray:
        rows = stored.take(np.arange(first, last))
        return ClusterArray(rows, self.cluster, remote.local(self.store) / "columns", journal=self.journal)

    def _saved(self, part: np.ndarray) -> np.ndarray:
        """Rows that are in memory, as a file of the store."""
        part = np.ascontiguousarray(part)
        path = remote.local(self.store) / "columns" / (sha256(part.data)[:32] + ".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_atomic(path, lambda file: np.save(file, part, allow_pickle=False))
            remote.push(path)
        return np.load(path, mmap_mode="r", allow_pickle=False)


@contextmanager
def spreading(address: str | None, data: Data, store: Store, progress: Progress) -> Iterator[Spread | None]:
    """The cluster at an address, every worker of which sees data and store; None without an address."""
    if address is None:
        yield None
        return
    if store.folder is None or store.leave_free is not None:
        raise UsageError(
            "--cluster needs --cache FOLDER: workers hand features on through that folder, which has to lie on storage "
            "that all of them see."
        )
    if isinstance(data, tuple | Mapping):
        raise UsageError("--cluster needs data on storage that all workers see; arrays in memory were given.")
    data, folder = os.path.abspath(os.fspath(data)), remote.name_of(store.folder)
    with explained("create", folder):
        store.folder.mkdir(parents=True, exist_ok=True)
    with connect(address, progress.say) as cluster:
        workers = cluster.awaited()
        threads = sum(workers.values())
        many = f"{len(workers)} worker{'s' * (len(workers) > 1)}, {threads} thread{'s' * (threads > 1)}"
        progress.say(f"Cluster: {many}")
        cluster.require([data] if "://" in folder else [data, folder])  # a remote place is made by its first file
        journal = Journal(store.folder / "passes", progress.say)
        yield Spread(cluster, data, folder, journal)
        if journal.found:
            progress.say(f"{journal.found} passes were found in {folder}, where a run that was ended had left them.")


@dataclass
class SpreadRows(Rows):
    """`Rows` on the workers: X is a ClusterArray, and so are its parts."""

    spread: Spread
    stored: StoredRows

    @property
    def train(self) -> tuple[Any, np.ndarray]:
        return self._train, self.y[: self.n_train]

    @property
    def valid(self) -> tuple[Any, np.ndarray] | None:
        return (self._valid, self.y[self.n_train :]) if self.n_train < len(self.y) else None

    @cached_property
    def _train(self) -> ClusterArray:
        return self.spread.array(self.stored, 0, self.n_train)

    @cached_property
    def _valid(self) -> ClusterArray:
        return self.spread.array(self.stored, self.n_train, len(self.y))


class SpreadPictures(Pictures):
    """`Pictures` that workers decode and describe; what they leave undone is done here."""

    spread: Spread
    place: Place

    def look_at(self, rows: np.ndarray) -> Iterator[Seen]:
        jobs = [rows[i : i + JOB] for i in range(0, len(rows), JOB)]
        for _, answer in self.spread.cluster.map(partial(see, self.place), jobs):
            yield answer
        self.table.refresh()

    def describe(self, table: Table, extractor: Extractor, keys: list[bytes], done: Callable[[int], object]) -> None:
        assert table.folder is not None
        container.write(table.folder / LEARNED, {"contract": extractor.contract()}, extractor.tensors())
        remote.push(table.folder / LEARNED)
        _until_there(self.table, keys)
        jobs = [keys[i : i + JOB] for i in range(0, len(keys), JOB)]
        into = (remote.name_of(table.folder), json.dumps(table.look), table.width, table.dtype.str)
        task = partial(describe, self.place, into)
        for i, _ in self.spread.cluster.map(task, jobs):
            done(len(jobs[i]))
        _until_there(table, keys)
        super().describe(table, extractor, [key for key in keys if key not in table], lambda _: None)


def _until_there(table: Table, keys: Sequence[bytes]) -> None:
    """Waits until what other machines have written is seen here, as long as that may take."""
    table.refresh()
    deadline = time.monotonic() + LAG
    while not all(key in table for key in keys) and time.monotonic() < deadline:
        time.sleep(0.5)
        table.refresh()


# ── on a worker ───────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Place:
    """What a worker has to know to be at the client's place."""

    data: str
    reader: str
    fingerprint: str
    looks: Preprocessing
    store: str


_busy = threading.Lock()  # a worker's other threads: one job at a time uses them all


@lru_cache(maxsize=4)
def _pictures(place: Place) -> Pictures:
    """The data set as it is seen from here; FileError where it is another."""
    dataset = open_readable(place.data, place.reader)
    if fingerprint(dataset) != place.fingerprint:
        raise FileError(
            f"{place.data} holds other pictures on {os.uname().nodename} than where the command was given: its storage "
            "is not shared, or files were added meanwhile."
        )
    none = np.zeros(0, dtype=np.intp)
    pictures = Pictures(dataset, none, place.looks, Tolerance(len(dataset), 1.0), Progress(), Store(place.store))
    pictures.threads = resources()[1]
    return pictures


def see(place: Place, rows: np.ndarray) -> Seen:
    """Decodes these rows of the data set into the store."""
    with _busy:
        pictures = _pictures(place)
        found = [one for some in pictures.look_at(rows) for one in some]
        pictures.table.flush()
        return found


@lru_cache(maxsize=4)
def _described(folder: str, look: str, width: int, kind: str) -> tuple[Table, Extractor]:
    """The table of features in this folder of the store, and the extractor that lies beside it."""
    info, tensors = container.read(remote.here(f"{folder}/{LEARNED}"))
    place = remote.local(folder)
    table = Table(Store(place.parent), place, json.loads(look), width, np.dtype(kind))
    return table, from_contract(info["contract"], tensors)


def describe(place: Place, into: tuple[str, str, int, str], keys: list[bytes]) -> int:
    """Computes the features of these pictures of the store into it."""
    with _busy:
        pictures = _pictures(place)
        table, extractor = _described(*into)
        _until_there(pictures.table, keys)
        pictures.describe(table, extractor, [key for key in keys if key not in table], lambda _: None)
        table.flush()
        return len(keys)
