"""Rows that choose: given ones, a stratified part held out, folds. All but the first are weights on the same rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..design import design_of
from ..errors import DataError, UsageError
from ..objective import Objective, Shared
from ..objective.inputs import codes_of
from .sample import Sample

LEAVE_ONE_OUT = "loo"


def judges(
    objective: Objective, classes: np.ndarray, judging: Sample | None, cv: int | str | None, seed: int
) -> list[tuple[Objective, Objective]]:
    """Pairs of a training and a held-out objective: given rows, one per fold, or none."""
    if judging is not None:
        codes = codes_of(judging.y, classes, "The validation rows have classes that y lacks")
        return [(objective, held_out(objective, judging.X, codes))]
    return [] if cv is None or cv == LEAVE_ONE_OUT else folds(objective, int(cv), seed)


def held_out(objective: Objective, X: Any, codes: np.ndarray) -> Objective:
    """Checked rows (m, d) with codes (m,), held out, as an objective in the same columns, without penalty."""
    mine, design = objective.design, design_of(X, intercept=objective.design.intercept)
    if design.d != mine.d:
        raise DataError(f"The validation rows have {design.d} columns, the training rows {mine.d}.")
    names = ("shift", "scale", "centre_blocks")  # sparse rows are centred through θ alone
    same = {name: getattr(mine, name) for name in names if hasattr(mine, name) and hasattr(design, name)}
    design = replace(design, **same)
    return Objective(design, codes, objective.k, objective.loss, objective.penalty, 0.0, watch=True)


def hold_out(objective: Objective, seed: int, one_in: int = 7) -> tuple[Objective, Objective]:
    """One stratified row in `one_in` held out, as weights on the same rows: what alpha="auto" chooses on."""
    if _rarest(objective) < 2:
        raise DataError(
            "alpha='auto' holds some rows of every class out to choose on, and one class has a single row. "
            "Give alpha as a number, or held-out rows as X_valid and y_valid."
        )
    return _folds(objective, one_in, seed)[0]


def folds(objective: Objective, cv: int, seed: int) -> list[tuple[Objective, Objective]]:
    """Stratified folds as weights on the same rows: (training, held-out) objectives, nothing copied."""
    smallest = _rarest(objective)
    if smallest < 2:
        raise UsageError("Folds hold some rows of every class out, and one class has a single row. Give valid=(X, y).")
    if not 2 <= cv <= smallest:
        raise UsageError(f"cv is {cv}; folds from 2 to {smallest}, the rows of the rarest class, can be stratified.")
    return _folds(objective, cv, seed)


def _present(objective: Objective) -> np.ndarray:
    """Labels (n,), −1 of rows without weight: on disk or on a device they lie among the others."""
    return objective.y if objective.weights is None else np.where(objective.weights > 0, objective.y, -1)


def _rarest(objective: Objective) -> int:
    """The rows of the rarest class."""
    return int(np.bincount(_present(objective) + 1, minlength=objective.k + 1)[1:].min())


def _folds(objective: Objective, cv: int, seed: int) -> list[tuple[Objective, Objective]]:
    rng, y = np.random.default_rng(seed), _present(objective)
    fold = np.zeros(objective.n, dtype=int)
    for c in range(objective.k):
        rows = rng.permutation(np.flatnonzero(y == c))
        fold[rows] = (np.arange(len(rows)) + c) % cv
    weights = np.ones(objective.n) if objective.weights is None else objective.weights
    own = {"total": 0.0, "shared": Shared()}
    return [
        (
            replace(objective, weights=weights * (fold != f), **own),
            replace(objective, weights=weights * (fold == f), **own, alpha=0.0),
        )
        for f in range(cv)
    ]
