"""The coupled curvature model: edges rebuild every row's Hessian, the drawn sum is unbiased, the factor inverts it."""

from dataclasses import replace

import numpy as np
import pytest

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective, curvature
from linearhead.objective import coupled as module
from linearhead.objective.coupled import Classes, Coupled, draw, edges, sampled_hessian
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


def plain(k):
    return Classes(np.arange(k), False)


def summed(z, h, k):
    """The blocks from rows z (m, q) and their edges h (e, m)."""
    look, weigh = lambda rows: lambda: (z[rows], z[rows]), lambda rows, s: h[:, rows]
    return sampled_hessian(look, weigh, len(z), k, z.shape[1], z.dtype)


def spread_out(blocks):
    """The blocks → (k, q, k, q)."""
    k, q = int((2 * len(blocks)) ** 0.5), blocks.shape[1]
    H = np.empty((k, q, k, q))
    for i in range(k):
        for j in range(i + 1):
            H[i, :, j] = H[j, :, i] = blocks[i * (i + 1) // 2 + j]
    return H


@pytest.mark.parametrize("loss", SMOOTH)
def test_edges_rebuild_the_hessians(loss):
    """Also where one class, any, is the ground: then its rows and columns are those that add up to 0."""
    rng = np.random.default_rng(1)
    s, y, kind = rng.standard_normal((30, 5)) * 2, rng.integers(0, 5, 30), LOSSES[loss]()
    wanted = np.stack([kind.hessian_product(s, y, np.zeros_like(s) + e) for e in np.eye(5)], axis=2)
    for ground in (None, 0, 2, 4) if kind.shift_invariant else (None,):
        size = np.eye(5)[0 if ground is None else ground]
        classes = Classes.of(np.diag(1 + size), ground is not None)
        assert sorted(classes.order) == list(range(5))
        assert ground in (None, classes.order[-1])
        h, k = edges(lambda d: kind.hessian_product(s, y, d), s, classes), len(classes.free)
        assert h.shape == (k * (k + 1) // 2, 30)
        assert (h >= 0).all()
        rebuilt = spread_out(summed(np.ones((1, 1)), h[:, :1], k))[:, 0, :, 0]
        np.testing.assert_allclose(rebuilt, wanted[0][np.ix_(classes.free, classes.free)], atol=2e-5)


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
    h, z = rng.random((10, 8000)) ** 8, np.ones((8000, 1))
    H = summed(z, h, 4)
    below = [1, 3, 4, 6, 7, 8]
    np.testing.assert_allclose(H[below, 0, 0], -h[below].sum(axis=1), rtol=2e-3)
    assert np.array_equal(H, summed(z, h, 4))


def test_a_weight_of_two_is_a_row_given_twice():
    rng = np.random.default_rng(5)
    h, z = rng.random((10, 50)), rng.standard_normal((50, 3))
    once = summed(z, 2 * h, 4)
    np.testing.assert_allclose(summed(np.vstack([z, z]), np.hstack([h, h]), 4), once, rtol=1e-12)


@pytest.mark.parametrize("draws", [0, 500])
def test_parts_and_threads_do_not_matter(draws, monkeypatch):
    """Of all rows the sum is the same however they are cut; of drawn ones it has the same bits on any threads."""
    rng = np.random.default_rng(11)
    z, h, found = rng.standard_normal((90, 3)), rng.random((6, 90)), []
    monkeypatch.setattr(module, "DRAWS", draws or 10**6)
    for part, slab, threads in ((40, 7, 1), (40, 7, 2), (40, 7, 3), (1000, 1000, 1)):
        monkeypatch.setattr(module, "PART", part)
        monkeypatch.setattr(module, "SLAB", slab)
        with replace(design_of(np.zeros((9000, 784)), intercept=True), threads=threads).session() as pool:
            assert (pool is None) == (threads == 1)
            H = summed(z, h, 3)
            apply = Coupled.of(H.copy(), np.eye(3), np.zeros((3, 0)), True, plain(3))
            found.append((H, apply(rng.standard_normal((3, 2, 3)) * 0 + 1)))
    for H, answer in found[1:3]:
        assert np.array_equal(H, found[0][0])
        assert np.array_equal(answer, found[0][1])
    if not draws:
        np.testing.assert_allclose(found[3][0], found[0][0], rtol=1e-12)


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
    h = np.array([[0.0], [2.0], [3.0]])
    if drawn:
        h, z = np.repeat(h, 100, axis=1) / 100, np.repeat(z, 100, axis=0)
    else:
        monkeypatch.setattr(module, "DRAWS", 3)
    H = spread_out(summed(z, h, 2))
    np.testing.assert_allclose(H, np.einsum("ij,ab->iajb", [[2, -2], [-2, 5]], np.outer(z[0], z[0])), rtol=1e-12)


@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("ground", [None, 0, 1, 2])
def test_the_inverse_is_of_what_it_was_given(ground, penalised):
    """The penalty is added to every class; with a ground no shift of all classes, which no row sees, is answered."""
    rng = np.random.default_rng(7)
    k, q = 3, 4
    z, pairs = rng.standard_normal((200, q)), rng.random((3, 200))  # edges 1–0, 2–0, 2–1
    lone = rng.random((3, 200)) * (ground is None)
    whole = np.stack([lone[0], pairs[0], lone[1], pairs[1], pairs[2], lone[2]])
    alpha = penalised * np.diag([0.3, 0.2, 0.1, 0.0])
    wanted = spread_out(summed(z, whole, k)) + np.einsum("ij,ab->iajb", np.eye(k), alpha)
    if ground is None:
        blocks, blind, classes = summed(z, whole, k), np.zeros((k, 0)), plain(k)
    else:
        a, b = (i for i in range(3) if i != ground)
        edge = {(1, 0): pairs[0], (2, 0): pairs[1], (2, 1): pairs[2]}
        of = lambda i, j: edge[max(i, j), min(i, j)]  # noqa: E731
        blocks = summed(z, np.stack([of(a, ground), of(a, b), of(b, ground)]), 2)
        blind, classes = np.full((k, 1), k**-0.5), Classes(np.array([a, b, ground]), True)
    apply = Coupled.of(blocks, alpha, blind, True, classes)
    v = rng.standard_normal((q, k))
    v -= (ground is not None) * v.mean(axis=1, keepdims=True)
    two = np.stack([v, 2 * v], axis=1)
    np.testing.assert_allclose(apply(np.einsum("iajb,bvj->avi", wanted, two)), two, rtol=1e-5, atol=1e-6)
    if ground is not None:
        assert np.abs(apply(np.ones((q, 1, k)))).max() < 1e-12


def test_no_step_of_an_intercept_that_is_not_there_and_no_inverse_of_what_is_not_definite():
    rng = np.random.default_rng(7)
    z, h = rng.standard_normal((200, 4)), rng.random((6, 200))
    without = Coupled.of(summed(z, h, 3), np.zeros((4, 4)), np.zeros((3, 0)), False, plain(3))
    assert np.abs(without(np.eye(4)[:, -1, None, None] * np.ones(3))).max() < 1
    assert Coupled.of(-summed(z, h, 3), np.zeros((4, 4)), np.zeros((3, 0)), True, plain(3)) is None


def test_what_is_not_definite_in_float32_is_made_in_float64(monkeypatch):
    objective = problem("cross_entropy")
    objective = replace(objective, design=design_of(objective.design.X.astype(np.float32)).fitted(objective.weights))
    theta, v = objective.start(), np.random.default_rng(3).standard_normal((2, 7, 4))
    v -= v.mean(axis=2, keepdims=True)
    single = objective.preconditioner(theta)
    assert single.coupled.factor.dtype == np.float32
    factorise = module.factorise
    monkeypatch.setattr(module, "factorise", lambda H, k: H.dtype != np.float32 and factorise(H, k))
    double = objective.preconditioner(theta)
    assert double.coupled.factor.dtype == np.float64
    for one, other in zip(single(*v), double(*v), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3 * np.abs(other).max())


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
            patch.setattr(curvature, "CLASSES", classes)
            patch.setattr(curvature, "size", lambda *given: (0, 0))
            patch.setattr(curvature, "centred", lambda diagonal, sums, *_: (diagonal, 0 * sums))
            SOLVERS["lbfgs"](tol=1e-8)(objective, objective.start())
        passes.append(objective.count.passes - start)
    assert passes[0] <= 0.7 * passes[1]


# ── edges of the rules ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("loss", SMOOTH)
def test_edges_of_any_size_are_told_from_rounding(loss):
    """A millionth of the largest is the limit, whatever the largest is; what lies below is no edge."""
    rng = np.random.default_rng(8)
    s, y, kind = rng.standard_normal((30, 4)), rng.integers(0, 4, 30), LOSSES[loss]()
    h = edges(lambda d: kind.hessian_product(s, y, d), s, plain(4))
    small = edges(lambda d: 1e-12 * kind.hessian_product(s, y, d), s, plain(4))
    np.testing.assert_allclose(small, 1e-12 * h, rtol=1e-9)
    assert (small > 0).any()
    for share, kept in ((1.01e-6, True), (0.99e-6, False)):
        H = np.array([[1.0, -share], [-share, 1.0]])
        found = edges(lambda d, H=H: d @ H, np.zeros((1, 2)), plain(2))
        np.testing.assert_allclose(found[:, 0], [1 - share, share * kept, 1 - share])


def test_a_direction_that_nothing_sees_has_a_billionth_of_the_curvature():
    """Rows without a part along it and no penalty: the system stays definite, the step long but finite."""
    rng = np.random.default_rng(9)
    z, h = np.hstack([rng.standard_normal((50, 2)), np.zeros((50, 1)), np.ones((50, 1))]), rng.random((3, 50))
    H = summed(z, h, 2)
    top = max(H[0].diagonal().max(), H[2].diagonal().max())
    apply = Coupled.of(H, np.zeros((4, 4)), np.zeros((2, 0)), True, plain(2))
    v = np.zeros((4, 1, 2))
    v[2] = 1.0
    np.testing.assert_allclose(apply(v)[2], 1e9 / top, rtol=1e-6)


def test_without_a_penalty_no_direction_of_w_moves_along_what_the_loss_does_not_see():
    """Classes 0 and 1 rise and fall alike: nothing tells them from one another, with a ground or without."""
    rng = np.random.default_rng(10)
    z, h = rng.standard_normal((200, 4)), rng.random(200)
    apart = np.array([[1.0], [-1.0], [0.0]]) / np.sqrt(2)
    for classes, weights in ((plain(3), [1, 0, 1, 0, 0, 1]), (Classes(np.arange(3), True), [1, 0, 1])):
        H = summed(z, np.outer(weights, h), len(classes.free))
        top = max(H[0].diagonal().max(), H[2].diagonal().max())
        apply = Coupled.of(H, np.zeros((4, 4)), apart, True, classes)
        for row in range(4):
            v = np.zeros((4, 1, 3))
            v[row, 0] = apart[:, 0]
            assert np.abs(apply(v)).max() <= 1.5 / top
