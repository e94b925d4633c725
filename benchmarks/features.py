"""Accuracy and seconds of every extractor on real pictures: python benchmarks/features.py ../shared/data [--full]

Each row is one `linearhead.train`, softmax with its own alpha path and the data's own test split, or a fifth held out.
"auto" is the default of train: the leaderboard included. Fashion-MNIST is judged on its official test pictures, after
training on SHARE of its training pictures by default and on all of them with --full, which adds the quality best and,
for the small sets, patches by name beside what auto chose. Seconds are those of the record: all, and by part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path

import numpy as np

from linearhead import train
from linearhead.data import open_dataset

SMALL = ("sign-digits", "trash-photos", "omniglot-small")
SPECS = ("pixels", "hog", "auto")
SHARE = 5000  # training pictures of Fashion-MNIST by default


def row(data: Path, features: str, quality: str = "balanced") -> dict:
    with tempfile.TemporaryDirectory() as folder:
        run = train(data, out=Path(folder) / "run", features=features, quality=quality).run
    test = run.evaluations["test"]
    board = run.leaderboard
    return {
        "data": data.name,
        "features": features,
        "quality": quality,
        "chosen": run.features["name"],
        "dimension": run.features["dimension"],
        "trained": sum(run.data.counts["train"]) + sum(run.data.counts["valid"]),
        "judged": test.n,
        "accuracy": test.accuracy,
        "accuracy_interval": test.accuracy_interval,
        "log_loss": test.log_loss,
        "seconds": {name: round(s, 1) for name, s in run.seconds.items()},
        "leaderboard": None if board is None else [[c.features, c.loss, c.accuracy] for c in board.candidates],
    }


def thinned(source: Path, folder: Path) -> Path:
    """Fashion-MNIST with fewer training pictures, as npz: the same official test pictures."""
    dataset = open_dataset(source)
    test = np.flatnonzero(dataset.splits == "test")
    some = np.random.default_rng(0).permutation(np.flatnonzero(dataset.splits != "test"))[:SHARE]
    out = folder / source.name
    out.mkdir()
    for name, rows in (("train", some), ("test", test)):
        pictures = np.stack([np.asarray(dataset.read(int(i))) for i in rows])
        labels = np.array([dataset.classes[y] for y in dataset.labels[rows]])
        np.savez(out / f"{name}.npz", images=pictures, labels=labels)
    return out


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("data", type=Path)
    options.add_argument("--full", action="store_true", help="all of Fashion-MNIST, at balanced and best")
    options.add_argument("--only", nargs="*", help="folders to run, instead of all")
    given = options.parse_args()
    rows = []

    def add(*job: object) -> None:
        rows.append(row(*job))  # type: ignore[arg-type]
        r = rows[-1]
        low, high = (100 * bound for bound in r["accuracy_interval"])
        found = f"{100 * r['accuracy']:.2f} % ({low:.1f} – {high:.1f})"
        print(
            f"{r['data']:<15} {r['features']:<8} {r['quality']:<9} {found} "
            f"{r['seconds']['total']:>7.1f} s  {r['chosen']}, {r['dimension']} numbers",
            flush=True,
        )

    wanted = given.only or [*SMALL, "fashion-mnist"]
    for name in SMALL:
        for spec in (*SPECS, "patches") if given.full else SPECS:
            if name in wanted:
                add(given.data / name, spec)
    with tempfile.TemporaryDirectory() as folder:
        if "fashion-mnist" in wanted:
            source = given.data / "fashion-mnist" if given.full else thinned(given.data / "fashion-mnist", Path(folder))
            for spec in ("pixels", "hog", "patches"):
                add(source, spec)
            if given.full:
                add(source, "patches", "best")
    record = {"what": __doc__, "rows": rows, "environment": environment()}
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


def environment() -> dict[str, object]:
    return {"python": platform.python_version(), "numpy": np.__version__, "processors": len(os.sched_getaffinity(0))}


if __name__ == "__main__":
    main()
