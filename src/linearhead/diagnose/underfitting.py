"""Whether even the training pictures are not told apart (high bias; the lecture's underfitting).

Threshold: at least 10 % of the training pictures wrong (lower Wilson 95 % end) while the gap to the test set is not
shown to exceed 5 points: then more pictures cannot help, other features can. Both are conventions of this program.
Where nothing is shown to have been learned, or the fit ended far from its optimum, that is said instead, and pictures
whose labels are probably wrong do not count: those no features can get right.
"""

from __future__ import annotations

from ..charts.words import rate
from ..metrics import difference
from ..records import Finding, Run
from . import label_errors, more_pictures, not_converged
from .next_command import richer
from .no_better_than_majority import blind

CODE = "underfitting"
ERROR, GAP = 0.10, 0.05


def check(run: Run) -> Finding | None:
    train, test = run.evaluations.get("train"), run.evaluations.get("test")
    if train is None or test is None or not_converged.far(run):
        return None
    error_low = 1 - train.accuracy_interval[1] - label_errors.wrong(run)
    if error_low <= ERROR or difference(train, test)[0] > GAP or blind(run):
        return None
    return Finding(
        code=CODE,
        title="Underfitting: even the training pictures are not told apart",
        severity="warning",
        evidence=f"{rate(1 - train.accuracy)} of the {train.n} training pictures are wrong and "
        f"{rate(1 - test.accuracy)} of the {test.n} test pictures: {_more(run)}.",
        **richer(
            run,
            f"Use stronger features than {run.features.get('name')} (--features), larger pictures (--size), "
            "or check the labels of the most wrong pictures.",
        ),
    )


def _more(run: Run) -> str:
    """What more pictures would do, by the learning curve where there is one."""
    if more_pictures.check(run) is not None:
        return "more pictures would help, but hardly beyond the share that is right in training"
    return "more pictures would not change much"
