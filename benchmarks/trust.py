"""Are the promises of the verdict kept? Doubted labels, sets of labels, calibration, forecasts, regions.

    python benchmarks/trust.py [labels sets forecast regions]     # the parts to run; the others stay as they are

`labels`: 2 % of Fashion-MNIST's labels flipped; how many of the first n_flipped suspects are flipped ones.
`sets`: 100 splits; the model's own calibration on its trained pictures, coverage and ECE on as many new ones.
`forecast`: the learning curve of n pictures against the accuracy that twice the pictures of its last point really give.
`regions`: what the regions of a picture add up to, against its score. Results in trust.json beside this file.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from linearhead.data import open_dataset
from linearhead.experiment.outside import outside
from linearhead.experiment.recipe import Recipe
from linearhead.experiment.trusting import ASKED, Unseen, calibrate, suspects
from linearhead.features import make
from linearhead.features.regions import contributions
from linearhead.images import Preprocessing, decode_many
from linearhead.losses import LOSSES
from linearhead.store import Model
from linearhead.trust import reliability

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
OUT = Path(__file__).with_suffix(".json")
softmax = LOSSES["cross_entropy"]().probabilities


@cache
def pictures(name: str, most: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, h, w, c) and labels in a random order; of photos 32×32 in colour."""
    if name == "digits":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))
        return np.uint8(np.round(X.reshape(-1, 8, 8, 1) * 15.9375))[order], y[order].astype(int)
    dataset = open_dataset(SHARED / name)
    rows = np.random.default_rng(0).permutation(len(dataset))[:most]
    grey = name in ("fashion-mnist", "omniglot-small")
    looks = Preprocessing(28, 28, mode="L") if grey else Preprocessing(32, 32)
    found, kept = [], []
    for indices, block, _, _ in decode_many([dataset.read(int(i)) for i in rows], looks):
        found.append(block)
        kept.append(rows[indices])
    return np.concatenate(found), dataset.labels[np.concatenate(kept)]


