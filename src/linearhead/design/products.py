"""Rows times few columns, and back. BLAS copies a matrix into an order of its own before it multiplies, which for ten
columns costs as much as the product. OpenBLAS's kernels for AVX-512 leave small matrices as they lie, so rows are taken
so few at a time that they count as small: passes over 784 columns are 1.1 to 1.7 times as fast."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..arrays import blas_of_numpy

AVX512 = "SkylakeX", "Cooperlake", "SapphireRapids"
SMALL = 1_000_000  # multiplications
LEAST, MOST = 8, 32  # rows of such a product, and columns: of more, copying rows is a small part of it


def times(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """x (m, d) W (d, k)."""
    parts = _parts(*x.shape, W.shape[1])
    if len(parts) == 1:
        return x @ W
    out = np.empty((len(x), W.shape[1]), np.result_type(x, W))
    for part in parts:
        np.matmul(x[part], W, out=out[part])
    return out


def sums(g: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """out (k, d) ← gᵀx of g (m, k), x (m, d)."""
    first, *others = _parts(*x.shape, g.shape[1])
    np.matmul(g[first].T, x[first], out=out)
    for part in others:
        out += g[part].T @ x[part]


@cache
def _parts(m: int, d: int, k: int) -> list[slice]:
    """m rows as products with k columns take them."""
    size = SMALL // max(d * k, 1) // 8 * 8 if _avx512() else 0  # in eights: other sizes take twice as long
    if k > MOST or not LEAST <= size < m:
        return [slice(None)]
    return [slice(i, min(i + size, m)) for i in range(0, m, size)]


@cache
def _avx512() -> bool:
    return blas_of_numpy().get("architecture") in AVX512
