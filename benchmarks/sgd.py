"""One epoch of SGD on 60 000 × 784, k = 10, softmax + L2: batches of 256 beside a torch one-layer loop, and of one row.

    python benchmarks/sgd.py [--data FOLDER] [--repeats 5]

The torch loop is the usual one: nn.Linear, cross_entropy, optim.SGD, batches indexed by a permutation from tensors in
memory, two threads. Both sides run the same number of steps at the same rate, in turn; medians of seconds. Both
learning curves, F after each epoch by one float64 function, are written beside them. Batches of one, every loss: an
epoch's seconds over its products' (x W and W − t x gᵀ, two BLAS calls for each row, read from memory in a random order
as the epoch does, or as many for one row that stays in the cache) and over those of bare steps (the products, the
loss's slope and W's decay, in a loop that does nothing else). Without --data pixels are random.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import reference

RATE, ALPHA, EPOCHS = 0.05, 1e-4, 3


def clocks() -> np.ndarray:
    """Wall and processor seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def data(folder: str | None) -> tuple[np.ndarray, np.ndarray]:
    if folder is None:
        rng = np.random.default_rng(0)
        X = rng.random((60_000, 784), dtype=np.float32) * (rng.random((60_000, 784)) < 0.5)
        y = (X[:, :100] @ rng.normal(size=(100, 10)).astype(np.float32) + rng.gumbel(size=(60_000, 10))).argmax(axis=1)
        return X, y
    from linearhead.data import open_dataset

    dataset = open_dataset(folder)
    chosen = [i for i in range(len(dataset)) if dataset.splits[i] != "test"]
    X = np.stack([np.asarray(dataset.read(i)).ravel() for i in chosen]).astype(np.float32) / 255
    return X, np.asarray(dataset.labels)[chosen]


def objective(X: np.ndarray, y: np.ndarray, loss: str = "cross_entropy"):
    from linearhead.design import design_of
    from linearhead.losses import LOSSES
    from linearhead.objective import Objective
    from linearhead.penalties import PENALTIES

    design = design_of(X, threads=2).fitted()
    return Objective(design, y, int(y.max()) + 1, LOSSES[loss](), PENALTIES["l2"](), ALPHA)


def ours(problem, batch: int, epochs: int, rate: float = RATE):
    """Yields ((wall, processor) seconds of an epoch, W, b)."""
    from linearhead.solvers.sgd import SGD, Steps

    solver = SGD(batch_size=batch, learning_rate=rate, schedule="constant")
    steps = Steps(problem.start(), 2**62, rate, solver, problem)
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        start = clocks()
        with problem.design.session():
            solver.epoch(steps, batch, rng)
        seconds = clocks() - start
        theta = problem.design.stored(steps.result())
        yield seconds, theta[:-1].T, theta[-1]


def peer(X: np.ndarray, y: np.ndarray, batch: int, epochs: int):
    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    layer = torch.nn.Linear(X.shape[1], int(y.max()) + 1)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    decay = [{"params": [layer.weight], "weight_decay": ALPHA}, {"params": [layer.bias]}]
    optimiser = torch.optim.SGD(decay, lr=RATE)
    for _ in range(epochs):
        start = clocks()
        order = torch.randperm(len(rows))
        for i in range(0, len(rows), batch):
            chosen = order[i : i + batch]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(rows[chosen]), labels[chosen]).backward()
            optimiser.step()
        seconds = clocks() - start
        yield seconds, layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()


def arithmetic(rows: list[np.ndarray], k: int, slope=None) -> np.ndarray:
    """(wall, processor) seconds of x W and the rank-one update for each of these rows, one BLAS call each, called as
    cheaply as they can be; with slope(s, label), that of a loss, and W's decay between them."""
    from scipy.linalg.blas import sger
    from threadpoolctl import threadpool_limits

    W, s = np.zeros((k, len(rows[0])), np.float32), np.zeros(k, np.float32)
    scores, theta, g = W.dot, W.T, np.full(k, 1e-6, np.float32)
    with threadpool_limits(1):
        start = clocks()
        for x in rows:
            scores(x, s)
            if slope:
                g = slope(s, 3)
                np.multiply(W, 0.999, out=W)
            sger(-1e-4, x, g, 1, 1, theta, 1, 1, 1)
        return clocks() - start


def single_rows(X: np.ndarray, y: np.ndarray, repeats: int = 3) -> dict:
    """Epochs of batches of one by loss, taking turns: medians of wall seconds and of ratios in processor time."""
    from linearhead.losses import LOSSES

    problems = {name: objective(X, y, name) for name in LOSSES}
    order = np.random.default_rng(1).permutation(len(X))
    visited = [X[i] for i in order]  # rows in memory, as an epoch meets them; views, nothing is copied
    cached = [X[0]] * len(X)
    found = {name: {part: [] for part in ("epoch", "products", "in_cache", "bare")} for name in LOSSES}
    for _ in range(repeats):
        for name, problem in problems.items():
            parts, k, slope = found[name], problem.k, problem.loss.row_gradient
            parts["epoch"] += [seconds for seconds, _, _ in ours(problem, 1, 1, rate=1e-4)]  # none diverges
            parts["products"].append(arithmetic(visited, k))
            parts["in_cache"].append(arithmetic(cached, k))
            parts["bare"].append(arithmetic(visited, k, slope))
    return {name: _ratios({part: np.median(each, axis=0) for part, each in found[name].items()}) for name in LOSSES}


def _ratios(seconds: dict[str, np.ndarray]) -> dict:
    """Of (wall, processor) seconds by part: ratios are in processor time."""
    wall, own = seconds["epoch"]
    return {
        "seconds_per_epoch": float(wall),
        "cpu_seconds_per_epoch": float(own),
        "arithmetic_seconds": float(seconds["products"][1]),
        "arithmetic_in_cache_seconds": float(seconds["in_cache"][1]),
        "bare_step_seconds": float(seconds["bare"][1]),
        "ratio": float(own / seconds["products"][1]),
        "ratio_to_arithmetic_in_cache": float(own / seconds["in_cache"][1]),
        "ratio_to_bare_steps": float(own / seconds["bare"][1]),
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--data", default=None)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    X, y = data(given.data)
    problem, found, curves = objective(X, y), {"linearhead": [], "torch": []}, {}
    for repeat in range(given.repeats):
        for name, run in (("linearhead", ours(problem, 256, EPOCHS)), ("torch", peer(X, y, 256, EPOCHS))):
            epochs = list(run)
            found[name] += [seconds for seconds, _, _ in epochs]
            if repeat == 0:
                curves[name] = [reference.objective("cross_entropy", W, b, X, y, ALPHA) for _, W, b in epochs]
    losses = single_rows(X, y)
    median = {name: np.median(seconds, axis=0) for name, seconds in found.items()}
    record = {
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "data": Path(given.data).name if given.data else "random",
        "shape": [*X.shape, problem.k],
        "batch_256": {
            "seconds_per_epoch": {name: float(both[0]) for name, both in median.items()},
            "cpu_seconds_per_epoch": {name: float(both[1]) for name, both in median.items()},
            "ratio": float(median["torch"][0] / median["linearhead"][0]),
            "ratio_of_cpu_seconds": float(median["torch"][1] / median["linearhead"][1]),
            "ratio_of_the_fastest": float(
                min(wall for wall, _ in found["torch"]) / min(wall for wall, _ in found["linearhead"])
            ),
            "F_after_each_epoch": curves,
        },
        "batch_1": {**losses["cross_entropy"], "losses": losses},
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
