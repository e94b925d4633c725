"""Manifests: CSV, JSON lines or a JSON array of pictures, or a folder with one named metadata, manifest or labels.

Columns, in any order and case: where the picture is (`file_name` or an alias), what it shows (`label` or an alias), and
optionally `split` (the words of `SPLIT_WORDS`) and `group`; others are kept by name. Paths are relative to the
manifest, or to the one folder beside it where they lead to files. Lines that name no picture or no label, and pictures
named twice, are skipped with their line number. A CSV file may lack its head where one of two columns leads to a file.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..errors import DataError, FileError
from ..records import Skipped
from .contract import IMAGE_ENDINGS, Dataset, by_name, listed, split_named

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
NEEDED = ("path", "label")
CSV_ENDINGS, JSON_ENDINGS = (".csv", ".tsv"), (".jsonl", ".ndjson", ".json")
NAMES = ("metadata", "manifest", "labels")
FIRST = 20  # places that are looked for
DELIMITERS = ",;\t|"
WRITTEN: tuple[Callable[[str], str], ...] = (  # how a place may be meant
    lambda place: place,
    lambda place: place.replace("\\", "/"),
    *(partial(lambda ending, place: place.replace("\\", "/") + ending, ending) for ending in sorted(IMAGE_ENDINGS)),
)


@dataclass
class _Rows:
    places: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    others: list[dict[str, str]] = field(default_factory=list)  # the columns without a role
    seen: dict[str, str] = field(default_factory=dict)  # path -> where
    skipped: list[Skipped] = field(default_factory=list)


def recognises(path: Path) -> bool:
    """Whether `path` is a manifest with the needed columns, or a folder that holds one."""
    return _manifest_at(path) is not None


def read(path: Path) -> Dataset:
    """The pictures that the manifest names, in its order; DataError where a needed column is not there."""
    manifest = _manifest_at(path) or path
    records = _records(manifest)
    if not records:
        raise DataError(f"{manifest} names no picture: it is empty, or a head alone. Needed: a line for each picture.")
    keys = dict.fromkeys(key for _, record in records if isinstance(record, dict) for key in record)
    columns = roles_of(keys, manifest)
    rows = _Rows()
    for where, record in records:
        _add(rows, record, columns, where, manifest)
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
    the places as they are written here, where \\ of another system, or a name without its ending, leads to no file."""
    below = [beside, *sorted(entry for entry in beside.iterdir() if entry.is_dir())]
    for written in WRITTEN:
        first = [written(place) for place in places[:FIRST]]
        found = [folder for folder in below if any(os.path.isfile(os.path.join(folder, place)) for place in first)]
        if found:
            return found[0] if len(found) == 1 else beside, [written(place) for place in places]
    return beside, places


def _how_to_name(source: Path, names: Collection[Any]) -> str:
    """What makes a manifest of one that lacks a column."""
    if any(_leads(source.parent, name) for name in names):
        return "The first line is about a picture, so there is no head: put one above it, such as file_name,label."
    if not names and source.suffix.lower() in JSON_ENDINGS:
        return 'Needed: [{"file_name": "a.jpg", "label": "cat"}, …], or such objects line by line.'
    return "Name the column so."


def _leads(beside: Path, place: Any) -> bool:
    """Whether a place leads to a file."""
    base, written = _places(beside, [str(place).strip()])
    return os.path.isfile(os.path.join(base, written[0]))


def _add(rows: _Rows, record: Any, columns: dict[str, str], where: str, manifest: Path) -> None:
    """One line, or entry of an array: a row, or one of `skipped`."""
    if not isinstance(record, dict):
        rows.skipped.append(Skipped(f"{manifest.name}: {where}", f"{where}: {record}"))
        return
    value = {role: text_of(record.get(column)) for role, column in columns.items()}
    reason = _why_not(value, rows, record)
    if reason:
        rows.skipped.append(Skipped(value["path"] or f"{manifest.name}: {where}", f"{where}: {reason}"))
        return
    try:
        rows.splits.append(split_named(value.get("split") or ""))
    except KeyError:
        raise DataError(
            f"{manifest}, {where}: the split is '{value['split']}'; train, valid or test is needed, or nothing."
        ) from None
    rows.seen[value["path"] or ""] = where
    rows.places.append(value["path"] or "")
    rows.labels.append(value["label"] or "")
    # without a group a picture is a group of its own
    rows.groups.append(value.get("group") or where)
    rows.others.append({key: text_of(record[key]) or "" for key in record if key not in columns.values()})


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
        return f"named before, in {rows.seen[path]}"
    return None


def text_of(value: Any) -> str | None:
    """A value as text; None for what is no single value, or not a number."""
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value if math.isfinite(value) else None
    return str(value).strip() if isinstance(value, (str, int, float)) else None


