"""F in coordinates of its rows' span: Xc = Z Uᵀ, U (d, r) orthonormal, Z = Xc U (n, r), r = rank, most energy first.

L2 sees no rotation, ‖W‖ = ‖UᵀW‖ for W in the rows' span, and the optimum has no part outside it (the representer
theorem, Kimeldorf & Wahba 1971), so W = U W̃ turns a problem of d columns into the same one of r. For n < d that is a
smaller problem; for few rows more than that the curvature model, whose directions are the columns now, costs less than
a pass instead of more. For n < d any Z with ZZᵀ = XcXcᵀ does: along the leading eigenvectors, from random vectors (the
Nyström factor: Halko, Martinsson & Tropp 2011, §5.4), and for the rest a Cholesky factor with pivots, a tenth of what
all eigenvectors cost. U is only made where somebody asks for W; where small values cost digits, it is made orthonormal
once more. Paid once for all α and folds, which are weights on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from ..design import Rows
from .basis import FULL_EIGEN, Basis, orthonormal, sketch, unit_of
from .objective import Objective, Shared

MOST_ROWS = 2048  # up to which the coordinates cost less than the passes that they save
PER_COLUMN = 4  # rows per column up to which products with U would cost as much as half a pass
BYTES = 256 << 20  # of Z and U together
LEADING = 128  # directions that are told apart, or a fourth of the rows: all of them cost the cube of the rows


@dataclass(frozen=True)
class Span:
    """Z = Xc U (n, r); U (d, r), orthonormal, and tr (ZᵀZ)⁻¹ once they are needed."""

    Z: np.ndarray
    make: Callable[[], np.ndarray]
    trace: Callable[[], float]

    @cached_property
    def U(self) -> np.ndarray:
        return self.make()

    def apart(self) -> float:
        """How long the part of a row is that no other row has a share in, 1/(K⁻¹)ᵢᵢ of its square, K = XcXcᵀ, the
        harmonic mean over rows; 0 where the others span every row."""
        n, r = self.Z.shape
        return 0.0 if r < n - 1 else float(np.sqrt(r / self.trace()))

    def back(self, theta: np.ndarray) -> np.ndarray:
        """[W̃; b] → [W; b] in the design's centred, scaled columns."""
        return np.vstack([self.U @ theta[:-1].astype(self.U.dtype), theta[-1:]]).astype(np.float64)

    def into(self, theta: np.ndarray) -> np.ndarray:
        """The part of [W; b] in the rows' span."""
        return np.vstack([self.U.T @ theta[:-1].astype(self.U.dtype), theta[-1:]]).astype(np.float64)

    def of(self, objective: Objective) -> Objective:
        """The same objective with W̃ for W; passes are still counted together."""
        design = Rows.of(self.Z, intercept=objective.design.intercept, threads=objective.design.threads)
        energy = np.mean(self.Z.astype(float) ** 2, axis=0)
        design, basis = replace(design, energy=energy), None
        if objective.weights is None:  # else the weighted rows have another eigenbasis
            unit = unit_of(float(energy.max(initial=0.0)) ** 0.5)
            scale = np.full(self.Z.shape[1], unit)
            basis = Basis(np.arange(len(self.Z)), None, None, scale, self.Z if unit == 1 else self.Z / unit, 0.0)
        return replace(objective, design=design, shared=Shared(basis=basis))


def worth_spanning(objective: Objective) -> bool:
    """Whether the rows are few enough, and the penalty allows it."""
    design = objective.design
    rank = min(design.n, design.d)
    few = design.n <= MOST_ROWS if design.n < design.d else design.d <= FULL_EIGEN and design.n <= PER_COLUMN * design.d
    return (
        type(design) is Rows
        and objective.penalty.name == "l2"
        and objective.alpha > 0
        and (objective.shared.basis is None or objective.shared.basis.U is not None)  # in its eigenbasis already
        and few
        and (design.n + design.d) * rank * design.dtype.itemsize <= BYTES
    )


