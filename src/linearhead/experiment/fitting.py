"""From features to weights: choose alpha, draw the curves, fit on everything that may be trained on.

1. The path fits alphas to the train rows until none to come can win; among those that the accuracy on the validation
   rows cannot tell from the best, the one with the lowest validation loss is chosen, calibrated as the model will be.
   Where few rows were drawn for that, all do in their stead, fold by fold.
2. At that alpha one fit from zero on the train rows draws the loss and accuracy curves of train and validation.
3. The same alpha is fitted to train and validation rows together, from the weights of 2: that is the model.
Ctrl-C ends the work with the best weights so far.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data import split
from ..errors import ConvergenceWarning, DataWarning
from ..losses import LOSSES
from ..records import FitSummary, Status, Trace
from .progress import Progress
from .recipe import Recipe

DEFAULT_ALPHA = 1e-2  # where no validation picture can choose
GIVEN, DEFAULT, KEPT = "given", "the default", "kept from the run that was updated"  # where alpha comes from
UNPENALISED = "nothing is penalised"
PATH_TOL = 3e-4  # stepping stones need fewer digits than the model
HELD = 0.01  # times alpha, where that is less: the gradient at which those fits end; the held rows' log loss is settled
PARTS, FEW = 5, 200  # folds; validation rows, drawn at random, that would choose alpha by themselves
FOLDED = 3e7  # rows × classes × the lesser of rows and columns, up to which the folds' fits take seconds
MANY_TOL = 1e-4  # of very many classes, where a hundredth of alpha is many times dearer than what it brings


@dataclass
class Rows:
    """Features and labels of the train rows, followed by the valid rows."""

    X: np.ndarray  # (n_train + n_valid, d)
    y: np.ndarray
    n_train: int
    drawn: bool = field(default=False, kw_only=True)  # the valid rows of all these, at random: others could stand in

    @property
    def train(self) -> tuple[np.ndarray, np.ndarray]:
        return self.X[: self.n_train], self.y[: self.n_train]

    @property
    def valid(self) -> tuple[np.ndarray, np.ndarray] | None:
        return (self.X[self.n_train :], self.y[self.n_train :]) if self.n_train < len(self.y) else None


def _shared() -> Any:
    from ..objective import Shared

    return Shared()


@dataclass
class Fit:
    """How the fit went; `best` is the best classifier so far, with `coef_` as soon as there is one."""

    best: Any
    alpha: float = DEFAULT_ALPHA
    alpha_from: str = GIVEN  # in words
    folds: bool = False  # of all trained rows chose alpha
    path: list[dict[str, float | None]] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)
    directions: Any = field(default_factory=_shared)  # that path and fits have in common: see LinearClassifier
    held: np.ndarray | None = None  # scores (n_valid, k) of the validation rows by the fit that had not seen them
    interrupted: bool = False
    hurried: bool = False  # somebody asked to stop: what takes long is left out
    warned: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        return Status.INTERRUPTED if self.interrupted else self.best.status_

    def summary(self, recipe: Recipe) -> FitSummary:
        """The record of the fit: the curves of step 2, the proof of step 3."""
        best = self.best
        return FitSummary(
            loss=recipe.loss_name,
            penalty=recipe.penalty,
            solver=getattr(best, "solver_", recipe.solver),
            alpha=0.0 if recipe.penalty == "none" else float(self.alpha),
            standardize=recipe.standardize is not False,
            status=self.status.value,
            converged=not self.interrupted and bool(best.converged_),
            iterations=int(getattr(best, "n_iter_", 0)),
            passes=float(best.trace_.passes[-1]) if hasattr(best, "trace_") and len(best.trace_) else 0.0,
            certificate=getattr(best, "certificate_", None),
            trace=self.trace if len(self.trace) else getattr(best, "trace_", Trace()),
            path=self.path,
            loss_label=recipe.loss_title(),
            learning_rate=getattr(best, "learning_rate_", None),
            alpha_from=UNPENALISED if recipe.penalty == "none" else self.alpha_from,
        )


def fit(rows: Rows, recipe: Recipe, progress: Progress, groups: np.ndarray | None = None) -> Fit:
    """Steps 1 to 3; rows of one group (n,) are alike. KeyboardInterrupt only where there is nothing to keep yet."""
    state = Fit(recipe.estimator(DEFAULT_ALPHA).set_params(warm_start=True))
    with heeded(state):
        if recipe.alpha == "auto":
            timed(state, "choose alpha", lambda: choose_alpha(rows, recipe, state, progress, groups))
        else:
            state.alpha = float(recipe.alpha)
        timed(state, "fit", lambda: _final(rows, recipe, state, progress))
    state.directions = None
    return state


@contextmanager
def heeded(state: Fit) -> Iterator[None]:
    """Around fits: what they warn of in the data is kept in the state, and Ctrl-C ends them with the best so far, where
    there is one. How the last fit ended is said by the findings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            yield
        except KeyboardInterrupt:
            if not hasattr(state.best, "coef_"):
                raise
            state.interrupted = state.hurried = True
    state.warned = sorted({str(w.message) for w in caught if issubclass(w.category, DataWarning)})


