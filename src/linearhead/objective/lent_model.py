"""The curvature model of `curvature.py` on rows of another library: applied where they are, on a card also made there.

A card multiplies in no time and waits for the host in milliseconds. So what is drawn, halved in precision or cut into
slabs for the processor's sake is none of that here: rows are projected whenever they are needed, the coupled part is
summed up from every sampled row, in its sharper form from as many of all rows as `MULTIPLIES` allows, and its inverse
is kept as one matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import largest, namespace, to_device, to_host
from .basis import FULL_EIGEN, column_scale, directions, sampled_rows
from .coupled import CLASSES, FINE, LEAST
from .curvature import BLIND, ROTATED, Preconditioner, bounded, centred

LARGE = 1 << 37  # rows × columns × classes whose pass takes a card ten milliseconds
MULTIPLIES = 1 << 38  # for the coupled part: all of 60 000 rows in 2 000 unknowns, some ten milliseconds


@dataclass(frozen=True)
class LentBasis:
    """`Basis` on the device: U (d, r) and scale (d, 1) in float64. Rows are projected whenever they are asked for."""

    rows: Any  # the objective on the sampled rows
    U: Any
    scale: Any
    rest: float

    @classmethod
    def of(cls, objective: Any) -> LentBasis:
        """On the rows that `sample_basis` takes."""
        xp, X, d = objective.xp, objective.design.X, objective.design.d
        rng = np.random.default_rng(0)
        rows = objective.take(to_device(sampled_rows(objective.host, rng), X))
        w, z = shares(rows), rows.design.dense()
        energy = to_host(w @ (z * z)).astype(np.float64)
        scale = column_scale(np.sqrt(energy), objective.alpha * objective.penalty.strong_convexity)
        energy, scale = float(np.sum(energy / scale**2)), to_device(scale[:, None], X)
        z = z / xp.astype(scale.T, z.dtype)
        if d > FULL_EIGEN:
            U = directions(z, w, rng) if energy else xp.zeros_like(z[:0, :].T)
        else:
            weighted = z * xp.sqrt(w)[:, None]
            U = xp.flip(xp.linalg.eigh(xp.astype(weighted.T @ weighted, xp.float64))[1], axis=1)
        projected = z @ xp.astype(U, z.dtype)
        left = max(energy - float(xp.sum(w @ (projected * projected))), 0.0) / max(d - U.shape[1], 1)
        return cls(rows, xp.astype(U, xp.float64), scale, left)

    def inner(self, design: Any, block: Any) -> Any:
        """A block of a design's rows in the directions, (m, r)."""
        z = design.inner(block)
        return z @ namespace(z).astype(self.U / self.scale, z.dtype)


def shares(objective: Any) -> Any:
    """Every row's share of all weight, (n,), in the arithmetic's type."""
    xp, kind = objective.xp, objective.design.kind
    w = xp.ones_like(objective.y, dtype=kind) if objective.weights is None else xp.astype(objective.weights, kind)
    return w / xp.sum(w)


