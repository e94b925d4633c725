"""Mini-batch stochastic gradient descent: every epoch visits all rows once, in a new seeded order, batch by batch.

θ ← θ − η_t ∇F_B(θ), F_B the mean loss of batch B plus the penalty: the gradient-descent step on a sample, with the
same code for every batch size from 1 to n. v ← μv − ηg, θ ← θ + v for momentum; Nesterov's form evaluates at θ + μv.
Schedules of η over the T steps: constant; "cosine" η/2 (1 + cos πt/T) (Loshchilov & Hutter 2017); "inverse" η/(1 +
ηαt) (Bottou 2012). `averaging` returns the mean of θ over the second half (Polyak & Juditsky 1992). F is measured on
all rows after every epoch. Without a rate, several are tried on some of the rows (Bottou 2012, section 4.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from ..records import Status
from .contract import Problem, Progress, Solver

SCHEDULES = ("cosine", "constant", "inverse")
EPOCHS, MOST_EPOCHS, STEPS = 50, 1000, 20_000  # without max_iter: so many epochs, more where few rows make few steps
TRIAL_STEPS, TRIAL_ROWS = 200, 1000  # of each rate that is tried


@dataclass(frozen=True)
class SGD(Solver):
    name = "sgd"
    title = "stochastic gradient descent"
    kinked_penalty = True
    passes = False

    max_iter: int | None = None  # type: ignore[assignment]  # epochs; None: 50, or what makes 20 000 steps
    batch_size: int = 32
    learning_rate: float | None = None  # None: the best of several on a sample
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "cosine"
    averaging: bool = False
    shuffle: bool = True
    patience: int | None = None  # epochs without a better validation loss before stopping; the best θ is returned
    seed: int | None = 0

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        rng = np.random.default_rng(self.seed)
        batch = min(self.batch_size, problem.n)
        steps = -(-problem.n // batch)
        point = problem.step_point(theta)
        progress.record(0, point, problem.step_residual(point))
        epochs = min(max(EPOCHS, -(-STEPS // steps)), MOST_EPOCHS) if self.max_iter is None else self.max_iter
        total = steps * epochs
        rate = self.learning_rate or self.tried_rate(problem, theta, batch, min(TRIAL_STEPS, max(total // 20, 5)))
        progress.extras["learning_rate"] = rate
        state = Steps(theta, total, rate, self, problem)
        best = (np.inf, 0, point)
        for epoch in range(1, epochs + 1):
            with np.errstate(over="ignore", invalid="ignore"):  # divergence is found below and named
                self.epoch(state, batch, rng)
                point = problem.step_point(state.result())
            progress.record(epoch, point, problem.step_residual(point))
            if progress.residual <= self.tol:
                return Status.CONVERGED
            if self.patience is not None:
                best = min(best, (progress.trace.valid_loss[-1], epoch, point), key=lambda seen: seen[0])  # pyright: ignore
                if epoch - best[1] >= self.patience:
                    progress.best = best[2]
                    return Status.EARLY_STOPPED
        return Status.MAX_ITER

    def epoch(self, state: Steps, batch: int, rng: np.random.Generator) -> None:
        """One step on every batch of a new order."""
        n = state.problem.n
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        if batch == 1 and not (self.momentum or self.averaging or state.problem.kinked):
            for block in state.problem.singles(order):
                if state.t == state.total:
                    return
                state.walk(block)
            return
        for rows in state.problem.batches(order, batch):
            if state.t == state.total:
                return
            state.step(rows)

    def tried_rate(self, problem: Problem, theta: np.ndarray, batch: int, steps: int) -> float:
        """Half the rate that, doubled or halved from a cautious one, takes F lowest in `steps` steps on a sample."""
        rng = np.random.default_rng(self.seed)
        size = max(TRIAL_ROWS, min(steps, 20) * batch)
        sample = problem if size >= problem.n else problem.take(np.sort(rng.choice(problem.n, size, replace=False)))

        def after(rate: float) -> float:
            state, again = Steps(theta, steps, rate, self, sample), np.random.default_rng(self.seed)
            with np.errstate(over="ignore", invalid="ignore"):
                while state.t < steps:
                    self.epoch(state, batch, again)
                value = sample.step_point(state.result()).value
            return value if np.isfinite(value) else np.inf

        rate = problem.stochastic_rate(batch) * (1 - self.momentum)
        value, doubled = after(rate), after(2 * rate)
        factor = 2.0 if doubled < value else 0.5
        if factor == 2.0:
            rate, value = 2 * rate, doubled
        for _ in range(40):
            if (new := after(factor * rate)) >= value:
                break
            rate, value = factor * rate, new
        return 0.5 * rate


class Steps:
    """θ, velocity and average between steps; the arithmetic of one update, in place."""

    def __init__(self, theta: np.ndarray, total: int, rate: float, solver: SGD, problem: Problem) -> None:
        # column order, one class after the other, suits small batches (design/batch.py)
        self.theta = np.array(theta, dtype=problem.design.dtype, order="F")
        self.velocity, self.average = np.zeros_like(self.theta), None
        self.t, self.total, self.rate, self.solver, self.problem = 0, total, rate, solver, problem

    def walk(self, block: Any) -> None:
        """Steps on the block's rows one by one, where a step is no more than θ ← θ − η ∇F: in fewer calls each."""
        t = np.arange(self.t, min(self.t + len(block.rows), self.total))
        self.problem.walk(self.theta, block, self._scheduled(t) + 0.0 * t)
        self.t += len(t)

    def step(self, batch: Any) -> None:
        solver, mu = self.solver, self.solver.momentum
        rate = self._scheduled(self.t)
        if mu:
            at = self.theta + mu * self.velocity if solver.nesterov else self.theta
            move = self.problem.batch_gradient(at, batch)
            move *= -rate
            self.velocity *= mu
            self.velocity += move
            self.theta += self.velocity
        else:
            self.problem.descend(self.theta, batch, rate)
        if self.problem.kinked:
            self.theta = self.problem.prox(self.theta, rate)
        self.t += 1
        if solver.averaging and 2 * self.t > self.total:
            self._average(self.t - self.total // 2)

    def _average(self, seen: int) -> None:
        if self.average is None:
            self.average = np.zeros(self.theta.shape)
        self.average += (self.theta - self.average) / seen

    def _scheduled(self, t: Any) -> Any:
        """η at step t, or at many."""
        if self.solver.schedule == "cosine":
            return 0.5 * self.rate * (1 + np.cos(pi * t / self.total))
        if self.solver.schedule == "inverse":
            return self.rate / (1 + self.rate * self.problem.alpha * t)
        return self.rate

    def result(self) -> np.ndarray:
        return np.array(self.theta if self.average is None else self.average, dtype=np.float64, order="C")
