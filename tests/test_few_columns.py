"""Products in tiles are the products: every size with and without rows left over, every order in memory, both types."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from linearhead import SoftmaxClassifier
from linearhead.design import design_of, few_columns
from linearhead.design import rows as in_memory
from linearhead.design.batch import Batch, ByTheta
from linearhead.design.rows import NarrowBlock, RowBlock, Rows

SHAPES = [
    (64, 0, 3),
    (64, 5, 3),
    (63, 5, 3),
    (65, 5, 3),
    (200, 7, 10),
    (1003, 784, 10),
    (700, 2048, 10),
    (300, 2048, 40),
    (90, 4, 2),
]


@pytest.fixture(autouse=True)
def kernels_for_tiles(monkeypatch):
    monkeypatch.setattr(few_columns, "unpacked", lambda: True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "d", "k"), SHAPES)
def test_products_in_tiles_are_the_products(m, d, k, dtype):
    rng = np.random.default_rng(m + d + k)
    x, W, g = (rng.normal(size=shape).astype(dtype) for shape in ((m, d), (d, k), (m, k)))
    near = {"rtol": 0, "atol": 100 * np.finfo(dtype).eps * np.sqrt(max(m, d))}
    for rows in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        out = np.full((k, d + 1), np.nan, dtype)[:, :-1]
        few_columns.adjoint(g, rows, out)
        np.testing.assert_allclose(few_columns.forward(rows, W), x.astype(float) @ W.astype(float), **near)
        np.testing.assert_allclose(out, g.astype(float).T @ x.astype(float), **near)


def test_tiles_are_small_enough_for_the_kernels_and_taken_for_few_classes_alone():
    for d in (1, 16, 784, 2048, 20_001):
        for k in (1, 2, 3, 10, 64, 65, 1000):
            p = few_columns.cuts(d, k)
            assert (p > 0) == (3 <= k <= 64)
            assert not p or few_columns.ROWS * (d // p) * k <= few_columns.UNPACKED
    assert few_columns.cuts(784, 10) == 1
    assert few_columns.cuts(2048, 10) == 2


def test_rows_that_do_not_lie_one_after_the_other_have_no_tiles():
    """Each would be copied, and sparse ones have none."""
    x = np.zeros((128, 8))
    assert few_columns._tiling(x, 3) == (128, 1, 8)
    for rows in (np.asfortranarray(x), x[:, ::2], scipy.sparse.csr_array(x)):
        assert few_columns._tiling(rows, 3) == (0, 0, 0)


def test_without_such_kernels_products_are_whole(monkeypatch):
    monkeypatch.setattr(few_columns, "unpacked", lambda: False)
    assert few_columns.cuts(784, 10) == 0


def test_a_pass_and_a_mini_batch_of_many_rows_are_the_plain_sums():
    rng = np.random.default_rng(0)
    X, theta, g = rng.normal(size=(5_000, 30)), rng.normal(size=(31, 4)), rng.normal(size=(5_000, 4))
    design = design_of(X, intercept=True, threads=2)
    ones = np.hstack([X, np.ones((5_000, 1))])
    scores = np.empty((5_000, 4))
    (gradient,) = design.fill(scores, lambda block: (block.forward(theta), block.adjoint(g[block.rows])))
    np.testing.assert_allclose(scores, ones @ theta, atol=1e-12)
    np.testing.assert_allclose(gradient, ones.T @ g, atol=1e-10)
    batch = design.batch(np.arange(100, 400))
    np.testing.assert_allclose(batch.forward(theta), ones[100:400] @ theta, atol=1e-12)
    np.testing.assert_allclose(batch.adjoint(g[100:400]), ones[100:400].T @ g[100:400], atol=1e-11)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
def test_batches_of_many_rows_are_centred_by_way_of_theta_to_the_same_products(kind, standardize, intercept):
    rng = np.random.default_rng(0)
    design = design_of(rng.uniform(5, 90, (600, 30)).astype(kind), intercept=intercept).fitted(None, standardize)
    rows, own = rng.permutation(600)[:500], design.dtype
    theta = np.asfortranarray(rng.normal(size=(31, 4)), dtype=own)
    theta[-1] *= intercept
    g = rng.normal(size=(500, 4)).astype(own)
    few, many = design.batch(rows), design.batch(rows, 256)
    assert (type(few), type(many)) == (Batch, ByTheta)
    for part in (slice(0, 256), slice(256, 500)):
        one, other, near = few.part(part), many.part(part), 1e3 * np.finfo(own).eps
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_allclose(one.forward(theta), other.forward(theta), atol=100 * near)
        np.testing.assert_allclose(one.adjoint(g[part]), other.adjoint(g[part]), atol=100 * near * len(one.rows))
        ends = []
        for batch in (one, other):
            ends.append(theta.copy(order="F"))
            batch.descend(ends[-1], g[part], 1e-3)
        assert ends[0].dtype == ends[1].dtype == own
        np.testing.assert_allclose(*ends, atol=near)


def test_columns_far_from_zero_and_many_classes_are_centred_row_by_row():
    X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    far, wide = design_of(X + 1e4).fitted(), replace(design_of(X).fitted(), scores=100)
    assert type(far.batch(np.arange(300), 256)) is type(wide.batch(np.arange(300), 256)) is Batch


@pytest.fixture
def panels(monkeypatch):
    """Every row too long for the cache, and few columns converted at a time."""
    monkeypatch.setattr(in_memory, "LEAST_ROWS", 1 << 40)
    monkeypatch.setattr(in_memory, "PANEL", 4 * 50 * 7)


@pytest.mark.parametrize("k", [1, 3, 100])
@pytest.mark.parametrize("intercept", [True, False])
def test_long_rows_of_few_bytes_are_converted_in_panels_to_the_same_products(panels, k, intercept):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (50, 33), dtype=np.uint8)
    block = Rows.of(X, intercept).block(np.arange(50))
    assert isinstance(block, NarrowBlock)
    assert len(list(block._panels())) == 5
    whole = RowBlock(np.arange(50), X.astype(np.float32), intercept)
    theta, g = rng.standard_normal((34, k)).astype(np.float32), rng.standard_normal((50, k)).astype(np.float32)
    for name, *given in (
        ("forward", theta),
        ("adjoint", g),
        ("absolute", theta),
        ("squares", rng.random(33)),
        ("by_class", np.arange(50) % max(k, 2), rng.random(50), max(k, 2)),
    ):
        found, expected = (getattr(b, name)(*given) for b in (block, whole))
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3, err_msg=name)
    np.testing.assert_array_equal(block.x, whole.x)
    some = whole.part(slice(4, 9))
    np.testing.assert_array_equal(block.part(slice(4, 9)).rows, some.rows)
    np.testing.assert_allclose(block.part(slice(4, 9)).forward(theta), some.forward(theta), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32])
def test_they_give_the_same_fit(panels, dtype):
    rng = np.random.default_rng(1)
    X, y = rng.integers(0, 100, (600, 30)).astype(dtype), rng.integers(0, 3, 600)
    found = SoftmaxClassifier(standardize=True).fit(X, y)
    kinds = [type(design_of(X).block(slice(0, 9))), type(design_of(X).precise().block(slice(0, 9)))]
    narrow = {"u": [NarrowBlock] * 2, "i": [NarrowBlock] * 2, "f": [RowBlock, NarrowBlock]}[np.dtype(dtype).kind]
    assert kinds == ([RowBlock] * 2 if dtype == np.float16 else narrow)
    expected = SoftmaxClassifier(standardize=True).fit(X.astype(np.float64), y)
    assert found.converged_
    assert found.certificate_.value == pytest.approx(expected.certificate_.value, rel=1e-9)
