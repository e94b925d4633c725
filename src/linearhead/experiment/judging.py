"""evaluate: a finished model meets labelled pictures. Classes are matched by name, never by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..charts.words import of_rows
from ..data import Data, Dataset
from ..data.cache import AUTO, open_store
from ..errors import DataError, FileError, LinearheadError, UsageError
from ..files import sha256
from ..images import find_copies
from ..records import Duplicates, Evaluation, Finding, Run, Skipped, Trust, to_json
from ..store import Model
from . import copies, given, ledger, roles
from .extract import BATCH, Pictures, Tolerance
from .given import Given, Source
from .judge import Answers, answer, evaluation
from .names import open_readable
from .progress import Progress
from .recipe import Recipe
from .run_folder import RECORD, load_model, model_path

SPLITS = ("auto", "all", "train", "valid", "test")


@dataclass(repr=False)
class Judged:
    """What `evaluate` found: the numbers, and on which pictures."""

    model: Path
    which: str  # "test", "all", …
    sentence: str  # why these pictures
    evaluation: Evaluation
    found: int
    skipped: list[Skipped] = field(default_factory=list)
    duplicates: Duplicates | None = None
    compared: str = ""  # with which pictures they were compared
    findings: list[Finding] = field(default_factory=list)
    trust: Trust | None = None  # what the model may be believed on these pictures
    reuse: dict[str, float | None] = field(default_factory=dict)  # how often they have judged before (`ledger.seen`)
    of_rows: bool = False  # rows of features judged, not pictures

    def __repr__(self) -> str:
        what = "rows" if self.of_rows else "pictures"
        return f"Judged({str(self.model)!r}, accuracy {self.evaluation.accuracy:.3f} of {self.evaluation.n} {what})"

    def to_json(self) -> dict[str, Any]:
        """The object of `evaluate --json`."""
        numbers = to_json(self.evaluation)
        if self.evaluation.nearest_accuracy is None:  # it was not asked: no number, rather than one that is null
            del numbers["nearest_accuracy"], numbers["nearest"]
        return {
            "model": str(self.model),
            "split": self.which,
            "judged": self.sentence,
            "found": self.found,
            "used": self.found - len(self.skipped),
            "skipped": len(self.skipped),
            "duplicates": to_json(self.duplicates) | {"compared_with": self.compared} if self.duplicates else None,
            "findings": to_json(self.findings),
            "trust": to_json(self.trust),
            "judged_before": to_json(self.reuse) or None,
            **numbers,
        }

    def _repr_html_(self) -> str:
        from ..displays import EvaluationDisplay

        sure = None if self.trust is None else self.trust.judged
        return EvaluationDisplay(self.evaluation, sure, self.sentence, self.findings)._repr_html_()


def evaluate(
    run: str | Path,
    data: Data,
    *,
    split: str = "auto",
    reader: str = "auto",
    max_bad: float = 0.01,
    strict: bool = False,
    cache: str | Path | None = AUTO,
    progress: Progress | None = None,
) -> Judged:
    """Judges the model of RUN on the pictures in `data`.

    split "auto" takes the data's own test split; on the very pictures that `train` was given, those which it held out;
    else all. Pictures of classes that the model does not know are skipped and counted; DataError if no others are left.

    >>> judged = evaluate("run", "digits")
    >>> judged.which, judged.evaluation.n
    ('test', 60)
    >>> low, high = judged.evaluation.accuracy_interval
    >>> low < judged.evaluation.accuracy <= high
    True
    """
    progress = progress or Progress()
    if split not in SPLITS:
        raise UsageError(f"--split is '{split}', but one of {', '.join(SPLITS)} is needed.")
    model = load_model(run)
    dataset = _grouped(open_readable(data, reader, rows=True), model)
    given.match(dataset, model.extractor, model.dimension)
    which, rows, sentence = choose_rows(dataset, model, split)
    y, known, skipped = match_classes(dataset, rows, model)
    if len(skipped):
        unknown = _unknown(dataset, rows, model, len(skipped))
        progress.say(unknown if model.extractor is not None else of_rows(unknown))
    tolerance, store = Tolerance(len(known), max_bad, strict), open_store(cache, progress.say)
    pictures = given.source(dataset, known, model.preprocessing, tolerance, progress, store)
    extracted = pictures.features(model.extractor)  # pyright: ignore[reportArgumentType]
    y = y[np.isin(known, extracted.rows)]
    answers = answer(model, extracted.X, y)
    groups = None if dataset.groups is None else dataset.groups[extracted.rows]
    judged = evaluation(model, answers, y, groups)
    skipped = [*skipped, *extracted.skipped]
    found, compared = look_for_copies(model, pictures, extracted.rows, y, answers, groups)
    out = Judged(model_path(run).absolute(), which, sentence, judged, len(rows), skipped, found, compared)
    from . import second_look  # not for `predict`, which starts faster without

    record = second_look.record_of(run, model)
    judged.audit = audited(record, sentence, which)
    if which != "train":
        shown = sha256(b"".join(pictures.keys[row] for row in extracted.rows.tolist()))
        if shown == record.judged_pictures and "test" in record.evaluations:
            remember_nearest(judged, record.evaluations["test"])
        rows = extracted.X, y, groups
        out.reuse = counted(out.model.parent, shown, model, judged, progress)
        out.findings, out.trust = second_look.look(record, model, judged, answers, rows, found, out.reuse)
    return out if model.extractor is not None else said_of_rows(out)


def said_of_rows(judged: Judged) -> Judged:
    """Its sentences speak of rows, not of pictures."""
    judged.of_rows, judged.findings = True, given.findings_said(judged.findings)
    judged.sentence, judged.compared = of_rows(judged.sentence), of_rows(judged.compared)
    given.evaluation_said(judged.evaluation)
    return judged


def remember_nearest(judged: Evaluation, before: Evaluation) -> None:
    """What the nearest trained picture's label scored on these very pictures, when `train` had both at hand."""
    judged.nearest_accuracy, judged.nearest = before.nearest_accuracy, before.nearest
    if (bounds := before.intervals.get("nearest_accuracy")) is not None:
        judged.intervals["nearest_accuracy"] = bounds


