"""Counting a row twice, leaving it out, and renaming rows, columns and classes: every batch solver is blind to it.

Weight 2 is the row twice and weight 0 no row, within 1e-6; permutations move coefficients by at most 1e-8.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse

from linearhead import LinearClassifier
from linearhead.errors import ConvergenceWarning
from linearhead.objective import misfit
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS
from test_solvers_agree import blobs

LOSSES = ("cross_entropy", "logistic", "hinge", "crammer_singer", "squared_hinge", "squared")
BATCH = [name for name in SOLVERS if name not in ("sgd", "gd")]
TRIPLES = [
    (loss, penalty, solver)
    for loss in LOSSES
    for penalty in PENALTIES
    for solver in BATCH
    if penalty != "none"
    and not misfit(loss, penalty, solver)
    # a kinked loss with a kinked penalty is certified by its gap alone (below): its optimum need not be unique
    and (solver != "dual" or penalty == "l2")
]
TRIPLES += [("cross_entropy", "l2", "gd"), ("squared", "elastic_net", "gd")]


def model(loss, penalty, solver, **options):
    """Fitted as far as the arithmetic goes; α keeps gradient descent quick."""
    alpha = 0.03 if penalty in ("l1", "elastic_net") else 0.1
    options = {"tol": 1e-11, "max_iter": 5000, "alpha": alpha, **options}
    return LinearClassifier(loss, penalty=penalty, solver=solver, **options)


def fitted(X, y, triple, sample_weight=None, **options):
    """(W (k, d), b (k,) less their mean where only differences count)."""
    found = model(*triple, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the tolerance may lie below the rounding floor
        found.fit(X, y, sample_weight=sample_weight)
    return found.coef_, found.intercept_ - found.intercept_.mean()


def data(seed=0, n=36, d=4, k=3):
    X, y = blobs(np.random.default_rng(seed), n, d, k)
    return X / X.std(axis=0), y


def same(found, wanted, atol):
    for a, b in zip(found, wanted, strict=True):
        assert np.abs(a - b).max() <= atol * max(1.0, np.abs(b).max())


def check_counts(triple, seed):
    X, y = data(seed)
    counts = np.random.default_rng(seed + 1).integers(0, 4, len(y))
    for standardize in (False, True):
        weighted = fitted(X, y, triple, counts.astype(float), standardize=standardize)
        repeated = fitted(np.repeat(X, counts, axis=0), np.repeat(y, counts), triple, standardize=standardize)
        scaled = fitted(X, y, triple, 7.5 * counts, standardize=standardize)
        same(weighted, repeated, 1e-6)
        same(weighted, scaled, 1e-6)


@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_weights_are_counts(triple):
    check_counts(triple, 0)


def check_order(triple, seed):
    X, y = data(seed)
    W, b = fitted(X, y, triple)
    rng = np.random.default_rng(seed + 1)
    rows, columns, classes = rng.permutation(len(y)), rng.permutation(4), np.array([2, 0, 1])
    same(fitted(X[rows], y[rows], triple), (W, b), 1e-8)
    same(fitted(X[:, columns], y, triple), (W[:, columns], b), 1e-8)
    same(fitted(X, classes[y], triple), (W[np.argsort(classes)], b[np.argsort(classes)]), 1e-8)


@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_order_does_not_matter(triple):
    check_order(triple, 2)


@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_sparse_is_dense(triple):
    X, y = data(4)
    X[np.abs(X) < 0.4] = 0
    for standardize in (False, True):
        dense = fitted(X, y, triple, standardize=standardize)
        same(fitted(scipy.sparse.csr_array(X), y, triple, standardize=standardize), dense, 1e-8)


@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_scale_of_columns_is_absorbed_by_standardize(triple):
    X, y = data(5)
    scale, offset = np.array([1e-3, 1.0, 20.0, 1e3]), np.array([5.0, -1.0, 0.0, 2e3])
    W, _ = fitted(X, y, triple, standardize=True)
    moved, _ = fitted(X * scale + offset, y, triple, standardize=True)
    same((moved * scale,), (W,), 1e-6)


@pytest.mark.parametrize("penalty", ["l1", "elastic_net"])
@pytest.mark.parametrize("loss", ["hinge", "crammer_singer"])
def test_kinks_on_both_sides_agree_within_their_gaps(loss, penalty):
    X, y = data()
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    fits = [
        LinearClassifier(loss, penalty=penalty, alpha=0.03, tol=1e-6).fit(
            np.repeat(X, counts, axis=0), np.repeat(y, counts)
        ),
        LinearClassifier(loss, penalty=penalty, alpha=0.03, tol=1e-6).fit(X, y, sample_weight=counts.astype(float)),
    ]
    certificates = [fit.certificate_ for fit in fits]
    assert all(c.certified for c in certificates)
    assert abs(certificates[0].value - certificates[1].value) <= max(c.gap for c in certificates)
