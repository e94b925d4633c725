"""A fit is kept whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def whole_or_nothing(estimator: Any) -> Iterator[None]:
    """However a fit fails, is refused or broken off: the estimator then is what it was, with the former fit, if any.
    Fits put new arrays in the place of old ones and write into none."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
