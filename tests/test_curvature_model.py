"""The curvature model where it must be the Hessian itself, to the digits: M⁻¹ ∇²F v = v.

At θ = 0 every row of cross-entropy and logistic loss has the same Hessian in the scores, and squared loss has always:
then ∇²F = E[xxᵀ] ⊗ H + αI is a Kronecker product, whatever the rows, weights and columns.
"""

from dataclasses import replace

import numpy as np
import pytest

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective, curvature, precondition, sample_basis
from linearhead.objective import basis as sampling
from linearhead.objective.basis import orthonormal
from linearhead.penalties import PENALTIES

EQUAL = ("cross_entropy", "logistic", "squared")  # losses whose rows bend alike at θ = 0


@pytest.fixture(autouse=True)
def kronecker_alone(monkeypatch):
    monkeypatch.setattr(curvature, "CLASSES", 0)


def objective_of(X, loss, alpha, k=3, weights=None, intercept=True, standardize=False):
    y = np.arange(len(X)) % k
    design = design_of(X, intercept=intercept, threads=1).fitted(weights, standardize)
    return Objective(design, y, k, LOSSES[loss](), PENALTIES["l2"](), alpha, weights)


def spread(n, energies, seed=0):
    """n rows of mean 0 whose columns are orthogonal, with these mean squares."""
    Z = np.random.default_rng(seed).normal(size=(n, len(energies)))
    Q = np.linalg.qr(Z - Z.mean(axis=0))[0]
    return np.sqrt(n * np.asarray(energies)) * Q


def check(objective, rtol=1e-9, basis=None, seed=1):
    """M⁻¹ ∇²F v = v at θ = 0 for v that the loss sees."""
    theta, rng = objective.start(), np.random.default_rng(seed)
    apply = precondition(objective, basis or sample_basis(objective), theta)
    assert apply.coupled is None
    vectors = list(rng.normal(size=(3, *theta.shape)))
    for v in vectors:
        v[-1] *= objective.design.intercept
        if objective.loss.shift_invariant:
            v[-1] -= v[-1].mean()
            v -= 0 if objective.alpha else v.mean(axis=1, keepdims=True)
    found = apply(*(objective.precise().hessian_product(theta, v) for v in vectors))
    for back, v in zip(found, vectors, strict=True):
        np.testing.assert_allclose(back, v, rtol=rtol, atol=rtol * np.abs(v).max())
    return apply


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("loss", EQUAL)
def test_any_rows_weights_and_columns(loss, alpha):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)) + 3
    for weights in (None, rng.integers(0, 3, 50) + rng.uniform(0, 1, 50) * (np.arange(50) > 9)):
        for options in ({}, {"intercept": False}, {"standardize": True}):
            check(objective_of(X, loss, alpha, weights=weights, **options))
    check(objective_of(X, loss, alpha, k=7))
    check(objective_of(X.astype(np.float32), loss, alpha), rtol=1e-3)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("loss", EQUAL)
def test_columns_of_any_size(loss, alpha):
    """Where sizes differ beyond an eigenbasis's digits the columns are divided by theirs first."""
    sizes = np.array([1e3, 30.0, 1.0, 1.0, 0.1, 1e-4])
    objective = objective_of(spread(60, sizes**2), loss, alpha)
    scale = sample_basis(objective).scale
    np.testing.assert_allclose(scale, np.sqrt(sizes**2 + 4 * alpha), rtol=1e-6)
    check(objective, rtol=1e-6)
    near = sample_basis(objective_of(spread(60, [1, 4, 9, 16.0]), loss, alpha))
    assert (near.scale == 1).all()


def test_columns_of_another_size_than_the_intercepts_have_a_power_of_two_as_their_unit():
    for spread in (0.0, 1e-3, 0.02, 1.0, 1e3):
        assert sampling.unit_of(spread) == 1
    for spread in (1e-30, 0.9e-3, 1.1e3, 1e12):
        unit = sampling.unit_of(spread)
        assert np.log2(unit) == round(np.log2(unit))
        assert 2**-0.5 <= unit / spread <= 2**0.5


