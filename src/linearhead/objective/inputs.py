"""What a fit or a prediction accepts as X, y and weights: scikit-learn's checks; rows on disk are never converted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _check_y, check_array, check_consistent_length

from ..arrays import namespace, to_device, to_host
from ..design import LentArray, LentRows, StoredArray, design_of, opened
from ..errors import DataError, DataWarning
from .checking import ROW_TYPES, check_finite, check_weights

OPTIONS: Any = {"accept_sparse": "csr", "dtype": ROW_TYPES, "ensure_all_finite": False}


def as_rows(X: Any, estimator: Any = None) -> Any:
    """X (n, d) as the design takes it, not looked through yet; the estimator's name is told where it is refused."""
    X = opened(X)
    if isinstance(X, StoredArray) or (plain(X) and X.ndim == 2 and X.size and X.dtype in ROW_TYPES):
        return X
    try:
        return check_array(_numbers(X), estimator=estimator, **OPTIONS)
    except ValueError as error:
        if "could not convert" in str(error):
            raise DataError(_no_number(X)) from error
        raise


def plain(X: Any) -> bool:
    """Whether X is NumPy's own array. scikit-learn's checks, of which such rows and labels need next to none, look for
    the makers of data frames among all installed packages: as long as a small fit."""
    return type(X) is np.ndarray


def checked_rows(X: Any) -> Any:
    """X (n, d) as the design takes it, finite."""
    X = as_rows(X)
    check_finite(X)
    return X


def checked_pair(X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """X as above and class labels y (n,)."""
    X = as_rows(X)
    y = checked_labels(y, X)
    check_finite(X)
    return X, y


def checked_labels(y: Any, X: Any) -> np.ndarray:
    """Class labels (n,), one for each row of X."""
    if y is None:
        raise DataError("A classifier requires y to be passed, but the target y is None.")
    y = to_host(y)
    if plain(y) and y.dtype.kind in "biuU" and y.shape == X.shape[:1]:
        return y
    if len(shape := getattr(y, "shape", ())) == 2 and shape[1] > 1:
        raise DataError(
            f"y should be a 1d array, one label for each row; found shape {tuple(shape)}. For one-hot rows pass "
            "y.argmax(axis=1); for several labels a row, fit a classifier for each "
            "(sklearn.multioutput.MultiOutputClassifier)."
        )
    y = _check_y(y)
    if y.dtype.kind == "O":
        _check_kinds(sorted({type(label).__name__ for label in y.tolist()}))
    check_consistent_length(X, y)
    with warnings.catch_warnings():  # many classes of few rows are what they are
        warnings.filterwarnings("ignore", "The number of unique classes")
        check_classification_targets(y)
    return y


def _check_kinds(kinds: list[str]) -> None:
    """DataError unless labels that are Python objects, of these types, are names."""
    if len(kinds) > 1:
        raise DataError(f"y mixes labels of types {', '.join(kinds)}, which have no order: give all one type.")
    if kinds[0] in ("bool", "int", "float"):
        raise DataError(
            f"Unknown label type: y holds Python objects (dtype object), all {kinds[0]}. Needed is an array of numbers "
            f"or names: y.astype({kinds[0]}) or y.astype(str)."
        )


def checked_weights(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Weights (n,) of the rows of X in float64; None stays None."""
    if sample_weight is None:
        return None
    sample_weight = _check_sample_weight(to_host(sample_weight), X, dtype=np.float64)
    check_weights(sample_weight)
    return sample_weight


def without_absent(X: Any, y: np.ndarray, weights: np.ndarray | None) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Rows of weight zero are absent; a class of which only such rows are known is absent too, and this is said."""
    present = None if weights is None else weights > 0
    if present is None or present.all():
        return X, y, weights
    lost = np.setdiff1d(y, y[present])
    if len(lost):
        warnings.warn(
            f"Classes with zero weight in every row are left out: {lost[:5].tolist()}.", DataWarning, stacklevel=4
        )
    if isinstance(X, StoredArray):  # rows stay where they are; without weight it does not matter whose they seem
        return X, np.where(present, y, y[present][0]), weights
    return X[present], y[present], weights[present]  # type: ignore[index]


def present_weights(sample_weight: Any, n: int) -> np.ndarray | None:
    """Of the n rows that are left when those without weight have gone, where they have; None: one for all."""
    if sample_weight is None or np.ndim(weights := np.asarray(to_host(sample_weight), dtype=np.float64)) == 0:
        return None
    return weights if len(weights) == n else weights[weights > 0]


def codes_of(y: np.ndarray, classes: np.ndarray, what: str) -> np.ndarray:
    """Places (n,) of the labels in `classes`; DataError naming those that are not there, `what` being said of y."""
    strange = np.setdiff1d(y, classes)
    if len(strange):
        raise DataError(f"{what}: {strange[:5].tolist()}.")
    return np.searchsorted(classes, y)


def scores(X: Any, coef: np.ndarray, intercept: np.ndarray, labels: bool = False) -> np.ndarray:
    """X coefᵀ + intercept (n, k) of checked rows, or the place of each row's highest (n,), found where they are."""
    each = _first if labels else _same
    if X.dtype in (np.float32, np.float64) and not isinstance(X, StoredArray):
        return each(X @ coef.T + intercept)
    design: Any = design_of(X) if coef.dtype == np.float32 else design_of(X).precise()
    theta: Any = np.vstack([coef.T, intercept]).astype(design.dtype, copy=False)
    out = np.empty(X.shape[0], np.intp) if labels else np.empty((X.shape[0], len(coef)), theta.dtype)
    if isinstance(X, LentArray):
        design, theta = LentRows.like(design), to_device(theta, X.source)
    design.fill(out, lambda block: (to_host(each(block.forward(theta))),))
    return out


def _same(s: Any) -> Any:
    return s


def _first(s: Any) -> Any:
    """The place of the highest score, (m,)."""
    return namespace(s).argmax(s, axis=1)


def _no_number(X: Any) -> str:
    """What is said of rows that hold words: the first column with one, and that word."""
    names = list(getattr(X, "columns", ()))
    words = np.asarray(X, dtype=object)
    for j, column in enumerate(words.T):
        for i, value in enumerate(column):
            try:
                float(value)
            except (TypeError, ValueError):
                which = f"{j} ({names[j]!r})" if names else f"{j}"
                return (
                    f"X holds {value!r} in row {i} of column {which}; a linear classifier needs numbers. If these are "
                    "the labels, take the column out of X and give it as y; turn other words into numbers, for example "
                    "with sklearn.preprocessing.OneHotEncoder."
                )
    return "X holds what is no number; a linear classifier needs numbers."


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
