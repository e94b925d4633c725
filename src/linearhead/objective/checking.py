"""What a fit asks of its input, and the sentences said when it is not so."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..design import Block, LentArray, StoredArray, design_of
from ..errors import DataError, DataWarning, UsageError

UNLIKE = 30  # times the median that the largest column spreads, where scales are what a slow fit suffers from
ROW_TYPES = [np.float64, np.float32, np.float16, np.uint8]  # read in place; other numbers become float64


def check_finite(X: Any) -> None:
    """DataError naming the first five places of NaN or infinity in X (n, d): dense, CSR or stored."""
    if X.dtype.kind != "f" or (isinstance(X, LentArray) and X.finite()):
        return
    if isinstance(X, StoredArray):
        blocks, (count,) = design_of(X).collect(_look)
        found = [one for block in blocks for one in block]
    else:
        found, count = _not_finite(X)
    if count:
        places = [f"row {r} column {c} ({value})" for r, c, value in found]
        raise DataError(
            f"X contains NaN or infinity in {count:.0f} place{'s' * (count > 1)}: {', '.join(places[:5])}. A linear "
            "classifier needs finite numbers: remove these rows, or fill the gaps (for example with "
            "sklearn.impute.SimpleImputer)."
        )


def _look(block: Block) -> tuple[list[tuple], float]:
    """The same of a block of stored rows, in all rows' numbers."""
    x: np.ndarray = block.x  # type: ignore[attr-defined]
    found, count = _not_finite(x)
    return [(block.rows.start + r, c, value) for r, c, value in found], float(count)


def _not_finite(X: Any) -> tuple[list[tuple], int]:
    """The first five (row, column, value) that are not finite, and how many there are."""
    values = X.data if hasattr(X, "tocsr") else X
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.sum(values, dtype=np.float64 if values.dtype == np.float16 else None)
    if np.isfinite(total):
        return [], 0
    bad = np.flatnonzero(~np.isfinite(values.ravel()))  # none: the sum alone overflowed
    first = bad[:5]
    if values is X:
        rows, columns = np.unravel_index(first, X.shape)
    else:
        rows, columns = np.searchsorted(X.indptr, first, side="right") - 1, X.indices[first]
    return list(zip(rows, columns, values.ravel()[first], strict=True)), bad.size


def check_scale(X: Any, deviation: np.ndarray, tol: float) -> None:
    """DataError where a column's spread exceeds what float64 gradients resolve to `tol`, naming row and column."""
    limit = 1e-2 * tol / np.finfo(np.float64).eps * 1e-1
    limit = max(limit, 1e4)
    if not np.any(deviation > limit):
        return
    j = int(np.argmax(deviation))
    column = _column(X, j)
    i = int(np.argmax(np.abs(column)))
    more = " or more" if deviation[j] >= 1e150 else ""  # where squares end
    raise DataError(
        f"Column {j} of X spreads over {deviation[j]:.3g}{more}; its largest value is {column[i]:.3g} in row {i}. "
        f"Next to that, gradients cannot be resolved to tol={tol:g} (the limit is a spread of {limit:.3g}). Check that "
        "value, rescale the column, or pass standardize=True."
    )


