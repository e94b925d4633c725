"""Windows of a picture, place by place: averaged down by area, cut into p×p×c columns, contrast-normalised.

u = (x − mean x)/√(var x + ε): a window of less variance than ε counts as flat (Coates, Lee & Ng 2011). Mean and
variance of all windows of a picture are sums over a p×p square of x and x², rows and columns in turn.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CONTRAST = np.float32((10 / 255) ** 2)  # ε: a window of less variance counts as flat (Coates, Lee & Ng 2011)


class Layout(NamedTuple):
    """One side of a picture: its pixels after averaging down; the first window of each place, the windows in each."""

    pixels: int
    firsts: tuple[int, ...]
    count: int


class Cut(Protocol):
    """What settles the windows: their side and the step from one to the next, in pixels."""

    @property
    def patch(self) -> int: ...
    @property
    def stride(self) -> int: ...


class View:
    """How a picture of one shape is looked at: averaged down, cut into windows, place after place.

    For one thread: it holds a picture as strips, as wide as a place, one for each column of a window. What a place's
    windows have of a pixel in common is then a run of memory; cut from the picture, it is a run for every row of them.
    """

    def __init__(
        self, cut: Cut, rows: Layout, columns: Layout, picture: tuple[int, int, int], dtype: type = np.float32
    ) -> None:
        height, width, self.channels = picture
        self.patch, self.rows, self.columns = cut.patch, rows, columns
        self.places = len(rows.firsts), len(columns.firsts)
        self.size = rows.count * columns.count  # windows in a place
        self.down = None
        if (rows.pixels, columns.pixels) != (height, width):
            self.down = area_average(height, rows.pixels), area_average(width, columns.pixels)
        self.covered = [covered(along, cut) for along in (rows, columns)]
        self.planes = np.empty((self.channels, rows.pixels, columns.pixels), dtype)
        self.strips = np.empty((self.patch, self.channels, len(columns.firsts), rows.pixels, columns.count), dtype)
        # both at every position of a window: (p, c, rows, positions) and (p, p, c, places in a row, positions, columns)
        beside = sliding_window_view(self.planes, self.patch, axis=2)[:, :, :: cut.stride]
        below = sliding_window_view(self.strips, self.patch, axis=3)[:, :, :, :: cut.stride]
        self.beside, self.below = beside.transpose(3, 0, 1, 2), below.transpose(5, 0, 1, 2, 3, 4)

    def reduced(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (m, h, w, c) → float32 (m, c, height, width) in [0, 1] of the size that is looked at."""
        x = np.divide(pictures.transpose(0, 3, 1, 2), np.float32(255), order="C")
        if self.down is None:
            return x
        return np.matmul(np.matmul(self.down[0], x), self.down[1].T)

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and 1/√(variance + ε) of all windows of reduced pictures, float32 (m, places · size) each.

        In float64: the difference of a mean of squares and a squared mean would lose half the digits of float32.
        """
        down, across = self.covered
        x = x.astype(np.float64)
        sums = np.stack([x.sum(axis=1), np.square(x).sum(axis=1)], axis=2)  # (m, height, 2, width)
        sums = np.matmul(down, sums.reshape(*sums.shape[:2], -1)).reshape(len(x), -1, sums.shape[3])
        sums = np.matmul(sums, across.T) / (self.patch**2 * self.channels)
        sums = sums.reshape(len(x), self.places[0], self.rows.count, 2, self.places[1], self.columns.count)
        mean, square = sums.transpose(3, 0, 1, 4, 2, 5).reshape(2, len(x), -1)
        scale = 1 / np.sqrt(np.maximum(square - mean**2, 0) + CONTRAST)
        return mean.astype(np.float32), scale.astype(np.float32)

    def gather(self, x: np.ndarray, into: np.ndarray) -> None:
        """Copy the windows of a reduced picture into columns (K, places · size), a place's together."""
        h, w = self.rows.count, self.columns.count
        self.planes[...] = x
        for j, column in enumerate(self.columns.firsts):
            self.strips[:, :, j] = self.beside[..., column : column + w]
        into = into.reshape(self.patch, self.patch, self.channels, *self.places, h, w)
        for i, row in enumerate(self.rows.firsts):
            into[:, :, :, i] = self.below[..., row : row + h, :]


def area_average(source: int, target: int) -> np.ndarray:
    """(target, source) float32: each target pixel is the mean of the source pixels that it covers, by area."""
    edges = np.arange(target + 1) * (source / target)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source)
    covered = np.clip(np.minimum(right, pixel + 1) - np.maximum(left, pixel), 0, 1)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


def covered(along: Layout, cut: Cut) -> np.ndarray:
    """(places · count, pixels) float64: 1 where a window, along one side, has this pixel."""
    first = (np.add.outer(along.firsts, np.arange(along.count)) * cut.stride).reshape(-1, 1)
    pixel = np.arange(along.pixels)
    return ((first <= pixel) & (pixel < first + cut.patch)).astype(np.float64)


def contrast(windows: np.ndarray) -> np.ndarray:
    """Rows (n, K) to mean 0 and, where their variance is well above ε, variance 1; in place; the variances (n,)."""
    k = np.float32(windows.shape[1])
    windows -= windows.sum(axis=1, keepdims=True) / k
    variance = np.einsum("ij,ij->i", windows, windows) / k
    windows *= (1 / np.sqrt(variance + CONTRAST))[:, None]
    return variance
