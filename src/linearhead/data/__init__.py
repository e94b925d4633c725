"""Readers: name → function from a path to a `Dataset`. A new reader costs one file and one line here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, FileError, UsageError, file_error
from . import cifar, folder, idx, manifest, numpy_files, parquet, webdataset
from .contract import Dataset, listed
from .split import split

Data = str | os.PathLike[str] | tuple | Mapping  # what data are given as


class Reader(NamedTuple):
    recognises: Callable[[Path], bool]  # from the content, without reading it all
    read: Callable[[Path], Dataset]
    what: str  # for people


# in the order in which they are asked; a folder of pictures is what is left when no other knows the path
READERS: dict[str, Reader] = {
    "idx": Reader(idx.recognises, idx.read, "IDX files (MNIST, Fashion-MNIST), gzipped or not"),
    "cifar": Reader(cifar.recognises, cifar.read, "CIFAR-10 and CIFAR-100, binary or Python version"),
    "manifest": Reader(manifest.recognises, manifest.read, "CSV or JSON with file_name and label"),
    "numpy": Reader(numpy_files.recognises, numpy_files.read, ".npz or .npy: pictures or features, with labels"),
    "webdataset": Reader(webdataset.recognises, webdataset.read, "tar files with pictures and .cls or .json labels"),
    "parquet": Reader(parquet.recognises, parquet.read, "Parquet files with pictures inside and labels"),
    "folder": Reader(Path.is_dir, folder.read, "folders of pictures, one per class"),
}
UNPACKED = ("idx", "cifar")  # what archives leave in a folder of its own: DATA/cifar-10-batches-py, DATA/MNIST/raw


def open_dataset(path: Data, reader: str = "auto", min_classes: int = 1) -> Dataset:
    """The labelled pictures at `path`; "auto" recognises the reader from what lies there. In the place of a path stand
    arrays in memory, (X, y) or {"x_train": X, …}, as `numpy_files.in_memory` takes them.

    FileError where nothing is there or it cannot be read, UsageError for an unknown reader, DataError where it holds no
    labelled pictures or fewer than `min_classes` classes (training needs 2, judging 1).
    """
    if reader != "auto" and reader not in READERS:
        raise UsageError(f"The reader is '{reader}', but one of auto, {', '.join(READERS)} is needed.")
    if isinstance(path, tuple | Mapping):
        name, dataset = "arrays", numpy_files.in_memory(path)
    elif not isinstance(path, str | os.PathLike):
        raise DataError(
            f"The data are one {type(path).__name__}, and nothing says what is what: (X, y), inputs with their labels, "
            'is needed, or {"x_train": X, "y_train": y, …}, or the path of a folder.'
        )
    else:
        path = Path(path)
        _require_there(path)
        name = reader if reader != "auto" else detect(path)
        dataset = _read(path, name, reader == "auto")
    if len(dataset) == 0:
        raise DataError(_nothing(dataset, name))
    if len(dataset.classes) < min_classes:
        raise DataError(_too_few_classes(dataset, min_classes))
    return dataset


def detect(path: Path) -> str:
    """The name of the first reader that recognises what lies at `path`; DataError if none does."""
    for name, reader in READERS.items():
        if reader.recognises(path):
            return name
    known = "; ".join(f"{name}: {reader.what}" for name, reader in READERS.items())
    raise DataError(
        f"{path} is no data set in a form known here ({path.stat().st_size} bytes). Known are {known}. "
        "Give the folder that holds the class folders, or name the form with --reader. Features that another program "
        "has saved: numpy.savez('features.npz', x=rows, y=labels)."
    )


def _read(path: Path, name: str, auto: bool) -> Dataset:
    """What `name` reads at `path`; of a folder without such data, the one set that an archive has left below it."""
    forms = UNPACKED if auto and name == "folder" else (name,) if name in UNPACKED else ()
    try:
        return READERS[name].read(path)
    except (DataError, FileError) as error:
        below = _unpacked(path, forms) if forms and not any(READERS[form].recognises(path) for form in forms) else {}
        if not below:
            raise
        if len(below) > 1:
            places = listed([str(place) for place in below])
            raise DataError(f"{path} holds {len(below)} data sets and no pictures; give one of {places}.") from error
        ((place, form),) = below.items()
        return READERS[form].read(place)


def _unpacked(path: Path, forms: tuple[str, ...]) -> dict[Path, str]:
    """The folders at most two below `path` with files of a published data set, and which of the readers knows them."""
    found: dict[Path, str] = {}
    for place in sorted((*path.glob("*/"), *path.glob("*/*/"))):
        form = next((name for name in forms if READERS[name].recognises(place)), None)
        if form is not None and not any(folder.hidden(part) for part in place.relative_to(path).parts):
            found[place] = form
    return found


def _require_there(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        near = next((p for p in path.absolute().parents if p.is_dir()), Path("/"))
        raise FileError(
            f"{path} does not exist (looked in {path.absolute().parent}; {near} is there). "
            "A folder of pictures or a data file is needed; check the path."
        ) from error
    except OSError as error:
        raise file_error("read", path, error) from error
    except ValueError as error:
        raise FileError(f"{str(path)!r} cannot be read: {error}. Check the path.") from error


def _nothing(dataset: Dataset, name: str) -> str:
    what = "picture" if dataset.features is None else "row"
    left_out = f" but {len(dataset.skipped)} that cannot be used" if dataset.skipped else ""
    first = f" First: {dataset.skipped[0].path}: {dataset.skipped[0].reason}." if dataset.skipped else ""
    return f"{dataset.source} holds no {what}{left_out} (read as {name}); at least one for each class is needed.{first}"


def _too_few_classes(dataset: Dataset, needed: int) -> str:
    place, nested = folder.nested_only(dataset) if dataset.reader == "folder" else (None, [])
    hint = (
        f" Its pictures lie in {len(nested)} sub-folders ({listed(nested)}); if those are the classes, give {place} "
        "instead."
        if nested and len(dataset.classes) == 1
        else " Add a sub-folder with pictures of something else."
        if dataset.reader == "folder"
        else " Add some of another class."
    )
    what = "picture" if dataset.features is None else "row"
    pictures = f"{len(dataset)} {what}{'s' * (len(dataset) != 1)}"
    return (
        f"{dataset.source} holds {pictures} of {len(dataset.classes)} class ({listed(dataset.classes)}), "
        f"but a classifier tells classes apart and needs at least {needed}.{hint}"
        f"{folder.table_hint(Path(dataset.source), dataset.skipped) if dataset.reader == 'folder' else ''}"
    )


__all__ = ["READERS", "Dataset", "Reader", "detect", "open_dataset", "split"]
