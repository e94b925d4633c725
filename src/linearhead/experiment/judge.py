"""Scores → answers: what a model says of each picture, and what those answers are worth.

`train`, `evaluate` and `predict` all ask here, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import metrics
from ..arrays import one_blas_thread
from ..records import Evaluation
from ..store import Model

# Rows asked about at a time, always so many: a matrix product, and a sum over the columns of a single row, may round
# differently in the last bit, and a picture's confidence should not depend on how many others were asked about.
BLOCK = 64


@dataclass
class Answers:
    """Per row; confidences are probabilities, None where the loss has none. `margin` is s_predicted − s_label."""

    scores: np.ndarray  # (n, k), of no columns where they were not to be kept
    predicted: np.ndarray
    runner_up: np.ndarray
    confidence: np.ndarray | None
    runner_up_confidence: np.ndarray | None
    label_confidence: np.ndarray | None = None
    margin: np.ndarray | None = None
    rank: np.ndarray | None = None  # how many classes were preferred to the label


def answer(model: Model, X: np.ndarray, y: np.ndarray | None = None, kept: bool = True) -> Answers:
    """The best and second-best class of every row of X (n, d), in blocks of rows; with labels y also what they got. The
    scores are kept where asked for: of thousands of classes they are many times the rows."""

    def look(X: np.ndarray, y: np.ndarray | None = None) -> tuple[Any, ...]:
        s = model.scores(X)
        return s if kept else s[:, :0], *_columns(model, s, y)

    return Answers(*by_blocks(look, *((X,) if y is None else (X, y))))


def answer_scores(model: Model, scores: np.ndarray, y: np.ndarray | None = None) -> Answers:
    """The same from scores (n, k)."""
    tables = (scores,) if y is None else (scores, y)
    return Answers(scores, *by_blocks(lambda s, y=None: _columns(model, s, y), *tables))


def by_blocks(ask: Callable[..., tuple[np.ndarray | None, ...]], *tables: np.ndarray) -> list[Any]:
    """The columns (n, …) that `ask` answers to BLOCK rows of the tables at a time, the last filled up with zeros."""
    parts = []
    with one_blas_thread():
        for start in range(0, max(len(tables[0]), 1), BLOCK):
            rows = [table[start : start + BLOCK] for table in tables]
            columns = ask(*(_filled(part) for part in rows))
            parts.append([None if column is None else column[: len(rows[0])] for column in columns])
    return [None if part[0] is None else np.concatenate(part) for part in zip(*parts, strict=True)]


def _filled(rows: np.ndarray) -> np.ndarray:
    missing = BLOCK - len(rows)
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)]) if missing else rows


def _columns(model: Model, scores: np.ndarray, y: np.ndarray | None) -> tuple[Any, ...]:
    rows = np.arange(len(scores))
    first = scores.argmax(axis=1)
    others = scores.copy()
    others[rows, first] = -np.inf
    second = others.argmax(axis=1)
    p = model.probabilities(scores)
    label_p = margin = rank = None
    if y is not None:
        margin = scores[rows, first] - scores[rows, y]
        rank = (scores > scores[rows, y][:, None]).sum(axis=1) + (first != y) * (margin == 0)
        label_p = None if p is None else p[rows, y]
    if p is None:
        return first, second, None, None, None, margin, rank
    return first, second, p[rows, first], p[rows, second], label_p, margin, rank


def evaluation(model: Model, answers: Answers, y: np.ndarray, groups: np.ndarray | None = None) -> Evaluation:
    """The numbers about these answers to labels y; groups (n,) of rows that are alike, where they are known."""
    return metrics.evaluate(y, answers.predicted, model.classes, answers.label_confidence, answers.rank, groups)


SPREAD = 2000  # rows that tell a column's standard deviation
NEAREST_JUDGED, NEAREST_TRAINED = 2000, 10_000  # pictures at most: a few seconds of one matrix product


def nearest_baseline(judged: Evaluation, X: np.ndarray, y: np.ndarray, n: int, seed: int, scaled: bool = True) -> None:
    """What the label of the nearest of the n trained rows would score on the rows after them; columns scaled alike, or
    as they come where the fit had them so."""
    if len(y) == n:
        return
    rng = np.random.default_rng(seed)
    trained = np.sort(rng.permutation(n)[:NEAREST_TRAINED])
    asked = n + np.sort(rng.permutation(len(y) - n)[:NEAREST_JUDGED])
    some, unit = X[asked], np.ones(1, np.float32)
    if scaled:
        unit = _unit(X[trained[:: max(1, len(trained) // SPREAD)]])
    nearest, least = np.zeros(len(asked), np.intp), np.full(len(asked), np.inf)
    # in float32, a few at a time: narrower rows would overflow, and have no fast products
    for rows in np.array_split(trained, -(-len(trained) // 1000)):
        A = X[rows] * unit
        lengths = np.einsum("ij,ij->i", A, A)
        for asking in (slice(i, i + 500) for i in range(0, len(some), 500)):
            distance = lengths - 2 * (some[asking] * unit) @ A.T
            best = distance.argmin(axis=1)
            found = distance[np.arange(len(best)), best]
            closer = found < least[asking]
            nearest[asking][closer], least[asking][closer] = rows[best[closer]], found[closer]
    hits = int(np.sum(y[nearest] == y[asked]))
    judged.nearest_accuracy = hits / len(asked)
    worth = 1.0 if judged.independent is None else judged.independent / judged.n
    judged.intervals["nearest_accuracy"] = metrics.wilson(hits * worth, len(asked) * worth)
    judged.nearest = f"the label of the nearest of {len(trained)} training pictures, asked for {len(asked)} of them"


def _unit(X: np.ndarray) -> np.ndarray:
    """1 / standard deviation of every column, float32 (d,); 0 where it hardly changes."""
    d = X.shape[1]
    spread = np.concatenate([X[:, i : i + 4096].std(axis=0, dtype=np.float64) for i in range(0, d, 4096)])
    return np.where(spread > 1e-6 * max(float(spread.max()), 1e-30), 1 / np.maximum(spread, 1e-30), 0).astype(
        np.float32
    )
