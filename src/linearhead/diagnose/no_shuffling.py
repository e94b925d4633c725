"""Whether mini-batches came in the order of the classes: those that came last are then expected far too often.

Threshold: after sgd, on rows that lie sorted by class, the mean probability of some class differs from its share by 1
point, and these differences grow with the place of the class among the pictures: a correlation of 0.4, or of 0.2 where
the last class has nearly the largest. With a free intercept and a new order in every epoch they are its gradient, near
0, and do not grow (docs/decisions/verdict.md).
"""

from __future__ import annotations

from ..records import Finding, Run
from .next_command import with_lbfgs

CODE = "no-shuffling"
EXCESS, TREND = 0.01, 0.4
NEARLY, SOME_TREND = 0.7, 0.2


def check(run: Run) -> Finding | None:
    seen = run.probes.get("intercept", {})
    excess, largest, trend = seen.get("last_class"), seen.get("largest"), seen.get("trend")
    if run.fit.solver != "sgd" or excess is None or largest is None or trend is None or largest < EXCESS:
        return None
    if trend < (SOME_TREND if excess >= NEARLY * largest else TREND):
        return None
    return Finding(
        code=CODE,
        title="The mini-batches were not shuffled",
        severity="problem",
        evidence="Classes whose pictures come late are expected more often than they occur among the training "
        f"pictures, by up to {100 * largest:.1f} points, early ones less often: the last batches had the last word.",
        advice="Visit the rows in a new random order in every epoch; `linearhead train` always does.",
        command=with_lbfgs(run),
    )
