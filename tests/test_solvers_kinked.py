"""Newton's method where the penalty has kinks: its quadratic problem, its Hessian, and fits that steps by slopes alone
do not end."""

from dataclasses import replace

import numpy as np
import pytest

from linearhead import LinearClassifier
from linearhead.design import design_of
from linearhead.losses import LOSSES, make_loss
from linearhead.objective import Objective
from linearhead.objective.kinked import MOST, PATIENCE, Kinked, Model, Unknowns, hessian_on
from linearhead.objective.price import kinked_price
from linearhead.penalties import ElasticNet, make_penalty
from linearhead.records import Status
from linearhead.solvers import SOLVERS
from linearhead.solvers.kinks import minimum

SMOOTH = [name for name, loss in LOSSES.items() if loss.smoothness]


def quadratic(rng, u, condition, free=2):
    turn = np.linalg.qr(rng.standard_normal((u, u)))[0]
    H = (turn * np.geomspace(1, 1 / condition, u)) @ turn.T
    kinks = np.full(u, 0.3)
    kinks[:free] = 0
    return (H + H.T) / 2, 3 * H @ rng.standard_normal(u), kinks


@pytest.mark.parametrize("condition", [1, 1e3, 1e6])
@pytest.mark.parametrize("seed", range(4))
def test_the_quadratic_problem_is_solved_exactly(condition, seed):
    rng = np.random.default_rng(seed)
    H, c, kinks = quadratic(rng, 40, condition)
    v = rng.standard_normal(40) * (rng.uniform(size=40) < 0.5)
    found = [minimum(H, c, v, kinks, start, 1e-9) for start in (v, np.zeros(40), rng.standard_normal(40))]
    for x in found:
        slope = c + H @ (x - v)
        zero = (x == 0) & (kinks > 0)
        assert np.abs(slope[zero]).max(initial=0) <= 0.3 + 1e-8
        assert np.abs(slope + kinks * np.sign(x))[~zero].max() <= 1e-8
        assert zero.any() or condition == 1
        np.testing.assert_allclose(x, found[0], atol=1e-7 * condition)


def test_every_step_of_it_is_downhill_and_one_without_a_factor_is_none(monkeypatch):
    H, c, kinks = quadratic(np.random.default_rng(9), 60, 1e5)
    v = np.random.default_rng(1).standard_normal(60)
    values = []
    for steps in range(12):
        monkeypatch.setattr("linearhead.solvers.kinks.STEPS", steps)
        d = minimum(H, c, v, kinks, v, 1e-9) - v
        values.append(c @ d + d @ H @ d / 2 + kinks @ (np.abs(v + d) - np.abs(v)))
    assert values[0] == 0
    assert (np.diff(values) < 0).all()
    assert np.array_equal(minimum(-H, c, v, kinks, v, 1e-9), v)


