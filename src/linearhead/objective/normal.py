"""Least squares by its sums over the rows: F(θ) = ½ (s − 2 ⟨C, θ⟩ + ⟨θ, Hθ⟩) with H = [[ZᵀDZ/Σw + αI, z̄], [z̄ᵀ, s]] and
C = [Z 1]ᵀDY/Σw, z̄ the mean row and s the rows' share of the total. One pass makes them; F and ∇F anywhere take none.

Of fewer rows than columns n × n numbers are enough: with R = √(D/Σw), H⁻¹v = (v − ZᵀR (αI + R ZZᵀ R)⁻¹ R Zv)/α
(Woodbury 1950).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import lower_gram
from .point import Point


@dataclass(frozen=True)
class NormalEquations:
    """Of one penalised objective with L2, or of one without a penalty."""

    gram: np.ndarray  # (d, d), α added
    sums: np.ndarray  # C (d+1, k)
    mean: np.ndarray  # [z̄; s], (d+1,); 0 without an intercept
    alpha: float
    share: float  # s, 1 but for a part of the rows

    @classmethod
    def of(cls, objective: Any) -> NormalEquations:
        gram = objective.gram()
        gram[np.diag_indices_from(gram)] += objective.alpha
        sums, share = objective.class_sums(), float(objective.class_shares().sum())
        return cls(gram, sums, sums.sum(axis=1) * objective.design.intercept, objective.alpha, share)

    def at(self, theta: np.ndarray) -> Point:
        """The point at θ (d+1, k): no pass."""
        W, b = theta[:-1], theta[-1]
        product = np.zeros(theta.shape)
        if theta.any():
            product = np.vstack([self.gram @ W, self.mean[:-1] @ W]) + self.mean[:, None] * b
        value = 0.5 * (self.share + float(np.vdot(theta, product - 2 * self.sums)))
        return Point(theta, value, product - self.sums, value - 0.5 * self.alpha * float(np.vdot(W, W)))

    @property
    def condition(self) -> float:
        """At least H's largest eigenvalue over its least, the intercept's apart; inf without a penalty."""
        return float(self.gram.trace()) / self.alpha if self.alpha else np.inf


def inverse_by_rows(objective: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """v → H⁻¹v of arrays (d+1, k), the mean row taken for 0, by the rows' products with one another: one pass, and
    about two for each v. None where rounding of the products outweighs α, as where rows are alike."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    design, alpha, n = objective.design, objective.alpha, objective.n
    w = np.ones(n) if objective.weights is None else objective.weights.astype(np.float64)
    root = np.sqrt(w / objective.total)[:, None]
    kernel = np.zeros((n, n), order="F")  # as LAPACK wants it: no copy as large
    for _, z in design.columns():
        kernel += lower_gram(z.T)
    kernel *= root
    kernel *= root.T
    kernel[np.diag_indices(n)] += alpha
    objective.count.passes += 1
    try:
        factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return None

    def solve(v: np.ndarray) -> np.ndarray:
        inner = sum(z @ v[part] for part, z in design.columns())
        u, out = root * cho_solve(factor, root * inner, check_finite=False), v.copy()
        for part, z in design.columns():
            out[part] -= z.T @ u
        out[:-1] /= alpha
        return out

    return solve
