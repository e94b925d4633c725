"""A Newton step on the intercept alone, W held: H δ = −r with H = Σ wᵢ Hᵢ, the rows' Hessians in the scores.

It is what makes Σ wᵢ gᵢ vanish, as a dual point must. Many classes: conjugate gradients with H's diagonal, so that no
(k, k) array is formed; a shift of all classes, which H may not see, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from ..arrays import namespace, to_host
from ..design import Block
from ..solvers.newton import conjugate_gradients
from .objective import Objective

DENSE = 256  # classes up to which H is formed
ENOUGH, PRODUCTS = 1e-3, 10  # beyond, of H δ = −r: a next step costs less than a better one
DAMPING = 1e-10  # of H, which kinked losses may leave without any bend

Scores = Iterable[tuple[np.ndarray, Any, np.ndarray]]  # scores (m, k), their rows, weights (m,)


def intercept_step(
    objective: Objective, r: np.ndarray, blocks: Callable[[], Scores], radius: float = 0.0
) -> np.ndarray:
    """−H⁻¹ r, (k,); blocks() goes through the rows that H is made of. With few classes: straight down, as far as
    `radius`, where there is a slope but nothing bends."""
    if objective.k <= DENSE:
        return downhill(mean_hessian(objective, blocks()), r, radius)

    hessians = [(objective.score_hessians(s, rows), w) for s, rows, w in blocks()]

    def product(v: np.ndarray) -> np.ndarray:
        return sum(w @ times(np.tile(v, (len(w), 1))) for times, w in hessians) + DAMPING * v

    r = r - r.mean() if objective.loss.shift_invariant else r
    diagonal = sum(w @ objective.score_hessian_form(s, rows, None) for s, rows, w in blocks()) + DAMPING
    diagonal = np.maximum(diagonal, 1e-9 * np.max(diagonal))
    return -conjugate_gradients(product, r, lambda v: v / diagonal, ENOUGH, PRODUCTS)


def downhill(H: np.ndarray, r: np.ndarray, radius: float) -> np.ndarray:
    """−H⁻¹ r where H bends; −r, of length `radius`, where it does not."""
    values, V = np.linalg.eigh(H)
    bent = values > 1e-9 * max(float(values[-1]), 1e-6)
    along = V.T @ r
    lone = np.where(bent, 0.0, along)
    size = float(np.linalg.norm(lone))
    step = np.where(bent, -along / np.where(bent, values, 1.0), 0.0)
    return V @ (step - (lone * (radius / size) if size > 1e-13 else 0.0))


def mean_hessian(objective: Objective, blocks: Scores) -> np.ndarray:
    """H, (k, k)."""
    return np.sum([objective.score_hessian_mean(s, rows, w) for s, rows, w in blocks], axis=0)


def full_hessian(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """H from all rows at θ, (k, k), in the objective's precision: one pass without its second half."""
    here = objective.placed()
    stored = here.design.to_rows(here.into(theta))

    def share(block: Block) -> tuple:
        return (mean_bend(here, block.forward(stored), block.rows),)

    objective.count.passes += objective.share
    return np.asarray(to_host(here.design.sweep(share)[0]), np.float64) / objective.total


def mean_bend(objective: Objective, s: np.ndarray, rows: Any) -> np.ndarray:
    """Σ wᵢ Hᵢ of a block's rows at scores s (m, k), where they are."""
    xp = namespace(s)
    weights = objective.weights
    w = xp.ones_like(s[:, 0]) if weights is None else xp.astype(weights[rows], s.dtype, copy=False)
    return objective.score_hessian_mean(s, rows, w)


def newton_step(H: np.ndarray, r: np.ndarray, blind: bool) -> np.ndarray:
    """−H⁻¹ r, none where H does not bend; blind: H does not see a shift of all classes, which is left out."""
    if len(H) > DENSE:
        from scipy.linalg import cho_factor, cho_solve

        size, k = float(np.max(H.diagonal())), len(H)
        damped = H + 1e-9 * size * np.eye(k) + (size / k if blind else 0.0)
        with suppress(np.linalg.LinAlgError):  # of probabilities of 0 and 1 rounding is all that is left
            return -cho_solve(cho_factor(damped), r - r.mean() if blind else r)
    return downhill(H, r, 0.0)
