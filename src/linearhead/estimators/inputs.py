"""What a fit or a prediction accepts as X and y: scikit-learn's checks, and rows on disk, which are never converted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from ..arrays import to_host
from ..design import StoredArray, opened
from ..errors import DataError
from ..objective.checking import ROW_TYPES, check_finite

OPTIONS = {"dtype": ROW_TYPES, "accept_sparse": "csr", "ensure_all_finite": False}


def checked_rows(model: Any, X: Any, reset: bool = False) -> Any:
    """X as the design takes it, finite, with the model's number and names of features."""
    X = opened(X)
    if isinstance(X, StoredArray):
        _register(model, X, reset)
    else:
        X = validate_data(model, _numbers(X), reset=reset, **OPTIONS)
    check_finite(X)
    return X


def checked_pair(model: Any, X: Any, y: Any, reset: bool = True) -> tuple[Any, np.ndarray]:
    """X as above and labels y (n,)."""
    X, y = opened(X), to_host(y)
    if isinstance(X, StoredArray):
        _register(model, X, reset)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
    else:
        X, y = validate_data(model, _numbers(X), y, reset=reset, **OPTIONS)
    check_finite(X)
    check_classification_targets(y)
    return X, y


def _numbers(X: Any) -> Any:
    """X itself, unless it holds what would become numbers without a word: dates, or values under a mask."""
    types = X.dtypes if hasattr(X, "dtypes") else [getattr(X, "dtype", None)]
    dates = [j for j, kind in enumerate(types) if getattr(kind, "kind", "") in ("m", "M")]
    if dates:
        raise DataError(
            f"X has dates or durations in column {dates[0]}{' and others' * (len(dates) > 1)}; a linear classifier "
            "needs numbers. Turn them into numbers of a unit that means something, such as days since a start."
        )
    if isinstance(X, np.ma.MaskedArray) and np.ma.getmaskarray(X).any():
        places = ", ".join(f"row {r} column {c}" for r, c in np.argwhere(np.ma.getmaskarray(X))[:5])
        raise DataError(
            f"X masks {int(np.ma.getmaskarray(X).sum())} values: {places}. Remove these rows, or fill the gaps "
            "(for example with X.filled(value))."
        )
    return X


def _register(model: Any, X: StoredArray, reset: bool) -> None:
    _check_feature_names(model, X, reset=reset)
    _check_n_features(model, X, reset=reset)
