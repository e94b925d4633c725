"""`undecided(X)`: rows that the certificate promises keep their prediction at the exact optimum, whatever is tried."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from linearhead import LeastSquaresClassifier, LinearClassifier, MarginClassifier, SoftmaxClassifier
from linearhead.certificate import prove, reach, settle
from linearhead.certificate.reach import Curvature, Reach, inverted, pulled, remainder, self_bound
from linearhead.design import Design
from linearhead.losses import make_loss
from linearhead.objective import duality
from linearhead.objective.duality import Gap

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from reference import Problem, newton, optimum, score_terms

STOPPED = st.sampled_from([1, 2, 3, 5, 8, 13, 21, 1000])


def problem_of(seed, loss, alpha, penalty="l2", standardize=False, weighted=False, intercept=True, k=3, spread=1.0):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(20, 80)), int(rng.integers(1, 7))
    X = (rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-1, 1, d) + rng.standard_normal(d)) * spread
    y = (X @ rng.standard_normal((d, k)) / spread + rng.gumbel(size=(n, k))).argmax(axis=1)
    y[:k] = np.arange(k)
    w = rng.uniform(0.2, 3, n) if weighted else None
    return Problem(X, y, k, loss, penalty, alpha, w, intercept, standardize)


def stopped(problem, stop):
    """A fit ended after so many iterations."""
    model = LinearClassifier(
        loss=problem.loss, penalty=problem.penalty, alpha=problem.alpha, fit_intercept=problem.intercept,
        standardize=problem.standardize, solver="lbfgs" if problem.penalty == "l2" else "auto",
        callback=lambda row: row["iteration"] >= stop,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(problem.X, problem.y, problem.weights)


def hostile_rows(problem, model, exact, size=200):
    """Rows at the border of two classes, and as far as possible along what the optimum moves their difference by."""
    rng = np.random.default_rng(0)
    moved = exact - problem.inner(model.coef_, model.intercept_)
    rows = [problem.X, rng.standard_normal((size, problem.X.shape[1])) * problem.X.std(axis=0) + problem.centre]
    for a in range(problem.k):
        for b in range(a):
            along, W = moved[:-1, a] - moved[:-1, b], model.coef_[a] - model.coef_[b]
            towards = along / max(float(np.linalg.norm(along)), 1e-300) * problem.scale
            x = problem.centre + towards * 10.0 ** rng.uniform(-3, 4, size)[:, None] * rng.choice([-1, 1], (size, 1))
            rows.append(x)
            gap = x @ W + model.intercept_[a] - model.intercept_[b]  # onto the border, less a hair
            rows.append(x - (gap * (1 - 1e-3))[:, None] * W / max(float(W @ W), 1e-300))
    return np.vstack(rows)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(["cross_entropy", "logistic", "squared", "squared_hinge"]),
    power=st.floats(-4, 0),
    penalty=st.sampled_from(["l2", "l2", "elastic_net"]),
    stop=STOPPED,
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    k=st.integers(2, 4),
)
def test_promised_predictions_are_those_of_the_optimum(seed, loss, power, penalty, stop, flags, k):
    problem = problem_of(seed, loss, 10.0**power, penalty, *flags, k=k)
    exact, model = optimum(problem), stopped(problem, stop)
    rows = hostile_rows(problem, model, exact)
    kept = ~model.undecided(rows)
    labels = problem.scores(exact, rows).argmax(axis=1)
    assert np.array_equal(model.predict(rows)[kept], labels[kept])
    # the bound itself, on differences of scores
    reach, at = model._reach, np.arange(len(rows))
    own = rows @ model.coef_.T + model.intercept_
    change = problem.scores(exact, rows) - own
    change -= change[at, model.predict(rows)][:, None]
    lengths = np.linalg.norm((rows - problem.centre) / problem.scale, axis=1)
    bound = reach(lengths, model.predict(rows), k)
    assert np.all(np.abs(change) <= bound * (1 + 1e-9) + 1e-11 * (1 + np.abs(own).max()))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(["hinge", "crammer_singer"]),
    power=st.floats(-4, 0),
    stop=st.sampled_from([1e-1, 1e-2, 1e-3, 1e-5]),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    k=st.integers(2, 4),
)
def test_promises_of_hinges_agree_with_those_of_a_fit_to_the_last_digits(seed, loss, power, stop, flags, k):
    """No optimum in closed form, and its intercept may be an interval: every fit is so far from any at most."""
    problem = problem_of(seed, loss, 10.0**power, "l2", *flags, k=k)
    options = {"alpha": problem.alpha, "standardize": problem.standardize, "fit_intercept": problem.intercept}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [
            LinearClassifier(loss, tol=tol, **options).fit(problem.X, problem.y, problem.weights)
            for tol in (stop, 1e-13)
        ]
    model, best = fits
    exact = problem.inner(best.coef_, best.intercept_)
    rows = hostile_rows(problem, model, exact)
    kept = ~model.undecided(rows) & ~best.undecided(rows)
    assert np.array_equal(model.predict(rows)[kept], best.predict(rows)[kept])
    at, labels = np.arange(len(rows)), model.predict(rows)
    change = problem.scores(exact, rows) - (rows @ model.coef_.T + model.intercept_)
    change -= change[at, labels][:, None]
    lengths = np.linalg.norm((rows - problem.centre) / problem.scale, axis=1)
    bound = sum(fit._reach(lengths, labels, k) for fit in fits)
    assert np.all(np.abs(change) <= bound * (1 + 1e-9) + 1e-11 * (1 + np.abs(rows @ model.coef_.T).max()))
    moved = np.sum(model.predict(problem.X) != best.predict(problem.X))
    assert (
        model.certificate_.undecided is None or moved <= model.certificate_.undecided + best.undecided(problem.X).sum()
    )


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared", "hinge", "crammer_singer", "squared_hinge"])
def test_at_the_default_tolerance_nearly_all_rows_are_decided(loss):
    problem = problem_of(3, loss, 1e-3)
    model = LinearClassifier(loss, alpha=1e-3, standardize=problem.standardize).fit(problem.X, problem.y)
    assert model.converged_
    assert model.certificate_.undecided <= 1
    fresh = np.random.default_rng(1).standard_normal((2000, problem.X.shape[1]))
    assert model.undecided(fresh).sum() <= 20
    if loss in ("hinge", "crammer_singer"):
        return
    early = stopped(problem, 1)
    assert early.certificate_.gap >= 0.9 * model.certificate_.gap  # least squares are there after one step, to rounding
    assert early.undecided(fresh).sum() >= model.undecided(fresh).sum()


def test_the_bound_would_be_broken_by_half_of_it():
    """The bound is no more than some factor from the truth: along the worst direction a tenth of it is exceeded."""
    worst = 0.0
    for seed in range(20):
        problem = problem_of(seed, "squared", 0.1, intercept=False)
        model, exact = stopped(problem, 1), optimum(problem)
        rows = hostile_rows(problem, model, exact)
        change = problem.scores(exact, rows) - rows @ model.coef_.T
        labels = np.zeros(len(rows), int)
        bound = model._reach(np.linalg.norm(rows / problem.scale, axis=1), labels, problem.k)
        worst = max(worst, float(np.max(np.abs(change - change[:, :1])[:, 1:] / np.maximum(bound[:, 1:], 1e-12))))
    assert 0.1 < worst <= 1


def test_squared_hinges_without_intercept_and_nothing_known_otherwise():
    problem = problem_of(0, "squared_hinge", 0.1, intercept=False)
    exact, model = optimum(problem), stopped(problem, 1000)
    kept = ~model.undecided(problem.X)
    assert kept.mean() > 0.9
    assert np.array_equal(model.predict(problem.X)[kept], problem.scores(exact, problem.X).argmax(axis=1)[kept])
    X, y = problem.X, problem.y
    assert MarginClassifier(alpha=0.1, solver="sgd", max_iter=1).fit(X, y).undecided(X).all()
    assert SoftmaxClassifier(alpha=0.1).partial_fit(X, y, classes=[0, 1, 2]).undecided(X).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert SoftmaxClassifier(penalty="l1", alpha=0.01, max_iter=3).fit(X, y).undecided(X).all()
        assert SoftmaxClassifier(penalty="none", max_iter=3).fit(X, y).undecided(X).all()


def test_every_kind_of_rows_gives_the_same_answer(tmp_path):
    rng = np.random.default_rng(5)
    X = np.round(rng.uniform(0, 255, (300, 6)))
    y = (X @ rng.standard_normal((6, 3)) / 100 + rng.gumbel(size=(300, 3))).argmax(axis=1)
    model = stopped(Problem(X, y, 3, "cross_entropy", "l2", 50.0, standardize=False), 5)
    expected = model.undecided(X)
    assert 0 < expected.sum() < 300
    np.save(tmp_path / "rows.npy", X)
    for rows in (X.astype(np.float32), X.astype(np.uint8), scipy.sparse.csr_matrix(X), tmp_path / "rows.npy"):
        assert np.array_equal(model.undecided(rows), expected)


def test_columns_far_from_zero_keep_the_answer():
    problem = problem_of(7, "cross_entropy", 1e-2)
    far = replace(problem, X=problem.X + 1e7)
    assert not np.any(stopped(problem, 3).undecided(problem.X) & ~stopped(far, 3).undecided(far.X))


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_what_an_intercept_makes_up_for(loss):
    """uᵀβ = −⟨Σ Hᵢ M⁻¹u ⊗ zᵢ, V⟩ where no score of the rows moves in mean: `pulled` bounds the length of that sum."""
    rng = np.random.default_rng(3)
    s, z = rng.standard_normal((500, 5)) * 3, rng.standard_normal((500, 4)) * rng.uniform(0, 3, (500, 1)) + 1
    H = score_terms(loss, s, np.zeros(500, int))[2] / 500
    M, far = H.sum(axis=0), (H * (z * z).sum(axis=1)[:, None, None]).sum(axis=0)
    inverse = inverted(M, blind=loss == "cross_entropy")
    exact = np.einsum("iab,bc,id->cad", H, inverse, z)
    found, two = pulled(inverse, M, far), loss == "cross_entropy"
    for a in range(5):
        lengths = [np.linalg.norm(exact[a] - two * exact[b]) for b in range(5) if b != a]
        bounds = [found[a] + two * found[b] for b in range(5) if b != a]
        assert np.all(np.array(lengths) <= bounds)
        assert np.all(np.array(bounds) <= 6 * np.array(lengths))


def test_weak_penalties_are_decided_with_an_intercept_as_without():
    """Where pairs of classes hardly bend, what W can move is not counted once more for the intercept, times how little
    they do: all 3 000 rows would be undecided then."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 30))
    y = np.argmax(X[:, :6] + 0.1 * rng.gumbel(size=(3000, 6)), axis=1)
    undecided = [SoftmaxClassifier(alpha=1e-6, fit_intercept=b).fit(X, y).undecided(X).sum() for b in (True, False)]
    assert undecided[0] <= 10 * undecided[1] < 2000


