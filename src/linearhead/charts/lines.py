"""Lines, steps and points on two axes, each linear or logarithmic.

Up to four series are named at their ends, in ink beside a dash of their colour; more get a legend above. A series
keeps at most POINTS points: of each stretch its lowest and its highest, so no spike is lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, UsageError
from .axes import Axis, span
from .chart import COLOURS, SURFACES, Chart, label, stroke, width_of
from .words import clipped, escaped, number, percent

KINDS = ("line", "dashed", "step", "points", "marked")
DASHES = ("", "7 4", "2 3", "9 3 2 3")
POINTS = 320
NAMED_AT_END = 4
NAME_LENGTH = 28


@dataclass(frozen=True)
class Series:
    """One set of points. `kind` is one of KINDS ("marked": a line with dots); `slot` 0, 1, 2, … picks the colour."""

    label: str
    x: Sequence[float | None] | np.ndarray
    y: Sequence[float | None] | np.ndarray
    kind: str = "line"
    slot: int = 0


@dataclass(frozen=True)
class Mark:
    """A point with words of its own, such as the chosen alpha."""

    x: float
    y: float
    words: str


def line_chart(
    series: Sequence[Series],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    x_log: bool = False,
    y_log: bool = False,
    as_percent: bool = False,
    marks: Sequence[Mark] = (),
    size: tuple[int, int] = (640, 380),
) -> Chart:
    """Several series on one picture of `size` pixels; `as_percent` words y in [0, 1] as per cent.

    Raises UsageError for an unknown kind or unequal lengths, DataError where not one point can be drawn.
    """
    points = [_points(s, x_log, y_log) for s in series]
    drawn = [(s, p) for s, p in zip(series, points, strict=True) if len(p)]
    if not drawn:
        names = ", ".join(s.label for s in series) or "none given"
        need = "finite" + (" and above zero on its logarithmic axis" if x_log or y_log else "")
        raise DataError(f"Nothing can be drawn in {title or 'this chart'}: of its series ({names}) no point is {need}.")
    width, height = size
    named = len(drawn) <= NAMED_AT_END
    rows = [] if named else _legend_rows([s for s, _ in drawn], width)
    right = max(width_of(clipped(s.label, NAME_LENGTH)) for s, _ in drawn) + 30 if named and len(drawn) > 1 else 18
    top = (26 if title else 6) + 20 * len(rows) + (20 if y_label else 8)
    every = np.concatenate([p for _, p in drawn])
    y_axis = Axis(*_y_span(every[:, 1], y_log, as_percent), height - (40 if x_label else 24), top, y_log, as_percent)
    left = max(width_of(words, 11) for _, words in y_axis.ticks()) + 14
    x_axis = Axis(*span(every[:, 0], x_log, 0.02), left, width - right, x_log)
    body = [label(6, 18, clipped(title, int(width / 7.6)), kind="title")] if title else []
    body += _grid(x_axis, y_axis, x_label, y_label, width, top)
    body += [_legend(rows, 26 if title else 6)] if rows else []
    body += [_series(s, p, x_axis, y_axis) for s, p in drawn]
    body += _end_names(drawn, x_axis, y_axis) if named and len(drawn) > 1 else []
    body += [_mark(mark, x_axis, y_axis, [p for _, p in drawn]) for mark in marks]
    return Chart(title, _description(drawn, x_label, y_label, as_percent, marks), width, height, "".join(body))


def _points(series: Series, x_log: bool, y_log: bool) -> np.ndarray:
    """(m, 2) of what can be drawn, thinned."""
    if series.kind not in KINDS:
        raise UsageError(f"A series is drawn as one of {', '.join(KINDS)}; {series.label!r} asks for {series.kind!r}.")
    if len(series.x) != len(series.y):
        raise UsageError(f"Series {series.label!r} has {len(series.x)} x but {len(series.y)} y; it needs as many.")
    xy = np.array([series.x, series.y], dtype=np.float64).T.reshape(-1, 2)  # None becomes NaN
    keep = np.isfinite(xy).all(axis=1)
    keep &= (xy[:, 0] > 0) | (not x_log)
    keep &= (xy[:, 1] > 0) | (not y_log)
    xy = xy[keep]
    if len(xy) <= POINTS:
        return xy
    chosen = {0, len(xy) - 1}
    for part in np.array_split(np.arange(len(xy)), POINTS // 2 - 1):
        chosen |= {int(part[xy[part, 1].argmin()]), int(part[xy[part, 1].argmax()])}
    return xy[sorted(chosen)]


def _y_span(y: np.ndarray, log: bool, as_percent: bool) -> tuple[float, float]:
    low, high = span(y, log)
    return (max(low, min(0.0, y.min())), min(high, max(1.0, y.max()))) if as_percent else (low, high)


def _grid(x_axis: Axis, y_axis: Axis, x_label: str, y_label: str, width: int, top: float) -> list[str]:
    left, right, bottom = x_axis.start, x_axis.stop, y_axis.start
    out = []
    for value, words in y_axis.ticks():
        y = float(y_axis.place(value))
        out += [stroke("grid", left, y, right, y), label(left - 7, y + 4, words, anchor="end")]
    ticks, free = x_axis.ticks(), -np.inf
    for value, words in ticks:
        x = float(x_axis.place(value))
        half = width_of(words, 11) / 2
        out.append(stroke("axis", x, bottom, x, bottom + 4))
        if x - half > free:
            out.append(label(x, bottom + 17, words, anchor="middle"))
            free = x + half + 8
    out.append(stroke("axis", left, bottom, right, bottom))
    out += [label((left + right) / 2, bottom + 35, x_label, anchor="middle")] if x_label else []
    return out + ([label(6, top - 9, clipped(y_label, int(width / 7)))] if y_label else [])


def _series(series: Series, points: np.ndarray, x_axis: Axis, y_axis: Axis) -> str:
    slot = series.slot % len(COLOURS)
    x, y = x_axis.place(points[:, 0]), y_axis.place(points[:, 1])
    out = []
    if series.kind != "points" and len(points) > 1:
        dash = "5 4" if series.kind == "dashed" else DASHES[series.slot // len(COLOURS) % len(DASHES)]
        style = f' stroke-dasharray="{dash}"' if dash else ""
        out.append(
            f'<path class="lh-s{slot}" d="{_path(x, y, series.kind == "step")}" fill="none" '
            f'stroke="{COLOURS[slot][0]}" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"{style}/>'
        )
    if series.kind in ("points", "marked") or len(points) == 1:
        out += [_dot(a, b, slot) for a, b in zip(x, y, strict=True)]
    words = [
        [round(float(a), 1), round(float(b), 1), number(u), percent(v) if y_axis.as_percent else number(v)]
        for a, b, (u, v) in zip(x, y, points, strict=True)
    ]
    data = escaped(json.dumps(words, ensure_ascii=False, separators=(",", ":")))
    return f'<g class="lh-series" data-label="{escaped(series.label)}" data-points="{data}">{"".join(out)}</g>'


def _path(x: np.ndarray, y: np.ndarray, step: bool) -> str:
    first, *rest = zip(x, y, strict=True)
    join = "H{0:.1f}V{1:.1f}" if step else "L{0:.1f} {1:.1f}"
    return f"M{first[0]:.1f} {first[1]:.1f}" + "".join(join.format(a, b) for a, b in rest)


def _dot(x: float, y: float, slot: int) -> str:
    return (
        f'<circle class="lh-f{slot} lh-halo" cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS[slot][0]}" '
        f'stroke="{SURFACES["surface"][0]}" stroke-width="1"/>'
    )


def _swatch(x: float, y: float, series: Series) -> str:
    slot = series.slot % len(COLOURS)
    if series.kind == "points":
        return _dot(x + 7, y, slot)
    dash = "4 3" if series.kind == "dashed" else DASHES[series.slot // len(COLOURS) % len(DASHES)]
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line class="lh-s{slot}" x1="{x:.1f}" y1="{y:.1f}" x2="{x + 14:.1f}" y2="{y:.1f}" '
        f'stroke="{COLOURS[slot][0]}" stroke-width="2.5"{style}/>'
    )


def _end_names(drawn: Sequence[tuple[Series, np.ndarray]], x_axis: Axis, y_axis: Axis) -> list[str]:
    """The series' names beside their last points, moved apart where they would overlap."""
    ends = [float(y_axis.place(points[-1, 1])) for _, points in drawn]
    order = np.argsort(ends, kind="stable")
    heights = spread([ends[i] for i in order], 15, y_axis.stop + 4, y_axis.start - 2)
    out, x = [], x_axis.stop + 6
    for i, y in zip(order, heights, strict=True):
        series = drawn[i][0]
        name = label(x + 19, y + 4, clipped(series.label, NAME_LENGTH), kind="name")
        out.append(_swatch(x, y, series) + name)
    return out


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending positions at least `gap` apart, close to the ascending `wanted` ones, inside low … high if they fit."""
    out: list[float] = []
    for y in wanted:
        out.append(max(y, low, out[-1] + gap if out else low))
    limit = high
    for i in reversed(range(len(out))):
        out[i] = min(out[i], limit)
        limit = out[i] - gap
    return out


def _legend_rows(series: Sequence[Series], width: int) -> list[list[Series]]:
    rows: list[list[Series]] = [[]]
    used = 0.0
    for s in series:
        need = width_of(clipped(s.label, NAME_LENGTH)) + 36
        if rows[-1] and used + need > width - 12:
            rows.append([])
            used = 0.0
        rows[-1].append(s)
        used += need
    return rows


def _legend(rows: Sequence[Sequence[Series]], top: float) -> str:
    out = []
    for r, row in enumerate(rows):
        x, y = 6.0, top + 20 * r + 8
        for s in row:
            name = clipped(s.label, NAME_LENGTH)
            out.append(_swatch(x, y, s) + label(x + 19, y + 4, name, kind="name"))
            x += width_of(name) + 36
    return "".join(out)


def _mark(mark: Mark, x_axis: Axis, y_axis: Axis, drawn: Sequence[np.ndarray]) -> str:
    x, y = float(x_axis.place(mark.x)), float(y_axis.place(mark.y))
    end, low = _free_corner(x, y, width_of(mark.words), x_axis, y_axis, drawn)
    anchor, gap = ("end", -9) if end else ("start", 9)
    words = label(x + gap, y + 19 if low else y - 10, mark.words, anchor=anchor, kind="name", halo=True)
    ring = f'<circle class="lh-ring" cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{SURFACES["surface"][0]}" '
    return (
        stroke("axis", x, y_axis.start, x, y, ' stroke-dasharray="2 3"')
        + ring
        + f'stroke="{SURFACES["ink"][0]}" stroke-width="2"/>'
        + words
    )


def _free_corner(
    x: float, y: float, width: float, x_axis: Axis, y_axis: Axis, drawn: Sequence[np.ndarray]
) -> tuple[bool, bool]:
    """Whether words beside the point (x, y) end there and stand below it: the corner inside the axes that least of the
    lines cross; of equals the one towards the middle."""
    late, high = x > (x_axis.start + x_axis.stop) / 2, y < (y_axis.start + y_axis.stop) / 2
    every = np.linspace(x - 9 - width, x + 9 + width, 65)
    lines = [np.interp(every, x_axis.place(p[:, 0]), y_axis.place(p[:, 1]), np.nan, np.nan) for p in drawn]

    def cost(corner: tuple[bool, bool]) -> tuple[bool, int, int]:
        end, low = corner
        left, top = (x - 9 - width if end else x + 9), (y + 8 if low else y - 21)
        beside = (every >= left) & (every <= left + width)
        crossed = sum(int(np.sum(beside & (line > top) & (line < top + 13))) for line in lines)
        outside = left < x_axis.start or left + width > x_axis.stop or top < y_axis.stop or top + 13 > y_axis.start
        return outside, crossed, (end != late) + (low != high)

    return min(((end, low) for end in (late, not late) for low in (high, not high)), key=cost)


def _description(
    drawn: Sequence[tuple[Series, np.ndarray]], x_label: str, y_label: str, as_percent: bool, marks: Sequence[Mark]
) -> str:
    show = percent if as_percent else number
    head = " against ".join(part for part in (y_label, x_label) if part)
    lines = [
        f"{s.label}: {len(p)} points, " + " to ".join(f"{show(y)} at {number(x)}" for x, y in (p[0], p[-1]))
        for s, p in drawn
    ]
    lines += [f"{mark.words} at {number(mark.x)}: {show(mark.y)}" for mark in marks]
    return (head + ". " if head else "") + "; ".join(lines) + "."
