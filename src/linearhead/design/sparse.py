"""Sparse rows: a SciPy CSR matrix (n, d). Centring happens to θ alone, so nothing ever becomes dense."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import one_hot
from .batch import ByTheta
from .contract import Block, Design
from .rows import FAR, RowBlock


class SparseBlock(RowBlock):
    """m sparse rows; the products are SciPy's, the sums as in a dense block."""

    x: Any

    def adjoint(self, g: np.ndarray) -> np.ndarray:
        return np.vstack([self.x.T @ g, g.sum(axis=0)[None] * self.intercept])

    def by_class(self, y: np.ndarray, w: np.ndarray | None, k: int) -> np.ndarray:
        hot = one_hot(y, k)
        return self.adjoint(hot if w is None else hot * w[:, None])

    def squares(self, unit: np.ndarray) -> np.ndarray:
        z = self.x.multiply(unit[None, :].astype(self.x.dtype))
        return np.asarray(z.multiply(z).sum(axis=1)).ravel()

    def absolute(self, theta: np.ndarray) -> np.ndarray:
        return abs(self.x) @ theta[:-1] + theta[-1]


@dataclass(frozen=True)
class SparseRows(Design):
    X: Any = None

    @classmethod
    def of(cls, X: Any, intercept: bool = True, threads: int | None = None) -> SparseRows:
        design = cls(n=X.shape[0], d=X.shape[1], intercept=intercept, exact=X.dtype == np.float64, X=X.tocsr())
        return design if threads is None else replace(design, threads=threads)

    @property
    def row_bytes(self) -> int:
        return 12 * max(1, self.X.nnz // max(1, self.n))

    def block(self, rows: Any) -> Block:
        x = self.X[rows]
        return SparseBlock(rows, x if x.dtype == self.dtype else x.astype(self.dtype), self.intercept)

    def take(self, rows: np.ndarray) -> SparseRows:
        return replace(self, n=len(rows), X=self.X[rows])

    def to_rows(self, theta: np.ndarray) -> np.ndarray:
        return super().to_rows(theta).astype(self.dtype, copy=False)

    def moments(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        w = np.ones(self.n) if weights is None else weights
        X = self.X.astype(np.float64)
        unit = np.where(np.abs(X).max(axis=0).toarray().ravel() > 1e150, FAR, 1.0)  # else squares overflow
        X.data /= unit[X.indices]
        mean = (X.T @ w) / w.sum()
        second = (X.multiply(X).T @ w) / w.sum()
        variance = second - mean * mean
        # the difference of two equal numbers is noise: a column is constant when it leaves no digits
        return unit * mean, unit * np.sqrt(np.where(variance > 1e-13 * second, variance, 0))

    def batch(self, rows: np.ndarray, size: int = 1) -> Block:
        return ByTheta(rows, self.block(rows), self)  # rows stay sparse

    def dense(self) -> np.ndarray:
        x = self.X.toarray().astype(self.dtype)
        if self.shift is not None:
            x -= self.shift.astype(x.dtype)
        return x if self.scale is None else x / self.scale.astype(x.dtype)

    def gram(self, y: np.ndarray, k: int, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        w = np.ones(self.n) if weights is None else weights.astype(np.float64)
        X = self.X.astype(np.float64)
        gram = np.asarray((X.T @ X.multiply(w[:, None]).tocsr()).todense())
        if self.shift is not None:  # shift is the weighted mean, so the cross terms are the square of the shift
            gram -= w.sum() * np.outer(self.shift, self.shift)
        sums = self.from_rows(self.block(slice(None)).by_class(y, weights, k))  # type: ignore[attr-defined]
        return (gram if self.scale is None else gram / np.outer(self.scale, self.scale)), sums
