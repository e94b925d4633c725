"""What is proven about a fit, and how many predictions the remaining gap could still change.

For a loss whose gradient in the scores is L-Lipschitz the dual is 1/L-strongly concave, so F − F* ≤ gap implies Σᵢ wᵢ
‖gᵢ − gᵢ*‖² ≤ 2 L gap Σw, g = ∇ℓ at the row's scores (Nesterov 2004, thm 2.1.5 applied to the conjugate). For softmax
g + e_y are the probabilities, for least squares the scores: row i can change its label only if ‖gᵢ − gᵢ*‖ ≥ (first −
second)/√2, and all rows share one budget. No α enters, so weak penalties do not loosen it. `undecided` is the largest
number of rows the budget could pay for.
"""

from __future__ import annotations

import numpy as np

from .design import Block
from .objective import Objective
from .records import Certificate

MONOTONE = ("cross_entropy", "logistic", "squared")  # g + e_y orders the classes as the scores do


def certify(
    objective: Objective, theta: np.ndarray, tol: float, multipliers: np.ndarray | None = None, relative: bool = False
) -> Certificate:
    """The certificate at θ (d+1, k), recomputed in float64 whatever the fit used: one or two passes.

    Smooth problems are certified when max |∂F| ≤ tol, kinked losses or those asked to (`relative`) when gap ≤ tol · F.
    """
    precise = objective.precise()
    found = precise.gap_at(theta, multipliers)
    value = found.point.value
    if objective.loss.smoothness == 0 or relative:
        residual = found.estimate / max(abs(value), np.finfo(float).tiny)
    else:
        residual = precise.prox_residual(precise.smooth_at(theta)) if precise.kinked else found.point.residual
    gap = float(found.bound) if objective.alpha else None
    certified = bool(residual <= tol)
    return Certificate(float(value), gap, float(residual), tol, certified, undecided(precise, theta, found.bound))


def undecided(objective: Objective, theta: np.ndarray, gap: float) -> int | None:
    """At most how many of the objective's rows could have another label at the exact optimum; None: not known."""
    if objective.loss.name not in MONOTONE or not np.isfinite(gap):
        return None
    distances = np.empty(objective.n)
    stored = objective.design.to_rows(theta)

    def fill(block: Block) -> tuple:
        s = block.forward(stored)
        _, g = objective.score_terms(s, block.rows)
        g[np.arange(len(g)), objective.y[block.rows]] += 1
        top = np.partition(g, -2, axis=1)[:, -2:]
        w = 1.0 if objective.weights is None else objective.weights[block.rows]
        distances[block.rows] = w * 0.5 * (top[:, 1] - top[:, 0]) ** 2
        return ()

    objective.design.sweep(fill)
    budget = 2 * objective.loss.curvature(objective.k) * gap * objective.total
    return int(np.searchsorted(np.cumsum(np.sort(distances)), budget, side="right"))


def sentence(certificate: Certificate) -> str:
    """The certificate in words."""
    if certificate.gap is None:
        text = f"stationary within {certificate.residual:.1e} (nothing penalised, so no bound on F − F*)"
    else:
        text = f"optimal within {certificate.gap:.1e} of F = {certificate.value:.6g}"
    if certificate.undecided is None:
        return text
    if certificate.undecided == 0:
        return f"{text}; no training prediction can change"
    return f"{text}; at most {certificate.undecided} training predictions could still change"
