"""Some gathered rows of a mini-batch, [x 1] (m, d+1) in the design's columns: one product has the intercept, too.

Steps are many and small: what counts is calls and memory traffic. θ (d+1, k) is best in column order here, one class
after the other: then a row's scores are k dot products, and its step the rank-one update θ ← θ − t x gᵀ in place. Many
rows a step are left as they are (`ByTheta`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import few_columns


class Batch:
    """m rows; see `Block`, and `descend`."""

    __slots__ = ("rows", "x")

    def __init__(self, rows: Any, x: np.ndarray) -> None:
        self.rows, self.x = rows, x

    def forward(self, theta: np.ndarray) -> np.ndarray:
        if len(self.x) == 1:
            return np.dot(theta.T, self.x[0])[None]
        # BLAS takes three times as long with θ in column order
        return few_columns.forward(self.x, np.ascontiguousarray(theta))

    def adjoint(self, g: np.ndarray) -> np.ndarray:
        if len(g) == 1:
            return np.multiply(g.T, self.x).T
        out = np.empty((g.shape[1], self.x.shape[1]), dtype=self.x.dtype)
        few_columns.adjoint(g, self.x, out)
        return out.T

    def descend(self, theta: np.ndarray, g: np.ndarray, t: float) -> None:
        """θ ← θ − t Xᵀg in place."""
        if len(g) == 1 and theta.flags.f_contiguous:
            _rank_one[theta.dtype.char](-t, self.x[0], g[0], 1, 1, theta, 1, 1, 1)
        else:
            move = self.adjoint(g)
            move *= t
            theta -= move

    def walk(self, theta: np.ndarray, slope: Any, y: list[int], steps: np.ndarray, decay: np.ndarray) -> None:
        """θ (column order) ← the steps of these rows one after the other, in place: W ← decay W − step x gᵀ, b without
        decay, g = slope(xᵀθ, y) of one row; steps and decay (m,).

        With c the product of the decays so far θ̃ = [W/c; b] has the scores [c x, 1] θ̃ and steps by [x/c, 1] gᵀ: the
        rows carry what would be a pass over W for each of them. They are used up.
        """
        c = np.cumprod(decay)
        moved = self.x * (-steps / c)[:, None].astype(self.x.dtype)
        moved[:, -1] = self.x[:, -1] * -steps
        self.x[1:, :-1] *= c[:-1, None].astype(self.x.dtype)
        scores, s, rank_one = theta.T.dot, np.empty(theta.shape[1], theta.dtype), _rank_one[theta.dtype.char]
        for x, move, label in zip(self.x, moved, y, strict=True):
            rank_one(1.0, move, slope(scores(x, s), label), 1, 1, theta, 1, 1, 1)
        theta[:-1] *= theta.dtype.type(c[-1])

    def part(self, rows: slice) -> Batch:
        """Some of these rows."""
        return Batch(self.rows[rows], self.x[rows])


@dataclass(frozen=True)
class ByTheta:
    """A mini-batch whose rows stay as they are: columns are centred and scaled by way of θ, as in a pass."""

    rows: Any
    block: Any
    design: Any

    def forward(self, theta: np.ndarray) -> np.ndarray:
        return self.block.forward(self.design.to_rows(theta))

    def adjoint(self, g: np.ndarray) -> np.ndarray:
        return self.design.from_rows(np.asarray(self.block.adjoint(g))).astype(g.dtype, copy=False)

    def descend(self, theta: np.ndarray, g: np.ndarray, t: float) -> None:
        theta -= t * self.adjoint(g)

    def part(self, rows: slice) -> ByTheta:
        """Some of these rows."""
        return ByTheta(self.rows[rows], self.block.part(rows), self.design)


class _RankOne(dict):
    """BLAS's ger by type; SciPy is imported at the first step, not with the package.

    Called by place, (t, x, g, 1, 1, θ, 1, 1, 1) for increments, θ and what may be overwritten: names cost 0.3 µs.
    """

    def __missing__(self, kind: str) -> Any:
        from scipy.linalg import blas

        self["f"], self["d"] = blas.sger, blas.dger  # pyright: ignore
        return self[kind]


_rank_one = _RankOne()
