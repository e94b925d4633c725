"""L-BFGS goes without a curvature model while that looks cheaper: the price by arithmetic, the rate, the whole fit."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

from linearhead import SoftmaxClassifier
from linearhead.estimators import by_lbfgs
from linearhead.estimators.by_lbfgs import DEAR
from linearhead.objective.objective import Objective
from linearhead.objective.price import model_price
from linearhead.records import Status
from linearhead.solvers import LBFGS
from test_solvers_agree import objective_of


def clusters(n, d, k):
    rng = np.random.default_rng(0)
    y, spread = rng.integers(0, k, n), np.logspace(0, -1, d)
    return (rng.standard_normal((k, d))[y] + rng.standard_normal((n, d))) * spread, y


def price(n, d, k, kind=np.asarray):
    return model_price(objective_of(kind(np.ones((n, d))), np.arange(n) % k, "cross_entropy", 1e-3))


def test_the_price_is_that_of_directions_and_models_in_passes():
    assert price(40_000, 20, 10) < DEAR  # passes that are dear themselves
    assert price(800, 500, 10) > DEAR
    assert price(800, 1000, 10) > price(800, 500, 10) > price(800, 100, 10)
    assert price(300, 5, 3) < 1
    assert price(800, 500, 10, scipy.sparse.csr_array) == 0  # not measured there
    objective = objective_of(np.ones((800, 500)), np.arange(800) % 10, "cross_entropy", 1e-3)
    objective.basis()
    assert model_price(objective) == 0  # it is there


@pytest.mark.parametrize(
    ("residuals", "allowed", "expected"),
    [
        ([1, 0.1, 1e-2, 1e-3, 1e-4], 20, False),  # a decade a pass: two are left
        ([1, 0.9, 0.8, 0.7, 0.6], 20, True),  # by that rate 90
        ([1, 0.9, 0.8, 0.7, 0.6], 400, False),  # not yet a quarter of what is allowed
        ([1, 0.1, 0.1, 0.1, 0.1], 16, True),  # what was gained long ago says nothing
        ([1, 0.1], 4, False),  # two points tell no rate
        (np.geomspace(1, 1e-5, 60), 20, True),  # whatever the rate, not three times what is allowed
    ],
)
def test_it_is_too_long_by_the_last_halfs_rate(residuals, allowed, expected):
    trace = SimpleNamespace(passes=list(range(1, len(residuals) + 1)), gradient_norm=list(residuals))
    assert LBFGS(tol=1e-6, allowed=allowed)._too_long(trace) == expected


def test_classes_that_lie_apart_are_fitted_without_a_model(monkeypatch):
    X, y = clusters(600, 400, 10)

    def never(*_, **__):
        raise AssertionError("a model was made")

    monkeypatch.setattr(Objective, "preconditioner", never)
    clf = SoftmaxClassifier(alpha=1e-3).fit(X, y)
    assert clf.converged_
    monkeypatch.setattr(by_lbfgs, "DEAR", np.inf)
    with pytest.raises(AssertionError, match="a model was made"):
        SoftmaxClassifier(alpha=1e-3).fit(X, y)


def overlapping():
    rng = np.random.default_rng(0)
    y, spread = rng.integers(0, 4, 900), 30 * np.logspace(0, -3, 400)
    return (0.1 * rng.standard_normal((4, 400))[y] + rng.standard_normal((900, 400))) * spread, y


def test_where_that_takes_long_a_model_is_made_from_there(monkeypatch):
    X, y = overlapping()
    made, kept = [], []
    whole = Objective.preconditioner
    monkeypatch.setattr(Objective, "preconditioner", lambda self, *a, **k: made.append(1) or whole(self, *a, **k))
    clf = SoftmaxClassifier(alpha=1e-6, callback=kept.append).fit(X, y)
    trace = clf.trace_
    assert made
    assert clf.converged_
    assert len(trace) == len(kept) == clf.n_iter_ + 2  # one row more for where it goes on
    assert np.all(np.diff(trace.passes) >= 0)
    assert np.all(np.diff(trace.iteration) >= 0)
    assert trace.iteration[-1] == clf.n_iter_
    assert np.all(np.diff(trace.value) <= 1e-12)
    objective = replace(clf._objective(X, y), alpha=1e-6)
    alone = LBFGS(tol=1e-7, preconditioned=False)(objective, objective.start())
    assert trace.passes[-1] < 0.7 * alone.trace.passes[-1]
    monkeypatch.setattr(by_lbfgs, "DEAR", np.inf)
    at_once = SoftmaxClassifier(alpha=1e-6).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), at_once.predict_proba(X), atol=1e-3)


def test_both_parts_together_keep_to_max_iter(monkeypatch):
    X, y = overlapping()
    monkeypatch.setattr(by_lbfgs, "model_price", lambda objective: 40.0)  # gives up after ten passes or more
    with pytest.warns(match="Not converged after 14 iterations"):
        clf = SoftmaxClassifier(alpha=1e-8, max_iter=14).fit(X, y)
    assert clf.status_ is Status.MAX_ITER
    assert clf.n_iter_ == 14
