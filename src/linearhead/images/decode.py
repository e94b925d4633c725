"""The one way from a picture to an array, for every verb: the same file gives the same bytes whoever asks.

path or bytes → whole? → header → pixel limit → (DCT-scaled) decoding → mode → EXIF turn → resize → uint8 (h, w, c).
An array (h, w) or (h, w, c) joins at "mode". All or nothing: pixels that are right, or `Unreadable` with a reason.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ..errors import DataError
from .modes import TO_GREY, is_grey, to_mode
from .preprocessing import PIXEL_LIMIT, Preprocessing
from .quiet import quiet_pillow
from .source import FORMATS, not_a_picture, open_regular, read_picture, sniff
from .unreadable import Unreadable, damage_is_unreadable
from .whole import what_is_missing

Source = Path | str | bytes | np.ndarray

# imported because they teach `Image.open` their formats; to find one itself it would load every plugin there is
PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

ORIENTATION = 0x0112  # EXIF
TURNS = {  # EXIF 2.32, table "Orientation": how the stored picture has to be turned or mirrored to stand upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
DRAFT_MARGIN = 2  # a DCT-scaled picture keeps at least twice the target's pixels a side: the resize still averages
BYTES_PER_PIXEL = 8  # of the largest file worth reading: uncompressed RGBA of 16 bits
HEADROOM = 64 * 2**20  # bytes for metadata, and for whatever phones append to small pictures

TURNED, FIRST_FRAME, BROKEN_EXIF = "turned by EXIF", "first frame of an animation", "broken EXIF ignored"
BLANK = "blank (of one colour)"
FIRST_PAGE = "first page of several"


@dataclass(frozen=True)
class Header:
    """What a picture says about itself before it is decoded; width and height as seen after the EXIF turn."""

    format: str  # Pillow's name, or "array"
    width: int
    height: int
    mode: str  # Pillow's name of what is stored: "L", "RGB", "P", "CMYK", …
    grey: bool  # no colour is possible: a grey mode, or a palette of greys


def decode(source: Source, preprocessing: Preprocessing) -> tuple[np.ndarray, tuple[str, ...]]:
    """One picture → (uint8 (height, width, channels), notes on what was converted); `Unreadable` with a reason.

    A str is a path. Arrays are uint8 (h, w) or (h, w, c), c = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; one that has the
    wanted size and channels already is copied as it is.
    """
    if isinstance(source, np.ndarray):
        array = _checked(source, preprocessing.pixel_limit)
        if array.shape == preprocessing.shape:
            return array.copy(), _seen(array)
        with damage_is_unreadable("array"):
            return _finished(_as_image(array), preprocessing, [])
    data = _read(source, preprocessing.pixel_limit)
    format = _require_whole(data)
    with quiet_pillow(), damage_is_unreadable(format), _open(io.BytesIO(data)) as image:
        _require_within(image.size, preprocessing.pixel_limit)
        return _decoded(image, preprocessing)


def fingerprinted(source: Source, pixel_limit: int = PIXEL_LIMIT) -> tuple[bytes | np.ndarray, bytes]:
    """(what `decode` takes, the SHA-256 of it): a file is read once, an array stands for its shape and its bytes."""
    if isinstance(source, np.ndarray):
        _checked(source, pixel_limit)
        digest = hashlib.sha256(f"{source.shape} ".encode())
        digest.update(np.ascontiguousarray(source).data)
        return source, digest.digest()
    data = _read(source, pixel_limit)
    return data, hashlib.sha256(data).digest()


def probe(source: Source) -> Header:
    """A picture's header, without decoding it; `Unreadable` where there is none."""
    if isinstance(source, np.ndarray):
        image = _as_image(_checked(source, PIXEL_LIMIT)[:1, :1])
        return Header("array", source.shape[1], source.shape[0], image.mode, is_grey(image))
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as file:
        head = file.read(32)
        format = sniff(head)
        if format is None:
            raise Unreadable(not_a_picture(head))
        file.seek(0)
        with quiet_pillow(), damage_is_unreadable(format), _open(file) as image:
            lying = (
                image.format != "TIFF" and _orientation(image, header_only=True)[0] >= 5
            )  # of TIFFs Pillow tells the upright size
            width, height = image.size[::-1] if lying else image.size
            return Header(str(image.format), width, height, image.mode, is_grey(image))


def _read(source: Path | str | bytes, pixel_limit: int) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if not isinstance(source, (str, Path)):
        raise DataError(
            f"A picture was given as {type(source).__name__}; needed is a path, the file's bytes, or a NumPy array of "
            "uint8 of shape (height, width) or (height, width, channels)."
        )
    return read_picture(source, BYTES_PER_PIXEL * pixel_limit + HEADROOM)


def _require_whole(data: bytes) -> str:
    """The format of picture data that are all there; else `Unreadable`."""
    format = sniff(data[:32])
    if format is None:
        raise Unreadable(not_a_picture(data[:32]))
    missing = what_is_missing(data, format)
    if missing:
        raise Unreadable(f"a {format} file that was cut off: {missing}")
    return format


def _open(file: BinaryIO) -> Image.Image:
    return Image.open(file, formats=FORMATS)


