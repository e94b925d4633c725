"""Analytic against numerical, (F(θ + h e) − F(θ − h e)) / 2h for single entries of W and b.

h moves scores by about `epsilon`: 1e-5, near the optimum (3 · machine epsilon)^(1/3) between truncation and round-off.
An entry that disagrees is tried again with a 100 times smaller h: a kink may lie between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .problem import Problem


@dataclass
class Comparison:
    """Both gradients at the entries tried: positions (m, 2) in [W; b], the last row b."""

    where: np.ndarray
    analytic: np.ndarray
    numerical: np.ndarray
    difference: np.ndarray
    d: int
    tol: float

    @property
    def failed(self) -> bool:
        return bool((self.difference > self.tol).any())

    @property
    def of_bias(self) -> np.ndarray:
        return self.where[:, 0] == self.d


def compare(
    problem: Problem,
    W: np.ndarray,
    b: np.ndarray,
    epsilon: float | None,
    tol: float | None,
    entries: int,
    rng: np.random.Generator,
) -> Comparison:
    """Both gradients at W (d, k) and b (k,), the numerical one at up to `entries` entries of each, one by one."""
    value, dW, db = problem.evaluate(W, b)
    narrow = np.asarray(dW).dtype in (np.float32, np.float16)
    epsilon = epsilon or (1e-2 if narrow else 1e-5)
    noise = 8 * float(np.finfo(np.float32 if narrow else np.float64).eps) * max(abs(float(value)), 1.0)
    (d, k), theta = W.shape, np.vstack([W, b[None]])
    flat = rng.permutation(d * k)[:entries]
    where = np.stack([flat // k, flat % k], axis=1)
    if problem.intercept:
        where = np.concatenate([where, [(d, j) for j in range(min(k, entries))]])
    scales = np.append(problem.scales(), 1.0)
    analytic = np.vstack([dW, db[None]])[where[:, 0], where[:, 1]].astype(np.float64)
    tol = tol or (2e-2 if narrow else 1e-6)
    found = Comparison(where, analytic, np.empty(len(where)), np.empty(len(where)), d, tol)
    for i, at in enumerate(map(tuple, where)):
        for shrink in (1.0,) if narrow else (1.0, 0.01):
            h = shrink * epsilon / float(scales[at[0]])
            numerical = (_moved(problem, theta, at, h) - _moved(problem, theta, at, -h)) / (2 * h)
            difference = _relative(analytic[i], numerical, noise / (h * tol))  # round-off passes
            if shrink == 1 or difference <= tol:
                found.numerical[i], found.difference[i] = numerical, difference
            if difference <= tol:
                break
    return found


def _moved(problem: Problem, theta: np.ndarray, at: tuple, step: float) -> float:
    theta = theta.copy()
    theta[at] += step
    return float(problem.evaluate(theta[:-1], theta[-1])[0])


def _relative(g1: float, g2: float, least: float) -> float:
    """|g1 − g2| / |g1 + g2|, the denominator at least `least`; inf where one is no number."""
    return abs(g1 - g2) / max(abs(g1 + g2), least) if math.isfinite(g1) and math.isfinite(g2) else math.inf
