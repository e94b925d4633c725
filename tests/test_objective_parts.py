"""Blocks, mini-batches, proxes, threads and weights: however the rows are cut up or counted, the objective is the same.

Checks take an `Objective`, a case or a maker of objectives; `test_mutants_objective.py` sees them fail.
"""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from linearhead.design import design_of
from linearhead.design.rows import STRIP
from linearhead.losses import LOSSES
from linearhead.objective import Objective
from linearhead.objective.point import Shared
from linearhead.penalties import PENALTIES
from test_objective_contract import (
    TYPES,
    WEIGHTS,
    Case,
    check_derivatives,
    close,
    direction,
    problem,
    some_theta,
    textbook_losses,
    textbook_penalty,
)


# ── symmetry, blocks, batches ─────────────────────────────────────────────────────────────────────
def check_hessian_is_symmetric(objective):
    """⟨u, Hv⟩ = ⟨v, Hu⟩ and ⟨v, Hv⟩ ≥ 0; the rows of W outside the support of any data see α alone."""
    rng = np.random.default_rng(4)
    theta = some_theta(objective, rng)
    u, v = (direction(objective, theta, rng) for _ in range(2))
    hu, hv = (objective.precise().hessian_product(theta, a) for a in (u, v))
    assert np.vdot(v, hv) >= 0
    close(np.vdot(u, hv), np.vdot(v, hu), 1e-12, scale=np.linalg.norm(u) * np.linalg.norm(hv))


def check_blocks_add_up(objective):
    """A pass over many blocks is the weighted sum of passes over parts of the rows, none left out."""
    theta = some_theta(objective, np.random.default_rng(5))
    n = objective.n
    assert n > 3 * objective.design.block_rows()
    whole, sums, total = objective.precise().smooth_at(theta), 0.0, 0.0
    for rows in np.array_split(np.random.default_rng(6).permutation(n), 7):
        part = replace(objective.take(rows), total=0.0).precise()  # its own Σw
        point = part.smooth_at(theta)
        share = part.total / objective.total
        sums, total = sums + share * point.gradient, total + share * point.loss
    close(sums, whole.gradient, 1e-10)
    close(total, whole.loss, 1e-10)


def check_batches(objective, size):
    """Mini-batches visit the rows in order, once; their gradients' mean, by rows, is ∇F's smooth part."""
    theta = some_theta(objective, np.random.default_rng(7)).astype(objective.design.dtype)
    order = np.random.default_rng(8).permutation(objective.n)
    before, mean, seen = objective.count.passes, 0.0, []
    for rows, blocks in objective.batches(order, size):
        blocks = list(blocks)
        seen += [len(b.rows) for b in blocks]
        assert rows == min(size, objective.n - sum(seen) + rows)
        visited = np.concatenate([b.rows for b in blocks])
        assert np.array_equal(visited, order[sum(seen) - rows : sum(seen)])
        gradient = objective.batch_gradient(theta, (rows, blocks))
        mean = mean + rows / objective.n * gradient
        moved = np.array(theta, order="F")  # as it lies while SGD runs
        objective.descend(moved, (rows, tuple(blocks) if len(blocks) == 1 else iter(blocks)), 0.25)
        close(moved, theta - 0.25 * gradient, 1e-12 if objective.design.exact else 1e-5)
    assert objective.count.passes - before == pytest.approx(2)  # each gradient was computed twice
    assert max(seen) <= max(objective.design.block_rows(), 1)
    wanted = objective.precise().step_point(theta.astype(np.float64)).gradient
    metric = np.append(np.sqrt(np.maximum(objective.design.energy, 1e-12)), 1.0)[:, None]
    close(mean / metric, wanted / metric, 1e-10 if objective.design.exact else 3e-5)


