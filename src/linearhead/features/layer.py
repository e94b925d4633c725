"""The layer of `patches` at work: one thread's buffers, products in slices, thresholds and pooling while they are near.

Per row of places one matrix product, windows × filters, in slices of filters that stay near through threshold and
pooling: nothing of size pictures × positions × filters exists. Shapes never depend on the batch, so neither do bits.
A window is the sum of e, the mean with its mirror image, and of o, which mirroring turns: two mirrored filters answer
d·e ± d·o, for the multiply-adds of one, as e and o have half the numbers each.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .windows import View

if TYPE_CHECKING:
    from .patches import Patches

SLICE = 70_000  # responses at a time, at most, 280 kB: fewer cost more in calls than a nearer cache saves
FLAT = np.float32(0.5)  # ρ: whitened windows of less than this share of the mean squared length count as flat
STEP = 48  # directions of a triangular product at a time


class Step(NamedTuple):
    """Some rows of a triangular product: which, of which numbers, and their weights (rows, numbers)."""

    rows: slice
    numbers: slice
    weights: np.ndarray


class Kernels(NamedTuple):
    """What the windows of a `View` meet: the bank's halves, of mirrored pairs the first; the whitening's steps."""

    bank: list[np.ndarray]
    whitening: list[Step]

    @classmethod
    def of(cls, extractor: Patches) -> Kernels:
        """The whitening is turned until it is a lower triangle, which leaves lengths as they are: direction i then sees
        the numbers from i on alone. Of mirrored pairs no direction sees both sums and differences.
        """
        assert extractor.bank is not None
        bank = _halves(extractor.bank[:, : extractor.filters // (1 + extractor.mirror)], extractor)
        if not extractor.unit:
            return cls(bank, [])
        assert extractor.whitening is not None
        sums, differences = _halves(extractor.whitening.astype(np.float64), extractor)
        turn, triangle = np.linalg.qr(np.vstack([sums[:-1], differences]).T)
        triangle, bias = triangle.T.astype(np.float32), (sums[-1] @ turn).astype(np.float32)
        steps, half, k = [], len(sums) - 1, len(triangle)
        for i in range(0, half, STEP):
            some = slice(i, min(i + STEP, half))
            steps.append(Step(some, slice(i, half + 1), np.vstack([triangle[i:half, some], bias[some]]).T))
        for i in range(half, k, STEP):
            some = slice(i, min(i + STEP, k))
            steps.append(Step(some, slice(i + 1, k + 1), triangle[i:, some].T))
        return cls(bank, steps)


class Layer:
    """One thread's buffers for pictures of one shape: every array that the layer needs, allocated once a block."""

    def __init__(self, extractor: Patches, kernels: Kernels) -> None:
        assert extractor.picture is not None
        bank, whitening = kernels
        height, width, _ = extractor.picture
        rows, columns = extractor.layout(height, width)
        paired = bool(extractor.mirror)
        self.view = View(extractor.settled(height, width), rows, columns, extractor.picture, paired)
        self.byte = 255 / extractor.ceiling if extractor.dtype == "uint8" and extractor.ceiling is not None else None
        (down, across), count = self.view.windows, bank[0].shape[1]
        # in columns, with a row of ones between sums and differences: it meets the bias
        self.windows = _aligned(sum(map(len, bank)), down * across)
        self.sums, self.differences = self.windows[: len(bank[0])], self.windows[len(bank[0]) :]
        self.whitening = whitening
        self.whitened = _aligned(len(self.windows) - 1, self.windows.shape[1]) if whitening else None
        tiles = [slice(across * i, across * (i + rows.count)) for i in rows.firsts]
        self.tiles = [(self.sums[:, tile].T, self.differences[:, tile].T) for tile in tiles]
        slices = -(-count * rows.count * across // SLICE)
        edges = [count * i // slices for i in range(slices + 1)]
        self.slices = [
            (slice(a, b), *(np.ascontiguousarray(half[:, a:b]) for half in bank)) for a, b in pairwise(edges)
        ]
        most = max(half.shape[1] for _, half, _ in self.slices)
        self.responses = [_aligned(rows.count, across * most) for _ in range(2 + paired)]
        # as long as a row of responses: an array against an array is 4 × as fast as against a scalar
        self.above = np.full(across * most, np.float32(extractor.threshold))
        self.below = -self.above
        self.ones = np.ones((1, rows.count), np.float32)
        self.added = np.empty((2, 1, across * most), np.float32)
        lengths = {across * (b - a) for a, b in pairwise(edges)}
        self.floors = {
            n: np.stack([self.ones @ np.tile(t[:n], (rows.count, 1)) for t in (self.above, self.below)])
            for n in lengths
        }
        window, first = np.arange(across), np.array(columns.firsts)[:, None]
        inside = ((first <= window) & (window < first + columns.count)) / np.float32(rows.count * columns.count)
        self.inside = np.stack([inside, -inside])  # the mean over the places of a row, of each sign
        self.pooled = np.empty((1 + paired, len(rows.firsts), 2, len(columns.firsts), count), np.float32)
        self.zero, self.most = np.zeros(count, np.float32), np.full(count, np.float32(255))

    def rows(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (m, h, w, c) → float32 (m, d), uint8 where the extractor's rows are; picture by picture."""
        reduced = self.view.reduced(pictures)
        shape = self.pooled.swapaxes(2, 3).shape[1:]
        out = np.empty((len(pictures), *shape), np.float32 if self.byte is None else np.uint8)
        for x, mean, deviation, row in zip(reduced, *self.view.moments(reduced), out, strict=True):
            self._look(x, mean, deviation.ravel())
            for tile, places in zip(self.tiles, self.pooled.swapaxes(0, 1), strict=True):
                for filters, *bank in self.slices:
                    self._respond(tile, bank, places[..., filters])
            self._finish(row)
        return out.reshape(len(out), -1)

    def _look(self, x: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Fill `windows`: contrast-normalised, then over √(|v|²/mean |v|² + ρ), and so the 1 that meets the bias."""
        self.view.gather(x, mean, self.sums[:-1], self.differences)
        self.sums[-1] = scale = deviation  # over which it is 1
        if self.whitened is not None:
            for directions, numbers, matrix in self.whitening:
                np.matmul(matrix, self.windows[numbers], out=self.whitened[directions])
            squares = np.einsum("ij,ij->j", self.whitened, self.whitened)
            scale = np.sqrt(squares + FLAT * np.square(deviation))
        self.windows *= 1 / scale

    def _respond(self, tile: tuple[np.ndarray, ...], bank: list[np.ndarray], places: np.ndarray) -> None:
        """Responses of some filters, or pairs, in a row of places, pooled: (each of a pair, signs, places, s)."""
        positions, s = len(tile[0]), bank[0].shape[1]
        z, beyond, *other = (a.reshape(-1)[: positions * s].reshape(positions, s) for a in self.responses)
        np.matmul(tile[0], bank[0], out=z)
        if other:  # e of the sums, o of the differences: e + o is the first filter's response, e − o its mirror image's
            np.matmul(tile[1], bank[1], out=beyond)
            np.subtract(z, beyond, out=other[0])
            z += beyond
            self._pool(other[0], beyond, places[1, :, ::-1])
        self._pool(z, beyond, places[0])

    def _pool(self, z: np.ndarray, beyond: np.ndarray, places: np.ndarray) -> None:
        """Means over places of responses (positions, s), each sign beyond the threshold: (signs, places, s).

        First over the windows one below the other, where thresholds are taken off as they round: what is never beyond
        is then 0, not a last bit, of which the root would make 2e-4, and what is a little beyond keeps its digits.
        """
        z, beyond = (a.reshape(self.ones.size, -1) for a in (z, beyond))
        n = z.shape[1]
        positive, negative = added = self.added[..., :n]
        np.maximum(z, self.above[:n], out=beyond)
        np.matmul(self.ones, beyond, out=positive)
        np.minimum(z, self.below[:n], out=z)  # in place: a third less memory to pass through
        np.matmul(self.ones, z, out=negative)
        added -= self.floors[n]
        np.matmul(self.inside, added.reshape(2, self.inside.shape[2], -1), out=places)

    def _finish(self, row: np.ndarray) -> None:
        """Roots of what was pooled, folded, in the extractor's type: (rows of places, places, signs, filters)."""
        pooled = self.pooled
        np.maximum(pooled, self.zero, out=pooled)  # a sum of values a little above t may round below that of t
        np.sqrt(pooled, out=pooled)
        values = pooled[0]
        if len(pooled) > 1:  # ½(φ + Pφ)
            values += pooled[1]
            values *= np.float32(0.5)
        if self.byte is not None:
            values *= self.byte
            np.rint(np.minimum(values, self.most, out=values), out=values)
        row[...] = values.swapaxes(1, 2)


def _aligned(*shape: int) -> np.ndarray:
    """Empty float32 that begins with a line of the cache: what straddles two takes up to half as long again."""
    buffer = np.empty(math.prod(shape) + 16, np.float32)
    start = -buffer.ctypes.data // buffer.itemsize % 16
    return buffer[start : start + math.prod(shape)].reshape(shape)


def _halves(weights: np.ndarray, extractor: Patches) -> list[np.ndarray]:
    """Weights of [u, 1], (K + 1, m), for the columns of a `View`: those of sums and of 1, those of differences.

    Of a column a and the one across, b, wₐa + w_b b is ½(wₐ + w_b)(a + b) + ½(wₐ − w_b)(a − b).
    """
    p = extractor.patch
    columns = weights[:-1].reshape(p, p, -1, weights.shape[1]).swapaxes(0, 1).reshape(p, -1, weights.shape[1])
    sums, differences = columns, columns[:0]
    if extractor.mirror:
        sums, differences = (columns + columns[::-1])[: p - p // 2] / 2, (columns - columns[::-1])[: p // 2] / 2
        sums[p // 2 :] /= 2  # the column in the middle is across from itself
    sums, differences = (half.reshape(-1, weights.shape[1]) for half in (sums, differences))
    return [np.vstack([sums, weights[-1:]]), differences]
