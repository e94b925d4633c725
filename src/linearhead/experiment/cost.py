"""What training costs before it is paid: bytes, flops, rounds, seconds, memory and money, from sizes alone.

n rows of d numbers in L leaves (design/tree.py), k classes, P = (d+1)k parameters, N workers with c cores each: a pass
takes Σ coefficient · term,
  round · 1 + task · T + carry · TP + add · P + (l/L) n (flop · 4dk + score · k + number · d) + leaf · lP   seconds,
T = min(N, L) workers that get any, l = ⌈L/Nc⌉ leaves that a core takes in turn, or L/C where all share C < Nc cores;
but no less than what network and storage need for the bytes they carry. Between passes the client spends
turn · 1 + step · 80 P + curve · 4 d min(d, 1600) k (two-loop recursion, curvature model). Coefficients are non-negative
least squares on passes and fits that were timed (benchmarks/cluster.py: what was measured, how well an unseen size is
foretold); rows' own terms are scaled by the speed of the cores at hand where that is known.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..design.tree import LEAF_BYTES, height
from ..design.worker import SHARE
from ..errors import UsageError

# seconds per unit of each term, and passes of fits; from benchmarks/cluster.json
MEASURED: dict[str, float] = {
    "round": 0.00454,
    "task": 0.00469,
    "carry": 1.56e-08,
    "add": 0.0,
    "flop": 5.74e-12,
    "score": 7.18e-09,
    "number": 7.08e-10,
    "leaf": 4.27e-08,
    "turn": 0.00775,
    "step": 8.87e-11,
    "curve": 9.6e-12,
}
PASS_TERMS = ("round", "task", "carry", "add", "flop", "score", "number", "leaf")
STEP_TERMS = ("turn", "step", "curve")
ROW_TERMS = ("flop", "score", "number", "leaf")  # what a faster core makes cheaper
FIT_PASSES, PATH_PASSES = (10, 15, 47), (33, 53, 70)  # few, usual, many, of one strength and of the path
FITS, OTHER_PASSES = 2, 8  # of a training; and looks at finite numbers, moments, gap and certificate
MEMORY = 20  # pairs of L-BFGS
SAMPLE_BYTES = 64 << 20  # of rows for the curvature model


@dataclass(frozen=True)
class Problem:
    """n rows of d numbers of so many bytes, k classes."""

    n: int
    d: int
    k: int
    number_bytes: int = 4

    @property
    def parameters(self) -> int:
        return (self.d + 1) * self.k

    @property
    def row_bytes(self) -> int:
        return self.d * self.number_bytes

    @property
    def flops(self) -> float:
        """Of one pass: scores and gradient."""
        return 4.0 * self.n * self.d * self.k


@dataclass(frozen=True)
class Setting:
    """N workers with so many cores, GB of memory each; GB/s of the network and of reading storage, per worker.
    `shared_cores`: those that all of them have together, as workers on one machine do; None: each has its own."""

    workers: int = 1
    cores: int = 1
    memory: float = 16.0
    network: float = 1.0
    storage: float = 0.5
    price: float = 0.0  # of a worker for an hour
    shared_cores: int | None = None

    @property
    def total_cores(self) -> int:
        return min(self.workers * self.cores, self.shared_cores or self.workers * self.cores)

    def check(self) -> None:
        for name in ("workers", "cores", "memory", "network", "storage"):
            if not getattr(self, name) > 0:
                raise UsageError(f"--{name} is {getattr(self, name)}; more than 0 is needed.")
        if self.price < 0:
            raise UsageError(f"--price is {self.price}; 0 or more is needed.")


def terms(problem: Problem, setting: Setting) -> dict[str, float]:
    """How much of each of PASS_TERMS a pass has."""
    leaves, workers = _leaves(problem), takers(problem, setting)
    each = leaves / setting.total_cores
    if setting.workers > 1:  # they take whole leaves, where one process cuts as it likes
        each = max(each, math.ceil(leaves / (setting.workers * setting.cores)))
    share = problem.n * each / leaves
    return {
        "round": 1.0,
        "task": float(workers),
        "carry": float(workers * problem.parameters),
        "add": float(problem.parameters),
        "flop": 4.0 * share * problem.d * problem.k,
        "score": share * problem.k,
        "number": share * problem.d,
        "leaf": max(each, 1.0) * problem.parameters,
    }


def takers(problem: Problem, setting: Setting) -> int:
    """Workers that have any rows: there are as many parts as leaves and no more."""
    return min(setting.workers, _leaves(problem))


def _leaves(problem: Problem) -> int:
    return 2 ** height(problem.n, problem.row_bytes, LEAF_BYTES)


def between(problem: Problem) -> dict[str, float]:
    """How much of each of STEP_TERMS the client does between two passes."""
    d, k = problem.d, problem.k
    return {"turn": 1.0, "step": 4.0 * MEMORY * problem.parameters, "curve": 4.0 * d * min(d, 1600) * k}


@dataclass(frozen=True)
class Plan:
    """What one training costs. Bytes, seconds; money in the price's unit."""

    rows: int
    columns: int
    classes: int
    workers: int
    cores: int
    stored_bytes: float  # all rows
    read_bytes: float  # from storage, all passes
    carried_bytes: float  # over the client's network, all passes
    flops: float
    passes: int
    passes_range: tuple[int, int]
    rounds: int
    seconds_per_pass: float
    limited_by: str  # arithmetic, network, storage or rounds
    seconds: float
    seconds_range: tuple[float, float]
    resident: bool  # whether rows stay in the workers' memory
    worker_bytes: float
    client_bytes: float
    money: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def pass_seconds(problem: Problem, setting: Setting, speed: float = 1.0) -> tuple[float, str]:
    """Of a pass over rows that are where they belong, and what most of it is."""
    found = terms(problem, setting)
    rows = sum(MEASURED[name] * found[name] for name in ROW_TERMS) / speed
    rounds = MEASURED["round"] + MEASURED["task"] * found["task"]
    carried = MEASURED["carry"] * found["carry"]
    # the client's own line carries θ to every worker and a node or two back from each
    carried = max(carried, carried_bytes(problem, setting) / (setting.network * 1e9) if setting.workers > 1 else 0.0)
    parts = {"arithmetic": rows, "rounds": rounds, "network": carried + MEASURED["add"] * found["add"]}
    if not resident(problem, setting):
        reading = problem.n * problem.row_bytes / (setting.workers * setting.storage * 1e9)
        if reading > rows:  # a thread reads ahead: the longer of both counts
            parts |= {"arithmetic": 0.0, "storage": reading}
    return sum(parts.values()), max(parts, key=lambda name: parts[name])


