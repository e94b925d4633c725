"""The objective's checks seen to fail: each planted error is a mistake that someone has made in such code."""

from dataclasses import replace

import numpy as np
import pytest

from linearhead.design import Rows, SparseRows
from linearhead.design.contract import Design
from linearhead.design.rows import RowBlock
from linearhead.losses import CrossEntropy
from linearhead.objective import Objective
from linearhead.penalties import L1, L2, ElasticNet
from test_objective_contract import (
    Case,
    check_derivatives,
    check_single_precision,
    check_value,
    problem,
)
from test_objective_parts import (
    check_batches,
    check_bits,
    check_blocks_add_up,
    check_hessian_is_symmetric,
    check_prox,
    check_weights_are_counts,
)

POINT, SWEEP, WEIGH = Objective._point, Design.sweep, Objective._weigh
HESSIAN, GRADIENT = Objective.hessian_product, Objective.batch_gradient


# ── planted errors: each returns (owner, attribute, replacement) ──────────────────────────────────
def sign_flipped():
    def point(self, theta, value, correct, sums):
        found = POINT(self, theta, value, correct, sums)
        found.gradient *= -1
        return found

    return Objective, "_point", point


def n_missing():
    def point(self, theta, value, correct, sums):
        found = POINT(self, theta, value, correct, sums.copy())
        found.gradient += (self.total - 1) / self.total * self.design.from_rows(sums)
        return found

    return Objective, "_point", point


def intercept_penalised():
    def point(self, theta, value, correct, sums):
        found = POINT(self, theta, value, correct, sums)
        found.gradient[-1] += self.alpha * theta[-1]
        return found

    return Objective, "_point", point


def intercept_forgotten():
    def point(self, theta, value, correct, sums):
        found = POINT(self, theta, value, correct, sums)
        found.gradient[-1] = 0
        return found

    return Objective, "_point", point


def penalty_of_the_gradient_missing():
    return L2, "gradient", lambda self, W: 0 * W


def penalty_of_the_hessian_missing():
    return L2, "hessian_product", lambda self, W, V: 0 * V


def penalty_doubled():
    return L2, "value", lambda self, W: float(np.sum(W * W))


def softmax_hessian_of_the_diagonal_alone():
    def product(self, s, y, d):
        p = self.probabilities(s)
        return p * (1 - p) * d

    return CrossEntropy, "hessian_product", product


def softmax_hessian_without_symmetry():
    def product(self, s, y, d):
        p = self.probabilities(s)
        return p * d - p * p * d.sum(axis=1, keepdims=True)

    return CrossEntropy, "hessian_product", product


def one_maximum_for_all_rows():
    def value_and_gradient(self, s, y):
        rows = np.arange(len(s))
        e = np.exp(s - s.max())
        p = e / (e.sum(axis=1, keepdims=True) + 1e-300)
        value = -np.log(p[rows, y] + 1e-300)
        p[rows, y] -= 1
        return value, p

    return CrossEntropy, "value_and_gradient", value_and_gradient


def weights_ignored():
    return Objective, "_weigh", lambda self, rows, *terms: None


def weights_ignored_in_the_hessian():
    return Objective, "hessian_product", lambda self, *args: HESSIAN(replace(self, weights=None, total=0.0), *args)


def weights_ignored_in_batches():
    return Objective, "batch_gradient", lambda self, *args: GRADIENT(replace(self, weights=None, total=0.0), *args)


def weights_squared():
    def weigh(self, rows, *terms):
        WEIGH(self, rows, *terms)
        WEIGH(self, rows, *terms)

    return Objective, "_weigh", weigh


def last_block_dropped():
    def sweep(self, fn):
        return SWEEP(replace(self, n=self.n - self.n % self.block_rows()), fn)

    return Design, "sweep", sweep


