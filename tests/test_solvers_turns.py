"""Newton's method on the free directions takes its turn in L-BFGS: what it solves, what bounds it, and what a fit still
is while it goes on: iterations, passes, callbacks, Ctrl-C, weights."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

from linearhead import LinearClassifier
from linearhead.objective import finish, price, semismooth
from linearhead.objective.finish import PATIENCE, Finish
from linearhead.objective.price import most_free, newton_price
from linearhead.objective.semismooth import Gram, direction, scores
from linearhead.records import Status
from linearhead.solvers import LBFGS, SOLVERS, turns
from linearhead.solvers.turns import Turns
from test_solvers_agree import objective_of


def digits(n=400):
    X, y = load_digits(return_X_y=True)
    return X[:n], y[:n]


@pytest.fixture(scope="module")
def problem():
    return objective_of(*digits(), "squared_hinge", 1e-4)


def test_a_fit_that_l_bfgs_does_not_end_is_ended(problem, monkeypatch):
    solver = LBFGS(tol=1e-7, max_iter=300)
    both = solver(problem, problem.start())
    monkeypatch.setattr(Turns, "step", lambda *given: None)
    alone = solver(problem, problem.start())
    assert alone.status is Status.MAX_ITER
    assert both.status is Status.CONVERGED
    assert both.trace.passes[-1] < 0.6 * alone.trace.passes[-1]
    assert both.point.value < alone.point.value
    assert problem.precise().at(both.point.theta).residual <= 1e-7
    np.testing.assert_array_equal(both.trace.iteration, np.arange(both.iterations + 1))
    assert np.all(np.diff(both.trace.value) <= 1e-12)
    assert 0.9 < np.diff(both.trace.passes[17:]).max() < 1.1  # a step is one pass, its length costs none


def test_l_bfgs_begins_with_these_steps_where_few_directions_are_free():
    """From where its own steps had led, Newton's were short: unconverged after 1 000 iterations, with a gap of F."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 300))
    y = (X @ rng.standard_normal((300, 20)) + rng.gumbel(size=(60, 20))).argmax(axis=1)
    model = LinearClassifier("squared_hinge", alpha=1e-5).fit(X, y)
    assert model.converged_
    assert model.trace_.passes[-1] <= 12


@pytest.mark.parametrize("alpha", [1e-3, 1e-5])
def test_the_solver_newton_takes_these_steps_at_once(alpha):
    """By conjugate gradients 227 passes, and 608 were not enough, of few smooth pictures."""
    rng = np.random.default_rng(0)
    y = np.arange(96) % 10
    smooth = 0.3 * rng.standard_normal((10, 4, 4))[y] + rng.standard_normal((96, 4, 4))
    X = np.kron(smooth, np.ones((1, 4, 4))).reshape(96, -1) + 0.5 * rng.standard_normal((96, 256))
    problem = objective_of(0.15 * X + 0.5, y, "squared_hinge", alpha)
    found = SOLVERS["newton"](tol=1e-7)(problem, problem.start())
    assert found.status is Status.CONVERGED
    assert found.trace.passes[-1] <= 20


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array, lambda X: X.astype(np.float32)])
def test_rows_of_any_kind_with_weights_are_certified(form):
    X, y = digits()
    w = np.arange(len(y)) % 3
    options = {"alpha": 1e-4, "max_iter": 400}
    once = LinearClassifier("squared_hinge", **options).fit(form(X), y, sample_weight=w)
    assert once.n_iter_ > 16
    assert once.converged_
    again = LinearClassifier("squared_hinge", **options).fit(form(np.repeat(X, w, axis=0)), np.repeat(y, w))
    one, other = once.certificate_, again.certificate_
    assert abs(one.value - other.value) <= one.gap + other.gap
    assert one.gap + other.gap < 1e-2 * one.value


def test_iterations_are_counted_and_limited(problem):
    found = LBFGS(tol=1e-7, max_iter=20)(problem, problem.start())
    assert (found.status, found.iterations, len(found.trace)) == (Status.MAX_ITER, 20, 21)