def test_parts_of_the_proof():
    for R in (0.0, 1e-6, 5e-3, 0.0101, 1.0, 30.0):
        u = (np.arange(200_000) + 0.5) / 200_000
        exact = np.mean(u * np.exp(-R * u))
        assert remainder(np.array(R)) == pytest.approx(exact, rel=1e-6)
    assert remainder(np.array(1e200)) == 0 == remainder(np.array(np.inf))
    for grows, stays in ((0.0, 0.0), (1e-18, 0.0), (1e-2, 4.0), (0.5, 0.0), (0.0, 80.0)):
        B = self_bound(grows, stays)
        assert np.sqrt(grows * np.exp(B) + stays) <= B
        below = 0.99 * B
        assert B == 0 or np.sqrt(grows * np.exp(below) + stays) > below  # near the least
    assert self_bound(0.55, 0.0) == np.inf == self_bound(np.nan, 0.0) == self_bound(0.0, 120.0)  # 4/e² is the most
    M = np.diag([1.0, 2.0]) - 0.1
    assert np.allclose(inverted(M, blind=False), np.linalg.inv(M))
    assert inverted(np.diag([1.0, 0.0]), blind=False) is None
    assert np.isinf(Reach(np.inf, 1.0, None, None)(np.ones(2), np.zeros(2, int), 3)).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_the_remainder_of_taylor_is_no_more_than_the_bregman_distance(loss):
    rng = np.random.default_rng(0)
    s = rng.standard_normal((4000, 4)) * rng.uniform(0, 6, (4000, 1))
    d = rng.standard_normal((4000, 4)) * 10.0 ** rng.uniform(-2, 1, (4000, 1))
    y = np.zeros(4000, int)
    here, _, H = score_terms(loss, s, y)
    there, g, _ = score_terms(loss, s + d, y)
    distance = here - there + np.sum(g * d, axis=1)
    R = np.ptp(d, axis=1) if loss == "cross_entropy" else np.abs(d).max(axis=1)
    least = remainder(R) * np.einsum("na,nab,nb->n", d, H, d)
    assert np.all(least <= distance * (1 + 1e-9) + 1e-13 * (1 + np.abs(s).max() + np.abs(d).max()))