def carried_bytes(problem: Problem, setting: Setting) -> float:
    """Over the client's line, per pass: θ down to and sums up from every worker that has rows."""
    return 16.0 * problem.parameters * takers(problem, setting)


def resident(problem: Problem, setting: Setting) -> bool:
    """Whether every worker keeps its rows."""
    return problem.n * problem.row_bytes / setting.workers <= SHARE * setting.memory * 1e9


def memory(problem: Problem, setting: Setting) -> tuple[float, float]:
    """Bytes that a worker and the client need."""
    own = min(problem.n * problem.row_bytes / setting.workers, SHARE * setting.memory * 1e9)
    H = height(problem.n, problem.row_bytes, LEAF_BYTES)
    deep = max(H - setting.workers.bit_length() + 1, 1) + setting.cores
    worker = own + (setting.cores + 2) * 2 * LEAF_BYTES + 8.0 * problem.parameters * (deep + 1)
    client = 8.0 * problem.parameters * (2 * MEMORY + 8) + 8.0 * problem.n + SAMPLE_BYTES
    client += 8.0 * problem.d * min(problem.d, 1600)
    return worker, client


def plan(problem: Problem, setting: Setting, path: bool = True, speed: float = 1.0, passes: int | None = None) -> Plan:
    """The whole training: the path over all strengths (or one strength), the fit, its certificate."""
    setting.check()
    few, usual, many = (FITS * a + path * b + OTHER_PASSES for a, b in zip(FIT_PASSES, PATH_PASSES, strict=True))
    if passes is not None:
        few = usual = many = passes
    each, limited = pass_seconds(problem, setting, speed)
    client = sum(MEASURED[name] * amount for name, amount in between(problem).items())
    first = problem.n * problem.row_bytes / (setting.workers * setting.storage * 1e9)
    low, middle, high = (count * (each + client) + first for count in (few, usual, many))
    worker_bytes, client_bytes = memory(problem, setting)
    stays = resident(problem, setting)
    return Plan(
        rows=problem.n,
        columns=problem.d,
        classes=problem.k,
        workers=setting.workers,
        cores=setting.cores,
        stored_bytes=float(problem.n * problem.row_bytes),
        read_bytes=float(problem.n * problem.row_bytes * (1 if stays else usual)),
        carried_bytes=carried_bytes(problem, setting) * usual,
        flops=problem.flops * usual,
        passes=usual,
        passes_range=(few, many),
        rounds=usual,
        seconds_per_pass=each,
        limited_by=limited,
        seconds=middle,
        seconds_range=(low, high),
        resident=stays,
        worker_bytes=worker_bytes,
        client_bytes=client_bytes,
        money=setting.price * setting.workers * middle / 3600 if setting.price else None,
    )


def measured_speed(problem: Problem, seconds: float = 1.0) -> float:
    """How fast a core of this machine is, 1 being those that were measured: some rows of this kind are passed over."""
    from ..design import Rows
    from ..losses import CrossEntropy
    from ..objective import Objective
    from ..penalties import L2

    per_row = sum(
        MEASURED[name] * terms(replace(problem, n=10**6), Setting())[name] for name in ("flop", "score", "number")
    )
    m = int(np.clip(0.1 * seconds / (per_row / 10**6), 256, (64 << 20) // (4 * problem.d)))
    X = np.random.default_rng(0).standard_normal((m, problem.d), dtype=np.float32)
    y = np.arange(m) % problem.k
    objective = Objective(Rows.of(X, threads=1), y, problem.k, CrossEntropy(), L2(), 1e-4)
    # small weights, as at 0 the scores are known and no row is read
    theta, best = np.full_like(objective.start(), 1e-3), np.inf
    with objective.design.session():
        started = time.perf_counter()
        while not np.isfinite(best) or time.perf_counter() - started < seconds:  # one pass at least, however busy
            begin = time.perf_counter()
            objective.at(theta)
            best = min(best, time.perf_counter() - begin)
    expected = replace(problem, n=m, number_bytes=4)
    own = sum(MEASURED[name] * terms(expected, Setting())[name] for name in ROW_TERMS)
    return own / best
