"""One objective on its way down the path, three ways: whatever remembers the last optima is a walker.

`Warm` starts any solver on the line through the last two optima in log α; `Spanned` does so in the span of the rows
where n < d (objective/span.py). `Solved` is least squares: one eigendecomposition XcᵀDXc/Σw = UΛUᵀ gives
W = U (Λ + α)⁻¹ UᵀXcᵀDY/Σw for every α. Without a tolerance fits end at a relative duality gap of LOOSE: with curvature
that couples the classes the last digits cost a few passes, less than asking which held-out labels are settled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..objective import Objective
from ..objective.span import Span, span, worth_spanning
from ..records import Status
from ..solvers import SOLVERS

LOOSE, KINKED = 1e-6, 1e-4  # relative duality gaps, smooth losses and hinges


@dataclass
class Found:
    """The optimum at one α, in the columns of the walker's objective."""

    objective: Objective
    theta: np.ndarray
    status: Status
    multipliers: np.ndarray | None = None
    point: Any = None  # loss and accuracy there, if the walk has seen them


class Warm:
    """Any solver, from the line through the last two optima."""

    def __init__(self, objective: Objective, solver: Any, relative: bool) -> None:
        self.objective, self.solver, self.relative = objective, solver, relative
        self.theta, self.value, self.model = objective.start(), None, None
        self.seen: list[tuple[float, np.ndarray]] = []  # (log α, θ), newest first

    def go(self, alpha: float) -> Found:
        objective = replace(self.objective, alpha=alpha)
        start = self._start(objective)
        solver = self._tuned(objective, start)
        if solver.name == "lbfgs":
            solver = replace(solver, model=self.model)
        solution = solver(objective, start)
        self.model = solution.extras.get("model", self.model)
        self.theta, self.value = solution.point.theta, solution.point.value
        if alpha > 0:
            self.seen = [(float(np.log(alpha)), self.theta), *self.seen[:1]]
        return Found(objective, self.theta, solution.status, solution.extras.get("multipliers"), solution.point)

    def _start(self, objective: Objective) -> np.ndarray:
        if len(self.seen) < 2 or not objective.alpha:
            return self.theta
        (at, theta), (_, before) = self.seen
        step = (np.log(objective.alpha) - at) / (at - self.seen[1][0])
        ahead = theta + step * (theta - before)
        return ahead if objective.at(ahead).value < objective.at(self.theta).value else self.theta

    def _tuned(self, objective: Objective, start: np.ndarray) -> Any:
        """The solver with a residual that implies the relative gap asked: ‖∇‖² / 2α ≤ LOOSE · F."""
        if not self.relative or objective.loss.smoothness == 0:
            return replace(self.solver, tol=KINKED) if self.relative else self.solver
        F = self.value if self.value is not None else objective.at(start).value
        tol = np.sqrt(2 * objective.alpha * LOOSE * F / max(start.size, 1))
        return replace(self.solver, tol=float(np.clip(tol, 1e-9, 1e-4)))


class Spanned(Warm):
    """The same in the span of the rows, where they are fewer than the columns."""

    def __init__(self, objective: Objective, rows: Span, solver: Any, relative: bool) -> None:
        super().__init__(rows.of(objective), solver, relative)
        self.whole, self.rows = objective, rows

    def go(self, alpha: float) -> Found:
        found = super().go(alpha)
        return replace(found, objective=replace(self.whole, alpha=alpha), theta=self.rows.back(found.theta))


@dataclass
class Solved:
    """Least squares by one eigendecomposition."""

    objective: Objective
    values: np.ndarray = field(init=False)
    U: np.ndarray = field(init=False)
    moment: np.ndarray = field(init=False)  # Uᵀ XcᵀD(Y − ȳ)/Σw, (r, k)
    means: tuple = field(init=False)

    def __post_init__(self) -> None:
        from .least_squares import spectrum

        self.values, self.U, self.moment, self.means = spectrum(self.objective)

    def go(self, alpha: float) -> Found:
        W = self.U @ (self.moment / (self.values + alpha)[:, None])
        theta = np.vstack([W, self.means[1] - self.means[0] @ W])
        return Found(replace(self.objective, alpha=alpha), theta, Status.CONVERGED)


def walkers_of(
    objective: Objective, held: list, kind: str, tol: float | None, max_iter: int | None, turn: bool
) -> list:
    """A walker for the whole set, then one per fold. tol None: as exact as choosing needs; turn: all α > 0."""
    solver = SOLVERS[kind](tol=1e-5 if tol is None else tol)
    solver = solver if max_iter is None else replace(solver, max_iter=max_iter)
    all_of = [objective, *(o for o, _ in held if o is not objective)]
    if kind == "closed_form" and objective.penalty.name == "l2" and turn and solvable(objective):
        return [Solved(o) for o in all_of]
    if kind == "lbfgs" and turn and worth_spanning(objective):
        rows = span(objective)
        walkers: list[Warm] = [Spanned(o, rows, solver, tol is None) for o in all_of]
    else:
        walkers = [Warm(o, solver, tol is None) for o in all_of]
    if kind == "lbfgs":
        for walker in walkers[1:]:
            walker.objective.shared.basis = walkers[0].objective.basis()
    return walkers


def solvable(objective: Objective) -> bool:
    """Whether the smaller side's Gram matrix, and its eigenvectors, are a reasonable size."""
    side = min(objective.design.n, objective.design.d)
    return side <= 6000 and (objective.design.n >= objective.design.d or objective.design.n * objective.design.d < 4e8)
