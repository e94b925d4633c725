"""Directions of the columns for the curvature model, from a sample of rows: U, and the sampled rows in it.

For few columns U is the whole eigenbasis of E[zzᵀ]: that is summed up from slabs of rows, which are taken once more to
be projected, so that they are never kept beside their projections; many of these are kept in half precision, each
direction in units of its spread. For many columns U is a randomised sketch of the leading directions (Halko, Martinsson
& Tropp 2011); the rest of space gets one mean energy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import cast, namespace, to_device
from ..design import Design, in_turn
from .objective import Objective

SAMPLE_BYTES = 64 << 20  # of float32 rows kept for the model
PART = 10  # or one in so many of the rows in memory: of wide rows fewer know too little of how F bends
SAMPLE_ROWS = 8192
HALF_BYTES = 4 << 20  # of float32 projections, beyond which they are kept in half precision
HALF_MOST = 6e4  # what half precision holds
SLAB = 256  # rows handled at a time, so that nothing but the sample itself takes room
FULL_EIGEN = 1600  # columns up to which a full eigendecomposition costs less than the passes that it saves
SKETCH = 384  # leading directions otherwise
FAR = 1e3  # times as large or small as the intercept's 1


@dataclass(frozen=True)
class Basis:
    """Directions of the columns: U (d, r) orthonormal in the columns divided by `scale` (d,), which is 1 where all
    columns vary alike, those of most energy first; None where they are the columns themselves. `projected` (m, r) are
    the sampled rows in them, in units of `unit` (r,), `rest` the mean energy of what U leaves out. `design` holds the
    sampled rows where there is such a rest."""

    rows: np.ndarray
    design: Design | None
    U: np.ndarray | None
    scale: np.ndarray
    projected: np.ndarray
    rest: float
    unit: np.ndarray | None = None  # None: 1

    @property
    def full(self) -> bool:
        return self.projected.shape[1] == len(self.scale)

    @property
    def dtype(self) -> np.dtype:
        """The type of the arithmetic on the sampled rows."""
        return (self.projected if self.unit is None else self.unit).dtype

    def part(self, rows: Any, lead: int | None = None) -> np.ndarray:
        """Some of the sampled rows in the first `lead` directions (None: all)."""
        z = self.projected[rows, :lead]
        return z if self.unit is None else z * self.unit[:lead]

    def scores(self, theta: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Of some of the sampled rows at θ: their places → (m, k)."""
        design = self.design
        if design is not None:
            stored = design.to_rows(theta)
            return lambda part: design.block(part).forward(stored)
        inner = (theta[:-1] * self.scale[:, None]).astype(self.dtype)
        inner, last = inner if self.U is None else self.U.T @ inner, theta[-1].astype(self.dtype)
        return lambda part: self.part(part) @ inner + last

    def inner(self, rows: Design, lead: int | None = None) -> np.ndarray:
        """A design's few rows in the first `lead` directions (None: all), (m, lead)."""
        z = self.scaled(rows)
        return z[:, :lead] if self.U is None else z @ self.U[:, :lead].astype(z.dtype, copy=False)

    def scaled(self, rows: Design) -> np.ndarray:
        """A design's few rows in columns divided by their scale, (m, d)."""
        z = rows.dense()
        return z / self.scale.astype(z.dtype) if (self.scale != 1).any() else z

    def of(self, design: Design, rows: np.ndarray) -> Basis:
        """The same directions with these rows of a design projected."""
        kind = design.dtype if self.unit is None else np.dtype(np.float16)
        projected = np.empty((len(rows), self.projected.shape[1]), kind)

        def project(taken: Design, slab: slice) -> None:
            z = self.inner(taken)
            if self.unit is not None:
                z /= self.unit
                np.clip(z, -HALF_MOST, HALF_MOST, out=z)
            projected[slab] = z

        for _ in in_slabs(design, rows, project):
            pass
        return replace(self, rows=rows, design=None if self.full else design.take(rows), projected=projected)

    def leading(self, most: int) -> Basis:
        """With the directions of most energy alone; the others' becomes part of the rest."""
        assert self.U is not None
        energy = np.mean(self.part(slice(None)) ** 2, axis=0)
        top, (d, r) = np.argsort(-energy)[:most], self.U.shape
        dropped = float(energy.sum() - energy[top].sum()) + self.rest * (d - r)
        kept = {"U": self.U[:, top], "projected": self.projected[:, top], "rest": dropped / max(d - len(top), 1)}
        return replace(self, unit=None if self.unit is None else self.unit[top], **kept)

    def penalty(self, alpha: np.ndarray, lead: int) -> np.ndarray:
        """UᵀDU of the first `lead` directions, D = diag(alpha): (lead, lead)."""
        if self.U is None:
            return np.diag(alpha[:lead])
        U = self.U[:, :lead]
        return (U.T * alpha) @ U


