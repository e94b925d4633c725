"""Who races: name → solver with its settings, and which of them fit a loss."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..losses import LOSSES
from ..objective import misfit
from ..solvers import LBFGS, SGD, Dual, GradientDescent, Newton, Solver

ALL_ROWS = 2**62  # a batch of at most n rows is n rows

ENTRANTS: dict[str, Solver] = {
    "gradient descent": GradientDescent(learning_rate="1/L"),
    "momentum": GradientDescent(learning_rate="1/L", momentum=0.9),
    "Nesterov": GradientDescent(learning_rate="1/L", momentum=0.9, nesterov=True),
    "SGD, batch 1": SGD(batch_size=1),
    "SGD, batch 32": SGD(batch_size=32),
    "SGD, batch 256": SGD(batch_size=256),
    "SGD, batch n": SGD(batch_size=ALL_ROWS),
    "L-BFGS": LBFGS(preconditioned=False),
    "L-BFGS, preconditioned": LBFGS(),
    "Newton": Newton(),
    "multipliers": Dual(),
}


def entrants(loss: str, only: Sequence[str] = ()) -> dict[str, Solver]:
    """Those that can solve this loss, or of them `only` these, in their order; a step of 1/L needs a bound L on the
    curvature, which kinks have not. UsageError for a name that is none of theirs."""
    smooth = LOSSES[loss].smoothness > 0
    fit = {name: solver for name, solver in ENTRANTS.items() if misfit(loss, "l2", solver.name) is None}
    fit = {name: solver for name, solver in fit.items() if smooth or not isinstance(solver, GradientDescent)}
    if unknown := [name for name in only if name not in fit]:
        raise UsageError(f"Nobody called {unknown[0]!r} races on {loss}. Entrants: {', '.join(fit)}.")
    return {name: fit[name] for name in only} or fit
