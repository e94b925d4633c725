"""The duality gap: never below the true distance to the optimum, and nearly nothing at it; the smoothed objective."""

from dataclasses import replace

import numpy as np
import pytest

from linearhead.losses import LOSSES
from linearhead.objective import choose_solver
from linearhead.objective.duality import _mix, gap_from
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
