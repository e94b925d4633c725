"""The parts of the method of multipliers, each against its definition: the intercept's Newton step, the settled dual
point and its gap, the rows that are left out, steps where nothing bends; and when progress counts as resting."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead.errors import UsageError
from linearhead.objective import intercept, smoothed
from linearhead.objective.intercept import downhill, full_hessian, intercept_step, mean_hessian, newton_step
from linearhead.objective.smoothed import Smoothed
from linearhead.records import Status
from linearhead.solvers.contract import Progress, Stop
from test_objective_contract import Case, close, problem, some_theta

ARRANGED = (
    {"weights": "none"},
    {"weights": "real", "intercept": False},
    {"weights": "zeros", "standardize": True},
    {"weights": "real", "layout": "sparse"},
)
HINGES = ("hinge", "crammer_singer")


# ── the intercept alone ───────────────────────────────────────────────────────────────────────────
def rows_in_parts(objective, theta):
    s = objective.precise().design.dense() @ theta[:-1] + theta[-1]
    w = np.ones(objective.n) if objective.weights is None else objective.weights
    return lambda: [(s[p], p, w[p] / w.sum()) for p in (slice(0, 5), slice(5, objective.n))]


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared_hinge", "squared"])
def test_the_intercepts_newton_step_solves_its_system(loss, many, monkeypatch):
    if many:
        for name, value in (("DENSE", 1), ("ENOUGH", 1e-12), ("PRODUCTS", 100), ("DAMPING", 0.0)):
            monkeypatch.setattr(intercept, name, value)
    objective, _, _ = problem(Case(loss, k=4, n=30))
    theta = some_theta(objective, np.random.default_rng(0))
    blocks = rows_in_parts(objective, theta)
    H = np.empty((4, 4))
    for j in range(4):  # ∇²F along the intercepts, from the objective itself
        unit = np.zeros((len(theta), 4))
        unit[-1, j] = 1
        H[:, j] = objective.hessian_product(theta, unit)[-1]
    close(mean_hessian(objective, blocks()), H, 1e-12)
    close(full_hessian(objective, theta), H, 1e-12)
    wanted = np.array([1.0, -2.0, 0.5, 0.25])
    blind = objective.loss.shift_invariant
    step, exact = intercept_step(objective, -H @ wanted, blocks), newton_step(H, -H @ wanted, blind)
    if blind:  # which H does not see
        step, exact, wanted = step - step.mean(), exact - exact.mean(), wanted - wanted.mean()
    close(step, wanted, 1e-7)
    close(exact, wanted, 1e-7)
    if objective.loss.shift_invariant:  # a slope along the shift is rounding
        moved = intercept_step(objective, -H @ wanted + 0.3, blocks)
        close(moved - moved.mean(), step, 1e-7)


@pytest.mark.parametrize("dense", [1, 256])
@pytest.mark.parametrize("H", [np.zeros((3, 3)), np.diag([-1e-16, 0.0, 0.0])])
def test_no_newton_step_where_nothing_bends(H, dense, monkeypatch):
    """As when all probabilities have become 0 and 1: H is zero, or rounding and no longer definite."""
    monkeypatch.setattr(intercept, "DENSE", dense)
    for blind in (False, True):
        assert not newton_step(H, np.array([0.5, -0.25, -0.25]), blind).any()


# ── all rows at one θ ─────────────────────────────────────────────────────────────────────────────
def dual_value(objective, u, w):
    """D(u) = −Σ wᵢ ℓ*(uᵢ) − ‖Zᵀ D u‖² / 2α, w of sum 1: a lower bound of F where the intercept's sum vanishes."""
    Z = objective.precise().design.dense()
    U = Z.T @ (w[:, None] * u)
    return -w @ objective.loss.conjugate(u, objective.y) - np.sum(U * U) / (2 * objective.alpha), U


