"""Ten thousand cut files, one at a time: each is refused with a reason, none crashes, none gives wrong pixels."""

import io
import struct
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from linearhead.images import Preprocessing, Unreadable, decode
from linearhead.images.whole import what_is_missing

P = Preprocessing(24, 24, draft=False)


def noise(mode: str, side: int = 24, seed: int = 0) -> Image.Image:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, *channels), dtype=np.uint8)
    return Image.fromarray(pixels, mode=None) if mode != "CMYK" else Image.fromarray(pixels).convert("CMYK")


def encoded(mode: str, format: str, side: int = 24, **options) -> bytes:
    buffer = io.BytesIO()
    noise(mode, side).save(buffer, format, **options)
    return buffer.getvalue()


def animated(format: str, side: int = 16) -> bytes:
    buffer = io.BytesIO()
    frames = [noise("RGB", side, seed) for seed in range(3)]
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def gif() -> bytes:
    buffer = io.BytesIO()
    noise("RGB").quantize(64).save(buffer, "GIF")
    return buffer.getvalue()


WHOLE = {
    "JPEG": lambda: encoded("RGB", "JPEG"),
    "JPEG progressive": lambda: encoded("RGB", "JPEG", progressive=True),
    "JPEG grey": lambda: encoded("L", "JPEG"),
    "JPEG restarts": lambda: encoded("RGB", "JPEG", restart_marker_blocks=2),
    "JPEG CMYK": lambda: encoded("CMYK", "JPEG"),
    "PNG": lambda: encoded("RGB", "PNG"),
    "PNG alpha": lambda: encoded("RGBA", "PNG", side=16),
    "PNG grey": lambda: encoded("L", "PNG"),
    "APNG": lambda: animated("PNG"),
    "WebP": lambda: encoded("RGB", "WEBP"),
    "WebP lossless": lambda: encoded("RGB", "WEBP", lossless=True, side=16),
    "WebP alpha": lambda: encoded("RGBA", "WEBP"),
    "WebP animated": lambda: animated("WEBP"),
    "GIF": gif,
    "GIF animated": lambda: animated("GIF"),
    "BMP": lambda: encoded("RGB", "BMP"),
    "BMP padded rows": lambda: encoded("RGB", "BMP", side=17),
    "BMP grey": lambda: encoded("L", "BMP", side=18),
    "TIFF": lambda: encoded("RGB", "TIFF"),
    "TIFF lzw": lambda: encoded("RGB", "TIFF", side=16, compression="tiff_lzw"),
    "TIFF deflate": lambda: encoded("L", "TIFF", compression="tiff_deflate"),
    "TIFF packbits": lambda: encoded("L", "TIFF", compression="packbits"),
    "TIFF pages": lambda: animated("TIFF", side=8).rstrip(b"\0"),  # Pillow pads the last page; nobody misses that
    "AVIF": lambda: encoded("RGB", "AVIF", side=16),
    "PPM": lambda: encoded("RGB", "PPM", side=16),
}
CUTS = dict.fromkeys(WHOLE, 400) | {"JPEG": 900, "PNG": 900, "WebP": 800, "GIF": 900, "BMP": 900, "TIFF": 900}


def cut_points(size: int, wanted: int) -> list[int]:
    """The first and the last 64 bytes one by one, the rest evenly; all of them where the file is short."""
    if size <= wanted:
        return list(range(size))
    edges = set(range(64)) | set(range(size - 64, size))
    return sorted(edges | set(np.linspace(64, size - 65, wanted - len(edges)).astype(int).tolist()))


@pytest.mark.parametrize("kind", WHOLE)
def test_every_cut_file_is_refused_with_a_reason(kind):
    data = WHOLE[kind]()
    pixels, _ = decode(data, P)
    assert pixels.shape == (24, 24, 3)
    for end in cut_points(len(data), CUTS[kind]):
        with pytest.raises(Unreadable) as refused:
            decode(data[:end], P)
        assert len(refused.value.reason) > 10
        assert "object at 0x" not in refused.value.reason


def test_ten_thousand_are_tried_over_the_six_formats():
    tried = {kind: len(cut_points(len(whole()), CUTS[kind])) for kind, whole in WHOLE.items()}
    formats = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF")
    six = {format: sum(n for kind, n in tried.items() if format in kind) for format in formats}
    assert sum(six.values()) >= 10_000
    assert min(six.values()) >= 1_000


def test_a_jpeg_of_many_rows_without_its_end_marker_is_cut():
    """At this size the decoder is done before it looks for the marker: Pillow alone decodes the cut file."""
    data = encoded("RGB", "JPEG", side=333, restart_marker_blocks=2)
    with Image.open(io.BytesIO(data[:-2])) as image:
        image.load()
    for end in range(len(data) - 40, len(data)):
        with pytest.raises(Unreadable, match="cut off"):
            decode(data[:end], P)


@pytest.mark.parametrize("kind", WHOLE)
def test_what_follows_the_end_of_a_picture_does_no_harm(kind):
    data = WHOLE[kind]()
    with_video = data + bytes(8) + b"\x00\x00\x00\x08free"  # zeros, then a box as in phones' motion photos
    np.testing.assert_array_equal(decode(with_video, P)[0], decode(data, P)[0])


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_lack_nothing(kind):
    data = WHOLE[kind]()
    format = {"APNG": "PNG", "WebP": "WEBP"}.get(kind.split()[0], kind.split()[0])
    assert what_is_missing(data, format) is None


def test_pillow_alone_would_accept_a_png_without_its_end():
    """Why the structure is checked: this guards the check against becoming superfluous without our noticing."""
    data = WHOLE["PNG"]()[:-12]
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    with pytest.raises(Unreadable, match="IEND"):
        decode(data, P)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "TIFF", "AVIF", "TIFF lzw"])
