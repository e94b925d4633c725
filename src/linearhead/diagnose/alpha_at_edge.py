"""Whether the best penalty strength lies at the end of those tried, so that a better one may lie beyond.

Threshold: the chosen alpha is the first or last of the path and better than its neighbour on the validation pictures:
in accuracy, or by 1 % of the log loss and a thousandth of a nat with an accuracy lower by no more than its standard
error. A plateau that reaches the end is no reason to look further, nor are probabilities all but certain already. Nor
is there one below where the trained pictures are told apart with certainty: a weaker penalty lengthens the weights and
turns them no more. Where nothing is shown to have been learned, the penalty is not the reason.
"""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from .next_command import again, plain
from .no_better_than_majority import blind

CODE = "alpha-at-edge"
FALLING, LEAST = 0.01, 0.001
CERTAIN = 1e-4  # nats, of the trained pictures


def check(run: Run) -> Finding | None:
    tried = sorted((p for p in run.fit.path if p.get("valid_accuracy") is not None), key=lambda p: p["alpha"] or 0)
    if len(tried) < 3 or blind(run):
        return None
    fitted = run.evaluations["train"].log_loss if "train" in run.evaluations else None
    for end, neighbour, side in ((0, 1, "smallest"), (-1, -2, "largest")):
        if end == 0 and fitted is not None and fitted < CERTAIN:
            continue
        best, next_to = tried[end], tried[neighbour]
        accuracies = (best["valid_accuracy"] or 0.0, next_to["valid_accuracy"] or 0.0)
        least = accuracies[1] - (next_to.get("valid_error") or 0.0)
        losses = (best.get("valid_loss") or 0.0, next_to.get("valid_loss") or 0.0)
        falling = losses[0] < losses[1] - max(FALLING * losses[1], LEAST) and accuracies[0] >= least
        if best["alpha"] == run.fit.alpha and (accuracies[0] > accuracies[1] or falling):
            beyond = plain(run.fit.alpha / 10 if end == 0 else run.fit.alpha * 10)
            return Finding(
                code=CODE,
                title=f"The {side} penalty tried was the best",
                severity="note",
                evidence=f"alpha = {run.fit.alpha:.3g}: {rate(accuracies[0])} of the validation pictures right, "
                f"its neighbour {rate(accuracies[1])} (log loss {losses[0]:.3g}, {losses[1]:.3g}); nothing "
                "beyond was tried.",
                advice=f"Try --alpha {beyond}.",
                command=again(run, "--alpha", beyond),
            )
    return None
