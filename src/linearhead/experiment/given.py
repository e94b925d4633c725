"""Rows of features computed elsewhere, in the place of pictures: checked and counted like those, never decoded.

`Given` answers what a run asks of `Pictures`: which rows are good, the key of each, and the features of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..charts.words import of_rows
from ..data import Dataset
from ..data.feature_store import Store
from ..data.numpy_files import inputs
from ..data.stored_rows import StoredRows
from ..errors import DataError, UsageError
from ..files import sha256
from ..images import Preprocessing
from ..records import Evaluation, Finding, Run, Skipped
from .extract import BATCH, Extracted, Pictures, Tolerance
from .progress import Progress

ONLY_ROWS = (
    "This model was trained on feature rows, not on pictures, so it cannot look at pictures. What it takes are "
    ".npy or .npz files of such rows."
)
FLOATS = (np.float16, np.float32, np.float64, np.uint8)  # types of rows that fits read as they are


class Given:
    """Some rows of a dataset of features, in the order that is wanted."""

    def __init__(self, dataset: Dataset, rows: np.ndarray, tolerance: Tolerance, progress: Progress) -> None:
        assert dataset.features is not None
        self.dataset, self.rows, self.tolerance, self.progress = dataset, rows, tolerance, progress
        given = dataset.features
        self.numbers = given if given.dtype in FLOATS else np.asarray(given, dtype=np.float32)

    @cached_property
    def keys(self) -> dict[int, bytes]:
        """Row of the dataset → SHA-256 of its numbers, of those that are finite, in the order of `rows`."""
        keys: dict[int, bytes] = {}
        with self.progress.bar(len(self.rows), "rows") as done:
            for start in range(0, len(self.rows), BATCH):
                rows = self.rows[start : start + BATCH]
                X = self.numbers[rows]
                for row, x, finite in zip(rows.tolist(), X, np.all(np.isfinite(X), axis=1), strict=True):
                    if finite:
                        keys[row] = bytes.fromhex(sha256(x.tobytes()))
                    else:
                        self.tolerance.add(Skipped(self.dataset.names[row], not_finite(x)))
                done(len(rows))
        try:
            self.tolerance.check()
        except DataError as error:
            raise DataError(of_rows(str(error))) from None
        return keys

    @cached_property
    def good(self) -> np.ndarray:
        """Those of `rows` that are finite."""
        return np.fromiter(self.keys, dtype=np.intp, count=len(self.keys))

    def features(self, extractor: None = None) -> Extracted:
        """All rows that are finite; the others are listed."""
        parts = np.zeros(len(self.good), dtype=np.intp)
        rows = StoredRows([self.numbers], parts, self.good, self.numbers.shape[1], self.numbers.dtype)
        return Extracted(rows, self.good, self.tolerance.bad, Counter())


Source = Pictures | Given


def source(
    dataset: Dataset,
    rows: np.ndarray,
    looks: Preprocessing | None,
    tolerance: Tolerance,
    progress: Progress,
    store: Store,
) -> Source:
    """Pictures that are looked at in this way, or rows that are there already."""
    if looks is None:
        return Given(dataset, rows, tolerance, progress)
    return Pictures(dataset, rows, looks, tolerance, progress, store)


def not_finite(x: np.ndarray) -> str:
    """Why a row is left out, with the place."""
    column = int(np.argmin(np.isfinite(x)))
    return f"feature {column} is {x[column]}"


def check(dataset: Dataset, features: str) -> None:
    """UsageError where an extractor is named for rows that are features already."""
    if features != "auto":
        raise UsageError(
            f"{dataset.source} holds features computed elsewhere, so --features {features} has no pictures to look at. "
            "Leave --features out."
        )


def match(dataset: Dataset, extractor: Any, dimension: int) -> None:
    """UsageError or DataError where a model cannot judge such data: rows, but pictures are needed; other rows; …"""
    if dataset.features is None and extractor is None:
        raise UsageError(ONLY_ROWS)
    if dataset.features is not None and extractor is not None:
        raise UsageError(
            f"{dataset.source} holds features computed elsewhere, but this model looks at pictures: give it pictures."
        )
    if dataset.features is not None and dataset.features.shape[1] != dimension:
        raise DataError(
            f"{dataset.source} holds rows of {dataset.features.shape[1]} numbers; this model was trained on rows of "
            f"{dimension}. Compute them by the same network and layer."
        )


def read(path: Path, dimension: int) -> np.ndarray:
    """(n, d) features without labels: a .npy, or the inputs of a .npz or of a folder. DataError, FileError."""
    if not path.is_dir() and path.suffix.lower() not in (".npy", ".npz"):
        raise DataError(f"{path}: this model was trained on rows of features; a .npy or .npz of such rows is needed.")
    try:
        X = inputs(path)
    except DataError as error:
        raise DataError(f"{error} This model was trained on rows of features, not on pictures.") from error
    if X.ndim != 2 or X.shape[1] != dimension:
        raise DataError(f"{path} holds {X.dtype} of shape {X.shape}; rows of features, (n, {dimension}), are needed.")
    return X if X.dtype in FLOATS else np.asarray(X, dtype=np.float32)


def said(run: Run) -> None:
    """Has the sentences of a record speak of rows, not of pictures."""
    run.findings = findings_said(run.findings)
    run.data.roles = {role: of_rows(text) for role, text in run.data.roles.items()}
    for judged in run.evaluations.values():
        evaluation_said(judged)
    if run.trust is not None:
        run.trust.source = of_rows(run.trust.source)


def evaluation_said(judged: Evaluation) -> None:
    """The same for numbers alone."""
    judged.audit = {role: of_rows(text) for role, text in judged.audit.items()}
    judged.nearest = of_rows(judged.nearest)


def findings_said(findings: Sequence[Finding]) -> list[Finding]:
    """The same for findings; of a command only what is to be filled in is no name."""
    return [
        replace(
            finding,
            title=of_rows(finding.title),
            evidence=of_rows(finding.evidence),
            advice=of_rows(finding.advice),
            command=finding.command.replace("_PICTURES", "_ROWS"),
        )
        for finding in findings
    ]
