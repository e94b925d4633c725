"""Whether labels are wrong: classifiers that had not seen a picture give its label far too little, far too often.

Where probabilities are true, labels with p < r = 1/(10 k) are rare: Σ_{j: p_j < r} p_j of them. Wrong labels have them.
And a classifier confuses a class with one or two that resemble it, so its own mistakes mostly leave the label in second
place; a wrong label may be anything. Thresholds: LOST of all labels too rare and more than RATIO times as many as
expected, and from four classes on FAR of the mistakes beyond second place; calibrated on planted flips
(docs/diagnoses.md).
"""

from __future__ import annotations

from math import sqrt

from ..records import Finding, Run
from .next_command import again

CODE = "label-errors"
LOST, RATIO, FAR = 0.02, 2.2, 0.42


def check(run: Run) -> Finding | None:
    seen = run.probes.get("labels", {})
    n, rare, expected = seen.get("n") or 0, seen.get("rare"), seen.get("expected")
    if n < 50 or rare is None or expected is None:
        return None
    lost = rare - expected - sqrt(rare / n) / 2
    scattered = (seen.get("classes") or 0) < 4 or (seen.get("far") or 0) >= FAR * (seen.get("wrong") or 0)
    if lost < LOST or rare < RATIO * expected or not scattered:
        return None
    return Finding(
        code=CODE,
        title="Some labels are probably wrong",
        severity="warning",
        evidence=f"{rare:.1%} of the {n:.0f} training pictures have a label to which classifiers that had not seen "
        f"them give next to no probability; true probabilities would make that {expected:.1%}. First to look at: "
        f"{', '.join(run.doubted[:3])}.",
        advice="Look through the pictures under Likely mislabelled, mend or remove the wrong ones, and train again.",
        command=again(run),
    )
