"""IDX, the format of MNIST and Fashion-MNIST: big-endian, gzipped or not, with an official train/test split.

magic: 0, 0, type (0x08 = uint8), number of dimensions; then each dimension as uint32; then the values.
Files come in pairs, `train-images-idx3-ubyte[.gz]` and `train-labels-idx1-ubyte[.gz]`, and `t10k-…` for the test set;
under other names they are told by their first bytes.
(LeCun, Cortes, Burges: The MNIST database of handwritten digits.)
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..errors import DataError, FileError, file_error
from .contract import Dataset, by_name, listed

IMAGES = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test)-images[-.]idx[34]-ubyte(\.gz)?$")
SPLIT_OF = {"train": "train", "t10k": "test", "test": "test"}
SPLIT_WORD = re.compile(r"(?<![a-z])(train|t10k|test)(?![a-z])", re.IGNORECASE)
LOOKED_AT = 64  # entries of a folder whose first bytes are read
UINT8 = 0x08
PIECE = 64 * 2**20  # bytes read at once
GZIP_MAGIC = b"\x1f\x8b"


class _Pair(NamedTuple):
    set: str  # what stands before "train" in the names: "" or, say, "emnist-letters-"
    part: str  # "train" or "test"
    images: Path
    labels: Path


def recognises(path: Path) -> bool:
    """Whether `path` is an IDX pictures file or a folder with one."""
    return bool(_pairs(path))


def read(path: Path) -> Dataset:
    """All pictures of the train and test files in the folder `path` (or of the one file), in their order."""
    pairs = _pairs(path)
    if not pairs:
        raise FileError(
            f"{path} holds no IDX files; train-images-idx3-ubyte and train-labels-idx1-ubyte, gzipped or not, are "
            "needed. Give the folder that holds them or the images file."
        )
    sets = sorted({pair.set for pair in pairs})
    if len(sets) > 1:
        raise DataError(
            f"{path} holds {len(sets)} IDX data sets ({listed(sets)}), and one is needed. Give the images file of "
            f"the one you mean, such as {pairs[0].images}, or put each set into a folder of its own."
        )
    pictures, names, labels, splits = [], [], [], []
    for _, part, images, truth in pairs:
        stack, y = read_images(images), read_labels(truth)
        if len(stack) != len(y):
            raise DataError(
                f"{images.name} holds {len(stack)} pictures but {truth.name} {len(y)} labels; one label for each "
                "picture is needed, so these two files do not belong together. Fetch the pair again from one place."
            )
        pictures.append(stack)
        names += [f"{part}[{i}]" for i in range(len(y))]
        labels.append(y)
        splits += [part] * len(y)
    return _dataset(path, pictures, names, np.concatenate(labels), splits)


def read_images(path: Path) -> np.ndarray:
    """(n, h, w) or (n, h, w, c) uint8."""
    return _values(path, (3, 4), "pictures")


def read_labels(path: Path) -> np.ndarray:
    """(n,) uint8."""
    return _values(path, (1,), "labels")


def _pairs(path: Path) -> list[_Pair]:
    """The pairs of files at `path`, train first; of a plain and a gzipped file of one name the plain one."""
    if path.is_dir():
        files = sorted(entry for entry in path.iterdir() if IMAGES.match(entry.name) and entry.is_file())
    else:
        files = [path] if path.is_file() else []
    pairs: dict[tuple[str, str], _Pair] = {}
    for images in files:  # sorted: "…-ubyte" comes before "…-ubyte.gz"
        if match := IMAGES.match(images.name):
            key = match["set"], SPLIT_OF[match["part"]]
            pairs.setdefault(key, _Pair(*key, images, _labels_beside(images)))
    return [pairs[key] for key in sorted(pairs, key=lambda key: (key[0], key[1] != "train"))] or _told_by_content(path)


def _told_by_content(path: Path) -> list[_Pair]:
    """Of a folder of files that go by other names: what their first bytes say, paired by the split's word in the names,
    or the only pair there is."""
    found: dict[tuple[str, bool], list[Path]] = {}
    for entry in sorted(path.iterdir())[:LOOKED_AT] if path.is_dir() else ():
        dimensions, word = _dimensions(entry), SPLIT_WORD.search(entry.name)
        if dimensions in (1, 3, 4):
            part = SPLIT_OF[word[1].lower()] if word else ""
            found.setdefault((part, dimensions > 1), []).append(entry)
    pairs = []
    for part in ("train", "test", ""):
        images, labels = found.get((part, True), []), found.get((part, False), [])
        if len(images) == len(labels) == 1 and (part or not pairs):
            pairs.append(_Pair("", part, images[0], labels[0]))
    return pairs


def _dimensions(path: Path) -> int:
    """How many an IDX file of bytes has, gzipped or not; 0 for any other entry."""
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            if head[:2] == GZIP_MAGIC:
                head = gzip.GzipFile(fileobj=raw).read(4)
    except (OSError, EOFError, zlib.error):
        return 0
    return head[3] if len(head) == 4 and head[:3] == bytes((0, 0, UINT8)) else 0


def _labels_beside(images: Path) -> Path:
    """The labels file that belongs to an images file, gzipped or not."""
    plain = re.sub(r"-images([-.])idx[34]-ubyte(\.gz)?$", r"-labels\1idx1-ubyte", images.name)
    for name in (plain, plain + ".gz"):
        if (images.parent / name).is_file():
            return images.parent / name
    return images.parent / plain


def _values(path: Path, dimensions: tuple[int, ...], what: str) -> np.ndarray:
    try:
        with path.open("rb") as raw:
            gzipped = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            with gzip.open(raw) if gzipped else raw as file:
                return _parsed(file, path, dimensions, what)  # pyright: ignore[reportArgumentType]
    except FileNotFoundError as error:
        raise FileError(
            f"{path} is missing; it has to lie beside its pair. Fetch it from where the other is."
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{path} is a damaged or cut-off gzip file ({error}). Fetch it again.") from error
    except FileError:
        raise
    except OSError as error:
        raise file_error("read", path, error) from error


def _parsed(file: BinaryIO, path: Path, dimensions: tuple[int, ...], what: str) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != UINT8 or head[3] not in dimensions:
        needed = " or ".join(f"00 00 08 {d:02x}" for d in dimensions)
        raise FileError(
            f"{path} is no IDX file of {what}: it begins with {head.hex(' ') or 'nothing'}, and {needed} is needed "
            "(unsigned bytes, that many dimensions). Fetch it again, or check whether pictures and labels are swapped."
        )
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise FileError(f"{path} was cut off inside its header. Fetch it again.")
    shape = struct.unpack(f">{head[3]}I", sizes)
    expected = math.prod(shape)
    data = _read_at_most(file, expected + 1)  # one more: sees what is too much, and has gzip compare its checksum
    if len(data) != expected:
        found = f"only {len(data)}" if len(data) < expected else "more"
        raise FileError(
            f"{path} does not fit its header: {' x '.join(map(str, shape))} = {expected} bytes of {what} announced, "
            f"{found} found. Fetch it again."
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_at_most(file: BinaryIO, n: int) -> bytes:
    """As `file.read(n)`, but takes no more memory than there are data, whatever a broken header promises."""
    pieces, wanted = [], n
    while wanted and (piece := file.read(min(wanted, PIECE))):
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)


def _dataset(path: Path, stacks: list[np.ndarray], names: list[str], y: np.ndarray, splits: list[str]) -> Dataset:
    starts = np.cumsum([0, *map(len, stacks)])
    labels, classes = by_name([str(v) for v in y])

    def picture(i: int) -> np.ndarray:
        part = int(np.searchsorted(starts, i, side="right")) - 1
        return stacks[part][i - starts[part]]

    return Dataset(str(path), "idx", names, labels, classes, np.array(splits, dtype="<U5"), picture)
