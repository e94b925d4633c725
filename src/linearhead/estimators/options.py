"""Options looked at before any work: each has one sentence that names what was found and what is possible."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from ..errors import UsageError
from ..losses import LOSSES
from ..solvers import SCHEDULES


def check_options(model: Any, solver: str) -> None:
    """UsageError where an option of a LinearClassifier has a value that cannot work; solver: the one chosen."""
    check_number(model, "alpha", 0, words=("auto",))
    check_number(model, "tol", 0, optional=True)
    check_number(model, "l1_ratio", 0, 1)
    check_number(model, "margin", 0, above=True)
    check_number(model, "momentum", 0, 1, below=True, optional=True)
    check_number(model, "batch_size", 1, whole=True)
    check_number(model, "max_iter", 0, whole=True, optional=True)
    check_number(model, "patience", 1, whole=True, optional=True)
    if not isinstance(model.schedule, str) or model.schedule not in SCHEDULES:
        raise UsageError(f"schedule is one of {', '.join(SCHEDULES)}; found {model.schedule!r}.")
    steps = ("1/L", "backtracking") if solver == "gd" else ()
    check_number(model, "learning_rate", 0, above=True, optional=True, words=steps)
    if solver == "gd" and LOSSES[model.loss].smoothness == 0 and not isinstance(model.learning_rate, Real):
        raise UsageError(
            f"gd on {model.loss} needs a number as learning_rate: the loss has kinks, so its curvature has no bound. "
            "Give learning_rate=0.01, say, or choose solver='dual' or 'sgd'."
        )


def check_number(
    model: Any,
    name: str,
    least: float,
    most: float = float("inf"),
    *,
    above: bool = False,
    below: bool = False,
    whole: bool = False,
    optional: bool = False,
    words: tuple[str, ...] = (),
) -> None:
    """UsageError unless the option is a finite number in [least, most] (above least, below most), or a known word."""
    value = getattr(model, name)
    if (optional and value is None) or (isinstance(value, str) and value in words):
        return
    kind = Integral if whole else Real
    if isinstance(value, kind) and not isinstance(value, bool):
        number = float(value)
        inside = least < number if above else least <= number
        if inside and (number < most if below or most == float("inf") else number <= most):
            return
    what = "a whole number" if whole else "a finite number"
    bounds = f"> {least}" if above else f"≥ {least}"
    if most < float("inf"):
        bounds += f" and < {most}" if below else f" and ≤ {most}"
    others = "".join(f" or {word!r}" for word in words) + " or None" * optional
    raise UsageError(f"{name} must be {what} {bounds}{others}; found {value!r}.")
