"""Rows in memory (or memory-mapped): a NumPy array (n, d) of float64, float32, float16 or an integer type.

Blocks are views where the type allows, else converted one block at a time: X is never copied. Columns whose mean dwarfs
their spread lose their digits when Xᵀg − shift·1ᵀg is formed; for those, blocks are centred before multiplying.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arrays import lower_gram
from . import few_columns
from .batch import Batch, ByTheta
from .contract import GRAM_BYTES, LEAST_ROWS, Block, Design, squares

MANY_CLASSES = 100  # from which both orders of a block's product are as fast
LARGE, EACH = 256, 24  # rows of a mini-batch, and for each class, from which centring by way of θ costs less
NARROW_ROWS = 256  # of a block whose rows are converted in panels
PANEL = 3 << 19  # 1.5 MiB
STRIP = 1 << 16  # numbers centred and scaled at a time, 512 kB in float64: never a whole block of that type
FAR = 2.0**520  # unit of columns whose squares overflow float64: what is lost beside such values is no digit of theirs


@dataclass(frozen=True)
class RowBlock:
    """m rows of X, (m, d), in the arithmetic's type."""

    rows: Any
    x: np.ndarray
    intercept: bool

    def forward(self, theta: np.ndarray) -> np.ndarray:
        s = few_columns.forward(self.x, theta[:-1])
        s += theta[-1]
        return s

    def adjoint(self, g: np.ndarray) -> np.ndarray:
        if len(g) == 1 or g.shape[1] >= MANY_CLASSES:
            # dot: matmul keeps an inner dimension of one from BLAS; in θ's own order, which sums of millions must share
            out = np.empty((self.x.shape[1] + 1, g.shape[1]), dtype=g.dtype)
            np.dot(self.x.T, g, out=out[:-1])
        else:  # gᵀX rather than Xᵀg: for ten classes a quarter faster, its long side being contiguous
            out = np.empty((g.shape[1], self.x.shape[1] + 1), dtype=g.dtype).T
            few_columns.adjoint(g, self.x, out[:-1].T)
        out[-1] = g.sum(axis=0) if self.intercept else 0
        return out

    def by_class(self, y: np.ndarray, w: np.ndarray | None, k: int) -> np.ndarray:
        """Σ wᵢ [xᵢ 1] over the rows of every label, (d+1, k), added up in float64."""
        order = np.argsort(y, kind="stable")
        first = np.flatnonzero(np.diff(y[order], prepend=-1))
        x, out = self.x[order], np.zeros((k, self.x.shape[1] + 1))
        if w is not None:
            x = x * w[order, None]
        for start, end in zip(first, [*first[1:], len(x)], strict=True):  # several times as fast as reduceat
            np.add.reduce(x[start:end], axis=0, dtype=np.float64, out=out[y[order[start]], :-1])
        out[:, -1] = np.bincount(y, w, k) * self.intercept
        return out.T

    def squares(self, unit: np.ndarray) -> np.ndarray:
        """Σⱼ (unitⱼ xⱼ)², (m,)"""
        z = self.x * unit.astype(self.x.dtype)
        return np.einsum("ij,ij->i", z, z)

    def absolute(self, theta: np.ndarray) -> np.ndarray:
        """|x| W + b, (m, k)"""
        return np.abs(self.x) @ theta[:-1] + theta[-1]

    def part(self, rows: slice) -> RowBlock:
        """Some of these rows."""
        return type(self)(self.rows[rows], self.x[rows], self.intercept)


