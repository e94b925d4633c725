"""How far a fit is to go: to its tolerance, and, where nobody gave one and predictions become certain for little more,
beyond it. What lies beyond is a hope: a fit that stops on the way there has converged all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import dot
from ..losses import LOSSES
from ..objective import Objective
from ..records import Certificate, Status
from ..solvers import Solution

SMALL = 2**20  # multiply-adds of a pass, up to which a hinge is solved to 1e-8 unless told otherwise
NEAR = 2**30  # n·d·k², up to which a hinge goes on to 1e-8 where it can: predictions are certain then
SURE = 1e-3  # of ‖W‖, which L-BFGS brings ‖W − W*‖ ≤ ‖∇F‖/α down to: at weak α a gradient of 1e-7 says next to nothing
WORTH = 2**28  # n·d·k, up to which passes for that are cheap
ROUNDED = 4.0  # times the square of that
SHORT = (Status.STALLED, Status.MAX_ITER)  # of what lies beyond the tolerance


def tolerance(model: Any) -> float:
    """`tol` of a LinearClassifier, or what suits its loss, whatever the rows are."""
    if model.tol is not None:
        return model.tol
    return 1e-7 if LOSSES[model.loss].smoothness else 1e-4


@dataclass(frozen=True)
class Goal:
    tol: float  # at which the fit counts as converged
    aim: float  # that the solver is given: `tol`, or less
    sure: float = 0.0  # ‖∇F‖ / ‖W‖ that L-BFGS hopes for: SURE times the strong convexity α m

    @classmethod
    def of(cls, model: Any, objective: Objective) -> Goal:
        """Of a LinearClassifier whose solver is chosen."""
        tol, n, d, k = tolerance(model), objective.n, objective.design.d, objective.k
        if model.tol is None and LOSSES[model.loss].smoothness:
            tol *= objective.unit
        if model.tol is None and model.solver_ == "lbfgs" and n * d * k <= WORTH:
            return cls(tol, tol, SURE * objective.alpha * objective.penalty.strong_convexity)
        if model.tol is not None or model.solver_ != "dual":
            return cls(tol, tol)
        if objective.design.dtype == np.float64 and n * d * k <= SMALL:
            tol = 1e-8  # an optimum to the last digits, where they cost next to nothing
        return cls(tol, 1e-8 if n * d * k**2 <= NEAR else tol)

    def given(self, solver: Any) -> Any:
        """The solver that goes so far."""
        if self.sure:
            return replace(solver, tol=self.tol, sure=self.sure)
        return replace(solver, tol=self.aim, enough=self.tol) if self.aim < self.tol else replace(solver, tol=self.tol)

    def near(self, status: Status) -> bool:
        """Whether a solver that ended so may have come within the tolerance."""
        return status is Status.CONVERGED or ((self.sure > 0 or self.aim < self.tol) and status in SHORT)

    def within(self, solution: Solution) -> bool:
        """Whether a solver's end may have digits within the tolerance that rounded weights lose."""
        return self.near(solution.status) and (not self.sure or solution.residual <= self.tol)

    def rounded(self, certificate: Certificate, point: Any) -> bool:
        """Whether the weights of a solver's end were surer than those certified, which are rounded."""
        if not self.sure or certificate.gap is None:
            return False
        size = dot(point.theta[:-1], point.theta[:-1])
        certain = dot(point.gradient, point.gradient) <= self.sure**2 * size
        return certain and 2 * certificate.gap > ROUNDED * SURE * self.sure * size

    def status(self, found: Status, converged: bool) -> Status:
        """What the solver's status comes to, once it is known whether the tolerance is certified."""
        if converged:
            return Status.CONVERGED if self.near(found) else found
        return Status.STALLED if found is Status.CONVERGED else found
