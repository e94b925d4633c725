"""A fit's last digits where the loss is quadratic between kinks of its slope, as the squared hinge is: Newton's method
on the free directions (`semismooth.py`), whose step ends at the minimum once it is known on which side of every kink
that lies (Mangasarian 2002, Optim. Methods Softw. 17; Keerthi & DeCoste 2005, JMLR 6).

Before, margins that rest come to their kink soon after a step begins, and cut it short: where α is all that bends most
of the space, a step goes far into it. So α is raised by a damping after short steps and let down after long ones
(Levenberg 1944; Marquardt 1963).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .objective import Objective, Point
from .price import most_free, newton_price
from .semismooth import ROOM, Walk, adjoint, scores

ARRAYS = 5  # of n × k numbers in float64
SAMPLE = 1024  # rows that tell first
SHORT, LONG, FOLD = 0.3, 0.7, 4.0  # steps below and above which the damping is changed, and how much
PATIENCE, LITTLE = 32, 1e-4  # steps that lower F by less than this part of it, and not the residual, in a row


@dataclass
class Finish:
    """Steps from one θ on. A loss without slope has no curvature either: free directions are told by the slopes."""

    objective: Objective
    allowed: float  # passes that all steps together may cost
    walk: Walk | None = None  # in float64, once it has begun
    u: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (n, k) the rows' slopes, weighted
    least: float = np.inf  # residual
    idle: int = 0

    @classmethod
    def of(cls, objective: Objective, allowed: float) -> Finish | None:
        """None for other losses and penalties, and rows that are elsewhere or too many."""
        design, n, k = objective.design, objective.n, objective.k
        near = objective.plain and not design.apart and design.held >= n and 8 * ARRAYS * n * k <= ROOM
        if near and objective.loss.piecewise and objective.alpha and objective.penalty.name == "l2":
            return cls(objective, allowed)
        return None

    def step(self, point: Point) -> Point | None:
        """The next point, after that of the last step; None where others had better go on."""
        if self.walk is None:
            self._begin(point.theta)
        walk, objective = self.walk, self.objective
        if walk is None or self.idle == PATIENCE or not self.allowed > 0 or _free(self.u) > walk.most:
            return None
        if not (t := walk.step(self.u, point.gradient)):
            return None
        self.allowed -= newton_price(objective, walk.free)
        if not SHORT <= t <= LONG:
            fold = FOLD if t < SHORT else 1 / FOLD
            walk.damping = max(fold * (objective.alpha + walk.damping) - objective.alpha, 0.0)
        loss = self._look(walk.s, walk.w)
        right, mean = objective.correct(walk.s, slice(None)), objective._without_shift(adjoint(objective, self.u))
        new = objective._finished(walk.theta, loss * objective.total, right, mean)
        better = new.value < (1 - LITTLE) * point.value or new.residual < 0.9 * self.least
        self.idle, self.least = 0 if better else self.idle + 1, min(self.least, new.residual)
        return new

    def _begin(self, theta: np.ndarray) -> None:
        """Some rows and the rows' own type tell first whether free directions may be few enough."""
        own, most = self.objective, most_free(self.objective)
        self.objective = own.precise()
        if own.n >= 4 * SAMPLE and _free(_slopes(own._some(SAMPLE), theta)) * own.n > 2 * SAMPLE * most:
            return
        if own is not self.objective and _free(_slopes(own, theta)) > most:
            return
        self.walk = Walk.of(self.objective, theta, 1.0, most)
        self._look(self.walk.s, self.walk.w)

    def _look(self, s: np.ndarray, w: np.ndarray) -> float:
        """The mean loss; the rows' slopes are kept."""
        value, u = self.objective.score_terms(s, slice(None))
        self.u = u * w[:, None]
        return float(w @ value)


def _slopes(objective: Objective, theta: np.ndarray) -> np.ndarray:
    return objective.score_gradient(scores(objective, theta), slice(None))


def _free(u: np.ndarray) -> int:
    """Free directions of rows with slopes u (n, k): a row's own class adds none."""
    free = u != 0
    return int(free.sum()) - int(free.any(axis=1).sum())
