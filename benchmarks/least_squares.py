"""Least squares, 45 α with exact leave-one-out: linearhead beside the cost of XᵀX and RidgeClassifierCV, in one run.

    python benchmarks/least_squares.py ../shared/data/fashion-mnist [--rows 20000] [--repeats 3]

Pixels / 255 in float64. `gram` is X.T @ X by NumPy alone (a symmetric product, half the arithmetic of a general one).
Medians of interleaved runs (RidgeClassifierCV: one run) go to least_squares.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np

ALPHAS = np.logspace(1, -8, 45)


def timed(work) -> tuple[float, object]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


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
    seconds: dict[str, list[float]] = {"gram": [], "linearhead": [], "RidgeClassifierCV": []}
    for _ in range(given.repeats):
        seconds["gram"].append(timed(lambda: X.T @ X)[0])
        options_ = {"loss": "squared", "alphas": ALPHAS, "cv": "loo", "certificates": False}
        took, path = timed(lambda o=options_: regularization_path(X, y, **o))
        seconds["linearhead"].append(took)
        if seconds["RidgeClassifierCV"]:
            continue  # slow: once
        took, ridge = timed(lambda: RidgeClassifierCV(alphas=ALPHAS * len(y)).fit(X, y))
        seconds["RidgeClassifierCV"].append(took)
    median = {name: statistics.median(found) for name, found in seconds.items()}
    record = {
        "data": Path(given.data).name,
        "shape": list(X.shape),
        "alphas": len(ALPHAS),
        "seconds": median,
        "linearhead_over_gram": median["linearhead"] / median["gram"],
        "RidgeClassifierCV_over_linearhead": median["RidgeClassifierCV"] / median["linearhead"],
        "alpha": path.alpha_,
        "alpha_of_RidgeClassifierCV": float(ridge.alpha_) / len(y),
    }
    print(json.dumps(record, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
