"""The coupled curvature model: edges rebuild every row's Hessian, the drawn sum is unbiased, the factor inverts it."""

import numpy as np
import pytest

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective
from linearhead.objective import coupled as module
from linearhead.objective.coupled import Coupled, draw, edges, sampled_hessian
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS

SMOOTH = [name for name, loss in LOSSES.items() if loss.smoothness > 0]


def problem(loss, n=600, d=6, k=4, alpha=1e-3):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) * np.geomspace(1, 0.05, d)
    y = np.argmax(X @ rng.standard_normal((d, k)) * 2 + rng.gumbel(size=(n, k)), axis=1)
    weights = rng.uniform(0.2, 2, n)
    design = design_of(X, intercept=True).fitted(weights, False)
    return Objective(design, y, k, LOSSES[loss](), PENALTIES["l2"](), alpha, weights)


def dense(objective, theta):
    """∇²F (k, d+1, k, d+1) by products with unit vectors."""
    H = np.zeros((objective.k, len(theta), objective.k, len(theta)))
    for j in range(objective.k):
        for i in range(len(theta)):
            unit = np.zeros_like(theta)
            unit[i, j] = 1
            H[j, i] = objective.hessian_product(theta, unit).T
    return H


@pytest.mark.parametrize("loss", SMOOTH)
def test_edges_rebuild_the_hessians(loss):
    rng = np.random.default_rng(1)
    s, y = rng.standard_normal((30, 5)) * 2, rng.integers(0, 5, 30)
    kind = LOSSES[loss]()
    h, a, b = edges(lambda d: kind.hessian_product(s, y, d), s)
    assert (h >= 0).all()
    ends = np.zeros((len(a), 6))
    ends[np.arange(len(a)), a] = 1
    ends[np.arange(len(a)), b] -= 1
    rebuilt = np.einsum("em,ei,ej->mij", h, ends[:, :5], ends[:, :5])
    wanted = np.stack([kind.hessian_product(s, y, np.zeros_like(s) + e) for e in np.eye(5)], axis=2)
    np.testing.assert_allclose(rebuilt, wanted, atol=2e-5)


@pytest.mark.parametrize("loss", SMOOTH)
def test_the_model_is_the_hessian(loss, monkeypatch):
    """Where all rows are in the sample and all directions lead, M differs from ∇²F by the draws alone."""
    objective = problem(loss)
    theta = np.random.default_rng(2).standard_normal((7, 4)) * 0.3
    H = dense(objective, theta).reshape(28, 28)
    errors = []
    for draws in (1_000, 10_000):
        monkeypatch.setattr(module, "DRAWS", draws)
        apply = objective.preconditioner(theta)
        assert apply.coupled is not None
        assert apply.lead == 6
        v = np.random.default_rng(3).standard_normal((28, 20))
        v -= 0 if not objective.loss.shift_invariant else np.tile(v.reshape(4, 7, 20).mean(axis=0), (4, 1))
        back = np.stack([apply((H @ c).reshape(4, 7).T)[0].T.ravel() for c in v.T], axis=1)
        if objective.loss.shift_invariant:
            back -= np.tile(back.reshape(4, 7, 20).mean(axis=0), (4, 1))
        errors.append(np.linalg.norm(back - v) / np.linalg.norm(v))
        several = apply(H[0].reshape(4, 7).T, H[5].reshape(4, 7).T)
        for one, column in zip(several, (H[0], H[5]), strict=True):
            np.testing.assert_allclose(one, apply(column.reshape(4, 7).T)[0], rtol=1e-10, atol=1e-12)
    assert errors[1] < 0.02
    assert errors[1] <= errors[0]


def test_draws_keep_the_total_and_repeat_exactly():
    rng = np.random.default_rng(4)
    h = rng.random((6, 8000)) ** 8
    a, b = np.triu_indices(4, 1)
    z = np.ones((8000, 1))
    H = sampled_hessian(z, h, a, b, 4)
    np.testing.assert_allclose(H[a, 0, b, 0], -h.sum(axis=1), rtol=2e-3)
    assert np.array_equal(H, sampled_hessian(z, h, a, b, 4))