def roles_of(names: Collection[Any], source: Path) -> dict[str, str]:
    """Role → column of a table with columns of these names; DataError where pictures or labels have none."""
    columns = roles_in(names)
    missing = [role for role in NEEDED if role not in columns]
    if missing:
        wanted = "; ".join(f"{role}: {', '.join(COLUMNS[role])}" for role in missing)
        found = listed([str(name) for name in names], 10) or "none"
        raise DataError(
            f"{source} has the columns {found}, but lacks one of these: {wanted}. {_how_to_name(source, names)}"
        )
    return columns


def roles_in(names: Collection[Any]) -> dict[str, str]:
    """Role → the column's name as it is written."""
    written = {re.sub(r"[\s-]+", "_", str(name).strip().lower()): name for name in names if name is not None}
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
        if candidate == path or set(NEEDED) <= set(roles_in(_first_record(candidate))):
            return candidate
    return None


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lifts `csv`'s limit of 131 072 signs a field, which is one for the whole process, meanwhile."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@_long_fields()
def _first_record(manifest: Path) -> dict[Any, Any]:
    try:
        _, first = next(_iterate(manifest), ("", {}))
    except (OSError, UnicodeDecodeError, csv.Error, DataError):
        return {}
    return first if isinstance(first, dict) else {}


@_long_fields()
def _records(manifest: Path) -> list[tuple[str, Any]]:
    try:
        return list(_iterate(manifest))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(
            f"{manifest} cannot be read: {error}. Needed: CSV or JSON in UTF-8; spreadsheets call it CSV UTF-8."
        ) from error


def _iterate(manifest: Path) -> Iterator[tuple[str, Any]]:
    """("line 3" or "entry 3", dict) for each, or a text that says what is wrong with it in place of the dict."""
    with manifest.open(encoding=_encoding(manifest), newline="") as file:
        if manifest.suffix.lower() in CSV_ENDINGS:
            yield from _table(manifest, file)
        elif _begins_array(file):
            for entry, record in enumerate(_array(manifest, file.read()), 1):
                yield f"entry {entry}", record if isinstance(record, dict) else "not a JSON object"
        else:
            for line, text in enumerate(file, 1):
                if text.strip():
                    yield f"line {line}", _parsed(text)


def _table(manifest: Path, file: TextIO) -> Iterator[tuple[str, Any]]:
    """("line 3", record) for each; DataError where a quotation mark swallows the rest, which `csv` lets pass."""
    before, head, delimiter = _head(file)
    names = _without_head(manifest, head, delimiter)
    lines: list[tuple[int, str]] = []  # of one record, blank ones left out

    def kept() -> Iterator[str]:
        for number, line in enumerate(file, before + 1):
            if line.strip():
                lines.append((number, line))
            yield line

    reader = csv.DictReader(kept(), names, delimiter=delimiter, skipinitialspace=True)
    try:
        reader.fieldnames  # noqa: B018  the head is no line of a record
        lines.clear()
        for record in reader:
            if len(lines) > 1 and sum(line.count('"') for _, line in lines) % 2:
                raise csv.Error("its last field has no end")
            lines.clear()
            yield f"line {before + reader.line_num}", record
    except csv.Error as error:
        raise DataError(
            f"{manifest}, line {lines[0][0]}, cannot be read: {error}. Is a quotation mark opened there and not closed?"
        ) from error


def _head(file: TextIO) -> tuple[int, str, str]:
    """(lines before the first one that says something, that line, the sign between its fields); sep=; above it, as
    spreadsheets write it, is obeyed. The file then stands at that line."""
    before, place, named = 0, 0, ""
    while line := file.readline():
        about = re.fullmatch(r'"?sep=(.)"?', line.strip("\r\n"), re.IGNORECASE)
        if not about and line.strip():
            break
        named = about[1] if about else named
        before, place = before + 1, file.tell()
    file.seek(place)
    outside = re.sub(r'"[^"]*"', "", line)
    return before, line, named or max(DELIMITERS, key=outside.count)


def _without_head(manifest: Path, first: str, delimiter: str) -> list[str] | None:
    """The columns' names where the first line of two fields is a picture and what it shows; None: it is a head."""
    fields = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
    leading = [_leads(manifest.parent, place) for place in fields] if len(fields) == 2 else []
    if sum(leading) != 1 or roles_in(dict.fromkeys(fields)):
        return None
    return [COLUMNS["path"][0] if leads else COLUMNS["label"][0] for leads in leading]


def _begins_array(file: TextIO) -> bool:
    """Whether the first sign of the file is that of a JSON array."""
    signs = file.read(1)
    while signs.isspace():
        signs = file.read(1)
    file.seek(0)
    return signs == "["


def _array(manifest: Path, text: str) -> list[Any]:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{manifest} begins as a JSON array, but is none ({error}). Needed: [{{…}}, {{…}}], one object a picture, "
            "or JSON lines."
        ) from error


def _encoding(manifest: Path) -> str:
    """UTF-16 where the file begins so, as spreadsheets write "Unicode text"; else UTF-8, its own mark or none."""
    with manifest.open("rb") as file:
        return "utf-16" if file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"


def _parsed(text: str) -> Any:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return "not JSON"
    return record if isinstance(record, dict) else "not a JSON object"
