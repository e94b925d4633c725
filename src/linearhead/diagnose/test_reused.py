"""Whether the test pictures have chosen: several runs in one folder were judged on the same ones.

Threshold: 5 runs before this one. The best of m equally good runs looks better than it is by about one standard error
of the accuracy from m = 4 on (the expected maximum of m normals, ≈ √(2 ln m) for many).
"""

from __future__ import annotations

from math import log, sqrt

from ..records import Finding, Run

CODE = "test-reused"
RUNS = 5


def check(run: Run) -> Finding | None:
    before, test = run.probes.get("reuse", {}).get("runs") or 0, run.evaluations.get("test")
    if test is None or before < RUNS:
        return None
    error = sqrt(max(test.accuracy * (1 - test.accuracy), 1 / test.n) / test.n)
    return Finding(
        code=CODE,
        title="These test pictures have judged many runs",
        severity="note",
        evidence=f"{before:.0f} earlier runs beside this one were judged on the same pictures. The best of them looks "
        f"better than it is by about {100 * error * sqrt(2 * log(before + 1)) / 1.3:.1f} points.",
        advice="Choose among runs by their validation accuracy, and judge the winner once on pictures that no run has "
        "seen (linearhead evaluate RUN NEW_PICTURES).",
    )
