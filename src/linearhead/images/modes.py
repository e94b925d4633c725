"""Any Pillow mode → RGB or L with nothing lost that 8 bits can hold; what was done is told as notes.

16 bits are scaled by the range of the type, v ↦ round(255 v / 65535): a plain `convert` clips everything above 255.
32-bit numbers have no range that files agree on: the smallest of [0, 1] (fractions only), [0, 255], [0, 65535] and
[0, 2³² − 1] that holds the picture's values is taken; with negative whole numbers the signed ranges of 16 and 32 bits.
Alpha is composited on a declared background before anything is averaged over neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .unreadable import Unreadable

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2  # values of the latter two

ALPHA = "alpha composited"
SCALED_16, SCALED_32 = "16-bit scaled", "32-bit scaled"
TO_GREY, TO_COLOUR = "colour reduced to grey", "grey shown as RGB"
CONVERTED = {"P": "palette", "PA": "palette", "1": "1-bit"}  # else the mode's own name, as in "CMYK converted"


def to_mode(
    image: Image.Image, mode: str, background: tuple[int, int, int], rawmode: str = ""
) -> tuple[Image.Image, list[str]]:
    """The picture in `mode` ("RGB" or "L"), and what that took; `rawmode` is the file's own layout, as "RGB;16B"."""
    notes: list[str] = []
    if image.mode in DEEP_MODES:
        image, note = scaled_to_8_bits(image, image.info.get("transparency"))
        notes.append(note)
    elif ";16" in rawmode:
        notes.append(SCALED_16)  # Pillow keeps the upper byte of each colour
    if image.has_transparency_data:
        image, composited = on_background(image, background)
        notes += [ALPHA] * composited
    if image.mode not in ("RGB", "L"):
        notes.append(f"{CONVERTED.get(image.mode, image.mode)} converted")
        image = image.convert("L" if is_grey(image) else "RGB")
    if image.mode != mode:
        notes.append(TO_GREY if mode == "L" else TO_COLOUR)
        image = image.convert(mode)
    return image, notes


def is_grey(image: Image.Image) -> bool:
    """Whether the picture can hold no colour: a grey mode, or a palette of greys. Needs no pixels."""
    palette = image.palette if image.mode in ("P", "PA") else None
    if palette is None:
        return image.mode in GREY_MODES
    colours = np.frombuffer(bytes(palette.palette), dtype=np.uint8)
    if (palette.rawmode or palette.mode) != "RGB" or len(colours) % 3:
        return False
    colours = colours.reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def on_background(image: Image.Image, background: tuple[int, int, int]) -> tuple[Image.Image, bool]:
    """Without its alpha channel, composited; whether anything was transparent at all."""
    grey = is_grey(image)
    image = image.convert("RGBA")
    lowest, _ = image.getchannel("A").getextrema()
    opaque = lowest == 255
    if not opaque:
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
    return image.convert("L" if grey and (opaque or len(set(background)) == 1) else "RGB"), not opaque


def scaled_to_8_bits(image: Image.Image, clear: Any = None) -> tuple[Image.Image, str]:
    """Grey of 16 or 32 bits → 8, and the note; `clear` is the one value that is transparent, if any."""
    values = np.asarray(image)
    tags: Any = getattr(image, "tag_v2", {})
    deep = image.mode == "F" or (image.mode == "I" and image.format != "PPM")
    bits = int(tags.get(BITS_PER_SAMPLE, (32 if deep else 16,))[0])  # some TIFFs have 12
    if bits > 16:
        if image.mode == "I" and tags.get(SAMPLE_FORMAT, (SIGNED,))[0] == UNSIGNED:
            values = values.view(np.uint32)  # Pillow has no unsigned 32-bit mode
        levels = _by_smallest_range(values)
    else:
        top = (1 << bits) - 1
        shift = 1 << (bits - 1) if tags and image.mode == "I" else 0  # signed 16-bit TIFFs
        levels = ((values.astype(np.int64) + shift) * 255 + top // 2) // top
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:  # Pillow inverts these in 8 bits only
        levels = 255 - levels
    result = Image.fromarray(levels.astype(np.uint8))
    if isinstance(clear, int):
        result.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return result, SCALED_32 if bits > 16 else SCALED_16


def _by_smallest_range(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Unreadable("32-bit values that are not finite; only finite ones can be scaled to 0 … 255")
    whole = values.dtype.kind in "iu"
    if low < 0:
        half = next((2.0**b for b in (15, 31) if -(2.0**b) <= low and high < 2.0**b), None)
        if half is None or not whole:
            raise Unreadable(f"32-bit values from {low:g} to {high:g}; no range that begins at 0 holds them")
        return np.rint((values + half) * (255 / (2 * half - 1)))
    top = next((t for t in (1.0, 255.0, 65535.0, 2.0**32 - 1) if high <= t and not (whole and t == 1.0)), None)
    if top is None:
        raise Unreadable(f"32-bit values up to {high:g}, beyond every range that pictures use (at most 2³² − 1)")
    return np.rint(values.astype(np.float64) * (255 / top))
