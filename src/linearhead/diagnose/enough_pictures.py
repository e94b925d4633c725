"""Whether more pictures would change little although mistakes remain: a learning curve that is flat at its end.

Threshold: more than 5 % wrong, a forecast gain below half a point, and two standard errors of the last doubling's gain
not above 1 point: where the curve is noisier than that, nothing is said.
"""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from .next_command import richer
from .no_better_than_majority import blind

CODE = "enough-pictures"
ERROR, GAIN, NOISE = 0.05, 0.005, 0.005


def check(run: Run) -> Finding | None:
    curve = run.learning_curve
    if curve is None or curve.gain is None or len(curve.accuracy) < 2:
        return None
    if 1 - curve.accuracy[-1] <= ERROR or curve.gain >= GAIN or (curve.gain_error or 1.0) > NOISE or blind(run):
        return None
    return Finding(
        code=CODE,
        title="More pictures of the same kind would change little",
        severity="note",
        evidence=f"{curve.n[-2]} training pictures give {rate(curve.accuracy[-2])} on pictures not trained on, "
        f"{curve.n[-1]} give {rate(curve.accuracy[-1])}: {2 * curve.n[-1]} are expected to add "
        f"{100 * curve.gain:.1f} points.",
        **richer(run, "Spend the effort on features (--features, --size) or on the labels of the most wrong pictures."),
    )
