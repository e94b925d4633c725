"""Windows of a picture, place by place: averaged down by area, cut into p×p×c rows, contrast-normalised.

u = (x − mean x)/√(var x + ε): a window of less variance than ε counts as flat (Coates, Lee & Ng 2011).
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
    """How a picture of one shape is looked at: averaged down, cut into windows, place after place."""

    def __init__(self, cut: Cut, rows: Layout, columns: Layout, picture: tuple[int, int, int]) -> None:
        height, width, self.channels = picture
        self.patch, self.stride, self.rows, self.columns = cut.patch, cut.stride, rows, columns
        self.places = len(self.rows.firsts) * len(self.columns.firsts)
        self.size = self.rows.count * self.columns.count  # windows in a place
        self.down = None
        if (self.rows.pixels, self.columns.pixels) != (height, width):
            self.down = area_average(height, self.rows.pixels), area_average(width, self.columns.pixels)

    def reduced(self, picture: np.ndarray) -> np.ndarray:
        """uint8 (h, w, c) → float32 in [0, 1] of the size that is looked at."""
        x = picture / np.float32(255)
        if self.down is None:
            return x
        height, width, c = x.shape
        x = np.matmul(self.down[0], x.reshape(height, width * c)).reshape(-1, width, c)
        return np.matmul(self.down[1], x)

    def gather(self, x: np.ndarray, into: np.ndarray) -> None:
        """Copy the windows of a reduced picture into rows (places · size, K), a place's rows together."""
        run = self.patch * self.channels
        view = sliding_window_view(x.reshape(len(x), -1), (self.patch, run))
        view = view[:: self.stride, :: self.stride * self.channels]
        h, w = self.rows.count, self.columns.count
        blocks = iter(into.reshape(self.places, h, w, self.patch, run))
        for row in self.rows.firsts:
            for column in self.columns.firsts:
                next(blocks)[...] = view[row : row + h, column : column + w]


def area_average(source: int, target: int) -> np.ndarray:
    """(target, source) float32: each target pixel is the mean of the source pixels that it covers, by area."""
    edges = np.arange(target + 1) * (source / target)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source)
    covered = np.clip(np.minimum(right, pixel + 1) - np.maximum(left, pixel), 0, 1)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


def contrast(windows: np.ndarray) -> np.ndarray:
    """Rows (n, K) to mean 0 and, where their variance is well above ε, variance 1; in place; the variances (n,)."""
    k = np.float32(windows.shape[1])
    windows -= windows.sum(axis=1, keepdims=True) / k
    variance = np.einsum("ij,ij->i", windows, windows) / k
    windows *= (1 / np.sqrt(variance + CONTRAST))[:, None]
    return variance
