"""What classifiers say of pictures that they were not trained on: out-of-fold scores and the learning curve.

The trained rows are cut into K stratified folds. For each, a chain of nested subsets of the others, 1/16, 1/8 … 1 of
them, is fitted at the chosen alpha, each from the last optimum, all on one curvature model (subsets are weights on the
same rows, nothing is copied). The chain's end scores the fold; its links, judged on all folds, draw the curve. Rows
beyond what the budget holds are in no chain and get the mean of all K. Where d > n every fit is in the rows' span.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data import split
from ..records import LearningCurve

FOLDS = 4
LINKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
CELLS = 12_000_000  # numbers in the rows of all chains, which bounds the work
DIRECTIONS = 48  # half the time of 128; 0.2 to 0.6 % of the predictions differ, none of the curve's points by 0.5
LEAST = 1  # pictures per class, on average, from which a link is worth fitting
# accuracy's digits, not the model's; but a weak penalty leaves scores free that a gradient of 1e-3 does not show
TOL, KINKED_TOL, MAX_ITER, WEAK_MAX_ITER = 1e-3, 3e-2, 60, 200
SETTLED = 10.0  # times alpha: scores of fits whose gradient is larger at the end are not believed


@dataclass
class Outside:
    """Scores (n, k) of every trained row by classifiers that had not seen it, and the learning curve."""

    scores: np.ndarray
    curve: LearningCurve


def outside(
    X: np.ndarray, y: np.ndarray, recipe: Any, alpha: float, seed: int, groups: np.ndarray | None = None
) -> Outside | None:
    """Of trained rows X (n, d) with codes y (n,); None where a class has fewer rows, or groups of them, than two,
    or where these fits would be too dear."""
    amounts = np.bincount(y)
    if amounts.min() < 2:
        return None
    rng = np.random.default_rng(seed)
    most = max(1000, CELLS // X.shape[1])
    kept = _stratified(y, min(1.0, most / len(y)), rng)
    if np.bincount(y[kept], minlength=len(amounts)).min() < 2:
        return None
    fold = _folds(y[kept], None if groups is None else groups[kept], seed, rng)
    if fold is None:
        return None
    A = X if len(kept) == len(y) else X[kept]
    objective = recipe.estimator(alpha)._objective(A, y[kept])
    chains = _chains(objective, alpha, fold, rng)
    if chains is None:
        return None
    scores = np.empty((len(y), objective.k))
    for fold, links in chains:
        scores[kept[fold]] = _scores(A[fold], links[-1])
    others = np.setdiff1d(np.arange(len(y)), kept)
    for part in np.array_split(others, -(-len(others) // 4096)) if len(others) else ():
        scores[part] = np.mean([_scores(X[part], links[-1]) for _, links in chains], axis=0)
    return Outside(scores, _curve(A, y[kept], chains))


def _chains(
    objective: Any, alpha: float, fold: np.ndarray, rng: np.random.Generator
) -> list[tuple[np.ndarray, list[np.ndarray]]] | None:
    """Per fold: its rows, and θ in the units of X for every link; None where a weak penalty leaves a fit too far from
    its optimum for its scores to be those of the model."""
    from ..objective import Shared, choose_solver
    from ..objective.span import span, worth_spanning
    from ..solvers import SOLVERS

    design, rows = objective.design, span(objective) if worth_spanning(objective) else None
    objective = objective if rows is None else rows.of(objective)
    kinked, weak = objective.loss.smoothness == 0, 0 < alpha < TOL
    tol = KINKED_TOL if kinked else max(alpha, 1e-7) if weak else TOL
    steps = WEAK_MAX_ITER if weak else MAX_ITER
    solver = SOLVERS[choose_solver(objective.loss.name, objective.penalty.name)](tol=tol, max_iter=steps)
    weights = np.ones(objective.n) if objective.weights is None else objective.weights
    shared = Shared(basis=_leading(objective.basis())) if objective.loss.smoothness else Shared()
    trained = objective.n * fold.max() / (fold.max() + 1)
    shares = [
        share for share in LINKS if share == 1 or share * trained >= LEAST * objective.k
    ]  # the same for all folds
    chains = []
    for f in range(fold.max() + 1):
        place, links, theta = _places(objective.y, fold != f, rng), [], objective.start()
        for share in shares:
            used = place < share
            part = replace(objective, weights=weights * used, total=0.0, shared=shared, alpha=alpha)
            point = solver(part, theta).point
            theta = point.theta
            links.append(design.stored(theta if rows is None else rows.back(theta)))
        if weak and not kinked and point.residual > SETTLED * alpha:
            return None
        chains.append((np.flatnonzero(fold == f), links))
    return chains


def _leading(basis: Any) -> Any:
    """The curvature model with only its leading DIRECTIONS exact: few digits are wanted, and its products then cost
    less than the passes."""
    energy = np.mean(basis.projected**2, axis=0)
    top = np.argsort(-energy)[:DIRECTIONS]
    d, r = basis.U.shape
    dropped = float(energy.sum() - energy[top].sum()) + basis.rest * (d - r)
    return replace(basis, U=basis.U[:, top], projected=basis.projected[:, top], rest=dropped / max(d - len(top), 1))


def _folds(y: np.ndarray, groups: np.ndarray | None, seed: int, rng: np.random.Generator) -> np.ndarray | None:
    """(n,) the fold of every row, class by class, groups whole; None where one would hold all of a class."""
    if groups is not None:
        most = min(len(np.unique(groups[y == c])) for c in np.unique(y))
        shares = {str(f): 1.0 for f in range(min(FOLDS, most))}
        fold = split(y, shares, seed, groups).astype(int)
        apart = all(len(np.unique(fold[y == c])) > 1 for c in np.unique(y))
        return fold if apart else None
    k = min(FOLDS, int(np.bincount(y).min()))
    fold = np.empty(len(y), dtype=int)
    for c in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == c))
        fold[rows] = (np.arange(len(rows)) + c) % k
    return fold


def _places(y: np.ndarray, among: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) in [0, 1): rows below any share are that share of each class; 2 for rows that are not `among` them."""
    place = np.full(len(y), 2.0)
    for c in np.unique(y):
        rows = rng.permutation(np.flatnonzero((y == c) & among))
        place[rows] = (np.arange(len(rows)) + rng.random()) / max(len(rows), 1)
    return place


