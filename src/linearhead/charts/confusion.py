"""A confusion matrix as a drawing: rows what it is, columns what it was called, shade √(share of the row)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..errors import DataError
from .chart import COLOURS, Chart, label, width_of
from .words import clipped, escaped

MOST = 40  # classes drawn; of more, those with the most mistakes made or attracted
CELL = 30  # pixels


def confusion_chart(cells: Sequence[Sequence[int]], classes: Sequence[str]) -> Chart:
    """Of [true, predicted, count] of every pair that occurs: blue on the diagonal, orange off it. DataError without a
    picture."""
    counts, totals, mistakes = {(i, j): n for i, j, n in cells}, Counter(), Counter()
    for i, j, n in cells:
        totals[i] += n
        mistakes.update({i: n, j: n} if i != j else {})
    if not counts:
        raise DataError("Nothing can be drawn in Confusion: no picture was judged.")
    shown = sorted(sorted(range(len(classes)), key=lambda i: -mistakes[i])[:MOST])
    names = [clipped(classes[i], 20) for i in shown]
    left, top = max(map(width_of, names)) + 16, 56 + 0.72 * max(map(width_of, names))
    body = [label(6, 18, "Confusion", kind="title"), label(6, 36, "is ↓ called →")]
    for place, name in enumerate(names):
        body.append(label(left - 6, top + place * CELL + 20, name, anchor="end", kind="name"))
        x, y = left + place * CELL + 14, top - 6
        body.append(f'<g transform="rotate(-45 {x:.1f} {y:.1f})">{label(x, y, name, kind="name")}</g>')
    for r, i in enumerate(shown):
        for c, j in enumerate(shown):
            if n := counts.get((i, j)):
                body.append(_cell(left + c * CELL, top + r * CELL, n, totals[i], i == j))
    if len(shown) < len(classes):
        body.append(label(6, top + len(shown) * CELL + 18, f"the {len(shown)} of {len(classes)} most confused classes"))
    wrong = sorted(((n, i, j) for (i, j), n in counts.items() if i != j), reverse=True)
    told = "; ".join(f"{n} × {classes[i]} called {classes[j]}" for n, i, j in wrong[:10]) or "no mistake"
    width = left + len(shown) * CELL + 0.72 * max(map(width_of, names)) + 8
    return Chart(
        "Confusion", f"Most confused: {told}.", round(width), round(top + len(shown) * CELL + 28), "".join(body)
    )


def _cell(x: float, y: float, count: int, of: int, right: bool) -> str:
    slot, shade = 0 if right else 1, (count / of) ** 0.5
    place = f'x="{x:.1f}" y="{y:.1f}" width="{CELL - 2}" height="{CELL - 2}" rx="3"'
    words = label(x + CELL / 2 - 1, y + 19, str(count), anchor="middle", kind="name", halo=True)
    return (
        f'<g><title>{escaped(f"{count} of {of}")}</title><rect class="lh-f{slot}" {place} fill="{COLOURS[slot][0]}" '
        f'fill-opacity="{0.15 + 0.85 * shade:.2f}"/>'
        f"{words}</g>"
    )
