"""Newton's method where the penalty has kinks, as that of L1 has at 0: every step goes to the minimum of the quadratic
model with these kinks (Lee, Sun & Saunders 2014), on the unknowns that are not 0 and those zeros that the slope pulls
off (`solvers/kinks.py`), by a line search on F. Columns so alike that hardly a weight can move alone, which make steps
by slopes small, cost it nothing.

∇²_ia,jb = Σₘ wₘ zₘᵢ zₘⱼ (Hₘ)_ab / Σw, a Gram matrix for every pair of classes, of their own columns alone. It may have
no inverse, as where columns are equal: a damping in units of its diagonal (Marquardt 1963) is raised where no step
lowers F.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..design import Rows
from ..solvers.kinks import minimum
from ..solvers.lbfgs import noise
from .objective import Objective, Point
from .price import kinked_price

MOST = 2000  # unknowns: a Hessian of 32 MB
NUMBERS = 1 << 19  # of rows at a time, in float64
LEAST_NEW = 64  # zeros that may become unknowns at once; as many as there are others, if that is more and affordable
DAMPINGS = 1e-13, 1e-1  # from … to, of the Hessian's diagonal
RAISED, FOLD = 100.0, 10.0
EXACT = 0.01  # of the residual: slopes that are left of the model's minimum
TRIALS, ENOUGH = 10, 1e-4  # lengths 1, ½, …; of the fall that the model promises
PATIENCE, LITTLE = 10, 1e-4  # steps in a row that lower F by less than this part of it, and not the residual by a tenth


class Unknowns:
    """Some entries of θ (d+1, k) as one vector, class by class."""

    def __init__(self, chosen: np.ndarray) -> None:
        self.chosen = chosen
        self.size = int(np.count_nonzero(chosen))

    def of(self, theta: np.ndarray) -> np.ndarray:
        """(d+1, k) → (u,)"""
        return theta.T[self.chosen.T]

    def into(self, theta: np.ndarray, values: np.ndarray) -> np.ndarray:
        """θ with these in their places."""
        out = theta.copy()
        out.T[self.chosen.T] = values
        return out

    def parts(self) -> list[tuple[np.ndarray, slice]]:
        """Which rows of θ, for every class, and their places in the vector."""
        ends = np.cumsum([0, *np.count_nonzero(self.chosen, axis=0)])
        places = (slice(start, end) for start, end in pairwise(ends))
        return [(np.flatnonzero(own), place) for own, place in zip(self.chosen.T, places, strict=True)]


@dataclass
class Kinked:
    """Steps from one θ on; `allowed`: passes that all of them together may cost."""

    objective: Objective
    allowed: float
    damping: float = DAMPINGS[0]
    aim: np.ndarray | None = None  # θ at the last model's minimum: where the next one is sought from; W = 0 at first
    least: float = np.inf  # residual
    idle: int = 0

    @classmethod
    def of(cls, objective: Objective, allowed: float) -> Kinked | None:
        """None for penalties without kinks, and rows that are elsewhere, sparse or another library's."""
        design = objective.design
        if objective.kinked and type(design) is Rows and design.held >= design.n:
            return cls(objective.precise(), allowed)
        return None

    def step(self, point: Point) -> Point | None:
        """From a point of `smooth_at` to the next, where F or else the residual is less; None where others had better
        go on."""
        here = self._centred(point)
        instead = None if here is point else here
        unknowns = self._unknowns(here)
        if self.idle == PATIENCE or not self._affordable(unknowns.size):
            return instead
        self.allowed -= kinked_price(self.objective, unknowns.size)
        residual = self.objective.prox_residual(here)
        model = Model.of(self.objective, here, unknowns, EXACT * residual)
        new = None
        while new is None and self.damping <= DAMPINGS[1]:
            new = self._along(here, unknowns, model, residual)
            if new is None:
                self.damping *= RAISED
        if new is None:
            return instead
        left = self.objective.prox_residual(new)
        better = new.value < (1 - LITTLE) * here.value or left < 0.9 * self.least
        self.idle, self.least = 0 if better else self.idle + 1, min(self.least, left)
        return new

    def _centred(self, point: Point) -> Point:
        """Where a shift of a column's weights that no row sees has lowered the penalty to its least."""
        theta = self.objective.centred(point.theta)
        new = point if theta is point.theta else self.objective.smooth_at(theta)
        return new if new.value < point.value else point

    def _unknowns(self, point: Point) -> Unknowns:
        objective = self.objective
        free = point.theta != 0
        free[-1] = objective.design.intercept
        pull = np.where(free, 0.0, np.abs(point.gradient) - objective.alpha * objective.penalty.kink)
        pull[-1] = 0
        new, size = pull > 0, int(np.count_nonzero(free))
        most = max(LEAST_NEW, size)
        while most > LEAST_NEW and not self._affordable(size + min(most, int(np.count_nonzero(new)))):
            most //= 2
        if np.count_nonzero(new) > most:
            new = pull >= np.partition(pull, -most, axis=None)[-most]
        return Unknowns(free | new)

    def _affordable(self, size: int) -> bool:
        """Whether a step with so many unknowns is."""
        return size <= MOST and kinked_price(self.objective, size) <= self.allowed

    def _along(self, point: Point, unknowns: Unknowns, model: Model, residual: float) -> Point | None:
        """A step to the model's minimum, or as far that way as lowers F."""
        objective = self.objective
        if self.aim is None:
            self.aim = np.vstack([np.zeros_like(point.theta[:-1]), point.theta[-1:]])
        x, fall = model.minimum(self.damping, unknowns.of(self.aim))
        if not fall < 0:
            return None
        self.aim = unknowns.into(point.theta, x)
        slack = noise(objective, point)
        for t in 0.5 ** np.arange(TRIALS):
            theta = self.aim if t == 1 else point.theta + t * (self.aim - point.theta)
            new = objective.smooth_at(theta)
            lower = new.value < point.value + ENOUGH * t * fall
            if lower or (new.value <= point.value + slack and objective.prox_residual(new) < 0.5 * residual):
                self.damping = max(self.damping / FOLD, DAMPINGS[0]) if t == 1 else self.damping
                return new
        return None


