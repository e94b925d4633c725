"""What a curvature model costs beside a pass, by arithmetic: the clock decides nothing, and the same rows have the same
fit on every machine.

Of a few thousand rows and classes that lie apart L-BFGS alone is at its end before the directions are made: directions
take the cube of their number, a pass over so few rows next to nothing.
"""

from __future__ import annotations

from ..design import Rows
from .basis import FULL_EIGEN, SKETCH, most_rows
from .coupled import CLASSES, unknowns
from .objective import Objective
from .span import worth_spanning

EIGEN = 4  # of an eigendecomposition, in cubes of its size
MODELS = 3  # that a short fit makes
STEP, MOST_FREE = 16, 3000  # passes that a factor of Newton's method may cost, and free directions, which take f² room
SOLVES = 5  # factors of all unknowns that a quadratic problem with kinks costs: few of them are not 0
TOUCH, CALLS = 32, 2e7  # of a pass besides its products: multiplications' worth per number of a row, and in all


def model_price(objective: Objective) -> float:
    """Passes that cost as much as the models of one fit; 0 where their directions are there, or the rows are of a kind
    for which this was not measured."""
    design, k = objective.design, objective.k
    if type(design) is not Rows or objective.shared.basis is not None:
        return 0.0
    n, d, m = design.n, design.d, most_rows(design)
    rank = min(n, d)
    if worth_spanning(objective):
        directions = _spanning(objective)
    elif d <= FULL_EIGEN:
        directions = 1.5 * m * d * d + EIGEN * d**3
    else:
        directions = 9 * m * d * SKETCH
    one = _pass(objective)
    u = min(unknowns(n * d * k), k * (rank + 1))
    models = one if k > CLASSES else m * u * u / 2 + u**3 / 6  # beyond, a model takes about a pass
    return (directions + MODELS * models) / one


def span_price(objective: Objective) -> float:
    """Passes that cost as much as turning the rows into the coordinates of their own span."""
    return _spanning(objective) / _pass(objective)


def _spanning(objective: Objective) -> float:
    """Multiplications for the rows' span."""
    n, d = objective.design.n, objective.design.d
    return 2 * n * n * (n + d) if n < d else 3 * d * d * n + EIGEN * d**3


def _pass(objective: Objective) -> float:
    """Multiplications that a pass is worth."""
    return objective.design.n * objective.design.d * (2 * objective.k + TOUCH) + CALLS


def newton_price(objective: Objective, free: int) -> float:
    """Passes that a step of Newton's method on so many free directions costs."""
    return 1 + free * free * (free / 6 + objective.k) / _pass(objective)


def most_free(objective: Objective) -> int:
    """Free directions whose factor is worth its price."""
    return int(min(MOST_FREE, (6 * STEP * _pass(objective)) ** (1 / 3)))


def kinked_price(objective: Objective, unknowns: int) -> float:
    """Passes that the Hessian of so many unknowns and the quadratic problem with it cost."""
    return 1 + (objective.n * unknowns**2 / 2 + SOLVES * unknowns**3 / 6) / _pass(objective)
