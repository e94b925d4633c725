"""Copies among the pictures of a run: looked for once they are decoded, and what they do to the judged numbers.

A judged picture with a copy among the trained ones is no new picture; `without` are the numbers that leave it out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ..images import Copies, find_copies
from ..records import Duplicates
from ..store import Model
from .extract import BATCH
from .given import Given, Source
from .judge import Answers, evaluation

EXAMPLES, LISTED = 12, 6  # groups of copies in the record, and paths of each


def look_for(pictures: Source, rows: np.ndarray) -> Copies:
    """Of these rows of the dataset, in their order; no picture is decoded again."""
    if isinstance(pictures, Given):
        return equal([pictures.keys[row] for row in rows.tolist()])
    pixels = pictures.pixels(rows)
    blocks = (pictures.shaped(pixels[start : start + BATCH]) for start in range(0, len(rows), BATCH))
    with pictures.progress.bar(len(rows), "copies") as done:
        return find_copies(_counted(blocks, done), [pictures.keys[row] for row in rows.tolist()])


def equal(keys: list[bytes]) -> Copies:
    """Copies of rows that have nothing but their keys: those of one key."""
    first: dict[bytes, int] = {}
    group = np.array([first.setdefault(key, i) for i, key in enumerate(keys)], dtype=int)
    later = group != np.arange(len(keys))
    return Copies(group, later, np.zeros(len(keys), dtype=bool))


def _counted(blocks: Iterable[np.ndarray], done: Callable[[int], object]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield block
        done(len(block))


def duplicates(
    copies: Copies,
    labels: np.ndarray,
    names: list[str],
    classes: Sequence[str],
    judged: np.ndarray,
    trained: np.ndarray,
) -> Duplicates:
    """The record of copies among pictures with these labels (codes of `classes`) and names; `judged` and `trained` (n,)
    say who they are."""
    groups = copies.groups()
    conflicting = sum(len(group) for group in groups if len(set(labels[group].tolist())) > 1)
    equal_ones = [group[copies.exact[group] | (group == group[0])] for group in groups]
    unlike = [group for group in equal_ones if len(set(labels[group].tolist())) > 1]
    leaks = leaked(copies, judged, trained)
    # those that judge what they taught first, then those under several labels
    groups.sort(key=lambda group: (not leaks[group].any(), len(set(labels[group].tolist())) < 2))
    return Duplicates(
        compared=len(copies.group),
        exact=int(copies.exact.sum()),
        near=int(copies.near.sum()),
        conflicting=conflicting,
        judged=int(leaks.sum()),
        contradicting=sum(map(len, unlike)),
        contradictions=[
            [f"{names[i]} ({classes[int(labels[i])]})" for i in group[:LISTED].tolist()] for group in unlike[:EXAMPLES]
        ],
        examples=[[names[i] for i in group[:LISTED]] for group in groups[:EXAMPLES]],
    )


def leaked(copies: Copies, judged: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """(n,) bool: judged pictures with a copy among the trained ones."""
    return judged & np.isin(copies.group, copies.group[trained])


def without(
    model: Model, answers: Answers, y: np.ndarray, groups: np.ndarray | None, leaks: np.ndarray, found: Duplicates
) -> None:
    """Adds the judged numbers without the pictures that `leaks` (m,) marks, where some are left."""
    if leaks.any() and not leaks.all():
        columns = (getattr(answers, f.name) for f in dataclasses.fields(answers))
        rest = Answers(*(None if column is None else column[~leaks] for column in columns))  # pyright: ignore
        found.without = evaluation(model, rest, y[~leaks], None if groups is None else groups[~leaks])
