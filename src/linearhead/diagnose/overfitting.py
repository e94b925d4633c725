"""Whether training pictures are told apart much better than new ones (high variance; the lecture's overfitting).

Threshold: the lower end of Newcombe's 95 % interval of train − test accuracy above 5 points, so that a gap which
chance explains stays silent; above 20 points it is called a problem. 5 and 20 are conventions of this program. Where
the test pictures are of another kind (`shifted`), and pictures of the training kind are recognised unseen, they have
made the gap, and it is no overfitting.
"""

from __future__ import annotations

from ..charts.words import rate
from ..metrics import difference
from ..records import Finding, Run
from . import enough_pictures, richer_features, shifted
from .next_command import again, plain, with_more

CODE = "overfitting"
GAP, LARGE_GAP = 0.05, 0.20


def check(run: Run) -> Finding | None:
    train, test = run.evaluations.get("train"), run.evaluations.get("test")
    if train is None or test is None:
        return None
    low, gap, high = difference(train, test)
    if low <= GAP or (train.accuracy - (run.unseen_accuracy or 0.0) <= GAP and shifted.check(run) is not None):
        return None
    alpha = run.fit.alpha
    stronger = any((row["alpha"] or 0.0) > 1.01 * alpha for row in run.fit.path)
    weak = again(run, "--alpha", plain(10 * alpha)) if alpha else again(run, "--penalty", "l2", without=("--alpha",))
    penalty = (
        f"penalties stronger than alpha = {alpha:.3g} were tried, and the validation pictures preferred this one"
        if stronger
        else f"a stronger penalty than alpha = {alpha:.3g}"
    )
    return Finding(
        code=CODE,
        title="Overfitting: training pictures are recognised much better than new ones",
        severity="problem" if low > LARGE_GAP else "warning",
        evidence=f"Accuracy {rate(train.accuracy)} on the {train.n} training pictures, {rate(test.accuracy)} on the "
        f"{test.n} test pictures: a gap of {100 * gap:.1f} points (95 % interval {100 * low:.1f} to {100 * high:.1f}).",
        advice=f"{_first(run)}ewer or more robust features (--features){'; ' if stronger else ', or '}{penalty}. "
        f"The test accuracy {_honest(run)}.",
        command=with_more(run) if stronger else weak,
    )


def _first(run: Run) -> str:
    """What helps most, unless the learning curve says that more pictures would not; then the others' beginning."""
    flat = enough_pictures.check(run) is not None or richer_features.check(run) is not None
    return "F" if flat else "More pictures help most. Otherwise: f"


def _honest(run: Run) -> str:
    copies = run.duplicates is not None and run.duplicates.judged > 0
    return "without the copies of training pictures is the honest one" if copies else "above is already the honest one"