def audited(record: Run, sentence: str, which: str) -> dict[str, str]:
    """Which pictures trained, chose and judged these numbers."""
    parts = {role: record.data.roles[role] for role in ("trained", "chose") if role in record.data.roles}
    flatters = " The model was trained on them: these numbers flatter." if which in ("train", "valid") else ""
    return {**parts, "judged": f"{sentence}.{flatters}"}


def counted(
    folder: Path, pictures: str, model: Model, judged: Evaluation, progress: Progress
) -> dict[str, float | None]:
    """How often these pictures have judged before; this time is written down, where the model lies in a run folder."""
    own = ledger.identity(model)
    before = ledger.seen(folder, pictures, own)
    if (folder / RECORD).is_file():
        ledger.note(folder, ledger.line("evaluate", pictures, judged.n, {own: judged.accuracy}), progress.say)
    return before


def _grouped(dataset: Dataset, model: Model) -> Dataset:
    """With the groups that the model was told to look for, where these pictures have such; else with their own."""
    recipe = model.facts.get("recipe")
    try:
        return roles.grouped(dataset, Recipe.from_dict(recipe), added=True) if recipe else dataset
    except (DataError, UsageError):  # these pictures have other names, or no such column
        return dataset


def look_for_copies(
    model: Model,
    pictures: Source,
    judged: np.ndarray,
    y: np.ndarray,
    answers: Answers,
    groups: np.ndarray | None,
) -> tuple[Duplicates, str]:
    """Copies among the judged pictures and of trained ones, where those are still what they were; and which these are.

    A picture that itself was trained on, as with --split train, counts as its own copy.
    """
    dataset, trained, compared = pictures.dataset, trained_pictures(model, pictures), "no trained picture: "
    names, classes = [dataset.names[row] for row in judged], model.classes
    parts, keys, labels = [(pictures, judged)], [pictures.keys[row] for row in judged.tolist()], [y]
    if not isinstance(trained, str):
        own = trained.good
        compared = f"{len(own)} trained pictures of {trained.dataset.source}"
        parts.append((trained, own))
        keys += [trained.keys[row] for row in own.tolist()]
        labels.append(trained.dataset.labels[own])
        names += [trained.dataset.names[row] for row in own]
    else:
        compared += trained
    pixels = [(p, p.pixels(rows)) for p, rows in parts if isinstance(p, Pictures)]
    blocks = (p.shaped(part[a : a + BATCH]) for p, part in pixels for a in range(0, len(part), BATCH))
    seen = find_copies(blocks, keys) if pixels else copies.equal(keys)
    asked = np.arange(len(keys)) < len(judged)
    found = copies.duplicates(seen, np.concatenate(labels), names, classes, asked, ~asked)
    copies.without(model, answers, y, groups, copies.leaked(seen, asked, ~asked)[: len(judged)], found)
    return found, compared


