"""Arithmetic and memory of `patches`: python benchmarks/patches.py → patches.json beside this file.

Arithmetic: multiply-adds of windows × filters (of mirrored pairs half) and whitening, as the layer makes them, over
the seconds of `transform` with everything else that it does (cutting windows, contrast, lengths, threshold, pooling,
roots), against a square float32 product of NumPy on the same cores; the two run in turn, `ROUNDS` times; the share is
the median of the rounds' shares.
Memory: what the process's peak grows by during `transform` of 60 000 pictures of 28×28, less the rows it returns, for
few and for many filters, each in a process of its own, with few places and windows: only the filters matter there.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from linearhead.features import Patches

ROUNDS = 7
SQUARE = 2048
CASES = [  # picture, filters, whether in mirrored pairs, pictures
    ((28, 28, 1), 489, 0, 160),
    ((28, 28, 1), 978, 1, 80),
    ((32, 32, 3), 447, 0, 120),
    ((32, 32, 3), 894, 1, 80),
    ((32, 32, 3), 1788, 0, 40),
    ((32, 32, 3), 3298, 1, 40),
    ((64, 64, 3), 200, 0, 120),
]
MANY = 60_000
FILTERS = (32, 512)


def pictures(n: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def operations(extractor: Patches, shape: tuple[int, int, int]) -> float:
    """Floating-point operations of one picture's matrix products."""
    rows, columns = extractor.layout(*shape[:2])
    down, across = (along.firsts[-1] + along.count for along in (rows, columns))
    bank, whitening = extractor._kernels
    responses = len(rows.firsts) * rows.count * across * sum(half.size for half in bank)
    return 2.0 * (responses + down * across * sum(step.weights.size for step in whitening))


def arithmetic(shape: tuple[int, int, int], filters: int, mirror: int, n: int) -> dict:
    batch = pictures(n, shape)
    extractor = Patches(filters=filters, grid=4, mirror=mirror).fit(batch)
    a = np.random.default_rng(1).random((SQUARE, SQUARE), dtype=np.float32)
    here, square = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        extractor.transform(batch)
        here.append(n * operations(extractor, shape) / (time.perf_counter() - start))
        start = time.perf_counter()
        a @ a
        square.append(2.0 * SQUARE**3 / (time.perf_counter() - start))
    ours, peer = statistics.median(here), statistics.median(square)
    return {
        "picture": list(shape),
        "patch": extractor.patch,
        "filters": filters,
        "mirror": mirror,
        "gflops": round(ours / 1e9, 1),
        "square_gflops": round(peer / 1e9, 1),
        "share": round(statistics.median(h / s for h, s in zip(here, square, strict=True)), 3),
        "milliseconds_per_picture": round(1e3 * operations(extractor, shape) / ours, 3),
    }


def memory(filters: int) -> dict:
    """In a process of its own, whose peak is then this job's."""
    code = f"from patches import peak; print(peak({filters}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    return {"pictures": MANY, "filters": filters, "megabytes_beyond_pictures_and_rows": round(float(done.stdout), 1)}


def peak(filters: int) -> float:
    """Megabytes that the peak grows by in `transform`, less the rows."""
    batch = pictures(MANY, (28, 28, 1))
    extractor = Patches(filters=filters, grid=1, stride=4).fit(batch[:500])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = extractor.transform(batch)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return grown / 1024 - rows.nbytes / 2**20


def main() -> None:
    result = {"what": __doc__, "arithmetic": [], "memory": []}
    for case in CASES:
        result["arithmetic"].append(arithmetic(*case))
        print(json.dumps(result["arithmetic"][-1]), flush=True)
    for filters in FILTERS:
        result["memory"].append(memory(filters))
        print(json.dumps(result["memory"][-1]), flush=True)
    cores = len(os.sched_getaffinity(0))
    result["environment"] = {"python": platform.python_version(), "numpy": np.__version__, "processors": cores}
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
