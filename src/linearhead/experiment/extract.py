"""Pictures → pixels → vectors, each computed once and kept in a store: what lies there is read, the rest is added.

Two kinds of tables: pixels of one size and mode under the SHA-256 of a picture's bytes, and features of one extractor
under the same key; what an extractor learned lies beside them, under the keys of the pictures it learned from. No more
than a few batches are in memory at a time, and a bounded sample where an extractor learns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, container, features, images, remote
from ..data import Dataset
from ..data.feature_store import Store, Table
from ..data.stored_rows import StoredRows
from ..errors import DataError
from ..features import Extractor, from_contract, make
from ..files import sha256
from ..images import Preprocessing, Unreadable
from ..records import Skipped
from .progress import Progress
from .recipe import Recipe

PROBED = 200  # headers read to choose the picture size
SAMPLE_BYTES = 256 * 2**20  # decoded training pictures held for an extractor that learns
BATCH = 256  # pictures described at a time
LISTED = 20  # bad pictures named in an error
LEARNED = "learned.extractor"

Seen = list[tuple[int, bytes | None, str | None]]  # row of the dataset, key, why it cannot be used


@dataclass
class Extracted:
    """Features of the pictures that could be read: row i belongs to the dataset's picture rows[i]."""

    stored: StoredRows  # (n, d), in the store
    rows: np.ndarray  # (n,) indices into the dataset, in the order that was asked for
    skipped: list[Skipped] = field(default_factory=list)
    conversions: Counter[str] = field(default_factory=Counter)

    @cached_property
    def X(self) -> np.ndarray:
        """The rows in memory."""
        return self.stored.gathered()


class Sources(Sequence[Any]):
    """Some pictures of a dataset for `decode_many`, fetched when their turn comes: they need not fit into memory."""

    def __init__(self, dataset: Dataset, rows: np.ndarray) -> None:
        self.dataset, self.rows = dataset, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> Any:
        return self.dataset.read(int(self.rows[i]))


@dataclass
class Tolerance:
    """How many unreadable pictures are borne: `share` of `n`; `strict` bears none."""

    n: int
    share: float
    strict: bool = False
    bad: list[Skipped] = field(default_factory=list)

    def add(self, bad: Skipped) -> None:
        self.bad.append(bad)
        if self.strict:
            raise DataError(
                f"Unreadable picture {bad.path}: {bad.reason}. --strict stops at the first; "
                "mend or remove it, or leave --strict out to have such pictures skipped and listed."
            )

    @property
    def exceeded(self) -> bool:
        return len(self.bad) > self.share * self.n

    def check(self) -> None:
        """DataError with the list, where more than the share could not be read."""
        if not self.exceeded:
            return
        self.bad.sort(key=lambda bad: bad.path)
        listed = "\n".join(f"  {bad.path}: {bad.reason}" for bad in self.bad[:LISTED])
        more = f"\n  … and {len(self.bad) - LISTED} more" if len(self.bad) > LISTED else ""
        enough = min(1.0, np.ceil(1000 * len(self.bad) / self.n) / 1000)
        raise DataError(
            f"{len(self.bad)} of {self.n} pictures cannot be read, more than the {self.share:.1%} that are borne:\n"
            f"{listed}{more}\nMend or remove them, or accept the loss with --max-bad {enough:g}."
        )


def choose_pictures(dataset: Dataset, rows: np.ndarray, recipe: Recipe) -> Preprocessing:
    """The size and mode in which the pictures are looked at, from the headers of a sample of the training pictures."""
    rng = np.random.default_rng(recipe.seed)
    headers = []
    for row in rng.permutation(rows)[:PROBED]:
        try:
            headers.append(images.probe(dataset.read(int(row))))
        except (Unreadable, OSError):
            continue  # counted where it is decoded
    # where no header can be read, decoding will say so, picture by picture
    chosen = images.choose_preprocessing(headers) if headers else Preprocessing(64, 64)
    if recipe.size is not None:
        chosen = replace(chosen, height=recipe.size[0], width=recipe.size[1])
    if recipe.features != "auto":
        chosen = replace(chosen, **make(recipe.features).looks())
    return chosen if recipe.fit is None else replace(chosen, fit=recipe.fit)


@cache
def code() -> str:
    """SHA-256 of the source that makes pixels and features, which may change while the version does not."""
    places = [Path(package.__file__).parent for package in (images, features) if package.__file__]
    return sha256(b"".join(file.read_bytes() for place in places for file in sorted(place.rglob("*.py"))))


