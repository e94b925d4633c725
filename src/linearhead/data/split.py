"""Who trains and who judges: a stratified, seeded partition that is the same on every platform and NumPy version.

Within a class rows are ordered by 64-bit words of PCG64(seed), whose raw stream NumPy keeps stable (NEP 19; the methods
of `Generator` may change), and dealt out in proportion to the shares. What rounding takes from a split in one class it
gets back in the next, so totals are off by less than one row, but for two promises to classes of ≥ 2 rows: one row
trains and one judges (the share "test", or the last one). A single row trains.
With groups (frames of one track, pictures of one person) whole groups are dealt out and the shares are approximate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError, UsageError

TRAIN, TEST = "train", "test"


def split(
    labels: Sequence[int] | np.ndarray,
    shares: dict[str, float],
    seed: int,
    groups: Sequence[object] | np.ndarray | None = None,
) -> np.ndarray:
    """(n,) labels, {"train": 0.8, "test": 0.2} → (n,) names of shares, as str.

    The shares are relative to their sum. UsageError for shares that cannot be dealt out; DataError where `groups` does
    not fit the labels.
    """
    labels = np.asarray(labels)
    names, fractions = _checked(shares)
    if labels.ndim != 1:
        raise DataError(f"labels have the shape {labels.shape}; one label per row, shape (n,), is needed.")
    if seed < 0:
        raise UsageError(f"seed is {seed}; a whole number from 0 up is needed.")
    if len(labels) == 0 or len(names) == 1:
        return np.full(len(labels), names[0])
    keys = np.random.PCG64(seed).random_raw(len(labels))
    _, y = np.unique(labels, return_inverse=True)
    if groups is None:
        parts = _by_row(y, fractions, keys, names)
    else:
        groups = np.asarray(groups)
        if groups.shape != labels.shape:
            raise DataError(f"{groups.shape} groups for {labels.shape} labels; one group per row is needed.")
        _, g = np.unique(groups, return_inverse=True)
        parts = _by_group(y, g, fractions, keys, names)
    return np.array(names)[parts]


def _checked(shares: dict[str, float]) -> tuple[list[str], np.ndarray]:
    """Names with a share above 0, and the shares as parts of 1."""
    values = np.array(list(shares.values()), dtype=np.float64)
    if not len(values) or not np.all(np.isfinite(values)) or np.any(values < 0) or values.sum() <= 0:
        raise UsageError(f"shares are {shares}; numbers from 0 up, such as {{'train': 0.8, 'test': 0.2}}, are needed.")
    names = [name for name, value in zip(shares, values, strict=True) if value > 0]
    return names, values[values > 0] / values.sum()


def _needy(names: list[str]) -> tuple[int, int]:
    """Which shares get a row of every class: train (or the first), and test (or the last other one)."""
    first = names.index(TRAIN) if TRAIN in names else 0
    if TEST in names and names.index(TEST) != first:
        return first, names.index(TEST)
    return first, max(i for i in range(len(names)) if i != first)


def _by_row(y: np.ndarray, fractions: np.ndarray, keys: np.ndarray, names: list[str]) -> np.ndarray:
    train, judge = _needy(names)
    order = np.lexsort((keys, y))
    parts = np.empty(len(y), dtype=np.intp)
    owed = np.zeros(len(fractions))  # rows that rounding has withheld so far
    start = 0
    for n in np.bincount(y):
        quota = fractions * n
        counts = _rounded(quota + owed, n)
        owed += quota - counts
        # promises to small classes do not enter `owed`: they are not to be taken from other classes again
        promised = np.zeros_like(counts)
        promised[train], promised[judge] = 1, n >= 2
        counts = np.maximum(counts, promised)
        while counts.sum() > n:
            counts[np.argmax(counts - promised)] -= 1
        parts[order[start : start + n]] = np.repeat(np.arange(len(fractions)), counts)
        start += n
    return parts


def _rounded(quota: np.ndarray, n: int) -> np.ndarray:
    """Whole numbers ≥ 0 that add up to n, nearest to the quota (largest remainders)."""
    floors = np.floor(np.maximum(quota, 0.0) + 1e-9).astype(np.intp)
    while floors.sum() > n:  # what was owed can exceed what this class has
        floors[np.argmax(floors - quota)] -= 1
    rest = quota - floors
    for _ in range(n - floors.sum()):
        i = int(np.argmax(rest))
        floors[i] += 1
        rest[i] -= 1
    return floors


def _by_group(y: np.ndarray, g: np.ndarray, fractions: np.ndarray, keys: np.ndarray, names: list[str]) -> np.ndarray:
    """Whole groups: first what every class is promised, rarest class first, then the largest where most is lacking."""
    train, judge = _needy(names)
    rows_of = np.split(np.argsort(g, kind="stable"), np.cumsum(np.bincount(g))[:-1])
    key = np.array([keys[rows].min() for rows in rows_of])
    classes_of = [np.unique(y[rows], return_counts=True) for rows in rows_of]
    totals = np.bincount(y).astype(np.float64)
    lacking = fractions[:, None] * totals  # (shares, classes): rows still wanted
    place = np.full(len(rows_of), -1, dtype=np.intp)

    def assign(group: int, part: int) -> None:
        place[group] = part
        classes, counts = classes_of[group]
        lacking[part, classes] -= counts

    holders: list[list[int]] = [[] for _ in totals]
    for group in np.argsort(key, kind="stable").tolist():
        for c in classes_of[group][0]:
            holders[c].append(group)

    def last_of_another(group: int) -> bool:
        """Whether a class that trains already could then have nothing that judges."""
        others = [holders[c] for c in classes_of[group][0]]
        return any(sum(place[g] < 0 for g in own) == 1 and any(place[g] == train for g in own) for own in others)

    rarest = sorted(range(len(totals)), key=lambda c: len(holders[c]))
    for part in (train, judge):
        for c in rarest:
            if not any(place[group] == part for group in holders[c]):
                free = [group for group in holders[c] if place[group] < 0]
                spared = (group for group in free if part == judge or not last_of_another(group))
                if free:
                    assign(next(spared, free[0]), part)
    for group in sorted(np.flatnonzero(place < 0).tolist(), key=lambda i: (-len(rows_of[i]), key[i])):
        classes, counts = classes_of[group]
        # per class relative to the class, so that a rare one counts in a group as much as a common one of as many rows
        assign(group, int(np.argmax((lacking[:, classes] / totals[classes] * counts).sum(axis=1))))
    return place[g]
