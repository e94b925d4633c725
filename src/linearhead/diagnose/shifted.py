"""Whether the test pictures differ from the trained ones: a classifier can tell which is which.

Threshold: right on more than 57 % of as many of each (½ where they are alike), by four standard errors: a classifier
two-sample test (Lopez-Paz & Oquab 2017) with exact answers for each row, or group of them, left out. Where the trained
pictures are not at hand, the model's own measure of what is usual: more than three times as many pictures as should be
are stranger than 95 % of the trained ones, by four standard errors. Pictures of one group count as those that say as
much without one (`independent`): frames of a track are alike whatever set they are in.
"""

from __future__ import annotations

from math import sqrt

from ..charts.words import rate
from ..records import Finding, Run

CODE = "shifted"
APART, ERRORS = 0.57, 4.0
RARE, TIMES = 0.05, 3.0
LOST = 0.05  # of the accuracy: worth saying


def check(run: Run) -> Finding | None:
    seen = run.probes.get("told_apart", {})
    found, n = seen.get("accuracy"), seen.get("n") or 0
    evidence = _unusual(run)
    if found is not None and n and found >= max(APART, 0.5 + ERRORS * 0.5 / sqrt(seen.get("independent") or n)):
        evidence = (
            f"A small classifier tells which of the two a picture belongs to on {rate(found)} of {n:.0f} "
            "pictures; where they are alike it would be right on half."
        )
    if evidence is None:
        return None
    judged, unseen = run.evaluations.get("test"), run.unseen_accuracy
    if judged is not None and unseen is not None and unseen - judged.accuracy > LOST:
        here = rate(judged.accuracy)
        evidence += f" Unseen pictures of the training kind are recognised to {rate(unseen)}, these to {here}."
    return Finding(
        code=CODE,
        title="The test pictures are not like the training pictures",
        severity="warning",
        evidence=evidence,
        advice="Find out what differs (camera, place, time, processing) and train on pictures of both kinds; the test "
        "accuracy speaks of the test kind only.",
        command="linearhead evaluate RUN OTHER_PICTURES",
    )


def _unusual(run: Run) -> str | None:
    """That too many of the judged pictures are unusual, where they are."""
    seen = run.probes.get("unlike", {})
    found, n = seen.get("share"), seen.get("n") or 0
    if found is None or n == 0:
        return None
    if found < max(TIMES * RARE, RARE + ERRORS * sqrt(RARE * (1 - RARE) / (seen.get("independent") or n))):
        return None
    return (
        f"{rate(found)} of the {n:.0f} judged pictures are stranger than {1 - RARE:.0%} of the training pictures; "
        f"where they are alike it would be {RARE:.0%}."
    )
