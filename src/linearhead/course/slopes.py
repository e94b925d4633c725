"""Grading gradients: analytic against central differences by `testing.check_gradient`, whose patterns name mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..testing import check_gradient
from . import reference
from .grading import ALPHA, Outcome, listed, pair, problem, same, scatter
from .mistakes import Mistake, mistake

NAMES = ("dF/dW", "dF/db")
TOL = 1e-4  # relative: a gradient in float32 passes
MARGINS = (1.0, 2.5)

FROM_TESTING = {  # a name of linearhead.testing → ours
    "sign error": "sign",
    "missing 1/n": "missing-mean",
    "1/n twice": "missing-mean",
    "bias left out": "bias-left-out",
    "label branch": "label-branch",
    "penalty": "penalty",
    "penalised intercept": "penalised-intercept",
    "constant factor": "constant-factor",
}


def gradients(code: Any) -> Outcome:
    def of(alpha: float) -> Callable:
        def evaluate(W, b, X, y):
            value = reference.cross_entropy(X @ W + b, y) + alpha / 2 * float((W**2).sum())
            return value, *pair(code.gradients(W, b, X, y, alpha), (W.shape, b.shape), "gradients(…)", NAMES)

        return evaluate

    return graded("gradients", of(0.0), of(ALPHA))


def margin_gradients(code: Any) -> Outcome:
    def of(margin: float) -> Callable:
        def evaluate(W, b, X, y):
            value, found = reference.margin_loss(X @ W + b, y, margin), code.margin_gradients(W, b, X, y, margin)
            return value, *pair(found, (W.shape, b.shape), "margin_gradients(…)", NAMES)

        return evaluate

    out = graded("margin_gradients", *map(of, MARGINS))
    if out.mistakes:
        out.mistakes = known_slopes(of) or out.mistakes
    return out


def known_slopes(of: Callable) -> list[Mistake]:
    """Margin gradients that are right but for one thing."""
    X, y, W, b = problem()
    for margin in MARGINS:
        _, dW, db = of(margin)(W.copy(), b.copy(), X.copy(), y.copy())
        for code, words, g in slopes_like(X @ W + b, y, margin):
            if same(dW, X.T @ g / len(y)) and same(db, g.mean(axis=0)):
                return [mistake(code, words)]
    other = of(MARGINS[1])(W.copy(), b.copy(), X.copy(), y.copy())
    if all(same(a, r) for a, r in zip(other[1:], reference.margin_gradients(W, b, X, y, MARGINS[0]), strict=True)):
        return [mistake("wrong", f"A margin of {MARGINS[1]:g} changes nothing: is it used?")]
    return []


def slopes_like(a: np.ndarray, y: np.ndarray, margin: float) -> list[tuple[str, str, np.ndarray]]:
    """What is easily taken for ∂ℓ/∂a of the margin loss (n, k), with its name."""
    label = np.eye(a.shape[1])[y]
    z = np.where(label > 0, 0.0, a - np.sum(a * label, axis=1, keepdims=True) + margin)
    hit = (z > 0).astype(float)
    count, largest = hit.sum(axis=1, keepdims=True), np.eye(a.shape[1])[z.argmax(axis=1)]
    once = (count > 0).astype(float)
    pulls = z * hit
    above = ((label == 0) & (z > margin)).astype(float)
    return [
        ("unclipped", "Every class pulls, whether its margin is violated or not.", 1 - label * a.shape[1]),
        (
            "margin-left-out",
            "Only classes with a higher score than the label pull.",
            above - label * above.sum(axis=1, keepdims=True),
        ),
        ("label-branch", "The label's own score gets no gradient.", hit),
        (
            "label-branch",
            "The label's score is pulled once a row, not once for every violated margin.",
            hit - label * once,
        ),
        ("label-counted", "The label's score is pulled once too often.", hit - label * (count + 1)),
        (
            "wrong",
            "This is the gradient of each row's largest violation; their sum was asked for.",
            (largest - label) * once,
        ),
        (
            "wrong",
            "This is the gradient of the squared margin loss.",
            2 * (pulls - label * pulls.sum(axis=1, keepdims=True)),
        ),
    ]


def graded(task: str, *evaluations: Callable) -> Outcome:
    """Analytic against numerical; the first evaluation that fails speaks."""
    X, y, W, b = problem()
    out = Outcome(task)
    for evaluate in evaluations:
        evaluate(W.copy(), b.copy(), X.copy(), y.copy())  # a wrong shape is told in its own words
        check = check_gradient(evaluate, X, y, tol=TOL, entries=40, verbose=False)
        out.picture = scatter(
            "Derivatives: yours against central differences",
            [entry.numerical for entry in check.entries],
            [entry.analytic for entry in check.entries],
            "numerical",
            "yours",
        )
        told = dict(zip(check.traps, check.messages, strict=False))
        known = {FROM_TESTING[name]: text for name, text in told.items() if name in FROM_TESTING}
        out.mistakes = [mistake(code, text) for code, text in known.items()]
        out.mistakes += [] if check.ok or known else combined(evaluate, X, y, W, b)
        if out.mistakes:
            break
    return out


def combined(evaluate: Callable, X: np.ndarray, y: np.ndarray, W: np.ndarray, b: np.ndarray) -> list[Mistake]:
    """No single pattern fits: n times the gradient and one more term, or simply wrong."""
    value, _, db = evaluate(W, b, X, y)
    n, k, h = len(y), len(b), 1e-6

    def slopes(b: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([(evaluate(W, b + e, X, y)[0] - evaluate(W, b - e, X, y)[0]) / (2 * h) for e in h * np.eye(k)])

    numerical = slopes(b, y)
    if same(db, n * numerical, TOL):
        return [mistake("missing-mean", f"dF/db is {n} × what it should be, and n = {n}.")]
    if same(db, -numerical, TOL):
        return [mistake("sign", "dF/db points the opposite way.")]
    if not same(numerical, db, TOL) and same(db - numerical, ALPHA * b, TOL):
        return [mistake("penalised-intercept", f"dF/db is off by {ALPHA:g} × b.")]
    for one, name in ((-1, "y − 1"), (1, "y + 1")):
        if same(db, slopes(b, (y + one) % k), TOL):
            return [mistake("labels-shifted", f"dF/db is right for the labels {name}.")]
    if same(db, slopes(0 * b, y), TOL):
        return [mistake("bias-left-out", "dF/db is right for b = 0: the scores are X W + b.")]
    return [
        mistake("wrong", f"At value {value:.4g} dF/db is {listed(db)}; by central differences {listed(numerical)}.")
    ]
