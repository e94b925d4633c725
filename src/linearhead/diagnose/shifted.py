"""Whether the test pictures differ from the trained ones: a classifier can tell which is which.

Threshold: right on more than 57 % of as many of each (½ where they are alike), by four standard errors. A classifier
two-sample test (Lopez-Paz & Oquab 2017) with exact leave-one-out answers.
"""

from __future__ import annotations

from math import sqrt

from ..records import Finding, Run

CODE = "shifted"
APART, ERRORS = 0.57, 4.0


def check(run: Run) -> Finding | None:
    seen = run.probes.get("told_apart", {})
    found, n = seen.get("accuracy"), seen.get("n") or 0
    if found is None or n == 0 or found < max(APART, 0.5 + ERRORS * 0.5 / sqrt(n)):
        return None
    return Finding(
        code=CODE,
        title="The test pictures are not like the training pictures",
        severity="warning",
        evidence=f"A small classifier tells which of the two a picture belongs to on {found:.1%} of {n:.0f} pictures; "
        "where they are alike it would be right on half.",
        advice="Find out what differs (camera, place, time, processing) and train on pictures of both kinds; the test "
        "accuracy speaks of the test kind only.",
    )
