"""Arrays in a file: a safetensors container with one JSON header, read by NumPy alone. Nothing in it can run.

bytes 0…7    N, the length of the next part, little-endian
N bytes      {"__metadata__": {"linearhead": TEXT}, "coef": {"dtype": "F64", "shape": […], "data_offsets": […]}, …}
the rest     the tensors, end to end, little-endian, those of the widest type first

TEXT is JSON. It begins with the SHA-256 of all bytes before the tensors (its own 64 digits counted as zeros), which
is checked before any JSON is parsed; then comes the SHA-256 of the tensors. So one flipped bit anywhere is found.
Neither says who wrote the file, so what a header claims is checked as well. Later formats keep this beginning and
raise the number in "format". Any program that reads safetensors reads the tensors. Models and stored features are such
files; `peek` and `mapped` use one that is larger than memory.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from . import __version__
from .errors import DataError
from .files import sha256, write_atomic

FORMAT = 2  # 2 may hold what is usual ("novelty.…" tensors), 1 does not
HEADER_LIMIT = 1 << 24  # bytes; 20 000 class names take 1 MB, and parsed JSON takes up to 30 times its text
DEPTH_LIMIT = 64  # objects and lists within each other
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "U8": "|u1"}
_START = b'{"__metadata__":{"linearhead":"{\\"header_sha256\\":\\"'
_DIGEST = slice(8 + len(_START), 8 + len(_START) + 64)
_ZEROS = "0" * 64

_FOREIGN = {
    rb"\x89PNG": "a PNG picture",
    rb"\xff\xd8\xff": "a JPEG picture",
    rb"GIF8": "a GIF picture",
    rb"RIFF....WEBP": "a WebP picture",
    rb"\x89HDF": "an HDF5 file, as Keras writes it",
    rb"\x93NUMPY": "a NumPy array",
    rb"PK\x03\x04": "a zip archive, as PyTorch, Keras and NumPy write it",
    rb"\x1f\x8b": "a gzip archive",
    rb"%PDF": "a PDF",
    rb"\x7fELF": "a program",
    rb"\s*<(!|html|\?xml)": "a web page or XML file",
    rb"\x80[\x02-\x05]": "a Python pickle, which can run code when opened and is never opened here",
    rb"\s*[{\[]": "a JSON text",
}


class Refused(Exception):
    """Why a file is not used as a model: the rest of a sentence that begins with its path, and what to do."""

    def __init__(self, what: str, remedy: str = "Restore it from a copy, or train again.") -> None:
        super().__init__(f"{what}. {remedy}")
        self.what = what


class Place(NamedTuple):
    """Where a tensor lies in the payload, in bytes, and what its bytes mean."""

    begin: int
    end: int
    shape: list[int]
    dtype: np.dtype


# ---- writing ----


def write(path: str | os.PathLike[str], info: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Writes `info` (plain JSON) and `tensors`, whole or not at all; equal content gives equal bytes.

    DataError: not plain JSON, or a type of number that a model file does not hold. FileError: no space, …
    """
    plain = {name: _little_endian(name, array) for name, array in tensors.items()}
    ordered = dict(sorted(plain.items(), key=lambda item: (-item[1].itemsize, item[0])))
    header = _encode(info, ordered)

    def fill(file: BinaryIO) -> None:
        file.write(header)
        for array in ordered.values():
            file.write(array.data)

    write_atomic(path, fill)


def _little_endian(name: str, array: Any) -> np.ndarray:
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in DTYPES.values() or not array.size:
        raise DataError(f"{name} is {array.dtype} {array.shape}; a model file holds float64, float32, float16, uint8.")
    return np.asarray(array, dtype=dtype, order="C")


