"""The curvature model of many classes, and of classes whose rows lie apart: where it is the Hessian, what it saves."""

from dataclasses import replace

import numpy as np
import pytest

from linearhead import SoftmaxClassifier
from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective, curvature, many_classes, precondition, sample_basis
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS

K = 37  # with nine unknowns each: two groups, the last of which has classes that do not exist


def objective_of(X, k, loss="cross_entropy", alpha=1e-2, weights=None, intercept=True):
    design = design_of(X, intercept=intercept, threads=1).fitted(weights)
    return Objective(design, np.arange(len(X)) % k, k, LOSSES[loss](), PENALTIES["l2"](), alpha, weights)


def check(objective, rtol, basis=None, seed=1):
    """M⁻¹ ∇²F v = v far from θ = 0, for v that the loss sees."""
    rng = np.random.default_rng(seed)
    theta, v = rng.normal(size=(2, *objective.start().shape))
    for array in (theta, v):
        array[-1] *= objective.design.intercept
    if objective.loss.shift_invariant:
        v[-1] -= v[-1].mean()
        v -= 0 if objective.alpha else v.mean(axis=1, keepdims=True)
    apply = precondition(objective, basis or sample_basis(objective), theta)
    (found,) = apply(objective.precise().hessian_product(theta, v))
    np.testing.assert_allclose(found, v, rtol=0, atol=rtol * np.abs(v).max())
    return apply


