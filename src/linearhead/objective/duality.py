"""A bound on F(θ) − F* from any dual point g (n, k), gᵢ in the domain of ℓ*: weak duality, in float64.

With U = ZᵀDg/Σw and r = 1ᵀDg/Σw, every g with r = 0 gives F* ≥ −Σwᵢℓ*(gᵢ)/Σw − αR*(−U/α), hence the gap
  Σwᵢ [ℓ(sᵢ) + ℓ*(gᵢ) − ⟨sᵢ, gᵢ⟩]/Σw  +  αR(W) + αR*(−U/α) + ⟨W, U⟩,   two terms ≥ 0, so nothing cancels.
At g = ∇ℓ(s) the first is 0 and with L2 the second is ‖∇_W F‖²/2α. An intercept not quite at its optimum leaves
r ≠ 0: g is then mixed with ε of the point q − e_y, q in the simplex, chosen so that r becomes 0; by convexity ℓ*
grows by at most ε times its value there. Penalties with a bounded dual (L1) need U scaled into it: ℓ*(cg) ≤ cℓ*(g),
as min ℓ = 0. Least squares has ℓ* finite everywhere: there r is taken off all rows' g alike, which costs ½‖r‖².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..arrays import to_host
from ..design import Block
from .intercept import full_hessian, intercept_step, mean_bend, newton_step
from .objective import Objective, Point

SCORES = 8 << 20  # formed at a time
DEAR = 0.3  # of the gap may be the price of an intercept off its optimum: less is not worth a pass
ROOM = 4.0  # times the gap that a balanced intercept would leave at θ: mostly above what it does leave
MOST = 2048  # classes up to which a Hessian (k, k) is small, and summing it costs less than a pass; beyond, of a sample


@dataclass(frozen=True)
class Gap:
    """F's point at θ in float64 (None: of no interest), F(θ) − F* ≤ bound, and where nothing is penalised an
    estimate without proof.

    The bound's dual point: the g of those who gave one, or ∇ℓ with the intercept `moved` by so much (k,), of which ε,
    `mixed`, is another point of the domain (1: all of it; then the bound is F itself, as F* ≥ 0)."""

    point: Any
    bound: float
    estimate: float
    noticed: list | None = None
    expected: float = 0.0  # a gap, for which `along` is
    along: list | None = None
    mixed: float = 1.0
    moved: Any = 0.0


def gap_at(
    objective: Objective, theta: np.ndarray, g: np.ndarray | None = None, notice: Any = None, along: Any = None
) -> Gap:
    """The gap at θ (d+1, k) from the dual point g (n, k), by default ∇ℓ; never above F itself, as F* ≥ 0.

    notice(objective, slopes, rows) → numbers of a block's rows, (m,), which the pass at θ brings along; for g = None.
    along(objective, block, scores at θ, gap) → sums for a gap that is hoped for, which a second pass brings along.
    """
    objective = objective.precise()
    if g is not None:
        return gap_from(objective, *_dual_pass(objective, theta, g))[0]
    loss = objective.loss
    free = bool(loss.smoothness and not loss.quadratic and objective.alpha and objective.design.intercept)
    bends = free and objective.k <= MOST  # the balancing that needs it is rarely not needed

    def look(here: Objective, block: Block, s: np.ndarray, slopes: np.ndarray) -> tuple:
        noticed = None if notice is None else notice(here, slopes, block.rows)
        return (noticed, mean_bend(here, s, block.rows)) if bends else (noticed,)

    if bends or notice:
        point, noticed, sums = replace(objective, alpha=0.0).observed(theta, look)
    else:
        point, noticed, sums = objective.smooth_at(theta), None, []
    found, price = gap_from(objective, *_own_dual(objective, point))
    if free and price > DEAR * found.bound:
        H = np.asarray(to_host(sums[0])) / objective.total if bends else None
        expected = ROOM * (found.bound - price)
        along = partial(along, gap=expected) if along else None
        found = replace(_balanced_bound(objective, found, H, along=along), expected=expected)
    return replace(found, noticed=noticed) if notice else found


def gap_from(objective: Objective, point: Point, rows_gap: float, U: np.ndarray, r: np.ndarray) -> tuple[Gap, float]:
    """The gap of what a pass saw, and the part of it that making r vanish costs."""
    rows_gap = max(rows_gap, 0.0)
    if not objective.alpha:
        # θ may still move by its own size or by what moves scores by 1, whichever is more
        reach = np.maximum(np.abs(point.theta), 1 / np.sqrt(objective.column_metric()))
        estimate = rows_gap + float(np.sum(reach[:-1] * np.abs(U)) + reach[-1] @ np.abs(r))
        return Gap(point, point.value, min(estimate, point.value)), 0.0
    bound, price, share = _bound(objective, point, rows_gap, U, r)
    if not bound < point.value:
        bound, share = point.value, 1.0
    return Gap(point, bound, bound, mixed=share), price


def _bound(
    objective: Objective, point: Point, rows_gap: float, U: np.ndarray, r: np.ndarray
) -> tuple[float, float, float]:
    """The gap with r mixed away, what the mixing added to it, and its share ε."""
    if objective.loss.shift_invariant:
        r = r - r.mean()  # zero but for rounding, which dividing by what is left of r would blow up
    if not (objective.design.intercept and np.any(r)):
        return _penalty_gap(objective, point, rows_gap, U), 0.0, 0.0
    if objective.loss.quadratic:
        return *_shifted(objective, point, rows_gap, U, r), 0.0
    mixed = _mix(objective, U, r)
    if mixed is None:
        return np.inf, np.inf, 1.0
    share, q, Uq, conjugate = mixed
    W, b = point.theta[:-1], point.theta[-1]
    other = point.loss + conjugate - float(np.vdot(W, Uq)) - float(b @ (q - objective.class_shares()))
    price = share * max(other, 0.0)
    mixed_gap = _penalty_gap(objective, point, (1 - share) * rows_gap + price, (1 - share) * U + share * Uq)
    with np.errstate(over="ignore", invalid="ignore"):  # of a fit that diverged
        return mixed_gap, mixed_gap - _penalty_gap(objective, point, rows_gap, U), share


def _shifted(objective: Objective, point: Point, rows_gap: float, U: np.ndarray, r: np.ndarray) -> tuple[float, float]:
    """The same with r taken off every row's g, whose own gap is ½ ‖g − ∇ℓ‖²."""
    sums = objective.class_sums().sum(axis=1)  # the mean row, and the rows' share of the total
    less = r / sums[-1]
    with np.errstate(over="ignore", invalid="ignore"):  # of a fit that diverged
        own = (rows_gap**0.5 + float(np.linalg.norm(less)) * (sums[-1] / 2) ** 0.5) ** 2
        bound = _penalty_gap(objective, point, own, U - np.outer(sums[:-1], less))
        return bound, bound - _penalty_gap(objective, point, rows_gap, U)


