"""Do the diagnoses find what is wrong, and keep silent where nothing is? Faults planted in real pictures.

    python benchmarks/planted_faults.py [--trials 4] [--clean 200] [--only CODE …] [--table]

Each trial takes a random part of a real data set (sign-digits, Fashion-MNIST, scanned digits), plants one fault at one
of three strengths, and runs what `linearhead train` runs. A hit: the fault's own finding is told. A clean run plants
nothing, lets alpha be chosen, and is by SGD every third time, so that what only SGD can be told of has its chance;
every finding told there that its data does not deserve is a false alarm. Results go to JSON and, with --table, into
docs/diagnoses.md.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from PIL import Image

from linearhead.data import open_dataset
from linearhead.data.contract import Dataset
from linearhead.data.feature_store import Store
from linearhead.diagnose import CHECKS
from linearhead.experiment import ledger
from linearhead.experiment.concluding import Conclusion, build_model
from linearhead.experiment.fitting import Rows, fit
from linearhead.experiment.preparing import Clock, prepare_dataset
from linearhead.experiment.progress import Progress
from linearhead.experiment.recipe import Recipe
from linearhead.files import sha256
from linearhead.images import Preprocessing, decode_many
from linearhead.path import walk
from linearhead.records import Run

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
HIT, FALSE = 0.9, 0.05  # the aims: told at the middle strength, at least; told on clean runs, at most
SIDE = 28  # pixels: the least at which near copies are looked for


@cache
def pictures(name: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """uint8 (n, h, w, c), labels and classes of a whole data set."""
    if name == "digits":
        from sklearn.datasets import load_digits

        images, y = load_digits(return_X_y=True)
        return np.uint8(np.round(images.reshape(-1, 8, 8, 1) * 15.9375)), y.astype(np.int64), tuple("0123456789")
    dataset = open_dataset(SHARED / name)
    rows = np.random.default_rng(0).permutation(len(dataset))[:9000]
    looks = Preprocessing(SIDE, SIDE, mode="L")
    found, kept = [], []
    for indices, block, _, _ in decode_many([dataset.read(int(i)) for i in rows], looks):
        found.append(block)
        kept.append(rows[indices])
    return np.concatenate(found), dataset.labels[np.concatenate(kept)], dataset.classes


@dataclass
class Trial:
    """One run's pictures and options; a fault changes them before the fit, or the fit after it."""

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    splits: np.ndarray
    options: dict[str, Any]
    rng: np.random.Generator
    judged_before: int = 0  # other models, by the same test pictures

    @property
    def trained(self) -> np.ndarray:
        return np.flatnonzero(self.splits != "test")

    @property
    def tested(self) -> np.ndarray:
        return np.flatnonzero(self.splits == "test")


