"""Least squares in one solve: (ZᵀDZ/Σw + αI) W = ZᵀD Y/Σw on centred rows, D = diag(w); b makes the mean residual zero.

One Gram matrix and a Cholesky factor, then corrections by the same sums, which take no pass, and from residuals of the
rows in float64, a pass each (Björck 1996, ch. 2): none where the weights will be rounded to float32, which the sums are
good for unless columns are nearly collinear next to the penalty. Of half as many rows as columns the factor is that of
the rows' products, n × n. Where it has too few digits, small problems go through a singular value decomposition of
[√D Z; √(αΣw) I], which keeps the digits that forming ZᵀZ squares away; larger ones through conjugate gradients that the
factor preconditions. Without a penalty and with rank to spare: the solution of least norm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Status
from .contract import Problem, Progress, Solver
from .newton import conjugate_gradients

NOISE = 10  # times d · eps of the largest eigenvalue: below, rounding; the eigensolver (MRRR) leaves up to 1.6 of 0
DIRECT = 8_000_000  # entries of X, and of the targets, up to which the rows themselves are factorised
WIDE = 20_000  # columns beyond which a Gram matrix takes too much room
DIGITS = 1e-12  # of the first correction, at which nothing is left that F could tell
SURE = 1e-11  # at which corrections that gain no more have come to rounding
ROUNDED = 2.0**-27  # of weights that will be float32: an eighth of their rounding
SLOW = 1e-2  # of a correction, which the next one may be: else the factor holds too few digits

Solve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ClosedForm(Solver):
    name = "closed_form"
    title = "closed form"
    smoothness = 2
    losses = ("squared",)

    def minimise(self, problem: Problem, theta: np.ndarray, progress: Progress) -> Status:
        rounded = problem.design.dtype == np.float32 and not problem.watch
        progress.record(1, _solved(problem.precise(), ROUNDED if rounded else 0.0))
        return Status.CONVERGED if progress.residual <= self.tol else Status.STALLED


def _solved(problem: Problem, rounding: float = 0.0) -> Any:
    """The point at the optimum, as exact as weights are that will be rounded by so much of their size."""
    design = problem.design
    rows = design.n + (design.d if problem.alpha else 0)
    few = rows * max(design.d, problem.k) <= DIRECT
    if design.n <= WIDE and (solve := problem.inverse_by_rows()) is not None:
        point, first, enough = problem.at(problem.start()), 0.0, max(rounding, DIGITS)
    elif design.d > WIDE or (few and not problem.alpha):
        return problem.at(_by_rows(problem))
    else:
        equations = problem.normal_equations()
        solve = _by_factor(equations)
        point, _, first = _refined(equations, equations.at(problem.start()), solve)
        if equations.condition * np.finfo(np.float64).eps <= rounding:
            return point
        del equations  # makes room
        point, enough = problem.at(point.theta), DIGITS
    point, sure, _ = _refined(problem, point, solve, first, enough)
    if sure:
        return point
    return problem.at(_by_rows(problem)) if few else _by_conjugate_gradients(problem, point, solve)


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


def _by_factor(equations: Any) -> Solve:
    """v → H⁻¹v, the intercept eliminated: of rows centred by a mean in their own type it is tied to W by 1e-8."""
    solve, mean, share = _inverse(equations.gram, equations.alpha), equations.mean[:-1, None], equations.mean[-1]
    if not share:
        return lambda v: np.vstack([solve(v[:-1]), v[-1:]])
    beside = solve(mean)
    left = share - float(np.vdot(mean, beside))

    def inverse(v: np.ndarray) -> np.ndarray:
        W = solve(v[:-1])
        b = (v[-1:] - mean.T @ W) / left
        return np.vstack([W - beside @ b, b])

    return inverse


def _refined(
    problem: Any, point: Any, solve: Solve, first: float = 0.0, enough: float = DIGITS
) -> tuple[Any, bool, float]:
    """By the factor, which alone is right to cond · eps, from float64 residuals, until corrections are `enough` of the
    first; whether what is left is rounding; and the size of the first correction, unless it is known.

    Sizes are those of gᵀH⁻¹g: of columns of unlike size the largest alone would be seen in g."""
    step = solve(point.gradient)
    size = abs(float(np.vdot(step, point.gradient)))
    first = first or size
    while size > enough**2 * first:
        new = problem.at(point.theta - step)
        step = solve(new.gradient)
        size, before = abs(float(np.vdot(step, new.gradient))), size
        if not size < before:
            return point, before <= SURE**2 * first, first
        point = new
        if size > SLOW**2 * before:
            return point, size <= SURE**2 * first, first
    return point, True, first


def _by_conjugate_gradients(problem: Problem, point: Any, apply: Solve) -> Any:
    for _ in range(3):
        step = conjugate_gradients(
            lambda v, at=point.theta: problem.hessian_product(at, v), -point.gradient, apply, 1e-12, 20
        )
        corrected = problem.at(point.theta + step)
        if not corrected.residual < point.residual:  # rounding has the say; a step along what it alone holds is large
            break
        point = corrected
    return point


def _inverse(gram: np.ndarray, alpha: float) -> Any:
    """v → H⁻¹ v, α in H; where nothing holds a direction but rounding, no step along it: the least norm."""
    from scipy.linalg import cho_factor, cho_solve, eigh

    if alpha:  # else a factor may exist by rounding alone
        with contextlib.suppress(np.linalg.LinAlgError):
            factor = cho_factor(gram.T, lower=True, check_finite=False)  # symmetric, and in LAPACK's order
            return lambda v: cho_solve(factor, v, check_finite=False)
    values, V = eigh(gram)
    held = values > NOISE * len(values) * np.finfo(np.float64).eps * values[-1]
    return lambda v: V[:, held] @ ((V[:, held].T @ v) / values[held, None])
