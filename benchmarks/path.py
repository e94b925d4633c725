"""The 45-value linear-probe protocol (DINOv2/v3): linearhead's path beside scikit-learn, same rows and split, one run.

    python benchmarks/path.py ../shared/data/sign-digits [--full] [--cv]

Features: the folder's pictures at 48×48, 200 learned patches (3 600 columns), a seeded Gaussian projection to 1 024
columns, float32; on the photographed hands the covariance's condition is 1e5. A tenth of the rows, by a seeded random
permutation, validates. The peer is the published script's call, in float64: LogisticRegression(C, tol=1e-12,
max_iter=1000), cold for each C. By default only every fifth C is fitted by the peer, and its seconds are the sum over
those: a lower bound of what all 45 take, nothing is extrapolated. --full fits all 45; --cv adds LogisticRegressionCV,
whose fits start warm. Where validation labels differ, a float64 fit to 1e-12 says whose are the optimum's. Seconds are
wall clock, cpu seconds are the process's. Writes path.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from pathlib import Path

import numpy as np

POWERS = np.linspace(-6, 5, 45)


def features(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 1024) float32 and labels."""
    from linearhead.data import open_dataset
    from linearhead.features.patches import Patches
    from linearhead.images import Preprocessing, decode_many

    dataset = open_dataset(folder)
    kept, parts = [], []
    for batch in decode_many([dataset.read(i) for i in range(len(dataset))], Preprocessing(height=48, width=48)):
        kept += list(batch.indices)
        parts.append(batch.pictures)
    pictures = np.concatenate(parts)
    X = Patches(filters=200).fit(pictures, 0).transform(pictures).astype(np.float32)
    turn = np.random.default_rng(0).standard_normal((X.shape[1], 1024)) / np.sqrt(X.shape[1])
    return X @ turn.astype(np.float32), np.asarray(dataset.labels)[kept]


class Clock:
    """Wall and processor seconds of a with-block."""

    def __enter__(self) -> Clock:
        self.start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.start[0]
        self.cpu = time.process_time() - self.start[1]


def ours(X, y, train, valid) -> dict:
    from linearhead import regularization_path

    with Clock() as clock:
        path = regularization_path(X[train], y[train], valid=(X[valid], y[valid]), protocol="dinov3-logreg")
    labels = [path.classes[(X[valid] @ p.theta[:-1] + p.theta[-1]).argmax(axis=1)].tolist() for p in path.points]
    return {
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu,
        "passes": float(path.passes.sum()),
        "passes_of_the_refit": path.refit.passes,
        "C": path.C_,
        "accuracy": path.valid_accuracy.tolist(),
        "relative_gaps": [c.gap / c.value for c in path.certificates],
        "labels": labels,
    }


def peer(X, y, train, valid, powers) -> list[dict]:
    from sklearn.linear_model import LogisticRegression

    X, found = X.astype(np.float64), []
    for power in powers:
        model = LogisticRegression(C=10.0**power, tol=1e-12, max_iter=1000)
        with Clock() as clock:
            model.fit(X[train], y[train])
        found.append(
            {
                "power": float(power),
                "seconds": clock.seconds,
                "cpu_seconds": clock.cpu,
                "iterations": int(model.n_iter_[0]),
                "accuracy": float(model.score(X[valid], y[valid])),
                "labels": model.predict(X[valid]).tolist(),
            }
        )
    return found


def warm(X, y, train, valid) -> dict:
    """LogisticRegressionCV on the same single split, the protocol's tolerance."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import PredefinedSplit

    fold = np.full(len(y), -1)
    fold[valid] = 0
    model = LogisticRegressionCV(Cs=10.0**POWERS, cv=PredefinedSplit(fold), tol=1e-12, max_iter=1000)
    with Clock() as clock:
        model.fit(X.astype(np.float64), y)
    return {"seconds": clock.seconds, "cpu_seconds": clock.cpu, "C": float(np.ravel(model.C_)[0])}


def exact(X, y, train, valid, powers, labels) -> list[int]:
    """How many of these validation labels the optimum itself, a float64 fit to a residual of 1e-12, gives otherwise."""
    from linearhead import SoftmaxClassifier

    X, differ = X.astype(np.float64), []
    for power, own in zip(powers, labels, strict=True):
        alpha = 1 / (10.0**power * len(train))
        model = SoftmaxClassifier(alpha=alpha, tol=1e-12, max_iter=5000).fit(X[train], y[train])
        differ.append(int(np.sum(model.predict(X[valid]) != own)))
    return differ


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("data")
    options.add_argument("--full", action="store_true")
    options.add_argument("--cv", action="store_true")
    given = options.parse_args()
    X, y = features(given.data)
    order = np.random.default_rng(0).permutation(len(y))
    valid, train = np.sort(order[: len(y) // 10]), np.sort(order[len(y) // 10 :])
    mine = ours(X, y, train, valid)
    step = 1 if given.full else 5
    theirs = peer(X, y, train, valid, POWERS[::step])
    labels = mine.pop("labels")[::step]
    differing = [int(np.sum(np.array(a["labels"]) != b)) for a, b in zip(theirs, labels, strict=True)]
    open_ = [i for i, count in enumerate(differing) if count]  # whose labels are the optimum's?
    powers = [theirs[i]["power"] for i in open_]
    judged = {
        "C": [10.0**power for power in powers],
        "linearhead": exact(X, y, train, valid, powers, [labels[i] for i in open_]),
        "scikit-learn": exact(X, y, train, valid, powers, [theirs[i]["labels"] for i in open_]),
    }
    for row in theirs:
        del row["labels"]
    total = {k: sum(row[k] for row in theirs) for k in ("seconds", "cpu_seconds", "iterations")}
    record = {
        "data": Path(given.data).name,
        "rows": len(y),
        "training_rows": len(train),
        "columns": X.shape[1],
        "linearhead": mine,
        "scikit-learn": {"fitted": len(theirs), **total, "fits": theirs},
        "validation_labels_that_differ": differing,
        "and_from_those_of_the_optimum_there": judged,
        "ratio": total["seconds"] / mine["seconds"],
        "ratio_is": "measured" if given.full else "a lower bound: the peer fitted only a part of the 45",
        "versions": {"numpy": np.__version__, "python": platform.python_version()},
    }
    if given.full:
        best = max(theirs, key=lambda row: (row["accuracy"], -row["power"]))
        record["scikit-learn"]["C"] = 10.0 ** best["power"]
    if given.cv:
        beside = {name: mine[name] for name in ("seconds", "cpu_seconds", "C")}
        record["LogisticRegressionCV"] = warm(X, y, train, valid) | {"linearhead": beside}
    print(f"ratio {record['ratio']:.1f} ({record['ratio_is']}), labels that differ {differing}, C {mine['C']:.4g}")
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