@pytest.mark.parametrize("loss", ["hinge", "crammer_singer", "squared_hinge"])
def test_margin_losses_leave_what_their_dual_point_touches_as_fast_as_is_said(loss):
    """ℓ(s) + ℓ*(g) − ⟨g, s⟩ for g of the domain, also mixed with a corner, beside the edges' distances from where it
    is least."""
    rng, n, k = np.random.default_rng(1), 4000, 4
    y, q = rng.integers(0, k, n), rng.dirichlet(np.ones(k))
    v, unit = rng.dirichlet(np.ones(k), n) * rng.integers(0, 2, (n, k)), np.eye(k)[y]
    v = np.where(unit > 0, 0, v if loss == "crammer_singer" else rng.uniform(-0.5, 1.5, (n, k)).clip(0, 1))
    s, made, sharp = rng.standard_normal((n, k)) * 3, make_loss(loss), False
    t = s + (unit == 0)
    for eps in (0.0, 0.3, 0.5):
        for width in (0.0, 0.1, 0.3) if loss == "squared_hinge" else (0.0,):
            g = v - unit * v.sum(axis=1, keepdims=True)
            a, c = made.sharpness(g, y, width)
            mixed = (1 - eps) * g + eps * (q - unit)
            rests = np.where(unit > 0, 0, mixed / 2) if loss == "squared_hinge" else 0
            above = np.abs(t - t[np.arange(n), c][:, None] - rests) - width / 2
            far = made.value(s, y) + made.conjugate(mixed, y) - np.sum(mixed * s, axis=1)
            said = (1 - eps) * np.sum(a * above, axis=1)
            assert np.all(said <= far + 1e-9)
            sharp |= bool(np.any(said > 0.5 * far) and np.all(a >= 0))
    assert sharp


