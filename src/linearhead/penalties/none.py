"""No penalty: R(W) = 0. Its conjugate is 0 at U = 0 and +inf elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..arrays import namespace
from .contract import Array, Penalty


@dataclass(frozen=True)
class NoPenalty(Penalty):
    name = "none"
    title = "no penalty"
    formula = "0"
    smooth = True

    @property
    def strong_convexity(self) -> float:
        return 0.0

    def value(self, W: Array) -> float:
        return 0.0

    def gradient(self, W: Array) -> Array:
        return namespace(W).zeros_like(W)

    def hessian_product(self, W: Array, V: Array) -> Array:
        return namespace(V).zeros_like(V)

    def prox(self, W: Array, t: float | Array) -> Array:
        return +W

    def conjugate(self, U: Array) -> float:
        return math.inf if bool(namespace(U).any(U != 0)) else 0.0

    def dual_scale(self, U: Array) -> float:
        return 0.0 if bool(namespace(U).any(U != 0)) else 1.0
