"""The stratified sample on which candidates are tried: how many pictures, of which classes, and which parts judge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..data import split
from ..features import make
from .extract import Pictures
from .recipe import Recipe

QUALITY = "fast"  # at which candidates are tried, where they have one: they rank alike at a fraction of the cost
LEAST, MOST = 20, 3000  # pictures of a sample: fewer judge nothing, more change no choice
EACH_CLASS = 10  # pictures of a class, at least, where it has them
THRICE = 1200  # up to so many pictures all of them judge, in three parts; of more, a third does
WORK = 2e12  # multiply-adds that all fits together may take, by the estimate of `sample_size`


@dataclass
class Sample:
    """Pictures of the sample with labels, and which part of it each belongs to; `judges` lists the parts that judge."""

    pictures: np.ndarray  # uint8 (n, h, w, c)
    y: np.ndarray
    part: np.ndarray  # (n,) 0, 1, 2
    judges: tuple[int, ...]
    seed: int
    groups: np.ndarray | None = None  # (n,) pictures of one are alike
    class_weight: Any = None
    blocks: dict[str, np.ndarray] = field(default_factory=dict)  # features by part of a specification

    @cached_property
    def alike(self) -> np.ndarray | None:
        """(m,) the groups of the judged pictures, in their order."""
        if self.groups is None:
            return None
        return np.concatenate([self.groups[self.judged(part)] for part in self.judges])

    @cached_property
    def counts(self) -> np.ndarray | None:
        """(m,) what each judged picture counts by class_weight, 1 on average; None where all count alike."""
        from ..objective.checking import combine_weights

        weights = combine_weights(self.y, None, self.class_weight, np.unique(self.y))
        if weights is None:
            return None
        weights = np.concatenate([weights[self.judged(part)] for part in self.judges])
        return weights / weights.mean()

    def judged(self, part: int) -> np.ndarray:
        """(n,) the rows of the part that say something about a fit to the others: some of them are of their class."""
        held = self.part == part
        return held & np.isin(self.y, self.y[~held])

    def rows(self, spec: str) -> np.ndarray:
        """(n, d) float32 of one extractor, or of several joined with +, each block computed once."""
        parts = spec.split("+")
        for part in parts:
            if part not in self.blocks:
                X = make(part, QUALITY).fit(self.pictures, self.seed).transform(self.pictures)
                square = float(np.mean(np.square(X, dtype=np.float64).sum(axis=1)))
                self.blocks[part] = X * np.float32(1 / np.sqrt(square) if square > 0 else 1)  # as features.Joined does
        return self.blocks[spec] if len(parts) == 1 else np.hstack([self.blocks[part] for part in parts])


def draw(pictures: Pictures, among: np.ndarray, plan: Recipe, specs: list[str]) -> Sample | None:
    """The sample, decoded; None where there are too few pictures to compare anything on."""
    dataset = pictures.dataset
    dimensions = [make(spec, QUALITY).dimension(*pictures.preprocessing.shape) for spec in specs]
    rows = among[some(dataset.labels[among], dimensions, plan.seed, pictures.most_held)]
    rows, held = pictures.seen(rows)
    groups = None if dataset.groups is None else dataset.groups[rows]
    return parted(held, dataset.labels[rows], groups, plan)


def some(labels: np.ndarray, dimensions: list[int], seed: int, most: float = math.inf) -> np.ndarray:
    """Which of the labels (n,) a sample is made of, for candidates of so many numbers; ascending."""
    k = len(np.unique(labels))
    size, kinds = sample_size(len(labels), k, dimensions)
    rows = np.arange(len(labels))
    rows = rows if kinds == k else rows[np.isin(labels, some_classes(labels, kinds, seed))]
    size = int(min(size, most))
    if size < len(rows):
        shares = {"in": size / len(rows), "out": 1 - size / len(rows)}
        rows = rows[split(labels[rows], shares, seed) == "in"]
    return rows


def parted(held: np.ndarray, y: np.ndarray, groups: np.ndarray | None, plan: Recipe) -> Sample | None:
    """The sample of pictures, or rows, with labels (n,), in parts; None where none of them can judge."""
    if len(y) < LEAST or len(np.unique(y)) < 2:
        return None
    part = split(y, {"0": 1.0, "1": 1.0, "2": 1.0}, plan.seed + 1, groups).astype(int)
    judges = tuple(p for p in range(3 if len(y) <= THRICE else 1) if _judges(y, part == p))
    codes = np.unique(y, return_inverse=True)[1]
    return Sample(held, codes, part, judges, plan.seed, groups, plan.class_weight) if judges else None


def _judges(y: np.ndarray, held: np.ndarray) -> bool:
    """Whether the rows held say anything about a fit to the others: some are of a class that those have, beside one."""
    taught = np.unique(y[~held])
    return len(taught) > 1 and bool(np.isin(y[held], taught).any())


def sample_size(n: int, k: int, dimensions: list[int]) -> tuple[int, int]:
    """(pictures, classes) so that about 200 passes a candidate over all candidates stay within WORK: of all classes or,
    where a few of each would be too many, of as many as there is work for."""
    columns = 2 * sum(dimensions) + max(dimensions) * len(dimensions)
    most = WORK / (200 * 2 * columns)  # pictures times classes
    each = min(EACH_CLASS, n / k)
    kinds = int(min(k, max(2, (most / each) ** 0.5)))
    wanted = max(LEAST, each * kinds, most / kinds if kinds == k else 0)
    return int(min(n, MOST, wanted)), kinds


def some_classes(labels: np.ndarray, kinds: int, seed: int) -> np.ndarray:
    """So many of the classes, drawn among those of at least three pictures, one for each part; then of two, of one."""
    names, amounts = np.unique(labels, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(names))
    return names[drawn[np.argsort(-np.minimum(amounts[drawn], 3), kind="stable")[:kinds]]]