def in_slabs(design: Design, rows: np.ndarray, fn: Callable[[Design, slice], Any]) -> Iterable[tuple[slice, Any]]:
    """fn(a few of the rows, their place among all) for all, by the session's threads, in order."""
    slabs = [slice(i, i + SLAB) for i in range(0, len(rows), SLAB)]
    taken = ((design.take(rows[slab]), slab) for slab in slabs)
    return zip(slabs, in_turn(lambda one: fn(*one), taken), strict=True)


def sample_basis(objective: Objective, seed: int = 0) -> Basis:
    """The basis from a seeded sample of the rows that have weight."""
    design, rng = objective.design, np.random.default_rng(seed)
    rows = sampled_rows(objective, rng)
    w = np.ones(len(rows)) if objective.weights is None else objective.weights[rows]
    w = (w / w.sum()).astype(design.dtype)
    strength = objective.alpha * objective.penalty.strong_convexity
    if design.apart:  # one journey for all
        basis = _basis(design.take(rows), np.arange(len(rows)), w, strength, rng)
        return replace(basis, rows=rows)
    return _basis(design, rows, w, strength, rng)


def sampled_rows(objective: Objective, rng: np.random.Generator) -> np.ndarray:
    """Rows (m,), ascending, all that have weight where they are few."""
    n = objective.n
    m = most_rows(objective.design)
    rows = np.arange(n) if m == n else np.sort(rng.choice(n, m, replace=False))
    if objective.weights is not None and np.any(objective.weights[rows] > 0):
        rows = rows[objective.weights[rows] > 0]
    return rows


def _basis(design: Design, rows: np.ndarray, w: np.ndarray, strength: float, rng: np.random.Generator) -> Basis:
    """From rows of weights w, all directions or the leading ones."""
    d = design.d
    if d > FULL_EIGEN:
        return _sketched(design, rows, w, strength, rng)
    scale, U, unit = _eigenbasis(design, rows, w, strength)
    if not U.shape[1]:
        return Basis(rows, design.take(rows), U, scale, np.zeros((len(rows), 0), w.dtype), 0.0)
    half = w.dtype == np.float32 and 4 * len(rows) * d > HALF_BYTES
    return Basis(rows, None, U, scale, np.empty((0, d), w.dtype), 0.0, unit if half else None).of(design, rows)


