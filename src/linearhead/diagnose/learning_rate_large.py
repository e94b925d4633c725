"""Whether the steps of gradient descent were too long: the objective rose where it should fall.

Threshold: the fit diverged, or F was ever above its start, or rose in at least a quarter of the recorded steps: of
mini-batches so that it ended above its lowest, of the whole gradient by a tenth of its whole decrease in all. A step
below 2/L cannot raise F (Nesterov 2004, 1.2.3); momentum alone, at 1/L, raises it by a twentieth.
"""

from __future__ import annotations

from itertools import pairwise

from ..records import Finding, Run, Status
from .next_command import again, with_lbfgs

CODE = "learning-rate-large"
STEPPING = ("gd", "sgd")
SHARE, RISEN, ABOVE = 0.25, 0.1, 1.01


def check(run: Run) -> Finding | None:
    fit = run.fit
    values = [v for v in fit.trace.value if v is not None]
    if fit.solver not in STEPPING:
        return None
    rises = [b - a for a, b in pairwise(values) if b > a * (1 + 1e-9)]
    diverged = fit.status in (Status.DIVERGED.value, Status.DIVERGED.name)
    higher = len(values) > 1 and values[-1] > values[0]
    above = len(values) > 1 and max(values) > 1.02 * values[0]
    often = len(values) > 4 and len(rises) >= SHARE * (len(values) - 1) and _much(fit.solver, rises, values)
    if not (diverged or higher or above or often):
        return None
    return Finding(
        code=CODE,
        title="The learning rate is too large",
        severity="problem" if diverged or higher else "warning",
        evidence="The loss grew without bound."
        if diverged or not values
        else f"The objective rose in {len(rises)} of {len(values) - 1} recorded steps: it began at {values[0]:.4g}, "
        f"went as high as {max(values):.4g}, as low as {min(values):.4g} and ended at {values[-1]:.4g}.",
        advice="Divide --learning-rate by 3 until the loss falls at every epoch, or leave it out: the default is "
        "measured on the data. --solver lbfgs needs none.",
        command=again(run, without=("--learning-rate",)) if "--learning-rate" in run.command else with_lbfgs(run),
    )


def _much(solver: str, rises: list[float], values: list[float]) -> bool:
    """Whether the rises are more than noise, or momentum."""
    ended_above = values[-1] > ABOVE * min(values)
    return ended_above or (solver == "gd" and sum(rises) > RISEN * (values[0] - min(values)))
