"""Pictures of fits: one or several traces against passes or seconds, and a penalty path with its chosen point.

The gap is F − F*, with F* given or, failing that, the lowest F of the traces drawn: zero cannot be shown on a
logarithmic axis, so the point that defines the lowest F is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from .chart import Chart
from .lines import Mark, Series, line_chart
from .words import number

AGAINST = {"passes": "passes over the training rows", "seconds": "seconds", "iteration": "iteration"}
WHAT = {
    "loss": ("loss", ("train_loss", "valid_loss")),
    "accuracy": ("accuracy", ("train_accuracy", "valid_accuracy")),
    "value": ("objective F", ("value",)),
    "gap": ("F − F*", ("value",)),
}
TITLES = {"loss": "Loss", "accuracy": "Accuracy", "value": "Objective", "gap": "Distance to the optimum"}
SETS = {"train_loss": "train", "valid_loss": "validation", "train_accuracy": "train", "valid_accuracy": "validation"}


def trace_chart(
    traces: Any,
    against: str = "passes",
    what: str = "loss",
    *,
    optimum: float | None = None,
    log: bool | None = None,
    title: str | None = None,
    size: tuple[int, int] = (640, 380),
) -> Chart:
    """One trace, or several by name, on one picture: `what` of WHAT against `against` of AGAINST.

    With one trace train and validation have a colour each; with several each trace has one, validation dashed.
    `log` is decided by the values unless given; `optimum` is F* of the gap. UsageError for an unknown word, DataError
    where nothing of the kind was recorded.
    """
    named = {"": traces} if not isinstance(traces, Mapping) else dict(traces)
    for word, choices in ((against, AGAINST), (what, WHAT)):
        if word not in choices:
            raise UsageError(
                f"A trace is drawn against one of {', '.join(AGAINST)} and shows one of {', '.join(WHAT)};"
                f" {word!r} is neither."
            )
    y_label, columns = WHAT[what]
    series = [
        Series(_name(name, column, len(named)), getattr(trace, against), getattr(trace, column), *_look(i, j, named))
        for i, (name, trace) in enumerate(named.items())
        for j, column in enumerate(columns)
        if _recorded(trace, column)
    ]
    if not series:
        raise DataError(_nothing(named, what))
    if what == "gap":
        series, y_label = _gaps(series, optimum)
    title = title if title is not None else f"{TITLES[what]} against {against}"
    return line_chart(
        series,
        title=title,
        x_label=AGAINST[against],
        y_label=y_label if y_label != title.lower() else "",
        y_log=(what == "gap" or (what != "accuracy" and _wide(series))) if log is None else log,
        as_percent=what == "accuracy",
        size=size,
    )


def _recorded(trace: Any, column: str) -> bool:
    return any(v is not None for v in getattr(trace, column))


def _name(trace: str, column: str, count: int) -> str:
    of_set = SETS.get(column, "objective")
    if count == 1:
        return of_set if column in SETS else trace or of_set
    return f"{trace}, {of_set}" if column in SETS else trace


def _look(i: int, j: int, named: Mapping[str, Any]) -> tuple[str, int]:
    return ("line", j) if len(named) == 1 else ("dashed" if j else "line", i)


def _gaps(series: Sequence[Series], optimum: float | None) -> tuple[list[Series], str]:
    values = [np.array(s.y, dtype=np.float64) for s in series]
    finite = np.concatenate(values)[np.isfinite(np.concatenate(values))]
    lowest = optimum if optimum is not None else finite.min() if len(finite) else 0.0
    gaps = [Series(s.label, s.x, v - lowest, s.kind, s.slot) for s, v in zip(series, values, strict=True)]
    return gaps, "F − F*" if optimum is not None else "F − the lowest F reached"


def _wide(series: Sequence[Series]) -> bool:
    """Whether the values span so much that a linear axis would hide the small ones."""
    values = np.concatenate([np.array(s.y, dtype=np.float64) for s in series])
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.min() > 0 and values.max() > 50 * values.min()


def _nothing(named: Mapping[str, Any], what: str) -> str:
    empty = not any(len(trace) for trace in named.values())
    if empty:
        return f"There is no {what} to draw: the {'trace is' if len(named) == 1 else 'traces are'} empty. Fit first."
    held = [w for w, (_, columns) in WHAT.items() if any(_recorded(t, c) for t in named.values() for c in columns)]
    return f"There is no {what} to draw: these traces hold only {', '.join(held) or 'no values'}. Draw one of those."


def path_chart(
    path: Sequence[Mapping[str, Any]],
    chosen: float | None = None,
    what: str = "accuracy",
    *,
    title: str | None = None,
    size: tuple[int, int] = (640, 380),
) -> Chart:
    """Train and validation `what` ("accuracy" or "loss") against alpha; rows hold alpha, valid_accuracy, ….

    The row whose alpha is `chosen` is ringed. An alpha of 0 has no place on the logarithmic axis and is left out.
    """
    if what not in ("accuracy", "loss"):
        raise UsageError(f"A path shows accuracy or loss; {what!r} is neither.")
    rows = sorted((row for row in path if row.get("alpha")), key=lambda row: row["alpha"])
    columns = [f"{part}_{what}" for part in ("train", "valid")]
    series = [
        Series(SETS[column], [row["alpha"] for row in rows], [row.get(column) for row in rows], "marked", slot)
        for slot, column in enumerate(columns)
        if any(row.get(column) is not None for row in rows)
    ]
    if not series:
        raise DataError(f"There is no {what} to draw: no row of this path holds a positive alpha and {columns[1]}.")
    return line_chart(
        series,
        title=title if title is not None else f"{what.capitalize()} against alpha",
        x_label="alpha, the strength of the penalty",
        y_label=what,
        x_log=True,
        y_log=what == "loss" and _wide(series),
        as_percent=what == "accuracy",
        marks=_chosen(rows, chosen, columns),
        size=size,
    )


def _chosen(rows: Sequence[Mapping[str, Any]], chosen: float | None, columns: Sequence[str]) -> list[Mark]:
    """The ring sits on the validation line, which did the choosing, or else on the training line."""
    if chosen is None or not rows:
        return []
    row = min(rows, key=lambda row: abs(np.log(row["alpha"] / chosen)) if chosen > 0 else np.inf)
    value = next((row[c] for c in reversed(columns) if row.get(c) is not None), None)
    near = chosen > 0 and abs(row["alpha"] / chosen - 1) < 1e-6
    return [Mark(row["alpha"], value, f"chosen {number(chosen)}")] if near and value is not None else []
