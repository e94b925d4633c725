"""The race on pictures: the training pictures race, the test pictures only judge where everybody ended."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data import Data
from ..data.cache import AUTO, open_store
from ..errors import UsageError
from ..files import check_writable, write_atomic
from .names import called
from .preparing import Clock, prepare
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
    features: str = "pixels",
    progress: Progress | None = None,
    **recipe: Any,
) -> Raced:
    """Let all solvers race on the training pictures of `data`; the page is written to `out`, by default NAME-race.html.

    `recipe`: loss, standardize, size, fit, reader, test_share, seed, max_bad, strict of `Recipe`.
    """
    from ..race import page
    from ..race import race as run

    progress = progress or Progress()
    plan = Recipe(features=features, alpha=alpha, valid_share=0.0, **recipe)
    plan.check()
    path = Path(out or f"{called(data)}-race.html")
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path} exists already; name another file with --out, or give --force to replace it.")
    check_writable(path)  # the race takes minutes
    prepared = prepare(data, plan, open_store(cache, progress.say), progress, Clock())
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
    raced = Raced(path.absolute(), prepared.dataset.source, prepared.plan.features, done)
    write_atomic(path, page(done, raced.source, raced.features).encode("utf-8"))
    return raced
