"""How large the columns are, and so how far F bends at most: what first-order methods take their rates from.

F's smooth part has curvature L ≤ c λmax(AᵀDA/Σw) + α, c that of the loss in one row's scores, D = diag(w).
"""

from __future__ import annotations

import numpy as np

from ..design import Block
from .point import Parts

SMALL = 100.0  # times smaller than 1, from which columns are tiny


class Scales(Parts):
    """The part of `Objective` that knows how columns and rows lie."""

    def lipschitz(self) -> float:
        """The curvature of F's smooth part: the loss's bound times λmax(AᵀDA/Σw), plus α; 2 % above the estimate."""
        smooth = self.alpha if self.penalty.smooth else 0.0
        return 1.02 * self.loss.curvature(self.k) * self.second_moment_norm() + smooth

    def second_moment_norm(self, steps: int = 60) -> float:
        """λmax(AᵀDA/Σw) by power iteration, to three digits."""
        v = np.random.default_rng(0).standard_normal((self.design.d + 1, 1))
        largest = 0.0
        for _ in range(steps):
            v /= max(float(np.linalg.norm(v)), 1e-300)
            v, before = self.second_moment_product(v), largest
            largest = float(np.linalg.norm(v))
            if abs(largest - before) <= 1e-3 * largest:
                break
        return largest

    def second_moment_product(self, v: np.ndarray) -> np.ndarray:
        """AᵀDA v / Σw for v (d+1, m): one pass."""
        stored = self.design.to_rows(v)

        def share(block: Block) -> tuple:
            g = block.forward(stored)
            self._weigh(block.rows, g)
            return (block.adjoint(g),)

        self.count.passes += self.share
        return self.design.from_rows(self.design.sweep(share)[0]) / self.total

    def stochastic_rate(self, batch: int) -> float:
        """1 over the curvature that a batch of this size shows, between a row's and the mean's (Gower et al. 2019)."""
        curvature = self.loss.curvature(self.k)
        curvature = curvature if np.isfinite(curvature) else 1.0
        row = 2.0 * curvature * float(np.sum(self.column_metric()))  # twice the mean squared length
        if batch == 1:
            return 1.0 / (row + self.alpha)
        mean = self.second_moment_norm() * curvature
        return 1.0 / (row / batch + mean * (batch - 1) / batch + self.alpha)

    def column_metric(self) -> np.ndarray:
        """Mean squared entries of the columns and of the intercept's ones, (d+1, 1), never 0."""
        energy = np.asarray(self.design.energy)
        return np.append(np.maximum(energy, 1e-12 * (energy.max(initial=0.0) or 1.0)), 1.0)[:, None]

    @property
    def unit(self) -> float:
        """1, or less where every column is smaller than 1/SMALL: gradients are of the columns' size, and a tolerance
        that is not would call θ = 0 an optimum."""
        largest = float(np.asarray(self.design.energy).max(initial=0.0)) ** 0.5
        return min(1.0, SMALL * largest) or 1.0
