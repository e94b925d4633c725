"""Gradient descent, the lecture's method: W ← W − η ∂F/∂W, b ← b − η ∂F/∂b on all rows, one pass a step.

η (`learning_rate`) is a number, "1/L" with L a bound on F's curvature, or "backtracking" (Armijo 1966: halve until F
falls by η/4 ‖∇F‖², then try a little more next time). Momentum: v ← μv − ηg, θ ← θ + v (Polyak 1964); Nesterov's form
looks ahead by μv first (Sutskever et al. 2013). A step with momentum need not lower F, so backtracking knows none.
Penalties with kinks enter by their prox after the step on the smooth part (ISTA).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from ..records import Status
from .contract import Problem, Progress, Solver


@dataclass(frozen=True)
class GradientDescent(Solver):
    name = "gd"
    title = "gradient descent"
    kinked_penalty = True

    learning_rate: float | str | None = None  # None: "backtracking"; with momentum "1/L"
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.momentum and self.learning_rate == "backtracking":
            raise UsageError(
                "backtracking asks every step to lower the objective, which steps with momentum need not do. Give a "
                "number or 1/L as the learning rate, or leave it out."
            )

    @property
    def rate(self) -> float | str:
        """The learning rate, or what it is where none was given."""
        return self.learning_rate or ("1/L" if self.momentum else "backtracking")

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        point, velocity = problem.step_point(theta), np.zeros_like(theta)
        rate = self._first_rate(problem)
        if self.rate != "backtracking":
            progress.extras["learning_rate"] = rate
        for iteration in range(self.max_iter + 1):
            residual = problem.step_residual(point)
            progress.record(iteration, point, residual)
            if residual <= self.tol:
                return Status.CONVERGED
            if iteration == self.max_iter:
                break
            if self.rate == "backtracking":
                point, rate = self._backtrack(problem, point, rate)
                if point is None:
                    return Status.STALLED
            else:
                ahead = point if not self.nesterov else problem.step_point(point.theta + self.momentum * velocity)
                velocity = self.momentum * velocity - rate * ahead.gradient
                point = problem.step_point(_prox(problem, point.theta + velocity, rate))
        return Status.MAX_ITER

    def _first_rate(self, problem: Problem) -> float:
        if self.rate == "1/L":
            return 1.0 / problem.lipschitz()
        return 1.0 if self.rate == "backtracking" else float(self.rate)

    @staticmethod
    def _backtrack(problem: Problem, point: Any, rate: float) -> tuple[Any, float]:
        slack = float(np.finfo(problem.design.dtype).eps) * abs(point.value)
        for _ in range(60):
            new = problem.step_point(_prox(problem, point.theta - rate * point.gradient, rate))
            move = new.theta - point.theta
            if new.value <= point.value - 0.25 / rate * float(np.vdot(move, move)) + slack and np.any(move):
                return new, rate * 1.5
            rate *= 0.5
        return None, rate


def _prox(problem: Problem, theta: np.ndarray, rate: float) -> np.ndarray:
    return problem.prox(theta, rate) if problem.kinked else theta
