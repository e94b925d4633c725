"""A step length along a descent direction that survives round-off.

Accepts t when F(t) ≤ F(0) + δ t F'(0) and F'(t) ≥ σ F'(0) (Wolfe 1969), or, once F's own digits are used up, the
approximate Wolfe conditions (2δ − 1) F'(0) ≥ F'(t) ≥ σ F'(0) with F(t) ≤ F(0) + ε (Hager & Zhang 2005, eq. 3-4),
which read slopes, and slopes keep digits when differences of values have none left. Every trial is one pass. Where a
kink is so sharp that no trial meets the condition on slopes, the longest that lowers F beyond ε is taken.

F ≥ 0 here. So where the tangent at t is below 0 on the way back, F(t) < t F'(t), the minimum lies well before t,
however far F has fallen: as where classes are nearly separable, the slope at θ = 0 is steep, and F(t) is all penalty.
Such a t is halved as long as that lowers F.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

DELTA, SIGMA = 1e-3, 0.9
MAX_TRIALS = 20
PARABOLAS = 2  # trials, all too long, after which each next one is shortened by twice as much at least


def search(
    at: Callable[[float], tuple[Any, float]], value: float, slope: float, noise: float, t: float = 1.0
) -> tuple[float, Any] | None:
    """(t, point) that satisfies the conditions, or None. `at(t)` → (point with .value, slope at t); slope < 0."""
    low, low_value, low_slope = 0.0, value, slope
    high: float | None = None
    lower: tuple[float, Any] | None = None
    beyond: tuple[float, Any] | None = None
    for trial in range(MAX_TRIALS):
        point, new_slope = at(t)
        new = point.value
        fits = new <= value + DELTA * t * slope or (new <= value + noise and new_slope <= (2 * DELTA - 1) * slope)
        if beyond is not None and new >= beyond[1].value:
            return beyond
        if fits and new_slope >= SIGMA * slope:
            if not 0 < new < t * new_slope:
                return t, point
            beyond, high, t = (t, point), t, 0.5 * t
            continue
        if not fits or new_slope >= 0:
            high = t
        else:
            low, low_value, low_slope = t, new, new_slope
            lower = (t, point) if new < value - noise else lower
        t = 4 * t if high is None else _between(low, low_value, low_slope, high, new if high == t else None)
        if not low and high is not None:  # a step too long by many powers of ten is not halved for ever
            t = min(t, high * 0.5 ** (trial - PARABOLAS))
        if high is not None and high - low <= 1e-12 * high:
            break
    return beyond or lower


def turning(slope: Callable[[float], float], start: float, tries: int = 40) -> float:
    """Where in (0, 1] a convex function turns, to a tenth of its slope at 0, start < 0; 1 where it falls that far. By
    false position, and the geometric mean where that does not halve what is left. Where the turn is sharp, a place
    beyond it, at most twice as far as one before it, at which the function is lower than at 0: there what makes it turn
    is active.
    """
    low, high, below, above, halved = 0.0, 1.0, start, slope(1.0), True
    if not above > 0.1 * abs(start):
        return 1.0
    for _ in range(tries):
        width = high - low
        t = (low * above - high * below) / (above - below) if halved else math.sqrt(low * high)
        new = slope(t)
        if abs(new) <= 0.1 * abs(start):
            return t
        if new > 0:
            high, above = t, new
        else:
            low, below = t, new
        if high <= 2 * low and low * below + (high - low) * above <= 0:  # as tangents say
            return high
        halved = high - low <= 0.5 * width or not low
    return low or high


def _between(low: float, low_value: float, low_slope: float, high: float, high_value: float | None) -> float:
    """The minimiser of the parabola through what is known, kept inside the middle four fifths; else the middle."""
    width = high - low
    if high_value is not None:
        bend = high_value - low_value - low_slope * width
        if bend > 0:
            return low + min(max(-0.5 * low_slope * width * width / bend, 0.1 * width), 0.9 * width)
    return low + (0.1 if high_value is not None else 0.5) * width
