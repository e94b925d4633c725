"""Cross-entropy of the softmax: ℓ = −log ŷ_label, ŷ_j = exp(s_j) / Σ_i exp(s_i).

∂ℓ/∂s_j = ŷ_j − 1[j = label]; Hessian diag(ŷ) − ŷŷᵀ, spectral norm ≤ 1/2 (Böhning 1992, Ann. Inst. Stat. Math. 44).
Round-off: with m the row's maximum at column a, ℓ = (m − s_label) + log1p(Σ_{j≠a} exp(s_j − m)), two terms
≥ 0, so nothing cancels: a loss of 1e-300 keeps its digits. In float64 s_j − m is carried with its rounding
error (Knuth's TwoSum): without it exp(s_j − m) loses |s_j − m| / 2 ulp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import namespace
from .contract import Array, Loss
from .labels import Label, columns, entry_sum, infinite_outside, own, row_max, row_sum, row_sum_of_units

LOWEST = -80.0  # e⁻⁸⁰ = 2e-35, and a thousandth of it, are numbers that float32 holds in full


def small_exp(xp: Any, s: Array) -> Array:
    """exp(s) of s ≤ 0, owned; in float32 of no s below LOWEST: a processor multiplies what lies below the normal
    numbers many times slower, and a few per cent of it make a pass four times as long. (Graphics cards do not mind.)
    """
    return xp.exp(np.maximum(s, LOWEST, out=s) if xp is np and s.dtype != np.float64 else s)


def shifted_exp(xp: Any, s: Array, m: Array) -> Array:
    """exp(s − m) for s ≤ m, relative error of about one rounding in float64 however far s lies below m."""
    hi = s - m
    if hi.dtype != xp.float64:
        return small_exp(xp, hi)
    back = hi - s
    low = hi - back  # in place from here: s − m = hi − low exactly, low = (hi − back − s) + (back + m) (TwoSum)
    low -= s
    back += m
    low += back
    e = xp.exp(hi)
    low *= e
    e -= low
    return e


@dataclass(frozen=True)
class CrossEntropy(Loss):
    name = "cross_entropy"
    title = "cross-entropy"
    formula = "−log ŷ_label, ŷ = softmax(s)"
    smoothness = 2
    curvature_source = "Böhning 1992: diag(p) − ppᵀ ≼ ½(I − 11ᵀ/k)"
    splits = True
    proper = True

    def curvature(self, k: int) -> float:
        return 0.5

    def value_and_gradient(self, s: Array, y: Array) -> tuple[Array, Array]:
        xp = namespace(s)
        s, label = columns(xp, s), Label(xp, y)
        m = row_max(xp, s)
        value, p = (self._exact if s.dtype == xp.float64 else self._fast)(xp, s, m)
        value += m - label.get(s)
        p = label.put(p, 0.0)  # ŷ_label − 1 = −Σ of the others keeps its digits where ŷ_label is close to 1
        return value, label.put(p, -row_sum(xp, p))

    def gradient(self, s: Array, y: Array) -> Array:
        xp = namespace(s)
        if xp is not np or len(s) == 1:
            return super().gradient(s, y)
        s, label = columns(xp, s), Label(xp, y)
        p = small_exp(xp, s - row_max(xp, s)[:, None])
        p /= row_sum(xp, p)[:, None]
        p = label.put(p, 0.0)
        return label.put(p, -row_sum(xp, p))

    def row_gradient(self, s: np.ndarray, y: Any) -> np.ndarray:
        p = np.exp(s - s[y])  # the label's share is 1: only infinity, at a score far above it, has to be kept out
        z = entry_sum(p)
        if z == np.inf:
            p = np.exp(s - np.maximum.reduce(s))
            z = entry_sum(p)
        p /= z
        p[y] -= 1.0
        return p

    @staticmethod
    def _fast(xp: Any, s: Array, m: Array) -> tuple[Array, Array]:
        """log Σ_j exp(s_j − m) and ŷ, the textbook: half the arithmetic of `_exact`, absolute accuracy."""
        p = small_exp(xp, s - m[:, None])
        z = row_sum(xp, p)
        p /= z[:, None]
        return xp.log(z), p

    @staticmethod
    def _exact(xp: Any, s: Array, m: Array) -> tuple[Array, Array]:
        """The same to the last digits: log1p of the terms besides one maximum, whose own is 1 exactly."""
        e = shifted_exp(xp, s, m[:, None])
        others = row_sum_of_units(xp, e, less=1.0)
        e /= (1 + others)[:, None]
        return xp.log1p(others), e

    def hessian_product(self, s: Array, y: Array, d: Array) -> Array:
        return self.hessian(s, y)(d)

    def hessian(self, s: Array, y: Array) -> Any:
        xp, p = namespace(s), self.probabilities(s)

        def product(d: Array) -> Array:
            h = p * columns(xp, d)
            h -= p * row_sum(xp, h)[:, None]
            return h

        return product

    def hessian_mean(self, s: Array, y: Array, w: Array) -> Array:
        xp, p = namespace(s), self.probabilities(s)
        pw = p * w[:, None]
        shares, products = xp.sum(pw, axis=0), pw.T @ p
        if xp is not np:
            return xp.eye(s.shape[1], dtype=s.dtype, device=s.device) * shares - products
        np.negative(products, out=products)  # of many classes another (k, k) array costs as much as the product
        products[np.diag_indices_from(products)] += shares
        return products

    def hessian_form(self, s: Array, y: Array, Q: Array | None) -> Array:
        p = self.probabilities(s)
        return p - p * p if Q is None else p @ (Q * Q) - (p @ Q) ** 2

    def hessian_parts(self, s: Array, y: Array) -> tuple[Array, Array]:
        p = self.probabilities(s)
        return p, p

    def conjugate(self, g: Array, y: Array) -> Array:
        """Σ_j p_j log p_j with p = g + e_y in the simplex (negative entropy)."""
        xp = namespace(g)
        label = Label(xp, y)
        p = label.put(own(xp, g), 1 + label.get(g))
        slack = 16 * xp.finfo(g.dtype).eps * g.shape[1]
        inside = xp.all(p >= -slack, axis=1) & (xp.abs(xp.sum(g, axis=1)) <= slack)
        safe = xp.where(p > 0, p, xp.ones_like(p))
        return infinite_outside(xp, inside, xp.sum(safe * xp.log(safe), axis=1))

    def conjugate_of_shares(self, q: Array) -> Array:
        """The entropy of q itself, whatever the label."""
        xp = namespace(q)
        return xp.zeros_like(q) + xp.sum(q * xp.log(xp.where(q > 0, q, xp.ones_like(q))))

    def probabilities(self, s: Array) -> Array:
        xp = namespace(s)
        s = columns(xp, s)
        e = shifted_exp(xp, s, row_max(xp, s)[:, None])
        e /= row_sum_of_units(xp, e)[:, None]
        return e

    def log_probabilities(self, s: Array) -> Array:
        xp = namespace(s)
        s = columns(xp, s)
        m = row_max(xp, s)[:, None]
        others = row_sum_of_units(xp, shifted_exp(xp, s, m), less=1.0)
        return s - m - xp.log1p(others)[:, None]
