"""min_x cᵀ(x − v) + ½ (x − v)ᵀH(x − v) + Σ λⱼ|xⱼ|, what a step of Newton's method is where a penalty has kinks.

By feature-sign search (Lee, Battle, Raina & Ng 2007): a Newton step on the unknowns that are not 0, cut where the
function is least along it, through changes of sign; once these rest, those leave 0 that are pulled hardest. Or all that
change sign stop at 0, where that is lower: many leave at once. Every step lowers the function.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 200
HARDEST = 0.5  # of the hardest pull: those leave 0 together
SHORTER = 4  # lengths at which all that change sign stop at 0


def minimum(H: np.ndarray, c: np.ndarray, v: np.ndarray, kinks: np.ndarray, x: np.ndarray, tol: float) -> np.ndarray:
    """x (u,), from x on, with slopes of at most tol, or after STEPS: H (u, u) positive definite, c, v, kinks λ ≥ 0."""
    x, smooth = x.copy(), c + H @ (x - v)
    for _ in range(STEPS):
        free = (x != 0) | (kinks == 0)
        slope = smooth + kinks * np.sign(x)
        if float(np.max(np.abs(slope[free]), initial=0.0)) <= tol:
            pull = np.where(free, 0.0, np.abs(smooth) - kinks)
            hardest = float(pull.max(initial=0.0))
            if hardest <= tol:
                break
            slope = np.where(free, slope, smooth - kinks * np.sign(smooth))
            free |= pull >= max(HARDEST * hardest, tol)
        at, p = _newton(H, x, slope, kinks, free)
        if p is None:
            break
        moved = _least(H, at, x[at], p, smooth[at], kinks[at])
        if moved is None:
            break
        smooth += H[:, at] @ (moved - x[at])
        x[at] = moved
    return x


def _newton(H: np.ndarray, x: np.ndarray, slope: np.ndarray, kinks: np.ndarray, free: np.ndarray) -> tuple:
    """(unknowns, step on them): the free ones without those that would leave 0 uphill; None where H has no factor."""
    from scipy.linalg.lapack import dpotrf, dpotrs  # pyright: ignore[reportAttributeAccessIssue]

    while True:
        at = np.flatnonzero(free)
        factor, failed = dpotrf(H[np.ix_(at, at)], lower=1, overwrite_a=1)
        if failed:
            return at, None
        p = dpotrs(factor, -slope[at], lower=1)[0]
        astray = (x[at] == 0) & (kinks[at] > 0) & (p * slope[at] >= 0)
        if not astray.any():
            return at, p
        free[at[astray]] = False


def _least(H: np.ndarray, at: np.ndarray, x: np.ndarray, p: np.ndarray, smooth: np.ndarray, kinks: np.ndarray) -> Any:
    """Where the function is least from x along p = −H⁻¹ slope, or lower with all that change sign at 0; None where
    rounding has the say. Arrays are those of the unknowns `at`, but for H."""
    signs = np.where(x != 0, np.sign(x), np.sign(p))
    turns, steepness = kinks > 0, float(p @ (smooth + kinks * signs))
    with np.errstate(divide="ignore", invalid="ignore"):
        when = np.where((x * p < 0) & turns, -x / p, np.inf)
    if not steepness < 0:
        return None
    order = np.argsort(when)[: np.count_nonzero(when < 1)]
    # p = −H⁻¹ slope, so pᵀHp = −p · slope: it ends at 1, or where the kinks on its way have made up for the slope at 0
    made_up = np.append(0.0, np.cumsum(2 * kinks[order] * np.abs(p[order])))
    t = float(np.min(np.maximum(np.append(0.0, when[order]), 1 + made_up / steepness)))
    if not t > 0:
        return None
    moved = x + t * p
    moved[when == t] = 0
    if t == 1:
        return moved
    H = H[np.ix_(at, at)]

    def lower(to: np.ndarray) -> float:
        d = to - x
        return float(smooth @ d + 0.5 * d @ (H @ d) + kinks @ (np.abs(to) - np.abs(x)))

    level = lower(moved)
    for t in (s for s in 0.5 ** np.arange(SHORTER) if s > t):
        stopped = x + t * p
        stopped[(stopped * signs < 0) & turns] = 0
        if lower(stopped) < level:
            return stopped
    return moved
