"""Whether one cue that should not matter gives the class away: brightness alone, or the rim of the picture alone; the
format or size of the files, of one class; of features computed elsewhere, one column alone.

Threshold: the cue's leave-one-out accuracy, of groups leave-one-group-out, reaches SHARE of the way from guessing to
the classifier's own accuracy, or that of the nearest picture's label where the classifier is worse; calibrated on
planted cues and clean data (docs/diagnoses.md); not of a fit that ended far from its optimum. What a real class needs
is more than one number. The best of many columns has to tell as many rows as the classifier does and LEAST of them,
which chance among columns does not: one made from the label. The kind of file has to find FOUND of a class, and TAKEN
of the other pictures at most, of FILES or more either.
"""

from __future__ import annotations

from math import sqrt

from ..charts.words import rate
from ..records import Finding, Run
from . import not_converged
from .next_command import again

CODE = "shortcut"
SHARE = {"brightness": 0.5, "border": 0.8, "column": 0.98}
LEAST = {"column": 0.9}
FOUND, TAKEN, FILES = 0.9, 0.1, 10
WORDS = {"brightness": "brightness", "border": "outermost rim", "column": "number in column {column}"}


def check(run: Run) -> Finding | None:
    test = run.evaluations.get("test") or run.evaluations.get("train")
    if not_converged.far(run):
        return None
    for cue, share in SHARE.items():
        seen = run.probes.get(cue, {})
        found, guess, n = seen.get("accuracy"), seen.get("guess"), seen.get("n") or 0
        if test is None or found is None or guess is None or n < 50:
            continue
        low = found - 2 * sqrt(max(found * (1 - found), 0.01) / (seen.get("independent") or n))
        known = max(test.accuracy, test.nearest_accuracy or 0.0)  # a penalty too strong is not the pictures' fault
        if low - guess < share * max(known - guess, 0.1) or low < LEAST.get(cue, 0.0):
            continue
        name = WORDS[cue].format(**seen)
        return Finding(
            code=CODE,
            title=f"The {name} of a picture alone gives its class away",
            severity="warning",
            evidence=f"Knowing nothing but the {name}, {rate(found)} of {n:.0f} training pictures are put into "
            f"the right class (guessing: {rate(guess)}; the classifier: {rate(test.accuracy)}).",
            **_remedy(run, cue, name),
        )
    return _by_file(run)


def _by_file(run: Run) -> Finding | None:
    seen = run.probes.get("file", {})
    found, taken, place = seen.get("found") or 0.0, seen.get("taken"), seen.get("class")
    if found < FOUND or taken is None or taken > TAKEN or place is None:
        return None
    n, others = round(seen.get("n") or 0), round(seen.get("others") or 0)
    if min(n, others) < FILES:
        return None
    label = run.data.classes[round(place)]
    return Finding(
        code=CODE,
        title=f"The kind of its file alone gives class '{label}' away",
        severity="warning",
        evidence=f"By nothing but format and size of the files, {rate(found)} of {n} training pictures of '{label}' "
        f"are told from the others, of which {rate(taken)} are taken for them.",
        advice="Save the pictures of all classes in the same way, from the same source: how they were saved may be "
        "what was learned. Judge on pictures from elsewhere before trusting the accuracy.",
        command="linearhead evaluate RUN PICTURES_FROM_ELSEWHERE",
    )


def _remedy(run: Run, cue: str, name: str) -> dict[str, str]:
    """Other pictures; against brightness also features that do not see it. (--fit crop leaves two sides of the rim.)"""
    if cue == "column":
        return {
            "advice": f"Ask where the {name} comes from: what is made from the label, or known no sooner, has to go."
        }
    judge = "judge on pictures from elsewhere before trusting the accuracy."
    if cue == "brightness" and run.features.get("name") != "hog":
        return {
            "advice": "Take pictures of every class in the same light, or use features that see edges, not brightness "
            f"(--features hog); {judge}",
            "command": again(run, "--features", "hog"),
        }
    where = "in the same light" if cue == "brightness" else "in the same places, or cut the rim off all of them"
    return {
        "advice": f"Take pictures of every class {where}; {judge}",
        "command": "linearhead evaluate RUN PICTURES_FROM_ELSEWHERE",
    }
