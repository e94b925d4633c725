"""Whether one class has many times the training pictures of another.

Threshold: 10 to 1, where the literature on imbalanced learning begins (He & Garcia 2009, IEEE TKDE 21: ratios of 10:1
and more); balanced accuracy then says something that accuracy hides.
"""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from .next_command import evened

CODE = "imbalance"
RATIO = 10


def check(run: Run) -> Finding | None:
    counts = run.data.taught
    if not counts or min(counts) == 0 or max(counts) < RATIO * min(counts):
        return None
    small, large = min(range(len(counts)), key=counts.__getitem__), max(range(len(counts)), key=counts.__getitem__)
    test = run.evaluations.get("test")
    balanced = f"; balanced test accuracy {rate(test.balanced_accuracy)}, plain {rate(test.accuracy)}" if test else ""
    return Finding(
        code=CODE,
        title="The classes are very uneven",
        severity="warning",
        evidence=f"'{run.data.classes[large]}' has {counts[large]} training pictures, '{run.data.classes[small]}' "
        f"{counts[small]} ({counts[large] / counts[small]:.0f} to 1){balanced}.",
        **evened(run, "Read the recall per class instead of the accuracy; add pictures of the small classes"),
    )
