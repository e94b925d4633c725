"""What a solver is: a frozen dataclass of hyper-parameters that, called with a problem and a θ, returns a Solution.

It sees a `Problem` (F, ∇F, Hessian products, prox, mini-batches) and never rows, losses or files. What it needs of
loss and penalty is data (`smoothness`, `kinked_penalty`, …), checked before any work. `Progress` keeps the trace and
the best point, calls back, and turns Ctrl-C into the best parameters so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..records import Status, Trace

Problem = Any  # linearhead.objective.Objective; solvers are siblings of what it is made of and never import it
Monitor = Callable[[np.ndarray], dict[str, float]]


class Stop(Exception):
    """Raised inside a solver's loop to end it with a status."""

    def __init__(self, status: Status) -> None:
        self.status = status


@dataclass
class Solution:
    """Where a solver ended. `point` has θ, F, ∇F; `residual` is what was compared with tol."""

    point: Any
    status: Status
    residual: float
    trace: Trace
    iterations: int
    extras: dict[str, Any] = field(default_factory=dict)  # e.g. dual multipliers, which certificates can use


@dataclass(frozen=True)
class Solver:
    """The contract; one subclass a file, listed in `SOLVERS`."""

    name: ClassVar[str]
    title: ClassVar[str]
    smoothness: ClassVar[int] = 0  # continuous derivatives that the loss must have
    kinked_penalty: ClassVar[bool] = False  # whether penalties with kinks (L1) are solved exactly
    losses: ClassVar[tuple[str, ...]] = ()  # names, where only some will do
    passes: ClassVar[bool] = True  # sees rows in full passes alone, no single ones

    tol: float = 1e-6
    max_iter: int = 1000

    def __call__(
        self,
        problem: Problem,
        theta: np.ndarray,
        callback: Callable[[dict], Any] | None = None,
        monitor: Monitor | None = None,
    ) -> Solution:
        """Minimise `problem` from θ (d+1, k). callback(row of the trace) may return True to stop; monitor(θ) adds
        validation numbers to the trace."""
        progress = Progress(problem, callback, monitor)
        try:
            # overflow is a step that diverges: `record` finds and names it
            with problem.design.session(), np.errstate(over="ignore", invalid="ignore"):
                status = self.minimise(problem, theta, progress)
        except Stop as stop:
            status = stop.status
        except KeyboardInterrupt:
            if progress.best is None:
                raise
            status = Status.INTERRUPTED
        return Solution(progress.best, status, progress.residual, progress.trace, progress.iterations, progress.extras)

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        """The method's loop; it calls progress.record(iteration, point) after every step."""
        raise NotImplementedError


class Progress:
    """The trace of one fit, its best point so far, and the callback."""

    def __init__(self, problem: Problem, callback: Callable | None, monitor: Monitor | None) -> None:
        self.trace, self.best, self.residual, self.iterations = Trace(), None, np.inf, 0
        self.extras: dict[str, Any] = {}
        self._problem, self._callback, self._monitor = problem, callback, monitor
        self._start, self._passes = time.perf_counter(), problem.count.passes
        self._last: dict[str, Any] = {}

    def record(self, iteration: int, point: Any, residual: float | None = None) -> None:
        """Add a row; the newest point is the best one (descent methods); Stop if the callback says so."""
        if not np.isfinite(point.value):
            raise Stop(Status.DIVERGED)
        self.best, self.iterations = point, iteration
        self.residual = point.residual if residual is None else residual
        row = {
            "iteration": iteration,
            **self._spent(),
            "value": float(point.value),
            "gradient_norm": float(self.residual),
            "train_loss": float(point.loss),
            "train_accuracy": point.accuracy,
        }
        if self._monitor is not None:
            row |= self._monitor(point.theta)
        self.trace.append(**row)
        self._last = row
        if self._problem.separated(point):
            raise Stop(Status.UNBOUNDED)
        if self._callback is not None and self._callback(dict(row)) is True:
            raise Stop(Status.CALLBACK)

    def _spent(self) -> dict[str, float]:
        return {
            "passes": float(self._problem.count.passes - self._passes),
            "seconds": time.perf_counter() - self._start,
        }

    def stopped(self) -> bool:
        """Whether the callback, shown the last row with what has been spent since, asks to stop: for long work between
        two rows."""
        return self._callback is not None and bool(self._last) and self._callback(self._last | self._spent()) is True

    def resting(self, rows: int) -> bool:
        """Whether the last rows of the trace lowered neither F nor the residual: rounding has the say."""
        F, residual = self.trace.value, self.trace.gradient_norm
        if len(F) <= rows or F[-1] < F[-rows] - 1e-13 * abs(F[-1]):
            return False
        return min(residual[-rows:]) > 0.9 * min(residual[:-rows])
