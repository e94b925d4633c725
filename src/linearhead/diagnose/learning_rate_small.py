"""Whether the steps of gradient descent were too short: the iterations ran out while the objective was still falling.

Threshold: not converged, and the last quarter of the recorded steps brought more than 1 % of the whole decrease, or an
eighth of it where mini-batches make the end noisy. At a rate that suits, almost all of it comes first. A step of the
whole gradient that is too short never raises the objective (Nesterov 2004, 1.2.3): where it rose, nothing is said.
"""

from __future__ import annotations

from itertools import pairwise

from ..records import Finding, Run
from .next_command import with_lbfgs

CODE = "learning-rate-small"
STEPPING = {"gd": 0.01, "sgd": 0.125}


def check(run: Run) -> Finding | None:
    fit = run.fit
    values = [v for v in fit.trace.value if v is not None]
    if fit.solver not in STEPPING or fit.converged or len(values) < 5:
        return None
    if fit.solver == "gd" and any(b > a * (1 + 1e-9) for a, b in pairwise(values)):
        return None
    whole, last = values[0] - values[-1], values[-1 - (len(values) - 1) // 4] - values[-1]
    if whole <= 0 or last < STEPPING[fit.solver] * whole:
        return None
    return Finding(
        code=CODE,
        title="The learning rate is too small",
        severity="warning",
        evidence=f"The iterations ran out while the objective was still falling: {last / whole:.0%} of its whole "
        f"decrease, from {values[0]:.4g} to {values[-1]:.4g}, came in the last quarter of the steps.",
        advice="Multiply --learning-rate by 3, raise --max-iter, or use --solver lbfgs, which needs no rate.",
        command=with_lbfgs(run),
    )
