"""Rows that choose: given ones, a stratified part held out, folds. All but the first are weights on the same rows."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from ..arrays import rows_of, to_host
from ..design import design_of
from ..errors import DataError, UsageError
from ..objective import Objective, Shared
from ..objective.inputs import codes_of
from .sample import Sample

LEAVE_ONE_OUT = "loo"
Parts = list[tuple[np.ndarray, np.ndarray]]  # (n,) bool each: which rows train, and which are held out


def judges(
    objective: Objective, classes: np.ndarray, judging: Sample | None, cv: int | str | Parts | None, seed: int
) -> list[tuple[Objective, Objective]]:
    """Pairs of a training and a held-out objective: given rows, one per fold, or none."""
    if isinstance(cv, list):
        return _whole(objective, classes, cv)
    if judging is not None:
        codes = codes_of(judging.y, classes, "The validation rows have classes that y lacks")
        return [(objective, held_out(objective, judging.X, codes))]
    return [] if cv is None or cv == LEAVE_ONE_OUT else folds(objective, int(cv), seed)


def held_out(objective: Objective, X: Any, codes: np.ndarray, weights: np.ndarray | None = None) -> Objective:
    """Checked rows (m, d) with codes and weights (m,), held out: an objective in the same columns, without penalty."""
    mine, design = objective.design, design_of(X, intercept=objective.design.intercept)
    if design.d != mine.d:
        raise DataError(f"The validation rows have {design.d} columns, the training rows {mine.d}.")
    names = ("shift", "scale", "centre_blocks")  # sparse rows are centred through θ alone
    same = {name: getattr(mine, name) for name in names if hasattr(mine, name) and hasattr(design, name)}
    design = replace(design, **same)
    return Objective(design, codes, objective.k, objective.loss, objective.penalty, 0.0, weights, watch=True)


def hold_out(objective: Objective, seed: int) -> tuple[Objective, Objective]:
    """One stratified row in seven held out, as weights on the same rows: what alpha="auto" chooses on. The row of a
    class that has no other trains."""
    if _amounts(objective).max() < 2:
        raise DataError(
            "alpha='auto' holds rows out to choose on, and every class has a single row, which has to train. "
            "Give alpha as a number, or held-out rows as X_valid and y_valid."
        )
    return _folds(objective, 7, seed)[0]


def folds(objective: Objective, cv: int, seed: int) -> list[tuple[Objective, Objective]]:
    """Stratified folds as weights on the same rows: (training, held-out) objectives, nothing copied. Fewer rows of a
    class than folds lie in as many of them, and the row of a class that has no other trains in all."""
    most = int(_amounts(objective).max())
    if most < 2:
        raise UsageError("Folds hold rows out, and every class has a single row, which must train. Give valid=(X, y).")
    if not 2 <= cv <= most:
        raise UsageError(f"cv is {cv}; folds from 2 to {most}, the rows of the commonest class, can be stratified.")
    return _folds(objective, cv, seed)


def parts_of(cv: Any, y: Any, groups: Any, seed: int) -> Parts:
    """What scikit-learn's splitter, or pairs of row numbers, hold out of rows with labels y (n,); of a number of folds
    such as keep groups (n,) whole and are else as stratified as can be."""
    from sklearn.model_selection import StratifiedGroupKFold, check_cv

    y = np.asarray(to_host(y)).ravel()
    groups = None if groups is None else checked_groups(groups, len(y))
    if isinstance(cv, Integral):
        cv = StratifiedGroupKFold(int(cv), shuffle=True, random_state=seed)
    splitter: Any = check_cv(cv)
    pairs = splitter.split(np.zeros((len(y), 1)), y, groups)
    return [(_mask(train, len(y)), _mask(held, len(y))) for train, held in pairs]


def checked_groups(groups: Any, n: int) -> np.ndarray:
    """Of n rows, (n,) on the host; DataError if they are of others."""
    groups = np.asarray(to_host(groups))
    if groups.shape != (n,):
        raise DataError(f"groups has the shape {groups.shape}; needed is a group for each row, {(n,)}.")
    return groups


def _mask(rows: Any, n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def _whole(objective: Objective, classes: np.ndarray, parts: Parts) -> list[tuple[Objective, Objective]]:
    """The pairs of these parts; UsageError where one trains without a class, and so has no optimum, or judges none."""
    pairs = parted(objective, parts)
    for f, (train, held) in enumerate(pairs):
        lacking = np.flatnonzero(np.bincount(train.y, train.weights, train.k) == 0)
        if len(lacking) or not held.total:
            what = f"trains on no row of class {classes[lacking].tolist()[0]!r}" if len(lacking) else "holds no row out"
            raise UsageError(f"Split {f} of cv {what}: give fewer folds, other groups, or valid=(X, y).")
    return pairs


def _present(objective: Objective) -> np.ndarray:
    """Labels (n,), −1 of rows without weight: on disk or on a device they lie among the others."""
    return objective.y if objective.weights is None else np.where(objective.weights > 0, objective.y, -1)


def _amounts(objective: Objective) -> np.ndarray:
    """Rows of every class, (k,)."""
    return np.bincount(_present(objective) + 1, minlength=objective.k + 1)[1:]


def _folds(objective: Objective, cv: int, seed: int) -> list[tuple[Objective, Objective]]:
    y = np.where(_amounts(objective)[objective.y] > 1, _present(objective), -1)
    fold = dealt(y, cv, np.random.default_rng(seed))
    return parted(objective, [(fold != f, fold == f) for f in range(cv)])


def dealt(y: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) in 0 … k − 1, each class's rows dealt out in a random order, the first class from 0 on; −1 where y is."""
    fold = np.full(len(y), -1)
    for i, rows in enumerate(own for own in rows_of(y) if y[own[0]] >= 0):
        fold[rng.permutation(rows)] = (np.arange(len(rows)) + i) % k
    return fold


def parted(objective: Objective, parts: Parts) -> list[tuple[Objective, Objective]]:
    """Training and held-out objectives: weights on the same rows, nothing copied."""
    weights = np.ones(objective.n) if objective.weights is None else objective.weights
    own = {"total": 0.0, "shared": Shared()}
    return [
        (
            replace(objective, weights=weights * train, **own),
            replace(objective, weights=weights * held, **own, alpha=0.0),
        )
        for train, held in parts
    ]
