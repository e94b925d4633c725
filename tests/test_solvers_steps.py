"""Steps against their formulas: line search, gradient descent and SGD with momentum, the two-loop recursion, Newton.

Each recursion is written out here as the docstrings have it, on few rows, and compared step by step.
"""

from collections import deque
from dataclasses import asdict
from itertools import pairwise
from math import cos, exp, inf, pi
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead.errors import UsageError
from linearhead.objective.objective import Objective
from linearhead.records import Status
from linearhead.solvers import SOLVERS, closed_form, lbfgs, newton, proximal
from linearhead.solvers.contract import Progress
from linearhead.solvers.lbfgs import _due, _remember, noise, two_loop
from linearhead.solvers.line_search import DELTA, MAX_TRIALS, SIGMA, _between, search, turning
from linearhead.solvers.newton import conjugate_gradients
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
    assert t in trials[-2:]  # the last but one where its half is worse
    assert f(t) <= f(0) + DELTA * t * slope(0)
    assert slope(t) >= SIGMA * slope(0)
    assert len(trials) <= 14


@pytest.mark.parametrize("name", CURVES)
def test_where_a_curve_turns_is_found_from_its_slopes(name):
    _, slope = CURVES[name]
    asked = []
    t = turning(lambda t: asked.append(t) or slope(t), slope(0))
    if slope(1) <= 0.1 * abs(slope(0)):  # beyond, or nearly there
        assert (t, asked) == (1.0, [1.0])
    else:
        assert 0 < t < 1
        assert len(asked) <= 11
        assert abs(slope(t)) <= 0.1 * abs(slope(0)) or abs(t - 0.7) < 1e-2 or name == "valley near by"
    if name == "valley near by":
        assert t == pytest.approx(1e-3, rel=0.1)


@pytest.mark.parametrize("place", [0.4, 0.03, 1e-4])
@pytest.mark.parametrize("sharpness", [1e2, 1e4, 1e8])
def test_a_sharp_turn_is_passed_by_less_than_its_distance(place, sharpness):
    """Before it, what makes the function turn is not active, and the next step would end there as well."""

    def slope(t):
        return t - 1 + sharpness * max(t - place, 0.0)

    asked = []
    t = turning(lambda t: asked.append(t) or slope(t), slope(0))
    assert place < t <= 2 * place or abs(slope(t)) <= 0.1
    assert 0.5 * t * t - t + 0.5 * sharpness * (t - place) ** 2 < 0
    assert len(asked) <= 30


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


def test_a_step_whose_tangent_falls_below_zero_on_the_way_back_is_halved():
    """Nearly separable classes: what is left at t = 1 is all penalty, and four times the least."""
    f, slope = lambda t: 3 * exp(-20 * t) + 0.05 * t**2, lambda t: -60 * exp(-20 * t) + 0.1 * t
    assert 0 < f(1.0) < slope(1.0)
    assert slope(1.0) < 2e-3 * abs(slope(0.0))  # as a slope it is next to nothing
    assert searched(f, slope) == (0.5, [1.0, 0.5, 0.25])  # at a quarter F is higher again
    assert searched(lambda t: f(t) - 1, slope) == (1.0, [1.0])  # F below 0 says nothing of the kind


def test_nearly_separable_classes_are_near_their_optimum_after_a_few_passes():
    """Twenty clusters: the first step goes far beyond, and the way back took 21 passes of 39."""
    rng = np.random.default_rng(0)
    y, spread = rng.integers(0, 20, 400), np.logspace(0, -2, 200)
    X = (rng.standard_normal((20, 200))[y] + rng.standard_normal((400, 200))) * spread
    objective = objective_of(X, y, "cross_entropy", 1e-3)
    solution = SOLVERS["lbfgs"](tol=1e-8)(objective, objective.start())
    values, passes = np.array(solution.trace.value), np.array(solution.trace.passes)
    assert solution.status is Status.CONVERGED
    assert passes[np.argmax(values <= 1.05 * values[-1])] <= 14


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
    shorter = [b / a for a, b in pairwise(trials)]
    assert all(0.09 <= ratio <= 0.91 for ratio in shorter[:3])
    assert all(0 < ratio <= 0.5**i for i, ratio in enumerate(shorter[2:]))


