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
    amounts = [f"'{label}' {n}" for n, label in few]
    return Finding(
        code=CODE,
        title=f"{len(few)} of {len(counts)} classes {'has' if len(few) == 1 else 'have'} fewer than {ENOUGH} training "
        "pictures",
        severity="warning",
        evidence=f"Training pictures: {first(amounts)}.",
        advice="Add pictures of these classes, or leave the classes out; with so few, what the model "
        "learns of them is mostly those very pictures.",
        command=with_more(run),
    )


def first(words: Sequence[str], most: int = 5) -> str:
    """The first of many words, for a sentence."""
    return ", ".join(words[:most]) + (", …" if len(words) > most else "")
