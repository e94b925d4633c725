"""Are the promises of the verdict kept? Doubted labels, sets of labels, calibration, forecasts, regions.

    python benchmarks/trust.py [labels sets forecast regions unlike]     # the parts to run; the others stay as they are

`labels`: 2 to 10 % of labels flipped; how many of the first n_flipped suspects are flipped ones, by out-of-fold scores
and by leaving each row out, and what either costs.
`sets`: 100 splits; the model's own calibration on its trained pictures, coverage and ECE on all others, beside the ECE
that as many pictures show by chance where every confidence is true.
`forecast`: the learning curve of n pictures against the accuracy that twice the pictures of its last point really give,
the mean of three fits on other draws, each judged on all other pictures.
`regions`: what the regions of a picture add up to, against its score.
`unlike`: how many new pictures of the same kind, and of other sets, a model of n pictures calls unlike all it has seen,
1 in 100 being asked. Results in trust.json beside this file.
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
from linearhead.experiment.curve import GAIN_ERROR
from linearhead.experiment.outside import outside
from linearhead.experiment.recipe import Recipe
from linearhead.experiment.trusting import ASKED, Unseen, calibrate, suspects
from linearhead.features import make
from linearhead.features.regions import contributions
from linearhead.images import Preprocessing, decode_many
from linearhead.losses import LOSSES
from linearhead.metrics import Z95
from linearhead.store import Model
from linearhead.trust import Novelty, reliability
from linearhead.trust.novelty import RARE

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


LABELLED = (  # set, features, pictures, alpha, shares flipped, seeds
    ("sign-digits", "hog", 600, 0.1, (0.02, 0.05, 0.1), 4),
    ("fashion-mnist", "pixels", 600, 0.1, (0.02, 0.05, 0.1), 4),
    ("fashion-mnist", "hog", 600, 0.1, (0.02, 0.05, 0.1), 4),
    ("fashion-mnist", "hog", 60_000, 0.003, (0.02,), 2),
    ("fashion-mnist", "pixels", 60_000, 0.01, (0.02,), 2),
)


def labels() -> dict[str, Any]:
    """Flips among the first n_flipped suspects, by scores of both kinds, and their processor seconds."""
    cases = []
    for name, spec, n, alpha, shares, seeds in LABELLED:
        X, y = table(name, spec, max(n, 8000))
        for share in shares:
            found = [doubted(X, y, n, alpha, share, seed) for seed in range(seeds)]
            means = {key: round(float(np.mean([one[key] for one in found])), 4) for key in found[0]}
            cases.append({"set": name, "features": spec, "n": n, "alpha": alpha, "flipped": share} | means)
            print("labels", cases[-1], flush=True)
    return {"cases": cases}


def doubted(X: np.ndarray, y: np.ndarray, n: int, alpha: float, share: float, seed: int) -> dict[str, float]:
    """One draw of n pictures and of flips."""
    rng, k = np.random.default_rng(seed), int(y.max()) + 1
    rows = np.sort(rng.permutation(len(X))[:n])
    X, wrong = X[rows], y[rows].copy()
    flipped = rng.permutation(n)[: round(share * n)]
    wrong[flipped] = (wrong[flipped] + rng.integers(1, k, len(flipped))) % k
    W, plan = np.zeros((k, X.shape[1]), np.float32), Recipe(features="pixels", alpha=alpha)
    asked = Model(list(map(str, range(k))), W, W[:, 0], None, None, "cross_entropy", {})  # uncalibrated
    clf, found = fitted(X, wrong, alpha), {}
    ways = {
        "out_of_fold": lambda: outside(X, wrong, plan, alpha, seed).scores,  # type: ignore[union-attr]
        "leave_one_out": lambda: clf.leave_one_out(X, wrong),
    }
    for way, scores in ways.items():
        start = time.process_time()
        first = suspects(asked, scores(), wrong)[: len(flipped)]
        found[way + "_seconds"] = time.process_time() - start
        found[way] = float(np.isin(first, flipped).mean())
    return found


# ---- sets of labels and calibration


def sets(splits: int = 100) -> dict[str, Any]:
    """100 splits of three sets in turn: what `train` calibrates on n pictures, asked of all others."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for i in range(splits):
        name, spec, n = (("digits", "pixels", 600), ("fashion-mnist", "pixels", 600), ("sign-digits", "hog", 600))[
            i % 3
        ]
        X, y = table(name, spec)
        order = np.random.default_rng([1, i]).permutation(len(y))
        trained, others = order[:n], order[n : n + 3000]
        alpha = (1e-3, 1e-2, 1e-1)[i // 3 % 3]  # from far too sure to rather modest
        clf = fitted(X[trained], y[trained], alpha)
        seen = outside(X[trained], y[trained], Recipe(features="pixels", alpha=alpha), alpha, i)
        assert seen is not None
        model = Model(list(map(str, range(10))), clf.coef_, clf.intercept_, None, None, "cross_entropy", {})
        trust = calibrate(model, Unseen(seen.scores, y[trained], ""), X[trained], i)
        s, own = model.scores(X[others]), (np.arange(len(others)), y[others])
        row: dict[str, Any] = {str(c): float(model.label_sets(s, c)[own].mean()) for c in ASKED}
        for when, p in (("test_before", softmax(s)), ("test_after", model.probabilities(s))):
            assert p is not None
            r = reliability(p[own], p.max(axis=1), p.argmax(axis=1) == y[others])
            row[when] = [r.log_loss, r.ece, chance(p.max(axis=1))]
        assert trust.before is not None
        assert trust.after is not None
        row |= {"before": [trust.before.log_loss, trust.before.ece], "after": [trust.after.log_loss, trust.after.ece]}
        rows.setdefault(name, []).append(row)
    return {
        "by_set": {name: told(found) for name, found in rows.items()},
        "all": told([row for found in rows.values() for row in found]),
    }


def chance(confidence: np.ndarray, trials: int = 50) -> float:
    """The mean ECE of rows of these confidences where every one is true."""
    rng = np.random.default_rng(0)
    own = [reliability(confidence, confidence, rng.random(len(confidence)) < confidence) for _ in range(trials)]
    return float(np.mean([r.ece for r in own]))


def told(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean coverage; calibration's worst change of the log loss, and how often it lowers an ECE above 2 %."""
    change = [r["after"][0] / r["before"][0] - 1 for r in rows]
    poor = [r for r in rows if r["before"][1] > 0.02]
    beyond = {w: [r[w][1] - r[w][2] for r in rows] for w in ("test_before", "test_after")}  # what chance leaves open
    poor_test = [(b, a) for b, a in zip(*beyond.values(), strict=True) if b > 0.02]
    return {
        "splits": len(rows),
        "coverage": {str(c): float(np.mean([r[str(c)] for r in rows])) for c in ASKED},
        "log_loss_worst_change": max(change),
        "ece_above_2": len(poor),
        "ece_lowered": sum(r["after"][1] < r["before"][1] for r in poor),
        "ece_mean": [float(np.mean([r[w][1] for r in rows])) for w in ("before", "after")],
        "test_log_loss_worst_change": max(r["test_after"][0] / r["test_before"][0] - 1 for r in rows),
        "test_ece_mean": [float(np.mean([r[w][1] for r in rows])) for w in beyond],
        "test_ece_by_chance": [float(np.mean([r[w][2] for r in rows])) for w in beyond],
        "test_ece_2_beyond_chance": len(poor_test),
        "test_ece_lowered": sum(a < b for b, a in poor_test),
    }


# ---- the learning curve


ENOUGH = 500  # pictures from which the noise of those that judge, as many, is below the error asked for


def forecast() -> dict[str, Any]:
    """Every set and size for which twice the pictures of the curve's last point, and 150 to judge, are there."""
    cases = []
    for name in ("digits", "fashion-mnist", "sign-digits", "omniglot-small", "trash-photos"):
        for spec in ("pixels", "hog") if name not in ("digits", "omniglot-small") else ("pixels",):
            X, y = table(name, spec)
            for n in (120, 250, 500, 1000, 2000, 4000):
                last = n - n // 4
                if 2 * last + (150 if name != "trash-photos" else 40) > len(y):
                    continue
                found = [one_forecast(X, y, n, seed) | {"set": name, "features": spec} for seed in range(2)]
                cases += [case for case in found if "twice" in case]
        if cases:
            print("forecast", name, len(cases), errors(cases), flush=True)
    return summed_up(cases)


def summed_up(cases: list[dict[str, Any]]) -> dict[str, Any]:
    large = [c for c in cases if c["n"] >= ENOUGH]
    return {
        "cases": cases,
        "all": errors(cases),
        f"from_{ENOUGH}": errors(large),
        "by_set": {name: errors([c for c in large if c["set"] == name]) for name in sorted({c["set"] for c in large})},
        "by_size": {str(n): errors([c for c in cases if c["n"] == n]) for n in sorted({c["n"] for c in cases})},
    }


def errors(cases: list[dict[str, Any]]) -> dict[str, float]:
    """Mean absolute errors: of the forecast; of the gain forecast, which the pictures that judge blur less; of the
    curve's last point, which is that of an oracle who knows the gain; what chance alone does to n judging pictures; and
    of the forecast that nothing changes. And the share of cases within the margin that is told."""
    spread = [np.sqrt(c["truth_last"] * (1 - c["truth_last"]) / c["n"]) for c in cases]
    margins = [Z95 * np.sqrt(c["last"] * (1 - c["last"]) / c["n"] + GAIN_ERROR**2) for c in cases]
    within = [abs(c["twice"] - c["truth"]) <= margin for c, margin in zip(cases, margins, strict=True)]
    mean: Callable[[list[float]], float] = lambda values: float(np.mean(np.abs(values)))  # noqa: E731
    return {
        "cases": len(cases),
        "forecast": mean([c["twice"] - c["truth"] for c in cases]),
        "gain": mean([(c["twice"] - c["last"]) - (c["truth"] - c["truth_last"]) for c in cases]),
        "last_point": mean([c["last"] - c["truth_last"] for c in cases]),
        "judging_alone": float(np.sqrt(2 / np.pi) * np.mean(spread)),
        "within_margin": float(np.mean(within)),
        "standing_still": mean([c["last"] - c["truth"] for c in cases]),
    }


def stratified(y: np.ndarray, seed: list[int]) -> np.ndarray:
    """A random order of which every beginning has all classes in their shares."""
    rng, place = np.random.default_rng(seed), np.empty(len(y))
    for c in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == c))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(place, kind="stable")


