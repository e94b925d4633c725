"""L2 (ridge, weight decay): R(W) = ½ ‖W‖²_F, so alpha R is the lecture's (α/2)‖W‖². Gradient W, Hessian I."""

from __future__ import annotations

from dataclasses import dataclass

from ..arrays import namespace
from .contract import Array, Penalty


@dataclass(frozen=True)
class L2(Penalty):
    name = "l2"
    title = "L2"
    formula = "½ Σ W²"
    smooth = True

    @property
    def strong_convexity(self) -> float:
        return 1.0

    def value(self, W: Array) -> float:
        return 0.5 * float(namespace(W).sum(W * W))

    def gradient(self, W: Array) -> Array:
        return W

    def descend(self, W: Array, t: float) -> None:
        W *= 1 - t

    def hessian_product(self, W: Array, V: Array) -> Array:
        return V

    def prox(self, W: Array, t: float | Array) -> Array:
        return W / (1 + t)

    def conjugate(self, U: Array) -> float:
        return self.value(U)
