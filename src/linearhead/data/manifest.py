"""Manifests: a CSV or JSON-lines file with one picture a line, or a folder with one named metadata, manifest or labels.

Columns, in any order and case: where the picture is (`file_name` or an alias), what it shows (`label` or an alias), and
optionally `split` (the words of `SPLIT_WORDS`) and `group`; others are kept by name. Paths are relative to the
manifest, or to the one folder beside it where they lead to files. Lines that name no picture or no label, and pictures
named twice, are skipped with their line number.
"""

from __future__ import annotations

import csv
import json
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, FileError
from ..records import Skipped
from .contract import Dataset, by_name, listed, split_named

COLUMNS = {  # the first alias that is there counts
    "path": (
        "file_name",
        "path",
        "image",
        "filepath",
        "filename",
        "file",
        "image_path",
        "img",
        "img_path",
        "image_name",
        "image_id",
    ),
    "label": ("label", "class", "target", "category", "class_name", "label_name"),
    "split": ("split", "subset"),
    "group": ("group", "group_id"),
}
CSV_ENDINGS, JSON_ENDINGS = (".csv", ".tsv"), (".jsonl", ".ndjson")
NAMES = ("metadata", "manifest", "labels")
FIRST = 20  # places that are looked for
DELIMITERS = ",;\t|"


@dataclass
class _Rows:
    places: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    others: list[dict[str, str]] = field(default_factory=list)  # the columns without a role
    seen: dict[str, int] = field(default_factory=dict)  # path -> line
    skipped: list[Skipped] = field(default_factory=list)


def recognises(path: Path) -> bool:
    """Whether `path` is a manifest with the needed columns, or a folder that holds one."""
    return _manifest_at(path) is not None


def read(path: Path) -> Dataset:
    """The pictures that the manifest names, in its order; DataError where a needed column is not there."""
    manifest = _manifest_at(path) or path
    records = _records(manifest)
    keys = dict.fromkeys(key for _, record in records if isinstance(record, dict) for key in record)
    columns = _columns(keys)
    missing = [role for role in ("path", "label") if role not in columns]
    if missing:
        wanted = "; ".join(f"{role}: {', '.join(COLUMNS[role])}" for role in missing)
        found = listed([str(key) for key in keys], 10) or "none"
        raise DataError(f"{manifest} has the columns {found}, but lacks one of these: {wanted}. Name the column so.")
    rows = _Rows()
    for line, record in records:
        _add(rows, record, columns, line, manifest)
    labels, classes = by_name(rows.labels)
    base, places = _places(manifest.parent, rows.places)
    others = [str(key) for key in keys if key is not None and key not in columns.values()]
    return Dataset(
        source=str(path),
        reader="manifest",
        names=rows.places,
        labels=labels,
        classes=classes,
        splits=np.array(rows.splits, dtype="<U5"),
        read=lambda i: base / places[i],
        groups=np.array(rows.groups) if "group" in columns else None,
        skipped=rows.skipped,
        columns={key.strip(): np.array([other.get(key, "") for other in rows.others]) for key in others},
    )


def _places(beside: Path, places: list[str]) -> tuple[Path, list[str]]:
    """What the places are relative to: the manifest's folder, unless nothing lies there but in just one below it; and
    the places as they are written here, where \\ of another system leads nowhere and / does."""
    below = [beside, *sorted(entry for entry in beside.iterdir() if entry.is_dir())]
    for written in (places, [place.replace("\\", "/") for place in places]):
        first = written[:FIRST]
        found = [folder for folder in below if any(os.path.exists(os.path.join(folder, place)) for place in first)]
        if found:
            return found[0] if len(found) == 1 else beside, written
    return beside, places


def _add(rows: _Rows, record: Any, columns: dict[str, str], line: int, manifest: Path) -> None:
    """One line of the manifest: a row, or an entry in `skipped`."""
    if not isinstance(record, dict):
        rows.skipped.append(Skipped(f"{manifest.name}:{line}", str(record)))
        return
    value = {role: _text(record.get(column)) for role, column in columns.items()}
    reason = _why_not(value, rows, record)
    if reason:
        rows.skipped.append(Skipped(value["path"] or f"{manifest.name}:{line}", f"line {line}: {reason}"))
        return
    try:
        rows.splits.append(split_named(value.get("split") or ""))
    except KeyError:
        raise DataError(
            f"{manifest}, line {line}: the split is '{value['split']}'; train, valid or test is needed, or nothing."
        ) from None
    rows.seen[value["path"] or ""] = line
    rows.places.append(value["path"] or "")
    rows.labels.append(value["label"] or "")
    # without a group a picture is a group of its own
    rows.groups.append(value.get("group") or f"line {line}")
    rows.others.append({key: _text(record[key]) or "" for key in record if key not in columns.values()})


def _why_not(value: dict[str, str | None], rows: _Rows, record: dict[Any, Any]) -> str | None:
    path = value["path"]
    if None in record:  # where `csv` puts what is beyond the last column
        return "more fields than the head has columns"
    if not path:
        return "no picture is named"
    if not value["label"]:
        return "no label"
    if "://" in path:
        return "an address, not a file; nothing is fetched from a network"
    if path in rows.seen:
        return f"named before, in line {rows.seen[path]}"
    return None


def _text(value: Any) -> str | None:
    """A value as text; None for what is no single value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, (str, int, float)) else None


def _columns(record: dict[Any, Any]) -> dict[str, str]:
    """Role → the column's name as it is written."""
    written = {str(key).strip().lower(): key for key in record if key is not None}
    found = {role: next((written[a] for a in aliases if a in written), None) for role, aliases in COLUMNS.items()}
    return {role: column for role, column in found.items() if column is not None}


def _manifest_at(path: Path) -> Path | None:
    """The manifest that `path` is or, as a folder, holds; None where its columns are not those of a manifest."""
    endings = CSV_ENDINGS + JSON_ENDINGS
    candidates = [path / f"{name}{ending}" for name in NAMES for ending in endings] if path.is_dir() else [path]
    for candidate in candidates:
        if candidate.suffix.lower() not in endings or not candidate.is_file():
            continue
        # one that was named itself is read whatever it lacks: `read` says what that is
        if candidate == path or {"path", "label"} <= set(_columns(_first_record(candidate))):
            return candidate
    return None


def _first_record(manifest: Path) -> dict[Any, Any]:
    try:
        _, first = next(_iterate(manifest), (0, {}))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    return first if isinstance(first, dict) else {}


def _records(manifest: Path) -> list[tuple[int, Any]]:
    try:
        return list(_iterate(manifest))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(
            f"{manifest} cannot be read: {error}. Needed: CSV or JSON lines in UTF-8; spreadsheets call it CSV UTF-8."
        ) from error


def _iterate(manifest: Path) -> Iterator[tuple[int, Any]]:
    """(line number, dict) for each line, or (line number, a text) saying what is wrong with it."""
    with manifest.open(encoding=_encoding(manifest), newline="") as file:
        if manifest.suffix.lower() in CSV_ENDINGS:
            head = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=head.count)
            reader = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
            for record in reader:
                yield reader.line_num, record
            return
        for line, text in enumerate(file, 1):
            if text.strip():
                yield line, _parsed(text, line)


def _encoding(manifest: Path) -> str:
    """UTF-16 where the file begins so, as spreadsheets write "Unicode text"; else UTF-8, its own mark or none."""
    with manifest.open("rb") as file:
        return "utf-16" if file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"


def _parsed(text: str, line: int) -> Any:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return f"line {line}: not JSON"
    return record if isinstance(record, dict) else f"line {line}: not a JSON object"
