"""Blocks, mini-batches, proxes, threads and weights: however the rows are cut up or counted, the objective is the same.

Checks take an `Objective`, a case or a maker of objectives; `test_mutants_objective.py` sees them fail.
"""

from dataclasses import replace

import numpy as np
import pytest

from linearhead.design import design_of
from linearhead.losses import LOSSES
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


@pytest.mark.parametrize("layout", ["C", "sparse"])
def test_every_look_at_the_rows_is_counted_as_a_pass(layout):
    objective, _, _ = problem(Case(layout=layout, n=40))
    theta = objective.start()
    for part, share in ((objective, 1.0), (objective.take(np.arange(10)), 0.25)):
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
