"""All penalty strengths at once: fits that share rows, their eigenbasis and one another's optimum.

Rules, on held-out rows: "best" takes the lowest loss among those whose accuracy is within one standard error of the
highest, since loss tells apart what accuracy cannot; "accuracy" the highest accuracy (ties: the stronger penalty), as
published protocols do; "one_standard_error" the strongest penalty within one standard error (Breiman et al. 1984, sec.
3.4.3). How exact each fit is: walkers.py. Least squares with leave-one-out: least_squares.py. It never sees a test set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..certificate import certify
from ..design import design_of, opened
from ..errors import DataError, UsageError
from ..losses import LOSSES
from ..objective import Objective, check_combination
from ..objective.checking import check_finite, check_weights
from ..penalties import PENALTIES
from ..records import Status
from .held import folds, held_out, hold_out
from .least_squares import leave_one_out
from .protocols import PROTOCOLS, Protocol, protocol_of, random_part
from .result import RULES, PathPoint, RegularizationPath
from .walk import GIVE_UP, Walk, _point, checked_alphas, default_alphas, follow, standard_error
from .walkers import solvable

LEAVE_ONE_OUT = "loo"


def regularization_path(
    X: Any,
    y: Any,
    *,
    loss: str = "cross_entropy",
    penalty: str = "l2",
    alphas: Sequence[float] | None = None,
    valid: tuple[Any, Any] | None = None,
    cv: int | str | None = None,
    rule: str | None = None,
    protocol: str | None = None,
    refit: bool | None = None,
    l1_ratio: float = 0.5,
    margin: float = 1.0,
    sample_weight: np.ndarray | None = None,
    standardize: bool = False,
    fit_intercept: bool = True,
    tol: float | None = None,
    max_iter: int | None = None,
    give_up: int | None = GIVE_UP,
    certificates: bool = True,
    random_state: int = 0,
    callback: Callable[[PathPoint], Any] | None = None,
) -> RegularizationPath:
    """Fit X (n, d), y (n,) for every α; judge on `valid` = (Xv, yv), by `cv` stratified folds, or cv="loo".

    alphas: default `default_alphas`. rule: one of RULES, "best" unless a protocol says otherwise. protocol: one of
    PROTOCOLS, which sets alphas, rule, split, give_up and refit. refit: fit the chosen strength to training and
    validation rows together. tol: the residual of every fit, as of the estimators; None: as exact as the choice needs.
    give_up: end after that many α's in a row that lose to the best (None: never). cv="loo": least squares only, exact.
    Raises UsageError for options that do not fit, DataError for rows that cannot be used.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> path = regularization_path(X[:800], y[:800], valid=(X[800:1000], y[800:1000]), alphas=[10, 1, 0.1, 0.01])
    >>> path.alpha_, [row["alpha"] for row in path.rows()]
    (0.01, [10.0, 1.0, 0.1, 0.01])
    """
    plan, rule = _checked(protocol, rule, alphas, valid, cv)
    check_combination(loss, penalty)
    make = Maker(loss, penalty, l1_ratio, margin, standardize, fit_intercept)
    X, y = opened(X), np.asarray(y)
    weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    X_all, y_all, w_all = X, y, weights
    if plan is not None and valid is None:
        train, kept = random_part(len(y), plan.part, random_state)
        X, y, valid = X_all[train], y_all[train], (X_all[kept], y_all[kept])
        weights = None if weights is None else weights[train]
    elif valid is not None:
        X_all, y_all, w_all = _stacked(X, y, weights, valid) if refit or plan is not None else (X, y, weights)
    objective, classes = make.objective(X, y, weights)
    path = RegularizationPath(classes=classes, rule=rule, n_rows=objective.n)
    held = _judges(objective, classes, valid, cv, random_state)
    options = {"tol": tol, "max_iter": max_iter, "certificates": certificates}
    if cv == LEAVE_ONE_OUT:
        follow_leaving_one_out(path, objective, alphas, tol, certificates, callback)
    elif plan is not None:
        _by_protocol(path, objective, held, plan, callback, **options)
    else:
        follow(path, objective, held, alphas, give_up=give_up, callback=callback, **options)
    if refit or (refit is None and plan is not None):
        whole, _ = make.objective(X_all, y_all, w_all)
        alpha = path.alpha_ * objective.total / whole.total if plan is not None else path.alpha_
        with whole.design.session():
            path.refit = _point(Walk(whole, [], tol, max_iter, True), alpha)
    return path


def _checked(
    protocol: str | None, rule: str | None, alphas: Any, valid: Any, cv: int | str | None
) -> tuple[Protocol | None, str]:
    """The protocol and the rule; UsageError where the options of a path contradict each other."""
    plan = None if protocol is None else protocol_of(protocol)
    rule = rule or ("best" if plan is None else "accuracy")
    if plan is not None and (alphas is not None or cv is not None):
        raise UsageError(f"protocol={plan.name!r} brings its own alphas and split: leave out alphas and cv.")
    if rule not in RULES:
        raise UsageError(f"rule is one of {', '.join(RULES)}; found {rule!r}.")
    if valid is not None and cv is not None:
        raise UsageError("Give valid=(X, y) or cv=folds, not both: one set of held-out rows chooses alpha.")
    if isinstance(cv, str) and cv != LEAVE_ONE_OUT:
        raise UsageError(f"cv is a number of folds or {LEAVE_ONE_OUT!r}; found {cv!r}.")
    return plan, rule


def _judges(objective: Objective, classes: np.ndarray, valid: Any, cv: int | str | None, seed: int) -> list:
    """Pairs of a training and a held-out objective: one, or one per fold, or none."""
    if valid is not None:
        return [(objective, held_out(objective, valid[0], _codes(classes, valid[1])))]
    return folds(objective, cv, seed) if isinstance(cv, int) else []


class Maker:
    """Objectives of one kind on different rows."""

    def __init__(self, loss: str, penalty: str, l1_ratio: float, margin: float, standardize: bool, intercept: bool):
        kind: Any = LOSSES[loss]
        self.loss = kind(margin=margin) if "margin" in kind.__dataclass_fields__ else kind()
        kind = PENALTIES[penalty]
        self.penalty = kind(l1_ratio=l1_ratio) if "l1_ratio" in kind.__dataclass_fields__ else kind()
        self.standardize, self.intercept = standardize, intercept

    def objective(self, X: Any, y: np.ndarray, weights: np.ndarray | None) -> tuple[Objective, np.ndarray]:
        """The objective of these rows with α = 1, and the classes."""
        check_finite(X)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2 or len(codes) != X.shape[0]:
            found = f"found {len(codes)} labels of {len(classes)}"
            raise DataError(f"A path needs one label per row and two classes; {found}.")
        if weights is not None:
            check_weights(weights)
        design = design_of(X, intercept=self.intercept).fitted(weights, self.standardize)
        return Objective(design, codes, len(classes), self.loss, self.penalty, 1.0, weights, watch=True), classes


def _codes(classes: np.ndarray, y: Any) -> np.ndarray:
    known = np.isin(y, classes)
    if not np.all(known):
        raise DataError(
            f"The validation rows have classes that y lacks: {np.unique(np.asarray(y)[~known])[:5].tolist()}."
        )
    return np.searchsorted(classes, y)


def _stacked(X: Any, y: np.ndarray, weights: np.ndarray | None, valid: tuple) -> tuple[Any, np.ndarray, Any]:
    if hasattr(X, "tocsr"):
        import scipy.sparse

        rows: Any = scipy.sparse.vstack([X, valid[0]]).tocsr()
    else:
        rows = np.concatenate([X, valid[0]])
    w = None if weights is None else np.concatenate([weights, np.ones(len(valid[1]))])
    return rows, np.concatenate([y, valid[1]]), w


def _by_protocol(
    path: RegularizationPath,
    objective: Objective,
    held: list,
    plan: Protocol,
    callback: Callable[[PathPoint], Any] | None,
    *,
    tol: float | None,
    max_iter: int | None,
    certificates: bool,
) -> None:
    """Fit the protocol's values of C in its order; the points stay sorted, strong to weak."""
    with objective.design.session():
        walk = Walk(objective, held, tol, max_iter, certificates)
        for power in plan.values(lambda: path):
            point = _point(walk, 1 / (10.0**power * objective.total))
            path.points.append(point)
            path.points.sort(key=lambda p: -p.alpha)
            if point.status is Status.INTERRUPTED:
                raise KeyboardInterrupt
            if callback is not None and callback(point) is True:
                break


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
        error = standard_error(held_accuracy, objective.n)
        path.points.append(
            PathPoint(
                float(alpha), objective.design.stored(theta), Status.CONVERGED, proof, float(loss),
                float(accuracy), float(held_loss), float(held_accuracy), error, share, 0.0,
            )
        )  # fmt: skip
        if callback is not None and callback(path.points[-1]) is True:
            break


__all__ = [
    "PROTOCOLS",
    "RULES",
    "PathPoint",
    "RegularizationPath",
    "default_alphas",
    "folds",
    "follow",
    "follow_leaving_one_out",
    "held_out",
    "hold_out",
    "leave_one_out",
    "regularization_path",
    "solvable",
]
