"""Newton's method in the free multipliers: its direction is that of the whole Hessian, and it ends at the minimum."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

from linearhead import MarginClassifier
from linearhead.objective import price, semismooth, stars
from linearhead.objective.semismooth import Gram, direction, scores, slopes
from linearhead.solvers import LBFGS
from test_solvers_agree import objective_of
from test_solvers_margin import LOSSES, blobs, inner_of


def smoothed(loss, alpha=0.05, gamma=0.5, form=np.asarray, **options):
    """A smoothed problem around multipliers of its own, where it is settled, at a θ where rows of all kinds are."""
    rows, y = blobs(60, 4, 3)
    found = objective_of(form(rows), y, loss, alpha, **options)
    first = found.smoothed(found.no_multipliers(), 1.0)
    theta = 0.2 * np.random.default_rng(0).normal(size=found.start().shape)
    theta[-1] *= found.design.intercept
    smooth = found.smoothed(first.settle(theta).u, gamma)
    return smooth, smooth.settle(theta)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("columns", "rough"), [(0.0, 0.0), (0.0, 1e6), (np.inf, 0.0)])
def test_the_direction_is_that_of_the_whole_hessian(loss, intercept, columns, rough, monkeypatch):
    """By the free directions' system, and by that of the columns, in double and in single precision."""
    monkeypatch.setattr(semismooth, "_columns", lambda held: columns)
    monkeypatch.setattr(semismooth, "ROUGH", rough)
    near = 1e-5 if rough else 1e-10
    monkeypatch.setattr(semismooth, "BLOCK", 0)  # 64 rows at a time
    weights = np.random.default_rng(1).integers(0, 3, 60).astype(float)
    for w in (None, weights):
        smooth, settled = smoothed(loss, intercept=intercept, w=w)
        u = smooth.score_gradient(settled.s, slice(None))
        own = np.full(60, 1 / smooth.total) if w is None else w / smooth.total
        G = slopes(smooth, settled.theta, u * own[:, None])
        np.testing.assert_allclose(G, smooth.at(settled.theta).gradient, atol=1e-14)
        rows, h = smooth.score_factor(settled.s, np.flatnonzero(own > 0))
        assert len(rows) >= 5
        p = direction(smooth, Gram.of(smooth.design), rows, h, smooth.gamma / own[rows], G)
        assert np.abs(p).max() > 0.1
        back = smooth.hessian_product(settled.theta, p)
        np.testing.assert_allclose(back, -G, atol=near * np.abs(G).max())
        np.testing.assert_allclose(scores(smooth, settled.theta), settled.s, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [True, False])
def test_the_direction_is_the_same_class_by_class(loss, intercept, monkeypatch):
    weights = np.random.default_rng(1).integers(0, 3, 60).astype(float)
    for w in (np.ones(60), weights):
        smooth, settled = smoothed(loss, intercept=intercept, w=w)
        own = w / smooth.total
        G = slopes(smooth, settled.theta, smooth.score_gradient(settled.s, slice(None)) * own[:, None])
        free = smooth.score_free(settled.s, np.flatnonzero(own > 0))
        rows, _ = free.factor()
        assert free.directions == len(rows)
        assert set(free.rows) == set(rows)
        given = Gram.of(smooth.design), smooth.gamma / own[free.rows], G, smooth.alpha, intercept
        p = free.direction(*given)
        assert np.abs(p).max() > 0.1
        back = smooth.hessian_product(settled.theta, p)
        np.testing.assert_allclose(back, -G, atol=3e-6 * np.abs(G).max())  # what a label's multiplier is given
    monkeypatch.setattr(stars, "DIGITS", np.inf)
    assert free.direction(*given) is None


