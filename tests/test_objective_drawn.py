"""Rows drawn by their curvature: chances by hand, sums without bias, a model nearer to the Hessian than a sample's."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective, coupled, drawn, precondition, sample_basis
from linearhead.objective import basis as sampling
from linearhead.objective.drawn import draw, draw_rows
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS

SMOOTH = [name for name, loss in LOSSES.items() if loss.smoothness > 0]


def settled(n=4000, d=12, k=3, loss="cross_entropy", weights=None, alpha=1e-5, kind=np.float64):
    """Labels that a linear rule tells well: near the optimum few rows bend F."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) * np.geomspace(1, 0.05, d)
    y = np.argmax(X @ rng.standard_normal((d, k)) * 12 + rng.gumbel(size=(n, k)), axis=1)
    weights = rng.uniform(0.5, 2, n) if weights else None
    design = design_of(X.astype(kind), intercept=True).fitted(weights, False)
    return Objective(design, y, k, LOSSES[loss](), PENALTIES["l2"](), alpha, weights)


def optimum(objective):
    return SOLVERS["lbfgs"](tol=1e-6)(objective, objective.start()).point.theta


def test_chances_by_hand():
    rows, chances = draw_rows(np.array([0, 8.0, 1, 1, 0, 1, 1]), 3)  # one is sure, two of four share the rest
    assert rows[0] == 1
    assert len(rows) == 3
    np.testing.assert_allclose(chances, [1, 0.5, 0.5])
    for m in (4, 9):
        rows, chances = draw_rows(np.array([0.0, 3, 0, 1, 1, 1]), m)
        assert rows.tolist() == [1, 3, 4, 5]
        assert chances.tolist() == [1, 1, 1, 1]
    assert not len(draw_rows(np.zeros(5), 2)[0])


@pytest.mark.parametrize("m", [1, 7, 300, 900])
def test_rows_are_drawn_once_in_proportion(m):
    bend = np.random.default_rng(m).random(1000) ** 12
    bend[::9] = 0
    rows, chances = draw_rows(bend, m)
    assert m - 1 <= len(rows) <= m or len(rows) == np.count_nonzero(bend)
    assert (np.diff(rows) > 0).all()
    assert (bend[rows] > 0).all()
    assert chances.max() <= 1
    below = chances < 1
    assert np.ptp((bend[rows] / chances)[below]) < 1e-9 if below.any() else True
    assert (bend[rows] / chances).sum() == pytest.approx(bend.sum(), rel=1.5 / m)  # Σ bend, drawn


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_drawn_hessian_is_near_the_whole_one(loss, weighted, monkeypatch):
    """Σ w z zᵀ ⊗ H over the rows drawn, beside ∇²F of all rows; and where all rows are drawn, exactly."""
    objective = settled(loss=loss, weights=weighted)
    theta = optimum(objective)
    basis, v = sample_basis(objective), np.random.default_rng(1).standard_normal((13, 3))
    wanted = replace(objective, alpha=0.0).hessian_product(theta, v)
    errors = []
    for m in (1000, 10**6):
        monkeypatch.setattr(drawn, "DRAWN_ROWS", m)
        before = objective.count.passes
        rows = draw(objective, basis, theta, 12)
        assert objective.count.passes == before + 1
        assert len(rows.w) <= m
        z, s = rows.look(np.arange(len(rows.w)))()
        along = np.vstack([basis.U.T @ v[:-1], v[-1:]])
        h = rows.objective.score_hessian(s, slice(None), z @ along) * rows.w[:, None]
        found = z.T @ h
        back = np.vstack([basis.U @ found[:-1], found[-1:]])
        back -= back.mean(axis=1, keepdims=True) if objective.loss.shift_invariant else 0
        errors.append(np.linalg.norm(back - wanted) / np.linalg.norm(wanted))
    assert errors[0] < 0.15
    assert errors[1] < 1e-9


