"""Elastic net: R(W) = ρ Σ |W| + (1 − ρ)/2 Σ W², ρ = `l1_ratio` (Zou & Hastie 2005). ρ = 0 is L2, ρ = 1 is L1.

Conjugate for ρ < 1: Σ max(|U| − ρ, 0)² / (2 (1 − ρ)), finite everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..arrays import namespace
from ..errors import UsageError
from .contract import Array, Penalty
from .l1 import L1, soft_threshold


@dataclass(frozen=True)
class ElasticNet(Penalty):
    l1_ratio: float = 0.5

    name = "elastic_net"
    title = "elastic net"
    formula = "ρ Σ |W| + (1 − ρ)/2 Σ W²"
    smooth = False

    def __post_init__(self) -> None:
        if not 0 <= self.l1_ratio <= 1:
            raise UsageError(
                f"l1_ratio is {self.l1_ratio}; needed is a number from 0 to 1, because it is the share of L1 in the "
                "penalty: 0 is L2 alone, 1 is L1 alone."
            )

    @property
    def strong_convexity(self) -> float:
        return 1 - self.l1_ratio

    @property
    def kink(self) -> float:
        return self.l1_ratio

    def value(self, W: Array) -> float:
        xp = namespace(W)
        return self.l1_ratio * float(xp.sum(xp.abs(W))) + 0.5 * (1 - self.l1_ratio) * float(xp.sum(W * W))

    def gradient(self, W: Array) -> Array:
        return self.l1_ratio * namespace(W).sign(W) + (1 - self.l1_ratio) * W

    def hessian_product(self, W: Array, V: Array) -> Array:
        return (1 - self.l1_ratio) * V

    def prox(self, W: Array, t: float | Array) -> Array:
        return soft_threshold(namespace(W), W, t * self.l1_ratio) / (1 + t * (1 - self.l1_ratio))

    def centre(self, W: Array) -> Array:
        """The median of a row's k numbers and of the k + 1 at which R's slope would vanish if so many lay below."""
        if self.l1_ratio == 1:
            return L1().centre(W)
        xp, k = namespace(W), W.shape[1]
        below = xp.arange(k + 1, dtype=W.dtype, device=W.device)
        slopes = self.l1_ratio / (1 - self.l1_ratio) * (1 - 2 * below / k)
        both = xp.concat([W, xp.mean(W, axis=1, keepdims=True) + slopes[None, :]], axis=1)
        return xp.sort(both, axis=1)[:, k, None]

    def conjugate(self, U: Array) -> float:
        if self.l1_ratio == 1:
            return L1().conjugate(U)
        xp = namespace(U)
        rest = xp.maximum(xp.abs(U) - self.l1_ratio, xp.zeros_like(U))
        return float(xp.sum(rest * rest)) / (2 * (1 - self.l1_ratio))

    def dual_scale(self, U: Array) -> float:
        return L1().dual_scale(U) if self.l1_ratio == 1 else 1.0
