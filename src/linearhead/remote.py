"""Storage that is no folder: s3://…, gs://…, whatever fsspec opens; its files are copied to this machine once.

Files are named by their content, or made once and never changed, so a copy is as good as the file and any number of
machines may have one. What is at PROTOCOL://PLACE lies here below `copies()`; for a path elsewhere nothing below does
anything. The files come whole: each is put under another name first, and moved.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from .errors import FileError, UsageError
from .files import PREFIX, user_cache

VARIABLE = "LINEARHEAD_COPIES"  # the folder of the copies on this machine


def copies() -> Path:
    """The folder; it may be deleted when nothing runs."""
    return user_cache("linearhead-copies", VARIABLE)


def local(name: str | os.PathLike[str]) -> Path:
    """Where the file or folder of this name lies on this machine, whether it is there or not."""
    text = os.fspath(name)
    protocol, separator, place = text.partition("://")
    if not separator:
        return Path(text).absolute()
    if "::" in protocol or not place.strip("/") or ".." in place.split("/"):
        raise UsageError(
            f"{text!r} is no place on remote storage; needed: PROTOCOL://PLACE, such as s3://bucket/store."
        )
    slashes = "/" * (len(place) - len(place.lstrip("/")))
    return copies() / quote(f"{protocol}://{slashes}", safe="") / place.strip("/")


def name_of(path: str | os.PathLike[str]) -> str:
    """The inverse of `local`: by which name other machines find this file or folder."""
    path = Path(path).absolute()
    below = path.relative_to(copies()).parts if path.is_relative_to(copies()) else ()
    start = unquote(below[0]) if below else ""
    return start + "/".join(below[1:]) if "://" in start else str(path)


def here(name: str | os.PathLike[str]) -> Path:
    """The file of this name on this machine, fetched if it is not there; FileNotFoundError where it is nowhere."""
    path = local(name)
    if "://" in name_of(path) and not path.exists():
        with _opened("read", name_of(path)) as (fs, place):
            _fetch(fs, place, path)
    return path


def pull(folder: Path) -> None:
    """Fetches what is in a folder and not yet here."""
    if "://" not in name_of(folder):
        return
    with _opened("list", name_of(folder)) as (fs, place):
        fs.invalidate_cache()
        found = fs.ls(place, detail=True) if fs.exists(place) else []
        for file in found:
            name = file["name"].rstrip("/").rpartition("/")[2]
            if file["type"] == "file" and not name.startswith(PREFIX) and not (folder / name).exists():
                with suppress(FileNotFoundError):  # another process has found it damaged
                    _fetch(fs, file["name"], folder / name)


def push(path: Path) -> None:
    """Puts a file of this machine where it belongs."""
    if "://" not in name_of(path):
        return
    with _opened("write", name_of(path)) as (fs, place):
        folder = place.rpartition("/")[0]
        fs.makedirs(folder, exist_ok=True)
        half = f"{folder}/{PREFIX}{secrets.token_hex(8)}"
        try:
            fs.put_file(str(path), half)
            fs.mv(half, place)
        except BaseException:
            with suppress(Exception):  # where nothing can be removed either, the first error says why
                fs.rm_file(half)
            raise


def drop(path: Path) -> None:
    """Removes a file there, if it is there."""
    if "://" in name_of(path):
        with _opened("remove", name_of(path)) as (fs, place), suppress(FileNotFoundError):
            fs.rm_file(place)


def readable(name: str) -> bool:
    """Whether a file or folder of this name can be read from here."""
    if "://" not in name:
        return os.access(name, os.R_OK)
    with _opened("read", name) as (fs, place):
        return bool(fs.exists(place))


def _fetch(fs: Any, place: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{PREFIX}{secrets.token_hex(8)}")
    try:
        fs.get_file(place, str(half))
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


@contextmanager
def _opened(action: str, name: str) -> Iterator[tuple[Any, str]]:
    """The file system of a name, and the place there; what goes wrong inside is a FileError that names both."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(f"{name} needs {error.name}: pip install 'linearhead[remote]'.") from error
    try:
        opened = url_to_fs(name)
    except (ImportError, ValueError) as error:  # fsspec names the package that knows the protocol
        raise UsageError(f"{name} cannot be opened: {error}") from error
    try:
        yield opened
    except (FileNotFoundError, FileError):
        raise
    except Exception as error:  # every storage has its own
        raise FileError(
            f"Could not {action} {name}: {error or type(error).__name__}. Check its name, its rights and the network."
        ) from error
