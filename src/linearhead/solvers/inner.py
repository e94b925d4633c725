"""One inner problem of the method of multipliers (`dual.py`): smooth, solved to a share of the gap that is left.

Only on the rows near a kink, the others' share being linear (shrinking, Joachims 1999); a wrong guess of these rows
shows in the slope of all rows, and then all of them take part. Strong convexity bounds how far above its minimum it is
left: ‖∇_W‖²/2α ≤ share.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..records import Status
from .contract import Problem, Progress, Stop
from .lbfgs import LBFGS
from .proximal import Proximal

ASTRAY = 10.0  # times the share of the gap: all rows are farther from the minimum than those near a kink showed
EXACTER, FARTHER = 0.3, 2.0  # by Newton's method: of the share of the gap, and of the reach


@dataclass(frozen=True)
class Inner:
    problem: Problem  # smoothed
    share: float  # of the gap: how far above its minimum it may be left
    most: int  # steps
    hard: bool  # whether the last one took all of its steps, or Newton's method
    memory: deque  # of L-BFGS; it outlives the problem
    stopped: Callable[[], bool]  # whether it is to end as it is

    def settle(self, start: Any, reach: float) -> tuple[Any, int, bool]:
        """All rows where it ended, its steps, and whether by Newton's method, from where all rows were settled last.
        Where the rows within `reach` γ of a kink led astray, as others came to theirs, all take part."""
        problem = self.problem
        for near in (reach, np.inf, np.inf):
            theta, steps, newton = self.minimise(start, near)
            if problem.loss.shift_invariant:  # no row sees a shift of all intercepts, and rounding moves it
                theta = np.vstack([theta[:-1], theta[-1:] - theta[-1].mean()])
            settled = problem.settle(theta)
            if settled.short <= ASTRAY * self.share or self.stopped():
                break
            if steps == self.most and (near == np.inf or not newton):  # all rows would use them up, too
                break
            start = settled if settled.value < problem.value_at(start) else start
        return settled, steps, newton

    def minimise(self, start: Any, reach: float) -> tuple[np.ndarray, int, bool]:
        """(θ, steps, whether by Newton's method) where it is within its share on the rows within `reach` γ of a kink,
        or its steps are used up."""
        problem = self.problem
        if problem.alpha and not problem.penalty.smooth:
            return self._proximal(start)
        theta, steps, done = problem.newton(start, FARTHER * reach * problem.gamma, EXACTER * self.share, self.hard)
        if done is not None:
            return theta, steps if done else self.most, True
        problem = problem.part(start, reach * problem.gamma)
        if problem.model is None and self.memory:  # else far from the optimum, where L-BFGS had better renew its model
            problem = replace(problem, model=problem.preconditioner(theta))
        progress = Within(problem, self.share, self.stopped)
        with contextlib.suppress(Stop):
            LBFGS(tol=1e-14, max_iter=self.most).minimise(problem, theta, progress, self.memory)
        best: Any = progress.best
        return best.theta, progress.iterations, False

    def _proximal(self, start: Any) -> tuple[np.ndarray, int, bool]:
        # L1's dual is bounded by α: a residual of r costs the gap r/α of F
        scale = self.problem.alpha * self.share / max(start.gap.point.value, 1e-300)
        solver = Proximal(tol=float(np.clip(scale, 1e-13, 1e-2)), max_iter=2000)
        found = solver(self.problem, start.theta, lambda row: self.stopped())
        if found.status is Status.INTERRUPTED:
            raise KeyboardInterrupt  # of the whole fit, of which this one is a part
        return found.point.theta, 0 if found.status is Status.CONVERGED else self.most, False


class Within(Progress):
    """Stops an inner problem within its share of the gap, or where `stopped` says so."""

    def __init__(self, problem: Problem, share: float, stopped: Callable[[], bool]) -> None:
        super().__init__(problem, None, None)
        self._bound, self._stopped = 2 * max(problem.alpha, 1e-12) * share, stopped

    def record(self, iteration: int, point: Any, residual: float | None = None) -> None:
        super().record(iteration, point, residual)
        if iteration and float(np.vdot(point.gradient, point.gradient)) <= self._bound:
            raise Stop(Status.CONVERGED)
        if iteration and self._stopped():
            raise Stop(Status.CALLBACK)
