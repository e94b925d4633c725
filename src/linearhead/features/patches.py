"""A layer of patches learned from the training pictures alone (Coates, Lee & Ng 2011; Thiry et al. 2021).

A picture is averaged down to a shorter side of S pixels. Each p×p×c window x is contrast-normalised,
u = (x − mean x)/√(var x + ε), and whitened by Z = V (E + λ tr(E)/K)^(−1/2) Vᵀ, E the covariance of u over random
training windows, K = p²c. The whitened window v = Z(u − ū) is brought near unit length, v/√(|v|² + ρ mean |v|²), unless
unit=0 (Thiry et al. have ρ = 0). A filter d_j is a whitened training window of length 1; its response z_j, d_j times
such a v, is scaled to variance 1 over all filters. Each sign counts beyond a threshold t, averaged over each place A of
a grid of g×g, then square-rooted (Hellinger): φ = √(mean_A max(±z_j − t, 0)). Dimension 2 g² m for m filters. With
mirror=1 half the filters are the others' mirror images: then φ(mirrored x) = Pφ(x), P a permutation, and ½(φ + Pφ),
half as long, gives by convexity the very classifier that training on every picture and its mirror image would give.

Per row of places one matrix product, windows × filters, in slices of filters that stay near through threshold and
pooling: nothing of size pictures × positions × filters exists. Shapes never depend on the batch, so neither do bits.
A window is the sum of e, the mean with its mirror image, and of o, which mirroring turns: two mirrored filters answer
d·e ± d·o, for the multiply-adds of one, as e and o have half the numbers each.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..arrays import one_blas_thread
from ..errors import DataError, FileError, UsageError
from .contract import LEARNED, MEMORY, Extractor, check_range, picture_shape
from .windows import CONTRAST, LEVELS, Layout, View, contrast


class Quality(NamedTuple):
    """m = growth · n^power filters for n pictures, between least and most: random features need about √n of them to
    lose nothing against their limit (Rudi & Rosasco 2017)."""

    least: int
    most: int
    growth: float
    power: float
    side: int  # S, at most
    grid: int  # g


QUALITIES = {
    "fast": Quality(64, 400, 1.0, 0.5, 32, 3),
    "balanced": Quality(64, 640, 0.333, 0.75, 32, 4),
    "best": Quality(400, 2000, 8.0, 0.5, 48, 4),
}
FINE = 4000  # pictures from which balanced looks at a finer grid: of fewer, rows longer than their number cost minutes
USUAL = 10_000  # pictures, where nothing has been fitted yet and somebody asks how long a row will be
MANY = 10_000  # pictures from which rows are kept in a byte a number, a fit passing over them as fast as over float32
DTYPES = ("float32", "float16", "uint8")
POSITIONS = 4_000  # of windows in a picture, at most, where the stride is not given
WINDOWS = 60_000  # random training windows from which whitening and filters are learned
SAMPLE = 4_000  # training pictures that they are cut from, and the bytes that those may take
SAMPLE_BYTES = 100_000_000
LOOKED = 64  # training pictures whose rows set the ceiling of uint8 rows
SLICE = 70_000  # responses at a time, at most, 280 kB: fewer cost more in calls than a nearer cache saves
FLAT = np.float32(0.5)  # ρ: whitened windows of less than this share of the mean squared length count as flat
BLOCK = 64  # pictures that one thread works through before their rows are handed over
STEP = 48  # directions of a triangular product at a time
UNFITTED = "These patches have learned nothing yet. Call fit with the training pictures first."


class Step(NamedTuple):
    """Some rows of a triangular product: which, of which numbers, and their weights (rows, numbers)."""

    rows: slice
    numbers: slice
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Patches(Extractor):
    """`quality` (fast, balanced, best), the pictures' size and their number settle what is 0 or ""; `dtype`: the rows'.

    `across`: windows that fit side by side into the shorter side, S/p. uint8 rows are in 255ths of their `ceiling`.
    """

    name = "patches"
    title = "learned patches"
    learns: ClassVar[bool] = True
    variants = ({"mirror": 1}, {"across": 6.4})

    quality: str = "balanced"
    filters: int = 0  # m
    side: int = 0  # S
    patch: int = 0  # p, pixels
    stride: int = 0  # pixels from window to window
    grid: int = 0  # g
    regulariser: float = 0.3  # λ
    threshold: float = 1.0  # t
    unit: int = 1  # whether whitened windows are brought near unit length
    across: float = 4.5
    mirror: int = 0
    dtype: str = ""

    # what fit learns: the filters as applied to u, (K + 1, m), whitening within, last row −d·Zū; the filters d, (m, K)
    bank: np.ndarray | None = field(default=None, repr=False, metadata=LEARNED)
    atoms: np.ndarray | None = field(default=None, repr=False, metadata=LEARNED)
    whitening: np.ndarray | None = field(default=None, repr=False, metadata=LEARNED)  # (K + 1, K), see _learn
    ceiling: np.ndarray | None = field(default=None, repr=False, metadata=LEARNED)  # (1,) the largest value of a sample

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise UsageError(f"patches: quality is one of {', '.join(QUALITIES)}; found {self.quality!r}.")
        if self.dtype not in ("", *DTYPES):
            raise UsageError(f"patches: dtype is one of {', '.join(DTYPES)}; found {self.dtype!r}.")
        check_range(self, filters=(0, 100_000), side=(0, 1024), patch=(0, 64), stride=(0, 64), grid=(0, 16))
        check_range(self, regulariser=(1e-6, 1e3), threshold=(0, 10), across=(1, 64), mirror=(0, 1), unit=(0, 1))

    def settled(self, height: int, width: int, n: int = USUAL) -> Self:
        """A copy with nothing left to choose for n pictures of this size.

        S = the picture's own shorter side, at most 32 (best: 48); p = S/4.5, at least 3: a window sees about a
        quarter of the side, found best for drawings, clothes and hands alike; stride 1, more only where there would
        be over 4 000 windows, since sparse windows cost more accuracy than few filters.
        """
        least, most, growth, power, widest, grid = QUALITIES[self.quality]
        # in pairs where there are mirror images; the rows stay as long
        filters = self.filters or (1 + self.mirror) * min(most, max(least, int(growth * n**power)))
        filters += self.mirror * filters % 2
        shorter = min(height, width)
        side = min(self.side or widest, shorter)
        patch = self.patch or max(3, int(side / self.across + 0.5))
        if patch > side:
            raise DataError(
                f"patches: windows of {patch}×{patch} pixels do not fit into pictures of {width}×{height} pixels "
                f"(looked at with a shorter side of {side}). Choose a smaller patch, e.g. patches(patch={side}), "
                "or larger pictures."
            )
        windows = [max(1, round(length * side / shorter)) - patch + 1 for length in (height, width)]
        stride = self.stride or int(np.ceil(np.sqrt(windows[0] * windows[1] / POSITIONS)))
        return dataclasses.replace(
            self,
            filters=filters,
            side=side,
            patch=patch,
            stride=stride,
            grid=self.grid or (3 if n < FINE and self.quality == "balanced" else grid),
            dtype=self.dtype or ("uint8" if n >= MANY and self.quality != "fast" else "float32"),
        )

    def layout(self, height: int, width: int) -> tuple[Layout, Layout]:
        """Both sides of a picture of this size. Places overlap by a window where the windows do not divide."""
        e = self.settled(height, width)

        def along(length: int) -> Layout:
            pixels = max(1, round(length * e.side / min(height, width)))
            windows = (pixels - e.patch) // e.stride + 1
            places = min(e.grid, windows)
            count = -(-windows // places)
            count += places % 2 * (windows - count) % 2  # the place in the middle is as far from one edge as the other
            firsts = [int(i * (windows - count) / max(1, places - 1) + 0.5) for i in range((places + 1) // 2)]
            firsts += [windows - count - first for first in reversed(firsts[: places // 2])]
            return Layout(pixels, tuple(firsts), count)

        return along(height), along(width)

    def dimension(self, height: int, width: int, channels: int) -> int:
        rows, columns = self.layout(height, width)
        filters = self.settled(height, width).filters
        return 2 * len(rows.firsts) * len(columns.firsts) * (filters // 2 if self.mirror else filters)

    def fit(self, pictures: np.ndarray, seed: int = 0) -> Self:
        """A copy whose whitening and filters are learned from these pictures; the same for the same seed."""
        height, width, channels = picture_shape(pictures)
        if not len(pictures):
            raise DataError("patches: there is no picture to learn from. At least one is needed.")
        settled = self.settled(height, width, len(pictures))
        dtype = settled.dtype
        settled = dataclasses.replace(settled, picture=(height, width, channels), dtype="float32")
        rng = np.random.default_rng(seed)
        with one_blas_thread():
            learned = _learn(pictures, settled, rng)
        fitted = dataclasses.replace(settled, filters=len(learned["atoms"]), **learned)
        largest = fitted.transform(pictures[rng.permutation(len(pictures))[:LOOKED]]).max()
        return dataclasses.replace(fitted, dtype=dtype, ceiling=np.array([max(largest, 1e-6)], np.float32))

    def filters_as_pictures(self) -> np.ndarray:
        """uint8 (m, p, p, c): each filter with 0 as middle grey and its largest weight as black or white."""
        if self.atoms is None or self.picture is None:
            raise UsageError(UNFITTED)
        peak = np.abs(self.atoms).max(axis=1, keepdims=True)
        grey = 127.5 + 127.5 * self.atoms / np.where(peak > 0, peak, 1)
        return np.rint(grey).astype(np.uint8).reshape(-1, self.patch, self.patch, self.picture[2])

    def templates(self, W: np.ndarray) -> np.ndarray:
        """Weights (k, d) through the filters: (k, rows · p, columns · p, c), at each place Σ_j (w⁺_j − w⁻_j) d_j."""
        if self.atoms is None or self.picture is None:
            raise UsageError(UNFITTED)
        rows, columns = (len(along.firsts) for along in self.layout(*self.picture[:2]))
        w = np.asarray(W, np.float32).reshape(len(W), rows, columns, 2, -1)
        w = w[:, :, :, 0] - w[:, :, :, 1]
        drawn = w @ self.atoms[: w.shape[-1]]
        if self.mirror:  # a folded weight is one of a place and its filter, and of the mirrored place and filter, too
            drawn = drawn + w[:, :, ::-1] @ self.atoms[w.shape[-1] :]
        p, c = self.patch, self.picture[2]
        drawn = drawn.reshape(len(W), rows, columns, p, p, c).transpose(0, 1, 3, 2, 4, 5)
        return drawn.reshape(len(W), rows * p, columns * p, c)

    def importance(self, W: np.ndarray) -> np.ndarray:
        """How much each filter is used by weights (k, d): (m,), the root of the sum of their squares."""
        used = np.square(np.asarray(W, np.float32)).sum(axis=0).reshape(-1, self.filters // (1 + self.mirror))
        return np.tile(np.sqrt(used.sum(axis=0)), 1 + self.mirror)

    def tensors(self) -> dict[str, np.ndarray]:
        learned = {"bank": self.bank, "atoms": self.atoms, "whitening": self.whitening, "ceiling": self.ceiling}
        return {name: tensor for name, tensor in learned.items() if tensor is not None}

    @classmethod
    def restore(cls, contract: dict[str, Any], tensors: dict[str, np.ndarray]) -> Self:
        options = contract.get("options")
        if isinstance(options, dict):  # models from before there was a choice
            contract = {**contract, "options": {"unit": 0, **options}}
        extractor = super().restore(contract, tensors)
        if extractor.picture is None:
            return extractor
        k = extractor.patch**2 * extractor.picture[2]
        shapes = {"bank": (k + 1, extractor.filters), "atoms": (extractor.filters, k), "ceiling": (1,)}
        if extractor.unit:
            shapes["whitening"] = (k + 1, k)
        for name, shape in shapes.items():
            found = tensors.get(name)
            if found is None or found.shape != shape or found.dtype != np.float32 or not np.isfinite(found).all():
                what = "nothing" if found is None else f"{found.dtype} {found.shape}"
                raise FileError(
                    f"The saved patches are damaged: {name} should be finite float32 {shape}, found {what}. "
                    "Copy the model again, or train it again."
                )
        return dataclasses.replace(extractor, **{name: np.ascontiguousarray(tensors[name]) for name in shapes})

    @property
    def row_type(self) -> np.dtype:
        return np.dtype(self.dtype or "float32")

    def _fill(self, pictures: np.ndarray, out: np.ndarray, threads: int) -> None:
        if self.bank is None:
            raise UsageError(UNFITTED)
        with one_blas_thread():
            super()._fill(pictures, out, threads)

    def _rows(self, pictures: np.ndarray) -> np.ndarray:
        return _Layer(self, *self._kernels).rows(pictures)

    @cached_property
    def _kernels(self) -> tuple[list[np.ndarray], list[Step]]:
        """What the windows of a `View` meet: the bank's halves, of mirrored pairs the first; the whitening's steps.

        The whitening is turned until it is a lower triangle, which leaves lengths as they are: direction i then sees
        the numbers from i on alone. Of mirrored pairs no direction sees both sums and differences.
        """
        assert self.bank is not None
        halves = _halves(self.bank[:, : self.filters // (1 + self.mirror)], self)
        if not self.unit:
            return halves, []
        assert self.whitening is not None
        sums, differences = _halves(self.whitening.astype(np.float64), self)
        turn, triangle = np.linalg.qr(np.vstack([sums[:-1], differences]).T)
        triangle, bias = triangle.T.astype(np.float32), (sums[-1] @ turn).astype(np.float32)
        steps, half, k = [], len(sums) - 1, len(triangle)
        for i in range(0, half, STEP):
            some = slice(i, min(i + STEP, half))
            steps.append(Step(some, slice(i, half + 1), np.vstack([triangle[i:half, some], bias[some]]).T))
        for i in range(half, k, STEP):
            some = slice(i, min(i + STEP, k))
            steps.append(Step(some, slice(i + 1, k + 1), triangle[i:, some].T))
        return halves, steps

    def _scratch(self, height: int, width: int, channels: int) -> int:
        return max(4 * self.dimension(height, width, channels), 32 * height * width * channels, MEMORY // BLOCK)


class _Layer:
    """One thread's buffers for pictures of one shape: every array that the layer needs, allocated once a block."""

    def __init__(self, extractor: Patches, bank: list[np.ndarray], whitening: list[Step]) -> None:
        assert extractor.picture is not None
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