def draw(name: str, n: int, rng: np.random.Generator, **options: Any) -> Trial:
    """A random part of a data set: n trained pictures and half as many that judge."""
    x, y, classes = pictures(name)
    rows = rng.permutation(len(y))[: n + n // 2]
    splits = np.where(np.arange(len(rows)) < n, "", "test").astype("<U5")
    return Trial(x[rows].copy(), y[rows].copy(), classes, splits, dict(options), rng)


def run(trial: Trial, after: Any = None) -> Run:
    """What `linearhead train` does, without a run folder; `after(fitted, X, y)` tampers with the fit."""
    names = [f"{i:05d}.png" for i in range(len(trial.y))]
    dataset = Dataset("planted", "arrays", names, trial.y, trial.classes, trial.splits, lambda i: trial.x[i])
    options: dict[str, Any] = {"features": "pixels", "loss": "cross_entropy", "alpha": 0.01, "tol": 1e-5}
    plan, quiet, clock = Recipe(**options | trial.options), Progress(), Clock()
    prepared = prepare_dataset(dataset, plan, Store(None, quiet.say), quiet, clock)
    rows = Rows(prepared.extracted.X[: prepared.n_trained], prepared.y[: prepared.n_trained], prepared.n_train)
    fitted = fit(rows, prepared.plan, quiet)
    if after is not None:
        after(fitted, rows.X, rows.y)
    conclusion, model = Conclusion(prepared, fitted, clock, "planted"), build_model(prepared, fitted)
    if trial.judged_before:
        pictures = sha256(b"".join(prepared.keys[prepared.n_trained :]))
        return beside(pictures, trial, lambda place: replace(conclusion, place=place).record(model)[0])
    return conclusion.record(model)[0]


def beside(pictures: str, trial: Trial, make: Callable[[Path], Run]) -> Run:
    """A run made where others lie that the same pictures have judged."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(trial.judged_before):
            (Path(folder) / f"run{i}").mkdir()
            line = ledger.line("train", pictures, 300, {f"model{i}": 0.5 + 0.4 * trial.rng.random()})
            ledger.note(Path(folder) / f"run{i}", line)
        return make(Path(folder) / "this")


# ---- the faults: each changes the trial, and may return what tampers with the fit


def flipped(t: Trial, share: float) -> None:
    rows = t.rng.permutation(t.trained)[: round(share * len(t.trained))]
    k = len(t.classes)
    t.y[rows] = (t.y[rows] + 1 + t.rng.integers(0, k - 1, len(rows))) % k


def random_labels(t: Trial, share: float) -> None:
    rows = t.rng.permutation(len(t.y))[: round(share * len(t.y))]
    t.y[rows] = t.rng.permutation(t.y[rows])


def thinned(t: Trial, most: float) -> None:
    """Two classes keep `most` trained pictures each."""
    lost = [i for c in (0, 1) for i in np.flatnonzero((t.y == c) & (t.splits != "test"))[int(most) :]]
    kept = np.setdiff1d(np.arange(len(t.y)), lost)
    t.x, t.y, t.splits = t.x[kept], t.y[kept], t.splits[kept]


def rim(t: Trial, share: float) -> None:
    """The outermost ring of pixels has its class's grey on a share of the pictures."""
    for i in t.rng.permutation(len(t.y))[: round(share * len(t.y))]:
        grey = 20 + 215 * t.y[i] // (len(t.classes) - 1)
        for ring in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            t.x[i][ring] = np.clip(grey + t.rng.normal(0, 6), 0, 255)


def light(t: Trial, share: float) -> None:
    """The mean lightness belongs to the class on a share of the pictures."""
    for i in t.rng.permutation(len(t.y))[: round(share * len(t.y))]:
        wanted = 40 + 175 * t.y[i] / (len(t.classes) - 1)
        t.x[i] = np.clip((t.x[i] - t.x[i].mean()) * 0.25 + wanted + t.rng.normal(0, 3), 0, 255)


def darker(t: Trial, share: float) -> None:
    """The test pictures come from a camera that is darker and noisier."""
    x = t.x[t.tested] * (1 - share) + t.rng.normal(0, 60 * share, t.x[t.tested].shape)
    t.x[t.tested] = np.clip(x, 0, 255).astype(np.uint8)


def fewer_judged(t: Trial, n: float) -> None:
    kept = np.r_[t.trained, t.tested[: int(n)]]
    t.x, t.y, t.splits = t.x[kept], t.y[kept], t.splits[kept]


def smaller(t: Trial, side: float) -> None:
    t.options["size"] = (int(side), int(side))


def option(name: str) -> Any:
    def plant(t: Trial, value: float) -> None:
        t.options[name] = int(value) if name == "max_iter" else value

    return plant


def fewer_trained(t: Trial, n: float) -> None:
    kept = np.r_[t.trained[: int(n)], t.tested]
    t.x, t.y, t.splits = t.x[kept], t.y[kept], t.splits[kept]


def memorised(t: Trial, n: float) -> None:
    fewer_trained(t, n)
    t.options["alpha"] = 1e-5


def rate(t: Trial, factor: float) -> None:
    """Gradient descent at `factor` times 1/L, L = λmax(XᵀX/n)/2 of the standardised pixels."""
    X = t.x[t.trained].reshape(len(t.trained), -1).astype(float)
    X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-6)
    L = np.linalg.norm(X, 2) ** 2 / len(X) / 2
    t.options |= {"solver": "gd", "learning_rate": factor / L, "max_iter": 60}


