"""Rows drawn by how much they bend F at θ, for a sharper model of the Hessian near the optimum.

There most rows are settled and few hesitate. H = Σ wᵢ Hᵢ ⊗ zᵢzᵢᵀ is therefore told with less noise by rows drawn with
chances πᵢ ∝ wᵢ tr Hᵢ and weighted by 1/πᵢ, which keeps it unbiased (for Newton's method: Xu et al. 2016). That takes
the scores of all rows, one pass, so it is for fits that turn out long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .objective import Objective

DRAWN_ROWS = 16_384
PLENTY = 2 * DRAWN_ROWS  # rows from which the draws say more than a plain sample, and cost less than a few passes
SLAB = 512


@dataclass(frozen=True)
class Leading:
    """Rows for the coupled model: their labels and weights in `objective`, z (m, lead + 1) in the leading directions
    with the intercept's ones, scores s (m, k), weights w (m,)."""

    objective: Objective
    z: np.ndarray
    s: np.ndarray
    w: np.ndarray


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
    kind, part = basis.projected.dtype, objective.of_rows(rows)
    z, s = np.empty((len(rows), lead + 1), kind), np.empty((len(rows), objective.k), kind)
    z[:, lead] = objective.design.intercept
    for i in range(0, len(rows), SLAB):
        taken, here = objective.design.take(rows[i : i + SLAB]), slice(i, i + SLAB)
        z[here, :lead] = basis.inner(taken, lead)
        s[here] = taken.block(slice(0, taken.n)).forward(taken.to_rows(theta))
    w = 1 / chances if part.weights is None else part.weights / chances
    return Leading(part, z, s, (w / objective.total).astype(kind))
