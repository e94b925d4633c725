"""Steps against their formulas: line search, gradient descent and SGD with momentum, the two-loop recursion, Newton.

Each recursion is written out here as the docstrings have it, on few rows, and compared step by step.
"""

from collections import deque
from itertools import pairwise
from math import cos, exp, inf, pi
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead.objective.objective import Objective
from linearhead.records import Status
from linearhead.solvers import SOLVERS
from linearhead.solvers.lbfgs import _due, _remember, noise, two_loop
from linearhead.solvers.line_search import DELTA, MAX_TRIALS, SIGMA, _between, search
from linearhead.solvers.proximal import _decrease, support_newton
from test_solvers_agree import blobs, objective_of

# ── line search ───────────────────────────────────────────────────────────────────────────────────
CURVES = {  # f, f', both from 0, f'(0) < 0
    "parabola": (lambda t: (t - 3.0) ** 2, lambda t: 2 * (t - 3.0)),
    "valley far away": (lambda t: 1e-6 * (t - 1e3) ** 2, lambda t: 2e-6 * (t - 1e3)),
    "valley near by": (lambda t: 1e6 * (t - 1e-3) ** 2, lambda t: 2e6 * (t - 1e-3)),
    "quartic": (lambda t: (t - 2.0) ** 4, lambda t: 4 * (t - 2.0) ** 3),
    "wall": (lambda t: exp(min(8 * t, 700)) - 20 * t, lambda t: 8 * exp(min(8 * t, 700)) - 20),
    "bent line": (lambda t: abs(t - 0.7) + 0.01 * t, lambda t: 1.01 if t > 0.7 else -0.99),
}


def searched(f, slope, t=1.0, noise=0.0):
    """(t, trials) where `search` ends from 0 with the first trial t."""
    trials = []

    def at(t):
        trials.append(t)
        return SimpleNamespace(value=f(t)), slope(t)

    found = search(at, f(0.0), slope(0.0), noise, t)
    return (None if found is None else found[0]), trials


@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("name", [name for name in CURVES if name != "bent line"])
def test_wolfes_conditions_hold_where_the_search_ends(name, first):
    f, slope = CURVES[name]
    t, trials = searched(f, slope, first)
    assert t == trials[-1]
    assert f(t) <= f(0) + DELTA * t * slope(0)
    assert slope(t) >= SIGMA * slope(0)
    assert len(trials) <= 14


def test_a_kink_is_bracketed_as_closely_as_numbers_allow_or_passed():
    t, trials = searched(*CURVES["bent line"])
    assert t is None or f_falls(t)
    assert len(trials) <= MAX_TRIALS


def f_falls(t):
    f, slope = CURVES["bent line"]
    return f(t) <= f(0) + DELTA * t * slope(0) and slope(t) >= SIGMA * slope(0)


def test_a_step_that_fits_at_once_is_taken_at_once():
    f, slope = CURVES["parabola"]
    assert searched(f, slope, 3.0) == (3.0, [3.0])
    assert searched(f, slope, 0.5) == (0.5, [0.5])  # a fifth of the way in slope is enough


def test_too_long_a_step_goes_to_the_parabolas_minimum():
    """From f(0), f'(0), f(t): exact for a parabola, inside the middle four fifths."""
    f, slope = CURVES["parabola"]
    assert searched(f, slope, 7.0) == (pytest.approx(3.0), [7.0, pytest.approx(3.0)])
    assert searched(f, slope, 100.0)[1][:2] == [100.0, pytest.approx(10.0)]  # not below a tenth
    t, trials = searched(*(lambda t: 2.0 - t if t < 1 else 1.0 + 1e-9 * t, lambda t: -1.0 if t < 1 else 1e-9), 2.0)
    assert trials[0] == 2.0
    assert t == 2.0  # it fits: lower by far, and rising


def test_too_short_a_step_grows_fourfold_and_infinite_values_shrink_tenfold():
    f, slope = CURVES["valley far away"]
    assert searched(f, slope, 1.0)[1][:4] == [1.0, 4.0, 16.0, 64.0]

    def walled(t):
        return inf if t > 1 else (t - 0.6) ** 2

    trials = searched(walled, lambda t: 2 * (t - 0.6), 8.0)[1]
    assert trials[0] == 8.0
    assert trials[1] == pytest.approx(0.8)
    assert searched(walled, lambda t: 2 * (t - 0.6), 8.0)[0] <= 1


