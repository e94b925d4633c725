"""X and y of an estimator: the checks of every fit, and the number and names of features that the model remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_feature_names, _check_n_features

from ..design import opened
from ..objective import inputs


def checked_rows(model: Any, X: Any, reset: bool = False) -> Any:
    """X as the design takes it, finite, with the model's number and names of features."""
    X = opened(X)
    _check_feature_names(model, X, reset=reset)
    X = inputs.checked_rows(X, model)
    _check_n_features(model, X, reset=reset)
    return X


def checked_pair(model: Any, X: Any, y: Any, reset: bool = True) -> tuple[Any, np.ndarray]:
    """X as above and labels y (n,)."""
    X = checked_rows(model, X, reset)
    return X, inputs.checked_labels(y, X)
