"""The coupled Hessian of more classes than edges can be drawn for (`coupled.py`), in as many directions as fit.

For losses whose rows bend as diag(aᵢ) − bᵢbᵢᵀ, as softmax does (a = b = the classes' shares), Σᵢ wᵢ Hᵢ ⊗ zᵢzᵢᵀ is
one Gram matrix per class less one product of the rows' (b ⊗ z) with themselves, at the speed of matrix products. Rows
are drawn from the sample by their curvature in units of each class's own, tr H̄⁻¹Hᵢ but for the coupling (leverage:
Drineas, Mahoney & Muthukrishnan 2006): where only settled rows bend a class, those by the curvature itself would leave
it none. Neither they nor the directions may be so many that the model outweighs the passes that it saves, or takes much
room beside the rows. At θ = 0 all classes have the same curvature and nothing is gained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

import numpy as np

from ..design import in_turn
from .basis import Basis
from .coupled import LEAST, factorise, place, solve
from .drawn import draw_rows, extended
from .objective import Objective

FACTOR, FORM = 2, 4  # of a factor and of the products that make H, in multiplications: no more than a pass in all
ROOM, LEAST_ROOM = 64, 1 << 20  # numbers that a fit may keep, for each of which H may have one; so many it may have
SETTLED = 1e-3  # of the mean of these: what rows that bend less are drawn by
LEAST_ROWS, MOST_ROWS = 512, 8192
PART = 256  # rows at hand at a time
BLOCK = 256  # unknowns of a block of H, about


@dataclass(frozen=True)
class Grouped:
    """The inverse of the coupled Hessian: (r+1, j, k) → the same shape, the last row the intercept. `factor` as in
    `Coupled`, of `groups` of classes, the last ones of which do not exist; alike: shifts of all classes are left out.
    """

    factor: np.ndarray
    groups: int
    alike: bool

    def __call__(self, v: np.ndarray) -> np.ndarray:
        (q, j, k), size = v.shape, self.factor.shape[1]
        x = np.zeros((self.groups * size, j), self.factor.dtype)
        x[: k * q] = v.transpose(2, 0, 1).reshape(k * q, j)
        solve(self.factor, x.reshape(self.groups, size, j))
        out = x[: k * q].reshape(k, q, j).transpose(1, 2, 0)
        return (out - out.mean(axis=2, keepdims=True) if self.alike else out).astype(v.dtype, copy=False)


def size(objective: Objective, directions: int) -> tuple[int, int]:
    """Directions, of so many, and rows; no directions where but one would fit."""
    n, d, k = objective.n, objective.design.d, objective.k
    unknowns = min((FACTOR * n * d * k) ** (1 / 3), isqrt(2 * max(n * (d + 4 * k) // ROOM, LEAST_ROOM)))
    lead = min(int(unknowns) // k - 1, directions)
    if lead < 2:
        return 0, 0
    return lead, int(np.clip(FORM * n * d // (k * (lead + 1) ** 2), LEAST_ROWS, MOST_ROWS))


def couple(
    sample: Objective,
    basis: Basis,
    scores: Callable,
    w: np.ndarray,
    curved: np.ndarray,
    alpha: np.ndarray,
    lead: int,
    most: int,
) -> Grouped | None:
    """The Hessian at θ, whose `scores` these are, in the first `lead` directions and the intercept, from `most` of the
    sampled rows, weights w (m,); the classes' mean curvature `curved` (k,), alpha (d,) in the basis's columns. None
    where H is not definite."""
    k, q = sample.k, lead + 1
    together = max(1, round(BLOCK / q))
    groups = -(-k // together)
    order = np.lexsort((np.random.default_rng(0).random(len(w)), sample.y))  # rows may come class by class, in turn
    bend = _leverage(sample, scores, w, curved)
    found, chances = draw_rows(np.maximum(bend, SETTLED * w * (bend.sum() / w.sum()))[order], most)
    rows = order[found]
    H = _hessian(sample, basis, scores, rows, (w[rows] / chances).astype(w.dtype), lead, together)
    own = [H[place(i, i)].reshape(together, q, together, q) for i in range(groups)]
    diagonal = np.concatenate([np.einsum("jrjr->jr", block) for block in own])[:k]
    spread, top = diagonal.mean(axis=0), float(diagonal.max())
    if not top > 0:
        return None
    penalty = np.zeros((q, q), H.dtype)
    penalty[:-1, :-1] = basis.penalty(alpha, lead)
    penalty[np.diag_indices(q)] += LEAST[H.dtype.char] * top
    if not sample.design.intercept:
        penalty[-1, -1] += top
        spread[-1] = top
    for block in own:
        block[range(together), :, range(together)] += penalty
    if sample.loss.shift_invariant:  # no row sees a shift of all classes
        for block in H:
            for r in range(q):
                block[r::q, r::q] += spread[r] / k
    for j in range(k, groups * together):  # classes that fill the last group up
        own[-1][j % together, range(q), j % together, range(q)] += top
    return Grouped(H, groups, sample.loss.shift_invariant) if factorise(H, groups) else None


def _leverage(sample: Objective, scores: Callable, w: np.ndarray, curved: np.ndarray) -> np.ndarray:
    """The sampled rows' curvature in units of the classes' own, (m,); classes of no more than rounding count for
    nothing."""
    seen = curved > LEAST[w.dtype.char] * curved.max()
    unit = np.where(seen, 1 / np.where(seen, curved, 1.0), 0.0).astype(w.dtype)

    def share(part: slice) -> np.ndarray:
        return w[part] * (sample.score_hessian_form(scores(part), part, None) @ unit)

    return np.concatenate(list(in_turn(share, [slice(i, min(i + PART, len(w))) for i in range(0, len(w), PART)])))


def _hessian(
    sample: Objective, basis: Basis, scores: Callable, rows: np.ndarray, w: np.ndarray, lead: int, together: int
) -> np.ndarray:
    """Σ wᵢ Hᵢ ⊗ zᵢzᵢᵀ over these of the sampled rows: the blocks between groups of so many classes."""
    k, q = sample.k, lead + 1
    size, groups = together * q, -(-k // together)
    H = np.zeros((groups * (groups + 1) // 2, size, size), w.dtype)
    for start in range(0, len(rows), PART):
        part, weight = rows[start : start + PART], w[start : start + PART, None]
        a, b = sample.loss.hessian_parts(scores(part), sample.y[part])
        z = extended(basis.part(part, lead), sample.design.intercept).astype(w.dtype, copy=False).T
        heavy, B = (a * weight).T, np.zeros((groups, size, z.shape[1]), w.dtype)
        np.multiply((b * np.sqrt(weight)).T[:, None], z, out=B.reshape(-1, q, z.shape[1])[:k])

        def add(i: int, B: np.ndarray = B, z: np.ndarray = z, heavy: np.ndarray = heavy) -> None:
            for j in range(i + 1):
                H[place(i, j)] -= B[i] @ B[j].T
            own = H[place(i, i)]
            for c, each in enumerate(heavy[i * together : (i + 1) * together]):
                own[c * q : (c + 1) * q, c * q : (c + 1) * q] += (z * each) @ z.T

        for _ in in_turn(add, reversed(range(groups))):  # the longest first
            pass
    return H
