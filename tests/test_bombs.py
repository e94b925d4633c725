"""Files that only keep busy whoever reads them are refused before a decoder sees them; rich pictures are read."""

import time

import numpy as np
import pytest

from bombs import BOMBS, chunk, zeros
from linearhead.images import Preprocessing, Unreadable, decode

LOOKS = Preprocessing(24, 30)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a million chunks", "a PNG file of more than 100000 parts"),
        ("pixels in chunks of a byte", "a PNG file of more than 100000 parts"),
        ("JPEG of a thousand scans", r"a JPEG file of \d{4} scans, each of which goes over its 64000000 pixels"),
        ("JPEG of 18 MB of filling", "a JPEG file of more than 100000 parts"),
        ("JPEG of four million empty comments", "a JPEG file of more than 100000 parts"),
        ("GIF of stray bytes", "a GIF file of more than 300000 parts"),
        ("GIF of comments of a byte", "a GIF file of more than 300000 parts"),
        ("GIF of data of a byte", "a GIF file of more than 300000 parts"),
        ("TIFF of two million strips", "a TIFF file of more than 100000 parts"),
        ("TIFF of three million pages", "a TIFF file of more than 10000 parts"),
    ],
)
def test_lists_without_end_are_refused_at_once(name, why):
    data, begin = BOMBS[name](), time.process_time()
    with pytest.raises(Unreadable, match=why):
        decode(data, LOOKS)
    assert time.process_time() - begin < 1.5  # 2 to 110 seconds where they are read


def test_pictures_of_many_parts_are_read():
    """A PNG in 50 000 pieces; progressive JPEGs of large pictures have ten scans."""
    rows = zeros(500 * 1501, 0)
    rows += bytes(50_000 - len(rows))
    pieces = b"".join(chunk(b"IDAT", rows[i : i + 1]) for i in range(len(rows)))
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes([0, 0, 1, 244, 0, 0, 1, 244, 8, 2, 0, 0, 0]))
    assert np.array_equal(decode(head + pieces + chunk(b"IEND", b""), LOOKS)[0], np.zeros((24, 30, 3), np.uint8))
    assert decode(BOMBS["JPEG of 64 megapixels, progressive"](), LOOKS)[0].shape == (24, 30, 3)


def test_there_are_sixty_kinds_below_the_limit_of_a_body():
    assert len(BOMBS) >= 60
