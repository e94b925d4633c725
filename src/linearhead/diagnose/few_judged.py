"""Whether the test set is too small for its accuracy to mean much, or shows nothing of some class.

Threshold: a 95 % interval wider than 10 points; one class of which no figure says anything.
"""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from . import few_pictures

CODE = "few-judged"
WIDTH = 0.10


def check(run: Run) -> Finding | None:
    test = run.evaluations.get("test")
    if test is None:
        return None
    low, high = test.accuracy_interval
    unshown = [f"'{c.label}'" for c in test.per_class if not c.n]
    if high - low <= WIDTH and not unshown:
        return None
    missing = (
        f"No test picture shows {few_pictures.first(unshown)}: no figure says anything of that." if unshown else ""
    )
    if high - low <= WIDTH:
        return Finding(
            code=CODE,
            title=f"No test picture shows {len(unshown)} of {len(test.per_class)} classes",
            severity="note",
            evidence=f"{missing} The accuracy of {rate(test.accuracy)} is that of the others.",
            advice="Judge on pictures of every class before trusting what the model says of these.",
            command="linearhead evaluate RUN MORE_PICTURES",
        )
    count = test.independent
    alike = "" if count is None else f" in groups, which count as {max(round(count), 1)}"
    others = "" if count is None else " of other groups"
    needed = round(4 * 1.96**2 * 0.25 / WIDTH**2)  # a share near ½ is the widest: n = (2 · 1.96)² ¼ / width²
    return Finding(
        code=CODE,
        title=f"Few pictures judged the model{', and none of some classes' if unshown else ''}",
        severity="note",
        evidence=f"{test.n} test pictures{alike}: the accuracy of {rate(test.accuracy)} could be anything from "
        f"{rate(low)} to {rate(high)}.{' ' if missing else ''}{missing}",
        advice=f"Judge on more pictures{others} (up to {needed} for an interval of {WIDTH:.0%}) before comparing with "
        "another model.",
        command="linearhead evaluate RUN MORE_PICTURES",
    )
