"""A trained network as extractor: pictures in, the numbers before its last layer out. Shared by onnx and timm.

The pixels are what the network was trained on, in timm's words (Wightman 2019): the shorter side is resized to
⌊size / crop_pct⌋ (crop_mode "center"; "squash": both sides; "border": the longer side, the rest filled), antialiased as
Pillow does it, the centre size × size is cut out, x = (pixel/255 − mean) / std, channels first. A map (c, h, w) is
averaged over its places, of tokens (t, c) the first, the class token, is taken. Batches always have the same number
of pictures, the last one filled with zeros, so that a picture's numbers do not depend on how many came along.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import DataError, FileError, UsageError
from .contract import Extractor, describe

FOUND = {"found": True}  # metadata of a field that comes with the network, no option
FITS = {"center": "crop", "squash": "stretch", "border": "pad"}  # timm's crop_mode → how pictures are decoded
INTERPOLATIONS = ("bilinear", "bicubic", "box", "lanczos")
DEFAULTS = {"interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center"}  # timm's own, where nothing is said
NEEDED = ("input_size", "mean", "std")


@dataclass(frozen=True)
class Backbone(Extractor):
    """`batch`: pictures that go through the network at a time. Subclasses write `_network` and how one is found."""

    ready: ClassVar[bool] = False

    batch: int = 16
    source: str = field(default="", metadata=FOUND)
    sha256: str = field(default="", metadata=FOUND)  # of what was found there
    pixels: dict[str, Any] | None = field(default=None, metadata=FOUND, hash=False)  # timm's words, all of them

    def __post_init__(self) -> None:
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or not 1 <= self.batch <= 1024:
            raise UsageError(f"{self.name}: batch must lie between 1 and 1024; found {self.batch!r}.")
        if self.pixels is not None:
            object.__setattr__(self, "pixels", checked(self.pixels, self.source))

    def _network(self, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        """float32 (batch, 3, size, size) → what the network gives."""
        raise NotImplementedError

    def looks(self) -> dict[str, Any]:
        """Fields of the preprocessing that the network asks for."""
        assert self.pixels is not None
        _, height, width = self.pixels["input_size"]
        grow = self.pixels["crop_pct"]
        return {
            "height": math.floor(height / grow),
            "width": math.floor(width / grow),
            "mode": "RGB" if self.pixels["input_size"][0] == 3 else "L",
            "fit": FITS[self.pixels["crop_mode"]],
            "interpolation": self.pixels["interpolation"],
            "draft": False,  # Pillow's resize of the whole picture is the reference
        }

    def dimension(self, height: int, width: int, channels: int) -> int:
        needed = self.looks()
        if (height, width) != (needed["height"], needed["width"]) or channels != self._channels:
            shape = (needed["height"], needed["width"], self._channels)
            raise DataError(
                f"{self.spec} needs pictures of {describe(shape)}; found {describe((height, width, channels))}. "
                "Leave --size out, so that the network's own size is used."
            )
        return self._width()

    def _width(self) -> int:
        """Numbers per picture, found by asking the network."""
        return pooled(self._answer(), self.batch, self.spec).shape[1]

    def _answer(self) -> np.ndarray:
        """What the network gives for a batch of grey pictures."""
        return self._network(1)(np.zeros((self.batch, *self._pixels["input_size"]), dtype=np.float32))

    @property
    def _pixels(self) -> dict[str, Any]:
        if self.pixels is None:
            raise UsageError(f"{self.name} needs a network: see the documentation of features.{self.name}.")
        return self.pixels

    @property
    def _channels(self) -> int:
        return self._pixels["input_size"][0]

    def _fill(self, pictures: np.ndarray, out: np.ndarray, threads: int) -> None:
        network = self._network(threads)
        for start in range(0, len(pictures), self.batch):
            some = pictures[start : start + self.batch]
            rows = pooled(network(self.prepared(some)), self.batch, self.spec)[: len(some)]
            if rows.shape[1] != out.shape[1]:
                raise DataError(f"{self.spec} gave {rows.shape[1]} numbers a picture, {out.shape[1]} before.")
            out[start : start + len(some)] = rows

    def prepared(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (m ≤ batch, h, w, c) → float32 (batch, c, size, size), cut out and normalised."""
        _, height, width = self._pixels["input_size"]
        top, left = (round((have - want) / 2) for have, want in zip(pictures.shape[1:3], (height, width), strict=True))
        x = pictures[:, top : top + height, left : left + width].astype(np.float32) / np.float32(255)
        x = (x - np.float32(self._pixels["mean"])) / np.float32(self._pixels["std"])
        whole = np.zeros((self.batch, *x.transpose(0, 3, 1, 2).shape[1:]), dtype=np.float32)
        whole[: len(x)] = x.transpose(0, 3, 1, 2)
        return whole

    def _scratch(self, height: int, width: int, channels: int) -> int:
        return 16 * height * width * channels

    def contract(self) -> dict[str, Any]:
        found = {"source": self.source, "sha256": self.sha256, "pixels": self.pixels}
        return super().contract() | {"found": found}

    @classmethod
    def restore(cls, contract: dict[str, Any], tensors: dict[str, np.ndarray]) -> Self:
        try:
            picture, found = contract["picture"], contract["found"]
            return cls(**contract["options"], **found, picture=tuple(picture) if picture else None)
        except (KeyError, TypeError, UsageError) as error:
            raise FileError(f"The saved {cls.name} features are damaged ({error}). Train the model again.") from error


