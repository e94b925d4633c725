"""One epoch of SGD on 60 000 × 784, k = 10, softmax + L2: batches of 256 beside a torch one-layer loop, and of one row.

    python benchmarks/sgd.py [--data FOLDER] [--repeats 5]

The torch loop is the usual one: nn.Linear, cross_entropy, optim.SGD, batches indexed by a permutation from tensors in
memory, two threads. Both sides run the same number of steps at the same rate, in turn; medians of seconds. Both
learning curves, F after each epoch by one float64 function, are written beside them. Batches of one, every loss: an
epoch's seconds over its products' (x W and W − t x gᵀ, two BLAS calls on the same shapes) and over those of a bare
step (the products, the loss's slope and W's decay, in a loop that does nothing else). Without --data pixels are random.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

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


def value(W: np.ndarray, b: np.ndarray, X: np.ndarray, y: np.ndarray) -> float:
    """F in float64: W (k, d), b (k,)."""
    W, total = W.astype(np.float64), 0.0
    for start in range(0, len(X), 4096):
        s = X[start : start + 4096].astype(np.float64) @ W.T + b
        s -= s.max(axis=1, keepdims=True)
        total += float(np.sum(np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(s)), y[start : start + 4096]]))
    return total / len(X) + 0.5 * ALPHA * float(np.sum(W * W))


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


def arithmetic(d: int, k: int, slope=None, steps: int = 20_000) -> np.ndarray:
    """(wall, processor) seconds a step of x W and the rank-one update, one BLAS call each; with slope(s, label), that
    of a loss, and W's decay between them."""
    from scipy.linalg.blas import sger
    from threadpoolctl import threadpool_limits

    W, x, g, s = (np.zeros(shape, np.float32) for shape in ((k, d), d, k, k))
    with threadpool_limits(1):
        start = clocks()
        for _ in range(steps):
            np.dot(W, x, out=s)
            if slope:
                g = slope(s, 3)
                np.multiply(W, 0.999, out=W)
            sger(-0.1, x, g, a=W.T, overwrite_a=1)
        return (clocks() - start) / steps


def single_rows(X: np.ndarray, y: np.ndarray, repeats: int = 3) -> dict:
    """Epochs of batches of one by loss, taking turns: medians of wall seconds and of ratios in processor time."""
    from linearhead.losses import LOSSES

    problems = {name: objective(X, y, name) for name in LOSSES}
    epochs, products, bare = ({name: [] for name in LOSSES} for _ in range(3))
    for _ in range(repeats):
        for name, problem in problems.items():
            epochs[name] += [seconds for seconds, _, _ in ours(problem, 1, 1, rate=1e-4)]  # none diverges
            products[name].append(len(X) * arithmetic(X.shape[1], problem.k))
            bare[name].append(len(X) * arithmetic(X.shape[1], problem.k, problem.loss.row_gradient))
    found = {}
    for name in LOSSES:
        own, product, step = (np.median(seconds[name], axis=0) for seconds in (epochs, products, bare))
        found[name] = {
            "seconds_per_epoch": float(own[0]),
            "cpu_seconds_per_epoch": float(own[1]),
            "arithmetic_seconds": float(product[1]),
            "bare_step_seconds": float(step[1]),
            "ratio": float(own[1] / product[1]),
            "ratio_to_bare_steps": float(own[1] / step[1]),
        }
    return found


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
                curves[name] = [value(W, b, X, y) for _, W, b in epochs]
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
