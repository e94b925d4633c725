"""Rows (n, d) that lie in several arrays, most of them mapped files: read in blocks, they need not fit into memory.

What a reader of rows needs: `shape`, `dtype`, `len`, and `[slice or (m,) integers]`, which gives a new array.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np


class StoredRows:
    """Row i is parts[part[i]][row[i]]."""

    ndim = 2

    def __init__(self, parts: list[np.ndarray], part: np.ndarray, row: np.ndarray, width: int, dtype: np.dtype) -> None:
        self.parts, self.part, self.row = parts, part, row
        self.shape, self.dtype = (len(row), width), dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of all rows, were they in memory."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """(m, d) of a slice or of integers (m,), copied."""
        part, row = self.part[which], self.row[which]
        out = np.empty((len(row), self.shape[1]), self.dtype)
        cuts = np.flatnonzero(np.diff(part)) + 1  # where one run of rows in one part ends and the next begins
        for start, end in pairwise([0, *cuts.tolist(), len(row)] if len(row) else []):
            self._copy(self.parts[part[start]], row[start:end], out[start:end])
        return out

    def _copy(self, source: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        first, n = int(rows[0]), len(rows)
        if int(rows[-1]) == first + n - 1 and (n < 3 or bool((np.diff(rows) == 1).all())):
            out[...] = source[first : first + n]
        else:
            np.take(source, rows, axis=0, out=out)

    def gathered(self) -> np.ndarray:
        """All rows (n, d) in one array, in which they lie from now on. Every part is let go of as soon as it is read:
        rows that no file holds are never there twice."""
        out, parts = np.empty(self.shape, self.dtype), self.parts[::-1]
        order = np.argsort(self.part, kind="stable")
        places = np.split(order, np.searchsorted(self.part[order], np.arange(1, len(parts))))
        part, row, self.parts = self.part, self.row, [out]
        self.part, self.row = np.zeros_like(part), np.arange(len(row))
        for here in places:
            source = parts.pop()
            if len(here) and here[-1] - here[0] == len(here) - 1:
                self._copy(source, row[here], out[here[0] : here[-1] + 1])
            else:
                out[here] = source[row[here]]
        return out

    def take(self, rows: np.ndarray) -> StoredRows:
        """These rows (m,) of the rows, still where they are."""
        return StoredRows(self.parts, self.part[rows], self.row[rows], self.shape[1], self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Rows that lie in several files cannot become one array without a copy.")
        return np.asarray(self[:], dtype=dtype)