def test_columns_are_scaled_once_the_largest_is_over_a_hundred_times_the_median():
    usual = np.array([2.0, 2.0, 2.0, 0.0, 200.0])
    assert (sampling.column_scale(usual, 0.5) == 1).all()
    usual[4] = 200.1
    np.testing.assert_allclose(sampling.column_scale(usual, 0.5), np.sqrt([6, 6, 6, 3, 200.1**2 + 2]))
    assert (sampling.column_scale(np.zeros(3), 0.5) == 1).all()


def test_a_column_of_no_spread_keeps_its_unit():
    X = spread(60, [1e10, 1.0, 1.0, 1.0])
    X[:, 3] = 0
    basis = sample_basis(objective_of(X, "squared", 0.0))
    np.testing.assert_allclose(basis.scale, [1e5, 1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("loss", EQUAL)
def test_a_sketch_has_the_leading_directions_and_the_mean_of_the_rest(loss, monkeypatch):
    monkeypatch.setattr(sampling, "FULL_EIGEN", 5)
    monkeypatch.setattr(sampling, "SKETCH", 3)
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    X = spread(80, [1e4, 5e3, 2e3] + [0.5] * 9) @ turn
    objective = objective_of(X, loss, 0.1)
    basis = sample_basis(objective)
    assert basis.U.shape == (12, 3)
    assert not basis.full
    assert basis.rest == pytest.approx(0.5, rel=1e-6)
    np.testing.assert_allclose(np.abs(basis.U.T @ turn[:3].T), np.eye(3), atol=1e-6)
    check(objective, rtol=1e-5, basis=basis)


@pytest.mark.parametrize("loss", EQUAL)
def test_few_rows_span_their_directions(loss, monkeypatch):
    monkeypatch.setattr(sampling, "FULL_EIGEN", 10)
    X = np.random.default_rng(4).normal(size=(8, 30))
    objective = objective_of(X, loss, 0.1)
    basis = sample_basis(objective)
    assert basis.U.shape == (30, 7)  # eight rows less their mean
    np.testing.assert_allclose(basis.U.T @ basis.U, np.eye(7), atol=1e-12)
    assert basis.rest == pytest.approx(0, abs=1e-12)
    check(objective, basis=basis)


def test_many_classes_are_not_turned(monkeypatch):
    monkeypatch.setattr(curvature, "ROTATED", 2)
    X = np.random.default_rng(5).normal(size=(50, 6))
    for loss in ("logistic", "squared"):
        assert check(objective_of(X, loss, 0.2)).Q is None
    monkeypatch.setattr(curvature, "ROTATED", 3)
    assert check(objective_of(X, "squared", 0.2)).Q is not None


def test_the_sample_has_rows_with_weight_alone_and_is_the_same_every_time(monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 300)
    rng = np.random.default_rng(6)
    X, w = rng.normal(size=(1000, 4)), rng.integers(0, 2, 1000).astype(float)
    objective = objective_of(X, "squared", 0.1, weights=w)
    basis = sample_basis(objective)
    assert 100 < len(basis.rows) < 200
    assert (np.diff(basis.rows) > 0).all()
    assert (w[basis.rows] == 1).all()
    assert np.array_equal(basis.rows, sample_basis(objective).rows)
    assert not np.array_equal(basis.rows, sample_basis(objective, seed=1).rows)
    plain = objective_of(X, "squared", 0.1)
    assert len(sample_basis(plain).rows) == 300
    monkeypatch.setattr(sampling, "SAMPLE_BYTES", 4 * 4 * 270)
    assert len(sample_basis(plain).rows) == 270
    monkeypatch.setattr(sampling, "SAMPLE_BYTES", 0)
    assert len(sample_basis(plain).rows) == 256
    theta = rng.normal(size=(5, 3))
    for part in (slice(None), slice(10, 90)):
        s = plain.design.dense()[sample_basis(plain).rows][part] @ theta[:-1] + theta[-1]
        np.testing.assert_allclose(sample_basis(plain).scores(theta)(part), s, atol=1e-12)


def test_slabs_do_not_matter(monkeypatch):
    X = np.random.default_rng(7).normal(size=(100, 5))
    objective = objective_of(X, "cross_entropy", 0.1)
    whole = precondition(objective, sample_basis(objective), 0.1 + objective.start())
    monkeypatch.setattr(curvature, "SLAB", 7)
    monkeypatch.setattr(sampling, "SLAB", 7)
    parts = precondition(objective, sample_basis(objective), 0.1 + objective.start())
    v = np.random.default_rng(8).normal(size=(6, 3))
    np.testing.assert_allclose(parts(v)[0], whole(v)[0], rtol=1e-9)


def test_where_nothing_bends_the_model_still_answers():
    """No column has spread, or no row curvature: finite numbers, none of them a step to infinity."""
    flat = objective_of(np.ones((20, 3)), "cross_entropy", 0.0)
    settled = replace(objective_of(spread(20, [1.0, 1.0]), "squared_hinge", 0.0), k=3)
    theta = settled.start()
    theta[-1] = 0
    v = np.random.default_rng(9).normal(size=(4, 3))
    assert np.isfinite(precondition(flat, sample_basis(flat), flat.start())(v)[0]).all()
    far = np.zeros((3, 3))
    far[-1] = [0, 0, 0]
    bound = precondition(settled, sample_basis(settled), far)(np.ones((3, 3)))[0]
    assert np.isfinite(bound).all()


def test_many_projections_are_kept_in_half_precision(monkeypatch):
    """Of float32 rows: the same scores, directions and model to three digits; a row beyond its range stays finite."""
    rng = np.random.default_rng(11)
    X = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) * [1e3, 1, 1, 1, 1, 1e-3]).astype(np.float32)
    objective = objective_of(X, "cross_entropy", 0.1)
    single = sample_basis(objective)
    assert single.unit is None
    monkeypatch.setattr(sampling, "HALF_BYTES", 4 * X.size)
    assert sample_basis(objective).unit is None
    monkeypatch.setattr(sampling, "HALF_BYTES", 4 * X.size - 1)
    half = sample_basis(objective)
    assert half.projected.dtype == np.float16
    assert half.dtype == np.float32
    z = single.part(slice(None))
    sizes = np.sqrt(np.mean(z**2, axis=0))
    np.testing.assert_allclose(half.part(slice(None)) / sizes, z / sizes, atol=3e-3)
    np.testing.assert_allclose(half.part(slice(5, 9), 2), z[5:9, :2], rtol=1e-3)
    theta = rng.normal(size=(7, 3)) / np.append(np.sqrt(np.mean(X**2, axis=0)), 1)[:, None]
    np.testing.assert_allclose(half.scores(theta)(slice(7, 90)), single.scores(theta)(slice(7, 90)), atol=2e-2)
    v = theta - theta.mean(axis=1, keepdims=True)
    one, other = (precondition(objective, basis, theta)(v)[0] for basis in (half, single))
    np.testing.assert_allclose(one, other, rtol=1e-2, atol=2e-3 * np.abs(other).max())
    few, most = half.leading(3), single.leading(3)
    np.testing.assert_allclose(few.part(slice(None)), most.part(slice(None)), rtol=1e-3, atol=1e-3 * sizes[2])
    assert few.rest == pytest.approx(most.rest, rel=1e-2)
    assert not few.full
    exact = sample_basis(objective_of(X.astype(np.float64), "cross_entropy", 0.1))
    assert exact.unit is None  # float64 rows are kept as they are
    weights = np.ones(300)
    X[0], weights[0] = 1e8, 1e-30
    far = sample_basis(objective_of(X, "cross_entropy", 0.1, weights=weights))
    assert np.isfinite(far.part(slice(None))).all()


