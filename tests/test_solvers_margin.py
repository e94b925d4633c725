"""The certified hinge solver: bounds that hold, liblinear's optimum, repeats, float32, fewer rows than columns; and
the rules by which multipliers are renewed, on problems whose gaps are scripted."""

from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
from sklearn.datasets import load_digits
from sklearn.svm import LinearSVC

from linearhead import LinearClassifier
from linearhead.errors import ConvergenceWarning
from linearhead.records import Status
from linearhead.solvers import LBFGS, Dual, Proximal, inner
from linearhead.solvers.contract import Progress, Stop
from linearhead.solvers.inner import Inner, Within
from test_solvers_agree import objective_of

LOSSES = ("hinge", "crammer_singer")


def inner_of(problem, share, most=9):
    return Inner(problem, share, most, False, deque(maxlen=40), lambda: False)


def blobs(n, d, k, seed=0):
    rng = np.random.default_rng([n, d, k, seed])
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + rng.normal(size=(k, d))[y], y


def objective(model, X, y, loss, alpha):
    """F in float64, from coef_ and intercept_ alone."""
    s = X.astype(float) @ model.coef_.T.astype(float) + model.intercept_
    rows = np.arange(len(y))
    z = 1 + s - s[rows, y][:, None]
    z[rows, y] = 0
    cost = z.max(axis=1) if loss == "crammer_singer" else np.maximum(z, 0).sum(axis=1)
    return cost.mean() + alpha / 2 * np.sum(model.coef_.astype(float) ** 2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(90, 5, 3), (30, 40, 3), (120, 6, 2), (200, 4, 20)], ids=str)
def test_float32_is_certified_and_near_the_float64_optimum(loss, shape):
    X, y = blobs(*shape)
    exact = LinearClassifier(loss, alpha=1e-2, tol=2e-6).fit(X, y)
    narrow = LinearClassifier(loss, alpha=1e-2, tol=1e-4).fit(X.astype(np.float32), y)
    assert exact.converged_
    assert narrow.converged_
    best = objective(exact, X, y, loss, 1e-2)
    found = objective(narrow, X.astype(np.float32), y, loss, 1e-2)
    assert best - exact.certificate_.gap - 1e-6 <= found <= best + narrow.certificate_.gap + 1e-6
    assert narrow.certificate_.gap <= 1e-4 * found * (1 + 1e-6)


def test_max_form_is_liblinears():
    for seed in range(3):
        X, y = blobs(90, 6, 4, seed)
        options = {"multi_class": "crammer_singer", "fit_intercept": False, "tol": 1e-10, "max_iter": 1_000_000}
        theirs = LinearSVC(C=1 / (1e-2 * len(X)), random_state=0, **options).fit(X, y)
        theirs.intercept_ = np.zeros(4)
        ours = LinearClassifier("crammer_singer", alpha=1e-2, tol=1e-12, fit_intercept=False).fit(X, y)
        best = objective(theirs, X, y, "crammer_singer", 1e-2)
        assert abs(objective(ours, X, y, "crammer_singer", 1e-2) - best) <= 1e-6 * best
        assert np.linalg.norm(ours.coef_ - theirs.coef_) <= 1e-6 * np.linalg.norm(theirs.coef_)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_of_two_is_a_row_twice(loss):
    X, y = blobs(60, 5, 3)
    w = np.arange(60) // 3 % 3
    once = LinearClassifier(loss, alpha=1e-2, tol=1e-11).fit(X, y, sample_weight=w)
    again = LinearClassifier(loss, alpha=1e-2, tol=1e-11).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(once.certificate_.value, again.certificate_.value, rtol=1e-11)
    np.testing.assert_allclose(once.coef_, again.coef_, atol=1e-6 * np.abs(again.coef_).max())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shares", [(0.9, 0.05, 0.05), (0.55, 0.4, 0.05), (0.98, 0.02)], ids=str)
