"""Which pictures train, which choose (validation) and which judge (test); each picture has one role.

A split that comes with the data is respected; what is missing is held out of the training pictures, stratified by class
and seeded. No test picture is looked at before the model is final.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data import Dataset, split
from ..errors import DataError, UsageError
from ..records import Skipped
from .recipe import Recipe

ROLES = ("train", "valid", "test")
OVERCOUNTED = 0.02  # of the test pictures, from which on small classes judge oftener than the data have them
NAMED = "group "  # how a group begins that the data name; others are a row each


def assign(dataset: Dataset, recipe: Recipe) -> np.ndarray:
    """(n,) of "train", "valid", "test"; DataError where there is nothing to tell apart, to train on or to judge."""
    _check_classes(dataset, recipe)
    roles = held_out(dataset, recipe)
    check_taught(dataset, dataset.labels[roles == "train"])
    return roles


def held_out(dataset: Dataset, recipe: Recipe) -> np.ndarray:
    """The same for pictures that need not be a whole problem by themselves, as those of `update`."""
    roles = np.where(dataset.splits == "", "train", dataset.splits).astype("<U5")
    for role, share in (("test", recipe.test_share), ("valid", recipe.valid_share)):
        if share > 0 and not np.any(roles == role):
            rows = np.flatnonzero(roles == "train")
            groups = None if dataset.groups is None else dataset.groups[rows]
            # another seed for each role, so that the two cuts are independent
            seed = recipe.seed + (1_000_003 if role == "valid" else 0)
            held = split(dataset.labels[rows], {"train": 1 - share, role: share}, seed, groups)
            roles[rows[held == role]] = role
    return roles


def grouped(dataset: Dataset, recipe: Recipe, added: bool = False) -> Dataset:
    """The dataset with the groups that the recipe asks for: rows of one group are never on two sides of a random cut.

    `recipe.group` is a manifest's column or a regular expression that is looked for in the names; what it finds (its
    brackets, where it has some) is the group. A row without a group is one of its own. What is `added` to other
    pictures may be one group.
    """
    if recipe.group is None:
        return dataset
    column = dataset.columns.get(recipe.group)
    found = _in_names(dataset, recipe.group) if column is None else column.tolist()
    groups = [f"{NAMED}{word}" if word else f"row {i}" for i, word in enumerate(found)]
    if not any(found) or (len(set(groups)) < 2 and not added):
        columns = ", ".join(f"'{name}'" for name in dataset.columns) or "none"
        raise DataError(
            f"--group is '{recipe.group}', which makes {'one group of all' if any(found) else 'no group of the'} "
            f"{len(dataset)} pictures. Needed: a column of the manifest (further columns found: {columns}), or a "
            f"pattern in file names such as '{dataset.names[0]}' that two or more groups differ in."
        )
    return replace(dataset, groups=np.array(groups))


def _in_names(dataset: Dataset, pattern: str) -> list[str]:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise UsageError(
            f"--group is '{pattern}', which is neither a column of {dataset.source} nor a regular expression ({error})."
        ) from error
    found = [search(name) for name in dataset.names]
    return ["" if match is None else "\0".join(g or "" for g in match.groups()) or match[0] for match in found]


def counts(dataset: Dataset, roles: np.ndarray, rows: np.ndarray) -> dict[str, list[int]]:
    """Pictures per class of every role, among the given rows."""
    k = len(dataset.classes)
    of_role = {role: dataset.labels[rows][roles[rows] == role] for role in ROLES}
    return {role: np.bincount(labels, minlength=k).tolist() for role, labels in of_role.items()}


def sentences(
    dataset: Dataset, recipe: Recipe, amounts: dict[str, list[int]], updated: bool, folds: bool
) -> dict[str, str]:
    """What the report says about who trained, who chose and who judged; `folds` of all trained ones chose alpha."""
    n = {role: sum(amounts[role]) for role in ROLES}
    own = {role: bool(np.any(dataset.splits == role)) for role in ROLES}

    def origin(role: str) -> str:
        together = "" if dataset.groups is None else "groups kept together, "
        drawn = f"held out at random, class by class, {together}seed {recipe.seed}"
        way = "the data's own split" if own[role] else drawn
        return f"{n[role]} {'validation' if role == 'valid' else role} pictures ({way})"

    how = "drew the curves; alpha was given; afterwards they were trained on as well."
    if folds:
        how = "drew the curves; all trained pictures, in folds, chose alpha."
    elif recipe.alpha == "auto":
        how = "chose alpha and drew the curves; afterwards they were trained on as well."
    elif updated:
        how = "chose nothing: alpha was kept from the run that was updated; they were trained on as well."
    return {
        "trained": f"{n['train'] + n['valid']} pictures trained the final model: {n['train']} train and "
        f"{n['valid']} validation pictures{'' if folds else ', the latter after they had chosen'}.",
        "chose": f"{origin('valid')} {how}" if n["valid"] else "No validation pictures: nothing was chosen on any.",
        "judged": f"{origin('test')} judged; they chose nothing and trained nothing."
        f"{'' if own['test'] else _more_than_their_share(amounts, recipe)}"
        if n["test"]
        else "No test pictures: nothing judged this model.",
    }


def _more_than_their_share(amounts: dict[str, list[int]], recipe: Recipe) -> str:
    """A sentence about classes so small that the one picture which judges is more than the share held out, where what
    is more comes to OVERCOUNTED of the test pictures."""
    test = np.array(amounts["test"])
    due = recipe.test_share * np.sum([amounts[role] for role in ROLES], axis=0)
    small = (test == 1) & (due < 1)
    if float(np.sum(1 - due[small])) < OVERCOUNTED * test.sum():
        return ""
    n = int(small.sum())
    return (
        f" Of {n} class{'es' * (n > 1)} too small for that share one picture each judges: {n / test.sum():.0%} of the "
        f"accuracy, where {due[small].sum() / due.sum():.0%} of the data are theirs."
    )


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over names, labels and classes: whether `evaluate` is given the very pictures that `train` was given."""
    digest = hashlib.sha256()
    for name, label in zip(dataset.names, dataset.labels, strict=True):
        digest.update(f"{name}\0{dataset.classes[label]}\0".encode())
    return digest.hexdigest()


