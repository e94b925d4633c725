"""F in the span of the rows is F: values, slopes and the optimum, with fewer unknowns; and when that is worth it."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective, span
from linearhead.objective.span import span as spanned
from linearhead.objective.span import worth_spanning
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS
from test_objective_contract import close


def wide(loss="cross_entropy", n=14, d=40, k=3, penalty="l2", alpha=0.07, dtype=np.float64, equal=0, **options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)).astype(dtype) + 2
    X[:equal] = X[0]
    w = rng.uniform(0.3, 2, n)
    design = design_of(options.pop("form", np.asarray)(X), threads=1, **options).fitted(w)
    return Objective(design, np.arange(n) % k, k, LOSSES[loss](), PENALTIES[penalty](), alpha, w)


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared_hinge", "squared", "hinge"])
def test_values_and_slopes_are_those_of_the_whole(loss):
    for options in ({}, {"intercept": False}, {"equal": 4}, {"dtype": np.float32}, {"n": 30, "d": 12}):
        objective = wide(loss, **options)
        assert objective.count.passes == 0
        rows = spanned(objective)
        assert objective.count.passes == 1
        inside = rows.of(objective)
        assert inside.count is objective.count
        assert inside.shared is not objective.shared
        rank = np.linalg.matrix_rank(objective.precise().design.dense().astype(float), tol=1e-4)
        assert inside.design.d == rank <= min(objective.n, objective.design.d)
        digits = 1e-5 if options.get("dtype") else 1e-10
        close(rows.U.T @ rows.U, np.eye(rank), digits)
        close(rows.Z @ rows.U.T, objective.design.dense(), 10 * digits)
        close(inside.design.energy, np.mean(rows.Z.astype(float) ** 2, axis=0), 1e-6)
        rng = np.random.default_rng(1)
        theta = rng.normal(size=(rank + 1, 3))
        theta[-1] *= objective.design.intercept
        back = rows.back(theta)
        assert back.shape == (objective.design.d + 1, 3)
        assert back.dtype == np.float64
        close(rows.into(back), theta, 10 * digits)
        one, other = inside.precise().at(theta), objective.precise().at(back)
        close(one.value, other.value, 10 * digits)
        close(one.gradient, rows.into(other.gradient), 100 * digits)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_hinge"])
def test_the_optimum_lies_in_the_span(loss):
    objective = wide(loss)
    rows = spanned(objective)
    inside = rows.of(objective)
    few = SOLVERS["newton"](tol=1e-12)(inside, inside.start()).point
    all_columns = SOLVERS["newton"](tol=1e-12)(objective, objective.start()).point
    close(rows.back(few.theta), all_columns.theta, 1e-7)


def test_it_is_worth_it_for_few_rows_in_memory_with_l2(monkeypatch):
    assert worth_spanning(wide())
    monkeypatch.setattr(span, "PER_COLUMN", 2)
    assert worth_spanning(wide(n=80))
    assert not worth_spanning(wide(n=81))
    monkeypatch.setattr(span, "FULL_EIGEN", 40)
    assert worth_spanning(wide(n=80))
    monkeypatch.setattr(span, "FULL_EIGEN", 39)
    assert not worth_spanning(wide(n=40))
    assert worth_spanning(wide(n=39))
    assert not worth_spanning(wide(penalty="l1"))
    assert not worth_spanning(replace(wide(), alpha=0.0))
    assert not worth_spanning(wide(form=scipy.sparse.csr_array))
    monkeypatch.setattr(span, "MOST_ROWS", 14)
    assert worth_spanning(wide())
    monkeypatch.setattr(span, "MOST_ROWS", 13)
    assert not worth_spanning(wide())
    monkeypatch.undo()
    monkeypatch.setattr(span, "BYTES", (14 + 40) * 14 * 8)
    assert worth_spanning(wide())
    assert worth_spanning(wide(dtype=np.float32))
    monkeypatch.setattr(span, "BYTES", (14 + 40) * 14 * 8 - 1)
    assert not worth_spanning(wide())
    assert worth_spanning(wide(dtype=np.float32))


def test_it_is_worth_it_up_to_2048_rows_or_four_a_column_and_a_quarter_of_a_gibibyte():
    def of_shape(n, d, dtype=np.float32):
        rows = np.broadcast_to(np.zeros(1, dtype), (n, d))
        return replace(wide(), design=design_of(rows, threads=1), y=np.zeros(n, int), weights=None)

    assert worth_spanning(of_shape(2048, 2049))
    assert not worth_spanning(of_shape(2049, 2050))
    assert worth_spanning(of_shape(400, 100))
    assert not worth_spanning(of_shape(401, 100))
    assert worth_spanning(of_shape(1600, 1600))
    assert not worth_spanning(of_shape(1601, 1601))
    d = 2**28 // (1024 * 4) - 1024  # (n + d) rank numbers of four bytes
    assert worth_spanning(of_shape(1024, d))
    assert not worth_spanning(of_shape(1024, d + 1))


@pytest.mark.parametrize("size", [1e-9, 1e5])
def test_rank_is_told_at_any_size(size):
    """Four equal rows of fourteen; what rounding leaves of their difference is no direction."""
    for shape in ({"n": 14, "d": 40}, {"n": 14, "d": 15}):
        objective = wide(equal=4, form=lambda X: size * X, **shape)
        rows = spanned(objective)
        assert rows.U.shape[1] == 10  # eleven different rows less their mean
        close(rows.U.T @ rows.U, np.eye(10), 1e-10)


@pytest.mark.parametrize("offset", [-2, 0, 1e4])
@pytest.mark.parametrize("standardize", [False, True])
def test_what_single_precision_leaves_of_the_mean_is_no_direction(offset, standardize):
    """Rows less their mean have rank n − 1; rows and mean rounded to float32 have n, by an amount that depends on how
    sums are rounded."""
    for n, d in ((14, 40), (100, 3000)):
        X = np.random.default_rng(n + d).normal(size=(n, d)).astype(np.float32) + np.float32(2 + offset)
        design = design_of(X, threads=1).fitted(None, standardize)
        objective = Objective(design, np.arange(n) % 3, 3, LOSSES["cross_entropy"](), PENALTIES["l2"](), 0.07)
        assert spanned(objective).U.shape[1] == n - 1
        shift = design.shift + 2.0**-24 * np.where(np.arange(d) % 2, 1, -1)  # of deviations near 1
        other = spanned(replace(objective, design=replace(design, shift=shift)))
        assert other.U.shape[1] == n - 1


@pytest.mark.parametrize("size", [1e-9, 1, 1e5])
def test_single_precision_keeps_directions_that_it_can_tell(size):
    """At any size, and orthonormal ones, although the energy of the last is 1e-10 of the first's."""
    X = np.random.default_rng(0).normal(size=(14, 40))
    U, s, Vt = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    s[12] = 1e-5 * s[0]
    design = design_of((size * (U * s) @ Vt).astype(np.float32), threads=1).fitted(None)
    objective = Objective(design, np.arange(14) % 3, 3, LOSSES["cross_entropy"](), PENALTIES["l2"](), 0.07)
    found = spanned(objective).U
    assert found.shape[1] == 13
    close(found.T @ found, np.eye(13), 4e-7)


