"""Proofs, by the rows, that without a penalty no finite optimum exists (Albert & Anderson 1984, Biometrika 71).

Complete separation; for rows on the boundary see `recession.py`. All rows right by a positive margin: t θ lowers every
row's loss for every t > 1. Or one class apart from the others, w·x + c above 0 on its rows and below 0 on the rest:
t (w, c) added to its scores lowers F for every t > 0. Cross-entropy knows both, one-vs-rest logistic the second; the
hinges then have optima without loss, infinitely many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..losses import CrossEntropy
from ..objective import Objective
from ..records import Status
from ..solvers import LBFGS
from .recession import Touching, touching, visit

DIGITS = 1e-9  # of the largest score: what a margin must exceed to be no rounding


@dataclass(frozen=True)
class Apart:
    """The margin over the norm of the weights, and the class that is apart from the others: None for all classes."""

    margin: float
    one: int | None = None


def separated(objective: Objective, theta: np.ndarray, every_class: bool = False) -> Apart | Touching | None:
    """What the rows prove: that classes are apart, by the scores at θ or by a direction; None: nothing.

    every_class: it is known already that each class is apart, so that rows which are right are enough for logistic.
    """
    if objective.loss.name != "logistic" or every_class:
        right, size = _lead(objective, theta)
        if right > DIGITS * size:
            return Apart(right / _norm(theta[:-1]))
    if not objective.loss.proper:
        return None
    return one_apart(objective, theta) or touching(objective, theta)


def one_apart(objective: Objective, theta: np.ndarray) -> Apart | None:
    """The class whose own direction, or a fit of it against the rest, holds it apart; the margin is half the gap."""
    free = objective.loss.shift_invariant
    direction = theta - theta.mean(axis=1, keepdims=True) if free else theta
    low, high, size = _extremes(objective, direction)
    gaps = (low - high) / 2
    j = int(np.argmax(gaps))
    if gaps[j] > DIGITS * size:
        return Apart(gaps[j] / _norm(direction[:-1, j]), j)
    for j in np.flatnonzero(_lone_rights(objective, theta)) if free else ():
        alone = replace(objective, y=(objective.y == j).astype(int), k=2, loss=CrossEntropy(), watch=False)
        found = LBFGS(tol=1e-9, max_iter=300)(alone, alone.start())
        right, size = _lead(alone, found.point.theta)
        if found.status is Status.UNBOUNDED and right > DIGITS * size:
            return Apart(right / _norm(found.point.theta[:-1, 1] - found.point.theta[:-1, 0]), int(j))
    return None


def _norm(w: np.ndarray) -> float:
    return max(float(np.linalg.norm(w)), 1e-300)


def _scan(objective: Objective, theta: np.ndarray, fn: Any) -> list:
    """fn(scores, labels) of every block's rows of positive weight, in float64: one pass."""
    stored = objective.precise().design.to_rows(theta)
    return visit(objective, lambda block, y, there: fn(block.forward(stored)[there], y))


def _lead(objective: Objective, theta: np.ndarray) -> tuple[float, float]:
    """min over rows of own score − best other, and the largest |score|."""

    def share(s: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        rows, size = np.arange(len(s)), float(np.abs(s).max())
        own = s[rows, y]
        s[rows, y] = -np.inf
        return float(np.min(own - s.max(axis=1))), size

    leads, sizes = zip(*_scan(objective, theta, share), strict=True)
    return min(leads), max(sizes)


def _extremes(objective: Objective, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Per class: its least score on its own rows and its largest on the others, (k,) each; the largest |score|."""

    def share(s: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        own = y[:, None] == np.arange(s.shape[1])
        return np.where(own, s, np.inf).min(axis=0), np.where(own, -np.inf, s).max(axis=0), float(np.abs(s).max())

    low, high, sizes = zip(*_scan(objective, theta, share), strict=True)
    return np.min(low, axis=0), np.max(high, axis=0), max(sizes)


def _lone_rights(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """(k,) whether every row is right about this one class, its probability above ½ on its rows alone."""

    def share(s: np.ndarray, y: np.ndarray) -> np.ndarray:
        likely = objective.loss.probabilities(s) > 0.5  # pyright: ignore[reportOptionalOperand]
        return np.all(likely == (y[:, None] == np.arange(s.shape[1])), axis=0)

    return np.all(_scan(objective, theta, share), axis=0)


def sentence(proof: Apart | Touching, classes: np.ndarray, finite: bool) -> str:
    """What is said of separable rows; classes (k,) are their names."""
    one = None if proof.one is None else classes[proof.one : proof.one + 1].tolist()[0]
    text = _touching(proof, one) if isinstance(proof, Touching) else _apart(proof.margin, one)
    if finite:
        return f"{text} Without a penalty infinitely many weights have no loss; these are some. Set alpha > 0 for one."
    return (
        f"{text} Without a penalty no finite optimum exists, only ever larger weights; these are the ones reached. "
        "Set alpha > 0."
    )


def _apart(margin: float, one: Any) -> str:
    if one is None:
        return (
            f"The classes are perfectly separable: every row is right by at least {margin:.3g} times the norm of the "
            "weights."
        )
    return (
        f"Class {one!r} is perfectly separable from the others: a plane has its rows on one side and all others on "
        f"the other, each at least {margin:.3g} away."
    )


def _touching(proof: Touching, one: Any) -> str:
    if proof.column is not None:
        own, other = ("least", "most") if proof.above else ("most", "least")
        return (
            f"Class {one!r} is separable from the others but for rows on the boundary, by column {proof.column} alone: "
            f"it is at {own} {proof.edge:.6g} in every row of that class and at {other} that in every other row, not "
            "equal to it in all."
        )
    what = "The classes are" if one is None else f"Class {one!r} is"
    return (
        f"{what} separable but for rows on the boundary: along one direction of the weights {proof.clear} of "
        f"{proof.rows} rows gain on other classes and none loses."
    )