def test_of_many_classes_newton_takes_as_many_free_multipliers_as_few_rows_have():
    """Ten of the classes or more are free in a row. A row that is there twice, under one label and under two, leaves a
    class's block hardly a bend of its own."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 200)).astype(np.float32) / np.sqrt(1 + np.arange(200, dtype=np.float32))
    y = np.arange(160) % 80
    X, y = np.vstack([X, X[:2]]), np.append(y, [y[0], y[2]])
    model = MarginClassifier(loss="crammer_singer", alpha=0.05, standardize=True).fit(X, y)
    assert model.converged_
    assert model.trace_.passes[-1] < 90  # 65; by L-BFGS 1 161


@pytest.mark.parametrize("failure", [None, np.linalg.LinAlgError, "upwards", "indistinct"])
def test_single_precision_is_asked_first_and_double_where_it_fails(failure, monkeypatch):
    smooth, settled = smoothed("hinge")
    own, kinds, factored = np.full(60, 1 / smooth.total), [], semismooth._factored
    G = slopes(smooth, settled.theta, smooth.score_gradient(settled.s, slice(None)) * own[:, None])
    rows, h = smooth.score_factor(settled.s, np.arange(60))
    monkeypatch.setattr(semismooth, "_columns", lambda held: 0.0)
    monkeypatch.setattr(semismooth, "DISTINCT", 10.0 if failure == "indistinct" else semismooth.DISTINCT)

    def watched(*given):
        kinds.append(given[-1])
        single = given[-1] is np.float32
        if single and failure is np.linalg.LinAlgError:
            raise failure
        found = factored(*given)
        return -found if single and failure == "upwards" else found

    monkeypatch.setattr(semismooth, "_factored", watched)
    found = direction(smooth, Gram.of(smooth.design), rows, h, smooth.gamma / own[rows], G)
    assert kinds == ([np.float32] if failure is None else [np.float32, np.float64])
    back = smooth.hessian_product(settled.theta, found)
    assert np.abs(back + G).max() <= (1e-5 if failure is None else 1e-10) * np.abs(G).max()


def test_where_nothing_is_free_the_penalty_is_all_that_bends():
    smooth, settled = smoothed("hinge", alpha=0.05)
    G = np.random.default_rng(0).normal(size=settled.theta.shape)
    for damping in (0.0, 0.2):
        p = direction(smooth, Gram.of(smooth.design), np.zeros(0, int), np.zeros((0, 3)), np.zeros(0), G, damping)
        np.testing.assert_allclose((0.05 + damping) * p[:-1], -G[:-1])
        assert not p[-1].any()  # no slope of the intercept without a multiplier that moves


def test_of_two_classes_many_more_free_rows_than_columns_are_few_unknowns():
    """Newton's method takes them, whose own system would be far too large."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 8))
    found = objective_of(X, (X[:, 0] + rng.normal(size=6000) > 0).astype(int), "hinge", 1e-3)
    smooth = found.smoothed(found.no_multipliers(), 30.0)
    settled = smooth.settle(found.start())
    assert np.count_nonzero(smooth._slack(settled) < 0) == 6000 > semismooth.BETWEEN
    theta, steps, done = smooth.newton(settled, np.inf, 1e-12)
    assert done
    assert 1 <= steps <= 8
    assert np.abs(smooth.at(theta).gradient[:-1]).max() < 1e-6


