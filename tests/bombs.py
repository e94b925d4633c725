"""Files that are made to hurt whoever decodes them: small ones that claim or become huge pictures, structures without
end, text that unpacks to hundreds of megabytes, lists that are walked byte by byte. Each is below 20 MiB.

`BOMBS`: name → what makes its bytes, the same every time.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from PIL import Image

Maker = Callable[[], bytes]
LARGE = 18 * 2**20  # bytes of a file that is large itself


@lru_cache(maxsize=4)
def zeros(size: int, value: int = 0) -> bytes:
    """So many bytes of one value, deflated."""
    work, piece = zlib.compressobj(9), bytes([value]) * 2**20
    return b"".join(work.compress(piece[: min(2**20, size - i)]) for i in range(0, size, 2**20)) + work.flush()


# ---- PNG ----


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, data: bytes, depth: int = 8, colour: int = 2, before: bytes = b"", woven: int = 0
) -> bytes:
    """A PNG file with these compressed data, whatever they are; `before` them further chunks."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, woven)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def flat_png(depth: int, colour: int, side: int = 8000, before: bytes = b"", woven: int = 0) -> bytes:
    numbers = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = (side * numbers * depth + 7) // 8 + 1
    return png(side, side, zeros(side * row + (side * 15 if woven else 0)), depth, colour, before, woven)


def small_png(before: bytes) -> bytes:
    return png(8, 8, zeros(8 * 25), before=before)


