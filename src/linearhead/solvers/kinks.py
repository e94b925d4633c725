"""min_x cᵀ(x − v) + ½ (x − v)ᵀH(x − v) + Σ λⱼ|xⱼ|, what a step of Newton's method is where a penalty has kinks.

By feature-sign search (Lee, Battle, Raina & Ng 2007): a Newton step on the unknowns that are not 0 and those that are
pulled off it harder than these, cut where the function is least along it, through changes of sign. Or all that change
sign stop at 0, where the function falls by a good part as much: many leave at once. Every step lowers the function.
From one to the next few unknowns come and go, so that many have one factor (`bordered.py`).
"""

from __future__ import annotations

import numpy as np

from .bordered import Bordered, product

STEPS = 200
HARDEST = 0.3  # of the hardest pull: those leave 0 together
SHORTER = 4  # lengths at which all that change sign stop at 0
NEARLY = 0.3  # of what the function falls by along the step: how far it has to fall there
EXACT = 0.1  # of the slopes that may be left: what a solution may miss its right-hand side by


def minimum(H: np.ndarray, c: np.ndarray, v: np.ndarray, kinks: np.ndarray, x: np.ndarray, tol: float) -> np.ndarray:
    """x (u,), from x on, with slopes of at most tol, or after STEPS: H (u, u) positive definite, c, v, kinks λ ≥ 0."""
    x, smooth, system = x.copy(), c + product(H, x - v), Bordered(H)
    for _ in range(STEPS):
        on = (x != 0) | (kinks == 0)
        slope = smooth + np.where(on, kinks * np.sign(x), -np.clip(smooth, -kinks, kinks))
        size = np.abs(slope)
        worst, hardest = float(size[on].max(initial=0.0)), float(size[~on].max(initial=0.0))
        if max(worst, hardest) <= tol:
            break
        found = _newton(system, x, slope, kinks, on | (size >= max(HARDEST * hardest, worst, tol)), tol)
        step = None if found is None else _least(H, x, *found, smooth, kinks)
        if step is None:
            break
        x, change = step
        smooth += change
    return x


def _newton(
    system: Bordered, x: np.ndarray, slope: np.ndarray, kinks: np.ndarray, free: np.ndarray, tol: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """(p, H p) on the free unknowns without those that would leave 0 uphill; None where H has no factor."""
    while (p := system.solve(free, -slope)) is not None:
        astray = free & (x == 0) & (kinks > 0) & (p * slope >= 0)
        if astray.any():
            free = free & ~astray
            continue
        bent = product(system.H, p)
        left = float(np.max(np.abs(bent + slope)[free], initial=0.0))
        if system.fresh or left <= EXACT * tol:
            return p, bent
        if not system.factorise(free):  # rounding had the say
            break
    return None


def _least(
    H: np.ndarray, x: np.ndarray, p: np.ndarray, bent: np.ndarray, smooth: np.ndarray, kinks: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """(x, what H makes of the move): where the function is least from x along p = −H⁻¹ slope, bent = H p, or with all
    that change sign at 0, where it falls by a good part as much; None where rounding has the say."""
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
    lengths = 0.5 ** np.arange(SHORTER)
    lengths = lengths[lengths > t]
    if not len(lengths):
        return moved, t * bent
    start = float(kinks @ np.abs(x))
    level = t * float(smooth @ p + 0.5 * t * (bent @ p)) + float(kinks @ np.abs(moved)) - start
    to = x + lengths[:, None] * p
    to[(to * signs < 0) & turns] = 0
    d = to - x
    change = product(H, d)
    lower = d @ smooth + 0.5 * np.einsum("ij,ij->i", d, change) + np.abs(to) @ kinks - start < NEARLY * level
    return (to[lower][0], change[lower][0]) if lower.any() else (moved, t * bent)