def _eigenbasis(
    design: Design, rows: np.ndarray, w: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The columns' scale (d,), all directions U (d, d), none where no column has any spread, and the spread along them
    (d,)."""
    from scipy.linalg import get_blas_funcs

    syrk: Any = get_blas_funcs("syrk", dtype=w.dtype)
    gram = np.zeros((design.d, design.d), w.dtype, order="F")
    for i in range(0, len(rows), SLAB):
        z = design.take(rows[i : i + SLAB]).dense()
        z *= np.sqrt(w[i : i + SLAB])[:, None]
        gram = syrk(1.0, z.T, beta=1.0, c=gram, overwrite_c=True)
    gram = gram.astype(np.float64)
    scale = column_scale(np.sqrt(gram.diagonal()), strength)
    gram /= scale[:, None]
    gram /= scale
    if not gram.any():
        return scale, np.zeros((design.d, 0), w.dtype), np.zeros(0, w.dtype)
    values, U = _eigen(gram)
    spread = np.sqrt(np.maximum(values, 1e-12 * values[0]))
    return scale, U.astype(w.dtype, copy=False), spread.astype(w.dtype)


def _eigen(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and vectors of a symmetric matrix, the largest first; gram is overwritten: no room beside the two."""
    from scipy.linalg import eigh

    values, U = eigh(gram, lower=False, driver="evr", overwrite_a=True, check_finite=False)
    return values[::-1], U[:, ::-1]


def _sketched(design: Design, rows: np.ndarray, w: np.ndarray, strength: float, rng: np.random.Generator) -> Basis:
    """What the rows span where they are few, or their leading directions."""
    here, d = design.take(rows), design.d
    basis = Basis(rows, here, np.zeros((d, 0), w.dtype), np.ones(d), np.zeros((len(rows), 0), w.dtype), 0.0)

    def energies(taken: Design, slab: slice) -> np.ndarray:
        return (w[slab] @ taken.dense() ** 2).astype(np.float64)

    spread = np.sqrt(_summed(here, energies))
    basis = replace(basis, scale=column_scale(spread, strength))
    energy = float(np.sum((spread / basis.scale) ** 2))
    if not energy:
        return basis
    if len(rows) <= FULL_EIGEN:
        U = directions(basis.scaled(here), w, rng)
    else:
        U = sketch(lambda q: _summed(here, lambda taken, slab: _times(basis.scaled(taken), w[slab], q)), d, w, rng)
    basis = replace(basis, U=U.astype(w.dtype, copy=False))
    projected = np.vstack([z for _, z in in_slabs(here, np.arange(here.n), lambda taken, _: basis.inner(taken))])
    left = energy - float(w @ np.einsum("ij,ij->i", projected, projected))
    return replace(basis, projected=projected, rest=max(left, 0.0) / max(d - U.shape[1], 1))


def _times(z: np.ndarray, w: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ wᵢ zᵢzᵢᵀ q"""
    return z.T @ (w[:, None] * (z @ q))


def _summed(design: Design, fn: Callable[[Design, slice], np.ndarray]) -> np.ndarray:
    """Σ fn(a few of the rows, their place among all)."""
    parts = (part for _, part in in_slabs(design, np.arange(design.n), fn))
    total = next(parts)
    for part in parts:
        total += part
    return total


def most_rows(design: Design) -> int:
    """That a model may keep."""
    return min(design.n, SAMPLE_ROWS, max(256, SAMPLE_BYTES // (4 * design.d), design.held // PART))


def basis_of_rows(objective: Objective, rows: np.ndarray) -> Basis:
    """The objective's directions with other rows projected; of many, evenly spread ones."""
    most = most_rows(objective.design)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    return objective.basis().of(objective.design, rows)


def unit_of(spread: float) -> float:
    """1, or a power of two near the largest spread of a column that is of another size than the intercept's 1: what the
    model adds against rounding is a part of the largest curvature, and would be all that bends in tiny columns."""
    return 1.0 if not spread or 1 / FAR <= spread <= FAR else float(2.0 ** np.round(np.log2(spread)))


def column_scale(spread: np.ndarray, alpha: float) -> np.ndarray:
    """One number, `unit_of` them, for columns of comparable spread. Where some dwarf the rest beyond an eigenbasis's
    digits: their spread, or what makes αI no larger than the loss's curvature, ¼ or so, in columns too small to matter
    next to it."""
    live = spread[spread > 0]
    if not live.size or live.max() <= 100 * np.median(live):
        return np.full_like(spread, unit_of(float(live.max(initial=0.0))))
    return np.sqrt(np.where(spread > 0, spread**2, 1.0) + 4 * alpha)


def directions(z: Any, w: Any, rng: np.random.Generator) -> Any:
    """Orthonormal (d, r) for rows z (m, d) of weights w: those that m < d rows span, or the leading; any library's."""
    xp = namespace(z)
    weighted = z * xp.sqrt(w)[:, None]
    if z.shape[0] <= FULL_EIGEN:
        values, left = xp.linalg.eigh(cast(weighted @ weighted.T, xp.float64))
        least = int(xp.searchsorted(values, 1e-6 * values[-1:], side="right")[0])
        values, left = xp.flip(values[least:], axis=0), xp.flip(left[:, least:], axis=1)
        return orthonormal(weighted.T @ cast(left / xp.sqrt(values), z.dtype))
    return sketch(lambda q: weighted.T @ (weighted @ q), z.shape[1], z, rng)


def sketch(
    times: Callable[[Any], Any], d: int, like: Any, rng: np.random.Generator, most: int | None = None, steps: int = 3
) -> Any:
    """The `most` leading directions (d, r), or SKETCH, of E[zzᵀ], which `times` multiplies by, in arrays like
    another's."""
    xp = namespace(like)
    q = cast(to_device(rng.standard_normal((d, most or SKETCH)), like), like.dtype)
    for _ in range(steps):  # randomised subspace iteration; in float64: what a step leaves has a
        q = cast(orthonormal(cast(times(q), xp.float64)), like.dtype)  # condition number of energies
    _, vectors = xp.linalg.eigh(cast(q.T @ times(q), xp.float64))
    return cast(q, xp.float64) @ xp.flip(vectors, axis=1)


def orthonormal(U: Any) -> Any:
    """U (d, r), r ≤ d, with orthonormal columns, any library's: two Cholesky factors of UᵀU, at the speed of matrix
    products (CholeskyQR2: Fukaya et al. 2014); by Householder's QR where the columns are too close to dependent for
    that."""
    xp, kind = namespace(U), U.dtype
    try:
        for _ in range(2):
            inverse = xp.linalg.inv(xp.linalg.cholesky(cast(U.T @ U, xp.float64)))
            U = U @ cast(inverse.T, kind)
        return U
    except (np.linalg.LinAlgError, RuntimeError):  # torch has an error of its own
        return xp.linalg.qr(U)[0]