def test_orthonormal_columns():
    rng = np.random.default_rng(10)
    U = rng.normal(size=(30, 5))
    for given in (U, U * 10.0 ** np.arange(5), np.hstack([U[:, :4], U[:, :1]]), U.astype(np.float32)):
        found = orthonormal(given)
        assert found.dtype == given.dtype
        np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-5 if given.dtype == np.float32 else 1e-13)
        outside = given - found @ (found.T @ given)
        assert np.abs(outside).max() <= 1e-5 * np.abs(given).max()


# ── what rounding, blindness and limits do to it ──────────────────────────────────────────────────
@pytest.mark.parametrize("tilt", [8.0, 25.0])
def test_a_loss_that_hardly_bends_is_modelled_as_well(tilt):
    """With W = 0 all rows share one Hessian in the scores wherever the intercept stands: here about e^−tilt."""
    objective = objective_of(spread(60, [4.0, 1.0, 0.25]), "cross_entropy", 0.0, k=2)
    theta = objective.start()
    theta[-1, 0] = tilt
    apply = precondition(objective, sample_basis(objective), theta)
    v = np.random.default_rng(1).normal(size=theta.shape)
    v -= v.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(apply(objective.hessian_product(theta, v))[0], v, rtol=1e-3)


@pytest.mark.parametrize("rotated", [256, 1])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_along_a_shift_of_all_classes_there_is_the_penalty_or_no_step(alpha, rotated, monkeypatch):
    """Of W: v/α. Of the intercept, and of W if nothing is penalised: none, as the loss sees nothing there."""
    monkeypatch.setattr(curvature, "ROTATED", rotated)
    objective = objective_of(spread(60, [4.0, 1.0, 0.25]), "cross_entropy", alpha)
    apply = precondition(objective, sample_basis(objective), objective.start() + np.arange(3.0))
    shift = np.random.default_rng(1).normal(size=(4, 1)) * np.ones((1, 3))
    found = apply(shift)[0]
    np.testing.assert_allclose(found[-1], 0, atol=1e-9)
    np.testing.assert_allclose(found[:-1], shift[:-1] / alpha if alpha else 0 * shift[:-1], atol=1e-7)