def test_unknowns_are_entries_class_by_class():
    theta = np.arange(12.0).reshape(4, 3)
    chosen = np.isin(theta, [0, 4, 6, 9, 10])
    unknowns = Unknowns(chosen)
    assert unknowns.size == 5
    assert unknowns.of(theta).tolist() == [0, 6, 9, 4, 10]
    assert np.array_equal(unknowns.into(theta, -unknowns.of(theta)), np.where(chosen, -theta, theta))
    assert [(rows.tolist(), place) for rows, place in unknowns.parts()] == [
        ([0, 2, 3], slice(0, 3)),
        ([1, 3], slice(3, 5)),
        ([], slice(5, 5)),
    ]


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("intercept", [True, False])
def test_the_hessian_is_what_products_say(loss, intercept, monkeypatch):
    monkeypatch.setattr("linearhead.objective.kinked.NUMBERS", 1)  # blocks of 64 rows
    rng = np.random.default_rng(3)
    X, y, w = 3 + rng.standard_normal((150, 5)), rng.integers(0, 3, 150), rng.uniform(0, 2, 150)
    design = design_of(X, intercept=intercept).fitted(w, True)
    objective = Objective(design, y, 3, make_loss(loss), make_penalty("none"), 0.0, w)
    theta = rng.standard_normal((6, 3))
    theta[-1] *= intercept
    chosen = rng.uniform(size=(6, 3)) < 0.7
    chosen[-1] &= intercept
    unknowns = Unknowns(chosen)
    H = hessian_on(objective, theta, unknowns)
    v = np.where(chosen, rng.standard_normal((6, 3)), 0.0)
    product = H @ unknowns.of(v)
    wanted = unknowns.of(objective.hessian_product(theta, v))
    if loss in ("cross_entropy", "squared_hinge"):  # a shift of all scores, which no row sees, is taken off a product
        whole = objective.hessian_product(theta, v)
        np.testing.assert_allclose(whole.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(product, wanted, atol=1e-12)
    assert np.array_equal(H, H.T)


def copies(seed, noise, n=150, base=6, times=5, k=3):
    """Columns that are all but copies of a few."""
    rng = np.random.default_rng(seed)
    few = rng.standard_normal((n, base))
    X = np.hstack([few] * times) + noise * rng.standard_normal((n, base * times))
    return X, (few @ rng.standard_normal((base, k)) * 2 + rng.gumbel(size=(n, k))).argmax(axis=1)


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize(("penalty", "noise"), [("l1", 1e-2), ("l1", 1e-6), ("l1", 0.0), ("elastic_net", 1e-4)])
def test_columns_that_are_nearly_copies_are_no_obstacle(loss, penalty, noise):
    """With steps by slopes alone, F of the squared hinge was 1e-6 too high after 33 067 passes."""
    X, y = copies(1, noise)
    model = LinearClassifier(loss, penalty=penalty, alpha=1e-3).fit(X, y)
    assert model.converged_
    assert model.trace_.passes[-1] <= 90
    assert model.certificate_.gap <= 1e-2 * model.trace_.value[-1]
    if penalty == "l1" and noise == 1e-2:
        assert np.count_nonzero(model.coef_) <= 60  # of 90: of copies the best remain


@pytest.mark.parametrize("kink", [0.0, 0.3, 1.0])
def test_steps_lower_the_objective_to_its_minimum(kink):
    X, y = copies(2, 1e-3)
    objective = Objective(design_of(X).fitted(), y, 3, make_loss("logistic"), ElasticNet(kink), 1e-3)
    point, newton = objective.smooth_at(objective.start()), Kinked(objective, np.inf)
    values = [point.value]
    while objective.prox_residual(point) > 1e-10:
        point = newton.step(point)
        values.append(point.value)
        assert len(values) < 25
    assert (np.diff(values) < 1e-15).all()


def test_it_is_asked_for_what_it_can_afford(monkeypatch):
    X, y = copies(0, 1e-3)
    objective = Objective(design_of(X).fitted(), y, 3, make_loss("logistic"), make_penalty("l1"), 1e-3)
    point = objective.smooth_at(objective.start())
    assert Kinked(objective, 0.5).step(point) is None
    monkeypatch.setattr("linearhead.objective.kinked.MOST", 5)
    assert Kinked(objective, np.inf).step(point) is None
    assert MOST * MOST * 8 <= 32 << 20
    for penalty in ("none", "l2"):
        smooth = Objective(design_of(X).fitted(), y, 3, make_loss("logistic"), make_penalty(penalty), 1e-3)
        assert smooth.kinked_newton(np.inf) is None
    asked = []
    monkeypatch.setattr(Objective, "kinked_newton", lambda own, allowed: asked.append(allowed))
    start = 0.1 * np.ones_like(point.theta)
    solution = SOLVERS["proximal"](tol=0, max_iter=70)(objective, objective.start())
    assert solution.status is Status.MAX_ITER
    few, asked[:] = len(asked), []
    SOLVERS["proximal"](tol=0, max_iter=2)(objective, start)
    assert few > 0
    assert asked[0] == 64  # at once, from where another fit ended


def sparse_point(loss="logistic", share=0.4, alpha=2e-2, w=None):
    """(objective, a point with weights of 0) of columns of unlike size."""
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((80, 7)) * np.geomspace(0.3, 3, 7), rng.integers(0, 3, 80)
    objective = Objective(design_of(X).fitted(), y, 3, make_loss(loss), ElasticNet(share), alpha, w)
    theta = rng.standard_normal((8, 3)) * (rng.uniform(size=(8, 3)) < 0.4)
    return objective, objective.smooth_at(theta)


@pytest.mark.parametrize("loss", SMOOTH)
def test_the_model_is_f_to_second_order(loss):
    objective, point = sparse_point(loss)
    unknowns = Unknowns(np.random.default_rng(0).uniform(size=(8, 3)) < 0.6)
    model = Model.of(objective, point, unknowns, 1e-9)
    assert np.array_equal(model.v, unknowns.of(point.theta))
    last = unknowns.of(np.arange(24).reshape(8, 3) >= 21)
    np.testing.assert_allclose(model.kinks, np.where(last, 0, 2e-2 * 0.4))
    metric = np.broadcast_to(objective.column_metric(), (8, 3))
    assert np.array_equal(model.unit, unknowns.of(metric))

    def f(x):
        theta = unknowns.into(point.theta, x)
        whole = objective.smooth_at(theta).loss + 2e-2 * objective.penalty.value(theta[:-1])
        return whole - model.kinks @ np.abs(x)  # what has no kink

    for seed in range(3):
        p = np.random.default_rng(seed).standard_normal(unknowns.size)
        before, here, after = (f(model.v + t * p) for t in (-1e-4, 0, 1e-4))
        assert (after - before) / 2e-4 == pytest.approx(model.c @ p, rel=1e-5, abs=1e-7)
        if loss != "squared_hinge":  # whose bend changes on the way
            assert (after - 2 * here + before) / 1e-8 == pytest.approx(p @ model.H @ p, rel=1e-3)


def test_the_damping_is_in_units_of_the_hessians_diagonal_and_of_the_columns():
    rng = np.random.default_rng(0)
    unit = np.array([1.0, 4.0, 100.0])
    H = np.diag([2.0, 4e-9, 50.0]) + 0.1
    c, v, kinks = rng.standard_normal(3), np.zeros(3), np.full(3, 0.01)
    curved = H.diagonal() / unit
    damped = H + np.diag(0.5 * unit * np.maximum(curved, 1e-3 * curved.max()))
    x, fall = Model(H, c, v, kinks, unit, 1e-12).minimum(0.5, v)
    np.testing.assert_allclose(x, minimum(damped, c, v, kinks, v, 1e-12))
    assert fall == pytest.approx(c @ x + kinks @ np.abs(x))
    assert fall < 0


def test_zeros_that_the_slope_pulls_off_are_unknowns_the_hardest_pulled_first(monkeypatch):
    objective, point = sparse_point()
    newton, free = Kinked(objective, np.inf), point.theta != 0
    free[-1] = True
    pull = np.where(free, 0, np.abs(point.gradient) - 2e-2 * 0.4)
    pull[-1] = 0
    assert np.count_nonzero(pull > 0) >= 6
    np.testing.assert_array_equal(newton._unknowns(point).chosen, free | (pull > 0))
    monkeypatch.setattr("linearhead.objective.kinked.LEAST_NEW", 3)
    few = point.theta * 0
    few[-1] = 0.1
    point = objective.smooth_at(few)
    pull = np.abs(point.gradient) - 2e-2 * 0.4
    pull[-1] = 0
    hardest = pull >= np.sort(pull, axis=None)[-3]
    hardest[-1] = True
    np.testing.assert_array_equal(newton._unknowns(point).chosen, hardest)
    bare = replace(objective, design=replace(objective.design, intercept=False))
    assert not Kinked(bare, np.inf)._unknowns(bare.smooth_at(0 * few)).chosen[-1].any()


def test_steps_that_gain_next_to_nothing_end_and_a_gain_begins_anew(monkeypatch):
    objective, point = sparse_point()
    newton = Kinked(objective, np.inf)
    monkeypatch.setattr(Kinked, "_along", lambda self, here, *_: here)
    for count in range(1, PATIENCE + 1):
        newton.least = 0.0
        assert newton.step(point) is not None
        assert newton.idle == count
    assert newton.step(point) is None
    newton.idle, newton.least = 3, np.inf  # the residual is less
    newton.step(point)
    assert newton.idle == 0


def test_where_no_step_lowers_f_the_damping_is_raised_to_its_most(monkeypatch):
    objective, point = sparse_point()
    newton, seen = Kinked(objective, 100.0), []
    monkeypatch.setattr(Kinked, "_along", lambda self, *_: seen.append(self.damping))
    assert newton.step(point) is None
    np.testing.assert_allclose(seen, 10.0 ** np.arange(-13, 0, 2), rtol=1e-9)
    price = kinked_price(objective, newton._unknowns(point).size)
    assert newton.allowed == pytest.approx(100 - price)
    newton = Kinked(objective, price * 0.999)
    assert newton.step(point) is None
    assert newton.allowed == price * 0.999


def test_as_many_zeros_leave_as_a_step_can_pay_for():
    """Where twice as many unknowns were too dear, it left the rest to steps by slopes."""
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((60, 300)), np.arange(60) % 3
    objective = Objective(design_of(X).fitted(), y, 3, make_loss("logistic"), make_penalty("l1"), 1e-3)
    theta = objective.start()
    theta[:60] = 1e-3
    point = objective.smooth_at(theta)
    assert Kinked(objective, np.inf)._unknowns(point).size == 2 * 183
    newton = Kinked(objective, kinked_price(objective, 300))
    assert 183 + 64 <= newton._unknowns(point).size <= 300
    assert newton.step(point).value < point.value


def test_a_factor_serves_the_sets_near_its_own(monkeypatch):
    from linearhead.solvers import bordered

    rng = np.random.default_rng(0)
    u = 150
    H = rng.standard_normal((u, u))
    H, free, right = H @ H.T + 0.1 * np.eye(u), rng.uniform(size=u) < 0.8, rng.standard_normal(u)
    system, factors, factorise = bordered.Bordered(H), [], bordered.Bordered.factorise
    monkeypatch.setattr(bordered.Bordered, "factorise", lambda self, on: factors.append(1) or factorise(self, on))
    for _ in range(40):  # some leave, some come, some of them come back
        p, wanted = system.solve(free, right), np.zeros(u)
        wanted[free] = np.linalg.solve(H[np.ix_(free, free)], right[free])
        np.testing.assert_allclose(p, wanted, rtol=1e-8, atol=1e-9)
        assert (p[~free] == 0).all()
        free = free.copy()
        free[rng.integers(0, 30, 3)] ^= True
    assert 1 < len(factors) <= 4
    assert bordered.Bordered(-H).solve(free, right) is None
    assert bordered.Bordered(-H).solve(np.zeros(u, bool), right).tolist() == [0.0] * u


def test_where_rounding_has_spoilt_a_factor_there_is_a_new_one(monkeypatch):
    from linearhead.solvers import bordered

    rng = np.random.default_rng(2)
    H, c, kinks = quadratic(rng, 200, 1e3)
    v = rng.standard_normal(200)
    solved = bordered.Bordered._solved
    monkeypatch.setattr(
        bordered.Bordered, "_solved", lambda self, right: solved(self, right) * (1 if self.fresh else 1 + 1e-3)
    )
    x = minimum(H, c, v, kinks, np.zeros(200), 1e-9)
    slope = c + H @ (x - v) + np.where(x == 0, 0, kinks * np.sign(x))
    assert (np.abs(slope) <= np.where(x == 0, kinks, 0) + 1e-8).all()


def test_few_steps_with_fewer_factors_solve_a_large_quadratic_problem(monkeypatch):
    from linearhead.solvers import bordered, kinks

    counts = {"factors": 0, "steps": 0}
    factorise, newton = bordered.Bordered.factorise, kinks._newton

    def counted(key, fn):
        def run(*args):
            counts[key] += 1
            return fn(*args)

        return run

    monkeypatch.setattr(bordered.Bordered, "factorise", counted("factors", factorise))
    monkeypatch.setattr(kinks, "_newton", counted("steps", newton))
    rng = np.random.default_rng(5)
    A = rng.standard_normal((250, 500))
    H = A.T @ A / 250 + 1e-6 * np.eye(500)
    v = np.where(rng.uniform(size=500) < 0.3, rng.standard_normal(500), 0)
    kink = np.full(500, 0.02)
    x = minimum(H, H @ rng.standard_normal(500), v, kink, np.zeros(500), 1e-8)
    assert 200 < np.count_nonzero(x) < 251
    assert counts["factors"] < 25
    assert counts["steps"] > 50
