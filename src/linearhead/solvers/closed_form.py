"""Least squares in one solve: (ZᵀDZ/Σw + αI) W = ZᵀD Y/Σw on centred rows, D = diag(w); b makes the mean residual zero.

Small problems go through a QR factorisation of [√D Z; √(αΣw) I], which keeps the digits that forming ZᵀZ squares away
(Björck 1996, ch. 2); larger ones through one Gram matrix and a Cholesky factor, then refinement by conjugate gradients
that the factor preconditions. Without a penalty and with rank to spare: the solution of least norm.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Status
from .contract import Problem, Progress, Solver
from .newton import conjugate_gradients

NOISE = 10  # times d · eps of the largest eigenvalue: below, rounding; the eigensolver (MRRR) leaves up to 1.6 of 0
DIRECT = 8_000_000  # entries of X, and of the targets, up to which the rows themselves are factorised


@dataclass(frozen=True)
class ClosedForm(Solver):
    name = "closed_form"
    title = "closed form"
    smoothness = 2
    losses = ("squared",)

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        problem = problem.precise()
        design = problem.design
        rows = design.n + (design.d if problem.alpha else 0)
        small = rows * max(design.d, problem.k) <= DIRECT or design.d > 20_000
        progress.record(1, problem.at(_by_rows(problem)) if small else _by_gram(problem, problem.at(theta)))
        return Status.CONVERGED if progress.residual <= self.tol else Status.STALLED


def _by_rows(problem: Problem) -> np.ndarray:
    from scipy.linalg import lstsq

    z, targets, w = problem.weighted_rows()
    share = w if problem.design.intercept else np.zeros_like(w)  # without an intercept nothing takes the means up
    mean_z, mean_t = share @ z, share @ targets
    root = np.sqrt(w)[:, None]
    left, right = root * (z - mean_z), root * (targets - mean_t)
    if problem.alpha:
        left = np.vstack([left, np.sqrt(problem.alpha) * np.eye(z.shape[1])])
        right = np.vstack([right, np.zeros((z.shape[1], targets.shape[1]))])
    noise = max(left.shape) * np.finfo(np.float64).eps  # of the largest singular value: what rounding leaves of 0
    W: Any = lstsq(left, right, cond=noise, lapack_driver="gelsd", check_finite=False)[0]  # pyright: ignore
    return np.vstack([W, mean_t - mean_z @ W])


def _by_gram(problem: Problem, point: Any) -> Any:
    solve = _inverse(problem.gram(), problem.alpha)

    def apply(v: np.ndarray) -> np.ndarray:
        return np.vstack([solve(v[:-1]), v[-1:]])

    for _ in range(3):  # the factor alone is right to cond · eps; each correction starts from float64 residuals
        step = conjugate_gradients(
            lambda v, at=point.theta: problem.hessian_product(at, v), -point.gradient, apply, 1e-12, 20
        )
        corrected = problem.at(point.theta + step)
        if not corrected.residual < point.residual:  # rounding has the say; a step along what it alone holds is large
            break
        point = corrected
    return point


def _inverse(gram: np.ndarray, alpha: float) -> Any:
    """v → (gram + αI)⁻¹ v; where nothing holds a direction but rounding, no step along it: the least norm."""
    from scipy.linalg import cho_factor, cho_solve, eigh

    gram[np.diag_indices_from(gram)] += alpha
    if alpha:  # else a factor may exist by rounding alone
        with contextlib.suppress(np.linalg.LinAlgError):
            factor = cho_factor(gram)
            return lambda v: cho_solve(factor, v)
    values, V = eigh(gram)
    held = values > NOISE * len(values) * np.finfo(np.float64).eps * values[-1]
    return lambda v: V[:, held] @ ((V[:, held].T @ v) / values[held, None])
