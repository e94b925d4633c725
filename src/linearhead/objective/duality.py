"""A bound on F(θ) − F* from any dual point g (n, k), gᵢ in the domain of ℓ*: weak duality, in float64.

With U = ZᵀDg/Σw and r = 1ᵀDg/Σw, every g with r = 0 gives F* ≥ −Σwᵢℓ*(gᵢ)/Σw − αR*(−U/α), hence the gap
  Σwᵢ [ℓ(sᵢ) + ℓ*(gᵢ) − ⟨sᵢ, gᵢ⟩]/Σw  +  αR(W) + αR*(−U/α) + ⟨W, U⟩,   two terms ≥ 0, so nothing cancels.
At g = ∇ℓ(s) the first is 0 and with L2 the second is ‖∇_W F‖²/2α. An intercept not quite at its optimum leaves
r ≠ 0: g is then mixed with ε of the point q − e_y, q in the simplex, chosen so that r becomes 0; by convexity ℓ*
grows by at most ε times its value there. Penalties with a bounded dual (L1) need U scaled into it: ℓ*(cg) ≤ cℓ*(g),
as min ℓ = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..design import Block
from .intercept import full_hessian, intercept_step, newton_step
from .objective import Objective, Point

SCORES = 8 << 20  # formed at a time
DEAR = 0.3  # of the gap may be the price of an intercept off its optimum: less is not worth a pass
MOST = 2048  # classes up to which a Hessian (k, k) is small, and summing it costs less than a pass; beyond, of a sample


@dataclass(frozen=True)
class Gap:
    """F's point at θ in float64, F(θ) − F* ≤ bound, and where nothing is penalised an estimate without proof."""

    point: Point
    bound: float
    estimate: float


def gap_at(objective: Objective, theta: np.ndarray, g: np.ndarray | None = None) -> Gap:
    """The gap at θ (d+1, k) from the dual point g (n, k), by default ∇ℓ; never above F itself, as F* ≥ 0."""
    objective = objective.precise()
    point, rows_gap, U, r = _pass(objective, theta, g)
    found, price = gap_from(objective, point, rows_gap, U, r)
    if g is None and objective.loss.smoothness and objective.alpha and price > DEAR * found.bound:
        bound = min(found.bound, _balanced_bound(objective, point))
        return Gap(point, bound, bound)
    return found


def gap_from(objective: Objective, point: Point, rows_gap: float, U: np.ndarray, r: np.ndarray) -> tuple[Gap, float]:
    """The gap of what a pass saw, and the part of it that making r vanish costs."""
    rows_gap = max(rows_gap, 0.0)
    if not objective.alpha:
        # θ may still move by its own size or by what moves scores by 1, whichever is more
        reach = np.maximum(np.abs(point.theta), 1 / np.sqrt(objective.column_metric()))
        estimate = rows_gap + float(np.sum(reach[:-1] * np.abs(U)) + reach[-1] @ np.abs(r))
        return Gap(point, point.value, min(estimate, point.value)), 0.0
    bound, price = _bound(objective, point, rows_gap, U, r)
    bound = min(bound, point.value)
    return Gap(point, bound, bound), price


def _bound(objective: Objective, point: Point, rows_gap: float, U: np.ndarray, r: np.ndarray) -> tuple[float, float]:
    """The gap with r mixed away, and what the mixing added to it."""
    if objective.loss.shift_invariant:
        r = r - r.mean()  # zero but for rounding, which dividing by what is left of r would blow up
    if not (objective.design.intercept and np.any(r)):
        return _penalty_gap(objective, point, rows_gap, U), 0.0
    mixed = _mix(objective, U, r)
    if mixed is None:
        return np.inf, np.inf
    share, q, Uq, conjugate = mixed
    W, b = point.theta[:-1], point.theta[-1]
    other = point.loss + conjugate - float(np.vdot(W, Uq)) - float(b @ (q - objective.class_shares()))
    price = share * max(other, 0.0)
    rows_gap = (1 - share) * rows_gap + price
    return _penalty_gap(objective, point, rows_gap, (1 - share) * U + share * Uq), price


def _balanced_bound(objective: Objective, point: Point, steps: int = 3) -> float:
    """The gap from the dual point of (W, b + Δ), Δ by Newton steps on the intercept alone.

    F(θ) − F* = [F(θ) − F(W, b + Δ)] + [F(W, b + Δ) − F*]; the first is of the order of rounding.
    """
    best, moved, solve = np.inf, point, _balancing(objective, point.theta)
    for _ in range(steps):
        theta = moved.theta.copy()
        theta[-1] += solve(moved.gradient[-1])
        moved, rows_gap, U, r = _pass(objective, theta, None)
        bound, price = _bound(objective, moved, rows_gap, U, r)
        best = min(best, bound + max(point.value - moved.value, 0.0))
        if price <= DEAR * bound:
            break
    return best


