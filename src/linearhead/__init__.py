"""linearhead: linear classifiers for visual recognition, done to the limit.

Names are loaded when first used, so that `import linearhead` costs nothing and the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "SoftmaxClassifier": "estimators",
    "LogisticClassifier": "estimators",
    "MarginClassifier": "estimators",
    "LeastSquaresClassifier": "estimators",
    "LinearClassifier": "estimators",
    "regularization_path": "path",
    "train": "experiment",
    "extract": "experiment.preparing",  # the room has a file of that name
    "predict": "experiment",
    "evaluate": "experiment",
    "update": "experiment",
    "load": "store",
    "EvaluationDisplay": "displays",
    "WeightsDisplay": "displays",
    "LinearheadError": "errors",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
