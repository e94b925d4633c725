"""Softmax + L2 on rows on disk, four times as large as the budget: the optimum, resident memory, seconds of a pass.

    python benchmarks/out_of_core.py [--megabytes 2048] [--folder DIR]

One subprocess a measurement. `read`: the file once from end to end into one reused buffer; `fit`: the same fit on the
path and on the array in memory, then passes by themselves (value and gradient at the optimum). Peak resident memory is
VmHWM, less nothing: interpreter and libraries count, pages of the file that the system caches do not. `cold`
measurements drop the file from that cache before every read or pass (posix_fadvise), `warm` ones leave it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

D, K, ALPHA = 768, 10, 1e-3


def make(path: Path, megabytes: int) -> int:
    """Rows with a falling spectrum and labels by a noisy linear rule; the rows' number."""
    n = (megabytes << 20) // (4 * D)
    rng = np.random.default_rng(0)
    spread = (1 / np.sqrt(1 + np.arange(D))).astype(np.float32)
    rule = rng.normal(size=(D, K)).astype(np.float32)
    out, y = np.lib.format.open_memmap(path, "w+", np.float32, (n, D)), np.empty(n, np.int64)
    pool = rng.standard_normal((8192, D), dtype=np.float32)
    for i in range(0, n, 4096):
        m = min(4096, n - i)
        rows = pool[rng.integers(0, 8192, m)] + 0.5 * pool[rng.integers(0, 8192, m)]
        out[i : i + m] = rows * spread
        y[i : i + m] = (out[i : i + m] @ rule + rng.gumbel(size=(m, K))).argmax(axis=1)
    out.flush()
    np.save(path.with_suffix(".labels.npy"), y)
    return n


def drop(path: Path) -> None:
    """Take the file out of the system's cache, as far as the system agrees."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def peak() -> float:
    """Peak resident memory in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def read(path: Path, cold: bool) -> dict:
    buffer, seconds = bytearray(8 << 20), []
    for _ in range(3):
        if cold:
            drop(path)
        start = time.perf_counter()
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
        seconds.append(time.perf_counter() - start)
    return {"seconds": sorted(seconds)[1], "peak_mb": peak()}


def fit(path: Path, cold: bool, budget: int | None) -> dict:
    """On the path with this budget, or (None) on the array in memory."""
    warnings.simplefilter("ignore")
    from linearhead import SoftmaxClassifier
    from linearhead.design import StoredArray

    y = np.load(path.with_suffix(".labels.npy"))
    X = np.load(path) if budget is None else StoredArray(path, budget)
    start = time.perf_counter()
    found = SoftmaxClassifier(alpha=ALPHA, tol=1e-6).fit(X, y)
    whole = time.perf_counter() - start
    problem, spans = objective(X, y), []
    theta = problem.design.from_stored(np.vstack([found.coef_.T, found.intercept_]).astype(np.float64))
    with problem.design.session():
        for _ in range(6):
            if cold:
                drop(path)
            before = time.perf_counter()
            problem.at(theta)
            spans.append(time.perf_counter() - before)
    np.savez(path.with_suffix(f".{budget}.npz"), coef=found.coef_, intercept=found.intercept_)
    certificate = found.certificate_
    return {
        "seconds": whole,
        "passes": found.trace_.passes[-1],
        "seconds_per_pass": float(np.median(spans[1:])),
        "peak_mb": peak(),
        "value": certificate.value,
        "gap": certificate.gap,
        "residual": certificate.residual,
    }


def objective(X, y):
    """What the fit minimises, for a pass by itself; the estimator's own X, so that what is kept stays kept."""
    from linearhead.design import design_of
    from linearhead.losses import LOSSES
    from linearhead.objective import Objective
    from linearhead.penalties import PENALTIES

    return Objective(design_of(X).fitted(), y, K, LOSSES["cross_entropy"](), PENALTIES["l2"](), ALPHA)


def measured(path: Path, what: str, cold: bool, budget: int | None) -> dict:
    command = [sys.executable, __file__, "--one", what, "--path", str(path), "--cold", str(int(cold))]
    command += [] if budget is None else ["--budget", str(budget)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--megabytes", type=int, default=2048)
    options.add_argument("--folder", default=None)
    options.add_argument("--one", help=argparse.SUPPRESS)
    options.add_argument("--path", help=argparse.SUPPRESS)
    options.add_argument("--cold", type=int, help=argparse.SUPPRESS)
    options.add_argument("--budget", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        path, cold = Path(given.path), bool(given.cold)
        print(json.dumps(read(path, cold) if given.one == "read" else fit(path, cold, given.budget)))
        return
    budget = given.megabytes * (1 << 20) // 4
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "rows.npy"
        n, found = make(path, given.megabytes), {}
        for name, cold in (("warm", False), ("cold", True)):
            reading, fitting = measured(path, "read", cold, None), measured(path, "fit", cold, budget)
            ratio = fitting["seconds_per_pass"] / reading["seconds"]
            found[name] = {"read": reading, "fit": fitting, "pass_over_read": ratio}
        found["in_memory"] = measured(path, "fit", False, None)
        mine, theirs = (np.load(path.with_suffix(f".{b}.npz")) for b in (budget, None))
        largest = float(np.abs(theirs["coef"]).max())
        off = float(np.abs(mine["coef"] - theirs["coef"]).max()) / largest
    record = {
        "rows": n,
        "columns": D,
        "classes": K,
        "file_mb": given.megabytes,
        "budget_mb": budget >> 20,
        "peak_over_budget_mb": {name: found[name]["fit"]["peak_mb"] - (budget >> 20) for name in ("warm", "cold")},
        "coefficients_off": off,
        "results": found,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
