"""What can go wrong for a user, as four exceptions whose text says: found what, needed what, why, what to do.

The command line maps them to exit codes (`exit_code`); Python users catch `LinearheadError` or the
standard exception that each also is (`ValueError`, `OSError`).
"""


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
