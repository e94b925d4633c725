"""Newton's method with truncated conjugate gradients: H p = −∇F solved to ‖H p + ∇F‖ ≤ η_k ‖∇F‖, one pass a product.

Preconditioned by the curvature model; η_k = min(½, √‖∇F‖) gives superlinear convergence (Dembo, Eisenstat & Steihaug
1982; Nocedal & Wright 2006, algorithm 7.1). For losses with one derivative H is an element of the generalised Hessian
(semismooth Newton, Qi & Sun 1993); where free directions are few a step takes its factor and no products
(`objective/finish.py`). Always in float64: it is the method for the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Status
from .contract import Problem, Progress, Solver
from .lbfgs import noise
from .line_search import search

LOST = 1e4  # times the least residual: conjugate gradients that come back from there are not worth their passes


@dataclass(frozen=True)
class Newton(Solver):
    name = "newton"
    title = "Newton, truncated conjugate gradients"
    smoothness = 1

    max_iter: int = 200
    max_products: int = 500  # Hessian products for one direction

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        problem = problem.precise()
        point, finish = problem.at(theta), None
        for iteration in range(self.max_iter + 1):
            progress.record(iteration, point)
            if point.residual <= self.tol:
                return Status.CONVERGED
            if iteration == self.max_iter:
                break
            if progress.resting(8):
                return Status.STALLED
            finish = problem.finish(np.inf) if finish is None else finish
            step = None if finish is None else finish.step(point)
            if step is None:
                step, finish = self._step(problem, point), None
            if step is None:
                return Status.STALLED
            point = step
        return Status.MAX_ITER

    def _step(self, problem: Problem, point: Any) -> Any:
        norm = float(np.linalg.norm(point.gradient))
        model = problem.preconditioner(point.theta)
        p = conjugate_gradients(
            lambda v: problem.hessian_product(point.theta, v),
            -point.gradient,
            lambda v: model(v)[0],
            min(0.5, norm**0.5),
            self.max_products,
        )
        slope = float(np.vdot(p, point.gradient))
        if not slope < 0:
            return None

        def at(t: float) -> tuple[Any, float]:
            new = problem.at(point.theta + t * p)
            return new, float(np.vdot(p, new.gradient))

        found = search(at, point.value, slope, noise(problem, point))
        return found[1] if found else None


def conjugate_gradients(product: Any, target: np.ndarray, apply: Any, tol: float, most: int) -> np.ndarray:
    """x with H x ≈ target, ‖residual‖ ≤ tol ‖target‖, or the x of least residual where the curvature stops being
    positive or the products run out: in directions that H does not see, rounding makes later ones grow without end.

    ‖r‖² = r·M⁻¹r, M⁻¹ = apply: of columns of unlike size the largest alone would be seen in r·r, the others left.
    """
    x = np.zeros_like(target)
    r = target.copy()
    z = apply(r)
    p = z.copy()
    rz = float(np.vdot(r, z))
    first = max(rz, 0.0) ** 0.5
    best = (np.inf, z)
    for _ in range(most):
        hp = product(p)
        bend = float(np.vdot(p, hp))
        if not bend > 0:
            break
        a = rz / bend
        x = x + a * p
        r -= a * hp
        z = apply(r)
        rz, before = float(np.vdot(r, z)), rz
        norm = max(rz, 0.0) ** 0.5
        best = min(best, (norm, x), key=lambda seen: seen[0])
        if norm <= tol * first or norm > LOST * best[0] or not before > 0:
            break
        p = z + (rz / before) * p
    return best[1]
