"""Whether the features limit the classifier: many mistakes that neither more pictures nor another penalty would mend.

Threshold: over 10 % of the test pictures wrong (lower Wilson end) and a forecast gain from twice the pictures below a
tenth of those mistakes. It differs from underfitting, which asks the training pictures. Silent where more pictures
are worth collecting, unless the training pictures are not told apart either, and where nothing is shown to have been
learned or the fit ended far from its optimum. As many judged labels as training labels may be wrong: those mistakes
no features would mend.
"""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from . import label_errors, more_pictures, not_converged, underfitting
from .next_command import richer
from .no_better_than_majority import blind

CODE = "richer-features"
ERROR, SHARE = 0.10, 0.10


def check(run: Run) -> Finding | None:
    curve, test = run.learning_curve, run.evaluations.get("test")
    if curve is None or curve.gain is None or test is None or (curve.gain_error or 1.0) > 0.02:
        return None
    if 1 - test.accuracy_interval[1] - label_errors.wrong(run) <= ERROR or curve.gain > SHARE * (1 - test.accuracy):
        return None
    if (
        blind(run)
        or not_converged.far(run)
        or (more_pictures.check(run) is not None and underfitting.check(run) is None)
    ):
        return None
    return Finding(
        code=CODE,
        title="Richer features would help most",
        severity="note",
        evidence=f"{rate(1 - test.accuracy)} of the test pictures are wrong, and twice as many training pictures are "
        f"expected to mend {100 * curve.gain:.1f} points of that: what {run.features.get('name')} does not show, no "
        "linear classifier on it can learn.",
        **richer(
            run,
            'Try --features "patches(quality=best)", a larger --size, or features of a pretrained network.',
            "patches",
        ),
    )
