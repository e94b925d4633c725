"""Logistic loss, one-vs-rest: ℓ = Σ_j log(1 + exp(t_j)), t_j = s_j for j ≠ label, t_label = −s_label.

∂ℓ/∂t_j = σ(t_j), σ(t) = 1 / (1 + exp(−t)); Hessian diag(σ(1 − σ)) ≼ ¼ I.
Round-off: every exponent is ≤ 0; log(1 + exp(t)) = max(0, t) + log1p(exp(−|t|)), two terms ≥ 0; with
q = σ(−|t|) ≤ ½, σ(t) = |1[t > 0] − q|.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..arrays import namespace
from .contract import Array, Loss
from .cross_entropy import CrossEntropy, shifted_exp, small_exp
from .labels import Label, columns, indicator, infinite_outside, own, positive, row_max, row_sum, row_sum_of_units

FACTORS = 64  # of at most 2 each: their product stays far below the largest float32, 2^128


def signed(xp: Any, s: Array, label: Label) -> Array:
    """t (n, k): a copy of s, its sign changed at the label."""
    s = columns(xp, s)
    return label.put(own(xp, s), -label.get(s))


def log_of_sums(xp: Any, e: Array) -> Array:
    """Σ_j log(1 + e_j), (n,), for e in [0, 1]."""
    if e.dtype == xp.float64:
        return row_sum(xp, xp.log1p(e))
    k, e = e.shape[1], 1 + e  # absolute accuracy, and one logarithm for many classes
    return sum(xp.log(xp.prod(e[:, j : min(j + FACTORS, k)], axis=1)) for j in range(0, k, FACTORS))


@cache
def _sigmoid() -> Any:
    """σ in one call; SciPy is imported at the first step, not with the package."""
    from scipy.special import expit

    return expit


def _entropies(xp: Any, p: Array) -> Array:
    """p log p + (1 − p) log(1 − p), 0 at and beyond the ends of [0, 1]."""
    within = (p > 0) & (p < 1)
    p = xp.where(within, p, 0.5 * xp.ones_like(p))
    return xp.where(within, p * xp.log(p) + (1 - p) * xp.log1p(-p), xp.zeros_like(p))


@dataclass(frozen=True)
class Logistic(Loss):
    name = "logistic"
    title = "logistic (one-vs-rest)"
    formula = "log(1 + exp(−s_label)) + Σ_{j≠label} log(1 + exp(s_j))"
    smoothness = 2
    shift_invariant = False
    curvature_source = "σ(1 − σ) ≤ ¼, reached at s = 0; the Hessian is diagonal"
    proper = True

    def curvature(self, k: int) -> float:
        return 0.25

    def value_and_gradient(self, s: Array, y: Array) -> tuple[Array, Array]:
        xp = namespace(s)
        label = Label(xp, y)
        t = signed(xp, s, label)
        e = small_exp(xp, -xp.abs(t))
        value = row_sum(xp, positive(xp, t)) + log_of_sums(xp, e)
        p = xp.abs(indicator(xp, t > 0, t) - e / (1 + e))
        return value, label.put(p, -label.get(p))

    def row_gradient(self, s: np.ndarray, y: Any) -> np.ndarray:
        p = _sigmoid()(s)
        p[y] -= 1.0
        return p

    def hessian_product(self, s: Array, y: Array, d: Array) -> Array:
        return self.hessian(s, y)(d)

    def hessian(self, s: Array, y: Array) -> Any:
        xp, diagonal = namespace(s), self._diagonal(s)
        return lambda d: diagonal * columns(xp, d)

    def hessian_mean(self, s: Array, y: Array, w: Array) -> Array:
        return namespace(s).eye(s.shape[1], dtype=s.dtype, device=s.device) * (w @ self._diagonal(s))

    def hessian_form(self, s: Array, y: Array, Q: Array | None) -> Array:
        return self._diagonal(s) if Q is None else self._diagonal(s) @ (Q * Q)

    @staticmethod
    def _diagonal(s: Array) -> Array:
        """σ(s_j) σ(−s_j), (n, k)"""
        xp = namespace(s)
        e = xp.exp(-xp.abs(columns(xp, s)))
        return e / (1 + e) ** 2

    def conjugate(self, g: Array, y: Array) -> Array:
        """Σ_j p_j log p_j + (1 − p_j) log(1 − p_j), p = g in [0, 1] off the label, p = −g in [0, 1] at it."""
        xp = namespace(g)
        p = signed(xp, g, Label(xp, y))
        slack = 16 * xp.finfo(g.dtype).eps
        inside = xp.all((p >= -slack) & (p <= 1 + slack), axis=1)
        return infinite_outside(xp, inside, xp.sum(_entropies(xp, p), axis=1))

    def conjugate_of_shares(self, q: Array) -> Array:
        """The same for every label: q_y and 1 − q_y have one entropy."""
        xp = namespace(q)
        return xp.zeros_like(q) + xp.sum(_entropies(xp, q))

    def probabilities(self, s: Array) -> Array:
        """σ(s_j) / Σ_i σ(s_i), scaled by the row's largest so that a row of tiny σ keeps its ratios."""
        xp = namespace(s)
        s = columns(xp, s)
        top = -positive(xp, -row_max(xp, s))[:, None]  # min(0, max s)
        p = shifted_exp(xp, -positive(xp, -s), top) / (1 + xp.exp(-xp.abs(s)))
        p /= row_sum_of_units(xp, p)[:, None]
        return p

    def log_probabilities(self, s: Array) -> Array:
        """The softmax of log σ(s_j) = −log(1 + exp(−s_j))."""
        xp = namespace(s)
        return CrossEntropy().log_probabilities(-positive(xp, -s) - xp.log1p(xp.exp(-xp.abs(s))))
