"""How a picture of any size and mode becomes an array of one size and mode: the part of a model that sees pixels first.

A `Preprocessing` is saved with the model, so train, predict and evaluate see the same pixels. Resizing is Pillow's,
antialiased (each output pixel weighs all the input pixels that it covers). "bilinear" is the default: like "box" it
averages when it shrinks, and unlike "box" it does not make blocks when it enlarges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import FileError, UsageError

if TYPE_CHECKING:
    from .decode import Header

MODES = ("RGB", "L")
FITS = ("stretch", "crop", "pad")
INTERPOLATIONS = ("box", "bilinear", "bicubic", "lanczos")
PIXEL_LIMIT = 178_956_970  # Pillow refuses larger pictures itself: 2 · 1 GiB / (4 · 3), its `_decompression_bomb_check`


@dataclass(frozen=True)
class Preprocessing:
    """Everything that decides a picture's pixels; UsageError where a field has no meaning.

    fit: "stretch" to height × width, "crop" (the largest centred part of that shape) or "pad" (the whole picture,
    centred on the background). draft: JPEGs far larger than needed are decoded at 1/2, 1/4 or 1/8 of their size,
    never below twice the target. pixel_limit: larger pictures are refused before they are decoded.
    """

    height: int
    width: int
    mode: str = "RGB"
    fit: str = "stretch"
    interpolation: str = "bilinear"
    background: tuple[int, int, int] = (255, 255, 255)
    draft: bool = True
    pixel_limit: int = PIXEL_LIMIT

    def __post_init__(self) -> None:
        for name in ("height", "width", "pixel_limit"):
            if not _is_int(getattr(self, name)) or getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)!r}; a whole number of pixels, 1 or more, is needed.")
        if self.height * self.width > PIXEL_LIMIT:
            raise UsageError(f"{self.height} x {self.width} pixels are more than {PIXEL_LIMIT}; choose a smaller size.")
        for name, choices in (("mode", MODES), ("fit", FITS), ("interpolation", INTERPOLATIONS)):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} is {getattr(self, name)!r}, but one of {', '.join(choices)} is needed.")
        colour = self.background
        if not isinstance(colour, tuple) or len(colour) != 3 or not all(_is_int(v) and 0 <= v <= 255 for v in colour):
            raise UsageError(f"background is {colour!r}; three numbers from 0 to 255 are needed (red, green, blue).")
        if not isinstance(self.draft, bool):
            raise UsageError(f"draft is {self.draft!r}; true or false is needed.")

    @property
    def channels(self) -> int:
        return 1 if self.mode == "L" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every decoded picture."""
        return self.height, self.width, self.channels

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self) | {"background": list(self.background)}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`; FileError where the saved values are no preprocessing that this version knows."""
        if not isinstance(d, dict):
            raise FileError(f"The saved preprocessing is damaged: {type(d).__name__} found, an object needed.")
        unknown = sorted(set(d) - {f.name for f in dataclasses.fields(cls)})
        if unknown:  # ignoring one would give other pixels than those the model was trained on
            raise FileError(
                f"The saved preprocessing has fields unknown here: {', '.join(unknown)}. Upgrade linearhead."
            )
        values: dict[str, Any] = {
            name: tuple(v) if name == "background" and isinstance(v, list) else v for name, v in d.items()
        }
        try:
            return cls(**values)
        except (UsageError, TypeError) as error:
            raise FileError(f"The saved preprocessing is damaged: {error}") from error


def choose_preprocessing(headers: Iterable[Header], side: int = 64) -> Preprocessing:
    """A size and mode for pictures of which `headers` is a sample, from their sizes and modes alone.

    Mode "L" where every picture is grey, else "RGB". Pictures that all have one size of at most side × side keep it, so
    that nothing is resampled; otherwise all become squares: of `side` pixels, or smaller if no picture is that large.
    Stretching keeps every pixel in view, cropping would lose what stands at the edges. UsageError for no header.
    """
    headers = list(headers)
    if not headers:
        raise UsageError("No picture to choose a size from: 0 readable headers found, at least 1 is needed.")
    mode = "L" if all(h.grey for h in headers) else "RGB"
    sizes = {(h.height, h.width) for h in headers}
    largest = max(max(size) for size in sizes)
    if len(sizes) == 1 and largest <= side:
        height, width = sizes.pop()
        return Preprocessing(height, width, mode)
    square = min(side, largest)
    return Preprocessing(square, square, mode)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
