"""What classifiers say of pictures that they were not trained on: out-of-fold scores and the learning curve.

The trained rows are cut into K stratified folds. For each, a chain of nested subsets of the others, 1/16, 1/8 … 1 of
them, of whole groups where there are such (more frames of a track that is known teach little), is fitted at the chosen
alpha, each from the last optimum, all with one curvature model's directions: large subsets as weights on the same rows,
with nothing copied, small ones on their rows alone, as a pass over all costs many times as much, and in the coordinates
of their own span where they are fewer than the columns. Its links, judged on all folds, draw the curve. From its end
all rows but one of J parts of the fold are fitted, and score that part: fits on 1 − 1/(K J) of the rows, as sure of
themselves as the model, that come from a θ, and go by a curvature model, which saw nothing of the fold. Rows beyond
what the budget holds are in no chain and get the mean of all K ends. Where d > n every fit is in the rows' span.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import rows_of
from ..data import split
from ..errors import ConvergenceWarning
from ..objective import Shared, choose_solver
from ..objective.price import span_price
from ..objective.span import span, worth_spanning
from ..path.held import dealt
from ..records import LearningCurve, Status
from ..solvers import LBFGS, SOLVERS
from .curve import curve_of

FOLDS, PARTS = 4, 4
LINKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
CELLS = 12_000_000  # numbers in the rows of all chains, which bounds the work
DIRECTIONS = 48  # half the time of 128; 0.2 to 0.6 % of the predictions differ, none of the curve's points by 0.5
LEAST = 1  # pictures per class, or groups of them, on average, from which a link is worth fitting
# accuracy's digits, not the model's; but a gradient g leaves W free by g / alpha: hands at alpha = 1e-3 scored 69 % at
# 1e-3 and 80 % at 1e-4, where they stay
TOL, SHARP, KINKED_TOL, MAX_ITER, WEAK_MAX_ITER = 1e-3, 0.1, 3e-2, 60, 200
EASY = 1e-4  # the gradient down to which no fit looks at rows in float64
FEW = 0.5  # of the rows, up to which a subset's are taken
SERVES = 32  # iterations that a chain's last curvature model serves the fits to all rows but a part
TURNING = 40  # passes, at most, that a subset's own span may cost: its fit takes about as many
SETTLED = 1.0  # times alpha: scores of fits whose gradient is larger at the end are not believed
DIGITS = 1e-7  # no fit is asked for a smaller gradient, nor is the model


@dataclass
class Outside:
    """Scores (n, k) of every trained row by classifiers that had not seen it, each fitted to `fitted` rows, and the
    learning curve. A class's only row trains all of them: of such rows `unseen` (n,) is False."""

    scores: np.ndarray
    curve: LearningCurve
    fitted: int
    unseen: np.ndarray


@dataclass
class Chain:
    """One fold's rows, θ in the units of X for every link, and (rows, θ) for every part of the fold."""

    fold: np.ndarray
    links: list[np.ndarray]
    ends: list[tuple[np.ndarray, np.ndarray]]


