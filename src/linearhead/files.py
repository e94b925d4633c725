"""Every write whole or not at all: the old file or the new file, never neither, nothing left behind.

A file is written under a temporary name in its own folder, flushed to the disk, renamed over the old one, and the
folder is flushed (Pillai et al. 2014, OSDI, "All file systems are not created equal": each of the four is needed).
A folder is built beside its place and renamed in; an old one is renamed away before and deleted after.

Whoever works under a temporary name holds a lock (flock) on it, which the kernel drops when the process ends, however
it ends. So what a killed run left behind is told from what a living one is building, across reused process numbers,
containers and hosts; the next write into the same folder removes it, or puts back an old folder caught mid-swap.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import FileError, UsageError, explained

PREFIX = ".linearhead-"
_LEFTOVER = re.compile(r"\.linearhead-(?:tmp-[0-9a-f]{16}|old-(?P<name>.+))", re.DOTALL)
_ATTEMPTS = 16


def user_cache(name: str, variable: str) -> Path:
    """The folder that the environment's `variable` names, else `name` in the user's cache; FileError where neither is
    known, as for a user without a home."""
    from platformdirs import user_cache_path

    named = os.environ.get(variable)
    try:  # older ones answer "~/.cache" where there is no home
        return (Path(named) if named else user_cache_path(name, appauthor=False)).expanduser().absolute()
    except RuntimeError as error:
        raise FileError(f"There is no home folder for a cache; {variable} names a folder.") from error


def sha256(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 of bytes in 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, read in pieces; FileError where it cannot be read."""
    with explained("read", path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: str | os.PathLike[str], data: bytes | Callable[[BinaryIO], None]) -> None:
    """Puts `data` (bytes, or a function that writes to the open file) at `path`, whole or not at all.

    On any failure, Ctrl-C included, what was at `path` is still there and the temporary file is gone. Symbolic links
    are followed, an existing file's permissions kept. FileError: no space, no permission, not a regular file, …
    """
    target = Path(os.path.realpath(path))
    with explained("write", path):
        mode = _replaceable(target)
        clean_leftovers(target.parent)
        temp, descriptor = _claim(target.parent, _create_file)
        try:
            _fill(descriptor, data, mode)
            os.replace(temp, target)
        except BaseException:
            _remove(temp)
            raise
        finally:
            _close(descriptor)
        _sync(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """FileError where `write_atomic` could not put a file at `path`; to be asked before long work for it."""
    target = Path(os.path.realpath(path))
    with explained("write", path):
        _replaceable(target)
        temp, descriptor = _claim(target.parent, _create_file)
        _remove(temp)
        _close(descriptor)


class NewFolder(os.PathLike[str]):
    """A folder being built: `path` is where to write now, `target` where it will be."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.target = target
        self.kept = False

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __fspath__(self) -> str:
        return str(self.path)

    def keep(self) -> None:
        """From here on the folder is worth keeping: an exception in the block no longer discards it."""
        self.kept = True


@contextmanager
def new_folder(path: str | os.PathLike[str], force: bool = False, marker: str | None = None) -> Iterator[NewFolder]:
    """Builds a folder that appears at `path`, whole, when the block ends, or not at all if an exception ends it.

        with new_folder("runs/a") as folder:
            write_atomic(folder / "run.json", text)

    What exists at `path` is refused (UsageError), or with `force` replaced once the new folder is complete. `marker`
    is a file that every such folder has: with it, `force` refuses to replace a folder that is something else, such as
    the user's photos. After `folder.keep()` an exception still ends the block but the folder appears nevertheless.
    Missing parent folders are made, and unmade if the block fails. FileError: no space, no permission, …
    """
    target = Path(os.path.realpath(path))
    with explained("create", path):
        clean_leftovers(target.parent)
        replace = _check_free(target, path, force, marker)
        parents = [place for place in target.parents if not os.path.lexists(place)]  # innermost first
    temp, lock = None, None
    try:
        with explained("create", path):
            target.parent.mkdir(parents=True, exist_ok=True)
            temp, lock = _claim(target.parent, _create_folder)
        folder = NewFolder(temp, target)
        try:
            yield folder
            folder.keep()
        except FileError as error:  # the user knows the folder by its own name
            raise FileError(str(error).replace(str(temp), os.fspath(path))) from error
        finally:
            if folder.kept:
                with explained("complete", path):
                    _commit(temp, target, replace)
    finally:
        if temp is not None:
            _remove(temp)  # already gone after a commit
        if lock is not None:
            _close(lock)
        for parent in parents:
            with suppress(OSError):  # one that is not empty stays
                os.rmdir(parent)


class Held:
    """A folder that may be held against other processes; what `held` hands out."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def take(self) -> bool:
        """Whether the folder is now held; True too where the file system has no locks, so nobody waits for ever."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
        return True

    def wait(self) -> None:
        """Takes the folder as soon as it is free, for work of a moment; at once where the file system has no locks."""
        _lock(self._descriptor, wait=True)


@contextmanager
def held(folder: str | os.PathLike[str]) -> Iterator[Held]:
    """A lock on a folder, to be taken in the block; the kernel drops it when the block or the process ends."""
    with explained("open", folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield Held(descriptor)
    finally:
        _close(descriptor)


def clean_leftovers(folder: str | os.PathLike[str]) -> None:
    """Removes from `folder` what killed runs left there under this module's names; never fails."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for match in filter(None, map(_LEFTOVER.fullmatch, names)):
        path = Path(folder, match[0])
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                # The name is looked up again under the lock: its owner may have just moved it to its place.
                if _lock(descriptor, wait=False) and _still_named(descriptor, path):
                    _clean(path, match["name"])
            finally:
                _close(descriptor)


def _clean(path: Path, old_name: str | None) -> None:
    """Removes a leftover; a folder that was renamed away and never replaced returns to its place instead."""
    if old_name is not None and not os.path.lexists(path.with_name(old_name)):
        os.rename(path, path.with_name(old_name))
    else:
        discard(path)


def _fill(descriptor: int, data: bytes | Callable[[BinaryIO], None], mode: int | None) -> None:
    """Writes `data` to the open file and flushes it to the disk; the descriptor, and with it the lock, stays open."""
    file = os.fdopen(descriptor, "wb", closefd=False)
    try:
        if callable(data):
            data(file)
        else:
            file.write(data)
        file.flush()
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        # After a failure, what is still in the buffer fails again; the first error is the one to tell.
        with suppress(OSError):
            file.close()


def _replaceable(target: Path) -> int | None:
    """The permissions of the regular file at `target`, None if there is nothing; FileError for anything else."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise FileError(f"Could not write {target}: it is a device or a pipe, which cannot be replaced. Name a file.")
    if not os.access(target, os.W_OK):  # a rename would go through: it asks the folder's permissions only
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(mode)


def _check_free(target: Path, path: str | os.PathLike[str], force: bool, marker: str | None) -> bool:
    """Whether a folder is there that may be replaced; UsageError for one that may not, OSError for a name that none
    can have."""
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not force:
        raise UsageError(f"{os.fspath(path)} exists already; choose another folder, or --force to replace it.")
    if not target.is_dir():
        raise UsageError(f"{os.fspath(path)} is a file, and --force replaces only folders; choose another name.")
    if os.path.ismount(target) or Path.cwd().is_relative_to(target):
        raise UsageError(
            f"{os.fspath(path)} is a mount point or holds the current folder and cannot be replaced; "
            "choose another folder."
        )
    if marker is not None and any(target.iterdir()) and not (target / marker).is_file():
        raise UsageError(
            f"{os.fspath(path)} holds no {marker}, so it was not made by this command, and --force would delete what "
            "is in it; choose another folder, or delete it yourself."
        )
    return True


def _claim(folder: Path, create: Callable[[Path], int]) -> tuple[Path, int]:
    """A new temporary name in `folder` and its descriptor, which holds the lock that says it is in use."""
    for attempt in range(_ATTEMPTS):
        path = _temporary_name(folder)
        descriptor = None
        try:
            descriptor = create(path)
            _lock(descriptor, wait=True)
            if _still_named(descriptor, path):
                return path, descriptor
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1 or not folder.is_dir():
                raise
        except BaseException:
            _remove(path)
            if descriptor is not None:
                _close(descriptor)
            raise
        # A cleaner found the name between its creation and its lock, and took it for a leftover: another name.
        if descriptor is not None:
            _close(descriptor)
    raise FileError(f"Could not create a file in {folder}: another program removes it each time. Stop that program.")


def _temporary_name(folder: Path) -> Path:
    return folder / f"{PREFIX}tmp-{os.urandom(8).hex()}"


def _create_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _create_folder(path: Path) -> int:
    os.mkdir(path)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _lock(descriptor: int, wait: bool) -> bool:
    """Whether the lock is now held; False too where the file system has no locks, so nothing is cleaned there."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _close(descriptor: int) -> None:
    """Also drops the lock. What matters was flushed before, so a complaint here is of no interest."""
    with suppress(OSError):
        os.close(descriptor)


def _still_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _commit(temp: Path, target: Path, replace: bool) -> None:
    """Moves the complete folder to its place."""
    _sync_tree(temp)
    if not os.path.lexists(target):
        os.rename(temp, target)
    elif replace:
        _swap(temp, target)
    else:
        spared = target.with_name(f"{target.name}-{os.urandom(4).hex()}")
        os.rename(temp, spared)
        raise FileError(f"{target} appeared while this run was working; the run's own folder is {spared}.")
    _sync(target.parent)


def _swap(temp: Path, target: Path) -> None:
    """The complete folder at `temp` takes the place of the one at `target`, which is deleted."""
    aside = target.with_name(f"{PREFIX}old-{target.name}")
    lock = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _lock(lock, wait=True)
        try:
            os.rename(target, aside)
            os.rename(temp, target)
            _sync(target.parent)  # the new one is safe before the old one goes
        finally:
            if not os.path.lexists(target):
                os.rename(aside, target)
            discard(aside)
    finally:
        _close(lock)


def _sync(path: Path) -> None:
    """Flushes one file's content or one folder's names to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot flush a folder
            raise
    finally:
        _close(descriptor)


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for path in (Path(root, name) for name in names):
            if path.is_file() and not path.is_symlink():
                _sync(path)
        _sync(Path(root))


def discard(path: Path) -> None:
    """Deletes what was renamed away, under a name that says so: half of it must never return to its old place."""
    doomed = _temporary_name(path.parent)
    try:
        os.rename(path, doomed)
    except OSError:
        doomed = path
    _remove(doomed)


def _remove(path: Path) -> None:
    """Deletes a file or a folder with all that is in it; what cannot be deleted stays for the next start."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