class Pictures:
    """Some pictures of a dataset on their way to features: each is decoded once, failures and conversions are counted.

    `rows` (n,) are their places in the dataset, in the order in which features are wanted. Without a store everything
    stays in memory.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        preprocessing: Preprocessing,
        tolerance: Tolerance,
        progress: Progress,
        store: Store | None = None,
    ) -> None:
        self.dataset, self.rows, self.preprocessing = dataset, rows, preprocessing
        self.tolerance, self.progress, self.store = tolerance, progress, store or Store(None)
        self.contract = {
            "linearhead": __version__,
            **{name: version(name) for name in ("numpy", "pillow")},
            "code": code(),
            "preprocessing": preprocessing.to_dict(),
        }
        self.table = self.store.table(self.contract, int(np.prod(preprocessing.shape)), np.uint8)
        self.threads: int | None = None  # that decode; None: as many as there are cores

    @cached_property
    def keys(self) -> dict[int, bytes]:
        """Row of the dataset → SHA-256 of its picture's bytes, of those that can be read, in the order of `rows`.

        Here the pictures are read, and those decoded whose pixels the store does not hold.
        """
        keys: dict[int, bytes] = {}
        with self.table.alone(), self.progress.bar(len(self.rows), "pictures") as done:
            for seen in self.look_at(self.rows):
                for row, key, reason in seen:
                    if reason is not None:
                        self.tolerance.add(Skipped(self.dataset.names[row], reason))
                    elif key is not None:
                        keys[row] = key
                done(len(seen))
            self.table.flush()
        self.tolerance.check()
        return {row: keys[row] for row in self.rows.tolist() if row in keys}

    def look_at(self, rows: np.ndarray) -> Iterator[Seen]:
        """Reads pictures and decodes those that the table does not hold into it, a few at a time."""
        sources = Sources(self.dataset, rows)
        for looks in images.look_many(sources, self.preprocessing, self.table, self.threads):
            yield [self._keep(look, int(rows[look.index])) for look in looks]

    def _keep(self, look: images.Look, row: int) -> tuple[int, bytes | None, str | None]:
        if look.key is not None and (look.pixels is not None or look.reason is not None):
            pixels = None if look.pixels is None else look.pixels.ravel()
            self.table.add(look.key, pixels, look.notes, look.reason or "")
        reason = look.reason or (self.table.reason(look.key) if look.key is not None else None)
        return row, look.key, reason

    @cached_property
    def good(self) -> np.ndarray:
        """Those of `rows` that can be read."""
        return np.fromiter(self.keys, dtype=np.intp, count=len(self.keys))

    def pixels(self, rows: np.ndarray) -> StoredRows:
        """Pixels of rows that can be read, (m, h·w·c) uint8; `shaped` makes pictures of them."""
        return self.table.rows([self.keys[row] for row in rows.tolist()])

    def shaped(self, pixels: np.ndarray) -> np.ndarray:
        """(m, h·w·c) → (m, h, w, c)."""
        return pixels.reshape(len(pixels), *self.preprocessing.shape)

    def learn(self, spec: str, among: np.ndarray, seed: int) -> Extractor:
        """The extractor `spec`, fitted; where it learns, from a bounded random sample of the rows `among`."""
        extractor, shape = make(spec), self.preprocessing.shape
        if not extractor.learns:
            return extractor.fit(np.zeros((1, *shape), dtype=np.uint8), seed)
        sample, pictures = self.seen(np.random.default_rng(seed).permutation(among)[: self.most_held])
        if not len(sample):
            raise DataError(f"None of {len(among)} training pictures can be read; {self.tolerance.bad[0].reason}.")
        return self._learned(extractor, sample, pictures, seed)

    @property
    def most_held(self) -> int:
        """How many pictures fit into SAMPLE_BYTES."""
        return max(2, SAMPLE_BYTES // int(np.prod(self.preprocessing.shape)))

    def seen(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of these rows that can be read, sorted, and their pictures (m, h, w, c)."""
        rows = np.array([row for row in np.sort(rows).tolist() if row in self.keys], dtype=np.intp)
        return rows, self.shaped(self.pixels(rows)[:])

    def _learned(self, extractor: Extractor, sample: np.ndarray, pictures: np.ndarray, seed: int) -> Extractor:
        """As it was learned from these very pictures before, if it was; else learned now."""
        taught_by = sha256(b"".join(self.keys[row] for row in sample.tolist()))
        place = self.store.place({**self.contract, "learning": extractor.contract(), "from": taught_by, "seed": seed})
        if place is not None:
            remote.pull(place)
        if place is not None and (place / LEARNED).exists():
            try:
                info, tensors = container.read(place / LEARNED)
                return from_contract(info["contract"], tensors)
            except container.Refused as damage:
                self.progress.say(f"{place / LEARNED} {damage.what}; it is learned again.")
        learned = extractor.fit(pictures, seed)
        if place is not None:
            self.store.write(place / LEARNED, {"contract": learned.contract()}, learned.tensors())
        return learned

    def features(self, extractor: Extractor) -> Extracted:
        """Features of all rows that can be read; the others are listed."""
        tensors = sha256(
            b"".join(f"{k} {v.dtype} {v.shape} ".encode() + v.tobytes() for k, v in sorted(extractor.tensors().items()))
        )
        look = {**self.contract, "extractor": extractor.contract(), "tensors": tensors}
        keys = list(self.keys.values())
        table = self.store.table(look, extractor.dimension(*self.preprocessing.shape), extractor.row_type)
        with table.alone(), self.progress.bar(len(keys), "features") as done:
            missing = [key for key in dict.fromkeys(keys) if key not in table]
            done(len(keys) - len(missing))
            self.describe(table, extractor, missing, done)
            table.flush()
        return Extracted(table.rows(keys), self.good, self.tolerance.bad, self.table.notes(keys))

    def describe(self, table: Table, extractor: Extractor, keys: list[bytes], done: Callable[[int], object]) -> None:
        """Adds the features of these pictures to the table."""
        pixels = self.table.rows(keys)
        for start in range(0, len(keys), BATCH):
            block = keys[start : start + BATCH]
            rows = extractor.transform(self.shaped(pixels[start : start + BATCH]))
            for key, row in zip(block, rows, strict=True):
                table.add(key, row)
            done(len(block))
