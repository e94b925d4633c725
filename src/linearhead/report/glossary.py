"""The words of the page, explained on it: the tables of templates/glossary.md, which docs/glossary.md shows as well."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent / "templates" / "glossary.md"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A row of the glossary; `anchor` is its id on the page."""

    anchor: str
    words: str
    meaning: str


@cache
def glossary() -> tuple[tuple[str, tuple[Entry, ...]], ...]:
    """(heading, its entries), in order."""
    parts = re.split(r"^## (.+)$", SOURCE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found, place = [], 0
    for heading, table in zip(parts[::2], parts[1::2], strict=True):
        rows = [row for row in ROW.findall(table) if row[0] != "word" and row[0].strip("-")]
        found.append((heading, tuple(Entry(f"word-{place + i}", *row) for i, row in enumerate(rows))))
        place += len(rows)
    return tuple(found)


@cache
def anchor(label: str) -> str | None:
    """The id of the entry that has the label among its words: alone between punctuation, or else within them."""
    entries = [entry for _, group in glossary() for entry in group]
    wanted = label.lower()
    for entry in entries:
        if wanted in {part.strip().lower() for part in re.split(r"[,;:()]", entry.words)}:
            return entry.anchor
    within = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
    return next((entry.anchor for entry in entries if within.search(entry.words.lower())), None)
