"""Windows of a picture: averaged down by area, cut into p×p×c columns, contrast-normalised.

u = (x − mean x)/√(var x + ε): a window of less variance than ε counts as flat (Coates, Lee & Ng 2011). Mean and
variance of all windows of a picture are sums over a p×p square of x and x², rows and columns in turn.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LEVELS = 255  # of a byte: whole numbers, so that sums and differences of pixels are exact
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
    """How a picture of one shape is looked at: averaged down, cut into windows, a column of numbers each.

    For one thread: it holds a picture as strips, one for each column of a window. What all windows have of a pixel is
    then a run of memory. With `paired`, the first strips are sums of a window's column and the one across its middle,
    the last their differences: mirroring leaves those as they are and turns the signs of these.
    """

    def __init__(
        self, cut: Cut, rows: Layout, columns: Layout, picture: tuple[int, int, int], paired: bool = False
    ) -> None:
        height, width, self.channels = picture
        self.patch, self.rows, self.columns = cut.patch, rows, columns
        self.windows = tuple(along.firsts[-1] + along.count for along in (rows, columns))
        self.down = None
        if (rows.pixels, columns.pixels) != (height, width):
            self.down = area_average(height, rows.pixels), area_average(width, columns.pixels)
        self.covered = [covered(along, cut) for along in (rows, columns)]
        self.differences = cut.patch // 2 if paired else 0
        self.planes = np.empty((self.channels, rows.pixels, columns.pixels), np.float32)
        self.strips = np.empty((self.patch, self.channels, rows.pixels, self.windows[1]), np.float32)
        # both at every position of a window: (p, c, pixels, across) and (p, p, c, down, across), its columns first
        beside = sliding_window_view(self.planes, self.patch, axis=2)[:, :, :: cut.stride]
        below = sliding_window_view(self.strips, self.patch, axis=2)[:, :, :: cut.stride]
        self.beside, self.below = beside.transpose(3, 0, 1, 2), below.transpose(0, 4, 1, 2, 3)

    def reduced(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (m, h, w, c) → float32 (m, c, height, width), in levels, of the size that is looked at."""
        x = pictures.transpose(0, 3, 1, 2).astype(np.float32, order="C")
        if self.down is None:
            return x
        return np.matmul(np.matmul(self.down[0], x), self.down[1].T)

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and √(variance + ε) in levels of all windows of reduced pictures, float32 (m, down, across) each.

        In float64: the difference of a mean of squares and a squared mean would lose half the digits of float32.
        """
        down, across = self.covered
        x = x.astype(np.float64)
        sums = np.stack([x.sum(axis=1), np.square(x).sum(axis=1)], axis=1)  # (m, 2, height, width)
        sums = np.matmul(np.matmul(down, sums), across.T) / (self.patch**2 * self.channels)
        mean, square = sums[:, 0], sums[:, 1]
        return mean.astype(np.float32), np.sqrt(np.maximum(square - mean**2, 0) + CONTRAST * LEVELS**2).astype(
            np.float32
        )

    def gather(self, x: np.ndarray, mean: np.ndarray, sums: np.ndarray, differences: np.ndarray) -> None:
        """The windows of a reduced picture, less their means, as columns: (K, windows) `sums` of what is in `strips`.

        A number of row r, column q, channel c is in row (q p + r) C + c; with `paired` its differences lie apart.
        """
        self.planes[...] = x
        few = self.differences
        many = self.patch - few
        if few:
            turned = self.beside[::-1]
            np.add(self.beside[:many], turned[:many], out=self.strips[:many])
            np.subtract(self.beside[:few], turned[:few], out=self.strips[many:])
            np.copyto(differences.reshape(few, *self.below.shape[1:]), self.below[many:])
            mean = mean + mean
        else:
            self.strips[...] = self.beside
        np.subtract(self.below[:many], mean, out=sums.reshape(many, *self.below.shape[1:]))


def area_average(source: int, target: int) -> np.ndarray:
    """(target, source) float32: each target pixel is the mean of the source pixels that it covers, by area."""
    edges = np.arange(target + 1) * (source / target)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source)
    covered = np.clip(np.minimum(right, pixel + 1) - np.maximum(left, pixel), 0, 1)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


def covered(along: Layout, cut: Cut) -> np.ndarray:
    """(windows, pixels) float64: 1 where a window, along one side, has this pixel."""
    first = np.arange(along.firsts[-1] + along.count)[:, None] * cut.stride
    pixel = np.arange(along.pixels)
    return ((first <= pixel) & (pixel < first + cut.patch)).astype(np.float64)


def contrast(windows: np.ndarray) -> np.ndarray:
    """Rows (n, K) to mean 0 and, where their variance is well above ε, variance 1; in place; the variances (n,)."""
    k = np.float32(windows.shape[1])
    windows -= windows.sum(axis=1, keepdims=True) / k
    variance = np.einsum("ij,ij->i", windows, windows) / k
    windows *= (1 / np.sqrt(variance + CONTRAST))[:, None]
    return variance
