"""What is proven about a fit, and how many predictions the remaining gap could still change.

For a loss whose gradient in the scores is L-Lipschitz the dual is 1/L-strongly concave, so F − F* ≤ gap implies Σᵢ wᵢ
‖gᵢ − gᵢ*‖² ≤ 2 L gap Σw, g = ∇ℓ at the row's scores (Nesterov 2004, thm 2.1.5 applied to the conjugate). For softmax
g + e_y are the probabilities, for least squares the scores: row i can change its label only if ‖gᵢ − gᵢ*‖ ≥ (first −
second)/√2, and all rows share one budget. No α enters, so weak penalties do not loosen it. `undecided` is the largest
number of training rows the budget could pay for; rows that the fit has not seen, and all rows of margin losses, whose
gradients do not order the classes, are judged by `Reach` (reach.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..arrays import namespace, running_sum, to_host
from ..design import Block
from ..losses.labels import Label, own, row_max
from ..objective import Objective
from ..objective.duality import Gap
from ..records import Certificate
from .reach import Curvature, Reach

MONOTONE = ("cross_entropy", "logistic", "squared")  # g + e_y orders the classes as the scores do


def certify(
    objective: Objective, theta: np.ndarray, tol: float, multipliers: np.ndarray | None = None, relative: bool = False
) -> Certificate:
    """The certificate at θ (d+1, k), recomputed in float64 whatever the fit used: one or two passes.

    Smooth problems are certified when max |∂F| ≤ tol, kinked losses or those asked to (`relative`) when gap ≤ tol · F.
    """
    return prove(objective, theta, tol, multipliers, relative)[0]


def prove(
    objective: Objective,
    theta: np.ndarray,
    tol: float,
    multipliers: np.ndarray | None = None,
    relative: bool = False,
    most: float = np.inf,
) -> tuple[Certificate, Reach]:
    """The certificate, and how far scores of any rows can still move; of rows nothing where the residual is above
    `most`."""
    precise = objective.precise()
    counted = multipliers is None and precise.loss.name in MONOTONE
    told = Curvature(precise, Gap(None, 0.0, 0.0))
    along = partial(_share, precise) if told.needed and not told.sharp else None
    found = precise.gap_at(theta, multipliers, _distances if counted else None, along)
    value = found.point.value
    if objective.loss.smoothness == 0 or relative:
        residual = found.estimate / max(abs(value), np.finfo(float).tiny)
    else:
        residual = precise.prox_residual(precise.smooth_at(theta)) if precise.kinked else found.point.residual
    gap = float(found.bound) if objective.alpha else None
    certified = bool(residual <= tol)
    if residual > most:
        return Certificate(float(value), gap, float(residual), tol, certified, None), Reach(np.inf, 0.0, None, None)
    undecided, reach = settle(Curvature(precise, found, multipliers), theta)
    return Certificate(float(value), gap, float(residual), tol, certified, undecided), reach


def settle(curvature: Curvature, theta: np.ndarray) -> tuple[int | None, Reach]:
    """At most how many of the objective's rows could have another label at the exact optimum (None: not known), and
    the reach of all other rows: one pass, none where neither can be known, or where the rows' `_distances` and the
    curvature's shares, for this gap or a larger one, came with the gap as far as they are needed; and for margin losses
    one for the count."""
    objective, found = curvature.objective, curvature.found
    distances, shares = found.noticed, found.along if found.bound <= found.expected else None
    count = objective.loss.name in MONOTONE and bool(np.isfinite(found.bound))
    if (count and distances is None) or (curvature.needed and shares is None):
        distances, shares = _looked_for(curvature, theta, count)
    reach = curvature.reach(*map(to_host, shares or ()))
    if count:
        return None if distances is None else _payable(objective, distances, found.bound), reach
    return reach.count(objective, theta), reach


def _looked_for(curvature: Curvature, theta: np.ndarray, count: bool) -> tuple[list, Sequence[Any]]:
    """The rows' distances, if they count, and the sums of the curvature's shares, if it is needed: one pass."""
    here, g = curvature.objective, curvature.multipliers
    here = here.placed() if g is None else here  # multipliers are the processor's own
    # what a pass takes along, perhaps to other machines: the dual point and its gap
    found = replace(curvature.found, point=None, noticed=None, along=None)
    curvature = replace(curvature, found=found, multipliers=here.design.column(g))
    stored = here.design.to_rows(here.into(theta))

    def look(block: Block) -> tuple:
        s = block.forward(stored)
        own = _distances(here, here.score_gradient(s, block.rows), block.rows) if count else None
        return own, *(curvature.share(here, block, s) if curvature.needed else ())

    return here.design.collect(look)


def _share(objective: Objective, here: Objective, block: Block, s: np.ndarray, gap: float) -> tuple:
    """What `Curvature` wants to know of a block, for a gap of the objective."""
    return Curvature(objective, Gap(None, gap, gap)).share(here, block, s)


def _payable(objective: Objective, distances: list, gap: float) -> int:
    """The largest number of rows whose changes of label the gap could pay for."""
    budget = 2 * objective.loss.curvature(objective.k) * gap * objective.total
    xp = namespace(distances[0])
    return int(xp.count_nonzero(running_sum(xp.sort(xp.concat(distances))) <= float(budget)))


def _distances(objective: Objective, slopes: np.ndarray, rows: slice) -> np.ndarray:
    """What a row's change of label would take of the budget, (m,), from the loss's gradient in the scores (m, k)."""
    xp, label = namespace(slopes), Label(namespace(slopes), objective.y[rows])
    g = label.put(own(xp, slopes), label.get(slopes) + 1)
    first = Label(xp, xp.argmax(g, axis=1))
    lead = first.get(g)
    lead = lead - row_max(xp, first.put(g, -np.inf))
    w = 1.0 if objective.weights is None else objective.weights[rows]
    return w * 0.5 * lead**2


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


__all__ = ["Reach", "certify", "prove", "sentence", "settle"]
