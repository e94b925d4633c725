"""An eigenvalue-corrected Kronecker model of the Hessian, the preconditioner of the smooth solvers.

For one layer ∇²F = E[H_i ⊗ x_i x_iᵀ] + αI ≈ E[H_i] ⊗ E[x_i x_iᵀ] + αI (Martens & Grosse 2015). In the eigenbasis U ⊗
Q of the two factors the diagonal is computed exactly, D_ca = E[(u_cᵀx)² · q_aᵀ H q_a] (George et al. 2018), so M =
(U⊗Q) (D + α) (U⊗Q)ᵀ. In the first few u and for few classes M is the Hessian itself, factorised (`coupled.py`), in long
fits on rows drawn for it (`drawn.py`). U comes from a sample of rows and serves every α and θ; the rest is renewed. For
many columns U is a randomised sketch of the leading directions (Halko, Martinsson & Tropp 2011); the rest of space gets
one mean energy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..design import Design, in_turn
from .coupled import CLASSES, Coupled, edges, sampled_hessian, unknowns
from .drawn import Leading, draw
from .objective import Objective

SAMPLE_BYTES = 64 << 20  # of float32 rows kept for the model
SAMPLE_ROWS = 8192
SLAB = 512  # rows handled at a time, so that nothing but the sample itself takes room
FULL_EIGEN = 1600  # columns up to which a full eigendecomposition costs less than the passes that it saves
SKETCH = 384  # leading directions otherwise
WIDTH = 256  # columns of one product with U
ROTATED = 256  # classes up to which the model is made in the eigenbasis Q of the classes; beyond, Q = I


@dataclass(frozen=True)
class Basis:
    """Directions of the columns: U (d, r) orthonormal in the columns divided by `scale` (d,), which is 1 where all
    columns vary alike, those of most energy first; None where they are the columns themselves. `projected` (m, r) are
    the sampled rows in them, `rest` the mean energy of what U leaves out. `design` holds the sampled rows where there
    is such a rest."""

    rows: np.ndarray
    design: Design | None
    U: np.ndarray | None
    scale: np.ndarray
    projected: np.ndarray
    rest: float

    @property
    def full(self) -> bool:
        return self.projected.shape[1] == len(self.scale)

    def scores(self, theta: np.ndarray) -> Callable[[slice], np.ndarray]:
        """A part of the sampled rows → its scores at θ, (m, k). For many classes θ is dear to turn, so that is done
        once for all parts."""
        if self.design is not None:
            design, stored = self.design, self.design.to_rows(theta)
            return lambda part: design.block(part).forward(stored)
        kind, inner = self.projected.dtype, theta[:-1] * self.scale[:, None]
        inner = (inner if self.U is None else self.U.T @ inner).astype(kind)
        return lambda part: self.projected[part] @ inner + theta[-1].astype(kind)

    def inner(self, rows: Design, lead: int | None = None) -> np.ndarray:
        """A design's few rows in the first `lead` directions (None: all), (m, lead)."""
        z = rows.dense()
        z = z / self.scale.astype(z.dtype)
        return z[:, :lead] if self.U is None else z @ self.U[:, :lead].astype(z.dtype)

    def penalty(self, alpha: np.ndarray, lead: int) -> np.ndarray:
        """UᵀDU of the first `lead` directions, D = diag(alpha): (lead, lead)."""
        if self.U is None:
            return np.diag(alpha[:lead])
        U = self.U[:, :lead]
        return (U.T * alpha) @ U