def test_where_no_row_bends_the_penalty_is_all_there_is(monkeypatch):
    """Without one: a step as long as the slope, as some row of a kinked loss may have one and none bend."""
    X, v = spread(20, [1.0, 1.0]), np.random.default_rng(2).normal(size=(3, 2))
    for alpha in (0.0, 0.5):
        objective = replace(objective_of(X, "logistic", alpha, k=2), y=np.ones(20, int))
        theta = objective.start()
        theta[-1] = [-1e4, 1e4]
        assert not objective.hessian_product(theta, v)[-1].any()
        for rotated in (256, 1):
            monkeypatch.setattr(curvature, "ROTATED", rotated)
            found = precondition(objective, sample_basis(objective), theta)(v)[0]
            np.testing.assert_allclose(found[:-1], v[:-1] / (alpha or 1.0), rtol=1e-12)
            assert np.isfinite(found).all()


@pytest.mark.parametrize(("dtype", "seen"), [(np.float64, True), (np.float32, False)])
def test_a_class_that_bends_by_a_hundred_millionth_is_seen_in_float64_alone(dtype, seen):
    """In float32 that is what rounding leaves of classes that do not bend."""
    exact = objective_of(spread(60, [4.0, 1.0]), "cross_entropy", 0.0)
    objective = objective_of(spread(60, [4.0, 1.0]).astype(dtype), "cross_entropy", 0.0)
    theta, v = exact.start(), np.random.default_rng(1).normal(size=(3, 1)) * [-0.5, -0.5, 1.0]
    theta[-1, 2] = -18
    found = precondition(objective, sample_basis(objective), theta)(exact.hessian_product(theta, v))[0]
    np.testing.assert_allclose(found, v * seen, atol=1e-6)


def test_a_direction_of_a_billionth_of_the_curvature_is_the_least():
    objective = objective_of(spread(60, [1.0, 0.04, 0.04, 1e-14]), "squared", 0.0)
    made = precondition(objective, sample_basis(objective), objective.start())
    np.testing.assert_allclose(made.diagonal[:, 0], [1.0, 0.04, 0.04, 1e-9], rtol=1e-3)
    np.testing.assert_allclose(made.intercept, 1.0)


def test_one_direction_left_out_has_its_own_energy(monkeypatch):
    monkeypatch.setattr(sampling, "FULL_EIGEN", 3)
    monkeypatch.setattr(sampling, "SKETCH", 3)
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 60)
    objective = objective_of(spread(60, [9.0, 4.0, 2.0, 0.25]), "squared", 0.1)
    basis = sample_basis(objective)
    assert basis.U.shape == (4, 3)
    assert basis.rest == pytest.approx(0.25, rel=1e-3)
    assert not basis.full
    assert basis.design is not None


