"""Whether the model beats the best constant answer. Threshold: its Wilson 95 % interval must lie above that.

Where one class is nearly everything a useful model may not: if the mean recall's interval lies above that of a constant
answer, 1 / classes, the classes are told apart and it is a warning. Where classifiers that had not seen the training
pictures are right no oftener than their answers given to pictures at random, Σ_c P(answer c) P(label c) (Cohen 1960),
the labels are doubted before the features are.
"""

from __future__ import annotations

from ..charts.words import rate
from ..metrics import wilson
from ..records import Evaluation, Finding, Run
from . import few_judged, learning_rate_large, learning_rate_small, not_converged
from .next_command import evened, richer, with_more

CODE = "no-better-than-majority"
LEAST = 50  # training pictures that say something about their labels


def check(run: Run) -> Finding | None:
    judged = run.evaluations.get("test")
    if judged is None or judged.accuracy_interval[0] > judged.majority_accuracy:
        return None
    low, high = judged.accuracy_interval
    evidence = (
        f"Test accuracy {rate(judged.accuracy)} (95 % interval {rate(low)} to {rate(high)}) on "
        f"{judged.n} pictures; the largest class alone scores {rate(judged.majority_accuracy)}."
    )
    if _told_apart(judged):
        low, high = judged.intervals["balanced_accuracy"]
        return Finding(
            code=CODE,
            title="The classes are told apart, but accuracy hardly shows it: one class is nearly everything",
            severity="warning",
            evidence=f"{evidence} Of each class the model finds {rate(judged.balanced_accuracy)} on average (95 % "
            f"interval {rate(low)} to {rate(high)}), one constant answer {rate(1 / _present(judged))}.",
            **evened(run, "Read the recall per class; train and judge on more pictures of the small classes"),
        )
    nothing = _nothing_learned(run)
    return Finding(
        code=CODE,
        title="Not shown to be better than always giving the largest class"
        f"{': the labels look as if given at random' if nothing else ''}",
        severity="problem",
        evidence=f"{evidence}{nothing}",
        **_remedy(run, bool(nothing)),
    )


def blind(run: Run) -> bool:
    """Whether nothing is shown to have been learned: what to add, features or pictures, cannot be told then."""
    found = check(run)
    return found is not None and found.severity == "problem"


def _present(judged: Evaluation) -> int:
    return sum(c.n > 0 for c in judged.per_class)


def _told_apart(judged: Evaluation) -> bool:
    bounds = judged.intervals.get("balanced_accuracy")
    return bounds is not None and _present(judged) > 1 and bounds[0] > 1 / _present(judged)


def _nothing_learned(run: Run) -> str:
    """The same of the training pictures, in a sentence, where those say so, too."""
    seen = run.probes.get("labels", {})
    n, wrong = round(seen.get("n") or 0), seen.get("wrong")
    if n < LEAST or wrong is None:
        return ""
    largest = max(run.data.taught, default=0) / n
    count = float(seen.get("independent") or n)
    if wilson(count * (1 - wrong), count)[0] > (seen.get("chance") or largest):
        return ""
    return (
        f" Classifiers that had not seen them were right on {rate(1 - wrong)} of the {n} training pictures, where the "
        f"largest class alone scores {rate(largest)}: labels given at random look like this."
    )


def _remedy(run: Run, doubted: bool) -> dict[str, str]:
    """The fit first where it ended far from its optimum; the labels where nothing goes with them; more pictures where
    those that judged cannot tell a useful model from a guess; else other features."""
    if not_converged.far(run):
        checks = (learning_rate_large, learning_rate_small, not_converged)
        cause = next(found for other in checks if (found := other.check(run)) is not None)
        advice = f"Do not use this model: its fit ended far from the optimum. {cause.advice}"
        return {"advice": advice, "command": cause.command}
    if doubted:
        return richer(
            run,
            "Do not use this model. Check first that every label belongs to its picture: a list that was shifted or "
            "shuffled looks like this. If they do, try other features.",
        )
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
