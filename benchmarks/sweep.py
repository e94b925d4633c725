"""One pass over the rows: its share of GEMM speed, its bits on any number of threads, a fit's memory over X's.

    python benchmarks/sweep.py [--rows 60000] [--columns 784]

GEMM speed is that of a square float32 product of 3 000 on all cores, in the same run. Memory is the peak of a process
that makes X, fits softmax + L2 for ten iterations and certifies, less its peak before the fit. Results in sweep.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

KINDS = ("float32", "float16", "uint8")


def rows(n: int, d: int, kind: str = "float32") -> np.ndarray:
    rng = np.random.default_rng(0)
    X = np.empty((n, d), kind)
    for i in range(0, n, 128):
        X[i : i + 128] = rng.integers(0, 255, X[i : i + 128].shape) / (1 if kind == "uint8" else 255)
    return X


def fastest(run, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def problem(X: np.ndarray, k: int):
    from linearhead.design import design_of
    from linearhead.losses import LOSSES
    from linearhead.objective import Objective
    from linearhead.penalties import PENALTIES

    y = np.random.default_rng(1).integers(0, k, len(X))
    design = design_of(X, intercept=True).fitted(None, False)
    return Objective(design, y, k, LOSSES["cross_entropy"](), PENALTIES["l2"](), 1e-4)


def speed(X: np.ndarray, k: int) -> dict:
    square = np.random.default_rng(0).random((3000, 3000), dtype=np.float32)
    objective = problem(X, k)
    theta = np.random.default_rng(2).standard_normal((X.shape[1] + 1, k)) * 0.01
    gemm, passes = [], []
    for _ in range(3):  # in turn: both see the same load
        gemm.append(2 * 3000**3 / fastest(lambda: square @ square, 2))
        with objective.design.session():
            passes.append(fastest(lambda: objective.at(theta), 3 if k < 500 else 1))
    flops = 4 * X.shape[0] * X.shape[1] * k / min(passes)
    bits = set()
    for threads in (1, 2, 3):
        point = replace(objective, design=replace(objective.design, threads=threads)).at(theta)
        bits.add(hashlib.sha256(point.gradient.tobytes() + np.float64(point.value).tobytes()).hexdigest())
    return {
        "classes": k,
        "seconds": min(passes),
        "gflops": flops / 1e9,
        "gemm_gflops": max(gemm) / 1e9,
        "efficiency": flops / max(gemm),
        "same_bits_on_1_2_3_threads": len(bits) == 1,
    }


def memory(n: int, d: int, k: int, kind: str) -> dict:
    """In a process of its own."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from sweep import rows
from linearhead import SoftmaxClassifier
small = np.random.default_rng(0).random((500, 20), dtype=np.float32)
SoftmaxClassifier(max_iter=2).fit(small, np.arange(500) % 3)  # libraries loaded, their buffers made
X, y = rows({n}, {d}, {kind!r}), np.random.default_rng(1).integers(0, {k}, {n})
status = lambda name: int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) * 1024
open("/proc/self/clear_refs", "w").write("5")  # the peak begins here; getrusage's would be the parent's, too
before = status("VmRSS")
SoftmaxClassifier(max_iter=10).fit(X, y)
print(status("VmHWM") - before, X.nbytes)
"""
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    extra, own = map(int, out.stdout.split())
    return {
        "type": kind,
        "classes": k,
        "X_bytes": own,
        "extra_bytes": extra,
        "allowed_bytes": own // 4 + 4 * n * k,
        "within": extra <= own // 4 + 4 * n * k,
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=60_000)
    options.add_argument("--columns", type=int, default=784)
    given = options.parse_args()
    X = rows(given.rows, given.columns)
    record = {
        "rows": given.rows,
        "columns": given.columns,
        "speed": [speed(X, k) for k in (10, 100, 1000)],
        "memory": [memory(given.rows, given.columns, 10, kind) for kind in KINDS]
        + [memory(given.rows, given.columns, 100, "float32")],
    }
    for row in record["speed"] + record["memory"]:
        print(json.dumps(row), flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
