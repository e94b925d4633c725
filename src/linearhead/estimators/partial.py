"""Learning from batches as they come: one pass of mini-batch steps per call, on the loss's own gradient.

The step size falls as 1/√(1 + t/t₀), t the calls so far, from the curvature that the first batch shows (or from
learning_rate). A batch need not hold every class: the classes are named at the first call. Columns far from 0 are
centred by the first batch's means, which the intercept takes up: F stays what it is, and steps need not be as short
as means ask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..design import design_of
from ..design.contract import squares
from ..errors import UsageError
from ..objective import Objective
from ..objective.checking import check_scale, check_weights, weights_of_classes
from ..objective.inputs import checked_weights, codes_of
from ..records import Status, Trace
from ..solvers import SGD
from .goal import tolerance
from .inputs import checked_pair
from .whole import whole_or_nothing

FAR = 5  # spreads of the first batch between a column and 0, beyond which it is centred
SETTLE = 3  # calls after which the step size has fallen to 1/√2 of the first


def partial_fit(estimator: Any, X: Any, y: Any, classes: Any, sample_weight: Any) -> Any:
    with whole_or_nothing(estimator):
        _partial_fit(estimator, X, y, classes, sample_weight)
    return estimator


def _partial_fit(estimator: Any, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
    fresh = not hasattr(estimator, "classes_")
    if fresh and classes is None:
        raise UsageError("The first call of partial_fit needs classes: later batches may bring classes this one lacks.")
    if fresh:
        _check_options(estimator)
    elif classes is not None and not np.array_equal(np.unique(classes), estimator.classes_):
        raise UsageError(f"classes differ from those of the first call or of fit, {estimator.classes_.tolist()}.")
    known = np.unique(np.asarray(classes)) if fresh else estimator.classes_
    objective = _objective(estimator, X, y, sample_weight, known, fresh)
    with objective.design.session():
        solution = _pass(estimator, objective, fresh)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    kind = np.float32 if objective.design.dtype == np.float32 else np.float64
    estimator.classes_ = known
    estimator._keep(objective, solution.point.theta, kind)
    newest = Trace(**{name: values[-1:] for name, values in vars(solution.trace).items()})
    estimator.trace_ = solution.trace if fresh else estimator.trace_.followed_by(newest)
    estimator.status_, estimator.converged_, estimator.n_iter_ = Status.MAX_ITER, False, estimator._calls
    estimator.alpha_, estimator.solver_, estimator.certificate_ = objective.alpha, "sgd", None
    estimator._reach = None


def _pass(estimator: Any, objective: Objective, fresh: bool) -> Any:
    """Steps over this batch from where the estimator is, a call more."""
    if not hasattr(estimator, "_calls"):
        estimator._calls = 0
        estimator._rate = estimator.learning_rate or objective.stochastic_rate(min(estimator.batch_size, objective.n))
    theta = objective.start() if fresh else estimator._theta(objective)
    rate = float(estimator._rate) / np.sqrt(1 + estimator._calls / SETTLE)
    momentum = estimator.momentum or 0.0
    sgd = SGD(max_iter=1, batch_size=estimator.batch_size, learning_rate=rate, schedule="constant", momentum=momentum)
    solution = replace(sgd, nesterov=estimator.nesterov, seed=estimator._calls)(objective, theta)
    estimator._calls += 1
    return solution


def _check_options(estimator: Any) -> None:
    """UsageError for options that cannot work, or not on batches: what needs all rows must be known beforehand."""
    estimator._make_solver()
    for name, value, instead in (
        ("alpha", "auto", "Give alpha as a number."),
        ("standardize", True, "Scale the columns beforehand, for example with StandardScaler."),
        ("class_weight", "balanced", "Give class_weight as {class: weight}."),
    ):
        found = getattr(estimator, name)
        if type(found) is type(value) and found == value:
            raise UsageError(f"partial_fit sees one batch at a time, and {name}={value!r} needs all rows. {instead}")


def _objective(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: np.ndarray, first: bool) -> Objective:
    X, y = checked_pair(estimator, X, y, reset=first)
    if len(classes) < 2:
        raise UsageError(f"A classifier needs at least two classes; classes names {classes.tolist()}.")
    codes = codes_of(y, classes, "y has classes that the first call did not name")
    sample_weight = checked_weights(sample_weight, X)
    if estimator.class_weight is not None:
        own = weights_of_classes(estimator.class_weight, classes, codes)[codes]
        sample_weight = own if sample_weight is None else own * sample_weight
        check_weights(sample_weight)
    design = design_of(X, intercept=bool(estimator.fit_intercept))
    mean, deviation = design.moments()
    if not hasattr(estimator, "_calls"):  # every batch has another mean: the first one's serves all
        estimator._centre = np.where(np.abs(mean) > FAR * deviation, mean, 0) * design.intercept
        # the spread of few rows is hardly known: steps as short as the mean asks for
        left = np.where(estimator._centre == 0, mean, mean / design.n)
    else:
        left = mean - estimator._centre
    away = np.hypot(deviation, left)
    check_scale(X, away, tolerance(estimator))
    design = design.centred(estimator._centre if estimator._centre.any() else None, deviation, None, squares(away))
    return estimator._problem(design, codes, len(classes), sample_weight)
