"""What the page says in words: how good, how sure, what next, and what is proven about the fit."""

from __future__ import annotations

import math
from datetime import datetime
from fractions import Fraction
from typing import Any

from ..charts import number, percent
from ..charts.words import THIN, grouped
from ..records import Certificate, Duplicates, Evaluation, Finding, LearningCurve, Run, Status, Trust

SEVERITIES = ("problem", "warning", "note", "good")
SET_WORDS = {"train": "training", "valid": "validation", "test": "test"}


def judged_set(run: Run) -> str | None:
    """The evaluation whose numbers stand in the header: test, else validation, else any there is."""
    names = [name for name in ("test", "valid", "train") if name in run.evaluations] or list(run.evaluations)
    return names[0] if names else None


def interval(bounds: list[float] | None) -> str:
    """[0.913, 0.962] → '91.3 – 96.2 %'"""
    if not bounds:
        return "–"
    low, high = (percent(b).removesuffix(f"{THIN}%") for b in bounds)
    return f"{low} – {high}{THIN}%"


def pictures(n: int) -> str:
    return f"{number(n)} picture{'' if n == 1 else 's'}"


def headline(name: str, judged: Evaluation, copies: Duplicates | None) -> str:
    """The page's title; test pictures are new where none of them copies a trained one."""
    test = "test " if copies and copies.judged else "new "
    kind = {"test": test, "valid": "validation ", "train": "training "}.get(name, "")
    return f"Right on {percent(judged.accuracy)} of {number(judged.n)} {kind}picture{'' if judged.n == 1 else 's'}"


def mistakes(judged: Evaluation) -> str:
    """The accuracy once more, as people count: one wrong in so many, or the nearest share of at most ten."""
    share = 1 - judged.accuracy
    if share <= 0:
        return "no mistake"
    if share > 0.4:
        return f"{percent(share)} wrong"
    nearest = Fraction(share).limit_denominator(10) if share > 0.1 else Fraction(1, round(1 / share))
    return f"{nearest.numerator} wrong in {number(nearest.denominator)}"


def how_good(name: str, judged: Evaluation, copies: Duplicates | None) -> str:
    """The accuracy against the best constant answer, and what the set can say at all."""
    guess = percent(judged.majority_accuracy)
    if judged.accuracy_interval[0] > judged.majority_accuracy:
        text = f"Always answering with the commonest class would be right on {guess}."
    else:
        text = f"That is not shown to be better than always answering with the commonest class ({guess})."
    if name == "test" and copies and copies.judged:
        text += _without(copies, judged.n)
    if name == "train":
        text += " These pictures also trained the classifier, so the figure flatters it."
    if name == "valid":
        text += " These pictures also chose its settings, so the figure flatters it a little."
    return text


def _without(copies: Duplicates, n: int) -> str:
    rest = copies.without
    if rest is None:
        return " All of them are copies of training pictures: nothing new judged it." if copies.judged >= n else ""
    left = f"{percent(rest.accuracy)} of {number(rest.n)} ({interval(rest.accuracy_interval)})"
    many = f"{number(copies.judged)} cop{'y' if copies.judged == 1 else 'ies'}"
    return f" Without {many} of training pictures it is right on {left}."


def how_sure(judged: Evaluation) -> str:
    return (
        f"With {pictures(judged.n)}{_alike(judged.independent)} the accuracy on more pictures of this kind lies in "
        f"this range (95{THIN}% interval, Wilson)."
    )


def _alike(count: float | None) -> str:
    return "" if count is None else f", which count as {number(max(round(count), 1))} as those of a group are alike,"


def what_next(findings: list[Finding]) -> Finding | None:
    """The most severe finding; of equals the first."""
    return min(findings, key=lambda f: severity(f)[0], default=None)


def severity(finding: Finding) -> tuple[int, str]:
    """Its rank, 0 the worst, and its name; an unknown word counts as a note."""
    name = finding.severity if finding.severity in SEVERITIES else "note"
    return SEVERITIES.index(name), name


def status(text: str) -> str:
    return Status[text].value if text in Status.__members__ else text


def certificate(proof: Certificate | None) -> list[str]:
    """The proof in words: how far from the optimum at most, and what that distance can still change."""
    if proof is None:
        return ["No certificate: nothing is proven about how far these weights are from the optimum."]
    lines = [_distance(proof)]
    if proof.undecided == 0:
        lines.append("No prediction can change: at the exact optimum every training picture gets the same label.")
    elif proof.undecided is not None:
        count = f"{pictures(proof.undecided)} of the training set"
        lines.append(f"At the exact optimum the labels of at most {count} could differ from what these weights give.")
    objective = "not finite" if proof.value is None else f"{proof.value:.6g}"  # JSON has no infinity
    lines.append(
        f"Objective F = {objective}; largest entry of its gradient {number(proof.residual)}, "
        f"{'within' if proof.certified else 'against'} the tolerance of {number(proof.tolerance)}."
    )
    return lines


