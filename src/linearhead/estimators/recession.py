"""Rows apart but for some on the boundary itself: quasi-complete separation (Albert & Anderson 1984, Biometrika 71).

A direction D (d+1, k) with (D_y − D_j)·[x 1] ≥ 0 for every row and other class j, somewhere > 0, lowers F for ever:
no finite optimum exists, and D is the proof. In one column alone it shows in the classes' least and largest numbers,
at any size. In general it is the linear program max c·D with all these margins ≥ 0, c their sum, |D| ≤ 1 (Konis 2007),
here by cutting planes: a D that is good for some of the margins is proven by a pass over all of them, or refuted. Where
it is too large the fit is the guide: along D it went on, and its other margins are taken out by projection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..losses import CrossEntropy, SquaredHinge
from ..objective import Objective
from ..objective.drawn import extended
from ..objective.point import Shared
from ..solvers import LBFGS
from ..solvers.newton import conjugate_gradients

BYTES = 1 << 29  # of the classes' least and largest numbers, blocks apart; beyond, columns are not looked at
UNKNOWNS = 300  # (d+1) k of a linear program, seconds at most
FLAT = 1e-10  # of the largest curvature: below, a direction counts as one without
ROUNDS = 12  # of margins that are added to it
FURTHER = 300  # iterations that the fit goes on
REPEATS, PRODUCTS = 4, 100  # projections, and products for one: each begins with what rounding left of the one before
PASSES = 1000  # of all of them
CLOSE = 1e-7  # of the size of its terms: a margin that the program may mean to be 0
CLEAR = 1e-9  # of it: a margin that is none of rounding
DUST = 1e-13  # of a direction's largest term: what rounding leaves of 0


@dataclass(frozen=True)
class Touching:
    """`clear` of the `rows` that count gain along a direction, the others lose nothing; it raises class `one` alone
    where that is given. With a `column`: in it all rows of that class are ≥ `edge` (`above`; else ≤), all others ≤."""

    one: int | None = None
    clear: int = 0
    rows: int = 0
    column: int | None = None
    edge: float = 0.0
    above: bool = True


def touching(objective: Objective, theta: np.ndarray) -> Touching | None:
    """A proof by the rows, or None: no such direction exists, or none was found."""
    if found := by_column(objective):
        return found
    if objective.loss.name != "logistic":
        return by_any(objective, theta)
    for j in range(objective.k):  # one class against the rest is a problem of two classes
        alone = replace(objective, y=(objective.y == j).astype(int), k=2, loss=CrossEntropy(), watch=False)
        if found := by_any(alone, 0.5 * np.stack([-theta[:, j], theta[:, j]], axis=1)):
            return replace(found, one=j)
    return None


def by_any(objective: Objective, theta: np.ndarray) -> Touching | None:
    """A direction of all columns and classes."""
    return (by_program if theta.size <= UNKNOWNS else by_fit)(objective, theta)


def visit(objective: Objective, fn: Callable[[Any, np.ndarray, np.ndarray], Any]) -> list:
    """fn(block, labels, which of its rows have weight) of every block that has such rows, in float64: one pass."""

    def share(block: Any) -> tuple:
        there = _there(objective, block)
        return (fn(block, objective.y[block.rows][there], there) if there.any() else None,)

    return [found for found in objective.precise().design.collect(share)[0] if found is not None]


def _there(objective: Objective, block: Any) -> np.ndarray:
    """(m,) which of a block's rows have weight."""
    y = objective.y[block.rows]
    return np.ones(len(y), bool) if objective.weights is None else np.asarray(objective.weights[block.rows] > 0)