def blocks_added_as_they_come():
    def sweep(self, fn):
        size = self.block_rows() * self.threads
        parts = [fn(self.block(slice(i, min(i + size, self.n)))) for i in range(0, self.n, size)]
        return tuple(np.sum(np.stack(terms).astype(np.float64), axis=0) for terms in zip(*parts, strict=True))

    return Design, "sweep", sweep


def shift_forgotten_in_gradients():
    return (
        Design,
        "from_rows",
        lambda self, g: g if self.scale is None else np.vstack([g[:-1] / self.scale[:, None], g[-1:]]),
    )


def scale_forgotten_in_gradients():
    return Rows, "from_rows", lambda self, g: Design.from_rows(replace(self, scale=None), g)


def scale_multiplied_in_gradients():
    return Rows, "from_rows", lambda self, g: Design.from_rows(replace(self, scale=1 / self.scale), g)


def shift_added_to_scores():
    def to_rows(self, theta):
        raw = Design.to_rows(self, theta).astype(self.dtype)
        raw[-1] += 2 * self.shift @ raw[:-1]
        return raw

    return Rows, "to_rows", to_rows


def sparse_shift_forgotten():
    return (
        SparseRows,
        "to_rows",
        lambda self, theta: Design.to_rows(replace(self, shift=None), theta).astype(self.dtype),
    )


def intercept_always_there():
    def extended(self, x):
        return np.hstack([self._inner(x), np.ones((len(x), 1), self.dtype)])

    return Rows, "_extended", extended


def scores_in_half_precision():
    def forward(self, theta):
        kind = np.float16 if self.x.dtype == np.float32 else np.float64
        return (self.x.astype(kind) @ theta[:-1].astype(kind) + theta[-1]).astype(self.x.dtype)

    return RowBlock, "forward", forward


def moments_without_weights():
    whole = Rows.moments
    return Rows, "moments", lambda self, weights=None: whole(self)


def short_batch_overweighted():
    def gradient(self, theta, batch):
        rows, blocks = batch
        return GRADIENT(self, theta, (min(rows, 5), blocks))

    return Objective, "batch_gradient", gradient


def batches_in_stored_order():
    whole = Objective.batches
    return Objective, "batches", lambda self, order, size: whole(self, np.sort(order), size)


def prox_in_place():
    def prox(self, theta, t):
        theta[:-1] = self.penalty.prox(theta[:-1], (t if np.isscalar(t) else t[:-1]) * self.alpha)
        return theta

    return Objective, "prox", prox


def prox_of_the_intercept():
    def prox(self, theta, t):
        return self.penalty.prox(theta, t * self.alpha)

    return Objective, "prox", prox


def prox_without_alpha():
    def prox(self, theta, t):
        out = theta.copy()
        out[:-1] = self.penalty.prox(theta[:-1], t if np.isscalar(t) else t[:-1])
        return out

    return Objective, "prox", prox


def threshold_of_half():
    return L1, "prox", lambda self, W, t: np.sign(W) * np.maximum(np.abs(W) - t / 2, 0)


def elastic_net_without_its_square():
    return ElasticNet, "prox", lambda self, W, t: np.sign(W) * np.maximum(np.abs(W) - t * self.l1_ratio, 0)


# ── what must fail ────────────────────────────────────────────────────────────────────────────────
def objective(**options):
    return problem(Case(**options))[0]


def wide_scores():
    """Rows whose scores lie a thousand apart."""
    made, X, w = problem(Case(weights="none"))
    scale = np.full(made.n, 1.0)
    scale[::2] = 300
    return replace(made, design=Rows.of(X * scale[:, None], threads=1).fitted()), X * scale[:, None], w


def many_rows(threads=1):
    made = objective(n=3_000, d=5, weights="real", seed=3)
    return replace(made, design=replace(made.design, threads=threads))


