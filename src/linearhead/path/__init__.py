"""All penalty strengths at once: fits that share rows, their eigenbasis and one another's optimum.

Rules, on held-out rows: "best" takes the lowest loss among those whose accuracy is within one standard error of the
highest, since loss tells apart what accuracy cannot; "accuracy" the highest accuracy (ties: the stronger penalty), as
published protocols do; "one_standard_error" the strongest penalty within one standard error (Breiman et al. 1984, sec.
3.4.3). How exact each fit is: walkers.py. Least squares with leave-one-out: least_squares.py. It never sees a test set.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import to_host
from ..certificate import sentence
from ..errors import ConvergenceWarning, UsageError
from ..objective.checking import check_number
from ..records import Status
from .held import LEAVE_ONE_OUT, checked_groups, folds, held_out, hold_out, judges, parts_of
from .least_squares import leave_one_out
from .leaving_out import left_out
from .protocols import PROTOCOLS, Protocol, protocol_of, random_part
from .result import RULES, PathPoint, RegularizationPath
from .sample import Maker, Sample
from .walk import GIVE_UP, Walk, default_alphas, fit_at, follow, follow_leaving_one_out, follow_protocol
from .walkers import solvable


def regularization_path(
    X: Any,
    y: Any,
    *,
    loss: str = "cross_entropy",
    penalty: str = "l2",
    alphas: Sequence[float] | None = None,
    valid: tuple[Any, Any] | None = None,
    cv: Any = None,
    groups: Any = None,
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
    """Fit X (n, d), y (n,) for every α; judge on `valid` = (Xv, yv), by `cv` stratified folds, or cv="loo". Where
    nothing is held out nothing is chosen: the path is there to be looked at, and `alpha_` raises UsageError.

    cv: a number of folds, "loo", one of scikit-learn's splitters, or pairs (training, held-out) of row numbers. groups
    (n,), of the rows of `valid` where that is given: rows of one group, such as frames of one film, are never on both
    sides of a fold, and count in the standard error by how alike they are.
    alphas: default `default_alphas`. rule: one of RULES, "best" unless a protocol says otherwise. protocol: one of
    PROTOCOLS, which sets alphas, rule, split, give_up and refit. refit: fit the chosen strength to training and
    validation rows together. tol: the residual of every fit, as of the estimators; None: as exact as the choice needs.
    give_up: end after that many α's in a row that lose to the best (None: never). cv="loo": least squares only, exact.
    sample_weight (n,): in fits and folds alike; rows of `valid` count one each.
    Raises UsageError for options that do not fit, DataError for rows that cannot be used.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> path = regularization_path(X[:800], y[:800], valid=(X[800:1000], y[800:1000]), alphas=[10, 1, 0.1, 0.01])
    >>> path.alpha_, [row["alpha"] for row in path.rows()]
    (0.01, [10.0, 1.0, 0.1, 0.01])
    """
    plan, rule, refit = _checked(protocol, rule, alphas, valid, cv, groups, refit)
    options = {"tol": tol, "max_iter": max_iter, "certificates": certificates}
    _check_numbers(tol, max_iter, give_up)
    make = Maker(loss, penalty, l1_ratio, margin, standardize, fit_intercept)
    given, judging = Sample.of(X, y, sample_weight), None if valid is None else Sample.of(*valid)
    training = given
    if judging is None and plan is not None:
        training, judging = (given.take(rows) for rows in random_part(given.y, plan.part, random_state))
    objective, classes = make.objective(training)
    path = RegularizationPath.of(objective, classes, rule)
    if valid is None:
        cv = _parted(cv, y, groups, random_state, sample_weight, len(given.y))
    held = judges(objective, classes, judging, cv, random_state)
    alike = None if groups is None else _codes(groups, held[0][1].n, None if valid else sample_weight)
    if isinstance(cv, str):
        follow_leaving_one_out(path, objective, alphas, tol, certificates, callback)
    elif plan is not None:
        follow_protocol(path, objective, held, plan, groups=alike, callback=callback, **options)
    else:
        follow(path, objective, held, alphas, give_up=give_up, groups=alike, callback=callback, **options)
    if refit:
        again, _ = make.objective(given if valid is None or judging is None else given.joined(judging))
        share = 1.0 if plan is None else objective.total / again.total  # the C of a protocol stays, which is of a sum
        with again.design.session():
            path.refit = fit_at(Walk(again, [], tol, max_iter), path.alpha_ * share)
    _warn(path)
    return path


def _known(cv: Any) -> bool:
    if isinstance(cv, str):
        return cv == LEAVE_ONE_OUT
    return cv is None or isinstance(cv, (Integral, Iterable)) or hasattr(cv, "split")


def _parted(cv: Any, y: Any, groups: Any, seed: int, sample_weight: Any, n: int) -> Any:
    """cv itself, or where it or groups say which rows are held out, those `Parts` of the n rows that have weight."""
    if groups is None and (cv is None or isinstance(cv, (Integral, str))):
        return cv
    parts = parts_of(cv, y, groups, seed)
    if n == len(parts[0][0]):
        return parts
    present = np.asarray(sample_weight) > 0
    return [(train[present], held[present]) for train, held in parts]


def _codes(groups: Any, n: int, sample_weight: Any) -> np.ndarray:
    """0 … m − 1 of the n rows that are left, those that have weight."""
    present = None if sample_weight is None else np.asarray(to_host(sample_weight)) > 0
    groups = checked_groups(groups, n if present is None else len(present))
    return np.unique(groups if present is None or len(present) == n else groups[present], return_inverse=True)[1]


def _warn(path: RegularizationPath) -> None:
    """ConvergenceWarning where the fit that predicts has ended too early; any fit, where none was chosen."""
    chosen = path.judged or path.refit
    for point in [path.refit or path.points[path.index_]] if chosen else path.points:
        proof = point.certificate
        if point.status is not Status.CONVERGED and not (proof and proof.certified):
            proven = "" if proof is None else f": {sentence(proof)}"
            warnings.warn(
                f"The fit at alpha = {point.alpha:.3g}{', which the path predicts by,' if chosen else ''} has not "
                f"converged{proven}. Likely cause: {point.status.value}.",
                ConvergenceWarning,
                stacklevel=3,
            )


def _checked(
    protocol: str | None, rule: str | None, alphas: Any, valid: Any, cv: Any, groups: Any, refit: bool | None
) -> tuple[Protocol | None, str, bool]:
    """The protocol, the rule and whether to refit; UsageError where the options of a path contradict each other."""
    plan = None if protocol is None else protocol_of(protocol)
    rule = rule or ("best" if plan is None else "accuracy")
    if plan is not None and (alphas is not None or cv is not None):
        raise UsageError(f"protocol={plan.name!r} brings its own alphas and split: leave out alphas and cv.")
    if rule not in RULES:
        raise UsageError(f"rule is one of {', '.join(RULES)}; found {rule!r}.")
    if valid is not None and cv is not None:
        raise UsageError("Give valid=(X, y) or cv=folds, not both: one set of held-out rows chooses alpha.")
    if valid is not None and not (isinstance(valid, (tuple, list)) and len(valid) == 2):
        raise UsageError(f"valid is a pair (X, y) of held-out rows and their labels; found {type(valid).__name__}.")
    if not _known(cv):
        raise UsageError(
            f"cv is a number of folds, {LEAVE_ONE_OUT!r}, a splitter of scikit-learn or pairs of row numbers; found "
            f"{cv!r}."
        )
    if groups is not None and valid is None and (cv is None or isinstance(cv, str)):
        raise UsageError(
            "groups are rows that cv shall not part, or of the rows of valid: give a number of folds, such as cv=5, or "
            "valid=(X, y) with them."
        )
    if refit and plan is None and valid is None and cv is None:
        raise UsageError(
            "refit fits the chosen alpha, and nothing is held out to choose by: give valid=(X, y) or cv=5."
        )
    return plan, rule, plan is not None if refit is None else refit


def _check_numbers(tol: float | None, max_iter: int | None, give_up: int | None) -> None:
    check_number("tol", tol, 0, optional=True)
    check_number("max_iter", max_iter, 0, whole=True, optional=True)
    check_number("give_up", give_up, 1, whole=True, optional=True)


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
    "left_out",
    "regularization_path",
    "solvable",
]
