"""Whether mini-batches came in the order of the classes: the class that came last is then expected far too often.

Threshold: after sgd, the mean probability of the class whose pictures lie last exceeds its share by 1.5 points, more
than any other. With a free intercept and a new order in every epoch that difference is the intercept's gradient, near
0.
"""

from __future__ import annotations

from ..records import Finding, Run
from .next_command import with_lbfgs

CODE = "no-shuffling"
EXCESS = 0.015


def check(run: Run) -> Finding | None:
    seen = run.probes.get("intercept", {})
    excess, largest = seen.get("last_class"), seen.get("largest")
    if run.fit.solver != "sgd" or excess is None or largest is None or excess < max(EXCESS, 0.99 * largest):
        return None
    return Finding(
        code=CODE,
        title="The mini-batches were not shuffled",
        severity="problem",
        evidence=f"The class whose pictures come last is expected {100 * excess:.1f} points more often than it occurs "
        "among the training pictures: the last batches had the last word.",
        advice="Visit the rows in a new random order in every epoch; `linearhead train` always does.",
        command=with_lbfgs(run),
    )
