"""The race on pictures: the training pictures race, the test pictures only judge where everybody ended."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data import Data
from ..data.cache import AUTO, open_store
from ..errors import UsageError
from ..files import check_writable, write_atomic
from ..report.prose import page_of_rows
from .names import called, open_readable
from .preparing import Clock, prepare_dataset
from .progress import Progress
from .recipe import Recipe

if TYPE_CHECKING:
    from ..race import Race


@dataclass
class Raced:
    """Where the page lies, and the race that it shows."""

    page: Path
    source: str
    features: str
    race: Race
    of_rows: bool = False  # of features computed elsewhere, not of pictures

    def to_json(self) -> dict[str, Any]:
        return {"page": str(self.page), "features": self.features, **self.race.to_json()}


def race(
    data: Data,
    *,
    out: str | Path | None = None,
    force: bool = False,
    cache: str | Path | None = AUTO,
    passes: int = 50,
    seconds: float = 20.0,
    alpha: float = 1e-3,
    features: str | None = None,
    progress: Progress | None = None,
    **recipe: Any,
) -> Raced:
    """Let all solvers race on the training pictures of `data`; the page is written to `out`, by default NAME-race.html.
    Pictures become numbers by `features`, "pixels" where none is named; rows of features are taken as they are.

    `recipe`: loss, standardize, size, fit, reader, test_share, seed, max_bad, strict of `Recipe`.
    """
    from ..race import page
    from ..race import race as run

    progress = progress or Progress()
    plan = Recipe(features=features or "pixels", alpha=alpha, valid_share=0.0, **recipe)
    plan.check()
    path = Path(out or f"{called(data)}-race.html")
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path} exists already; name another file with --out, or give --force to replace it.")
    check_writable(path)  # the race takes minutes
    dataset = open_readable(data, plan.reader, min_classes=2, rows=True)
    if dataset.features is not None and features is None:
        plan = replace(plan, features="auto")
    prepared = prepare_dataset(dataset, plan, open_store(cache, progress.say), progress, Clock())
    X, y, n = prepared.extracted.X, prepared.y, prepared.n_trained
    done = run(
        X[:n],
        y[:n],
        loss=prepared.plan.loss_name,
        alpha=alpha,
        standardize=bool(prepared.plan.standardize),
        passes=passes,
        seconds=seconds,
        seed=plan.seed,
        X_test=X[n:],
        y_test=y[n:],
        said=progress.say,
    )
    source, of_rows = prepared.dataset.source, dataset.features is not None
    raced = Raced(path.absolute(), source, "given" if of_rows else prepared.plan.features, done, of_rows)
    html = page(done, source, raced.features)
    write_atomic(path, (page_of_rows(html, {source}) if of_rows else html).encode("utf-8"))
    return raced