@pytest.mark.parametrize("turn", [1e-6, 1e-12, 1e-20])
def test_a_step_too_long_by_any_power_of_ten_is_shortened(turn):
    """|t − turn|, rounded: far out a straight line, whose parabolas only halve."""
    f = lambda t: np.hypot(t / turn - 1, 0.1)  # noqa: E731
    slope = lambda t: (t / turn - 1) / np.hypot(t / turn - 1, 0.1) / turn  # noqa: E731
    t, _ = searched(f, slope)
    assert f(t) < 0.9 * f(0)


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


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_used_without_a_learning_rate_too(nesterov):
    """Its steps are those of 1/L; backtracking, which is the default without it, would leave it out."""
    objective = small()
    wanted = velocities(objective, [1 / objective.lipschitz()] * 5, 0.9, nesterov)
    solver = SOLVERS["gd"](momentum=0.9, nesterov=nesterov, max_iter=5, tol=0)
    np.testing.assert_allclose(solver(objective, objective.start()).point.theta, wanted[-1], atol=1e-13)
    plain, backtracking = (SOLVERS["gd"](learning_rate=r, max_iter=5, tol=0) for r in (None, "backtracking"))
    ends = [s(objective, objective.start()).point.theta for s in (plain, backtracking)]
    np.testing.assert_array_equal(*ends)
    with pytest.raises(UsageError, match="backtracking asks every step to lower"):
        SOLVERS["gd"](learning_rate="backtracking", momentum=0.9)


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

    def walked(self, theta, block, rates):
        assert len(rates) == len(block.rows)
        seen.extend(block.rows[:, None])
        walk(self, theta, block, rates)

    walk = Objective.walk
    monkeypatch.setattr(Objective, "descend", watched)
    monkeypatch.setattr(Objective, "walk", walked)
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


def test_the_model_is_renewed_at_powers_of_two_and_no_later_than_after_64():
    assert [i for i in range(300) if _due(i)] == [0, 2, 4, 8, 16, 32, 64, 128, 192, 256]


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
@pytest.fixture
def elsewhere(monkeypatch):
    """Rows that are not at hand, as of a cluster: without Newton's steps that see the kinks."""
    monkeypatch.setattr(Objective, "kinked_newton", lambda objective, allowed: None)


@pytest.mark.usefixtures("elsewhere")
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


@pytest.mark.usefixtures("elsewhere")
def test_columns_of_non_zero_weights_alone_are_shifted_to_their_median():
    """No row sees the shift, along which F is straight: steps of α each went there, and Newton saw no curvature."""
    rng = np.random.default_rng(0)
    X = 4 * rng.standard_normal((40, 3))
    y = (X @ rng.standard_normal((3, 6)) / 4 + rng.gumbel(size=(40, 6))).argmax(axis=1)
    objective = objective_of(X, y, "cross_entropy", 1e-4, penalty="l1")
    solution = SOLVERS["proximal"](tol=1e-7, max_iter=60)(objective, objective.start())  # 317 were needed
    assert solution.status is Status.CONVERGED
    W = solution.point.theta[:-1]
    assert max((W > 0).sum(axis=1).max(), (W < 0).sum(axis=1).max()) <= 3
    assert objective.centred(solution.point.theta)[:-1].tolist() == W.tolist()
    for loss, penalty in (("logistic", "l1"), ("cross_entropy", "l2")):  # rows see it; no kinks
        other = objective_of(X, y, loss, 1e-4, penalty=penalty)
        assert other.centred(solution.point.theta) is solution.point.theta


@pytest.mark.usefixtures("elsewhere")
def test_newton_on_the_support_steps_by_the_curvature_model_and_as_short_as_it_takes():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((45, 12)) * 10.0 ** (-2 * np.linspace(0, 1, 12))
    X = X @ np.linalg.qr(rng.standard_normal((12, 12)))[0]
    y = (5 * X @ rng.standard_normal((12, 5)) + rng.gumbel(size=(45, 5))).argmax(axis=1)
    objective = objective_of(X, y, "cross_entropy", 1e-6, penalty="elastic_net")
    solution = SOLVERS["proximal"](tol=1e-7)(objective, objective.start())
    assert solution.status is Status.CONVERGED
    assert solution.trace.passes[-1] <= 1000  # 2 432 without


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


# ── rules and recursions, each written out ────────────────────────────────────────────────────────
@pytest.mark.parametrize(("loss", "penalty"), [("cross_entropy", "l2"), ("squared", "l1"), ("squared", "l2")])
def test_backtracking_is_its_recursion(loss, penalty):
    """Halve η until F falls by ‖θ⁺ − θ‖² / 4η, rounding apart; next time half as much again."""
    X, y = blobs(np.random.default_rng(0), 40, 3, 3)
    objective = objective_of(5 * X, y, loss, 0.1, penalty=penalty)
    theta, rate, wanted = objective.start(), 1.0, []
    for _ in range(8):
        F, g = objective.step_point(theta).value, objective.step_point(theta).gradient
        while True:
            new = theta - rate * g
            new = objective.prox(new, rate) if penalty == "l1" else new
            move = np.sum((new - theta) ** 2)
            if objective.step_point(new).value <= F - 0.25 * move / rate + 2.0**-52 * F:
                break
            rate /= 2
        theta, rate = new, 1.5 * rate
        wanted.append(theta)
    for steps in (1, 2, 8):
        found = SOLVERS["gd"](max_iter=steps, tol=0)(objective, objective.start())
        np.testing.assert_allclose(found.point.theta, wanted[steps - 1], rtol=1e-12)