def _encode(info: dict[str, Any], tensors: dict[str, np.ndarray]) -> bytes:
    """The bytes before the tensors."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    payload, table, end = hashlib.sha256(), {}, 0
    for name, array in tensors.items():
        payload.update(array.data)
        begin, end = end, end + array.nbytes
        table[name] = {"dtype": names[array.dtype.str], "shape": list(array.shape), "data_offsets": [begin, end]}
    digests = {"header_sha256": _ZEROS, "payload_sha256": payload.hexdigest()}
    try:
        text = _compact({**digests, "format": FORMAT, "version": __version__, **info})
        encoded = _compact({"__metadata__": {"linearhead": text}, **table}).encode()
        _parse(encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"What should be written into the model file's header is not plain JSON: {error}.") from error
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > HEADER_LIMIT:
        raise DataError(f"The model's class names and facts take {len(encoded)} bytes; at most {HEADER_LIMIT} fit.")
    header = len(encoded).to_bytes(8, "little") + encoded
    return header[: _DIGEST.start] + sha256(header).encode() + header[_DIGEST.stop :]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


# ---- reading ----


class Head(NamedTuple):
    """What a checked header says: the info, where the tensors are, and the SHA-256 that their bytes should have."""

    info: dict[str, Any]
    table: dict[str, Place]
    start: int  # of the tensors in the file, in bytes
    payload_sha256: str

    @property
    def wanted(self) -> int:
        """Bytes of all tensors."""
        return max((place.end for place in self.table.values()), default=0)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The info and the tensors of a file whose every byte has been checked; Refused, or OSError, for any other."""
    _require_file(path)
    with open(path, "rb") as file:
        head = _head(file)
        payload = _read_payload(file, head.wanted)
    return head.info, _checked(payload, head)


def peek(path: str | os.PathLike[str]) -> Head:
    """The header alone, checked; the tensors are not read, only their length. Refused, or OSError."""
    _require_file(path)
    with open(path, "rb") as file:
        return _head(file)


def mapped(path: str | os.PathLike[str], head: Head) -> dict[str, np.ndarray]:
    """The tensors of a file that was peeked at: checked, and left where they are. Refused, or OSError."""
    if not head.wanted:
        return {}
    try:
        payload = np.memmap(path, np.uint8, "r", head.start, (head.wanted,))
    except ValueError as error:  # it cannot map what is not there
        raise Refused("became shorter after its header was read") from error
    return _checked(payload, head)


def _require_file(path: str | os.PathLike[str]) -> None:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise Refused("is a folder, not a model file", f"Name the file in it: {Path(path, 'model.safetensors')}.")
    if not stat.S_ISREG(mode):
        raise Refused("is a device or a pipe, not a model file", "Name a file.")


def _head(file: BinaryIO) -> Head:
    size = os.fstat(file.fileno()).st_size
    header = _read_header(file, size)
    try:
        info, table = _parse(header[8:])
    except ValueError as error:
        raise Refused(f"has an unusable header: {error}") from error
    head = Head(info, table, len(header), info["payload_sha256"])
    if (found := size - len(header)) != head.wanted:
        what = "is cut off" if found < head.wanted else "is too long"
        raise Refused(f"{what}: its tensors take {head.wanted} bytes, and {found} are there")
    for name in ("header_sha256", "payload_sha256", "format"):
        del info[name]
    return head


def _checked(payload: np.ndarray, head: Head) -> dict[str, np.ndarray]:
    """The tensors within these bytes, if the bytes are those that were written."""
    if sha256(payload.data) != head.payload_sha256:
        raise Refused("is damaged: its tensors do not match their SHA-256")
    return {name: _tensor(payload, place) for name, place in head.table.items()}


def _read_header(file: BinaryIO, size: int) -> bytes:
    """The 8 + N bytes before the tensors, if they are a linearhead header that matches its own SHA-256."""
    start = file.read(8 + len(_START))
    if not start:
        raise Refused("is empty (0 bytes), not a model file")
    if not start.endswith(_START):
        if _START.startswith(start[8:]):
            raise Refused(f"is cut off, or no model file: it has {size} bytes only")
        raise Refused(f"is {_kind(start)}, not a model of linearhead", "Name the model.safetensors of a run folder.")
    length = int.from_bytes(start[:8], "little")
    if not len(_START) + 64 < length <= HEADER_LIMIT:
        raise Refused(f"is damaged: its header claims to be {length} bytes long, and at most {HEADER_LIMIT} can be")
    header = start + file.read(8 + length - len(start))
    if len(header) < 8 + length:
        raise Refused(f"is cut off: its header takes {8 + length} bytes, and {size} are there")
    if sha256(header[: _DIGEST.start] + _ZEROS.encode() + header[_DIGEST.stop :]).encode() != header[_DIGEST]:
        raise Refused("is damaged: its header does not match its SHA-256")
    return header