@pytest.mark.parametrize("all_of_them", [True, False])
def test_what_leading_directions_leave_out_is_a_mean_energy(all_of_them, monkeypatch):
    """Of the directions dropped, and of what had been left out before, if anything."""
    energies = np.array([9.0, 4.0, 2.0, 1.0, 0.5, 0.25])
    if not all_of_them:
        for name, value in (("FULL_EIGEN", 4), ("SKETCH", 4), ("SAMPLE_ROWS", 60)):
            monkeypatch.setattr(sampling, name, value)
    basis = sample_basis(objective_of(spread(60, energies), "squared", 0.1))
    assert basis.full == all_of_them
    for most in (1, 3):
        few = basis.leading(most)
        np.testing.assert_allclose(np.mean(few.projected**2, axis=0), energies[:most], rtol=1e-3)
        np.testing.assert_array_equal(few.U, basis.U[:, :most])
        assert few.rest == pytest.approx(energies[most:].mean(), rel=1e-3)
    assert basis.leading(6).rest == pytest.approx(basis.rest)


def test_directions_of_a_millionth_of_the_energy_are_those_of_rounding(monkeypatch):
    """Of fewer rows than columns, in float32: kept above, left out below."""
    monkeypatch.setattr(sampling, "FULL_EIGEN", 4)
    for energy, kept in ((2e-6, 3), (0.5e-6, 2)):
        z = np.zeros((4, 9))
        z[:3, :3] = np.diag([2.0, 1.0, 2 * energy**0.5])
        assert sampling.directions(z, np.full(4, 0.25), np.random.default_rng(0)).shape == (9, kept)


def test_penalty_of_the_leading_directions_is_in_scaled_columns():
    sizes = np.array([1e3, 1.0, 1.0, 1e-2])
    objective = objective_of(spread(60, sizes**2), "squared", 0.5)
    basis = sample_basis(objective)
    D = np.diag(0.5 / basis.scale**2)
    for lead in (4, 2):
        np.testing.assert_allclose(basis.penalty(np.diag(D), lead), basis.U[:, :lead].T @ D @ basis.U[:, :lead])
    plain = replace(basis, U=None)
    np.testing.assert_allclose(plain.penalty(np.diag(D), 2), D[:2, :2])


# ── the coupled part ──────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def coupled(monkeypatch):
    """objective → its model where so many unknowns are allowed; how many numbers the limit was asked for."""

    def make(objective, most, classes=4):
        asked = []
        monkeypatch.setattr(curvature, "CLASSES", classes)
        monkeypatch.setattr(curvature, "unknowns", lambda numbers, fine: asked.append(numbers) or most)
        return precondition(objective, sample_basis(objective), objective.start()), asked

    return make


@pytest.mark.parametrize(("most", "lead"), [(700, 3), (16, 3), (15, 2), (12, 2), (8, 1), (7, 0), (4, 0), (3, 0)])
def test_as_many_directions_lead_as_unknowns_allow(most, lead, coupled):
    """k unknowns for each, and k for the intercept."""
    objective = objective_of(spread(60, [4.0, 1.0, 0.25]), "cross_entropy", 0.1, k=4)
    made, asked = coupled(objective, most)
    assert asked == [60 * 3 * 4]
    assert (made.coupled is None) == (lead == 0)
    assert made.lead == max(lead, 0) or made.coupled is None
    assert coupled(objective, 700, classes=3)[0].coupled is None
    many, asked = coupled(replace(objective, loss=LOSSES["squared"]()), most, classes=4)
    assert many.alpha is None
    assert asked


def test_leading_directions_and_the_rest_join_without_a_seam(coupled):
    """Squared loss couples no classes: whatever leads, M is the Hessian, in columns of any size."""
    for sizes in ([2.0, 1.0, 0.5], [1e3, 1.0, 1.0, 0.02]):
        for alpha in (0.0, 0.3):
            objective = objective_of(spread(60, np.array(sizes) ** 2), "squared", alpha)
            for most in (700, 6):
                apply, _ = coupled(objective, most)
                assert apply.coupled is not None
                v = np.random.default_rng(3).normal(size=(len(sizes) + 1, 3))
                np.testing.assert_allclose(
                    apply(objective.hessian_product(objective.start(), v))[0], v, rtol=1e-5, atol=1e-6
                )


def test_no_coupled_part_where_no_row_bends(coupled):
    objective = replace(objective_of(np.abs(spread(20, [1.0])) + 1, "squared_hinge", 0.5, k=2), y=np.ones(20, int))
    theta = np.zeros((2, 2))
    theta[-1] = [-9.0, 9.0]
    coupled(objective, 700)
    assert precondition(objective, sample_basis(objective), theta).coupled is None
