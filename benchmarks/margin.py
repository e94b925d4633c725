"""Crammer–Singer's margin classifier to the F where LinearSVC stops: linearhead beside liblinear, in one run.

    python benchmarks/margin.py ../shared/data/fashion-mnist [--rows 10000] [--repeats 3]

F = mean max(0, 1 + max_{j≠y} s_j − s_y) + α/2 ‖W‖², no intercept (liblinear would penalise it), C = 1/(αn). LinearSVC
stops at its own tolerance, loose and default (C = 1 and tol = 1e-4 are its defaults); linearhead (float32 rows) is
stopped at the first iterate whose F is no larger, and both are judged by one float64 function. What is left of the gap
is stated against a bound that linearhead certifies. Each run is a process of its own, in turn; medians go to
margin.json beside this file. Where LinearSVC takes more than LONG seconds it runs once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from pathlib import Path

import numpy as np
from measure import alone, interleaved, summary, versions
from reference import objective
from softmax import load

CASES = ((0.01, 0.1), (0.01, 1e-4), (0.1, 0.1), (1.0, 1e-4))  # C, LinearSVC's tol; the last are its defaults
LONG = 120.0  # seconds of LinearSVC, beyond which it runs once


def ours(X, y, alpha: float, target: float) -> dict:
    from linearhead import MarginClassifier

    model = MarginClassifier(
        loss="crammer_singer",
        alpha=alpha,
        fit_intercept=False,
        tol=1e-7,
        callback=lambda row: row["value"] <= target,
    ).fit(X, y)
    return {"coef": model.coef_, "passes": model.trace_.passes[-1], "gap": model.certificate_.gap}


def peer(X, y, C: float, tol: float) -> dict:
    from sklearn.svm import LinearSVC

    model = LinearSVC(multi_class="crammer_singer", fit_intercept=False, C=C, tol=tol, random_state=0).fit(X, y)
    return {"coef": model.coef_, "passes": int(np.max(model.n_iter_))}


def compare(X, y, C: float, tol: float, repeats: int) -> dict:
    alpha = 1 / (C * len(X))
    first = alone(lambda: peer(X, y, C, tol))
    target = objective("crammer_singer", first.found["coef"], 0.0, X, y, alpha)
    works = {"linearhead": lambda: ours(X, y, alpha, target)}
    if repeats > 1 and first.seconds < LONG:
        works["LinearSVC"] = lambda: peer(X, y, C, tol)
    runs = interleaved(works, max(repeats - 1, 1))
    runs.setdefault("LinearSVC", []).append(first)
    F = {name: objective("crammer_singer", all_[-1].found["coef"], 0.0, X, y, alpha) for name, all_ in runs.items()}
    lower = max(F["linearhead"] - runs["linearhead"][-1].found["gap"], 0.0)
    return {
        "C": C,
        "tol_of_LinearSVC": tol,
        **summary(runs),
        "F": F,
        "relative_gap_of_LinearSVC_at_most": F["LinearSVC"] / lower - 1,
        "passes": {name: all_[-1].found["passes"] for name, all_ in runs.items()},
    }


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("data")
    options.add_argument("--rows", type=int, default=10_000)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    for module in ("linearhead.estimators", "sklearn.linear_model", "sklearn.svm", "scipy.linalg"):
        importlib.import_module(module)  # before any clock runs
    X, y = load(given.data, given.rows)
    results = []
    for C, tol in CASES:
        results.append(compare(X, y, C, tol, given.repeats))
        print(json.dumps(results[-1]), flush=True)
    record = {"data": Path(given.data).name, "rows": len(X), "columns": X.shape[1], "results": results}
    record["versions"] = versions()
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
