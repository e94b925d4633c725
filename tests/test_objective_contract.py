"""The objective against differences and against the formula as its users would write it.

A check takes an `Objective` and raises AssertionError; `test_mutants_objective.py` sees each of them fail. Cases are
loss × penalty × weights × intercept × type × layout × scaling, all of them; derivatives are compared with central
differences of the float64 objective, along directions that mix the gradient with noise so that no slope is small by
accident.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective
from linearhead.penalties import PENALTIES

RTOL = 5e-6
WEIGHTS, TYPES, LAYOUTS = ("none", "real", "zeros"), ("float64", "float32", "float16", "uint8"), ("C", "F", "strided")
TRIALS = 420  # at least, for each of the 24 pairs of loss and penalty: more than 10 000 in all


@dataclass(frozen=True)
class Case:
    loss: str = "cross_entropy"
    penalty: str = "l2"
    weights: str = "real"
    intercept: bool = True
    dtype: str = "float64"
    layout: str = "C"
    standardize: bool = False
    seed: int = 0
    n: int = 14
    d: int = 4
    k: int = 3
    offset: float = 0.0  # of every column, in units of its spread


def cases(loss, penalty, first_seed=0):
    """Every arrangement of one loss and one penalty: 168 of them, each with a seed of its own."""
    grid = list(itertools.product(WEIGHTS, (True, False), TYPES, LAYOUTS, (False, True)))
    grid += itertools.product(WEIGHTS, (True, False), ("float64", "float32"), ("sparse",), (False, True))
    for seed, (weights, intercept, dtype, layout, standardize) in enumerate(grid, first_seed):
        yield Case(loss, penalty, weights, intercept, dtype, layout, standardize, seed, k=2 + seed % 4)


def arrange(X, layout):
    """The same numbers stored in another way."""
    if layout == "sparse":
        return scipy.sparse.csr_array(X)
    if layout == "strided":
        wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
        wide[::-2, 1::3] = X
        X = wide[::-2, 1::3]
    X = np.asfortranarray(X) if layout == "F" else X
    X.setflags(write=False)
    return X


def problem(case):
    """(objective, X (n, d) float64 as stored, weights (n,)) of a case."""
    rng = np.random.default_rng(case.seed)
    X = rng.normal(size=(case.n, case.d)) * 2.0 ** rng.integers(-2, 3, size=case.d)
    if case.layout == "sparse":
        X[:, 1:] *= rng.random((case.n, case.d - 1)) < 0.6
    X = np.round(100 + 40 * X).clip(0, 255) if case.dtype == "uint8" else X + case.offset * X.std(axis=0)
    X = X.astype(case.dtype)
    y = rng.permutation(np.arange(case.n) % case.k)
    w = {"none": None, "real": rng.uniform(0.2, 3, case.n), "zeros": rng.integers(0, 3, case.n).astype(float)}
    w = w[case.weights]
    if case.weights == "zeros":
        w[:3] = 0, 1, 2
    design = design_of(arrange(X, case.layout), intercept=case.intercept, threads=1).fitted(w, case.standardize)
    kind = PENALTIES[case.penalty]
    penalty = kind(l1_ratio=0.3) if case.penalty == "elastic_net" else kind()
    objective = Objective(design, y, case.k, LOSSES[case.loss](), penalty, 0.07, w)
    return objective, X.astype(np.float64), np.ones(case.n) if w is None else w


def some_theta(objective, rng):
    """θ (d+1, k) whose scores are of order one, no weight near 0, no row near a kink."""
    for _ in range(100):
        theta = rng.normal(size=(objective.design.d + 1, objective.k))
        theta += 0.05 * np.sign(theta)
        theta[:-1] /= np.sqrt(objective.design.d * np.maximum(objective.design.energy, 1e-12))[:, None]
        theta[-1] *= objective.design.intercept
        if kink_distance(objective, theta) > 1e-3:
            return theta
    raise AssertionError("every θ lies near a kink")


def kink_distance(objective, theta):
    """The least |margin|, or gap between a row's two largest margins if their maximum counts."""
    if not hasattr(objective.loss, "margin"):
        return np.inf
    z = objective.loss.margin + all_scores(objective, theta)
    rows = np.arange(len(z))
    z = z - (z[rows, objective.y] - objective.loss.margin)[:, None]
    z[rows, objective.y] = -np.inf
    z.sort(axis=1)
    tied = objective.loss.name == "crammer_singer" and z.shape[1] > 2
    gap = np.min(z[:, -1] - z[:, -2]) if tied else np.inf
    return min(gap, np.min(np.abs(z[:, 1:])))


def all_scores(objective, theta):
    """Z W + b in float64, from the design's own rows."""
    return objective.design.precise().dense().astype(np.float64) @ theta[:-1] + theta[-1]


def close(found, wanted, rtol, scale=None):
    """|found − wanted| ≤ rtol · scale, by default the largest entry wanted."""
    scale = np.max(np.abs(wanted)) if scale is None else scale
    error = np.max(np.abs(np.asarray(found) - wanted))
    assert error <= rtol * scale, f"off by {error:.3e}, of {scale:.3e}"


