"""Softmax + L2 to the same relative gap: linearhead beside scikit-learn's solvers, float32, same cores, in one run.

    python benchmarks/softmax.py ../shared/data/fashion-mnist [--repeats 3] [--gap 1e-4] [--peers lbfgs,newton-cg]

Every solution is judged by one float64 function, F(W, b) = mean cross-entropy + α/2 ‖W‖², against the lowest F that a
long float64 fit reaches. A peer's iteration limit is the smallest with which it reaches the gap, to a fifth or so; all
limits tried are kept as its trace of gap against seconds. linearhead and scikit-learn's lbfgs are then run in turn;
medians of seconds and their ratio go to softmax.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np

FIRST = {"lbfgs": 100, "newton-cg": 4, "newton-cholesky": 4, "saga": 10}  # iteration limits to begin with
PATIENCE = 120.0  # seconds after which a peer is not given twice the iterations any more


def objective(W: np.ndarray, b: np.ndarray, X: np.ndarray, y: np.ndarray, alpha: float) -> float:
    """F in float64, independent of the package: W (k, d), b (k,)."""
    W, b, total = W.astype(np.float64), b.astype(np.float64), 0.0
    for start in range(0, len(X), 4096):
        s = X[start : start + 4096].astype(np.float64) @ W.T + b
        s -= s.max(axis=1, keepdims=True)
        rows = np.arange(len(s))
        total += float(np.sum(np.log(np.exp(s).sum(axis=1)) - s[rows, y[start : start + 4096]]))
    return total / len(X) + 0.5 * alpha * float(np.sum(W * W))


def ours(X, y, alpha: float, target: float):
    """Seconds of a fit that stops at the first iteration whose value is at the target, and its F."""
    from linearhead import SoftmaxClassifier

    classifier = SoftmaxClassifier(alpha=alpha, tol=0.0, callback=lambda row: row["value"] <= target)
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds = time.perf_counter() - start
    return seconds, objective(classifier.coef_, classifier.intercept_, X, y, alpha), classifier.n_iter_


def peer(X, y, alpha: float, limit: int, solver: str = "lbfgs"):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (alpha * len(X)), solver=solver, tol=1e-10, max_iter=limit)  # type: ignore[arg-type]
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start, objective(model.coef_, model.intercept_, X, y, alpha), int(model.n_iter_[0])


def smallest_limit(X, y, alpha: float, best: float, gap: float, solver: str) -> tuple[int, list]:
    """The limit at which the peer reaches the gap (or its last one), and [limit, seconds, gap] of all tried."""
    tried: list = []

    def reaches(limit: int) -> bool:
        seconds, value, _ = peer(X, y, alpha, limit, solver)
        tried.append([limit, seconds, value / best - 1])
        return tried[-1][2] <= gap

    high = FIRST[solver]
    while not reaches(high) and tried[-1][1] < PATIENCE:
        high *= 2
    low = high // 2
    while tried[-1][1] < PATIENCE and high - low > 0.2 * high and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high, sorted(tried)


def compare(X, y, alpha: float, gap: float, repeats: int, peers: list[str]) -> dict:
    from linearhead import SoftmaxClassifier

    exact = SoftmaxClassifier(alpha=alpha, tol=1e-7, max_iter=3000).fit(X, y)
    best = objective(exact.coef_, exact.intercept_, X, y, alpha)
    target = best * (1 + gap)
    found = {solver: smallest_limit(X, y, alpha, best, gap, solver) for solver in peers}
    runs = {"linearhead": [], **{solver: [] for solver in peers}}
    for repeat in range(repeats):
        runs["linearhead"].append(ours(X, y, alpha, target))
        for solver in peers:
            if solver == "lbfgs" or not repeat:
                runs[solver].append(peer(X, y, alpha, found[solver][0], solver))
    median = {name: statistics.median(r[0] for r in all_) for name, all_ in runs.items()}
    trace = exact.trace_
    return {
        "alpha": alpha,
        "gap": gap,
        "optimum": best,
        "certified_gap_of_the_optimum": exact.certificate_.gap,
        "seconds": median,
        "reached": {name: max(r[1] for r in all_) / best - 1 for name, all_ in runs.items()},
        "iterations": {name: all_[-1][2] for name, all_ in runs.items()},
        "ratio": {solver: median[solver] / median["linearhead"] for solver in peers},
        "trace": {
            "linearhead": [[s, v / best - 1] for s, v in zip(trace.seconds, trace.value, strict=True)],
            **{solver: [[s, g] for _, s, g in found[solver][1]] for solver in peers},
        },
    }


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("data")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--gap", type=float, default=1e-4)
    options.add_argument("--rows", type=int, default=None)
    options.add_argument("--peers", default="lbfgs")
    given = options.parse_args()
    from linearhead.data import open_dataset

    dataset = open_dataset(given.data)
    chosen = [i for i in range(len(dataset)) if dataset.splits[i] != "test"][: given.rows]
    X = np.stack([np.asarray(dataset.read(i)).ravel() for i in chosen]).astype(np.float32) / 255
    y = np.asarray(dataset.labels)[chosen]
    results = []
    for a in (1, 100):
        r = compare(X, y, a / len(X), given.gap, given.repeats, given.peers.split(","))
        results.append(r)
        for name, seconds in r["seconds"].items():
            ratio = f", {r['ratio'][name]:.1f} times linearhead" if name in r["ratio"] else ""
            print(f"alpha {a}/n, {name}: {seconds:.2f} s to a gap of {r['reached'][name]:.1e}{ratio}", flush=True)
    import sklearn

    record = {
        "data": Path(given.data).name,
        "rows": len(X),
        "columns": X.shape[1],
        "results": results,
        "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__, "python": platform.python_version()},
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
