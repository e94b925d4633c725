"""What comes before the fit: pictures listed, their roles given, features chosen, learned and computed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import remote
from ..data import Data, Dataset
from ..data.feature_store import Store
from ..features import Extractor
from ..images import Copies, Preprocessing
from ..records import Leaderboard, Skipped
from . import copies as copying
from . import given, leaderboard, roles, scaling
from .clustered import Spread
from .extract import Extracted, Pictures, Tolerance, choose_pictures
from .given import Given, Source
from .names import open_readable
from .progress import Progress
from .recipe import Recipe


@dataclass
class Clock:
    """Seconds per stage; "total" since it was made."""

    seconds: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin, before = time.perf_counter(), sum(self.seconds.values())
        yield
        inside = sum(self.seconds.values()) - before  # of a stage within this one, which has its own line
        self.seconds[name] = time.perf_counter() - begin - inside

    def stop(self) -> dict[str, float]:
        return self.seconds | {"total": time.perf_counter() - self.start}


@dataclass
class Prepared:
    """Everything before the fit: the rows of X are the train, then the valid, then the test pictures."""

    dataset: Dataset
    plan: Recipe  # with features and loss settled
    board: Leaderboard | None
    roles: np.ndarray  # of every picture of the dataset
    preprocessing: Preprocessing | None  # None: the rows were features already
    extractor: Extractor | None
    extracted: Extracted
    y: np.ndarray  # of the rows of X
    n_train: int
    n_trained: int  # train and valid
    copies: Copies  # of the rows of X
    keys: list[bytes]  # SHA-256 of each picture, of the rows of X

    @property
    def drawn(self) -> bool:
        """Whether the valid pictures were drawn at random, for want of the data's own."""
        return not bool(np.any(self.dataset.splits == "valid"))

    @property
    def groups(self) -> np.ndarray | None:
        """Of the rows of X, those of one are alike; None where there are none."""
        return None if self.dataset.groups is None else self.dataset.groups[self.extracted.rows]


def prepare(
    data: Data, plan: Recipe, store: Store, progress: Progress, clock: Clock, spread: Spread | None = None
) -> Prepared:
    """The steps before the fit; `spread`: on the workers of a cluster."""
    with clock.stage("list pictures"):
        dataset = open_readable(data, plan.reader, min_classes=2, rows=True)
    return prepare_dataset(dataset, plan, store, progress, clock, spread)


def prepare_dataset(
    dataset: Dataset, plan: Recipe, store: Store, progress: Progress, clock: Clock, spread: Spread | None = None
) -> Prepared:
    """The same for pictures that are at hand."""
    dataset = roles.grouped(dataset, plan)
    role = roles.assign(dataset, plan)
    groups = [np.flatnonzero(role == name) for name in roles.ROLES]
    order = np.concatenate(groups)
    tolerance = Tolerance(len(order), plan.max_bad, plan.strict)
    if dataset.features is not None:
        given.check(dataset, plan.features)
        rows, plan = Given(dataset, order, tolerance, progress), replace(plan, loss=plan.loss_name)
        return scaled(described(dataset, plan, None, role, rows, None, clock), progress, clock)
    with clock.stage("decode and features"):
        preprocessing = choose_pictures(dataset, groups[0], plan)
        make = Pictures if spread is None else spread.pictures
        pictures = make(dataset, order, preprocessing, tolerance, progress, store)
        plan, board = choose_features(pictures, np.concatenate(groups[:2]), plan, progress, clock)
        extractor = pictures.learn(plan.features, groups[0], plan.seed)
    return scaled(described(dataset, plan, board, role, pictures, extractor, clock), progress, clock)


def scaled(prepared: Prepared, progress: Progress, clock: Clock) -> Prepared:
    """With it settled whether columns are standardised, by trained rows."""
    n, alike = prepared.n_trained, prepared.groups
    with clock.stage("standardise or not"):
        trained = prepared.extracted.stored.take(np.arange(n)), prepared.y[:n], None if alike is None else alike[:n]
        settled = scaling.chosen(*trained, prepared.plan, progress)
    return replace(prepared, plan=replace(prepared.plan, standardize=settled))


def described(
    dataset: Dataset,
    plan: Recipe,
    board: Leaderboard | None,
    role: np.ndarray,
    pictures: Source,
    extractor: Extractor | None,
    clock: Clock,
) -> Prepared:
    """The features of the pictures, in the order in which these stand, and what is known about them."""
    with clock.stage("features"):
        extracted = pictures.features(extractor)  # pyright: ignore[reportArgumentType]
    with clock.stage("look for copies"):
        copies = copying.look_for(pictures, extracted.rows)
    used = role[extracted.rows]
    roles.check_taught(dataset, dataset.labels[extracted.rows][used == "train"], extracted.skipped)
    n_train, n_valid = (int(np.sum(used == name)) for name in ("train", "valid"))
    y = dataset.labels[extracted.rows]
    n = n_train + n_valid
    keys = [pictures.keys[row] for row in extracted.rows.tolist()]
    looks = None if isinstance(pictures, Given) else pictures.preprocessing
    return Prepared(dataset, plan, board, role, looks, extractor, extracted, y, n_train, n, copies, keys)


def choose_features(
    pictures: Pictures, among: np.ndarray, plan: Recipe, progress: Progress, clock: Clock
) -> tuple[Recipe, Leaderboard | None]:
    """The plan with features and loss settled: as named, or by the leaderboard, which is said line by line."""
    if plan.features != "auto" and not leaderboard.varies(plan):
        return leaderboard.settled(plan, plan.features, plan.loss_name), None
    with clock.stage("leaderboard"):
        plan, board = leaderboard.hold(pictures, among, plan, progress)
    for line in leaderboard.lines(board, len(pictures.dataset.classes)) if board else ():
        progress.say(line)
    return plan, board


@dataclass
class Extraction:
    """What `extract` left in the store."""

    store: Path
    features: str  # to be named to `train`: where it was "auto", what the leaderboard settled on
    loss: str
    dimension: int
    found: int
    used: int
    skipped: list[Skipped]
    seconds: float


def extract(data: Data, *, out: str | Path, progress: Progress | None = None, **recipe: Any) -> Extraction:
    """The steps of `train` before the fit, kept in the store `out`: `train` of the same pictures with cache=out decodes
    nothing and extracts nothing. `recipe`: see `Recipe`; what is learned from pictures depends on seed and shares.

    >>> extraction = extract("digits", out="store", features="hog")
    >>> extraction.found, extraction.used, extraction.dimension
    (300, 300, 324)
    """
    plan, progress, clock = Recipe(**recipe), progress or Progress(), Clock()
    plan.check()
    unfitted = replace(plan, standardize=plan.standardize is not False)
    with clock.stage("list pictures"):
        dataset = open_readable(data, plan.reader, min_classes=2)
    prepared = prepare_dataset(dataset, unfitted, Store(out, progress.say), progress, clock)
    rows, skipped = len(prepared.extracted.rows), [*prepared.dataset.skipped, *prepared.extracted.skipped]
    return Extraction(
        store=remote.local(out),
        features=prepared.plan.features,
        loss=prepared.plan.loss,
        dimension=prepared.extracted.stored.shape[1],
        found=rows + len(skipped),
        used=rows,
        skipped=skipped,
        seconds=clock.stop()["total"],
    )