def _distance(proof: Certificate) -> str:
    if proof.gap is None or not math.isfinite(proof.gap):
        known = "The tolerance was reached" if proof.certified else "The tolerance was not reached"
        return f"{known}; no finite bound on the distance to the optimum is known for this objective."
    if proof.certified:
        return f"Optimal within {number(proof.gap)}: no weights whatever have an objective lower by more than that."
    return f"Not proven optimal: other weights could have an objective lower by up to {number(proof.gap)}."


def certificate_in_short(run: Run) -> str:
    """One clause for the header."""
    proof = run.fit.certificate
    if proof is None:
        return "No certificate was made for the fit."
    if not proof.certified:
        return "The fit stopped before its optimum was proven."
    change = " and no training prediction can change" if proof.undecided == 0 else ""
    if proof.gap is None or not math.isfinite(proof.gap):
        return f"The fit reached its tolerance{change}."
    return f"The fit is optimal within {number(proof.gap)}{change}."


def learning(curve: LearningCurve) -> str:
    """The learning curve in words."""
    text = f"{pictures(curve.n[-2])} to train on give {percent(curve.accuracy[-2])}, {number(curve.n[-1])} give "
    text += f"{percent(curve.accuracy[-1])} of pictures not trained on."
    if curve.twice is None or curve.gain is None:
        return text
    expected = f"{percent(curve.twice)}{_margin(curve)}"
    if curve.gain < 0.005:
        return f"{text} Twice as many, {number(2 * curve.n[-1])}, would change little: {expected}."
    return f"{text} Twice as many, {number(2 * curve.n[-1])}, should give about {expected}."


def _margin(curve: LearningCurve) -> str:
    if curve.margin is None:
        return ""
    judged = f"{pictures(curve.judged)}{_alike(curve.independent)}"
    return f", give or take {number(round(100 * curve.margin, 1))} points: {judged} judged the curve"


def copies(found: Duplicates) -> str:
    """Copies in words, and the accuracy without those that were trained on."""
    text = f"Among {pictures(found.compared)}, {number(found.exact)} are equal to an earlier one and "
    text += f"{number(found.near)} nearly so (resized, saved again, cut at the edges, mirrored)."
    if found.conflicting:
        text += f" {number(found.conflicting)} have a copy under another label."
    if not found.judged:
        return text + " None of the judged pictures is a copy of a trained one."
    one = found.judged == 1
    text += f" {number(found.judged)} judged picture{' copies' if one else 's copy'} a trained one"
    if found.without is None:
        return text + "."
    rest = found.without
    text += f"; without {'it' if one else 'them'} the accuracy is {percent(rest.accuracy)}"
    return f"{text} ({interval(rest.accuracy_interval)})."


def trust(t: Trust) -> list[str]:
    """Calibration, sets and strangers in words."""
    lines = []
    if t.before is not None and t.after is not None and t.temperature is not None:
        mend = "that is close enough, so they stay as they are."
        if abs(t.temperature - 1) >= 0.005:
            mend = f"scores are divided by {number(t.temperature)}, and now they differ by {percent(t.after.ece)}."
        differed = f"stated confidence and share right differed by {percent(t.before.ece)} on average"
        lines.append(f"On {grouped(t.source)}, {differed}; {mend}")
    if t.judged is not None:
        lines.append(f"On the test pictures they differ by {percent(t.judged.ece)}{_by_chance(t)}.")
    if t.unlike is not None:
        share = "None" if t.unlike == 0 else percent(t.unlike)
        lines.append(f"{share} of the test pictures {'is' if t.unlike == 0 else 'are'} unlike the training pictures.")
    return lines


def confidence(t: Trust | None) -> str:
    """Whether a stated confidence may be believed, in a sentence; nothing where none was judged."""
    if t is None or t.judged is None:
        return ""
    return f"Stated confidence and share right differ by {percent(t.judged.ece)} on average{_by_chance(t)}."


def _by_chance(t: Trust) -> str:
    if t.judged is None or t.chance is None:
        return ""
    if t.judged.ece <= t.chance:
        return f", no more than chance alone can show where every confidence is true ({percent(t.chance)})"
    return f", where chance alone shows up to {percent(t.chance)}"


def baselines(judged: Evaluation) -> str:
    """Against the nearest neighbour, and the best few, in a sentence."""
    parts = []
    if judged.nearest_accuracy is not None:
        bounds = judged.intervals.get("nearest_accuracy")
        known = f" ({interval(bounds)})" if bounds else ""
        parts.append(
            f"The nearest training picture's label would be right on {percent(judged.nearest_accuracy)}{known}."
        )
    if judged.top:
        best = ", ".join(f"{m}: {percent(share)}" for m, share in judged.top.items())
        parts.append(f"The true label is among the best {best}.")
    return " ".join(parts)


def when(created: str) -> str:
    """ISO 8601 → '23 November 2026, 14:05'; anything else as it is."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{moment.day} {moment:%B %Y, %H:%M}"


def facts(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested dict as rows of words: {"a": {"b": 1}} → [("a · b", "1")]."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            rows += facts(value, f"{name} · ")
        else:
            rows.append((name, _plain(value)))
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and float(value).is_integer():
        return number(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return "–" if value is None or value == "" else str(value)
