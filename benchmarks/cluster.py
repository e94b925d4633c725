"""Rows on a Dask cluster of local processes: bits after kills, the optimum of one machine, overhead, a model of costs.

    python benchmarks/cluster.py kills --fits 100
    python benchmarks/cluster.py problems --problems 40
    python benchmarks/cluster.py overhead
    python benchmarks/cluster.py model
    python benchmarks/cluster.py passes
    python benchmarks/cluster.py peer --workers 2 --python PLACE/bin/python     # dask-ml beside it

Each part writes its own figures into cluster.json. Cores that other programs use make seconds longer: the least of
several is kept, processor seconds beside those of the clock, and the load is noted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # a worker imports this file as well, and has no use for what takes seconds to import
    from linearhead import LinearClassifier
    from linearhead.design import Cluster, ClusterArray, ClusterRows, Rows, StoredArray, StoredRows, connect
    from linearhead.experiment import cost
    from linearhead.losses import LOSSES, CrossEntropy
    from linearhead.objective import Objective
    from linearhead.penalties import L2

RECORD = Path(__file__).with_suffix(".json")
SMOOTH = ("cross_entropy", "logistic", "squared_hinge", "squared")
CORES = len(os.sched_getaffinity(0))
CHUNKINGS = ("one file", "ragged", "empty files", "by class")


def keep(part: str, found: dict) -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    record[part] = found | {"load": round(os.getloadavg()[0], 1), "machine_cores": CORES}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record[part], indent=1))


def data(n: int, d: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 2.0 ** rng.integers(-2, 3, size=d) + rng.normal(size=d)
    return X, (X @ rng.normal(size=(d, k)) / np.sqrt(d) + rng.gumbel(size=(n, k))).argmax(axis=1)


class Shards:
    def __init__(self, folder: Path, X: np.ndarray, cuts: tuple[int, ...]) -> None:
        folder.mkdir(parents=True)
        self.shards = []
        for i, part in enumerate(np.split(X, list(cuts))):
            np.save(folder / f"{i}.npy", part)
            self.shards.append(np.load(folder / f"{i}.npy", mmap_mode="r"))


def chunked(
    folder: Path, X: np.ndarray, y: np.ndarray, chunking: str, seed: int
) -> tuple[Shards, np.ndarray, np.ndarray]:
    """The rows in files of some kind, and as they then stand."""
    n, rng = len(y), np.random.default_rng(seed)
    cuts: tuple = ()
    if chunking == "ragged":
        cuts = tuple(np.sort(rng.choice(np.arange(1, n), 7, replace=False)))
    elif chunking == "empty files":
        cuts = (0, 0, n // 3, n // 3, n)
    elif chunking == "by class":
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
        cuts = tuple(np.flatnonzero(np.diff(y)) + 1)
    return Shards(folder, X, cuts), X, y


# ── kills ─────────────────────────────────────────────────────────────────────────────────────────
def worker_pids(cluster: Cluster) -> list[int]:
    """The processes of workers that are at work; one that only begins would take its nanny with it."""
    return [pid for pid in cluster.client.run(os.getpid, on_error="ignore").values() if isinstance(pid, int)]


def kills(fits: int, workers: int, per_fit: int) -> dict:
    """Fits in which workers are killed at random moments, beside one in which nobody dies."""
    rng, same, killed, in_pass = np.random.default_rng(0), 0, 0, 0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, connect(f"local:{workers}") as cluster:
        for fit in range(fits):
            X, y = data(20_000, 24, 5, fit % 5)
            source = Shards(Path(folder, str(fit)), X.astype(np.float32), ())
            array = ClusterArray(source, cluster, leaf_bytes=1 << 16)
            options = {"loss": SMOOTH[fit % 3], "alpha": 1e-3}  # those that take many rounds
            wanted = LinearClassifier(**options).fit(array, y)
            when = set(rng.choice(np.arange(1, 8), per_fit, replace=False).tolist())
            done: list[int] = []

            def kill(row: dict, when=when, done=done) -> None:
                if row["iteration"] in when:
                    victims = worker_pids(cluster)
                    if victims:
                        victim = int(rng.choice(victims))
                        delay = float(rng.uniform(0, 0.03))
                        done.append(victim)
                        threading.Timer(delay, ends, (victim,)).start()

            before = cluster.lost
            found = LinearClassifier(**options, callback=kill).fit(array, y)
            same += found.coef_.tobytes() == wanted.coef_.tobytes()
            same += found.intercept_.tobytes() == wanted.intercept_.tobytes()
            killed += len(done)
            in_pass += cluster.lost - before
            if fit % 10 == 9:
                print(f"{fit + 1} fits, {killed} kills, {same} of {2 * fit + 2} the same bits", flush=True)
    return {
        "fits": fits,
        "workers": workers,
        "kills": killed,
        "other_bits": 2 * fits - same,
        "tasks_asked_for_again": in_pass,
        "seconds": time.perf_counter() - started,
    }


def ends(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# ── problems ──────────────────────────────────────────────────────────────────────────────────────
def problems(count: int, every_chunking: bool) -> dict:
    """Problems × losses × chunkings beside the fit on one machine; 1, 2 and 4 workers in turn, and all for the bits."""

    class Some(Cluster):
        """The first so many workers of a cluster."""

        def __init__(self, cluster: Cluster, many: int) -> None:
            super().__init__(cluster.client, cluster.say)
            self.many = many

        def workers(self) -> dict[str, int]:
            return dict(sorted(super().workers().items())[: self.many])

    worst = {"coef": 0.0, "intercept": 0.0}
    fits = bits = other = 0
    with tempfile.TemporaryDirectory() as folder, connect("local:4") as cluster:
        some = {many: Some(cluster, many) for many in (1, 2, 4)}
        for p in range(count):
            rng = np.random.default_rng(1000 + p)
            n, d, k = int(rng.integers(300, 4000)), int(rng.integers(2, 60)), int(rng.integers(2, 9))
            X, y = data(n, d, k, p)
            options = {"alpha": float(10 ** rng.uniform(-3, -1)), "tol": 1e-9, "standardize": bool(p % 2)}
            options["fit_intercept"] = p % 5 > 0
            for i, loss in enumerate(SMOOTH):
                turn = (p + i) % len(CHUNKINGS)
                for chunking in CHUNKINGS if every_chunking else CHUNKINGS[turn : turn + 1]:
                    source, Z, z = chunked(Path(folder, f"{p}-{loss}-{chunking}"), X, y, chunking, p)
                    model = LinearClassifier(loss, **options)
                    wanted, seen = model.fit(Z, z), set()
                    coef, intercept = wanted.coef_.copy(), wanted.intercept_.copy()
                    for many in (1, 2, 4) if p % 4 == 0 else (2,):
                        array = ClusterArray(source, some[many], leaf_bytes=1 << 12)
                        found = LinearClassifier(loss, **options).fit(array, z)
                        seen.add((found.coef_.tobytes(), found.intercept_.tobytes()))
                        fits += 1
                        for name, a, b in (("coef", found.coef_, coef), ("intercept", found.intercept_, intercept)):
                            size = max(np.abs(b).max(), 1e-300)
                            worst[name] = max(worst[name], float(np.abs(a - b).max() / size))
                    bits += 1 if p % 4 == 0 else 0
                    other += len(seen) - 1
            print(f"{p + 1} problems, {fits} fits, worst {worst}", flush=True)
    return {
        "problems": count,
        "losses": list(SMOOTH),
        "chunkings": list(CHUNKINGS),
        "every_chunking": every_chunking,
        "fits": fits,
        "worst_relative_difference": worst,
        "compared_for_bits_on_1_2_4_workers": bits,
        "other_bits": other,
    }


# ── seconds ───────────────────────────────────────────────────────────────────────────────────────
def written(path: Path, n: int, d: int) -> None:
    out = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
    block = np.random.default_rng(0).standard_normal((4096, d), dtype=np.float32)
    for i in range(0, n, 4096):
        out[i : i + 4096] = block[: min(4096, n - i)]
    out.flush()


def objective_of(design, n: int, k: int) -> Objective:
    return Objective(design, np.arange(n) % k, k, CrossEntropy(), L2(), 1e-4)


def timed(objectives: dict[str, Objective], theta: np.ndarray, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Of passes, taken in turn, after one each that reads the rows: seconds by the clock, and `busy` seconds, which
    are the processor's: of this process, plus the worker's that has most, or what all workers need of the machine's
    cores where these are fewer. The clock of an idle machine shows these and what is spent waiting; on a busy one they
    alone mean something."""
    found: dict[str, dict[str, list[float]]] = {name: {"seconds": [], "busy": []} for name in objectives}
    for turn in range(repeats + 1):
        for name, objective in objectives.items():
            client = getattr(getattr(objective.design.X, "cluster", None), "client", None)
            before, mine, begin = workers_busy(client), time.process_time(), time.perf_counter()
            objective.at(theta)
            wall, mine = time.perf_counter() - begin, time.process_time() - mine
            after = workers_busy(client)
            if turn:
                each = [after[w] - before[w] for w in after] or [0.0]
                found[name]["seconds"].append(wall)
                found[name]["busy"].append(mine + max(*each, sum(each) / CORES))
    return found