def sample_basis(objective: Objective, seed: int = 0) -> Basis:
    """The basis from a seeded sample of the rows that have weight."""
    design, d, n = objective.design, objective.design.d, objective.n
    m = min(n, _most_rows(d))
    rng = np.random.default_rng(seed)
    rows = np.arange(n) if m == n else np.sort(rng.choice(n, m, replace=False))
    if objective.weights is not None and np.any(objective.weights[rows] > 0):
        rows = rows[objective.weights[rows] > 0]
    w = np.ones(len(rows)) if objective.weights is None else objective.weights[rows]
    w = (w / w.sum()).astype(design.dtype)
    z, energies = np.empty((len(rows), d), design.dtype), np.zeros(d)
    for i in range(0, len(rows), SLAB):
        part = z[i : i + SLAB]
        part[:] = design.take(rows[i : i + SLAB]).dense()
        energies += w[i : i + SLAB] @ (part * part)
    spread = np.sqrt(energies)
    scale = _column_scale(spread, objective.alpha * objective.penalty.strong_convexity)
    z /= scale.astype(z.dtype)
    energy = float(np.sum((spread / scale) ** 2))
    U = _directions(z, w, rng) if min(z.shape) and energy else np.zeros((d, 0))
    if U.shape[1] == d:
        taken, projected = None, z
        for i in range(0, len(z), SLAB):  # in place: the rows themselves are needed no more
            projected[i : i + SLAB] = z[i : i + SLAB] @ U.astype(z.dtype)
    else:
        taken, projected = design.take(rows), z @ U.astype(z.dtype)
    left = energy - float(w @ np.einsum("ij,ij->i", projected, projected))
    return Basis(rows, taken, U, scale, projected, max(left, 0.0) / max(d - U.shape[1], 1))