def _stratified(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return np.flatnonzero(_places(y, np.ones(len(y), bool), rng) < share) if share < 1 else np.arange(len(y))


def _scores(X: np.ndarray, theta: np.ndarray) -> np.ndarray:
    W = theta.astype(np.float32)
    return X @ W[:-1] + W[-1]


def _curve(X: np.ndarray, y: np.ndarray, chains: list) -> LearningCurve:
    """Every link judged on all folds' rows, and on the rows that it was fitted to where it had all of them."""
    links = len(chains[0][1])
    right = np.zeros((links, len(y)), dtype=bool)
    for fold, thetas in chains:
        for i, theta in enumerate(thetas):
            right[i, fold] = _scores(X[fold], theta).argmax(axis=1) == y[fold]
    trained = len(y) - len(y) / len(chains)
    n = [round(trained * share) for share in LINKS[len(LINKS) - links :]]
    accuracy = right.mean(axis=1)
    curve = LearningCurve(n, accuracy.tolist(), judged=len(y))
    if links > 1:
        gained = right[-1].astype(float) - right[-2]
        curve.gain_error = float(gained.std() / np.sqrt(len(y)))
        curve.twice = forecast(accuracy)
        curve.gain = curve.twice - curve.accuracy[-1]
    return curve


def forecast(accuracy: np.ndarray) -> float:
    """Accuracy at twice the last n from accuracies at n/2^m, …, n/2, n: the error falls by the same factor per
    doubling as it did, the last doublings counting most (learning curves are power laws: Hestness et al. 2017)."""
    error = np.maximum(1 - np.asarray(accuracy, dtype=np.float64), 1e-6)
    ratios = np.log(error[1:] / error[:-1])[::-1]
    weight = 0.5 ** np.arange(len(ratios))
    return float(1 - error[-1] * np.exp(min(0.0, float(weight @ ratios / weight.sum()))))
