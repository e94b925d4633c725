"""What `check_gradient` checks, as F(W, b): a loss, an estimator's objective, or a user's own function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from ..losses import LOSSES, Loss

Evaluate = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray, np.ndarray]]


def checked_rows(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, int]:
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or y.shape != X.shape[:1] or len(y) == 0:
        raise DataError(f"X has shape {X.shape}, y {y.shape}; needed are (n, d) and (n,) with n ≥ 1, one label a row.")
    names, codes = np.unique(y, return_inverse=True)
    if y.dtype.kind in "iu" and y.min() >= 0:
        codes, k = y.astype(np.intp), int(y.max()) + 1
    else:
        k = len(names)
    return X.astype(np.float64), codes, max(k, 2)


@dataclass
class Problem:
    """F(W, b) for W (d, k), b (k,), and where possible the same F `again` on other rows."""

    X: np.ndarray
    y: np.ndarray
    k: int
    evaluate: Evaluate
    again: Callable[[np.ndarray, np.ndarray], Evaluate] | None = None
    intercept: bool = True

    def scales(self) -> np.ndarray:
        """Root mean square of each column, (d,)."""
        rms = np.sqrt(np.mean(self.X**2, axis=0))
        return np.where(rms > 0, rms, 1.0)

    def start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """W and b that give scores of order 1."""
        d = self.X.shape[1]
        return rng.normal(size=(d, self.k)) / (self.scales()[:, None] * math.sqrt(d)), rng.normal(size=self.k)


def problems(subject: Any, X: np.ndarray, y: np.ndarray, k: int) -> list[Problem]:
    """The subject as F(W, b); two problems where W may be (d, k) as well as (k, d)."""
    if isinstance(subject, str):
        if subject not in LOSSES:
            raise UsageError(f"No loss is called {subject!r}. The losses are: {', '.join(LOSSES)}.")
        subject = LOSSES[subject]
    if isinstance(subject, type) and issubclass(subject, Loss):
        subject = subject()
    if isinstance(subject, Loss):
        again = _of_loss(subject)
        return [Problem(X, y, k, again(X, y), again)]
    if hasattr(subject, "_objective"):
        return [_of_estimator(subject, X, y)]
    if callable(subject):
        return _of_function(subject, X, y, k)
    raise UsageError(
        f"check_gradient got {type(subject).__name__}; needed is a loss, its name, an estimator of this package, or a "
        "function f(W, b, X, y) that returns (value, dW, db)."
    )


def _of_loss(loss: Loss) -> Callable[[np.ndarray, np.ndarray], Evaluate]:
    def again(X: np.ndarray, y: np.ndarray) -> Evaluate:
        def evaluate(W: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            value, g = loss.value_and_gradient(X @ W + b, y)
            return float(np.mean(value)), X.T @ g / len(y), np.mean(g, axis=0)

        return evaluate

    return again


def _of_estimator(estimator: Any, X: np.ndarray, y: np.ndarray) -> Problem:
    from sklearn.base import clone

    copy: Any = clone(estimator)
    objective = copy._objective(X, y).precise()

    def evaluate(W: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        point = objective.at(np.vstack([W, b[None]]))
        return point.value, point.gradient[:-1], point.gradient[-1]

    codes = np.searchsorted(np.unique(y), y)
    return Problem(X, codes, objective.k, evaluate, intercept=objective.design.intercept)


def _of_function(fn: Callable, X: np.ndarray, y: np.ndarray, k: int) -> list[Problem]:
    d, problems, complaints = X.shape[1], [], []
    for turned in (False, True):
        again = _turned(fn, turned)
        try:
            with np.errstate(all="ignore"):
                value, dW, db = again(X, y)(np.zeros((d, k)), np.zeros(k))
            if np.ndim(value) != 0 or dW.shape != (d, k) or db.shape != (k,):
                raise ValueError(f"it returned value {np.shape(value)}, dW {dW.shape}, db {db.shape}")
        except Exception as error:
            complaints.append(f"W {(k, d) if turned else (d, k)}: {error}")
        else:
            problems.append(Problem(X, y, k, again(X, y), again))
    if not problems:
        raise UsageError(
            "The function cannot be called as f(W, b, X, y) -> (value, dW, db) "
            f"with X {X.shape}, b ({k},), y {y.shape} and {'; '.join(complaints)}"
        )
    return problems


def _turned(fn: Callable, turned: bool) -> Callable[[np.ndarray, np.ndarray], Evaluate]:
    """fn on copies of its arguments, W transposed for it if `turned`; a missing db counts as 0."""

    def again(X: np.ndarray, y: np.ndarray) -> Evaluate:
        def evaluate(W: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            value, dW, *rest = fn(W.T.copy() if turned else W.copy(), b.copy(), X.copy(), y.copy())
            db = np.zeros(len(b)) if not rest or rest[0] is None else np.asarray(rest[0])
            dW = np.asarray(dW)
            return value, dW.T if turned else dW, db.reshape(-1)

        return evaluate

    return again
