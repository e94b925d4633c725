"""Where a solver stands, what relatives on the same rows have in common, and what an objective's parts know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import largest


@dataclass
class Point:
    """Where a solver stands: θ, F, ∇F (a subgradient at kinks), and what the pass saw besides."""

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    loss: float  # the mean loss, without the penalty
    accuracy: float | None = None

    @property
    def residual(self) -> float:
        """max |∇F|, the number that `tol` bounds for smooth objectives."""
        return largest(self.gradient)


class Parts:
    """What the parts of `Objective` in files of their own know of the whole."""

    design: Any
    y: Any
    k: int
    loss: Any
    penalty: Any
    alpha: float
    weights: Any
    total: float
    share: float
    count: Any
    n: Any
    at: Any
    penalised: Any
    score_gradient: Any
    _weigh: Any


@dataclass
class Count:
    """Passes over all n rows, shared by an objective and everything derived from it."""

    passes: float = 0.0


@dataclass
class Shared:
    """What relatives on the same rows compute once: the basis of the curvature model, sums of rows by class."""

    basis: Any = None
    class_sums: Any = None  # (labels, weights, their sums)

    def keep(self, other: Shared) -> None:
        """Another's basis for fits to come, where it is a sketch of many columns, as dear as a dozen passes."""
        if other.basis is not None and not other.basis.full:
            self.basis = other.basis

    def __reduce__(self) -> Any:
        return Shared, ()  # a block's share needs none of it, wherever it is computed
