"""Many classes: no array of k × k, in the model, the certificate or the solvers; the same optimum, proven as before."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from linearhead import LinearClassifier, MarginClassifier
from linearhead.certificate import certify
from linearhead.design import design_of, few_columns
from linearhead.errors import UsageError
from linearhead.losses import LOSSES
from linearhead.objective import Objective, curvature, intercept, precondition, smoothed
from linearhead.objective import objective as objective_module
from linearhead.penalties import PENALTIES
from linearhead.records import Status
from linearhead.solvers import SOLVERS, lbfgs
from test_objective_contract import Case, problem
from test_solvers_agree import PROBLEMS, SMOOTH, assert_same, objective_of, optimum

MANY = 10_000


@pytest.fixture
def as_for_many(monkeypatch):
    """Few classes are treated as many are."""
    monkeypatch.setattr(curvature, "ROTATED", 1)
    monkeypatch.setattr(intercept, "DENSE", 1)


# ── few classes, treated as many ──────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("as_for_many")
@pytest.mark.parametrize("kind", ["condition 1e4", "imbalanced", "fewer rows than columns", "twenty classes"])
@pytest.mark.parametrize("loss", SMOOTH)
def test_the_optimum_is_the_same(loss, kind):
    rng = np.random.default_rng(3)
    X, y = PROBLEMS[kind](rng)
    w = rng.uniform(0.1, 2.0, len(X))
    W, b, F = optimum(X, y, loss, 1e-3, w)
    objective = objective_of(X, y, loss, 1e-3, w)
    for solver in ("lbfgs", "newton"):
        solution = SOLVERS[solver](tol=1e-11, max_iter=5000)(objective, objective.start())
        assert abs(solution.point.value - F) <= 1e-12 + 1e-11 * F
        assert_same(solution.point.theta, objective, X, W, b)
        assert objective.gap_at(solution.point.theta).bound <= 1e-10 * (1 + F)


@pytest.mark.usefixtures("as_for_many")
@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("loss", SMOOTH)
def test_the_model_is_symmetric_and_positive(loss, alpha):
    """On θ whose classes add to 0, where the loss is blind to more than that."""
    objective = replace(problem(Case(loss, n=40, k=5))[0], alpha=alpha)
    rng = np.random.default_rng(0)
    apply = precondition(objective, objective.basis(), 0.3 * rng.normal(size=(5, 5)))
    assert apply.Q is None
    blind = objective.loss.shift_invariant
    vectors = [rng.normal(size=(5, 5)) for _ in range(6)]
    for v in vectors:
        v[-1:] -= blind * v[-1:].mean()
        v -= (blind and not alpha) * v.mean(axis=1, keepdims=True)
    images = [apply(v.copy())[0] for v in vectors]
    for u, mu in zip(vectors, images, strict=True):
        assert np.vdot(u, mu) > 0
        for v, mv in zip(vectors, images, strict=True):
            np.testing.assert_allclose(np.vdot(u, mv), np.vdot(v, mu), rtol=1e-10, atol=1e-12)
    if blind and alpha:  # along a shift of all classes the penalty is all the curvature there is
        shift = np.vstack([rng.normal(size=(4, 1)), [[0.0]]]) * np.ones((1, 5))
        np.testing.assert_allclose(apply(shift)[0], shift / alpha, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("as_for_many")
def test_an_intercept_slightly_off_still_costs_the_square():
    objective = problem(Case(n=200, k=4))[0]
    theta = SOLVERS["newton"](tol=1e-12)(objective, objective.start()).point.theta
    best = objective.at(theta).value
    for off in (1e-3, 1e-5):
        moved = theta.copy()
        moved[-1, 0] += off
        gap = objective.gap_at(moved).bound
        assert objective.at(moved).value - best - 1e-14 <= gap <= 5 * off**2 + 1e-12


def test_gradients_lie_in_memory_as_weights_do():
    """Else every step of a solver goes through millions of numbers in two orders, ten times as long."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 200
    objective = Objective(
        design_of(rng.normal(size=(400, 30))).fitted(), y, 200, LOSSES["cross_entropy"](), PENALTIES["l2"](), 0.1
    )
    for theta in (objective.start(), objective.start() + 0.1):
        assert theta.flags.c_contiguous
        assert objective.at(theta).gradient.flags.c_contiguous


@pytest.mark.usefixtures("as_for_many")
@pytest.mark.parametrize("loss", ["hinge", "crammer_singer"])
def test_the_hinges_reach_their_optimum(loss, monkeypatch):
    objective = problem(Case(loss, n=60, k=5))[0]
    many = SOLVERS["dual"](tol=1e-8)(objective, objective.start())
    monkeypatch.undo()
    few = SOLVERS["dual"](tol=1e-8)(objective, objective.start())
    assert many.status is few.status is Status.CONVERGED
    assert abs(many.point.value - few.point.value) <= 2e-8 * few.point.value


# ── ten thousand ───────────────────────────────────────────────────────────────────────────────
def few_rows_of_many_classes(loss, penalty="l2", alpha=1e-2, n=60, dtype=np.float64):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 3)).astype(dtype), rng.permutation(MANY)[:n] // 2 * 2
    return Objective(design_of(X, threads=1).fitted(), y, MANY, LOSSES[loss](), PENALTIES[penalty](), alpha)


