"""Colour pictures of 32×32, made of grey ones: python benchmarks/colour.py ../shared/data/fashion-mnist [options]

The published colour sets are not at hand. In their place: every training picture of Fashion-MNIST in one random colour,
at a random place of 32×32 pixels, before a random blurred background, with noise. The same pictures for the same seed.
50 000 train, 10 000 judge; the official test pictures have no part in it.

--quality fast|balanced|best   trains on them, writes the figures into colour.json beside this file
--features SPEC                default patches
--out FILE.npz                 writes the pictures (x_train, y_train, x_test, y_test), for `linearhead train FILE.npz`
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from linearhead import train
from linearhead.data import open_dataset

# pixels; random colours along a side of the background; deviation of the noise, of 255
SIDE, CELLS, NOISE = 32, 4, 12.0
JUDGES = 10_000
RECORD = Path(__file__).with_suffix(".json")


def painted(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (n, h, w) → uint8 (n, 32, 32, 3): a picture's brightness mixes its colour into its background."""
    n, height, width = grey.shape
    share = np.zeros((n, SIDE, SIDE, 1), np.float32)
    places = rng.integers(0, (SIDE - height + 1, SIDE - width + 1), (n, 2))
    for mask, picture, (top, left) in zip(share, grey, places, strict=True):
        mask[top : top + height, left : left + width, 0] = picture / np.float32(255)
    # from colours in a few cells to pixels, linear in between
    at = np.abs(np.linspace(0, CELLS - 1, SIDE)[:, None] - np.arange(CELLS))
    blur = np.maximum(0, 1 - at).astype(np.float32)
    cells = rng.uniform(0, 255, (n, CELLS, CELLS, 3)).astype(np.float32)
    background = np.einsum("yi,xj,nijc->nyxc", blur, blur, cells, optimize=True)
    colour = rng.uniform(0, 255, (n, 1, 1, 3)).astype(np.float32)
    shown = background + share * (colour - background)
    shown += NOISE * rng.standard_normal(shown.shape, dtype=np.float32)
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def pictures(source: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """x_train (50 000, 32, 32, 3), y_train, x_test (10 000, …), y_test: the training pictures of `source`."""
    dataset, rng = open_dataset(source), np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(dataset.splits != "test"))
    grey = np.stack([np.asarray(dataset.read(int(i))) for i in rows])
    x, y = painted(grey, rng), np.array(dataset.classes)[dataset.labels[rows]]
    n = len(x) - JUDGES
    return {"x_train": x[:n], "y_train": y[:n], "x_test": x[n:], "y_test": y[n:]}


def row(data: dict[str, np.ndarray], features: str, quality: str) -> dict:
    """One training as users start it: accuracy, seconds on the wall and of the processors, the peak of memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(data, out=Path(folder) / "run", features=features, quality=quality, cache=None)
        run, report = outcome.run, outcome.report.stat().st_size
    judged = run.evaluations["test"]
    return {
        "features": run.features["name"],
        "quality": quality,
        "numbers": run.features["dimension"],
        "trained": len(data["x_train"]),
        "judged": judged.n,
        "accuracy": judged.accuracy,
        "accuracy_interval": judged.accuracy_interval,
        "log_loss": judged.log_loss,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "report_bytes": report,
        "stages": {name: round(s, 1) for name, s in run.seconds.items()},
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("source", type=Path)
    options.add_argument("--quality", choices=("fast", "balanced", "best"))
    options.add_argument("--features", default="patches")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    data = pictures(given.source)
    if given.out is not None:
        np.savez(given.out, **data)
    if given.quality is not None:
        found = row(data, given.features, given.quality)
        rows = json.loads(RECORD.read_text())["rows"] if RECORD.exists() else []
        key = ("features", "quality")
        rows = [old for old in rows if [old[k] for k in key] != [found[k] for k in key]] + [found]
        RECORD.write_text(json.dumps({"what": __doc__, "rows": rows}, indent=1) + "\n")
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