def one_forecast(X: np.ndarray, y: np.ndarray, n: int, seed: int) -> dict[str, Any]:
    """The forecast from n rows, and the truth at the last point and at twice its rows."""
    order, alpha = stratified(y, [2, seed, n]), 0.01
    seen = outside(X[order[:n]], y[order[:n]], Recipe(features="pixels", alpha=alpha), alpha, seed)
    if seen is None or seen.curve.twice is None:
        return {}
    last = seen.curve.n[-1]
    truth = {m: [right_after(X, y, m, alpha, draw) for draw in range(3)] for m in (last, 2 * last)}
    return {
        "n": n,
        "curve": [seen.curve.n, seen.curve.accuracy],
        "twice": seen.curve.twice,
        "last": seen.curve.accuracy[-1],
        "truth": float(np.mean(truth[2 * last])),
        "truth_last": float(np.mean(truth[last])),
    }


KNOWN: dict[tuple[int, int, float, int], float] = {}


def right_after(X: np.ndarray, y: np.ndarray, m: int, alpha: float, draw: int) -> float:
    """The accuracy of a fit on m rows, on up to 3000 others."""
    key = (id(X), m, alpha, draw)
    if key not in KNOWN:
        order = stratified(y, [7, m, draw])
        judged = order[m:][:3000]
        KNOWN[key] = float(np.mean(fitted(X[order[:m]], y[order[:m]], alpha).predict(X[judged]) == y[judged]))
    return KNOWN[key]


