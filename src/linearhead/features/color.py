"""A colour histogram on a small grid of places: which colours, and roughly where.

Opponent coordinates in [0, 1] (after van de Sande, Gevers & Snoek 2010, PAMI 32): lightness (r+g+b)/3, and the two
chromas red–green r−g and yellow–blue (r+g)/2−b, stretched twofold about grey and clipped, since real pictures
seldom leave that range. A pixel votes for the 8 corners of its place between the bin centres (trilinear), so a
small change of light moves a small weight. Each place's histogram sums to 1; then the square root (Hellinger),
so a rare colour is not drowned by a common one. Grey pictures: a histogram of lightness, twice as fine.
Dimension grid² · lightness · chroma², values in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .contract import Extractor, check_range


@dataclass(frozen=True)
class Color(Extractor):
    """`lightness`, `chroma`: bins along each axis; `grid`: places along each side of the picture."""

    name = "color"
    title = "colour histogram"

    lightness: int = 8
    chroma: int = 5
    grid: int = 2

    def __post_init__(self) -> None:
        check_range(self, lightness=(2, 64), chroma=(2, 32), grid=(1, 16))

    def bins(self, channels: int) -> tuple[int, ...]:
        return (self.lightness, self.chroma, self.chroma) if channels == 3 else (2 * self.lightness,)

    def dimension(self, height: int, width: int, channels: int) -> int:
        if min(height, width) < self.grid:
            raise DataError(
                f"color: a picture of {width}×{height} pixels has no {self.grid}×{self.grid} places. Choose a "
                f"grid of at most {min(height, width)}, e.g. color(grid=1)."
            )
        return self.grid**2 * int(np.prod(self.bins(channels)))

    def _scratch(self, height: int, width: int, channels: int) -> int:
        return 100 * height * width + 16 * self.dimension(height, width, channels)

    def _rows(self, pictures: np.ndarray) -> np.ndarray:
        m, height, width, channels = pictures.shape
        bins = self.bins(channels)
        place = self._places(height, width)
        start = np.arange(m)[:, None, None] * self.grid**2 + place
        votes = _votes([_neighbours(axis, n) for axis, n in zip(_axes(pictures), bins, strict=True)], bins, start)
        pixels = np.bincount(place.ravel(), minlength=self.grid**2)[:, None]
        return np.sqrt(votes.reshape(m, self.grid**2, -1) / pixels).reshape(m, -1).astype(np.float32)

    def _places(self, height: int, width: int) -> np.ndarray:
        """(h, w) the number of the grid's place that each pixel belongs to."""
        rows = np.arange(height) * self.grid // height
        return rows[:, None] * self.grid + np.arange(width) * self.grid // width


def _axes(pictures: np.ndarray) -> list[np.ndarray]:
    """uint8 (m, h, w, c) → its coordinates in [0, 1], each (m, h, w) float32: lightness, or that and two chromas."""
    if pictures.shape[3] == 1:
        return [pictures[..., 0] / np.float32(255)]
    r, g, b = (pictures[..., c].astype(np.float32) / np.float32(255) for c in range(3))
    lightness = (r + g + b) * np.float32(1 / 3)
    chromas = (r - g, (r + g) * np.float32(0.5) - b)
    return [np.minimum(lightness, 1), *(np.clip(c + np.float32(0.5), 0, 1) for c in chromas)]


def _neighbours(axis: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Values in [0, 1] → the lower of the two nearest bin centres and the share of the upper one."""
    position = axis * np.float32(bins - 1)
    lower = np.minimum(position.astype(np.intp), bins - 2)
    return lower, position - lower.astype(np.float32)


def _votes(axes: list[tuple[np.ndarray, np.ndarray]], bins: tuple[int, ...], start: np.ndarray) -> np.ndarray:
    """Sum of the multilinear weights per (picture, place, bin), flat float64; `start` numbers (picture, place)."""
    size = (int(start.max()) + 1) * int(np.prod(bins))
    total = np.zeros(size)
    for corner in np.ndindex(*(2,) * len(bins)):
        index, weight = start, np.float32(1)
        for (lower, upper_share), n, upper in zip(axes, bins, corner, strict=True):
            index = index * n + (lower + upper)
            weight = weight * (upper_share if upper else 1 - upper_share)
        total += np.bincount(index.ravel(), weights=np.asarray(weight).ravel(), minlength=size)
    return total