@cache
def table(name: str, spec: str, most: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    x, y = pictures(name, most)
    return make(spec).fit(x[:1000]).transform(x), y


def fitted(X: np.ndarray, y: np.ndarray, alpha: float) -> Any:
    return Recipe(features="pixels", alpha=alpha, tol=1e-4).estimator(alpha).fit(X, y)


# ---- labels


def labels(share: float = 0.02) -> dict[str, Any]:
    """Precision among the first n_flipped suspects, all of Fashion-MNIST's training pictures, by features and seed."""
    out = {}
    for spec, alpha in (("pixels", 0.01), ("hog", 0.003)):
        X, y = table("fashion-mnist", spec, 60_000)
        W = np.zeros((10, X.shape[1]), np.float32)
        asked = Model(list(map(str, range(10))), W, W[:, 0], None, None, "cross_entropy", {})  # uncalibrated
        found = []
        for seed in range(2):
            rng = np.random.default_rng(seed)
            flipped = rng.permutation(len(y))[: round(share * len(y))]
            wrong = y.copy()
            wrong[flipped] = (y[flipped] + rng.integers(1, 10, len(flipped))) % 10
            seen = outside(X, wrong, Recipe(features="pixels", alpha=alpha), alpha, seed)
            assert seen is not None
            first = suspects(asked, seen.scores, wrong)[0][: len(flipped)]
            found.append(float(np.isin(first, flipped).mean()))
            print("labels", spec, seed, found[-1], flush=True)
        out[spec] = {"n": len(y), "flipped": share, "precision": found}
    return out


# ---- sets of labels and calibration


def sets(splits: int = 100) -> dict[str, Any]:
    """100 splits of three sets in turn: what `train` calibrates on n pictures, asked of as many others."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for i in range(splits):
        name, spec, n = (("digits", "pixels", 600), ("fashion-mnist", "pixels", 600), ("sign-digits", "hog", 600))[
            i % 3
        ]
        X, y = table(name, spec)
        order = np.random.default_rng([1, i]).permutation(len(y))
        trained, others = order[:n], order[n : 2 * n]
        alpha = (1e-3, 1e-2, 1e-1)[i // 3 % 3]  # from far too sure to rather modest
        clf = fitted(X[trained], y[trained], alpha)
        seen = outside(X[trained], y[trained], Recipe(features="pixels", alpha=alpha), alpha, i)
        assert seen is not None
        model = Model(list(map(str, range(10))), clf.coef_, clf.intercept_, None, None, "cross_entropy", {})
        trust = calibrate(model, Unseen(seen.scores, y[trained], ""), X[trained], i)
        s, own = model.scores(X[others]), (np.arange(n), y[others])
        row: dict[str, Any] = {str(c): float(model.label_sets(s, c)[own].mean()) for c in ASKED}
        for when, p in (("test_before", softmax(s)), ("test_after", model.probabilities(s))):
            assert p is not None
            r = reliability(p[own], p.max(axis=1), p.argmax(axis=1) == y[others])
            row[when] = [r.log_loss, r.ece]
        assert trust.before is not None
        assert trust.after is not None
        row |= {"before": [trust.before.log_loss, trust.before.ece], "after": [trust.after.log_loss, trust.after.ece]}
        rows.setdefault(name, []).append(row)
    return {
        "by_set": {name: told(found) for name, found in rows.items()},
        "all": told([row for found in rows.values() for row in found]),
    }


def told(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean coverage; calibration's worst change of the log loss, and how often it lowers an ECE above 2 %."""
    change = [r["after"][0] / r["before"][0] - 1 for r in rows]
    poor = [r for r in rows if r["before"][1] > 0.02]
    poor_test = [r for r in rows if r["test_before"][1] > 0.02]
    return {
        "splits": len(rows),
        "coverage": {str(c): float(np.mean([r[str(c)] for r in rows])) for c in ASKED},
        "log_loss_worst_change": max(change),
        "ece_above_2": len(poor),
        "ece_lowered": sum(r["after"][1] < r["before"][1] for r in poor),
        "ece_mean": [float(np.mean([r[w][1] for r in rows])) for w in ("before", "after")],
        "test_log_loss_worst_change": max(r["test_after"][0] / r["test_before"][0] - 1 for r in rows),
        "test_ece_mean": [float(np.mean([r[w][1] for r in rows])) for w in ("test_before", "test_after")],
        "test_ece_lowered": [sum(r["test_after"][1] < r["test_before"][1] for r in poor_test), len(poor_test)],
    }


# ---- the learning curve


def forecast() -> dict[str, Any]:
    """Every set and size for which twice the pictures of the curve's last point, and 150 to judge, are there."""
    cases = []
    for name in ("digits", "fashion-mnist", "sign-digits", "omniglot-small", "trash-photos"):
        for spec in ("pixels", "hog") if name != "digits" else ("pixels",):
            X, y = table(name, spec)
            for n in (120, 250, 500, 1000, 2000):
                last = n - n // 4
                if 2 * last + (150 if name != "trash-photos" else 40) > len(y):
                    continue
                cases += [one_forecast(X, y, n, seed) | {"set": name, "features": spec} for seed in range(2)]
                cases = [case for case in cases if case.get("twice") is not None]
        done = [abs(c["twice"] - c["truth"]) for c in cases]
        print("forecast", name, len(done), f"mean error so far {100 * np.mean(done):.2f} points", flush=True)
    return {
        "cases": cases,
        "mean_error": float(np.mean([abs(c["twice"] - c["truth"]) for c in cases])),
        "by_set": mean_errors(cases, "set"),
        "by_size": mean_errors(cases, "n"),
        "standing_still": float(np.mean([abs(c["last"] - c["truth"]) for c in cases])),
    }


def mean_errors(cases: list[dict[str, Any]], by: str) -> dict[str, float]:
    """Mean absolute error of the forecasts, in groups."""
    groups: dict[str, list[float]] = {}
    for case in cases:
        groups.setdefault(str(case[by]), []).append(abs(case["twice"] - case["truth"]))
    return {name: float(np.mean(group)) for name, group in groups.items()}


def one_forecast(X: np.ndarray, y: np.ndarray, n: int, seed: int) -> dict[str, Any]:
    """The forecast from n rows, and the truth: the accuracy on all other rows with twice those of the last point."""
    order = np.random.default_rng([2, seed, n]).permutation(len(y))
    known, codes = np.unique(y[order[:n]], return_inverse=True)
    alpha = 0.01
    seen = outside(X[order[:n]], codes, Recipe(features="pixels", alpha=alpha), alpha, seed)
    if seen is None or seen.curve.twice is None:
        return {"twice": None}
    m = 2 * seen.curve.n[-1]
    judged = order[max(m, n) :][:3000]
    judged = judged[np.isin(y[judged], known)]
    truth = float(np.mean(fitted(X[order[:m]], y[order[:m]], alpha).predict(X[judged]) == y[judged]))
    return {"n": n, "twice": seen.curve.twice, "last": seen.curve.accuracy[-1], "truth": truth, "judged": len(judged)}


# ---- regions


def regions() -> dict[str, Any]:
    """The largest |sum of the canvas − what the score says| over 200 pictures of each set, all classes."""
    out = {}
    for name in ("digits", "fashion-mnist", "sign-digits", "trash-photos"):
        x, y = pictures(name)
        for spec in ("pixels", "color", "hog", "patches(filters=32)", "hog+color"):
            if name == "digits" and spec != "pixels":
                continue
            extractor = make(spec).fit(x[:400])
            X = extractor.transform(x[:200])
            clf, mean = fitted(X, y[:200], 0.01), X.mean(axis=0, dtype=np.float64)
            W, worst = clf.coef_.astype(np.float64), 0.0
            for row, scores in zip(X, clf.decision_function(X), strict=True):  # float32, as everybody gets them
                for w, b, s in zip(W, clf.intercept_.astype(np.float64), scores, strict=True):
                    canvas = contributions(extractor, w, row, mean)
                    assert canvas is not None
                    worst = max(worst, abs(canvas.sum() + w @ mean + b - s))
            out[f"{name} {spec}"] = worst
    return {"worst": max(out.values()), "by_case": out}


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "labels": labels,
    "sets": sets,
    "forecast": forecast,
    "regions": regions,
}


def main() -> None:
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or PARTS:
        start = time.process_time()
        found = PARTS[name]() | {"seconds": round(time.process_time() - start, 1)}
        result = (json.loads(OUT.read_text()) if OUT.exists() else {}) | {name: found}
        OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps({k: v for k, v in result[name].items() if k != "cases"}), flush=True)


if __name__ == "__main__":
    main()
