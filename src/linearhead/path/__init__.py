"""All penalty strengths at once: fits that share rows, their eigenbasis and one another's optimum.

Rules, on held-out rows: "best" takes the lowest loss among those whose accuracy is within one standard error of the
highest, since loss tells apart what accuracy cannot; "accuracy" the highest accuracy (ties: the stronger penalty), as
published protocols do; "one_standard_error" the strongest penalty within one standard error (Breiman et al. 1984, sec.
3.4.3). How exact each fit is: walkers.py. Least squares with leave-one-out: least_squares.py. It never sees a test set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from ..certificate import certify
from ..errors import UsageError
from ..objective import Objective, check_combination
from ..objective.checking import check_number
from ..objective.inputs import codes_of
from ..records import Status
from .held import folds, held_out, hold_out
from .least_squares import leave_one_out
from .protocols import PROTOCOLS, Protocol, protocol_of, random_part
from .result import RULES, PathPoint, RegularizationPath
from .sample import Maker, Sample
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
    check_number("tol", tol, 0, optional=True)
    check_number("max_iter", max_iter, 0, whole=True, optional=True)
    check_number("give_up", give_up, 1, whole=True, optional=True)
    refit = plan is not None if refit is None else refit
    check_combination(loss, penalty)
    if penalty == "none":
        raise UsageError("A path follows the strength of a penalty, and penalty='none' has none: choose l2.")
    make = Maker(loss, penalty, l1_ratio, margin, standardize, fit_intercept)
    whole, judging = Sample.of(X, y, sample_weight), None if valid is None else Sample.of(*valid)
    training = whole
    if judging is not None:
        whole = whole.joined(judging) if refit else whole
    elif plan is not None:
        training, judging = (whole.take(rows) for rows in random_part(len(whole.y), plan.part, random_state))
    objective, classes = make.objective(training)
    path = RegularizationPath.of(objective, classes, rule)
    held = _judges(objective, classes, judging, cv, random_state)
    options = {"tol": tol, "max_iter": max_iter, "certificates": certificates}
    if cv == LEAVE_ONE_OUT:
        follow_leaving_one_out(path, objective, alphas, tol, certificates, callback)
    elif plan is not None:
        _by_protocol(path, objective, held, plan, callback, **options)
    else:
        follow(path, objective, held, alphas, give_up=give_up, callback=callback, **options)
    if refit:
        again, _ = make.objective(whole)
        alpha = path.alpha_ if plan is None else path.alpha_ * objective.total / again.total
        with again.design.session():
            path.refit = _point(Walk(again, [], tol, max_iter, True), alpha)
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
    if valid is not None and not (isinstance(valid, (tuple, list)) and len(valid) == 2):
        raise UsageError(f"valid is a pair (X, y) of held-out rows and their labels; found {type(valid).__name__}.")
    if not (cv is None or isinstance(cv, Integral) or (isinstance(cv, str) and cv == LEAVE_ONE_OUT)):
        raise UsageError(f"cv is a number of folds or {LEAVE_ONE_OUT!r}; found {cv!r}.")
    return plan, rule


def _judges(objective: Objective, classes: np.ndarray, judging: Sample | None, cv: int | str | None, seed: int) -> list:
    """Pairs of a training and a held-out objective: one, or one per fold, or none."""
    if judging is not None:
        codes = codes_of(judging.y, classes, "The validation rows have classes that y lacks")
        return [(objective, held_out(objective, judging.X, codes))]
    return folds(objective, int(cv), seed) if isinstance(cv, Integral) else []


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
            point = _point(walk, path.unit / (10.0**power * path.n_rows))
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