def batch_rate(t: Trial, factor: float) -> None:
    """SGD in batches of 32 at `factor` times 1/L, its schedule as it comes."""
    rate(t, factor)
    t.options |= {"solver": "sgd", "max_iter": 30}


def overconfident(t: Trial, factor: float) -> Any:
    def after(fitted: Any, X: np.ndarray, y: np.ndarray) -> None:
        fitted.best.coef_ = fitted.best.coef_ * np.float32(factor)
        fitted.best.intercept_ = fitted.best.intercept_ * np.float32(factor)

    return after


def frozen(t: Trial, ratio: float) -> Any:
    """Half the classes `ratio` times rarer, and an intercept that leaves the average picture at score 0."""
    rare = np.flatnonzero((t.y % 2 == 0) & (t.rng.random(len(t.y)) > 1 / ratio) & (t.splits != "test"))
    kept = np.setdiff1d(np.arange(len(t.y)), rare)
    t.x, t.y, t.splits = t.x[kept], t.y[kept], t.splits[kept]

    def after(fitted: Any, X: np.ndarray, y: np.ndarray) -> None:
        fitted.best.intercept_ = -(fitted.best.coef_ @ X.mean(axis=0))

    return after


def in_order(t: Trial, step: float) -> Any:
    """Mini-batches class by class, three epochs at a step size."""
    order = np.r_[t.trained[np.argsort(t.y[t.trained], kind="stable")], t.tested]
    t.x, t.y, t.splits = t.x[order], t.y[order], t.splits[order]
    t.options |= {"solver": "sgd", "max_iter": 1, "valid_share": 0.0}

    def after(fitted: Any, X: np.ndarray, y: np.ndarray) -> None:
        mean, spread = X.mean(axis=0), np.maximum(X.std(axis=0), 1e-3)
        Z, k = (X - mean) / spread, len(t.classes)
        W, b = np.zeros((k, X.shape[1])), np.zeros(k)
        for _ in range(3):
            for i in range(0, len(y), 16):
                s = Z[i : i + 16] @ W.T + b
                p = np.exp(s - s.max(axis=1, keepdims=True))
                g = p / p.sum(axis=1, keepdims=True) - np.eye(k)[y[i : i + 16]]
                W, b = W - step * g.T @ Z[i : i + 16] / len(g), b - step * g.mean(axis=0)
        fitted.best.coef_ = (W / spread).astype(np.float32)
        fitted.best.intercept_ = (b - (W / spread) @ mean).astype(np.float32)

    return after


def copied(t: Trial, share: float) -> None:
    """Some of the test pictures are trained ones, saved again: 8 % of the edges cut, resized, JPEG quality 60."""
    rows = t.rng.permutation(t.tested)[: max(1, round(share * len(t.tested)))]
    for row, of in zip(rows, t.rng.permutation(t.trained), strict=False):
        picture = Image.fromarray(t.x[of][:, :, 0])
        w, h = picture.size
        buffer = io.BytesIO()
        picture.resize((w, h), Image.Resampling.BICUBIC, box=(0.04 * w, 0.04 * h, 0.96 * w, 0.96 * h)).save(
            buffer, "JPEG", quality=60
        )
        t.x[row], t.y[row] = np.asarray(Image.open(buffer))[:, :, None], t.y[of]


def judged_before(t: Trial, models: float) -> None:
    t.judged_before = int(models)


def cut_short(t: Trial, factor: float) -> Any:
    """Penalties tried only down to `factor` times the best one, and a wide enough range above."""
    t.options |= {"alpha": "auto"}
    walk.FIRST, first = 0, walk.FIRST  # from the strongest on, so that there are some to choose the end from

    def after(fitted: Any, X: np.ndarray, y: np.ndarray) -> None:
        walk.FIRST = first
        tried = [row for row in fitted.path if row["alpha"] >= factor * fitted.alpha * (1 - 1e-9)]
        fitted.path, fitted.alpha = tried, tried[-1]["alpha"]

    return after


