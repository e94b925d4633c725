"""Rows of scores and the label's entry in each: fast in NumPy, right in every array-API library.

NumPy reduces rows of ten numbers eight times slower than ten columns, and a pair of index arrays costs nine times
what one flat index does. So a loss first takes `columns(s)` (512 × 10: 2 µs; the block's product with W: 160 µs),
then works on that copy's layout. Masks j ≠ label are slower still and serve only libraries without such indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

WIDE = 32  # classes from which NumPy reduces rows fast enough for scores to stay as they are
RUN = 16  # terms added one after the other before sums are added in pairs: round-off of a sum stays below 2 ulp


def columns(xp: Any, s: Array) -> Array:
    """s, or a copy of it with contiguous columns; never to be written into."""
    return np.asfortranarray(s) if xp is np and s.shape[1] < WIDE else s


def own(xp: Any, a: Array) -> Array:
    """A copy of a, its layout kept, for `Label.put`; what +a is in NumPy, but torch answers that with a itself."""
    return +a if xp is np else xp.asarray(a, copy=True)


class Label:
    """The entries (i, y_i) of arrays (n, k)."""

    def __init__(self, xp: Any, y: Array) -> None:
        self.xp, self.y, n = xp, y, y.shape[0]
        if xp is np:
            self.rows = np.arange(n)
            self.flat = np.multiply(y, n, dtype=np.intp) + self.rows
        else:
            self.rows = None
        self.torch = "torch" in xp.__name__  # gather and scatter make a graphics card wait for nothing, indices do

    def get(self, a: Array) -> Array:
        """a[i, y_i], (n,)"""
        if self.xp is np and a.flags.f_contiguous:
            return a.T.reshape(-1)[self.flat]
        if self.torch:
            return a.gather(1, self.y[:, None])[:, 0]
        if self.rows is not None:
            return a[self.rows, self.y]
        return self.xp.take_along_axis(a, self.y[:, None], axis=1)[:, 0]

    def put(self, a: Array, amount: Any) -> Array:
        """a[i, y_i] = amount_i, (n,) or one number; the caller owns a and goes on with the answer: a or a new array."""
        if self.xp is np and a.flags.f_contiguous:
            a.T.reshape(-1)[self.flat] = amount
        elif self.torch:
            a.scatter_(1, self.y[:, None], amount if isinstance(amount, float) else amount[:, None])
        elif self.rows is not None:
            a[self.rows, self.y] = amount
        else:
            return self.xp.where(self.off(a.shape[1]), a, amount if isinstance(amount, float) else amount[:, None])
        return a

    def off(self, k: int) -> Array:
        """Boolean (n, k): True where the column is not the row's label."""
        return self.xp.arange(k, device=self.y.device)[None, :] != self.y[:, None]


def row_sum(xp: Any, a: Array) -> Array:
    """Σ_j a_ij, (n,)"""
    if xp is not np:
        return xp.sum(a, axis=1)
    k = a.shape[1]
    if k <= RUN or a.flags.c_contiguous:  # along contiguous rows NumPy itself adds in pairs
        return np.add.reduce(a, axis=1)
    return row_sum(xp, np.stack([np.add.reduce(a[:, j : j + RUN], axis=1) for j in range(0, k, RUN)]).T)


class _Ones(dict):
    """Vectors of ones by type and length; a dictionary answers faster than a cached function."""

    def __missing__(self, key: tuple[str, int]) -> np.ndarray:
        return self.setdefault(key, np.ones(key[1], key[0]))


_ones = _Ones()


def entry_sum(v: np.ndarray) -> Any:
    """Σ_j v_j of one row (k,): for few classes a product with ones takes half the time of NumPy's sum."""
    return v.dot(_ones[v.dtype.char, v.size])


def row_sum_of_units(xp: Any, a: Array, less: float = 0.0) -> Array:
    """Σ_j a_ij − less for a in [0, 1]; in float64 rounded once: multiples of 2^−40 add up exactly, the rest is tiny."""
    if a.dtype != xp.float64:
        return row_sum(xp, a) - less
    coarse = a + 6144.0  # 1.5 · 2^12, whose last place is 2^−40
    coarse -= 6144.0
    whole = row_sum(xp, coarse) - less
    coarse -= a
    return whole - row_sum(xp, coarse)


def row_max(xp: Any, a: Array) -> Array:
    """max_j a_ij, (n,)"""
    return np.maximum.reduce(a, axis=1) if xp is np else xp.max(a, axis=1)


def positive(xp: Any, a: Array) -> Array:
    """max(0, a)"""
    return np.maximum(a, 0.0) if xp is np else xp.maximum(a, xp.zeros_like(a))


def indicator(xp: Any, mask: Array, like: Array) -> Array:
    """1 where mask, else 0, in the type of `like`."""
    return mask.astype(like.dtype) if xp is np else xp.astype(mask, like.dtype)


def infinite_outside(xp: Any, inside: Array, value: Array) -> Array:
    """value where inside, +inf elsewhere: how a conjugate says that g is outside its domain."""
    return xp.where(inside, value, xp.asarray(xp.inf, dtype=value.dtype))