@pytest.mark.parametrize("arrangement", ARRANGED, ids=str)
@pytest.mark.parametrize("loss", HINGES)
def test_settled_is_the_maximiser_and_its_gap_is_f_less_the_dual(loss, arrangement):
    for seed in range(3):
        objective, _, w = problem(Case(loss, n=40, k=3, seed=seed, **arrangement))
        w, theta = w / w.sum(), some_theta(objective, np.random.default_rng(seed))
        smooth = objective.smoothed(objective.no_multipliers(), 0.7)
        smooth.settle(theta)  # sums of rows by class, which the gap may ask for, are kept from here on
        before = objective.count.passes
        settled = smooth.settle(theta)
        assert objective.count.passes - before == 1
        close(settled.theta[:-1], theta[:-1], 0, scale=1)
        s = objective.precise().design.dense() @ settled.theta[:-1] + settled.theta[-1]
        close(settled.s, s, 1e-12)
        _, u = objective.loss.smoothed(s, objective.y, smooth.g, 0.7)
        close(settled.u, u, 1e-9, scale=1)
        if objective.design.intercept:
            assert np.abs(w @ settled.u).max() <= 1e-13
            if seed:  # and W stands where it stood: the intercept alone was moved to the least smoothed loss
                for push in np.random.default_rng(seed).normal(size=(10, 3)) * 1e-2:
                    moved = settled.theta.copy()
                    moved[-1] += push
                    assert smooth.at(settled.theta).value <= smooth.at(moved).value + 1e-12
        else:
            assert np.array_equal(settled.theta, theta)
        D, U = dual_value(objective, settled.u, w)
        F = objective.at(settled.theta)
        close(settled.sums[:-1], U, 1e-10, scale=1)
        close(settled.sums[-1], (w @ settled.u) * objective.design.intercept, 1e-12, scale=1)
        close(settled.gap.point.value, F.value, 1e-12)
        close(settled.gap.point.loss, F.loss, 1e-12)
        close(settled.gap.bound, min(F.value - D, F.value), 1e-8)


@pytest.mark.parametrize(("far", "most"), [(0.0, 8), (3.0, 20), (1e3, 45)])
@pytest.mark.parametrize("gamma", [1.0, 0.1])
@pytest.mark.parametrize("loss", HINGES)
def test_an_intercept_is_balanced_in_few_looks_from_near_and_far(loss, gamma, far, most, monkeypatch):
    """Σ wᵢ uᵢ is 0 to rounding and the smoothed loss least; a trust region that would not grow, shrink or end shows."""
    looks = []
    terms = Smoothed._balance_terms
    monkeypatch.setattr(Smoothed, "_balance_terms", lambda self, s, at: looks.append(at) or terms(self, s, at))
    objective, _, _ = problem(Case(loss, n=60, k=3))
    smooth = objective.smoothed(objective.no_multipliers(), gamma)
    s = objective.design.dense() @ some_theta(objective, np.random.default_rng(0))[:-1] + far * np.array([1.0, 0, -1])
    shift = smooth._balance(s)
    assert not looks[0].any()
    assert len(looks) <= most
    value, r = terms(smooth, s, shift)
    assert np.abs(r).max() <= 2e-14 * (1 + (far > 3))
    for push in np.random.default_rng(1).normal(size=(20, 3)) * 10.0 ** -np.arange(1, 6)[:, None].repeat(4, 0):
        assert value <= terms(smooth, s, shift + push)[0] + 1e-12
    looks.clear()
    assert np.abs(smooth._balance(s + shift)).max() <= 1e-12 * (1 + far)
    assert len(looks) <= 2


def test_slabs_of_scores_have_all_rows_and_weights_once(monkeypatch):
    monkeypatch.setattr(smoothed, "NUMBERS", 300)
    for weights in ("none", "real"):
        objective, _, w = problem(Case("hinge", n=150, k=3, weights=weights))
        smooth, s = objective.smoothed(objective.no_multipliers(), 1.0), np.arange(450.0).reshape(150, 3)
        slabs = list(smooth._moved(s, np.array([1.0, 2.0, 3.0])))
        assert [rows for _, rows, _ in slabs] == [slice(0, 100), slice(100, 150)]
        moved = np.concatenate([part for part, _, _ in slabs])
        np.testing.assert_array_equal(moved - s, np.tile([1.0, 2.0, 3.0], (150, 1)))
        np.testing.assert_allclose(np.concatenate([share for _, _, share in slabs]), w / w.sum())


