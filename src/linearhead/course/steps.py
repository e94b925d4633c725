"""Grading the steps: one batch of all rows, where every number is known; then what the order of small batches shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import reference
from .grading import ALPHA, Outcome, StandIn, listed, pair, problem, same
from .mistakes import Mistake, mistake


def sgd(code: Any) -> Outcome:
    X, y, W, b = problem()
    out = Outcome("sgd")
    with StandIn(code, gradients=reference.gradients):
        out.mistakes = visits(code, X, y, W, b) or one_step(code, X, y, W, b) or many_steps(code, X, y, W, b)
        curve = [W, b]
        losses = []
        for _ in range(15):
            losses.append(reference.cross_entropy(X @ curve[0] + curve[1], y))
            curve = list(
                pair(
                    code.sgd(curve[0].copy(), curve[1].copy(), X, y, 0.2, 1, 4, 0.0, len(losses)),
                    (W.shape, b.shape),
                    "sgd(…)",
                )
            )
    right, ours = [W, b], []
    for epoch in range(15):
        ours.append(reference.cross_entropy(X @ right[0] + right[1], y))
        right = list(reference.sgd(*right, X, y, 0.2, 1, 4, 0.0, epoch))
    epochs = list(range(15))
    out.picture = {"title": "Loss, epoch by epoch", "x": "epoch", "y": "cross-entropy", "series": [
        {"label": "yours", "x": epochs, "y": losses, "kind": "line"},
        {"label": "right", "x": epochs, "y": ours, "kind": "dashed"}]}  # fmt: skip
    return out


def one_step(code: Any, X, y, W, b) -> list[Mistake]:
    """One batch of all rows is gradient descent: the order cannot matter, every number is known."""
    rate, shapes = 0.1, (W.shape, b.shape)
    W1, b1 = pair(code.sgd(W.copy(), b.copy(), X.copy(), y.copy(), rate, 1, len(y), ALPHA, 0), shapes, "sgd(…)")
    dW, db = reference.gradients(W, b, X, y, ALPHA)
    stepW, stepb = W - W1, b - b1
    if same(stepW, rate * dW) and same(stepb, rate * db):
        return []
    seen = f"After one step on all {len(y)} rows "
    if same(b1, b):
        return [mistake("bias-left-out", seen + "b is still what it was at the start.")]
    if same(stepW, -rate * dW) or same(stepb, -rate * db):
        return [mistake("sign", seen + "W or b has moved up the gradient, not down.")]
    if same(stepb, rate * (db + ALPHA * b)) or same(stepb, rate * db + rate * ALPHA * (b - rate * db)):
        return [
            mistake(
                "penalised-intercept",
                seen + f"b has also shrunk by learning_rate · alpha = {rate * ALPHA:g} of itself.",
            )
        ]
    n, plain = len(y), reference.gradients(W, b, X, y, 0.0)
    if same(stepb, rate * db * n) or same(stepb, rate * db / n):
        return [
            mistake(
                "missing-mean",
                seen
                + f"b has moved {np.linalg.norm(stepb) / np.linalg.norm(rate * db):.3g} times as far as it should.",
            )
        ]
    if same(stepW, rate * plain[0]):
        return [mistake("penalty", seen + "W has moved as if alpha were 0.")]
    if same(W1, W) and not same(stepb, 0):
        return [mistake("wrong", seen + "W is still what it was.")]
    return [mistake("wrong", seen + f"b has moved by {listed(-stepb)}; it should be {listed(-rate * db)}.")]


def visits(code: Any, X, y, W, b) -> list[Mistake]:
    """What the batches show, where sgd calls `gradients`."""
    watch, options = Watch(X, y), (0.1, 3, 4, 0.0)
    with StandIn(code, gradients=watch):
        code.sgd(W.copy(), b.copy(), X.copy(), y.copy(), *options, 0)
    return by_rows(watch.seen, len(y), options[1]) if watch.seen else []


def many_steps(code: Any, X, y, W, b) -> list[Mistake]:
    """Batches of four: is the order new in every epoch, do X and y stay together, is every row visited?"""
    shapes, options = (W.shape, b.shape), (0.1, 3, 4, 0.0)
    runs = [code.sgd(W.copy(), b.copy(), X.copy(), y.copy(), *options, seed) for seed in (0, 0, 1)]
    ends = [pair(run, shapes, "sgd(…)") for run in runs]
    if (fixed := fixed_order(ends[0], X, y, W, b, options)) is not None:
        return [mistake("no-shuffling", f"The result is exactly that of visiting the rows {fixed} in every epoch.")]
    if not same(ends[0][0], ends[1][0]):
        return [mistake("seed-ignored", "Two runs with the same seed end at different W.")]
    if same(ends[0][0], ends[2][0]):
        return [mistake("seed-ignored", "Runs with seeds 0 and 1 end at the same W.")]
    if reference.cross_entropy(X @ ends[0][0] + ends[0][1], y) > reference.cross_entropy(X @ W + b, y):
        return [mistake("torn-rows", "After three epochs the loss is higher than at the start.")]
    return []


def fixed_order(end: tuple, X, y, W, b, options: tuple) -> str | None:
    """The words for a fixed order that explains the result to the last digits."""
    rate, epochs, batch, alpha = options
    for words, order in (
        ("as they come", np.arange(len(y))),
        ("backwards", np.arange(len(y))[::-1]),
        ("sorted by label", np.argsort(y, kind="stable")),
    ):
        at = (W, b)
        for _ in range(epochs):
            at = reference.epoch(*at, X, y, order, rate, batch, alpha)
        if same(end[0], at[0], 1e-10):
            return words
    return None


def by_rows(seen: list[tuple[int, bool]], n: int, epochs: int) -> list[Mistake]:
    """seen: (row, whether its label is its own) of every visit."""
    rows = [row for row, _ in seen]
    if not all(matched for _, matched in seen):
        return [mistake("torn-rows", "A batch holds pictures with labels of other pictures.")]
    orders = [rows[i : i + n] for i in range(0, len(rows), n)]
    if len(rows) != n * epochs or any(sorted(order) != list(range(n)) for order in orders):
        words = f"{len(set(rows))} of {n} rows were seen in {epochs} epochs, {len(rows)} visits."
        return [mistake("rows-left-out", words)]
    if all(order == orders[0] for order in orders):
        return [mistake("no-shuffling", f"The {epochs} epochs visit the rows in one and the same order.")]
    return []


class Watch:
    """The reference's gradients, noting which rows it is asked about."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y, self.seen = X, y, []

    def __call__(self, W, b, X, y, alpha):
        X, y = np.atleast_2d(X), np.atleast_1d(y)
        for x, label in zip(X, y, strict=True):
            row = int(np.argmin(np.abs(self.X - x).sum(axis=1)))
            self.seen.append((row, bool(self.y[row] == label)))
        return reference.gradients(W, b, X, y, alpha)
