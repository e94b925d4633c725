"""Histograms of oriented gradients (Dalal & Triggs 2005, CVPR), the same numbers as `skimage.feature.hog`.

g = central differences of the channel with the largest |g| (0 on the border), orientation = atan2(g_row, g_col)
mod 180° in `orientations` hard bins, summed |g| per cell of cell×cell pixels / cell². Overlapping blocks of
block×block cells are scaled by L2-Hys: v/√(|v|²+ε²), clipped at 0.2, scaled again, ε = 1e-5.
Dimension (rows of cells − block + 1)(columns − block + 1) · block² · orientations, values in [0, 1].
Differences of bytes lie in −255…255, so the bin of every possible pair is looked up in a table.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import DataError
from .contract import Extractor, check_range, picture_shape

CELLS = 8  # along the shorter side, where the cell size is not given
SPAN = 511  # possible differences of two bytes


@dataclass(frozen=True)
class Hog(Extractor):
    """`cell` in pixels; 0 chooses about eight cells along the shorter side, each of at least 2 pixels."""

    name = "hog"
    title = "histograms of oriented gradients"

    cell: int = 0
    orientations: int = 9
    block: int = 2

    def __post_init__(self) -> None:
        check_range(self, cell=(0, 1024), orientations=(1, 180), block=(1, 16))

    def fit(self, pictures: np.ndarray, seed: int = 0) -> Self:
        """A copy bound to the shape of these pictures, its cell size chosen."""
        height, width, _ = picture_shape(pictures)
        return dataclasses.replace(super().fit(pictures, seed), cell=self.cell_size(height, width))

    def cell_size(self, height: int, width: int) -> int:
        """Pixels along a cell's side: as given, else max(2, shorter side / 8 rounded)."""
        return self.cell or max(2, int(min(height, width) / CELLS + 0.5))

    def blocks(self, height: int, width: int) -> tuple[int, int]:
        """Positions of a block along both sides."""
        cell = self.cell_size(height, width)
        rows, columns = height // cell - self.block + 1, width // cell - self.block + 1
        if min(rows, columns) < 1:
            side = cell * self.block
            raise DataError(
                f"hog: pictures of {width}×{height} pixels are too small for blocks of {self.block}×{self.block} "
                f"cells of {cell} pixels; at least {side}×{side} pixels are needed. "
                "Enlarge the pictures, or choose a smaller cell or block, e.g. hog(block=1)."
            )
        return rows, columns

    def dimension(self, height: int, width: int, channels: int) -> int:
        rows, columns = self.blocks(height, width)
        return rows * columns * self.block**2 * self.orientations

    def _scratch(self, height: int, width: int, channels: int) -> int:
        return 60 * height * width + 12 * self.dimension(height, width, channels)

    def _rows(self, pictures: np.ndarray) -> np.ndarray:
        histogram = self._histogram(*_gradient(pictures))
        windows = sliding_window_view(histogram, (self.block, self.block), axis=(1, 2))
        v = np.moveaxis(windows, 3, 5).reshape(-1, self.block**2 * self.orientations)
        v = np.minimum(_unit(v), np.float32(0.2))
        return _unit(v).reshape(len(pictures), -1)

    def _histogram(self, pair: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """Indices of gradients and |g|², both (m, h, w) → (m, rows, columns, orientations) float32."""
        m, height, width = pair.shape
        cell = self.cell_size(height, width)
        rows, columns = height // cell, width // cell
        used = np.s_[:, : rows * cell, : columns * cell]
        number = np.arange(m)[:, None, None] * rows + (np.arange(rows * cell) // cell)[:, None]
        number = number * columns + np.arange(columns * cell) // cell
        number *= self.orientations
        number += _bins(self.orientations).take(pair[used])
        size = m * rows * columns * self.orientations
        total = np.bincount(number.ravel(), weights=np.sqrt(squared[used], dtype=np.float64).ravel(), minlength=size)
        return (total / cell**2).astype(np.float32).reshape(m, rows, columns, self.orientations)


def _gradient(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, h, w, c) → per pixel the table index of (g_row, g_col) and |g|² of the channel where that is largest."""
    first, *others = np.moveaxis(pictures, 3, 0)
    pair, squared = _differences(first)
    for channel in others:
        index, square = _differences(channel)
        larger = square > squared
        # equal squares of different pairs, 7² + 1² = 5² + 5²: the reference compares hypot, which may round them apart
        tie = np.flatnonzero((square == squared) & (index != pair))
        larger.flat[tie] = _length(index.flat[tie]) > _length(pair.flat[tie])
        np.copyto(pair, index, where=larger)
        np.copyto(squared, square, where=larger)
    return pair, squared


def _length(index: np.ndarray) -> np.ndarray:
    """|g| of the pair that a table index stands for."""
    row, column = np.divmod(index, SPAN)
    return np.hypot((row - SPAN // 2).astype(np.float64), (column - SPAN // 2).astype(np.float64))


def _differences(channel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One channel (m, h, w) → table index of (g_row, g_col), |g|²; int32 (m, h, w)."""
    a = channel.astype(np.int32)
    row, column = np.zeros_like(a), np.zeros_like(a)
    row[:, 1:-1] = a[:, 2:] - a[:, :-2]
    column[:, :, 1:-1] = a[:, :, 2:] - a[:, :, :-2]
    return (row + SPAN // 2) * SPAN + (column + SPAN // 2), row * row + column * column


@lru_cache(maxsize=8)
def _bins(orientations: int) -> np.ndarray:
    """(511·511,) orientation bin of every pair of differences (g_row, g_col)."""
    g = np.arange(-(SPAN // 2), SPAN // 2 + 1, dtype=np.float64)
    angle = np.rad2deg(np.arctan2(g[:, None], g[None, :])) % 180
    edges = 180.0 / orientations * np.arange(1, orientations)
    return np.searchsorted(edges, angle.ravel(), side="right").astype(np.uint8)


def _unit(v: np.ndarray) -> np.ndarray:
    """Rows scaled by 1/√(|v|² + ε²)."""
    return v / np.sqrt((v * v).sum(axis=1, keepdims=True) + np.float32(1e-10))
