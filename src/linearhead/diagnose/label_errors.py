"""Whether labels are wrong: classifiers that had not seen a picture give its label less than any mistake of theirs.

Threshold: labels drawn at random explain the out-of-fold scores best with at least SHARE of them wrong
(`trust.noise`), and better than no wrong label by GAIN nats (twice that is χ² with one degree of freedom: p < 0.002).
Hard pictures alone look like up to 4 % wrong; calibrated on planted flips and clean data (docs/diagnoses.md). Where
those classifiers are right on less than half, hard pictures look like more, and twice the nats are asked; where they
are mistaken on more than UNTOLD of the pictures beside those labels, thrice, or wrong labels have to explain by BEYOND
nats what confusions of similar classes do not.
Equal pictures under several labels need no threshold: a label is wrong, or the picture shows both. A warning from
CONTRADICTING of the pictures on. Those nearly equal are counted only: a mirrored letter may well be another one.
"""

from __future__ import annotations

from ..records import Finding, Run
from .next_command import elsewhere

CODE = "label-errors"
SHARE, GAIN, LEAST = 0.05, 5.0, 50
UNTOLD, BEYOND = 0.25, 3.0
CONTRADICTING = 0.01
FILES = ("folder", "manifest")  # readers whose pictures are files, so that a table of them can be mended
SHEET = "labels.csv"
SETTLED = ("--reader", "--group", "--test-share", "--valid-share")  # options that the table has answered


def check(run: Run) -> Finding | None:
    equal = _contradicted(run)
    if wrong(run):
        seen = run.probes["labels"]
        return Finding(
            code=CODE,
            title="Some labels are probably wrong",
            severity="warning",
            evidence=f"About {seen['noise']:.0%} of the {seen['n']:.0f} training labels look as if drawn at random: "
            "classifiers that had not seen these pictures find labels there that no confusion of similar classes "
            f"explains. First to look at, doubted by {run.doubted_by}: "
            f"{', '.join(repr(path) for path in run.doubted[:3])}.{' ' if equal else ''}{equal}",
            **_remedy(run),
        )
    if not equal or run.duplicates is None:
        return None
    return Finding(
        code=CODE,
        title="Equal pictures have several labels",
        severity="warning" if run.duplicates.contradicting >= CONTRADICTING * run.duplicates.compared else "note",
        evidence=f"{equal} No classifier can be right on all of them.",
        advice="Delete those whose label is wrong, and leave out a picture that shows both. Then train again.",
    )


def wrong(run: Run) -> float:
    """The share of training labels that are probably wrong, where that is told: no classifier is to get those right."""
    seen = run.probes.get("labels", {})
    n, share, gain = seen.get("n") or 0, seen.get("noise"), seen.get("gain") or 0.0
    mistaken, beyond = seen.get("wrong") or 0.0, seen.get("beyond")
    asked = GAIN if mistaken <= 0.5 else 2 * GAIN
    if n < LEAST or share is None or share < SHARE or gain < asked:
        return 0.0
    confused = mistaken - share > UNTOLD and beyond is not None and beyond < BEYOND
    return 0.0 if confused and gain < 3 * GAIN else float(share)


def _contradicted(run: Run) -> str:
    """A sentence about equal pictures under several labels, where there are any."""
    found = run.duplicates
    if found is None or not found.contradicting:
        return ""
    such = "; ".join(" = ".join(group) for group in found.contradictions[:2])
    return f"{found.contradicting} of {found.compared} pictures are equal to one under another label: {such}."


def _remedy(run: Run) -> dict[str, str]:
    if run.data.reader not in FILES:
        mend = "Look through the pictures under Likely mislabelled and mend the wrong labels where they are kept."
        return {"advice": mend}
    return {
        "advice": f"Open {SHEET} in the run folder: the doubted pictures come first, with what they look like. Where a "
        "label is wrong, correct it or delete the line; then train on that table, judged by the same pictures.",
        "command": elsewhere(run, f"RUN/{SHEET}", without=SETTLED),
    }