@pytest.mark.parametrize("loss", HINGES)
def test_a_known_model_is_kept_and_multipliers_go_with_their_rows(loss):
    objective, _, _ = problem(Case(loss, n=40, k=3))
    g = np.random.default_rng(0).uniform(size=(40, 3))
    smooth = objective.smoothed(g, 0.3)
    assert smooth.gamma == 0.3
    assert smooth.preconditioner(objective.start()) is not smooth.preconditioner(objective.start())
    assert replace(smooth, model="M").preconditioner(objective.start()) == "M"
    assert np.array_equal(smooth.take(np.array([3, 9])).g, g[[3, 9]])
    assert smooth.sample() is None
    assert not smooth.separated(smooth.at(objective.start()))
    theta = some_theta(objective, np.random.default_rng(1))
    s = objective.design.dense() @ theta[:-1] + theta[-1]
    d = np.random.default_rng(2).normal(size=s.shape)
    close(smooth.score_hessians(s, slice(0, 40))(d), smooth.score_hessian(s, slice(0, 40), d), 0, scale=1)


@pytest.mark.parametrize("loss", HINGES)
def test_one_near_row_is_a_part(loss):
    objective, _, _ = problem(Case(loss, n=50, k=3))
    theta = some_theta(objective, np.random.default_rng(0))
    settled = objective.smoothed(objective.no_multipliers(), 0.1).settle(theta)
    smooth = objective.smoothed(settled.u, 0.1)
    slack = np.sort(objective.loss.slack(settled.s, objective.y, settled.u, 0.1))
    assert smooth.part(settled, slack[1]).n == 1


@pytest.mark.parametrize("arrangement", ARRANGED, ids=str)
@pytest.mark.parametrize("loss", HINGES)
def test_accuracy_is_counted_where_it_is_watched(loss, arrangement):
    objective, _, w = problem(Case(loss, n=40, k=3, **arrangement))
    theta = some_theta(objective, np.random.default_rng(0))
    settled = replace(objective, watch=True).smoothed(objective.no_multipliers(), 0.7).settle(theta)
    s = objective.design.dense() @ settled.theta[:-1] + settled.theta[-1]
    wanted = w @ (s.argmax(axis=1) == objective.y) / w.sum()
    assert settled.gap.point.accuracy == pytest.approx(wanted)
    assert replace(objective, watch=True).gap_at(settled.theta, settled.u).point.accuracy == pytest.approx(wanted)
    assert objective.smoothed(objective.no_multipliers(), 0.7).settle(theta).gap.point.accuracy is None
    assert objective.gap_at(settled.theta, settled.u).point.accuracy is None
    assert 0 < wanted < 1


@pytest.mark.parametrize("loss", HINGES)
def test_rows_far_from_a_kink_are_a_linear_part(loss):
    """Within reach, F, its slope and its bend are those of all rows; only rows whose margins are near one are kept."""
    for seed, arrangement in enumerate(ARRANGED):
        objective, _, _ = problem(Case(loss, n=200, k=3, seed=seed, **arrangement))
        rng = np.random.default_rng(seed)
        theta = 3 * some_theta(objective, rng)
        settled = objective.smoothed(objective.no_multipliers(), 0.05).settle(theta)
        smooth = objective.smoothed(settled.u, 0.05)
        slack = objective.loss.slack(settled.s, objective.y, settled.u, 0.05)
        reach = float(np.sort(slack)[60])
        part = smooth.part(settled, reach)
        assert part.n == np.sum(slack < reach) == 60
        assert part.total == objective.total
        assert part.count is objective.count
        whole, few = smooth.at(settled.theta), part.at(settled.theta)
        longest = np.abs(np.hstack([objective.precise().design.dense(), np.ones((200, 1))])).sum(axis=1).max()
        for _ in range(5):
            v = rng.normal(size=theta.shape)
            v[-1] *= objective.design.intercept
            v *= 0.4 * reach / (longest * np.abs(v).max())
            there, part_there = smooth.at(settled.theta + v), part.at(settled.theta + v)
            close(part_there.gradient, there.gradient, 1e-10)
            close(part_there.value - few.value, there.value - whole.value, 1e-10, scale=abs(whole.value))
            close(part_there.loss - few.loss, there.loss - whole.loss, 1e-10, scale=abs(whole.value))
            product, wanted = part.hessian_product(settled.theta, v), smooth.hessian_product(settled.theta, v)
            close(product, wanted, 1e-9, scale=np.abs(v).max())


