"""X and y of an estimator: the checks of every fit, and the number and names of features that the model remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_feature_names, _check_n_features

from ..design import opened
from ..objective.checking import check_finite
from ..objective.inputs import as_rows, checked_labels, plain


def checked_rows(model: Any, X: Any) -> Any:
    """X as the design takes it, finite, with the model's number and names of features."""
    X = _registered(model, X, reset=False)
    check_finite(X)
    return X


def checked_pair(model: Any, X: Any, y: Any, reset: bool = True) -> tuple[Any, np.ndarray]:
    """X as above and labels y (n,)."""
    X = _registered(model, X, reset)
    y = checked_labels(y, X)
    check_finite(X)
    return X, y


def _registered(model: Any, X: Any, reset: bool) -> Any:
    X = opened(X)
    if not (plain(X) and not hasattr(model, "feature_names_in_")):  # of arrays nobody knows names
        _check_feature_names(model, X, reset=reset)
    X = as_rows(X, model)
    _check_n_features(model, X, reset=reset)
    return X