def test_a_weight_of_two_is_a_row_given_twice():
    rng = np.random.default_rng(5)
    h, z = rng.random((6, 50)), rng.standard_normal((50, 3))
    a, b = np.triu_indices(4, 1)
    once = sampled_hessian(z, 2 * h, a, b, 4)
    np.testing.assert_allclose(sampled_hessian(np.vstack([z, z]), np.hstack([h, h]), a, b, 4), once, rtol=1e-12)


def test_draws_are_as_many_as_the_weight_asks_for():
    """Systematic: every cell is drawn its share of the times, less than one off; none without weight."""
    rng = np.random.default_rng(6)
    h = rng.random((5, 40)) ** 6
    h[2], h[:, 7] = 0, 0
    for draws in (1, 7, 1000):
        found, step = draw(h, draws)
        assert len(found) == draws
        assert step == pytest.approx(h.sum() / draws)
        often = np.bincount(found, minlength=h.size)
        assert (np.abs(often - h.ravel() / step) < 1 + 1e-9).all()
        assert not often[h.ravel() == 0].any()
        assert np.abs(np.cumsum(often) - np.cumsum(h) / step).max() <= 0.5 + 1e-9  # from the first cell to any other


@pytest.mark.parametrize("drawn", [False, True])
def test_sums_over_edges_by_hand(drawn, monkeypatch):
    """One row, edges 0–1 of weight 2 and 1–none of weight 3: the Hessian in the scores is [[2, −2], [−2, 5]]."""
    monkeypatch.setattr(module, "DRAWS", 0 if not drawn else 50)
    z = np.array([[1.0, 10.0]])
    h = np.array([[2.0], [0.0], [3.0]])
    if drawn:
        h, z = np.repeat(h, 100, axis=1) / 100, np.repeat(z, 100, axis=0)
    else:
        monkeypatch.setattr(module, "DRAWS", 3)
    H = sampled_hessian(z, h, np.array([0, 0, 1]), np.array([1, 2, 2]), 2)
    np.testing.assert_allclose(H, np.einsum("ij,ab->iajb", [[2, -2], [-2, 5]], np.outer(z[0], z[0])), rtol=1e-12)


def test_the_inverse_is_of_what_it_was_given():
    """Penalty added to every class, a shift of all classes stiff where nothing else holds it, the rest as it was."""
    rng = np.random.default_rng(7)
    k, q = 3, 4
    z, h = rng.standard_normal((200, q)), rng.random((6, 200))
    a, b = np.append(np.triu_indices(k, 1)[0], range(k)), np.append(np.triu_indices(k, 1)[1], [k] * k)
    ones = np.full((k, 1), k**-0.5)
    for blind in (np.zeros((k, 0)), ones):
        weights = h * np.append(np.ones(3), np.zeros(3) if blind.size else np.ones(3))[:, None]
        H = sampled_hessian(z, weights, a, b, k)
        for alpha in (np.zeros((q, q)), np.diag([0.3, 0.2, 0.1, 0.0])):
            wanted = H + np.einsum("ij,ab->iajb", np.eye(k), alpha)
            apply = Coupled.of(H.copy(), alpha, blind, intercept=True)
            v = rng.standard_normal((q, k))
            v[-1] -= blind.size * v[-1].mean() / k
            v -= (blind.size and not alpha.any()) * v.mean(axis=1, keepdims=True)
            two = np.stack([v, 2 * v], axis=1)
            found = apply(np.einsum("iajb,bvj->avi", wanted, two))
            np.testing.assert_allclose(found, two, rtol=1e-5, atol=1e-6)
            if blind.size:  # along the shift no step is made, but of weights that are penalised
                shift = np.zeros((q, 1, k))
                shift[-1] = 1
                assert np.abs(apply(shift)).max() <= 1.01 / wanted.reshape(k * q, -1).diagonal().max()
    without = Coupled.of(sampled_hessian(z, h, a, b, k), np.zeros((q, q)), np.zeros((k, 0)), intercept=False)
    assert np.abs(without(np.eye(q)[:, -1, None, None] * np.ones(k))).max() < 1
    assert Coupled.of(-sampled_hessian(z, h, a, b, k), np.zeros((q, q)), np.zeros((k, 0)), True) is None


