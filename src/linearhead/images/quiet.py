"""Pillow's warnings are silenced in the thread that decodes and nowhere else.

Odd metadata and pictures above half of Pillow's pixel limit make Pillow warn; whether a picture is usable must not
depend on the warning filters of the program around us (under `-W error` such a warning would end the decoding).
`warnings.catch_warnings` swaps the filters of the whole process, so two threads undo each other. Instead one filter
stands first in the list for as long as anything decodes; its module pattern matches Pillow's modules in decoding
threads only, so that for everybody else it is as if it were not there.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _DecodingHere(threading.local):
    """Stands where a filter has the compiled pattern of the warning module's name; only `match` is ever asked."""

    depth = 0

    def match(self, module: str) -> bool:
        return self.depth > 0 and module.startswith("PIL")


_HERE = _DecodingHere()
_FILTER: Any = ("ignore", None, Warning, _HERE, 0)
_LOCK = threading.Lock()
_users = 0


def _remove() -> None:
    filters: Any = warnings.filters
    while _FILTER in filters:
        filters.remove(_FILTER)


@contextmanager
def present() -> Iterator[None]:
    """The filter is in place inside (inert but for `quiet_pillow`), so that many decodes need not move it."""
    global _users
    with _LOCK:
        _users += 1
    try:
        yield
    finally:
        with _LOCK:
            _users -= 1
            if _users == 0:
                _remove()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warning from Pillow leaves this block, whatever the filters; other threads keep all of theirs."""
    with present():
        with _LOCK:
            filters: Any = warnings.filters
            if not filters or filters[0] is not _FILTER:  # first use, or somebody set other filters since
                _remove()
                filters.insert(0, _FILTER)
        _HERE.depth += 1
        try:
            yield
        finally:
            _HERE.depth -= 1