def workers_busy(client) -> dict[str, float]:
    """Processor seconds of every worker so far."""
    return {} if client is None else client.run(time.process_time)


def overhead(repeats: int) -> dict:
    """A pass on workers beside the same pass of one process with as many threads."""
    results = []
    for n, d, k in ((500_000, 256, 10), (80_000, 768, 100), (30_000, 512, 1000)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.npy")
            written(path, n, d)
            theta = np.random.default_rng(1).normal(size=(d + 1, k)) * 0.01
            for workers in (1, 2):
                with connect(f"local:{workers}") as cluster:
                    array = ClusterArray(path, cluster)
                    local = StoredRows.of(StoredArray(path, 4 << 30), threads=workers)
                    both = {
                        "cluster": objective_of(ClusterRows.of(array), n, k),
                        "one machine": objective_of(local, n, k),
                    }
                    found = timed(both, theta, repeats)
                row: dict = {"rows": n, "columns": d, "classes": k, "workers": workers}
                for kind in ("seconds", "busy"):
                    for name, least in (("least", min), ("median", statistics.median)):
                        each = {who: least(found[who][kind]) for who in both}
                        if kind == "busy":  # a process's threads count together
                            each["one machine"] /= workers
                        row[f"{name}_{kind}"] = each
                        row[f"overhead_of_{name}_{kind}"] = each["cluster"] / each["one machine"] - 1
                results.append(row)
                print(json.dumps(row), flush=True)
    return {"repeats": repeats, "results": results}


# ── the cost model ────────────────────────────────────────────────────────────────────────────────
SIZES = (  # rows, columns, classes: what the model is fitted to
    (2_000, 64, 4),
    (2_000, 512, 200),
    (40_000, 128, 10),
    (60_000, 512, 10),
    (20_000, 768, 100),
    (12_000, 256, 500),
    (4_000, 1024, 1000),
    (80_000, 128, 20),
)
UNSEEN = ((100_000, 384, 10), (30_000, 640, 200), (60_000, 256, 50))  # what it has to foretell
KNOWN_WORKERS, WORKERS = (1, 2, 4), (1, 2, 3, 4)


def model(repeats: int) -> dict:
    """Passes on 1, 2 and 4 workers → coefficients → passes of sizes that were not seen, and all on 3 workers."""
    from scipy.optimize import nnls

    passes = [row for workers in WORKERS for row in measured_passes((*SIZES, *UNSEEN), workers, repeats)]
    for row in passes:
        row["fitted"] = tuple(row["size"]) in SIZES and row["workers"] in KNOWN_WORKERS
    known = [row for row in passes if row["fitted"]]
    A = np.array([[tabled(row)[name] for name in cost.PASS_TERMS] for row in known])
    t = np.array([row["seconds"] for row in known])
    found, _ = nnls(A / t[:, None], np.ones(len(t)))  # relative errors
    costs = dict(zip(cost.PASS_TERMS, found.tolist(), strict=True))
    steps = measured_steps()
    B = np.array([[row[name] for name in cost.STEP_TERMS] for row in steps])
    s = np.array([row["seconds"] for row in steps])
    costs |= dict(zip(cost.STEP_TERMS, nnls(B / s[:, None], np.ones(len(s)))[0].tolist(), strict=True))
    costs = {name: float(f"{value:.3g}") for name, value in costs.items()}
    for row in passes:
        row["foretold"] = sum(costs[name] * tabled(row)[name] for name in cost.PASS_TERMS)
        row["off"] = row["foretold"] / row["seconds"] - 1
    unseen = [row for row in passes if not row["fitted"]]
    return {
        "repeats": repeats,
        "costs": costs,
        "passes": passes,
        "steps": steps,
        "worst_of_known": max(abs(row["off"]) for row in known),
        "worst_of_unseen": max(abs(row["off"]) for row in unseen),
        "median_of_unseen": statistics.median(abs(row["off"]) for row in unseen),
    }


def tabled(row: dict) -> dict[str, float]:
    return cost.terms(cost.Problem(*row["size"]), cost.Setting(workers=row["workers"], shared_cores=CORES))


def measured_passes(sizes, workers: int, repeats: int) -> list[dict]:
    """`seconds`: the least busy seconds of a pass, and what the smallest one waits besides."""
    rows, waiting = [], 0.0
    with tempfile.TemporaryDirectory() as folder, connect(f"local:{workers}") as cluster:
        for n, d, k in sizes:
            path = Path(folder, "x.npy")
            written(path, n, d)
            objective = objective_of(ClusterRows.of(ClusterArray(path, cluster)), n, k)
            theta = np.random.default_rng(1).normal(size=(d + 1, k)) * 0.01
            found = timed({"": objective}, theta, repeats if rows else 60)[""]
            if not rows:
                waiting = min(w - b for w, b in zip(found["seconds"], found["busy"], strict=True))
            row = {"size": [n, d, k], "workers": workers, "seconds": min(found["busy"]) + max(waiting, 0.0)}
            rows.append(row | {"busy": min(found["busy"]), "clock": min(found["seconds"])})
            path.unlink()
            print(json.dumps(rows[-1]), flush=True)
    return rows


def measured_steps() -> list[dict]:
    """What L-BFGS does between passes: seconds of a fit on few rows, less those of its passes."""
    from linearhead.solvers import LBFGS

    rows = []
    for d, k in ((128, 10), (512, 10), (512, 100), (768, 400), (1024, 1000)):
        X, y = data(1500, d, k, 0)
        objective = objective_of(Rows.of(X.astype(np.float32), threads=1).fitted(None), len(y), k)
        spent = [0.0]

        class Timed(Objective):
            def at(self, theta, spent=spent):
                begin = time.process_time()
                point = super().at(theta)
                spent[0] += time.process_time() - begin
                return point

        objective = Timed(**{f.name: getattr(objective, f.name) for f in fields(objective)})
        begin, before = time.process_time(), objective.count.passes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            LBFGS(tol=1e-9, max_iter=24)(objective, objective.start())
        passes = objective.count.passes - before
        seconds = (time.process_time() - begin - spent[0]) / passes
        rows.append(
            {"columns": d, "classes": k, "passes": passes, "seconds": seconds} | cost.between(cost.Problem(0, d, k))
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


# ── how many passes ───────────────────────────────────────────────────────────────────────────────
def passes() -> dict:
    """Passes of the path and of one fit at each strength, as `train` makes them, on pictures and made-up rows."""
    from sklearn.datasets import load_digits

    from linearhead.experiment.fitting import Fit, Rows, choose_alpha
    from linearhead.experiment.progress import Progress
    from linearhead.experiment.recipe import Recipe
    from linearhead.features import make

    digits = load_digits()
    pictures = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    kinds = {name: (make(name).transform(pictures), digits.target) for name in ("pixels", "hog", "hog+color")}
    for decades, seed in ((1, 0), (2, 1), (3, 2)):
        X, y = data(4000, 40, 6, seed)
        mix = np.linalg.qr(np.random.default_rng(seed).normal(size=(40, 40)))[0]
        kinds[f"columns over {decades} decades"] = (X @ mix * np.logspace(0, -decades, 40)) @ mix.T, y
    rows = []
    for name, (X, y) in kinds.items():
        X = X.astype(np.float32)
        held = np.arange(len(y)) % 7 == 0
        order, recipe = np.argsort(held, kind="stable"), Recipe()
        chosen = Fit(recipe.estimator(1.0))
        choose_alpha(Rows(X[order], y[order], int(np.sum(~held))), recipe, chosen, Progress())
        fits = {}
        for alpha in [point["alpha"] for point in chosen.path[:: max(1, len(chosen.path) // 5)]]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = LinearClassifier(alpha=alpha, standardize=True).fit(X, y)
            fits[f"{alpha:.1e}"] = model.trace_.passes[-1]
        walked = sum(point["passes"] for point in chosen.path)
        rows.append({"data": name, "alphas": len(chosen.path), "path": walked, "fits": fits})
        print(json.dumps(rows[-1]), flush=True)
    every = sorted(v for row in rows for v in row["fits"].values())
    paths = sorted(row["path"] for row in rows)
    return {
        "results": rows,
        "fit": [every[len(every) // 10], statistics.median(every), every[-1 - len(every) // 10]],
        "path": [paths[0], statistics.median(paths), paths[-1]],
    }


# ── dask-ml ───────────────────────────────────────────────────────────────────────────────────────
PEERS = ("lbfgs", "newton", "admm")  # of their solvers, as they come; the last is their default


def peer(python: str, workers: int, n: int = 100_000, d: int = 40) -> dict:
    """Two classes, logistic loss, α = 1/n, no intercept: processor seconds of client and workers until each stops, and
    how far F then is from its minimum."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(n, d)) * np.logspace(0, -2, d)).astype(np.float32)
    y = (X @ rng.normal(size=d) * 3 + rng.logistic(size=n) > 0).astype(int)
    sign = 2.0 * y - 1

    def F(w: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (X.astype(np.float64) @ w)).mean() + 0.5 / n * w @ w)

    best, rows = F(LinearClassifier("logistic", alpha=1 / n, tol=1e-8, fit_intercept=False).fit(X, y).coef_[1]), []
    with tempfile.TemporaryDirectory() as folder:
        names = [str(Path(folder, name)) for name in ("x.npy", "y.npy")]
        for name, array in zip(names, (X, y), strict=True):
            np.save(name, array)
        with connect(f"local:{workers}") as cluster:
            array = ClusterArray(names[0], cluster)
            model = LinearClassifier("logistic", alpha=1 / n, fit_intercept=False)
            before, mine, begin = workers_busy(cluster.client), time.process_time(), time.perf_counter()
            model.fit(array, y)
            wall, mine = time.perf_counter() - begin, time.process_time() - mine
            after = workers_busy(cluster.client)
            own = {"seconds": wall, "busy": mine + sum(after[w] - before[w] for w in after)}
            rows.append({"who": "linearhead", **own, "passes": model.trace_.passes[-1], "coef": model.coef_[1]})
        for solver in PEERS:
            words = [python, str(RECORD.with_name("dask_ml_peer.py")), *names, "1", str(workers), solver]
            rows.append({"who": f"dask-ml {solver}"} | told_by(words))
    for row in rows:
        if "coef" in row:
            row["relative_gap"] = F(np.asarray(row.pop("coef"))) / best - 1
        print(json.dumps(row), flush=True)
    return {"rows": n, "columns": d, "workers": workers, "results": rows}


def told_by(words: list[str], most: float = 150.0) -> dict:
    """The JSON that a command prints last, or why there is none."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=most)
    except subprocess.TimeoutExpired:
        return {"failed": f"no end within {most:.0f} s"}
    last = done.stdout.strip().rpartition("\n")[2]
    return json.loads(last) if done.returncode == 0 else {"failed": done.stderr[-200:]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("part", choices=("kills", "problems", "overhead", "model", "passes", "peer"))
    options.add_argument("--python", default=sys.executable, help="of an environment with dask-ml, for `peer`")
    options.add_argument("--fits", type=int, default=100)
    options.add_argument("--workers", type=int, default=3)
    options.add_argument("--kills-per-fit", type=int, default=3)
    options.add_argument("--problems", type=int, default=40)
    options.add_argument("--every-chunking", action="store_true")
    options.add_argument("--repeats", type=int, default=9)
    given = options.parse_args()
    assert set(SMOOTH) <= set(LOSSES)
    found = {
        "kills": lambda: kills(given.fits, given.workers, given.kills_per_fit),
        "problems": lambda: problems(given.problems, given.every_chunking),
        "overhead": lambda: overhead(given.repeats),
        "model": lambda: model(given.repeats),
        "passes": passes,
        "peer": lambda: peer(given.python, given.workers),
    }[given.part]()
    keep(given.part, found)


if __name__ == "__main__":
    main()
