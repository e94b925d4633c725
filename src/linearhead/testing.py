"""Checks for users' own losses and gradients: analytic against numerical, and which classical mistake it looks like.

Numerical: (F(θ + h e) − F(θ − h e)) / 2h for single entries of W and b; the relative difference is the lecture's,
|g1 − g2| / |g1 + g2|. h moves scores by about `epsilon`: 1e-5, near the optimum (3 · machine epsilon)^(1/3) between
truncation and round-off. An entry that disagrees is tried again with a 100 times smaller h: a kink may lie between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import DataError, UsageError
from .losses import LOSSES, Loss

Evaluate = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray, np.ndarray]]

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
    X, codes, k = _rows(X, y)
    rng = np.random.default_rng(seed)
    checks = []
    for problem in _problems(subject, X, codes, k):
        with np.errstate(all="ignore"):
            W, b = problem.start(rng)
            found = _compare(problem, W, b, epsilon, tol, entries, rng)
            traps = _patterns(problem, W, b, found)
            for name, sentence in _batches(problem, W, b, mean).items():
                traps.setdefault(name, sentence)
        checks.append(_conclude(found, traps))
    check = min(checks, key=lambda c: (not c.ok, not c.traps, c.weights))  # d = k: W may be either way round
    if verbose:
        _show(check, subject, X.shape, k)
    return check


def _rows(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, int]:
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or y.shape != X.shape[:1] or len(y) == 0:
        raise DataError(f"X has shape {X.shape}, y {y.shape}; needed are (n, d) and (n,) with n ≥ 1, one label a row.")
    names, codes = np.unique(y, return_inverse=True)
    if y.dtype.kind in "iu" and y.min() >= 0:
        codes, k = y.astype(np.intp), int(y.max()) + 1
    else:
        k = len(names)
    return X.astype(np.float64), codes, max(k, 2)


# ── what is checked ───────────────────────────────────────────────────────────────────────────────
@dataclass
class _Problem:
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


def _problems(subject: Any, X: np.ndarray, y: np.ndarray, k: int) -> list[_Problem]:
    """The subject as F(W, b); two problems where W may be (d, k) as well as (k, d)."""
    if isinstance(subject, str):
        if subject not in LOSSES:
            raise UsageError(f"No loss is called {subject!r}. The losses are: {', '.join(LOSSES)}.")
        subject = LOSSES[subject]
    if isinstance(subject, type) and issubclass(subject, Loss):
        subject = subject()
    if isinstance(subject, Loss):
        again = _of_loss(subject)
        return [_Problem(X, y, k, again(X, y), again)]
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


def _of_estimator(estimator: Any, X: np.ndarray, y: np.ndarray) -> _Problem:
    from sklearn.base import clone

    copy: Any = clone(estimator)
    objective = copy._objective(X, y).precise()

    def evaluate(W: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        point = objective.at(np.vstack([W, b[None]]))
        return point.value, point.gradient[:-1], point.gradient[-1]

    codes = np.searchsorted(np.unique(y), y)
    return _Problem(X, codes, objective.k, evaluate, intercept=objective.design.intercept)


def _of_function(fn: Callable, X: np.ndarray, y: np.ndarray, k: int) -> list[_Problem]:
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
            problems.append(_Problem(X, y, k, again(X, y), again))
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


# ── analytic against numerical ────────────────────────────────────────────────────────────────────
@dataclass
class _Comparison:
    """Both gradients at the entries tried: positions (m, 2) in [W; b], the last row b."""

    where: np.ndarray
    analytic: np.ndarray
    numerical: np.ndarray
    difference: np.ndarray
    d: int
    tol: float

    @property
    def failed(self) -> bool:
        return bool((self.difference > self.tol).any())

    @property
    def of_bias(self) -> np.ndarray:
        return self.where[:, 0] == self.d


def _compare(problem, W, b, epsilon, tol, entries, rng) -> _Comparison:
    """Both gradients at (W, b), the numerical one entry by entry."""
    value, dW, db = problem.evaluate(W, b)
    narrow = np.asarray(dW).dtype in (np.float32, np.float16)
    epsilon = epsilon or (1e-2 if narrow else 1e-5)
    noise = 8 * float(np.finfo(np.float32 if narrow else np.float64).eps) * max(abs(float(value)), 1.0)
    (d, k), theta = W.shape, np.vstack([W, b[None]])
    flat = rng.permutation(d * k)[:entries]
    where = np.stack([flat // k, flat % k], axis=1)
    if problem.intercept:
        where = np.concatenate([where, [(d, j) for j in range(min(k, entries))]])
    scales = np.append(problem.scales(), 1.0)
    analytic = np.vstack([dW, db[None]])[where[:, 0], where[:, 1]].astype(np.float64)
    tol = tol or (2e-2 if narrow else 1e-6)
    found = _Comparison(where, analytic, np.empty(len(where)), np.empty(len(where)), d, tol)
    for i, at in enumerate(map(tuple, where)):
        for shrink in (1.0,) if narrow else (1.0, 0.01):
            h = shrink * epsilon / float(scales[at[0]])
            numerical = (_moved(problem, theta, at, h) - _moved(problem, theta, at, -h)) / (2 * h)
            difference = _relative(analytic[i], numerical, noise / (h * tol))  # round-off passes
            if shrink == 1 or difference <= tol:
                found.numerical[i], found.difference[i] = numerical, difference
            if difference <= tol:
                break
    return found


def _moved(problem: _Problem, theta: np.ndarray, at: tuple, step: float) -> float:
    theta = theta.copy()
    theta[at] += step
    return float(problem.evaluate(theta[:-1], theta[-1])[0])


def _relative(g1: float, g2: float, least: float) -> float:
    """|g1 − g2| / |g1 + g2|, the denominator at least `least`; inf where one is no number."""
    return abs(g1 - g2) / max(abs(g1 + g2), least) if math.isfinite(g1) and math.isfinite(g2) else math.inf


# ── which mistake it looks like ───────────────────────────────────────────────────────────────────
def _multiple(a: np.ndarray, m: np.ndarray, strict: float) -> float | None:
    """r with a ≈ r m to the precision `strict`, if there is one."""
    if not (np.isfinite(a).all() and np.isfinite(m).all() and np.any(m) and np.any(a)):
        return None
    r = float(a @ m) / float(m @ m)
    return r if np.linalg.norm(a - r * m) <= strict * np.linalg.norm(a) else None


def _patterns(problem: _Problem, W: np.ndarray, b: np.ndarray, found: _Comparison) -> dict[str, str]:
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


def _batches(problem: _Problem, W: np.ndarray, b: np.ndarray, mean: bool) -> dict[str, str]:
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


# ── the answer ────────────────────────────────────────────────────────────────────────────────────
def _conclude(found: _Comparison, traps: dict[str, str]) -> GradientCheck:
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
