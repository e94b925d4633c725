"""Do the certificates hold? Some thousand small fits beside an optimum found in float64 by other means.

    python benchmarks/certificates.py [--problems 400] [--seed 0]

Problems are drawn: loss × penalty × α × n, d, k × scale of the columns × class balance × intercept × standardize ×
weights. Each is fitted in float32 and float64 at several tolerances, some stopped after a few iterations. Counted:
fits whose F exceeds the reference's by more than the certified gap; rows, seen and unseen, whose prediction was
promised and is another at the reference; fits whose `converged_` is not what the independent residual (for kinked
losses: the certified gap and the reference) says; misses without a warning. The reference (reference.py) is itself
compared with scikit-learn's newton-cholesky and Ridge. Everything found goes to certificates.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from reference import SMOOTH, Problem, optimum

LOSSES = ("cross_entropy", "logistic", "squared", "squared_hinge", "hinge", "crammer_singer")
TOLERANCES = {True: (None, 1e-3, 1e-5), False: (None, 1e-2, 1e-3)}  # smooth losses, hinges
ROUNDING = 1e-13  # relative, of F by two float64 programs


def draw(rng: np.random.Generator) -> tuple[Problem, np.ndarray]:
    """A problem and rows that it has not seen; columns in float32, so that both types hold the same numbers."""
    loss = str(rng.choice(LOSSES, p=[0.28, 0.2, 0.16, 0.12, 0.12, 0.12]))
    kinds = ("l2",) if loss not in SMOOTH[:3] else ("l2", "l2", "l2", "elastic_net", "l1")
    penalty = str(rng.choice(kinds))
    n, d, k = int(rng.integers(12, 120)), int(rng.integers(1, 14)), int(rng.integers(2, 6))
    spectrum = 10.0 ** (-rng.uniform(0, 2) * np.linspace(0, 1, d))
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    scale, offset = 10.0 ** rng.uniform(-2, 2), rng.choice([0.0, 1.0, 30.0])
    rows = lambda m: ((rng.standard_normal((m, d)) * spectrum) @ turn + offset) * scale  # noqa: E731
    X, fresh = rows(n).astype(np.float32).astype(float), rows(300).astype(np.float32).astype(float)
    teacher = rng.standard_normal((d, k)) * rng.choice([0.3, 2.0, 20.0]) / scale
    skew = rng.choice([0.0, 3.0]) * np.arange(k)
    y = ((X - offset * scale) @ teacher + skew + rng.gumbel(size=(n, k))).argmax(axis=1)
    y[:k] = np.arange(k)
    weights = rng.choice([None, 1])
    weights = None if weights is None else rng.uniform(0.1, 3, n)
    standardize, intercept = bool(rng.random() < 0.3), bool(rng.random() < 0.75)
    size = 1.0 if standardize else float(np.mean((X - X.mean(axis=0)) ** 2)) + 1e-12
    alpha = 10.0 ** rng.uniform(-4.5, 0) * size
    return Problem(X, y, k, loss, penalty, alpha, weights, intercept, standardize), fresh


def fit(problem: Problem, kind: str, tol: float | None, stop: int | None) -> tuple:
    from linearhead import LinearClassifier

    options = {"loss": problem.loss, "penalty": problem.penalty, "alpha": problem.alpha, "tol": tol}
    options |= {"fit_intercept": problem.intercept, "standardize": problem.standardize}
    if stop is not None and problem.penalty == "l2" and problem.loss in SMOOTH:
        options |= {"solver": "lbfgs"}
    callback = None if stop is None else (lambda row: row["iteration"] >= stop)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = LinearClassifier(**options, callback=callback)
        model.fit(problem.X.astype(kind), problem.y, problem.weights)
    return model, bool(said)


def judge(problem: Problem, exact: np.ndarray, fresh: np.ndarray, model, said: bool) -> dict:
    """What the fit promised and what is true."""
    proof, tol = model.certificate_, model.certificate_.tolerance
    theta = problem.inner(model.coef_, model.intercept_)
    value, best = problem.value(theta), problem.value(exact)
    kind = model.coef_.dtype
    promised, changed = 0, 0
    for X in (problem.X, fresh):
        kept = ~model.undecided(X.astype(kind))
        labels = problem.scores(exact, X).argmax(axis=1)
        promised += int(kept.sum())
        changed += int(np.sum(model.predict(X.astype(kind))[kept] != labels[kept]))
    moved = int(np.sum(model.predict(problem.X.astype(kind)) != problem.scores(exact, problem.X).argmax(axis=1)))
    if problem.loss in SMOOTH:
        residual = problem.residual(theta)
        noise = 1e-9 * tol + 1e-13 * np.abs(problem.A).max()
        truthful = residual <= tol + noise if model.converged_ else residual > tol - noise
    else:
        certified = proof.gap / abs(proof.value) <= tol
        truthful = model.converged_ == certified and (not model.converged_ or value - best <= 1.000001 * tol * value)
    return {
        "violation": bool(value - best > proof.gap + ROUNDING * abs(value)),
        "promised": promised,
        "changed": changed,
        "count_broken": bool(proof.undecided is not None and moved > proof.undecided),
        "truthful": bool(truthful),
        "silent": bool(not model.converged_ and not said),
        "converged": bool(model.converged_),
        "excess": value / best - 1 if best else 0.0,
        "gap": proof.gap,
        "value": value,
        "best": best,
        "all_promised": promised == len(fresh) + len(problem.X),
    }


def against_scikit_learn(problem: Problem, exact: np.ndarray) -> float | None:
    """By how much the reference's F is above scikit-learn's, relative; None where it has no such fit."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if problem.penalty != "l2" or problem.standardize or problem.loss not in ("cross_entropy", "squared"):
        return None
    Z, n = problem.A[:, :-1], len(problem.X)
    w, fit_intercept = problem.w * n, problem.intercept
    if problem.loss == "squared":
        model = Ridge(alpha=problem.alpha * n, fit_intercept=fit_intercept).fit(Z, np.eye(problem.k)[problem.y], w)
        theirs = np.vstack([model.coef_.T, np.broadcast_to(model.intercept_, (1, problem.k))])
    else:
        solver = "newton-cholesky" if problem.k > 2 else "lbfgs"
        if problem.k == 2:
            return None  # one row of weights there, two here: another penalty
        model = LogisticRegression(
            C=1 / (problem.alpha * n), solver=solver, tol=1e-12, max_iter=1000, fit_intercept=fit_intercept
        ).fit(Z, problem.y, w)
        theirs = np.vstack([model.coef_.T, model.intercept_[None]])
    return problem.value(exact) / problem.value(theirs) - 1


