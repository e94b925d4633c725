"""Whether the test pictures have chosen: other models were judged on the same ones, or asked again and again.

Threshold: 5 other models, or 10 times. The best of m equally good models looks better than it is by at most E[max of m
normals] standard errors of the accuracy, ≈ Φ⁻¹((m − 3/8) / (m + 1/4)) (Blom 1958): 1.3 of them from m = 6 on. It is a
warning where this model is the best of them, since its figure is then the one that flatters.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from ..charts.words import rate
from ..records import Evaluation, Finding, Run

CODE = "test-reused"
MODELS, TIMES = 5, 10


def flattery(judged: Evaluation, models: int) -> float:
    """By how much the best of so many equally good models looks better than it is, at most; a share."""
    n = judged.n if judged.independent is None else judged.independent
    error = sqrt(max(judged.accuracy * (1 - judged.accuracy), 1 / judged.n) / n)
    return error * NormalDist().inv_cdf((models - 0.375) / (models + 0.25)) if models > 1 else 0.0


def check(run: Run) -> Finding | None:
    seen, test = run.probes.get("reuse", {}), run.evaluations.get("test")
    others, times, best = int(seen.get("models") or 0), int(seen.get("times") or 0), seen.get("best")
    if test is None or (others < MODELS and times < TIMES):
        return None
    highest = others >= MODELS and best is not None and test.accuracy >= best
    evidence = f"They have judged {times} times before, {others} other model{'' if others == 1 else 's'}."
    if others >= MODELS:
        points = 100 * flattery(test, others + 1)
        evidence += f" The best of so many looks better than it is by up to {points:.1f} points"
        evidence += f", and this one, with {rate(test.accuracy)}, is the best of them." if highest else "."
    return Finding(
        code=CODE,
        title="The test pictures have had a say in what is chosen",
        severity="warning" if highest else "note",
        evidence=evidence,
        advice="Choose among models by their validation accuracy, and judge the winner once on pictures that no model "
        "has been judged on.",
        command="linearhead evaluate RUN NEW_PICTURES",
    )
