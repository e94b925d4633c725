"""Grading gradients: analytic against central differences by `testing.check_gradient`, whose patterns name mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..testing import check_gradient
from . import reference
from .grading import ALPHA, Outcome, listed, pair, problem, same, scatter
from .mistakes import Mistake, mistake

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
            return value, *pair(code.gradients(W, b, X, y, alpha), (W.shape, b.shape), "gradients(…)")

        return evaluate

    return graded("gradients", of(0.0), of(ALPHA))


def margin_gradients(code: Any) -> Outcome:
    def evaluate(W, b, X, y):
        value = reference.margin_loss(X @ W + b, y, 1.0)
        return value, *pair(code.margin_gradients(W, b, X, y, 1.0), (W.shape, b.shape), "margin_gradients(…)")

    return graded("margin_gradients", evaluate)


def graded(task: str, *evaluations: Callable) -> Outcome:
    """Analytic against numerical; the first evaluation that fails speaks."""
    X, y, W, b = problem()
    out = Outcome(task)
    for evaluate in evaluations:
        evaluate(W.copy(), b.copy(), X.copy(), y.copy())  # a wrong shape is told in its own words
        check = check_gradient(evaluate, X, y, entries=40, verbose=False)
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
    n, h = len(y), 1e-6
    numerical = np.array(
        [(evaluate(W, b + h * e, X, y)[0] - evaluate(W, b - h * e, X, y)[0]) / (2 * h) for e in np.eye(len(b))]
    )
    if same(db, n * numerical, 1e-4):
        return [mistake("missing-mean", f"dF/db is {n} × what it should be, and n = {n}.")]
    if same(db, -numerical, 1e-4):
        return [mistake("sign", "dF/db points the opposite way.")]
    if not same(numerical, db, 1e-4) and same(db - numerical, ALPHA * b, 1e-4):
        return [mistake("penalised-intercept", f"dF/db is off by {ALPHA:g} × b.")]
    return [
        mistake("wrong", f"At value {value:.4g} dF/db is {listed(db)}; by central differences {listed(numerical)}.")
    ]
