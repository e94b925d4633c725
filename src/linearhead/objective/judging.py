"""What held-out rows say of θ: loss and hits, and how much higher the loss is than at another θ, with its error.

The standard error of a weighted mean x̄ = Σ w x / Σ w over rows that have nothing to do with one another is
√(Σ w² (x − x̄)²) / Σ w. Rows that come in groups are not such: then the groups' sums take the rows' place (Binder 1983,
Int. Stat. Rev. 51), times √(m/(m − 1)) and what Student's t is above the normal, as of m groups hardly more is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import cast, namespace, to_device, to_host
from ..design import Block
from ..metrics import student


@dataclass(frozen=True)
class Tally:
    """Σ w ℓ of the rows; the weights of those that are right, and of all, (m,) by group, (1,) where there are none; and
    Σ w ℓ of the scores over each temperature that was asked for."""

    loss: float
    right: np.ndarray
    weights: np.ndarray
    tempered: tuple[float, ...] = ()


class Judging:
    """The part of `Objective` that judges: without ∇F."""

    design: Any
    weights: Any
    total: float
    share: float
    count: Any
    placed: Any
    score_terms: Any
    _seen: Any

    def judge(self, theta: np.ndarray) -> tuple[float, float]:
        """Mean loss and accuracy at θ: half a pass, where the rows are."""
        seen = self.tally(theta)
        return seen.loss / self.total, float(seen.right[0]) / self.total

    def tally(self, theta: np.ndarray, groups: np.ndarray | None = None, temperatures: Sequence[float] = ()) -> Tally:
        """The same as sums, by the codes 0 … m − 1 of groups (n,), on the host; the loss also over temperatures."""
        there = self.placed()
        if there is not self:
            return there.tally(there.into(theta), groups, temperatures)
        stored = self.design.to_rows(theta)

        def look(objective: Any, block: Block, s: Any, g: Any) -> tuple:
            alike = () if groups is None else _by_group(groups, _many(groups), objective, block, s, g)
            return *_tempered(temperatures, objective, block, s), *alike

        def share(block: Block) -> tuple:
            value, correct, _, *sums = self._seen(block, stored, look)
            return value, correct, *sums

        value, correct, *sums = self.design.sweep(share)
        self.count.passes += self.share / 2
        tempered, alike = sums[: len(temperatures)], sums[len(temperatures) :]
        right, weight = map(to_host, alike or (np.array([float(correct)]), np.array([self.total])))
        return Tally(float(value), right, weight, tuple(map(float, tempered)))

    def excess(self, theta: np.ndarray, other: np.ndarray, groups: np.ndarray | None = None) -> tuple[float, float]:
        """How much higher the mean loss is at θ than at another, and the standard error of that over the rows or their
        groups (n,), each against itself."""
        there = self.placed()
        if there is not self:
            return there.excess(there.into(theta), there.into(other), groups)
        stored = [self.design.to_rows(t) for t in (theta, other)]

        def share(block: Block) -> tuple:
            here, there = (self.score_terms(block.forward(t), block.rows)[0] for t in stored)
            more, xp = here - there, namespace(here)
            w = xp.ones_like(more) if self.weights is None else self.weights[block.rows]
            if groups is not None:
                return tuple(_summed(groups[block.rows], x, _many(groups)) for x in (w * more, w))
            return xp.sum(w * more), xp.sum((w * more) ** 2), xp.sum(w * w * more), xp.sum(w * w)

        sums = self.design.sweep(share)
        self.count.passes += self.share
        if groups is not None:
            found, own = map(to_host, sums)
            mean, m = float(found.sum()) / self.total, int(np.count_nonzero(own))
            square = float(np.sum((found - mean * own) ** 2)) * m / max(m - 1, 1)
            return mean, student(m) * square**0.5 / self.total
        more, squares, products, weights = (float(found) for found in sums)
        mean = more / self.total
        return mean, max(squares - 2 * mean * products + mean * mean * weights, 0.0) ** 0.5 / self.total


def _many(groups: np.ndarray) -> int:
    return int(groups.max()) + 1


def _summed(own: np.ndarray, values: Any, m: int) -> Any:
    """Sums of values (b,) by their group `own` (b,), (m,), where the values are."""
    found = np.bincount(own, np.asarray(to_host(values), dtype=np.float64), m)
    return found if isinstance(values, np.ndarray) else to_device(found, values)


def _tempered(temperatures: Sequence[float], objective: Any, block: Block, s: Any) -> list:
    """Of a block's rows: Σ w ℓ of the scores over each temperature."""
    xp, w = namespace(s), 1 if objective.weights is None else objective.weights[block.rows]
    losses = (objective.loss.value(s / t, objective.y[block.rows]) for t in temperatures)
    return [xp.sum(cast(loss, xp.float64) * w) for loss in losses]


def _by_group(groups: np.ndarray, m: int, objective: Any, block: Block, s: Any, g: Any) -> tuple:
    """Of a block's rows: the weight of those that are right, and of all, by group."""
    xp, own = namespace(s), groups[block.rows]
    right = xp.astype(xp.argmax(s, axis=1) == objective.y[block.rows], s.dtype)
    w = xp.ones_like(right) if objective.weights is None else objective.weights[block.rows]
    return _summed(own, w * right, m), _summed(own, w, m)
