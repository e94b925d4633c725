"""The class table and one page a class: what it is taken for, what is taken for it, how many trained it."""

from __future__ import annotations

from typing import Any

from ..records import Evaluation, Run
from . import confusion

ROWS = 200  # of the class table; as many have a page
LISTED = 6  # classes confused with one, on its page


def table(run: Run, judged: Evaluation) -> dict[str, Any]:
    """One row per class; of many classes the lowest recall first, and of very many only the first ROWS."""
    rows = [_row(run, judged, i) for i in range(len(judged.per_class))]
    worst_first = len(rows) > confusion.WIDE
    if worst_first:
        rows = sorted(rows, key=lambda row: 2.0 if row["score"].recall is None else row["score"].recall)[:ROWS]
    for place, row in enumerate(rows):
        row["before"] = rows[place - 1]["index"] if place else None
        row["after"] = rows[place + 1]["index"] if place + 1 < len(rows) else None
    return {"rows": rows, "left_out": len(judged.per_class) - len(rows), "worst_first": worst_first}


def _row(run: Run, judged: Evaluation, i: int) -> dict[str, Any]:
    counts = judged.confusion
    inside = i < len(counts)
    column = [row[i] for row in counts] if inside else []
    called_as = _most(counts[i], i) if inside else []
    return {
        "index": i,
        "score": judged.per_class[i],
        "found": counts[i][i] if inside else None,
        "called": sum(column) if inside else None,
        "trained": trained(run, i),
        "taken_for": called_as[0] if called_as else None,
        "called_as": called_as,
        "mistaken_for_it": _most(column, i),
    }


def _most(counts: list[int], own: int) -> list[tuple[int, int]]:
    """(class, how often) of the others, the commonest first."""
    others = [(j, n) for j, n in enumerate(counts) if n and j != own]
    return sorted(others, key=lambda pair: (-pair[1], pair[0]))[:LISTED]


def trained(run: Run, i: int) -> int | None:
    """Pictures of class i that trained the model."""
    counts = run.data.taught
    return counts[i] if i < len(counts) else None
