"""F in the eigenbasis of its rows: Xc = Z Uᵀ, U (d, r) orthonormal, Z = Xc U (n, r), r = rank, most energy first.

L2 sees no rotation, ‖W‖ = ‖UᵀW‖ for W in the rows' span, and the optimum has no part outside it (the representer
theorem, Kimeldorf & Wahba 1971), so W = U W̃ turns a problem of d columns into the same one of r. For n < d that is a
smaller problem; for few rows more than that the curvature model, whose directions are the columns now, costs less than
a pass instead of more. For n < d U = XcᵀV Λ^−½ from XcXcᵀ = V Λ Vᵀ, made orthonormal once more, as small values cost
orthogonality. Paid once for all α and folds, which are weights on the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..design import Rows
from .basis import FULL_EIGEN, Basis, orthonormal
from .objective import Objective, Shared

MOST_ROWS = 2048  # up to which the eigendecomposition costs less than the passes that it saves
PER_COLUMN = 4  # rows per column up to which products with U would cost as much as half a pass
BYTES = 256 << 20  # of Z and U together


@dataclass(frozen=True)
class Span:
    """U (d, r), orthonormal to the rounding of its type, and Z = Xc U (n, r)."""

    U: np.ndarray
    Z: np.ndarray

    def back(self, theta: np.ndarray) -> np.ndarray:
        """[W̃; b] → [W; b] in the design's centred, scaled columns."""
        return np.vstack([self.U @ theta[:-1].astype(self.U.dtype), theta[-1:]]).astype(np.float64)

    def into(self, theta: np.ndarray) -> np.ndarray:
        """The part of [W; b] in the rows' span."""
        return np.vstack([self.U.T @ theta[:-1].astype(self.U.dtype), theta[-1:]]).astype(np.float64)

    def of(self, objective: Objective) -> Objective:
        """The same objective with W̃ for W; passes are still counted together."""
        design = Rows.of(self.Z, intercept=objective.design.intercept, threads=objective.design.threads)
        design = replace(design, energy=np.mean(self.Z.astype(float) ** 2, axis=0))
        basis = None
        if objective.weights is None:  # else the weighted rows have another eigenbasis
            basis = Basis(np.arange(len(self.Z)), None, None, np.ones(self.Z.shape[1]), self.Z, 0.0)
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
        and few
        and (design.n + design.d) * rank * design.dtype.itemsize <= BYTES
    )


def span(objective: Objective) -> Span:
    """The span of the objective's rows, in the design's type."""
    design: Any = objective.design
    dense = np.asarray(design.dense())
    with design.session():
        objective.count.passes += 1
        wide = dense.astype(np.float64)
        if design.n >= design.d:
            U = np.linalg.eigh(wide.T @ wide)[1][:, ::-1].astype(design.dtype)
            return Span(U, dense @ U)
        values, V = np.linalg.eigh(wide @ wide.T)
        kept = np.flatnonzero(values > _noise(design, values))[::-1]
        U = orthonormal(dense.T @ (V[:, kept] / np.sqrt(values[kept])).astype(design.dtype))
        return Span(U, dense @ U)


def _noise(design: Any, values: np.ndarray) -> float:
    """Up to where values of XcXcᵀ are what rounding leaves of 0: that of the product, and that of the rows and of their
    mean in the design's type. Measured: a quarter of the latter at most, whatever the processor."""
    product = 4 * len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    size = max(float(values.sum()), 0.0) ** 0.5
    if design.shift is not None and not design.centre_blocks:  # the centre is rounded, too
        shift = design.shift if design.scale is None else design.shift / design.scale
        size += design.n**0.5 * float(np.linalg.norm(shift))
    return max(product, (2 * float(np.finfo(design.dtype).eps) * size) ** 2)