def _kind(start: bytes) -> str:
    """What a file without our header is, from its first bytes."""
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= HEADER_LIMIT:
        return "a safetensors file of another program, or damaged"
    return next((kind for magic, kind in _FOREIGN.items() if re.match(magic, start, re.DOTALL)), "some other file")


def _read_payload(file: BinaryIO, size: int) -> np.ndarray:
    try:
        payload = np.empty(size, dtype=np.uint8)
    except MemoryError as error:
        raise Refused(f"needs {size} bytes of memory, more than there are", "Close other programs.") from error
    if file.readinto(payload.data) != size:  # type: ignore[attr-defined]
        raise Refused("became shorter while it was read", "Try again.")
    return payload


def _parse(text: bytes) -> tuple[dict[str, Any], dict[str, Place]]:
    """What TEXT says and where the tensors are; ValueError with what is wrong, Refused for a newer format."""
    table = _strict_json(text.decode("ascii"))
    metadata = table.pop("__metadata__")
    if set(metadata) != {"linearhead"}:
        raise ValueError("its metadata have other entries than linearhead's")
    info = _strict_json(metadata["linearhead"])
    number = info.get("format")
    if type(number) is not int or number < 1:
        raise ValueError("its format number is missing or none")
    if number > FORMAT:
        by = str(info.get("version"))[:20]
        raise Refused(
            f"was written in model format {number} by linearhead {by!r}, newer than format {FORMAT}, which is all that "
            f"linearhead {__version__} reads",
            "Upgrade linearhead.",
        )
    if not isinstance(info.get("payload_sha256"), str):
        raise ValueError("the SHA-256 of its tensors is missing")
    return info, _places(table)


def _places(table: dict[str, Any]) -> dict[str, Place]:
    """Tensors end to end from byte 0, of known types, each as long as its shape says; ValueError otherwise."""
    places, end = {}, 0
    for name, entry in table.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"tensor {name[:80]!r} is not described by dtype, shape and data_offsets")
        kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(kind, str) or kind not in DTYPES:
            raise ValueError(f"tensor {name[:80]!r} has type {str(kind)[:80]}; allowed are {', '.join(DTYPES)}")
        if not (_whole_numbers(shape, 1) and len(shape) <= 8 and _whole_numbers(offsets, 0)):
            raise ValueError(f"tensor {name[:80]!r} has shape {str(shape)[:80]} and offsets {str(offsets)[:80]}")
        dtype = np.dtype(DTYPES[kind])
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        if offsets != [begin, end] or begin % dtype.itemsize:
            raise ValueError(f"tensor {name[:80]!r} should lie at {[begin, end]}; its offsets are {str(offsets)[:80]}")
        places[name] = Place(begin, end, shape, dtype)
    return places


def _whole_numbers(value: Any, least: int) -> bool:
    return isinstance(value, list) and all(type(item) is int and least <= item < 1 << 50 for item in value)


def _tensor(payload: np.ndarray, place: Place) -> np.ndarray:
    array = payload[place.begin : place.end].view(place.dtype).reshape(place.shape)
    return array.astype(place.dtype.newbyteorder("="), copy=False)


def _strict_json(text: str) -> Any:
    """JSON without the liberties of Python's reader: no name twice, no NaN or infinity, no towers; ValueError."""
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite, parse_int=_short
        )
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"its JSON cannot be read ({error})") from error
    _check_depth(value, DEPTH_LIMIT)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("its JSON has an entry twice")
    return entries


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"its JSON has the number {digits[:80]}")
    return number


def _short(digits: str) -> int:
    if len(digits) > 100:
        raise ValueError(f"its JSON has a number of {len(digits)} digits")
    return int(digits)


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, (dict, list)):
        if not left:
            raise ValueError(f"its entries are nested more than {DEPTH_LIMIT} deep")
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, left - 1)
