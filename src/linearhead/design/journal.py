"""What passes over rows on a cluster have found, on disk: a client that was killed and is started again goes on there.

All that a fit does between its passes follows from what they found, to the bit. So nothing else has to be kept: the
fit is simply started again, finds every pass that it made in the journal, and asks the workers for the others alone.
An entry is named by the SHA-256 of its task: rows, θ, the function, versions. It is whole or absent, and a damaged one
is as good as absent.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .. import container
from ..errors import DataError, FileError, explained
from ..files import sha256

ENDING = ".pass"
MOST = 4 << 30  # bytes that a fit may leave on disk
MONTH = 30 * 86400.0  # seconds after which an entry that nobody came back for is removed


class Journal:
    """A folder of entries by `key`; `forget` removes those of the fits so far, when their result is safe elsewhere."""

    def __init__(self, folder: str | os.PathLike[str], say: Callable[[str], object] = lambda text: None) -> None:
        self.folder: Path | None = Path(folder).absolute()
        self.say = say
        self.found = 0  # passes that were not made, because they were here before this journal was opened
        self._used: set[Path] = set()
        self._bytes = 0
        with explained("create", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._old = set(self.folder.glob("*" + ENDING))
        _remove(self._old, before=time.time() - MONTH)

    def recall(self, key: str, find: Callable[[], tuple]) -> tuple:
        """The sums of the task with this key, found again or by find()."""
        if self.folder is None:
            return find()
        path = self.folder / (key + ENDING)
        with suppress(OSError, KeyError, container.Refused):
            sums = _read(path)
            self.found += path in self._old and path not in self._used
            self._used.add(path)
            return sums
        sums = find()
        self._used.add(path)
        with suppress(DataError):  # something that no file holds
            self._write(path, sums)
        return sums

    def _write(self, path: Path, sums: tuple) -> None:
        numbers = [i for i, value in enumerate(sums) if isinstance(value, float)]
        self._bytes += sum(np.asarray(value).nbytes for value in sums)
        if self._bytes > MOST:
            self._end(f"What the passes found takes more than {MOST >> 30} GiB.")
            return
        try:
            container.write(path, {"numbers": numbers}, {str(i): np.atleast_1d(v) for i, v in enumerate(sums)})
        except FileError as error:  # a full disk, say: the fit itself needs no journal
            self._end(str(error))

    def _end(self, why: str) -> None:
        self.say(f"{why} If this run is killed, its fit begins anew.")
        self.folder = None
        self.forget()  # what the fit itself has to write finds room

    def forget(self) -> None:
        _remove(self._used)
        self._used = set()


def _read(path: Path) -> tuple[Any, ...]:
    info, tensors = container.read(path)
    sums = [tensors[str(i)] for i in range(len(tensors))]
    return tuple(float(value[0]) if i in info["numbers"] else value for i, value in enumerate(sums))


def key(*told: Any) -> str:
    """The same for equal things, whatever objects they are made of: a pickle alone tells equal dtypes apart."""
    pickler: Any = import_module("cloudpickle").Pickler

    class Equal(pickler):
        def reducer_override(self, obj: Any) -> Any:
            if type(obj) is np.ndarray or isinstance(obj, np.generic):
                return str, (f"{obj.dtype.str} {obj.shape} {sha256(np.ascontiguousarray(obj).tobytes())}",)
            return (str, (obj.str,)) if isinstance(obj, np.dtype) else super().reducer_override(obj)

    file = io.BytesIO()
    Equal(file).dump(told)
    return sha256(file.getvalue())


def _remove(paths: set[Path], before: float = math.inf) -> None:
    for path in paths:
        with suppress(OSError):  # another run may have removed it
            if path.stat().st_mtime < before:
                path.unlink()
