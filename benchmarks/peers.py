"""Softmax + L2 beside every other solver that people use, at equal objective, same rows and cores, in one run.

    python benchmarks/peers.py ../shared/data/fashion-mnist [--rows 20000] [--limit 120]

Each peer runs once as its documentation proposes, in a process of its own, for at most `limit` seconds; one float64
function judges the F = mean cross-entropy + α/2 ‖W‖², α = 1/n, where it stops. linearhead then runs to the first
iterate whose F is no larger. Peers that are not installed (scikit-learn-intelex, PyTorch) are left out. → peers.json
"""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from measure import alone, versions
from softmax import load, objective, ours


def scikit_learn(X, y, alpha: float, solver: str, **options) -> tuple:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (alpha * len(X)), solver=solver, **options).fit(X, y)
    return model.coef_, model.intercept_


def intelex(X, y, alpha: float) -> tuple:
    from sklearnex.linear_model import LogisticRegression  # type: ignore[import-not-found]

    model = LogisticRegression(C=1 / (alpha * len(X)), max_iter=1000).fit(X, y)
    return np.asarray(model.coef_), np.asarray(model.intercept_)


def sgd_classifier(X, y, alpha: float) -> tuple:
    """One-vs-rest logistic: its F as a softmax is what it is."""
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(loss="log_loss", alpha=alpha, random_state=0).fit(X, y)
    return model.coef_, model.intercept_


def torch_lbfgs(X, y, alpha: float) -> tuple:
    import torch

    A, labels = torch.from_numpy(X), torch.from_numpy(y)
    W = torch.zeros(X.shape[1], int(y.max()) + 1, requires_grad=True)
    b = torch.zeros(W.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([W, b], max_iter=1000, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(A @ W + b, labels) + 0.5 * alpha * (W * W).sum()
        value.backward()
        return value

    optimiser.step(closure)
    return W.detach().numpy().T.copy(), b.detach().numpy().copy()


PEERS = {
    "scikit-learn lbfgs": lambda *a: scikit_learn(*a, "lbfgs", max_iter=1000),
    "scikit-learn newton-cg": lambda *a: scikit_learn(*a, "newton-cg"),
    "scikit-learn newton-cholesky": lambda *a: scikit_learn(*a, "newton-cholesky"),
    "scikit-learn saga": lambda *a: scikit_learn(*a, "saga", max_iter=100),
    "scikit-learn SGDClassifier": sgd_classifier,
    "scikit-learn-intelex lbfgs": intelex,
    "torch.optim.LBFGS": torch_lbfgs,
}
NEEDS = {"scikit-learn-intelex lbfgs": "sklearnex", "torch.optim.LBFGS": "torch"}


def compare(X, y, alpha: float, peer: Any, limit: int) -> dict:
    try:
        run = alone(lambda: peer(X, y, alpha), limit)
    except TimeoutError:
        return {"ended": False, "seconds": limit}
    F = objective(*run.found, X, y, alpha)
    mine = alone(lambda: ours(X, y, alpha, F))
    reached = objective(mine.found["coef"], mine.found["intercept"], X, y, alpha)
    return {
        "ended": True,
        "F": F,
        "seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds,
        "linearhead": {"F": reached, "seconds": mine.seconds, "cpu_seconds": mine.cpu_seconds},
        "times_as_long": {
            "seconds": run.seconds / mine.seconds,
            "cpu_seconds": run.cpu_seconds / mine.cpu_seconds,
        },
    }


def main() -> None:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser()
    options.add_argument("data")
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--limit", type=int, default=120)
    given = options.parse_args()
    for module in ("linearhead.estimators", "sklearn.linear_model", "scipy.linalg"):
        importlib.import_module(module)  # before any clock runs
    X, y = load(given.data, given.rows)
    y = np.unique(y, return_inverse=True)[1]
    alpha, results = 1 / len(X), {}
    for name, peer in PEERS.items():
        if name in NEEDS and find_spec(NEEDS[name]) is None:
            continue
        results[name] = compare(X, y, alpha, peer, given.limit)
        print(name, json.dumps(results[name]), flush=True)
    record = {"data": Path(given.data).name, "rows": len(X), "columns": X.shape[1], "limit": given.limit}
    Path(__file__).with_suffix(".json").write_text(
        json.dumps(record | {"results": results, "versions": versions()}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
