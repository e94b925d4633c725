"""Pictures → features → fit → verdict → run folder: what the command line's verbs do, callable from Python.

    outcome = train("photos", out="runs/a")
    predict("runs/a", ["new.jpg"])
    evaluate("runs/a", "other-photos").evaluation.accuracy

Names are loaded when first used: `predict` does not wait for what only `train` needs, and `doctor` runs where a
package is missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparing import compare
    from .exporting import Exported, export
    from .judging import Judged, evaluate
    from .planning import Planned, plan
    from .predicting import Prediction, predict
    from .progress import Progress
    from .racing import Raced, race
    from .recipe import Recipe
    from .run_folder import rewrite_report
    from .sample import write_digits
    from .serving import Service
    from .training import Outcome, train
    from .updating import update

_HOMES = {
    "Exported": "exporting",
    "Judged": "judging",
    "Outcome": "training",
    "Planned": "planning",
    "Prediction": "predicting",
    "Progress": "progress",
    "Raced": "racing",
    "Recipe": "recipe",
    "Service": "serving",
    "compare": "comparing",
    "evaluate": "judging",
    "export": "exporting",
    "plan": "planning",
    "predict": "predicting",
    "race": "racing",
    "rewrite_report": "run_folder",
    "train": "training",
    "update": "updating",
    "write_digits": "sample",
}

__all__ = [
    "Exported",
    "Judged",
    "Outcome",
    "Planned",
    "Prediction",
    "Progress",
    "Raced",
    "Recipe",
    "Service",
    "compare",
    "evaluate",
    "export",
    "plan",
    "predict",
    "race",
    "rewrite_report",
    "train",
    "update",
    "write_digits",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
