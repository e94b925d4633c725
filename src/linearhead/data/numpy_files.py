"""Arrays in files: one .npz, a folder of .npy, or one .npy with its labels beside it. Never unpickled. Or in memory.

Arrays are found by name: inputs as `x`, `images`, `features` …, labels as `y`, `labels` …, either alone or for each
split (`x_train`, `train_images`, `test_labels` …: Keras and MedMNIST files open as they are).
uint8 (n, h, w), (n, h, w, c) or (n, c, h, w) are pictures; (n, d) of any real type are features computed elsewhere.
.npy, and .npz that are not compressed, are mapped into memory and not read.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import DataError, FileError, file_error
from .contract import SPLIT_WORDS, Dataset, Picture, by_name, listed, no_pictures

INPUTS = ("x", "images", "pictures", "imgs", "features", "embeddings", "data")
LABELS = ("y", "labels", "label", "targets", "target")
CLASSES = ("classes", "class_names")
GROUPS = ("groups", "group")
MEMORY = "arrays in memory"  # the source of what came from no file
LOCAL_HEADER = 30  # bytes of a zip member's own header before its name (PKWARE APPNOTE 4.3.7)

Slot = tuple[str, str]  # (role, split): ("x", "train"), ("y", "")


def recognises(path: Path) -> bool:
    """Whether `path` is a .npz, a .npy, or a folder of .npy with inputs and labels among them."""
    if path.is_dir():
        slots = {_slot(file.stem) for file in path.glob("*.npy")}
        return any(slot and slot[0] == "x" for slot in slots) and any(slot and slot[0] == "y" for slot in slots)
    return path.suffix.lower() in (".npz", ".npy") and path.is_file()


def read(path: Path) -> Dataset:
    """Rows of all splits, train first; DataError where inputs and labels do not fit together."""
    return _of_arrays(path, _arrays(path))


def in_memory(arrays: tuple | Mapping) -> Dataset:
    """Rows of (X, y), or of {"x_train": X, "y_train": y, …}: arrays by the names of `read`, or in place of an array of
    pictures a list of files, bytes, arrays or Pillow images of any sizes. DataError where they do not fit together."""
    if isinstance(arrays, tuple):
        if len(arrays) != 2:
            raise DataError(f"A tuple of {len(arrays)} was given as data; (inputs, labels) is needed.")
        arrays = {"x": arrays[0], "y": arrays[1]}
    named = {str(name): value for name, value in arrays.items()}
    if unknown := [name for name in named if not _slot(name)]:
        raise DataError(f"It is not clear what {listed(unknown)} is; known are x, y, x_train, y_test and so on.")
    return _of_arrays(Path(MEMORY), {name: _taken(_slot(name), value) for name, value in named.items()})


def _taken(slot: Slot | None, value: Any) -> np.ndarray:
    return _stack(value) if slot and slot[0] == "x" else np.asarray(value)


def _stack(inputs: Any) -> np.ndarray:
    """An array as it is; a list of pictures as an array of objects, each what `images.decode` takes."""
    if not isinstance(inputs, list | tuple) or not inputs or not _is_picture(inputs[0]):
        return np.asarray(inputs)
    pictures = np.empty(len(inputs), dtype=object)
    for i, one in enumerate(inputs):
        if hasattr(one, "convert"):  # Pillow's
            one = np.asarray(one if one.mode in ("L", "RGB", "RGBA") else one.convert("RGB"))
        pictures[i] = Path(one) if isinstance(one, str) else one
    return pictures


def _is_picture(one: Any) -> bool:
    return (
        hasattr(one, "convert") or isinstance(one, str | bytes | Path) or (isinstance(one, np.ndarray) and one.ndim > 1)
    )


def _of_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> Dataset:
    slots: dict[Slot, np.ndarray] = {}
    for name, array in arrays.items():
        slot = _slot(name)
        if slot and slot in slots:
            raise DataError(
                f"{path} holds two arrays for {' of '.join(filter(None, slot))} (one is '{name}'); keep one."
            )
        if slot:
            slots[slot] = array
    splits = [split for split in ("", "train", "valid", "test") if ("x", split) in slots and ("y", split) in slots]
    if not splits:
        raise DataError(
            f"{path} holds the arrays {_names(path, arrays)}; needed are inputs ({', '.join(INPUTS)}) "
            f"and labels ({', '.join(LABELS)}), alone or each with a split, such as x_train and y_train."
        )
    if len(splits) > 1 and "" in splits:
        raise DataError(f"{path} holds arrays with a split and arrays without; it is not clear which rows are meant.")
    if any(role == "groups" and split not in splits for role, split in slots):
        rows, needed = (
            " and ".join("_".join(filter(None, (role, split))) for split in splits) for role in ("x", "groups")
        )
        raise DataError(f"{path} holds groups, and not by the names of the rows ({rows}); needed is {needed}.")
    return _dataset(path, slots, splits)


def _names(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """The names of all arrays there, read or not, for an error."""
    names = list(arrays)
    if path.suffix.lower() == ".npz" and path.is_file():
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    elif path.is_dir():
        names = [file.stem for file in sorted(path.glob("*.npy"))]
    return listed(names, 10) or "none"


def inputs(path: Path) -> np.ndarray:
    """The inputs alone, of all splits, train first; no labels are needed."""
    if path.suffix.lower() == ".npy":
        return _joined([_inputs(_npy(path), path)], path)
    arrays = _arrays(path)
    slots = {_slot(name): array for name, array in arrays.items()}
    found = [slots["x", split] for split in ("", "train", "valid", "test") if ("x", split) in slots]
    if not found:
        raise DataError(f"{path} holds the arrays {_names(path, arrays)}; needed is one of {', '.join(INPUTS)}.")
    return _joined([_inputs(x, path) for x in found], path)


def _dataset(path: Path, slots: dict[Slot, np.ndarray], splits: list[str]) -> Dataset:
    stacks, names, labels, groups, split_of = [], [], [], [], []
    for split in splits:
        x, y = slots["x", split], _labels(slots["y", split], path, split)
        if len(x) != len(y):
            raise DataError(f"{path}: {len(x)} inputs but {len(y)} labels ({split or 'all'}); one for each is needed.")
        stacks.append(_inputs(x, path))
        names += [f"{split}[{i}]" for i in range(len(y))]
        labels += y
        split_of += [split] * len(y)
        if ("groups", split) in slots:
            groups += [str(group) for group in slots["groups", split].tolist()]
    codes, classes = by_name(_class_names(labels, slots, path))
    features = _joined(stacks, path) if stacks[0].ndim == 2 else None
    starts = np.cumsum([0, *map(len, stacks)])

    def picture(i: int) -> Picture:
        part = int(np.searchsorted(starts, i, side="right")) - 1
        one = stacks[part][i - starts[part]]
        return one if isinstance(one, Path | bytes) else np.asarray(one)

    return Dataset(
        source=str(path),
        reader="numpy",
        names=names,
        labels=codes,
        classes=classes,
        splits=np.array(split_of, dtype="<U5"),
        read=no_pictures if features is not None else picture,
        groups=np.array(groups) if groups else None,
        features=features,
    )


def _slot(name: str) -> Slot | None:
    """What the array `name` is: ("x" | "y" | "classes" | "groups", split), or None."""
    words = name.lower().removesuffix(".npy").replace("-", "_").split("_")
    for role, aliases in (("classes", CLASSES), ("x", INPUTS), ("y", LABELS), ("groups", GROUPS)):
        if "_".join(words) in aliases:
            return role, ""
        for word, rest in ((words[0], words[1:]), (words[-1], words[:-1])):  # train_x, x_train
            if word in SPLIT_WORDS and "_".join(rest) in aliases:
                return role, SPLIT_WORDS[word]
    return None


def _inputs(x: np.ndarray, path: Path) -> np.ndarray:
    """(n, h, w), (n, h, w, c) uint8 or (n, d) real; channels that come first are moved last."""
    if (x.ndim == 2 and x.dtype.kind in "fiub") or (
        x.ndim == 1 and x.dtype == object
    ):  # objects: from `in_memory` alone
        return x
    if x.ndim == 4 and x.shape[-1] > 4 and x.shape[1] <= 4:
        x = np.moveaxis(x, 1, -1)
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and not 1 <= x.shape[-1] <= 4):
        raise DataError(
            f"{path}: the inputs are {x.dtype} of shape {x.shape}. Needed: pictures, uint8 of shape (n, height, width) "
            "or (n, height, width, 1 to 4), values 0 to 255; or features, numbers of shape (n, d)."
        )
    return x


def _joined(stacks: list[np.ndarray], path: Path) -> np.ndarray:
    """One array is left where it is, in the file; more are copied into one."""
    widths = {stack.shape[1:] for stack in stacks}
    if len(widths) > 1 or any(stack.ndim != 2 for stack in stacks):
        raise DataError(f"{path}: the splits' features have different shapes {sorted(widths)}; one width is needed.")
    return stacks[0] if len(stacks) == 1 else np.concatenate(stacks)


def _is_missing(label: Any) -> bool:
    """Whether a label is none: blank, None, or not a number."""
    if isinstance(label, str | bytes):
        return not label.strip()
    return label is None or (isinstance(label, float) and math.isnan(label))


def _labels(y: np.ndarray, path: Path, split: str) -> list[str]:
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:  # as MedMNIST has them
        y = y[:, 0]
    if y.dtype == object and all(isinstance(label, str | int | np.integer) for label in y.flat):
        y = np.array([str(label) for label in y.flat]).reshape(y.shape)  # as pandas has names
    if y.ndim == 1 and len(missing := np.flatnonzero([_is_missing(label) for label in y.tolist()])):
        places = listed([f"{split}[{row}]" for row in missing])
        raise DataError(
            f"{path}: {len(missing)} of {len(y)} {f'{split} ' if split else ''}labels are empty, those of {places}; "
            "each row needs one. Give them their class, or leave these rows out of inputs and labels."
        )
    whole = y.dtype.kind in "iuUSb" or (
        y.dtype.kind == "f" and bool(np.all(np.isfinite(y)) and np.all(y == np.rint(y)))
    )
    if y.ndim != 1 or not whole:
        raise DataError(
            f"{path}: the labels are {y.dtype} of shape {y.shape}; one whole number or one name per row, shape (n,), "
            "is needed. One-hot rows become numbers by argmax(axis=1)."
        )
    if y.dtype.kind == "S":
        return [label.decode("utf-8", "replace") for label in y.tolist()]
    return [str(label) for label in (y.astype(np.int64) if y.dtype.kind == "f" else y).tolist()]


def _class_names(labels: list[str], slots: dict[Slot, np.ndarray], path: Path) -> list[str]:
    """Labels by name where the file names its classes and its labels are numbers."""
    if ("classes", "") not in slots:
        return labels
    names = [str(name) for name in slots["classes", ""].tolist()]
    if set(labels) <= set(names):
        return labels
    beyond = next((label for label in labels if not (label.isdecimal() and int(label) < len(names))), None)
    if beyond is not None:
        raise DataError(f"{path} names {len(names)} classes, but has labels beyond them, such as {beyond}.")
    return [names[int(label)] for label in labels]


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    if path.is_dir():
        return {file.stem: _npy(file) for file in sorted(path.glob("*.npy")) if _slot(file.stem)}
    if path.suffix.lower() == ".npz":
        return _npz(path)
    beside = [
        path.with_name(name)
        for alias in LABELS
        for name in (f"{path.stem}_{alias}.npy", f"{alias}.npy", f"{path.stem}_{alias}.txt", f"{alias}.txt")
    ]
    found = next((file for file in beside if file.is_file() and file != path), None)
    if found is None:
        raise DataError(
            f"{path} has no labels beside it; needed is one of {listed([file.name for file in beside[:4]])} in "
            f"{path.parent}: an array of shape (n,), or a text file with one label per line."
        )
    return {"x": _npy(path), "y": _npy(found) if found.suffix == ".npy" else _lines(found)}


def _lines(file: Path) -> np.ndarray:
    try:
        return np.array([line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip()])
    except OSError as error:
        raise file_error("read", file, error) from error
    except UnicodeDecodeError as error:
        raise FileError(f"{file} cannot be read: {error}. Save it as text in UTF-8, one label a line.") from error


def _npy(file: Path) -> np.ndarray:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an .npz by another name")
        return array
    except (OSError, ValueError, EOFError) as error:
        raise FileError(_damaged(file, error)) from error


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy") and _slot(m.filename)]
            return {m.filename.removesuffix(".npy"): _member(archive, m, raw, path) for m in members}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(_damaged(path, error)) from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, raw: BinaryIO, path: Path) -> np.ndarray:
    """One array of a .npz: mapped where it lies uncompressed, else read (and its checksum compared)."""
    if member.compress_type == zipfile.ZIP_STORED:
        raw.seek(member.header_offset)
        header = raw.read(LOCAL_HEADER)
        raw.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
        version = np.lib.format.read_magic(raw)
        if version in ((1, 0), (2, 0)):
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read_header(raw)
            # what is empty cannot be mapped; objects are refused below
            if not dtype.hasobject and 0 not in shape:
                return np.memmap(path, dtype, "r", raw.tell(), shape, "F" if fortran else "C")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _damaged(path: Path, error: Exception) -> str:
    objects = "allow_pickle" in str(error) or "Python objects" in str(error)
    why = "it holds Python objects, which are programs and not loaded" if objects else str(error).rstrip(".")
    return (
        f"{path} cannot be read as NumPy data: {why}. Needed: .npy or .npz with plain numbers, or names as text "
        "(y.astype(str)); save it again."
    )