def test_backtracking_ends_where_no_step_lowers_f():
    """Sixty halvings are tried; a step that moves nothing does not count as one that lowers F."""
    objective = small("squared")
    uphill = SimpleNamespace(theta=objective.start(), value=1.0, gradient=np.ones_like(objective.start()))
    tried = []

    def step_point(theta):
        tried.append(theta)
        return SimpleNamespace(theta=theta, value=2.0)

    problem = SimpleNamespace(step_point=step_point, design=objective.design, kinked=False)
    assert SOLVERS["gd"]()._backtrack(problem, uphill, 1.0)[0] is None
    assert len(tried) == 60
    np.testing.assert_allclose([-theta[0, 0] for theta in tried[:20]], 0.5 ** np.arange(20), rtol=1e-9)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("penalty", ["l1", "elastic_net"])
def test_fista_is_its_recursion(penalty):
    """θ⁺ = prox(v − η M⁻¹∇L(v)), η a tenth more, then halved until the bound holds; t⁺ = ½ (1 + √(1 + 4t²)),
    v = θ⁺ + (t − 1)/t⁺ (θ⁺ − θ), begun anew where the momentum points uphill."""
    X, y = blobs(np.random.default_rng(6), 60, 5, 3)
    objective = objective_of(X * [1, 3, 0.2, 1, 9], y, "cross_entropy", 0.05, penalty=penalty)
    M = np.append(objective.design.energy, 1.0)[:, None]
    theta = v = objective.start()
    eta, t, wanted, restarts, halvings = 1.0, 1.0, [], 0, 0
    for _ in range(24):
        eta *= 1.1
        at = objective.smooth_at(v)
        while True:
            new = objective.prox(v - eta * at.gradient / M, eta / M)
            there, move = objective.smooth_at(new), new - v
            if there.loss <= at.loss + np.sum(at.gradient * move) + np.sum(M * move**2) / (2 * eta):
                break
            eta, halvings = eta / 2, halvings + 1
        if np.sum((v - new) * M * (new - theta)) > 0:
            t, v, restarts = 1.0, new, restarts + 1
        else:
            after = 0.5 * (1 + (1 + 4 * t * t) ** 0.5)
            v, t = new + (t - 1) / after * (new - theta), after
        theta = new
        wanted.append(theta)
    assert restarts
    assert halvings
    for steps in (1, 2, 3, 10, 24):
        found = SOLVERS["proximal"](max_iter=steps, tol=0)(objective, objective.start())
        np.testing.assert_allclose(found.point.theta, wanted[steps - 1], atol=1e-12)


@pytest.mark.usefixtures("elsewhere")
def test_newton_on_the_support_is_asked_after_25_steps_in_which_it_rested(monkeypatch):
    X, y = blobs(np.random.default_rng(2), 60, 8, 3)
    objective = objective_of(X, y, "cross_entropy", 0.05, penalty="l1")
    asked, support = [], []
    progress = {}

    def refuse(problem, point):
        asked.append(len(progress["trace"].iteration) - 1)
        return None

    class Watched(Progress):
        def record(self, iteration, point, residual=None):
            progress["trace"] = self.trace
            support.append(point.theta != 0)
            super().record(iteration, point, residual)

    monkeypatch.setattr(proximal, "support_newton", refuse)
    SOLVERS["proximal"](tol=0, max_iter=120).minimise(objective, objective.start(), Watched(objective, None, None))
    rests, wanted = 0, []
    for i in range(1, 120):
        rests = rests + 1 if np.array_equal(support[i], support[i - 1]) else 0
        if rests == 25:
            wanted.append(i)
            rests = 0
    assert asked == wanted
    assert len(asked) > 2
    best = SOLVERS["lbfgs"](tol=1e-3)(small(), small().start()).point
    monkeypatch.setattr(proximal, "support_newton", lambda problem, point: asked.append("given") or best)
    objective, asked[:] = objective_of(X, y, "cross_entropy", 0.05, penalty="l1"), []
    steps = Watched(objective, None, None)
    with pytest.raises(ValueError, match="shape"):  # its point is what goes on: here one of another problem
        SOLVERS["proximal"](tol=0, max_iter=120).minimise(objective, objective.start(), steps)
    assert asked == ["given"]


def scripted(values, residuals=None, theta=1.0):
    """A problem of one weight that answers with these values in turn; `tried` has the weights asked for."""
    tried, values, residuals = [], iter(values), iter(residuals or [])

    def smooth_at(theta):
        tried.append(float(theta[0, 0]))
        return SimpleNamespace(theta=theta, value=next(values), residual=next(residuals, 9.0))

    return SimpleNamespace(
        smooth_at=smooth_at,
        kinked=True,
        tried=tried,
        design=SimpleNamespace(dtype=np.dtype(np.float64)),
        prox_residual=lambda point: point.residual,
    )


def test_a_newton_step_is_halved_nine_times():
    point = SimpleNamespace(theta=np.array([[1.0], [0.0]]), value=1.0, residual=4.0)
    p = np.array([[8.0], [0.0]])
    for values, taken in (([2] * 10, None), ([2] * 9 + [0.9], 1 + 2.0**-6), ([0.9], 9.0)):
        problem = scripted(values)
        found = _decrease(problem, point, p)
        assert problem.tried == [1 + 2.0 ** (3 - i) for i in range(len(values))]
        assert (None if found is None else found.theta[0, 0]) == taken
    within = 1.0 + 1e-12  # of noise, 2.2e-11: F cannot tell, the residual does, by half and more
    for values, residuals, taken in (
        ([within] + [2] * 9, [1.9], 9.0),
        ([within] + [2] * 9, [2.0], None),
        ([1.0] + [2] * 9, [1.9], 9.0),
        ([1.0 + 1e-10] + [2] * 9, [0.0], None),
        ([2.0, within, 2, 2], [0.0, 1.0], 5.0),
    ):
        found = _decrease(scripted(values, residuals), point, p)
        assert (None if found is None else found.theta[0, 0]) == taken


