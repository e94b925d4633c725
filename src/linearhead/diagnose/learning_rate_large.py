"""Whether the steps of gradient descent were too long: the objective rose where it should fall.

Threshold: the fit diverged, or F rose in at least a quarter of the recorded steps, or was ever above its start.
A step below 2/L cannot raise F (Nesterov 2004, 1.2.3); single rises of mini-batch steps are noise.
"""

from __future__ import annotations

from itertools import pairwise

from ..records import Finding, Run, Status
from .next_command import again, with_lbfgs

CODE = "learning-rate-large"
STEPPING = ("gd", "sgd")
SHARE = 0.25


def check(run: Run) -> Finding | None:
    fit = run.fit
    values = [v for v in fit.trace.value if v is not None]
    if fit.solver not in STEPPING:
        return None
    rises = sum(b > a * (1 + 1e-9) for a, b in pairwise(values))
    diverged = fit.status in (Status.DIVERGED.value, Status.DIVERGED.name)
    higher = len(values) > 1 and values[-1] > values[0]
    above = len(values) > 1 and max(values) > 1.02 * values[0]
    often = len(values) > 4 and rises >= SHARE * (len(values) - 1) and values[-1] > 1.01 * min(values)
    if not (diverged or higher or above or often):
        return None
    return Finding(
        code=CODE,
        title="The learning rate is too large",
        severity="problem" if diverged or higher else "warning",
        evidence="The loss grew without bound."
        if diverged or not values
        else f"The objective rose in {rises} of {len(values) - 1} recorded steps: from {values[0]:.4g} at the start it "
        f"went as high as {max(values):.4g}, as low as {min(values):.4g} and ended at {values[-1]:.4g}.",
        advice="Divide --learning-rate by 3 until the loss falls at every epoch, or leave it out: the default is "
        "measured on the data. --solver lbfgs needs none.",
        command=again(run, without=("--learning-rate",)) if "--learning-rate" in run.command else with_lbfgs(run),
    )
