"""The class table and one page a class: what it is taken for, what is taken for it, how many trained it."""

from __future__ import annotations

from typing import Any

from ..records import Evaluation, Run
from . import confusion

ROWS = 200  # of the class table; as many have a page
LISTED = 6  # classes confused with one, on its page


def table(run: Run, judged: Evaluation) -> dict[str, Any]:
    """One row per class; of many classes the lowest recall first, and of very many only the first ROWS."""
    recalls = [2.0 if score.recall is None else score.recall for score in judged.per_class]
    shown, worst_first = list(range(len(recalls))), len(recalls) > confusion.WIDE
    if worst_first:
        shown = sorted(shown, key=recalls.__getitem__)[:ROWS]
    taught = run.data.taught
    rows = [_row(judged, i, taught) for i in shown]
    for place, row in enumerate(rows):
        row["before"] = rows[place - 1]["index"] if place else None
        row["after"] = rows[place + 1]["index"] if place + 1 < len(rows) else None
    return {"rows": rows, "left_out": len(recalls) - len(rows), "worst_first": worst_first}


def _row(judged: Evaluation, i: int, taught: list[int]) -> dict[str, Any]:
    counts = judged.confusion
    inside = i < len(counts)
    column = [row[i] for row in counts] if inside else []
    called_as = _most(counts[i], i) if inside else []
    return {
        "index": i,
        "score": judged.per_class[i],
        "found": counts[i][i] if inside else None,
        "called": sum(column) if inside else None,
        "trained": taught[i] if i < len(taught) else None,
        "taken_for": called_as[0] if called_as else None,
        "called_as": called_as,
        "mistaken_for_it": _most(column, i),
    }


def _most(counts: list[int], own: int) -> list[tuple[int, int]]:
    """(class, how often) of the others, the commonest first."""
    others = [(j, n) for j, n in enumerate(counts) if n and j != own]
    return sorted(others, key=lambda pair: (-pair[1], pair[0]))[:LISTED]
