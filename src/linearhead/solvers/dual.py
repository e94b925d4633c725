"""The method of multipliers for the hinges, certified by its own dual point (Rockafellar 1976; Li, Sun & Toh 2018).

min_θ Σ wᵢ ℓ(sᵢ) + αR(W) with ℓ replaced by max_u ⟨u, s⟩ − ℓ*(u) − γ/2 |u − g|²: a smooth problem for each set of
multipliers g, minimised by preconditioned L-BFGS whose memory outlives it, or, where few multipliers are free, by
Newton's method, which large numbers and tiny α do not slow down. Then g ← the maximiser u, which is dual feasible, so
F(θ) − D(g) bounds the distance to the optimum at every step. An inner problem (`inner.py`) need only be solved to a
part of the gap that is left (Rockafellar's criterion A).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..records import Status
from .contract import Problem, Progress, Solver
from .inner import Inner

PATIENCE = 20  # sets of multipliers that did not lower the gap by a tenth, after which rounding has the say
LEAST_EXACTNESS = 1e-4
LEAST_GAMMA = {"float32": 2.0**-9, "float64": 2.0**-18}  # below, rounding of scores moves multipliers visibly
WIDE = 0.03  # of the dual's mean curvature in one row's multipliers: the first γ, where that is more than `gamma`
WIDEST = 2.0**15  # times `gamma`: rows that no plane separates have multipliers near 1, however small α is
# times `gamma`: as far the least γ follows the first, as where multipliers are tiny, so is what moves them
FOLLOWED = 2.0**10
QUICK, FEW = 0.25, 8  # γ shrinks by so much after an inner problem that took so few steps of Newton's method


@dataclass(frozen=True)
class Dual(Solver):
    name = "dual"
    title = "method of multipliers"
    losses = ("hinge", "crammer_singer")
    kinked_penalty = True

    max_iter: int = 200
    gamma: float = 1.0  # first smoothing, in units of the margin; wider where α is small for rows of such size
    shrink: float = 0.5  # of γ from one set of multipliers to the next
    exactness: float = 0.03  # of the gap: how far from its optimum an inner problem is left
    inner: int = 100  # steps of one inner problem
    enough: float = 0.0  # a relative gap from which on no more passes are spent than it took: where tol is a hope
    reach: float = 2.0  # rows within this many γ of a kink take part; twice as many γ after a set that gained little

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        wide, memory, gap, steps, exactness = _wider(problem), deque(maxlen=40), np.inf, 0, self.exactness
        newton = False  # whether it solved the last inner problem
        gamma, reach, given = wide * self.gamma, self.reach, problem
        settled = problem.smoothed(problem.no_multipliers(), gamma).settle(theta)
        # weights will be rounded as the rows are: room for what that costs
        aim = self.tol * (1.0 if problem.precise() is problem else 0.8)
        best, idle = np.inf, 0  # the least gap, and for how long it has hardly fallen
        most = np.inf  # passes
        for iteration in range(self.max_iter + 1):
            found = settled.gap
            if found.estimate <= aim * found.point.value:
                found = problem.gap_at(settled.theta, settled.u)
                if found.estimate > aim * found.point.value:
                    problem = problem.precise()  # the gap is below what the rows' own arithmetic can show
            slow, gap = iteration > 1 and found.estimate > 0.5 * gap, found.estimate
            kept = progress.best, progress.residual
            progress.record(iteration, found.point, gap / max(abs(found.point.value), 1e-300))
            idle = 0 if gap < 0.9 * best else idle + 1
            if gap < best:
                best, progress.extras["multipliers"] = gap, settled.u
            elif kept[0] is not None:
                progress.best, progress.residual = kept
            if progress.residual <= self.enough:
                most = min(most, 2 * progress.trace.passes[-1])
            if progress.residual <= aim or progress.trace.passes[-1] > most:
                return Status.CONVERGED
            if idle >= PATIENCE:
                return Status.STALLED
            if iteration == self.max_iter:
                break
            reach = 2 * reach if slow else reach  # rows left out may have come to their kink
            least = LEAST_GAMMA[problem.design.dtype.name] * min(wide, FOLLOWED)
            if newton:
                fewer = QUICK if steps <= FEW else self.shrink if steps < self.inner else 1.0
                gamma, problem = max(fewer * gamma, least), problem.precise() if slow else problem
            elif slow and exactness > LEAST_EXACTNESS:  # the inner problems' error is what is seen
                exactness = max(0.3 * exactness, LEAST_EXACTNESS)
                problem = problem.precise() if exactness < 1e-3 else problem  # or rounding is
            elif iteration and steps < self.inner:
                before, gamma = gamma, max(self.shrink * gamma, least)
                if before > self.gamma >= gamma:  # what a wider γ asked for is too dear here
                    exactness, reach, problem = self.exactness, self.reach, given
            smooth, hard = problem.smoothed(settled.u, gamma), newton or steps >= self.inner
            inner = Inner(smooth, exactness * gap, self.inner, hard, memory, progress.stopped)
            settled, steps, newton = inner.settle(settled, reach)
        return Status.MAX_ITER


def _wider(problem: Problem) -> float:
    """≥ 1: times the first γ that the dual's curvature asks for. Along a row's multipliers it is ‖z‖²/αn times what γ
    adds there; where it is far more, multipliers are tiny, hardly a row is free, and inner problems bend abruptly."""
    if not problem.alpha or not problem.penalty.smooth:
        return 1.0
    wanted = WIDE * float(np.sum(problem.column_metric())) / (problem.alpha * problem.n)
    return float(np.clip(wanted, 1.0, WIDEST))