def test_the_reference_is_an_optimum():
    for loss in ("cross_entropy", "logistic", "squared", "squared_hinge"):
        problem = problem_of(11, loss, 1e-2)
        theta = newton(problem, np.zeros((problem.A.shape[1], problem.k)))
        assert problem.residual(theta) < 1e-12
    model = LeastSquaresClassifier(alpha=1e-2).fit(problem.X, problem.y)
    assert model.converged_


@pytest.mark.parametrize(("columns", "most"), [(16, 6), (4, 6), (16, 5)])
def test_a_balanced_certificate_takes_two_passes_and_its_hessian_none(columns, most, monkeypatch):
    """The Hessian of all rows makes the intercept's slope fall quadratically, so that one more pass is enough; the pass
    at θ brings it along, unless classes are too many."""
    classes = 6
    monkeypatch.setattr(duality, "MOST", most)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, columns))
    y = np.argmax(np.resize(X, (20_000, classes)) + 2 * rng.gumbel(size=(20_000, classes)), axis=1)
    made, before = [], duality.full_hessian
    monkeypatch.setattr(duality, "full_hessian", lambda *args: made.append(args) or before(*args))
    model = SoftmaxClassifier(alpha=1e-4, tol=1e-7)
    objective = model._objective(X, y)
    model.fit(X, y)
    assert model.converged_
    made.clear()
    objective.class_sums()
    passes, theta = objective.count.passes, np.vstack([model.coef_.T, model.intercept_]).astype(np.float64)
    gap = objective.gap_at(objective.design.from_stored(theta)).bound
    assert gap == pytest.approx(model.certificate_.gap, rel=1e-6)
    assert not made
    assert objective.count.passes - passes == 2


