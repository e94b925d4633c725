"""L1 (lasso): R(W) = Σ |W|. Its prox is the soft threshold; its conjugate is 0 where max |U| ≤ 1, else +inf."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..arrays import largest, namespace
from .contract import Array, Penalty


def soft_threshold(xp: Any, W: Array, t: float | Array) -> Array:
    """Each entry moved towards 0 by t, and not past it: W less its projection onto [−t, t] (Moreau)."""
    return W - xp.clip(W, -t, t)


@dataclass(frozen=True)
class L1(Penalty):
    name = "l1"
    title = "L1"
    formula = "Σ |W|"
    smooth = False

    @property
    def strong_convexity(self) -> float:
        return 0.0

    @property
    def kink(self) -> float:
        return 1.0

    def value(self, W: Array) -> float:
        xp = namespace(W)
        return float(xp.sum(xp.abs(W)))

    def gradient(self, W: Array) -> Array:
        return namespace(W).sign(W)

    def hessian_product(self, W: Array, V: Array) -> Array:
        return namespace(V).zeros_like(V)

    def prox(self, W: Array, t: float | Array) -> Array:
        return soft_threshold(namespace(W), W, t)

    def centre(self, W: Array) -> Array:
        """The median of each row, the one nearest to 0."""
        xp, k = namespace(W), W.shape[1]
        ordered = xp.sort(W, axis=1)
        low, high = ordered[:, (k - 1) // 2, None], ordered[:, k // 2, None]
        return xp.minimum(xp.maximum(low, xp.zeros_like(low)), high)

    def conjugate(self, U: Array) -> float:
        slack = 16 * float(namespace(U).finfo(U.dtype).eps)
        return 0.0 if largest(U) <= 1 + slack else math.inf

    def dual_scale(self, U: Array) -> float:
        top = largest(U)
        return 1.0 if top <= 1 else 1 / top