@pytest.mark.parametrize(
    ("loss", "solver", "penalty"),
    [
        ("cross_entropy", "lbfgs", "l2"),
        ("cross_entropy", "newton", "l2"),
        ("cross_entropy", "proximal", "l1"),
        ("cross_entropy", "sgd", "l2"),
        ("logistic", "lbfgs", "l2"),
        ("squared_hinge", "lbfgs", "l2"),
        ("squared", "closed_form", "l2"),
        ("squared", "lbfgs", "none"),
        ("crammer_singer", "dual", "l2"),
        ("hinge", "dual", "l2"),
    ],
)
def test_ten_thousand_classes_take_bounded_room(loss, solver, penalty):
    objective = few_rows_of_many_classes(loss, penalty, 0.0 if penalty == "none" else 1e-2)
    tracemalloc.start()
    try:
        options = {"max_iter": 1, "inner": 6} if solver == "dual" else {"max_iter": 4}
        solution = SOLVERS[solver](**options)(objective, objective.start())
        found = certify(objective, solution.point.theta, 1e-6, solution.extras.get("multipliers"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6  # one array of k × k takes 800e6
    assert np.isfinite(solution.point.theta).all()
    assert solution.point.value < objective.at(objective.start()).value
    assert found.value == pytest.approx(solution.point.value, rel=1e-9)
    assert found.gap is None or found.gap <= found.value


def test_a_thousand_classes_are_certified():
    rng = np.random.default_rng(1)
    k, n = 1000, 2000
    y = np.arange(n) % k
    X = rng.normal(size=(k, 6))[y] + 0.5 * rng.normal(size=(n, 6))
    for loss in ("cross_entropy", "squared"):
        model = LinearClassifier(loss, alpha=1e-3, tol=1e-7).fit(X, y)
        assert model.converged_
        assert model.certificate_.gap <= 1e-7 * model.certificate_.value


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_few_rows_tell_how_long_a_step_should_be(kind, monkeypatch):
    """At θ = 0 the model's own step is many times too long for many classes; a part of the rows knows."""
    monkeypatch.setattr(objective_module, "FEW_ROWS", 64)
    rng = np.random.default_rng(3)
    X = rng.normal(size=(4000, 20)) / np.arange(1, 21)
    y = np.argmax(X @ rng.normal(size=(20, 200)) * 3 + rng.gumbel(size=(4000, 200)), axis=1)
    order = np.argsort(y)
    objective = objective_of(X[order].astype(kind), y[order], "cross_entropy", 1 / 4000)
    few = objective.few()
    assert few.n == 64
    assert len(np.unique(few.y)) > 40  # rows in the order of their classes are sampled from end to end
    trials, search = [], lbfgs.search

    def watched(at, value, slope, noise, t):
        def seen(t):
            point, new = at(t)
            trials[-1].append((t, new / slope))
            return point, new

        trials.append([])
        return search(seen, value, slope, noise, t)

    monkeypatch.setattr(lbfgs, "search", watched)
    found = SOLVERS["lbfgs"](tol=1e-6)(objective, objective.start())
    t, ratio = trials[0][0]
    assert t < 0.5
    assert abs(ratio) < 0.3
    guided = sum(map(len, trials))
    monkeypatch.setattr(Objective, "few", lambda self: None)
    trials.clear()
    alone = SOLVERS["lbfgs"](tol=1e-6)(objective, objective.start())
    assert trials[0][0][0] == 1.0
    assert found.point.value == pytest.approx(alone.point.value, rel=1e-8)
    assert guided <= sum(map(len, trials))


def test_few_classes_and_few_rows_need_no_such_advice():
    rng = np.random.default_rng(4)
    for n, k in ((9000, 32), (8000, 40)):
        assert objective_of(rng.normal(size=(n, 3)), np.arange(n) % k, "cross_entropy", 1e-3).few() is None
    n = 9000
    assert objective_of(rng.normal(size=(n, 3)), np.arange(n) % 40, "cross_entropy", 1e-3).few().n == 512


def test_multipliers_that_cannot_be_kept_are_refused(monkeypatch):
    monkeypatch.setattr(smoothed, "BYTES", 100_000)
    X, y = np.random.default_rng(2).normal(size=(90, 3)), np.arange(90) % 30
    with pytest.raises(UsageError, match=r"90 × 30 need .* Take loss='squared_hinge'.*solver='sgd'"):
        MarginClassifier(loss="hinge").fit(X, y)
    assert MarginClassifier(loss="squared_hinge", alpha=1e-2).fit(X, y).converged_


def test_blocks_have_rows_enough_to_pay_for_adding_up_sums_of_millions(monkeypatch):
    monkeypatch.setattr(few_columns, "unpacked", lambda: True)

    def rows(d, k, dtype=np.float32):
        return replace(design_of(np.zeros((1, d), dtype)), scores=k).block_rows()

    assert rows(768, 1000) == 512  # in cache: as before
    assert rows(1764, 3000) == 384
    assert rows(1764, 100) == 222
    assert rows(1764, 10) == 278  # multiplied in tiles: a fourth more
    assert rows(57_792, 100) == rows(57_792, 10) == 128  # so long that they would leave every cache


def test_of_millions_of_weights_fewer_steps_are_kept():
    solver = SOLVERS["lbfgs"]()
    kept = [solver._most(np.empty((d, k), np.int8)) for d, k in ((65, 10), (769, 1000), (1765, 1000), (1765, 3000))]
    assert kept == [20, 20, 9, 5]
    assert SOLVERS["lbfgs"](memory=3)._most(np.empty((1765, 3000), np.int8)) == 3