def test_where_few_rows_bend_the_drawn_ones_say_more_than_a_sample(monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 400)
    monkeypatch.setattr(drawn, "DRAWN_ROWS", 400)
    monkeypatch.setattr(drawn, "PLENTY", 2000)
    objective = settled()
    theta = optimum(objective)
    v = np.random.default_rng(2).standard_normal((13, 3))
    v -= v.mean(axis=1, keepdims=True)
    Hv, errors = objective.hessian_product(theta, v), []
    for fine in (False, True):
        back = objective.preconditioner(theta, fine)(Hv)[0]
        errors.append(np.linalg.norm(back - back.mean(axis=1, keepdims=True) - v) / np.linalg.norm(v))
    assert errors[1] < 0.6 * errors[0]
    few = replace(objective, design=objective.design)
    monkeypatch.setattr(drawn, "PLENTY", 10**6)  # too few rows: the plain model, no pass
    before = few.count.passes
    assert few.preconditioner(theta, True).lead == few.preconditioner(theta).lead
    assert few.count.passes == before


def test_a_long_fit_needs_fewer_passes_and_ends_at_the_same_optimum(monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 300)
    monkeypatch.setattr(drawn, "DRAWN_ROWS", 600)
    found = []
    for plenty in (10**9, 2000):
        monkeypatch.setattr(drawn, "PLENTY", plenty)
        objective = settled(d=40, k=4, alpha=1e-6)
        found.append((SOLVERS["lbfgs"](tol=1e-8)(objective, objective.start()), objective.count.passes))
    (plain, slow), (fine, fast) = found
    assert fast < 0.85 * slow
    assert abs(plain.point.value - fine.point.value) < 1e-12


def test_directions_of_many_columns_are_a_sketch(monkeypatch):
    monkeypatch.setattr(sampling, "FULL_EIGEN", 8)
    monkeypatch.setattr(sampling, "SKETCH", 10)
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 300)
    found = []
    for plenty in (10**9, 2000):
        monkeypatch.setattr(drawn, "PLENTY", plenty)
        objective = settled(d=40, k=4)
        found.append(SOLVERS["lbfgs"](tol=1e-8)(objective, objective.start()))
    assert found[1].extras["model"].lead == 10
    assert not objective.basis().full
    assert abs(found[0].point.value - found[1].point.value) < 1e-12


@pytest.mark.parametrize("kind", ["sparse", "float32", "scaled"])
def test_rows_of_every_kind_are_drawn_alike(kind):
    """The same leading columns and scores as from rows in memory, centred and scaled as the design has them."""
    objective = settled(n=600)
    X = np.asarray(objective.design.dense()) + 3.0
    X[np.abs(X) < 2.9] = 0
    rows = {"sparse": scipy.sparse.csr_array(X), "float32": X.astype(np.float32), "scaled": X}[kind]
    design = design_of(rows, intercept=True).fitted(None, kind == "scaled")
    there = replace(objective, design=design)
    theta = np.random.default_rng(3).standard_normal((13, 3))
    basis = sample_basis(there)
    leading = draw(there, basis, theta, 5)
    Z = (X - design.shift) if design.shift is not None else X
    Z = Z / design.scale if design.scale is not None else Z
    every = draw_rows(np.ones(600), drawn.DRAWN_ROWS)[0]
    assert len(leading.w) == len(every)
    z, s = leading.look(np.arange(600))()
    np.testing.assert_allclose(z[:, :5], (Z / basis.scale) @ basis.U[:, :5], atol=2e-5)
    np.testing.assert_allclose(s, Z @ theta[:-1] + theta[-1], atol=2e-4)
    assert (z[:, 5] == 1).all()


def test_models_take_bounded_room(monkeypatch):
    """The sampled rows in half precision, the factor in float32, rows at hand a few at a time."""
    rng = np.random.default_rng(4)
    X, y = rng.integers(0, 256, (17_000, 784), dtype=np.uint8), rng.integers(0, 10, 17_000)
    objective = Objective(design_of(X).fitted(), y, 10, LOSSES["cross_entropy"](), PENALTIES["l2"](), 1.0)
    monkeypatch.setattr(coupled, "PER_NUMBER", 100)
    with objective.design.session():
        tracemalloc.start()
        try:
            basis = sample_basis(objective)
            made = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            model = precondition(objective, basis, objective.start(), fine=True)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert model.lead == 199
    assert made < 30e6
    assert peak < 40e6  # 8192 × 784 rows in float32 take 26e6, a factor of 2000² in float64 32e6
