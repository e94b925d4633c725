"""Small linear probes as people run them, at equal objective: linearhead beside scikit-learn, in one run.

    python benchmarks/small.py [--repeats 3] [--limit 5] [--only cross_entropy]

Float32 rows of Gaussian clusters along a spectrum of condition 1e4, overlapping (columns of unit variance) and
separable (rows of length 1), scikit-learn's digits, and C = 1/(αn) of 0.01, 1 and 100. Each peer stops where its own
tolerance says, or does not within `limit` seconds; its F there is judged by one float64 function (`reference.py`).
linearhead is timed to the first iterate whose F is no larger, certificate included, and with its defaults to its
certified stop. Softmax + L2 faces lbfgs at its default tolerance (1e-4) and at 1e-6, and newton-cholesky where its
Hessians take no more than FEASIBLE multiplications; least squares RidgeClassifier, binary hinges LinearSVC (without
intercept, which liblinear would penalise). Each run is a process of its own, in turn, those beyond LONG seconds once;
medians go to small.json beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import Run, alone, interleaved, summary, versions
from reference import objective

SHAPES = ((1_000, 512, 10), (2_000, 2_048, 20), (5_000, 768, 100), (10_000, 384, 10), (20_000, 1_024, 50))
RIDGE = (SHAPES[0], SHAPES[1], SHAPES[3])
BINARY = ((2_000, 512, 2), (10_000, 384, 2))
KINDS = {"overlapping": 0.1, "separable": 0.5}  # standard deviation of the clusters' centres; within a cluster it is 1
STRENGTHS = (0.01, 1.0, 100.0)  # C
FEASIBLE = 1e10  # multiplications of a Hessian, n ((d + 1) k)²
LONG = 0.5  # seconds of a run, beyond which it is run once
CONDITION = 1e4
LARGE = 5e8  # numbers × classes, beyond which C is 1 alone


@dataclass(frozen=True)
class Case:
    rows: str
    X: np.ndarray  # (n, d)
    y: np.ndarray  # (n,) in 0 … k − 1
    loss: str
    C: float

    @property
    def k(self) -> int:
        return int(self.y.max()) + 1

    @property
    def alpha(self) -> float:
        return 1 / (self.C * len(self.X))

    def value(self, found: dict) -> float:
        return objective(self.loss, found["coef"], found["intercept"], self.X, self.y, self.alpha)


def clusters(n: int, d: int, k: int, kind: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X (n, d) float32 of a kind in KINDS, y (n,) with equal shares of the classes."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % k)
    root = np.geomspace(1, CONDITION**-0.5, d)
    X = (rng.standard_normal((n, d)) + KINDS[kind] * rng.standard_normal((k, d))[y]) * root
    X = X @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (standardised if kind == "overlapping" else of_length_1)(X).astype(np.float32), y


def standardised(X: np.ndarray) -> np.ndarray:
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def of_length_1(X: np.ndarray) -> np.ndarray:
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def digits() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    yield "digits, standardised", standardised(X), y
    yield "digits, of length 1", of_length_1(X), y


def cases() -> Iterator[Case]:
    shapes = {"cross_entropy": SHAPES, "squared": RIDGE, "squared_hinge": BINARY, "hinge": BINARY}
    for loss, those in shapes.items():
        for shape in those:
            for kind in KINDS:
                X, y = clusters(*shape, kind)
                strengths = STRENGTHS if np.prod(shape) <= LARGE else (1.0,)
                yield from (Case(kind, X, y, loss, C) for C in strengths)
        for rows, X, y in digits() if loss in ("cross_entropy", "squared") else ():
            yield from (Case(rows, X, y, loss, C) for C in STRENGTHS)


# ── the two sides ─────────────────────────────────────────────────────────────────────────────────
def lbfgs(case: Case, tol: float) -> dict:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=case.C, tol=tol, max_iter=100_000).fit(case.X, case.y)
    return {"coef": model.coef_, "intercept": model.intercept_, "iterations": int(np.max(model.n_iter_))}


def newton_cholesky(case: Case) -> dict:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=case.C, solver="newton-cholesky").fit(case.X, case.y)
    return {"coef": model.coef_, "intercept": model.intercept_, "iterations": int(np.max(model.n_iter_))}


def ridge(case: Case) -> dict:
    """Its targets are ±1, ours 0 and 1: scores s = (s' + 1)/2."""
    from sklearn.linear_model import RidgeClassifier

    model = RidgeClassifier(alpha=1 / case.C).fit(case.X, case.y)
    return {"coef": model.coef_ / 2, "intercept": (model.intercept_ + 1) / 2}


def linear_svc(case: Case) -> dict:
    """One row w for two classes: rows ∓w/2 have the same margins and half of its ‖w‖², hence C = 2/(αn)."""
    from sklearn.svm import LinearSVC

    model = LinearSVC(loss=case.loss, C=2 * case.C, fit_intercept=False, max_iter=1_000_000, random_state=0)
    w = model.fit(case.X, case.y).coef_ / 2
    return {"coef": np.vstack([-w, w]), "intercept": np.zeros(2), "iterations": int(np.max(model.n_iter_))}


def peers(case: Case) -> dict[str, Callable[[], dict]]:
    if case.loss == "squared":
        return {"RidgeClassifier": lambda: ridge(case)}
    if case.loss != "cross_entropy":
        return {"LinearSVC": lambda: linear_svc(case)}
    found = {"lbfgs": lambda: lbfgs(case, 1e-4), "lbfgs, tol 1e-6": lambda: lbfgs(case, 1e-6)}
    (n, d), k = case.X.shape, case.k
    return found | ({"newton-cholesky": lambda: newton_cholesky(case)} if n * ((d + 1) * k) ** 2 <= FEASIBLE else {})


def ours(case: Case, target: float = 0.0) -> dict:
    """A fit to the target, or with defaults where that is 0, as no F is."""
    from linearhead import LinearClassifier

    intercept = case.loss in ("cross_entropy", "squared")
    reached = (lambda row: row["value"] <= target) if target else None
    tol = 1e-7 if target else None  # that of smooth losses; a hinge's, 1e-4 of F, may not be enough to reach a peer
    model = LinearClassifier(case.loss, alpha=case.alpha, fit_intercept=intercept, tol=tol, callback=reached)
    model.fit(case.X, case.y)
    return {
        "coef": model.coef_,
        "intercept": model.intercept_,
        "passes": float(model.trace_.passes[-1]),
        "certified": bool(model.converged_),
        "gap": model.certificate_.gap,
    }


# ── side by side ──────────────────────────────────────────────────────────────────────────────────
def compare(case: Case, name: str, peer: Callable[[], dict], repeats: int, limit: int) -> dict:
    """One peer and its F, and ours to it."""
    try:
        first = alone(peer, limit)
    except TimeoutError:
        return {"ended": False, "seconds": limit}
    target = case.value(first.found)
    works: dict[str, Callable[[], Any]] = {"linearhead": lambda: ours(case, target)}
    again = first.seconds < LONG and repeats > 1
    runs = interleaved(works | ({name: peer} if again else {}), repeats - 1 if again else 1)
    runs.setdefault(name, []).append(first)
    mine = runs["linearhead"][-1].found
    found = summary(runs)
    return {
        "ended": True,
        "F": target,
        "medians": found["medians"],
        "times_as_long": found["times_as_long"][name],
        "reached": case.value(mine) / target - 1,
        "iterations": first.found.get("iterations"),
        "passes": mine["passes"],
    }


def defaults(case: Case, repeats: int) -> dict:
    def run() -> dict:
        return ours(case)

    runs: list[Run] = [alone(run)]
    if runs[0].seconds < LONG:
        runs += [alone(run) for _ in range(repeats - 1)]
    found = {key: value for key, value in runs[0].found.items() if key not in ("coef", "intercept")}
    return {"F": case.value(runs[0].found), **found, **summary({"linearhead": runs})["medians"]["linearhead"]}


def measured(case: Case, repeats: int, limit: int) -> dict:
    n, d = case.X.shape
    return {
        "loss": case.loss,
        "data": case.rows,
        "shape": [n, d, case.k],
        "type": str(case.X.dtype),
        "C": case.C,
        "peers": {name: compare(case, name, peer, repeats, limit) for name, peer in peers(case).items()},
        "defaults": defaults(case, repeats),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--limit", type=int, default=5)
    options.add_argument("--only", help="one loss, whose results are printed and not written")
    given = options.parse_args()
    for module in ("linearhead.estimators", "sklearn.linear_model", "sklearn.svm", "scipy.linalg"):
        importlib.import_module(module)  # before any clock runs
    results = []
    for case in cases():
        if given.only and case.loss != given.only:
            continue
        results.append(measured(case, given.repeats, given.limit))
        print(json.dumps(results[-1]), flush=True)
    if not given.only:
        record = {"limit": given.limit, "results": results, "versions": versions()}
        Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
