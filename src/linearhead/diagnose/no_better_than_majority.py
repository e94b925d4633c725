"""Whether the model beats the best constant answer. Threshold: its Wilson 95 % interval must lie above that."""

from __future__ import annotations

from ..records import Finding, Run
from . import few_judged
from .next_command import richer, with_more

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
        **_remedy(run),
    )


def _remedy(run: Run) -> dict[str, str]:
    """More pictures where those that judged cannot tell a useful model from a guess; else other features."""
    if few_judged.check(run) is not None:
        return {
            "advice": "Do not use this model yet: so few pictures cannot tell a useful one from a guess. Add pictures "
            "of every class; where there are none, look at the most wrong ones for wrong labels.",
            "command": with_more(run),
        }
    return richer(
        run,
        "Do not use this model. Look at the most wrong pictures for wrong labels, try other features, "
        "or add pictures so that a real difference can show.",
    )
