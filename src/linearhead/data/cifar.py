"""CIFAR-10 and CIFAR-100 as their authors give them: the binary version and the Python version.

Binary: records of 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine) label bytes and 3072 bytes R, G, B, each 32 × 32.
Python: pickles of {data: (n, 3072) uint8, labels or fine_labels: list}. A pickle is a program; these are read with an
unpickler to which nothing exists but stand-ins for NumPy's array constructors, so whatever else one asks for is refused
before anything of it runs. (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.)
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, explained
from .contract import Dataset, by_name

SIDE, CHANNELS = 32, 3
PIXELS = SIDE * SIDE * CHANNELS
MOST_BYTES = 2**30  # of one file; the largest real one has 155 MB
PROTO = 0x80  # the first byte of a pickle that says its protocol, which is the second
MOST_MEMOS = 10_000_000  # a pickle may number its objects as it likes; the number is also how much memory it takes


@dataclass(frozen=True)
class _Form:
    """One published version: files of both splits, and where class names are."""

    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int  # 0: a pickle


BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
FORMS = (
    _Form(tuple(f"{name}.bin" for name in BATCHES), "test_batch.bin", "batches.meta.txt", 1),
    _Form(("train.bin",), "test.bin", "fine_label_names.txt", 2),
    _Form(BATCHES, "test_batch", "batches.meta", 0),
    _Form(("train",), "test", "meta", 0),
)


def recognises(path: Path) -> bool:
    """Whether `path` is a folder with the files of one of the four versions."""
    return _form(path) is not None


def read(path: Path) -> Dataset:
    """50 000 training and 10 000 test pictures (or what of them is there), by class name."""
    form = _form(path)
    if form is None:
        raise FileError(
            f"{path} holds no CIFAR files; {FORMS[0].train[0]}, {FORMS[1].train[0]} (binary version), "
            f"{FORMS[2].train[0]} or {FORMS[3].train[0]} (Python version) is needed. Give the folder that holds them, "
            "under the names that the archive gave them."
        )
    stacks, numbers, splits, names = [], [], [], []
    for split, files in (("train", form.train), ("test", (form.test,))):
        count = 0
        for file in (path / name for name in files if (path / name).is_file()):
            pictures, labels = _binary(file, form.label_bytes) if form.label_bytes else _pickled(file)
            stacks.append(pictures)
            numbers += labels.tolist()
            names += [f"{split}[{count + i}]" for i in range(len(labels))]
            count += len(labels)
        splits += [split] * count
    stack = np.concatenate(stacks)
    labels, classes = by_name(_named(numbers, _class_names(path / form.names, form), path / form.names))
    return Dataset(
        str(path), "cifar", names, labels, classes, np.array(splits, dtype="<U5"), lambda i: _upright(stack[i])
    )


def _form(path: Path) -> _Form | None:
    if not path.is_dir():
        return None
    for form in FORMS:
        there = [path / name for name in (*form.train, form.test) if (path / name).is_file()]
        # the pickles of CIFAR-100 are called train and test, as much else is: their meta file decides, or what they are
        if there and (form.train != ("train",) or (path / form.names).is_file() or all(map(_begins, there))):
            return form
    return None


def _begins(file: Path) -> bool:
    """Whether a file begins as a pickle of protocol 2 or later does."""
    try:
        with file.open("rb") as opened:
            head = opened.read(2)
    except OSError:
        return False
    return len(head) == 2 and head[0] == PROTO and head[1] in range(2, 6)


def _upright(row: np.ndarray) -> np.ndarray:
    """(3072,) planes → (32, 32, 3)."""
    return row.reshape(CHANNELS, SIDE, SIDE).transpose(1, 2, 0)


def _bytes(file: Path) -> bytes:
    with explained("read", file):
        if file.stat().st_size > MOST_BYTES:
            raise FileError(
                f"{file} has {file.stat().st_size} bytes, more than any CIFAR file (at most {MOST_BYTES} are read); it "
                "is something else. Move it out of the folder, or name the form of the data with --reader."
            )
        return file.read_bytes()


def _binary(file: Path, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    data = np.frombuffer(_bytes(file), dtype=np.uint8)
    record = label_bytes + PIXELS
    if len(data) == 0 or len(data) % record:
        raise FileError(
            f"{file} has {len(data)} bytes, but a whole number of records of {record} is needed; "
            "it was cut off or is no CIFAR file. Fetch it again."
        )
    data = data.reshape(-1, record)
    return data[:, label_bytes:], data[:, label_bytes - 1]  # the last label byte is the fine one


def _pickled(file: Path) -> tuple[np.ndarray, np.ndarray]:
    content = _unpickled(file)
    labels = content.get("fine_labels", content.get("labels"))
    data = content.get("data")
    if (
        not isinstance(data, np.ndarray)
        or data.ndim != 2
        or data.shape[1] != PIXELS
        or data.dtype != np.uint8
        or not isinstance(labels, list)
        or len(labels) != len(data)
        or not all(isinstance(label, int) and 0 <= label < 1000 for label in labels)
    ):
        raise FileError(
            f"{file} is a pickle but no CIFAR batch: {PIXELS} bytes and one label per picture are needed. "
            "Fetch it again, or name the form of the data with --reader."
        )
    return data, np.array(labels, dtype=np.int64)


def _class_names(file: Path, form: _Form) -> list[str] | None:
    if not file.is_file():
        return None
    if form.label_bytes:
        return [line.strip() for line in _bytes(file).decode("utf-8", "replace").splitlines() if line.strip()]
    content = _unpickled(file)
    names = content.get("fine_label_names", content.get("label_names"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FileError(f"{file} holds no list of class names. Fetch it again, or remove it to have classes by number.")
    return names


def _named(numbers: list[int], names: list[str] | None, file: Path) -> list[str]:
    if names is None or not numbers:
        return [str(number) for number in numbers]
    if max(numbers) >= len(names):
        raise FileError(
            f"{file} names {len(names)} classes, but the pictures have the label {max(numbers)}. "
            "Fetch it again, or remove it to have classes by number."
        )
    return [names[number] for number in numbers]


# ---------------------------------------------------------------- pickles without power


class _Array:
    """What NumPy's array constructor would make, as data only; turned into an array when its state is known."""

    array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.array = _to_array(data, dtype, shape, "F" if fortran else "C")


