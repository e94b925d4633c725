"""Hinge losses on the margins z_j = Δ + s_j − s_label, j ≠ label (`margins.py`).

Sum form (Weston & Watkins 1999): Σ_j max(0, z_j). Max form (Crammer & Singer 2001, JMLR 2): max(0, max_j z_j).
Both are max_{v ∈ V} ⟨v, z⟩ with V = [0, 1]^{k−1} or V = {v ≥ 0, Σ v ≤ 1}; hence ℓ*(g) = −Δ Σ_j v_j on the domain
{Mᵀ v : v ∈ V}, and `smoothed` is the same maximum with −γ/2 |v − g|²: v = the projection of z/γ + g onto V.
A 0 at the label is neutral everywhere: in sums and maxima of z, and as an entry of u whose projection is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import namespace
from .contract import Array, Loss
from .labels import Label, columns, entry_sum, indicator, infinite_outside, own, positive, row_max, row_sum
from .margins import check_margin, margins, star_form, star_mean, star_product, transpose

ROUNDED = 1e-5  # what float32 may leave of 1 where a row's multipliers add up to it


@dataclass(frozen=True)
class KinkedHinge(Loss):
    """What the two forms share: everything but the set V."""

    margin: float = 1.0

    smoothness = 0
    curvature_source = "none: the gradient jumps where a margin is 0"

    def __post_init__(self) -> None:
        check_margin(self.margin)

    def curvature(self, k: int) -> float:
        return math.inf

    def inside(self, xp: Any, v: Array, slack: float) -> Array:
        """(n,) whether v (n, k), 0 at the label, lies in V."""
        raise NotImplementedError

    def project(self, xp: Any, u: Array) -> Array:
        """The nearest point of V to u (n, k), 0 at the label."""
        raise NotImplementedError

    def free(self, xp: Any, u: Array) -> tuple[Array, Array]:
        """(a (n, k), c (n,)): the projection's derivative at u is diag a − c a aᵀ."""
        raise NotImplementedError

    def ahead(self, u: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(v, a, c): the projection of u and its derivative, of what is free at g by the tangent there: v of the affine
        hull of the face on which g lies, perhaps outside V."""
        raise NotImplementedError

    def depth(self, xp: Any, u: Array, label: Label) -> Array:
        """(n,) how far the entries of u may move with their projection staying put."""
        raise NotImplementedError

    def conjugate(self, g: Array, y: Array) -> Array:
        xp = namespace(g)
        label = Label(xp, y)
        v = label.put(own(xp, g), 0.0)
        total = xp.sum(v, axis=1)
        slack = 16 * xp.finfo(g.dtype).eps * g.shape[1]
        inside = self.inside(xp, v, slack) & (xp.abs(total + label.get(g)) <= slack)
        return infinite_outside(xp, inside, -self.margin * total)

    def conjugate_of_shares(self, q: Array) -> Array:
        return -self.margin * (namespace(q).sum(q) - q)

    def smoothed(self, s: Array, y: Array, g: Array, gamma: float) -> tuple[Array, Array]:
        xp = namespace(s)
        label = Label(xp, y)
        z = margins(xp, s, label, self.margin)
        g = label.put(own(xp, columns(xp, g)), 0.0)
        v = self.project(xp, z / gamma + g)
        step = v - g
        return row_sum(xp, v * z - (0.5 * gamma) * step * step), transpose(xp, v, label)

    def nearest_dual(self, g: Array, y: Array) -> Array:
        xp = namespace(g)
        label = Label(xp, y)
        return transpose(xp, self.project(xp, label.put(own(xp, columns(xp, g)), 0.0)), label)

    def smoothed_hessian(self, s: Array, y: Array, g: Array, gamma: float) -> Callable[[Array], Array]:
        xp, label = namespace(s), Label(namespace(s), y)
        a, c = self._star(xp, s, y, g, gamma)
        return lambda d: star_product(xp, a, c, d, label) / gamma

    def smoothed_hessian_mean(self, s: Array, y: Array, g: Array, gamma: float, w: Array) -> Array:
        xp = namespace(s)
        return star_mean(xp, *self._star(xp, s, y, g, gamma), w, Label(xp, y)) / gamma

    def smoothed_hessian_form(self, s: Array, y: Array, g: Array, gamma: float, Q: Array | None) -> Array:
        xp = namespace(s)
        return star_form(xp, *self._star(xp, s, y, g, gamma), Q, Label(xp, y)) / gamma

    def smoothed_star(self, s: np.ndarray, y: Array, g: Array, gamma: float) -> tuple[np.ndarray, np.ndarray]:
        return self._star(np, s, y, g, gamma)

    def smoothed_ahead(
        self, s: np.ndarray, y: Array, g: Array, gamma: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        label = Label(np, y)
        v, a, c = self.ahead(self._target(np, s, label, g, gamma), label.put(own(np, columns(np, g)), 0.0))
        return transpose(np, v, label), a, c

    def slack(self, s: Array, y: Array, g: Array, gamma: float) -> Array:
        xp = namespace(s)
        label = Label(xp, y)
        return gamma * self.depth(xp, self._target(xp, s, label, g, gamma), label)

    def _star(self, xp: Any, s: Array, y: Array, g: Array, gamma: float) -> tuple[Array, Array]:
        return self.free(xp, self._target(xp, s, Label(xp, y), g, gamma))

    def _target(self, xp: Any, s: Array, label: Label, g: Array, gamma: float) -> Array:
        """u = z/γ + g, 0 at the label: what `smoothed` projects."""
        return label.put(margins(xp, s, label, self.margin) / gamma + columns(xp, g), 0.0)


@dataclass(frozen=True)
class Hinge(KinkedHinge):
    name = "hinge"
    title = "hinge, sum form"
    formula = "Σ_{j≠label} max(0, Δ + s_j − s_label)"

    def value_and_gradient(self, s: Array, y: Array) -> tuple[Array, Array]:
        xp = namespace(s)
        label = Label(xp, y)
        z = margins(xp, s, label, self.margin)
        return row_sum(xp, positive(xp, z)), transpose(xp, indicator(xp, z > 0, z), label)

    def row_gradient(self, s: np.ndarray, y: Any) -> np.ndarray:
        v = (s > s[y] - self.margin).astype(s.dtype)
        v[y] = 0.0
        v[y] = -entry_sum(v)
        return v

    def inside(self, xp: Any, v: Array, slack: float) -> Array:
        return xp.all((v >= -slack) & (v <= 1 + slack), axis=1)

    def project(self, xp: Any, u: Array) -> Array:
        return xp.clip(u, 0.0, 1.0)

    def free(self, xp: Any, u: Array) -> tuple[Array, Array]:
        return indicator(xp, (u > 0) & (u < 1), u), xp.zeros_like(u[:, 0])

    def ahead(self, u: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        free = (g > 0) & (g < 1)
        a, c = self.free(np, np.where(free, g, u))
        return np.where(free, u, self.project(np, u)), a, c

    def sharpness(self, g: Array, y: Array, width: float) -> tuple[Array, Array]:
        """ℓ − ⟨v, z⟩ = Σ_j v_j max(0, −z_j) + (1 − v_j) max(0, z_j)."""
        xp = namespace(g)
        v = Label(xp, y).put(own(xp, g), 0.0)
        return positive(xp, xp.minimum(v, 1 - v)), y

    def depth(self, xp: Any, u: Array, label: Label) -> Array:
        return xp.min(label.put(xp.maximum(-u, u - 1), math.inf), axis=1)


@dataclass(frozen=True)
class CrammerSinger(KinkedHinge):
    name = "crammer_singer"
    title = "hinge, max form"
    formula = "max(0, max_{j≠label} Δ + s_j − s_label)"

    def value_and_gradient(self, s: Array, y: Array) -> tuple[Array, Array]:
        """Where margins tie for the maximum they share the subgradient, so no class is preferred."""
        xp = namespace(s)
        label = Label(xp, y)
        z = margins(xp, s, label, self.margin)
        value = row_max(xp, z)  # ≥ 0: the label's own entry is 0
        v = indicator(xp, z == value[:, None], z)
        v *= (indicator(xp, value > 0, value) / row_sum(xp, v))[:, None]
        return value, transpose(xp, v, label)

    def row_gradient(self, s: np.ndarray, y: Any) -> np.ndarray:
        z = s - (s[y] - self.margin)
        z[y] = 0.0
        first, v = z.argmax(), np.zeros(len(s), s.dtype)
        if not z[first] > 0:
            return v
        if z[::-1].argmax() == len(s) - 1 - first:  # the last is the first: half the calls that counting takes
            v[first] = 1.0
        else:
            tied = z == z[first]
            v[tied] = 1.0 / np.count_nonzero(tied)
        v[y] = -1.0
        return v

    def inside(self, xp: Any, v: Array, slack: float) -> Array:
        return xp.all(v >= -slack, axis=1) & (xp.sum(v, axis=1) <= 1 + slack)

    def project(self, xp: Any, u: Array) -> Array:
        """v = max(0, u − τ), τ ≥ 0 the least with Σ v ≤ 1: Newton on a convex piecewise linear function of τ.

        From the left Newton is monotone and ends after finitely many steps (Michelot 1986, J. Optim. Theory Appl. 50).
        Subtracting the row's maximum first keeps the digits of u − τ.
        """
        top = row_max(xp, u)  # ≥ 0: the label's entry is 0
        u = u - top[:, None]
        tau = -xp.clip(top, 0.0, 1.0)
        before, one = xp.zeros_like(top), xp.ones_like(top)
        while True:
            v = positive(xp, u - tau[:, None])
            count = row_sum(xp, indicator(xp, v > 0, v))
            excess = positive(xp, row_sum(xp, v) - 1)
            if not xp.any((excess > 0) & (count != before)):
                return v
            tau = tau + excess / xp.maximum(count, one)
            before = count

    def free(self, xp: Any, u: Array) -> tuple[Array, Array]:
        a = indicator(xp, self.project(xp, u) > 0, u)
        capped = indicator(xp, row_sum(xp, positive(xp, u)) > 1, u)
        return a, capped / xp.maximum(row_sum(xp, a), xp.ones_like(capped))

    def ahead(self, u: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        support = np.where(g > 0, 1.0, 0.0)
        size, capped = support.sum(axis=1), g.sum(axis=1) > 1 - ROUNDED
        free, share = size > capped, capped / np.maximum(size, 1)
        step = support * (u - g)
        v = g + step - support * (share * step.sum(axis=1))[:, None]
        a, c = self.free(np, u)
        rows = free[:, None]
        return np.where(rows, v, self.project(np, u)), np.where(rows, support, a), np.where(free, share, c)

    def sharpness(self, g: Array, y: Array, width: float) -> tuple[Array, Array]:
        """ℓ − ⟨v, z⟩ = Σ_j v_j (ℓ − z_j), 1 − Σ v for the label, and |z_j − z_c| ≤ (ℓ − z_j) + (ℓ − z_c), c the class
        of the largest v: of v_j there is as much for j as v_c can match."""
        xp = namespace(g)
        label = Label(xp, y)
        v = positive(xp, label.put(own(xp, g), 0.0))
        v = label.put(v, positive(xp, 1 - row_sum(xp, v)))
        first = Label(xp, xp.argmax(v, axis=1))
        most = first.get(v)
        v = first.put(v, 0.0)
        return v * xp.minimum(most / xp.maximum(row_sum(xp, v), most), xp.ones_like(most))[:, None], first.y

    def depth(self, xp: Any, u: Array, label: Label) -> Array:
        """v = 0 holds while all u ≤ 0; v = e_j while u_j − 1 ≥ max(0, other u), and both of these may move."""
        top = row_max(xp, u)
        best = label.put(own(xp, u), -math.inf)
        first = row_max(xp, best)
        at = best == first[:, None]
        second = row_max(xp, xp.where(at, xp.full_like(u, -math.inf), best))
        second = xp.where(row_sum(xp, indicator(xp, at, u)) > 1, first, second)
        return xp.where(top > 0, 0.5 * (top - 1 - positive(xp, second)), -first)