@dataclass(frozen=True)
class Model:
    """cᵀ(x − v) + ½ (x − v)ᵀH(x − v) + Σ λⱼ|xⱼ|: F around v but for a constant."""

    H: np.ndarray  # (u, u)
    c: np.ndarray  # (u,)
    v: np.ndarray  # (u,)
    kinks: np.ndarray  # (u,), 0 for intercepts
    unit: np.ndarray  # (u,) mean squares of the columns, which curvatures are in units of
    tol: float  # slopes that may be left at its minimum

    @classmethod
    def of(cls, objective: Objective, point: Point, unknowns: Unknowns, tol: float) -> Model:
        penalised = np.ones_like(point.theta)
        penalised[-1] = 0
        alpha, v = objective.alpha * unknowns.of(penalised), unknowns.of(point.theta)
        bend = alpha * objective.penalty.strong_convexity
        H = hessian_on(objective, point.theta, unknowns)
        H[np.diag_indices(unknowns.size)] += bend
        unit = unknowns.of(np.broadcast_to(objective.column_metric(), point.theta.shape))
        return cls(H, unknowns.of(point.gradient) + bend * v, v, alpha * objective.penalty.kink, unit, tol)

    def minimum(self, damping: float, start: np.ndarray) -> tuple[np.ndarray, float]:
        """(x, by how much the model without its bend falls to there, < 0), sought from start (u,), else from v."""
        H, curved = self.H.copy(), self.H.diagonal() / self.unit
        H[np.diag_indices(len(H))] += damping * self.unit * np.maximum(curved, 1e-3 * curved.max(initial=0.0))
        for first in (start, self.v):
            x = minimum(H, self.c, self.v, self.kinks, first, self.tol)
            fall = float(self.c @ (x - self.v) + self.kinks @ (np.abs(x) - np.abs(self.v)))
            if fall < 0:
                break
        return x, fall


def hessian_on(objective: Objective, theta: np.ndarray, unknowns: Unknowns) -> np.ndarray:
    """∇² of the mean loss at θ on some unknowns, (u, u) float64: one pass."""
    design, parts = objective.design, unknowns.parts()
    H = np.zeros((unknowns.size, unknowns.size))
    w = (np.ones(objective.n) if objective.weights is None else objective.weights) / objective.total
    few = max(NUMBERS // max(design.d, 1), 64)
    for start in range(0, objective.n, few):
        rows = np.arange(start, min(start + few, objective.n))
        z = design.take(rows).precise().dense().astype(np.float64, copy=False)
        z = np.column_stack([z, np.full(len(z), float(design.intercept))])
        s = z @ theta
        product = objective.of_rows(rows).score_hessians(s, slice(None))
        own = [z[:, columns] for columns, _ in parts]
        for b, (_, into) in enumerate(parts):
            unit = np.zeros_like(s)
            unit[:, b] = w[rows]
            h = product(unit)
            for a, (_, across) in enumerate(parts[: b + 1]):
                if h[:, a].any():
                    H[into, across] += own[b].T @ (own[a] * h[:, a, None])
    objective.count.passes += objective.share
    above = np.triu_indices(len(H), 1)
    H[above] = H.T[above]
    return H