def check_drowned(X: Any, deviation: np.ndarray, centred: bool = True) -> None:
    """DataWarning where few values of a column spread so far that, standardised, the others are all alike.

    Looked for in some hundred rows: half of the values that differ from the median lie within 1e-5 deviations of it.
    centred: whether the deviations are those from the mean; else from 0, where all values may be far without spreading.
    """
    rows = np.unique(np.linspace(0, X.shape[0] - 1, max(2, min(257, 4_000_000 // max(X.shape[1], 1)))).astype(int))
    some = X[rows]
    some = some.toarray() if hasattr(some, "toarray") else np.asarray(some)
    with np.errstate(over="ignore"):
        median = np.median(some, axis=0)
        away = np.abs(some - median).astype(np.float64)
        if not centred:
            deviation = np.sqrt(np.maximum(deviation**2 - median.astype(np.float64) ** 2, 0))
    away.sort(axis=0)
    first = np.argmax(away > 0, axis=0)  # the differences that are not 0 come last
    usual = away[(first + len(away) - 1) // 2, np.arange(away.shape[1])]
    drowned = np.flatnonzero((usual > 0) & (usual < 1e-5 * deviation))
    if drowned.size:
        j = int(drowned[0])
        column = _column(X, j)
        i = int(np.argmax(np.abs(column)))
        warnings.warn(
            f"Column {j} of X is ruled by few values, such as {column[i]:.3g} in row {i}: its deviation is "
            f"{deviation[j]:.3g}, while half of its values lie within {usual[j]:.3g} of the median. Standardised, they "
            f"are all alike{_and_more(drowned)}. Check these values, or clip them.",
            DataWarning,
            stacklevel=4,
        )


def unlike_columns(energy: np.ndarray) -> str:
    """What is said of a fit that takes too long where some columns are much larger than most, by the squares of their
    sizes (d,): steps that suit the large ones hardly move the weights of the others. Nothing where they are alike."""
    sizes = np.sqrt(energy[energy > 0])
    if not sizes.size or sizes.max() < UNLIKE * np.median(sizes):
        return ""
    return (
        f" The largest column spreads {sizes.max() / np.median(sizes):.3g} times as far as half of them do: "
        "standardize=True makes such fits short."
    )


def _and_more(columns: np.ndarray) -> str:
    return f" (so in {columns.size} columns: {columns[:5].tolist()})" if columns.size > 1 else ""


def _column(X: Any, j: int) -> np.ndarray:
    """Column j of dense, sparse or stored rows, (n,)."""
    if isinstance(X, StoredArray):
        return X.column(j)
    return np.asarray(X[:, [j]].todense() if hasattr(X, "tocsr") else X[:, j]).ravel()


def check_weights(sample_weight: np.ndarray) -> None:
    """DataError unless the weights (n,) are finite, not negative, and some are positive."""
    bad = np.flatnonzero(~(np.isfinite(sample_weight) & (sample_weight >= 0)))
    if bad.size:
        places = ", ".join(f"row {i} ({sample_weight[i]})" for i in bad[:5])
        raise DataError(f"sample_weight must be finite and not negative; found otherwise in {bad.size}: {places}.")
    if not np.any(sample_weight > 0):
        raise DataError("All sample weights are zero: no row is left to learn from.")


def combine_weights(y: np.ndarray, sample_weight: np.ndarray | None, class_weight: Any, classes: np.ndarray):
    """Row weights (n,) from sample and class weights, or None if all are one; y (n,) codes into classes.

    Only ratios of weights count. Huge or tiny ones are taken in units of a power of two: no sum of them overflows, and
    no digit changes.
    """
    if sample_weight is not None and abs(power := int(np.frexp(np.max(sample_weight))[1])) > 64:
        sample_weight = np.ldexp(sample_weight, -power)
    if class_weight is None:
        return sample_weight
    per_class = weights_of_classes(class_weight, classes, y, sample_weight)
    weights = per_class[y] if sample_weight is None else per_class[y] * sample_weight
    return weights.astype(np.float64)


def weights_of_classes(
    class_weight: Any, classes: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """(k,) from "balanced" or {class: weight}, 1 for those not named; y (n,) codes into classes (k,)."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        # counts weights: a row of weight 2 is that row twice, one of weight 0 is none
        counts = np.bincount(y, sample_weight, len(classes))
        return counts.sum() / (len(classes) * counts)
    if not isinstance(class_weight, Mapping):
        raise UsageError(f"class_weight is None, 'balanced' or {{class: weight}}; found {class_weight!r}.")
    if classes.dtype.kind in "mM":  # dates by what they mean: a datetime.date is none of NumPy's
        class_weight = {np.asarray(key).astype(classes.dtype).item(): w for key, w in class_weight.items()}
    labels = classes.tolist()
    known, rest = set(labels), [label for label in labels if label not in class_weight]
    strange = [key for key in class_weight if key not in known]
    if strange and rest:  # else a part of the rows may lack some of the classes
        raise UsageError(f"class_weight names {strange[:5]}, which are no classes of y, and leaves {rest[:5]} out.")
    per_class = np.array([class_weight.get(c, 1.0) for c in labels], dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(per_class) & (per_class > 0)))
    if bad.size:
        raise UsageError(
            f"class_weight must be finite and above 0; found {per_class[bad[0]]:g} for class {labels[bad[0]]!r}. To "
            "leave a class out, leave its rows out."
        )
    return per_class


def check_number(
    name: str,
    value: Any,
    least: float,
    most: float = float("inf"),
    *,
    above: bool = False,
    below: bool = False,
    whole: bool = False,
    optional: bool = False,
    words: tuple[str, ...] = (),
) -> None:
    """UsageError unless the option is a finite number in [least, most] (above least, below most), or a known word."""
    if (optional and value is None) or (isinstance(value, str) and value in words):
        return
    kind = Integral if whole else Real
    if isinstance(value, kind) and not isinstance(value, bool):
        number = float(value)
        inside = least < number if above else least <= number
        if inside and (number < most if below or most == float("inf") else number <= most):
            return
    what = "a whole number" if whole else "a finite number"
    bounds = f"> {least}" if above else f"≥ {least}"
    if most < float("inf"):
        bounds += f" and < {most}" if below else f" and ≤ {most}"
    others = "".join(f" or {word!r}" for word in words) + " or None" * optional
    raise UsageError(f"{name} must be {what} {bounds}{others}; found {value!r}.")