def trained_pictures(model: Model, judged: Source) -> Source | str:
    """The pictures that trained the model, decoded as they were; or why they cannot be looked at."""
    recipe, source = model.facts.get("recipe"), model.facts.get("source")
    if not recipe or not source:
        return "the model does not say which they were"
    plan = Recipe.from_dict(recipe)
    try:
        dataset, role = _as_trained(model, plan, judged.dataset)
    except FileError:
        return f"{source} is not there"
    except LinearheadError:
        return f"{source} has changed since"
    rows = np.flatnonzero(np.isin(role, ("train", "valid")))
    tolerance = Tolerance(len(rows), 1.0)
    if isinstance(judged, Given):
        return Given(dataset, rows, tolerance, judged.progress)
    return Pictures(dataset, rows, judged.preprocessing, tolerance, judged.progress, judged.store)


def _as_trained(model: Model, plan: Recipe, judged: Dataset) -> tuple[Dataset, np.ndarray]:
    """The data that made the model and its updates, and every picture's role; DataError where they have changed."""
    from .updating import join, made_of

    if model.facts.get("fingerprint") == roles.fingerprint(judged):
        return judged, roles.assign(judged, plan)
    parts = [part for part, _ in made_of(model, plan)]
    if len(parts) > 1:
        return join(parts, list(model.classes), plan)
    return parts[0], roles.assign(roles.grouped(parts[0], plan), plan)


def choose_rows(dataset: Dataset, model: Model, split: str) -> tuple[str, np.ndarray, str]:
    """(name, rows, why) of the pictures to judge on, which have the model's groups."""
    n = len(dataset.labels)
    if split == "all":
        return "all", np.arange(n), f"all {n} pictures, whether trained on or not"
    recipe, why = model.facts.get("recipe"), "the data's own split"
    role = dataset.splits
    if recipe and roles.part_of(model.facts, dataset):
        plan = Recipe.from_dict(recipe)
        role, why = roles.held_out(dataset, plan), "these are the data of train, split as there"
    wanted = "test" if split == "auto" else split
    rows = np.flatnonzero(role == wanted)
    if len(rows):
        return wanted, rows, f"{len(rows)} {wanted} pictures ({why})"
    if split == "auto":
        return "all", np.arange(n), f"all {n} pictures"
    found = ", ".join(sorted(set(role.tolist()) - {""})) or "none"
    raise DataError(
        f"{dataset.source} has no {wanted} pictures; splits found: {found}. --split all judges on everything."
    )


def match_classes(dataset: Dataset, rows: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray, list[Skipped]]:
    """(labels as the model numbers them, their rows, the pictures of unknown classes), by class name."""
    number = {name: i for i, name in enumerate(model.classes)}
    translated = np.array([number.get(name, -1) for name in dataset.classes], dtype=np.int64)
    y = translated[dataset.labels[rows]]
    unknown = [
        Skipped(dataset.names[row], f"class '{dataset.classes[dataset.labels[row]]}' is unknown to the model")
        for row in rows[y < 0]
    ]
    if len(unknown) == len(rows):
        what = "pictures" if dataset.features is None else "rows"
        raise DataError(
            f"None of the {len(rows)} {what} in {dataset.source} is of a class that the model knows. Found: "
            f"{_few(dataset.classes)}. The model knows: {_few(model.classes)}. Classes are matched by name; "
            f"rename the {'sub-folders' if dataset.reader == 'folder' else 'classes'}, or train on these {what}."
        )
    return y[y >= 0], rows[y >= 0], unknown


def _unknown(dataset: Dataset, rows: np.ndarray, model: Model, n: int) -> str:
    """What is said of the n of these rows that are left out; a class of the model without pictures in all the data may
    be one under another name."""
    known, given = set(model.classes), set(dataset.classes)
    strange = [name for c in np.unique(dataset.labels[rows]) if (name := dataset.classes[c]) not in known]
    idle = [name for name in model.classes if name not in given]
    many = "pictures are" if n > 1 else "picture is"
    said = (
        f"{n} {many} of {'classes' if len(strange) > 1 else 'a class'} that the model does not know ({_few(strange)})"
    )
    said += f"; {'they are' if n > 1 else 'it is'} left out."
    return f"{said} Of its own there is no {_few(idle)}: classes are matched by name." if idle else said


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
