"""What a long job says while it works. The silent one here is Python's default; the command line brings its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """Nothing is said."""

    def say(self, text: str) -> None:
        """One line about what happens next or has been found."""

    @contextmanager
    def bar(self, total: int, what: str) -> Iterator[Callable[[int], object]]:
        """Something that is called with the number of pictures (or steps) just done."""
        yield lambda done: None
