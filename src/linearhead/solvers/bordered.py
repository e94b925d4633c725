"""H p = r on a set of unknowns that changes little from one step to the next, p = 0 elsewhere.

With LLᵀ = H on a set B, some of B left out and some others added are a bordered system, [H_BB C; Cᵀ K] [p; q] = [r; s]:
C has the unit vectors of those left out, which q holds at 0, and the columns of those added, whose p is q. Its Schur
complement K − YᵀY, Y = L⁻¹C, is as small as the change (Gill, Murray, Saunders & Wright 1990, A Schur-complement method
for sparse quadratic programming).
"""

from __future__ import annotations

import numpy as np

MOST, PER = 30, 8  # changes, beyond which a new factor costs less, and unknowns for each of them
LEAST = 96  # unknowns, below which a new factor costs less


class Bordered:
    """H (u, u), symmetric."""

    def __init__(self, H: np.ndarray) -> None:
        self.H = H
        self.inside = np.zeros(len(H), bool)  # B
        self._begin(np.zeros(0, int), np.zeros((0, 0)))

    @property
    def fresh(self) -> bool:
        """Whether the last solution is a factor's own."""
        return not len(self.changed)

    def solve(self, free: np.ndarray, right: np.ndarray) -> np.ndarray | None:
        """p (u,); None where H has no factor on `free`."""
        if not free.any():
            return np.zeros_like(right)
        few = min(MOST, len(self.at) // PER) if len(self.at) >= LEAST else 0
        if np.count_nonzero(self.inside != free) <= few:
            self._border(free)
            if (p := self._solved(right)) is not None:
                return p
        return self._solved(right) if self.factorise(free) else None

    def _begin(self, at: np.ndarray, L: np.ndarray) -> None:
        self.at, self.L = at, L
        self.changed = np.zeros(0, int)
        self.Y, self.S = np.zeros((0, len(at))), np.zeros((0, 0))  # Yᵀ, and K − YᵀY

    def factorise(self, free: np.ndarray) -> bool:
        """For solutions on `free` and near it; False where H has none there."""
        from scipy.linalg.lapack import dpotrf  # pyright: ignore[reportAttributeAccessIssue]

        at = np.flatnonzero(free)
        part = self.H[np.ix_(at, at)] if 4 * len(at) < len(self.H) else np.take(self.H[at], at, axis=1)
        L, failed = dpotrf(part.T, lower=1, overwrite_a=1, clean=0)  # symmetric, and in LAPACK's order
        self.inside = free.copy()
        self._begin(at, L)
        return not failed

    def _border(self, free: np.ndarray) -> None:
        """The changes are those from B to `free`."""
        from scipy.linalg.blas import dtrsm  # pyright: ignore[reportAttributeAccessIssue]

        changes = self.inside != free
        keep = changes[self.changed]
        if not keep.all():
            self.changed, self.Y, self.S = self.changed[keep], self.Y[keep], self.S[np.ix_(keep, keep)]
        changes[self.changed] = False
        new = np.flatnonzero(changes)
        if not len(new):
            return
        left, both = self.inside[new], np.append(self.changed, new)
        C = np.where(left[:, None], 0.0, self.H[np.ix_(new, self.at)])
        C[left, np.searchsorted(self.at, new[left])] = 1
        Y = dtrsm(1.0, self.L, C.T, lower=1, overwrite_b=1).T
        self.Y = np.vstack([self.Y, Y])
        K = self.H[np.ix_(both, new)] * ~(self.inside[both][:, None] | left) - self.Y @ Y.T
        before = len(self.changed)
        self.S = np.block([[self.S, K[:before]], [K[:before].T, K[before:]]])
        self.changed = both

    def _solved(self, right: np.ndarray) -> np.ndarray | None:
        from scipy.linalg.blas import dtrsv  # pyright: ignore[reportAttributeAccessIssue]

        p, f = np.zeros_like(right), dtrsv(self.L, right[self.at], lower=1)
        if self.fresh:
            p[self.at] = dtrsv(self.L, f, lower=1, trans=1, overwrite_x=1)
            return p
        left = self.inside[self.changed]
        try:
            q = np.linalg.solve(self.S, np.where(left, 0.0, right[self.changed]) - self.Y @ f)
        except np.linalg.LinAlgError:
            return None
        p[self.at] = dtrsv(self.L, f - q @ self.Y, lower=1, trans=1)
        p[self.changed] = np.where(left, 0.0, q)
        return p


def product(H: np.ndarray, p: np.ndarray) -> np.ndarray:
    """p H, p (…, u): of few columns that are not 0 the rows of H alone."""
    at = np.flatnonzero(p.any(axis=0) if p.ndim > 1 else p)
    return p[..., at] @ H[at] if 4 * len(at) < len(H) else p @ H