@pytest.mark.parametrize("intercept", [True, False])
def test_rows_that_could_change_are_counted_in_the_pass_at_theta(intercept, monkeypatch):
    """Where nothing else is asked of the rows: many classes, or no intercept."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((3000, 12)).astype(np.float32)
    y = np.argmax(X[:, :7] + rng.gumbel(size=(3000, 7)), axis=1)
    w = rng.uniform(0.1, 2.0, len(X))
    objective = SoftmaxClassifier(alpha=1e-3, fit_intercept=intercept)._objective(X, y, w).precise()
    model = SoftmaxClassifier(alpha=1e-3, fit_intercept=intercept, tol=3e-4).fit(X, y, w)
    stored = np.vstack([model.coef_.T, model.intercept_]).astype(np.float64)
    theta = objective.design.from_stored(stored)
    found = prove(objective, theta, 1e-7)[0]
    own, _ = settle(Curvature(objective, Gap(None, found.gap, found.gap)), theta)
    monkeypatch.setattr(reach, "MOST", 6)
    with monkeypatch.context() as once:
        once.setattr(type(objective.design), "collect", _refuse_the_second(type(objective.design).collect))
        assert prove(objective, theta, 1e-7)[0].undecided == own
    assert 0 < own < 3000
    torch = pytest.importorskip("torch")
    lent = SoftmaxClassifier(alpha=1e-3, fit_intercept=intercept)._objective(torch.from_numpy(X), y, w).precise()
    there = prove(lent, lent.design.from_stored(stored), 1e-7)[0]
    assert there.undecided == own
    assert there.gap == pytest.approx(found.gap, rel=1e-6)
    assert there.residual == pytest.approx(found.residual, rel=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_the_pass_that_balances_the_intercept_brings_the_reach_along(loss, monkeypatch):
    """Two passes for it all; where the gap is not what was hoped for, a third, and the same reach to a hundredth."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((3000, 12)).astype(np.float32)
    y = np.argmax(X[:, :5] + rng.gumbel(size=(3000, 5)), axis=1)
    w = rng.uniform(0.1, 2.0, len(X))
    torch = pytest.importorskip("torch")
    for rows in (X, torch.from_numpy(X)):
        objective = LinearClassifier(loss, alpha=1e-3)._objective(rows, y, w).precise()
        model = LinearClassifier(loss, alpha=1e-3, tol=1e-5).fit(X, y, w)
        theta = objective.design.from_stored(np.vstack([model.coef_.T, model.intercept_]).astype(np.float64))
        objective.class_sums()
        swept = []
        with monkeypatch.context() as watched:
            watched.setattr(Design, "collect", _counted(Design.collect, swept))
            found, reach = prove(objective, theta, 1e-5)
            assert len(swept) == 2
            watched.setattr(duality, "ROOM", 1e-3)
            again, own = prove(objective, theta, 1e-5)
            assert len(swept) == 5
        assert found == again
        assert 0 < found.undecided < 3000
        np.testing.assert_allclose(reach.bends, own.bends, rtol=0, atol=2e-2 * own.bends.max())
        np.testing.assert_allclose(reach.pulls, own.pulls, rtol=1e-2)
        assert reach.bends.sum() >= own.bends.sum()  # of a larger gap the bound is no smaller


