"""Whether the model beats the best constant answer. Threshold: its Wilson 95 % interval must lie above that."""

from __future__ import annotations

from ..records import Finding, Run
from .next_command import richer

CODE = "no-better-than-majority"


def check(run: Run) -> Finding | None:
    judged = run.evaluations.get("test")
    if judged is None or judged.accuracy_interval[0] > judged.majority_accuracy:
        return None
    low, high = judged.accuracy_interval
    return Finding(
        code=CODE,
        title="Not shown to be better than always giving the largest class",
        severity="problem",
        evidence=f"Test accuracy {judged.accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}) on {judged.n} pictures; "
        f"the largest class alone scores {judged.majority_accuracy:.1%}.",
        **richer(
            run,
            "Do not use this model. Look at the most wrong pictures for wrong labels, try other features, "
            "or add pictures so that a real difference can show.",
        ),
    )
