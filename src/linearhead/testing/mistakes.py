"""Which classical mistake a wrong gradient looks like: from the pairs of numbers, and from other batches of rows."""

from __future__ import annotations

import math

import numpy as np

from .numerical import Comparison
from .problem import Problem

FAR = 5000.0  # scores so far apart that exp of their difference is 0 or inf in float64
SAYINGS = {
    "bias left out": "The intercept's gradient is 0 although F depends on b: the bias update is left out.",
    "sign error": "{part}: analytic = −numerical: a sign error.",
    "missing 1/n": "{part}: analytic = {n} × numerical, and n = {n}: the gradient lacks the 1/n of the mean.",
    "1/n twice": "{part}: analytic = numerical / {n}, and n = {n}: F lacks the 1/n, or the gradient has it twice.",
    "constant factor": "{part}: analytic = {ratio:.6g} × numerical in every entry: a constant factor is wrong.",
    "label branch": "The gap is {ratio:.3g} × (rows summed by label) / n: the branch j = label, ŷ_j − 1, is wrong.",
    "penalty": "The gap is {ratio:.3g} × W: the penalty is in F or in its gradient, not in both alike.",
    "penalised intercept": "The gap is {ratio:.3g} × b: the intercept is penalised in F or in its gradient, not both.",
    "missing 1/n in F": "The same rows twice change F from {once:.6g} to {twice:.6g}: F lacks the 1/n of the mean.",
    "overflow": "Scores of ±{far:g} in a single row give {value}: subtract the row's maximum before exp.",
    "one global max": "Rows with scores {far:g} apart give {value} together but sound numbers one by one: one maximum "
    "of the whole batch is subtracted instead of each row's own (max over axis=1, keepdims).",
}
GROWING = "The same rows twice leave F as it is but change its gradient: the gradient lacks the 1/n of the mean."


def _multiple(a: np.ndarray, m: np.ndarray, strict: float) -> float | None:
    """r with a ≈ r m to the precision `strict`, if there is one."""
    if not (np.isfinite(a).all() and np.isfinite(m).all() and np.any(m) and np.any(a)):
        return None
    r = float(a @ m) / float(m @ m)
    return r if np.linalg.norm(a - r * m) <= strict * np.linalg.norm(a) else None


def patterns(problem: Problem, W: np.ndarray, b: np.ndarray, found: Comparison) -> dict[str, str]:
    """The traps that the pairs of numbers show, name → sentence."""
    traps: dict[str, str] = {}
    n, bias = len(problem.y), found.of_bias
    wrong, strict = found.difference > found.tol, 10 * found.tol
    if bias.any() and not found.analytic[bias].any() and wrong[bias].any():
        traps["bias left out"] = SAYINGS["bias left out"]
    for part, rows in (("weights", ~bias), ("intercept", bias)):
        a, m = found.analytic[rows], found.numerical[rows]
        ratio = _multiple(a, m, strict) if wrong[rows].any() else None
        if ratio is not None and abs(ratio - 1) > 3 * strict:
            name = _factor(ratio, n)
            text = SAYINGS[name].format(part=part, n=n, ratio=ratio)
            traps[name] = f"{traps[name]} {text}" if name in traps else text
    if traps or not wrong.any():
        return traps
    theta, gap = np.vstack([W, b[None]]), found.analytic - found.numerical
    by_label = np.zeros_like(theta)
    np.add.at(by_label[:-1].T, problem.y, problem.X)
    by_label[-1] = np.bincount(problem.y, minlength=problem.k)
    for name, pattern, rows in (
        ("label branch", by_label / n, slice(None)),
        ("penalty", theta, ~bias),
        ("penalised intercept", theta, bias),
    ):
        at = found.where[rows]
        ratio = _multiple(gap[rows], pattern[at[:, 0], at[:, 1]], strict) if wrong[rows].any() else None
        if ratio is not None:
            traps[name] = SAYINGS[name].format(ratio=ratio)
    return traps


def _factor(ratio: float, n: int) -> str:
    """What a constant factor between analytic and numerical is called."""
    for name, factor in (("sign error", -1.0), ("missing 1/n", float(n)), ("1/n twice", 1.0 / n)):
        if abs(ratio / factor - 1) < 1e-3 and abs(factor - 1) > 1e-9:
            return name
    return "constant factor"


def batches(problem: Problem, W: np.ndarray, b: np.ndarray, mean: bool) -> dict[str, str]:
    """What only other batches show: a sum for a mean, exp of large scores, one maximum for all rows."""
    traps: dict[str, str] = {}
    if problem.again is None:
        return traps
    X, y = problem.X, problem.y
    once, *gradient = problem.evaluate(W, b)
    twice, *again = problem.again(np.concatenate([X, X]), np.concatenate([y, y]))(W, b)
    averages = abs(twice - once) <= 1e-6 * (abs(once) + abs(twice))
    if mean and not averages:
        traps["missing 1/n in F"] = SAYINGS["missing 1/n in F"].format(once=float(once), twice=float(twice))
    if averages and not all(np.allclose(g, h, rtol=1e-3, atol=1e-6) for g, h in zip(gradient, again, strict=True)):
        traps["missing 1/n"] = GROWING
    near = X[np.argmin(np.abs(X @ W).max(axis=1))]
    far = near * (FAR / max(float(np.abs(near @ W).max()), 1e-9))
    if not far.any():
        return traps
    pair = np.stack([near, far, -far])
    labels = np.argmax(pair @ W + b, axis=1)
    alone = [float(problem.again(x[None], c[None])(W, b)[0]) for x, c in zip(pair, labels, strict=True)]
    together = float(problem.again(pair, labels)(W, b)[0])
    if not np.isfinite(alone).all():
        traps["overflow"] = SAYINGS["overflow"].format(far=FAR, value=next(a for a in alone if not math.isfinite(a)))
    elif not math.isfinite(together) or (
        averages and abs(together - np.mean(alone)) > 1e-6 * (1 + np.abs(alone).max())
    ):
        traps["one global max"] = SAYINGS["one global max"].format(far=FAR, value=together)
    return traps
