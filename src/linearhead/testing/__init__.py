"""Checks for users' own losses and gradients: analytic against numerical, and which classical mistake it looks like.

The relative difference is the lecture's, |g1 − g2| / |g1 + g2|. `problem.py` is what is checked, `numerical.py` the
comparison, `mistakes.py` what a wrong gradient looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .mistakes import SAYINGS, batches, patterns
from .numerical import Comparison, compare
from .problem import checked_rows, problems

__all__ = ["SAYINGS", "Entry", "GradientCheck", "check_gradient"]


@dataclass(frozen=True)
class Entry:
    """One derivative: its name, e.g. "W[3, 1]", both answers and |g1 − g2| / |g1 + g2|."""

    name: str
    analytic: float
    numerical: float
    difference: float

    def __str__(self) -> str:
        return f"{self.name:<12} {self.analytic:+.9e}  {self.numerical:+.9e}  {self.difference:.1e}"


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found; true where `ok`. Differences are the largest over the entries checked."""

    ok: bool
    weights: float
    intercept: float
    worst: Entry
    tol: float
    traps: tuple[str, ...]
    messages: tuple[str, ...]
    entries: tuple[Entry, ...] = field(repr=False)

    def __bool__(self) -> bool:
        return self.ok


def check_gradient(
    subject: Any,
    X: Any,
    y: Any,
    *,
    epsilon: float | None = None,
    tol: float | None = None,
    entries: int = 200,
    mean: bool = True,
    seed: int = 0,
    verbose: bool = True,
) -> GradientCheck:
    """Compare analytic and numerical gradients of F(W, b) at random W and b, and say what a mistake looks like.

    subject : a loss (instance, class or name from `LOSSES`: its mean over the rows is checked), an estimator of this
        package (its F, with its penalty and standardisation), or your own code, a function
        f(W, b, X, y) -> (value, dW, db) with W of shape (d, k) or (k, d), b (k,), labels y in 0..k−1.
    X, y : (n, d) numbers and (n,) labels; 10 to 1 000 rows are plenty.
    epsilon, tol : the step in units of scores and the largest relative difference that passes; by default 1e-5
        and 1e-6, or 1e-2 and 2e-2 where the gradient is float32.
    entries : how many entries of W to try, chosen at random (all if fewer); of b always all, up to as many.
    mean : F should be a mean over rows, as in the lecture; False accepts a sum.
    verbose : print the comparison.

    The answer is true where the gradient is right. Where it is not, `traps` holds the names of the mistakes that it
    looks like (those of `SAYINGS`, such as "bias left out"), `messages` a sentence for each, `entries` all the numbers.

    Raises UsageError for a subject that cannot be called, DataError for X and y that do not fit together.

    >>> import numpy as np
    >>> def mean_square(W, b, X, y):  # its gradient lacks the 1/n
    ...     r = X @ W + b - np.eye(3)[y]
    ...     return (r**2).sum() / len(y), 2 * X.T @ r, 2 * r.sum(axis=0)
    >>> rng = np.random.default_rng(0)
    >>> check = check_gradient(mean_square, rng.normal(size=(30, 4)), rng.integers(0, 3, 30), verbose=False)
    >>> check.ok, check.traps
    (False, ('missing 1/n',))
    """
    X, codes, k = checked_rows(X, y)
    rng = np.random.default_rng(seed)
    checks = []
    for problem in problems(subject, X, codes, k):
        with np.errstate(all="ignore"):
            W, b = problem.start(rng)
            found = compare(problem, W, b, epsilon, tol, entries, rng)
            traps = patterns(problem, W, b, found)
            for name, sentence in batches(problem, W, b, mean).items():
                traps.setdefault(name, sentence)
        checks.append(_conclude(found, traps))
    check = min(checks, key=lambda c: (not c.ok, not c.traps, c.weights))  # d = k: W may be either way round
    if verbose:
        _show(check, subject, X.shape, k)
    return check


def _conclude(found: Comparison, traps: dict[str, str]) -> GradientCheck:
    names = [f"b[{j}]" if i == found.d else f"W[{i}, {j}]" for i, j in found.where]
    numbers = zip(names, found.analytic, found.numerical, found.difference, strict=True)
    entries = tuple(Entry(name, float(a), float(m), float(r)) for name, a, m, r in numbers)
    weights, intercept = (float(found.difference[rows].max(initial=0.0)) for rows in (~found.of_bias, found.of_bias))
    worst = max(entries, key=lambda entry: entry.difference)
    messages = list(traps.values())
    if found.failed and not traps:
        messages.append(f"Analytic and numerical disagree, most in {worst.name}; no classical mistake fits.")
    ok = not found.failed and not traps
    return GradientCheck(ok, weights, intercept, worst, found.tol, tuple(traps), tuple(messages), entries)


def _show(check: GradientCheck, subject: Any, shape: tuple[int, ...], k: int) -> None:
    """Print the worst entries of W and b as the lecture does, then the sentences."""
    name = subject if isinstance(subject, str) else getattr(subject, "name", getattr(subject, "__name__", None))
    print(f"{name or type(subject).__name__}: {shape[0]} rows, {shape[1]} features, {k} classes")
    print(f"{'':<12} {'analytic':<16}  {'numerical':<16}  |g1 − g2| / |g1 + g2|")
    for part, largest in (("W", check.weights), ("b", check.intercept)):
        mine = sorted((e for e in check.entries if e.name[0] == part), key=lambda e: -e.difference)
        for entry in mine[:5]:
            print(entry)
        if mine:
            verdict = "agree" if largest <= check.tol else "disagree"
            print(
                f"{part}: largest relative difference of {len(mine)} is {largest:.1e}, limit {check.tol:g}: {verdict}"
            )
    for message in check.messages:
        print(message)
