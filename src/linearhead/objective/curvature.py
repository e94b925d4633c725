"""An eigenvalue-corrected Kronecker model of the Hessian, the preconditioner of the smooth solvers.

For one layer ∇²F = E[H_i ⊗ x_i x_iᵀ] + αI ≈ E[H_i] ⊗ E[x_i x_iᵀ] + αI (Martens & Grosse 2015). In the eigenbasis U ⊗
Q of the two factors the diagonal is computed exactly, D_ca = E[(u_cᵀx)² · q_aᵀ H q_a] (George et al. 2018), so M =
(U⊗Q) (D + α) (U⊗Q)ᵀ. But the rows at which a class bends lie around a centre c_a of their own, which ties its intercept
to all directions: with b_a + c_aᵀw_a in the place of b_a the two are told apart, and D is taken around c_a. In the
first few u M is the Hessian itself, factorised (`coupled.py`, `many_classes.py`), in long fits of few classes on rows
drawn for it (`drawn.py`). U comes from a sample of rows (`basis.py`) and serves every α and θ; the rest is renewed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import largest, namespace
from ..design import in_turn
from .basis import SLAB, Basis
from .coupled import CLASSES, Classes, Coupled, unknowns
from .drawn import Leading, draw, extended
from .many_classes import Grouped, couple, size
from .objective import Objective

WIDTH = 256  # columns of one product with U
ROTATED = 256  # classes up to which the model is made in the eigenbasis Q of the classes; beyond, Q = I
BLIND = {"d": 1e-13, "f": 1e-6}  # of the largest: what rounding makes of classes that do not bend, 3e-7 in float32
HARDLY = 1e-2  # of the curvature of the class that bends most: below, a few rows at a few θ tell no centre


@dataclass(frozen=True)
class Preconditioner:
    """M⁻¹ at one θ: call it with arrays (d+1, k) to get as many; U and the factor are read once for all of them."""

    basis: Basis
    Q: np.ndarray | None  # (k, k) eigenvectors of the mean Hessian in the scores; None: the classes themselves
    diagonal: np.ndarray  # (r, k) curvature in the basis, around `centre`, with α
    rest: np.ndarray  # (d, k) curvature of what the basis leaves out, with α; (1, k) if scales are equal
    intercept: np.ndarray  # (k,)
    centre: np.ndarray  # (r, k) where the rows lie at which a class bends
    coupled: Coupled | Grouped | None  # of the leading directions and the intercept
    lead: int
    alpha: float | None  # where Q does not tell: the curvature of W along a shift of all classes; None: nothing special

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        basis, Q, U = self.basis, self.Q, self.basis.U
        # in U's own type: a model needs few digits, and U and v may be as large as the rows
        kind = arrays[0].dtype if U is None else U.dtype
        v = np.stack(arrays, axis=1, dtype=kind, casting="same_kind")
        shift = None if self.alpha is None else v.mean(axis=2, keepdims=True)
        if shift is not None:
            v -= shift
        scale = None if (basis.scale == 1).all() else basis.scale.astype(kind)[:, None, None]
        out, w = np.empty_like(v), _times(v[:-1] if scale is None else v[:-1] / scale, Q)
        inner = _along(None if U is None else U.T, w)
        back, last = None if Q is None else Q.T, _times(v[-1], Q)
        centre = self.centre.astype(kind)[:, None]
        solved = (inner - centre * last) / self.diagonal[:, None]
        own = last / self.intercept
        if self.coupled is not None:
            lead = self.coupled(np.concatenate([_times(inner[: self.lead], back), v[-1:]]))
            solved[: self.lead], own = _times(lead[:-1], Q), _times(lead[-1], Q)
        out[-1] = _times(own - (centre * solved)[self.lead :].sum(axis=0), back)
        if basis.full:
            solved = _along(U, solved)
        elif len(self.rest) == 1:  # (w − U inner) / rest without a product of its own
            solved = _along(U, solved - inner / self.rest)
            solved += w / self.rest.astype(kind)
        else:
            solved = _along(U, solved) + (w - _along(U, inner)) / self.rest.astype(kind)[:, None]
        out[:-1] = _times(solved, back)
        if scale is not None:
            out[:-1] /= scale
        if self.alpha is not None and shift is not None:
            out -= out.mean(axis=2, keepdims=True)
            if self.alpha:
                out[:-1] += shift[:-1] / self.alpha
        return [
            part.astype(array.dtype, copy=False) for part, array in zip(out.transpose(1, 0, 2), arrays, strict=True)
        ]


def _times(a: np.ndarray, Q: np.ndarray | None) -> np.ndarray:
    """a (…, k) Q."""
    return a if Q is None else (a.reshape(-1, a.shape[-1]) @ Q.astype(a.dtype, copy=False)).reshape(a.shape)


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
    w = (share * w / w.sum()).astype(basis.dtype)
    slabs = [slice(i, min(i + SLAB, m)) for i in range(0, m, SLAB)]
    scores = basis.scores(theta)
    s = np.vstack(list(in_turn(scores, slabs))) if k <= ROTATED else None
    scores = scores if s is None else s.__getitem__
    mean = None if s is None else _mean_hessian(sample, s, w)
    values, Q = (np.ones(k), None) if mean is None else np.linalg.eigh(mean)
    diagonal, lone = np.zeros((basis.projected.shape[1], k)), np.zeros(k)
    centre = np.zeros_like(diagonal)
    turn = None if Q is None else Q.astype(w.dtype)

    def terms(part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        form, z = sample.score_hessian_form(scores(part), part, turn), basis.part(part)
        form *= w[part, None]
        return (z * z).T @ form, z.T @ form, form.sum(axis=0, dtype=np.float64)

    for along, first, alone in in_turn(terms, slabs):
        diagonal += along
        centre += first
        lone += alone
    diagonal, centre = centred(diagonal, centre, lone, objective.design.intercept)
    alpha = objective.alpha * objective.penalty.strong_convexity
    shrink = 1 / basis.scale**2
    # α I becomes α/scale² in scaled columns; its diagonal in the basis
    alike = np.ptp(shrink) == 0
    diagonal += alpha * (shrink[0] if alike else (shrink if basis.U is None else shrink @ basis.U**2)[:, None])
    rest = basis.rest * lone + alpha * (shrink[0] if alike else shrink[:, None])
    # directions of the scores that the loss does not see (a shift of all of them): no step, rounding would be amplified
    blind = values <= BLIND[w.dtype.char] * max(values[-1], 0.0)
    lead, most = leading(objective, basis, fine)
    coupled = None
    if k > CLASSES:
        if lead and theta.any():
            curved = lone if mean is None else mean.diagonal()
            coupled = couple(sample, basis, scores, w, curved, alpha * shrink, lead, most)
    elif Q is not None and s is not None and mean is not None and lead > 0:
        rows = draw(objective, basis, theta, lead) if fine else _sampled(sample, basis, s, w, lead)
        coupled = _coupled(rows, basis, alpha * shrink, mean, Q[:, blind])
    lead = 0 if coupled is None else lead
    diagonal, rest, lone = bounded(diagonal, np.atleast_2d(rest), lone, blind, alpha)
    special = alpha if objective.loss.shift_invariant else None
    return Preconditioner(basis, Q, diagonal, rest, lone, centre, coupled, lead, special)


def centred(diagonal: Any, sums: Any, lone: Any, intercept: bool) -> tuple[Any, Any]:
    """E[z² h] and E[z h] (r, k), E[h] (k,) → E[(z − c)² h], not below a tenth of what it was, as c is a sample's, and
    c = E[z h] / E[h], which is 0 without an intercept and for classes that hardly bend; in any library's arrays."""
    xp = namespace(lone)
    c = sums / xp.where(lone > HARDLY * largest(lone), lone, np.inf) if intercept else xp.zeros_like(sums)
    return xp.maximum(diagonal - lone * c * c, 0.1 * diagonal), c


