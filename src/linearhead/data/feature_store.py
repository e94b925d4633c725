"""Rows computed once: STORE/LOOK/NAME.rows, shards of rows (n, d), each row under the SHA-256 of its picture's bytes.

LOOK is the SHA-256 of how a row comes from those bytes (preprocessing, extractor, versions), NAME that of the keys
within. A shard is one `container` file, so every flipped bit is found, and carries its own index in its header. It
appears under its name when it is whole and is never changed afterwards: no index can disagree with its rows, a killed
run loses the shard that was being filled, and any number of processes may read and write. A damaged shard is renamed
to NAME.damaged, its pictures count as new. A picture that cannot be read has its reason in place of a row.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import container, remote
from ..errors import FileError, explained
from ..files import held, sha256, write_atomic
from .stored_rows import StoredRows

FORMAT = 1  # part of every LOOK: another number, another place
SHARD_BYTES, SHARD_ROWS = 16 * 2**20, 4096  # whichever comes first
ENDING, DAMAGED = ".rows", ".damaged"
TAG_NAME = "CACHEDIR.TAG"  # what backup programs leave out (bford.info/cachedir)
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of linearhead: computed again when deleted.\n"
NO_ROWS = np.empty((0, 0), np.uint8)  # of a shard of reasons alone
PATIENCE = 60.0  # seconds without a new shard after which another process's work is not waited for any longer


TABLE = re.compile("[0-9a-f]{32}")  # LOOK
BESIDE = frozenset({TAG_NAME, "columns", "passes", "lost+found"})  # what else a store may hold; the last is the disk's


def strangers(folder: Path) -> list[str]:
    """What lies in a folder that is no store and no store would have there; [] in a new one, and in a store."""
    if not folder.is_dir() or (folder / TAG_NAME).exists():
        return []
    return sorted(n for n in os.listdir(folder) if not n.startswith(".") and n not in BESIDE and not TABLE.fullmatch(n))


class Place(NamedTuple):
    shard: _Shard
    row: int


class Store:
    """A folder of tables, one for each way of looking at pictures; without a folder everything stays in memory. A
    folder of remote storage (PROTOCOL://PLACE) is worked on in its copy here.

    leave_free: None for a folder that the user named, where a failed write is a FileError. Else what cannot be
    written, or would leave less than this many bytes of the disk, is said and stays in memory.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        say: Callable[[str], object] = lambda text: None,
        leave_free: int | None = None,
    ) -> None:
        self.folder, self.say = None if folder is None else remote.local(folder), say
        self.leave_free = leave_free

    def table(self, look: Mapping[str, Any], width: int, dtype: Any) -> Table:
        """The rows (width,) of `dtype` that come from pictures in the way that `look`, plain JSON, describes."""
        return Table(self, self.place(look), json.loads(json.dumps(look)), width, np.dtype(dtype))

    def place(self, look: Mapping[str, Any]) -> Path | None:
        """The sub-folder for what `look` describes, which exists."""
        if self.folder is None:
            return None
        key = sha256(json.dumps({"format": FORMAT, **look}, sort_keys=True).encode())[:32]
        with self.bearing(), explained("create", self.folder):
            if others := strangers(self.folder):  # its tag would tell backups to leave them out
                raise FileError(
                    f"{self.folder} is no store: it holds {', '.join(others[:3])}{', …' if others[3:] else ''}. Name a "
                    "folder that is new, empty, or a store already."
                )
            (self.folder / key).mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # a store of somebody else's, which may only be read, serves as well
                os.utime(self.folder / key)  # of its last use
            if not (self.folder / TAG_NAME).exists():
                write_atomic(self.folder / TAG_NAME, TAG.encode())
            return self.folder / key
        return None

    @contextmanager
    def bearing(self) -> Iterator[None]:
        """Around a write: where the folder is only a convenience, a FileError is said, and nothing more is kept."""
        try:
            yield
        except FileError as error:
            if self.leave_free is None:
                raise
            if self.folder is not None:
                self.say(f"{error} What this run computes is not kept.")
            self.folder = None

    def write(self, path: Path, info: dict[str, Any], tensors: dict[str, np.ndarray]) -> bool:
        """Whether the file is there now; FileError where it has to be and cannot."""
        if self.folder is None:
            return False
        with self.bearing():
            needed = sum(tensor.nbytes for tensor in tensors.values())
            if self.leave_free is not None and shutil.disk_usage(self.folder).free < self.leave_free + needed:
                raise FileError(f"The disk of {self.folder} is nearly full.")
            container.write(path, info, tensors)
            remote.push(path)
            return True
        return False


