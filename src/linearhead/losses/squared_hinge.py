"""Squared hinge: ℓ = Σ_{j≠label} max(0, z_j)², z_j = Δ + s_j − s_label (`margins.py`).

∂ℓ/∂z_j = 2 max(0, z_j); generalised Hessian 2 Mᵀ diag(a) M, a_j = 1[z_j > 0]: twice the Laplacian of the star that
joins the label to its violators, so a sum over rows is the Laplacian of a graph of classes. Its norm is at most
2 ‖M Mᵀ‖ = 2 k, reached when all margins are violated. Conjugate of max(0, z)²: v²/4 for v ≥ 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import namespace
from .contract import Array, Loss
from .labels import Label, entry_sum, indicator, infinite_outside, own, positive
from .margins import check_margin, margins, star_factor, star_form, star_mean, star_product, transpose
from .squared import sum_of_squares


@dataclass(frozen=True)
class SquaredHinge(Loss):
    margin: float = 1.0

    name = "squared_hinge"
    title = "squared hinge"
    formula = "Σ_{j≠label} max(0, Δ + s_j − s_label)²"
    smoothness = 1
    piecewise = True
    curvature_source = "2 ‖M Mᵀ‖ = 2 k, M Mᵀ = I + 11ᵀ on the k − 1 margins; reached when all are violated"

    def __post_init__(self) -> None:
        check_margin(self.margin)

    def curvature(self, k: int) -> float:
        return 2.0 * k

    def value_and_gradient(self, s: Array, y: Array) -> tuple[Array, Array]:
        xp = namespace(s)
        label = Label(xp, y)
        v = positive(xp, margins(xp, s, label, self.margin))
        return sum_of_squares(xp, v), transpose(xp, 2 * v, label)

    def row_gradient(self, s: np.ndarray, y: Any) -> np.ndarray:
        v = s - (s[y] - self.margin)
        v += np.abs(v)  # 2 max(0, v)
        v[y] = 0.0
        v[y] = -entry_sum(v)
        return v

    def hessian_product(self, s: Array, y: Array, d: Array) -> Array:
        xp = namespace(s)
        label = Label(xp, y)
        return star_product(xp, *self._star(xp, s, label), d, label)

    def hessian_mean(self, s: Array, y: Array, w: Array) -> Array:
        xp = namespace(s)
        label = Label(xp, y)
        return star_mean(xp, *self._star(xp, s, label), w, label)

    def hessian_form(self, s: Array, y: Array, Q: Array | None) -> Array:
        xp = namespace(s)
        label = Label(xp, y)
        return star_form(xp, *self._star(xp, s, label), Q, label)

    def factor(self, s: np.ndarray, y: Array) -> tuple[np.ndarray, np.ndarray]:
        a, c = self._star(np, s, Label(np, y))
        rows, h = star_factor(a / 2, c, y)
        return rows, h * 2**0.5

    def _star(self, xp: Any, s: Array, label: Label) -> tuple[Array, Array]:
        """a (n, k): 2 where a margin is positive, and c = 0."""
        a = 2 * indicator(xp, margins(xp, s, label, self.margin) > 0, s)
        return a, xp.zeros_like(a[:, 0])

    def sharpness(self, g: Array, y: Array, width: float) -> tuple[Array, Array]:
        """max(0, z)² + v²/4 − vz ≥ 2t |z − v/2| − t² where v/2 ≥ t; t is `width`, and v/2 at least twice that."""
        xp = namespace(g)
        return 2 * width * indicator(xp, Label(xp, y).put(own(xp, g), 0.0) >= 4 * width, g), y

    def conjugate(self, g: Array, y: Array) -> Array:
        """Σ_j v_j²/4 − Δ v_j with v = g off the label, v ≥ 0, g_label = −Σ v."""
        xp = namespace(g)
        label = Label(xp, y)
        v = label.put(own(xp, g), 0.0)
        scale = 16 * xp.finfo(g.dtype).eps * (1 + xp.sum(xp.abs(v), axis=1))
        balanced = xp.abs(xp.sum(v, axis=1) + label.get(g)) <= g.shape[1] * scale
        inside = balanced & xp.all(v >= -scale[:, None], axis=1)
        return infinite_outside(xp, inside, xp.sum(v * (0.25 * v - self.margin), axis=1))

    def conjugate_of_shares(self, q: Array) -> Array:
        each = q * (0.25 * q - self.margin)
        return namespace(q).sum(each) - each
