"""Rows apart but for some on the boundary itself: quasi-complete separation (Albert & Anderson 1984, Biometrika 71).

A direction D (d+1, k) with (D_y − D_j)·[x 1] ≥ 0 for every row and other class j, somewhere > 0, lowers F for ever:
no finite optimum exists, and D is the proof. In one column alone it shows in the classes' least and largest numbers,
at any size. In general it is the linear program max c·D with all these margins ≥ 0, c their sum, |D| ≤ 1 (Konis 2007),
here by cutting planes: a D that is good for some of the margins is proven by a pass over all of them, or refuted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from ..losses import CrossEntropy
from ..objective import Objective

UNKNOWNS = 300  # (d+1) k of a linear program, seconds at most; beyond, single columns alone are looked at
FLAT = 1e-10  # of the largest curvature: below, a direction counts as one without
ROUNDS = 12  # of margins that are added to it
CLOSE = 1e-7  # of the size of its terms: a margin that the program may mean to be 0
CLEAR = 1e-9  # of it: a margin that is none of rounding


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
    """A proof by the rows, or None: no such direction exists, or the problem is too large to tell."""
    found = by_column(objective)
    if found or objective.loss.name != "logistic":
        return found or by_program(objective, theta)
    for j in range(objective.k):  # one class against the rest is a problem of two classes
        alone = replace(objective, y=(objective.y == j).astype(int), k=2, loss=CrossEntropy(), watch=False)
        if found := by_program(alone, 0.5 * np.stack([-theta[:, j], theta[:, j]], axis=1)):
            return replace(found, one=j)
    return None


def visit(objective: Objective, fn: Callable[[Any, np.ndarray, np.ndarray], Any]) -> list:
    """fn(block, labels, which of its rows have weight) of every block that has such rows, in float64: one pass."""
    found = []

    def share(block: Any) -> tuple:
        y = objective.y[block.rows]
        there = np.ones(len(y), bool) if objective.weights is None else objective.weights[block.rows] > 0
        if there.any():
            found.append(fn(block, y[there], there))
        return ()

    objective.precise().design.sweep(share)
    return found


# ── one column ────────────────────────────────────────────────────────────────────────────────────
def by_column(objective: Objective) -> Touching | None:
    """The first column where the rows of a class lie on one side of a number and all others on the other, or on it."""
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
    shape, merging = (objective.k, objective.design.d), Lock()
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)

    def share(block: Any, y: np.ndarray, there: np.ndarray) -> None:
        for j in np.unique(y):
            x = block.x[there & (objective.y[block.rows] == j)]
            least, most = (_dense(a) for a in (x.min(axis=0), x.max(axis=0)))
            with merging:
                np.minimum(low[j], least, out=low[j])
                np.maximum(high[j], most, out=high[j])

    visit(objective, share)
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
    k, scaled, H = objective.k, theta * unit, 0.0
    for a, w in _slabs(objective, unit):
        p: Any = objective.loss.probabilities(a @ scaled)
        H = H + np.block([[(a.T * (w * p[:, i] * ((i == j) - p[:, j]))) @ a for j in range(k)] for i in range(k)])
    values, V = np.linalg.eigh(H)
    seen = values > FLAT * values[-1]
    along = V.T @ (objective.precise().at(theta).gradient / unit).T.ravel()
    still, step = V[:, ~seen], V[:, seen] @ (along[seen] / values[seen])
    for a, _ in _slabs(objective, unit):
        if np.ptp(a @ step.reshape(k, -1).T, axis=1).max() >= 0.5:
            return False
        moved = a @ still.reshape(k, -1, still.shape[1]).transpose(1, 0, 2).reshape(a.shape[1], -1)
        if np.ptp(moved.reshape(len(a), k, -1), axis=1).max(initial=0.0) > 1e-6:
            return False
    return True


def _slabs(objective: Objective, unit: np.ndarray, size: int = 4096) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """[x 1] of the rows with weight, in the design's columns divided by `unit`, and weights that sum to 1."""
    weights = np.ones(objective.n) if objective.weights is None else objective.weights
    rows = np.flatnonzero(weights > 0)
    for i in range(0, len(rows), size):
        part = rows[i : i + size]
        yield _extended(objective, part) / unit.ravel(), weights[part] / objective.total


def _extended(objective: Objective, rows: np.ndarray) -> np.ndarray:
    """[x 1] in the design's columns, (m, d+1) float64."""
    x = objective.precise().design.take(rows).dense()
    return np.hstack([x, np.full((len(x), 1), float(objective.design.intercept))])


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


def _sum_of_margins(objective: Objective) -> np.ndarray:
    """c (d+1, k): c·D = Σ over rows with weight and other classes j of (D_y − D_j)·[x 1], in the design's columns."""

    def share(block: Any, y: np.ndarray, there: np.ndarray) -> np.ndarray:
        g = -np.ones((len(there), objective.k))
        g[np.flatnonzero(there), y] += objective.k
        return block.adjoint(g * there[:, None])

    return objective.precise().design.from_rows(np.sum(visit(objective, share), axis=0))


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
    a = _extended(objective, rows)[back]
    out, each = np.zeros((len(pairs), objective.k, a.shape[1])), np.arange(len(pairs))
    out[each, objective.y[pairs[:, 0]]] = a
    out[each, pairs[:, 1]] = -a
    return out.reshape(len(pairs), -1)


def _count(objective: Objective) -> int:
    return objective.n if objective.weights is None else int(np.sum(objective.weights > 0))
