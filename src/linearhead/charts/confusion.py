"""A confusion matrix as a drawing: rows what it is, columns what it was called, shade √(share of the row)."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DataError
from .chart import COLOURS, Chart, label, width_of
from .words import clipped, escaped

MOST = 40  # classes drawn; of more, those with the most mistakes made or attracted
CELL = 30  # pixels


def confusion_chart(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Chart:
    """Blue on the diagonal, orange off it. DataError without a picture."""
    if not any(map(any, counts)):
        raise DataError("Nothing can be drawn in Confusion: no picture was judged.")
    shown = _shown(counts)
    names = [clipped(classes[i], 20) for i in shown]
    left, top = max(map(width_of, names)) + 16, 56 + 0.72 * max(map(width_of, names))
    body = [label(6, 18, "Confusion", kind="title"), label(6, 36, "is ↓ called →")]
    for place, name in enumerate(names):
        body.append(label(left - 6, top + place * CELL + 20, name, anchor="end", kind="name"))
        x, y = left + place * CELL + 14, top - 6
        body.append(f'<g transform="rotate(-45 {x:.1f} {y:.1f})">{label(x, y, name, kind="name")}</g>')
    for r, i in enumerate(shown):
        of = sum(counts[i])
        for c, j in enumerate(shown):
            if counts[i][j]:
                body.append(_cell(left + c * CELL, top + r * CELL, counts[i][j], of, i == j))
    if len(shown) < len(counts):
        body.append(label(6, top + len(shown) * CELL + 18, f"the {len(shown)} of {len(counts)} most confused classes"))
    wrong = sorted(((n, i, j) for i, row in enumerate(counts) for j, n in enumerate(row) if i != j and n), reverse=True)
    told = "; ".join(f"{n} × {classes[i]} called {classes[j]}" for n, i, j in wrong[:10]) or "no mistake"
    width = left + len(shown) * CELL + 0.72 * max(map(width_of, names)) + 8
    return Chart(
        "Confusion", f"Most confused: {told}.", round(width), round(top + len(shown) * CELL + 28), "".join(body)
    )


def _shown(counts: Sequence[Sequence[int]]) -> list[int]:
    k = len(counts)
    mistakes = [sum(counts[i]) + sum(row[i] for row in counts) - 2 * counts[i][i] for i in range(k)]
    return sorted(sorted(range(k), key=lambda i: -mistakes[i])[:MOST])


def _cell(x: float, y: float, count: int, of: int, right: bool) -> str:
    slot, shade = 0 if right else 1, (count / of) ** 0.5
    place = f'x="{x:.1f}" y="{y:.1f}" width="{CELL - 2}" height="{CELL - 2}" rx="3"'
    words = label(x + CELL / 2 - 1, y + 19, str(count), anchor="middle", kind="name", halo=True)
    return (
        f'<g><title>{escaped(f"{count} of {of}")}</title><rect class="lh-f{slot}" {place} fill="{COLOURS[slot][0]}" '
        f'fill-opacity="{0.15 + 0.85 * shade:.2f}"/>'
        f"{words}</g>"
    )
