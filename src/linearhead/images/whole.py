"""Whether a picture file is all there, told from its own structure: end markers and stated lengths.

Pillow decodes some cut files without a word (a PNG without its end, a GIF without its trailer); others it reports only
as "cannot identify". Each check here walks the format's outermost structure, never its pixels, and says what is gone.
What follows a picture's end is nobody's concern: phones append videos and second pictures. Files of so many parts that
to walk over them is all they are for are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from .unreadable import Unreadable

TIFF_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
TRAILER = 0x3B  # of a GIF
PARTS, PAGES, BLOCKS = (
    100_000,
    10_000,
    300_000,
)  # of a JPEG, a PNG or a TIFF's page; of a TIFF; of a GIF, 255 bytes each
SCANS, SCANNED_PIXELS = 32, 2_000_000_000  # of a JPEG; progressive ones have ten or so, each going over all pixels
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a JPEG that say how large it is
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"  # of a JPEG


class _CutOff(Exception):
    """The file ends before its structure does; the text says where."""


def what_is_missing(data: bytes, format: str) -> str | None:
    """A clause such as "its end marker IEND is missing", or None where nothing is (or only Pillow can tell)."""
    check = CHECKS.get(format)
    try:
        if check:
            check(data)
    except _CutOff as found:
        return str(found)
    except (IndexError, struct.error):
        return "it ends in the middle of its structure"
    return None


def _need(data: bytes, end: int, what: str) -> None:
    if end > len(data):
        raise _CutOff(f"{what} reaches to byte {end}, but the file has {len(data)}")


def _turns(format: str, most: int) -> Iterator[int]:
    """One for each part of a file, until they are more than any picture has."""
    yield from range(most)
    raise _too_many(format, most)


def _too_many(format: str, most: int) -> Unreadable:
    return Unreadable(f"a {format} file of more than {most} parts, which only keep busy whoever reads it")


def _jpeg(data: bytes) -> None:
    # Pillow misses the end marker only if its decoder still wants data when the last row is done
    at, pixels, turns = 2, 0, _turns("JPEG", PARTS)
    while data[at] == 0xFF:
        next(turns)
        marker = data[at + 1]
        if marker in FRAMES:
            pixels = data[at + 5] << 8 | data[at + 6]
            pixels *= data[at + 7] << 8 | data[at + 8]
        here = at
        at += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", data, at + 2)[0]
        _need(data, at, "its header")
        if marker == START_OF_SCAN:
            # coded pixels never hold these two bytes, and thumbnails, which do, lie in the header
            if data.rfind(END_OF_IMAGE, at) < 0:
                raise _CutOff("its end marker is missing")
            scans = data.count(bytes([0xFF, START_OF_SCAN]), here)
            if scans > SCANS and scans * pixels > SCANNED_PIXELS:
                raise Unreadable(f"a JPEG file of {scans} scans, each of which goes over its {pixels} pixels")
            return


def _png(data: bytes) -> None:
    at, kind, turns = 8, b"", _turns("PNG", PARTS)
    while kind != b"IEND":
        next(turns)
        if at + 8 > len(data):
            raise _CutOff("its end marker IEND is missing")
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        _need(data, at, f"its part {kind.decode('ascii', 'replace')}")


def _gif(data: bytes) -> None:
    at, turns = 13 + _colour_table(data[10]), _turns("GIF", BLOCKS)
    while at < len(data) and data[at] != TRAILER:
        next(turns)
        if data[at] == 0x21:  # an extension: label, then sub-blocks
            at = _after_sub_blocks(data, at + 2, turns)
        elif data[at] == 0x2C:  # a picture: descriptor, its own colours, code size, then sub-blocks
            at = _after_sub_blocks(data, at + 11 + _colour_table(data[at + 9]), turns)
        else:  # stray bytes between blocks are skipped by every decoder
            at += 1
    if at >= len(data):
        raise _CutOff("its trailer is missing")


def _colour_table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, at: int, turns: Iterator[int]) -> int:
    while data[at]:
        next(turns)
        at += data[at] + 1
    return at + 1


def _webp(data: bytes) -> None:
    _need(data, 8 + struct.unpack_from("<I", data, 4)[0], "its RIFF container")


def _bmp(data: bytes) -> None:
    stated, offset, header = struct.unpack_from("<I4xII", data, 2)
    _need(data, stated, "its stated length")
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in (0, 3, 6):  # not run-length coded: rows of whole 32-bit words
        _need(data, offset + (abs(width) * bits + 31) // 32 * 4 * abs(height), "its pixel rows")


def _tiff(data: bytes) -> None:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    at = struct.unpack_from(f"{order}Q", data, 8)[0] if big else struct.unpack_from(f"{order}I", data, 4)[0]
    seen, turns = set[int](), _turns("TIFF", PAGES)
    while at and at not in seen:
        next(turns)
        seen.add(at)
        _need(data, at + 2, "its directory")
        at = _tiff_directory(data, at, order, big)


def _tiff_directory(data: bytes, at: int, order: str, big: bool) -> int:
    """Checks one page's values and pixel strips; the position of the next page's directory, or 0."""
    count, first, size = ("Q", 8, 20) if big else ("H", 2, 12)
    entries = struct.unpack_from(order + count, data, at)[0]
    end = at + first + entries * size
    _need(data, end + (8 if big else 4), "its directory")
    values = {}
    for tag, kind, number, where in _tiff_entries(data, range(at + first, end, size), order, big):
        length = TIFF_TYPE_BYTES.get(kind, 0) * number
        _need(data, where + length, f"the value of its tag {tag}")
        if tag in (STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES) and kind in (3, 4, 16):
            if number > PARTS:
                raise _too_many("TIFF", PARTS)
            letter = {3: "H", 4: "I", 16: "Q"}[kind]
            values[tag] = struct.unpack_from(f"{order}{number}{letter}", data, where)
    for offsets, sizes in ((STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES)):
        for offset, length in zip(values.get(offsets, ()), values.get(sizes, ()), strict=False):
            _need(data, offset + length, "a strip of its pixels")
    return struct.unpack_from(f"{order}Q" if big else f"{order}I", data, end)[0]


def _tiff_entries(data: bytes, places: range, order: str, big: bool) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, number of values, where they lie) of each entry; short values lie in the entry itself."""
    inline = 8 if big else 4
    for place in places:
        tag, kind = struct.unpack_from(f"{order}HH", data, place)
        number, pointer = struct.unpack_from(f"{order}QQ" if big else f"{order}II", data, place + 4)
        fits = TIFF_TYPE_BYTES.get(kind, 0) * number <= inline
        yield tag, kind, number, place + 4 + inline if fits else pointer


def _avif(data: bytes) -> None:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        if size == 0:  # to the end of the file, wherever that is
            return
        if size < 8:
            return  # no box: bytes after the picture
        _need(data, at + size, f"its box {kind.decode('ascii', 'replace')}")
        at += size
    if at < len(data):
        raise _CutOff("it ends inside the head of a box")


def _ppm(data: bytes) -> None:
    # numbers in plain text have no length: without white space after the last, "25" may have been "255"
    if data[:2] in (b"P2", b"P3") and not data[-1:].isspace():
        raise _CutOff("the white space after its last number is missing")


CHECKS: dict[str, Callable[[bytes], None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": _avif,
    "PPM": _ppm,
}