# ── conjugate gradients and Newton's directions ───────────────────────────────────────────────────
def reference_cg(H, M, b, steps):
    """x after each step of preconditioned conjugate gradients, M the inverse that preconditions."""
    x, r = 0 * b, b.copy()
    z = M @ r
    p, found = z.copy(), []
    for _ in range(steps):
        a = (r @ z) / (p @ H @ p)
        x, after = x + a * p, r - a * H @ p
        beta = (after @ M @ after) / (r @ z)
        r, z = after, M @ after
        p = z + beta * p
        found.append((x, (r @ M @ r) ** 0.5))
    return found


def test_conjugate_gradients_are_their_recursion():
    rng = np.random.default_rng(6)
    A, B = rng.normal(size=(2, 6, 6))
    H, M, b = A @ A.T + 0.1 * np.eye(6), B @ B.T + np.eye(6), rng.normal(size=6)
    wanted, first = reference_cg(H, M, b, 5), (b @ M @ b) ** 0.5
    count = []

    def product(v):
        count.append(1)
        return H @ v

    for most in range(1, 6):
        best = min(wanted[:most], key=lambda seen: seen[1])[0]  # not always the last
        np.testing.assert_allclose(conjugate_gradients(product, b, lambda v: M @ v, 0.0, most), best, rtol=1e-8)
    for i, (_, norm) in enumerate(wanted):
        if norm < min([n for _, n in wanted[:i]], default=np.inf):
            count.clear()
            conjugate_gradients(product, b, lambda v: M @ v, norm / first * (1 + 1e-9), 99)
            assert len(count) == i + 1  # as soon as it is near enough


@pytest.mark.parametrize(("growth", "products"), [(0.9e4, 3), (1.1e4, 2)])
def test_conjugate_gradients_end_where_the_residual_is_lost(growth, products):
    """The second product is scripted: its residual is so many times the first one's."""
    seen = []

    def product(p):
        seen.append(p)
        if len(seen) == 1:
            return np.array([2.0, 1.0, 0.0])  # r: (1, 1, 0) → (0.3…, …)
        along = p / np.linalg.norm(p)
        across = np.array([0.0, 0.0, 1.0])
        size = np.linalg.norm(residual(seen[0], np.array([2.0, 1.0, 0.0])))
        step = size**2 / (p @ along)  # so that the step's length times `across` is the growth
        return along + across * growth * size / step

    def residual(p, hp):
        return p - hp * (p @ p) / (p @ hp)

    conjugate_gradients(product, np.array([1.0, 1.0, 0.0]), lambda v: v.copy(), 0.0, 3)
    assert len(seen) == products


def test_conjugate_gradients_stop_at_the_first_direction_without_curvature():
    b = np.array([1.0, 2.0])
    for H in (-np.eye(2), np.zeros((2, 2))):
        np.testing.assert_array_equal(conjugate_gradients(lambda v, H=H: H @ v, b, lambda v: 3 * v, 1e-9, 50), 3 * b)
    slight = conjugate_gradients(lambda v: 1e-3 * v, b, lambda v: v, 1e-9, 50)  # however little curvature is enough
    np.testing.assert_allclose(slight, 1e3 * b)
    assert not conjugate_gradients(lambda v: v, 0 * b, lambda v: v, 1e-9, 50).any()


def test_newtons_directions_are_as_exact_as_the_gradient_is_small(monkeypatch):
    """η = min(½, √‖∇F‖), five hundred products at most, none of them where the slope is not down."""
    asked = []
    monkeypatch.setattr(
        newton,
        "conjugate_gradients",
        lambda product, target, apply, tol, most: asked.append((np.linalg.norm(target), tol, most)) or target,
    )
    for size in (9.0, 0.3, 1e-4):
        objective = small("squared")
        point = objective.at(objective.start())
        point.gradient *= size / np.linalg.norm(point.gradient)
        SOLVERS["newton"]()._step(objective, point)
        assert asked[-1] == (pytest.approx(size), pytest.approx(min(0.5, size**0.5)), 500)
    monkeypatch.setattr(newton, "conjugate_gradients", lambda product, target, apply, tol, most: -target)
    assert SOLVERS["newton"]()._step(objective, point) is None
    monkeypatch.setattr(newton, "conjugate_gradients", lambda product, target, apply, tol, most: 0 * target)
    assert SOLVERS["newton"]()._step(objective, point) is None
    found = SOLVERS["newton"](tol=1e-9)(objective, objective.start())
    assert found.status is Status.STALLED
    assert found.iterations == 0


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_where_rounding_has_the_say_the_last_digits_solvers_stop(solver):
    for loss in ("cross_entropy", "squared_hinge"):
        objective = small(loss, alpha=1e-3)
        found = SOLVERS[solver](tol=0)(objective, objective.start())
        assert found.status is Status.STALLED
        assert found.point.residual <= 1e-13
        assert found.iterations <= (60 if solver == "newton" else 160)


