"""The coupled curvature model: edges rebuild every row's Hessian, the drawn sum is unbiased, the factor inverts it."""

import numpy as np
import pytest

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective
from linearhead.objective import coupled as module
from linearhead.objective.coupled import edges, sampled_hessian
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
