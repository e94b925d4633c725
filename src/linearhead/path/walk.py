"""The walk along the path: fit every α, judge it on held-out rows, certify it, stop when no α to come can win."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..certificate import certify
from ..errors import UsageError
from ..metrics import effective, kish
from ..objective import Objective, check_passes, choose_solver
from ..records import Status
from ..trust.calibration import TEMPERATURES, tempered
from .least_squares import leave_one_out
from .protocols import Protocol
from .result import PathPoint, RegularizationPath
from .walkers import KINKED, LOOSE, walkers_of

GIVE_UP = 4  # α's in a row behind the best in accuracy and in loss end the path
BEHIND = 3  # standard errors of its held-out loss behind the lowest: a weaker α than that is on its way up
PER_DECADE = 3
DECADES = 8
FIRST = 1 / 3  # of the default α's: where their path begins
MANY_CLASSES = 256  # beyond, fits from zero and many digits are dear


def default_alphas(objective: Objective) -> np.ndarray:
    """From where the penalty rules (α = the mean curvature of the whole row) down DECADES, PER_DECADE each."""
    top = float(np.sum(objective.column_metric()[:-1])) / objective.k
    return top * np.logspace(0, -DECADES, DECADES * PER_DECADE + 1)


def checked_alphas(objective: Objective, alphas: Sequence[float] | None) -> np.ndarray:
    """The α's of a path, falling, each once."""
    try:
        grid = default_alphas(objective) if alphas is None else np.asarray(alphas, dtype=float)
    except (TypeError, ValueError):
        raise UsageError(f"alphas must be numbers ≥ 0; found {alphas!r}.") from None
    grid = np.sort(np.unique(grid))[::-1]
    if not len(grid) or not np.all(np.isfinite(grid)) or grid[-1] < 0:
        raise UsageError(f"alphas must be numbers ≥ 0, at least one; found {grid.tolist()}.")
    return grid


def follow(
    path: RegularizationPath,
    objective: Objective,
    held: list[tuple[Objective, Objective]],
    alphas: Sequence[float] | None,
    *,
    tol: float | None = None,
    max_iter: int | None = None,
    give_up: int | None = GIVE_UP,
    certificates: bool = True,
    rough: float | None = None,
    groups: np.ndarray | None = None,
    calibrated: bool = False,
    callback: Callable[[PathPoint], Any] | None = None,
) -> None:
    """Fill the path, whose points lie strong to weak; Ctrl-C leaves the points so far in it and raises.

    `held` pairs a training with a held-out objective: one pair, or one per fold; held-out rows of one of the `groups`
    (n,), codes 0 … m − 1, are alike. tol None: as exact as choosing needs; rough: the residual of a fit is so many α at
    most, and none is looked at in float64. Given alphas are walked from strong to weak; the default ones from within,
    both ways, until no α to come can win. calibrated: held-out losses are those over the best temperature, for fits
    that will be given one: a strong penalty is then no fault by itself.
    """
    grid = checked_alphas(objective, alphas)
    with objective.design.session():
        walk = Walk(objective, held, tol, max_iter, certificates, bool(grid[-1]), rough, groups, calibrated)
        within = give_up if alphas is None and held else None
        order = _downwards(path, grid, give_up) if within is None else _from_within(walk, path, grid, within)
        _fill(path, walk, order, callback)
    path.abandoned = [float(a) for a in grid if a not in path.alphas]


def _fill(
    path: RegularizationPath, walk: Walk, alphas: Iterable[float], callback: Callable[[PathPoint], Any] | None
) -> None:
    """A point for each of these α's, unless the callback returns True."""
    for alpha in alphas:
        point = fit_at(walk, float(alpha))
        path.add(point)
        stop = callback is not None and callback(point) is True
        if point.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if stop:
            break


def _downwards(path: RegularizationPath, grid: np.ndarray, give_up: int | None) -> Iterator[float]:
    """The α's, falling, until no weaker one can win."""
    for alpha in grid:
        if give_up is not None and _hopeless(path, give_up):
            break
        yield alpha


