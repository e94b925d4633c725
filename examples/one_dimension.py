"""The lecture's one-dimensional picture: gradient descent from w = 12 down a curve L(w).

At w = 12 the slope dL/dw is 6; a step of learning_rate = 1/3 leads to w = 10, the next to w = 8, and so on to the
minimum at w = 2. L is Huber's loss (1964): straight far from its minimum, a parabola near it.

    python examples/one_dimension.py [one_dimension.svg]
"""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np

from linearhead.charts import Series, line_chart

MINIMUM, WIDTH, SLOPE = 2.0, 2.0, 6.0


def loss(w: np.ndarray | float) -> np.ndarray:
    """L(w): slope ±6 further than 2 from the minimum, a parabola within."""
    distance = np.abs(np.asarray(w, dtype=float) - MINIMUM)
    return np.where(distance <= WIDTH, SLOPE / (2 * WIDTH) * distance**2, SLOPE * (distance - WIDTH / 2))


def slope(w: float) -> float:
    """dL/dw."""
    return SLOPE * float(np.clip((w - MINIMUM) / WIDTH, -1, 1))


def descend(w: float = 12.0, learning_rate: float = 1 / 3, steps: int = 5) -> list[float]:
    """The values of w that gradient descent visits: w ← w − learning_rate · dL/dw."""
    visited = [w]
    for _ in range(steps):
        w = w - learning_rate * slope(w)
        visited.append(w)
    return visited


def picture(visited: list[float]):
    """The curve and the steps on it, as a chart."""
    w = np.linspace(-3, 13, 161)
    curve = Series("L(w)", w.tolist(), loss(w).tolist(), "line", 0)
    steps = Series("gradient descent", visited, loss(np.array(visited)).tolist(), "marked", 1)
    return line_chart([curve, steps], title="Gradient descent in one dimension", x_label="w", y_label="L(w)")


if __name__ == "__main__":
    visited = descend()
    for before, after in pairwise(visited):
        print(
            f"w = {before:5.2f}   L = {float(loss(before)):5.2f}   dL/dw = {slope(before):.2f}   →   w = {after:5.2f}"
        )
    if len(sys.argv) > 1:
        picture(visited).save(sys.argv[1])
        print(f"picture: {sys.argv[1]}")
