"""The race as pictures: objective and distance to the optimum, against passes and against seconds, and one table."""

from __future__ import annotations

import numpy as np

from ..charts import Chart, Series, line_chart, number, percent
from ..charts.page import drawn, heading, paragraph, table
from ..charts.page import page as whole_page
from ..losses import LOSSES
from .run import Race

NOISE = 1e-12  # relative: below it float64 sums have the say


def charts(race: Race) -> list[Chart]:
    """Distance against passes and seconds, then F against both."""
    out = []
    for what, title in (("distance", "Distance to the optimum"), ("value", "Objective F")):
        for against, words in (("passes", "passes over the pictures"), ("seconds", "seconds")):
            series = [
                Series(finish.name, getattr(finish.trace, against), _heights(finish.trace.value, what, race), "line", i)
                for i, finish in enumerate(race.finishers)
            ]
            out.append(
                line_chart(
                    series,
                    title=f"{title} against {against}",
                    x_label=words,
                    y_label="(F − F*) / F*" if what == "distance" else "",
                    x_log=True,
                    y_log=what == "distance",
                )
            )
    return out


def _heights(values: list[float], what: str, race: Race) -> list[float | None]:
    if what == "value":
        ceiling = 1.5 * max(finish.trace.value[0] for finish in race.finishers if len(finish.trace))
        return [min(v, ceiling) for v in values]  # who diverges leaves through the ceiling
    distance = np.array(values) / race.optimum - 1
    return [float(v) if v > NOISE else None for v in distance]


def page(race: Race, source: str, features: str) -> str:
    """One self-contained HTML page."""
    loss = LOSSES[race.loss].title
    proven = "" if race.proven is None else f", proven to within {number(race.proven)}"
    if race.proven is not None and race.proven > race.levels[-1] * race.optimum:
        proven += " only, as more was not to be had in the time: distances below that say nothing"
    best = f" Its accuracy on the test pictures: {percent(race.test_accuracy)}." if race.test_accuracy else ""
    return whole_page(
        "The race to the optimum",
        paragraph(
            f"{race.n} training pictures of {source} as {race.d} numbers each ({features}), {race.k} classes; {loss} "
            f"+ {race.alpha:g}/2 ‖W‖². Everybody starts from zero weights. F* = {race.optimum:.8g}{proven}.{best}"
        ),
        drawn(charts(race)),
        heading("Passes until F is within … of the optimum"),
        _crossings(race, "passes_to"),
        heading("Seconds until F is within … of the optimum"),
        _crossings(race, "seconds_to"),
        heading("Where they ended"),
        table(
            ("", "(F − F*) / F*", "test accuracy", "learning rate", "how it ended"),
            [
                (
                    f.name,
                    number(max(f.gap, 0.0)),
                    percent(f.test_accuracy),
                    number(f.learning_rate if isinstance(f.learning_rate, float) else None),
                    f.outcome,
                )
                for f in race.finishers
            ],
        ),
        paragraph(
            "A pass is one read of all training pictures. Finding the learning rates of gradient descent and SGD, and "
            "measuring F after each epoch of SGD, cost passes and time that are not charged to them.",
            quiet=True,
        ),
    )


def _crossings(race: Race, column: str) -> str:
    return table(
        ("", *(percent(level, 0) if level >= 0.01 else number(level) for level in race.levels)),
        [(f.name, *(number(v) for v in getattr(f, column))) for f in race.finishers],
    )