def _from_within(walk: Walk, path: RegularizationPath, grid: np.ndarray, give_up: int) -> Iterator[float]:
    """Down from a third of the way, where a fit from zero still is cheap and few strengths above are any good; then up
    from there, until no stronger one can win either. Of very many classes down from the strongest: there a fit from
    zero takes many times what the fits on the way to it do."""
    first = round(FIRST * (len(grid) - 1)) if walk.objective.k <= MANY_CLASSES else 0
    for alpha in _downwards(path, grid[first:], give_up):
        yield alpha
        accuracy = path.valid_accuracy
        if len(accuracy) > 1 and accuracy[-1] <= accuracy[:-1].max() and walk.behind() > BEHIND:
            break
    for walker in walk.walkers:
        walker.turn()
    for alpha in reversed(grid[:first]):
        if _hopeless(path, give_up, stronger=True):
            break
        yield alpha


def follow_protocol(
    path: RegularizationPath,
    objective: Objective,
    held: list,
    plan: Protocol,
    *,
    tol: float | None = None,
    max_iter: int | None = None,
    certificates: bool = True,
    groups: np.ndarray | None = None,
    callback: Callable[[PathPoint], Any] | None = None,
) -> None:
    """Fit the protocol's values of C in its order; the points stay sorted, strong to weak."""
    with objective.design.session():
        walk = Walk(objective, held, tol, max_iter, certificates, groups=groups)
        alphas = (path.unit / (10.0**power * path.n_rows) for power in plan.values(lambda: path))
        _fill(path, walk, alphas, callback)


def follow_leaving_one_out(
    path: RegularizationPath,
    objective: Objective,
    alphas: Sequence[float] | None,
    tol: float | None = None,
    certificates: bool = True,
    callback: Callable[[PathPoint], Any] | None = None,
) -> None:
    """Every α of least squares with its exact leave-one-out: nothing is left to abandon, all α cost as one."""
    grid = checked_alphas(objective, alphas)
    before = objective.count.passes
    thetas, judged = leave_one_out(objective, grid)
    share = (objective.count.passes - before) / len(grid)
    for alpha, theta, (loss, accuracy, held_loss, held_accuracy) in zip(grid, thetas, judged.T, strict=True):
        at = replace(objective, alpha=float(alpha))
        proof = certify(at, theta, tol or 1e-7) if certificates else None
        error = standard_error(held_accuracy, _rows([objective]))
        path.points.append(
            PathPoint(
                float(alpha), objective.design.stored(theta), Status.CONVERGED, proof, float(loss),
                float(accuracy), float(held_loss), float(held_accuracy), error, share, 0.0,
            )
        )  # fmt: skip
        if callback is not None and callback(path.points[-1]) is True:
            break


class Walk:
    """Walkers for the whole set and the folds, and who judges whom."""

    def __init__(
        self,
        objective: Objective,
        held: list[tuple[Objective, Objective]],
        tol: float | None = None,
        max_iter: int | None = None,
        certificates: bool = True,
        turn: bool = True,
        rough: float | None = None,
        groups: np.ndarray | None = None,
        calibrated: bool = False,
    ) -> None:
        self.objective, self.tol, self.certificates = objective, tol, certificates
        self.temperatures = TEMPERATURES.tolist() if calibrated and objective.loss.proper else []
        kind = choose_solver(objective.loss.name, objective.penalty.name)
        check_passes(objective.design, objective.loss.name, objective.penalty.name, kind)
        self.walkers = walkers_of(objective, held, kind, tol, max_iter, turn, rough)
        self.groups = groups if groups is None or not held else held[0][1].design.column(groups)
        self.rows = _rows([h for _, h in held])
        self.last: list[tuple[Objective, np.ndarray]] = []  # every judge, and the θ that it saw last, calibrated
        self.lowest: tuple[float, list[np.ndarray]] = (np.inf, [])  # held-out loss so far, and every judge's θ there
        own = [i for i, (o, _) in enumerate(held) if o is not objective]
        self.judges = [
            (self.walkers[0] if o is objective else self.walkers[1 + own.index(i)], h) for i, (o, h) in enumerate(held)
        ]

    def judge(self, found: dict[int, Any]) -> Judgement:
        """What the held-out rows say of each walker's find."""
        seen = [(h, found[id(w)].theta) for w, h in self.judges]
        judged = Judgement.of(seen, self.rows, self.groups, self.temperatures)
        self.last = [(h, theta / judged.temperature) for h, theta in seen]
        if judged.loss is not None and judged.loss <= self.lowest[0]:
            self.lowest = judged.loss, [theta for _, theta in self.last]
        return judged

    def behind(self) -> float:
        """Standard errors of the last point's held-out loss above the lowest, row against row."""
        more = [
            (h.total, *h.excess(t, low, self.groups)) for (h, t), low in zip(self.last, self.lowest[1], strict=True)
        ]
        error = sum((total * error) ** 2 for total, _, error in more) ** 0.5
        return sum(total * mean for total, mean, _ in more) / error if error else 0.0