def checked(pixels: dict[str, Any], where: str) -> dict[str, Any]:
    """timm's words for the pixels, complete: those given, and its own defaults; UsageError where one has no meaning."""
    if isinstance(pixels.get("pretrained_cfg"), dict):  # as timm writes them to the hub
        pixels = pixels["pretrained_cfg"]
    missing = [name for name in NEEDED if name not in pixels]
    if missing:
        raise UsageError(
            f"The preprocessing of {where} lacks {', '.join(missing)}. Its config.json has to say what the network was "
            'trained on, e.g. {"input_size": [3, 224, 224], "mean": [0.485, 0.456, 0.406], '
            '"std": [0.229, 0.224, 0.225], "interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center"}.'
        )
    known = DEFAULTS | {name: pixels[name] for name in (*NEEDED, *DEFAULTS) if pixels.get(name) is not None}
    size, channels = known["input_size"], len(known["mean"]) if isinstance(known["mean"], (list, tuple)) else 0
    fine = {
        "input_size": isinstance(size, (list, tuple))
        and len(size) == 3
        and all(isinstance(side, int) and 0 < side <= 4096 for side in size)
        and size[0] in (1, 3),
        "mean": channels == size[0] if isinstance(size, (list, tuple)) and size else False,
        "std": isinstance(known["std"], (list, tuple)) and len(known["std"]) == channels and min(known["std"]) > 0,
        "interpolation": known["interpolation"] in INTERPOLATIONS,
        "crop_pct": isinstance(known["crop_pct"], (int, float)) and 0.1 <= known["crop_pct"] <= 1,
        "crop_mode": known["crop_mode"] in FITS,
    }
    wrong = [f"{name} = {known[name]!r}" for name, good in fine.items() if not good]
    if wrong:
        raise UsageError(
            f"The preprocessing of {where} cannot be used: {', '.join(wrong)}. Needed: input_size [1 or 3, height, "
            f"width], mean and std one number a channel, interpolation one of {', '.join(INTERPOLATIONS)}, crop_pct "
            f"from 0.1 to 1, crop_mode one of {', '.join(FITS)}."
        )
    return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}


def pooled(given: np.ndarray, batch: int, spec: str) -> np.ndarray:
    """What a network gives for a batch → float32 (batch, d); DataError for a shape that has no vector per picture."""
    if given.ndim not in (2, 3, 4) or len(given) != batch:
        raise DataError(
            f"{spec} gave {given.shape} for {batch} pictures; (n, d), (n, tokens, d) or (n, d, h, w) needed."
        )
    vectors = given.mean(axis=(2, 3)) if given.ndim == 4 else given[:, 0] if given.ndim == 3 else given
    if not np.isfinite(vectors).all():
        raise DataError(f"{spec} gave numbers that are not finite. Is the preprocessing that of this network?")
    return np.ascontiguousarray(vectors, dtype=np.float32)