# ── the formula ───────────────────────────────────────────────────────────────────────────────────
def textbook_losses(name, s, y):
    """ℓ per row as the documentation defines it, margin 1; (n, k), (n,) → (n,)"""
    rows = np.arange(len(s))
    own = s[rows, y]
    hot = np.eye(s.shape[1])[y]
    z = np.where(hot == 1, 0, 1 + s - own[:, None])
    return {
        "cross_entropy": lambda: np.log(np.exp(s).sum(axis=1)) - own,
        "logistic": lambda: np.log1p(np.exp(np.where(hot == 1, -s, s))).sum(axis=1),
        "hinge": lambda: np.maximum(z, 0).sum(axis=1),
        "crammer_singer": lambda: np.maximum(z, 0).max(axis=1),
        "squared_hinge": lambda: (np.maximum(z, 0) ** 2).sum(axis=1),
        "squared": lambda: 0.5 * ((s - hot) ** 2).sum(axis=1),
    }[name]()


def textbook_penalty(penalty, W):
    """R(W)"""
    l1, l2 = np.abs(W).sum(), 0.5 * (W**2).sum()
    ratio = getattr(penalty, "l1_ratio", 0)
    return {"none": 0.0, "l2": l2, "l1": l1, "elastic_net": ratio * l1 + (1 - ratio) * l2}[penalty.name]


def columns_as_they_should_be(objective, X, w):
    """The design's own centre and scale (d,), found right to the data's precision."""
    mean = w @ X / w.sum() if objective.design.intercept else np.zeros(X.shape[1])
    spread = np.sqrt(w @ (X - mean) ** 2 / w.sum())
    rtol = 1e-12 if objective.design.exact else 1e-5
    shift = np.zeros(X.shape[1]) if objective.design.shift is None else objective.design.shift
    scale = np.ones(X.shape[1]) if objective.design.scale is None else objective.design.scale
    close((shift - mean) / spread, 0, rtol, scale=1 + np.max(np.abs(mean / spread)))
    close(scale, np.ones(X.shape[1]) if objective.design.scale is None else spread, rtol)
    assert (objective.design.shift is None) != objective.design.intercept
    return shift, scale


def check_value(objective, X, w):
    """F against its definition, from X as stored: centring moves the intercept alone, scaling the penalty's units."""
    theta = some_theta(objective, np.random.default_rng(1))
    shift, scale = columns_as_they_should_be(objective, X, w)
    s = (X - shift) / scale @ theta[:-1] + theta[-1]
    loss = w @ textbook_losses(objective.loss.name, s, objective.y) / w.sum()
    wanted = loss + objective.alpha * textbook_penalty(objective.penalty, theta[:-1])
    point = objective.precise().at(theta)
    close(point.value, wanted, 1e-11)
    close(point.loss, loss, 1e-11)
    close(objective.at(theta).value, wanted, 1e-13 if objective.design.exact else 2e-5)


# ── differences ───────────────────────────────────────────────────────────────────────────────────
def direction(objective, gradient, rng):
    """The gradient's direction and a random one, equally long, in the columns' own units; (d+1, k)"""
    metric = np.append(np.sqrt(np.maximum(objective.design.energy, 1e-12)), 1.0)[:, None]
    noise = rng.normal(size=gradient.shape) / metric
    noise[-1] *= objective.design.intercept
    slope = gradient / metric**2
    slope[-1] *= objective.design.intercept
    lengths = [max(np.linalg.norm(v * metric), 1e-300) for v in (slope, noise)]
    return slope / lengths[0] + noise / lengths[1]


def check_derivatives(objective, directions, seed=0):
    """Slopes of F and of ∇F along directions, against ∇F and Hessian products. Returns the number of comparisons."""
    exact, rng, done = objective.precise(), np.random.default_rng(seed), 0
    theta = some_theta(objective, rng)
    gradient = exact.at(theta).gradient
    if not objective.design.intercept:
        assert not gradient[-1].any()
    for _ in range(directions):
        v = direction(objective, gradient, rng)
        h = 1e-6 if hasattr(objective.loss, "margin") else 2e-5
        ahead, behind = exact.at(theta + h * v), exact.at(theta - h * v)
        close((ahead.value - behind.value) / (2 * h), np.vdot(gradient, v), RTOL)
        done += 1
        if objective.loss.smoothness:
            close(exact.hessian_product(theta, v), (ahead.gradient - behind.gradient) / (2 * h), RTOL)
            done += 1
    return done


def check_single_precision(objective):
    """Gradient and Hessian product in the data's own arithmetic against float64."""
    theta = some_theta(objective, np.random.default_rng(2))
    v = direction(objective, theta, np.random.default_rng(3))
    exact = objective.precise()
    metric = np.append(np.sqrt(np.maximum(objective.design.energy, 1e-12)), 1.0)[:, None]
    rtol = 1e-12 if objective.design.exact else 3e-5
    found, wanted = objective.at(theta).gradient / metric, exact.at(theta).gradient / metric
    close(found, wanted, rtol, scale=max(np.abs(wanted).max(), 0.1))
    if objective.loss.smoothness:
        found, wanted = (o.hessian_product(theta, v) / metric for o in (objective, exact))
        close(found, wanted, rtol, scale=max(np.abs(wanted).max(), 0.1))


def check_everywhere(loss, penalty, record_property, first_seed):
    trials = 0
    for case in cases(loss, penalty, first_seed):
        objective, X, w = problem(case)
        with objective.design.session():
            try:
                check_value(objective, X, w)
                trials += check_derivatives(objective, 2 if objective.loss.smoothness else 3)
                check_single_precision(objective)
            except AssertionError as error:
                raise AssertionError(f"{case}: {error}") from error
    assert trials >= TRIALS
    record_property("comparisons with differences", trials)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_value_and_derivatives_everywhere(loss, penalty, record_property):
    check_everywhere(loss, penalty, record_property, 0)


def test_ten_thousand_comparisons():
    assert TRIALS * len(LOSSES) * len(PENALTIES) >= 10_000
