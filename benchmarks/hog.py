"""HOG here against scikit-image's, side by side on one thread: python benchmarks/hog.py → hog.json beside this file.

Both describe the same pictures, in turn, `ROUNDS` times; the medians of the CPU seconds are compared, since other
programs on the machine delay the clock on the wall but not that of the thread. Every row is checked to 1e-6.
"""

import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import skimage
from skimage.feature import hog as oracle

from linearhead.features import Hog

ROUNDS = 11
CASES = [
    ((28, 28, 1), 400),
    ((32, 32, 3), 300),
    ((64, 64, 1), 150),
    ((64, 64, 3), 150),
    ((128, 128, 3), 40),
    ((200, 200, 3), 20),
]


def pictures(n, shape, seed=0):
    """Smooth waves with noise: bytes (n, h, w, c)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]][..., None]
    a, b, phase = rng.normal(0, 0.4, (3, n, 1, 1, shape[2]))
    waves = 90 * np.sin(a * x + b * y + 5 * phase) + rng.normal(128, 15, (n, *shape))
    return np.clip(waves, 0, 255).astype(np.uint8)


def scikit_image(batch, cell):
    grey = batch.shape[3] == 1
    return np.array(
        [
            oracle(
                picture[..., 0] if grey else picture,
                orientations=9,
                pixels_per_cell=(cell, cell),
                cells_per_block=(2, 2),
                block_norm="L2-Hys",
                channel_axis=None if grey else -1,
            )
            for picture in batch
        ]
    )


def measure(shape, n):
    batch, extractor = pictures(n, shape), Hog()
    cell = extractor.cell_size(*shape[:2])
    ways = {"here": lambda: extractor.transform(batch, threads=1), "scikit_image": lambda: scikit_image(batch, cell)}
    difference = float(np.abs(ways["here"]() - ways["scikit_image"]()).max())
    assert difference <= 1e-6, difference
    seconds = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            start = time.thread_time()
            work()
            seconds[way].append(time.thread_time() - start)
    per_picture = {way: 1e6 * statistics.median(times) / n for way, times in seconds.items()}
    return {
        "picture": list(shape),
        "cell": cell,
        "pictures": n,
        "largest_difference": difference,
        "microseconds_per_picture": {way: round(value, 1) for way, value in per_picture.items()},
        "times_as_fast": round(per_picture["scikit_image"] / per_picture["here"], 1),
    }


def main():
    result = {
        "what": "CPU microseconds per picture on one thread, median of rounds, both ways in turn",
        "rounds": ROUNDS,
        "cases": [],
        "environment": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-image": skimage.__version__,
            "machine": platform.machine(),
        },
    }
    for shape, n in CASES:
        result["cases"].append(measure(shape, n))
        print(json.dumps(result["cases"][-1]))
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