def choose_alpha(rows: Rows, recipe: Recipe, state: Fit, progress: Progress, groups: np.ndarray | None = None) -> None:
    """Step 1: sets state.alpha and state.path, and state.best in case the work is interrupted."""
    state.alpha_from = DEFAULT
    if rows.valid is None:
        progress.say(f"No validation pictures to choose alpha on: alpha = {DEFAULT_ALPHA:g}. Set it with --alpha.")
        return
    if recipe.penalty == "none":
        return
    from ..path import RegularizationPath, default_alphas, follow
    from ..path.held import parted
    from ..path.walk import MANY_CLASSES

    classifier = state.best
    fold = folded(rows, recipe, groups)
    state.folds = fold is not None
    objective = replace(classifier._objective(*(rows.train if fold is None else (rows.X, rows.y))), watch=True)
    path, alphas = RegularizationPath.of(objective, classifier.classes_), default_alphas(objective)
    with progress.bar(len(alphas), "penalty strengths, at most") as done:

        def keep(point: Any) -> None:
            state.path, state.alpha = path.rows(), path.alpha_
            state.alpha_from = f"chosen of {len(state.path)}{' by folds of all trained pictures' * state.folds}"
            chosen = path.points[path.index_].theta
            classifier.coef_ = np.ascontiguousarray(chosen[:-1].T)
            classifier.intercept_ = chosen[-1].copy()
            _forget_beaten(path.points)
            done(1)

        if fold is None:
            judges = [(objective, classifier._held_out(objective, *rows.valid))]
            groups = None if groups is None else groups[rows.n_train :]
        else:
            judges = parted(objective, [(fold != f, fold == f) for f in np.unique(fold[fold >= 0])])
        alike = None if groups is None else np.unique(groups, return_inverse=True)[1]
        tol, rough = (PATH_TOL, HELD) if objective.k <= MANY_CLASSES else (MANY_TOL, math.inf)
        options: dict[str, Any] = {"tol": tol, "certificates": False, "rough": rough, "groups": alike, "callback": keep}
        follow(path, objective, judges, None, calibrated=True, **options)
    if fold is None:
        state.directions.keep(objective.shared)


def folded(rows: Rows, recipe: Recipe, groups: np.ndarray | None) -> np.ndarray | None:
    """(n,) the fold of every row, groups whole, where folds choose alpha: in place of few valid rows, drawn at random,
    that are no more telling than others; −1 where no other row or group is of the class. None where there are many, or
    where the folds' fits would take long."""
    from ..path.held import dealt

    (n, d), y = rows.X.shape, rows.y
    quick = recipe.penalty == "l2" and LOSSES[recipe.loss_name].smoothness > 0
    quick = quick and n * len(np.unique(y)) * min(n, d) <= FOLDED
    if not quick or not rows.drawn or n - rows.n_train >= FEW:
        return None
    if groups is None:
        fold = dealt(np.where(np.bincount(y)[y] > 1, y, -1), PARTS, np.random.default_rng(recipe.seed))
    else:
        fold = split(y, {str(f): 1.0 for f in range(PARTS)}, recipe.seed, groups).astype(int)
        alone = [c for c in np.unique(y) if len(np.unique(fold[y == c])) == 1]
        fold[np.isin(y, alone)] = -1
    return fold if len(np.unique(fold[fold >= 0])) > 1 else None


def _forget_beaten(points: list[Any]) -> None:
    """Drops the weights of points that another beats in accuracy and in loss, which the rule can choose no more: of
    thousands of classes a path's worth of them is more than all rows."""
    for p in points:
        if any(q.valid_accuracy >= p.valid_accuracy and q.valid_loss < p.valid_loss for q in points):
            p.theta = np.empty((0, p.theta.shape[1]))  # a slice would keep them


def _final(rows: Rows, recipe: Recipe, state: Fit, progress: Progress) -> None:
    """Steps 2 and 3."""
    from ..estimators.goal import tolerance
    from ..objective.inputs import scores

    with progress.bar(2 if rows.valid else 1, "final fit") as done:
        classifier = recipe.estimator(state.alpha).set_params(warm_start=True)
        if rows.valid is not None:
            tol, alpha = classifier.tol, 0.0 if recipe.penalty == "none" else state.alpha
            classifier.set_params(tol=max(min(HELD * alpha, PATH_TOL), tolerance(classifier)))
            _fit_keeping_best(classifier, state, *rows.train, X_valid=rows.valid[0], y_valid=rows.valid[1])
            classifier.set_params(tol=tol)
            state.trace = classifier.trace_
            state.held = scores(rows.valid[0], classifier.coef_, classifier.intercept_)
            done(1)
        _fit_keeping_best(classifier, state, rows.X, rows.y)
        done(1)


def _fit_keeping_best(classifier: Any, state: Fit, X: np.ndarray, y: np.ndarray, **valid: Any) -> None:
    """An interrupted first fit from zero may be worse than the path's winner, which then stays the best."""
    begun = hasattr(classifier, "coef_") or not hasattr(state.best, "coef_")
    if begun:
        state.best = classifier
    classifier._directions = state.directions
    try:
        classifier.fit(X, y, **valid)
    finally:
        del classifier._directions  # large, and no part of the model
    state.best = classifier


def timed(state: Fit, name: str, work: Callable[[], object]) -> None:
    """work(), its seconds under `name`, however it ends."""
    start = time.perf_counter()
    try:
        work()
    finally:
        state.seconds[name] = time.perf_counter() - start