def test_flipped_bytes_are_pixels_or_a_reason_but_never_a_crash(kind):
    data, rng = WHOLE[kind](), np.random.default_rng(1)
    outcomes: Counter[bool] = Counter()
    for _ in range(150):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            broken[place] ^= int(rng.integers(1, 256))
        try:
            outcomes[decode(bytes(broken), P)[0].shape == (24, 24, 3)] += 1
        except Unreadable as error:
            outcomes[bool(error.reason)] += 1
    assert outcomes == {True: 150}


def test_plain_text_pixels_need_their_end():
    text = b"P2\n2 2\n255\n0 50 100 255\n"
    assert decode(text, Preprocessing(2, 2, "L"))[0].ravel().tolist() == [0, 50, 100, 255]
    for end in range(len(text)):
        with pytest.raises(Unreadable):
            decode(text[:end], Preprocessing(2, 2, "L"))


def tiff(order: str, big: bool, tag: tuple[int, int], last: str, following: int = 0) -> bytes:
    """Three strips or tiles of 2, 3 and 4 bytes, by the letter of the format; `last` is what lies at the end."""
    sizes = {"pixels": 9, "values": 24, "directory": (8 + 2 * 20 + 8) if big else (2 + 2 * 12 + 4)}
    at, place = 16 if big else 8, {}
    for part in sorted(sizes, key=lambda part: part == last):
        place[part] = at
        at += sizes[part]
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, place["directory"]) if big else struct.pack(
        f"{order}HI", 42, place["directory"])  # fmt: skip
    offsets = [place["pixels"], place["pixels"] + 2, place["pixels"] + 5]
    entry = f"{order}HH{'QQ' if big else 'II'}"
    parts = {
        "pixels": bytes(9),
        "values": struct.pack(f"{order}6I", *offsets, 2, 3, 4),
        "directory": struct.pack(f"{order}{'Q' if big else 'H'}", 2)
        + struct.pack(entry, tag[0], 4, 3, place["values"])
        + struct.pack(entry, tag[1], 4, 3, place["values"] + 12)
        + struct.pack(f"{order}{'Q' if big else 'I'}", following and place["directory"]),
    }
    return {"<": b"II", ">": b"MM"}[order] + head + b"".join(parts[part] for part in sorted(place, key=place.get))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("tag", [(273, 279), (324, 325)], ids=["strips", "tiles"])
@pytest.mark.parametrize(
    ("last", "said"),
    [("pixels", "a strip of its pixels"), ("values", "the value of its tag"), ("directory", "its directory")],
)
def test_a_tiff_is_all_there_to_its_last_byte_and_not_without_it(order, big, tag, last, said):
    data = tiff(order, big, tag, last)
    assert what_is_missing(data, "TIFF") is None
    assert what_is_missing(tiff(order, big, tag, last, following=1), "TIFF") is None  # a page that follows itself
    found = what_is_missing(data[:-1], "TIFF")
    assert found is not None
    assert found.startswith(said)
    assert found.endswith(f"reaches to byte {len(data)}, but the file has {len(data) - 1}")


@pytest.mark.parametrize(("width", "height", "bits"), [(17, 5, 24), (9, -4, 1), (5, 3, 32)])
@pytest.mark.parametrize("core", [False, True])
def test_a_bmp_has_rows_of_whole_words(width, height, bits, core):
    row = (width * bits + 31) // 32 * 4
    if core:  # of OS/2: no compression, no height from above
        height = abs(height)
        about = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        about = struct.pack("<IiiHHI", 40, width, height, 1, bits, 0) + bytes(20)
    offset = 14 + len(about)
    for stated in (0, offset + row * abs(height)):
        data = b"BM" + struct.pack("<I4xI", stated, offset) + about + bytes(row * abs(height))
        assert what_is_missing(data, "BMP") is None
        assert ("stated length" if stated else "pixel rows") in (what_is_missing(data[:-1], "BMP") or "")
    coded = data[:30] + struct.pack("<I", 1) + data[34:]  # run-length coded rows have no length of their own
    if not core:
        assert what_is_missing(coded[:2] + bytes(4) + coded[6:-1], "BMP") is None


def test_boxes_of_an_avif_may_be_very_long_or_the_rest_of_the_file():
    first = struct.pack(">I4s", 12, b"ftyp") + b"avif"
    long = struct.pack(">I4sQ", 1, b"mdat", 20) + b"1234"
    rest = struct.pack(">I4s", 0, b"mdat")
    for data in (first, first + long, first + long + first, first + rest, first + rest + b"1"):
        assert what_is_missing(data, "AVIF") is None
    for data in (first[:-1], (first + long)[:-1], first + b"12345"):
        assert what_is_missing(data, "AVIF") is not None
    assert what_is_missing(first + struct.pack(">I4s", 7, b"junk"), "AVIF") is None  # bytes after the picture


@pytest.mark.parametrize(
    ("scans", "pixels", "refused"), [(32, 60_000**2, False), (33, 8_000**2, True), (33, 7_000**2, False)]
)
def test_a_jpeg_of_many_scans_is_refused_where_they_go_over_many_pixels(scans, pixels, refused):
    side = int(pixels**0.5)
    head = b"\xff\xd8\xff\xff\xc2" + struct.pack(">HBHHB", 8, 8, side, side, 0)  # a byte that only fills up, too
    data = head + b"\xff\xda\x00\x02" * scans + b"\xff\xd9"
    if refused:
        with pytest.raises(Unreadable, match=f"{scans} scans"):
            what_is_missing(data, "JPEG")
    else:
        assert what_is_missing(data, "JPEG") is None
    assert what_is_missing(data[:-1], "JPEG") == "its end marker is missing"