def test_the_factor_costs_no_more_than_a_few_passes():
    """U³/3 multiplications for U unknowns, six for every row × column × class; within bounds."""
    assert module.unknowns(0) == module.unknowns(1_000_000) == 700
    assert module.unknowns(10**9) == module.unknowns(10**12) == 1200
    assert module.unknowns(10**9, fine=True) == module.unknowns(10**12, fine=True) == 2000
    assert module.unknowns(5 * 10**7, fine=True) == module.unknowns(5 * 10**7)
    for numbers in (25e6, 50e6, 90e6):
        U = module.unknowns(numbers)
        assert 700 < U < 1200
        assert 0.99 <= (U**3 / 3) / (6 * numbers) <= 1.0


def test_few_passes():
    """With all classes coupled L-BFGS needs a fraction of the passes that the Kronecker product alone needs."""
    objective = problem("cross_entropy", n=3000, d=30, k=6, alpha=1e-4)
    passes = []
    for classes in (32, 0):
        start = objective.count.passes
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("linearhead.objective.curvature.CLASSES", classes)
            SOLVERS["lbfgs"](tol=1e-8)(objective, objective.start())
        passes.append(objective.count.passes - start)
    assert passes[0] <= 0.7 * passes[1]


# ── edges of the rules ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("loss", SMOOTH)
def test_edges_of_any_size_are_told_from_rounding(loss):
    """A millionth of the largest is the limit, whatever the largest is; what lies below is no edge."""
    rng = np.random.default_rng(8)
    s, y, kind = rng.standard_normal((30, 4)), rng.integers(0, 4, 30), LOSSES[loss]()
    h, _, _ = edges(lambda d: kind.hessian_product(s, y, d), s)
    small, _, _ = edges(lambda d: 1e-12 * kind.hessian_product(s, y, d), s)
    np.testing.assert_allclose(small, 1e-12 * h, rtol=1e-9)
    assert (small > 0).any()
    for share, kept in ((1.01e-6, True), (0.99e-6, False)):
        H = np.array([[1.0, -share], [-share, 1.0]])
        found, a, b = edges(lambda d, H=H: d @ H, np.zeros((1, 2)))
        np.testing.assert_allclose(found[:, 0], [share * kept, 1 - share, 1 - share])
        assert list(zip(a, b, strict=True)) == [(0, 1), (0, 2), (1, 2)]


def test_a_direction_that_nothing_sees_has_a_billionth_of_the_curvature():
    """Rows without a part along it and no penalty: the system stays definite, the step long but finite."""
    rng = np.random.default_rng(9)
    z, h = np.hstack([rng.standard_normal((50, 2)), np.zeros((50, 1)), np.ones((50, 1))]), rng.random((3, 50))
    H = sampled_hessian(z, h, np.array([0, 0, 1]), np.array([1, 2, 2]), 2)
    top = H.reshape(8, 8).diagonal().max()
    apply = Coupled.of(H, np.zeros((4, 4)), np.zeros((2, 0)), intercept=True)
    v = np.zeros((4, 1, 2))
    v[2] = 1.0
    np.testing.assert_allclose(apply(v)[2], 1e9 / top, rtol=1e-6)


def test_without_a_penalty_no_direction_of_w_moves_along_a_shift():
    rng = np.random.default_rng(10)
    z, h = rng.standard_normal((200, 4)), rng.random((3, 200))
    a, b = np.triu_indices(3, 1)
    ones = np.full((3, 1), 3**-0.5)
    H = sampled_hessian(z, h, a, b, 3)
    top = H.reshape(12, 12).diagonal().max()
    for alpha, limit in ((np.zeros((4, 4)), 1.5 / top), (np.diag([2.0, 2.0, 2.0, 0.0]) * top, 0.51 / top)):
        apply = Coupled.of(H.copy(), alpha, ones, intercept=True)
        for row in range(4):
            shift = np.zeros((4, 1, 3))
            shift[row] = 1.0
            assert np.abs(apply(shift)).max() <= (1.5 / top if row == 3 else limit)
