"""The duality gap: never below the true distance to the optimum, and nearly nothing at it; the smoothed objective."""

from dataclasses import replace

import numpy as np
import pytest

from linearhead.losses import LOSSES
from linearhead.objective import Count, Shared, choose_solver
from linearhead.objective.duality import _mix, _own_dual, _penalty_gap, gap_from
from linearhead.solvers import SOLVERS
from test_objective_contract import Case, close, direction, problem, some_theta

ARRANGED = (
    {"weights": "none"},
    {"weights": "real", "intercept": False},
    {"weights": "zeros", "standardize": True},
    {"weights": "real", "layout": "sparse"},
)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elastic_net"])
@pytest.mark.parametrize("loss", [name for name, kind in LOSSES.items() if kind.smoothness])
def test_the_gap_bounds_the_distance_and_closes(loss, penalty):
    for seed, arrangement in enumerate(ARRANGED):
        objective, _, _ = problem(Case(loss, penalty, seed=seed, **arrangement))
        solution = SOLVERS[choose_solver(loss, penalty)](tol=1e-10)(objective, objective.start())
        best = solution.point.value
        for size in (0.0, 0.1, 1.0):
            theta = size * some_theta(objective, np.random.default_rng(seed))
            gap, value = objective.gap_at(theta), objective.precise().at(theta).value
            close(gap.point.value, value, 1e-12)
            assert value - best - 1e-9 <= gap.bound <= value * (1 + 1e-12)
        assert objective.gap_at(solution.point.theta).bound <= 1e-8 * (1 + best)


@pytest.mark.parametrize("common", [1e-17, 1e-300, -(2.0**-60)])
def test_what_all_classes_share_in_the_intercept_s_gradient_is_rounding(common):
    """Its sum over classes is 0 where adding a number to all scores changes no loss: the rest may vanish entirely."""
    objective, _, _ = problem(Case(n=40, k=3))
    point = objective.precise().smooth_at(objective.start())
    gap, price = gap_from(objective.precise(), point, 0.0, 0 * point.gradient[:-1], np.full(3, common))
    assert price == 0
    assert gap.bound >= 0


def test_an_intercept_slightly_off_costs_the_square():
    """Mixing alone would leave a gap linear in what the intercept is off by (decisions/certificate.md)."""
    objective, _, _ = problem(Case(n=200, k=4))
    theta = SOLVERS["newton"](tol=1e-12)(objective, objective.start()).point.theta
    best = objective.at(theta).value
    for off in (1e-3, 1e-5):
        moved = theta.copy()
        moved[-1, 0] += off
        gap = objective.gap_at(moved).bound
        assert objective.at(moved).value - best - 1e-14 <= gap <= 5 * off**2 + 1e-12


def test_without_a_penalty_there_is_no_bound_but_an_estimate():
    objective = replace(problem(Case(penalty="none", n=200))[0], alpha=0.0)
    theta = SOLVERS["newton"](tol=1e-10)(objective, objective.start()).point.theta
    gap = objective.gap_at(theta)
    assert gap.bound == gap.point.value
    assert 0 <= gap.estimate <= 1e-7
    best = gap.point.value
    for size in (0.0, 0.5, 0.99):
        gap = objective.gap_at(size * theta)
        assert gap.point.value - best <= gap.estimate <= gap.point.value


@pytest.mark.parametrize("r", [[0.02, -0.02, 0.0], [0.0, 0.01, -0.01], [-0.03, 0.01, 0.02]])
@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "hinge"])
def test_the_least_share_of_another_dual_point_makes_the_intercepts_slope_vanish(loss, r):
    """(1 − ε) r + ε (q − shares) = 0 with q in the simplex, at its border: a smaller ε could not do it."""
    objective, X, w = problem(Case(loss, n=60, k=3))
    shares = np.bincount(objective.y, w, 3) / w.sum()
    share, q, sums, conjugate = _mix(objective, np.zeros((4, 3)), np.array(r))
    np.testing.assert_allclose((1 - share) * np.array(r) + share * (q - shares), 0, atol=1e-15)
    assert q.sum() == pytest.approx(1)
    assert 0 <= q.min() < 1e-12 or 1 - 1e-12 < q.max() <= 1
    dual = q - np.eye(3)[objective.y]  # the point that is mixed in, row by row
    close(sums, objective.design.dense().T @ (w[:, None] * dual) / w.sum(), 1e-12)
    close(conjugate, w @ objective.loss.conjugate(dual, objective.y) / w.sum(), 1e-12)
    assert X.shape == (60, 4)


