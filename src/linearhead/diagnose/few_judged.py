"""Whether the test set is too small for its accuracy to mean much. Threshold: a 95 % interval wider than 10 points."""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run

CODE = "few-judged"
WIDTH = 0.10


def check(run: Run) -> Finding | None:
    test = run.evaluations.get("test")
    if test is None:
        return None
    low, high = test.accuracy_interval
    if high - low <= WIDTH:
        return None
    count = test.independent
    alike = "" if count is None else f" in groups, which count as {max(round(count), 1)}"
    others = "" if count is None else " of other groups"
    needed = round(4 * 1.96**2 * 0.25 / WIDTH**2)  # a share near ½ is the widest: n = (2 · 1.96)² ¼ / width²
    return Finding(
        code=CODE,
        title="Few pictures judged the model",
        severity="note",
        evidence=f"{test.n} test pictures{alike}: the accuracy of {rate(test.accuracy)} could be anything from "
        f"{rate(low)} to {rate(high)}.",
        advice=f"Judge on more pictures{others} (up to {needed} for an interval of {WIDTH:.0%}) before comparing with "
        "another model.",
        command="linearhead evaluate RUN MORE_PICTURES",
    )
