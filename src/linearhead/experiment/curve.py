"""The learning curve, and what twice the pictures should give.

The error at m pictures, after e_L at the last n_L, is taken as e(m) = e_L (q + (1 − q) (m/n_L)^−b): a power law
(Hestness et al. 2017) down to a floor of q e_L. The forecast is the mean over a grid of (q, b), each weighed by its
prior, b ~ N(½, ⅕²) and a density of q that falls as (1 − q)², times the likelihood of the earlier points, whose
variance given the last is ¼ e (1 − e)/judged, as the same pictures judge all.
"""

from __future__ import annotations

import numpy as np

from ..metrics import Z95, independent, standard_error
from ..records import LearningCurve

FLOORS, POWERS = np.meshgrid(np.linspace(0, 0.975, 40), np.linspace(0.1, 1.5, 29))
POWER, POWER_SPREAD = 0.5, 0.2  # of the prior; chosen in docs/decisions/verdict.md
SHARED = 0.25
GAIN_ERROR = 0.01  # of the gain that is forecast, measured (docs/decisions/verdict.md); the level's own is binomial
FURTHER = 1.5  # times the last point's pictures, at least, for one more point that others judge


def curve_of(n: list[int], right: np.ndarray, groups: np.ndarray | None = None) -> LearningCurve:
    """From which pictures (links, judged) the fits on n rows were right on, all fits judged on the same, of which those
    of one group (judged,) are alike."""
    curve = LearningCurve(list(n), right.mean(axis=1).tolist(), judged=right.shape[1])
    curve.independent = None if groups is None else independent(groups, right[-1])
    if len(n) > 1:
        curve.gain_error = standard_error(right[-1].astype(float) - right[-2], groups)
        _look_ahead(curve)
    return curve


def extended(curve: LearningCurve, n: int, right: np.ndarray, groups: np.ndarray | None = None) -> None:
    """One more point, where it lies well beyond the last: a fit on n rows, right (m,) on other pictures than those."""
    if not curve.n or n < FURTHER * curve.n[-1]:
        return
    accuracy, before = float(right.mean()), curve.accuracy[-1]
    count = len(right) if groups is None else independent(groups, right)
    spreads = before * (1 - before) / _count(curve), accuracy * (1 - accuracy) / count
    curve.n.append(n)
    curve.accuracy.append(accuracy)
    curve.gain_error = float(np.sqrt(sum(spreads)))
    curve.independent = None if groups is None else min(_count(curve), count)
    curve.judged = min(curve.judged, len(right))
    _look_ahead(curve)


def _count(curve: LearningCurve) -> float:
    """As how many independent pictures those that judged the curve count."""
    return curve.judged if curve.independent is None else curve.independent


def _look_ahead(curve: LearningCurve) -> None:
    last, count = curve.accuracy[-1], _count(curve)
    curve.twice = max(forecast(curve.n, curve.accuracy, count), last)  # of no mistake it takes half a one for the error
    curve.gain = curve.twice - last
    middle = (last * count + 2) / (count + 4)  # honest where few have all right, too (Agresti & Coull 1998)
    curve.margin = Z95 * float(np.sqrt(middle * (1 - middle) / (count + 4) + GAIN_ERROR**2))


def forecast(n: list[int], accuracy: list[float], judged: float) -> float:
    """Accuracy at twice the last of n, from two points or more, each judged on so many pictures."""
    least = 0.5 / max(judged, 1.5)  # of groups fewer than one may be counted
    e = np.clip(1 - np.asarray(accuracy, dtype=np.float64), least, 1 - least)
    x = np.asarray(n, dtype=np.float64) / n[-1]
    shape = FLOORS[..., None] + (1 - FLOORS[..., None]) * x ** -POWERS[..., None]
    variance = SHARED * e * (1 - e) / judged
    miss = (e - e[-1] * shape)[..., :-1] ** 2 / variance[:-1]
    prior = 2 * np.log(1 - FLOORS) - 0.5 * ((POWERS - POWER) / POWER_SPREAD) ** 2
    log_weight = prior - 0.5 * miss.sum(axis=-1)
    weight = np.exp(log_weight - log_weight.max())
    left = FLOORS + (1 - FLOORS) * 2.0**-POWERS
    return float(1 - e[-1] * (weight * left).sum() / weight.sum())
