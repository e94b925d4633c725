"""Whether the intercept was left out of the updates: the classes are then not expected as often as they occur.

Threshold: the mean probability of some class differs from its share of the training pictures by more than 0.5 points,
or 1 point of a fit that ended before its optimum: SGD's noise leaves half a point. At the optimum of cross-entropy with
a free intercept the difference is that intercept's gradient, exactly 0.
"""

from __future__ import annotations

from ..records import Finding, Run, Status
from . import learning_rate_large, learning_rate_small, no_shuffling
from .next_command import with_lbfgs

CODE = "intercept-frozen"
GAP, UNFINISHED = 0.005, 0.01


def check(run: Run) -> Finding | None:
    gap = run.probes.get("intercept", {}).get("largest")
    if run.fit.status == Status.INTERRUPTED.value:
        return None  # no part of it is at its optimum yet
    if (
        gap is None
        or gap < (GAP if run.fit.converged else UNFINISHED)
        or any(other.check(run) for other in (no_shuffling, learning_rate_large, learning_rate_small))
    ):
        return None  # those explain it
    return Finding(
        code=CODE,
        title="The intercept was not trained",
        severity="problem" if run.fit.converged else "warning",
        evidence=f"One class gets a mean probability {100 * gap:.1f} points off its share of the training pictures; "
        "with a trained intercept the two are equal.",
        advice="Update b with the gradient ŷ − y as well as W, unpenalised; or train until the fit converges.",
        command=with_lbfgs(run),
    )