# ---- regions


def regions() -> dict[str, Any]:
    """The largest |sum of the canvas − the score| over 200 pictures of each set, all classes; the score in float64, as
    the record has it, and in float32, as `predict` computes it."""
    out: dict[str, float] = {}
    rounded = 0.0
    for name in ("digits", "fashion-mnist", "sign-digits", "trash-photos"):
        x, y = pictures(name)
        for spec in ("pixels", "color", "hog", "patches(filters=32)", "hog+color"):
            if name == "digits" and spec != "pixels":
                continue
            extractor = make(spec).fit(x[:400])
            X = extractor.transform(x[:200])
            clf, mean = fitted(X, y[:200], 0.01), X.mean(axis=0, dtype=np.float64)
            W, worst = clf.coef_.astype(np.float64), 0.0
            for row, scores in zip(X, clf.decision_function(X), strict=True):
                for w, b, s in zip(W, clf.intercept_.astype(np.float64), scores, strict=True):
                    canvas = contributions(extractor, w, row, mean)
                    assert canvas is not None
                    told = canvas.sum() + w @ mean + b
                    worst, rounded = max(worst, abs(told - (w @ row + b))), max(rounded, abs(told - s))
            out[f"{name} {spec}"] = worst
    return {"worst": max(out.values()), "worst_float32": float(rounded), "by_case": out}