def _most_rows(d: int) -> int:
    """Of d columns, that a model may keep."""
    return min(SAMPLE_ROWS, max(256, SAMPLE_BYTES // (4 * d)))


def basis_of_rows(objective: Objective, rows: np.ndarray) -> Basis:
    """The objective's directions with other rows projected; of many, evenly spread ones."""
    basis, design = objective.basis(), objective.design
    most = _most_rows(design.d)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    projected = np.empty((len(rows), basis.projected.shape[1]), design.dtype)
    slabs = [slice(i, i + SLAB) for i in range(0, len(rows), SLAB)]
    for slab, part in zip(slabs, in_turn(lambda slab: basis.inner(design.take(rows[slab])), slabs), strict=True):
        projected[slab] = part
    return replace(basis, rows=rows, design=None if basis.full else design.take(rows), projected=projected)


def _column_scale(spread: np.ndarray, alpha: float) -> np.ndarray:
    """1 for columns of comparable spread. Where some dwarf the rest beyond an eigenbasis's digits: their spread, or
    what makes αI no larger than the loss's curvature, ¼ or so, in columns too small to matter next to it."""
    live = spread[spread > 0]
    if not live.size or live.max() <= 100 * np.median(live):
        return np.ones_like(spread)
    return np.sqrt(np.where(spread > 0, spread**2, 1.0) + 4 * alpha)


def _directions(z: np.ndarray, w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Orthonormal (d, r) for rows z (m, d) of weights w: all of them, those that m < d rows span, or the leading."""
    m, d = z.shape
    if d <= FULL_EIGEN:
        gram = np.zeros((d, d))
        for i in range(0, m, SLAB):
            part = z[i : i + SLAB] * np.sqrt(w[i : i + SLAB])[:, None]
            gram += part.T @ part
        return np.ascontiguousarray(np.linalg.eigh(gram)[1][:, ::-1])
    weighted = z * np.sqrt(w)[:, None]
    if m <= FULL_EIGEN:
        values, left = np.linalg.eigh((weighted @ weighted.T).astype(np.float64))
        kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1]
        return orthonormal(weighted.T @ (left[:, kept] / np.sqrt(values[kept])).astype(z.dtype))
    q = rng.standard_normal((d, SKETCH)).astype(z.dtype)  # randomised subspace iteration with two power steps
    for _ in range(3):  # in float64: what a step leaves has a condition number of energies, squared in UᵀU
        q = orthonormal((weighted.T @ (weighted @ q)).astype(np.float64)).astype(z.dtype)
    projected = weighted @ q
    _, vectors = np.linalg.eigh((projected.T @ projected).astype(np.float64))
    return q.astype(np.float64) @ vectors[:, ::-1]


def orthonormal(U: np.ndarray) -> np.ndarray:
    """U (d, r), r ≤ d, with orthonormal columns: two Cholesky factors of UᵀU, at the speed of matrix products
    (CholeskyQR2: Fukaya et al. 2014); by Householder's QR where the columns are too close to dependent for that."""
    try:
        for _ in range(2):
            inverse = np.linalg.inv(np.linalg.cholesky((U.T @ U).astype(np.float64)))
            U = U @ inverse.T.astype(U.dtype)
        return U
    except np.linalg.LinAlgError:
        return np.linalg.qr(U)[0]


@dataclass(frozen=True)
class Preconditioner:
    """M⁻¹ at one θ: call it with arrays (d+1, k) to get as many; U and the factor are read once for all of them."""

    basis: Basis
    Q: np.ndarray | None  # (k, k) eigenvectors of the mean Hessian in the scores; None: the classes themselves
    diagonal: np.ndarray  # (r, k) curvature in the basis, with α
    rest: np.ndarray  # (d, k) curvature of what the basis leaves out, with α; (1, k) if scales are equal
    intercept: np.ndarray  # (k,)
    coupled: Coupled | None  # of the leading directions and the intercept
    lead: int
    alpha: float | None  # where Q does not tell: the curvature of W along a shift of all classes; None: nothing special

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        basis, Q, v = self.basis, self.Q, np.stack(arrays, axis=1)
        if self.alpha is not None:
            shift = v.mean(axis=2, keepdims=True)
            v = v - shift
        out, scale = np.empty_like(v), basis.scale[:, None, None]
        w = _times(v[:-1] / scale, Q)
        U = basis.U  # products in its own type: a model needs few digits, and U may be as large as the rows
        inner = _along(None if U is None else U.T, w)
        solved = inner / self.diagonal[:, None]
        back = None if Q is None else Q.T
        out[-1] = _times(_times(v[-1], Q) / self.intercept, back)
        if self.coupled is not None:
            lead = self.coupled(np.concatenate([_times(inner[: self.lead], back), v[-1:]]))
            solved[: self.lead], out[-1] = _times(lead[:-1], Q), lead[-1]
        solved = _along(U, solved)
        if not basis.full:
            solved = solved + (w - _along(U, inner)) / self.rest[:, None]
        out[:-1] = _times(solved, back) / scale
        if self.alpha is not None:
            out -= out.mean(axis=2, keepdims=True)
            if self.alpha:
                out[:-1] += shift[:-1] / self.alpha
        return list(out.transpose(1, 0, 2))


def _times(a: np.ndarray, Q: np.ndarray | None) -> np.ndarray:
    """a (…, k) Q."""
    return a if Q is None else (a.reshape(-1, a.shape[-1]) @ Q).reshape(a.shape)


def _along(U: np.ndarray | None, a: np.ndarray) -> np.ndarray:
    """U (r, d) with a (d, j, k): U is read once for all j, and once more for every WIDTH columns."""
    if U is None:
        return a
    flat = a.reshape(len(a), a.shape[1] * a.shape[2])  # of no rows, too, where no column has any spread
    flat = flat.astype(U.dtype, copy=False)
    parts = list(in_turn(lambda i: U @ flat[:, i : i + WIDTH], list(range(0, flat.shape[1], WIDTH))))
    return (parts[0] if len(parts) == 1 else np.hstack(parts)).reshape(len(U), *a.shape[1:])


def precondition(
    objective: Objective, basis: Basis, theta: np.ndarray, fine: bool = False, share: float = 1.0
) -> Preconditioner:
    """The curvature model of the objective at θ, on the basis's rows, which stand for a share of the weight of all; the
    others have no curvature. fine: its coupled part in more directions, on rows drawn by their curvature, which costs a
    pass."""
    sample, k, m = objective.of_rows(basis.rows), objective.k, len(basis.rows)
    w = sample.weights
    if w is None or not w.any():  # rows with weight may all lie outside a shared sample
        w = np.ones(m)
    w = (share * w / w.sum()).astype(basis.projected.dtype)
    scores = basis.scores(theta)
    s = scores(slice(None)) if k <= ROTATED else None
    values, Q = (np.ones(k), None) if s is None else np.linalg.eigh(_mean_hessian(sample, s, w))
    diagonal, lone = np.zeros((basis.projected.shape[1], k)), np.zeros(k)
    turn = None if Q is None else Q.astype(w.dtype)

    def terms(part: slice) -> tuple[np.ndarray, np.ndarray]:
        form = sample.score_hessian_form(scores(part) if s is None else s[part], part, turn)
        form *= w[part, None]
        return (basis.projected[part] ** 2).T @ form, form.sum(axis=0, dtype=np.float64)

    for along, alone in in_turn(terms, [slice(i, min(i + SLAB, m)) for i in range(0, m, SLAB)]):
        diagonal += along
        lone += alone
    alpha = objective.alpha * objective.penalty.strong_convexity
    shrink = 1 / basis.scale**2
    # α I becomes α/scale² in scaled columns; its diagonal in the basis
    diagonal += alpha * (shrink if basis.U is None else shrink @ basis.U**2)[:, None]
    rest = basis.rest * lone + alpha * (np.mean(shrink) if np.ptp(shrink) == 0 else shrink[:, None])
    # directions of the scores that the loss does not see (a shift of all of them): no step, rounding would be amplified
    blind = values <= (1e-13 if w.dtype == np.float64 else 1e-7) * max(values[-1], 0.0)
    lead = leading(objective, basis, fine)
    coupled = None
    if Q is not None and s is not None and lead > 0:
        rows = draw(objective, basis, theta, lead) if fine else _sampled(sample, basis, s, w, lead)
        coupled = _coupled(rows, basis, alpha * shrink, Q[:, blind])
    lead = 0 if coupled is None else lead
    if alpha == 0:
        diagonal[:, blind] = np.inf
        rest = np.atleast_2d(rest) + np.where(blind, np.inf, 0.0)
    lone = np.where(blind, np.inf, lone)
    seen = diagonal[np.isfinite(diagonal)]
    floor = 1e-9 * max(float(seen.max(initial=0.0)), float(lone[~blind].max(initial=0.0)))
    floor = floor if floor > 0 else 1.0
    special = alpha if Q is None and objective.loss.shift_invariant else None
    diagonal, rest = np.maximum(diagonal, floor), np.maximum(np.atleast_2d(rest), floor)
    return Preconditioner(basis, Q, diagonal, rest, np.maximum(lone, floor), coupled, lead, special)


def _mean_hessian(sample: Objective, s: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Σ wᵢ Hᵢ over the sampled rows, (k, k) float64."""
    return sample.score_hessian_mean(s, slice(None), w).astype(np.float64)


def leading(objective: Objective, basis: Basis, fine: bool) -> int:
    """Directions in which the classes are coupled."""
    if objective.k > CLASSES:
        return 0
    most = unknowns(objective.n * objective.design.d * objective.k, fine)
    return min(most // objective.k - 1, basis.projected.shape[1])


def _sampled(sample: Objective, basis: Basis, s: np.ndarray, w: np.ndarray, lead: int) -> Leading:
    """The basis's own rows."""
    ones = np.full((len(s), 1), float(sample.design.intercept), s.dtype)
    return Leading(sample, np.hstack([basis.projected[:, :lead], ones]), s, w)


def _coupled(rows: Leading, basis: Basis, alpha: np.ndarray, blind: np.ndarray) -> Coupled | None:
    """The Hessian in the leading directions: alpha (d,), blind (k, j); None where nothing bends."""
    k, lead = rows.s.shape[1], rows.z.shape[1] - 1
    h, a, b = edges(lambda d: rows.objective.score_hessian(rows.s, slice(None), d), rows.s)
    h *= rows.w
    if not h.any():
        return None
    H = sampled_hessian(rows.z, h, a, b, k)
    penalty = np.zeros((lead + 1, lead + 1))
    penalty[:-1, :-1] = basis.penalty(alpha, lead)
    return Coupled.of(H, penalty, blind, rows.objective.design.intercept)