@pytest.mark.parametrize("weighted", [False, True])
def test_the_certificate_of_least_squares_takes_one_pass(weighted):
    """An intercept off its optimum costs the gap half its square, and reach needs no look at the rows."""
    problem = problem_of(3, "squared", 1e-2, weighted=weighted)
    model = LeastSquaresClassifier(alpha=1e-2)
    objective = model._objective(problem.X, problem.y, problem.weights)
    model.fit(problem.X, problem.y, problem.weights)
    theta = objective.design.from_stored(np.vstack([model.coef_.T, model.intercept_]))
    off = np.array([0.1, -0.3, 0.05])
    theta[-1] += off
    objective.class_sums()
    before = objective.count.passes
    found, reach = prove(objective, theta, 1e-7)
    assert objective.count.passes - before == 1
    assert found.gap == pytest.approx(off @ off / 2, rel=1e-9)
    assert found.value - found.gap <= model.certificate_.value
    lengths = np.sqrt(np.sum((problem.X - objective.design.shift) ** 2, axis=1))
    assert reach.pulls.max() < 1e-5 * lengths.mean()  # the mean row's length, which is 0
    far = reach(lengths, np.zeros(len(lengths), int), 3)
    np.testing.assert_allclose(far[:, 1], 2 * np.sqrt(found.gap * (1 + lengths**2 / 1e-2)), rtol=1e-4)


def _counted(collect, calls):
    def counted(self, fn):
        calls.append(fn)
        return collect(self, fn)

    return counted


def _refuse_the_second(collect):
    calls = []

    def once(self, fn):
        calls.append(fn)
        assert len(calls) == 1
        return collect(self, fn)

    return once


def test_several_balancing_steps_share_one_hessian(monkeypatch):
    """Of an intercept off its optimum the first is not enough, the second is."""
    rng = np.random.default_rng(1)
    X, taken, before = rng.standard_normal((2000, 8)), [], duality.full_hessian
    y = np.argmax(X[:, :5] + rng.gumbel(size=(2000, 5)), axis=1)
    objective = SoftmaxClassifier(alpha=1e-3)._objective(X, y)
    model = SoftmaxClassifier(alpha=1e-3, tol=1e-9).fit(X, y)
    theta = objective.design.from_stored(np.vstack([model.coef_.T, model.intercept_]).astype(np.float64))
    best = objective.at(theta).value
    theta[-1] += rng.standard_normal(5)
    point = objective.at(theta)
    monkeypatch.setattr(duality, "full_hessian", lambda *args: taken.append(args) or before(*args))
    start = Gap(point, np.inf, np.inf)
    one, two = (duality._balanced_bound(objective, start, None, steps).bound for steps in (1, 2))
    assert len(taken) == 2
    assert one / (point.value - best) > 1.5
    assert 1 <= two / (point.value - best) < 1.1


def test_what_the_intercept_still_gains_is_not_lost_in_the_rounding_of_f():
    """Here it is a seventh of a gap of 3e-16, less than a rounding of F = 0.22."""
    problem = problem_of(5805, "cross_entropy", 1.0, "l2", False, True, True, k=2)
    exact, model = optimum(problem), stopped(problem, 8)
    rows, at = problem.X, np.arange(len(problem.X))
    change = problem.scores(exact, rows) - (rows @ model.coef_.T + model.intercept_)
    predicted = model.predict(rows)
    change -= change[at, predicted][:, None]
    lengths = np.linalg.norm((rows - problem.centre) / problem.scale, axis=1)
    assert np.all(np.abs(change) <= model._reach(lengths, predicted, 2) + 1e-11)