# ── one column ────────────────────────────────────────────────────────────────────────────────────
def by_column(objective: Objective) -> Touching | None:
    """The first column where the rows of a class lie on one side of a number and all others on the other, or on it."""
    design, k = objective.precise().design, objective.k
    if 16 * k * design.d * -(-design.n // design.block_rows()) > BYTES:
        return None
    low, high = _ranges(objective)
    present = np.flatnonzero(np.isfinite(low[:, 0]))
    for above in (True, False):
        least, most = (low, high) if above else (-high, -low)
        for j in present if len(present) > 1 else ():
            others = present[present != j]
            below, rest = least[others].min(axis=0), most[others].max(axis=0)
            edge = rest if objective.design.intercept else np.zeros_like(rest)
            apart = (least[j] >= edge) & (rest <= edge) & ((most[j] > edge) | (below < edge))
            if apart.any():
                c = int(np.argmax(apart))
                return Touching(int(j), column=c, edge=float(edge[c] if above else 0.0 - edge[c]), above=above)
    return None


def _ranges(objective: Objective) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest number of each class in each column as stored, (k, d) each."""
    shape = (objective.k, objective.design.d)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)

    def share(block: Any, y: np.ndarray, there: np.ndarray) -> list:
        rows = {j: block.x[there & (objective.y[block.rows] == j)] for j in np.unique(y).tolist()}
        return [(j, _dense(x.min(axis=0)), _dense(x.max(axis=0))) for j, x in rows.items()]

    for found in visit(objective, share):
        for j, least, most in found:
            np.minimum(low[j], least, out=low[j])
            np.maximum(high[j], most, out=high[j])
    shift = objective.design.shift if getattr(objective.precise().design, "centre_blocks", False) else 0.0
    return low + shift, high + shift


def _dense(row: Any) -> np.ndarray:
    return row.toarray().ravel() if hasattr(row, "toarray") else row


# ── the linear program ────────────────────────────────────────────────────────────────────────────
def by_program(objective: Objective, theta: np.ndarray) -> Touching | None:
    """By margins that are added until the program's direction holds for all rows, or the program has none."""
    size = theta.size
    unit = np.sqrt(objective.column_metric())  # in columns of one size the bounds mean the same for all
    if size > UNKNOWNS or bounded(objective, theta, unit):
        return None
    gain = (_sum_of_margins(objective) / unit).T.ravel()
    D, known, held = theta, set(), np.zeros((0, size))
    for _ in range(ROUNDS):
        pairs, clear = _margins(objective, D, 2 * size, proving=bool(known))
        if known and not pairs:
            return Touching(clear=clear, rows=_count(objective)) if clear else None
        fresh = [pair for pair in pairs if pair not in known]
        if not fresh:
            return None
        known.update(fresh)
        held = np.vstack([held, _pair_rows(objective, np.array(fresh)) / np.tile(unit.ravel(), objective.k)])
        found = _best(gain, held)
        if found is None:
            return None
        D = found.reshape(objective.k, -1).T / unit
    return None


def bounded(objective: Objective, theta: np.ndarray, unit: np.ndarray) -> bool:
    """Whether the Newton step u at θ proves that cross-entropy has an optimum: no row's scores differ by ½ along it.

    0 = ∇F − ∇²F u is then a sum over rows and other classes of (e_y − e_j) ⊗ [x 1] times wᵢ p_j (1 − u_j + Σ p u) > 0,
    so no direction has margins ≥ 0 that are not all 0 (Stiemke 1915). Where ∇²F is singular scores must stand still.
    """
    k, columns, precise = objective.k, np.vstack([np.diag(1 / unit[:-1, 0]), 0 * unit[:-1].T]), objective.precise()
    given, at = precise.design.to_rows(columns), precise.design.to_rows(theta)

    def bend(block: Any) -> tuple:
        a, p = _extended(objective, block, given), cast(np.ndarray, objective.loss.probabilities(block.forward(at)))
        w = _there(objective, block) * (1.0 if objective.weights is None else objective.weights[block.rows])
        return (np.array([[(a.T * (w * p[:, i] * ((i == j) - p[:, j]))) @ a for j in range(k)] for i in range(k)]),)

    H = precise.design.sweep(bend)[0].swapaxes(1, 2).reshape(theta.size, -1) / objective.total
    values, V = np.linalg.eigh(H)
    seen = values > FLAT * values[-1]
    along = V.T @ (precise.at(theta).gradient / unit).T.ravel()
    still, step = V[:, ~seen], V[:, seen] @ (along[seen] / values[seen])

    def moves(block: Any, y: np.ndarray, there: np.ndarray) -> tuple:
        a = _extended(objective, block, given)[there]
        by = a @ still.reshape(k, a.shape[1], -1).swapaxes(0, 1).reshape(a.shape[1], -1)
        by = np.ptp(by.reshape(len(a), k, still.shape[1]), axis=1)
        return np.ptp(a @ step.reshape(k, -1).T, axis=1).max() < 0.5, by.max(initial=0.0) < 1e-6

    return all(all(found) for found in visit(objective, moves))


def _extended(objective: Objective, block: Any, given: np.ndarray) -> np.ndarray:
    """[x 1] of a block's rows in the columns that `given` (d+1, d) makes of them as stored, (m, d+1)."""
    return extended(block.forward(given), objective.design.intercept)


def _best(gain: np.ndarray, held: np.ndarray) -> np.ndarray | None:
    """max gain·D with held D ≥ 0 and |D| ≤ 1, margins that are 0 made so to the last digit; None where it is D = 0."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    held = held / np.linalg.norm(held, axis=1, keepdims=True)
    scale = float(np.abs(gain).max())
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(-gain / scale, A_ub=-csr_array(held), b_ub=np.zeros(len(held)), bounds=(-1, 1), options=options)
    if found.x is None or -found.fun <= CLEAR:
        return None
    tight = held[held @ found.x < CLOSE]
    return found.x - np.linalg.lstsq(tight, tight @ found.x, rcond=None)[0]


# ── beyond the program's size ─────────────────────────────────────────────────────────────────────
def by_fit(objective: Objective, theta: np.ndarray) -> Touching | None:
    """θ itself where the slope is a thousandth: margins that are not large are made 0 to the last digit, what is left
    is proven by the rows or refuted, and then the margins that it turned round are made 0 as well.

    Those are where the squared hinge bends at D, so that its Hessian, and the model of it, project.
    """
    weights = None if objective.weights is None else (objective.weights > 0).astype(float)
    own = {"alpha": 0.0, "weights": weights, "total": 0.0, "watch": False, "shared": Shared()}
    hinge, D = replace(objective.precise(), loss=SquaredHinge(), **own), _gone_on(objective, theta)
    last = objective.count.passes + PASSES
    for _ in range(ROUNDS):
        at, model = D, hinge.preconditioner(D)
        for _ in range(REPEATS):
            if objective.count.passes > last or not _exceeds(objective, D):
                return None
            D = D - conjugate_gradients(
                lambda v, at=at: hinge.hessian_product(at, v),
                hinge.hessian_product(at, D),
                lambda v, model=model: model(v)[0],
                1e-6,
                PRODUCTS,
            )
        D = _cleaned(objective, D)
        pairs, clear = _margins(objective, D, 1, proving=True)
        if not pairs:
            return Touching(clear=clear, rows=_count(objective)) if clear else None
    return None


def _gone_on(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """θ after more of the fit, in units of the margin that makes another class as unlikely as √slope: in a direction
    without end margins are well above 1, in others hardly any is."""
    precise = objective.precise()
    tol = 1e-3 * max(precise.at(theta).residual, 1e-12)
    point = LBFGS(tol=tol, max_iter=FURTHER)(precise, theta).point
    return point.theta / (-0.5 * np.log(np.clip(point.residual, 1e-300, 1e-2)))


def _cleaned(objective: Objective, D: np.ndarray) -> np.ndarray:
    """D without what is rounding beside its largest term, in columns as they are stored."""
    design: Any = objective.precise().design
    raw, scale = design.stored(D), 1.0 if design.scale is None else design.scale
    size = np.hypot(np.sqrt(design.energy) * scale, 0.0 if design.shift is None else design.shift)
    terms = np.abs(raw) * np.append(size, 1.0)[:, None]
    return design.from_stored(np.where(terms < DUST * terms.max(), 0.0, raw))


def _exceeds(objective: Objective, D: np.ndarray) -> bool:
    """Whether any margin along D is 1 or more."""
    stored = objective.precise().design.to_rows(D)

    def share(block: Any, y: np.ndarray, there: np.ndarray) -> bool:
        s = block.forward(stored)[there]
        return bool(np.any(s[np.arange(len(s)), y][:, None] - s >= 1))

    return any(visit(objective, share))


def _sum_of_margins(objective: Objective) -> np.ndarray:
    """c (d+1, k): c·D = Σ over rows with weight and other classes j of (D_y − D_j)·[x 1], in the design's columns."""

    def share(block: Any) -> tuple:
        there, y = _there(objective, block), objective.y[block.rows]
        g = -np.ones((len(y), objective.k))
        g[np.arange(len(y)), y] += objective.k
        return (block.adjoint(g * there[:, None]),)

    design = objective.precise().design
    return design.from_rows(design.sweep(share)[0])


def _margins(objective: Objective, D: np.ndarray, most: int, proving: bool) -> tuple[list[tuple[int, int]], int]:
    """The pairs (row, other class) whose margins along D are least, at most so many, if `proving` only those below 0;
    and how many rows have one that is clearly positive."""
    design = objective.precise().design
    stored = design.to_rows(D)
    digits = 8 * (design.d + 16) * float(np.finfo(np.float64).eps)

    def share(block: Any, y: np.ndarray, there: np.ndarray) -> tuple:
        each = np.flatnonzero(there)
        s, size = block.forward(stored)[there], block.absolute(np.abs(stored))[there]
        own = np.arange(len(s)), y
        margin, size = s[own][:, None] - s, size[own][:, None] + size
        margin[own] = np.inf
        clear = int(np.sum(np.any((margin > CLEAR * size) & np.isfinite(margin), axis=1)))
        margin[proving & (margin >= -digits * size)] = np.inf
        chosen = np.argsort(margin, axis=None)[:most]
        chosen = chosen[np.isfinite(margin.ravel()[chosen])]
        rows, j = np.divmod(chosen, objective.k)
        return margin.ravel()[chosen], block.rows.start + each[rows], j, clear

    margin, rows, j, clear = zip(*visit(objective, share), strict=True)
    least = np.argsort(np.concatenate(margin))[:most]
    pairs = zip(np.concatenate(rows)[least].tolist(), np.concatenate(j)[least].tolist(), strict=True)
    return list(pairs), sum(clear)


def _pair_rows(objective: Objective, pairs: np.ndarray) -> np.ndarray:
    """(e_y − e_j) ⊗ [x 1] of these (row, j), (m, k (d+1)), in the design's columns."""
    rows, back = np.unique(pairs[:, 0], return_inverse=True)
    a = extended(objective.precise().design.take(rows).dense(), objective.design.intercept)[back]
    out, each = np.zeros((len(pairs), objective.k, a.shape[1])), np.arange(len(pairs))
    out[each, objective.y[pairs[:, 0]]] = a
    out[each, pairs[:, 1]] = -a
    return out.reshape(len(pairs), -1)


def _count(objective: Objective) -> int:
    return objective.n if objective.weights is None else int(np.sum(objective.weights > 0))
