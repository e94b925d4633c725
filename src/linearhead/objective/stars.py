"""The free multipliers of hinges class by class: of many classes a Newton step of `semismooth.py` by small factors.

The smoothed loss leaves a row a star of free multipliers, those of the classes of a (n, k) and, where they do not add
up to their limit (c = 0), that of its label, with the sum 0 (`losses/margins.py`). But for these sums classes know
nothing of one another. With t the multipliers' change, K = ZZᵀ and E_j the rows whose multiplier of class j is free,
the step is where
  (ρ + K/α) t_j + μ − b_j = −Z∇F_j/α on E_j,   Σ_j t_ij = 0,   Σᵢ t_ij = −∂F/∂b_j,   ρᵢ = γ/wᵢ:
one factor of |E_j| unknowns for each class, and by a Schur complement one of μ's, one for each row, in place of one of
all free directions (Boyd & Vandenberghe 2004, appendix C.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..losses.margins import star_factor
from .intercept import downhill

CALLS = 4e6  # of a class's factor besides its arithmetic, in cubes of unknowns
INVERSE = 3  # Cholesky factors that an inverse is worth
# of ρ, and of the largest of K/α: what a label's multiplier, which has none, is given; the step is the exact one's to
LABEL, ROUNDING = 1e-6, 1e-13  # about as much
DIGITS = 1e-11  # of the largest of K/α that ρ must be, or a step has none left


@dataclass(frozen=True)
class Directions:
    """Any others: a row's Hessian in the scores is Σ h hᵀ over its h."""

    rows: np.ndarray  # (f,)
    h: np.ndarray  # (f, k)
    price: float = np.inf  # of a factor by classes, which they have none

    @property
    def directions(self) -> int:
        return len(self.rows)

    def factor(self) -> tuple[np.ndarray, np.ndarray]:
        return self.rows, self.h


@dataclass(frozen=True)
class Stars:
    rows: np.ndarray  # (m,), ascending: those of which something is free
    a: np.ndarray  # (m, k) bool
    capped: np.ndarray  # (m,) bool: the sum over a stays as it is, and the label's multiplier, too
    y: np.ndarray  # (m,)

    @classmethod
    def of(cls, rows: np.ndarray, a: np.ndarray, c: np.ndarray, y: np.ndarray) -> Stars:
        """a (n, k) of 0 and 1, c (n,), labels y (n,) of some rows (n,)."""
        a, capped = a > 0, c > 0
        free = np.count_nonzero(a, axis=1) > capped
        return cls(rows[free], a[free], capped[free], np.asarray(y)[free])

    @cached_property
    def directions(self) -> int:
        return int(np.count_nonzero(self.a)) - int(np.count_nonzero(self.capped))

    @cached_property
    def price(self) -> float:
        """Of how many free directions a factor costs as much as these: what `semismooth.worth` counts in."""
        sizes = np.bincount(self.y[~self.capped], minlength=self.a.shape[1]) + np.count_nonzero(self.a, axis=0)
        blocks = INVERSE * np.sum(sizes.astype(float) ** 3) + CALLS * np.count_nonzero(sizes)
        return float((float(len(self.rows)) ** 3 + blocks) ** (1 / 3))

    def factor(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows (f,), h (f, k)): a row's Hessian in the scores is Σ h hᵀ / γ over its h."""
        size = np.count_nonzero(self.a, axis=1)
        own, h = star_factor(self.a.astype(np.float64), self.capped / np.maximum(size, 1), self.y)
        return self.rows[own], h

    def direction(
        self, gram: Any, least: np.ndarray, G: np.ndarray, alpha: float, intercept: bool
    ) -> np.ndarray | None:
        """−(∇²F)⁻¹ G, (d+1, k), of ρ = least (m,); None where that has no digits."""
        from scipy.linalg import cho_factor, cho_solve

        own = gram.find(self.rows)
        z, K = gram.z[own], gram.products[np.ix_(own, own)] / alpha
        largest = float(K.diagonal().max())
        if float(least.min()) < DIGITS * largest:
            return None
        blocks, right, p = self._blocks(K, least, ROUNDING * largest), z @ (G[:-1] / -alpha), np.zeros_like(G)
        S, solved, ones = np.zeros_like(K), np.zeros_like(right), np.zeros_like(right)
        for j, (e, A) in enumerate(blocks):
            S[np.ix_(e, e)] += A
            solved[e, j], ones[e, j] = A @ right[e, j], A.sum(axis=1)
        factor = cho_factor(S, lower=True, overwrite_a=True, check_finite=False)
        mu = cho_solve(factor, solved.sum(axis=1), check_finite=False)
        if intercept:
            along = cho_solve(factor, ones, check_finite=False)
            left, slope = np.diag(ones.sum(axis=0)) - ones.T @ along, G[-1] + solved.sum(axis=0) - ones.T @ mu
            p[-1] = downhill(left, slope, 0.0)
            mu += along @ p[-1]
        t = np.zeros_like(right)
        for j, (e, A) in enumerate(blocks):
            t[e, j] = A @ (right[e, j] - mu[e] + p[-1, j])
        p[:-1] = -(G[:-1] + z.T @ t) / alpha
        return p

    def _blocks(self, K: np.ndarray, least: np.ndarray, rounding: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """E_j and (ρ + K)⁻¹ there, for every class."""
        free, star = self.a.copy(), np.flatnonzero(~self.capped)
        free[star, self.y[star]] = True
        blocks = []
        for j, column in enumerate(free.T):
            e = np.flatnonzero(column)
            label = ~self.capped[e] & (self.y[e] == j)
            ridge = np.where(label, np.maximum(LABEL * least[e], rounding), least[e])
            blocks.append((e, _inverse(K[np.ix_(e, e)], ridge)))
        return blocks


def _inverse(K: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """(K + diag ridge)⁻¹; K is overwritten."""
    from scipy.linalg import get_lapack_funcs

    factorise, invert = get_lapack_funcs(("potrf", "potri"), dtype=K.dtype)
    K[np.diag_indices(len(K))] += ridge
    if not len(K):
        return K
    L, failed = factorise(K.T, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError
    inverse, _ = invert(L, lower=1, overwrite_c=1)
    low = np.tril(inverse, -1)
    return low + low.T + np.diag(inverse.diagonal())
