"""The scikit-learn estimators."""

from .linear import LinearClassifier
from .named import LeastSquaresClassifier, LogisticClassifier, MarginClassifier, SoftmaxClassifier

ESTIMATORS = {
    e.__name__: e
    for e in (SoftmaxClassifier, LogisticClassifier, MarginClassifier, LeastSquaresClassifier, LinearClassifier)
}

__all__ = [
    "ESTIMATORS",
    "LeastSquaresClassifier",
    "LinearClassifier",
    "LogisticClassifier",
    "MarginClassifier",
    "SoftmaxClassifier",
]