# ── L-BFGS ────────────────────────────────────────────────────────────────────────────────────────
def watched(monkeypatch, objective, **options):
    """(Solution, θ's where the model was made, numbers of pairs that each direction used)."""
    made, used = [], []
    of, loop = Objective.preconditioner, lbfgs.two_loop
    monkeypatch.setattr(
        Objective, "preconditioner", lambda self, theta, fine=False: made.append(fine) or of(self, theta)
    )
    monkeypatch.setattr(lbfgs, "two_loop", lambda g, pairs, apply: used.append(len(pairs)) or loop(g, pairs, apply))
    found = SOLVERS["lbfgs"](**options)(objective, objective.start())
    monkeypatch.undo()
    return found, made, used


def test_models_are_made_at_powers_of_two_and_pairs_kept_up_to_the_memory(monkeypatch):
    objective = small("cross_entropy", alpha=1e-6)
    monkeypatch.setattr("linearhead.objective.curvature.CLASSES", 0)
    monkeypatch.undo()
    found, made, used = watched(monkeypatch, objective, tol=0, max_iter=30, memory=5)
    due = [i for i in range(min(30, found.iterations + 1)) if i in (0, 2, 4, 8, 16)]
    assert made == [i >= 8 for i in due]  # the late ones are to be sharper
    assert used[:8] == [0, 1, 2, 3, 4, 5, 5, 5]
    assert found.extras["model"].basis is objective.basis()
    _, made, used = watched(monkeypatch, objective, tol=0, max_iter=9, preconditioned=False)
    assert not made
    assert used[:9] == list(range(9))
    model = objective.preconditioner(objective.start())
    found, made, _ = watched(monkeypatch, objective, tol=0, max_iter=9, model=model)
    assert len(made) == 2  # a neighbour's serves until iteration 4; then 4 and 8
    found, made, _ = watched(monkeypatch, objective, tol=0, max_iter=9, model=model, serves=6)
    assert len(made) == 1
    assert SOLVERS["lbfgs"]().memory == 20


def test_the_first_step_without_a_model_is_no_longer_than_the_slope_is_steep(monkeypatch):
    first = []
    monkeypatch.setattr(lbfgs, "search", lambda at, value, slope, noise, t: first.append((slope, t)))
    objective = small()
    point = objective.at(objective.start())
    for size in (0.3, 30.0):
        point.gradient *= size / np.linalg.norm(point.gradient)
        solver = SOLVERS["lbfgs"](preconditioned=False)
        assert solver._step(objective, point, deque(), lbfgs._identity) is None
        assert first[-1] == (pytest.approx(-(size**2)), pytest.approx(min(1, 1 / size)))
        pair = (point.gradient, point.gradient, 1.0)
        solver._step(objective, point, deque([pair]), lbfgs._identity)
        SOLVERS["lbfgs"]()._step(objective, point, deque(), lbfgs._identity)
        assert [t for _, t in first[-2:]] == [1.0, 1.0]


def test_single_precision_gives_up_where_64_roundings_hide_the_slope():
    """Then rows are taken in float64, where slopes count to the last; a slope that is not down is none at all."""
    X, y = blobs(np.random.default_rng(0), 40, 3, 3)
    narrow = objective_of(X.astype(np.float32), y, "squared", 0.1)
    point = narrow.at(narrow.start())
    for roundings, told in ((60, False), (70, True)):
        point.gradient *= (roundings * noise(narrow, point)) ** 0.5 / np.linalg.norm(point.gradient)
        solver = SOLVERS["lbfgs"](preconditioned=False)
        taken = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lbfgs, "search", lambda *a, taken=taken: taken.append(1))
            solver._step(narrow, point, deque(), lbfgs._identity)
            assert bool(taken) == told
            taken.clear()
            solver._step(narrow.precise(), point, deque(), lbfgs._identity)
            assert taken
            taken.clear()
            solver._step(narrow.precise(), point, deque(), lambda g: [-g])
            solver._step(narrow.precise(), point, deque(), lambda g: [0 * g])
            assert not taken
    found = SOLVERS["lbfgs"](tol=1e-12)(narrow, narrow.start())
    assert found.status is Status.CONVERGED
    assert narrow.precise().at(found.point.theta).residual <= 1e-12


def test_a_memory_that_points_uphill_is_dropped():
    objective = small()
    s = np.random.default_rng(0).normal(size=objective.start().shape)
    bad = deque([(s, s, -float(np.vdot(s, s)))], maxlen=20)
    progress = Progress(objective, None, None)
    status = SOLVERS["lbfgs"](tol=1e-8).minimise(objective, objective.start(), progress, bad)
    assert status is Status.CONVERGED
    assert 0 < len(bad) <= progress.iterations


