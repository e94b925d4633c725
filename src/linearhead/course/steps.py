"""Grading the steps from outside: which rows are visited, one step where every number is known, the order of batches.

Where the rows are those of the identity, row i of W moves only when row i is visited: by 1/m of its derivative for a
batch of m rows. How far each has moved tells who was visited, how often, with which label and in how large a batch,
however the code goes about it. The intercept drifts from batch to batch, and with it the derivative: that tells when.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import reference
from .grading import ALPHA, Outcome, listed, pair, problem, same
from .mistakes import Mistake, mistake

RATE = 0.01  # of the probes: derivatives are within a few per cent of those at the start
BATCH = 7  # of 24 rows: the last batch has three
ALIKE = 0.99  # a correlation; among random orders of 24 rows there is none as high


def sgd(code: Any) -> Outcome:
    X, y, W, b = problem()
    out = Outcome("sgd")
    first = visits(code, y) or one_step(code, X, y, W, b)
    out.mistakes = first or order(code, len(y)) or seeds(code, X, y, W, b) or later_steps(code, X, W, b)
    epochs, yours, ours = list(range(15)), [], []
    mine, right = (W, b), (W, b)
    for epoch in epochs:
        yours.append(reference.cross_entropy(X @ mine[0] + mine[1], y))
        ours.append(reference.cross_entropy(X @ right[0] + right[1], y))
        mine = run(code, *mine, X, y, 0.2, 1, 4, 0.0, epoch)
        right = reference.sgd(*right, X, y, 0.2, 1, 4, 0.0, epoch)
    out.picture = {"title": "Loss, epoch by epoch", "x": "epoch", "y": "cross-entropy", "series": [
        {"label": "yours", "x": epochs, "y": yours, "kind": "line"},
        {"label": "right", "x": epochs, "y": ours, "kind": "dashed"}]}  # fmt: skip
    return out


def run(code: Any, W, b, X, y, *options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The student's sgd on copies."""
    return pair(code.sgd(W.copy(), b.copy(), X.copy(), y.copy(), *options), (W.shape, b.shape), "sgd(…)", ("W", "b"))


def moved(code: Any, y: np.ndarray, epochs: int, batch: int) -> np.ndarray:
    """How far W has moved from 0 on the rows of the identity, (n, k), in units of the learning rate."""
    n, k = len(y), 3
    W, _ = run(code, np.zeros((n, k)), np.zeros(k), np.eye(n), y, RATE, epochs, batch, 0.0, 0)
    return W / RATE


def visits(code: Any, y: np.ndarray) -> list[Mistake]:
    """Whether an epoch visits every row once, with its own label, in batches of the size that was asked for."""
    n, (own, others) = len(y), own_and_others(moved(code, y, 1, BATCH), y)
    idle = int(np.sum(np.maximum(np.abs(own), others) < 1e-9))
    if idle == n:
        return []  # nothing moves: one_step has the words
    if idle:
        words = f"In an epoch in batches of {BATCH}, {idle} of {n} rows are not visited."
        return [mistake("rows-left-out", words)]
    if 0 < np.sum(own < 0) < n:
        return [mistake("torn-rows", "A batch holds pictures with labels of other pictures.")]
    share = np.abs(own) * 3 / 2  # visits / m: the label's derivative is 1 − 1/3 at W = 0
    if np.ptp(share) > 0.1 * share.mean():
        return []  # larger in the smaller last batch, as it should be
    times = n * share.mean()  # n / m, or as many visits, where all rows have moved alike
    steps = round(times)
    if abs(times / (n / BATCH) - 1) < 0.02:
        return [mistake("missing-mean", f"The last batch has {n % BATCH} rows and is divided by {BATCH}.")]
    if abs(times - 1) < 0.1:
        return [mistake("missing-mean", f"A batch of {BATCH} rows is divided by {n}, the number of all rows.")]
    if 1 < steps < n and abs(times - steps) < 0.1:
        return [mistake("batches", f"An epoch in batches of {BATCH} takes {steps} steps on all {n} rows each.")]
    return []


