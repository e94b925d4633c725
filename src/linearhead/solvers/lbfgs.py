"""L-BFGS (Nocedal 1980): the direction −H∇F, H built from the last `memory` steps s and gradient changes y by the
two-loop recursion, here around the problem's curvature model M⁻¹ in place of the usual multiple of the identity.

M is renewed at iterations 0, 2, 4, … 64, then every 64, from the 8th on in its sharper form; the pairs stay valid, as
they do not depend on it. From θ = 0 and with rows in plenty the first iterations see a fourth of the rows. Where
classes are many, a few rows tell how long a step should be before all of them are asked. In float32 data the loop runs
in float32 products until the tolerance is met or no decrease can be seen, then polishes in float64. Of a loss that is
quadratic between kinks the model is soon another one: Newton's method has its turns (`turns.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import copy, dot, largest, namespace
from ..records import Status
from .contract import Problem, Progress, Solver
from .line_search import search, turning
from .turns import Turns

LENT = 4  # at a neighbour's α its model is as good for the first steps, and making one costs many passes over few rows
LONG = 8  # iterations: a fit that is not done by then is worth a sharper model
OLD = 64  # iterations: beyond, a model costs little next to them, and rows that reach a kink or leave it have changed H
PAIRS_NUMBERS, LEAST_PAIRS = 1 << 24, 5  # weights in as many steps as are kept, and pairs, however many weights
SAMPLE_STEPS = 16  # at most, on a part of the rows
LEAST_AGAIN = 30  # passes that may go beyond the tolerance, where it took fewer


@dataclass(frozen=True)
class LBFGS(Solver):
    name = "lbfgs"
    title = "L-BFGS, preconditioned"
    smoothness = 1

    memory: int = 20
    preconditioned: bool = True
    model: Any = None  # the curvature model of a related problem nearby
    serves: int = LENT  # iterations that it serves
    known: Any = None  # the point at θ, where it has been looked at
    allowed: float = np.inf  # passes that the rest of the way may take: where it looks longer, no more are made
    before: float = 0.0  # passes made on the way to θ
    sure: float = 0.0  # beyond tol ‖∇F‖ ≤ sure ‖W‖ is hoped for, for as many passes again; ‖W − W*‖ ≤ ‖∇F‖/α
    rough: bool = False  # ends where products in the rows' type say so, or say no more: no look in float64

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress, pairs: deque | None = None) -> Status:
        """pairs: the memory of a related problem, to go on with."""
        pairs = deque(maxlen=self._most(theta)) if pairs is None else pairs
        apply = _identity if self.model is None else self.model
        few = problem.few() if self.preconditioned else None
        point = self._start(problem, theta, few) if self.known is None else self.known
        turns, old = Turns(self.before), False
        for iteration in range(self.max_iter + 1):
            progress.record(iteration, point)
            if point.residual <= self.tol:
                if self.rough:
                    return Status.CONVERGED
                if not problem.design.exact:
                    problem, point = self._polish(problem, point, progress)
                if point.residual <= self.tol and self._enough(point, progress.trace):
                    return Status.CONVERGED
            if iteration == self.max_iter:
                break
            if (step := turns.step(problem, progress)) is not None:
                _remember(pairs, point, step)
                point, old = step, True
                continue
            if self._too_long(progress.trace):
                break
            if progress.resting(50) and problem.design.exact:
                return Status.STALLED
            if self.preconditioned and (old or _due(iteration)) and (self.model is None or iteration >= self.serves):
                progress.extras["model"] = apply = None  # the old model makes room first
                progress.extras["model"] = apply = problem.preconditioner(point.theta, fine=iteration >= LONG)
                old = False
            step = self._step(problem, point, pairs, apply, few)
            if step is None and not self.rough and not problem.design.exact:
                problem, point = self._polish(problem, point, progress)
                step = self._step(problem, point, pairs, apply, few)
            if step is None and pairs:
                pairs.clear()  # a bad memory: once more from the curvature model alone
                step = self._step(problem, point, pairs, apply, few)
            if step is None:
                return Status.STALLED
            _remember(pairs, point, step)
            point = step
        return Status.MAX_ITER

    def certain(self, point: Any) -> bool:
        """Whether the weights are as sure there as is hoped."""
        W, g = point.theta[:-1, :], point.gradient
        return not self.sure or dot(g, g) <= self.sure**2 * dot(W, W)

    def _enough(self, point: Any, trace: Any) -> bool:
        """At the tolerance: whether nothing is left to hope for, or the passes for that are spent."""
        if self.certain(point):
            return True
        reached = next(p for p, r in zip(trace.passes, trace.gradient_norm, strict=True) if r <= self.tol)
        return trace.passes[-1] - reached >= max(reached, LEAST_AGAIN)

    def _too_long(self, trace: Any) -> bool:
        """Whether, a quarter of what is allowed being spent, as much again and more is left by the last half's rate."""
        passes = trace.passes
        if passes[-1] < self.allowed / 4 or len(passes) < 3:
            return False
        least = np.minimum.accumulate(trace.gradient_norm)
        half = min(int(np.searchsorted(passes, passes[-1] / 2)), len(passes) - 2)
        gained = np.log(least[half] / least[-1])
        left = (passes[-1] - passes[half]) * np.log(least[-1] / self.tol)
        return left > self.allowed * gained or passes[-1] > 2 * self.allowed

    def _most(self, theta: Any) -> int:
        """Pairs that are kept: of millions of weights fewer, as looking at twenty would cost more than a pass."""
        numbers = int(np.prod(theta.shape))
        return max(1, min(self.memory, max(LEAST_PAIRS, PAIRS_NUMBERS // max(numbers, 1))))

    def _start(self, problem: Problem, theta: np.ndarray, few: Problem | None) -> Any:
        """θ's point; from θ = 0 the point to which a sample of the rows leads until it yields less than 1 % a step."""
        sample = problem.sample() if self.preconditioned and not largest(theta) else None
        if sample is None:
            return problem.at(theta)
        pairs: deque = deque(maxlen=self._most(theta))
        first = near = sample.at(theta)
        for iteration in range(min(SAMPLE_STEPS, self.max_iter)):
            if _due(iteration):
                apply = _identity
                apply = problem.preconditioner(near.theta)
            step = self._step(sample, near, pairs, apply, few)
            if step is None:
                break
            _remember(pairs, near, step)
            near, before = step, near
            if before.value - near.value < 1e-2 * before.value:
                break
        point = problem.at(near.theta)
        return point if point.value < first.value else problem.at(theta)

    @staticmethod
    def _polish(problem: Problem, point: Any, progress: Progress) -> tuple[Problem, Any]:
        """Go on in float64 from the same θ."""
        precise = problem.precise()
        point = precise.at(point.theta)
        progress.best, progress.residual = point, point.residual
        return precise, point

    def _step(self, problem: Problem, point: Any, pairs: deque, apply: Any, few: Problem | None = None) -> Any:
        """The next point, or None where no decrease can be told from rounding."""
        p = -two_loop(point.gradient, pairs, apply)
        slope = dot(p, point.gradient)
        slack = noise(problem, point)
        if not slope < 0 or (-slope < 64 * slack and not problem.design.exact):
            return None

        def at(t: float) -> tuple[Any, float]:
            new = problem.at(point.theta + t * p)
            return new, dot(p, new.gradient)

        first = 1.0 if self.preconditioned or pairs else min(1.0, 1.0 / np.sqrt(-slope))
        if few is not None:
            first = _stride(few.precise() if problem.design.exact else few, point.theta, p, slope)
        found = search(at, point.value, slope, slack, first)
        return found[1] if found else None


def _stride(few: Problem, theta: Any, p: Any, slope: float) -> float:
    """Where F turns along p, if its slope changes as it does on a few rows."""
    own = dot(p, few.at(theta).gradient)
    return turning(lambda t: slope - own + dot(p, few.at(theta + t * p).gradient), slope)


def _remember(pairs: deque, point: Any, step: Any) -> None:
    s, y = step.theta - point.theta, step.gradient - point.gradient
    curvature = dot(s, y)
    if curvature > 1e-14 * dot(y, y) ** 0.5 * dot(s, s) ** 0.5:
        pairs.append((s, y, curvature))


def noise(problem: Problem, point: Any) -> float:
    """How far rounding may move a value of F; room for scores that cancel in float64, where slopes still guard."""
    eps = float(np.finfo(problem.design.dtype).eps)
    return (eps if eps > 1e-10 else 1e5 * eps) * max(abs(point.value), 1e-300)


def _identity(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return arrays


def _due(iteration: int) -> bool:
    """0, 2, 4, 8, … 64, 128, 192, …"""
    return iteration % OLD == 0 or (iteration > 1 and iteration & (iteration - 1) == 0)


def two_loop(gradient: np.ndarray, pairs: deque, apply: Any) -> np.ndarray:
    """H · gradient (Nocedal & Wright 2006, algorithm 7.4)."""
    if pairs and not isinstance(gradient, np.ndarray):
        return _in_products(gradient, pairs, apply)
    q = copy(gradient)
    factors = []
    for s, y, curvature in reversed(pairs):
        a = dot(s, q) / curvature
        q -= a * y
        factors.append(a)
    if not pairs:
        return apply(q)[0]
    # H₀ = γM⁻¹ with γ = sᵀy / yᵀM⁻¹y, the size of the newest curvature (Nocedal & Wright, eq. 7.20)
    _, y, curvature = pairs[-1]
    r, u = apply(q, y)
    r *= curvature / dot(y, u)
    for (s, y, curvature), a in zip(pairs, reversed(factors), strict=True):
        r += (a - dot(y, r) / curvature) * s
    return r


def _in_products(gradient: Any, pairs: deque, apply: Any) -> Any:
    """The same of another library's arrays, whose device does a product with all pairs as fast as one step of a loop.
    With R_ij = sᵢᵀyⱼ for i ≤ j, else 0, the loops solve R a = S g and Rᵀ c = diag(R) a − Y r."""
    xp = namespace(gradient)
    S, Y = (xp.reshape(xp.stack(list(rows)), (len(pairs), -1)) for rows in list(zip(*pairs, strict=True))[:2])
    R = xp.triu(S @ Y.T)
    inverse, q = xp.linalg.inv(R), xp.reshape(gradient, (-1,))
    a = inverse @ (S @ q)
    r, u = apply(xp.reshape(q - a @ Y, gradient.shape), pairs[-1][1])
    r = xp.reshape(r * (R[-1, -1] / xp.sum(pairs[-1][1] * u)), (-1,))
    c = (xp.linalg.diagonal(R) * a - Y @ r) @ inverse
    return xp.reshape(r + c @ S, gradient.shape)
