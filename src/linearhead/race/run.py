"""Running the entrants one after the other, each on an objective of its own so that none inherits another's work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..certificate import certify
from ..design import design_of
from ..errors import DataError, UsageError
from ..losses import LOSSES
from ..objective import Count, Objective, Shared
from ..objective.inputs import checked_pair, codes_of, scores
from ..penalties import PENALTIES
from ..records import Status, Trace, to_json
from ..solvers import LBFGS, SGD, Dual, GradientDescent, Solution, Solver
from .entrants import entrants

LEVELS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6)  # relative distances (F − F*) / F* whose first crossing is noted
SPENT = {"passes": "out of passes", "seconds": "out of time"}


@dataclass
class Finish:
    """How one entrant fared. `passes_to` and `seconds_to` hold the first crossing of each of LEVELS, or None."""

    name: str
    solver: str
    learning_rate: float | None
    outcome: str
    trace: Trace
    value: float
    gap: float  # (F − F*) / F*
    test_accuracy: float | None
    passes_to: list[float | None] = field(default_factory=list)
    seconds_to: list[float | None] = field(default_factory=list)


@dataclass
class Race:
    """The whole race: the problem, its optimum with what is proven about it, the finishers in the order of ENTRANTS."""

    loss: str
    alpha: float
    n: int
    d: int
    k: int
    optimum: float
    proven: float | None  # `optimum`, the lowest F reached, lies at most this much above F*
    test_accuracy: float | None  # of the optimum
    finishers: list[Finish]
    interrupted: bool = False  # the last of the finishers, or the one after it, was stopped by Ctrl-C
    levels: tuple[float, ...] = LEVELS

    def to_json(self) -> dict[str, Any]:
        return to_json(self)


def race(
    X: Any,
    y: Any,
    *,
    loss: str = "cross_entropy",
    alpha: float = 1e-3,
    standardize: bool = True,
    passes: int = 50,
    seconds: float = 20.0,
    seed: int = 0,
    X_test: Any = None,
    y_test: Any = None,
    only: Sequence[str] = (),
    said: Callable[[str], object] = lambda text: None,
) -> Race:
    """Let everybody who fits the loss run on rows X (n, d) with labels y until passes or seconds are spent.

    The optimum is sought first, for at most the seconds of all of them; `proven` says how well it is known.
    X_test, y_test: rows on which the end points' accuracy is told. `only` names some of ENTRANTS. Ctrl-C ends the race
    with those who have run; KeyboardInterrupt where nobody has.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> run = race(X, y, alpha=0.01, only=["L-BFGS", "gradient descent"], passes=30)
    >>> [(finish.name, finish.gap < 1e-3) for finish in run.finishers]
    [('L-BFGS', True), ('gradient descent', False)]
    """
    problem, classes = _problem(X, y, loss, alpha, standardize)
    runners = entrants(loss, only)
    judge = None
    if X_test is not None and len(X_test):
        X_test, y_test = checked_pair(X_test, y_test)
        judge = _judge(X_test, codes_of(y_test, classes, "y_test has classes that y lacks"))
    said("The optimum first")
    best = _reference(problem, seconds * len(runners))
    said(f"F* = {best.point.value:.6g}{' or lower: out of time' if best.status is Status.CALLBACK else ''}")
    ended: list[tuple[Finish, np.ndarray]] = []
    interrupted = False
    try:
        for name, solver in runners.items():
            ended.append(_run(name, solver, problem, passes, seconds, seed))
            said(f"{name}: F = {ended[-1][0].value:.6g}, {ended[-1][0].outcome}")
            if interrupted := ended[-1][0].outcome == Status.INTERRUPTED.value:
                break
    except KeyboardInterrupt:  # before a step of the next
        if not ended:
            raise
        interrupted = True
    theta = min([(best.point.value, best.point.theta), *((f.value, t) for f, t in ended)], key=lambda pair: pair[0])[1]
    proof = certify(problem, theta, 1e-9, best.extras.get("multipliers"))
    for finish, at in ended:
        _measure(finish, proof.value, None if judge is None else judge(problem, at))
    return Race(
        loss=loss,
        alpha=alpha,
        n=problem.n,
        d=problem.design.d,
        k=problem.k,
        optimum=proof.value,
        proven=proof.gap,
        test_accuracy=None if judge is None else judge(problem, theta),
        finishers=[finish for finish, _ in ended],
        interrupted=interrupted,
    )


def _problem(X: Any, y: Any, loss: str, alpha: float, standardize: bool) -> tuple[Objective, np.ndarray]:
    if loss not in LOSSES:
        raise UsageError(f"No loss is called {loss!r}. The losses are: {', '.join(LOSSES)}.")
    if not 0 < alpha < np.inf:
        raise UsageError(f"alpha is {alpha}; the race needs a number above 0, so that one optimum exists for all.")
    X, y = checked_pair(X, y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"A race needs rows of at least two classes; found {len(classes)}.")
    design = design_of(X).fitted(None, standardize)
    return Objective(design, codes, len(classes), LOSSES[loss](), PENALTIES["l2"](), float(alpha)), classes


def _fresh(problem: Objective) -> Objective:
    return replace(problem, count=Count(), shared=Shared())


def _reference(problem: Objective, seconds: float) -> Solution:
    """The optimum as well as it can be had in the time of all who race."""
    solver: Solver = LBFGS(tol=1e-10, max_iter=2000) if problem.loss.smoothness else Dual(tol=1e-7)
    own = _fresh(problem).precise()
    found = solver(own, own.start(), lambda row: row["seconds"] >= seconds)
    if found.status is Status.INTERRUPTED:
        raise KeyboardInterrupt  # what is left is no optimum to measure distances from
    return found


def _run(
    name: str, solver: Solver, problem: Objective, passes: int, seconds: float, seed: int
) -> tuple[Finish, np.ndarray]:
    solver = _ready(solver, problem, passes, seed)
    own, spent = _fresh(problem), []
    watched = _seconds_of(lambda: own.step_point(own.start())) if isinstance(solver, SGD) else 0.0
    own = _fresh(problem)

    def over(row: dict) -> bool:
        charged = row["seconds"] - watched * row["iteration"]
        over_passes = not isinstance(solver, SGD) and row["passes"] >= passes
        spent[:] = ["passes"] if over_passes else ["seconds"] if charged >= seconds else []
        return bool(spent)

    solution = solver(own, own.start(), over)
    trace = solution.trace
    if isinstance(solver, SGD):
        _uncharge(trace, watched)
    if solution.status is Status.CALLBACK:
        outcome = SPENT[spent[0]]
    else:
        outcome = SPENT["passes"] if solution.status is Status.MAX_ITER else solution.status.value
    rate = getattr(solver, "learning_rate", None)
    point = solution.point
    return Finish(name, solver.name, rate, outcome, trace, float(point.value), np.nan, None), point.theta


def _ready(solver: Solver, problem: Objective, passes: int, seed: int) -> Solver:
    """With its learning rate found, and limits of the race in place of its own."""
    if isinstance(solver, GradientDescent):
        return replace(solver, learning_rate=1.0 / _fresh(problem).lipschitz(), max_iter=passes, tol=1e-10)
    if isinstance(solver, SGD):
        batch = min(solver.batch_size, problem.n)
        steps = min(200, max(passes * -(-problem.n // batch) // 20, 5))
        own = _fresh(problem)
        with own.design.session(), np.errstate(over="ignore", invalid="ignore"):
            rate = replace(solver, seed=seed).tried_rate(own, own.start(), batch, steps)
        return replace(solver, learning_rate=rate, max_iter=passes - 1, seed=seed, tol=1e-10)  # one was the first look
    return replace(solver, tol=1e-7 if isinstance(solver, Dual) else 1e-10)


def _seconds_of(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _uncharge(trace: Trace, watched: float) -> None:
    """Take away the pass and the seconds by which F was measured after each epoch."""
    epochs = np.array(trace.iteration)
    trace.passes[:] = np.round(np.array(trace.passes) - epochs, 6).tolist()
    trace.seconds[:] = np.maximum.accumulate(np.maximum(np.array(trace.seconds) - watched * epochs, 0)).tolist()


def _judge(X: Any, y: np.ndarray) -> Callable[[Objective, np.ndarray], float]:
    def accuracy(problem: Objective, theta: np.ndarray) -> float:
        stored = problem.design.stored(theta)
        return float(np.mean(scores(X, stored[:-1].T, stored[-1], labels=True) == y))

    return accuracy


def _measure(finish: Finish, optimum: float, accuracy: float | None) -> None:
    """The distances from the optimum, known once all have run."""
    distance = np.array(finish.trace.value) / optimum - 1
    finish.gap, finish.test_accuracy = float(finish.value / optimum - 1), accuracy
    for level in LEVELS:
        first = int(np.argmax(distance <= level)) if np.any(distance <= level) else None
        finish.passes_to.append(None if first is None else finish.trace.passes[first])
        finish.seconds_to.append(None if first is None else finish.trace.seconds[first])