def _balanced_bound(objective: Objective, found: Gap, H: np.ndarray | None, steps: int = 3, along: Any = None) -> Gap:
    """The best gap from dual points of (W, b + Δ), Δ by Newton steps on the intercept alone, H its Hessian if known;
    with the sums of along(objective, block, scores at the point), from the first pass.

    F(θ) − F* = [F(θ) − F(W, b + Δ)] + [F(W, b + Δ) − F*]; the first is −rᵀΔ at most, by convexity, and as a difference
    of two numbers right to their rounding alone.
    """
    best, point, moved, beside = found, found.point, found.point, None
    noise = 8 * np.finfo(float).eps * abs(point.value)
    solve = _balancing(objective, point, H)
    for _ in range(steps):
        theta = moved.theta.copy()
        theta[-1] += solve(moved.gradient[-1])
        if along and beside is None:
            smooth, beside = _moved(objective, point.theta, theta, along)
        else:
            smooth = objective.smooth_at(theta)
        moved, rows_gap, U, r = _own_dual(objective, smooth)
        bound, price, share = _bound(objective, moved, rows_gap, U, r)
        step = theta[-1] - point.theta[-1]
        whole = bound + max(min(-float(point.gradient[-1] @ step), point.value - moved.value + noise), 0.0)
        if whole < best.bound:
            best = replace(best, bound=whole, estimate=whole, mixed=share, moved=step)
        if price <= DEAR * bound:
            break
    return replace(best, along=beside)


def _moved(objective: Objective, before: np.ndarray, theta: np.ndarray, along: Any) -> tuple[Point, list]:
    """The point of `smooth_at` at θ, and sums of along(objective, block, scores before), W being the same."""
    step = theta[-1] - before[-1]

    def look(here: Objective, block: Block, s: np.ndarray, slopes: np.ndarray) -> tuple:
        return None, *along(here, block, s - here.into(step))

    point, _, sums = replace(objective, alpha=0.0).observed(theta, look)
    return point, sums


def _balancing(objective: Objective, point: Point, H: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """The intercept's gradient r (k,) → the Newton step, with the Hessian at the point for all of them. It is that of
    all rows: one of a sample lets r fall by a tenth or a hundredth a step, where each costs a pass in float64.

    Where r is a mean of probabilities m less the shares of the classes, Newton's method is on logit m = logit share:
    that is closer to a straight line in the intercept, and its slope changes less from step to step.
    """
    solve = _newton(objective, point.theta, H)
    if not objective.loss.proper:
        return solve
    shares, first = objective.class_shares(), point.gradient[-1]
    start = (shares + first) * (1 - shares - first)

    def step(r: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = start * (np.log1p(r / shares) - np.log1p(-r / (1 - shares)))
        return solve(np.where(np.isfinite(wanted), wanted, r))

    return step


def _newton(objective: Objective, theta: np.ndarray, H: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """r (k,) → −H⁻¹ r."""
    if objective.k <= MOST:
        full = full_hessian(objective, theta) if H is None else H
        return lambda r: newton_step(full, r, objective.loss.shift_invariant)
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


def _own_dual(objective: Objective, smooth: Point) -> tuple[Point, float, np.ndarray, np.ndarray]:
    """The dual point ∇ℓ: the point at θ, of which `smooth` is the loss's part, the rows' Fenchel gaps (mean), which are
    0, U (d, k) and r (k,)."""
    theta, gradient = smooth.theta, objective.full_gradient(smooth)
    point = replace(smooth, value=smooth.loss + objective.penalised(theta[:-1]), gradient=gradient)
    return point, 0.0, smooth.gradient[:-1], smooth.gradient[-1]


def _dual_pass(objective: Objective, theta: np.ndarray, g: np.ndarray) -> tuple[Point, float, np.ndarray, np.ndarray]:
    """The same for any dual point g: one pass."""
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