CHECKS = {
    "value": lambda: check_value(*problem(Case(standardize=True))),
    "derivatives": lambda: check_derivatives(objective(standardize=True, k=4), 2),
    "derivatives, no intercept": lambda: check_derivatives(objective(intercept=False), 2),
    "symmetry": lambda: check_hessian_is_symmetric(objective()),
    "single precision": lambda: check_single_precision(objective(dtype="float32")),
    "sparse value": lambda: check_value(*problem(Case(layout="sparse"))),
    "far apart": lambda: check_value_at_far_rows(),
    "counts": lambda: check_weights_are_counts(Case(standardize=True)),
    "parts": lambda: check_blocks_add_up(many_rows()),
    "batches": lambda: check_batches(objective(n=33), 7),
    "batches, no intercept": lambda: check_batches(objective(n=33, intercept=False), 7),
    "bits": lambda: check_bits(many_rows),
    "prox": lambda: check_prox(objective()),
    "prox of L1": lambda: check_prox(objective(penalty="l1")),
    "prox of elastic net": lambda: check_prox(objective(penalty="elastic_net")),
}


def check_value_at_far_rows():
    made, X, _ = wide_scores()
    theta = np.random.default_rng(0).normal(size=(made.design.d + 1, made.k))
    s = (X - made.design.shift) @ theta[:-1] + theta[-1]
    m = s.max(axis=1, keepdims=True)
    loss = (np.log(np.exp(s - m).sum(axis=1)) + m[:, 0] - s[np.arange(len(s)), made.y]).mean()
    assert made.at(theta).loss == pytest.approx(loss, rel=1e-12)


MUTANTS = {
    sign_flipped: ["derivatives", "derivatives, no intercept"],
    n_missing: ["derivatives", "parts"],
    intercept_penalised: ["derivatives"],
    intercept_forgotten: ["derivatives"],
    penalty_of_the_gradient_missing: ["derivatives"],
    penalty_of_the_hessian_missing: ["derivatives"],
    penalty_doubled: ["value", "derivatives"],
    softmax_hessian_of_the_diagonal_alone: ["derivatives"],
    softmax_hessian_without_symmetry: ["derivatives", "symmetry"],
    one_maximum_for_all_rows: ["far apart"],
    weights_ignored: ["value", "counts"],
    weights_ignored_in_the_hessian: ["derivatives", "counts"],
    weights_ignored_in_batches: ["batches"],
    weights_squared: ["value", "counts"],
    last_block_dropped: ["parts"],
    blocks_added_as_they_come: ["bits"],
    shift_forgotten_in_gradients: ["derivatives"],
    scale_forgotten_in_gradients: ["derivatives"],
    scale_multiplied_in_gradients: ["derivatives"],
    shift_added_to_scores: ["value", "derivatives"],
    sparse_shift_forgotten: ["sparse value"],
    intercept_always_there: ["batches, no intercept"],
    scores_in_half_precision: ["single precision"],
    moments_without_weights: ["value", "counts"],
    short_batch_overweighted: ["batches"],
    batches_in_stored_order: ["batches"],
    prox_in_place: ["prox"],
    prox_of_the_intercept: ["prox"],
    prox_without_alpha: ["prox", "prox of L1"],
    threshold_of_half: ["prox of L1"],
    elastic_net_without_its_square: ["prox of elastic net"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_checks_pass_as_things_are(name, monkeypatch):
    monkeypatch.setattr(Design, "block_rows", lambda self: 128)
    CHECKS[name]()


@pytest.mark.parametrize(
    ("mutant", "name"),
    [
        pytest.param(mutant, name, id=f"{mutant.__name__}: {name}")
        for mutant, names in MUTANTS.items()
        for name in names
    ],
)
def test_planted_errors_are_found(mutant, name, monkeypatch):
    monkeypatch.setattr(Design, "block_rows", lambda self: 128)
    monkeypatch.setattr(*mutant())
    with pytest.raises((AssertionError, FloatingPointError)):
        CHECKS[name]()


def test_every_check_has_seen_a_planted_error():
    assert set(CHECKS) == {name for names in MUTANTS.values() for name in names}
