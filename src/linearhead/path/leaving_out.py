"""Scores of every row by the classifier that was fitted without it, from one fit to all rows.

With gᵢ (k,) and Aᵢ (k, k) the derivatives of wᵢℓᵢ/Σw in the row's scores, H = ∇²F at the optimum and Vᵢ =
(zᵢ ⊗ I)ᵀ H⁻¹ (zᵢ ⊗ I), one Newton step towards the optimum of the other rows, the penalty held at αΣw, moves the scores
by (I − VᵢAᵢ)⁻¹ Vᵢgᵢ: approximate leave-one-out (Rad & Maleki 2020, J. R. Stat. Soc. B 82). For least squares it is
exact: the residual is divided by 1 − hᵢ, h the leverage (Cook & Weisberg 1982, eq. 2.2.8). H is whole where
k (rank + 1) is moderate, else class by class, A by its diagonal, which of one-vs-rest logistic is all of it. Rows are
in their eigenbasis; of many rows or classes only its leading directions are coupled, and in the others H is as good
without the row as with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import one_hot
from ..design import Block
from ..errors import UsageError
from ..objective import Objective
from .least_squares import row_weights, spectrum, thetas_of
from .walkers import solvable

COUPLED = 2600  # unknowns up to which H is factorised whole
WORK = 1e10  # multiplications of one sum over all rows


def _why_not(objective: Objective) -> str:
    """Why no row can be left out of this fit without fitting again; "" where it can."""
    if objective.loss.smoothness == 0:
        return f"{objective.loss.name} has kinks, where a Newton step says nothing"
    if objective.penalty.name != "l2" or objective.alpha <= 0:
        return f"the penalty is {objective.penalty.name} with alpha={objective.alpha:g}, and it takes l2 with alpha > 0"
    if not solvable(objective):
        return f"the eigenvectors of {objective.n} rows of {objective.design.d} columns are too large a problem"
    return ""


def left_out(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """Scores (n, k) float64 of every row by the fit to the others, from the optimum θ in the design's columns."""
    if reason := _why_not(objective):
        raise UsageError(f"Scores without each row come from one fit, but {reason}. Fit to folds instead.")
    with objective.design.session():  # whose inverses have the same bits for any number of BLAS's threads
        values, U, moment, means = spectrum(objective)
        if objective.loss.name == "squared":
            theta = thetas_of(objective, values, U, moment, means, np.array([objective.alpha]))[0]
            return _exact(_Look.of(objective.precise(), U, means[0], theta), 1 / (values + objective.alpha))
        look = _Look.of(objective, U[:, np.argsort(-values)], means[0], theta)
        k, q = objective.k, look.rank + look.design.intercept
        whole = objective.loss.shift_invariant and k * q <= COUPLED and objective.n * (k * q) ** 2 <= 2 * WORK
        return _coupled(look) if whole else _by_class(look)


