"""The Hessian itself, classes coupled, in a few leading directions of the columns: what a Kronecker product cannot say.

A row's Hessian in the scores has H_ab ≤ 0 off the diagonal and row sums ≥ 0 for every loss here: it is the Laplacian
of a graph, Σ_{a<b} h_ab (e_a − e_b)(e_a − e_b)ᵀ + Σ_a h_a e_a e_aᵀ with h ≥ 0. So Σᵢ wᵢ Hᵢ ⊗ zᵢzᵢᵀ is a sum of
one (r+1)² Gram matrix per edge, each from the rows where this edge is heavy: of many, rows are drawn systematically,
with chances proportional to wᵢ h, which keeps the sum semidefinite and unbiased at the price of `DRAWS` rows in all.
Where a shift of all scores changes no loss the row sums are 0, and one class can stand still, the ground: x is sought
with x_ground = 0, then shifted to mean 0. The lower triangle is kept, one (q, q) block per pair of classes: the edge
between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..design import in_turn

UNKNOWNS = 700, 1200  # of the coupled system, k (r + 1), for few numbers of rows × columns × classes and for many
FINE = 2000  # for many, in a fit that is long: from there each of them pays for its share of the factor
PER_NUMBER = 18  # the factor takes U³/3 multiplications: so many cubes per number keep it to about ten passes
CLASSES = 32  # beyond, edges outnumber the rows drawn
DRAWS = 32_768
LEAST = {"d": 1e-9, "f": 1e-7}  # of the largest curvature, added to all: what rounding leaves of it is noise
PART = 2048  # rows at hand at a time
SLAB = 256  # of them, by one thread


def unknowns(numbers: int, fine: bool = False) -> int:
    """Of a problem of so many rows × columns × classes: making the model must not outweigh the passes it saves."""
    few, many = UNKNOWNS
    return int(np.clip((PER_NUMBER * numbers) ** (1 / 3), few, FINE if fine else many))


def place(i: int, j: int) -> int:
    """The number of block (i, j), j ≤ i."""
    return i * (i + 1) // 2 + j


@dataclass(frozen=True)
class Classes:
    """The classes in the order of their blocks; grounded: the last one has none."""

    order: np.ndarray
    grounded: bool

    @classmethod
    def of(cls, hessian: np.ndarray, grounded: bool) -> Classes:
        """From the rows' mean Hessian in the scores (k, k); the ground is the class that bends most: the others hang on
        it."""
        order = np.arange(len(hessian))
        return cls(np.roll(order, -1 - int(np.argmax(hessian.diagonal()))) if grounded else order, grounded)

    @property
    def free(self) -> np.ndarray:
        """Those that have blocks."""
        return self.order[: len(self.order) - self.grounded]


def edges(product: Any, s: np.ndarray, classes: Classes) -> np.ndarray:
    """Weights h ≥ 0 of every row's edges, (e, m), as the blocks are: i > j that between two classes, i = j that from a
    class to the ground or to none.

    `product(d)` multiplies the rows' Hessians by d (m, k).
    """
    k, order = len(classes.free), classes.order
    h = np.empty((k * (k + 1) // 2, len(s)), dtype=s.dtype)
    for j in range(k):
        unit = np.zeros_like(s)
        unit[:, order[j]] = 1
        column = product(unit)
        for i in range(j + 1, k):
            h[place(i, j)] = -column[:, order[i]]
        h[place(j, j)] = -column[:, order[k]] if classes.grounded else column.sum(axis=1)
    largest = float(h.max(initial=0.0))
    h[h < 1e-6 * largest] = 0  # rounding, where row sums are 0
    return h


def draw(h: np.ndarray, draws: int) -> tuple[np.ndarray, float]:
    """Positions in h, flattened, at equal steps of its running sum, and the step: each stands for that much weight."""
    reached = np.cumsum(h.ravel(), dtype=np.float64)
    step = float(reached[-1]) / draws
    found = np.searchsorted(reached, (np.arange(draws) + 0.5) * step)
    return np.minimum(found, h.size - 1), step


def sampled_hessian(look: Callable, weigh: Callable, m: int, k: int, q: int, kind: Any) -> np.ndarray:
    """Σᵢ Hᵢ ⊗ zᵢzᵢᵀ over m rows from `draw`n ones, or from all where they are few: its blocks (k(k+1)/2, q, q).

    `look`(rows (j,)) takes rows, and what it returns finds z (j, q) and scores s of them, in any thread; `weigh`(rows,
    s) → the weights of their edges (e, j); k classes have blocks.
    """
    e = k * (k + 1) // 2
    H, few = np.zeros((e, q, q), kind), m * e <= DRAWS  # few: exact; a row of weight 2 is a row given twice
    parts = -(-m // PART)
    z = np.empty((-(-m // parts), q), kind)

    def fill(one: tuple[slice, Callable]) -> np.ndarray:
        z[one[0]], s = one[1]()
        return s

    for part in range(parts):
        rows = np.arange(part, m, parts)  # every so many: rows may be sorted
        slabs = [slice(i, min(i + SLAB, len(rows))) for i in range(0, len(rows), SLAB)]
        s = np.vstack(list(in_turn(fill, ((slab, look(rows[slab])) for slab in slabs))))
        _add(H, z[: len(rows)], weigh(rows, s), 0 if few else -(-DRAWS // parts), k)
    for i in range(k):  # a class's own block has all its edges
        for j in range(i):
            between = H[place(i, j)]
            H[place(i, i)] += between
            H[place(j, j)] += between
            np.negative(between, out=between)
    return H


def _add(H: np.ndarray, z: np.ndarray, h: np.ndarray, draws: int, k: int) -> None:
    """Every edge's Gram matrix to its block of H; draws = 0: of all rows."""
    if not h.any():
        return
    found, step = draw(h, draws) if draws else (np.empty(0, int), 0.0)
    edge, row = np.divmod(found, h.shape[1])
    bounds = np.searchsorted(edge, np.arange(len(h) + 1))

    def add(i: int) -> None:
        for e in range(place(i, 0), place(i, i) + 1):
            if not draws:
                H[e] += (z.T * h[e]) @ z
            elif bounds[e] < bounds[e + 1]:
                part = z[row[bounds[e] : bounds[e + 1]]]
                H[e] += (part.T @ part) * z.dtype.type(step)

    for _ in in_turn(add, reversed(range(k))):  # those with most edges first
        pass


