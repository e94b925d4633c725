"""Rows that another library holds, maybe on another device: a torch tensor, CuPy, or any array of the array API.

`LentArray` answers slices and index arrays of rows as NumPy arrays, like rows on disk; where the memory is the
processor's they are views. What works on rows as on disk works on it, as `LentSlabs`. `LentRows` is the design whose
blocks stay where they are: θ, scores and sums are the library's own arrays on the rows' device, sums in float64 in the
order of the rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import is_foreign, namespace, to_device, to_host
from ..errors import DataError
from .contract import Design
from .stored import StoredArray, StoredRows

LENT_BYTES = 256 << 20  # of rows and scores at a time: a device wants large products


class LentArray(StoredArray):
    """n rows of d numbers in `source`, another library's array (n, d)."""

    def __init__(self, source: Any) -> None:
        if "sparse" in (layout := str(getattr(source, "layout", ""))):
            raise DataError(f"X is a sparse tensor ({layout}); needed is X.to_dense(), or SciPy's sparse rows.")
        self.source = source.detach() if hasattr(source, "detach") else source
        self.xp = namespace(self.source)
        self.dtype = to_host(self.source[:1, ...]).dtype
        if self.dtype.kind not in "fiub":
            raise DataError(f"X holds {source.dtype}; a linear classifier needs real numbers.")
        self.shape = (int(source.shape[0]), int(source.shape[1]))
        self._row = self.shape[1] * self.dtype.itemsize
        self.budget = self.shape[0] * self._row  # all are in some memory

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            return to_host(self.source[slice(*rows.indices(len(self))), ...])
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else np.where(rows < 0, rows + len(self), rows)
        return to_host(self._gathered(rows))

    def _gathered(self, rows: np.ndarray) -> Any:
        return self.xp.take(self.source, to_device(rows.astype(np.int64), self.source), axis=0)

    def take(self, rows: np.ndarray) -> LentArray:
        """Some rows, where they are."""
        return LentArray(self._gathered(rows))

    def finite(self) -> bool:
        """Whether every number is, found where they are."""
        size = max(1, LENT_BYTES // max(self._row, 1))
        slabs = (self.source[i : min(i + size, len(self)), ...] for i in range(0, len(self), size))
        return self.dtype.kind != "f" or all(bool(self.xp.all(self.xp.isfinite(slab))) for slab in slabs)


def lent_array(X: Any) -> Any:
    """X as a `LentArray` where it is another library's matrix; else as NumPy knows it, or X itself."""
    if not is_foreign(X):
        return X
    return LentArray(X) if len(X.shape) == 2 and 0 not in X.shape else to_host(X)


@dataclass(frozen=True)
class LentBlock:
    """Some rows x (m, d) in the arithmetic's type, on their device."""

    rows: Any
    x: Any
    xp: Any
    intercept: bool

    def forward(self, theta: Any) -> Any:
        return self.x @ theta[:-1, :] + theta[-1:, :]

    def adjoint(self, g: Any) -> Any:
        ones = self.xp.sum(g, axis=0, keepdims=True) * float(self.intercept)
        return self.xp.concat([self.x.T @ g, ones], axis=0)

    def absolute(self, theta: Any) -> Any:
        """|x| W + b, (m, k)"""
        return self.xp.abs(self.x) @ theta[:-1, :] + theta[-1:, :]

    def by_class(self, y: Any, w: Any, k: int) -> Any:
        """Σ wᵢ [xᵢ 1] over the rows of every label, (d+1, k), products in float64."""
        xp = self.xp
        hot = xp.astype(xp.arange(k, device=y.device)[None, :] == y[:, None], xp.float64)
        hot = hot if w is None else hot * w[:, None]
        return replace(self, x=xp.astype(self.x, xp.float64)).adjoint(hot)


@dataclass(frozen=True)
class LentRows(Design):
    """`shift` and `scale` are the library's own arrays here."""

    X: Any = None
    centre_blocks: bool = False

    @classmethod
    def like(cls, design: StoredRows) -> LentRows:
        """The same rows, centre and scale as a design of a `LentArray`, where they are."""
        X: Any = design.X.source
        moved = [None if a is None else to_device(np.asarray(a), X) for a in (design.shift, design.scale)]
        same = {"n": design.n, "d": design.d, "intercept": design.intercept, "exact": design.exact}
        return cls(**same, shift=moved[0], scale=moved[1], X=X, centre_blocks=design.centre_blocks)

    @property
    def xp(self) -> Any:
        return namespace(self.X)

    @property
    def kind(self) -> Any:
        """The library's type of the arithmetic."""
        return self.xp.float64 if self.exact else self.xp.float32

    def block_rows(self) -> int:
        return max(1, LENT_BYTES // (self.row_bytes + self.scores * self.dtype.itemsize))

    def block(self, rows: Any) -> Any:
        x, xp = self.X[rows, :], self.xp
        if self.centre_blocks and self.shift is not None:  # the difference is formed in float64, then rounded
            x = xp.astype(x, xp.float64) - self.shift[None, :]
        return LentBlock(rows, xp.astype(x, self.kind, copy=False), xp, self.intercept)

    def lengths(self, block: LentBlock) -> Any:
        """‖z‖² of a block's rows in the centred, scaled columns, (m,), not below the exact ones."""
        z = self.inner(replace(block, x=self.xp.astype(block.x, self.xp.float64, copy=False)))
        return self.xp.sum(z * z, axis=1) * (1 + 1e-9)

    def inner(self, block: LentBlock) -> Any:
        """A block's rows in the centred, scaled columns, (m, d), in the type that it has."""
        xp, z = self.xp, block.x
        if self.shift is not None and not self.centre_blocks:
            z = z - xp.astype(self.shift, z.dtype)[None, :]
        return z if self.scale is None else z / xp.astype(self.scale, z.dtype)[None, :]

    def dense(self) -> Any:
        return self.inner(self.block(slice(None)))

    def take(self, rows: Any) -> LentRows:
        return replace(self, n=int(rows.shape[0]), X=self.xp.take(self.X, rows, axis=0))

    def every(self, step: int) -> LentRows:
        return replace(self, n=-(-self.n // step), X=self.X[::step, :])

    def to_rows(self, theta: Any) -> Any:
        W, b = theta[:-1, :], theta[-1:, :]
        W = W if self.scale is None else W / self.scale[:, None]
        if self.shift is not None and not self.centre_blocks:
            b = b - self.shift[None, :] @ W
        return self.xp.astype(self.xp.concat([W, b], axis=0), self.kind)

    def from_rows(self, gradient: Any) -> Any:
        W, b = gradient[:-1, :], gradient[-1:, :] * float(self.intercept)
        if self.shift is not None and not self.centre_blocks:
            W = W - self.shift[:, None] @ b
        W = W if self.scale is None else W / self.scale[:, None]
        return self.xp.concat([W, b], axis=0)

    def sweep(self, fn: Callable[[Any], tuple]) -> tuple:
        """The sums over all blocks, float64 arrays on the device; none of them comes to the host."""
        size, sums = self.block_rows(), None
        for start in range(0, self.n, size):
            terms = [
                self.xp.astype(t, self.xp.float64) for t in fn(self.block(slice(start, min(start + size, self.n))))
            ]
            sums = terms if sums is None else [a + b for a, b in zip(sums, terms, strict=True)]
        return tuple(sums or ())

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """The library has its own threads."""
        yield None


@dataclass(frozen=True)
class LentSlabs(StoredRows):
    """The rows of a `LentArray` as NumPy arrays, slab by slab; their moments are formed where they are."""

    def take(self, rows: np.ndarray) -> LentSlabs:
        return replace(self, n=len(rows), X=self.X.take(rows))

    def _moments(self, weights: np.ndarray | None, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = LentRows.like(replace(self, shift=None, scale=None, centre_blocks=False))
        xp, origin = rows.xp, self.X[:1].astype(np.float64) / unit
        first, size = to_device(origin, rows.X), to_device(unit, rows.X)
        w = None if weights is None else to_device(weights.astype(np.float64), rows.X)

        def terms(block: LentBlock) -> tuple:
            x = xp.astype(block.x, xp.float64) / size[None, :] - first
            if w is None:
                return xp.sum(x, axis=0), xp.sum(x * x, axis=0)
            return w[block.rows] @ x, w[block.rows] @ (x * x)

        total = float(self.n if weights is None else weights.sum())
        mean, second = (to_host(found) / total for found in rows.sweep(terms))
        return origin[0] + mean, np.sqrt(np.maximum(second - mean * mean, 0))