@pytest.mark.parametrize("r", [[-0.02, 0.0, 0.0], [-0.02, 0.001, 0.0], [0.0, 0.01, 0.02], [-0.01, -0.01, 0.001]])
def test_one_against_the_rest_each_class_is_balanced_by_itself(r):
    """Slopes need not add up to 0, and q not to 1: a class's own share is moved to 0 or to 1."""
    objective, _, w = problem(Case("logistic", n=60, k=3))
    r, shares = np.array(r), np.bincount(objective.y, w, 3) / w.sum()
    share, q, _, _ = _mix(objective, np.zeros((4, 3)), r)
    np.testing.assert_allclose((1 - share) * r + share * (q - shares), 0, atol=1e-15)
    least = np.max(np.where(r > 0, r / shares, -r / (1 - shares)))
    assert share == pytest.approx(least / (1 + least))
    assert q.min() >= 0
    assert q.max() <= 1


@pytest.mark.parametrize("gamma", [0.3, 2.0])
@pytest.mark.parametrize("loss", ["hinge", "crammer_singer"])
def test_the_smoothed_objective_has_its_own_slopes(loss, gamma):
    for seed, arrangement in enumerate(ARRANGED):
        objective, _, _ = problem(Case(loss, seed=seed, n=40, **arrangement))
        rng = np.random.default_rng(seed)
        theta = some_theta(objective, rng)
        g = objective.smoothed(objective.no_multipliers(), 1.0).settle(0.5 * theta).u
        smooth = objective.smoothed(g, gamma)
        gradient = smooth.precise().at(theta).gradient
        v, h = direction(objective, gradient, rng), 1e-7
        ahead, behind = smooth.precise().at(theta + h * v), smooth.precise().at(theta - h * v)
        close((ahead.value - behind.value) / (2 * h), np.vdot(gradient, v), 1e-5)
        product = smooth.precise().hessian_product(theta, v)
        close(product, (ahead.gradient - behind.gradient) / (2 * h), 1e-3)
        assert smooth.at(theta).value <= objective.at(theta).value + 1e-12


# ── the bound by its definition ───────────────────────────────────────────────────────────────────
def defined_gap(objective, theta, g, w):
    """Rows' part, penalty's part: F(θ) + Σ wᵢ ℓ*(gᵢ) + αR*(−U/α), g mixed with q − e_y where it leaves the intercept a
    slope, and scaled by c where U lies outside the penalty's dual; ℓ* of a mixture taken for its chord."""
    w, exact = w / w.sum(), objective.precise()
    Z, y, loss = exact.design.dense(), objective.y, objective.loss
    s = Z @ theta[:-1] + theta[-1]

    def seen(g):
        return w @ (loss.value(s, y) + loss.conjugate(g, y) - (s * g).sum(axis=1)), Z.T @ (w[:, None] * g)

    (rows, U), r = seen(g), w @ g
    if objective.design.intercept and np.abs(r).max() > 1e-15:
        share, q, _, _ = _mix(exact, U, r - loss.shift_invariant * r.mean())
        other, Uq = seen(q - np.eye(objective.k)[y])
        rows, U = (1 - share) * rows + share * other, (1 - share) * U + share * Uq
    alpha, W = objective.alpha, theta[:-1]
    c = objective.penalty.dual_scale(-U / alpha)
    rows, U = c * rows + (1 - c) * (w @ loss.value(s, y)), c * U
    return rows + alpha * (objective.penalty.value(W) + objective.penalty.conjugate(-U / alpha)) + np.vdot(W, U), c


@pytest.mark.parametrize("penalty", ["l2", "l1", "elastic_net"])
@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "squared"])
def test_the_bound_is_f_less_the_dual_of_what_was_mixed_and_scaled(loss, penalty):
    capped = scaled = 0
    for seed, arrangement in enumerate(ARRANGED):
        objective, _, w = problem(Case(loss, penalty, seed=seed, n=40, **arrangement))
        objective = replace(objective, alpha=0.3 if penalty == "l1" else 20.0)
        rng = np.random.default_rng(seed)
        theta, at = 0.1 * some_theta(objective, rng), some_theta(objective, rng)
        Z = objective.precise().design.dense()
        g = objective.loss.value_and_gradient(Z @ at[:-1] + at[-1], objective.y)[1]
        wanted, c = defined_gap(objective, theta, g, w)
        before = objective.count.passes
        found = objective.gap_at(theta, g)
        assert objective.count.passes - before == 2
        value = objective.at(theta).value
        close(found.point.value, value, 1e-12)
        close(found.bound, min(wanted, value), 1e-9, scale=value)
        assert found.estimate == found.bound
        capped, scaled = capped + (wanted >= value), scaled + (c < 1)
        if objective.loss.smoothness:  # by default from the slope at θ itself, one pass
            own = objective.loss.value_and_gradient(Z @ theta[:-1] + theta[-1], objective.y)[1]
            precise = objective.precise()
            mine = gap_from(precise, *_own_dual(precise, precise.smooth_at(theta)))[0].bound
            close(mine, min(defined_gap(objective, theta, own, w)[0], value), 1e-9, scale=value)
    assert (scaled > 0) == (penalty == "l1")
    assert capped < len(ARRANGED)


