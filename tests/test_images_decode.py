"""Every kind of picture people have becomes the right pixels, or a reason in words."""

import io
import os
import socket
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from linearhead.errors import DataError, FileError, UsageError
from linearhead.images import BLANK, Preprocessing, Unreadable, choose_preprocessing, decode, probe

LOSSLESS = ("PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
AS_IS = Preprocessing(20, 30)
GREY_AS_IS = Preprocessing(20, 30, "L")


def encode(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **({"lossless": True, "exact": True} if format == "WEBP" else {}), **options)
    return buffer.getvalue()


def quadrants(width: int = 96, height: int = 64) -> np.ndarray:
    """Red, green / blue, white: large flat fields that survive lossy formats, all orientations distinct."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2, 0] = 255
    pixels[: height // 2, width // 2 :, 1] = 255
    pixels[height // 2 :, : width // 2, 2] = 255
    pixels[height // 2 :, width // 2 :] = 255
    return pixels


def stored_for(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores a picture of which `orientation` tells how to turn it upright (EXIF 2.32)."""
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright[:, ::-1].transpose(1, 0, 2),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright[::-1].transpose(1, 0, 2),
    }
    return np.ascontiguousarray(stored[orientation])


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, rows: bytes, *extra: bytes) -> bytes:
    """A PNG of exactly this kind; Pillow cannot write all of them."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(extra)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


# ---------------------------------------------------------------- the same pixels from every source


@pytest.mark.parametrize("format", LOSSLESS)
@pytest.mark.parametrize("p", [AS_IS, Preprocessing(7, 9), Preprocessing(64, 64, "L"), Preprocessing(9, 9, fit="crop")])
def test_path_bytes_and_array_give_the_same_pixels(tmp_path, format, p):
    image = Image.fromarray(PHOTO).quantize(200) if format == "GIF" else Image.fromarray(PHOTO)
    data = encode(image, format)
    path = tmp_path / "picture"
    path.write_bytes(data)
    from_path, notes = decode(path, p)
    np.testing.assert_array_equal(from_path, decode(str(path), p)[0])
    np.testing.assert_array_equal(from_path, decode(data, p)[0])
    np.testing.assert_array_equal(from_path, decode(np.asarray(image.convert("RGB")), p)[0])
    assert from_path.shape == p.shape
    assert from_path.dtype == np.uint8
    assert notes == decode(data, p)[1]


@pytest.mark.parametrize("format", LOSSLESS)
def test_pixels_of_the_wanted_size_are_untouched(format):
    image = Image.fromarray(PHOTO)
    if format != "GIF":
        np.testing.assert_array_equal(decode(encode(image, format), AS_IS)[0], PHOTO)
    grey = Image.fromarray(PHOTO[:, :, 0])
    pixels, notes = decode(encode(grey, format), GREY_AS_IS)
    np.testing.assert_array_equal(pixels[:, :, 0], PHOTO[:, :, 0])
    assert notes == {"GIF": ("palette converted",), "WEBP": ("colour reduced to grey",)}.get(format, ())


def test_arrays_of_the_wanted_size_are_copied():
    pixels, notes = decode(PHOTO, AS_IS)
    assert notes == ()
    assert not np.shares_memory(pixels, PHOTO)
    np.testing.assert_array_equal(pixels, PHOTO)
    np.testing.assert_array_equal(decode(PHOTO[:, :, 1], GREY_AS_IS)[0][:, :, 0], PHOTO[:, :, 1])
    np.testing.assert_array_equal(decode(PHOTO[:, :, 1:2], GREY_AS_IS)[0], PHOTO[:, :, 1:2])
    assert decode(PHOTO[:, :, 1], AS_IS)[1] == ("grey shown as RGB",)


def test_strided_and_read_only_arrays():
    view = np.broadcast_to(PHOTO[::-1, ::2], (20, 15, 3))
    expected = np.ascontiguousarray(view)
    for p in (Preprocessing(20, 15), Preprocessing(5, 5), Preprocessing(30, 40, "L")):
        np.testing.assert_array_equal(decode(view, p)[0], decode(expected, p)[0])


@pytest.mark.parametrize(
    "array",
    [
        PHOTO.astype(np.float32),
        PHOTO.astype(np.int64),
        PHOTO > 7,
        PHOTO.astype(object),
        PHOTO[0, 0],
        PHOTO[None],
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 5), np.uint8),
        np.zeros((5, 5, 0), np.uint8),
    ],
    ids=str,
)
def test_other_arrays_are_refused_saying_what_they_are(array):
    with pytest.raises(Unreadable, match=r"an array of .*needed: uint8"):
        decode(array, AS_IS)


def test_other_types_are_an_error_of_the_caller():
    with pytest.raises(DataError, match="given as int"):
        decode(3, AS_IS)  # type: ignore[arg-type]


# ---------------------------------------------------------------- EXIF orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_pictures_stand_upright(format, orientation):
    upright = quadrants()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(stored_for(upright, orientation)), format, exif=exif)
    for draft in (True, False):
        pixels, notes = decode(data, Preprocessing(16, 24, draft=draft, interpolation="box"))
        np.testing.assert_allclose(pixels[1::4, 1::4].astype(int), upright[6::16, 6::16], atol=12)
        assert notes == (("turned by EXIF",) if orientation > 1 else ())
    header = probe(data)
    assert (header.width, header.height, header.mode) == (96, 64, "RGB")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg"])
@pytest.mark.parametrize("orientation", [2, 6])
def test_tiff_is_turned_once_whoever_decodes_it(compression, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(stored_for(quadrants(), orientation))
    pixels, notes = decode(encode(stored, "TIFF", compression=compression, exif=exif), Preprocessing(64, 96))
    np.testing.assert_allclose(pixels[6::16, 6::16].astype(int), quadrants()[6::16, 6::16], atol=12)
    assert notes == ("turned by EXIF",)


@pytest.mark.parametrize("value", [0, 9, 300, 65535])
def test_orientations_that_mean_nothing_are_ignored(value):
    exif = Image.Exif()
    exif[0x0112] = value
    pixels, notes = decode(encode(Image.fromarray(PHOTO), "PNG", exif=exif), AS_IS)
    np.testing.assert_array_equal(pixels, PHOTO)
    assert notes == ()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0" + b"\xff" * 40]
)
def test_broken_exif_costs_the_turn_not_the_picture(exif):
    data = encode(Image.fromarray(quadrants()), "JPEG", exif=exif)
    pixels, notes = decode(data, Preprocessing(64, 96))
    np.testing.assert_allclose(pixels[6::16, 6::16].astype(int), quadrants()[6::16, 6::16], atol=12)
    assert set(notes) <= {"broken EXIF ignored"}


# ---------------------------------------------------------------- modes


def test_cmyk_becomes_rgb():
    for format in ("JPEG", "TIFF"):
        data = encode(Image.fromarray(quadrants()).convert("CMYK"), format)
        pixels, notes = decode(data, Preprocessing(64, 96))
        np.testing.assert_allclose(pixels[8::16, 8::16].astype(int), quadrants()[8::16, 8::16], atol=12)
        assert notes == ("CMYK converted",)


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette_becomes_rgb(format):
    image = Image.fromarray(PHOTO).quantize(64)
    pixels, notes = decode(encode(image, format), AS_IS)
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))
    assert notes == ("palette converted",)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_one_bit_becomes_black_and_white(format):
    bits = PHOTO[:, :, 0] > 127
    for p, more in ((GREY_AS_IS, ()), (AS_IS, ("grey shown as RGB",))):
        pixels, notes = decode(encode(Image.fromarray(bits), format), p)
        np.testing.assert_array_equal(pixels[:, :, 0], bits * np.uint8(255))
        assert notes in (("1-bit converted", *more), more)  # GIF has no one-bit mode


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(format):
    """By the range of the type, however dark the picture is."""
    bright = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    for ramp in (bright, bright // 400):
        pixels, notes = decode(encode(Image.fromarray(ramp), format), Preprocessing(64, 64, "L"))
        np.testing.assert_array_equal(pixels[:, :, 0], np.rint(ramp / 257))
        assert notes == ("16-bit scaled",)
    assert len(np.unique(np.rint(bright / 257))) == 256


def test_sixteen_bit_colour_and_alpha_png():
    colours = RNG.integers(0, 65536, (4, 5, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in colours)
    pixels, notes = decode(png(5, 4, 16, 2, rows), Preprocessing(4, 5))
    assert np.abs(pixels - colours / 257).max() <= 1
    assert notes == ("16-bit scaled",)
    clear = png_chunk(b"tRNS", struct.pack(">H", 40000))
    grey = np.array([[0, 40000, 65535]], dtype=">u2")
    pixels, notes = decode(png(3, 1, 16, 0, b"\0" + grey.tobytes(), clear), Preprocessing(1, 3, background=(7, 7, 7)))
    assert pixels[0, :, 0].tolist() == [0, 7, 255]
    assert notes == ("16-bit scaled", "alpha composited", "grey shown as RGB")


def tiff_grey(values: np.ndarray, sample_format: int, photometric: int = 1, bits: int | None = None) -> bytes:
    """A little-endian one-strip TIFF of exactly this kind."""
    body = values.tobytes()
    bits = bits or values.dtype.itemsize * 8
    tags = [(256, values.shape[1]), (257, values.shape[0]), (258, bits), (259, 1), (262, photometric), (273, 0)]
    tags += [(277, 1), (278, values.shape[0]), (279, len(body)), (339, sample_format)]
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, start if tag == 273 else value) for tag, value in tags)
    return struct.pack("<4sIH", b"II*\0", 8, len(tags)) + entries + bytes(4) + body


@pytest.mark.parametrize(
    ("values", "kind", "photometric", "expected"),
    [
        (np.array([[-32768, 0, 32767]], "<i2"), 2, 1, [0, 128, 255]),
        (np.array([[0, 32768, 65535]], "<u2"), 1, 0, [255, 127, 0]),
        (np.array([[0, 100, 255]], "<i4"), 2, 1, [0, 100, 255]),
        (np.array([[0, 300, 65535]], "<i4"), 2, 1, [0, 1, 255]),
        (np.array([[0, 2**31, 2**32 - 1]], "<u4"), 1, 1, [0, 128, 255]),
        (np.array([[-(2**15), 0, 2**15 - 1]], "<i4"), 2, 1, [0, 128, 255]),
        (np.array([[-(2**15), 0, 2**15]], "<i4"), 2, 1, [127, 128, 128]),
        (np.array([[-(2**31), 0, 2**31 - 1]], "<i4"), 2, 1, [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], "<f4"), 3, 1, [0, 128, 255]),
        (np.array([[0.0, 20.4, 255.0]], "<f4"), 3, 1, [0, 20, 255]),
        (np.array([[0.0, 0.5, 1.0]], "<f4"), 3, 0, [255, 127, 0]),
    ],
)
def test_deep_grey_tiffs_by_the_range_of_their_type(values, kind, photometric, expected):
    pixels, notes = decode(tiff_grey(values, kind, photometric), Preprocessing(1, 3, "L"))
    assert pixels.ravel().tolist() == expected
    assert notes == (("16-bit scaled",) if values.dtype.itemsize == 2 else ("32-bit scaled",))


@pytest.mark.parametrize("values", [[0.0, np.nan, 1.0], [0.0, np.inf, 1.0], [-0.5, 0.0, 1.0], [0.0, 1.0, 1e30]])
def test_floats_without_a_range_are_refused(values):
    with pytest.raises(Unreadable, match="32-bit values"):
        decode(tiff_grey(np.array([values], "<f4"), 3), Preprocessing(1, 3, "L"))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 30)])
def test_alpha_is_composited_on_the_declared_background(format, background):
    rgba = np.dstack([PHOTO, RNG.integers(0, 256, (20, 30), dtype=np.uint8)])
    pixels, notes = decode(encode(Image.fromarray(rgba), format), Preprocessing(20, 30, background=background))
    a = rgba[:, :, 3:] / 255
    assert np.abs(pixels - (a * PHOTO + (1 - a) * background)).max() <= 1
    assert notes == ("alpha composited",)
    np.testing.assert_array_equal(pixels, decode(rgba, Preprocessing(20, 30, background=background))[0])


def test_alpha_of_every_other_kind():
    p = Preprocessing(1, 2, background=(9, 9, 9))
    la = np.array([[[100, 255], [100, 0]]], dtype=np.uint8)
    palette = Image.new("P", (2, 1))
    palette.putpalette([50, 60, 70, 1, 2, 3])
    palette.putpixel((1, 0), 1)
    rgb = Image.new("RGB", (2, 1), (50, 60, 70))
    rgb.putpixel((1, 0), (1, 2, 3))
    seen = [
        (encode(Image.fromarray(la), "PNG"), [100, 100, 100]),
        (la, [100, 100, 100]),
        (encode(palette, "PNG", transparency=1), [50, 60, 70]),
        (encode(palette, "PNG", transparency=b"\xff\x00"), [50, 60, 70]),
        (encode(palette, "GIF", transparency=1), [50, 60, 70]),
        (encode(rgb, "PNG", transparency=(1, 2, 3)), [50, 60, 70]),
        (encode(Image.fromarray(la[:, :, 0] + la[:, :, 1]), "PNG", transparency=100), None),
    ]
    for source, opaque in seen:
        pixels, notes = decode(source, p)
        assert "alpha composited" in notes
        assert [9, 9, 9] in pixels[0].tolist()
        assert opaque is None or pixels[0, 0].tolist() == opaque


def test_opaque_alpha_is_not_counted():
    rgba = np.dstack([PHOTO, np.full((20, 30), 255, np.uint8)])
    pixels, notes = decode(encode(Image.fromarray(rgba), "PNG"), AS_IS)
    np.testing.assert_array_equal(pixels, PHOTO)
    assert notes == ("RGBA converted",) or notes == ()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_first_frame_of_several(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((200, 30, 30), (30, 200, 30), (30, 30, 200))]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    pixels, notes = decode(data, Preprocessing(8, 8))
    np.testing.assert_allclose(pixels, np.broadcast_to(np.array([200, 30, 30]), (8, 8, 3)), atol=6)
    assert notes[0] == ("first page of several" if format == "TIFF" else "first frame of an animation")


def test_a_phone_photo_with_extras_inside_is_one_photo():
    frames = [Image.fromarray(quadrants()), Image.new("RGB", (10, 10))]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert probe(data).format == "MPO"
    pixels, notes = decode(data, Preprocessing(16, 24, interpolation="box"))
    np.testing.assert_allclose(pixels[1::4, 1::4].astype(int), quadrants()[6::16, 6::16], atol=12)
    assert notes == ()


def test_colour_reduced_to_grey_is_said_whoever_does_it():
    for data in (encode(Image.fromarray(quadrants()), "JPEG"), encode(Image.fromarray(quadrants()), "PNG")):
        pixels, notes = decode(data, Preprocessing(64, 96, "L"))
        assert notes == ("colour reduced to grey",)
        assert abs(int(pixels[8, 8, 0]) - 76) <= 2  # 0.299 · 255
        assert abs(int(pixels[60, 90, 0]) - 255) <= 2


# ---------------------------------------------------------------- size and fit


def test_crop_and_pad_keep_proportions():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255  # the middle third
    assert decode(wide, Preprocessing(20, 20, fit="crop"))[0].min() == 255
    padded = decode(wide, Preprocessing(30, 30, fit="pad", background=(1, 2, 3)))[0]
    assert (padded[:10] == (1, 2, 3)).all()
    assert (padded[20:] == (1, 2, 3)).all()
    assert padded[15, 15].tolist() == [255, 255, 255]
    assert padded[15, 3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 1000), (31, 33)])
def test_every_shape_fits(fit, size):
    pixels, _ = decode(np.full((*size, 3), 77, np.uint8), Preprocessing(16, 20, fit=fit, background=(77, 77, 77)))
    assert pixels.shape == (16, 20, 3)
    assert (pixels == 77).all()


@pytest.mark.parametrize("interpolation", ["box", "bilinear", "bicubic", "lanczos"])
def test_resizing_is_pillows_own(interpolation):
    expected = Image.fromarray(PHOTO).resize((11, 7), getattr(Image.Resampling, interpolation.upper()))
    pixels, _ = decode(PHOTO, Preprocessing(7, 11, interpolation=interpolation))
    np.testing.assert_array_equal(pixels, np.asarray(expected))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_draft_changes_pixels_by_little(fit, mode):
    y, x = np.mgrid[0:768, 0:1024]
    smooth = np.dstack([128 + 100 * np.sin(x / 90), 128 + 100 * np.cos(y / 70), (x + y) / 8]).astype(np.uint8)
    data = encode(Image.fromarray(smooth), "JPEG", quality=92)
    fast = decode(data, Preprocessing(32, 40, mode, fit))[0].astype(int)
    full = decode(data, Preprocessing(32, 40, mode, fit, draft=False))[0].astype(int)
    assert np.abs(fast - full).max() <= 6


def test_draft_keeps_twice_the_target(monkeypatch):
    sizes = []
    original = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *a, **k: sizes.append(self.size) or original(self, *a, **k))
    data = encode(Image.new("RGB", (800, 600)), "JPEG")
    for side in (30, 60, 100, 200, 500):
        decode(data, Preprocessing(side, side))
    assert sizes == [(100, 75), (200, 150), (400, 300), (800, 600), (800, 600)]


# ---------------------------------------------------------------- what is no picture


def test_bombs_are_refused_by_their_header():
    bomb = png(50_000, 50_000, 8, 2, bytes(10))
    with pytest.raises(Unreadable, match="too many pixels"):
        decode(bomb, AS_IS)
    small = encode(Image.fromarray(PHOTO), "PNG")
    with pytest.raises(Unreadable, match=r"too many pixels: 30 x 20 = 600, more than the limit of 599"):
        decode(small, Preprocessing(4, 4, pixel_limit=599))
    with pytest.raises(Unreadable, match="too many pixels"):
        decode(PHOTO, Preprocessing(4, 4, pixel_limit=599))
    assert decode(small, Preprocessing(4, 4, pixel_limit=600))[0].shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, I am a text file\n", "begins with text"),
        (b"BMW is a car, not a bitmap, says this text", "begins with text"),
        (b"P3", "begins with text"),
        (bytes(1000), "zero bytes only"),
        (b"\x93\x01\x02\xfe" * 9, "begins with binary"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "HEIC"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"GIF89a", "GIF"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"RIFF\x04\0\0\0WEBP", "WEBP"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"P6 3 x 255\n", "PPM"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, data, reason):
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(Unreadable, match=reason):
            decode(source, AS_IS)
    with pytest.raises(Unreadable):
        probe(path)


def test_only_regular_files_are_opened_and_nothing_hangs(tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    os.symlink("loop.jpg", tmp_path / "loop.jpg")
    os.symlink("nowhere", tmp_path / "broken.jpg")
    os.symlink("fifo.jpg", tmp_path / "link.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)  # a socket's path is limited to 107 bytes
        try:
            listener.bind("socket.jpg")
        finally:
            os.chdir(here)
        reasons = {
            "fifo.jpg": "named pipe",
            "link.jpg": "named pipe",
            "folder.jpg": "a folder",
            "loop.jpg": "leads to itself",
            "broken.jpg": "no such file",
            "socket.jpg": "a socket",
            "absent.jpg": "no such file",
            "nul\0.jpg": "no such file",
            "x" * 300 + ".jpg": "no such file",
            "fifo.jpg/x.jpg": "no such file",
        }
        for name, reason in reasons.items():
            for ask in (lambda path: decode(path, AS_IS), probe):
                with pytest.raises(Unreadable, match=reason):
                    ask(tmp_path / name)
    with pytest.raises(Unreadable, match="a device"):
        decode("/dev/zero", AS_IS)


@pytest.mark.parametrize(
    "name",
    ["a b.png", "-rf.png", "ümlaut 猫 🐈.png", "new\nline.png", "'quoted'\".png", "no ending", ".hidden", "%s{}.png"],
)
def test_odd_names_and_wrong_endings(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encode(Image.fromarray(PHOTO), "PNG"))
    np.testing.assert_array_equal(decode(path, AS_IS)[0], PHOTO)
    undecodable = os.path.join(tmp_path, os.fsdecode(b"\xff\xfe.jpg"))
    os.rename(path, undecodable)
    np.testing.assert_array_equal(decode(undecodable, AS_IS)[0], PHOTO)


def test_formats_outside_the_list_are_not_opened():
    for format in ("ICO", "TGA", "PCX", "SGI", "PDF", "ICNS", "DDS"):
        buffer = io.BytesIO()
        Image.fromarray(PHOTO).resize((32, 32)).save(buffer, format)
        with pytest.raises(Unreadable):
            decode(buffer.getvalue(), AS_IS)


def test_ctrl_c_passes_and_lack_of_memory_is_a_reason(monkeypatch):
    data = encode(Image.fromarray(PHOTO), "PNG")

    def fails_with(error):
        def load(self):
            raise error

        return load

    monkeypatch.setattr(Image.Image, "convert", None)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fails_with(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        decode(data, AS_IS)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fails_with(MemoryError))
    with pytest.raises(Unreadable, match="memory"):
        decode(data, AS_IS)


# ---------------------------------------------------------------- warnings


def between_pillows_limits() -> bytes:
    """A header of 90 million pixels: Pillow warns, and decodes."""
    return png(9500, 9500, 1, 0, b"")


def test_pillows_warnings_stay_inside_whatever_the_filters():
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\x7f\xff\xff\xff\0\0\xff\xff"  # more values than the file holds
    data = encode(Image.fromarray(PHOTO), "JPEG", exif=exif)
    with warnings.catch_warnings(record=True) as loud:
        warnings.simplefilter("always")
        with Image.open(io.BytesIO(data)) as image:
            image.getexif()
        with Image.open(io.BytesIO(between_pillows_limits())):
            pass
    assert len(loud) >= 2
    for action in ("always", "error", "default"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            before = list(warnings.filters)
            assert decode(data, AS_IS)[0].shape == (20, 30, 3)
            assert probe(between_pillows_limits()).width == 9500
            assert warnings.filters == before
        assert caught == []


def test_other_threads_keep_their_warnings_while_one_decodes(monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    original = Image.open

    def slow_open(*args, **kwargs):
        inside.set()
        go_on.wait(10)
        warnings.warn("from the decoding thread, not from Pillow")
        return original(*args, **kwargs)

    monkeypatch.setattr(Image, "open", slow_open)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread = threading.Thread(target=decode, args=(encode(Image.fromarray(PHOTO), "PNG"), AS_IS))
        thread.start()
        assert inside.wait(10)
        warnings.warn("from another thread")
        with pytest.warns(Image.DecompressionBombWarning):
            original(io.BytesIO(between_pillows_limits())).close()
        go_on.set()
        thread.join()
    assert {str(w.message) for w in caught} >= {"from another thread", "from the decoding thread, not from Pillow"}


# ---------------------------------------------------------------- headers and the choice of a size


def test_probe_reads_the_header_only(monkeypatch):
    huge = probe(png(50_000, 3_000, 8, 2, b""))
    assert (huge.width, huge.height, huge.format) == (50_000, 3_000, "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    whole = encode(Image.fromarray(PHOTO), "JPEG")
    assert probe(whole[:-100]) == probe(whole)
    assert probe(PHOTO).format == "array"
    assert (probe(PHOTO).width, probe(PHOTO).height, probe(PHOTO).grey) == (30, 20, False)
    assert probe(PHOTO[:, :, 0]).grey


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (Image.new("L", (4, 4)), True),
        (Image.new("1", (4, 4)), True),
        (Image.new("LA", (4, 4)), True),
        (Image.new("I;16", (4, 4)), True),
        (Image.new("RGB", (4, 4)), False),
        (Image.new("RGBA", (4, 4)), False),
        (Image.fromarray(np.tile(PHOTO[:, :, :1], 3)).quantize(16), True),
        (Image.fromarray(PHOTO).quantize(16), False),
    ],
)
def test_grey_is_told_from_the_header(image, grey):
    assert probe(encode(image, "PNG")).grey is grey


def test_sizes_are_chosen_from_sizes():
    def headers(*shapes):
        return [probe(np.zeros(shape, np.uint8)) for shape in shapes]

    assert choose_preprocessing(headers((28, 28), (28, 28))) == Preprocessing(28, 28, "L")
    assert choose_preprocessing(headers((32, 24, 3))) == Preprocessing(32, 24, "RGB")
    assert choose_preprocessing(headers((100, 100, 3), (3024, 3024, 3))) == Preprocessing(64, 64, "RGB")
    assert choose_preprocessing(headers((105, 105), (105, 105))) == Preprocessing(64, 64, "L")
    assert choose_preprocessing(headers((105, 105), (105, 105, 3))) == Preprocessing(64, 64, "RGB")
    assert choose_preprocessing(headers((20, 30), (40, 10))) == Preprocessing(40, 40, "L")
    assert choose_preprocessing(headers((400, 300)), side=96) == Preprocessing(96, 96, "L")
    with pytest.raises(UsageError, match="0 readable headers"):
        choose_preprocessing([])


def test_preprocessing_survives_json():
    import json

    p = Preprocessing(12, 34, "L", "pad", "box", (1, 2, 3), False, 999)
    assert Preprocessing.from_dict(json.loads(json.dumps(p.to_dict()))) == p
    assert Preprocessing.from_dict({"height": 5, "width": 6}) == Preprocessing(5, 6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 0},
        {"height": -3},
        {"height": 2.5},
        {"height": True},
        {"width": "64"},
        {"height": 10**6, "width": 10**6},
        {"mode": "CMYK"},
        {"fit": "squeeze"},
        {"interpolation": "nearest"},
        {"background": [0, 0]},
        {"background": [0, 0, 256]},
        {"background": "white"},
        {"pixel_limit": 0},
        {"draft": 1},
        {"unknown": 1},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(FileError, match="saved preprocessing"):
        Preprocessing.from_dict({"height": 64, "width": 64} | wrong)
    if "unknown" not in wrong:
        with pytest.raises(UsageError):
            Preprocessing(**({"height": 64, "width": 64} | wrong))


def test_a_saved_preprocessing_needs_its_size():
    with pytest.raises(FileError, match="height"):
        Preprocessing.from_dict({"width": 5})
    with pytest.raises(FileError, match="an object"):
        Preprocessing.from_dict([1])  # type: ignore[arg-type]


def test_a_picture_of_one_colour_is_told():
    for shape in ((24, 30, 3), (8, 8, 3)):
        blank = np.full(shape, 200, np.uint8)
        spot = blank.copy()
        spot[3, 4] = 0
        assert decode(blank, Preprocessing(8, 8))[1] == (BLANK,)
        assert decode(spot, Preprocessing(8, 8))[1] == ()
    assert BLANK in decode(encode(Image.new("RGB", (9, 9), (7, 8, 9)), "PNG"), Preprocessing(8, 8))[1]
