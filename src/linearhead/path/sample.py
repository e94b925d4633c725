"""Rows, labels and weights that a path fits or is judged on, and the objectives of one kind made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import namespace
from ..design import LentArray, StoredArray, design_of
from ..errors import DataError, UsageError
from ..losses import make_loss
from ..objective import Objective, check_combination
from ..objective.inputs import checked_pair, checked_weights, without_absent
from ..penalties import make_penalty


@dataclass(frozen=True)
class Sample:
    """Checked rows X (n, d) with labels y (n,) and weights (n,), None if all are one."""

    X: Any
    y: np.ndarray
    weights: np.ndarray | None = None

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any = None) -> Sample:
        """DataError, or scikit-learn's ValueError, for rows and labels that cannot be used."""
        X, y = checked_pair(X, y)
        return cls(*without_absent(X, y, checked_weights(sample_weight, X)))

    def take(self, rows: np.ndarray) -> Sample:
        """Some of the rows (m,)."""
        X = self.X.take(rows) if isinstance(self.X, StoredArray) else self.X[rows]
        return Sample(X, self.y[rows], None if self.weights is None else self.weights[rows])

    def joined(self, other: Sample) -> Sample:
        """These rows, then the other's."""
        weights = None
        if self.weights is not None or other.weights is not None:
            weights = np.concatenate([np.ones(len(s.y)) if s.weights is None else s.weights for s in (self, other)])
        return Sample(_stacked(self.X, other.X), np.concatenate([self.y, other.y]), weights)


def _stacked(A: Any, B: Any) -> Any:
    """Rows of A, then of B: sparse if one is, on their device or on disk if both are."""
    if hasattr(A, "tocsr") or hasattr(B, "tocsr"):
        import scipy.sparse

        return scipy.sparse.vstack([A, B]).tocsr()
    if isinstance(A, LentArray) and isinstance(B, LentArray):
        return LentArray(namespace(A.source).concat([A.source, B.source]))
    if type(A) is StoredArray and type(B) is StoredArray and A.dtype == B.dtype:
        return A.joined(B)
    return np.concatenate([np.asarray(A), np.asarray(B)])


class Maker:
    """Objectives of one kind on different rows."""

    def __init__(self, loss: str, penalty: str, l1_ratio: float, margin: float, standardize: bool, intercept: bool):
        check_combination(loss, penalty)
        if penalty == "none":
            raise UsageError("A path follows the strength of a penalty, and penalty='none' has none: choose l2.")
        self.loss, self.penalty = make_loss(loss, margin), make_penalty(penalty, l1_ratio)
        self.standardize, self.intercept = standardize, intercept

    def objective(self, sample: Sample) -> tuple[Objective, np.ndarray]:
        """The objective of these rows with α = 1, and the classes."""
        classes, codes = np.unique(sample.y, return_inverse=True)
        if len(classes) < 2:
            raise DataError(f"A path needs rows of at least two classes; found one class only: {classes[0]}.")
        design = design_of(sample.X, intercept=self.intercept).fitted(sample.weights, self.standardize)
        parts = self.loss, self.penalty, 1.0, sample.weights
        return Objective(design, codes, len(classes), *parts, watch=True), classes
