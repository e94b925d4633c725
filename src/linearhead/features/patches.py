"""A layer of patches learned from the training pictures alone (Coates, Lee & Ng 2011; Thiry et al. 2021).

A picture is averaged down to a shorter side of S pixels. Each p×p×c window x is contrast-normalised,
u = (x − mean x)/√(var x + ε), and whitened by Z = V (E + λ tr(E)/K)^(−1/2) Vᵀ, E the covariance of u over random
training windows, K = p²c. The whitened window v = Z(u − ū) is brought near unit length, v/√(|v|² + ρ mean |v|²), unless
unit=0 (Thiry et al. have ρ = 0). A filter d_j is a whitened training window of length 1; its response z_j, d_j times
such a v, is scaled to variance 1 over all filters. Each sign counts beyond a threshold t, averaged over each place A of
a grid of g×g, then square-rooted (Hellinger): φ = √(mean_A max(±z_j − t, 0)). Dimension 2 g² m for m filters. With
mirror=1 half the filters are the others' mirror images: then φ(mirrored x) = Pφ(x), P a permutation, and ½(φ + Pφ),
half as long, gives by convexity the very classifier that training on every picture and its mirror image would give.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from ..arrays import one_blas_thread
from ..errors import DataError, FileError, UsageError
from .contract import LEARNED, MEMORY, Extractor, check_range, picture_shape
from .dictionary import learn
from .layer import Kernels, Layer
from .windows import Layout


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
LOOKED = 64  # training pictures whose rows set the ceiling of uint8 rows
BLOCK = 64  # pictures that one thread works through before their rows are handed over
UNFITTED = "These patches have learned nothing yet. Call fit with the training pictures first."


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
    whitening: np.ndarray | None = field(default=None, repr=False, metadata=LEARNED)  # (K + 1, K), see learn
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
            learned = learn(pictures, settled, rng)
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
        return Layer(self, self._kernels).rows(pictures)

    @cached_property
    def _kernels(self) -> Kernels:
        return Kernels.of(self)

    def _scratch(self, height: int, width: int, channels: int) -> int:
        return max(4 * self.dimension(height, width, channels), 32 * height * width * channels, MEMORY // BLOCK)
