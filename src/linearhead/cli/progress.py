"""Progress on stderr: one bar with an estimate of the time left, nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..experiment.progress import Progress
from .output import put


class Bars(Progress):
    """What the command line shows while it works."""

    def say(self, text: str) -> None:
        put(text, err=True)

    @contextmanager
    def bar(self, total: int, what: str) -> Iterator[Callable[[int], object]]:
        if not sys.stderr.isatty():  # asked before the import, which is a noticeable part of a short `predict`
            yield lambda done: None
            return
        from tqdm import tqdm

        with tqdm(total=total, desc=what, file=sys.stderr, leave=False, dynamic_ncols=True) as line:
            yield line.update
