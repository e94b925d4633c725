"""Whether judged pictures are copies of trained ones: those are no new pictures, and their answers were learned.

Threshold: 1 % of the judged pictures; a warning where these are three at least, or where the accuracy without them is
lower by more than half its standard error. Fewer are counted on the page and in the terminal, but are no finding.
"""

from __future__ import annotations

from math import sqrt

from ..charts.words import rate
from ..records import Finding, Run
from .next_command import again

CODE = "duplicates-across-splits"
SHARE, LEAST = 0.01, 3


def check(run: Run) -> Finding | None:
    found, test = run.duplicates, run.evaluations.get("test")
    if found is None or test is None or found.judged < max(1, SHARE * test.n):
        return None
    rest, much = found.without, found.judged >= LEAST
    told = "All judged pictures are copies: nothing new judged this classifier."
    if rest is not None:
        count = rest.n if rest.independent is None else rest.independent
        error = sqrt(max(rest.accuracy * (1 - rest.accuracy), 1 / rest.n) / count)
        much = much or test.accuracy - rest.accuracy > error / 2
        told = f"Accuracy with them {rate(test.accuracy)}, without them {rate(rest.accuracy)} (on {rest.n})."
    return Finding(
        code=CODE,
        title=f"{'Some' if found.judged < test.n else 'All'} test pictures are copies of training pictures",
        severity="warning" if much else "note",
        evidence=f"{found.judged} of {test.n} test pictures are equal or nearly equal to a trained one"
        f"{', such as ' + ' and '.join(found.examples[0][:2]) if found.examples else ''}. {told}",
        **_remedy(run),
    )


def _remedy(run: Run) -> dict[str, str]:
    """Groups hold together what is held out at random; a split that came with the data stays as it is."""
    if run.data.split_given:
        return {
            "advice": "Remove the copies from one side and train again; until then the accuracy without them counts."
        }
    return {
        "advice": "Remove the copies from one side, or keep them together with a group (--group), and train again.",
        "command": again(run, "--group", "COLUMN_OR_PATTERN"),
    }
