"""A block's products where there are few classes, in parts that are multiplied as they lie.

BLAS copies matrices into an order of its own before it multiplies them, which for ten columns costs as much as the
product. OpenBLAS's kernels for AVX-512 leave that out of products of up to a million multiplications. NumPy takes all
parts of a block in one call, so that threads do not wait for each other's.
"""

from __future__ import annotations

import numpy as np

UNPACKED = 10**6  # multiplications of a product, up to which it is made of the matrices as they lie
PARTS = 64, 32  # rows of a part; with fewer there are too many of them


def part_rows(d: int, k: int) -> int:
    """Rows of the parts for (d, k), 0 where they would not help; with one or two columns the copy costs little."""
    return 0 if k < 3 else next((rows for rows in PARTS if rows * d * k <= UNPACKED), 0)


def forward(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """x W, (m, d) and (d, k) → (m, k)."""
    (d, k), whole, rows = W.shape, *_cut(x, W.shape[1])
    if not whole:
        return x @ W
    s = np.empty((len(x), k), dtype=x.dtype)
    np.matmul(x[:whole].reshape(-1, rows, d), W, out=s[:whole].reshape(-1, rows, k))
    np.matmul(x[whole:], W, out=s[whole:])
    return s


def adjoint(g: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """gᵀx into out, (m, k) and (m, d) → (k, d)."""
    whole, rows = _cut(x, g.shape[1])
    if not whole:
        np.matmul(g.T, x, out=out)
        return
    parts = g[:whole].reshape(-1, rows, g.shape[1]).transpose(0, 2, 1)
    np.add.reduce(parts @ x[:whole].reshape(-1, rows, x.shape[1]), axis=0, out=out)
    if whole < len(x):
        out += g[whole:].T @ x[whole:]


def _cut(x: np.ndarray, k: int) -> tuple[int, int]:
    """Rows of x in whole parts, and of a part; 0 of none."""
    rows = part_rows(x.shape[1], k) if x.flags.c_contiguous else 0
    return (len(x) // rows * rows if rows else 0), rows