@dataclass(frozen=True)
class _Look:
    """Blocks at θ: their scores s (m, k), and their rows in the eigenbasis z (m, rank)."""

    objective: Objective
    design: Any  # the objective's, in blocks of other sizes where a row takes more room
    turned: np.ndarray
    stored: np.ndarray

    @classmethod
    def of(cls, objective: Objective, U: np.ndarray, mean: np.ndarray, theta: np.ndarray) -> _Look:
        design = objective.design
        turned = design.to_rows(np.vstack([U, -(mean @ U)[None]]))
        return cls(objective, design, turned.astype(design.dtype), design.to_rows(theta).astype(design.dtype))

    @property
    def rank(self) -> int:
        return self.turned.shape[1]

    def __call__(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        return block.forward(self.stored), block.forward(self.turned)

    def extended(self, z: np.ndarray) -> np.ndarray:
        """[z 1] with an intercept, else z."""
        return np.hstack([z, np.ones((len(z), int(self.design.intercept)), z.dtype)])

    def weights(self, block: Block, s: np.ndarray) -> np.ndarray:
        return row_weights(self.objective, block.rows)[:, None].astype(s.dtype)

    def gradient(self, block: Block, s: np.ndarray) -> np.ndarray:
        return self.weights(block, s) * self.objective.score_gradient(s, block.rows)

    def sums(self, bends: Any) -> tuple:
        self.objective.count.passes += 1
        return self.design.sweep(bends)

    def scores(self, step: Any) -> np.ndarray:
        """(n, k) from step(block) → (m, k)."""
        out = np.empty((self.objective.n, self.objective.k))
        self.objective.count.passes += 1
        self.design.fill(out, lambda block: (step(block),))
        return out


def _exact(look: _Look, shrink: np.ndarray) -> np.ndarray:
    """Least squares, whose H is diagonal in the eigenbasis and the same for all classes: shrink (rank,) its inverse."""
    objective = look.objective

    def step(block: Block) -> np.ndarray:
        s, z = look(block)
        h = look.weights(block, s)[:, 0] * (z * z @ shrink + float(look.design.intercept))
        Y = one_hot(objective.y[block.rows], objective.k)
        return Y + (s - Y) / _positive(1 - h)[:, None]

    return look.scores(step)


def _by_class(look: _Look) -> np.ndarray:
    """Every class by itself: with a the diagonal of A and v = zᵀHⱼ⁻¹z, vg/(1 − av)."""
    objective, k = look.objective, look.objective.k
    lead = min(look.rank, int(np.sqrt(WORK / (objective.n * k))))  # the LEADING directions

    def diagonal(block: Block, s: np.ndarray) -> np.ndarray:
        return look.weights(block, s) * objective.score_hessian_form(s, block.rows, None)

    def bends(block: Block) -> tuple:
        s, z = look(block)
        a, near = diagonal(block, s), look.extended(z[:, :lead])
        return np.stack([(near.T * a[:, j]) @ near for j in range(k)]), (z[:, lead:] ** 2).T @ a

    H, rest = look.sums(bends)
    for own in H:
        _penalise(own, lead, objective.alpha)
    roots = [_root(own).astype(look.stored.dtype) for own in H]
    shrink = (1 / (rest + objective.alpha)).astype(look.stored.dtype)

    def step(block: Block) -> np.ndarray:
        s, z = look(block)
        near = look.extended(z[:, :lead])
        v = np.stack([np.square(near @ root).sum(axis=1) for root in roots], axis=1)
        v = v / _positive(1 - diagonal(block, s) * v) + z[:, lead:] ** 2 @ shrink
        return s + v * look.gradient(block, s)

    return look.scores(step)


def _coupled(look: _Look) -> np.ndarray:
    """All classes together."""
    objective, k = look.objective, look.objective.k
    look = replace(look, design=replace(look.design, scores=k * k))
    pairs = [(a, b) for a in range(k) for b in range(a + 1)]

    def hessians(block: Block, s: np.ndarray) -> np.ndarray:
        """A (m, k, k)"""
        product = objective.score_hessians(s, block.rows)
        columns = [product(np.zeros_like(s) + unit) for unit in np.eye(k, dtype=s.dtype)]
        return look.weights(block, s)[:, None] * np.stack(columns, axis=2)

    def bends(block: Block) -> tuple:
        s, z = look(block)
        A, z = hessians(block, s), look.extended(z)
        return (np.stack([(z.T * A[:, a, b]) @ z for a, b in pairs]),)

    blocks = look.sums(bends)[0]
    q = blocks.shape[1]
    H = np.empty((k, q, k, q))
    for (a, b), both in zip(pairs, blocks, strict=True):
        H[a, :, b] = H[b, :, a] = both
    for a in range(k):
        _penalise(H[a, :, a], look.rank, objective.alpha)
    if q > look.rank:  # a shift of all intercepts, which bends nothing and moves no lead
        H[:, -1, :, -1] += float(blocks[:, -1, -1].max()) / k
    inverse = _inverse(H.reshape(k * q, k * q)).reshape(k, q, k, q).astype(look.stored.dtype)

    def step(block: Block) -> np.ndarray:
        s, z = look(block)
        A, z, g = hessians(block, s), look.extended(z), look.gradient(block, s)
        V = np.empty_like(A)
        for a, b in pairs:
            V[:, a, b] = V[:, b, a] = np.einsum("ij,ij->i", z @ inverse[a, :, b], z)
        left = (1 + 8 * np.finfo(V.dtype).eps) * np.eye(k, dtype=V.dtype) - V @ A  # never 0, as of `_positive`
        return s + np.linalg.solve(left, V @ g[:, :, None])[:, :, 0]

    return look.scores(step)


def _penalise(H: np.ndarray, columns: int, alpha: float) -> None:
    """α on the diagonal of H (q, q), but not for the intercept, which stands last; and a rounding of it, in place."""
    diagonal = H.diagonal().copy()
    diagonal[:columns] += alpha
    np.fill_diagonal(H, diagonal + 4 * np.finfo(float).eps * max(float(diagonal.max()), alpha))


def _inverse(H: np.ndarray) -> np.ndarray:
    """H⁻¹, or where rounding has left no digit of its smallest curvatures that of the others."""
    try:
        return np.linalg.inv(H)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(H, hermitian=True)


def _root(H: np.ndarray) -> np.ndarray:
    """R (q, q) with R Rᵀ = `_inverse`(H), at a third of what that costs."""
    from scipy.linalg.lapack import dpotrf, dtrtri  # pyright: ignore[reportAttributeAccessIssue]

    lower, failed = dpotrf(H, lower=1)
    if not failed:
        return dtrtri(lower, lower=1)[0].T
    values, vectors = np.linalg.eigh(H)
    kept = values > 1e-15 * len(H) * values[-1]  # as np.linalg.pinv has it
    return vectors[:, kept] / np.sqrt(values[kept])


def _positive(left: np.ndarray) -> np.ndarray:
    """1 − leverage: of a row that is fitted all by itself nothing but rounding is left."""
    return np.maximum(left, np.finfo(left.dtype).eps)
