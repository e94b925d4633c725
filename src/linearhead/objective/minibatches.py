"""Steps on a few rows at a time: what SGD sees of an objective.

A mini-batch B is (rows, blocks): ∇F_B = n/(m Σw) AᵀG_B + α [∇R(W); 0] estimates ∇F without bias. Single rows are
walked: the same steps, many rows handed over at once, as a step on one row costs little more than its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..design import Batch, Block
from .point import Parts

LEAST_DECAY = 2.0**-10  # of W over the rows of a walk, whose digits it costs


class MiniBatches(Parts):
    """The part of `Objective` that picks rows."""

    def batches(self, order: np.ndarray, size: int) -> Iterator[tuple[int, Iterable[Block]]]:
        """Mini-batches of `size` rows in this order, as (rows, blocks) for `batch_gradient`, each to be used once.

        Rows are gathered, centred and scaled for many small batches at a time, or for a part of a large one, by
        another thread while the ones before are used.
        """
        fit = self.design.block_rows()
        if size > fit:
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                yield len(rows), self._gathered([rows[i : i + fit] for i in range(0, len(rows), fit)], size)
            return
        group = size * -(-fit // size)
        for block in self._gathered([order[i : i + group] for i in range(0, len(order), group)], size):
            for i in range(0, len(block.rows), size):
                part = block.part(slice(i, i + size))
                yield len(part.rows), (part,)

    def _gathered(self, groups: list[np.ndarray], size: int = 1) -> Iterator[Any]:
        """The design's batches of these rows, to be used `size` rows at a time, one ahead of its use."""
        with self.design.session() as pool:
            ready = self.design.batch(groups[0], size)
            for rows in groups[1:]:
                later = pool.submit(self.design.batch, rows, size) if pool else None
                yield ready
                ready = later.result() if later else self.design.batch(rows, size)
            yield ready

    def batch_gradient(self, theta: np.ndarray, batch: tuple[int, Iterable[Block]]) -> np.ndarray:
        """An unbiased estimate of F's gradient (of its smooth part) from one of `batches`; in the type of θ."""
        size, blocks = batch
        gradient: Any = None
        for block in blocks:
            share = block.adjoint(self._slope(block, theta, size))
            gradient = share if gradient is None else gradient + share
        self.count.passes += size / self.n
        if self.alpha and self.penalty.smooth:
            gradient[:-1] += self.alpha * self.penalty.gradient(theta[:-1])
        return gradient

    def descend(self, theta: np.ndarray, batch: tuple[int, Iterable[Any]], t: float) -> None:
        """θ ← θ − t `batch_gradient` in place: the same step, a single block's without forming the gradient."""
        size, blocks = batch
        if not isinstance(blocks, tuple):
            theta -= t * self.batch_gradient(theta, batch)
            return
        (block,) = blocks
        g = self._slope(block, theta, size)
        self.count.passes += size / self.n
        if self.alpha and self.penalty.smooth:
            b = theta[-1].copy()  # all of θ is contiguous, W alone is not
            self.penalty.descend(theta, t * self.alpha)
            theta[-1] = b
        block.descend(theta, g, t)

    def singles(self, order: np.ndarray) -> Iterator[Any]:
        """Rows in this order, many at a time, for `walk`."""
        fit = self.design.block_rows()
        return self._gathered([order[i : i + fit] for i in range(0, len(order), fit)])

    def walk(self, theta: np.ndarray, block: Any, rates: np.ndarray) -> None:
        """`descend` by each of the block's first rows alone, in turn, at these rates (m,)."""
        m, decay = len(rates), 1 - rates * (self.alpha if self.penalty.name == "l2" else 0.0)
        if not isinstance(block, Batch) or np.any(decay <= 0) or np.prod(decay) < LEAST_DECAY:
            for i in range(m):
                self.descend(theta, (1, (block.part(slice(i, i + 1)),)), float(rates[i]))
            return
        rows = block.rows[:m]
        steps = rates * (self.n / self.total) * (1.0 if self.weights is None else self.weights[rows])
        with np.errstate(over="ignore", invalid="ignore"):  # steps that explode are told by F
            block.part(slice(0, m)).walk(theta, self.loss.row_gradient, self.y[rows].tolist(), steps, decay)
        self.count.passes += m / self.n

    def _slope(self, block: Block, theta: np.ndarray, size: int) -> np.ndarray:
        """A block's share of a mini-batch's gradient in the scores, (m, k)."""
        g = self.score_gradient(block.forward(theta), block.rows)
        self._weigh(block.rows, g)
        scale = self.n / (self.total * size)
        if scale != 1:
            g *= scale
        return g
