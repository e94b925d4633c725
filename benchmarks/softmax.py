"""Softmax + L2 to the same relative gap: linearhead beside scikit-learn's lbfgs, float32, same cores, in one run.

    python benchmarks/softmax.py ../shared/data/fashion-mnist [--repeats 3] [--gap 1e-4] [--rows N]

Every solution is judged by one float64 function, F(W, b) = mean cross-entropy + α/2 ‖W‖², against the lowest F that a
long float64 fit reaches. Both sides stop at their first iterate whose own value is at the gap; scikit-learn's is
watched through the callback of the optimiser that it calls. Each run is a process of its own, in turn; medians of wall
and processor seconds, peak memory and both traces of value against seconds go to softmax.json beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import reference
from measure import alone, interleaved, summary, versions

GAPS = (1e-2, 1e-3, 1e-4, 1e-5)
objective = partial(reference.objective, "cross_entropy")


def ours(X, y, alpha: float, target: float) -> dict:
    """A fit that stops at the first iterate whose value is at the target."""
    from linearhead import SoftmaxClassifier

    model = SoftmaxClassifier(alpha=alpha, tol=0.0, callback=lambda row: row["value"] <= target).fit(X, y)
    trace = list(zip(model.trace_.seconds, model.trace_.value, strict=True))
    return {"coef": model.coef_, "intercept": model.intercept_, "iterations": model.n_iter_, "trace": trace}


def peer(X, y, alpha: float, target: float = 0.0, limit: int = 5000) -> dict:
    """The same of scikit-learn's lbfgs; target 0: `limit` iterations."""
    from sklearn.linear_model import LogisticRegression, _logistic

    trace, start, minimize = [], time.perf_counter(), _logistic.optimize.minimize

    def watched(*args, callback=None, **options):
        def watch(intermediate_result):
            trace.append((time.perf_counter() - start, float(intermediate_result.fun)))
            if trace[-1][1] <= target:
                raise StopIteration

        return minimize(*args, callback=watch, **options)

    _logistic.optimize.minimize = watched  # in this process alone
    model = LogisticRegression(C=1 / (alpha * len(X)), tol=1e-10, max_iter=limit).fit(X, y)
    return {"coef": model.coef_, "intercept": model.intercept_, "iterations": len(trace), "trace": trace}


def compare(X, y, alpha: float, gap: float, repeats: int) -> dict:
    from linearhead import SoftmaxClassifier

    def exact():
        model = SoftmaxClassifier(alpha=alpha, tol=1e-7, max_iter=3000).fit(X, y)
        trace = list(zip(model.trace_.passes, model.trace_.value, strict=True))
        return objective(model.coef_, model.intercept_, X, y, alpha), model.certificate_.gap, trace

    best, certified, exactly = alone(exact).found
    passes = {f"{g:.0e}": next(p for p, value in exactly if value <= best * (1 + g)) for g in GAPS}
    target = best * (1 + gap)
    works = {"linearhead": lambda: ours(X, y, alpha, target), "scikit-learn": lambda: peer(X, y, alpha, target)}
    runs = interleaved(works, repeats)
    reached = {
        name: max(objective(r.found["coef"], r.found["intercept"], X, y, alpha) for r in all_) / best - 1
        for name, all_ in runs.items()
    }
    return {
        "alpha": alpha,
        "gap": gap,
        "optimum": best,
        "certified_gap_of_the_optimum": certified,
        "passes_to_gaps": passes,
        **summary(runs),
        "reached": reached,
        "iterations": {name: all_[-1].found["iterations"] for name, all_ in runs.items()},
        "trace": {
            name: [[round(s, 4), v / best - 1] for s, v in all_[-1].found["trace"]] for name, all_ in runs.items()
        },
    }


def load(folder: str, rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Training pixels / 255, float32, and labels."""
    from linearhead.data import open_dataset

    dataset = open_dataset(folder)
    chosen = [i for i in range(len(dataset)) if dataset.splits[i] != "test"][:rows]
    X = np.stack([np.asarray(dataset.read(i)).ravel() for i in chosen]).astype(np.float32) / 255
    return X, np.asarray(dataset.labels)[chosen]


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("data")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--gap", type=float, default=1e-4)
    options.add_argument("--rows", type=int, default=None)
    given = options.parse_args()
    for module in ("linearhead.estimators", "sklearn.linear_model", "sklearn.svm", "scipy.linalg"):
        importlib.import_module(module)  # before any clock runs
    X, y = load(given.data, given.rows)
    results = []
    for a in (1, 100):
        r = {"alpha_n": a} | compare(X, y, a / len(X), given.gap, given.repeats)
        results.append(r)
        print(a, r["medians"], r["times_as_long"], r["reached"], r["iterations"], flush=True)
    record = {"data": Path(given.data).name, "rows": len(X), "columns": X.shape[1], "results": results}
    record["versions"] = versions()
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
