"""One objective on its way along the path, three ways: whatever remembers the last optima is a walker.

`Warm` starts any solver on the line through the last two optima in log α; `Spanned` does so in the span of the rows
where n < d (objective/span.py). `Solved` is least squares: one eigendecomposition XcᵀDXc/Σw = UΛUᵀ gives
W = U (Λ + α)⁻¹ UᵀXcᵀDY/Σw for every α. Without a tolerance fits end at a relative duality gap of LOOSE: with curvature
that couples the classes the last digits cost a few passes, less than asking which held-out labels are settled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..objective import Objective
from ..objective.span import Span, span, worth_spanning
from ..records import Status
from ..solvers import SOLVERS
from .least_squares import spectrum, thetas_of

LOOSE, KINKED = 1e-6, 1e-4  # relative duality gaps, smooth losses and hinges
LEVEL = 1e-3  # of what scores differ by: how wrong intercepts may be
ROUNDING = 1e-14  # of a mean slope in float64


@dataclass
class Found:
    """The optimum at one α, in the columns of the walker's objective."""

    objective: Objective
    theta: np.ndarray
    status: Status
    multipliers: np.ndarray | None = None
    point: Any = None  # loss and accuracy there, if the walk has seen them


@dataclass(frozen=True)
class Optimum:
    """θ of an α that was walked past, and the mean loss there."""

    at: float  # log α
    theta: np.ndarray
    loss: float


class Warm:
    """Any solver, from the line through the last two optima. relative: as exact as choosing needs; rough: to a residual
    of so many α at most."""

    def __init__(self, objective: Objective, solver: Any, relative: bool, rough: float | None = None) -> None:
        self.objective, self.solver, self.relative, self.rough = objective, solver, relative, rough
        self.value: float | None = None  # F at the last optimum
        self.model = None
        self.gains: list[tuple[float, float]] = []  # α's and what the loss gains there over equal scores, at least
        self.seen: list[Optimum] = []  # newest first
        self.begun: list[Optimum] = []  # the first two, the first one first

    def go(self, alpha: float) -> Found:
        objective = replace(self.objective, alpha=alpha)
        theta, known = self._start(objective)
        solver = self._tuned(objective, theta)
        if solver.name == "lbfgs":
            solver = replace(solver, model=self.model, known=known)
        solution = solver(objective, theta)
        self.model = solution.extras.get("model", self.model)
        point = solution.point
        self.value = point.value
        if alpha > 0:
            self.gains.append((alpha, point.value - point.loss))  # what the loss gains is no less
            self.seen = [Optimum(float(np.log(alpha)), point.theta, point.loss), *self.seen[:1]]
            self.begun = self.begun if len(self.begun) == 2 else self.seen[::-1]
        return Found(objective, point.theta, solution.status, solution.extras.get("multipliers"), point)

    def turn(self) -> None:
        """On from the first α, the other way."""
        self.seen, self.model = self.begun, None

    def _start(self, objective: Objective) -> tuple[np.ndarray, Any]:
        """θ, and its point where that is known: ahead on the line if F is lower there than at the last optimum."""
        if not self.seen:
            return objective.start(), None
        last = self.seen[0]
        if len(self.seen) < 2 or not objective.alpha:
            return last.theta, None
        before = self.seen[1]
        step = (np.log(objective.alpha) - last.at) / (last.at - before.at)
        ahead = objective.step_point(last.theta + step * (last.theta - before.theta))
        lower = ahead.value < last.loss + objective.penalised(last.theta[:-1])
        return (ahead.theta, ahead) if lower else (last.theta, None)

    def _tuned(self, objective: Objective, theta: np.ndarray) -> Any:
        """The solver with its residual; where a relative gap is asked, one that implies it: ‖∇‖² / 2α ≤ LOOSE · F."""
        kinked = objective.loss.smoothness == 0
        if not self.relative:
            if self.rough is None or kinked or not objective.alpha:
                return self.solver
            return replace(self.solver, tol=min(self.solver.tol, self.rough * objective.alpha))
        if kinked:
            return replace(self.solver, tol=KINKED)
        F = self._begin(objective, objective.at(theta)) if self.value is None else self.value
        tol = np.sqrt(2 * objective.alpha * LOOSE * F / max(theta.size, 1))
        return replace(self.solver, tol=float(min(np.clip(tol, 1e-9 * objective.unit, 1e-4), self._level(objective))))

    def _begin(self, objective: Objective, point: Any) -> float:
        """F at the start; noted is the gain that its slope and its curvature promise."""
        curvature = objective.loss.curvature(objective.k) * float(np.sum(objective.column_metric()[:-1]))
        self.gains.append(
            (objective.alpha, float(np.sum(point.gradient[:-1] ** 2)) / 2 / (objective.alpha + curvature))
        )
        return point.value

    def _level(self, objective: Objective) -> float:
        """The slope that leaves intercepts wrong by LEVEL of what scores differ by. Under a strong penalty that is so
        little that no gap of F sees it, and the intercepts' error would choose among classes of one size.

        Scores differ by what the loss gains over equal ones, or more. A weaker penalty leaves no less of it, a stronger
        one α'/α (F is convex). The curvature of the intercepts is about 1/k.
        """
        if not objective.design.intercept:
            return np.inf
        gain = max(g if a >= objective.alpha else g * a / objective.alpha for a, g in self.gains)
        return max(LEVEL * gain / objective.k, ROUNDING)