def check_prox(objective):
    """prox(θ, t) minimises tαR + ½‖· − θ‖² on the weights, moves no intercept, and leaves its input alone."""
    rng = np.random.default_rng(9)
    theta = rng.normal(size=(objective.design.d + 1, objective.k))
    before = theta.copy()
    for t in (0.3, rng.uniform(0.1, 9, size=(len(theta), 1))):
        found = objective.prox(theta, t)
        assert np.array_equal(theta, before)
        assert np.array_equal(found[-1], theta[-1])
        tau = (t if np.isscalar(t) else t[:-1]) * objective.alpha

        def value(V, tau=tau):
            rows = np.atleast_1d(np.squeeze(np.broadcast_to(tau, (len(V), 1))))
            pulls = sum(r * textbook_penalty(objective.penalty, v) for r, v in zip(rows, V, strict=True))
            return pulls + 0.5 * ((V - theta[:-1]) ** 2).sum()

        for _ in range(20):
            away = found[:-1] + rng.normal(size=found[:-1].shape) * 10.0 ** rng.uniform(-4, 0)
            assert value(found[:-1]) <= value(away) + 1e-12
        assert value(found[:-1]) <= value(0 * found[:-1]) + 1e-12


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_prox_and_symmetry(loss, penalty):
    objective, _, _ = problem(Case(loss, penalty))
    check_prox(objective)
    if objective.loss.smoothness:
        check_hessian_is_symmetric(objective)


MANY = {"n": 900, "d": 3, "k": 4}
SHAPES = [
    pytest.param(
        {"dtype": dtype, "layout": layout, "weights": weights, "standardize": standardize}, id=f"{dtype}-{layout}"
    )
    for dtype, layout, weights, standardize in (
        ("float64", "C", "real", True),
        ("float64", "F", "none", False),
        ("float64", "sparse", "zeros", True),
        ("float32", "strided", "real", True),
        ("float32", "sparse", "none", False),
        ("uint8", "C", "zeros", True),
        ("float16", "C", "none", False),
    )
]


