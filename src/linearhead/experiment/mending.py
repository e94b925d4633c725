"""labels.csv: every picture of a run with its label, the doubted ones first, to be mended by hand and trained on again.

It is a manifest (data/manifest.py) beside the model. Its column `split` keeps every picture's role, so that the same
pictures judge before and after; `looks_like` is what classifiers that had not seen a doubted picture call it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..diagnose import label_errors
from ..records import Run
from . import run_folder
from .examine import Doubted
from .preparing import Prepared


def sheet(prepared: Prepared, run: Run, doubted: Doubted | None, folder: Path) -> bytes | None:
    """The file's bytes, paths relative to `folder`; None where too few labels are doubted or pictures are no files."""
    told = any(finding.code == label_errors.CODE for finding in run.findings)
    if doubted is None or not told or run.data.reader not in label_errors.FILES:
        return None
    dataset, rows = prepared.dataset, prepared.extracted.rows
    called = doubted.answers.predicted.tolist()
    looks = {row: dataset.classes[c] for row, c in zip(rows[doubted.rows].tolist(), called, strict=True)}
    order = [*looks, *(row for row in rows.tolist() if row not in looks)]
    columns = {
        "file_name": [_beside(dataset.read(row), folder) for row in order],
        "label": [dataset.classes[dataset.labels[row]] for row in order],
        "looks_like": [looks.get(row, "") for row in order],
        "split": prepared.roles[order],
    }
    if dataset.groups is not None:
        columns["group"] = dataset.groups[order]
    return run_folder.as_csv(list(columns), zip(*columns.values(), strict=True))


def _beside(picture: Any, folder: Path) -> str:
    return os.path.relpath(picture, folder) if isinstance(picture, Path) else ""  # a manifest skips what has no name
