"""FISTA: accelerated proximal gradient for penalties with kinks (Beck & Teboulle 2009), in a diagonal metric.

θ⁺ = prox_{αR, M/η}(v − η M⁻¹ ∇L(v)), M the mean squared columns, v the extrapolated point; η by backtracking on the
quadratic bound; momentum restarts when it points uphill (O'Donoghue & Candès 2015). After 16 steps, and whenever they
have doubled since, Newton's method through the kinks (`objective/kinked.py`) goes on as far as it can afford. Of rows
elsewhere or too many weights it is Newton's on those that are not 0, once these rest, signs held. Residual: the least
|∂F|, max norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Status
from .contract import Problem, Progress, Solver
from .lbfgs import noise
from .newton import conjugate_gradients

SHORTER = 10  # lengths of Newton's step that are tried
FIRST = 16  # steps before Newton's, which are asked again when there have been twice as many
LEAST, SPENT = 64, 2  # passes, and times the passes so far, whichever is more: what Newton's steps may cost together
RESTED = 25  # steps in which no weight became 0 or left it, after which its sign may be held


@dataclass(frozen=True)
class Proximal(Solver):
    name = "proximal"
    title = "FISTA with restart, then Newton through the kinks"
    smoothness = 1
    kinked_penalty = True

    max_iter: int = 5000

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        problem = problem.precise()
        metric = problem.column_metric()
        eta, t, rest, newton, due = 1.0, 1.0, 0, None, 0 if theta[:-1].any() else FIRST
        point = problem.smooth_at(theta)
        ahead = point
        for iteration in range(self.max_iter + 1):
            residual = problem.prox_residual(point)
            progress.record(iteration, point, residual)
            if residual <= self.tol:
                return Status.CONVERGED
            if iteration == self.max_iter:
                break
            if newton is None and iteration >= due:
                newton = problem.kinked_newton(max(LEAST, SPENT * progress.trace.passes[-1]))
            if newton is not None:
                step, due = newton.step(point), max(2 * iteration, FIRST)
                newton = None if step is None else newton
            elif rest >= RESTED:
                step, rest = support_newton(problem, point), 0
            else:
                step = None
            if step is not None:
                ahead, point, t = step, step, 1.0
                continue
            new, eta = self._step(problem, ahead, metric, eta)
            move = new.theta - point.theta
            rest = rest + 1 if np.array_equal(new.theta != 0, point.theta != 0) else 0
            if not move.any():
                return Status.STALLED
            if float(np.vdot((ahead.theta - new.theta) * metric, move)) > 0:
                t, ahead = 1.0, new  # momentum points uphill
            else:
                t, before = 0.5 * (1 + (1 + 4 * t * t) ** 0.5), t
                ahead = problem.smooth_at(new.theta + (before - 1) / t * move)
            point = new
        return Status.MAX_ITER

    @staticmethod
    def _step(problem: Problem, at: Any, metric: np.ndarray, eta: float) -> tuple[Any, float]:
        eta *= 1.1
        for _ in range(60):
            new = problem.smooth_at(problem.prox(at.theta - eta * at.gradient / metric, eta / metric))
            move = new.theta - at.theta
            room = 0.5 / eta * float(np.vdot(metric * move, move))
            # the bound by convexity from slopes, which keep their digits where values have none left
            slopes = float(np.vdot(new.gradient - at.gradient, move)) <= room
            if slopes or new.loss <= at.loss + float(np.vdot(at.gradient, move)) + room:
                return new, eta
            eta *= 0.5
        return new, eta


def support_newton(problem: Problem, point: Any) -> Any:
    """Newton on the non-zero weights and the intercept, signs held; None where it does not lower F.

    From where a shift of a column's weights that no row sees has lowered the penalty to its least: along it F is
    straight, between kinks, where all weights of a column are non-zero, and Newton has no step.
    """
    best, improved = point, False
    if (theta := problem.centred(point.theta)) is not point.theta:
        centred = problem.smooth_at(theta)
        best, improved = (centred, True) if centred.value < point.value else (point, False)
    for _ in range(10):
        support = (best.theta != 0) | (not problem.kinked)
        support[-1] = problem.design.intercept
        gradient = problem.full_gradient(best) * support
        if float(np.max(np.abs(gradient), initial=0)) < 1e-14:
            break
        p = conjugate_gradients(
            lambda v, s=support, at=best.theta: problem.hessian_product(at, v) * s,
            -gradient,
            _model(problem, best.theta, support),
            1e-6,
            200,
        )
        step = _decrease(problem, best, p)
        if step is None:
            break
        best, improved = step, True
    return best if improved else None


def _model(problem: Problem, theta: np.ndarray, support: np.ndarray) -> Any:
    """v → M⁻¹v on the support, by the curvature model where that is a third of θ or more: the inverse of all tells
    little of less."""
    if 3 * np.count_nonzero(support) < support.size:
        return lambda v: v
    model = problem.preconditioner(theta)
    return lambda v: model(v)[0] * support


def _decrease(problem: Problem, point: Any, p: np.ndarray) -> Any:
    """The first of t = 1, ½, ¼, … that lowers F, or the residual where F cannot tell; weights that would change
    sign stop at zero."""
    for t in 0.5 ** np.arange(SHORTER):
        theta = point.theta + t * p
        crossed = (theta * point.theta < 0) & problem.kinked
        crossed[-1] = False
        theta[crossed] = 0
        new = problem.smooth_at(theta)
        level = new.value <= point.value + noise(problem, point)
        if new.value < point.value or (level and problem.prox_residual(new) < 0.5 * problem.prox_residual(point)):
            return new
    return None
