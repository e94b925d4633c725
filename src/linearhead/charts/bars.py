"""Horizontal bars with intervals, and the reliability diagram: how often a stated confidence comes true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import DataError, UsageError
from .axes import Axis
from .chart import COLOURS, SURFACES, Chart, label, stroke, width_of
from .words import clipped, number, percent

ROW = 26  # pixels of one bar and its gap


def bar_chart(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    intervals: Sequence[tuple[float, float] | None] | None = None,
    title: str = "",
    show: Callable[[float], str] = number,
    limit: float | None = None,
    width: int = 640,
) -> Chart:
    """One bar per label for values ≥ 0, worded by `show`; `intervals` are whiskers, `limit` the full length.

    Raises UsageError where the lengths differ or a value is negative or not finite, DataError without a bar.
    """
    if not len(labels):
        raise DataError(f"Nothing can be drawn in {title or 'this chart'}: no bar was given.")
    whiskers = list(intervals) if intervals is not None else [None] * len(labels)
    if not len(labels) == len(values) == len(whiskers):
        raise UsageError(
            f"A bar chart needs as many labels, values and intervals; found {len(labels)}, {len(values)}"
            f" and {len(whiskers)}."
        )
    bad = next((v for v in values if not 0 <= v < float("inf")), None)
    if bad is not None:
        raise UsageError(f"Bars start at zero, so every value must be finite and not negative; found {bad}.")
    names = [clipped(name, 28) for name in labels]
    top = 30 if title else 4
    left = max(map(width_of, names)) + 14
    words = [show(v) for v in values]
    longest = limit or max([*values, *(w[1] for w in whiskers if w)]) or 1.0
    axis = Axis(0, longest, left, width - max(map(width_of, words)) - 14)
    body = [label(6, 18, title, kind="title")] if title else []
    for i, (name, value, whisker) in enumerate(zip(names, values, whiskers, strict=True)):
        body.append(_bar(axis, top + i * ROW, name, value, words[i], whisker))
    height = top + ROW * len(names) + 4
    body.append(stroke("axis", left, top, left, height - 6))
    told = ", ".join(f"{name} {word}" for name, word in zip(labels, words, strict=True))
    return Chart(title, f"Bars: {told}.", width, height, "".join(body))


def _bar(axis: Axis, y: float, name: str, value: float, words: str, whisker: tuple[float, float] | None) -> str:
    end = float(axis.place(value))
    out = label(axis.start - 8, y + 16, name, anchor="end", kind="name")
    out += (
        f'<rect class="lh-f0" x="{axis.start:.1f}" y="{y + 4:.1f}" width="{max(end - axis.start, 0.5):.1f}" '
        f'height="{ROW - 10}" rx="2" fill="{COLOURS[0][0]}"/>'
    )
    if whisker:
        low, high = (float(v) for v in axis.place(whisker))
        middle = y + ROW / 2 - 1
        for x1, y1, x2, y2 in (
            (low, middle, high, middle),
            (low, middle - 4, low, middle + 4),
            (high, middle - 4, high, middle + 4),
        ):
            out += f'<line class="lh-ring" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            out += f'stroke="{SURFACES["ink"][0]}" stroke-width="1.5"/>'
        end = max(end, high)
    return out + label(end + 7, y + 16, words)


@dataclass(frozen=True)
class Bin:
    """Predictions of similar confidence: mean confidence, share that was right, how many, 95 % interval."""

    confidence: float
    accuracy: float
    n: int
    interval: tuple[float, float] | None = None


def reliability_chart(bins: Sequence[Bin], *, title: str = "Reliability", size: tuple[int, int] = (420, 400)) -> Chart:
    """Share right against stated confidence; on the diagonal the classifier means what it says. Area ∝ n."""
    full = [b for b in bins if b.n]
    if not full:
        raise DataError(f"Nothing can be drawn in {title}: every bin is empty.")
    width, height = size
    x_axis, y_axis = Axis(0, 1, 58, width - 28, False, True), Axis(0, 1, height - 40, 52, False, True)
    body = [label(6, 18, title, kind="title"), label(6, 42, "share that was right")]
    for value, words in y_axis.ticks():
        y, x = float(y_axis.place(value)), float(x_axis.place(value))
        body += [stroke("grid", x_axis.start, y, x_axis.stop, y), label(x_axis.start - 7, y + 4, words, anchor="end")]
        body.append(label(x, y_axis.start + 17, words, anchor="middle"))
    body.append(stroke("axis", x_axis.start, y_axis.start, x_axis.stop, y_axis.start))
    body.append(stroke("axis", x_axis.start, y_axis.start, x_axis.stop, y_axis.stop, ' stroke-dasharray="5 4"'))
    body.append(label((x_axis.start + x_axis.stop) / 2, y_axis.start + 35, "stated confidence", anchor="middle"))
    largest = max(b.n for b in full)
    body += [_bubble(b, largest, x_axis, y_axis) for b in full]
    told = "; ".join(f"stated {percent(b.confidence)}, right {percent(b.accuracy)} of {b.n}" for b in full)
    return Chart(title, told + ".", width, height, "".join(body))


def _bubble(b: Bin, largest: int, x_axis: Axis, y_axis: Axis) -> str:
    x, y = float(x_axis.place(b.confidence)), float(y_axis.place(b.accuracy))
    out = ""
    if b.interval:
        low, high = (float(v) for v in y_axis.place(b.interval))
        out = f'<line class="lh-s0" x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="{COLOURS[0][0]}"/>'
    return out + (
        f'<circle class="lh-f0 lh-halo" cx="{x:.1f}" cy="{y:.1f}" r="{2.5 + 6.5 * (b.n / largest) ** 0.5:.1f}" '
        f'fill="{COLOURS[0][0]}" stroke="{SURFACES["surface"][0]}" stroke-width="1.5"/>'
    )