@pytest.mark.parametrize("arrangement", SHAPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_parts_make_the_whole(loss, arrangement, monkeypatch):
    monkeypatch.setattr("linearhead.design.contract.Design.block_rows", lambda self: 128)
    objective, _, _ = problem(Case(loss, "l2", **arrangement, **MANY))
    with objective.design.session():
        check_blocks_add_up(objective)
        for size in (7, 128, 500, 900):
            check_batches(objective, size)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_batches_of_one_with_every_penalty(penalty):
    for weights in WEIGHTS:
        check_batches(problem(Case(penalty=penalty, weights=weights))[0], 1)


@pytest.mark.parametrize("penalty", ["none", "l2"])
@pytest.mark.parametrize(
    "arrangement",
    [{}, {"dtype": "float32", "weights": "zeros"}, {"intercept": False, "standardize": True}, {"layout": "sparse"}],
    ids=str,
)
def test_a_walk_is_one_step_after_the_other(penalty, arrangement):
    """Whatever the rates: where W decays too far for the rows to carry it, too."""
    for loss in LOSSES:
        objective, _, _ = problem(Case(loss, penalty, n=40, **arrangement))
        kind = objective.design.dtype
        theta = np.array(some_theta(objective, np.random.default_rng(12)), dtype=kind, order="F")
        for rates in (np.geomspace(1e-3, 0.05, 30), np.linspace(9.0, 13.0, 9), np.array([20.0])):
            walked, wanted, before = theta.copy(order="F"), theta.copy(order="F"), objective.count.passes
            (block,), (again,) = (objective.singles(np.arange(40)[::-1]) for _ in range(2))
            objective.walk(walked, block, rates)
            assert objective.count.passes - before == pytest.approx(len(rates) / 40)
            for i, rate in enumerate(rates):
                objective.descend(wanted, (1, (again.part(slice(i, i + 1)),)), rate)
            assert len(rates) < 30 or not np.array_equal(walked, theta)
            close(walked, wanted, 1e-11 if objective.design.exact else 1e-4)


@pytest.mark.parametrize("layout", ["C", "sparse"])
def test_every_look_at_the_rows_is_counted_as_a_pass(layout):
    objective, _, _ = problem(Case(layout=layout, n=40))
    theta = objective.start() + 0.1
    for part, share in ((objective, 1.0), (objective.take(np.arange(10)), 0.25)):
        before = objective.count.passes
        part.judge(theta)
        assert objective.count.passes - before == pytest.approx(share / 2)
        for look in (
            lambda o: o.at(theta),
            lambda o: o.smooth_at(theta),
            lambda o: o.hessian_product(theta, theta + 1),
            lambda o: o.second_moment_product(theta[:, :1] + 1),
            lambda o: o.gram(),
        ):
            before = objective.count.passes
            look(part)
            assert objective.count.passes - before == pytest.approx(share)


def test_a_loss_below_log_2_of_the_lightest_row_proves_all_rows_right():
    """Where nothing is penalised and the loss is one that has log 2 at a tie; weights of 0 are no rows."""
    for loss, weights in (("cross_entropy", "none"), ("logistic", "real"), ("cross_entropy", "zeros")):
        objective, _, w = problem(Case(loss, penalty="none", weights=weights))
        free = replace(objective, alpha=0.0)
        limit = w[w > 0].min() * np.log(2) / w.sum()
        for share, proven in ((0.999, True), (1.001, False)):
            point = replace(free.at(free.start()), loss=share * limit)
            assert free.separated(point) == proven
            assert not replace(free, alpha=1e-9).separated(point)
            for other in ("squared_hinge", "hinge", "squared"):
                assert not replace(free, loss=LOSSES[other]()).separated(point)


# ── arrangement must not matter ───────────────────────────────────────────────────────────────────
def check_bits(make):
    """make(threads) → an objective; F, ∇F and Hessian products have the same bits for 1, 2 and 3 threads."""
    seen = []
    for threads in (1, 2, 3):
        objective = make(threads)
        theta = np.random.default_rng(10).normal(size=(objective.design.d + 1, objective.k)) / 50
        point = objective.at(theta)
        product = objective.hessian_product(theta, theta) if objective.loss.smoothness else theta
        seen.append((point.value, point.gradient.tobytes(), product.tobytes()))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_same_bits_for_any_number_of_threads(loss, dtype):
    def make(threads):
        objective, _, _ = problem(Case(loss, n=20_000, d=60, k=5, dtype=dtype))
        return replace(objective, design=replace(objective.design, threads=threads))

    assert make(2).n > 4 * make(2).design.block_rows()
    check_bits(make)


def check_weights_are_counts(case):
    """Weight 2 is the row twice and weight 0 is no row, for F, ∇F and Hessian products."""
    objective, X, _ = problem(replace(case, weights="zeros"))
    counts = objective.weights.astype(int)
    design = design_of(np.repeat(X, counts, axis=0), intercept=case.intercept).fitted(standardize=case.standardize)
    repeated = replace(objective, design=design, y=np.repeat(objective.y, counts), weights=None, total=0.0)
    theta = some_theta(objective, np.random.default_rng(11))
    one, other = objective.precise().at(theta), repeated.at(theta)
    close(one.value, other.value, 1e-12)
    close(one.gradient, other.gradient, 1e-11)
    if objective.loss.smoothness:
        close(objective.hessian_product(theta, theta), repeated.hessian_product(theta, theta), 1e-11)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_are_counts(loss, intercept, standardize):
    for seed in range(5):
        check_weights_are_counts(Case(loss, intercept=intercept, standardize=standardize, seed=seed))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("offset", [1e3, 1e5, 1e7])
def test_far_columns_keep_their_digits(offset, dtype):
    """Columns far from 0, whatever way they are centred in: value and derivatives as ever, from the stored numbers."""
    for standardize in (False, True):
        objective, X, w = problem(Case(dtype=dtype, offset=offset, standardize=standardize))
        theta = some_theta(objective, np.random.default_rng(1))
        mean = w @ X / w.sum()
        spread = np.sqrt(w @ (X - mean) ** 2 / w.sum()) if standardize else 1.0
        if dtype == "float32" and offset == 1e7 and np.unique(X[:, 0]).size < 5:
            continue  # nothing of the column is left to keep
        s = (X - mean) / spread @ theta[:-1] + theta[-1]
        loss = w @ textbook_losses("cross_entropy", s, objective.y) / w.sum()
        close(objective.at(theta).loss, loss, 1e-8 if dtype == "float64" else 1e-3)
        assert check_derivatives(objective, 2) == 4


# ── what is asked of it besides F ─────────────────────────────────────────────────────────────────
def test_as_it_is_made():
    for weights in WEIGHTS:
        objective, X, w = problem(Case(weights=weights))
        assert objective.total == w.sum()
        assert objective.share == 1
        assert objective.count.passes == 0
        assert objective.design.scores == objective.k
        assert objective.start().shape == (X.shape[1] + 1, objective.k)
        assert not objective.start().any()
        assert objective.at(objective.start()).accuracy is None
        assert objective.basis() is objective.basis()
        assert objective.take(np.arange(5)).shared is not objective.shared
    assert objective.precise() is objective
    single, _, _ = problem(Case(dtype="float32"))
    assert single.precise().design.exact
    assert not single.design.exact
    assert replace(single, total=7.0).total == 7


@pytest.mark.parametrize("weights", WEIGHTS)
def test_accuracy_is_counted_where_it_is_asked_for(weights):
    objective, _, w = problem(Case(weights=weights, n=50))
    theta = some_theta(objective, np.random.default_rng(1))
    s = objective.design.dense() @ theta[:-1] + theta[-1]
    wanted = w @ (s.argmax(axis=1) == objective.y) / w.sum()
    point = replace(objective, watch=True).at(theta)
    assert point.accuracy == pytest.approx(wanted)
    assert replace(objective, watch=True).judge(theta) == pytest.approx((point.loss, wanted))
    assert 0.05 < wanted < 0.95


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("alpha", [0.0, 0.07, 1.0, 1e12])
def test_residuals_are_the_least_subgradients(penalty, alpha):
    """Entry by entry: |∂F| at weights that are not 0, what the loss's slope leaves of the kink at those that are."""
    objective = replace(problem(Case(penalty=penalty))[0], alpha=alpha)
    rng = np.random.default_rng(2)
    theta = some_theta(objective, rng) * (rng.random((5, 3)) < 0.5)
    theta[0] = 0
    loss = replace(objective, alpha=0.0).at(theta)
    rho = {"none": 0.0, "l2": 0.0, "l1": 1.0, "elastic_net": 0.3}[penalty]
    curved = 0.0 if penalty == "none" else 1 - rho
    assert loss.value == loss.loss
    W, G = theta[:-1], loss.gradient[:-1]
    at_kink = np.maximum(np.abs(G) - alpha * rho, 0)
    least = np.where(W == 0, at_kink, np.abs(G + alpha * (rho * np.sign(W) + curved * W)))
    wanted = max(least.max(), np.abs(loss.gradient[-1]).max())
    assert objective.kinked == (alpha > 0 and rho > 0)
    smooth, step = objective.smooth_at(theta), objective.step_point(theta)
    close(smooth.gradient, loss.gradient, 1e-14)
    close([smooth.value, step.value], loss.loss + alpha * textbook_penalty(objective.penalty, W), 1e-12)
    whole = np.vstack([G + alpha * (rho * np.sign(W) + curved * W), loss.gradient[-1:]])
    close(objective.full_gradient(smooth), whole, 1e-12)
    assert objective.prox_residual(smooth) == pytest.approx(wanted, rel=1e-9)
    assert objective.step_residual(step) == pytest.approx(wanted, rel=1e-9)
    theta[-1] = 0  # intercepts have no kink
    point = objective.smooth_at(0 * theta)
    assert objective.prox_residual(point) == pytest.approx(
        max(np.maximum(np.abs(point.gradient[:-1]) - alpha * rho, 0).max(), np.abs(point.gradient[-1]).max())
    )


def second_moment(objective, w):
    A = np.hstack([objective.precise().design.dense(), np.full((objective.n, 1), float(objective.design.intercept))])
    return A.T @ (w[:, None] * A) / w.sum()


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("far", [0, 100])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_gram_matrix_is_that_of_the_rows_centred_in_float64(kind, far, scaled, monkeypatch):
    """However they are stored; a block of them is in memory once in float64, its limit in bytes."""
    from linearhead.design import rows as in_memory

    rng, made, before = np.random.default_rng(5), [], in_memory.lower_gram
    X = (far + 10 * rng.random((900, 6))).astype(kind)
    y, w = rng.integers(0, 3, 900), rng.uniform(0.5, 2, 900)
    monkeypatch.setattr(in_memory, "GRAM_BYTES", 200 * 6 * 8)
    monkeypatch.setattr(in_memory, "lower_gram", lambda x: made.append(x.nbytes) or before(x))
    design = design_of(X).fitted(w, scaled).precise()
    gram, sums = design.gram(y, 3, w)
    Z = np.asarray(X, np.float64) - design.shift
    Z = Z if design.scale is None else Z / design.scale
    close(gram, (Z.T * w) @ Z, 1e-13)
    close(sums, np.hstack([Z, np.ones((900, 1))]).T @ (w[:, None] * np.eye(3)[y]), 1e-11)
    assert max(made) == 200 * 6 * 8


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("arrangement", [{}, {"weights": "zeros", "intercept": False}, {"standardize": True, "d": 3}])
def test_curvature_bounds_and_second_moments(arrangement, penalty):
    for loss in ("cross_entropy", "squared_hinge", "squared"):
        objective, _, w = problem(Case(loss, penalty, n=40, **arrangement))
        M = second_moment(objective, w)
        largest = np.linalg.eigvalsh(M)[-1]
        before = objective.count.passes
        assert objective.second_moment_norm() == pytest.approx(largest, rel=5e-3)
        assert 3 <= objective.count.passes - before <= 30
        bound = {"cross_entropy": 0.5, "squared_hinge": 6.0, "squared": 1.0}[loss] * largest
        smooth = objective.alpha * (penalty == "l2")
        assert objective.lipschitz() - smooth == pytest.approx(1.02 * bound, rel=5e-3)
        v = np.random.default_rng(3).normal(size=(len(M), 2))
        v[-1] *= objective.design.intercept
        close(objective.second_moment_product(v), M @ v, 1e-12)
        close(objective.gram(), M[:-1, :-1], 1e-10)
        close(objective.shared.class_sums[2], replace(objective, shared=Shared()).class_sums(), 1e-12)
        rows, hot, share = objective.weighted_rows()
        close(rows, objective.design.dense(), 0, scale=1)
        assert np.array_equal(hot, np.eye(3)[objective.y])
        close(share, w / w.sum(), 1e-15)


@pytest.mark.parametrize("alpha", [0.1, 0.0])
@pytest.mark.parametrize("arrangement", [{}, {"weights": "zeros", "intercept": False}, {"layout": "sparse"}])
def test_least_squares_is_known_from_its_sums(arrangement, alpha):
    """F and its slope anywhere, with rows that are centred and rows that are not, for one pass."""
    centred = replace(problem(Case("squared", n=40, **arrangement))[0], alpha=alpha)
    shifted = replace(centred, design=replace(centred.design, shift=None), shared=Shared())
    for objective in (centred,) if centred.design.shift is None else (centred, shifted):
        before = objective.count.passes
        equations = objective.normal_equations()
        assert objective.count.passes - before == 1
        for scale in (0.0, 1.0):
            theta = scale * np.random.default_rng(1).normal(size=objective.start().shape)
            theta[-1] *= objective.design.intercept
            found, point = equations.at(theta), objective.precise().at(theta)
            assert found.value == pytest.approx(point.value, rel=1e-12)
            assert found.loss == pytest.approx(point.loss, rel=1e-12)
            close(found.gradient, point.gradient, 1e-12)
    assert equations.condition == pytest.approx(equations.gram.trace() / alpha if alpha else np.inf)


@pytest.mark.parametrize("arrangement", [{}, {"weights": "zeros", "intercept": False}, {"standardize": True}])
def test_few_rows_invert_the_hessian_of_least_squares(arrangement):
    objective, _, w = problem(Case("squared", n=6, d=12, **arrangement))
    before = objective.count.passes
    solve = objective.precise().inverse_by_rows()
    assert objective.count.passes - before == 1
    v = np.random.default_rng(1).normal(size=objective.start().shape)
    H = second_moment(objective, w)[:-1, :-1] + objective.alpha * np.eye(objective.design.d)
    found = solve(v)
    close(H @ found[:-1], v[:-1], 1e-10)
    assert np.array_equal(found[-1], v[-1])
    assert replace(objective, alpha=0.0).inverse_by_rows() is None
    assert problem(Case("squared", n=6, d=11))[0].inverse_by_rows() is None


def test_rates_of_steps_on_batches():
    """1 / (a row's curvature shared by the batch + the mean's part of it + α), Gower et al. 2019, eq. 4 in words."""
    objective, _, w = problem(Case("squared", n=40))
    M = second_moment(objective, w)
    row, mean = 2 * np.append(objective.design.energy, 1.0).sum(), np.linalg.eigvalsh(M)[-1]
    for batch in (1, 2, 5, 40):
        wanted = 1 / (row / batch + mean * (batch - 1) / batch + objective.alpha)
        assert objective.stochastic_rate(batch) == pytest.approx(wanted, rel=2e-3)
    before = objective.count.passes
    objective.stochastic_rate(1)
    assert objective.count.passes == before  # single rows need no look at all
    kinked = problem(Case("hinge", n=40))[0]
    assert kinked.stochastic_rate(1) == pytest.approx(1 / (row + objective.alpha))
    soft = problem(Case(n=40))[0]
    assert soft.stochastic_rate(1) == pytest.approx(1 / (row / 2 + objective.alpha))


def test_the_metric_is_mean_squares_and_never_0():
    objective, _, w = problem(Case())
    Z = objective.design.dense()
    wanted = np.append(w @ Z**2 / w.sum(), 1.0)
    close(objective.column_metric()[:, 0], wanted, 1e-9)
    flat = replace(objective, design=replace(objective.design, energy=np.array([0.0, 4.0, 0.0, 1.0])))
    assert flat.column_metric()[:, 0].tolist() == [4e-12, 4, 4e-12, 1, 1]
    tiny = replace(objective, design=replace(objective.design, energy=1e-18 * flat.design.energy))
    close(tiny.column_metric()[:-1, 0], 1e-18 * flat.column_metric()[:-1, 0], 1e-15)
    nothing = replace(objective, design=replace(objective.design, energy=np.zeros(4)))
    assert np.all(nothing.column_metric() > 0)


def test_gradients_are_measured_in_units_of_tiny_columns():
    """A hundred times the largest column's root mean square, where that is below 1."""
    objective = problem(Case())[0]
    for size in (0.0, 1e-30, 1e-6, 0.009, 0.01, 0.011, 1.0, 1e9):
        energy = size**2 * np.array([0.25, 1.0, 0.0, 0.1])
        unit = replace(objective, design=replace(objective.design, energy=energy)).unit
        assert unit == pytest.approx(100 * size if 0 < size < 0.01 else 1)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_some_rows_stand_for_all(weights):
    """Means over a part are over its fair share of the total weight, which need not be its own."""
    objective, _, w = problem(Case(weights=weights, n=40))
    theta, rows = some_theta(objective, np.random.default_rng(4)), np.arange(3, 33)
    part = objective.take(rows)
    assert part.total == pytest.approx(0.75 * w.sum())
    assert part.share == 0.75
    assert part.take(np.arange(15)).share == 0.375
    s = objective.design.dense()[rows] @ theta[:-1] + theta[-1]
    losses = textbook_losses("cross_entropy", s, objective.y[rows])
    close(part.at(theta).loss, w[rows] @ losses / (0.75 * w.sum()), 1e-12)
    labels = objective.of_rows(rows)
    assert labels.design is objective.design
    assert np.array_equal(labels.y, objective.y[rows])
    assert (labels.weights is None) == (weights == "none")


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weighted_sample_at_0_is_its_sum(loss):
    objective, _, _ = problem(Case(loss=loss, n=120))
    sample = replace(objective.take(np.arange(0, 120, 4)), watch=True)
    close(sample.at(sample.start()).value, sample.at(sample.start() + 1e-9).value, 1e-7)
    assert sample.at(sample.start()).accuracy == pytest.approx(sample.weights[sample.y == 0].sum() / sample.total)


def rows_of_classes(y, weights=None):
    """An objective with these labels and a column of zeros."""
    design = design_of(np.zeros((len(y), 1), np.float32), threads=1).fitted(weights)
    return Objective(design, y, int(y.max()) + 1, LOSSES["squared"](), PENALTIES["l2"](), 0.1, weights)


def test_a_fair_part_has_rows_enough_and_every_class_about_its_share():
    y = np.arange(32768) // 4 % 8
    assert np.array_equal(rows_of_classes(y).fair_part(4), np.arange(0, 32768, 4))
    assert rows_of_classes(y[:-1]).fair_part(4) is None
    assert np.array_equal(rows_of_classes(y[:16384]).fair_part(2), np.arange(0, 16384, 2))
    many = np.arange(40_000) // 4 % 200  # fifty a class in every fourth row, of 200 classes
    assert rows_of_classes(many).fair_part(4) is not None
    assert rows_of_classes(many[:-1]).fair_part(4) is None


@pytest.mark.parametrize(("first", "fair"), [(2, True), (1, False), (8, True), (9, False), (4, True)])
def test_shares_of_half_to_twice_are_fair(first, fair, monkeypatch):
    """Sixteen rows of class 1, four of them seen at the quarter: in every fourth row half to twice of that."""
    monkeypatch.setattr("linearhead.objective.objective.SAMPLE_ROWS", 10)
    monkeypatch.setattr("linearhead.objective.objective.SAMPLE_PER_CLASS", 2)
    y = np.zeros(160, int)
    y[np.arange(first) * 4] = 1
    y[np.arange(16 - first) * 4 + 1] = 1
    assert (rows_of_classes(y).fair_part(4) is not None) == fair
    weights = np.where(y == 1, 1.0, 3.0)
    assert (rows_of_classes(y, weights).fair_part(4) is not None) == fair
    seen = rows_of_classes(y).sample()
    assert (seen is not None) == fair
    if fair:
        assert seen.n == 40
        assert seen.share == seen.total / 160 == 0.25
        assert np.array_equal(seen.y, y[::4])
    weights[np.arange(first) * 4] = 0.0  # of no weight: class 1 is not seen at all
    assert rows_of_classes(y, weights).fair_part(4) is None


def test_rows_without_such_a_view_have_no_sample(monkeypatch):
    monkeypatch.setattr("linearhead.objective.objective.SAMPLE_ROWS", 2)
    monkeypatch.setattr("linearhead.objective.objective.SAMPLE_PER_CLASS", 1)
    for layout, found in (("C", True), ("sparse", False)):
        objective = replace(problem(Case(layout=layout, n=40, weights="none"))[0], y=np.arange(40) // 4 % 3)
        assert objective.fair_part(4) is not None
        assert (objective.sample() is not None) == found


@pytest.mark.parametrize("kind", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("centre", [False, True])
def test_rows_are_centred_and_scaled_a_strip_at_a_time(kind, shift, scale, centre):
    """The numbers of the formula, in the arithmetic's type; beside them no more than a strip in float64."""
    n, d = 40, 30_000
    X = np.random.default_rng(0).integers(0, 200, (n, d)).astype(kind)
    mean, spread = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64) + 1
    moved = {"shift": mean if shift else None, "scale": spread if scale else None}
    design = replace(design_of(X), centre_blocks=centre, **moved)
    tracemalloc.start()
    try:
        found = design.dense()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    wanted = (X - mean * shift) / (spread if scale else 1.0)
    assert found.dtype == design.dtype
    assert np.allclose(found, wanted, rtol=1e-6, atol=2e-5)
    assert peak < n * d * found.itemsize + 4 * 8 * STRIP + 1e5
