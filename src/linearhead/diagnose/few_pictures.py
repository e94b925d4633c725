"""Whether a class has too few training pictures to learn from.

Threshold: 10 per class, the smallest of the many-shot regimes in the few-shot literature (1 to 10 "shots").
"""

from __future__ import annotations

from collections.abc import Sequence

from ..records import Finding, Run
from .next_command import with_more

CODE = "few-pictures"
ENOUGH = 10


def check(run: Run) -> Finding | None:
    counts = run.data.taught
    few = sorted((n, label) for n, label in zip(counts, run.data.classes, strict=True) if n < ENOUGH)
    if not few:
        return None
    amounts = _first([f"'{label}' {n}" for n, label in few])
    evidence = f"Training pictures: {amounts}."
    judging = run.data.counts.get("test", [])
    unjudged = [f"'{label}'" for _, label in few if any(judging) and not judging[run.data.classes.index(label)]]
    if unjudged:
        evidence += f" No test picture shows {_first(unjudged)}: no figure says anything of that."
    return Finding(
        code=CODE,
        title=f"{len(few)} of {len(counts)} classes have fewer than {ENOUGH} training pictures",
        severity="warning",
        evidence=evidence,
        advice="Add pictures of these classes, or leave the classes out; with so few, what the model "
        "learns of them is mostly those very pictures.",
        command=with_more(run),
    )


def _first(words: Sequence[str], most: int = 5) -> str:
    return ", ".join(words[:most]) + (", …" if len(words) > most else "")
