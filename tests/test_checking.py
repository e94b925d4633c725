"""What a fit asks of its input, piece by piece: where the limits lie and which places are named."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse

from linearhead.errors import DataError, DataWarning
from linearhead.objective.checking import check_drowned, check_finite, check_scale, check_weights, combine_weights

FORMS = (np.asarray, np.asfortranarray, scipy.sparse.csr_array)


@pytest.mark.parametrize("form", FORMS)
def test_the_first_five_places_are_named_and_all_are_counted(form):
    X = np.arange(60.0).reshape(12, 5)
    check_finite(form(X))
    check_finite(form(1e308 * np.ones((12, 5))))  # the sum overflows, no number does
    check_finite(form(np.full((12, 5), 3e38, np.float32)))
    check_finite(np.full((200, 5), 6e4, np.float16))
    check_finite(np.zeros((3, 2), dtype=int))
    places = [(0, 4), (2, 1), (2, 3), (7, 0), (11, 4), (11, 2)]
    for r, c in places:
        X[r, c] = np.inf if c % 2 else np.nan
    with pytest.raises(DataError) as error:
        check_finite(form(X))
    named = [
        tuple(map(int, found)) for found in re.findall(r"row (\d+) column (\d+) \((?:nan|inf)\)", str(error.value))
    ]
    assert "in 6 places" in str(error.value)
    assert named == sorted(places)[:5]
    X = np.ones((3, 3))
    X[1, 2] = -np.inf
    with pytest.raises(DataError, match=r"in 1 place: row 1 column 2 \(-inf\)\. "):
        check_finite(form(X))
    X[0, 0] = np.inf
    with pytest.raises(DataError, match=r"in 2 places: row 0 column 0 \(inf\), row 1 column 2 \(-inf\)\. "):
        check_finite(form(X))


@pytest.mark.parametrize("tol", [1e-3, 1e-7, 1e-12, 0.0])
def test_columns_may_spread_as_far_as_gradients_have_three_digits_below_tol(tol):
    limit = max(1e-3 * tol / 2.0**-52, 1e4)
    X = np.zeros((6, 3))
    X[4, 1] = -7.5
    check_scale(X, np.array([1.0, 0.99 * limit, 2.0]), tol)
    with pytest.raises(
        DataError,
        match="Column 1 of X spreads over .*-7.5 in row 4.*limit is a spread of " + re.escape(f"{limit:.3g}"),
    ):
        check_scale(X, np.array([1.0, 1.01 * limit, 2.0]), tol)
    with pytest.raises(DataError, match=r"spreads over 1e\+150 or more;"):
        check_scale(X, np.array([1.0, 1e150, 2.0]), tol)


def drowned(X):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        check_drowned(X, np.asarray(X.std(axis=0)) if isinstance(X, np.ndarray) else X.toarray().std(axis=0))
    assert {w.category for w in heard} <= {DataWarning}
    return [str(w.message) for w in heard]


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_values_drowned_by_a_few_are_said(form):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((200, 4)) < 0.1, rng.uniform(1, 2, (200, 4)), 0)  # mostly 0: the rest is what counts
    assert not drowned(form(X))
    X[31, 2] = 1e9
    (text,) = drowned(form(X))
    assert "Column 2 of X is ruled by few values, such as 1e+09 in row 31" in text
    assert "columns" not in text
    X[31, 3] = -1e9
    assert "so in 2 columns: [2, 3]" in drowned(form(X))[0]
    few = rng.normal(size=(200, 2))
    few[5, 0] = 500.0  # large, and the others still differ: about a thousandth of its deviation
    assert not drowned(form(few))
    assert not drowned(form(np.where(np.arange(200)[:, None] == 7, 1e12, 0.0) * np.ones((1, 2))))  # nothing to drown


def test_a_column_far_from_zero_is_not_ruled_by_few_values():
    """Without an intercept deviations are those from 0: the same ones for all values of such a column."""
    X = np.random.default_rng(0).normal(-105, 1e-3, size=(200, 2))
    X[:, 0] = 0.0
    X[3, 0], X[4:, 0] = 1e9, np.random.default_rng(1).normal(size=196)
    with pytest.warns(DataWarning, match="Column 0") as heard:
        check_drowned(X, np.sqrt(np.mean(X**2, axis=0)), centred=False)
    assert "columns" not in str(heard[0].message)


def test_weights_must_be_numbers_not_below_zero_and_not_all_zero():
    check_weights(np.array([0.0, 1.0, 1e300]))
    with pytest.raises(DataError, match=r"found otherwise in 3: row 1 \(-1.0\), row 2 \(nan\), row 3 \(inf\)\."):
        check_weights(np.array([1.0, -1.0, np.nan, np.inf]))
    with pytest.raises(DataError, match="All sample weights are zero"):
        check_weights(np.zeros(3))


def test_weights_of_rows_and_classes_multiply_and_only_ratios_count():
    y, classes = np.array([0, 1, 1, 2]), np.array(["a", "b", "c"])
    assert combine_weights(y, None, None, classes) is None
    for scale in (1e-300, 1.0, 1e300):
        w = scale * np.array([1.0, 2.0, 3.0, 4.0])
        found = combine_weights(y, w, None, classes)
        assert np.isfinite(found.sum())
        np.testing.assert_array_equal(found / found[0], w / w[0])
        assert np.log2(found[0] / w[0]) % 1 == 0  # no digit changes
        both = combine_weights(y, w, {"b": 10.0}, classes)
        np.testing.assert_allclose(both / both[0], [1, 20, 30, 4])
    np.testing.assert_allclose(combine_weights(y, None, "balanced", classes), 4 / (3 * np.array([1, 2, 2, 1])))
    w = np.array([1.0, 2.0, 0.0, 4.0])  # a row of weight 2 is two rows, one of weight 0 is none
    np.testing.assert_allclose(combine_weights(y, w, "balanced", classes), 7 / 3 * np.array([1.0, 1, 0, 1]))
