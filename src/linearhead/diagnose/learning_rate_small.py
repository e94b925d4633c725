"""Whether the steps of gradient descent were too short: the iterations ran out while the objective was still falling.

Threshold: not converged, and of the whole decrease more than 1 % came in the last quarter of the steps. Mini-batches
make the end noisy, and most schedules shorten the steps there: of theirs more than a tenth came in the second half
(at a constant rate far too small it is a half, with the cosine schedule 18 %). At a rate that suits, almost all comes
first. A step of the whole gradient that is too short never raises the objective (Nesterov 2004, 1.2.3): where it
rose, nothing is said, nor where the rate is too large.
"""

from __future__ import annotations

from itertools import pairwise

from ..records import Finding, Run
from . import learning_rate_large
from .next_command import plain, with_lbfgs

CODE = "learning-rate-small"
END = {
    "gd": (4, 0.01, "last quarter"),
    "sgd": (2, 0.1, "second half"),
}  # of the steps; of the decrease


def check(run: Run) -> Finding | None:
    fit = run.fit
    values = [v for v in fit.trace.value if v is not None]
    if fit.solver not in END or fit.converged or len(values) < 5 or learning_rate_large.check(run) is not None:
        return None
    parts, share, words = END[fit.solver]
    if fit.solver == "gd" and any(b > a * (1 + 1e-9) for a, b in pairwise(values)):
        return None
    whole, last = values[0] - values[-1], values[-1 - (len(values) - 1) // parts] - values[-1]
    if whole <= 0 or last < share * whole:
        return None
    rate = fit.learning_rate
    at = "" if rate is None else f", whose rate was {rate:.3g}"
    longer = "Multiply --learning-rate by 3" if rate is None else f"Take --learning-rate {plain(3 * rate)}"
    return Finding(
        code=CODE,
        title="The learning rate is too small",
        severity="warning",
        evidence=f"The {fit.rounds} ran out while the objective was still falling: {last / whole:.0%} of its whole "
        f"decrease, from {values[0]:.4g} to {values[-1]:.4g}, came in the {words} of the steps{at}.",
        advice=f"{longer}, raise --max-iter, or use --solver lbfgs, which needs no rate.",
        command=with_lbfgs(run),
    )
