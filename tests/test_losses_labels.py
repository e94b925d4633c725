"""Reading and writing the label's entries: one meaning for NumPy's layouts, index-taking and strict libraries."""

import math

import array_api_strict
import numpy as np
import pytest

from linearhead.arrays import namespace
from linearhead.losses import labels
from linearhead.losses.labels import Label, columns, row_max, row_sum, row_sum_of_units

N, K = 6, 4
Y = np.array([2, 0, 3, 3, 1, 0])
A = np.arange(N * K, dtype=float).reshape(N, K) ** 2


def torch_case():
    torch = pytest.importorskip("torch")
    return namespace(torch.zeros(1)), torch.asarray(A.copy())


def cases(which):
    wide = np.zeros((2 * N, 2 * K))
    wide[::2, ::2] = A
    return {
        "rows": (np, A.copy()),
        "columns": (np, np.asfortranarray(A)),
        "strided": (np, wide[::2, ::2]),
        "torch": torch_case() if which == "torch" else None,
        "strict": (array_api_strict, array_api_strict.asarray(A)),
    }[which]


@pytest.mark.parametrize("case", ["rows", "columns", "strided", "torch", "strict"])
def test_get_and_put(case):
    xp, a = cases(case)
    label = Label(xp, xp.asarray(Y))
    assert np.asarray(label.get(a)).tolist() == [4, 16, 121, 225, 289, 400]
    wanted = A.copy()
    for i in range(N):
        wanted[i, Y[i]] = -1.0
    assert np.array_equal(np.asarray(label.put(a, -1.0)), wanted)
    amount = np.arange(6.0)
    for i in range(N):
        wanted[i, Y[i]] = i
    again = label.put(cases(case)[1], xp.asarray(amount))
    assert np.array_equal(np.asarray(again), wanted)
    assert np.array_equal(np.asarray(label.off(K)), np.arange(K) != Y[:, None])


def test_put_writes_in_place_where_the_library_can():
    for case in ("rows", "columns", "strided", "torch"):
        xp, a = cases(case)
        assert Label(xp, xp.asarray(Y)).put(a, 7.0) is a
        assert (np.asarray(a)[np.arange(N), Y] == 7).all()
        assert (a == 7).sum() == N


def test_columns_copies_narrow_rows_only():
    for k, copied in ((2, True), (labels.WIDE - 1, True), (labels.WIDE, False), (200, False)):
        s = np.ones((5, k))
        assert columns(np, s).flags.f_contiguous == copied
        assert (columns(np, s) is s) != copied
    fortran = np.asfortranarray(A)
    assert columns(np, fortran) is fortran
    strict = array_api_strict.asarray(A)
    assert columns(array_api_strict, strict) is strict


@pytest.mark.parametrize("k", [1, 2, 15, 16, 17, 31, 32, 33, 100, 256, 257, 300])
def test_sums_are_right_and_keep_their_digits(k):
    rng = np.random.default_rng(k)
    a = rng.uniform(size=(200, k))
    exact = np.array([math.fsum(row) for row in a])
    for layout in (a, np.asfortranarray(a)):
        assert np.abs(row_sum(np, layout) - exact).max() <= 3 * np.spacing(exact.max())
        assert np.abs(row_sum_of_units(np, layout) - exact).max() <= 0.51 * np.spacing(exact).max()
        assert np.array_equal(row_max(np, layout), a.max(axis=1))
    assert np.asarray(row_sum(array_api_strict, array_api_strict.asarray(a))).shape == (200,)
    assert row_sum_of_units(np, a.astype(np.float32)).dtype == np.float32


def test_long_runs_add_up_in_parts():
    """A run of 0.1 added one by one in column order drifts by dozens of units; in parts it does not."""
    a = np.full((3, 4000), 0.1, order="F")
    a[:, ::7] *= 1e-3
    exact = math.fsum(a[0])
    one_by_one = np.add.reduce(a, axis=1)[0]
    assert abs(one_by_one - exact) > 10 * np.spacing(exact)
    assert abs(row_sum(np, a)[0] - exact) <= 2 * np.spacing(exact)
