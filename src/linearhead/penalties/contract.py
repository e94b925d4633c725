"""What a penalty is: a function R of the weights W (d, k) alone. It never sees the intercept, n or alpha.

`conjugate(U)` = sup_W ⟨U, W⟩ − R(W) (0 or +inf for a pure norm); `prox(W, t)` = argmin_V R(V) t + ½‖V − W‖².
With V = prox(W, t), (W − V)/t is a subgradient at V (Moreau 1965). `strong_convexity` is the largest m such that
R − m/2 ‖·‖² is convex: 1 for L2, 1 − l1_ratio for elastic net. Inputs are never written into; `gradient` and
`hessian_product` may answer with an input itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

Array = Any


@dataclass(frozen=True)
class Penalty:
    """The contract; one subclass a file, listed in `PENALTIES`."""

    name: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]
    smooth: ClassVar[bool]

    @property
    def strong_convexity(self) -> float:
        raise NotImplementedError

    @property
    def kink(self) -> float:
        """R − kink Σ |W| is smooth: ½ `strong_convexity` ‖W‖²."""
        return 0.0

    def value(self, W: Array) -> float:
        raise NotImplementedError

    def gradient(self, W: Array) -> Array:
        """The gradient, or the subgradient of least norm at a kink."""
        raise NotImplementedError

    def descend(self, W: Array, t: float) -> None:
        """W ← W − t ∇R(W) in place."""
        W -= t * self.gradient(W)

    def hessian_product(self, W: Array, V: Array) -> Array:
        """Hessian at W times V, where W has no zero entry if the penalty has kinks."""
        raise NotImplementedError

    def prox(self, W: Array, t: float | Array) -> Array:
        """argmin_V t R(V) + ½‖V − W‖²; t a number or an array that broadcasts to W."""
        raise NotImplementedError

    def centre(self, W: Array) -> Array:
        """m (d, 1) where R(W − m) is least, for penalties with kinks."""
        raise NotImplementedError

    def conjugate(self, U: Array) -> float:
        raise NotImplementedError

    def dual_scale(self, U: Array) -> float:
        """The largest c in [0, 1] with c·U in the domain of the conjugate."""
        return 1.0
