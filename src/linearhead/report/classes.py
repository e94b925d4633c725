"""The class table and one page a class: what it is taken for, what is taken for it, how many trained it."""

from __future__ import annotations

from collections import defaultdict
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
    taught, called_as, called_it = run.data.taught, *_ends(judged)
    rows = [_row(judged, i, taught, called_as[i], called_it[i]) for i in shown]
    for place, row in enumerate(rows):
        row["before"] = rows[place - 1]["index"] if place else None
        row["after"] = rows[place + 1]["index"] if place + 1 < len(rows) else None
    return {"rows": rows, "left_out": len(recalls) - len(rows), "worst_first": worst_first}


Ends = defaultdict[int, dict[int, int]]  # of each class, the others it was confused with and itself: how often


def _ends(judged: Evaluation) -> tuple[Ends, Ends]:
    """What pictures of each class were called, and what those called so were."""
    called_as, called_it = defaultdict(dict), defaultdict(dict)
    for i, j, count in judged.confusion:
        called_as[i][j] = called_it[j][i] = count
    return called_as, called_it


def _row(
    judged: Evaluation, i: int, taught: list[int], called_as: dict[int, int], called_it: dict[int, int]
) -> dict[str, Any]:
    known, others = bool(judged.confusion), _most(called_as, i)
    return {
        "index": i,
        "score": judged.per_class[i],
        "found": called_as.get(i, 0) if known else None,
        "called": sum(called_it.values()) if known else None,
        "trained": taught[i] if i < len(taught) else None,
        "taken_for": others[0] if others else None,
        "called_as": others,
        "mistaken_for_it": _most(called_it, i),
    }


def _most(counts: dict[int, int], own: int) -> list[tuple[int, int]]:
    """(class, how often) of the others, the commonest first."""
    others = [(j, n) for j, n in counts.items() if j != own]
    return sorted(others, key=lambda pair: (-pair[1], pair[0]))[:LISTED]