def rows(n=1500, d=8, seed=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 1


@pytest.mark.parametrize("alpha", [0.0, 0.02])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
def test_in_all_directions_and_on_all_rows_it_is_the_hessian(alpha, weighted, intercept, monkeypatch):
    monkeypatch.setattr(curvature, "size", lambda objective, directions: (directions, objective.n))
    X = rows()
    weights = np.random.default_rng(3).integers(0, 3, len(X)) + 0.5 if weighted else None
    apply = check(objective_of(X, K, alpha=alpha, weights=weights, intercept=intercept), 1e-3)  # a billionth is added
    assert apply.coupled.groups == 2
    check(objective_of(X.astype(np.float32), K, alpha=alpha, weights=weights, intercept=intercept), 2e-2)


def test_rows_whose_classes_come_in_turn_take_as_many_passes_as_mixed_ones():
    """Every sixth of them is of ten classes out of sixty."""
    rng, y = np.random.default_rng(1), np.arange(4000) % 60
    X = (rng.normal(size=(60, 100))[y] + 2 * rng.normal(size=(4000, 100))).astype(np.float32)
    mixed = rng.permutation(4000)
    passes = [SoftmaxClassifier(alpha=1e-4).fit(X[at], y[at]).trace_.passes[-1] for at in (slice(None), mixed)]
    assert passes[0] < 1.2 * passes[1], passes


def test_rows_are_drawn_by_their_weight(monkeypatch):
    """Half of them have none, as in folds on a shared sample, or next to none: the others tell the whole Hessian."""
    monkeypatch.setattr(curvature, "size", lambda objective, directions: (directions, 750))
    whole = objective_of(rows(1500), K)
    basis = sample_basis(whole)
    for light in (0.0, 1e-9):
        weighted = replace(whole, weights=np.where(np.arange(1500) % 2, 1.0, light), total=0.0)
        assert check(weighted, 1e-3, basis).coupled is not None


def test_rows_are_drawn_by_their_curvature(monkeypatch):
    """Where few rows hesitate, a tenth of the rows drawn by curvature tells more than one drawn by weight."""
    monkeypatch.setattr(curvature, "size", lambda objective, directions: (directions, 400))
    X, rng = rows(4000), np.random.default_rng(9)
    objective, theta = objective_of(X, K, alpha=1e-3), 3 * rng.normal(size=(9, K))
    basis, v = sample_basis(objective), rng.normal(size=(9, K))
    v -= v.mean(axis=1, keepdims=True)
    goal, off = objective.precise().hessian_product(theta, v), []
    assert (
        np.mean(np.max(objective.loss.probabilities(objective.design.dense() @ theta[:-1] + theta[-1]), axis=1)) > 0.8
    )
    plain = many_classes.draw_rows
    for draws in (plain, lambda bend, m: plain(np.ones(len(bend)), m)):
        monkeypatch.setattr(many_classes, "draw_rows", draws)
        (found,) = precondition(objective, basis, theta)(goal)
        off.append(np.linalg.norm(found - v))
    assert off[0] < 0.7 * off[1], off


def test_classes_that_only_settled_rows_bend_keep_their_curvature(monkeypatch):
    """Rare classes at a weak penalty: along no direction does the model see much less than the Hessian."""
    n, k = 4000, 37
    for seed in range(3):
        rng = np.random.default_rng(seed)
        share = np.arange(1, k + 1.0) ** -2
        y = rng.choice(k, n, p=share / share.sum())
        y[:k] = np.arange(k)
        X = rng.normal(size=(k, 12))[y] + 1.5 * rng.normal(size=(n, 12))
        objective = replace(objective_of(X, k, alpha=1e-6), y=y)
        with monkeypatch.context() as patch:
            patch.setattr(curvature, "couple", lambda *given: None)
            theta = SOLVERS["lbfgs"](tol=1e-9, max_iter=32)(objective, objective.start()).point.theta
        apply, v = precondition(objective, sample_basis(objective), theta), rng.normal(size=theta.shape)
        assert apply.coupled is not None
        for _ in range(30):
            v = apply(objective.hessian_product(theta, v / np.linalg.norm(v)))[0]
        assert np.linalg.norm(v) < 10


def test_losses_that_bend_otherwise_and_theta_zero_have_no_coupled_part():
    X, rng = rows(4000), np.random.default_rng(5)
    for loss in ("logistic", "squared", "squared_hinge"):
        objective = objective_of(X, K, loss)
        assert (
            precondition(objective, sample_basis(objective), rng.normal(size=objective.start().shape)).coupled is None
        )
    objective = objective_of(X, K)
    assert precondition(objective, sample_basis(objective), objective.start()).coupled is None
    theta = rng.normal(size=objective.start().shape)
    assert precondition(objective, sample_basis(objective), theta).coupled is not None


def test_its_size_keeps_to_a_pass_and_to_little_room():
    sizes = (2_000, 50, 40), (60_000, 784, 100), (50_000, 768, 1000), (10**6, 768, 300), (3_000, 20_000, 136)
    for n, d, k in (*sizes, (20_000, 100, 308)):
        objective = objective_of(np.zeros((k, d), np.float32), k)
        object.__setattr__(objective.design, "n", n)
        lead, most = many_classes.size(objective, 10**6)
        unknowns, more = k * (lead + 1), k * (max(lead, 1) + 2)
        assert more**3 >= 2 * n * d * k or more**2 / 2 > max(n * (d + 4 * k) / 64, 2**20)  # no more would fit
        if lead:
            assert lead >= 2
            assert 512 <= most <= 8192
            assert unknowns**3 <= 2 * n * d * k
            assert unknowns**2 / 2 <= max(n * (d + 4 * k) / 64, 2**20)
            assert most == 512 or most * unknowns**2 <= 4 * n * d * k
    assert lead == 2
    assert many_classes.size(objective_of(np.zeros((5000, 3), np.float32), 5000), 3) == (0, 0)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_of_one_column_and_classes_apart_the_model_is_the_hessian(alpha, monkeypatch):
    """Intercept and column are tied together where the rows at which a class bends have a mean of their own."""
    X = np.random.default_rng(6).normal(size=(400, 1)) * 2
    check(objective_of(X, 3, "logistic", alpha), 1e-8)
    monkeypatch.setattr(curvature, "CLASSES", 0)
    apply = check(objective_of(X, 3, "logistic", alpha), 1e-8)
    assert apply.coupled is None
    assert np.abs(apply.centre).max() > 0.3
    assert not check(objective_of(X, 3, "logistic", alpha, intercept=False), 1e-8).centre.any()


def test_the_model_around_the_classes_centres_is_the_one_that_is_written_down(monkeypatch):
    """M = Tᵀ diag(D, h) T with T: b → b + cᵀw, built entry by entry."""
    monkeypatch.setattr(curvature, "CLASSES", 0)
    objective, k = objective_of(rows(300, 4), 3, "logistic", 0.05), 3
    theta, v = np.random.default_rng(7).normal(size=(2, 5, 3))
    basis = sample_basis(objective)
    apply = precondition(objective, basis, theta)
    z, Q = basis.part(slice(None)), apply.Q
    s = z @ (basis.U.T @ theta[:-1]) + theta[-1]
    h = objective.loss.hessian_form(s, objective.y[basis.rows], Q) / len(z)
    expected = np.empty_like(v)
    turned = np.vstack([basis.U.T @ v[:-1], v[-1:]]) @ Q
    for a in range(k):
        all_of_it, c = h[:, a].sum(), (h[:, a] @ z) / h[:, a].sum()
        D = np.maximum(h[:, a] @ (z - c) ** 2, 0.1 * h[:, a] @ z**2) + 0.05
        T = np.eye(5)
        T[-1, :-1] = c
        expected[:, a] = np.linalg.solve(T.T @ np.diag([*D, all_of_it]) @ T, turned[:, a])
    expected = np.vstack([basis.U @ expected[:-1], expected[-1:]]) @ Q.T
    np.testing.assert_allclose(apply(v)[0], expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("part", ["couple", "centred"])
def test_each_half_saves_passes_and_the_optimum_is_the_same(part, monkeypatch):
    rng, k = np.random.default_rng(8), {"couple": 50, "centred": 150}[part]
    energy = np.arange(1, 41) ** -1.0
    X = rng.normal(size=(6000, 40))
    y = np.argmax(X @ (rng.normal(size=(40, k)) * 3 * energy[:, None] ** 0.5) + rng.gumbel(size=(6000, k)), axis=1)
    X, y = X * energy, np.unique(y, return_inverse=True)[1]
    alone = {"couple": lambda *given: None, "centred": lambda diagonal, sums, *_: (diagonal, np.zeros_like(sums))}
    if part == "centred":
        monkeypatch.setattr(curvature, "couple", alone["couple"])
    fits = [SoftmaxClassifier(alpha=1 / 6000, tol=1e-6).fit(X, y)]
    monkeypatch.setattr(curvature, part, alone[part])
    fits.append(SoftmaxClassifier(alpha=1 / 6000, tol=1e-6).fit(X, y))
    passes = [fit.trace_.passes[-1] for fit in fits]
    assert passes[0] < 0.8 * passes[1], passes
    assert fits[0].certificate_.value == pytest.approx(fits[1].certificate_.value, rel=1e-7)


def test_classes_that_hardly_bend_have_no_centre():
    rng = np.random.default_rng(9)
    z, h = rng.normal(size=(50, 4)) + 2, rng.uniform(size=(50, 3)) * [1, 0.5, 1e-3]
    diagonal, sums, lone = z.T**2 @ h, z.T @ h, h.sum(axis=0)
    around, c = curvature.centred(diagonal, sums, lone, True)
    np.testing.assert_array_equal(c[:, 2], 0)
    np.testing.assert_array_equal(around[:, 2], diagonal[:, 2])
    np.testing.assert_allclose(c[:, :2], sums[:, :2] / lone[:2])


def test_few_passes_where_every_class_has_one_row_and_next_to_no_penalty():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(1000, 20)) + rng.normal(size=(1000, 20)), np.arange(1000)
    fit = SoftmaxClassifier(alpha=1e-9, tol=1e-7).fit(X.astype(np.float32), y)
    assert fit.trace_.passes[-1] < 150
