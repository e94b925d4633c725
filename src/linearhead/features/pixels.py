"""The picture itself: each channel value / 255, flattened in (row, column, channel) order.

Dimension h·w·c, values in [0, 1]. A weight vector reshaped to `picture` is a picture again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .contract import Extractor


@dataclass(frozen=True)
class Pixels(Extractor):
    name = "pixels"
    title = "raw pixels"

    def dimension(self, height: int, width: int, channels: int) -> int:
        return height * width * channels

    def _scratch(self, height: int, width: int, channels: int) -> int:
        return 8 * height * width * channels

    def _rows(self, pictures: np.ndarray) -> np.ndarray:
        return pictures.reshape(len(pictures), -1) / np.float32(255)
