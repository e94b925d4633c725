"""What can go wrong for a user, as four exceptions whose text says: found what, needed what, why, what to do.

The command line maps them to exit codes (`exit_code`); Python users catch `LinearheadError` or the
standard exception that each also is (`ValueError`, `OSError`). `explained` says the same of failed system calls.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class LinearheadError(Exception):
    """Base of every error that is the user's to mend; the text is a complete sentence for them.

    >>> from linearhead import SoftmaxClassifier
    >>> try:
    ...     SoftmaxClassifier(alpha=-1).fit([[0.0], [1.0]], [0, 1])
    ... except LinearheadError as error:
    ...     print(error)
    alpha must be a finite number ≥ 0 or 'auto'; found -1.
    """

    exit_code = 2


class UsageError(LinearheadError, ValueError):
    """An option or a combination of options that cannot work."""


class DataError(LinearheadError, ValueError):
    """The pictures, labels or features are not what the job needs."""


class FileError(LinearheadError, OSError):
    """A file could not be read or written: missing, damaged, foreign, newer, no space, no permission."""

    exit_code = 4


class ConvergenceWarning(UserWarning):
    """A fit ended without its certificate: the value reached, the tolerance asked and the likely cause."""


class DataWarning(UserWarning):
    """The data permit a fit but not without a word: separable without penalty, a class without rows."""


_MEANINGS = {
    errno.ENOSPC: ("no space left on the device", "Free some space there or choose another place."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space there or choose another place."),
    errno.EFBIG: ("the file is larger than the system allows here", "Raise the limit (ulimit -f) or the file system."),
    errno.EACCES: ("permission denied", "Change the permissions or choose another place."),
    errno.EPERM: ("the system does not permit it", "Change the permissions or choose another place."),
    errno.EROFS: ("the file system is read-only", "Choose a place that can be written."),
    errno.ENOENT: ("no such file or folder", "Check the spelling; a missing folder has to be created first."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Check the path."),
    errno.EEXIST: ("a file is where a folder has to be", "Check the path."),
    errno.EISDIR: ("it is a folder, not a file", "Name a file."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
    errno.ELOOP: ("its symbolic links go round in a circle", "Mend the links or choose another place."),
    errno.EIO: ("the device reported an input/output error", "Check the disk, or choose another place."),
    errno.EMFILE: ("too many files are open", "Raise the limit (ulimit -n)."),
    errno.ENFILE: ("too many files are open on this machine", "Close other programs."),
    errno.EBUSY: ("it is in use by the system", "Choose another place."),
}


def file_error(action: str, path: str | os.PathLike[str], error: OSError) -> FileError:
    """The FileError for a failed system call: what was tried on which path, why it failed, what to do."""
    fallback = (error.strerror or str(error) or type(error).__name__).lower()
    meaning, remedy = _MEANINGS.get(error.errno or 0, (fallback, "Check the path and the disk, or choose another."))
    return FileError(f"Could not {action} {os.fspath(path)}: {meaning}. {remedy}")


@contextmanager
def explained(action: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError inside the block into a FileError that names `path`: "Could not {action} {path}: …"."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise file_error(action, path, error) from error