def bounded(diagonal: Any, rest: Any, lone: Any, blind: Any, alpha: float) -> tuple[Any, Any, Any]:
    """Curvatures (r, k), (·, k) and (k,) as they may be divided by, in any library's arrays: infinite in the directions
    of the scores that the loss does not see, blind (k,), where no penalty acts; never below a billionth of the largest,
    and 1 where nothing bends at all.
    """
    xp = namespace(lone)
    if alpha == 0:
        blind = blind & ~xp.all(blind)
        diagonal, rest = xp.where(blind, np.inf, diagonal), xp.where(blind, np.inf, rest)
    lone = xp.where(blind, np.inf, lone)
    floor = 1e-9 * max(largest(xp.where(xp.isfinite(a), a, 0.0)) for a in (diagonal, lone))
    floor = floor if floor > 0 else 1.0
    return tuple(xp.clip(a, floor, None) for a in (diagonal, rest, lone))  # type: ignore[return-value]


def _mean_hessian(sample: Objective, s: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Σ wᵢ Hᵢ over the sampled rows, (k, k) float64."""
    return sample.score_hessian_mean(s, slice(None), w).astype(np.float64)


def leading(objective: Objective, basis: Basis, fine: bool) -> tuple[int, int]:
    """Directions in which the classes are coupled, and of how many rows, where there are too many classes for edges."""
    directions = basis.projected.shape[1]
    if objective.k > CLASSES:
        return size(objective, directions) if objective.loss.splits else (0, 0)
    most = unknowns(objective.n * objective.design.d * objective.k, fine)
    return min(most // objective.k - 1, directions), 0


def _sampled(sample: Objective, basis: Basis, s: np.ndarray, w: np.ndarray, lead: int) -> Leading:
    """The basis's own rows."""

    def look(at: np.ndarray) -> Any:
        return lambda: (extended(basis.part(at, lead), sample.design.intercept), s[at])

    return Leading(sample, w, lead, look)


def _coupled(rows: Leading, basis: Basis, alpha: np.ndarray, mean: np.ndarray, blind: np.ndarray) -> Coupled | None:
    """The Hessian in the leading directions: alpha (d,), the mean Hessian in the scores (k, k), blind (k, j); None
    where nothing bends."""
    classes = Classes.of(mean, rows.objective.loss.shift_invariant)
    penalty = np.zeros((rows.lead + 1, rows.lead + 1))
    penalty[:-1, :-1] = basis.penalty(alpha, rows.lead)
    for kind in sorted({rows.w.dtype, np.dtype(np.float64)}, key=lambda kind: kind.itemsize):
        H = rows.hessian(classes, kind)
        if not H.any():
            return None
        found = Coupled.of(H, penalty, blind, rows.objective.design.intercept, classes)
        if found is not None:
            return found
    return None
