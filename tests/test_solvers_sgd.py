"""Stochastic gradient descent comes within a thousandth of the optimal F, found by the solver that auto picks."""

import numpy as np
import pytest
import scipy.sparse

from linearhead import LinearClassifier
from linearhead.losses import LOSSES
from linearhead.objective import choose_solver
from linearhead.solvers import SOLVERS
from test_solvers_agree import blobs, objective_of

SETTINGS = {
    "batches of one": {"batch_size": 1},
    "as it comes": {},
    "all rows": {"batch_size": 200, "max_iter": 1000},
}


def sgd_gap(loss, penalty="l2", seed=1, **options):
    """(F − F*) / F* of SGD, F* from the solver that auto picks."""
    X, y = blobs(np.random.default_rng(seed), 200, 5, 3, spread=0.7)
    objective = objective_of(X, y, loss, 0.01, penalty=penalty)
    best = SOLVERS[choose_solver(loss, penalty)](tol=1e-7)(objective, objective.start()).point.value
    found = SOLVERS["sgd"](**options)(objective, objective.start()).point.value
    assert found >= best * (1 - 1e-7)
    return (found - best) / best


@pytest.mark.parametrize("loss", LOSSES)
def test_sgd_comes_within_a_thousandth(loss):
    assert sgd_gap(loss) <= 1e-3


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_kind_of_sgd_comes_within_a_thousandth(setting):
    assert sgd_gap("cross_entropy", **SETTINGS[setting]) <= 1e-3


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_array])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_sgd_on_sparse_rows_is_sgd_on_dense_ones(penalty, form):
    X, y = blobs(np.random.default_rng(2), 60, 5, 3)
    X[np.abs(X) < 0.5] = 0
    for standardize in (False, True):
        options = {"penalty": penalty, "alpha": 0.01, "solver": "sgd", "max_iter": 3, "learning_rate": 0.05}
        options |= {"standardize": standardize, "random_state": 0}
        dense, sparse = (LinearClassifier(**options).fit(rows, y) for rows in (X, form(X)))
        np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-10)


def test_single_rows_end_where_they_should_within_many_blocks():
    X, y = blobs(np.random.default_rng(3), 700, 3000, 3)  # a block has 131 rows, so that trials end within a pass
    fitted = LinearClassifier(alpha=0.1, solver="sgd", batch_size=1, max_iter=1).fit(X.astype(np.float32), y)
    assert fitted.n_iter_ == 1
    assert fitted.score(X, y) > 0.9


@pytest.mark.filterwarnings("ignore::linearhead.errors.ConvergenceWarning")
def test_the_rate_of_the_steps_is_told():
    X, y = blobs(np.random.default_rng(0), 60, 4, 3, spread=0.7)
    fit = {
        (solver, rate): LinearClassifier(alpha=0.1, solver=solver, learning_rate=rate, max_iter=5, random_state=0).fit(
            X, y
        )
        for solver, rate in (("sgd", None), ("sgd", 0.3), ("gd", "1/L"), ("gd", None), ("lbfgs", None))
    }
    rates = {key: clf.learning_rate_ for key, clf in fit.items()}
    assert rates["sgd", None] > 0
    again = LinearClassifier(alpha=0.1, solver="sgd", learning_rate=rates["sgd", None], max_iter=5, random_state=0).fit(
        X, y
    )
    np.testing.assert_array_equal(again.coef_, fit["sgd", None].coef_)
    assert (rates["sgd", 0.3], rates["gd", None], rates["lbfgs", None]) == (0.3, None, None)
    assert rates["gd", "1/L"] > 0
