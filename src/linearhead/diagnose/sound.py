"""What is said when no check warns: what was looked at, and the figure that stands. Not a check itself."""

from __future__ import annotations

from ..charts.words import rate
from ..records import Finding, Run
from . import few_judged

CODE = "sound"


def finding(run: Run) -> Finding:
    test = run.evaluations.get("test")
    figure = f" Test accuracy {rate(test.accuracy)} on {test.n} pictures that chose nothing." if test else ""
    return Finding(
        code=CODE,
        title="No fault of this model was found",
        severity="good",
        evidence="The fit reached its tolerance, training pictures are not shown to be told apart more than 5 points "
        f"better than new ones, the classes are even enough and each has pictures to learn from.{figure}",
        advice="Judge it once more on pictures from where it will be used.",
        command="linearhead evaluate RUN NEW_PICTURES",
    )


def of_judged(run: Run) -> Finding:
    """The same where only the judged pictures were asked."""
    test = run.evaluations["test"]
    low, high = test.accuracy_interval
    looked = ["they are like the training pictures as far as can be told"]
    looked += ["none too few"] if few_judged.check(run) is None else []
    looked += ["confidence comes true within chance"] if "calibration" in run.probes else []
    said = ", ".join(looked[:-1]) + f"{', and ' if looked[1:] else ''}{looked[-1]}"
    return Finding(
        code=CODE,
        title="No fault of this model was found on these pictures",
        severity="good",
        evidence=f"{rate(test.accuracy)} of {test.n} right (95 % interval {rate(low)} to {rate(high)}); {said}.",
        advice="Look at the classes with the lowest recall.",
        command="linearhead report RUN",
    )