def outside(
    X: np.ndarray, y: np.ndarray, recipe: Any, alpha: float, seed: int, groups: np.ndarray | None = None
) -> Outside | None:
    """Of trained rows X (n, d) with codes y (n,); None where no class has two rows, or one has fewer groups of them,
    or where these fits would be too dear."""
    amounts = np.bincount(y)
    if amounts.max() < 2:
        return None
    rng = np.random.default_rng(seed)
    most = max(1000, CELLS // X.shape[1])
    kept = np.union1d(_stratified(y, min(1.0, most / len(y)), rng), np.flatnonzero(amounts[y] == 1))
    if np.any(np.bincount(y[kept], minlength=len(amounts)) < np.minimum(amounts, 2)):
        return None
    own = None if groups is None else groups[kept]
    fold = _folds(y[kept], own, seed, rng)
    if fold is None:
        return None
    A = X if len(kept) == len(y) else X[kept]
    objective = recipe.estimator(alpha)._objective(A, y[kept])
    # a sample of the rows says how the others are scored, but not how sure a model of all of them is
    part = _parts(y[kept], fold, own, seed, rng) if len(kept) == len(y) else np.zeros(len(kept), dtype=int)
    chains = _chains(objective, alpha, fold, part, rng, own)
    if chains is None:
        return None
    scores = np.empty((len(y), objective.k), np.result_type(X.dtype, np.float32))
    for chain in chains:
        for rows, theta in chain.ends:
            scores[kept[rows]] = _scores(A[rows], theta)
    others = np.setdiff1d(np.arange(len(y)), kept[fold >= 0])
    for rows in np.array_split(others, -(-len(others) // 4096)) if len(others) else ():
        scores[rows] = np.mean([_scores(X[rows], chain.links[-1]) for chain in chains], axis=0)
    fitted = len(kept) - round(float(np.mean([len(rows) for chain in chains for rows, _ in chain.ends])))
    return Outside(scores, _curve(A, y[kept], chains, own), fitted, amounts[y] > 1)


def stopped_early(
    X: np.ndarray, y: np.ndarray, recipe: Any, alpha: float, seed: int, groups: np.ndarray | None, times: int
) -> np.ndarray | None:
    """Scores (n, k) of the rows by the recipe's own solver on the other folds' rows, fitted `times` times, each from
    the last: as far from its optimum as a model that was made so, and as sure of itself. None where `outside` is."""
    fold = None if np.bincount(y).max() < 2 else _folds(y, groups, seed, np.random.default_rng(seed))
    if fold is None:
        return None
    scores = np.zeros((len(y), int(y.max()) + 1), np.result_type(X.dtype, np.float32))
    for f in range(fold.max() + 1):
        classifier, part = recipe.estimator(alpha).set_params(warm_start=True), fold != f
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for _ in range(times):
                classifier.fit(X[part], y[part])
        scores[~part] = _scores(X[~part], np.vstack([classifier.coef_.T, classifier.intercept_]))
    return scores


def _chains(
    objective: Any,
    alpha: float,
    fold: np.ndarray,
    part: np.ndarray,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
) -> list[Chain] | None:
    """One per fold, whose subsets are of whole groups (n,); None where a weak penalty leaves a fit too far from its
    optimum for its scores to be those of the model."""
    design, rows = objective.design, span(objective) if worth_spanning(objective) else None
    objective = objective if rows is None else rows.of(objective)
    # a fit that did not see a row is held along what that has for itself by the penalty alone: what its gradient leaves
    # of W, g / alpha, is multiplied by that length in the row's scores
    # unit: what columns spread by, in which gradients of W are, 1 where standardised; of intercepts they have none
    unit = min(1.0, float(np.sqrt(np.mean(np.asarray(design.energy)))) or 1.0)
    free = alpha / (unit if rows is None else max(unit, rows.apart()))
    kinked, weak = objective.loss.smoothness == 0, 0 < SHARP * free < TOL * unit
    tol = KINKED_TOL if kinked else max(SHARP * free, DIGITS) if weak else TOL * unit
    steps = WEAK_MAX_ITER if weak else MAX_ITER
    solver = SOLVERS[choose_solver(objective.loss.name, objective.penalty.name)](tol=tol, max_iter=steps)
    weights = np.ones(objective.n) if objective.weights is None else objective.weights
    shared = Shared(basis=objective.basis() if kinked else _leading(objective.basis()))  # of all rows, not of a link's
    objective = replace(objective, weights=weights, shared=shared, alpha=alpha)

    lbfgs = isinstance(solver, LBFGS)  # few digits are float32's own: a look in float64 costs two passes
    fits = _Fits(objective, solver, replace(solver, serves=SERVES, rough=tol >= EASY * unit) if lbfgs else None)

    def stored(theta: np.ndarray) -> np.ndarray:
        return design.stored(theta if rows is None else rows.back(theta))

    seen = objective.n if groups is None else len(np.unique(np.c_[objective.y, _codes(groups)], axis=0))
    trained = seen * fold.max() / (fold.max() + 1)
    shares = [
        share for share in LINKS if share == 1 or share * trained >= LEAST * objective.k
    ]  # the same for all folds
    chains = []
    for f in range(fold.max() + 1):
        place, links, theta = _places(objective.y, fold != f, rng, groups), [], objective.start()
        for share in shares:
            end = fits(place < share, theta)
            theta = end.theta
            links.append(stored(theta))
        if weak and not kinked and end.residual > max(SETTLED * free, DIGITS):
            return None
        own, ends = np.flatnonzero(fold == f), []
        for left in [own[part[own] == j] for j in np.unique(part[own])]:
            whole = len(left) == len(own)
            ends.append((left, links[-1] if whole else stored(fits(_but(left, objective.n), theta, end.model).theta)))
        chains.append(Chain(own, links, ends))
    return chains


@dataclass(frozen=True)
class _End:
    """Where a fit ended, and the curvature model that it ended with, None where that is of other coordinates."""

    theta: np.ndarray
    residual: float
    model: Any = None


@dataclass(frozen=True)
class _Fits:
    """Fits to some of an objective's rows: by `quick`, where that is L-BFGS, and by `solver` where it stalls."""

    objective: Any
    solver: Any
    quick: Any

    def __call__(self, used: np.ndarray, theta: np.ndarray, model: Any = None) -> _End:
        """On the rows `used` (n,) from θ (d+1, k); `model` comes from a fit to most of these rows."""
        subset = _subset(self.objective, used)
        if (alone := self._alone(subset)) is None:
            found = self._fit(subset, theta, model)
            return _End(found.point.theta, found.point.residual, found.extras.get("model"))
        own = span(alone)
        point = self._fit(own.of(alone), own.into(theta)).point
        return _End(own.back(point.theta), point.residual)

    def _alone(self, subset: Any) -> Any:
        """A subset to be fitted in the coordinates of its own span: of fewer rows than columns; None where these would
        cost more than they save."""
        if self.quick is None or subset.n >= subset.design.d or span_price(subset) > TURNING:
            return None
        weights = None if np.ptp(subset.weights) == 0 else subset.weights
        alone = replace(subset, weights=weights, total=0.0, shared=Shared())
        return alone if worth_spanning(alone) else None

    def _fit(self, subset: Any, theta: np.ndarray, model: Any = None) -> Any:
        solver = self.solver if self.quick is None else replace(self.quick, model=model)
        found = solver(subset, theta)
        if found.status is Status.STALLED and getattr(solver, "rough", False):  # as columns of large numbers have it
            found = self.solver(subset, found.point.theta)
        if found.status is Status.INTERRUPTED:  # half a fit's scores are not the model's
            raise KeyboardInterrupt
        return found


def _subset(objective: Any, used: np.ndarray) -> Any:
    """The objective on the rows `used` (n,) alone, with their part of the curvature model's rows."""
    rows, basis = np.flatnonzero(used), objective.basis()
    part = np.flatnonzero(used[basis.rows])
    if len(rows) > FEW * objective.n or not len(part):
        return replace(objective, weights=objective.weights * used, total=0.0)
    design = None if basis.design is None else basis.design.take(part)
    place = np.searchsorted(rows, basis.rows[part])
    own = replace(basis, rows=place, design=design, projected=basis.projected[part])
    return replace(objective.take(rows), total=0.0, shared=Shared(basis=own))


def _but(rows: np.ndarray, n: int) -> np.ndarray:
    """(n,) False at these rows."""
    used = np.ones(n, dtype=bool)
    used[rows] = False
    return used


def _leading(basis: Any) -> Any:
    """The curvature model with only its leading DIRECTIONS exact: few digits are wanted, and its products then cost
    less than the passes."""
    return basis if basis.U is None else basis.leading(DIRECTIONS)


def _folds(y: np.ndarray, groups: np.ndarray | None, seed: int, rng: np.random.Generator) -> np.ndarray | None:
    """(n,) the fold of every row, class by class, groups whole, −1 for the only row of a class, which no fold holds
    out; None where one would hold all of a class."""
    if groups is not None:
        most = min(len(np.unique(groups[rows])) for rows in rows_of(y))
        shares = {str(f): 1.0 for f in range(min(FOLDS, most))}
        fold = split(y, shares, seed, groups).astype(int)
        apart = all(len(np.unique(fold[rows])) > 1 for rows in rows_of(y))
        return fold if apart else None
    amounts = np.bincount(y)
    return dealt(np.where(amounts[y] > 1, y, -1), min(FOLDS, int(amounts[amounts > 1].min())), rng)


def _parts(
    y: np.ndarray, fold: np.ndarray, groups: np.ndarray | None, seed: int, rng: np.random.Generator
) -> np.ndarray:
    """(n,) the part of its fold that every row belongs to, groups whole."""
    part = np.zeros(len(y), dtype=int)
    for f in range(fold.max() + 1):
        rows = np.flatnonzero(fold == f)
        if groups is None:
            part[rows] = dealt(y[rows], PARTS, rng)
        else:
            part[rows] = split(y[rows], {str(j): 1.0 for j in range(PARTS)}, seed, groups[rows]).astype(int)
    return part


def _codes(groups: np.ndarray) -> np.ndarray:
    return np.unique(groups, return_inverse=True)[1]


def _places(y: np.ndarray, among: np.ndarray, rng: np.random.Generator, groups: np.ndarray | None = None) -> np.ndarray:
    """(n,) in [0, 1): rows below any share are that share of each class, its rows of a group (n,) together; 2 for rows
    that are not `among` them."""
    place = np.full(len(y), 2.0)
    for rows in rows_of(y):
        rows = rows[among[rows]]
        own = np.arange(len(rows)) if groups is None else _codes(groups[rows])
        order = rng.permutation(len(sizes := np.bincount(own)))
        found, first = np.empty(len(sizes)), np.cumsum(sizes[order]) - sizes[order]
        found[order] = (first + rng.random() * sizes[order]) / max(len(rows), 1)
        place[rows] = found[own]
    return place


def _stratified(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return np.flatnonzero(_places(y, np.ones(len(y), bool), rng) < share) if share < 1 else np.arange(len(y))


def _scores(X: np.ndarray, theta: np.ndarray) -> np.ndarray:
    W = theta.astype(np.float32)
    return X @ W[:-1] + W[-1]


def _curve(X: np.ndarray, y: np.ndarray, chains: list[Chain], groups: np.ndarray | None) -> LearningCurve:
    """Every link judged on all folds' rows, and on the rows that it was fitted to where it had all of them."""
    links = len(chains[0].links)
    right = np.zeros((links, len(y)), dtype=bool)
    for chain in chains:
        for i, theta in enumerate(chain.links):
            right[i, chain.fold] = _scores(X[chain.fold], theta).argmax(axis=1) == y[chain.fold]
    judged = np.sort(np.concatenate([chain.fold for chain in chains]))
    trained = len(y) - len(judged) / len(chains)
    n = [round(trained * share) for share in LINKS[len(LINKS) - links :]]
    return curve_of(n, right[:, judged], None if groups is None else groups[judged])
