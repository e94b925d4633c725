"""update: more pictures, or a new class, for a finished model, without starting over.

The model's own extractor, picture size and α stay; the pictures that made it and the new ones are trained on together,
from the old weights. F is strictly convex, so that is the optimum which a fit from zero would find, and the certificate
says so. New pictures are held out to choose and to judge by the recipe's shares; old ones keep their roles.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..charts.words import of_rows
from ..data import Data, Dataset
from ..data.cache import AUTO, open_store
from ..data.feature_store import Store
from ..errors import DataError, UsageError
from ..files import new_folder
from ..store import Model
from . import given, ledger, mending, roles, run_folder
from .concluding import Conclusion, build_model
from .extract import Tolerance
from .fitting import KEPT, Fit, heeded, timed
from .names import lasting, open_readable, unnamed_run
from .preparing import Clock, Prepared, described
from .progress import Progress
from .recipe import Recipe
from .training import Outcome, check_apart


def update(
    run: str | Path,
    data: Data,
    *,
    reader: str = "auto",
    out: str | Path | None = None,
    force: bool = False,
    cache: str | Path | None = AUTO,
    progress: Progress | None = None,
    command: str = "linearhead.update",
) -> Outcome:
    """Adds the pictures in `data`, of classes old or new, to the model of RUN and writes a new run folder. To a model
    of feature rows more such rows are added.

    The pictures that made the model are needed where they were (with `cache` their features are only read). DataError
    where they are gone or have changed, or where the model and the pictures do not fit.

    >>> outcome = update("run", "more", out="updated")  # more pictures of the same ten digits
    >>> outcome.run.data.found, outcome.run.fit.alpha_from
    (320, 'kept from the run that was updated')
    """
    progress, clock = progress or Progress(), Clock()
    model = run_folder.load_model(run)
    if not model.facts.get("recipe"):
        raise UsageError("This model does not say how it was trained, so it cannot be updated. Train it again.")
    plan = replace(Recipe.from_dict(model.facts["recipe"]), alpha=float(model.facts["alpha"]))
    with new_folder(out or unnamed_run(data), force, marker=run_folder.RECORD) as folder:
        with clock.stage("list pictures"):
            before, added = made_of(model, plan), open_readable(data, reader, rows=True)
            _check_new(added, [part for part, _ in before])
            parts = [*before, (added, reader)]
            for part, _ in parts:
                check_apart(part.source, out)
                given.match(part, model.extractor, model.dimension)
            joined, role = join([part for part, _ in parts], list(model.classes), plan)
        prepared = _prepare(joined, role, model, plan, open_store(cache, progress.say), progress, clock)
        fitted = refit(model, prepared, progress)

        def make() -> Model:
            made = build_model(prepared, fitted)
            made.facts["parts"] = [{"source": lasting(part.source), "reader": how} for part, how in parts]
            made.facts["fingerprints"] = [roles.fingerprint(part) for part, _ in parts]
            return made

        concluding = Conclusion(prepared, fitted, clock, command, folder.target)
        updated, record, doubted = concluding.reached(make, progress)
        labels = mending.sheet(prepared, record, doubted, folder.target)
        run_folder.write(folder.path, updated, record, ledger.kept(folder.target), labels)
    return Outcome(folder.target, record, fitted.hurried)


def made_of(model: Model, plan: Recipe) -> list[tuple[Dataset, str]]:
    """The pictures that made the model and its updates, which must be what they were; and how each is read."""
    facts = model.facts
    sources = facts.get("parts") or [{"source": facts.get("source", ""), "reader": plan.reader}]
    prints = facts.get("fingerprints") or [facts.get("fingerprint")]
    found = [(open_readable(part["source"], part["reader"], rows=True), part["reader"]) for part in sources]
    for (dataset, _), expected in zip(found, prints, strict=True):
        if roles.fingerprint(dataset) != expected:
            told = (
                f"The pictures in {dataset.source} are not those that made the model: some were added, removed or "
                "renamed since. An update needs the old pictures as they were, with the new ones in a place of their "
                "own; or train again on everything."
            )
            raise DataError(told if model.extractor is not None else of_rows(told))
    return found


def _check_new(added: Dataset, parts: list[Dataset]) -> None:
    """DataError for the very pictures that made the model: twice the same teaches nothing, and looks like certainty."""
    for part in parts:
        same = Path(added.source).absolute() == Path(part.source).absolute()
        if same and roles.fingerprint(added) == roles.fingerprint(part):
            told = (
                f"{added.source} holds the very pictures that made the model, and none that is new. Give a place with "
                "the new ones alone; to train on the same ones again, use train."
            )
            raise DataError(told if added.features is None else of_rows(told))


def join(parts: list[Dataset], classes: list[str], plan: Recipe) -> tuple[Dataset, np.ndarray]:
    """One dataset of all parts, the classes that are there first, and every picture's role, settled part by part."""
    parts = [roles.grouped(part, plan, added=i > 0) for i, part in enumerate(parts)]
    names = list(dict.fromkeys([*classes, *(name for part in parts for name in part.classes)]))
    number = {name: i for i, name in enumerate(names)}
    labels = [np.array([number[name] for name in part.classes])[part.labels] for part in parts]
    starts = np.cumsum([0, *(len(part) for part in parts)])
    features = [part.features for part in parts if part.features is not None]  # of all parts or of none

    def read(i: int) -> Any:
        part = int(np.searchsorted(starts, i, side="right")) - 1
        return parts[part].read(i - int(starts[part]))

    groups: list[Any] = [part.groups for part in parts]
    named = [own_name(i, group) for i, some in enumerate(groups) for group in some] if plan.group else None
    joined = Dataset(
        source=" + ".join(part.source for part in parts),
        reader=parts[0].reader,
        names=[
            name if not i else f"{Path(part.source).name}/{name}" for i, part in enumerate(parts) for name in part.names
        ],
        labels=np.concatenate(labels),
        classes=tuple(names),
        splits=np.concatenate([part.splits for part in parts]),
        read=read,
        groups=None if named is None else np.array(named),
        skipped=[skipped for part in parts for skipped in part.skipped],
        features=np.concatenate(features) if features else None,
    )
    role = np.concatenate([roles.held_out(part, plan) for part in parts])
    if joined.groups is not None:
        role = _kept_together(joined.groups, joined.splits, role)
    roles.check_taught(joined, joined.labels[role == "train"])
    return joined, role