class Spanned(Warm):
    """The same in the span of the rows, where they are fewer than the columns."""

    def __init__(
        self, objective: Objective, rows: Span, solver: Any, relative: bool, rough: float | None = None
    ) -> None:
        super().__init__(rows.of(objective), solver, relative, rough)
        self.whole, self.rows = objective, rows

    def go(self, alpha: float) -> Found:
        found = super().go(alpha)
        return replace(found, objective=replace(self.whole, alpha=alpha), theta=self.rows.back(found.theta))


class Solved:
    """Least squares by one eigendecomposition."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.spectrum = objective, spectrum(objective)

    def turn(self) -> None:
        """Every α is as far as any other."""

    def go(self, alpha: float) -> Found:
        (theta,) = thetas_of(self.objective, *self.spectrum, np.array([alpha]))
        return Found(replace(self.objective, alpha=alpha), theta, Status.CONVERGED)


def walkers_of(
    objective: Objective,
    held: list,
    kind: str,
    tol: float | None,
    max_iter: int | None,
    turn: bool,
    rough: float | None = None,
) -> list:
    """A walker for the whole set, then one per fold. tol None: as exact as choosing needs; turn: all α > 0; rough: to
    a residual of so many α at most, without a look in float64."""
    solver = SOLVERS[kind](tol=1e-5 if tol is None else tol)
    solver = solver if max_iter is None else replace(solver, max_iter=max_iter)
    if kind == "lbfgs" and rough is not None:
        solver = replace(solver, rough=True)
    all_of = [objective, *(o for o, _ in held if o is not objective)]
    if kind == "closed_form" and objective.penalty.name == "l2" and turn and solvable(objective):
        return [Solved(o) for o in all_of]
    if kind == "lbfgs" and turn and worth_spanning(objective):
        rows = span(objective)
        walkers: list[Warm] = [Spanned(o, rows, solver, tol is None, rough) for o in all_of]
    else:
        walkers = [Warm(o, solver, tol is None, rough) for o in all_of]
    if kind == "lbfgs":
        for walker in walkers[1:]:
            walker.objective.shared.basis = walkers[0].objective.basis()
    return walkers


def solvable(objective: Objective) -> bool:
    """Whether the smaller side's Gram matrix, and its eigenvectors, are a reasonable size."""
    side = min(objective.design.n, objective.design.d)
    return side <= 6000 and (objective.design.n >= objective.design.d or objective.design.n * objective.design.d < 4e8)
