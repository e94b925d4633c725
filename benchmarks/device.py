"""Rows on a graphics card: linearhead beside torch.optim.LBFGS on the same tensors, to the same relative gap.

    python benchmarks/device.py [--fashion FILE.npz] [--small]

Rows are torch tensors on the card, made there: Gaussian with a falling spectrum, labels drawn from a linear model, up
to the size of ImageNet-1k's features (1 281 167 × 768, 1 000 classes); FILE.npz adds Fashion-MNIST's pixels (X uint8,
y). α = 1/n. F* is a long fit's F less its certified gap. Both sides stop at their first iterate within the relative gap
of 1e-4 of F*, each judged by its own value; the peer (full batch, history 20, strong Wolfe) may take PEER_PASSES and
PEER_SECONDS. Beside it: `fit` as users call it, to its default tolerance, certificate included. Medians of `REPEATS` in
turn after one fit that warms the card. Writes device.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from linearhead import SoftmaxClassifier

GAP, REPEATS, PEER_PASSES, PEER_SECONDS = 1e-4, 3, 3000, 60
CASES = [(60_000, 784, 10), (50_000, 768, 100), (1_281_167, 768, 1000)]


def rows(n: int, d: int, k: int, device: str) -> tuple:
    """X (n, d) float32 and y (n,) on the device."""
    torch.manual_seed(0)
    spectrum = torch.arange(1, d + 1, device=device) ** -1.0
    rotation = torch.linalg.qr(torch.randn(d, d, device=device))[0]
    X = torch.randn(n, d, device=device)
    teacher = torch.randn(d, k, device=device) * 3 * spectrum[:, None] ** 0.5
    y = torch.empty(n, dtype=torch.long, device=device)
    for i in range(0, n, 65536):
        part = X[i : i + 65536]
        s = part @ teacher
        y[i : i + 65536] = (s - torch.log(-torch.log(torch.rand_like(s)))).argmax(dim=1)
        X[i : i + 65536] = (part * spectrum) @ rotation
    return X, y


def wait(X) -> float:
    if X.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def ours(X, y, alpha: float, target: float) -> dict:
    start = wait(X)
    model = SoftmaxClassifier(alpha=alpha, tol=0.0, max_iter=500, callback=lambda row: row["value"] <= target)
    model.fit(X, y)
    whole = wait(X) - start  # checks and certificate included
    return {"seconds": model.trace_.seconds[-1], "whole_seconds": whole, "passes": model.trace_.passes[-1]}


def peer(X, y, alpha: float, target: float) -> dict:
    """torch's own full-batch L-BFGS until a pass, a trial step's included, sees the target; scores formed in parts."""
    start, n, k = wait(X), len(X), int(y.max()) + 1
    W = torch.zeros(X.shape[1], k, device=X.device, requires_grad=True)
    b = torch.zeros(k, device=X.device, requires_grad=True)
    limits = {"max_iter": PEER_PASSES, "max_eval": PEER_PASSES, "tolerance_grad": 0.0, "tolerance_change": 0.0}
    optimiser = torch.optim.LBFGS([W, b], history_size=20, line_search_fn="strong_wolfe", **limits)
    passes, value = 0, float("inf")

    def closure():
        nonlocal passes, value
        optimiser.zero_grad()
        total = 0.0
        for i in range(0, n, 131_072):
            part = torch.nn.functional.cross_entropy(X[i : i + 131_072] @ W + b, y[i : i + 131_072], reduction="sum")
            (part / n).backward()
            total += part.detach().double()
        penalty = 0.5 * alpha * (W * W).sum()
        penalty.backward()
        passes, value = passes + 1, float(total) / n + float(penalty)
        if value <= target or time.perf_counter() - start > PEER_SECONDS:
            raise StopIteration
        return torch.tensor(value)

    with contextlib.suppress(StopIteration):
        optimiser.step(closure)
    return {"seconds": wait(X) - start, "passes": passes, "reached": value <= target, "value": value}


def case(name: str, X, y) -> dict:
    alpha = 1 / len(X)
    SoftmaxClassifier(alpha=alpha, max_iter=2).fit(X, y)  # the card, its libraries and the host's wake up
    start = wait(X)
    model = SoftmaxClassifier(alpha=alpha, max_iter=2000).fit(X, y)
    seconds = wait(X) - start
    start = wait(X)
    model.predict(X)
    predicting, c = wait(X) - start, model.certificate_
    target = (c.value - c.gap) * (1 + GAP)
    found: dict[str, list] = {"linearhead": [], "torch.optim.LBFGS": []}
    for _ in range(REPEATS if len(X) < 1e6 else 1):
        found["linearhead"].append(ours(X, y, alpha, target))
        found["torch.optim.LBFGS"].append(peer(X, y, alpha, target))
    medians = {who: {f: statistics.median(r[f] for r in runs) for f in runs[0]} for who, runs in found.items()}
    return {
        "rows": name,
        "shape": list(X.shape),
        "classes": int(y.max()) + 1,
        "fit": {
            "seconds": seconds,
            "passes": model.trace_.passes[-1],
            "residual": c.residual,
            "gap": c.gap,
            "certified": c.certified,
            "undecided": c.undecided,
        },
        "predict_seconds": predicting,
        "to_the_gap": medians,
        "times_as_long": medians["torch.optim.LBFGS"]["seconds"] / medians["linearhead"]["seconds"],
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--fashion")
    options.add_argument("--small", action="store_true")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "the processor"
    results = []
    if given.fashion:
        with np.load(given.fashion) as data:
            X = torch.from_numpy(data["X"].reshape(len(data["X"]), -1)).to(device).float() / 255
            results.append(case("Fashion-MNIST pixels", X, torch.from_numpy(data["y"].astype(np.int64)).to(device)))
        print(json.dumps(results[-1]), flush=True)
    for n, d, k in [(3000, 64, 10)] if given.small else CASES:
        results.append(case("Gaussian", *rows(n, d, k, device)))
        print(json.dumps(results[-1]), flush=True)
    record = {"device": name, "torch": torch.__version__, "relative_gap": GAP, "results": results}
    if not given.small:
        Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
