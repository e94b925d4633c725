"""A block's products where there are few classes, in tiles that are multiplied as they lie.

BLAS copies matrices into an order of its own before it multiplies them, which for ten columns costs as much as the
product. OpenBLAS's kernels for AVX-512 leave that out of products of up to a million multiplications. NumPy takes all
tiles of a block in one call, so that threads do not wait for each other's. Other kernels are slower with tiles.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..arrays import blas

UNPACKED = 10**6  # multiplications of a product, up to which it is made of the matrices as they lie
ROWS = 64  # of a tile
KERNELS = "SkylakeX", "Cooperlake", "SapphireRapids"
LEAST, MOST = 3, 64  # classes: with fewer a product is hardly one, with more the copy costs little next to it


@cache
def unpacked() -> bool:
    """Whether BLAS has such kernels here."""
    return any(library.get("architecture") in KERNELS for library in blas().info())


def cuts(d: int, k: int) -> int:
    """Into how many tiles d columns are cut for k classes; 0: multiplied as a whole."""
    return -(-ROWS * d * k // UNPACKED) if LEAST <= k <= MOST and unpacked() else 0


def forward(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """x W, (m, d) and (d, k) → (m, k)."""
    (m, d), k = x.shape, W.shape[1]
    rows, p, c = _tiling(x, k)
    if not rows:
        return x @ W
    s = np.empty((m, k), dtype=x.dtype)
    own = s[:rows].reshape(-1, ROWS, k)
    if p == 1:
        np.matmul(_tiles(x, rows, 1, c)[:, 0], W, out=own)
    else:
        np.add.reduce(_tiles(x, rows, p, c) @ W[: p * c].reshape(p, c, k), axis=1, out=own)
        if p * c < d:
            s[:rows] += x[:rows, p * c :] @ W[p * c :]
    np.matmul(x[rows:], W, out=s[rows:])
    return s


def adjoint(g: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """gᵀx into out, (m, k) and (m, d) → (k, d)."""
    (m, d), k = x.shape, g.shape[1]
    rows, p, c = _tiling(x, k)
    if not rows:
        np.matmul(g.T, x, out=out)
        return
    turned = g[:rows].reshape(-1, 1, ROWS, k).transpose(0, 1, 3, 2)
    out[:, : p * c] = np.add.reduce(turned @ _tiles(x, rows, p, c), axis=0).transpose(1, 0, 2).reshape(k, p * c)
    if p * c < d:
        out[:, p * c :] = g[:rows].T @ x[:rows, p * c :]
    if rows < m:
        out += g[rows:].T @ x[rows:]


def _tiling(x: np.ndarray, k: int) -> tuple[int, int, int]:
    """Rows of x that are cut, 0 of none, and the number and width of the tiles beside each other."""
    p = cuts(x.shape[1], k) if isinstance(x, np.ndarray) and x.flags.c_contiguous else 0  # sparse rows have no tiles
    return (len(x) // ROWS * ROWS, p, x.shape[1] // p) if p else (0, 0, 0)


def _tiles(x: np.ndarray, rows: int, p: int, c: int) -> np.ndarray:
    """(rows / ROWS, p, ROWS, c) views of x."""
    return x[:rows, : p * c].reshape(-1, ROWS, p, c).transpose(0, 2, 1, 3)
