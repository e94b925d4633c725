"""File names as text that every file, page and terminal can carry: what cannot be shown is escaped, \\xff or \\n.

A name may hold bytes that are no UTF-8, line ends, or the escape sequences that command a terminal.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from ..data import Data, Dataset, open_dataset
from ..errors import DataError
from ..records import Skipped


def readable(name: str) -> str:
    """`name` with every character that is not printable escaped; different names stay different."""
    return name if name.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in name)


def _escaped(c: str) -> str:
    byte = ord(c) - 0xDC00  # how Python carries a byte that is no UTF-8 (PEP 383)
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else c.encode("unicode_escape").decode("ascii")


def lasting(source: str) -> str:
    """Where data lie, as a path that holds in any folder; what is no path stays as it is."""
    return os.path.abspath(source) if os.path.exists(source) else source


def called(data: Data) -> str:
    """What a run on these data is called where nobody says."""
    return Path(data).absolute().name.split(".")[0] if isinstance(data, str | os.PathLike) else "arrays"


def unnamed_run(data: Data) -> Path:
    """Where a run on these data is put where nobody says."""
    return Path("runs", f"{called(data)}-{datetime.now():%Y%m%d-%H%M%S}")


def open_readable(path: Data, reader: str, min_classes: int = 1, rows: bool = False) -> Dataset:
    """`data.open_dataset` of pictures, with `rows` of features computed elsewhere as well; with readable names."""
    dataset = open_dataset(path, reader, min_classes)
    if dataset.features is not None and not rows:
        raise DataError(
            f"{dataset.source} holds features computed elsewhere ({dataset.features.shape[1]} numbers a row), but "
            "pictures are needed here. train and evaluate take such rows as they are."
        )
    return replace(
        dataset,
        source=readable(dataset.source),
        names=[readable(name) for name in dataset.names],
        classes=tuple(readable(name) for name in dataset.classes),
        labels=np.asarray(dataset.labels),
        skipped=[Skipped(readable(s.path), readable(s.reason)) for s in dataset.skipped],
    )