# ---- pictures unlike any seen


SETS = ("digits", "fashion-mnist", "sign-digits", "omniglot-small", "trash-photos")


@cache
def grey(name: str) -> np.ndarray:
    """Up to 2500 pictures, all sets alike: 28×28, grey."""
    looks = Preprocessing(28, 28, mode="L")
    if name == "digits":
        sources: Any = list(pictures(name)[0])
    else:
        dataset = open_dataset(SHARED / name)
        rows = np.random.default_rng(0).permutation(len(dataset))[:2500]
        sources = [dataset.read(int(i)) for i in rows]
    return np.concatenate([block for _, block, _, _ in decode_many(sources, looks)])


def unlike() -> dict[str, Any]:
    """By features and n: the share of new pictures of the own kind, and of the other sets', below RARE."""
    out: dict[str, Any] = {}
    for spec in ("pixels", "hog"):
        rows: dict[int, list[tuple[float, float]]] = {}
        for own in SETS:
            extractor = make(spec).fit(grey(own)[:400])
            table = {other: extractor.transform(grey(other)) for other in SETS}
            for n in (30, 60, 99, 120, 250, 499, 500, 1000):
                if n + 100 <= len(table[own]):
                    rows.setdefault(n, []).extend(strangers(table, own, n, draw) for draw in range(6))
        means = {str(n): np.mean(found, axis=0) for n, found in rows.items()}
        out[spec] = {n: {"own_kind": float(mean[0]), "other_sets": float(mean[1])} for n, mean in means.items()}
    return out


def strangers(table: dict[str, np.ndarray], own: str, n: int, draw: int) -> tuple[float, float]:
    order = np.random.default_rng([draw, n]).permutation(len(table[own]))
    novelty = Novelty.fit(table[own][order[:n]], draw)
    assert novelty is not None
    new = table[own][order[n:]][:800]
    foreign = [np.mean(novelty.unlike(X[:200]) < RARE) for other, X in table.items() if other != own]
    return float(np.mean(novelty.unlike(new) < RARE)), float(np.mean(foreign))


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "labels": labels,
    "sets": sets,
    "forecast": forecast,
    "regions": regions,
    "unlike": unlike,
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