def test_pairs_without_curvature_are_not_remembered():
    """sᵀy must exceed 1e-14 ‖s‖ ‖y‖, whatever their lengths."""
    start = SimpleNamespace(theta=np.zeros(2), gradient=np.zeros(2))
    for s_length, y_length in ((1.0, 1.0), (1e3, 1.0), (1.0, 1e3), (1e-3, 1e-2)):
        for angle, kept in ((0.9e-14, False), (1.1e-14, True)):
            pairs = deque()
            new = SimpleNamespace(theta=s_length * np.array([1.0, 0.0]), gradient=y_length * np.array([angle, 1.0]))
            _remember(pairs, start, new)
            assert len(pairs) == kept


@pytest.fixture
def plenty(monkeypatch):
    """A few hundred rows count as plenty."""
    monkeypatch.setattr("linearhead.objective.objective.SAMPLE_ROWS", 50)
    monkeypatch.setattr("linearhead.objective.objective.SAMPLE_PER_CLASS", 5)


@pytest.mark.usefixtures("plenty")
def test_from_0_a_fourth_of_the_rows_lead_as_long_as_steps_yield_a_hundredth():
    X, y = blobs(np.random.default_rng(7), 400, 3, 3)
    quadratic = objective_of(X, y, "squared", 0.1)
    found = SOLVERS["lbfgs"](tol=1e-6)(quadratic, quadratic.start())
    assert found.trace.passes[0] == 2.0  # a look, two steps and one that yields nothing; then all rows
    assert found.trace.value[0] < 1.02 * found.point.value
    for options, theta in (({"preconditioned": False}, 0.0), ({}, 1e-3)):
        fit = SOLVERS["lbfgs"](max_iter=0, **options)(quadratic, quadratic.start() + theta)
        assert fit.trace.passes == [1.0]
    fresh = objective_of(X, y, "squared", 0.1)
    assert SOLVERS["lbfgs"](max_iter=0)(fresh, fresh.start()).trace.passes == [
        1.25
    ]  # no step allowed; θ = 0 looked at once
    soft = objective_of(3 * X, y, "cross_entropy", 1e-4)
    found = SOLVERS["lbfgs"](tol=1e-6)(soft, soft.start())
    assert 2 <= found.trace.passes[0] <= 5.5
    assert found.trace.value[0] < 1.2 * found.point.value < 0.8 * np.log(3)


@pytest.mark.usefixtures("plenty")
def test_a_sample_that_misleads_is_forgotten():
    X, y = blobs(np.random.default_rng(8), 400, 3, 3, spread=5)
    y[::4] = (y[::4] + 1) % 3  # the rows that are looked at first are wrong
    objective = objective_of(3 * X, y, "squared", 1e-3)
    found = SOLVERS["lbfgs"](max_iter=0)(objective, objective.start())
    first = objective.at(objective.start())
    led = SOLVERS["lbfgs"](max_iter=2)(objective, objective.start())
    assert found.trace.value == [first.value]
    assert led.trace.value[0] == first.value
    assert led.trace.value[1] < first.value


# ── least squares in one solve ────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("n", "d", "k", "alpha", "sure", "ways"),
    [
        (4000, 2000, 3, 0.0, True, ["rows"]),
        (4001, 2000, 3, 0.0, True, ["gram"]),
        (4001, 2000, 3, 0.0, False, ["gram", "gradients"]),
        (2000, 2000, 3, 0.1, True, ["gram"]),
        (2000, 2000, 3, 0.1, False, ["gram", "rows"]),
        (2001, 2000, 3, 0.1, False, ["gram", "gradients"]),
        (4000, 3, 2000, 0.0, True, ["rows"]),
        (4000, 3, 2001, 0.0, True, ["gram"]),
        (9_000, 20_000, 3, 0.0, True, ["gram"]),
        (9_000, 20_001, 3, 0.0, True, ["rows"]),
        (9_000, 20_001, 3, 0.1, True, ["products"]),
        (9_000, 20_001, 3, 0.1, False, ["products", "gradients"]),
        (1_000, 2_000, 3, 0.1, False, ["products", "rows"]),
        (20_001, 40_002, 3, 0.1, True, ["rows"]),
    ],
)
def test_least_squares_goes_by_gram_matrix_unless_that_loses_digits(n, d, k, alpha, sure, ways, monkeypatch):
    """By rows, up to eight million entries of X, of the penalty's rows below it or of the targets, where the factor
    has too few digits or there is no penalty; a Gram matrix must fit as well, of the rows where these are fewer."""
    taken = []

    def by(name, found):
        return lambda *_: taken.append(name) or found

    point = SimpleNamespace(value=1.0, residual=1e-6, loss=1.0, accuracy=None, theta="θ")
    monkeypatch.setattr(closed_form, "_by_rows", by("rows", "θ"))
    monkeypatch.setattr(closed_form, "_by_factor", by("gram", None))
    monkeypatch.setattr(closed_form, "_refined", lambda problem, at, solve, first=0.0, enough=0.0: (at, sure, 1.0))
    monkeypatch.setattr(closed_form, "_by_conjugate_gradients", by("gradients", point))
    problem = SimpleNamespace(
        design=SimpleNamespace(n=n, d=d, dtype=np.dtype(np.float64)), k=k, alpha=alpha, watch=False
    )
    problem.count, problem.separated = SimpleNamespace(passes=0), lambda point: False
    problem.precise, problem.at, problem.start = lambda: problem, lambda theta: point, lambda: "θ"
    problem.normal_equations = lambda: SimpleNamespace(at=problem.at, condition=1.0)
    problem.inverse_by_rows = by("products", "H⁻¹") if 2 * n <= d and alpha else lambda: None
    progress = Progress(problem, None, None)
    assert SOLVERS["closed_form"](tol=1e-6).minimise(problem, None, progress) is Status.CONVERGED
    assert taken == ways
    assert progress.trace.iteration == [1]
    assert SOLVERS["closed_form"](tol=9e-7).minimise(problem, None, progress) is Status.STALLED


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_the_factor_is_an_inverse_and_of_least_norm_where_there_is_none(alpha):
    rng = np.random.default_rng(11)
    A = rng.normal(size=(4, 6)) * [1, 3, 0.2, 1, 9, 1]
    gram, v = A.T @ A, rng.normal(size=(6, 2))
    wanted = np.linalg.pinv(gram + alpha * np.eye(6), rcond=1e-12) @ v
    np.testing.assert_allclose(closed_form._inverse(gram + alpha * np.eye(6), alpha)(v), wanted, rtol=1e-8)


