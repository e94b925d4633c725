"""check.html: task by task what was found, with the picture that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..charts import Chart, Series, bar_chart, line_chart
from ..charts.page import drawn, heading, paragraph
from ..charts.page import page as whole_page
from ..errors import DataError, UsageError
from .tasks import TASKS

if TYPE_CHECKING:
    from .check import Report


def page(report: Report) -> str:
    right = sum(task.right for task in report.tasks)
    parts = [paragraph(f"{right} of {len(report.tasks)} tasks are right.")]
    for task in report.tasks:
        parts.append(heading(f"{'✓' if task.right else '✗'} {task.task}: {TASKS[task.task][0]}"))
        for m in task.mistakes:
            parts += [paragraph(f"{m.title}. {m.seen}"), paragraph(m.remedy, quiet=True)]
        if task.picture is not None and (chart := draw(task.picture)) is not None:
            parts.append(drawn([chart]))
    return whole_page("Your assignment, checked", *parts)


def draw(picture: dict[str, Any]) -> Chart | None:
    """The chart of a task's picture; None where nothing in it can be drawn."""
    try:
        if "bars" in picture:
            return bar_chart(list(picture["bars"]), list(picture["bars"].values()), title=picture["title"])
        series = [Series(s["label"], s["x"], s["y"], s["kind"], i) for i, s in enumerate(picture["series"])]
        log = picture.get("x_log", False)
        return line_chart(series, title=picture["title"], x_label=picture["x"], y_label=picture["y"], x_log=log)
    except (DataError, UsageError):
        return None