ALL, HARD = ("digits", "fashion-mnist", "sign-digits"), ("fashion-mnist", "sign-digits")
FAULTS: dict[str, tuple[str, Any, tuple[float, float, float], tuple[str, ...]]] = {
    "labels flipped, share": ("label-errors", flipped, (0.05, 0.1, 0.2), ALL),
    "labels random, share": ("no-better-than-majority", random_labels, (0.9, 0.97, 1.0), ALL),
    "pictures left in two classes": ("few-pictures", thinned, (9, 6, 3), ALL),
    "pictures left in two classes ": ("imbalance", thinned, (8, 5, 3), ALL),
    "class's grey on the rim, share": ("shortcut", rim, (0.5, 0.8, 1.0), ALL),
    "class's mean lightness, share": ("shortcut", light, (0.5, 0.8, 1.0), ALL),
    "test pictures darker and noisier, by": ("shifted", darker, (0.1, 0.25, 0.5), ALL),
    "pictures that judge": ("few-judged", fewer_judged, (150, 80, 40), HARD),
    "confidence times": ("miscalibrated", overconfident, (2, 4, 8), HARD),
    "intercept untrained, classes 1 to": ("intercept-frozen", frozen, (2, 4, 8), ALL),
    "batches in the order of the classes, step": ("no-shuffling", in_order, (0.02, 0.05, 0.1), ALL),
    "learning rate times 1/L": ("learning-rate-large", rate, (8, 30, 100), ALL),
    "learning rate times 1/L ": ("learning-rate-small", rate, (0.1, 0.01, 0.001), ALL),
    "learning rate of SGD times 1/L": ("learning-rate-small", batch_rate, (0.1, 0.01, 0.001), ALL),
    "learning rate of SGD times 1/L ": ("learning-rate-large", batch_rate, (8, 30, 100), ALL),
    "iterations allowed": ("not-converged", option("max_iter"), (8, 4, 1), ALL),
    "pictures memorised": ("overfitting", memorised, (300, 150, 80), HARD),
    "penalty": ("underfitting", option("alpha"), (10, 30, 100), HARD),
    "pictures to train on": ("more-pictures", fewer_trained, (240, 160, 100), ALL),
    "test pictures that copy trained ones, share": ("duplicates-across-splits", copied, (0.01, 0.03, 0.1), HARD),
    "models judged before": ("test-reused", judged_before, (5, 8, 20), ALL),
    "penalties tried down to, times the best": ("alpha-at-edge", cut_short, (3, 10, 30), HARD),
    "pixels a side ": ("enough-pictures", smaller, (4, 3, 2), ("fashion-mnist",)),
    "pixels a side": ("richer-features", smaller, (4, 3, 2), HARD),
}
STATES = {"overfitting", "underfitting", "more-pictures", "enough-pictures", "richer-features", "few-judged"}


def trial_of(fault: str, level: int, i: int, seed: int) -> tuple[Run, str]:
    code, plant, strengths, sets = FAULTS[fault]
    rng = np.random.default_rng([seed, i, level, sorted(FAULTS).index(fault)])
    # that a curve is flat within half a point takes some thousand pictures
    trial = draw(sets[i % len(sets)], 6000 if code == "enough-pictures" else 600, rng)
    return run(trial, plant(trial, strengths[level])), code


def clean(i: int, seed: int) -> tuple[list[str], str]:
    """The codes told of a run in which nothing was planted, less those that the data set deserves."""
    name, options = ALL[i % 3], {"solver": "sgd", "max_iter": 100} if i // 3 % 3 == 2 else {}
    size = 1000 if name == "digits" else 600
    found = run(draw(name, size, np.random.default_rng([seed, 999, i]), alpha="auto", **options))
    # raw pixels of clothes and hands do overfit, underfit and ask for more pictures, and SGD does end before its
    # optimum: true, so no false alarm
    true = (STATES if name != "digits" else set()) | ({"not-converged"} if options else set())
    return [f.code for f in found.findings if f.code not in true], name


def table(result: dict[str, Any]) -> str:
    """The two tables of docs/diagnoses.md."""
    lines = ["| planted | finding | strengths | hit at each | trials |", "|---|---|---|---|---|"]
    for fault, row in result["faults"].items():
        strengths = " · ".join(f"{s:g}" for s in row["strengths"])
        hits = " · ".join(f"{100 * h / max(n, 1):.0f} %" for h, n in zip(row["hits"], row["trials"], strict=True))
        lines.append(f"| {fault.strip()} | `{row['code']}` | {strengths} | {hits} | {sum(row['trials'])} |")
    lines += ["", missed(result)]
    lines += [
        "",
        f"False alarms in {result['clean_runs']} clean runs:",
        "",
        "| finding | told | share |",
        "|---|---|---|",
    ]
    for code in CHECKS:
        n = result["false_alarms"].get(code, 0)
        lines.append(f"| `{code}` | {n} | {100 * n / max(result['clean_runs'], 1):.1f} % |")
    return "\n".join(lines) + "\n"


def missed(result: dict[str, Any]) -> str:
    """Which aims these runs miss, in words."""
    rows = [(fault.strip(), row["hits"][1], row["trials"][1], row["code"]) for fault, row in result["faults"].items()]
    below = [f"`{code}` ({fault}: {hits} of {n})" for fault, hits, n, code in rows if hits < HIT * n]
    told = {code: n for code, n in result["false_alarms"].items() if n > FALSE * result["clean_runs"]}
    above = [f"`{code}` ({n} of {result['clean_runs']})" for code, n in told.items()]
    hits, n = (sum(row[i] for row in rows) for i in (1, 2))
    return (
        f"At the middle strength {hits} of {n} planted faults are told. Below the aim of {HIT:.0%} there: "
        f"{', '.join(below) or 'none'}. False alarms above the aim of {FALSE:.0%}: {', '.join(above) or 'none'}."
    )


def campaign(trials: int, clean_runs: int, seed: int, minutes: float, only: list[str]) -> dict[str, Any]:
    """All faults, or those of some codes, at all strengths, interleaved so that a campaign cut short by `minutes` is
    still a fair sample."""
    start, faults = time.perf_counter(), {}
    for fault, (code, _, strengths, _) in FAULTS.items():
        if not only or code in only:
            row = {"code": code, "seed": seed, "strengths": list(strengths), "hits": [0] * 3, "trials": [0] * 3}
            faults[fault] = row
    alarms: Counter[str] = Counter()
    runs, per_round = 0, -(-clean_runs // trials)
    for i in range(trials):
        for fault, row in faults.items():
            for level in range(3):
                found, code = trial_of(fault, level, i, seed)
                row["hits"][level] += code in [f.code for f in found.findings]
                row["trials"][level] += 1
        for j in range(per_round):
            codes, name = clean(i * per_round + j, seed)
            alarms.update(codes)
            runs += 1
            if set(codes) - {"sound"}:
                print("clean", name, [c for c in codes if c != "sound"], file=sys.stderr, flush=True)
        print(f"round {i + 1}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        if time.perf_counter() - start > 60 * minutes:
            break
    false = {code: n for code, n in alarms.items() if code != "sound"}
    return {"seed": seed, "faults": faults, "clean_runs": runs, "false_alarms": false}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=4, help="per fault and strength")
    parser.add_argument("--clean", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument(
        "--only", action="append", default=[], metavar="CODE", help="the other rows stay, clean runs add up"
    )
    parser.add_argument("--out", default=str(Path(__file__).with_suffix(".json")))
    parser.add_argument("--table", action="store_true", help="write the tables into docs/diagnoses.md")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    result = campaign(asked.trials, asked.clean, asked.seed, asked.minutes, asked.only)
    if asked.only:
        before = json.loads(Path(asked.out).read_text(encoding="utf-8"))
        result["faults"] = before["faults"] | result["faults"]
        result["clean_runs"] += before["clean_runs"]
        result["false_alarms"] = dict(Counter(before["false_alarms"]) + Counter(result["false_alarms"]))
    Path(asked.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))
    if asked.table:
        page = ROOT / "docs" / "diagnoses.md"
        head = page.read_text(encoding="utf-8").split("<!-- generated -->")[0]
        page.write_text(head + "<!-- generated -->\n\n" + table(result), encoding="utf-8")


if __name__ == "__main__":
    main()