def test_beyond_a_hump_the_way_is_back_though_f_falls_there():
    f = lambda t: -t if t < 0.5 else 5 - 3 * (t - 1)  # noqa: E731
    t, trials = searched(f, lambda t: -1.0 if t < 0.3 else -0.5 if t < 0.5 else -3.0, 1.0)
    assert trials[0] == 1.0
    assert max(trials[1:]) < 1
    assert 0.3 <= t < 0.5


def test_between_is_the_parabolas_minimum_kept_off_the_ends():
    """Of low 1, high 3, f(1) = 5, f'(1) = −4: with values at 3 that make a parabola or none, and without a value."""
    assert (
        _between(1, 5, -4, 3, 5 - 8 + 4) == 2.8
    )  # (t − 1)² − 4 (t − 1) + 5 has its minimum at 3: not past nine tenths
    assert _between(1, 5, -4, 3, 5 - 8 + 8) == 2.0
    assert _between(1, 5, -4, 3, 1e9) == 1.2
    assert _between(1, 5, -4, 3, None) == 2.0
    assert _between(1, 5, -4, 3, inf) == 1.2
    assert _between(1, 5, -4, 3, -1e9) == 1.2  # no parabola opens upwards


def test_within_noise_slopes_decide():
    """F's digits are used up: a value a little higher is taken for equal, if the slope says so."""
    slope = lambda t: 1e-9 * (t - 1.0)  # noqa: E731
    f = lambda t: 1.0 + 1e-16 * (t != 0)  # noqa: E731
    jumpy = lambda t: 1.0 + (2e-13 if t else 0.0)  # noqa: E731
    assert searched(f, slope, 1.0, noise=1e-12)[0] == 1.0
    assert searched(jumpy, slope, 1.0, noise=1e-12)[0] == 1.0
    assert searched(jumpy, slope, 1.0, noise=1e-14)[0] is None
    steep = lambda t: -1e-9 if t < 1 else 1e-9  # noqa: E731  as steep uphill as it was down: no approximate step
    assert searched(jumpy, steep, 1.0, noise=1e-12)[0] is None


def test_uphill_everywhere_ends_without_a_step():
    t, trials = searched(lambda t: t, lambda t: -1.0 if t == 0 else 1.0)
    assert t is None
    assert len(trials) <= MAX_TRIALS
    assert trials[0] == 1.0
    assert all(0.09 <= b / a <= 0.91 for a, b in pairwise(trials))


# ── gradient descent and SGD ──────────────────────────────────────────────────────────────────────
def small(loss="cross_entropy", alpha=0.1):
    X, y = blobs(np.random.default_rng(0), 40, 3, 3)
    return objective_of(X, y, loss, alpha)


def velocities(objective, rates, momentum, nesterov, theta=None):
    """v ← μv − ηg, θ ← θ + v; Nesterov's g at θ + μv."""
    theta = objective.start() if theta is None else theta
    v, path = 0 * theta, []
    for rate in rates:
        v = momentum * v - rate * objective.at(theta + nesterov * momentum * v).gradient
        theta = theta + v
        path.append(theta)
    return path


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.7, False), (0.7, True)])
def test_gradient_descent_is_its_recursion(momentum, nesterov):
    objective = small()
    wanted = velocities(objective, [0.3] * 6, momentum, nesterov)
    for steps in (1, 2, 6):
        solver = SOLVERS["gd"](learning_rate=0.3, momentum=momentum, nesterov=nesterov, max_iter=steps, tol=0)
        np.testing.assert_allclose(solver(objective, objective.start()).point.theta, wanted[steps - 1], atol=1e-14)


def test_one_over_l_never_rises_and_backtracking_falls_as_armijo_asks():
    objective = small()
    step = 1 / objective.lipschitz()
    found = SOLVERS["gd"](learning_rate="1/L", max_iter=1, tol=0)(objective, objective.start()).point
    np.testing.assert_allclose(found.theta, -step * objective.at(objective.start()).gradient, rtol=1e-12)
    values = SOLVERS["gd"](learning_rate="1/L", max_iter=50, tol=0)(objective, objective.start()).trace.value
    assert (np.diff(values) < 0).all()
    passes = SOLVERS["gd"](learning_rate="backtracking", max_iter=25, tol=1e-8)(objective, objective.start()).trace
    assert (np.diff(passes.value[:8]) < 0).all()
    tried = np.diff(passes.passes)
    assert (tried >= 1).all()
    assert tried.mean() < 2.5  # trials a step, once the size is known
    assert passes.value[-1] < values[-1]


