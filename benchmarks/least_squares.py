"""Least squares, 45 α with exact leave-one-out: linearhead beside the cost of XᵀX and RidgeClassifierCV, in one run.

    python benchmarks/least_squares.py ../shared/data/fashion-mnist [--rows 20000] [--repeats 3]

Pixels / 255 in float64. `gram` is X.T @ X by NumPy alone (a symmetric product, half the arithmetic of a general one).
Each run is a process of its own, in turn (RidgeClassifierCV: one run); medians of wall and processor seconds and the
peak of memory go to least_squares.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from pathlib import Path

import numpy as np
from measure import alone, interleaved, summary, versions

ALPHAS = np.logspace(1, -8, 45)


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("data")
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    from sklearn.linear_model import RidgeClassifierCV

    from linearhead import regularization_path
    from linearhead.data import open_dataset

    dataset = open_dataset(given.data)
    chosen = [i for i in range(len(dataset)) if dataset.splits[i] != "test"][: given.rows]
    X = np.stack([np.asarray(dataset.read(i)).ravel() for i in chosen]) / 255.0
    y = np.asarray(dataset.labels)[chosen]
    for module in ("linearhead.estimators", "sklearn.linear_model", "scipy.linalg"):
        importlib.import_module(module)  # before any clock runs
    setting = {"loss": "squared", "alphas": ALPHAS, "cv": "loo", "certificates": False}
    works = {
        "gram": lambda: float((X.T @ X)[0, 0]),
        "linearhead": lambda: regularization_path(X, y, **setting).alpha_,
    }
    runs = interleaved(works, given.repeats)
    runs["RidgeClassifierCV"] = [alone(lambda: RidgeClassifierCV(alphas=ALPHAS * len(y)).fit(X, y).alpha_ / len(y))]
    record = {
        "data": Path(given.data).name,
        "shape": list(X.shape),
        "alphas": len(ALPHAS),
        **summary(runs, "linearhead"),
        "linearhead_over_gram": {
            field: summary(runs, "gram")["times_as_long"]["linearhead"][field] for field in ("seconds", "cpu_seconds")
        },
        "alpha": {name: float(runs[name][-1].found) for name in ("linearhead", "RidgeClassifierCV")},
        "versions": versions(),
    }
    print(json.dumps(record, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