def test_a_gap_keeps_room_for_the_rounding_of_its_sum():
    """Where the three terms cancel exactly: eight roundings of their sizes."""
    objective, _, _ = problem(Case(n=40, k=3))
    W = 2.0 ** np.random.default_rng(0).integers(-3, 4, size=(4, 3))
    alpha, size = 2.0**-4, 2 * 2.0**-4 * np.sum(W * W)
    objective = replace(objective, alpha=alpha)
    point = replace(objective.at(objective.start()), theta=np.vstack([W, np.zeros((1, 3))]))
    room = _penalty_gap(objective, point, 0.0, -alpha * W) / (np.finfo(float).eps * size)
    assert 8 - 1e-9 <= room <= 8.5
    assert _penalty_gap(objective, point, 0.25, -alpha * W) == pytest.approx(0.25)


def test_the_estimate_without_a_penalty_by_its_formula():
    """How far θ may still move, by its own size or by what moves scores by 1, times the slope; no more than F."""
    objective = replace(problem(Case(penalty="none", n=40))[0], alpha=0.0)
    point = objective.at(0.01 * some_theta(objective, np.random.default_rng(1)))
    U, r = 1e-3 * point.gradient[:-1], 1e-3 * point.gradient[-1]
    for theta in (point.theta, 1e3 * point.theta):
        reach = np.maximum(np.abs(theta), np.append(objective.design.energy, 1.0)[:, None] ** -0.5)
        wanted = 0.002 + np.sum(reach * np.vstack([np.abs(U), np.abs(r)[None]]))
        gap, price = gap_from(objective, replace(point, theta=theta, value=9.0), 0.002, U, r)
        assert gap.estimate == pytest.approx(min(wanted, 9.0))
        assert gap.bound == 9
        assert price == 0
    assert gap_from(objective, point, -1e-3, 0 * U, 0 * r)[0].estimate == 0
    assert gap_from(objective, replace(point, value=1e-4), 0.002, U, r)[0].estimate == 1e-4


def test_sums_by_class_are_made_once():
    objective, _, w = problem(Case(n=40, k=3))
    hot = np.eye(3)[objective.y] * w[:, None] / w.sum()
    A = np.hstack([objective.design.dense(), np.ones((40, 1))])
    before = objective.count.passes
    close(objective.class_sums(), A.T @ hot, 1e-12)
    assert objective.class_sums() is replace(objective, alpha=3.0).class_sums()
    assert objective.count.passes - before == 1
    folded = replace(objective, weights=objective.weights * (np.arange(40) % 2), total=0.0)  # other weights, other sums
    own = np.eye(3)[objective.y] * folded.weights[:, None] / folded.weights.sum()
    close(folded.class_sums(), A.T @ own, 1e-12)
    two = replace(objective, y=(objective.y == 1).astype(int), k=2)
    assert two.class_sums().shape == (5, 2)
    close(two.at(two.start()).gradient, replace(two, count=Count(), shared=Shared()).at(two.start()).gradient, 1e-12)


def test_a_class_without_rows_cannot_be_balanced_by_mixing():
    objective, _, _ = problem(Case(n=40, k=3))
    objective = replace(objective, k=4)
    assert _mix(objective, np.zeros((4, 4)), np.array([0.01, -0.02, 0.005, 0.005])) is None
    share, q, _, _ = _mix(objective, np.zeros((4, 4)), np.array([0.01, -0.01, 0.0, 0.0]))
    assert 0 < share < 0.5
    assert q[3] == 0
    point = objective.precise().smooth_at(objective.start())
    gap, price = gap_from(objective.precise(), point, 0.0, point.gradient[:-1], np.array([0.01, -0.02, 0.005, 0.005]))
    assert price == np.inf
    assert gap.bound == point.value
