"""Whether stated confidences come true on the test pictures.

Threshold: an expected calibration error above 8 points and a quarter above the 99 % quantile of what as many pictures
show by chance where every confidence is true (simulated; `trust.calibration.expected_ece`). Silent where the fit ended
far from its optimum, which is the reason then.
"""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from . import label_errors, not_converged
from .next_command import with_more

CODE = "miscalibrated"
ECE, FACTOR = 0.08, 1.25


def check(run: Run) -> Finding | None:
    seen = run.probes.get("calibration", {})
    ece, chance, stated, right = (seen.get(name) for name in ("ece", "chance", "stated", "right"))
    if ece is None or chance is None or ece <= max(ECE, FACTOR * chance) or not_converged.far(run):
        return None
    over = (stated or 0.0) > (right or 0.0)
    return Finding(
        code=CODE,
        title=f"The stated confidence is too {'high' if over else 'low'}",
        severity="warning",
        evidence=f"On the test pictures the mean stated confidence is {rate(stated)} and {rate(right)} of "
        f"the answers are right; bin by bin they differ by {100 * ece:.1f} points (chance alone: up to "
        f"{100 * chance:.1f}).",
        **_remedy(run, over),
    )


def _remedy(run: Run, over: bool) -> dict[str, str]:
    """Wrong labels first: a confidence calibrated on them counts on as many among the answers."""
    until = "Until then trust the order of confidences, not their size."
    if not over and (told := label_errors.check(run)) is not None:
        mend = "Training pictures calibrated the confidence, and some of their labels are probably wrong: mend those."
        return {"advice": f"{mend} {until}", "command": told.command}
    return {
        "advice": "Training pictures calibrated the confidence, and these differ from them: put pictures like these, "
        f"with their labels, among the training pictures. {until}",
        "command": with_more(run),
    }