def test_a_callback_may_stop_it_and_ctrl_c_keeps_what_there_is():
    X, y = digits()

    def stop(row):
        return row["iteration"] == 24

    def interrupt(row):
        if row["iteration"] == 24:
            raise KeyboardInterrupt

    with pytest.warns(match="callback"):
        stopped = LinearClassifier("squared_hinge", alpha=1e-4, callback=stop).fit(X, y)
    assert (stopped.status_, stopped.n_iter_) == (Status.CALLBACK, 24)
    interrupted = LinearClassifier("squared_hinge", alpha=1e-4, callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X, y)
    assert interrupted.status_ is Status.INTERRUPTED
    np.testing.assert_array_equal(interrupted.coef_, stopped.coef_)
    assert stopped.certificate_.value == pytest.approx(stopped.trace_.value[-1], rel=1e-9)


def test_training_accuracy_is_seen_as_in_a_pass(problem):
    watching = replace(problem, watch=True)
    theta = LBFGS(max_iter=40)(problem, problem.start()).point.theta
    point = watching.at(theta)
    step = Finish.of(watching, 100.0).step(point)
    same = watching.at(step.theta)
    assert step.accuracy == same.accuracy
    assert step.value == pytest.approx(same.value, rel=1e-12)
    np.testing.assert_allclose(step.gradient, same.gradient, atol=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_damping_adds_to_the_penaltys_curvature(intercept):
    X, y = digits(80)
    problem = objective_of(X / 16, y, "squared_hinge", 1e-2, intercept=intercept)
    theta = 0.1 * np.random.default_rng(0).normal(size=problem.start().shape)
    theta[-1] *= intercept
    point, w = problem.at(theta), np.full(80, 1 / 80)
    rows, h = problem.score_factor(scores(problem, theta), np.arange(80))
    p = direction(problem, Gram.of(problem.design), rows, h, 1 / w[rows], point.gradient, 0.5)
    bent = problem.hessian_product(theta, p)
    bent[:-1] += 0.5 * p[:-1]
    np.testing.assert_allclose(bent, -point.gradient, atol=1e-10 * np.abs(point.gradient).max())


# ── what bounds it ────────────────────────────────────────────────────────────────────────────────
def test_it_is_for_l2_on_rows_at_hand(monkeypatch):
    X, y = digits(60)

    def asked(loss="squared_hinge", alpha=1e-3, **options):
        problem = objective_of(X, y, loss, alpha, **options)
        return Finish.of(problem, 10.0)

    assert asked() is not None
    for other in ({"loss": "cross_entropy"}, {"loss": "squared"}, {"penalty": "l1"}, {"penalty": "none", "alpha": 0.0}):
        assert asked(**other) is None
    hinge = objective_of(X, y, "hinge", 1e-3)
    assert hinge.smoothed(hinge.no_multipliers(), 1.0).finish(10.0) is None
    monkeypatch.setattr(finish, "ROOM", 8 * 5 * 60 * 10 - 1)
    assert asked() is None


@pytest.mark.parametrize(("where", "name", "most"), [(price, "MOST_FREE", 5), (semismooth, "ROOM", 8 * 5 * 64)])
def test_too_many_free_directions_are_left_to_l_bfgs(problem, monkeypatch, where, name, most):
    monkeypatch.setattr(where, name, most)
    both = LBFGS(tol=1e-7, max_iter=60)(problem, problem.start())
    monkeypatch.setattr(Turns, "step", lambda *given: None)
    alone = LBFGS(tol=1e-7, max_iter=60)(problem, problem.start())
    np.testing.assert_array_equal(both.point.theta, alone.point.theta)
    assert both.trace.passes[-1] == alone.trace.passes[-1] + 3 * 0.5  # a look at the scores each time


def test_of_many_rows_some_tell(problem, monkeypatch):
    theta = LBFGS(max_iter=10)(problem, problem.start()).point.theta
    free = np.count_nonzero(problem.loss.gradient(scores(problem, theta), problem.y) > 0)
    monkeypatch.setattr(finish, "SAMPLE", 100)
    for most, looks in ((2 * free, 0.25 + 1), (free // 8, 0.25)):  # half a pass each
        monkeypatch.setattr(price, "MOST_FREE", most)
        before, mine = problem.count.passes, Finish.of(problem, np.inf)
        mine._begin(theta)
        assert (mine.walk is not None) == (looks > 1)
        assert problem.count.passes - before == looks / 2


def test_a_step_costs_what_its_factor_does(monkeypatch):
    small, large = (objective_of(np.ones((n, 50)), np.arange(n) % 10, "squared_hinge", 1.0) for n in (100, 100_000))
    assert newton_price(small, 0) == 1
    assert newton_price(small, 600) > 2 * newton_price(small, 300) - 1
    assert newton_price(large, 600) < newton_price(small, 600)
    for problem in (small, large):
        assert newton_price(problem, most_free(problem)) < 1.3 * price.STEP
    assert most_free(large) > 2 * most_free(small) > 2000
    monkeypatch.setattr(price, "MOST_FREE", 1500)
    assert (most_free(small), most_free(large)) == (most_free(small), 1500)


def test_steps_together_cost_so_many_times_what_l_bfgs_has_spent(problem, monkeypatch):
    given, turn = [], Finish.of

    def of(*args):
        given.append(turn(*args))
        return given[-1]

    monkeypatch.setattr(Finish, "of", of)
    monkeypatch.setattr(turns, "LEAST", 3)
    monkeypatch.setattr(turns, "SPENT", 0.05)
    found = LBFGS(tol=1e-7, max_iter=50)(problem, problem.start())
    first, *given = given
    assert not first.walk.free  # at once, where too many directions are free: no step
    assert [one.allowed < 0 for one in given] == [True, True]  # at 16, and at about twice that
    longest = max(newton_price(problem, one.walk.free) for one in given)
    assert all(one.allowed > -2 * longest for one in given)
    assert found.iterations == 50


class Slow:
    """A finish whose steps lead nowhere after the third."""

    def __init__(self):
        self.left = 3

    def step(self, point):
        self.left -= 1
        return True if self.left >= 0 else None


@pytest.mark.parametrize(
    ("before", "passes", "expected"), [(0, 10.0, [0, 6, 18]), (0, 1000.0, [0, 6, 18]), (300, 10.0, [0, 6, 18])]
)
def test_after_a_turn_it_waits_for_twice_the_iterations(monkeypatch, before, passes, expected):
    monkeypatch.setattr(turns, "FIRST", 4)
    where = SimpleNamespace(trace=SimpleNamespace(passes=[passes]), iterations=0, best=None)
    asked = []

    def finish(allowed):
        assert allowed == max(turns.LEAST, turns.SPENT * (before + passes))
        asked.append(where.iterations)
        return Slow()

    mine, problem, newtons = Turns(before), SimpleNamespace(finish=finish), []
    for where.iterations in range(40):
        newtons.append(mine.step(problem, where) is not None)
    assert asked == expected
    assert np.flatnonzero(newtons).tolist() == [start + i for start in expected for i in range(3)]


def test_steps_that_gain_next_to_nothing_end(problem, monkeypatch):
    theta = LBFGS(max_iter=40)(problem, problem.start()).point.theta
    monkeypatch.setattr(finish, "LITTLE", 1.0)  # however far F falls
    mine, point = Finish.of(problem, np.inf), problem.at(theta)
    mine.least = 0.0  # however far the residual
    count = 0
    while (step := mine.step(point)) is not None:
        point, count = step, count + 1
    assert count == PATIENCE


def test_the_damping_follows_the_length_of_steps(problem, monkeypatch):
    theta = LBFGS(max_iter=10)(problem, problem.start()).point.theta
    mine, point, found = Finish.of(problem, np.inf), problem.at(theta), []
    mine._begin(theta)
    for t in (0.01, 0.01, 0.5, 0.9, 0.9, 1.0):
        monkeypatch.setattr(type(mine.walk), "step", lambda self, u, G, t=t: t)
        assert mine.step(point) is not None
        found.append(mine.walk.damping / problem.alpha)
    np.testing.assert_allclose(found, [3, 15, 15, 3, 0, 0])
