"""The confusion matrix as a page can use it: shaded cells, the most confused pairs, and, of many classes, the worst.

A cell's shade is √(share of its row), in nine levels: the root lifts the rare mistakes, which are what one looks for.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Evaluation, Run

LEVELS = 9
WHOLE = 160  # classes up to which the matrix is drawn whole
WORST = 60  # classes drawn when it is not
CELLS = 8000  # filled cells up to which it is drawn whole
WIDE = 24  # classes up to which cells have room for their counts
SIDE, CELL = 152, 21  # pixels of a compact matrix: its names, and every class
PAPER = 660  # of a printed page: a matrix that is wider is printed at so many fifths of its size
PAIRS = 12


@dataclass(frozen=True)
class Cell:
    row: int
    column: int
    count: int
    level: str  # "g1" … "g9" on the diagonal, "e1" … "e9" off it


def matrix(judged: Evaluation) -> dict[str, Any]:
    """Rows of cells (a number: so many empty columns), the classes drawn, and how many were left out."""
    counts, totals = {(i, j): count for i, j, count in judged.confusion}, rows_of(judged)
    shown = drawn_classes(judged)
    compact = len(shown) > WIDE
    rows = [(i, totals[i], _row([_cell(counts, totals, i, j) for j in shown], compact)) for i in shown]
    return {
        "classes": shown,
        "rows": rows,
        "compact": compact,
        "fifths": max(1, min(4, 5 * PAPER // (SIDE + CELL * len(shown)))),
        "left_out": len(judged.per_class) - len(shown),
        "names": "flat" if len(shown) <= 12 else "turned",
    }


def _row(cells: list[Cell | None], compact: bool) -> list[Cell | int]:
    """Empty cells as 1 each or, in a compact matrix, as one number a run: a tenth of the page's elements."""
    out: list[Cell | int] = []
    for cell in cells:
        if cell is None and compact and out and isinstance(out[-1], int):
            out[-1] += 1
        else:
            out.append(cell or 1)
    return out


def rows_of(judged: Evaluation) -> Counter[int]:
    """How many were judged of each class."""
    totals: Counter[int] = Counter()
    for i, _, count in judged.confusion:
        totals[i] += count
    return totals


def drawn_classes(judged: Evaluation) -> list[int]:
    """All classes where that stays usable, else the WORST with the most mistakes made or attracted, in order."""
    k = len(judged.per_class)
    if k <= WHOLE and len(judged.confusion) <= CELLS:
        return list(range(k))
    true, predicted, count = np.array(judged.confusion).T
    wrong, mistakes = true != predicted, np.zeros(k)
    for ends in (true, predicted):
        mistakes += np.bincount(ends[wrong], count[wrong], minlength=k)
    return sorted(int(i) for i in np.argsort(-mistakes, kind="stable")[:WORST])


def _cell(counts: dict[tuple[int, int], int], totals: Counter[int], i: int, j: int) -> Cell | None:
    count = counts.get((i, j))
    if not count:
        return None
    level = max(1, math.ceil(LEVELS * math.sqrt(count / totals[i])))
    return Cell(i, j, count, f"{'g' if i == j else 'e'}{level}")


def pairs(judged: Evaluation, limit: int = PAIRS) -> list[dict[str, Any]]:
    """The off-diagonal cells with the most pictures: of class i, how many of how many were called j."""
    totals = rows_of(judged)
    wrong = [(i, j, count) for i, j, count in judged.confusion if i != j]
    worst = sorted(wrong, key=lambda cell: (-cell[2], -cell[2] / totals[cell[0]], cell[:2]))[:limit]
    return [{"count": count, "row": i, "column": j, "of": totals[i]} for i, j, count in worst]


def cell_of_picture(run: Run) -> list[str]:
    """For every picture the key "true,predicted" of the cell it stands behind, by the record's own list."""
    keys = [f"{picture.label},{picture.predicted}" for picture in run.pictures]
    for key, members in run.cells.items():
        for index in members:
            if 0 <= index < len(keys):
                keys[index] = key
    return keys


def pictures_behind(run: Run, kept: set[int]) -> Counter[str]:
    """How many of the kept pictures stand behind each cell."""
    keys = cell_of_picture(run)
    return Counter(keys[index] for index in kept)