class _Dtype:
    """The name of an element type; only plain numbers of one byte order are let through."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = _as_text(name)
        if self.name not in ("u1", "|u1", "uint8"):
            raise FileError(f"an array of '{self.name}', where bytes (u1) are needed")

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment: nothing of interest in single bytes."""


class _ArrayType:
    """Stands for `numpy.ndarray`, which is only ever an argument."""


def _to_array(data: Any, dtype: Any, shape: Any, order: str, *_: Any) -> np.ndarray:
    if isinstance(data, str):  # Python 2 wrote bytes as text
        data = data.encode("latin-1")
    if not isinstance(dtype, _Dtype) or not isinstance(data, (bytes, bytearray)) or not isinstance(shape, tuple):
        raise FileError("an array that is not made of bytes and a shape")
    return np.frombuffer(bytes(data), dtype=np.uint8).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes into pickles that Python 2 can read."""
    return str(text).encode("latin-1")


def _as_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


ALLOWED: dict[tuple[str, str], Any] = {
    **{
        (f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array()
        for core in ("core", "_core")
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _to_array for core in ("core", "_core")},
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}  # fmt: skip


def _unpickled(file: Path) -> dict[str, Any]:
    """The pickle's dictionary with text keys; FileError for whatever asks for more than arrays and containers."""
    import pickle

    class Powerless(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in ALLOWED:
                raise FileError(f"it asks for {module}.{name}, which data do not need: it is a program, not a data set")
            return ALLOWED[module, name]

    data = _bytes(file)
    try:
        _check_opcodes(data)
        content = Powerless(io.BytesIO(data), encoding="latin1").load()
        return {_as_text(key): _plain(value) for key, value in content.items()}
    except MemoryError:
        raise
    except Exception as error:  # a hostile pickle can provoke any of them
        raise FileError(f"{file} cannot be read as a CIFAR pickle: {error}. Fetch it again from its source.") from error


def _check_opcodes(data: bytes) -> None:
    """Reads the pickle as a list of instructions, running none."""
    import pickletools

    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > MOST_MEMOS:
            raise FileError(f"it numbers an object {argument}, which would take the memory of as many")
        if opcode.name in ("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"):
            raise FileError(f"it holds the instruction {opcode.name}, which data do not need")


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, list):
        return [_as_text(v) if isinstance(v, (bytes, str)) else v for v in value]
    return value