@dataclass(frozen=True)
class Coupled:
    """The inverse of the coupled Hessian: (r+1, j, k) → the same shape, the last row the intercept. `factor` holds the
    blocks of its Cholesky factor, those on the diagonal inverted."""

    factor: np.ndarray
    classes: Classes

    def __call__(self, v: np.ndarray) -> np.ndarray:
        L, classes = self.factor, self.classes
        x = v - v.mean(axis=2, keepdims=True) if classes.grounded else v
        x = x[:, :, classes.free].transpose(2, 0, 1).astype(L.dtype)  # (k, r+1, j)
        solve(L, x)
        out = np.zeros_like(v)
        out[:, :, classes.free] = x.transpose(1, 2, 0)
        return out - out.mean(axis=2, keepdims=True) if classes.grounded else out

    @classmethod
    def of(
        cls, H: np.ndarray, alpha: np.ndarray, blind: np.ndarray, intercept: bool, classes: Classes
    ) -> Coupled | None:
        """From the blocks H, overwritten, the penalty's part (q, q), and the directions of the scores (k, j) that the
        loss does not see; None where H is not definite in its type."""
        free, k, q = classes.free, len(classes.free), H.shape[1]
        top = max(float(H[place(i, i)].diagonal().max()) for i in range(k))
        if classes.grounded:
            blind = blind - blind.mean(axis=0)
        stiff = top * (blind @ blind.T)[np.ix_(free, free)]
        last = stiff if intercept else top * np.eye(k)
        for i in range(k):
            for j in range(i + 1):
                block = H[place(i, j)]
                block += alpha * ((i == j) - classes.grounded / len(classes.order))  # ‖x − mean x‖², x_ground = 0
                more = np.full(q, 0.0 if alpha.any() else stiff[i, j])
                more[-1] = last[i, j]  # no step where the loss is blind, rounding would be amplified
                more += (i == j) * LEAST[H.dtype.char] * top
                block[np.diag_indices(q)] += more.astype(H.dtype)
        return cls(H, classes) if factorise(H, k) else None


def solve(L: np.ndarray, x: np.ndarray) -> None:
    """x (k, q, j) ← H⁻¹x by the factor of H."""
    for i in range(len(x)):
        left = L[place(i, 0) : place(i, i)]
        x[i] = L[place(i, i)] @ (x[i] - (left @ x[:i]).sum(axis=0))
    for i in reversed(range(len(x))):
        left = L[place(i, 0) : place(i, i)]
        x[i] = L[place(i, i)].T @ x[i]
        x[:i] -= left.transpose(0, 2, 1) @ x[i]


def factorise(H: np.ndarray, k: int) -> bool:
    """Cholesky's factor in place of the blocks of H, those on the diagonal inverted; False: H is not definite."""
    from scipy.linalg import solve_triangular

    eye = np.eye(H.shape[1], dtype=H.dtype)
    for j in range(k):
        own = place(j, j)
        try:
            H[own] = solve_triangular(np.linalg.cholesky(H[own]), eye, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return False
        _eliminate(H, j, k)
    return True


def _eliminate(H: np.ndarray, j: int, k: int) -> None:
    """The factor's column below block (j, j), and its share subtracted from the blocks right of it."""
    inverse, below = H[place(j, j)], range(j + 1, k)

    def divide(i: int) -> np.ndarray:
        H[place(i, j)] = H[place(i, j)] @ inverse.T
        return H[place(i, j)]

    column = dict(zip(below, in_turn(divide, below), strict=True))

    def subtract(i: int) -> None:
        for other in range(j + 1, i + 1):
            H[place(i, other)] -= column[i] @ column[other].T

    for _ in in_turn(subtract, reversed(below)):  # the longest first
        pass
