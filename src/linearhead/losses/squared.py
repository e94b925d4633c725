"""Least squares against one-hot targets: ℓ = ½ ‖s − e_label‖². Gradient s − e_label, Hessian I.

Squares overflow beyond 1e154 in float64: there the value saturates instead of becoming inf, so that a row of weight
zero still counts for nothing; the gradient stays right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import namespace
from .contract import Array, Loss
from .labels import Label, columns, own, row_sum


def sum_of_squares(xp: Any, r: Array) -> Array:
    """Σ_j r_j², (n,), with |r_j| cut to `limit`, so that it is finite for millions of classes."""
    limit = 1e150 if r.dtype == xp.float64 else 1e16
    r = xp.clip(r, -limit, limit)
    r *= r
    return row_sum(xp, r)


@dataclass(frozen=True)
class Squared(Loss):
    name = "squared"
    title = "least squares"
    formula = "½ ‖s − e_label‖²"
    smoothness = 2
    quadratic = True
    shift_invariant = False
    curvature_source = "the Hessian is the identity"

    def curvature(self, k: int) -> float:
        return 1.0

    def value_and_gradient(self, s: Array, y: Array) -> tuple[Array, Array]:
        xp = namespace(s)
        label, s = Label(xp, y), columns(xp, s)
        gradient = label.put(own(xp, s), label.get(s) - 1)
        return 0.5 * sum_of_squares(xp, gradient), gradient

    def row_gradient(self, s: np.ndarray, y: Any) -> np.ndarray:
        g = s.copy()
        g[y] -= 1
        return g

    def hessian_product(self, s: Array, y: Array, d: Array) -> Array:
        return +d

    def hessian_mean(self, s: Array, y: Array, w: Array) -> Array:
        xp = namespace(s)
        return xp.eye(s.shape[1], dtype=s.dtype, device=s.device) * xp.sum(w)

    def hessian_form(self, s: Array, y: Array, Q: Array | None) -> Array:
        xp = namespace(s)
        return xp.zeros_like(s) + (1.0 if Q is None else xp.sum(Q * Q, axis=0))

    def conjugate(self, g: Array, y: Array) -> Array:
        """½ ‖g‖² + g_label, everywhere."""
        xp = namespace(g)
        return 0.5 * xp.sum(g * g, axis=1) + Label(xp, y).get(g)

    def conjugate_of_shares(self, q: Array) -> Array:
        """½ (‖q‖² − 1), whatever the label."""
        xp = namespace(q)
        return xp.zeros_like(q) + 0.5 * (xp.sum(q * q) - 1)
