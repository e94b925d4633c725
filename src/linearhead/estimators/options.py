"""Options looked at before any work: each has one sentence that names what was found and what is possible."""

from __future__ import annotations

from numbers import Real
from typing import Any

from ..errors import UsageError
from ..losses import LOSSES
from ..objective.checking import check_number
from ..solvers import SCHEDULES


def check_options(model: Any, solver: str) -> None:
    """UsageError where an option of a LinearClassifier has a value that cannot work; solver: the one chosen."""
    check_number("alpha", model.alpha, 0, words=("auto",))
    check_number("tol", model.tol, 0, optional=True)
    check_number("l1_ratio", model.l1_ratio, 0, 1)
    check_number("margin", model.margin, 0, above=True)
    check_number("momentum", model.momentum, 0, 1, below=True, optional=True)
    check_number("batch_size", model.batch_size, 1, whole=True)
    check_number("max_iter", model.max_iter, 0, whole=True, optional=True)
    check_number("patience", model.patience, 1, whole=True, optional=True)
    for name in ("fit_intercept", "standardize", "nesterov", "averaging", "warm_start"):
        if isinstance(value := getattr(model, name), str):  # "no" would count as True
            raise UsageError(f"{name} is True or False; found {value!r}.")
    if not (model.callback is None or callable(model.callback)):
        raise UsageError(f"callback is a function that takes a row of the trace, or None; found {model.callback!r}.")
    if not isinstance(model.schedule, str) or model.schedule not in SCHEDULES:
        raise UsageError(f"schedule is one of {', '.join(SCHEDULES)}; found {model.schedule!r}.")
    if solver == "sgd" and isinstance(model.learning_rate, str):
        raise UsageError(
            "sgd takes a number as learning_rate, or tries several where none is given; found "
            f"{model.learning_rate!r}. 1/L and backtracking are for gd, whose steps see all rows."
        )
    steps = ("1/L", "backtracking") if solver == "gd" else ()
    check_number("learning_rate", model.learning_rate, 0, above=True, optional=True, words=steps)
    if solver == "gd" and LOSSES[model.loss].smoothness == 0 and not isinstance(model.learning_rate, Real):
        raise UsageError(
            f"gd on {model.loss} needs a number as learning_rate: the loss has kinks, so its curvature has no bound. "
            "Give learning_rate=0.01, say, or choose solver='dual' or 'sgd'."
        )