def test_products_are_those_of_the_rows_in_any_order_that_they_come(monkeypatch):
    smooth, _ = smoothed("hinge")
    gram, Z = Gram.of(smooth.design), smooth.design.dense()
    for rows in ([3, 7, 20], [1, 7, 50], [0, 1, 3, 20, 59], [7]):
        at = gram.find(np.array(rows))
        np.testing.assert_allclose(gram.z[at], Z[rows], atol=1e-14)
        np.testing.assert_allclose(gram.products[np.ix_(at, at)], Z[rows] @ Z[rows].T, atol=1e-12)
    assert sorted(gram.rows) == [0, 1, 3, 7, 20, 50, 59]
    monkeypatch.setattr(semismooth, "ROOM", 8 * 7 * 7)  # for no more: those of before are let go
    for rows, kept in (([3, 59], 7), ([3, 30], 2), ([1, 3], 3)):
        at = gram.find(np.array(rows))
        np.testing.assert_allclose(gram.products[np.ix_(at, at)], Z[rows] @ Z[rows].T, atol=1e-12)
        assert len(gram.rows) == len(gram.z) == kept


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array, lambda X: X.astype(np.float32)])
def test_it_ends_at_the_minimum(loss, form):
    smooth, settled = smoothed(loss, alpha=1e-3, gamma=0.1, form=form)
    theta, steps, done = smooth.newton(settled, 100.0, 1e-9)
    assert done
    assert 2 <= steps < 30
    point = smooth.at(theta)
    assert np.vdot(point.gradient, point.gradient) <= 2 * smooth.alpha * 1e-9 * 1.1
    assert point.value < smooth.at(settled.theta).value
    near = np.flatnonzero(smooth._slack(settled) < 0.1)
    assert 0 < len(near) < 40
    held = smooth._near(settled, near)  # the others' share is linear
    G = slopes(held, settled.theta, held.score_gradient(settled.s[near], slice(None)) / 60)
    np.testing.assert_allclose(G, smooth.at(settled.theta).gradient, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", [np.asarray, lambda X: X.astype(np.float32)])
def test_a_first_step_ends_where_what_is_free_of_the_multipliers_stays_free(loss, form, monkeypatch):
    """A quarter of γ moves the kinks away from all of it, and steps from there find it again one by one."""
    smooth, settled = smoothed(loss, alpha=1e-3, gamma=0.5, form=form, w=np.arange(60) % 3 + 0.0)
    for _ in range(3):
        theta, steps, done = smooth.newton(settled, np.inf, 1e-10)
        assert done
        smooth = smooth.smoothed(smooth.settle(theta).u, smooth.gamma / 4)
        settled = smooth.settle(theta)
    theta, steps, done = smooth.newton(settled, np.inf, 1e-10)
    assert (steps, done) == (1, True)
    monkeypatch.setattr(semismooth.Walk, "ahead", lambda walk: False)
    other, steps, done = smooth.newton(settled, np.inf, 1e-10)
    assert steps >= 3
    value = smooth.precise().at(other).value
    assert smooth.precise().at(theta).value == pytest.approx(value, abs=2e-10)  # both within 1e-10 of the least


@pytest.mark.parametrize("loss", LOSSES)
def test_all_rows_tell_the_value_and_how_far_it_is_from_the_least(loss):
    w = np.random.default_rng(1).uniform(0.5, 2, 60)
    smooth, settled = smoothed(loss, w=w)
    least = smooth.at(smooth.newton(settled, np.inf, 1e-14)[0]).value
    assert settled.value == pytest.approx(smooth.at(settled.theta).value, rel=1e-13)
    slope = smooth.at(settled.theta).gradient[:-1]
    assert settled.short == pytest.approx(np.sum(slope**2) / (2 * smooth.alpha), rel=1e-9)
    assert 0 < settled.value - least < settled.short
    other = smooth.smoothed(settled.u, 0.1)
    assert other.value_at(settled) == pytest.approx(other.at(settled.theta).value, rel=1e-13)


def test_without_l2_nothing_is_known_of_that():
    rows, y = blobs(60, 4, 3)
    for penalty, alpha in (("l1", 0.1), ("elastic_net", 0.1), ("none", 0.0)):
        found = objective_of(rows, y, "hinge", alpha, penalty=penalty)
        assert found.smoothed(found.no_multipliers(), 1.0).settle(found.start()).short == 0.0


def test_it_is_not_for_many_free_multipliers_nor_for_much_memory_nor_without_penalty(monkeypatch):
    smooth, settled = smoothed("hinge")
    free = len(smooth.score_factor(settled.s, np.arange(60))[0])
    rows = np.count_nonzero(smooth.loss.slack(settled.s, smooth.y, smooth.g, smooth.gamma) < 0)
    for name, enough in (("MOST", free), ("BETWEEN", free), ("ROOM", 8 * rows * 4)):
        monkeypatch.setattr(price, "MOST_FREE", 0)  # class by class
        hard = name == "BETWEEN"
        for most, wanted in ((enough, True), (enough - 1, False)):
            monkeypatch.setattr(f"linearhead.objective.smoothed.{name}", most)
            assert (smooth.newton(settled, 100.0, 1e-6, hard)[2] is not None) is wanted
        monkeypatch.undo()
    monkeypatch.setattr(price, "MOST_FREE", 0)
    monkeypatch.setattr(semismooth, "BETWEEN", free)  # once there are more on the way
    theta, steps, done = smooth.newton(settled, 100.0, 1e-12)
    assert done is None
    assert steps >= 1
    assert smooth.at(theta).value < smooth.at(settled.theta).value
    seen, minimise = [], LBFGS.minimise
    monkeypatch.setattr(LBFGS, "minimise", lambda *given: seen.append(given[2]) or minimise(*given))
    assert inner_of(smooth, 1e-12, 100).minimise(settled, 100.0)[2] is False
    np.testing.assert_array_equal(seen[0], theta)  # others go on from there
    monkeypatch.undo()
    monkeypatch.setattr(semismooth, "STEPS", 1)
    assert smooth.newton(settled, 100.0, 1e-12)[1:] == (1, False)
    assert inner_of(smooth, 1e-12).minimise(settled, 100.0)[1:] == (9, True)
    monkeypatch.undo()
    monkeypatch.setattr(semismooth, "DIGITS", 1.0)
    assert smooth.newton(settled, 100.0, 1e-6)[1:] == (0, None)
    bare, settled = smoothed("hinge", alpha=0.0)
    assert bare.newton(settled, 100.0, 1e-6)[1:] == (0, None)


@pytest.mark.parametrize("loss", LOSSES)
def test_separable_rows_of_very_large_numbers_with_hardly_a_penalty_are_certified(loss):
    """As pixels 0 to 255 are: the gap was F itself, and F many times the optimum."""
    X, y = load_digits(return_X_y=True)
    X, y = (64 * X[:300]).astype(np.float32), y[:300]
    model = MarginClassifier(loss=loss, alpha=1e-4, tol=1e-4).fit(X, y)
    assert model.converged_
    assert model.trace_.passes[-1] < 310  # 252 to 301 by the processor's kernels
    other = MarginClassifier(loss=loss, alpha=1e-4 / 64**2).fit(X / 64, y)  # the same problem in other units
    assert other.converged_
    np.testing.assert_allclose(model.certificate_.value, other.certificate_.value, rtol=2e-4)