def _require_within(size: tuple[int, int], limit: int) -> None:
    if size[0] * size[1] > limit:
        raise Unreadable(
            f"too many pixels: {size[0]} x {size[1]} = {size[0] * size[1]}, more than the limit of {limit} "
            "(a tiny file can claim a huge picture and fill the memory)"
        )


def _decoded(image: Any, p: Preprocessing) -> tuple[np.ndarray, tuple[str, ...]]:
    notes = []
    rawmode = str(image.tile[0][3]) if image.tile else ""  # before a PNG's EXIF is asked for, which loads the picture
    turn, broken = _orientation(image)
    if broken:
        notes.append(BROKEN_EXIF)
    if turn in TURNS:
        notes.append(TURNED)
    if image.format != "MPO" and _has_more(image):  # a phone's MPO is one photo and its extras
        notes.append(FIRST_PAGE if image.format == "TIFF" else FIRST_FRAME)
    stored = image.mode
    if p.draft and image.format in ("JPEG", "MPO"):
        _draft(image, p, turned=turn >= 5)
        if image.mode != stored:
            notes.append(TO_GREY)  # the decoder gives the luminance by itself
    image.load()
    return _finished(image, p, notes, turn if image.format != "TIFF" else 1, rawmode)  # Pillow turns TIFFs in `load`


def _finished(
    image: Image.Image, p: Preprocessing, notes: list[str], turn: int = 1, rawmode: str = ""
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Mode, turn, size: from loaded pixels to the array."""
    image, conversions = to_mode(image, p.mode, p.background, rawmode)
    if turn in TURNS:
        image = image.transpose(TURNS[turn])
    pixels = np.array(_resized(image, p)).reshape(p.shape)
    return pixels, (*notes, *conversions, *_seen(pixels))


def _seen(pixels: np.ndarray) -> tuple[str, ...]:
    """What is told of the pixels themselves: that a picture shows nothing."""
    corner = pixels[0, 0]
    blank = bool(np.all(pixels[-1, -1] == corner)) and bool(np.all(pixels == corner))  # most are done after one pixel
    return (BLANK,) if blank else ()


def _orientation(image: Image.Image, header_only: bool = False) -> tuple[int, bool]:
    """(EXIF orientation 1 … 8, whether the EXIF data are too broken to tell, which means 1)."""
    try:
        # a PNG's own method decodes the picture, because EXIF data may follow the pixels; in a header they cannot
        turn = (Image.Image.getexif(image) if header_only else image.getexif()).get(ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # metadata of any kind of brokenness; the pixels have nothing to do with it
        return 1, True
    return (turn, False) if isinstance(turn, int) and 1 <= turn <= 8 else (1, False)


def _has_more(image: Any) -> bool:
    """Whether frames or pages follow the first; what is wrong with those is of no interest."""
    try:
        return bool(getattr(image, "is_animated", False))
    except MemoryError:
        raise
    except Exception:
        return False


def _draft(image: Any, p: Preprocessing, turned: bool) -> None:
    """Tells the JPEG decoder how small a picture is enough."""
    width, height = image.size[::-1] if turned else image.size
    across, down = _scaled_size((width, height), p)
    wanted = (down, across) if turned else (across, down)
    image.draft(p.mode, (DRAFT_MARGIN * wanted[0], DRAFT_MARGIN * wanted[1]))


def _scaled_size(size: tuple[int, int], p: Preprocessing) -> tuple[int, int]:
    """(width, height) of the whole picture at the scale in which it is wanted."""
    if p.fit == "stretch":
        return p.width, p.height
    ratios = p.width / size[0], p.height / size[1]
    scale = max(ratios) if p.fit == "crop" else min(ratios)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized(image: Image.Image, p: Preprocessing) -> Image.Image:
    target = p.width, p.height
    if image.size == target:
        return image
    filter = FILTERS[p.interpolation]
    if p.fit == "stretch":
        return image.resize(target, filter)
    if p.fit == "crop":
        scale = max(p.width / image.width, p.height / image.height)
        w, h = min(p.width / scale, image.width), min(p.height / scale, image.height)
        left, top = (image.width - w) / 2, (image.height - h) / 2
        return image.resize(target, filter, box=(left, top, left + w, top + h))
    across, down = _scaled_size(image.size, p)
    across, down = min(across, p.width), min(down, p.height)
    ground = Image.new("RGB", target, p.background).convert(image.mode)
    ground.paste(image.resize((across, down), filter), ((p.width - across) // 2, (p.height - down) // 2))
    return ground


def _checked(array: np.ndarray, limit: int) -> np.ndarray:
    """(h, w, c) uint8 of an array that is a picture; else `Unreadable` saying what it is."""
    needed = "needed: uint8 of shape (height, width) or (height, width, 1 to 4)"
    if array.dtype != np.uint8:
        values = "; scale its values to 0 … 255 first" if array.dtype.kind in "fiub" else ""
        raise Unreadable(f"an array of {array.dtype}; {needed}{values}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or 0 in array.shape or array.shape[2] > 4:
        raise Unreadable(f"an array of shape {array.shape}; {needed}")
    _require_within((array.shape[1], array.shape[0]), limit)
    return array


def _as_image(array: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array))