def own_name(part: int, group: str) -> str:
    """What the data name is the same group in every part; a row without a name is one of its part."""
    return group if group.startswith(roles.NAMED) else f"{part} {group}"


def _kept_together(groups: np.ndarray, splits: np.ndarray, role: np.ndarray) -> np.ndarray:
    """The roles (n,) where new pictures of a group that is known have its role, unless they come with their own."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return np.where(splits == "", role[first][group], role)


def _prepare(
    dataset: Dataset, role: np.ndarray, model: Model, plan: Recipe, store: Store, progress: Progress, clock: Clock
) -> Prepared:
    """The rows, by the model's own extractor or as they were given."""
    order = np.concatenate([np.flatnonzero(role == name) for name in roles.ROLES])
    tolerance = Tolerance(len(order), plan.max_bad, plan.strict)
    pictures = given.source(dataset, order, model.preprocessing, tolerance, progress, store)
    return described(dataset, plan, None, role, pictures, model.extractor, clock)


def start(model: Model, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(coef (k, d), intercept (k,)) to go on from: the model's, and for each new class the mean of what is there."""
    new = k - len(model.classes)
    coef = np.vstack([model.coef, np.repeat(model.coef.mean(axis=0, keepdims=True), new, axis=0)])
    return coef, np.append(model.intercept, np.full(new, model.intercept.mean(), model.intercept.dtype))


def refit(model: Model, prepared: Prepared, progress: Progress) -> Fit:
    """The optimum over all trained rows, from the model's weights; Ctrl-C keeps the best so far."""
    alpha = float(prepared.plan.alpha)
    state = Fit(prepared.plan.estimator(alpha).set_params(warm_start=True), alpha=alpha, alpha_from=KEPT)
    X, y = prepared.extracted.X[: prepared.n_trained], prepared.y[: prepared.n_trained]
    state.best.coef_, state.best.intercept_ = start(model, len(prepared.dataset.classes))
    with progress.bar(1, "fit from the old weights") as done:
        with heeded(state):
            timed(state, "fit", lambda: state.best.fit(X, y))
        done(1)
    return state
