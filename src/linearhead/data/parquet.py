"""Parquet with pictures inside, as Hugging Face stores them: structs {bytes, path} (or plain bytes), and labels; or
with the places of pictures, relative to the file.

One file, or a folder of files whose names begin with a split word (train-00000-of-00002.parquet). Labels are text, or
whole numbers that the `names` of the file's own "huggingface" description turn into words. Only the row groups that are
asked for are read, and a few are held at a time. Needs the extra `parquet` (pyarrow).
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import FileError, UsageError
from ..records import Skipped
from .contract import Dataset, by_name, split_of_shard
from .manifest import roles_in, roles_of, text_of

MAGIC = b"PAR1"
HELD = 4  # row groups in memory


class _Row(NamedTuple):
    file: int
    group: int
    row: int  # within the group


def recognises(path: Path) -> bool:
    """Whether `path` is a Parquet file, or a folder with some."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """All rows of all files, in their order; rows without a picture or a label are skipped."""
    places = _files(path)
    files = [_opened(place) for place in places]
    roles = [roles_of(_names(file), place) for file, place in zip(files, places, strict=True)]
    rows: list[_Row] = []
    labels: list[str] = []
    splits: list[str] = []
    groups: list[str] = []
    skipped: list[Skipped] = []
    names: list[str] = []
    for number, (file, place, columns) in enumerate(zip(files, places, roles, strict=True)):
        name, split, words = place.name, split_of_shard(place.stem), _class_names(file, columns["label"])
        for group in range(file.num_row_groups):
            wanted = [columns[role] for role in ("label", "group") if role in columns]
            table = _group(file, place, group, wanted)
            tracks = table[columns["group"]].to_pylist() if "group" in columns else [None] * len(table)
            for i, value in enumerate(table[columns["label"]].to_pylist()):
                label = _label(value, words)
                if not label:
                    skipped.append(Skipped(f"{name}[{group}][{i}]", f"no label ({value})"))
                    continue
                rows.append(_Row(number, group, i))
                labels.append(label)
                splits.append(split)
                groups.append(f"row {len(rows)}" if tracks[i] is None else f"group {tracks[i]}")
                names.append(f"{name}[{group}][{i}]")
    codes, classes = by_name(labels)
    pictures = _Pictures(files, [columns["path"] for columns in roles], [place.parent for place in places])
    grouped = any(group.startswith("group ") for group in groups)
    return Dataset(
        source=str(path),
        reader="parquet",
        names=names,
        labels=codes,
        classes=classes,
        splits=np.array(splits, dtype="<U5"),
        read=lambda i: pictures(rows[i]),
        groups=np.array(groups) if grouped else None,
        skipped=skipped,
    )


class _Pictures:
    """Bytes of one row, or the file beside it that it names; the row groups asked for last stay in memory."""

    def __init__(self, files: list[Any], columns: list[str], folders: list[Path]) -> None:
        self.files, self.columns, self.folders, self.lock = files, columns, folders, threading.Lock()
        self.held: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def __call__(self, place: _Row) -> bytes | Path:
        with self.lock:
            key = place.file, place.group
            if key not in self.held:
                column = self.columns[place.file]
                file = self.files[place.file]
                self.held[key] = _group(file, f"row group {place.group}", place.group, [column])[column]
            self.held.move_to_end(key)
            while len(self.held) > HELD:
                self.held.popitem(last=False)
            value = self.held[key][place.row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):  # an OSError concerns this picture alone
            where = data or (value.get("path") if isinstance(value, dict) else None)
            if where and (beside := self.folders[place.file] / str(where)).is_file():
                return beside
            raise OSError(f"the row holds no picture, only '{where}'" if where else "the row holds no picture")
        return data


def _names(file: Any) -> list[str]:
    """Of the columns; of those that could be the pictures, only the ones with bytes in them where there are such: text
    beside them names what they show."""
    types = {field.name: str(field.type) for field in file.schema_arrow}
    named = {name for name in types if "path" in roles_in([name])}
    held = {name for name in named if not types[name].endswith("string")}
    return [name for name in types if name not in named or name in held or not held]


def _group(file: Any, place: Any, group: int, columns: list[str]) -> Any:
    """Some columns of a row group; FileError where its data are damaged."""
    try:
        return file.read_row_group(group, columns=columns)
    except (OSError, ValueError) as error:
        raise _damaged(place, error) from error


def _label(value: Any, words: list[str]) -> str | None:
    """What a row shows: text as it is, numbers by the names of the file; None where it is neither or beyond them."""
    text = text_of(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
    if not words or text in words or text is None:
        return text
    return words[int(text)] if text.isdecimal() and int(text) < len(words) else None


def _damaged(place: Any, error: Exception) -> FileError:
    return FileError(f"{place} cannot be read as Parquet: {' '.join(str(error).split()).rstrip('.')}. Fetch it again.")


def _files(path: Path) -> list[Path]:
    inside = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return [file for file in inside if file.is_file() and _begins(file)]


def _begins(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(4) == MAGIC
    except OSError:
        return False


def _opened(file: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            f"{file} is a Parquet file, and reading those needs pyarrow. Run: pip install 'linearhead[parquet]'"
        ) from error
    try:
        return parquet.ParquetFile(file)
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise _damaged(file, error) from error


def _class_names(file: Any, column: str) -> list[str]:
    """What the file itself says that its numbers mean; [] where it says nothing."""
    try:
        about = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])
        names = about["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []
