"""Records like those of real runs, for tests of whatever reads a `records.Run`: drawn from scikit-learn's digits.

The ten-class run is a real one in small: softmax regression by gradient descent on the scanned digits. The 136-class
run has invented predictions. Everything is seeded and quick.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from linearhead.metrics import evaluate
from linearhead.records import (
    Certificate,
    DataSummary,
    Finding,
    FitSummary,
    Picture,
    Run,
    Skipped,
    Trace,
)

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ALPHABETS = ("Balinese", "Early Aramaic", "Greek", "Korean", "Latin")


@cache
def scanned() -> tuple[np.ndarray, np.ndarray]:
    """1797 pictures (n, 8, 8) in 0 … 255 and their labels, shuffled."""
    pictures, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return (pictures[order].reshape(-1, 8, 8) / 16 * 255).astype(np.uint8), y[order]


def data_uri(picture: np.ndarray, size: int = 48, kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC).save(buffer, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def weight_uri(row: np.ndarray) -> str:
    """One row of W as an 8×8 picture: grey is zero, bright speaks for the class."""
    return data_uri((127.5 + 127.5 * row / np.abs(row).max()).astype(np.uint8).reshape(8, 8), 8)


def softmax(s: np.ndarray) -> np.ndarray:
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def descend(X: np.ndarray, y: np.ndarray, Xv: np.ndarray, yv: np.ndarray, steps: int, alpha: float, momentum=0.9):
    """Gradient descent on mean cross-entropy + alpha/2 ‖W‖²; W (d + 1, k) and its trace."""
    A, Av, k = (np.c_[a, np.ones(len(a))] for a in (X, Xv)), None, int(y.max()) + 1
    A, Av = A
    W, step, trace = np.zeros((A.shape[1], k)), np.zeros((A.shape[1], k)), Trace()
    for i in range(steps):
        p, pv = softmax(A @ W), softmax(Av @ W)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        gradient = A.T @ (p - np.eye(k)[y]) / len(y) + alpha * W * np.r_[np.ones(A.shape[1] - 1), 0][:, None]
        trace.append(
            iteration=i,
            passes=2.0 * i + 1,
            seconds=0.011 * i + 0.02,
            value=float(loss + alpha / 2 * (W[:-1] ** 2).sum()),
            gradient_norm=float(np.linalg.norm(gradient)),
            train_loss=float(loss),
            train_accuracy=float((p.argmax(1) == y).mean()),
            valid_loss=float(-np.log(pv[np.arange(len(yv)), yv]).mean()),
            valid_accuracy=float((pv.argmax(1) == yv).mean()),
        )
        step = momentum * step - 0.1 * gradient
        W = W + step
    return W, trace


def picture_list(pictures, y, p, paths, kept: Sequence[int], size: int = 48) -> list[Picture]:
    order = np.argsort(-p, axis=1)
    return [
        Picture(
            path=paths[i],
            label=int(y[i]),
            predicted=int(order[i, 0]),
            confidence=float(p[i, order[i, 0]]),
            label_confidence=float(p[i, y[i]]),
            runner_up=int(order[i, 1]),
            thumbnail=data_uri(pictures[i], size),
        )
        for i in kept
    ]


def cells_of(pictures: Sequence[Picture]) -> dict[str, list[int]]:
    cells: dict[str, list[int]] = {}
    for index, picture in enumerate(pictures):
        cells.setdefault(f"{picture.label},{picture.predicted}", []).append(index)
    return cells


def kept_rows(y: np.ndarray, p: np.ndarray, right_per_class: int = 2, limit: int = 200) -> list[int]:
    """Every wrong picture, most wrong first, and a few right ones of each class."""
    wrong = [int(i) for i in np.argsort(p[np.arange(len(y)), y]) if p[i].argmax() != y[i]]
    seen: Counter[int] = Counter()
    right = []
    for i in range(len(y)):
        if p[i].argmax() == y[i] and seen[int(y[i])] < right_per_class:
            seen[int(y[i])] += 1
            right.append(i)
    return (wrong + right)[:limit]


FINDINGS = [
    Finding(
        "overfitting",
        "Overfitting: training pictures are recognised better than new ones",
        "warning",
        "Accuracy 99.1 % on the training pictures, 94.0 % on the test pictures: a gap of 5.1 points (95 % interval "
        "3.2 to 7.4).",
        "More pictures help most. Or choose a stronger penalty: `linearhead train digits --alpha 0.01`.",
    ),
    Finding(
        "few-judged",
        "The interval is wide",
        "note",
        "360 pictures judged the model, so accuracies closer than 4 points cannot be told apart.",
        "Judge on more pictures before comparing with another model.",
    ),
    Finding("balanced", "The classes are even", "good", "From 171 to 183 pictures per class.", "Nothing to do."),
]


@cache
def _digits(k: int = 10) -> tuple:
    pictures, y = scanned()
    keep = y < k
    pictures, y = pictures[keep], y[keep]
    X = pictures.reshape(len(y), -1) / 255.0
    n = len(y)
    a, b = int(0.65 * n), int(0.8 * n)
    W, trace = descend(X[:a], y[:a], X[a:b], y[a:b], 60, 1e-4)
    p = softmax(np.c_[X, np.ones(n)] @ W)
    path = []
    for alpha in 10.0 ** np.arange(0, -7, -1):
        _, t = descend(X[:a:2], y[:a:2], X[a:b], y[a:b], 40, alpha)
        path.append({"alpha": float(alpha), **{c: getattr(t, c)[-1] for c in (
            "train_accuracy", "valid_accuracy", "train_loss", "valid_loss")}})  # fmt: skip
    return pictures, y, p, W, trace, path, (a, b)


def digits_run(k: int = 10, classes: Sequence[str] | None = None) -> Run:
    """A run on the first k digits with everything that a record can hold."""
    pictures, y, p, W, trace, path, (a, b) = _digits(k)
    names = list(classes or WORDS[:k])
    test = slice(b, None)
    paths = [f"{names[label]}/scan_{i:04d}.png" for i, label in enumerate(y)]
    kept = kept_rows(y[test], p[test])
    shown = picture_list(pictures[test], y[test], p[test], paths[b:], kept)
    best = max(path, key=lambda row: row["valid_accuracy"])
    return Run(
        version="0.1.0",
        created="2026-11-23T14:05:31+01:00",
        command="linearhead train digits --features pixels --loss cross_entropy --seed 0",
        data=DataSummary(
            source="digits",
            reader="folder",
            classes=names,
            found=len(y) + 5,
            used=len(y),
            skipped=[Skipped(f"{names[0]}/broken_{i}.jpg", "the file is truncated") for i in range(3)]
            + [Skipped("notes.txt", "not a picture"), Skipped("huge.png", "more than 178 956 970 pixels")],
            counts={
                name: np.bincount(y[part], minlength=k).tolist()
                for name, part in (("train", slice(0, a)), ("valid", slice(a, b)), ("test", test))
            },
            roles={
                "trained": f"{b} pictures: the training and validation pictures together, once alpha was chosen",
                "chose": f"{b - a} pictures held out from training chose alpha",
                "judged": f"{len(y) - b} pictures that neither trained nor chose anything",
            },
            conversions={"turned by EXIF": 12, "CMYK to RGB": 1},
        ),
        features={
            "name": "pixels",
            "dimension": 64,
            "picture": "8×8 grey",
            "preprocessing": {"height": 8, "width": 8, "mode": "L", "fit": "stretch", "background": [255, 255, 255]},
            "contract": {"name": "pixels"},
        },
        fit=FitSummary(
            loss="cross_entropy",
            penalty="l2",
            solver="lbfgs",
            alpha=best["alpha"],
            standardize=True,
            status="the tolerance was reached",
            converged=True,
            iterations=len(trace),
            passes=2.0 * len(trace),
            certificate=Certificate(trace.value[-1], 2.1e-7, 3.2e-6, 1e-5, True, 0),
            trace=trace,
            path=path,
            loss_label="cross-entropy",
        ),
        evaluations={
            "train": evaluate(y[:b], p[:b].argmax(1), names, p[:b]),
            "test": evaluate(y[test], p[test].argmax(1), names, p[test]),
        },
        findings=list(FINDINGS),
        pictures=shown,
        most_wrong=[i for i, picture in enumerate(shown) if picture.label != picture.predicted][:24],
        cells=cells_of(shown),
        weights=[weight_uri(W[:-1, j]) for j in range(k)],
        seconds={
            "list pictures": 0.04,
            "decode and features": 0.83,
            "fit": 1.37,
            "judge": 0.08,
            "pictures for the report": 0.3,
            "total": 2.91,
        },
        environment={"python": "3.11.2", "numpy": "2.3.1", "platform": "Linux x86_64", "threads": "2"},
    )


def letters_run(k: int = 136, n: int = 680, pictures: int = 200) -> Run:
    """Many classes with few pictures each: letters of five alphabets, invented predictions."""
    rng = np.random.default_rng(7)
    names = [f"{ALPHABETS[i * 5 // k]}-c{i % 28 + 1:02d}" for i in range(k)]
    names = [f"{name}{'' if names.index(name) == i else '′'}" for i, name in enumerate(names)]
    y = np.arange(n) % k
    scores = rng.normal(0, 1, (n, k))
    scores[np.arange(n), y] += 3.3
    for offset, pull in ((1, 1.6), (3, 1.0), (40, 0.6)):
        scores[np.arange(n), (y + offset) % k] += pull
    p = softmax(1.4 * scores)
    scans, _ = scanned()
    run = digits_run()
    paths = [f"{names[label]}/{i:04d}_{label:02d}.png" for i, label in enumerate(y)]
    shown = picture_list(scans, y, p, paths, kept_rows(y, p, 1, pictures))
    judged = evaluate(y, p.argmax(1), names, p)
    trained = evaluate(y, y, names, np.eye(k)[y] * 0.9 + 0.1 / k)
    data = replace(
        run.data,
        source="letters",
        classes=names,
        found=4 * n,
        used=4 * n,
        skipped=[],
        counts={"train": [3 * n // k] * k, "test": np.bincount(y, minlength=k).tolist()},
        conversions={},
    )
    return replace(
        run,
        data=data,
        command="linearhead train letters",
        features={"name": "hog+color", "dimension": 1152, "picture": "64×64 RGB"},
        evaluations={"train": trained, "test": judged},
        pictures=shown,
        most_wrong=[i for i, picture in enumerate(shown) if picture.label != picture.predicted][:24],
        cells=cells_of(shown),
        weights=[],
    )


def two_class_run() -> Run:
    """Even and odd would be hard; nought and one are easy: everything right, nothing to confuse."""
    run = digits_run(2, ["nought", "one"])
    return replace(run, findings=[replace(FINDINGS[2], title="No fault of this model was found")])


def hinge_run() -> Run:
    """A margin loss: no probabilities, so no log loss and no confidence; and a fit that missed its tolerance."""
    run = digits_run()
    pictures = [replace(p, confidence=None, label_confidence=None) for p in run.pictures]
    evaluations = {name: replace(e, log_loss=None) for name, e in run.evaluations.items()}
    certificate = Certificate(0.4123, 3.1e-3, 2.2e-2, 1e-4, False, 7)
    fit = replace(
        run.fit,
        loss="hinge",
        loss_label="hinge (sum form, Δ = 1)",
        converged=False,
        status="the iteration limit came before the tolerance; raise max_iter or tol",
        certificate=certificate,
        path=[],
    )
    finding = Finding("not-converged", "The fit stopped before its optimum", "problem", fit.status, "Raise --max-iter.")
    return replace(run, fit=fit, pictures=pictures, evaluations=evaluations, findings=[*FINDINGS, finding], weights=[])


def without_pictures() -> Run:
    return replace(digits_run(), pictures=[], most_wrong=[], cells={}, weights=[])


def bare_run() -> Run:
    """The least that a record can hold: no trace, certificate, path, findings, pictures, seconds or environment."""
    run = without_pictures()
    fit = replace(run.fit, trace=Trace(), certificate=None, path=[], loss_label="")
    data = replace(run.data, roles={}, conversions={}, skipped=[], found=run.data.used)
    only_test = {"test": run.evaluations["test"]}
    return replace(run, fit=fit, data=data, evaluations=only_test, findings=[], seconds={}, environment={}, features={})
