"""What an extractor is: pictures uint8 (n, h, w, c), c = 1 or 3, in; one row of float32 numbers per picture out.

A frozen dataclass whose fields are its options. `fit` answers a copy that remembers the shape of the pictures it
was fitted to (and what it learned from them); the original is never changed. Row i of `transform` depends on
picture i alone, bit for bit, whatever the batch around it and however many threads work. Batches are cut so
that the work in flight stays within `MEMORY` bytes per thread, whatever n. `contract()` is plain JSON; together
with `tensors()` it rebuilds the extractor exactly.
"""

from __future__ import annotations

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from ..arrays import available_threads
from ..errors import DataError, FileError, UsageError

LEARNED = {"learned": True}  # metadata of a field that `fit` fills: an array among the tensors, no option
MEMORY = 8_000_000  # bytes of intermediate arrays that one thread may hold: about a cache, faster than more


@dataclass(frozen=True)
class Extractor:
    """The contract; one subclass a file, listed in `FEATURES`. Subclasses write `_rows`, `dimension`, `_scratch`."""

    name: ClassVar[str]
    address: ClassVar[re.Pattern[str] | None] = None  # what else than its name stands for it, with a group "source"
    title: ClassVar[str]  # for people: "histograms of oriented gradients"
    learns: ClassVar[bool] = False  # whether fit looks at the pixels, not only at the pictures' shape
    ready: ClassVar[bool] = True  # whether it works without anything from the user, such as a file: auto tries it then
    variants: ClassVar[tuple[dict[str, Any], ...]] = ()  # options that only the pictures can decide on: tried by train

    picture: tuple[int, int, int] | None = field(default=None, kw_only=True)  # (h, w, c) that it was fitted to

    def fit(self, pictures: np.ndarray, seed: int = 0) -> Self:
        """A copy bound to the shape of these pictures, uint8 (n, h, w, c)."""
        shape = picture_shape(pictures)
        self.dimension(*shape)
        return dataclasses.replace(self, picture=shape)

    def settled(self, height: int, width: int, n: int) -> Self:
        """A copy with nothing left that the size or the number n of the pictures decides on."""
        return self

    def transform(self, pictures: np.ndarray, threads: int | None = None) -> np.ndarray:
        """uint8 (n, h, w, c) → float32 (n, d); DataError where the pictures are of another kind than fitted to."""
        shape = picture_shape(pictures)
        if self.picture is not None and shape != self.picture:
            raise DataError(
                f"These pictures are {describe(shape)}; the {self.name} features were set up for "
                f"{describe(self.picture)}. Resize them the same way as the training pictures."
            )
        out = np.empty((len(pictures), self.dimension(*shape)), dtype=self.row_type)
        self._fill(pictures, out, threads or available_threads())
        return out

    def scaled_parts(self) -> list[tuple[Extractor, float]]:
        """The extractors that lie side by side in its rows, and the factor of each; alone, itself."""
        return [(self, 1.0)]

    @property
    def row_type(self) -> np.dtype:
        """The type of the rows."""
        return np.dtype(np.float32)

    def _fill(self, pictures: np.ndarray, out: np.ndarray, threads: int) -> None:
        """Write one row of `out` per picture, a bounded block of pictures at a time, blocks spread over threads."""
        size = max(1, MEMORY // self._scratch(*picture_shape(pictures)))
        size = max(1, min(size, -(-len(pictures) // threads)))

        def block(start: int) -> None:
            out[start : start + size] = self._rows(pictures[start : start + size])

        in_threads(block, range(0, len(pictures), size), threads)

    def dimension(self, height: int, width: int, channels: int) -> int:
        """Numbers per picture of this shape; DataError where no such picture can be described."""
        raise NotImplementedError

    def _rows(self, pictures: np.ndarray) -> np.ndarray:
        """(m, h, w, c) → (m, d) for a block of pictures."""
        raise NotImplementedError

    def _scratch(self, height: int, width: int, channels: int) -> int:
        """Bytes of intermediate arrays per picture in `_rows`."""
        raise NotImplementedError

    @classmethod
    def choices(cls) -> dict[str, Any]:
        """The options that a specification may set, with their defaults."""
        return {f.name: f.default for f in dataclasses.fields(cls) if f.name != "picture" and not f.metadata}

    def options(self) -> dict[str, Any]:
        """The options as they stand."""
        return {option: getattr(self, option) for option in self.choices()}

    def looks(self) -> dict[str, Any]:
        """Fields of the pictures' preprocessing that it cannot do without, by name."""
        return {}

    @property
    def spec(self) -> str:
        """The shortest specification that makes it: "hog", "hog(cell=8)"."""
        return self._spec_of(self.name)

    def _spec_of(self, name: str) -> str:
        """A name with the options that differ from the default."""
        changed = [f"{k}={getattr(self, k)}" for k, default in self.choices().items() if getattr(self, k) != default]
        return f"{name}({','.join(changed)})" if changed else name

    def contract(self) -> dict[str, Any]:
        """Plain JSON; with `tensors()` it rebuilds the extractor exactly."""
        picture = list(self.picture) if self.picture else None
        return {"name": self.name, "options": self.options(), "picture": picture}

    def tensors(self) -> dict[str, np.ndarray]:
        """What was learned, by name; empty for extractors that do not learn."""
        return {}

    @classmethod
    def restore(cls, contract: dict[str, Any], tensors: dict[str, np.ndarray]) -> Self:
        """The inverse of `contract` and `tensors`; FileError where they do not fit together."""
        try:
            picture = contract["picture"]
            extractor = cls(**contract["options"], picture=tuple(picture) if picture else None)
            if extractor.picture is not None:
                extractor.dimension(*extractor.picture)
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(
                f"The saved options of the {cls.name} features are damaged, or of another version ({error!r}). "
                "Copy the model again, or train it again."
            ) from error
        return extractor


def picture_shape(pictures: np.ndarray) -> tuple[int, int, int]:
    """(h, w, c) of an array of pictures; DataError where it is not uint8 (n, h, w, 1 or 3)."""
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8 or pictures.ndim != 4:
        found = f"{pictures.dtype} {pictures.shape}" if isinstance(pictures, np.ndarray) else type(pictures).__name__
        raise DataError(f"Pictures must be a uint8 array of shape (n, h, w, c); found {found}.")
    height, width, channels = pictures.shape[1:]
    if channels not in (1, 3) or min(height, width) < 1:
        raise DataError(f"Pictures must have 1 or 3 channels and no empty side; found {pictures.shape[1:]}.")
    return height, width, channels


def describe(shape: tuple[int, int, int]) -> str:
    """(64, 48, 3) → "48×64 colour", width first as people say it."""
    return f"{shape[1]}×{shape[0]} {'colour' if shape[2] == 3 else 'grey'}"


def check_range(extractor: Extractor, **limits: tuple[float, float]) -> None:
    """UsageError naming the option of `extractor` that lies outside its (least, greatest)."""
    for option, (least, greatest) in limits.items():
        value = getattr(extractor, option)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= greatest:
            raise UsageError(f"{extractor.name}: {option} must lie between {least} and {greatest}; found {value!r}.")


def in_threads(work: Any, items: Any, threads: int) -> None:
    """work(item) for every item, on `threads` threads (NumPy releases the lock); the first error is raised."""
    items = list(items)
    if threads < 2 or len(items) < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C included: do not work through the queue first
            pool.shutdown(wait=False, cancel_futures=True)
            raise