def test_the_basis_of_equal_weights_is_the_rows_themselves():
    objective = wide()
    assert spanned(objective).of(objective).shared.basis is None
    equal = replace(objective, weights=None, total=0.0)
    rows = spanned(equal)
    basis = rows.of(equal).shared.basis
    assert basis.projected is rows.Z
    assert basis.full
    assert basis.rest == 0
    assert np.array_equal(basis.rows, np.arange(14))
    assert (basis.scale == 1).all()
    assert basis.U is basis.design is None
    energy = np.mean(rows.Z**2, axis=0)
    values = np.linalg.eigvalsh(rows.Z.T @ rows.Z)[::-1] / 14
    assert (np.diff(energy[:4]) < 0).all()  # most energy first, a fourth of the rows as leading directions
    assert 0.9 < energy[0] / values[0] <= 1 + 1e-12
    assert 0.9 < energy[:4].sum() / values[:4].sum() <= 1 + 1e-12
    assert energy[4:].max() < energy[0]


@pytest.mark.parametrize("d", [14, 40])
def test_how_long_what_a_row_has_for_itself_is(d):
    objective = wide(d=d, intercept=False)
    X = objective.design.dense()
    others = [np.linalg.lstsq(np.delete(X, i, axis=0).T, x, rcond=None)[0] for i, x in enumerate(X)]
    own = [np.linalg.norm(x - c @ np.delete(X, i, axis=0)) for i, (x, c) in enumerate(zip(X, others, strict=True))]
    close(spanned(objective).apart(), np.mean(np.array(own) ** -2.0) ** -0.5, 1e-8)
    assert spanned(wide(n=30, d=12)).apart() == 0