def campaign(problems: int, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    total, by_loss, failures, peers = Counter(), {loss: Counter() for loss in LOSSES}, [], []
    for number in range(problems):
        problem, fresh = draw(rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exact = optimum(problem)
            off = against_scikit_learn(problem, exact)
        peers += [] if off is None else [off]
        stops = [None, None, None, int(rng.integers(1, 12))]
        for kind in ("float32", "float64"):
            for tol, stop in zip((*TOLERANCES[problem.loss in SMOOTH], None), stops, strict=True):
                model, said = fit(problem, kind, tol, stop)
                found = judge(problem, exact, fresh, model, said or stop is not None)
                counted = {name: int(v) for name, v in found.items() if isinstance(v, (bool, int))} | {"fits": 1}
                total.update(counted)
                by_loss[problem.loss].update(counted)
                if found["violation"] or found["changed"] or found["count_broken"] or not found["truthful"]:
                    failures.append({"problem": number, "loss": problem.loss, "penalty": problem.penalty} | found)
                    failures[-1] |= {"type": kind, "tol": tol, "stop": stop, "alpha": problem.alpha}
    return {
        "problems": problems,
        "seed": seed,
        "total": dict(total),
        "by_loss": {loss: dict(found) for loss, found in by_loss.items()},
        "failures": failures,
        "reference_over_scikit_learn": {"problems": len(peers), "largest": max(peers, default=0.0)},
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--problems", type=int, default=400)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    start = time.process_time()
    record = campaign(given.problems, given.seed)
    record["cpu_seconds"] = time.process_time() - start
    for name in ("total", "reference_over_scikit_learn", "cpu_seconds"):
        print(name, record[name])
    for failure in record["failures"][:20]:
        print(failure)
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