def many_idat() -> bytes:
    """The pixels in chunks of one byte each."""
    data = zeros(2000 * 6001)
    data += b"\0" * (LARGE // 13 - len(data))
    body = b"".join(chunk(b"IDAT", data[i : i + 1]) for i in range(len(data)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2000, 2000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def frames_png() -> bytes:
    """An APNG that says it has 2³¹ frames."""
    return small_png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))


PALETTE = chunk(b"PLTE", bytes(768))
PNGS: dict[str, Maker] = {
    "claims 2**31 a side": lambda: png(2**31 - 1, 2**31 - 1, zeros(10**6)[:100]),
    "claims 100 000 a side": lambda: png(100_000, 100_000, zeros(10**7)[:1000]),
    "claims one row of 2**31": lambda: png(2**31 - 1, 1, zeros(10**6)),
    "claims no pixels": lambda: png(0, 0, zeros(100)),
    "64 megapixels in colour": partial(flat_png, 8, 2),
    "64 megapixels of 16 bits": partial(flat_png, 16, 2),
    "64 megapixels of 16 bits with alpha": partial(flat_png, 16, 6),
    "64 megapixels with alpha": partial(flat_png, 8, 6),
    "64 megapixels of grey with alpha": partial(flat_png, 8, 4),
    "64 megapixels of 16 bits grey": partial(flat_png, 16, 0),
    "64 megapixels of one bit": partial(flat_png, 1, 0),
    "64 megapixels of a palette": lambda: flat_png(8, 3, before=PALETTE),
    "64 megapixels of a clear palette": lambda: flat_png(8, 3, before=PALETTE + chunk(b"tRNS", bytes(256))),
    "64 megapixels with a clear colour": lambda: flat_png(8, 2, before=chunk(b"tRNS", bytes(6))),
    "64 megapixels interlaced": partial(flat_png, 8, 2, woven=1),
    "64 000 000 x 1": lambda: png(64_000_000, 1, zeros(3 * 64_000_000 + 1)),
    "1 x 64 000 000": lambda: png(1, 64_000_000, zeros(4 * 64_000_000)),
    "more data than pixels": lambda: png(10, 10, zeros(300 * 2**20)),
    "data without an end": lambda: png(8000, 8000, zeros(8000 * 24001)[:-2000]),
    "text of 300 MB": lambda: small_png(chunk(b"zTXt", b"Comment\0\0" + zeros(300 * 2**20))),
    "sixty texts of 1 MB": lambda: small_png(60 * chunk(b"zTXt", b"Comment\0\0" + zeros(2**20))),
    "international text of 300 MB": lambda: small_png(chunk(b"iTXt", b"XML\0\1\0\0\0" + zeros(300 * 2**20))),
    "colour profile of 300 MB": lambda: small_png(chunk(b"iCCP", b"icc\0\0" + zeros(300 * 2**20))),
    "a million chunks": lambda: small_png(chunk(b"abCd", b"") * (LARGE // 12)),
    "a million texts": lambda: small_png(chunk(b"tEXt", b"k\0v") * (LARGE // 15)),
    "pixels in chunks of a byte": many_idat,
    "2**31 frames": frames_png,
    "EXIF of 18 MB": lambda: small_png(chunk(b"eXIf", b"II*\0\x08\0\0\0" + b"\xff" * LARGE)),
}  # fmt: skip


# ---- JPEG ----


@lru_cache(maxsize=2)
def jpeg(side: int = 8000, mode: str = "L", progressive: bool = False) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, "JPEG", progressive=progressive, quality=30)
    return file.getvalue()


def part(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_parts(parts: bytes, side: int = 64) -> bytes:
    file = jpeg(side, "RGB")
    return file[:2] + parts + file[2:]


def claiming_jpeg(width: int, height: int) -> bytes:
    file = bytearray(jpeg(64, "RGB"))
    at = file.index(b"\xff\xc0")
    file[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(file)


def many_scans() -> bytes:
    """A progressive JPEG whose last scan comes again and again: each goes over all the pixels."""
    file = jpeg(8000, "L", True)
    at = file.rindex(b"\xff\xda")
    scan = file[at:-2]
    return file[:at] + scan * min(3000, LARGE // len(scan)) + b"\xff\xd9"


def looping_exif() -> bytes:
    """Directories that name themselves as their sub-directories and as the next one."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005, 0x14A))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 4) + entries + struct.pack("<I", 8)


def wide_exif() -> bytes:
    """5000 values, each of them as long as the whole."""
    entries = b"".join(struct.pack("<HHII", i, 7, 60_000, 8) for i in range(5000))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries + struct.pack("<I", 0)


def profile(i: int) -> bytes:
    """One of 255 pieces of a colour profile."""
    return part(0xE2, b"ICC_PROFILE\0" + bytes([i, 255]) + bytes(60_000))


JPEGS: dict[str, Maker] = {
    "JPEG that claims 65 500 a side": lambda: claiming_jpeg(65_500, 65_500),
    "JPEG that claims 8000 a side": lambda: claiming_jpeg(8000, 8000),
    "JPEG of 64 megapixels": partial(jpeg, 8000, "RGB"),
    "JPEG of 64 megapixels for print": partial(jpeg, 8000, "CMYK"),
    "JPEG of 64 megapixels, progressive": partial(jpeg, 8000, "RGB", True),
    "JPEG of a thousand scans": many_scans,
    "JPEG of 18 MB of filling": lambda: with_parts(b"\xff" * LARGE),
    "JPEG of four million empty comments": lambda: with_parts(part(0xFE, b"") * (LARGE // 4)),
    "JPEG of 280 long comments": lambda: with_parts(part(0xFE, bytes(65_000)) * (LARGE // 65_004)),
    "JPEG whose EXIF leads to itself": lambda: with_parts(part(0xE1, looping_exif())),
    "JPEG whose EXIF names itself 5000 times": lambda: with_parts(part(0xE1, wide_exif())),
    "JPEG of 255 colour profiles": lambda: with_parts(b"".join(profile(i) for i in range(1, 256))),
    "JPEG of a hundred tables": lambda: with_parts(part(0xDB, b"\0" + bytes([1] * 64)) * 200_000),
    "JPEG that goes on after its end": lambda: jpeg(64, "RGB") + bytes(LARGE),
    "JPEG of restarts alone": lambda: jpeg(64, "RGB")[:-2] + b"\xff\xd0" * (LARGE // 2) + b"\xff\xd9",
}  # fmt: skip


# ---- GIF, BMP, TIFF, PPM, WebP ----


def saved(format: str, side: int, mode: str = "RGB", **words: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, format, **words)
    return file.getvalue()


def gif(width: int, height: int, body: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + body + b";"


def frame(width: int, height: int, data: bytes = b"\x02\x02\x44\x01\x00") -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + data


def bmp(width: int, height: int, bits: int, compression: int, data: bytes) -> bytes:
    colours = bytes(4 << bits) if bits <= 8 else b""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, 0, 0)
    offset = 14 + len(head) + len(colours)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + head + colours + data


def runs_bmp(side: int = 8000) -> bytes:
    """Rows of runs of 255 pixels."""
    row = bytes([255, 0]) * (side // 255) + bytes([side % 255, 0, 0, 0])
    return bmp(side, side, 8, 1, row * side + b"\0\1")


def tiff(tags: dict[int, tuple[int, int, int]], data: bytes = b"", following: int = 0) -> bytes:
    """One directory of (kind, count, value or place) at byte 8, and data behind it."""
    entries = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(tags.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + data


def plain_tiff(width: int, height: int, compression: int, data: bytes, following: int = 0, **more: object) -> bytes:
    tags = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, compression), 262: (3, 1, 1),
            277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, len(data))}  # fmt: skip
    tags[273] = (4, 1, 8 + 2 + 12 * 9 + 4)
    return tiff(tags, data, following)


def many_pages() -> bytes:
    """Millions of directories without an entry, each naming the next."""
    count = LARGE // 6
    places = np.arange(1, count + 1, dtype=np.int64) * 6 + 8
    places[-1] = 0
    body = np.zeros((count, 6), np.uint8)
    body[:, 2:] = places.astype("<u4").view(np.uint8).reshape(-1, 4)
    return b"II*\0\x08\0\0\0" + body.tobytes()


def many_strips() -> bytes:
    count = LARGE // 8
    data = np.full(count, 8, "<u4").tobytes() + np.ones(count, "<u4").tobytes()
    place = 8 + 2 + 12 * 9 + 4
    tags = {256: (4, 1, 8), 257: (4, 1, count), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 277: (3, 1, 1),
            278: (4, 1, 1), 273: (4, count, place), 279: (4, count, place + 4 * count)}  # fmt: skip
    return tiff(tags, data)


def claiming_webp(width: int, height: int) -> bytes:
    """An extended file whose canvas is that large."""
    file = saved("WEBP", 16, lossless=True)
    canvas = (
        b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    body = b"WEBP" + canvas + file[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


OTHERS: dict[str, Maker] = {
    "GIF that claims 65 535 a side": lambda: gif(65_535, 65_535, frame(1, 1)),
    "GIF whose frame is larger than itself": lambda: gif(8, 8, frame(65_535, 65_535)),
    "GIF of 64 megapixels": lambda: saved("GIF", 8000, "L"),
    "GIF of a million frames": lambda: gif(8, 8, frame(8, 8) * (LARGE // 15)),
    "GIF of stray bytes": lambda: gif(8, 8, frame(8, 8) + b"\1" * LARGE),
    "GIF of comments of a byte": lambda: gif(8, 8, b"!\xfe" + b"\1x" * (LARGE // 2) + b"\0" + frame(8, 8)),
    "GIF of data of a byte": lambda: gif(4000, 4000, frame(4000, 4000, b"\x02" + b"\1\x44" * (LARGE // 2) + b"\0")),
    "BMP that claims 2**31 a side": lambda: bmp(2**31 - 1, 2**31 - 1, 24, 0, bytes(100)),
    "BMP upside down without bounds": lambda: bmp(2**31 - 1, -(2**31), 24, 0, bytes(100)),
    "BMP of 64 megapixels of one bit": lambda: bmp(8000, 8000, 1, 0, bytes(8000 * 1000)),
    "BMP of 64 megapixels of runs": runs_bmp,
    "BMP of runs of nothing": lambda: bmp(8000, 8000, 8, 1, b"\0\0" * (LARGE // 2)),
    "TIFF that claims 2**32 a side": lambda: plain_tiff(2**32 - 1, 2**32 - 1, 8, zeros(10**6)),
    "TIFF of 64 megapixels, deflated": lambda: plain_tiff(8000, 8000, 8, zeros(64_000_000)),
    "TIFF of 64 megapixels, packed": lambda: plain_tiff(8000, 8000, 32773, b"\x81\0" * (64_000_000 // 128)),
    "TIFF of more data than pixels": lambda: plain_tiff(10, 10, 8, zeros(300 * 2**20)),
    "TIFF whose next page is itself": lambda: plain_tiff(8, 8, 1, bytes(64), following=8),
    "TIFF of three million pages": many_pages,
    "TIFF of two million strips": many_strips,
    "TIFF that claims values of 4 GB": lambda: tiff({256: (4, 2**30, 8), 257: (4, 1, 8), 279: (4, 2**30, 8)}),
    "PPM that claims 10**9 a side": lambda: b"P6 1000000000 1000000000 255\n" + bytes(1000),
    "PPM of 18 MB of comment": lambda: b"P6 #" + b"x" * LARGE + b"\n8 8 255\n" + bytes(192),
    "PPM of a long number": lambda: b"P6 " + b"9" * LARGE + b" 8 255\n" + bytes(192),
    "PPM of six million words": lambda: b"P3 2500 2500 255\n" + b"0 " * (LARGE // 2),
    "PPM of 64 megapixels of one bit": lambda: b"P4 8000 8000\n" + bytes(8000 * 1000),
    "PPM whose white is 65 535": lambda: b"P5 3000 3000 65535\n" + bytes(18_000_000),
    "AVIF of 64 megapixels": lambda: saved("AVIF", 8000, speed=10, quality=10),
    "WebP of 64 megapixels": lambda: saved("WEBP", 8000, lossless=True, method=0, quality=0),
    "WebP that claims 2**24 a side": lambda: claiming_webp(2**24, 2**24),
    "WebP whose canvas is not its picture's": lambda: claiming_webp(8000, 8000),
}  # fmt: skip


# ---- files that are none of these ----


def nested(depth: int = 5) -> bytes:
    data = bytes(2**20)
    for _ in range(depth):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for i in range(16):
                archive.writestr(str(i), data)
        data = file.getvalue()
    return data


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 30))
FOREIGN: dict[str, Maker] = {
    "a zip in a zip in a zip": nested,
    "gzip of 300 MB": lambda: gzip.compress(bytes(300 * 2**20)),
    "SVG of a billion laughs": lambda: b'<svg><!DOCTYPE l [<!ENTITY l0 "ha">' + LAUGHS + b"]>&l29;</svg>",
    "PostScript without an end": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n{ } loop\n",
    "zero bytes": lambda: bytes(LARGE),
    "noise": lambda: np.random.default_rng(0).bytes(LARGE),
}

BOMBS: dict[str, Maker] = PNGS | JPEGS | OTHERS | FOREIGN