@dataclass(frozen=True)
class NarrowBlock:
    """`RowBlock` of rows x that are stored in fewer bytes, and so long that in the arithmetic's type they would outgrow
    the cache: products take PANEL of them at a time, each converted once more for every product."""

    rows: Any
    stored: np.ndarray
    intercept: bool
    kind: np.dtype

    @property
    def whole(self) -> RowBlock:
        return RowBlock(self.rows, self.stored.astype(self.kind), self.intercept)

    x = property(lambda self: self.whole.x)

    def forward(self, theta: np.ndarray) -> np.ndarray:
        s = np.tile(theta[-1], (len(self.stored), 1))
        for part, x in self._panels():
            s += few_columns.forward(x, theta[part])
        return s

    def adjoint(self, g: np.ndarray) -> np.ndarray:
        many = g.shape[1] >= MANY_CLASSES
        out = np.empty((self.stored.shape[1] + 1, g.shape[1]), g.dtype, order="C" if many else "F")
        for part, x in self._panels():
            out[part] = RowBlock(self.rows, x, False).adjoint(g)[:-1]
        out[-1] = g.sum(axis=0) if self.intercept else 0
        return out

    def _panels(self) -> Iterator[tuple[slice, np.ndarray]]:
        m, d = self.stored.shape
        wide = max(PANEL // (m * self.kind.itemsize), 1)
        for start in range(0, d, wide):
            part = slice(start, min(start + wide, d))
            yield part, self.stored[:, part].astype(self.kind)

    def by_class(self, y: np.ndarray, w: np.ndarray | None, k: int) -> np.ndarray:
        return self.whole.by_class(y, w, k)

    def squares(self, unit: np.ndarray) -> np.ndarray:
        return self.whole.squares(unit)

    def absolute(self, theta: np.ndarray) -> np.ndarray:
        return self.whole.absolute(theta)

    def part(self, rows: slice) -> NarrowBlock:
        return replace(self, rows=self.rows[rows], stored=self.stored[rows])


def mirrored(lower: np.ndarray, strip: int = 256) -> np.ndarray:
    """A symmetric matrix (d, d) from its lower triangle, in place."""
    for i in range(0, len(lower), strip):
        part = slice(i, i + strip)
        lower[part, i + strip :] = lower[i + strip :, part].T
        square = lower[part, part]
        square += np.tril(square, -1).T
    return lower


@dataclass(frozen=True)
class Rows(Design):
    X: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    centre_blocks: bool = False  # subtract `shift` from the rows of a block instead of from θ

    @classmethod
    def of(cls, X: np.ndarray, intercept: bool = True, threads: int | None = None) -> Rows:
        design = cls(n=X.shape[0], d=X.shape[1], intercept=intercept, exact=X.dtype == np.float64, X=X)
        return design if threads is None else replace(design, threads=threads)

    def block(self, rows: Any) -> Block:
        x = self.X[rows]
        if self.centre_blocks:
            x = (x - self.shift).astype(self.dtype)  # the difference is formed in float64, then rounded
        elif x.dtype != self.dtype:
            if self._narrow:
                return NarrowBlock(rows, x, self.intercept, self.dtype)
            x = x.astype(self.dtype)
        return RowBlock(rows, x, self.intercept)

    @property
    def _narrow(self) -> bool:
        """Whether blocks keep their type until a product needs them; halves are too slow to convert twice."""
        kind = self.X.dtype
        return LEAST_ROWS * self.row_bytes > GRAM_BYTES and kind.itemsize < self.dtype.itemsize and kind != np.float16

    def block_rows(self) -> int:
        return max(super().block_rows(), NARROW_ROWS if self._narrow and not self.centre_blocks else 0)

    def take(self, rows: np.ndarray) -> Rows:
        return replace(self, n=len(rows), X=self.X[rows])

    def every(self, step: int) -> Rows | None:
        if not isinstance(self.X, np.ndarray):
            return None
        return replace(self, n=-(-self.n // step), X=self.X[::step])

    def to_rows(self, theta: np.ndarray) -> np.ndarray:
        if self.centre_blocks:
            return replace(self, shift=None, centre_blocks=False).to_rows(theta)
        return super().to_rows(theta).astype(self.dtype, copy=False)

    def from_rows(self, gradient: np.ndarray) -> np.ndarray:
        if self.centre_blocks:
            return replace(self, shift=None, centre_blocks=False).from_rows(gradient)
        return super().from_rows(gradient)

    def lengths(self, block: Any) -> np.ndarray:
        if self.centre_blocks:
            return replace(self, shift=None, centre_blocks=False).lengths(block)
        return super().lengths(block)

    def moments(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(over="ignore", invalid="ignore"):
            mean, deviation = self._moments(weights, np.ones(self.d, self.dtype))
        over = ~np.isfinite(deviation)
        if over.any():  # squares too large for the arithmetic: once more, in float64 and other units
            unit = np.where(over, FAR, 1.0) if self.X.dtype == np.float64 else np.ones(self.d)
            mean, deviation = (moment * unit for moment in replace(self, exact=True)._moments(weights, unit))
        return mean, deviation

    def _moments(self, weights: np.ndarray | None, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of X / unit, around a nearby origin: a constant column has exactly zero spread."""
        origin = self.X[:1].astype(self.dtype) / unit  # as the blocks see it; its rounding is the data's own

        def terms(block: RowBlock) -> tuple[float, np.ndarray, np.ndarray]:
            x = block.x - origin if unit[0] == 1 == unit.max() else block.x / unit - origin
            w = np.ones(len(x), x.dtype) if weights is None else weights[block.rows].astype(x.dtype)
            first = w @ x
            x *= x
            return float(w.sum(dtype=np.float64)), first, w @ x

        total, first, second = replace(self, centre_blocks=False, shift=None).sweep(terms)  # type: ignore[arg-type]
        mean = first / total
        return origin[0].astype(np.float64) + mean, np.sqrt(np.maximum(second / total - mean * mean, 0))

    def centred(self, mean, deviation, scale, energy) -> Rows:
        """By θ where that keeps the digits, else block by block."""
        digits = 1e6 if self.X.dtype == np.float64 else 1e2
        least = np.maximum(digits * deviation, 10 * np.sqrt(np.mean(squares(deviation))))
        far = mean is not None and bool(np.any(np.abs(mean) > least))
        return replace(self, shift=mean, scale=scale, energy=energy, centre_blocks=far)

    def batch(self, rows: np.ndarray, size: int = 1) -> Block:
        x = np.take(self.X, rows, axis=0) if type(self.X) is np.ndarray else self.X[rows]  # take lets other threads run
        if size >= max(LARGE, EACH * self.scores) and not self.centre_blocks:
            shift, scale = (v if v is None else v.astype(self.dtype) for v in (self.shift, self.scale))
            block = RowBlock(rows, x.astype(self.dtype, copy=False), self.intercept)
            return ByTheta(rows, block, replace(self, shift=shift, scale=scale))
        return Batch(rows, self._extended(x))

    def _extended(self, x: np.ndarray) -> np.ndarray:
        """[x 1], x as `_inner` has it: (m, d) → (m, d+1)."""
        out = np.empty((len(x), self.d + 1), dtype=self.dtype)
        out[:, -1] = self.intercept
        if x.dtype != self.dtype or self.centre_blocks:
            out[:, :-1] = self._inner(x)
            return out
        if self.shift is None:
            out[:, :-1] = x
        else:
            np.subtract(x, self.shift.astype(self.dtype), out=out[:, :-1])
        if self.scale is not None:
            out[:, :-1] /= self.scale.astype(self.dtype)
        return out

    def _inner(self, x: np.ndarray) -> np.ndarray:
        """Stored rows → centred, scaled ones in the arithmetic's type."""
        shift, scale, wide = self.shift, self.scale, self.centre_blocks or x.dtype.kind != "f"
        if shift is None and scale is None:
            return x.astype(self.dtype, copy=False)
        if shift is not None and not wide:
            shift = shift.astype(self.dtype)
        out = np.empty(x.shape, self.dtype)
        few = max(1, STRIP // max(1, self.d))
        for i in range(0, len(x), few):
            z, into = x[i : i + few].astype(np.float64) if wide else x[i : i + few], out[i : i + few]
            if shift is not None:
                z = np.subtract(z, shift, out=z if wide else into)
            if scale is not None:
                z = np.divide(z, scale, out=into)
            if z is not into:
                into[...] = z
        return out

    def dense(self) -> np.ndarray:
        return self._inner(np.asarray(self.X))

    def columns(self, most: int = 1024) -> Iterator[tuple[slice, np.ndarray]]:
        """Which columns, and these, centred and scaled, of all rows (n, ·) float64; `most` at a time."""
        for start in range(0, self.d, most):
            part = slice(start, min(start + most, self.d))
            z = np.asarray(self.X[:, part]).astype(np.float64)
            if self.shift is not None:
                z -= self.shift[part]
            if self.scale is not None:
                z /= self.scale[part]
            yield part, z

    def gram(self, y: np.ndarray, k: int, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        def share(block: RowBlock) -> tuple:
            x, w = self._inner(block.x), None if weights is None else weights[block.rows]
            sums = RowBlock(block.rows, x, self.intercept).by_class(y[block.rows], w, k)
            if w is not None:
                x = x * np.sqrt(w)[:, None]
            return lower_gram(x), sums

        exact = self.X.dtype == np.float64  # blocks of other types are converted as they are centred
        size = max(GRAM_BYTES, 4 * self.d**2) // (1 if exact else 2)
        plain = replace(self, shift=None, scale=None, centre_blocks=False, exact=exact, block_bytes=size)
        gram, sums = plain.sweep(share)  # type: ignore[arg-type]
        return mirrored(gram), sums
