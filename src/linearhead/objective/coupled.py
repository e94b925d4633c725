"""The Hessian itself, classes coupled, in a few leading directions of the columns: what a Kronecker product cannot say.

A row's Hessian in the scores has H_ab ≤ 0 off the diagonal and row sums ≥ 0 for every loss here: it is the Laplacian
of a graph, Σ_{a<b} h_ab (e_a − e_b)(e_a − e_b)ᵀ + Σ_a h_a e_a e_aᵀ with h ≥ 0. So Σᵢ wᵢ Hᵢ ⊗ zᵢzᵢᵀ is a sum of
one (r+1)² Gram matrix per edge, each from the rows where this edge is heavy: of many, rows are drawn systematically,
with chances proportional to wᵢ h, which keeps the sum semidefinite and unbiased at the price of `DRAWS` rows in all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

UNKNOWNS = 700, 1200  # of the coupled system, k (r + 1), for few numbers of rows × columns × classes and for many
FINE = 2000  # for many, in a fit that is long: from there each of them pays for its share of the factor
PER_NUMBER = 18  # the factor takes U³/3 multiplications: so many cubes per number keep it to about ten passes
CLASSES = 32  # beyond, edges outnumber the rows drawn
DRAWS = 32_768


def unknowns(numbers: int, fine: bool = False) -> int:
    """Of a problem of so many rows × columns × classes: making the model must not outweigh the passes it saves."""
    few, many = UNKNOWNS
    return int(np.clip((PER_NUMBER * numbers) ** (1 / 3), few, FINE if fine else many))


def edges(product: Any, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights h (e, m) ≥ 0 of every edge of every row, and its ends a, b (e,); b = k stands for none.

    `product(d)` multiplies the rows' Hessians by d (m, k).
    """
    m, k = s.shape
    a, b = np.triu_indices(k, 1)
    h = np.empty((len(a) + k, m), dtype=s.dtype)
    for j in range(k):
        unit = np.zeros_like(s)
        unit[:, j] = 1
        column = product(unit)
        h[: len(a)][a == j] = -column[:, j + 1 :].T
        h[len(a) + j] = column.sum(axis=1)
    largest = float(h.max(initial=0.0))
    h[h < 1e-6 * largest] = 0  # rounding, where row sums are 0
    return h, np.append(a, np.arange(k)), np.append(b, np.full(k, k))


def draw(h: np.ndarray, draws: int) -> tuple[np.ndarray, float]:
    """Positions in h, flattened, at equal steps of its running sum, and the step: each stands for that much weight."""
    reached = np.cumsum(h.ravel(), dtype=np.float64)
    step = float(reached[-1]) / draws
    found = np.searchsorted(reached, (np.arange(draws) + 0.5) * step)
    return np.minimum(found, h.size - 1), step


def sampled_hessian(z: np.ndarray, h: np.ndarray, a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """Σᵢ Hᵢ ⊗ zᵢzᵢᵀ for z (m, q) from `draw`n rows, or from all where they are few: (k, q, k, q) float64."""
    q = z.shape[1]
    H = np.zeros((k, q, k, q))
    if h.size <= DRAWS:  # exact, so that a row of weight 2 and a row given twice take the same path
        for e in range(len(a)):
            _add_edge(H, (z.T * h[e]) @ z, a[e], b[e])
        return H
    found, step = draw(h, DRAWS)
    edge, row = np.divmod(found, h.shape[1])
    bounds = np.searchsorted(edge, np.arange(len(a) + 1))
    for e in np.flatnonzero(np.diff(bounds)):
        part = z[row[bounds[e] : bounds[e + 1]]]
        _add_edge(H, (part.T @ part) * step, a[e], b[e])
    return H


def _add_edge(H: np.ndarray, gram: np.ndarray, i: int, j: int) -> None:
    """H += (e_i − e_j)(e_i − e_j)ᵀ ⊗ gram, in place; j = k stands for none."""
    H[i, :, i] += gram
    if j < len(H):
        H[j, :, j] += gram
        H[i, :, j] -= gram
        H[j, :, i] -= gram


@dataclass(frozen=True)
class Coupled:
    """The inverse of the coupled Hessian: (r+1, j, k) → the same shape, the last row the intercept."""

    factor: Any

    def __call__(self, v: np.ndarray) -> np.ndarray:
        from scipy.linalg import cho_solve

        each = v.transpose(2, 0, 1)  # (k, r+1, j)
        solved = cho_solve(self.factor, each.reshape(-1, each.shape[2]), check_finite=False)
        return solved.reshape(each.shape).transpose(1, 2, 0)

    @classmethod
    def of(cls, H: np.ndarray, alpha: np.ndarray, blind: np.ndarray, intercept: bool) -> Coupled | None:
        """From H (k, q, k, q), overwritten, the penalty's part (q, q), and the directions of the scores (k, j) that the
        loss does not see; None where H is not definite in float64."""
        from scipy.linalg import cho_factor

        k, q = H.shape[:2]
        each = np.arange(k)
        H[each, :, each] += alpha
        flat = H.reshape(k * q, k * q)
        top = float(flat.diagonal().max())
        # no step where the loss is blind, rounding would be amplified: the intercept's, and W's if nothing is penalised
        for c in range(q - 1) if not alpha.any() else ():
            H[:, c, :, c] += top * (blind @ blind.T)
        H[:, q - 1, :, q - 1] += top * (blind @ blind.T if intercept else np.eye(k))
        flat[np.diag_indices_from(flat)] += 1e-9 * top
        try:
            return cls(cho_factor(flat.T, lower=True, overwrite_a=True, check_finite=False))
        except np.linalg.LinAlgError:
            return None