def test_classes_of_very_different_size_need_an_intercept_that_is_found(loss, shares):
    """With most rows in one class all multipliers start at a corner, where the intercept's curvature is zero."""
    rng = np.random.default_rng(3)
    y = rng.choice(len(shares), 120, p=shares)
    y[: len(shares)] = np.arange(len(shares))
    X = rng.normal(size=(120, 4)) + 0.5 * rng.normal(size=(len(shares), 4))[y]
    model = LinearClassifier(loss, alpha=0.1, tol=1e-5).fit(X, y)
    assert model.converged_
    assert np.abs(model.intercept_).max() < 20
    without = LinearClassifier(loss, alpha=0.1, tol=1e-5, fit_intercept=False).fit(X, y)
    assert objective(model, X, y, loss, 0.1) <= objective(without, X, y, loss, 0.1) * (1 + 1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_penalty_and_intercept_no_multiplier_is_free_at_zero(loss):
    """Nothing bends there, and a slope is all that the first step has."""
    X, y = blobs(60, 4, 3)
    model = LinearClassifier(loss, penalty="none", fit_intercept=False).fit(X, y)
    nearly = LinearClassifier(loss, alpha=1e-7, fit_intercept=False).fit(X, y)
    assert model.converged_
    assert objective(model, X, y, loss, 0.0) <= objective(nearly, X, y, loss, 0.0) * (1 + 1e-6)
    assert 0.1 < objective(model, X, y, loss, 0.0) < 1.5  # of 2 at zero


# ── the rules by which multipliers are renewed ────────────────────────────────────────────────────
class Scripted:
    """A problem of value 1 whose gaps are given in advance; `log` has (γ, share of the gap, type, reach)."""

    n, penalty, alpha, loss = 100, SimpleNamespace(smooth=True), 0.0, SimpleNamespace(shift_invariant=False)

    def column_metric(self):
        return np.array([[2.0], [4.0], [1.0]])

    def __init__(self, gaps, dtype="float64", exact=None, log=None):
        self.gaps, self.log, self.exact, self.hard = gaps, [] if log is None else log, exact, []
        self.design = SimpleNamespace(dtype=np.dtype(dtype))
        self.count = SimpleNamespace(passes=0.0)

    def found(self, gap, i):
        point = SimpleNamespace(value=1.0, residual=9.0, loss=1.0, accuracy=None, theta=i)
        return SimpleNamespace(estimate=gap, point=point)

    def settle(self, theta):
        i = theta if isinstance(theta, int) else 0
        return SimpleNamespace(theta=i, u=f"u{i}", gap=self.found(self.gaps[i], i), short=0.0, value=1.0)

    def gap_at(self, theta, u):
        assert u == f"u{theta}"
        return self.found((self.exact or self).gaps[theta], theta)

    def precise(self):
        return self.exact or self

    def smoothed(self, g, gamma):
        self.gamma = gamma
        return self

    def no_multipliers(self):
        return None

    def separated(self, point):
        return False


@pytest.fixture
def renewed(monkeypatch):
    """fit(problem, inner steps, **options) → (Solution, log)."""

    def fit(problem, steps=lambda i: 5, newton=False, **options):
        def minimise(self, start, reach):
            problem.hard.append(self.hard)
            dtype = self.problem.design.dtype.name
            problem.log.append((self.problem.gamma, self.share / start.gap.estimate, dtype, reach))
            return start.theta + 1, steps(start.theta), newton

        monkeypatch.setattr(Inner, "minimise", minimise)
        progress = Progress(problem, None, None)
        status = Dual(**options).minimise(problem, None, progress)
        return status, progress, problem.log

    return fit


def test_smoothing_is_halved_from_the_second_set_on(renewed):
    status, progress, log = renewed(Scripted([10.0**-i for i in range(9)]), tol=2e-5)
    assert status is Status.CONVERGED
    assert progress.iterations == 5
    assert progress.residual == 1e-5
    assert progress.extras["multipliers"] == "u5"
    assert [gamma for gamma, *_ in log] == [1.0, 0.5, 0.25, 0.125, 0.0625]
    np.testing.assert_allclose([share for _, share, *_ in log], 0.03)
    assert renewed(Scripted([1.0, 2e-5]), tol=2e-5)[0] is Status.CONVERGED  # at the tolerance itself
    options = {"gamma": 3.0, "shrink": 0.1, "exactness": 0.5, "tol": 2e-5}
    _, _, log = renewed(Scripted([10.0**-i for i in range(9)]), **options)
    np.testing.assert_allclose(log[1][:2], [0.3, 0.5])


def test_smoothing_stays_while_inner_problems_use_up_their_steps(renewed):
    gaps = [0.4**i for i in range(40)]
    _, _, log = renewed(Scripted(gaps), lambda i: 7 if i % 2 else 6, inner=7, tol=1e-3)
    assert [gamma for gamma, *_ in log] == [1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]


@pytest.mark.parametrize(("dtype", "least"), [("float64", 2.0**-18), ("float32", 2.0**-9)])
def test_smoothing_ends_where_rounding_moves_multipliers(renewed, dtype, least):
    _, _, log = renewed(Scripted([0.4**i for i in range(60)], dtype), tol=1e-12)
    gammas = [gamma for gamma, *_ in log]
    assert gammas[-1] == least
    assert gammas.count(2 * least) == 1


def test_a_gap_that_does_not_halve_asks_for_exacter_inner_problems_then_for_float64(renewed):
    """Slow from the third set on; γ rests meanwhile. Below a thousandth rows are taken in float64."""
    exact = Scripted([0.8**i for i in range(120)])
    narrow = Scripted(exact.gaps, "float32", exact, exact.log)
    exact.log = narrow.log
    status, _, log = renewed(narrow, tol=1e-9)
    assert status is Status.CONVERGED
    gammas, shares, types, reaches = zip(*log, strict=True)
    assert reaches[:4] == (2.0, 2.0, 4.0, 8.0)  # and rows farther from a kink take part
    np.testing.assert_allclose(shares[:9], [0.03, 0.03, 9e-3, 2.7e-3, 8.1e-4, 2.43e-4, 1e-4, 1e-4, 1e-4], rtol=1e-9)
    assert gammas[:9] == (1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.125)
    assert types[:9] == ("float32",) * 4 + ("float64",) * 5
    halving = Scripted([0.5**i for i in range(60)])  # half is enough
    assert {share for _, share, *_ in renewed(halving, tol=1e-5)[2]} == {0.03}
    just = Scripted([0.501**i for i in range(60)])
    np.testing.assert_allclose([share for _, share, *_ in renewed(just, tol=1e-3)[2]][:3], [0.03, 0.03, 9e-3])


def test_the_first_smoothing_is_as_wide_as_the_duals_curvature_asks(renewed, monkeypatch):
    gaps = [0.4**i for i in range(80)]
    for wide, first in ((0.5, 1.0), (1.0, 1.0), (6.0, 6.0), (1e9, 32768.0)):
        monkeypatch.setattr(Scripted, "alpha", 0.03 * 7 / 100 / wide)  # wide = 0.03 mean ‖z‖² / αn
        gammas = [gamma for gamma, *_ in renewed(Scripted(gaps), tol=1e-30)[2]]
        np.testing.assert_allclose(gammas[:3], [first, first / 2, first / 4])
        np.testing.assert_allclose(gammas[-1], min(first, 1024) * 2.0**-18)
    monkeypatch.setattr(Scripted, "penalty", SimpleNamespace(smooth=False))  # with L1 the dual has no such curvature
    assert renewed(Scripted(gaps), tol=1e-3)[2][0][0] == 1.0


def test_newtons_method_lets_the_smoothing_shrink_faster_while_its_steps_are_few(renewed):
    """A quarter after 8 steps at most, half after more, the same where they are used up; exactness is its own."""
    steps = [3, 8, 9, 100, 2]
    problem = Scripted([0.4**i for i in range(40)])
    _, _, log = renewed(problem, lambda i: steps[i], newton=True, tol=0.02)
    assert problem.hard == [False, True, True, True, True]
    easy = Scripted(problem.gaps)
    renewed(easy, lambda i: 100 if i == 1 else 99, tol=0.02)
    assert easy.hard == [False, False, True, False, False]
    assert [gamma for gamma, *_ in log] == [1.0, 0.25, 0.0625, 0.03125, 0.03125]
    exact = Scripted([0.8**i for i in range(60)])
    narrow = Scripted(exact.gaps, "float32", exact, exact.log)
    _, _, log = renewed(narrow, newton=True, tol=0.35)
    np.testing.assert_allclose([share for _, share, *_ in log], 0.03)
    assert [kind for _, _, kind, _ in log] == ["float32"] * 2 + ["float64"] * 4  # a slow gap shows rounding
    assert [reach for *_, reach in log] == [2.0, 2.0, 4.0, 8.0, 16.0, 32.0]


def test_what_a_wide_smoothing_asked_for_ends_with_it(renewed, monkeypatch):
    """Slow at γ = 4 and 2: exacter, in float64, farther from a kink; from γ = 1 on as at the start."""
    monkeypatch.setattr(Scripted, "alpha", 0.03 * 7 / 100 / 4)
    gaps = [*[0.8**i for i in range(6)], *[0.1 * 0.4**i for i in range(60)]]
    exact = Scripted(gaps)
    narrow = Scripted(gaps, "float32", exact, exact.log)
    _, _, log = renewed(narrow, tol=1e-9)
    np.testing.assert_allclose([gamma for gamma, *_ in log[:8]], [4, 2, 2, 2, 2, 2, 1, 0.5], rtol=1e-12)
    assert [kind for _, _, kind, _ in log[:8]] == ["float32"] * 4 + ["float64"] * 2 + ["float32"] * 2
    assert log[5][3] == 32.0
    assert (log[6][1], log[6][3]) == (pytest.approx(0.03), 2.0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("alpha", [1e-3, 1e-4])
def test_separable_rows_of_large_numbers_with_hardly_a_penalty_are_certified(alpha, dtype):
    """Digits as they come, pixels 0 to 16: with a first γ of 1 the gap was F itself, or took ten times the passes."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300].astype(dtype), y[:300]
    model = LinearClassifier("crammer_singer", alpha=alpha, tol=1e-4).fit(X, y)
    assert model.converged_
    assert model.trace_.passes[-1] < 2000
    assert model.certificate_.gap <= 1e-4 * model.certificate_.value
    np.testing.assert_allclose(
        objective(model, X.astype(float), y, "crammer_singer", alpha), model.certificate_.value, rtol=1e-6
    )


def test_a_stalled_fit_names_float64_as_a_remedy_for_float32_alone():
    X, y = blobs(40, 3, 3)
    with pytest.warns(ConvergenceWarning, match="raise tol, or use float64 features if these are float32"):
        LinearClassifier("crammer_singer", tol=1e-30).fit(X, y)


def test_float32_claims_its_gap_only_where_float64_agrees(renewed):
    """Weights are rounded as the rows are: four fifths of the tolerance is the aim; then rows are looked at again."""
    gaps = [1.0, 0.1, 0.01, 0.0085, 0.0079, 0.0079, 0.001, 1e-4]
    honest = Scripted(gaps, "float32", Scripted(gaps))
    assert renewed(honest, tol=0.01)[1].iterations == 4
    log = []
    doubted = Scripted([1.0, 0.1, 0.009, 0.0079, 0.0079, 0.0079, 1e-4], "float32", None, log)
    doubted.exact = Scripted([1.0, 0.1, 0.009, 0.03, 0.02, 0.0079, 1e-4], log=log)
    status, progress, log = renewed(doubted, tol=0.01)
    assert status is Status.CONVERGED
    assert progress.iterations == 5
    assert progress.trace.gradient_norm == [1.0, 0.1, 0.009, 0.03, 0.02, 0.0079]
    assert [kind for _, _, kind, _ in log] == ["float32"] * 3 + ["float64"] * 2


def test_the_best_point_is_kept_and_twenty_sets_without_a_tenth_are_enough(renewed):
    status, progress, _ = renewed(Scripted([1.0, 0.5, 0.8, *[0.46] * 60]), tol=1e-9)
    assert status is Status.STALLED
    assert len(progress.trace) == 22  # twenty after the last that fell by a tenth, 0.5
    assert progress.best.theta == 3
    assert progress.residual == 0.46
    assert progress.extras["multipliers"] == "u3"
    status, progress, _ = renewed(Scripted([1.0] * 60), tol=1e-9)
    assert len(progress.trace) == 21
    assert progress.best.theta == 0
    falling = [1.0, *[0.9] * 4, 0.5, *[0.5] * 60]  # to nine tenths exactly is not below
    assert len(renewed(Scripted(falling), tol=1e-9)[1].trace) == 26
    assert renewed(Scripted([1.0] * 9), tol=1e-9, max_iter=4)[0] is Status.MAX_ITER
    assert len(renewed(Scripted([1.0] * 9), tol=1e-9, max_iter=4)[2]) == 4
    assert renewed(Scripted([1.0, 1e-9]), tol=1e-9, max_iter=0)[1].iterations == 0


def test_an_inner_problem_ends_within_its_share(monkeypatch):
    """By strong convexity: ‖∇‖² ≤ 2α share, from the first step on; F's own status is not asked."""
    problem = Scripted([])
    for alpha, bound in ((0.3, 0.6 * 0.01), (0.0, 2e-12 * 0.01)):
        problem.alpha = alpha
        for size, ends in ((0.999, True), (1.001, False)):
            within = Within(problem, 0.01, lambda: False)
            point = problem.found(1.0, 0).point
            point.gradient = np.sqrt(size * bound / 4) * np.ones((2, 2))
            within.record(0, point)
            try:
                within.record(1, point)
            except Stop:
                assert ends
            else:
                assert not ends
            assert within.iterations == 1
            assert len(within.trace) == 2


SHORT = SimpleNamespace(point=SimpleNamespace(theta="θ"), status=Status.MAX_ITER)


@pytest.mark.parametrize(
    ("steps", "newton", "short", "values", "seen"),
    [
        (5, True, [0.9], [1], [("θ", 3)]),  # ten shares of 0.1 are 1
        (5, True, [1.1, 0.9], [1, 1], [("θ", 3), (0, np.inf)]),  # lower than where it began: from there
        (5, False, [1.1, 0.9], [8, 1], [("θ", 3), ("θ", np.inf)]),  # higher
        (5, True, [9, 9, 9], [8, 6, 1], [("θ", 3), ("θ", np.inf), (1, np.inf)]),  # thrice at most
        (9, True, [9, 9], [8, 6], [("θ", 3), ("θ", np.inf)]),  # out of steps, which few rows may be without a minimum
        (9, False, [9], [1], [("θ", 3)]),  # as all rows would be
    ],
)
def test_where_rows_near_a_kink_led_astray_all_take_part(monkeypatch, steps, newton, short, values, seen):
    found, asked = [], []

    def settle(theta):
        at = len(found)
        assert theta == at
        found.append(SimpleNamespace(theta=at, short=short[at], value=values[at]))
        return found[-1]

    def minimise(self, start, reach):
        asked.append((start.theta, reach))
        return len(asked) - 1, steps, newton

    monkeypatch.setattr(Inner, "minimise", minimise)
    loss = SimpleNamespace(shift_invariant=False)
    problem = SimpleNamespace(loss=loss, settle=settle, value_at=lambda s: 7 if s.theta == "θ" else values[s.theta])
    start = SimpleNamespace(theta="θ")
    settled, *rest = inner_of(problem, 0.1).settle(start, 3)
    assert asked == seen
    assert settled is found[-1]
    assert rest == [steps, newton]


def test_inner_problems_go_to_lbfgs_or_to_the_proximal_method(monkeypatch):
    """L2: rows within `reach` γ of a kink, `inner` steps at most. L1: a residual whose gap, r/α of F, is the share."""
    seen = {}
    X, y = blobs(60, 4, 3)
    for penalty in ("l2", "l1"):
        found = objective_of(X, y, "hinge", 0.05, penalty=penalty)
        smooth = found.smoothed(found.no_multipliers(), 0.5)
        settled = smooth.settle(found.start())
        for name, kind in (("LBFGS", LBFGS), ("Proximal", Proximal)):
            monkeypatch.setattr(inner, name, lambda name=name, kind=kind, **o: seen.update({name: o}) or kind(**o))
        monkeypatch.setattr(type(smooth), "newton", lambda self, s, *_: (s.theta, 0, None))
        monkeypatch.setattr(type(smooth), "part", lambda self, s, reach: seen.update(reach=reach) or self)
        theta, steps, newton = inner_of(smooth, 1e-4).minimise(settled, 3.0)
        assert smooth.at(theta).value < smooth.at(settled.theta).value
        assert not newton
        if penalty == "l2":
            assert seen == {"reach": 1.5, "LBFGS": {"tol": 1e-14, "max_iter": 9}}
            assert 1 <= steps <= 9
        else:
            scale = 0.05 * 1e-4 / settled.gap.point.value
            assert seen["Proximal"] == {"tol": pytest.approx(scale), "max_iter": 2000}
            assert steps == 0
            monkeypatch.setattr(inner, "Proximal", lambda **o: seen.update(o) or (lambda *a: SHORT))
            assert inner_of(smooth, 1e-4).minimise(settled, 3.0) == ("θ", 9, False)
            for share, tol in ((1e-30, 1e-13), (1e30, 1e-2)):
                inner_of(smooth, share).minimise(settled, 3.0)
                assert seen["tol"] == tol
        seen.clear()


def test_ctrl_c_in_an_inner_problem_ends_the_whole_fit(monkeypatch):
    begun = []

    def interrupted(self, problem, theta, progress):
        begun.append(self)
        progress.record(0, problem.step_point(theta))
        raise KeyboardInterrupt

    monkeypatch.setattr(Proximal, "minimise", interrupted)
    X, y = blobs(60, 4, 3)
    objective = objective_of(X, y, "hinge", 0.01, penalty="l1")
    found = Dual()(objective, objective.start())
    assert (found.status, len(begun)) == (Status.INTERRUPTED, 1)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_a_callback_may_stop_it_within_an_inner_problem(monkeypatch, penalty):
    """Rows of the trace lie a hundred passes apart; who limits passes or seconds need not wait for the next."""
    X, y = blobs(400, 8, 3)
    objective = objective_of(X, y, "hinge", 1e-3)
    kind = type(objective.smoothed(objective.no_multipliers(), 1.0))
    monkeypatch.setattr(kind, "newton", lambda self, s, *_: (s.theta, 0, None))
    ends = []
    for limit in (np.inf, 9):
        objective = objective_of(X, y, "hinge", 1e-3, penalty=penalty)
        found = Dual(max_iter=9)(objective, objective.start(), lambda row, limit=limit: row["passes"] > limit)
        ends.append(found.trace.passes[1:])
        assert found.status in ((Status.CALLBACK,) if limit == 9 else (Status.CONVERGED, Status.MAX_ITER))
    assert len(ends[1]) == 1
    assert 9 < ends[1][0] < 15 < ends[0][0]


def test_what_the_dual_solver_is_and_takes_by_default():
    solver = Dual()
    assert (solver.gamma, solver.shrink, solver.exactness, solver.inner, solver.reach) == (1.0, 0.5, 0.03, 100, 2.0)
    assert solver.max_iter == 200
    assert solver.kinked_penalty
    assert solver.passes


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e7])
@pytest.mark.parametrize("loss", ["hinge", "crammer_singer"])
def test_two_classes_far_from_separable_in_columns_of_any_size(loss, scale):
    """At θ = 0 hinges are straight lines, so that the curvature model is α alone, and its step 1/α long."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 4)), np.arange(40) % 2
    model = LinearClassifier(loss, alpha=1e-4).fit(scale * X, y)
    # without a penalty: a linear program, min mean ξ with ξ ≥ 0 and ξ ≥ 1 − (±1)(x·w + b)
    signs = 2 * y[:, None] - 1
    rows = np.hstack([-signs * X, -signs, -np.eye(40)])
    bounds = [(None, None)] * 5 + [(0, None)] * 40
    least = scipy.optimize.linprog(np.r_[np.zeros(5), np.full(40, 1 / 40)], rows, -np.ones(40), bounds=bounds).fun
    assert model.converged_
    assert 0 <= model.certificate_.value - least < (1e-3 if scale == 1 else 1e-7)


def test_intercepts_add_up_to_zero():
    """No row sees what all intercepts share; under a wide γ rounding moved them by 2e-7 along it."""
    rng = np.random.RandomState(42)
    X, y, times = rng.rand(15, 30), rng.randint(0, 3, size=15), rng.randint(0, 5, size=15)
    model = LinearClassifier(loss="crammer_singer", alpha=1e-4).fit(X.repeat(times, axis=0), y.repeat(times))
    assert abs(model.intercept_.sum()) < 1e-12 * np.abs(model.intercept_).max()
