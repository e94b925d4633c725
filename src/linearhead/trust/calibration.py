"""Confidence that means what it says: p = probabilities(s / T), one number T > 0 for all classes.

T maximises Σ ln p_label over unseen rows (Guo, Pleiss, Sun & Weinberger 2017) − (ln T)²/(2 PRIOR²): golden section in
ln T. It never changes which class is best, never raises those rows' log loss above that of T = 1, where the second term
is least, and from few rows it stays near 1: the second term counts as much as about ten rows. ECE = Σ_b n_b / n |share
right − mean confidence| over B bins of equal count (Nguyen & O'Connor 2015), which unlike equal widths leave no bin
empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log

import numpy as np

from ..records import Reliability

RANGE = (log(0.05), log(20.0))
PRIOR = 0.5  # standard deviation of ln T before any row is seen
STEPS = 60
AT_ONCE = 1 << 13  # scores
CELLS = 10_000_000  # scores that T is fitted to, at most: of thousands of classes some of the rows say as much
TEMPERATURES = np.exp2(np.arange(-4.5, 3.1, 0.5))  # at which `tempered` is told the losses
BINS = 15
LEAST = 20  # rows in a bin, at least: fewer bins where there are fewer rows
TINY = np.finfo(np.float64).tiny

Probabilities = Callable[[np.ndarray], np.ndarray]


def fit_temperature(scores: np.ndarray, y: np.ndarray, probabilities: Probabilities) -> float:
    """T for unseen rows' scores (n, k) and labels (n,)."""
    some = slice(None, None, max(1, -(-scores.size // CELLS)))
    s, y = np.asarray(scores[some], dtype=np.float64), y[some]

    def losses(log_t: float) -> np.ndarray:
        return -np.log(np.maximum(of_labels(probabilities, s, y, exp(log_t)), TINY))

    return exp(_golden(lambda t: float(losses(t).sum()) + t * t / (2 * PRIOR**2), *RANGE)) if len(y) else 1.0


def of_labels(probabilities: Probabilities, s: np.ndarray, y: np.ndarray, t: float) -> np.ndarray:
    """The labels' probabilities (n,) by scores s (n, k) over t, so few rows at a time that they stay in the cache."""
    found, few = np.empty(len(y)), max(1, AT_ONCE // max(s.shape[1], 1))
    for rows in (slice(i, i + few) for i in range(0, len(y), few)):
        found[rows] = np.take_along_axis(probabilities(s[rows] / t), y[rows, None], axis=1)[:, 0]
    return found


def tempered(losses: Sequence[float], n: float) -> tuple[float, float]:
    """(T, what is minimised there, a row) from the mean losses of n unseen rows at TEMPERATURES: `fit_temperature` for
    rows that are looked at once, by the parabola in ln T through the least and its neighbours."""
    t = np.log(TEMPERATURES)
    f = np.asarray(losses, dtype=np.float64) + t * t / (2 * PRIOR**2 * n)
    i = int(np.argmin(f))
    if 0 < i < len(f) - 1:
        left, middle, right = f[i - 1 : i + 2]
        slope, bend = (right - left) / 2, left - 2 * middle + right
        if bend > 0:
            return exp(t[i] - slope / bend * (t[1] - t[0])), float(middle - slope * slope / (2 * bend))
    return float(TEMPERATURES[i]), float(f[i])


def _golden(f: Callable[[float], float], a: float, b: float) -> float:
    """The minimum of a function of one valley in [a, b] (Kiefer 1953)."""
    ratio = (5**0.5 - 1) / 2
    c, d = b - ratio * (b - a), a + ratio * (b - a)
    fc, fd = f(c), f(d)
    for _ in range(STEPS):
        if b - a < 1e-6:
            break
        if fc < fd:
            b, d, fd = d, c, fc
            c = b - ratio * (b - a)
            fc = f(c)
        else:
            a, c, fc = c, d, fd
            d = a + ratio * (b - a)
            fd = f(d)
    return (a + b) / 2


def reliability(p_label: np.ndarray, confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """Log loss, ECE and bins of rows with the label's probability (n,), the best class's (n,), and whether it was
    right (n,)."""
    p = np.maximum(np.asarray(p_label, dtype=np.float64), TINY)
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, max(1, min(BINS, len(order) // LEAST)))
    bins = [[float(np.mean(confidence[b])), float(np.mean(right[b])), float(len(b))] for b in parts if len(b)]
    ece = sum(m * abs(share - stated) for stated, share, m in bins) / max(len(order), 1)
    return Reliability(float(-np.mean(np.log(p))), float(ece), bins)


def expected_ece(confidence: np.ndarray, trials: int = 200, seed: int = 0) -> float:
    """The 99 % quantile of the ECE that rows of these confidences show by chance alone where every one is true."""
    rng = np.random.default_rng(seed)
    c = np.sort(np.asarray(confidence, dtype=np.float64))
    parts = np.array_split(np.arange(len(c)), max(1, min(BINS, len(c) // LEAST)))
    starts = np.array([b[0] for b in parts if len(b)])
    seen = rng.random((trials, len(c))) < c
    gaps = np.abs(np.add.reduceat(seen - c, starts, axis=1)).sum(axis=1) / max(len(c), 1)
    return float(np.quantile(gaps, 0.99))
