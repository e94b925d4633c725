"""The store that is used where nobody named one: a folder of the user's cache, of bounded size, that never stops a run.

LINEARHEAD_CACHE names another folder, or "" for none. Tables that were not used for longest are deleted first, none of
the last hours, whose run may still be going on. Where the folder cannot be made or written, rows stay in memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import FileError, file_error
from ..files import discard, user_cache
from .feature_store import TABLE, TAG_NAME, Store, strangers

AUTO = "auto"  # `cache=` of the verbs: the folder below
VARIABLE = "LINEARHEAD_CACHE"
MOST = 10 * 2**30  # bytes that all tables together may keep from one run to the next
LEFT_FREE = 2 * 2**30  # bytes of the disk that are never taken
SPARED = 6 * 3600.0  # seconds since its last use for which a table is not deleted


def default_folder() -> Path | None:
    """Where features are kept from run to run; None: nowhere. FileError for a user who has no home to keep them in."""
    return None if os.environ.get(VARIABLE) == "" else user_cache("linearhead", VARIABLE)


def open_store(cache: str | os.PathLike[str] | None, say: Callable[[str], object] = lambda text: None) -> Store:
    """The store in the folder `cache`, in that of the user's cache ("auto"), or in memory (None)."""
    if cache != AUTO:
        return Store(cache, say)
    try:
        folder = default_folder()
        if folder is None:
            return Store(None, say)
        new = not (folder / TAG_NAME).exists()
        if others := strangers(folder):
            say(
                f"Nothing is kept: {folder} is no cache of linearhead's, it holds {others[0]}; "
                f"{VARIABLE} names another."
            )
            return Store(None, say)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # shrunken photographs are nobody else's business
        trim(folder)
    except OSError as error:
        told = error if isinstance(error, FileError) else file_error("use", error.filename or "the cache", error)
        say(f"Nothing is kept from run to run. {told}")
        return Store(None, say)
    if new:
        say(f"Pixels and features are kept in {folder} for the next runs; --no-cache keeps none.")
    return Store(folder, say, leave_free=LEFT_FREE)


def sizes(folder: Path) -> dict[Path, tuple[float, int]]:
    """Of every table of the store in `folder`: when it was used last (seconds since 1970), and its bytes."""
    found: dict[Path, tuple[float, int]] = {}
    for table in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # another process deletes it
            if TABLE.fullmatch(table.name) and table.is_dir():  # what else is there is not ours to delete
                found[table] = table.stat().st_mtime, sum(file.stat().st_size for file in table.iterdir())
    return found


def trim(folder: Path, most: int = MOST) -> None:
    """Deletes the tables that were not used for longest until no more than `most` bytes are left."""
    found = sizes(folder)
    excess, now = sum(size for _, size in found.values()) - most, time.time()
    for table, (used, size) in sorted(found.items(), key=lambda item: item[1]):
        if excess <= 0 or now - used < SPARED:
            return
        discard(table)
        excess -= size
