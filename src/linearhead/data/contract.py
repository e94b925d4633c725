"""What a reader hands over: names, labels and how to get at each picture, whatever the pictures lie in.

Found = used + skipped: every file that a reader came across is either a row or stands in `skipped` with a reason.
Classes travel by name: `labels[i]` is an index into `classes`, which unites all splits and is sorted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..records import Skipped

Picture = Path | bytes | np.ndarray  # what `images.decode` takes

SPLIT_WORDS = {  # the words that people use
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
SHARD = re.compile(r"(?:.*[-_.])?(" + "|".join(SPLIT_WORDS) + r")(?:[-_.\d].*)?$", re.IGNORECASE)
IMAGE_ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
) | {".pbm", ".pgm", ".ppm", ".pnm", ".pfm"}
NAMED = 5  # classes or files listed in an error before "and … more"


@dataclass
class Dataset:
    """n labelled pictures, or n rows of features (`features` is not None, and `read` raises DataError).

    `read(i)` may be called from several threads at once; an OSError from it concerns picture i alone.
    """

    source: str
    reader: str
    names: list[str]  # for people: the path relative to the source, or "train[17]"
    labels: np.ndarray  # (n,) int64
    classes: tuple[str, ...]
    splits: np.ndarray  # (n,) str: "train" | "valid" | "test" | "" (unsplit)
    read: Callable[[int], Picture]
    groups: np.ndarray | None = None  # (n,) str: rows of one group belong on one side of every split
    skipped: list[Skipped] = field(default_factory=list)
    features: np.ndarray | None = None  # (n, d) instead of pictures
    columns: dict[str, np.ndarray] = field(default_factory=dict)  # (n,) str: what else a manifest says, by its words

    def __post_init__(self) -> None:
        n = len(self.names)
        for name in ("labels", "splits", "groups", "features"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise DataError(f"{self.source}: {len(column)} {name} for {n} names; one for each is needed.")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def found(self) -> int:
        """Rows and skipped files together."""
        return len(self.names) + len(self.skipped)


def no_pictures(i: int) -> Picture:
    """The `read` of a data set of features."""
    raise DataError("This data set holds features computed elsewhere, no pictures: there is nothing to decode.")


def by_name(labels: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class names per row → (labels int64 (n,), the sorted classes); numbers sort as numbers where all are whole."""
    names = set(labels)
    whole = all(name.isascii() and name.isdigit() for name in names)
    classes = tuple(sorted(names, key=(lambda name: (int(name), name)) if whole else None))
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[name] for name in labels], dtype=np.int64), classes


def split_named(word: str) -> str:
    """ "Validation" → "valid"; "" stays "" (unsplit); KeyError for a word that is none."""
    word = word.strip().lower()
    return SPLIT_WORDS[word] if word else ""


def split_of_shard(name: str) -> str:
    """ "train-00000-of-00002" → "train"; "" where a shard's name begins with no split word."""
    match = SHARD.match(name)
    return SPLIT_WORDS[match[1].lower()] if match else ""


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """ "'a', 'b' and 7 more", for errors."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
