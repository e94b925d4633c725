"""Every solver against an optimum found another way, on fifty-six kinds of problem.

The reference is a dense Newton method written here from the formulas of the documentation, in the coordinates of the
rows' singular vectors, where every problem is well conditioned: X − mean = U S Vᵀ, unknowns S Vᵀ W, penalty
α/2 ‖S⁻¹ ·‖². Coefficients must agree within 1e-6 of their norm. `test_solvers_witnesses.py` asks scikit-learn and a
plain FISTA as well.
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective
from linearhead.penalties import PENALTIES
from linearhead.records import Status
from linearhead.solvers import SOLVERS
from linearhead.solvers.newton import conjugate_gradients

SMOOTH = ("cross_entropy", "logistic", "squared_hinge", "squared")
SHIFT_FREE = ("cross_entropy", "squared_hinge")  # adding one number to every intercept changes nothing


# ── problems ──────────────────────────────────────────────────────────────────────────────────────
def blobs(rng, n, d, k, shares=None, spread=1.0):
    """Gaussian classes that overlap, each with at least two rows; X (n, d), y (n,)."""
    y = rng.choice(k, n, p=shares)
    y[: 2 * k] = np.arange(2 * k) % k
    return rng.normal(size=(n, d)) + spread * rng.normal(size=(k, d))[y], y


def conditioned(rng, condition):
    X, y = blobs(rng, 120, 8, 3)
    left, _, right = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    values = np.sqrt(len(X)) * np.sqrt(condition) * np.logspace(0, -np.log10(condition), 8)
    return left * values @ right + rng.normal(size=8), y


def scaled(rng):
    X, y = blobs(rng, 120, 6, 3)
    return X * np.array([1e-4, 1e-2, 1, 1, 1e2, 1e4]), y


def repeated(rng):
    X, y = blobs(rng, 40, 5, 4)
    return np.tile(X, (3, 1)), np.tile(y, 3)


PROBLEMS = {
    "condition 1": lambda rng: conditioned(rng, 1),
    "condition 1e2": lambda rng: conditioned(rng, 1e2),
    "condition 1e4": lambda rng: conditioned(rng, 1e4),
    "condition 1e6": lambda rng: conditioned(rng, 1e6),
    "condition 1e8": lambda rng: conditioned(rng, 1e8),
    "columns of 1e-4 to 1e4": scaled,
    "far from 0": lambda rng: (lambda X, y: (X + 1e4, y))(*blobs(rng, 100, 5, 3)),
    "fewer rows than columns": lambda rng: blobs(rng, 20, 40, 3),
    "every row three times": repeated,
    "imbalanced": lambda rng: blobs(rng, 200, 5, 3, shares=(0.95, 0.03, 0.02)),
    "two equal columns": lambda rng: (lambda X, y: (np.hstack([X, X[:, :1]]), y))(*blobs(rng, 80, 5, 3)),
    "two classes": lambda rng: blobs(rng, 90, 6, 2),
    "twenty classes": lambda rng: blobs(rng, 200, 6, 20),
    "hundred classes": lambda rng: blobs(rng, 230, 3, 100),
}
SEEDS = {name: (0,) if "classes" in name else (0, 1, 2) for name in PROBLEMS}


def weights_of(rng, n, seed):
    return None if seed % 2 == 0 else rng.uniform(0.1, 2.0, n)


def objective_of(X, y, loss, alpha, w=None, penalty="l2", intercept=True, **options):
    design = design_of(X, intercept=intercept, threads=1).fitted(w)
    return Objective(design, y, int(y.max()) + 1, LOSSES[loss](), PENALTIES[penalty](**options), alpha, w)


# ── the reference ─────────────────────────────────────────────────────────────────────────────────
def value_slope_bend(loss, s, hot):
    """ℓ (n,), its gradient (n, k) and Hessian (n, k, k) in the scores, from the formulas."""
    k, eye = s.shape[1], np.eye(s.shape[1])
    if loss == "cross_entropy":
        e = np.exp(s - s.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        value = np.log(e.sum(axis=1)) + s.max(axis=1) - (hot * s).sum(axis=1)
        return value, p - hot, p[:, :, None] * eye - p[:, :, None] * p[:, None, :]
    if loss == "logistic":
        t = np.where(hot == 1, -s, s)
        p = 1 / (1 + np.exp(-s))
        return np.logaddexp(0, t).sum(axis=1), p - hot, (p * (1 - p))[:, :, None] * eye
    if loss == "squared":
        return 0.5 * ((s - hot) ** 2).sum(axis=1), s - hot, np.broadcast_to(eye, (len(s), k, k))
    own = (hot * s).sum(axis=1, keepdims=True)
    v = np.maximum(1 + s - own, 0) * (1 - hot)
    M = eye[None] - hot[:, None, :]  # rows e_j − e_y
    slope = 2 * (v[:, None, :] @ M)[:, 0]
    return (v**2).sum(axis=1), slope, 2 * (M.transpose(0, 2, 1) * (v > 0)[:, None, :]) @ M


def dense_hessian(A, w, bend):
    """Σ wᵢ AᵢAᵢᵀ ⊗ Hᵢ, ((d+1) k, (d+1) k)."""
    pairs = (w[:, None, None] * A[:, :, None] * A[:, None, :]).reshape(len(A), -1)
    size, k = A.shape[1], bend.shape[1]
    H = (pairs.T @ bend.reshape(len(A), -1)).reshape(size, size, k, k)
    return H.transpose(0, 2, 1, 3).reshape(size * k, size * k)


@threadpool_limits.wrap(limits=1)
def optimum(X, y, loss, alpha, w=None, intercept=True):
    """(W (d, k), b (k,), F*) of mean loss + α/2 ‖W‖²."""
    w = np.ones(len(X)) if w is None else w
    w, hot = w / w.sum(), np.eye(int(y.max()) + 1)[y]
    mean = w @ X if intercept else 0 * X[0]
    left, values, right = np.linalg.svd(X - mean, full_matrices=False)
    kept = values > 1e-13 * values[0]
    left, values, right = left[:, kept] * np.sqrt(len(X)), values[kept] / np.sqrt(len(X)), right[kept]
    A = np.hstack([left, np.full((len(X), 1), float(intercept))])
    ridge = np.append(alpha / values**2, 0.0)
    theta = np.zeros((A.shape[1], hot.shape[1]))
    for more in (1e9, 1e6, 1e3, 1.0) if loss == "squared_hinge" else (1.0,):  # kinks are crossed on the way to α
        theta = descended(loss, A, hot, w, more * ridge, theta)
    W = right.T @ (theta[:-1] / values[:, None])
    if loss in SHIFT_FREE:  # then only the penalty sees the mean over classes: it is 0, to the last digit
        W -= W.mean(axis=1, keepdims=True)
    b = theta[-1] - mean @ W
    return W, b, w @ value_slope_bend(loss, X @ W + b, hot)[0] + 0.5 * alpha * np.sum(W * W)


def descended(loss, A, hot, w, ridge, theta):
    """θ of least mean loss + ½ Σ ridge θ², by Newton steps with a dense Hessian."""

    def parts(theta):
        value, slope, bend = value_slope_bend(loss, A @ theta, hot)
        F = w @ value + 0.5 * np.sum(ridge[:, None] * theta**2)
        return F, A.T @ (w[:, None] * slope) + ridge[:, None] * theta, bend

    F, gradient, bend = parts(theta)
    for _ in range(100):
        H = dense_hessian(A, w, bend) + np.diag(np.repeat(ridge, theta.shape[1]))
        root = np.sqrt(np.maximum(np.diag(H), 1e-300))
        step = np.linalg.lstsq(H / root / root[:, None], gradient.ravel() / root, rcond=1e-13)[0] / root
        step, t = step.reshape(theta.shape), 1.0
        while (new := parts(theta - t * step))[0] > F and t > 1e-6:
            t /= 2
        if new[0] > F or np.abs(step).max() <= 1e-14 * np.abs(theta).max():
            break
        theta, (F, gradient, bend) = theta - t * step, new
    return theta


def assert_same(theta, objective, X, W, b, rtol=1e-6):
    """θ (in the design's columns) against W and b: coefficients, intercepts up to a common shift, scores."""
    found = objective.design.stored(theta)
    assert np.linalg.norm(found[:-1] - W) <= rtol * np.linalg.norm(W)
    scores, wanted = X @ found[:-1] + found[-1], X @ W + b
    if objective.loss.shift_invariant:
        scores, wanted = (s - s.mean(axis=1, keepdims=True) for s in (scores, wanted))
    assert np.abs(scores - wanted).max() <= rtol * max(1.0, np.abs(wanted).max()) * max(1.0, np.abs(X).max() / 1e3)


# ── smooth problems ───────────────────────────────────────────────────────────────────────────────
def check_solvers(loss, kind, seeds):
    for seed in seeds or SEEDS[kind]:
        rng = np.random.default_rng(seed)
        X, y = PROBLEMS[kind](rng)
        w, alpha, intercept = weights_of(rng, len(X), seed), (1e-2, 1e-3, 1e-4)[seed % 3], seed % 3 != 2
        W, b, F = optimum(X, y, loss, alpha, w, intercept)
        objective = objective_of(X, y, loss, alpha, w, intercept=intercept)
        solvers = (
            ["lbfgs", "newton"] + ["closed_form"] * (loss == "squared") + ["gd"] * (kind == "condition 1" and not seed)
        )
        for name in solvers:
            options = {"max_iter": 20_000} if name == "gd" else {"max_iter": 5000}
            solution = SOLVERS[name](tol=1e-11, **options)(objective, objective.start())
            assert solution.status in (Status.CONVERGED, Status.STALLED), f"{name}, seed {seed}: {solution.status}"
            assert abs(solution.point.value - F) <= 1e-12 + 1e-11 * F, f"{name}, seed {seed}"
            assert_same(solution.point.theta, objective, X, W, b)


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("loss", SMOOTH)
def test_solvers_reach_the_reference(loss, kind):
    check_solvers(loss, kind, SEEDS[kind])


@pytest.mark.parametrize("seed", [4, 9])
def test_few_rows_at_their_margin_are_told_by_a_young_model(seed):
    """F of 1e-8 and 1e-7, five pairs of a row and a class above the margin: which ones changes for long."""
    check_solvers("squared_hinge", "condition 1e8", (seed,))


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_a_class_that_hardly_bends_is_not_taken_for_one_that_the_loss_does_not_see(loss):
    """A curvature of 1e-8 of the largest along one class: Newton took no step there, and ended 2e-8 off."""
    check_solvers(loss, "condition 1e8", (16,))


@pytest.mark.parametrize("solver", ["lbfgs", "newton"])
@pytest.mark.parametrize("loss", SMOOTH)
def test_directions_that_nothing_sees_are_left_alone(loss, solver):
    """Equal columns without a penalty: rounding must not be taken for a slope along their difference."""
    X, y = blobs(np.random.default_rng(0), 150, 5, 3)
    for far, scale in ((0, [1e-3, 1, 1, 10, 1e3]), (1e5, [1.0] * 5)):
        Z = X * scale + far
        single, double = (objective_of(A, y, loss, 0.0, penalty="none") for A in (Z, np.hstack([Z, Z[:, :2]])))
        best = SOLVERS[solver](tol=1e-10)(single, single.start()).point
        found = SOLVERS[solver](tol=1e-10)(double, double.start()).point
        assert abs(found.value - best.value) <= 1e-10 * best.value
        assert np.abs(found.theta).max() <= 100 * np.abs(best.theta).max()  # 5e13 otherwise


def test_conjugate_gradients_return_the_least_residual():
    """H of rank 2 and a target with a part that no x reaches: x stays of its size, its residual near that part."""
    rng = np.random.default_rng(1)
    H, noise = np.diag([4.0, 1.0, 0.0]), 1e-9 * rng.normal(size=3)
    x = conjugate_gradients(
        lambda v: H @ v + 1e-16 * rng.normal(size=3), np.array([1.0, 2.0, 0.0]) + noise, lambda v: v, 1e-12, 500
    )
    assert np.abs(H @ x - [1, 2, 0]).max() <= 2e-9
    assert np.abs(x).max() <= 3


def test_conjugate_gradients_see_every_column_whatever_its_size():
    """H of condition 1e16 and its diagonal as M: all of x is right, where r·r would see the first entries alone."""
    rng = np.random.default_rng(2)
    size = 10.0 ** np.arange(8, -1, -1)
    V = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    H = size[:, None] * (V @ np.diag(rng.uniform(0.5, 2, 9)) @ V.T) * size
    wanted = rng.normal(size=9) / size
    x = conjugate_gradients(lambda v: H @ v, H @ wanted, lambda v: v / size**2, 1e-10, 50)
    np.testing.assert_allclose(x * size, wanted * size, rtol=1e-6)


def test_at_least_forty_problems():
    assert len(PROBLEMS) * len(SMOOTH) >= 40