def fit_at(walk: Walk, alpha: float) -> PathPoint:
    """One α: every walker's fit, the held-out rows' judgement, the certificate of the fit on all training rows."""
    start, before = time.perf_counter(), walk.objective.count.passes
    found = {}
    for walker in walk.walkers:
        found[id(walker)] = fit = walker.go(alpha)
        if fit.status is Status.INTERRUPTED and len(walk.walkers) > 1:
            raise KeyboardInterrupt  # there is no judging this α without every fold's fit
    whole = found[id(walk.walkers[0])]
    judged, certificate = walk.judge(found), None
    if walk.certificates:
        loose = LOOSE if whole.objective.loss.smoothness else KINKED
        tol, relative = (loose, alpha > 0) if walk.tol is None else (walk.tol, False)
        certificate = certify(whole.objective, whole.theta, tol, whole.multipliers, relative)
    point = whole.objective.at(whole.theta) if whole.point is None else whole.point
    return PathPoint(
        alpha,
        whole.objective.design.stored(whole.theta),
        whole.status,
        certificate,
        point.loss,
        np.nan if point.accuracy is None else float(point.accuracy),
        judged.loss,
        judged.accuracy,
        judged.error,
        walk.objective.count.passes - before,
        time.perf_counter() - start,
    )


@dataclass
class Judgement:
    """Held-out loss (calibrated: over the temperature), accuracy and its standard error; None where nothing is."""

    loss: float | None = None
    accuracy: float | None = None
    error: float | None = None
    temperature: float = 1.0

    @classmethod
    def of(
        cls,
        judges: list[tuple[Objective, np.ndarray]],
        rows: float,
        groups: np.ndarray | None = None,
        temperatures: Sequence[float] = (),
    ) -> Judgement:
        """Of all held-out rows together, which count as so many; or by their groups (n,), as `effective` says."""
        if not judges:
            return cls()
        seen = [h.tally(theta, groups, temperatures) for h, theta in judges]
        total = sum(h.total for h, _ in judges)
        right, weights = (np.sum([getattr(t, name) for t in seen], axis=0) for name in ("right", "weights"))
        loss, accuracy = sum(t.loss for t in seen) / total, float(right.sum()) / total
        if groups is not None:
            rows = effective(right, weights, accuracy * (1 - accuracy), rows)
        temperature = 1.0
        if temperatures:
            temperature, loss = tempered(np.sum([t.tempered for t in seen], axis=0) / total, rows)
        return cls(loss, accuracy, standard_error(accuracy, rows), temperature)


def _rows(held: list[Objective]) -> float:
    """As how many the held-out rows count by their weights; one that several folds hold out is one row."""
    weights = [h.weights for h in held if h.weights is not None]
    return kish(np.sum(weights, axis=0)) if weights else float(sum(h.n for h in held))


def standard_error(accuracy: float, rows: float) -> float:
    """Of an accuracy on so many rows; honest near 0 and 1, too (Agresti & Coull 1998)."""
    middle = (accuracy * rows + 2) / (rows + 4)
    return float(np.sqrt(middle * (1 - middle) / (rows + 4)))


def _hopeless(path: RegularizationPath, give_up: int, stronger: bool = False) -> bool:
    """Whether the last `give_up` points, weaker or stronger ones, lose: by the rule "best" the chosen one lies before
    them; by others they lose to the best in accuracy and in loss."""
    if len(path.points) <= give_up or path.points[0].valid_accuracy is None:
        return False
    if path.rule == "best":
        return (path.index_ if stronger else len(path.points) - 1 - path.index_) >= give_up
    onwards = slice(None, None, -1 if stronger else 1)
    accuracy, loss, late = path.valid_accuracy[onwards], path.valid_loss[onwards], slice(-give_up, None)
    return bool(np.all(accuracy[late] <= accuracy[:-give_up].max()) and np.all(loss[late] > loss[:-give_up].min()))