class Table:
    """Rows by key; `key in table` is true where the row, or why there is none, is known and undamaged.

    Asking may be done from several threads at once; adding is for one.
    """

    def __init__(self, store: Store, folder: Path | None, look: dict[str, Any], width: int, dtype: np.dtype) -> None:
        self.store, self.folder, self.look, self.width, self.dtype = store, folder, look, width, dtype
        self.shard_rows = max(1, min(SHARD_ROWS, SHARD_BYTES // (width * dtype.itemsize)))
        self.places: dict[bytes, Place] = {}
        self.reasons: dict[bytes, str] = {}
        self.shards: dict[str, _Shard] = {}
        self.pending = _Pending(self)
        self.refresh()

    def refresh(self) -> int:
        """Takes in what other processes have written since; how many shards that was."""
        if self.folder is not None:
            remote.pull(self.folder)
        new = 0
        for name in sorted(os.listdir(self.folder)) if self.folder else []:
            if name.endswith(ENDING) and name not in self.shards:
                new += self._open(Path(self.folder or "", name))
        return new

    def _open(self, path: Path) -> bool:
        try:
            with explained("read", path):
                head = container.peek(path)
            keys, reasons = _index(head, self)
        except FileNotFoundError:  # another process has found it damaged
            return False
        except container.Refused as error:
            self.quarantine(path, error.what)
            return False
        except (KeyError, TypeError, ValueError):
            self.quarantine(path, "holds rows of another kind")
            return False
        self._take(_Shard(self, path.name, path, head), keys, reasons)
        return True

    def _take(self, shard: _Shard, keys: list[bytes], reasons: Mapping[bytes, str]) -> None:
        self.shards[shard.name] = shard
        for row, key in enumerate(keys):
            self.places.setdefault(key, Place(shard, row))
        for key in reasons:
            self.places.setdefault(key, Place(shard, -1))
        self.reasons |= reasons

    def quarantine(self, path: Path, why: str) -> None:
        """Renames a damaged shard, so that its rows are computed again and the damage can be looked at."""
        try:
            os.replace(path, path.with_suffix(DAMAGED))
        except FileNotFoundError:
            return
        remote.drop(path)
        self.store.say(
            f"{path.name} {why}. It is set aside as {path.with_suffix(DAMAGED)}, its rows are computed again."
        )

    def __contains__(self, key: bytes) -> bool:
        while (place := self.places.get(key)) is not None:
            if place.shard.usable():
                return True
            self._forget(place.shard)
        return key in self.pending.keys

    def reason(self, key: bytes) -> str | None:
        """Why this picture has no row; None where it has one, or is unknown."""
        return self.reasons.get(key) or self.pending.reasons.get(key)

    def _forget(self, shard: _Shard) -> None:
        for key in [key for key, place in list(self.places.items()) if place.shard is shard]:
            self.places.pop(key, None)
            self.reasons.pop(key, None)

    def add(self, key: bytes, row: np.ndarray | None, notes: Sequence[str] = (), reason: str = "") -> None:
        """One picture's row (width,), or None and the reason; the shard is written when it is full."""
        if key not in self:
            self.pending.add(key, row, notes, reason)
            if len(self.pending.keys) >= self.shard_rows:
                self.flush()

    def flush(self) -> None:
        """Writes what is pending, however little it is."""
        pending, self.pending = self.pending, _Pending(self)
        if not pending.keys:
            return
        good = [key for key in pending.keys if key not in pending.reasons]
        rows = pending.rows[: len(good)]
        info = {
            "look": self.look,
            "keys": b"".join(good).hex(),
            "notes": dict(sorted(pending.notes.items())),
            "reasons": {key.hex(): reason for key, reason in pending.reasons.items()},
        }
        name = sha256(b"".join(pending.keys))[:32] + ENDING
        path = None if self.folder is None else self.folder / name
        if path is not None and self.store.write(path, info, {"rows": rows} if len(rows) else {}):
            shard = _Shard(self, name, path, container.peek(path))
        else:
            shard = _Shard(self, name, None, container.Head(info, {}, 0, ""), rows)
        self._take(shard, good, pending.reasons)

    def rows(self, keys: Sequence[bytes]) -> StoredRows:
        """The rows of these pictures, in this order; KeyError for one that has none."""
        self.flush()
        if not all(key in self for key in keys):
            raise KeyError("a picture without a row")
        places = [self.places[key] for key in keys]
        shards = {id(place.shard): place.shard for place in places}
        number = {shard: i for i, shard in enumerate(shards)}
        part = np.array([number[id(place.shard)] for place in places], dtype=np.intp)
        row = np.array([place.row for place in places], dtype=np.intp)
        return StoredRows([shard.rows() for shard in shards.values()], part, row, self.width, self.dtype)

    def notes(self, keys: Sequence[bytes]) -> Counter[str]:
        """How many of these pictures each note concerns."""
        counted: Counter[str] = Counter()
        by_place = {place: note for shard in self.shards.values() for place, note in shard.notes()}
        for key in keys:
            counted.update(by_place.get((place.shard.name, place.row), ()) if (place := self.places.get(key)) else ())
        return counted

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While it is open no other process adds to the table, so that nothing is computed twice at the same time.

        A process that is stopped or slow is waited for as long as its shards keep coming, then no longer.
        """
        if self.folder is None:
            yield
            return
        heard, told = time.monotonic(), False
        with held(self.folder) as lock:
            while not lock.take() and time.monotonic() - heard < PATIENCE:
                if not told:
                    self.store.say(f"Another process is filling {self.folder}; waiting for its rows.")
                told = True
                time.sleep(0.2)
                heard = time.monotonic() if self.refresh() else heard
            self.refresh()
            yield


class _Pending:
    """Pictures whose shard is not written yet."""

    def __init__(self, table: Table) -> None:
        self.keys: dict[bytes, None] = {}
        self.reasons: dict[bytes, str] = {}
        self.notes: dict[str, list[int]] = {}
        shape, size = (table.shard_rows, table.width), table.shard_rows * table.width * table.dtype.itemsize
        # pages of their own, which the system has back as soon as rows that no file took are let go of
        self.rows = np.ndarray(shape, table.dtype, mmap(-1, max(1, size)))
        self.good = 0

    def add(self, key: bytes, row: np.ndarray | None, notes: Sequence[str], reason: str) -> None:
        self.keys[key] = None
        if row is None:
            self.reasons[key] = reason
            return
        self.rows[self.good] = row
        for note in notes:
            self.notes.setdefault(note, []).append(self.good)
        self.good += 1


class _Shard:
    """One file of rows, checked when its first row is asked for."""

    def __init__(
        self, table: Table, name: str, path: Path | None, head: container.Head, rows: np.ndarray | None = None
    ) -> None:
        # rows in memory know no table, which knows them: they go with the last who has them, waiting for no collector
        self.table = None if path is None else table
        self.name, self.path, self.head = name, path, head
        self._rows, self._damaged, self._lock = rows, False, threading.Lock()

    def usable(self) -> bool:
        with self._lock:
            if self._rows is None and not self._damaged and self.path is not None and self.table is not None:
                try:
                    self._rows = container.mapped(self.path, self.head).get("rows", NO_ROWS)
                except FileNotFoundError:
                    self._damaged = True
                except container.Refused as error:
                    self._damaged = True
                    self.table.quarantine(self.path, error.what)
            return not self._damaged

    def rows(self) -> np.ndarray:
        assert self._rows is not None
        return self._rows

    def notes(self) -> Iterator[tuple[tuple[str, int], tuple[str, ...]]]:
        """((name, row), its notes) of every row with notes."""
        found: dict[int, list[str]] = {}
        for note, rows in self.head.info["notes"].items():
            for row in rows:
                found.setdefault(row, []).append(note)
        return (((self.name, row), tuple(notes)) for row, notes in found.items())


def _index(head: container.Head, table: Table) -> tuple[list[bytes], dict[bytes, str]]:
    """The keys and reasons of a shard that belongs to the table; KeyError, TypeError, ValueError for any other."""
    info, keys = head.info, bytes.fromhex(head.info["keys"])
    found = [keys[i : i + 32] for i in range(0, len(keys), 32)]
    place = head.table.get("rows")
    shape = [len(found), table.width]
    if info["look"] != table.look or (found and (place is None or place.shape != shape or place.dtype != table.dtype)):
        raise ValueError
    for rows in info["notes"].values():
        if not all(isinstance(row, int) and 0 <= row < len(found) for row in rows):
            raise ValueError
    return found, {bytes.fromhex(key): str(reason) for key, reason in info["reasons"].items()}