@dataclass(frozen=True)
class LentModel:
    """`Preconditioner` on the device, everything that is divided by inverted, the coupled part an inverse."""

    U: Any
    Q: Any
    scale: Any
    inverse: Any  # of its diagonal (r, k)
    rest: Any
    lone: Any
    centre: Any
    coupled: Any
    lead: int
    alpha: float | None

    @classmethod
    def of(cls, model: Preconditioner, move: Any) -> LentModel:
        """The host's."""
        basis, k = model.basis, len(model.intercept)
        coupled = None
        if model.coupled is not None:  # its columns are the answers to unit vectors, in the order (class, direction)
            size = (model.lead + 1) * k
            answers = model.coupled(np.eye(size).reshape(size, k, model.lead + 1).transpose(2, 0, 1))
            coupled = move(answers.transpose(2, 0, 1).reshape(size, size))
        rest = None if basis.full else move(1 / model.rest)
        inverted = move(1 / model.diagonal), rest, move((1 / model.intercept)[None, :])
        Q = None if model.Q is None else move(model.Q)
        U = move(np.eye(len(basis.scale)) if basis.U is None else basis.U)
        return cls(U, Q, move(basis.scale[:, None]), *inverted, move(model.centre), coupled, model.lead, model.alpha)

    @classmethod
    def made(cls, objective: Any, basis: LentBasis, theta: Any, fine: bool) -> LentModel:
        """At θ on the device, as `precondition` makes the host's."""
        xp, k, rows, w = objective.xp, objective.k, basis.rows, shares(basis.rows)
        design, (d, r) = rows.design, basis.U.shape
        stored, Q, turn, unseen = design.to_rows(theta), None, None, None
        blind = xp.zeros_like(theta[0, :], dtype=xp.bool)

        def mean(block: Any) -> tuple:
            return (rows.score_hessian_mean(block.forward(stored), block.rows, w[block.rows]),)

        def terms(block: Any) -> tuple:
            form = rows.score_hessian_form(block.forward(stored), block.rows, turn) * w[block.rows][:, None]
            z = basis.inner(design, block)
            return (z * z).T @ form, z.T @ form, xp.sum(form, axis=0, dtype=xp.float64)

        if k <= ROTATED:
            values, Q = xp.linalg.eigh(design.sweep(mean)[0])
            turn = xp.astype(Q, design.kind)
            blind = values <= BLIND["d" if design.exact else "f"] * xp.abs(values[-1])
            unseen = Q * xp.astype(blind, xp.float64)
        diagonal, sums, lone = design.sweep(terms)
        diagonal, centre = centred(diagonal, sums, lone, design.intercept)
        alpha = objective.alpha * objective.penalty.strong_convexity
        shrink = alpha / (basis.scale * basis.scale)
        rest = basis.rest * lone[None, :] + shrink
        diagonal = diagonal + (shrink.T @ (basis.U * basis.U)).T
        lead, coupled = min(FINE // k - 1, r), None
        if k > CLASSES and (lead < 2 or not objective.loss.splits or objective.n * design.d * k < LARGE):
            lead = 0  # of so many classes it takes as long as dozens of passes that are not large
        if lead > 0:
            if unseen is None:  # a shift of all classes
                unseen = xp.full(
                    (k, 1), k**-0.5 * objective.loss.shift_invariant, dtype=xp.float64, device=theta.device
                )
            step = -(-objective.n * ((lead + 1) * k) ** 2 // MULTIPLIES)
            many = objective.every(step) if fine and objective.n // step > rows.n else rows
            coupled = coupled_inverse(many, replace(basis, U=basis.U[:, :lead]), theta, shrink, unseen)
        diagonal, rest, lone = bounded(diagonal, rest, lone, blind, alpha)
        special = alpha if objective.loss.shift_invariant else None
        inverted = 1 / diagonal, None if r == d else 1 / rest, 1 / lone[None, :]
        return cls(basis.U, Q, basis.scale, *inverted, centre, coupled, 0 if coupled is None else lead, special)

    def __call__(self, *arrays: Any) -> list:
        xp, Q = namespace(arrays[0]), self.Q
        v = xp.stack(arrays)  # (j, d+1, k)
        turned, back = (_same, _same) if Q is None else (lambda a: a @ Q, lambda a: a @ Q.T)
        shift = xp.mean(v, axis=2, keepdims=True)
        v = v if self.alpha is None else v - shift
        w = turned(v[:, :-1, :] / self.scale)
        inner = self.U.T @ w
        last = turned(v[:, -1:, :])
        solved, b = (inner - self.centre * last) * self.inverse, last * self.lone
        if self.coupled is not None:
            lead = xp.concat([back(inner[:, : self.lead, :]), v[:, -1:, :]], axis=1)
            lead = self._solved(xp, lead)
            solved = xp.concat([turned(lead[:, :-1, :]), solved[:, self.lead :, :]], axis=1)
            b = turned(lead[:, -1:, :])
        b = back(b - xp.sum((self.centre * solved)[:, self.lead :, :], axis=1, keepdims=True))
        out = self.U @ solved
        if self.rest is not None:
            out = out + (w - self.U @ inner) * self.rest
        out = xp.concat([back(out) / self.scale, b], axis=1)
        if self.alpha is not None:
            out = out - xp.mean(out, axis=2, keepdims=True)
            if self.alpha:
                out = xp.concat([out[:, :-1, :] + shift[:, :-1, :] / self.alpha, out[:, -1:, :]], axis=1)
        return [out[i, ...] for i in range(len(arrays))]

    def _solved(self, xp: Any, lead: Any) -> Any:
        """The coupled part's answer to (j, q, k), whose inverse is in the order (class, direction)."""
        turned = xp.permute_dims(lead, (0, 2, 1))
        flat = xp.reshape(turned, (turned.shape[0], -1))
        return xp.permute_dims(xp.reshape(flat @ self.coupled, turned.shape), (0, 2, 1))


def _same(a: Any) -> Any:
    return a


def coupled_inverse(rows: Any, basis: LentBasis, theta: Any, shrink: Any, unseen: Any) -> Any:
    """The inverse of the Hessian on these rows in all the basis's directions and the intercept, (kq, kq) in the order
    (class, direction); shrink (d, 1) is the penalty, unseen (k, k) the scores' directions that the loss does not see,
    beside columns of 0 (or (k, j), them alone). None where nothing bends."""
    xp, k, penalty = rows.xp, rows.k, (basis.U.T * shrink.T) @ basis.U
    for exact in dict.fromkeys((rows.design.exact, True)):
        rows = rows.precise() if exact else rows
        H = coupled_hessian(rows, basis, theta)
        q, top = H.shape[1], float(xp.max(H))
        if not top > 0:
            return None
        stiff = top * (unseen @ unseen.T)
        eye, one = xp.eye(k, dtype=H.dtype, device=H.device), xp.eye(q, dtype=H.dtype, device=H.device)
        last = one * one[:, -1:]
        H = H + _product(xp, eye, _padded(xp, penalty)) + LEAST["d" if exact else "f"] * top * _product(xp, eye, one)
        H = H + _product(xp, stiff if rows.design.intercept else top * eye, last)
        if not rows.alpha:
            H = H + _product(xp, stiff, one - last)
        found = inverse(xp.reshape(H, (k * q, k * q)))
        if found is not None:
            return found
    return None


def coupled_hessian(rows: Any, basis: LentBasis, theta: Any) -> Any:
    """Σᵢ wᵢ Hᵢ ⊗ zᵢzᵢᵀ, (k, q, k, q) float64, zᵢ ending with the intercept's 1 or 0: its upper blocks from one product
    per class, the lower ones by symmetry."""
    xp, k, q, w = rows.xp, rows.k, basis.U.shape[1] + 1, shares(rows)
    design = replace(rows.design, scores=k * q)
    stored = design.to_rows(theta)

    def share(block: Any) -> tuple:
        s = block.forward(stored)
        z = basis.inner(design, block)
        z = xp.concat([z, xp.full_like(z[:, :1], float(design.intercept))], axis=1)
        product, unit, found = rows.score_hessians(s, block.rows), xp.eye(k, dtype=s.dtype, device=s.device), []
        for j in range(k):
            column = product(xp.zeros_like(s) + unit[j, :])[:, j:] * w[block.rows][:, None]
            wide = xp.reshape(column[:, :, None] * z[:, None, :], (z.shape[0], (k - j) * q))
            found.append(z.T @ wide)
        return tuple(found)

    H = xp.zeros((k, q, k, q), dtype=xp.float64, device=theta.device)
    for j, found in enumerate(design.sweep(share)):
        upper = xp.reshape(found, (q, k - j, q))
        H[j, :, j:, :] = upper
        H[j:, :, j, :] = xp.permute_dims(upper, (1, 2, 0))
    return H


def inverse(H: Any) -> Any:
    """Of a symmetric matrix, or None where rounding has left it indefinite."""
    linalg = namespace(H).linalg
    try:
        L = linalg.inv(linalg.cholesky(H))
    except (np.linalg.LinAlgError, RuntimeError):  # torch has an error of its own
        return None
    found = L.T @ L
    return found if largest(found) < np.inf else None  # a library without such errors answers NaN


def _product(xp: Any, a: Any, b: Any) -> Any:
    """a (k, k) and b (q, q) → a_ij b_lm as (k, q, k, q)."""
    return a[:, None, :, None] * b[None, :, None, :]


def _padded(xp: Any, a: Any) -> Any:
    """a (q, q) with a last row and column of 0."""
    a = xp.concat([a, xp.zeros_like(a[:1, :])], axis=0)
    return xp.concat([a, xp.zeros_like(a[:, :1])], axis=1)
