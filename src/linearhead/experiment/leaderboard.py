"""Which features, and which loss: tried on a stratified sample of the pictures that may be trained on.

1. every extractor of the registry that needs nothing from the user and can describe these pictures; 2. the best of
them joined with each other one; 3. the winner's variants; 4. with loss "auto", the other losses with probabilities.
Of features that were named without options, the third alone: what only the pictures can decide on.
Each candidate has its own path of alphas, and is judged picture by picture on parts of the sample that its fit did not
see; one whose class that fit had no other of judges nothing: no features would get it right. The best has the lowest
cost −log p(label) among those whose accuracy chance cannot tell from the highest; the winner is the one with the fewest
numbers within one standard error of the best, by the paired differences: a rule like Breiman's one standard error, so
that the largest of many noisy figures is not mistaken for the truth.
The sample's size, and how many candidates there is time for, follow from arithmetic alone: a slow or busy machine
chooses what a fast one does. What was left out is said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from ..features import FEATURES, make, split_spec
from ..losses import LOSSES
from ..metrics import independent, kish, standard_error, wilson
from ..records import Candidate, Leaderboard
from ..trust.calibration import TEMPERATURES, tempered
from .extract import Pictures
from .progress import Progress
from .recipe import Recipe
from .sampling import QUALITY, Sample, draw

ROUGH = 2e-3  # tolerance of the fits: the ranks are settled long before the last digits
EVERY = 2  # of the path's alphas, each so manieth
BUDGET, EACH = 24.0, 2e-3  # seconds for all candidates together, as `price` reckons: so many, and more per picture
# of one usual core: multiply-adds a second; seconds a path; seconds a channel value
SPEED, FIXED, LOOK = 2e10, 0.4, 4e-8


@dataclass
class Tried:
    """One candidate and what it did on every judged picture of the sample."""

    spec: str
    loss: str
    dimension: int
    alpha: float
    right: np.ndarray  # (m,) what the picture counts where it is right, else 0
    cost: np.ndarray  # (m,) −log p(label) times what it counts; the loss itself where it has no probabilities
    seconds: float
    proper: bool

    def record(self, chosen: bool, groups: np.ndarray | None = None, counts: np.ndarray | None = None) -> Candidate:
        """For a terminal and the report; of groups (m,) of alike pictures, and what each picture counts (m,)."""
        right, n = float(self.right.mean()), len(self.right)
        cost = float(self.cost.mean()) if self.proper else None
        count = n if groups is None else independent(groups, self.right)
        count *= 1.0 if counts is None else kish(counts) / n
        bounds = wilson(right * count, count)
        spec = make(self.spec, QUALITY).spec
        return Candidate(spec, self.loss, self.dimension, self.alpha, n, right, bounds, cost, self.seconds, chosen)


def hold(pictures: Pictures, among: np.ndarray, plan: Recipe, progress: Progress) -> tuple[Recipe, Leaderboard | None]:
    """The plan with features and loss settled, and how that came about; `among` are the rows that may be trained on."""
    start = time.perf_counter()
    if plan.features == "auto":
        singles = list(applicable(pictures.preprocessing.shape))
    else:
        singles, plan = [plan.features], replace(plan, loss=plan.loss_name)
    sample = draw(pictures, among, plan, singles) if len(singles) > 1 or varies(plan) else None
    if sample is None:
        return settled(plan, singles[-1] if singles else "pixels", _losses(plan)[0]), None
    contest = Contest(sample, plan, BUDGET + EACH * len(pictures.rows), singles)
    with progress.bar(2 * len(singles) + 1, "candidates") as done:
        contest.run(done)
    winner = contest.winner()
    board = Leaderboard(
        candidates=[tried.record(tried is winner, sample.alike, sample.counts) for tried in contest.ranked()],
        not_tried=contest.left_out,
        pictures=len(sample.y),
        rule=RULE if plan.class_weight is None else f"{RULE} {WEIGHED}",
        classes=int(sample.y.max()) + 1,
        seconds=time.perf_counter() - start,
    )
    return settled(plan, winner.spec, winner.loss), board


def varies(plan: Recipe) -> bool:
    """Whether named features leave something to the pictures: a part with variants, named without options; at quality
    fast they are taken as they are."""
    named = [FEATURES.get(part.strip()) for part in split_spec(plan.features)]
    return plan.quality != QUALITY and any(kind is not None and kind.variants for kind in named)


RULE = "Chosen: the fewest numbers among those within one standard error of the best, by paired differences."
WEIGHED = "Pictures count by --class-weight, in all figures."


def lines(board: Leaderboard, classes: int) -> Iterator[str]:
    """The board as a table for a terminal, then how it chose, of how many classes all in all, and what it cost."""
    width = max(len(c.features) for c in board.candidates)
    yield f"{'Features':<{width}}  {'loss':<13}  numbers  accuracy  95 % interval  log loss     alpha  seconds"
    for c in board.candidates:
        low, high = (100 * bound for bound in c.accuracy_interval)
        found = f"{100 * c.accuracy:>6.1f} %  {low:>5.1f} – {high:5.1f}"
        loss = "–" if c.log_loss is None else f"{c.log_loss:.3f}"
        yield (
            f"{c.features:<{width}}  {c.loss:<13}  {c.dimension:>7}  {found}"
            f"  {loss:>8}  {c.alpha:>8.2g}  {c.seconds:>7.1f}{'  ← chosen' if c.chosen else ''}"
        )
    if board.not_tried:
        yield f"Not tried for want of time: {', '.join(board.not_tried)}."
    n = board.candidates[0].n
    some = f" of {board.classes} of the classes" if 0 < board.classes < classes else ""
    tried = f"{board.pictures} training pictures{some}, {n} of them judged, in {board.seconds:.1f} s"
    yield f"Tried on {tried}. {board.rule}"


def settled(plan: Recipe, features: str, loss: str) -> Recipe:
    """The plan with nothing left to the leaderboard: features at the quality asked for, and one loss."""
    return replace(plan, features=make(features, plan.quality).spec, loss=loss)


def applicable(shape: tuple[int, int, int]) -> Iterator[str]:
    """Names of the extractors that need nothing from the user and can describe pictures of this shape."""
    for name, kind in FEATURES.items():
        try:
            if kind.ready:
                make(name, QUALITY).dimension(*shape)
                yield name
        except DataError:
            continue


def _losses(plan: Recipe) -> list[str]:
    """Those to try, the first one with all features."""
    if plan.loss != "auto":
        return [plan.loss]
    fitting = []
    for name, loss in LOSSES.items():
        try:
            replace(plan, loss=name).estimator(1.0)._make_solver()
        except UsageError:
            continue
        if loss.proper:
            fitting.append(name)
    return fitting


def price(sample: Sample, spec: str) -> float:
    """Seconds that a candidate takes: its blocks that are still to be computed, its paths, the span of long rows."""
    n, *shape = sample.pictures.shape
    parts = spec.split("+")
    d = sum(make(part, QUALITY).dimension(*shape) for part in parts)
    look = LOOK * n * int(np.prod(shape)) * sum(part not in sample.blocks for part in parts)
    passes = 400 * n * min(n, d) * (int(sample.y.max()) + 1)
    span = 0.8 * n * n * d + 3 * n**3 if d > n else 0
    return look + len(sample.judges) * (FIXED + (passes + span) / SPEED)


@dataclass
class Contest:
    """The rounds, within the seconds that they may take by the reckoning of `price`: the clock decides nothing."""

    sample: Sample
    plan: Recipe
    budget: float
    singles: list[str]
    tried: list[Tried] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def run(self, done: Any) -> None:
        losses = _losses(self.plan)
        for name in reversed(self.singles):  # the registry goes from the plainest to the richest
            self.attempt(name, losses[0], done)
        best = self.best().spec
        for name in self.singles:
            if name != best:
                self.attempt("+".join(sorted((best, name), key=self.singles.index)), losses[0], done)
        for options in {str(o): o for kind in FEATURES.values() for o in kind.variants}.values():
            for spec in varied(self.best().spec, options):
                self.attempt(spec, losses[0], done)
        for loss in losses[1:]:
            self.attempt(self.best().spec, loss, done)

    def attempt(self, spec: str, loss: str, done: Any) -> None:
        """Tries it where there is time left; the first candidate is always tried."""
        if self.tried and self.budget <= 0:
            self.left_out.append(f"{spec} with {loss}")
            return
        self.budget -= price(self.sample, spec)
        start = time.perf_counter()
        X = self.sample.rows(spec)
        alpha, right, cost = compare(X, self.sample, replace(self.plan, loss=loss))
        seconds, proper = time.perf_counter() - start, LOSSES[loss].proper
        self.tried.append(Tried(spec, loss, X.shape[1], alpha, right, cost, seconds, proper))
        done(1)

    def best(self) -> Tried:
        """The lowest cost among those whose accuracy chance cannot tell from the highest."""
        top = max(self.tried, key=lambda t: t.right.mean())
        return min((t for t in self.tried if self._close(t.right, top.right, -1)), key=lambda t: t.cost.mean())

    def winner(self) -> Tried:
        """The fewest numbers within one standard error of the best; ties: the lower cost."""
        best = self.best()
        tied = [t for t in self.tried if self._close(t.cost, best.cost, 1) and self._close(t.right, best.right, -1)]
        return min(tied, key=lambda t: (t.dimension, t.cost.mean()))

    def ranked(self) -> list[Tried]:
        return sorted(self.tried, key=lambda t: (-t.right.mean(), t.cost.mean()))

    def _close(self, values: np.ndarray, best: np.ndarray, sign: int) -> bool:
        """Whether the mean of `values` is worse (larger, for sign 1) than that of `best` by at most one standard error,
        in which pictures of a group count by how alike their differences are."""
        worse = sign * (values.astype(np.float64) - best)
        return bool(worse.mean() <= standard_error(worse, self.sample.alike))


def varied(spec: str, options: dict[str, Any]) -> Iterator[str]:
    """The specification with these options in each part that may have them: what only the pictures can decide on."""
    parts = spec.split("+")
    for i, part in enumerate(parts):
        extractor: Any = make(part)
        if options in extractor.variants:
            yield "+".join([*parts[:i], replace(extractor, **options).spec, *parts[i + 1 :]])


def compare(X: np.ndarray, sample: Sample, plan: Recipe) -> tuple[float, np.ndarray, np.ndarray]:
    """(alpha, right, cost): one path per judging part; the alpha of the lowest cost over all judged pictures, at one
    temperature for all of them, as the model will have one. Both of a picture are times what it counts."""
    from ..path import default_alphas

    objective = plan.estimator(1.0)._objective(X, sample.y)
    given = plan.penalty == "none" or plan.alpha != "auto"
    alphas = [objective.alpha and float(plan.alpha)] if given else default_alphas(objective)[::EVERY].tolist()
    if objective.design.scale is None:
        objective = _narrow(objective)
    paths = [_path(objective, sample.part == part, sample.judged(part), alphas) for part in sample.judges]
    points = min(map(len, paths))
    seen = [tuple(map(np.concatenate, zip(*(path[i] for path in paths), strict=True))) for i in range(points)]
    counts = np.ones(len(seen[0][1])) if sample.counts is None else sample.counts
    costs = [_costs(objective.loss, s, y, counts) for s, y in seen]
    index = int(np.argmin([cost.mean() for cost in costs]))
    s, y = seen[index]
    return float(alphas[index]), (s.argmax(axis=1) == y) * counts, costs[index]


def _path(
    objective: Any, held: np.ndarray, judged: np.ndarray, alphas: list[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per alpha the scores of the judged rows, some of those held, and their labels; the fits see the rows that are not
    held, as weights on the same rows. So do scales: where a column hardly varies, held rows may be all that does."""
    from ..objective import Shared
    from ..path import RegularizationPath, follow

    weights = np.ones(objective.n) if objective.weights is None else objective.weights
    if objective.design.scale is not None:
        design = objective.design.fitted(weights * ~held, True)
        objective = _narrow(replace(objective, design=design, shared=Shared()))
    own: dict[str, Any] = {"total": 0.0, "shared": Shared(basis=objective.basis())}
    train = replace(objective, weights=weights * ~held, **own)
    judge = replace(objective, weights=weights * judged, **own, alpha=0.0, watch=True)
    path = RegularizationPath(rule="accuracy")  # as long as loss or accuracy gains: `compare` chooses by the loss alone
    options = {"tol": ROUGH, "certificates": False, "rough": math.inf, "give_up": 2, "calibrated": True}
    follow(path, train, [(train, judge)], alphas, **options)
    X = objective.design.X[judged]
    return [(X @ p.theta[:-1].astype(np.float32) + p.theta[-1], objective.y[judged]) for p in path.points]


def _narrow(objective: Any) -> Any:
    """In the coordinates of its rows' span, where that is less work."""
    from ..objective.span import span, worth_spanning

    return span(objective).of(objective) if worth_spanning(objective) else objective


def _costs(loss: Any, s: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Per row, which counts so much, −log p(label), calibrated; the loss itself where it gives no probabilities."""
    if not loss.proper:
        return np.asarray(loss.value(np.ascontiguousarray(s), y), dtype=np.float64) * counts

    def costs(temperature: float) -> np.ndarray:
        p = loss.probabilities(s / np.float32(temperature))
        return -np.log(np.maximum(p[np.arange(len(y)), y].astype(np.float64), 1e-12)) * counts

    return costs(tempered([float(costs(t).mean()) for t in TEMPERATURES], len(y))[0])
