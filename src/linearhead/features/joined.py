"""Several extractors side by side, x = [s₁x₁, s₂x₂, …]: "hog+color".

Each block has one learned scalar s = 1/√(mean |x|²) over the training pictures, so that every block has mean squared
row norm 1 and none drowns another under a penalty that treats all weights alike. Learned and not computed from the
dimension, because blocks of one dimension differ by orders of magnitude in what they hold (a histogram's row has
norm 2, a row of 3 000 pixels about 30). A scalar per block, not per column: within a block the extractor's own
proportions stay. Where the fit standardises columns, the scalars cancel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from ..errors import UsageError
from .contract import Extractor, picture_shape

SAMPLE = 500  # pictures from which the scales are learned, drawn at random where there are more: within about 2 %


@dataclass(frozen=True)
class Joined(Extractor):
    """Made by `make("hog+color")`; `scales` are 1 until `fit` has learned them."""

    title = "several extractors side by side"
    learns = True

    parts: tuple[Extractor, ...] = ()
    scales: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise UsageError(f"Joined features need at least two parts; found {len(self.parts)}.")
        if not self.scales:
            object.__setattr__(self, "scales", (1.0,) * len(self.parts))

    @property
    def name(self) -> str:  # type: ignore[override]
        return "+".join(part.name for part in self.parts)

    @property
    def spec(self) -> str:
        return "+".join(part.spec for part in self.parts)

    def looks(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        for part in self.parts:
            for name, value in part.looks().items():
                if wanted.setdefault(name, value) != value:
                    raise UsageError(
                        f"{self.spec}: the parts need pictures of different kinds ({name} {wanted[name]} and {value}). "
                        "Train them one by one."
                    )
        return wanted

    def fit(self, pictures: np.ndarray, seed: int = 0) -> Self:
        """A copy whose parts are fitted to these pictures and whose blocks are scaled to mean squared norm 1."""
        parts = tuple(part.fit(pictures, seed) for part in self.parts)
        sample = pictures
        if len(pictures) > SAMPLE:
            sample = pictures[np.sort(np.random.default_rng(seed).choice(len(pictures), SAMPLE, replace=False))]
        squares = [float(np.mean(np.square(part.transform(sample), dtype=np.float64).sum(axis=1))) for part in parts]
        scales = tuple(1 / np.sqrt(square).item() if square > 0 else 1.0 for square in map(np.float64, squares))
        return dataclasses.replace(self, parts=parts, scales=scales, picture=picture_shape(pictures))

    def settled(self, height: int, width: int, n: int) -> Self:
        return dataclasses.replace(self, parts=tuple(part.settled(height, width, n) for part in self.parts))

    def dimension(self, height: int, width: int, channels: int) -> int:
        return sum(part.dimension(height, width, channels) for part in self.parts)

    def scaled_parts(self) -> list[tuple[Extractor, float]]:
        return list(zip(self.parts, self.scales, strict=True))

    def _fill(self, pictures: np.ndarray, out: np.ndarray, threads: int) -> None:
        for part, scale, columns in blocks(self, picture_shape(pictures)):
            part._fill(pictures, out[:, columns], threads)
            out[:, columns] *= np.float32(scale)

    def contract(self) -> dict[str, Any]:
        picture = list(self.picture) if self.picture else None
        parts = [part.contract() for part in self.parts]
        return {"name": self.name, "parts": parts, "scales": list(self.scales), "picture": picture}

    def tensors(self) -> dict[str, np.ndarray]:
        return {f"{i}.{key}": value for i, part in enumerate(self.parts) for key, value in part.tensors().items()}


def blocks(extractor: Extractor, shape: tuple[int, int, int]) -> Iterator[tuple[Extractor, float, slice]]:
    """(part, its scale, its columns) of the features of pictures (h, w, c); an extractor that is not joined is one."""
    start = 0
    for part, scale in extractor.scaled_parts():
        columns = slice(start, start + part.dimension(*shape))
        start = columns.stop
        yield part, scale, columns
