"""Which loss, penalty and solver fit together: capabilities are data, compared before any work is done."""

from __future__ import annotations

from ..design import ClusterRows, Design
from ..errors import UsageError
from ..losses import LOSSES
from ..penalties import PENALTIES
from ..solvers import SOLVERS


def misfit(loss: str, penalty: str, solver: str) -> str | None:
    """Why the three do not fit, as a clause; None if they do."""
    kind, needs = LOSSES[loss], SOLVERS[solver]
    if needs.losses and loss not in needs.losses:
        return f"{solver} solves only {_listed(needs.losses)}; the loss is {loss}"
    if kind.smoothness < needs.smoothness:
        kinks = " (kinks at the margin)" if kind.smoothness == 0 else ""
        return (
            f"{solver} needs a loss with {needs.smoothness} continuous derivative{'s' * (needs.smoothness > 1)}; "
            f"{loss} has {kind.smoothness}{kinks}"
        )
    if not PENALTIES[penalty].smooth and not needs.kinked_penalty:
        return f"{solver} needs a smooth penalty; {penalty} has kinks at 0"
    return None


def check_combination(loss: str, penalty: str, solver: str = "auto") -> None:
    """Raise UsageError if a name is unknown or the three do not fit; the remedies come from the registries."""
    for what, name, registry in (("loss", loss, LOSSES), ("penalty", penalty, PENALTIES)):
        if not isinstance(name, str) or name not in registry:
            raise UsageError(f"Unknown {what} {name!r}. Known: {_listed(registry)}.")
    if isinstance(solver, str) and solver == "auto":
        return
    if not isinstance(solver, str) or solver not in SOLVERS:
        raise UsageError(f"Unknown solver {solver!r}. Known: auto, {_listed(SOLVERS)}.")
    reason = misfit(loss, penalty, solver)
    if reason:
        solvers = [name for name in SOLVERS if not misfit(loss, penalty, name)]
        losses = [name for name in LOSSES if not misfit(name, penalty, solver)]
        penalties = [name for name in PENALTIES if not misfit(loss, name, solver)]
        raise UsageError(
            f"{reason}. Solvers that fit {loss} with {penalty}: auto, {_listed(solvers)}. "
            f"Losses that fit {solver} with {penalty}: {_listed(losses)}. "
            f"Penalties that fit {solver} with {loss}: {_listed(penalties)}."
        )


def check_passes(design: Design, loss: str, penalty: str, solver: str) -> None:
    """UsageError where rows on a cluster meet a solver that picks single ones."""
    if isinstance(design, ClusterRows) and not SOLVERS[solver].passes:
        others = [name for name in SOLVERS if SOLVERS[name].passes and not misfit(loss, penalty, name)]
        raise UsageError(
            f"{solver} picks a few rows at a time, which on a cluster costs a journey for every step: a pass of the "
            f"full gradient costs one as well and says more. Solvers of full passes that fit {loss} with {penalty}: "
            f"{_listed(others)}."
        )


def choose_solver(loss: str, penalty: str) -> str:
    """What `auto` means: the method that reaches a certified optimum soonest for this loss and penalty."""
    if LOSSES[loss].smoothness == 0:
        return "dual"
    if not PENALTIES[penalty].smooth:
        return "proximal"
    return "closed_form" if loss == "squared" else "lbfgs"


def _listed(names: object) -> str:
    return ", ".join(names) or "none"  # type: ignore[arg-type]
