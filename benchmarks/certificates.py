"""Do the certificates hold? Some thousand fits beside an optimum found in float64 by other means.

    python benchmarks/certificates.py [--problems 400] [--seed 0]

Problems are drawn: shape (`SHAPES`: a few rows, wide, square, many classes, many rows) × loss × penalty × α × scale and
condition of the columns × class balance × intercept × standardize × weights × type of the rows. Each is fitted in its
own type and in float64 at several tolerances, some stopped after a few iterations. Counted: fits whose F exceeds the
reference's by more than the certified gap; rows, seen and unseen, whose prediction was promised and is another at the
reference; fits whose `converged_` is not what the independent residual (for kinked losses: the certified gap and the
reference) says; misses without a warning, and warnings of fits that converged; and how many fits took which of the ways
that not all of them take (`WAYS`). The reference (reference.py) is itself compared with scikit-learn's newton-cholesky
and Ridge. Everything found, the fits that ended unconverged among it, goes to certificates.json beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from reference import SMOOTH, Problem, optimum

LOSSES = ("cross_entropy", "logistic", "squared", "squared_hinge", "hinge", "crammer_singer")
TOLERANCES = {True: (None, 1e-3, 1e-5), False: (None, 1e-2, 1e-3)}  # smooth losses, hinges
ROUNDING = 1e-13  # relative, of F and of the gap in float64
TINY = 1e-7  # times smaller are the columns of some problems


@dataclass(frozen=True)
class Shape:
    """Rows, columns and classes, each from … to, of a share of the problems."""

    share: float
    n: tuple[int, int]
    d: tuple[int, int]
    k: tuple[int, int]
    losses: tuple[str, ...] = LOSSES

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        n, d, k = (int(rng.integers(low, high + 1)) for low, high in (self.n, self.d, self.k))
        return n, d, k


SHAPES = {
    "small": Shape(0.7, (12, 120), (1, 14), (2, 6)),
    "wide": Shape(0.1, (20, 90), (60, 400), (2, 5)),
    "square": Shape(0.04, (400, 420), (300, 320), (2, 3)),  # where a curvature model is dear
    "classes": Shape(0.08, (120, 300), (2, 8), (33, 40), SMOOTH),  # where classes are too many for edges
    "long": Shape(0.06, (33_000, 40_000), (2, 12), (2, 6), SMOOTH),  # where a sample starts, and rows are drawn
    "both": Shape(0.02, (8_192, 8_300), (2, 3), (33, 33), SMOOTH[:1]),  # where a few rows tell a step's length
}
WAYS = {
    "Newton's turns": "linearhead.objective.finish:Finish.step",
    "Newton's method on multipliers": "linearhead.objective.smoothed:newton",
    "first without a curvature model": "linearhead.estimators.by_lbfgs:_joined",
    "in the rows' span": "linearhead.estimators.by_lbfgs:_in_span",
    "start on a sample": "linearhead.objective.objective:Objective.sample",
    "steps told by a few rows": "linearhead.solvers.lbfgs:_stride",
    "rows drawn by their curvature": "linearhead.objective.curvature:draw",
    "coupled, many classes": "linearhead.objective.curvature:couple",
    "last digits in float64": "linearhead.solvers.lbfgs:LBFGS._polish",
    "Gram factor, corrected": "linearhead.solvers.closed_form:_refined",
    "least squares by n × n numbers": "linearhead.objective.normal:inverse_by_rows",
    "least squares by all rows at once": "linearhead.solvers.closed_form:_by_rows",
    "Newton on the support of L1": "linearhead.solvers.proximal:support_newton",
    "Newton through the kinks of L1": "linearhead.objective.kinked:Kinked.step",
    "intercept balanced for the bound": "linearhead.objective.duality:_balanced_bound",
}


def spectrum(rng: np.random.Generator, d: int) -> np.ndarray:
    """Spreads (d,) along the directions of the columns, from 1 down to a hundredth, or in a third of the problems to as
    little as 1e-8, which less of float32 columns resolve."""
    return 10.0 ** (-rng.uniform(0, rng.choice([2, 2, 8])) * np.linspace(0, 1, d))


def stored(X: np.ndarray, kind: str, largest: float) -> np.ndarray:
    """Rows that this type holds, float64; bytes of the numbers up to ±largest."""
    if kind == "uint8":
        X = np.clip(np.rint(128 + 127 * X / largest), 0, 255)
    return X.astype(kind).astype(float)


def draw(rng: np.random.Generator) -> tuple[str, str, Problem, np.ndarray]:
    """The shape's name, a type, a problem whose columns are in that type, so that float64 holds the same numbers, and
    rows that it has not seen."""
    shape = str(rng.choice(list(SHAPES), p=[shape.share for shape in SHAPES.values()]))
    chances = np.array([{"cross_entropy": 0.28, "logistic": 0.2, "squared": 0.16}.get(loss, 0.12) for loss in LOSSES])
    chances *= [loss in SHAPES[shape].losses for loss in LOSSES]
    loss = str(rng.choice(LOSSES, p=chances / chances.sum()))
    kinds = ("l2", "l2", "l2", "elastic_net", "l1") if loss in SMOOTH[:3] and shape == "small" else ("l2",)
    penalty, kind = str(rng.choice(kinds)), str(rng.choice(["float32", "float16", "uint8"], p=[0.7, 0.15, 0.15]))
    n, d, k = SHAPES[shape].draw(rng)
    spread, turn = spectrum(rng, d), np.linalg.qr(rng.standard_normal((d, d)))[0]
    scale, offset = 10.0 ** rng.uniform(-2, 2), rng.choice([0.0, 1.0, 30.0])
    if kind == "float32" and rng.random() < 0.1:
        scale *= TINY
    rows = lambda m: ((rng.standard_normal((m, d)) * spread) @ turn + offset) * scale  # noqa: E731
    raw = rows(n), rows(300)
    X, fresh = (stored(Z, kind, np.abs(raw[0]).max()) for Z in raw)
    deviation = np.sqrt(np.mean((X - X.mean(axis=0)) ** 2)) or 1e-6
    teacher = rng.standard_normal((d, k)) * rng.choice([0.3, 2.0, 20.0]) / deviation / np.sqrt(d / 7)
    skew = rng.choice([0.0, 3.0]) * np.arange(k) * min(1, 6 / k)
    y = ((X - X.mean(axis=0)) @ teacher + skew + rng.gumbel(size=(n, k))).argmax(axis=1)
    y[:k] = np.arange(k)
    weights = rng.choice([None, 1])
    weights = None if weights is None else rng.uniform(0.1, 3, n)
    standardize, intercept = bool(rng.random() < 0.3), bool(rng.random() < 0.75)
    weakest = rng.choice([-4.5, -4.5, -16 if loss == "squared" else -8])  # a Gram factor is right to 1e-16 of its size
    alpha = 10.0 ** rng.uniform(weakest, 0) * (1.0 if standardize else deviation**2)
    return shape, kind, Problem(X, y, k, loss, penalty, alpha, weights, intercept, standardize), fresh


@contextlib.contextmanager
def watched(taken: Counter) -> Iterator[None]:
    """Calls of the functions of WAYS are counted, those that return None apart: they hand on."""
    with contextlib.ExitStack() as patches:
        for way, place in WAYS.items():
            module, _, name = place.partition(":")
            owner = importlib.import_module(module)
            *outer, name = name.split(".")
            owner = getattr(owner, outer[0]) if outer else owner
            held = vars(owner)[name]
            own = held.__func__ if isinstance(held, staticmethod) else held

            def seen(*given: object, own: object = own, way: str = way, **options: object) -> object:
                found = own(*given, **options)
                taken[way] += found is not None
                return found

            patches.enter_context(mock.patch.object(owner, name, staticmethod(seen) if own is not held else seen))
        yield


def fit(problem: Problem, kind: str, tol: float | None, stop: int | None) -> tuple:
    """The model, the warnings it gave, and how often it took which of WAYS."""
    from linearhead import LinearClassifier

    options = {"loss": problem.loss, "penalty": problem.penalty, "alpha": problem.alpha, "tol": tol}
    options |= {"fit_intercept": problem.intercept, "standardize": problem.standardize}
    if stop is not None and problem.penalty == "l2" and problem.loss in SMOOTH:
        options |= {"solver": "lbfgs"}
    callback = None if stop is None else (lambda row: row["iteration"] >= stop)
    with warnings.catch_warnings(record=True) as said, watched(taken := Counter()):
        warnings.simplefilter("always")
        model = LinearClassifier(**options, callback=callback)
        model.fit(problem.X.astype(kind), problem.y, problem.weights)
    return model, [f"{one.category.__name__}: {one.message}" for one in said], taken


def judge(problem: Problem, exact: np.ndarray, fresh: np.ndarray, kind: str, model, said: bool) -> dict:
    """What the fit promised and what is true."""
    proof, tol = model.certificate_, model.certificate_.tolerance
    theta = problem.inner(model.coef_, model.intercept_)
    value, best = problem.exactly(theta), problem.exactly(exact)
    promised, changed = 0, 0
    for X in (problem.X, fresh):
        kept = ~model.undecided(X.astype(kind))
        labels = problem.scores(exact, X).argmax(axis=1)
        promised += int(kept.sum())
        changed += int(np.sum(model.predict(X.astype(kind))[kept] != labels[kept]))
    moved = int(np.sum(model.predict(problem.X.astype(kind)) != problem.scores(exact, problem.X).argmax(axis=1)))
    if problem.loss in SMOOTH:
        residual = problem.residual(theta)
        # slopes carry the rounding of scores: large ones leave little of a tolerance for columns of tiny numbers
        noise = (
            1e-9 * tol + (1e-13 + 4 * np.finfo(float).eps * np.abs(problem.A @ theta).max()) * np.abs(problem.A).max()
        )
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
        "noisy": bool(model.converged_ and said),
        "converged": bool(model.converged_),
        "excess": float(value / best - 1) if best else 0.0,
        "gap": proof.gap,
        "value": float(value),
        "best": float(best),
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
    total, by_loss, ways = Counter(), {loss: Counter() for loss in LOSSES}, dict.fromkeys(WAYS, 0)
    failures, left, peers, shapes = [], [], [], Counter()
    for number in range(problems):
        shape, own, problem, fresh = draw(rng)
        shapes[shape] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exact = optimum(problem)
            off = against_scikit_learn(problem, exact)
        peers += [] if off is None else [off]
        stops = [None, None, None, int(rng.integers(1, 40))]
        for kind in (own, "float64"):
            for tol, stop in zip((*TOLERANCES[problem.loss in SMOOTH], None), stops, strict=True):
                model, said, taken = fit(problem, kind, tol, stop)
                found = judge(problem, exact, fresh, kind, model, bool(said))
                found["silent"] &= stop is None
                counted = {name: int(v) for name, v in found.items() if isinstance(v, (bool, int))} | {"fits": 1}
                total.update(counted)
                by_loss[problem.loss].update(counted)
                for way in +taken:
                    ways[way] += 1
                about = {"problem": number, "shape": shape, "size": (*problem.X.shape, problem.k), "loss": problem.loss}
                about |= {"penalty": problem.penalty, "alpha": problem.alpha, "type": kind, "tol": tol, "stop": stop}
                wrong = found["violation"] or found["changed"] or found["count_broken"] or not found["truthful"]
                if wrong or found["silent"] or found["noisy"]:
                    failures.append(about | found | {"said": said})
                    print("failure", failures[-1], flush=True)
                elif stop is None and not found["converged"]:
                    left.append(about | {"status": model.status_.value, "residual": model.certificate_.residual})
                    print("unconverged", left[-1], flush=True)
    return {
        "problems": problems,
        "seed": seed,
        "shapes": dict(shapes),
        "total": dict(total),
        "by_loss": {loss: dict(found) for loss, found in by_loss.items()},
        "ways": ways,
        "failures": failures,
        "unconverged": left,
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
    for name in ("shapes", "total", "ways", "reference_over_scikit_learn", "cpu_seconds"):
        print(name, record[name])
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
