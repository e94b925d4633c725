"""Rows drawn by how much they bend F at θ, for a sharper model of the Hessian near the optimum.

There most rows are settled and few hesitate. H = Σ wᵢ Hᵢ ⊗ zᵢzᵢᵀ is therefore told with less noise by rows drawn with
chances πᵢ ∝ wᵢ tr Hᵢ and weighted by 1/πᵢ, which keeps it unbiased (for Newton's method: Xu et al. 2016). That takes
the scores of all rows, one pass, so it is for fits that turn out long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .coupled import Classes, edges, sampled_hessian
from .objective import Objective

DRAWN_ROWS = 16_384
PLENTY = 2 * DRAWN_ROWS  # rows from which the draws say more than a plain sample, and cost less than a few passes


@dataclass(frozen=True)
class Leading:
    """Rows for the coupled model: their labels and weights in `objective`, weights w (m,), and `look`, which takes some
    rows (j,) at once; what it returns makes z (j, lead + 1) of them in the leading directions, with the intercept's
    ones, and scores (j, k), in any thread."""

    objective: Objective
    w: np.ndarray
    lead: int
    look: Callable[[np.ndarray], Callable[[], tuple[np.ndarray, np.ndarray]]]

    def hessian(self, classes: Classes, kind: np.dtype) -> np.ndarray:
        """Σᵢ wᵢ Hᵢ ⊗ zᵢzᵢᵀ, as `sampled_hessian` has it, in this type."""

        def weigh(rows: np.ndarray, s: np.ndarray) -> np.ndarray:
            return edges(self.objective.score_hessians(s, rows), s, classes) * self.w[rows]

        return sampled_hessian(self.look, weigh, len(self.w), len(classes.free), self.lead + 1, kind)


def draw_rows(bend: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """At most m of the rows with bend (n,) > 0, ascending, and their chances: proportional to it, and 1 at most."""
    if np.count_nonzero(bend) <= m:
        rows = np.flatnonzero(bend)
        return rows, np.ones(len(rows))
    falling = np.sort(bend)[::-1]
    left = np.append(np.cumsum(falling[::-1])[::-1], 0.0)  # of all but the first j
    steps = left[:m] / (m - np.arange(m))
    step = steps[np.argmax(falling[:m] <= steps)]  # the first at which no row left would be drawn twice
    chances = np.minimum(bend / step, 1.0)
    rows = np.unique(np.searchsorted(np.cumsum(chances), np.arange(m) + 0.5))
    rows = rows[rows < len(bend)]
    return rows, chances[rows]


def draw(objective: Objective, basis: Any, theta: np.ndarray, lead: int) -> Leading:
    """Rows by their curvature at θ in the first `lead` directions of the basis: one pass."""
    stored, bend = objective.design.to_rows(theta), np.empty(objective.n)

    def trace(block: Any) -> tuple:
        each = objective.score_hessian_form(block.forward(stored), block.rows, None).sum(axis=1)
        objective._weigh(block.rows, each)
        return (each,)

    objective.design.fill(bend, trace)
    objective.count.passes += objective.share
    rows, chances = draw_rows(np.maximum(bend, 0.0), DRAWN_ROWS)
    part = objective.of_rows(rows)

    def look(at: np.ndarray) -> Callable:
        taken = objective.design.take(rows[at])

        def seen() -> tuple[np.ndarray, np.ndarray]:
            z = extended(basis.inner(taken, lead), taken.intercept)
            return z, taken.block(slice(0, taken.n)).forward(stored)

        return seen

    w = 1 / chances if part.weights is None else part.weights / chances
    return Leading(part, (w / objective.total).astype(basis.dtype), lead, look)


def extended(z: np.ndarray, intercept: bool) -> np.ndarray:
    """[z 1], or [z 0] without an intercept: (m, q) → (m, q + 1)."""
    return np.hstack([z, np.full((len(z), 1), float(intercept), z.dtype)])
