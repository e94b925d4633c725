"""Grading values: probabilities and losses against the formulas, then scores of ±1000 in one row and in several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import reference
from .grading import Outcome, bars_of, listed, numbers, problem, same, scatter
from .mistakes import Mistake, mistake


def softmax(code: Any) -> Outcome:
    a = np.array([[1.0, 2.0, 0.5], [-1.0, 0.0, 3.0], [0.2, 0.1, 0.0]])
    found, out = code.softmax(a.copy()), Outcome("softmax")
    p = numbers(found, a.shape, "softmax(a)")
    right = reference.softmax(a)
    out.picture = scatter("Probabilities: yours against the formula", right, p, "by the formula", "yours")
    if same(p.sum(axis=0), 1) and not same(p.sum(axis=1), 1):
        out.mistakes.append(mistake("wrong-axis", f"The columns sum to 1, the rows to {listed(p.sum(axis=1))}."))
    elif same(p, a):
        out.mistakes.append(mistake("scores-returned", f"For the scores {listed(a[0])} you give the same numbers."))
    elif same(p.sum(), 1):
        out.mistakes.append(mistake("wrong-axis", "All entries together sum to 1, not each row."))
    elif same(p, reference.softmax(-a)):
        out.mistakes.append(mistake("sign", "The highest score gets the lowest probability: exp(−a) for exp(a)."))
    elif same(p, of_column_maxima(a)):
        words = "The scores of a row are shifted by unlike numbers, the largest of each column: a.max(axis=0)."
        out.mistakes.append(mistake("wrong-axis", words))
    elif not same(p, right):
        sums = "" if same(p.sum(axis=1), 1) else f" The rows sum to {listed(p.sum(axis=1))}, not to 1."
        words = f"For the scores {listed(a[0])} you give {listed(p[0])}, not {listed(right[0])}.{sums}"
        out.mistakes.append(mistake("wrong", words))
    else:
        out.mistakes += far_apart(code)
    return out


def of_column_maxima(a: np.ndarray) -> np.ndarray:
    """What becomes of softmax where the maxima go over the wrong axis, (n, k)."""
    e = np.exp(a - a.max(axis=0))
    return e / e.sum(axis=1, keepdims=True)


def far_apart(code: Any) -> list[Mistake]:
    """Scores of ±1000: each row alone, then rows that lie far apart together."""
    right = reference.softmax(FAR)
    single = [numbers(code.softmax(np.array([row])), (1, 3), "softmax(a)")[0] for row in FAR]
    for row, p, q in zip(FAR, single, right, strict=True):
        if not same(p, q):
            return [mistake("overflow", f"The single row of scores {listed(row)} gives {listed(p)}, not {listed(q)}.")]
    together = numbers(code.softmax(FAR.copy()), FAR.shape, "softmax(a)")
    if not same(together, right):
        worst = int(np.argmax(np.nan_to_num(np.abs(together - right), nan=9).max(axis=1)))
        return [
            mistake(
                "one-global-max",
                f"The scores {listed(FAR[worst])} give {listed(single[worst])} alone but "
                f"{listed(together[worst])} beside a row of scores around {FAR.max():g}.",
            )
        ]
    return []


FAR = np.array([[1000.0, 999.0, 998.0], [1.0, 2.0, 0.5], [-1000.0, -1001.0, -999.0], [-1000.0, 0.0, 1000.0]])
LIKELY = np.array([0, 1, 2, 2])  # labels whose probability there is no 0


def cross_entropy(code: Any) -> Outcome:
    X, y, W, b = problem()
    a = X @ W + b
    value = float(numbers(code.cross_entropy(a.copy(), y.copy()), (), "cross_entropy(a, y)"))
    right = reference.cross_entropy(a, y)
    out = Outcome("cross_entropy", known_losses(value, a, y) or valued(value, right, a.shape))
    if not out.mistakes:
        out.mistakes += one_by_one(lambda a, y: code.cross_entropy(a, y), FAR, LIKELY)
    out.picture = bars_of(value, right)
    return out


def known_losses(value: float, a: np.ndarray, y: np.ndarray) -> list[Mistake]:
    """Cross-entropies that are right but for one thing."""
    p = reference.softmax(a)
    if found := shifted(value, reference.cross_entropy, a, y):
        return found
    for other, words in (
        (-np.mean(p[np.arange(len(y)), y]), "the mean of −ŷ_label: where is the logarithm?"),
        (-np.mean(np.log(p[:, y])), "that of every row with every label: p[:, y] takes n × n numbers, not n."),
        (reference.cross_entropy(p, y), "that of softmax(softmax(a)): once is enough."),
    ):
        if same(value, other):
            return [mistake("wrong", f"The loss {value:.4g} is {words}")]
    return []


def shifted(value: float, loss: Callable, a: np.ndarray, y: np.ndarray) -> list[Mistake]:
    """Whether the value is that of labels one beside those that were given."""
    for one, name in ((-1, "y − 1"), (1, "y + 1")):
        if same(value, loss(a, (y + one) % a.shape[1])):
            return [mistake("labels-shifted", f"The loss {value:.4g} is that of the labels {name}.")]
    return []


def margin_loss(code: Any) -> Outcome:
    a = np.array([[4.3, -1.3, 1.1], [0.5, 5.6, -4.2], [3.3, 3.5, 1.1], [1.1, -5.3, -9.4]])  # the lecture's scores
    y, margin = np.array([0, 1, 0, 2]), 1.0
    value = float(numbers(code.margin_loss(a.copy(), y.copy(), margin), (), "margin_loss(a, y, margin)"))
    right = reference.margin_loss(a, y, margin)
    out = Outcome("margin_loss", picture=bars_of(value, right))
    turned = reference_turned(a, y, margin)
    if same(value, right + margin) or same(value, (right + margin) * len(y)):
        out.mistakes.append(mistake("label-counted", f"{value:.4g} = {right:.4g} + the margin {margin:g}, once a row."))
        if same(value, (right + margin) * len(y)):
            out.mistakes.append(mistake("missing-mean", f"The value is that of the sum over {len(y)} rows."))
    elif same(value, turned):
        out.mistakes.append(mistake("sign", f"{value:.4g} is what max(0, a_label − a_j + margin) gives."))
    elif same(value, reference.margin_loss(a, y, -margin)):
        out.mistakes.append(mistake("sign", f"{value:.4g} is what max(0, a_j − a_label − margin) gives."))
    elif same(value, other_hinge(a, y, margin, np.sum, least=-np.inf)):
        out.mistakes.append(mistake("unclipped", f"{value:.4g} is Σ (a_j − a_label + margin), negative ones included."))
    elif same(value, reference.margin_loss(a, y, 0.0)):
        out.mistakes.append(mistake("margin-left-out", f"{value:.4g} is Σ max(0, a_j − a_label)."))
    elif same(value, other_hinge(a, y, margin, np.max)):
        out.mistakes.append(mistake("wrong", f"{value:.4g} is each row's largest violation; their sum was asked for."))
    elif same(value, other_hinge(a, y, margin, lambda z, axis: (z**2).sum(axis=axis))):
        out.mistakes.append(mistake("wrong", f"{value:.4g} is the squared margin loss: Σ max(0, …)²."))
    else:
        own = shifted(value, lambda a, y: reference.margin_loss(a, y, margin), a, y)
        out.mistakes += own or valued(value, right, a.shape)
    wider = reference.margin_loss(a, y, 6.0)
    if not out.mistakes and not same(float(code.margin_loss(a.copy(), y.copy(), 6.0)), wider):
        out.mistakes.append(
            mistake("wrong", f"With a margin of 6 the value should be {wider:.4g}: is the margin used?")
        )
    return out


def reference_turned(a: np.ndarray, y: np.ndarray, margin: float) -> float:
    """The hinge with the difference the wrong way round."""
    rows = np.arange(len(y))
    z = np.maximum(a[rows, y][:, None] - a + margin, 0)
    z[rows, y] = 0
    return float(z.sum(axis=1).mean())


def other_hinge(a: np.ndarray, y: np.ndarray, margin: float, together: Callable, least: float = 0.0) -> float:
    """The mean loss of rows whose violations are put together in another way than by their sum, or clipped elsewhere
    than at 0."""
    rows = np.arange(len(y))
    z = np.maximum(a - a[rows, y][:, None] + margin, least)
    z[rows, y] = 0
    return float(together(z, axis=1).mean())


def valued(value: float, right: float, shape: tuple[int, int]) -> list[Mistake]:
    """What a wrong mean loss of scores of that shape looks like."""
    n, k = shape
    if same(value, right):
        return []
    if same(value, -right) or same(value, -right * n):
        found = [mistake("sign", f"The loss is {value:.4g}; it should be {right:.4g}.")]
        return found + ([] if same(value, -right) else [mistake("missing-mean", "It is also a sum over the rows.")])
    if same(value, right * n):
        return [mistake("missing-mean", f"The loss is {value:.4g} = {n} × {right:.4g}: the sum over {n} rows.")]
    if same(value, right / n):
        return [
            mistake("missing-mean", f"The loss is {value:.4g} = {right:.4g} / {n}: divided by n = {n} once too often.")
        ]
    if same(abs(value), right / k):
        words = (
            f"The loss is {value:.4g}, {right:.4g} / {k}: the mean goes over all {n} × {k} numbers, not over {n} rows."
        )
        return [mistake("missing-mean", words)]
    for base in (2, 10):
        if same(value, right / np.log(base)):
            words = f"The loss is {value:.4g} = {right:.4g} / ln {base}: log to the base {base}, not the natural one."
            return [mistake("constant-factor", words)]
    return [mistake("wrong", f"The loss is {value:.6g}; it should be {right:.6g}.")]


def one_by_one(loss: Callable, a: np.ndarray, y: np.ndarray) -> list[Mistake]:
    """Rows far apart: sound alone, unsound together → one maximum for all."""
    alone = [float(loss(a[i : i + 1].copy(), y[i : i + 1].copy())) for i in range(len(y))]
    for i, found in enumerate(alone):
        right = reference.cross_entropy(a[i : i + 1], y[i : i + 1])
        if not same(found, right):
            return [mistake("overflow", f"Scores of {listed(a[i])} give the loss {found:.4g}, not {right:.4g}.")]
    together, right = float(loss(a.copy(), y.copy())), reference.cross_entropy(a, y)
    if not same(together, right):
        words = f"{len(y)} rows have losses {listed(alone)} alone, but {together:.4g} on average together."
        return [mistake("one-global-max", words)]
    return []
