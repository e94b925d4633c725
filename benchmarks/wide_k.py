"""Many classes, ill-conditioned columns: linearhead beside scikit-learn's lbfgs at the objective where the peer stops.

    python benchmarks/wide_k.py [--classes 100,1000] [--rows 50000] [--columns 768] [--iterations 100]

Rows: Gaussian with a spectrum that falls as 1/i in the square root (condition of the second moment ≥ 1e5), rotated;
labels drawn from a linear model. The peer runs a fixed number of iterations; linearhead is stopped at the first
iterate whose F is no larger than the peer's, as one float64 function judges it. Results go to wide_k.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from pathlib import Path

import numpy as np
from measure import alone, summary, versions
from softmax import objective, ours, peer


def rows(n: int, d: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, float]:
    """X (n, d) float32, y (n,), and the condition of the second moment."""
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, d + 1) ** -1.0
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0].astype(np.float32)
    X = rng.standard_normal((n, d), dtype=np.float32)
    teacher = rng.standard_normal((d, k), dtype=np.float32) * (3 * spectrum[:, None] ** 0.5).astype(np.float32)
    y = np.empty(n, int)
    for i in range(0, n, 4096):
        part = X[i : i + 4096]
        y[i : i + 4096] = np.argmax(part @ teacher + rng.gumbel(size=(len(part), k)), axis=1)
        X[i : i + 4096] = (part * spectrum.astype(np.float32)) @ rotation
    return X, np.unique(y, return_inverse=True)[1], float((spectrum[0] / spectrum[-1]) ** 2)


def compare(n: int, d: int, k: int, limit: int) -> dict:
    X, y, condition = rows(n, d, k)
    alpha = 1 / n

    def judge(run) -> float:
        return objective(run.found["coef"], run.found["intercept"], X, y, alpha)

    runs = {"scikit-learn": [alone(lambda: peer(X, y, alpha, limit=limit))]}
    target = judge(runs["scikit-learn"][0])
    runs["linearhead"] = [alone(lambda: ours(X, y, alpha, target))]
    return {
        "rows": n,
        "columns": d,
        "classes": int(y.max()) + 1,
        "condition": condition,
        "alpha": alpha,
        **summary(runs),
        "F": {name: judge(found[0]) for name, found in runs.items()},
        "iterations": {name: found[0].found["iterations"] for name, found in runs.items()},
    }


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("--classes", default="100,1000")
    options.add_argument("--rows", type=int, default=50_000)
    options.add_argument("--columns", type=int, default=768)
    options.add_argument("--iterations", type=int, default=100)  # scikit-learn's own limit
    given = options.parse_args()
    for module in ("linearhead.estimators", "sklearn.linear_model", "scipy.linalg"):
        importlib.import_module(module)  # before any clock runs
    results = []
    for k in map(int, given.classes.split(",")):
        results.append(compare(given.rows, given.columns, k, given.iterations))
        print(json.dumps(results[-1]), flush=True)
    record = {"results": results, "versions": versions()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