def _sample(pictures: np.ndarray, extractor: Patches, rng: np.random.Generator) -> np.ndarray:
    """Random windows of random training pictures, no window twice, shuffled: float32 (n, K)."""
    shape = picture_shape(pictures)
    view = View(extractor.settled(*shape[:2]), *extractor.layout(*shape[:2]), shape)
    patch, height, width = view.patch, view.rows.pixels, view.columns.pixels
    most = min(SAMPLE, max(1, SAMPLE_BYTES // (4 * height * width * view.channels)))
    chosen = np.sort(rng.permutation(len(pictures))[:most])
    reduced = np.concatenate([view.reduced(pictures[i : i + 1]) for i in chosen]) / np.float32(LEVELS)
    cut = np.moveaxis(sliding_window_view(reduced, (patch, patch), axis=(2, 3)), 1, 5)
    total = int(np.prod(cut.shape[:3]))
    which = rng.choice(total, min(WINDOWS, total), replace=False)
    windows = np.empty((len(which), patch * patch * view.channels), dtype=np.float32)
    for block in (slice(i, i + 4096) for i in range(0, len(which), 4096)):
        windows[block] = cut[np.unravel_index(which[block], cut.shape[:3])].reshape(-1, windows.shape[1])
    return windows


def _learn(pictures: np.ndarray, extractor: Patches, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Bank, atoms and whitening as `Patches` has them; fewer filters than asked where there are fewer windows.

    whitening: [u, 1] → v/√(mean |v|²) in the eigenbasis, (K + 1, K), whose lengths alone are asked for.
    """
    u = _sample(pictures, extractor, rng)
    flat = contrast(u) < CONTRAST
    turned = mirrored(np.arange(u.shape[1])[None], extractor)[0]
    mean, covariance = _moments(u, turned if extractor.mirror else np.arange(u.shape[1]))
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + extractor.regulariser * max(values.mean(), 1e-12)
    whitening = vectors / np.sqrt(values)  # v in the eigenbasis: its length is as in any other
    count = extractor.filters // (1 + extractor.mirror)
    atoms = (u[flat.all() | ~flat][:count] - mean) @ whitening @ vectors.T
    if extractor.mirror:
        atoms = np.vstack([atoms, atoms[:, turned]])
    length = np.linalg.norm(atoms, axis=1, keepdims=True)
    atoms /= np.where(length > 0, length, 1)
    bank = whitening @ (atoms @ vectors).T
    responses = (u[:4096] - mean) @ bank
    learned = {"atoms": atoms}
    if extractor.unit:
        squares = np.square((u[:4096] - mean) @ whitening).sum(axis=1, keepdims=True)
        usual = max(squares.mean(), 1e-12)
        responses /= np.sqrt(squares / usual + FLAT)
        learned["whitening"] = np.vstack([whitening, -mean @ whitening]) / np.sqrt(usual)
    spread = np.sqrt(np.mean(np.square(responses)))
    learned["bank"] = np.vstack([bank, -mean @ bank]) / (spread if spread > 0 else 1)
    return {name: array.astype(np.float32) for name, array in learned.items()}


def _moments(u: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (K,) and covariance (K, K) of windows (n, K), as if each had been seen with its columns turned, too."""
    mean, covariance = u.mean(axis=0, dtype=np.float64), np.zeros((u.shape[1],) * 2)
    mean = (mean + mean[turned]) / 2
    for block in np.array_split(u, -(-len(u) // 4096)):
        covariance += (block - mean).T @ (block - mean) / len(u)
    return mean, (covariance + covariance[np.ix_(turned, turned)]) / 2


def mirrored(windows: np.ndarray, extractor: Patches) -> np.ndarray:
    """Rows (n, K) with left and right exchanged."""
    shape = (len(windows), extractor.patch, extractor.patch, -1)
    return windows.reshape(shape)[:, :, ::-1].reshape(windows.shape)