def span(objective: Objective) -> Span:
    """The span of the objective's rows, in the design's type."""
    design: Any = objective.design
    dense = np.asarray(design.dense())
    with design.session():
        objective.count.passes += 1
        if design.n >= design.d:
            wide = dense.astype(np.float64)
            values, V = np.linalg.eigh(wide.T @ wide)
            U, least = V[:, ::-1].astype(design.dtype), np.finfo(np.float64).tiny
            return Span(dense @ U, lambda: U, lambda: float(np.sum(1 / np.maximum(values, least))))
        gram: Any = sum(part @ part.T for _, part in Rows.of(dense).columns())
        Z, energy, inverse = _factor(gram, _noise(design, gram))
        if not len(energy):  # all rows are alike: one coordinate, 0 in each of them
            return Span(np.zeros((design.n, 1), design.dtype), lambda: np.eye(design.d, 1), lambda: np.inf)
        # up to there U is orthonormal to the rounding of its type
        digits = np.finfo(np.float64).eps / np.finfo(design.dtype).eps
        sure = int(np.count_nonzero(energy >= 16 * digits * energy[:1]))

        def trace() -> float:
            return float(np.sum(inverse() ** 2))

        if sure == len(energy):
            return Span(Z.astype(design.dtype), lambda: _adjoint(dense, inverse()), trace)
        A = inverse()
        weak = orthonormal(_adjoint(dense, A[:, sure:]))
        Z = np.hstack([Z[:, :sure].astype(design.dtype), dense @ weak])
        return Span(Z, lambda: np.hstack([_adjoint(dense, A[:, :sure]), weak]), trace)


def _factor(gram: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray, Callable[[], np.ndarray]]:
    """Z (n, r) with ZZᵀ = XcXcᵀ, which is overwritten; what every column adds to those before it (r,), falling; and A
    (n, r) with XcᵀA = U. Until no row is left of which more than `least` lies outside. The first columns are along the
    leading eigenvectors, and the rest a Cholesky factor of what these leave, with pivots.
    """
    from scipy.linalg import get_lapack_funcs, solve_triangular

    n, rng = len(gram), np.random.default_rng(0)
    lead = sketch(lambda q: gram @ q, n, gram, rng, min(-(-n // 4), LEADING), 2)
    along = gram @ lead
    values = np.einsum("ij,ij->j", lead, along)
    kept = values > max(least, 1e-12 * values[0])
    lead, first = (part[:, kept] / np.sqrt(values[kept]) for part in (lead, along))
    gram -= first @ first.T
    factorise: Any = get_lapack_funcs("pstrf", dtype=gram.dtype)
    found, order, rank, _ = factorise(gram.T, tol=least, lower=1, overwrite_a=True)  # gram is symmetric
    L, pivots = np.tril(found[:, :rank]), order[:rank] - 1
    rest = np.empty_like(L)
    rest[order - 1] = L

    @cache
    def inverse() -> np.ndarray:
        A = -lead @ first[pivots].T
        A[pivots, np.arange(rank)] += 1
        return np.hstack([lead, solve_triangular(L[:rank], A.T, lower=True, check_finite=False).T])

    return np.hstack([first, rest]), np.append(values[kept], L.diagonal() ** 2), inverse


def _adjoint(dense: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Xcᵀ a, summed in float64."""
    return np.vstack([(part.T @ a).astype(dense.dtype) for _, part in Rows.of(dense).columns()])


def _noise(design: Any, gram: np.ndarray) -> float:
    """Up to where pivots of XcXcᵀ are what rounding leaves of 0: that of the product, and that of the rows and of their
    mean in the design's type. Measured: a sixth of the latter at most."""
    product = 4 * len(gram) * np.finfo(np.float64).eps * float(gram.diagonal().max())
    size = float(np.trace(gram)) ** 0.5
    if not design.centre_blocks:  # the centre is rounded, too
        size += design.n**0.5 * float(np.linalg.norm(design.centre))
    return max(product, (2 * float(np.finfo(design.dtype).eps) * size) ** 2)
