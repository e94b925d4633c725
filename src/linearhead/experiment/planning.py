"""plan: what `train` of some data costs on so many workers, said before anything is computed.

Sizes come from the data as `train` would see them, or from numbers; how fast a core is, from a second of passes over
made-up rows of that size here, and for pictures from a few of them decoded and described.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import available_threads
from ..data import Dataset
from ..errors import UsageError
from ..features import make
from . import cost, roles
from .extract import Pictures, Tolerance, choose_pictures
from .names import open_readable
from .progress import Progress
from .recipe import Recipe

PROBED = 48  # pictures that are decoded and described to time it
BYTES = {"float16": 2, "uint8": 1, "float32": 4, "float64": 8}


@dataclass
class Planned:
    """A plan, and what it is a plan of."""

    plan: cost.Plan
    number_bytes: int
    speed: float  # of a core here, 1 being those of the model's measurements
    features: str | None = None  # None: rows that are there
    pictures: int | None = None
    picture_bytes: float | None = None  # of all pictures, estimated from some
    extract_seconds: float | None = None  # decoding and features, on all workers

    def to_json(self) -> dict[str, Any]:
        others = {name: value for name, value in vars(self).items() if name != "plan"}
        total = self.plan.seconds + (self.extract_seconds or 0.0)
        return self.plan.to_json() | others | {"total_seconds": total}


def plan(
    data: str | Path | None = None,
    *,
    rows: int | None = None,
    columns: int | None = None,
    classes: int | None = None,
    kind: str | None = None,
    features: str = "hog+color",
    size: tuple[int, int] | None = None,
    reader: str = "auto",
    alpha: float | str = "auto",
    workers: int = 1,
    cores: int | None = None,
    shared_cores: int | None = None,
    speed: float | None = None,
    memory: float = 16.0,
    network: float = 1.0,
    storage: float = 0.5,
    price: float = 0.0,
) -> Planned:
    """What training on the rows or pictures in `data` costs; or, without data, on `rows` of `columns` numbers of type
    `kind` and `classes` classes. Of one worker: memory in GB, storage in GB/s, price of an hour; network: GB/s of the
    client's line; `shared_cores`: what workers on one machine have together.

    Numbers that are given go before those of the data. UsageError where one is missing; DataError, FileError.
    """
    setting = cost.Setting(workers, cores or available_threads(), memory, network, storage, price, shared_cores)
    setting.check()
    found = Planned(None, BYTES[kind or "float32"], 1.0)  # type: ignore[arg-type]
    n = d = k = None
    if data is not None:
        n, d, k = _seen(data, found, Recipe(features=features, size=size, reader=reader), setting)
    if kind is not None:
        found.number_bytes = BYTES[kind]
    sizes = [given or seen for given, seen in zip((rows, columns, classes), (n, d, k), strict=True)]
    for name, value in zip(("rows", "columns", "classes"), sizes, strict=True):
        if value is None or value < (2 if name == "classes" else 1):
            raise UsageError(f"A plan needs DATA, or --rows, --columns and --classes; --{name} is {value}.")
    problem = cost.Problem(*map(int, sizes), found.number_bytes)  # type: ignore[arg-type]
    found.speed = cost.measured_speed(problem) if speed is None else speed
    found.plan = cost.plan(problem, setting, path=alpha == "auto", speed=found.speed)
    return found


def _seen(data: str | Path, found: Planned, recipe: Recipe, setting: cost.Setting) -> tuple[int, int, int]:
    """Trained rows, columns and classes of the data; the rest goes into `found`."""
    dataset = open_readable(data, recipe.reader, min_classes=2, rows=True)
    role = roles.assign(dataset, recipe)
    trained = np.flatnonzero(np.isin(role, ("train", "valid")))
    if dataset.features is not None:
        found.number_bytes = dataset.features.dtype.itemsize
        return len(trained), dataset.features.shape[1], len(dataset.classes)
    columns = _pictures(dataset, trained, int(np.sum(role == "train")), found, recipe, setting)
    return len(trained), columns, len(dataset.classes)


def _pictures(
    dataset: Dataset, rows: np.ndarray, teaching: int, found: Planned, recipe: Recipe, setting: cost.Setting
) -> int:
    """The dimension of the features that so many pictures teach; what they cost is timed on some pictures."""
    named = make(recipe.features)  # what is wrong with the name is said before any picture is read
    looks = choose_pictures(dataset, rows, recipe)
    some = np.sort(np.random.default_rng(recipe.seed).permutation(rows)[:PROBED])
    pictures = Pictures(dataset, some, looks, Tolerance(len(some), 1.0), Progress())
    pictures.threads = 1
    begin = time.perf_counter()
    good = pictures.good
    decoding = time.perf_counter() - begin
    settled = named.settled(*looks.shape[:2], min(teaching, pictures.most_held))  # not by the few pictures here
    extractor = pictures.learn(settled.spec, good, recipe.seed)
    begin = time.perf_counter()
    pictures.features(extractor)
    each = (decoding + time.perf_counter() - begin) / max(len(good), 1)
    found.features, found.pictures = recipe.features, len(dataset)
    found.picture_bytes = float(np.mean([_bytes(dataset, int(row)) for row in some]) * len(dataset))
    found.extract_seconds = len(dataset) * each / setting.total_cores
    found.number_bytes = np.dtype(extractor.row_type).itemsize
    return extractor.dimension(*looks.shape)


def _bytes(dataset: Dataset, row: int) -> int:
    try:
        picture = dataset.read(row)
        if isinstance(picture, bytes):
            return len(picture)
        return picture.nbytes if isinstance(picture, np.ndarray) else Path(picture).stat().st_size
    except OSError:  # the decoding has counted it
        return 0