@pytest.mark.parametrize("loss", HINGES)
def test_all_rows_stay_where_a_part_would_be_most_of_them_or_none(loss):
    objective, _, _ = problem(Case(loss, n=50, k=3))
    settled = objective.smoothed(objective.no_multipliers(), 0.1).settle(
        some_theta(objective, np.random.default_rng(0))
    )
    smooth = objective.smoothed(settled.u, 0.1)
    slack = np.sort(objective.loss.slack(settled.s, objective.y, settled.u, 0.1))
    assert smooth.part(settled, -np.inf) is smooth
    assert smooth.part(settled, np.inf) is smooth
    assert smooth.part(settled, slack[20]).n == 20  # two fifths
    assert smooth.part(settled, slack[21]) is smooth


def test_room_for_multipliers_is_counted(monkeypatch):
    objective, _, _ = problem(Case("hinge", n=50, k=3, dtype="float32"))
    monkeypatch.setattr(smoothed, "BYTES", 5 * 50 * 3 * 4)
    g = objective.no_multipliers()
    assert g.shape == (50, 3)
    assert g.dtype == np.float32
    assert not g.any()
    monkeypatch.setattr(smoothed, "BYTES", 5 * 50 * 3 * 4 - 1)
    with pytest.raises(UsageError, match="5 arrays of rows × classes; 50 × 3 need"):
        objective.no_multipliers()
    monkeypatch.undo()
    large = SimpleNamespace(n=1, k=8 * 2**30 // 40 + 1, design=SimpleNamespace(dtype=np.dtype(float)))
    with pytest.raises(UsageError, match=r"need 8 GiB, and the limit is 8\."):
        smoothed.no_multipliers(large)


# ── steps ─────────────────────────────────────────────────────────────────────────────────────────
def test_downhill_is_newtons_step_where_it_bends_and_straight_elsewhere():
    V = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    H = V @ np.diag([4.0, 1.0, 0.0, 0.0]) @ V.T
    r = V @ np.array([2.0, 3.0, 0.3, 0.4])
    np.testing.assert_allclose(V.T @ downhill(H, r, 5.0), [-0.5, -3.0, -3.0, -4.0], atol=1e-12)
    bent = V @ np.array([2.0, 3.0, 0.0, 1e-15])
    np.testing.assert_allclose(V.T @ downhill(H, bent, 5.0), [-0.5, -3.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(downhill(0 * H, r, 2.0), -2 * r / np.linalg.norm(r), atol=1e-12)


def test_what_bends_less_than_a_billionth_of_the_most_counts_as_straight():
    """And nothing below a billionth of 1e-6, however little the most is; slopes of rounding alone are left."""
    for most in (4.0, 1e-8):
        edge = 1e-9 * max(most, 1e-6)
        for share, straight in ((0.95, True), (1.05, False)):
            step = downhill(np.diag([share * edge, most]), np.array([1.0, 0.0]), 5.0)
            np.testing.assert_allclose(step, [-5.0 if straight else -1 / (share * edge), 0.0], atol=1e-9)
    for slope, length in ((0.95e-13, 0.0), (1.05e-13, 5.0)):
        np.testing.assert_allclose(downhill(np.diag([0.0, 1.0]), np.array([slope, 0.0]), 5.0), [-length, 0.0])


def test_many_classes_of_unlike_weight_are_balanced_by_few_products():
    """Preconditioned by H's diagonal: ten products suffice where weights differ by a million."""
    k = 300
    bends = np.geomspace(1e-6, 1, k)
    flat = SimpleNamespace(
        k=k,
        loss=SimpleNamespace(shift_invariant=False),
        score_hessians=lambda s, rows: lambda d: d * bends,
        score_hessian_form=lambda s, rows, Q: bends[None],
    )
    wanted = np.random.default_rng(0).normal(size=k)
    step = intercept_step(flat, -bends * wanted, lambda: [(None, None, np.ones(1))])
    np.testing.assert_allclose(step, wanted, rtol=2e-4)


def test_few_classes_go_straight_down_where_nothing_bends():
    flat = SimpleNamespace(k=3, score_hessian_mean=lambda s, rows, w: np.zeros((3, 3)))
    r = np.array([3.0, 0.0, -4.0])
    np.testing.assert_allclose(intercept_step(flat, r, lambda: [(None, None, None)], 10.0), [-6, 0, 8])
    assert not intercept_step(flat, r, lambda: [(None, None, None)]).any()


class Watched:
    """What `Progress` asks of a problem."""

    def __init__(self, proven=False):
        self.count, self.proven = SimpleNamespace(passes=3.0), proven

    def separated(self, point):
        return self.proven


def at(value, residual):
    return SimpleNamespace(value=value, residual=residual, loss=value, accuracy=None, theta=np.zeros(1))


def seen(values, residuals):
    progress = Progress(Watched(), None, None)
    for i, pair in enumerate(zip(values, residuals, strict=True)):
        progress.record(i, at(*pair))
    return progress


def test_resting_is_neither_f_nor_the_residual_falling():
    flat = [1.0] * 12
    assert not seen(flat[:4], flat[:4]).resting(4)  # too few to tell
    assert seen(flat[:5], flat[:5]).resting(4)
    assert seen(flat, flat).resting(4)
    assert not seen(np.linspace(2, 1, 12), flat).resting(4)  # F falls
    assert seen([*np.linspace(2, 1, 8), 1, 1, 1, 1], flat).resting(4)  # it fell before
    assert not seen(flat, [1.0] * 8 + [0.85] * 4).resting(4)  # the residual falls
    assert not seen(flat, [1.0] * 11 + [0.85]).resting(4)
    assert seen(flat, [1.0] * 8 + [0.95] * 4).resting(4)  # by too little
    assert seen(flat, [0.85] + [1.0] * 11).resting(4)
    assert not seen([1.0] * 8 + [1, 1, 1, 1 - 1e-12], flat).resting(4)
    assert not seen([1.0] * 8 + [1, 1, 1, 1 - 1.5e-13], flat).resting(4)
    assert seen([1.0] * 8 + [1, 1, 1, 1 - 0.7e-13], flat).resting(4)
    assert seen([1e6] * 11 + [1e6 - 1e-8], flat).resting(4)  # in units of F
    assert not seen([1e-6] * 11 + [1e-6 - 1e-17], flat).resting(4)
    assert seen([-1.0] * 8 + [-1, -1, -1, -1 + 1e-12], flat).resting(4)


def test_progress_keeps_the_newest_point_and_stops_on_what_is_no_number_or_proven():
    progress = seen([3.0, 2.0], [0.5, 0.25])
    assert (progress.best.value, progress.residual, progress.iterations) == (2.0, 0.25, 1)
    progress.record(2, at(1.0, 0.1), residual=0.7)
    assert progress.residual == 0.7
    assert progress.trace.gradient_norm == [0.5, 0.25, 0.7]
    assert progress.trace.passes == [0.0, 0.0, 0.0]
    assert 0 <= progress.trace.seconds[0] <= progress.trace.seconds[2] < 600  # since this fit began, not the machine
    progress._problem.count.passes += 2
    with pytest.raises(Stop) as stop:
        progress.record(3, at(np.nan, 0.1))
    assert stop.value.status is Status.DIVERGED
    assert progress.best.value == 1.0
    proven = Progress(Watched(proven=True), None, None)
    with pytest.raises(Stop) as stop:
        proven.record(0, at(1.0, 1.0))
    assert stop.value.status is Status.UNBOUNDED
    assert proven.best.value == 1.0
    for answer, stops in ((True, True), (1, False), (None, False)):
        asked = Progress(Watched(), lambda row, answer=answer: answer, lambda theta: {"valid_loss": 7.0})
        if stops:
            with pytest.raises(Stop) as stop:
                asked.record(0, at(1.0, 1.0))
            assert stop.value.status is Status.CALLBACK
        else:
            asked.record(0, at(1.0, 1.0))
        assert asked.trace.valid_loss == [7.0]
