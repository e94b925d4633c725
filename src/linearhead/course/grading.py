"""What the graders share: small problems, answers brought into shape, one mistake told once.

A function is called with copies of small arrays. `TOL` is wide enough for float32: no mistake is that small.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .mistakes import Mistake

ALPHA = 0.3
TOL = 1e-5


@dataclass
class Outcome:
    """What was found about one function; `picture` is data for a chart: title, labels, series."""

    task: str
    mistakes: list[Mistake] = field(default_factory=list)
    picture: dict[str, Any] | None = None


class Wrong(Exception):
    """An answer that cannot even be compared."""


def problem(n: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X (n, 4), labels of three unequally frequent classes, W and b."""
    rng = np.random.default_rng(seed)
    y = np.array([0, 0, 0, 1, 1, 2] * (n // 6))[rng.permutation(n)]
    return rng.normal(size=(n, 4)) + y[:, None] * 0.5, y, rng.normal(size=(4, 3)), rng.normal(size=3)


def numbers(value: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """`value` as an array of that shape, or Wrong."""
    wanted = f"an array of shape {shape}" if shape else "one number"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    if value is None or array is None:
        raise Wrong(f"{what} should be {wanted}; found {described(value)}.")
    if array.shape != shape:
        raise Wrong(f"{what} should be {wanted}; found {described(array)}.")
    return array


def pair(value: Any, shapes: tuple, what: str, names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """The two answers of a function, called by their names."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"{what} should return {names[0]} and {names[1]}; found {described(value)}.")
    first, second = (numbers(v, shape, f"{what}: {name}") for v, shape, name in zip(value, shapes, names, strict=True))
    return first, second


def described(value: Any) -> str:
    """What came back, in a student's words."""
    if value is None:
        return "nothing (is `return` missing?)"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}" if value.ndim else "one number"
    return f"{len(value)} things" if isinstance(value, (tuple, list)) else f"one {type(value).__name__}"


def same(a: Any, b: Any, tol: float = TOL) -> bool:
    return bool(np.allclose(a, b, rtol=tol, atol=tol))


class StandIn:
    """While open, names of the student's module mean the reference's functions."""

    def __init__(self, code: Any, **swapped: Any) -> None:
        self.code, self.swapped, self.own = code, swapped, {}

    def __enter__(self) -> StandIn:
        for name, function in self.swapped.items():
            self.own[name] = getattr(self.code, name, None)
            setattr(self.code, name, function)
        return self

    def __exit__(self, *_: Any) -> None:
        for name, function in self.own.items():
            setattr(self.code, name, function)


def listed(values: Any) -> str:
    return "[" + " ".join(f"{v:.4g}" for v in np.ravel(values)) + "]"


def scatter(title: str, x: Any, y: Any, x_label: str, y_label: str) -> dict[str, Any]:
    x, y = np.ravel(x).astype(float), np.ravel(y).astype(float)
    ends = [float(np.nanmin(x)), float(np.nanmax(x))]
    right = {"label": "right", "x": ends, "y": ends, "kind": "dashed"}
    heights = [float(v) if np.isfinite(v) else None for v in y]
    yours = {"label": "yours", "x": x.tolist(), "y": heights, "kind": "points"}
    return {"title": title, "x": x_label, "y": y_label, "series": [right, yours]}


def bars_of(value: float, right: float) -> dict[str, Any]:
    return {"title": "The loss: yours and by the formula", "bars": {"yours": value, "by the formula": right}}