def _balancing(objective: Objective, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The intercept's gradient r (k,) → the Newton step, with the Hessian at θ for all of them: steps are so short that
    a new one would save none. It is that of all rows: one of a sample lets r fall by a tenth or a hundredth a step,
    where each costs a pass in float64."""
    if objective.k <= MOST:
        H = full_hessian(objective, theta)
        return lambda r: newton_step(H, r, objective.loss.shift_invariant)
    most = int(np.clip(SCORES // objective.k, 256, 8192))
    rows = np.unique(np.linspace(0, objective.n - 1, min(objective.n, most)).astype(int))
    part = objective.of_rows(rows)
    weights = np.ones(len(rows)) if part.weights is None else part.weights.astype(np.float64)
    weights = weights / weights.sum()
    s = _scores(objective, theta, rows)
    return lambda r: intercept_step(part, r, lambda: [(s, slice(None), weights)])


def _scores(objective: Objective, theta: np.ndarray, rows: np.ndarray, slab: int = 512) -> np.ndarray:
    """Of some rows (m,), (m, k); a few rows at a time, as they are copied."""
    stored = objective.design.to_rows(theta)
    parts = (objective.design.take(rows[i : i + slab]) for i in range(0, len(rows), slab))
    return np.vstack([part.block(slice(0, part.n)).forward(stored) for part in parts])


def _penalty_gap(objective: Objective, point: Point, rows_gap: float, U: np.ndarray) -> float:
    """The two terms for U with r = 0, U scaled into the penalty's dual domain where that is bounded."""
    penalty, alpha, W = objective.penalty, objective.alpha, point.theta[:-1]
    c = penalty.dual_scale(-U / alpha)
    if c < 1:  # ⟨s, g⟩ shrinks with g while ℓ stays: what the first term gains is (1 − c)(ℓ − 0)
        rows_gap = c * rows_gap + (1 - c) * point.loss
        U = c * U
    parts = alpha * penalty.value(W), alpha * penalty.conjugate(-U / alpha), float(np.vdot(W, U))
    slack = 8 * np.finfo(float).eps * sum(abs(part) for part in parts)
    return rows_gap + max(sum(parts), 0.0) + slack


def _pass(objective: Objective, theta: np.ndarray, g: np.ndarray | None) -> tuple[Point, float, np.ndarray, np.ndarray]:
    """One pass: the point at θ, the rows' Fenchel gaps (mean), U (d, k) and r (k,)."""
    if g is None:
        point = objective.smooth_at(theta)
        U, r = point.gradient[:-1], point.gradient[-1]
        full = Point(theta, point.value, objective.full_gradient(point), point.loss, point.accuracy)
        return full, 0.0, U, r
    stored, multipliers = objective.design.to_rows(theta), objective.design.column(g)

    def share(block: Block) -> tuple:
        s = block.forward(stored)
        value, slope = objective.score_terms(s, block.rows)
        dual = objective.loss.nearest_dual(multipliers[block.rows].astype(s.dtype), objective.y[block.rows])
        gap = value + objective.loss.conjugate(dual, objective.y[block.rows]) - np.sum(s * dual, axis=1)
        objective._weigh(block.rows, value, gap, slope, dual)
        correct = objective.correct(s, block.rows)
        return float(value.sum()), float(gap.sum()), correct, block.adjoint(slope), block.adjoint(dual)

    value, gap, correct, slope, dual = objective.design.sweep(share)
    objective.count.passes += 2
    point = objective._point(theta, value, correct, slope)
    dual = objective.design.from_rows(dual) / objective.total
    return point, gap / objective.total, dual[:-1], dual[-1]


def _mix(objective: Objective, U: np.ndarray, r: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float] | None:
    """(ε, q, Z-sums of q − e_y, mean ℓ*(q − e_y)) with (1 − ε) r + ε (q − shares) = 0 for r ≠ 0; None if no q does."""
    shares = objective.class_shares()
    with np.errstate(divide="ignore", invalid="ignore"):
        need = np.where(r > 0, r / shares, np.where(r < 0, -r / (1 - shares), 0.0))
    c = float(np.max(need))
    if not np.isfinite(c):
        return None
    q = np.clip(shares - r / c, 0.0, 1.0) if c else shares  # r is 0 already, its mean apart
    conjugate = float(shares @ objective.loss.conjugate_of_shares(q))
    sums = objective.class_sums()
    mean = sums[:-1].sum(axis=1)
    return c / (1 + c), q, np.outer(mean, q) - sums[:-1], conjugate