def own_and_others(step: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row: how far its label's weight has moved, and the farthest that any other has."""
    rows = np.arange(len(y))
    others = np.abs(step)
    others[rows, y] = 0
    return step[rows, y], others.max(axis=1)


def one_step(code: Any, X, y, W, b) -> list[Mistake]:
    """One batch of all rows is gradient descent: the order cannot matter, every number is known."""
    rate, n = 0.1, len(y)
    W1, b1 = run(code, W, b, X, y, rate, 1, n, ALPHA, 0)
    dW, db = reference.gradients(W, b, X, y, ALPHA)
    slope = dW - ALPHA * W  # without the penalty
    stepW, stepb = W - W1, b - b1
    if same(stepW, rate * dW) and same(stepb, rate * db):
        return []
    seen = f"After one step on all {n} rows "
    if same(W1, W) and same(b1, b):
        return [mistake("wrong", seen + "W and b are still what they were.")]
    if same(b1, b):
        return [mistake("bias-left-out", seen + "b is still what it was at the start.")]
    if same(stepW, -rate * dW) or same(stepb, -rate * db):
        return [mistake("sign", seen + "W or b has moved up the gradient, not down.")]
    if same(stepb, ALPHA * db):
        return [mistake("rates-confused", seen + f"b has moved by alpha = {ALPHA:g} times its gradient.")]
    if same(stepW, rate * (slope + rate * W)):
        words = f"W has shrunk as if alpha were {rate:g}, which is the learning rate."
        return [mistake("rates-confused", seen + words)]
    if same(stepb, rate * (db + ALPHA * b)) or same(stepb, rate * db + rate * ALPHA * (b - rate * db)):
        words = f"b has also shrunk by learning_rate · alpha = {rate * ALPHA:g} of itself."
        return [mistake("penalised-intercept", seen + words)]
    if same(stepb, rate * db * n) or same(stepb, rate * db / n):
        times = np.linalg.norm(stepb) / np.linalg.norm(rate * db)
        return [mistake("missing-mean", seen + f"b has moved {times:.3g} times as far as it should.")]
    if same(stepW, rate * slope):
        return [mistake("penalty", seen + "W has moved as if alpha were 0.")]
    if same(W1, W):
        return [mistake("wrong", seen + "W is still what it was.")]
    return [mistake("wrong", seen + f"b has moved by {listed(-stepb)}; it should be {listed(-rate * db)}.")]


def order(code: Any, n: int) -> list[Mistake]:
    """Whether there is a second epoch, and whether its order is a new one.

    Nearly all labels are 0, so b_0 grows with every batch, and a row of class 0 moves the less, the later it comes.
    """
    y, batch = np.zeros(n, dtype=int), 4
    y[[3, 10]], y[[n // 2 + 3, n - 4]] = 1, 2
    first = moved(code, y, 1, batch)
    second = moved(code, y, 2, batch) - first
    if same(second, 0):
        return [mistake("rows-left-out", "Two epochs end where one ends.")]
    late, again = (-step[y == 0, 0] for step in (first, second))
    for words, rows in (
        ("as they come", np.arange(n)),
        ("backwards", np.arange(n)[::-1]),
        ("sorted by label", np.argsort(y, kind="stable")),
    ):
        when = np.empty(n)
        when[rows] = np.arange(n) // batch
        if alike(late, when[y == 0]):
            return [mistake("no-shuffling", f"The first epoch visits the rows {words}.")]
    if alike(late, again):
        return [mistake("no-shuffling", "Two epochs visit the rows in one and the same order.")]
    return []


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.ptp(a) > 0 and np.ptp(b) > 0 and np.corrcoef(a, b)[0, 1] > ALIKE)


def later_steps(code: Any, X, W, b) -> list[Mistake]:
    """Whether later steps are as long as the first, in an epoch and from epoch to epoch. All rows are the same row, so
    that no order matters and every number is known again, with the last label: y.max() + 1 still is k."""
    for batches, epochs, when in ((3, 1, "third batch"), (1, 3, "third epoch")):
        rows, y = np.tile(X[:1], (batches * BATCH, 1)), np.full(batches * BATCH, len(b) - 1)
        options = 0.1, epochs, BATCH, 0.0, 0
        found, right = run(code, W, b, rows, y, *options)[1] - b, reference.sgd(W, b, rows, y, *options)[1] - b
        if not same(found, right):
            times = np.linalg.norm(found) / np.linalg.norm(right)
            words = (
                f"After the {when} b has gone {times:.3g} times as far as three steps of the rate {options[0]:g} go."
            )
            return [mistake("steps-change", words)]
    return []


def seeds(code: Any, X, y, W, b) -> list[Mistake]:
    """The same seed is the same run, another seed another one."""
    ends = [run(code, W, b, X, y, 0.1, 3, 4, 0.0, seed)[0] for seed in (0, 0, 1)]
    if not same(ends[0], ends[1]):
        return [mistake("seed-ignored", "Two runs with the same seed end at different W.")]
    if same(ends[0], ends[2], 1e-10):
        return [mistake("seed-ignored", "Runs with seeds 0 and 1 end at the same W.")]
    return []
