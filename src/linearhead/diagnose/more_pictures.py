"""Whether more pictures would help: the learning curve's forecast for twice as many.

Threshold: a forecast gain of at least 1.5 points, about the smallest that people collect pictures for, while the gain
of the last doubling exceeds two of its standard errors or the rise of the whole curve exceeds three. The forecast's
own error is in docs/decisions/verdict.md.
"""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from .next_command import with_more

CODE = "more-pictures"
GAIN = 0.015


def check(run: Run) -> Finding | None:
    curve = run.learning_curve
    if curve is None or curve.gain is None or curve.twice is None or len(curve.accuracy) < 2:
        return None
    last = curve.accuracy[-1] - curve.accuracy[-2]
    rise, error = curve.accuracy[-1] - curve.accuracy[0], curve.gain_error or 0.0
    if curve.gain < GAIN or (last < 2 * error and rise < 3 * error):
        return None
    margin = "" if curve.margin is None else f", give or take {100 * curve.margin:.1f} points"
    return Finding(
        code=CODE,
        title="More pictures would help",
        severity="note",
        evidence=f"From {curve.n[-2]} to {curve.n[-1]} training pictures the accuracy on pictures not trained on rose "
        f"from {rate(curve.accuracy[-2])} to {rate(curve.accuracy[-1])}; {2 * curve.n[-1]} should give "
        f"about {rate(curve.twice)}{margin}.",
        advice="Collect pictures of the classes with the lowest recall first, then train on them all.",
        command=with_more(run),
    )