# ── SGD: rates, epochs, patience ──────────────────────────────────────────────────────────────────
class Valley:
    """A problem whose F after any number of steps is |log₂ rate − best|, so that the best rate is known."""

    def __init__(self, n, best, first=1.0):
        self.n, self.best, self.first, self.taken = n, best, first, []
        self.design, self.count, self.kinked = SimpleNamespace(dtype=np.dtype(float)), SimpleNamespace(passes=0), False

    def take(self, rows):
        self.taken.append(rows)
        return self

    def stochastic_rate(self, batch):
        return self.first

    def step_point(self, theta):
        return SimpleNamespace(
            value=abs(float(theta[0, 0]) - self.best), residual=1.0, loss=1.0, accuracy=None, theta=theta
        )

    def step_residual(self, point):
        return 1.0

    def separated(self, point):
        return False


@pytest.fixture
def at_once(monkeypatch):
    """An epoch takes θ to log₂ of its rate and all steps that are left; `epochs` has (total, rate) of each."""
    epochs = []

    def epoch(self, state, batch, rng):
        epochs.append((state.total, state.rate, batch, rng.integers(1 << 30)))
        state.theta[:] = np.log2(state.rate) if state.rate < 1e6 else np.nan
        state.t = state.total

    monkeypatch.setattr(SOLVERS["sgd"], "epoch", epoch)
    return epochs


@pytest.mark.parametrize("best", [-7, -3, -1, 0, 1, 2, 6])
def test_the_rate_is_half_of_the_best_among_doublings_and_halvings(best, at_once):
    for momentum in (0.0, 0.75):
        problem = Valley(500, best, first=1 / (1 - momentum))
        rate = SOLVERS["sgd"](momentum=momentum).tried_rate(problem, np.zeros((1, 1)), 8, 30)
        assert rate == pytest.approx(0.5 * 2.0**best)
    tried = [rate for _, rate, _, _ in at_once]
    assert len(tried) <= 2 * (abs(best) + 3)
    assert {steps for steps, _, _, _ in at_once} == {30}
    assert len({seed for *_, seed in at_once}) == 1  # every rate sees the same batches
    assert SOLVERS["sgd"]().tried_rate(Valley(500, 40), np.zeros((1, 1)), 8, 30) == 0.5 * 2.0**19  # 2²⁰ diverges


