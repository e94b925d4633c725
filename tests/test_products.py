"""Rows times few columns, taken whole or in parts that BLAS leaves as they lie."""

import numpy as np
import pytest

from linearhead.design import products


@pytest.fixture(params=[True, False])
def avx512(request, monkeypatch):
    monkeypatch.setattr(products, "_avx512", lambda: request.param)
    products._parts.cache_clear()
    yield request.param
    products._parts.cache_clear()


@pytest.mark.parametrize(
    ("m", "d", "k"), [(501, 784, 10), (512, 3000, 3), (130, 784, 10), (7, 50_000, 2), (300, 64, 33)]
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_products_are_those_of_the_whole(avx512, m, d, k, kind):
    rng = np.random.default_rng(m)
    x, W, g = (rng.standard_normal(shape).astype(kind) for shape in ((m, d), (d, k), (m, k)))
    close = {"rtol": 0, "atol": 3000 * np.finfo(kind).eps * np.sqrt(d)}
    out = np.empty((k, d), kind)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        np.testing.assert_allclose(products.times(x, layout(W)), x @ W, **close)
        products.sums(layout(g), x, out)
        np.testing.assert_allclose(out, g.T @ x, **close)


def test_parts_are_small_in_eights_and_cover_all_rows(avx512):
    parts = products._parts(501, 784, 10)
    assert [row for part in parts for row in range(*part.indices(501))] == list(range(501))
    assert len(parts) == (5 if avx512 else 1)
    sizes = [len(range(*part.indices(501))) for part in parts[:-1]]
    assert all(size % 8 == 0 and size * 784 * 10 <= products.SMALL for size in sizes)
    for m, d, k in ((120, 784, 10), (500, 784, 33), (500, 200_000, 2)):  # small already, many columns, too long
        assert products._parts(m, d, k) == [slice(None)]


def test_which_kernels_numpy_has_is_known():
    from linearhead.arrays import blas_of_numpy

    found = blas_of_numpy()
    assert not found or {"architecture", "filepath"} <= set(found)
