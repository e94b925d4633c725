"""One problem by L-BFGS: without a curvature model, in its rows' span, or in another library's arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import to_host
from ..objective import Objective
from ..objective.price import model_price
from ..objective.span import span, worth_spanning
from ..records import Status
from ..solvers import Solution

DEAR = 25  # passes that a curvature model costs, from which L-BFGS first goes without one


def by_lbfgs(solver: Any, objective: Objective, theta: np.ndarray, callback: Any, monitor: Any) -> Solution:
    """Where the rows are. Without a curvature model first, while that looks shorter than making one."""
    if (placed := objective.placed()) is not objective:
        return _where_they_are(solver, placed, theta, callback, monitor)
    price, first = model_price(objective), None
    if price > DEAR:
        first = replace(solver, preconditioned=False, allowed=price)(objective, theta, callback, monitor)
        left = solver.max_iter - first.iterations
        short = first.status in (Status.MAX_ITER, Status.STALLED)
        unsure = first.status is Status.CONVERGED and not solver.certain(first.point)
        if left < 1 or not (short or unsure):
            return first
        solver, theta = _after(first, replace(solver, max_iter=left)), first.point.theta
    if worth_spanning(objective):
        solution = _in_span(solver, objective, theta, callback, monitor)
    else:
        solution = solver(objective, theta, callback, monitor)
    return solution if first is None else _joined(first, solution)


def _joined(first: Solution, rest: Solution) -> Solution:
    return replace(rest, trace=first.trace.followed_by(rest.trace), iterations=first.iterations + rest.iterations)


def _after(first: Solution, solver: Any) -> Any:
    return replace(solver, before=solver.before + first.trace.passes[-1])


def _in_span(solver: Any, objective: Objective, theta: np.ndarray, callback: Any, monitor: Any) -> Solution:
    """The same optimum with fewer unknowns, where the rows are fewer than the columns; in float64 with all of them
    from there, where the rounding of the turned rows has left more than the tolerance."""
    rows = span(objective)
    inside = None if monitor is None else lambda theta: monitor(rows.back(theta))
    solution = solver(rows.of(objective), rows.into(theta), callback, inside)
    point = objective.precise().at(rows.back(solution.point.theta))
    if solution.status is Status.CONVERGED and point.residual > solver.tol:
        return _joined(solution, _after(solution, solver)(objective.precise(), point.theta, callback, monitor))
    return replace(solution, point=point)


def _where_they_are(solver: Any, lent: Any, theta: np.ndarray, callback: Any, monitor: Any) -> Solution:
    """On rows of another library: in its arrays, on their device."""
    outside = None if monitor is None else lambda theta: monitor(np.array(to_host(theta)))
    solution = solver(lent, lent.into(theta), callback, outside)
    lent.shared.basis = None  # room for the certificate's passes
    return replace(solution, point=lent.back(solution.point))
