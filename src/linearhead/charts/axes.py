"""An axis: values to pixels, p = start + (g(v) − g(low)) / (g(high) − g(low)) · (stop − start), g = id or log₁₀.

Ticks are multiples of 1, 2 or 5 times a power of ten; on a logarithmic axis powers of ten, thinned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .words import THIN, number

LARGEST = 1e300  # beyond it high − low overflows


@dataclass(frozen=True)
class Axis:
    """Values low … high on pixels start … stop; `as_percent` words its ticks as per cent of values in [0, 1]."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    as_percent: bool = False

    def place(self, values: Any) -> np.ndarray:
        """Pixels of values, any shape."""
        v, low, high = (np.asarray(part, dtype=np.float64) for part in (values, self.low, self.high))
        if self.log:
            v, low, high = np.log10(v), np.log10(low), np.log10(high)
        return self.start + (v - low) / (high - low) * (self.stop - self.start)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """About `count` round values on the axis, with their words."""
        if self.log:
            return [(v, number(v)) for v in log_ticks(self.low, self.high, count)]
        values = linear_ticks(self.low, self.high, count)
        scale, unit = (100, f"{THIN}%") if self.as_percent else (1, "")
        step = abs(values[1] - values[0]) * scale
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if decimals > 5 or max(map(abs, values)) >= 1e6:
            return [(v, number(v * scale) + unit) for v in values]
        return [(v, f"{v * scale + 0.0:,.{decimals}f}".replace(",", THIN) + unit) for v in values]


def span(values: np.ndarray, log: bool, pad: float = 0.04) -> tuple[float, float]:
    """low < high around finite values (n ≥ 1), with a margin of `pad` of the span on both sides."""
    low, high = float(values.min()), float(values.max())
    if log:
        a, b = math.log10(low), math.log10(high)
        margin = (b - a) * pad or 0.3
        return 10 ** max(a - margin, -307), 10 ** min(b + margin, 307)
    low, high = max(low, -LARGEST), min(high, LARGEST)
    margin = (high - low) * pad
    if margin <= 1e-12 * max(abs(low), abs(high)):  # one value, or a span that double precision cannot divide
        margin = 0.5 * max(abs(low), abs(high)) or 0.5
    return low - margin, high + margin


def linear_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 · 10^m in [low, high]: at most count + 1, and from count = 5 on at least two."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))  # < 2.5 · rough
    ticks = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return ticks if len(ticks) > 1 else [low, high]


def log_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Powers of ten in [low, high], thinned to about `count`; with 2 and 5 between them where the span is short."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        stride = math.ceil((last - first + 1) / (count + 1))
        return [10.0**e for e in range(first, last + 1) if e % stride == 0]
    fine = [m * 10.0**e for e in range(first - 1, last + 1) for m in (1, 2, 5)]
    inside = [v for v in fine if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
    return inside if len(inside) > 1 else linear_ticks(low, high, count)