def part_of(facts: dict[str, Any], dataset: Dataset) -> bool:
    """Whether these are the very pictures that a model was made of, or those of one of its updates."""
    return fingerprint(dataset) in (facts.get("fingerprint"), *facts.get("fingerprints", ()))


def _check_classes(dataset: Dataset, recipe: Recipe) -> None:
    """A class of one picture is taught and not judged; of such classes alone nothing would be."""
    if recipe.test_share and np.bincount(dataset.labels).max() == 1:
        what = "picture" if dataset.features is None else "row"
        raise DataError(
            f"{_named(dataset.classes)} only 1 {what} in {dataset.source}. At least 2 are needed, one to train on and "
            "one to judge, and 20 or more to learn something. Add some, or have nothing judged (--test-share 0)."
        )


def check_taught(dataset: Dataset, trained: np.ndarray, unread: Sequence[Skipped] = ()) -> None:
    """DataError where a class of the dataset is not among the labels that will be trained on; `unread`: what of it
    cannot be read."""
    taught = np.bincount(trained, minlength=len(dataset.classes))
    seen = np.bincount(dataset.labels, minlength=len(dataset.classes))
    untaught = [name for name, t, s in zip(dataset.classes, taught, seen, strict=True) if s and not t]
    what = "picture" if dataset.features is None else "row"
    if untaught and not len(trained) and not np.any(dataset.splits == "train"):
        own = " and ".join(f"'{role}'" for role in ROLES if np.any(dataset.splits == role))
        raise DataError(
            f"{dataset.source} holds no {what} to train on: all {len(dataset)} belong to {own} by the data's own "
            f"split. Add the training {what}s, or give the folder of classes itself, from which some are then held out."
        )
    given = dataset.splits[np.isin(dataset.labels, [dataset.classes.index(name) for name in untaught])]
    if untaught and np.all((given == "test") | (given == "valid")):
        own = " and ".join(f"'{role}'" for role in ROLES if np.any(given == role))
        raise DataError(
            f"{_named(untaught)} no {what} to train on in {dataset.source}: what there is belongs to {own} by the "
            f"data's own split. Each class needs one. Put {what}s of it among those to train on, or take it out."
        )
    if untaught:
        lost = dataset.names[int(np.argmax(dataset.labels == dataset.classes.index(untaught[0])))]
        bad = next((f" ({one.path}: {one.reason})" for one in unread if one.path == lost), "")
        raise DataError(
            f"{_named(untaught)} no {what} to train on in {dataset.source}: what there is was kept to judge, or "
            f"cannot be read{bad}. Each class needs one. Add training {what}s, or lower --test-share and --valid-share."
        )


def _named(names: Sequence[str], most: int = 5) -> str:
    """ "Class 'a' has" or "Classes 'a', 'b', … have", for the start of a sentence."""
    listed = ", ".join(f"'{name}'" for name in names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))
    return f"Class {listed} has" if len(names) == 1 else f"Classes {listed} have"