@pytest.mark.parametrize(
    ("n", "batch", "steps", "size"),
    [(5000, 8, 30, 1000), (5000, 100, 30, 2000), (5000, 100, 3, 1000), (1000, 8, 30, None), (1001, 8, 30, 1000)],
)
def test_rates_are_tried_on_a_thousand_rows_or_twenty_batches(n, batch, steps, size, at_once):
    problem = Valley(n, 0)
    SOLVERS["sgd"]().tried_rate(problem, np.zeros((1, 1)), batch, steps)
    assert at_once
    if size is None:
        assert not problem.taken
        return
    (rows,) = problem.taken
    assert len(np.unique(rows)) == len(rows) == size
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize(
    ("n", "batch", "epochs", "trial"),
    [(12_800, 32, 50, 200), (1600, 32, 400, 200), (200, 50, 1000, 200), (33, 32, 1000, 100), (640, 32, 1000, 200)],
)
def test_so_many_epochs_where_nothing_is_said(n, batch, epochs, trial, at_once, monkeypatch):
    """Fifty, or what makes twenty thousand steps, a thousand at most; a rate is tried for a twentieth of the steps."""
    monkeypatch.setattr(SOLVERS["sgd"], "tried_rate", lambda self, p, theta, batch, steps: float(steps))
    problem = Valley(n, 0)
    found = Progress(problem, None, None)
    assert SOLVERS["sgd"](batch_size=batch).minimise(problem, np.zeros((1, 1)), found) is Status.MAX_ITER
    assert found.trace.iteration == list(range(epochs + 1))
    assert {(total, rate) for total, rate, _, _ in at_once} == {(-(-n // batch) * epochs, float(trial))}
    at_once.clear()
    SOLVERS["sgd"](batch_size=batch, max_iter=1).minimise(problem, np.zeros((1, 1)), Progress(problem, None, None))
    steps = -(-n // batch)
    assert at_once[0][:3] == (steps, float(min(200, max(5, steps // 20))), min(batch, n))
    SOLVERS["sgd"](max_iter=2, learning_rate=0.3).minimise(problem, np.zeros((1, 1)), Progress(problem, None, None))
    assert at_once[-1][1] == 0.3


def test_patience_counts_epochs_since_the_best(at_once):
    losses = [9.0, 5.0, 4.0, 4.0, 3.0, 3.5, 3.0, 3.1, 3.2, 1.0]
    for patience, last in ((1, 3), (2, 6), (3, 7), (5, 9)):
        seen = iter(losses)
        problem = Valley(100, 0)
        progress = Progress(problem, None, lambda theta, seen=seen: {"valid_loss": next(seen)})
        solver = SOLVERS["sgd"](learning_rate=0.5, patience=patience, max_iter=9)
        status = solver.minimise(problem, np.zeros((1, 1)), progress)
        assert progress.trace.iteration[-1] == last
        assert status is (Status.EARLY_STOPPED if last < 9 else Status.MAX_ITER)
        if last < 9:
            best = int(np.argmin(losses[: last + 1]))
            assert progress.best is not None
            assert best == last - patience


def test_kinks_enter_by_their_prox_after_the_step():
    """θ⁺ = prox of η αR at θ − η ∇L, for SGD on all rows and for gradient descent alike."""
    X, y = blobs(np.random.default_rng(9), 40, 3, 3)
    objective = objective_of(X, y, "cross_entropy", 0.1, penalty="l1")
    theta = objective.start() + 0.3
    moved = theta - 0.4 * objective.smooth_at(theta).gradient
    wanted = np.vstack([np.sign(moved[:-1]) * np.maximum(np.abs(moved[:-1]) - 0.04, 0), moved[-1:]])
    sgd = SOLVERS["sgd"](batch_size=40, max_iter=1, learning_rate=0.4, schedule="constant", tol=0)
    for solver in (sgd, SOLVERS["gd"](learning_rate=0.4, max_iter=1, tol=0)):
        np.testing.assert_allclose(solver(objective, theta).point.theta, wanted, atol=1e-13)


# ── what a solver is when nothing is said ─────────────────────────────────────────────────────────
DEFAULTS = {
    "gd": {"max_iter": 1000, "learning_rate": None, "momentum": 0.0, "nesterov": False},
    "sgd": {
        "max_iter": None,
        "batch_size": 32,
        "learning_rate": None,
        "momentum": 0.0,
        "nesterov": False,
        "schedule": "cosine",
        "averaging": False,
        "shuffle": True,
        "patience": None,
        "seed": 0,
    },
    "lbfgs": {
        "max_iter": 1000,
        "memory": 20,
        "preconditioned": True,
        "model": None,
        "known": None,
        "allowed": np.inf,
        "before": 0.0,
        "sure": 0.0,
        "rough": False,
        "serves": 4,
    },
    "newton": {"max_iter": 200, "max_products": 500},
    "proximal": {"max_iter": 5000},
    "dual": {
        "enough": 0.0,
        "max_iter": 200,
        "gamma": 1.0,
        "shrink": 0.5,
        "exactness": 0.03,
        "inner": 100,
        "reach": 2.0,
    },
    "closed_form": {"max_iter": 1000},
}


@pytest.mark.parametrize("name", SOLVERS)
def test_defaults_are_those_of_the_documentation(name):
    assert asdict(SOLVERS[name]()) == {"tol": 1e-6} | DEFAULTS[name]
    assert SOLVERS[name].passes == (name != "sgd")


def test_an_interruption_before_the_first_point_is_the_callers():
    objective = small()

    def interrupt():
        raise KeyboardInterrupt

    problem = SimpleNamespace(precise=interrupt, design=objective.design, count=objective.count)
    with pytest.raises(KeyboardInterrupt):
        SOLVERS["newton"]()(problem, objective.start())


def test_before_a_sharp_kink_the_longest_step_that_lowers_f_is_taken():
    """Slope −1 up to t = 0.01234…, then 1e14: no trial sees a slope of −0.9 to 0."""
    kink = 0.0123456789

    def at(t):
        beyond = max(t - kink, 0.0)
        return SimpleNamespace(value=1.0 - t + 0.5e14 * beyond**2), -1.0 + 1e14 * beyond

    t, point = search(at, 1.0, -1.0, 1e-9)
    assert 0.99 * kink < t <= kink
    assert point.value == 1.0 - t
    assert search(at, 1.0, -1.0, 1.0) is None  # all within what rounding may do
