"""Published linear-probe protocols by name: their values of C, their split, their choice, their refit.

"dinov3-logreg" (Oquab et al. 2023, Siméoni et al. 2025, eval/log_regression.py): C = 10^−6 … 10^5 in 45 steps;
without validation rows a random tenth is held out; the highest accuracy wins, of equals the first, i.e. the smallest
C; then one fit at that C on training and validation rows together. "clip" (Radford et al. 2021, app. A.3): 7 values
10^−6, 10^−4, …, 10^6, then the interval around the best is halved until 8 steps per decade; the same refit. C
multiplies a *sum* over rows, so α = 1/(C n), 2/(C n) for two classes (`RegularizationPath.unit`), and the refit's α
is smaller as its n is larger. Neither looks at a test set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from .result import RegularizationPath


@dataclass(frozen=True)
class Protocol:
    """Which C to try first, how finely to search around the best, and which part to hold out where none is given."""

    name: str
    source: str
    powers: tuple[float, ...]  # log10 C, rising
    finest: float  # halve the spacing around the best until it is this; equal to the first spacing: no search
    part: float = 0.1

    def values(self, tried: Callable[[], RegularizationPath]) -> Iterator[float]:
        """log10 C one after the other; `tried()` is the path so far."""
        yield from self.powers
        step = self.powers[1] - self.powers[0]
        low, high = self.powers[0], self.powers[-1]
        while step > self.finest + 1e-9:
            step /= 2
            path = tried()
            middle = float(np.log10(path.C_))
            yield from (p for p in (middle - step, middle + step) if low - 1e-9 <= p <= high + 1e-9)


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol("dinov3-logreg", "DINOv2/v3, eval/log_regression.py", tuple(np.linspace(-6, 5, 45)), 0.25),
        Protocol("clip", "Radford et al. 2021, appendix A.3", tuple(np.arange(-6.0, 7.0, 2.0)), 0.125),
    )
}


def protocol_of(name: str) -> Protocol:
    """The protocol of that name; UsageError lists those known."""
    if name not in PROTOCOLS:
        raise UsageError(f"Unknown protocol {name!r}. Known: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def random_part(y: np.ndarray, part: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(training rows, held-out rows) of a random permutation of the rows with labels y (n,), its first ⌊n · part⌋ held
    out, as published, but for those whose class would have no row left to train on."""
    order = np.random.default_rng(seed).permutation(len(y))
    size = int(len(y) * part)
    lone = ~np.isin(y[order[:size]], y[order[size:]])
    held, train = order[:size][~lone], np.append(order[size:], order[:size][lone])
    if not len(held):
        raise UsageError(f"A part of {part:g} of {len(y)} rows is empty. Give validation rows: valid=(X, y).")
    return np.sort(train), np.sort(held)