SCHEDULES = {
    "constant": lambda t, total, alpha: 1.0,
    "cosine": lambda t, total, alpha: 0.5 * (1 + cos(pi * t / total)),
    "inverse": lambda t, total, alpha: 1 / (1 + 0.2 * alpha * t),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.7, False), (0.7, True)])
def test_sgd_on_all_rows_is_its_recursion(momentum, nesterov, schedule):
    objective, total = small(), 8
    rates = [0.2 * SCHEDULES[schedule](t, total, objective.alpha) for t in range(total)]
    wanted = velocities(objective, rates, momentum, nesterov)
    options = {"learning_rate": 0.2, "momentum": momentum, "nesterov": nesterov, "schedule": schedule}
    solver = SOLVERS["sgd"](batch_size=40, max_iter=total, tol=0, **options)
    np.testing.assert_allclose(solver(objective, objective.start()).point.theta, wanted[-1], atol=1e-13)
    averaged = SOLVERS["sgd"](batch_size=40, max_iter=total, tol=0, averaging=True, **options)
    mean = np.mean(wanted[total // 2 :], axis=0)  # over the second half
    np.testing.assert_allclose(averaged(objective, objective.start()).point.theta, mean, atol=1e-13)


@pytest.mark.parametrize("size", [1, 7])
def test_sgd_visits_every_row_once_an_epoch_in_a_new_order(size, monkeypatch):
    objective, seen = small(), []
    descend = Objective.descend

    def watched(self, theta, batch, t):
        seen.append(np.concatenate([block.rows for block in batch[1]]))
        descend(self, theta, batch, t)

    monkeypatch.setattr(Objective, "descend", watched)
    SOLVERS["sgd"](batch_size=size, max_iter=3, learning_rate=0.1, seed=4)(objective, objective.start())
    epochs = np.concatenate(seen).reshape(3, 40)
    assert (np.sort(epochs, axis=1) == np.arange(40)).all()
    assert not np.array_equal(epochs[0], epochs[1])
    assert [len(rows) for rows in seen[: -(-40 // size)]] == [size] * (40 // size) + [40 % size] * (40 % size > 0)
    seen.clear()
    SOLVERS["sgd"](batch_size=size, max_iter=2, learning_rate=0.1, shuffle=False)(objective, objective.start())
    assert np.array_equal(np.concatenate(seen), np.tile(np.arange(40), 2))


# ── second order ──────────────────────────────────────────────────────────────────────────────────
def test_the_two_loops_are_bfgs():
    """H⁺ = (I − ρsyᵀ) H (I − ρysᵀ) + ρssᵀ from H₀ = γM⁻¹, γ = sᵀy / yᵀM⁻¹y of the newest pair."""
    rng = np.random.default_rng(1)
    A = rng.normal(size=(6, 6))
    A = A @ A.T + np.eye(6)
    scale = rng.uniform(0.5, 2, 6)
    apply = lambda *arrays: [(v.ravel() / scale).reshape(v.shape) for v in arrays]  # noqa: E731
    pairs = deque(maxlen=3)
    theta, points = rng.normal(size=(2, 3)), []
    for _ in range(5):
        point = SimpleNamespace(theta=theta, gradient=(A @ theta.ravel()).reshape(2, 3))
        if points:
            _remember(pairs, points[-1], point)
        points.append(point)
        theta = theta + rng.normal(size=(2, 3))
    assert len(pairs) == 3
    s, y, _ = pairs[-1]
    H = np.diag(1 / scale) * (s.ravel() @ y.ravel()) / (y.ravel() @ (y.ravel() / scale))
    for s, y, curvature in pairs:
        s, y = s.ravel(), y.ravel()
        assert curvature == pytest.approx(s @ y)
        V = np.eye(6) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    g = rng.normal(size=(2, 3))
    before = g.copy()
    np.testing.assert_allclose(two_loop(g, pairs, apply).ravel(), H @ g.ravel(), rtol=1e-12)
    assert np.array_equal(g, before)
    np.testing.assert_allclose(two_loop(g, deque(), apply), apply(g)[0])
    still = SimpleNamespace(theta=points[-1].theta + 1.0, gradient=points[-1].gradient)
    _remember(pairs, points[-1], still)  # no curvature, nothing to learn
    assert len(pairs) == 3
    assert pairs[-1][0] is not still.theta


def test_the_model_is_renewed_at_powers_of_two():
    assert [i for i in range(40) if _due(i)] == [0, 2, 4, 8, 16, 32]


def test_noise_is_rounding_of_f_with_room_for_sums_that_cancel():
    point = SimpleNamespace(value=-3.0)
    for dtype, share in ((np.float32, 2.0**-23), (np.float64, 1e5 * 2.0**-52)):
        problem = SimpleNamespace(design=SimpleNamespace(dtype=np.dtype(dtype)))
        assert noise(problem, point) == pytest.approx(3 * share)
        assert noise(problem, SimpleNamespace(value=0.0)) > 0


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in ("closed_form", "dual")])
def test_so_many_steps_and_no_more(solver, most):
    options = {"preconditioned": False} if solver == "lbfgs" else {}
    objective = small(alpha=1e-4)
    found = SOLVERS[solver](tol=0, max_iter=most, **options)(objective, objective.start())
    assert found.status is Status.MAX_ITER
    assert found.iterations == most
    assert found.trace.iteration == list(range(most + 1))
    assert found.point.value == found.trace.value[-1]


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_a_quadratic_is_solved_in_a_step_or_two(solver):
    """The model of squared loss is the Hessian, so the first direction leads to the minimum."""
    objective = small("squared")
    found = SOLVERS[solver](tol=1e-10)(objective, objective.start())
    assert found.status is Status.CONVERGED
    assert found.iterations <= 4
    assert found.trace.value[1] - found.point.value <= 1e-3 * (found.trace.value[0] - found.point.value)


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared_hinge"])
def test_few_iterations_are_enough(loss):
    objective = small(loss, alpha=1e-3)
    newton = SOLVERS["newton"](tol=1e-10)(objective, objective.start())
    assert newton.status is Status.CONVERGED
    assert newton.iterations <= 14
    tail = np.array(newton.trace.gradient_norm[-3:])
    assert tail[2] / tail[1] < 0.3  # faster towards the end
    lbfgs = SOLVERS["lbfgs"](tol=1e-8)(objective, objective.start())
    assert lbfgs.status is Status.CONVERGED
    assert lbfgs.iterations <= 40
    assert lbfgs.trace.passes[-1] <= 2 * lbfgs.iterations + 6


# ── kinked penalties ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_newton_on_the_support_finishes_what_first_steps_began(loss):
    X, y = blobs(np.random.default_rng(2), 60, 8, 3)
    objective = objective_of(X, y, loss, 0.05, penalty="l1")
    best = SOLVERS["proximal"](tol=1e-11)(objective, objective.start()).point
    near = SOLVERS["proximal"](tol=3e-3)(objective, objective.start()).point
    assert np.array_equal(near.theta != 0, best.theta != 0)  # else there would be nothing for Newton to finish
    assert objective.prox_residual(near) > 1e-5
    found = support_newton(objective, near)
    assert objective.prox_residual(found) <= 1e-9
    assert found.value < near.value
    np.testing.assert_allclose(found.theta, best.theta, atol=1e-8)
    assert support_newton(objective, found) is None or objective.prox_residual(found) <= 1e-9


def test_weights_that_would_change_sign_stop_at_zero():
    X, y = blobs(np.random.default_rng(3), 60, 4, 3)
    objective = objective_of(X, y, "squared", 0.5, penalty="l1")
    theta = objective.start()
    theta[0], theta[1], theta[-1] = 0.1, -0.1, -0.1
    point = objective.smooth_at(theta)
    p = np.zeros_like(theta)
    p[0], p[1], p[-1] = -0.3, 0.05, 0.3
    found = _decrease(objective, point, p)
    assert found.value < point.value
    assert (found.theta[0] == 0).all()
    np.testing.assert_allclose(found.theta[1], -0.05)  # its sign stays
    np.testing.assert_allclose(found.theta[-1], 0.2)  # an intercept may change its own
    assert _decrease(objective, objective.smooth_at(found.theta), -p * (theta != 0)) is None
