"""A fit that fails, is refused or broken off leaves the former one whole; what is held out is judged by the weights."""

import numpy as np
import pytest

from linearhead import LinearClassifier, SoftmaxClassifier
from linearhead.errors import DataError, UsageError
from linearhead.estimators import ESTIMATORS, linear
from linearhead.records import Status
from linearhead.solvers import SGD
from test_estimators import data


def state(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_") or name.startswith("_")}


def same(before, after):
    return before.keys() == after.keys() and all(before[name] is after[name] for name in before)


def refused(model, X, y):
    """(fit, what it raises) one by one: other classes, columns and names, and then something that cannot be."""
    other = np.array(["x", "y", "z", "u"])[np.arange(len(y)) % 4]
    wide = np.c_[X, X]
    yield lambda: model.fit(wide, other, X_valid=wide, y_valid=y + 50), (DataError, TypeError)
    yield lambda: model.fit(wide, other, X_valid=wide), UsageError
    yield lambda: model.fit(np.where(wide > 0, 1e12, wide), other), DataError
    yield lambda: model.fit(wide, np.zeros(len(y))), DataError
    yield lambda: model.set_params(warm_start=True).fit(wide, other), DataError


@pytest.mark.parametrize("kind", ESTIMATORS.values())
def test_a_refused_fit_leaves_the_former_one_or_none(kind):
    X, y = data(80)
    fitted, new = kind(alpha=0.1).fit(X, y), kind(alpha=0.1)
    for model in (fitted, new):
        before = state(model)
        for i, (fit, error) in enumerate(refused(model, X, y)):
            if i < 4 or model is fitted:  # nothing to go on from is nothing to refuse
                with pytest.raises(error):
                    fit()
                assert same(before, state(model))
        model.set_params(warm_start=False)
    assert fitted.predict(X).dtype == y.dtype
    assert new.fit(X, y).score(X, y) == fitted.score(X, y)


def test_a_refused_batch_leaves_the_batches_before_it():
    X, y = data(80)
    model = SoftmaxClassifier(alpha=0.1)
    for classes in ([0, 1, 2], None):  # the first batch of all, and one that comes later
        before = state(model)
        rows = len(model.trace_) if before else 0
        for bad, labels, given in ((X * np.nan, y, classes), (X, y + 9, classes), (X[:, :2], y, [0, 1, 2, 3])):
            if given != [0, 1, 2, 3] or before:
                with pytest.raises(ValueError, match=r"NaN|did not name|features|classes differ"):
                    model.partial_fit(bad, labels, given)
                assert same(before, state(model))
        assert not before or len(model.trace_) == rows
        model.partial_fit(X, y, [0, 1, 2])


@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_ctrl_c_before_there_are_parameters_changes_nothing(fit, monkeypatch):
    """While data are looked through, or in a pass of batches, half of which is no pass."""
    X, y = data(80)
    model = SoftmaxClassifier(alpha=0.1).fit(X, y)
    before, classes = state(model), np.array(["x", "y", "z"])[y]

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    if fit == "fit":
        monkeypatch.setattr(linear, "check_passes", interrupt)
    else:
        monkeypatch.setattr(SGD, "epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, fit)(X, classes if fit == "fit" else y)
    assert same(before, state(model))


def test_ctrl_c_while_the_fit_is_proven_keeps_its_weights(monkeypatch):
    X, y = data(80)
    model, found = SoftmaxClassifier(alpha=0.1).fit(X, y), SoftmaxClassifier(alpha=0.01).fit(X, y + 3)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(linear, "prove", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(alpha=0.01).fit(X, y + 3)
    assert model.status_ is Status.INTERRUPTED
    assert np.array_equal(model.coef_, found.coef_)
    assert set(model.predict(X)) == set(y + 3)
    assert model.certificate_ is None
    assert not model.converged_
    assert model.undecided(X).all()


def test_a_search_for_alpha_that_is_broken_off_keeps_the_best_so_far(monkeypatch):
    X, y = data(80)
    model, follow = SoftmaxClassifier(alpha="auto").fit(X, y), linear.follow

    def interrupted(path, *given, **options):
        follow(path, *given, **options, callback=lambda point: len(path.points) > 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(linear, "follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y + 3)
    assert model.status_ is Status.INTERRUPTED
    assert model.alpha_ in model.path_.alphas
    assert set(model.predict(X)) <= set(y + 3)


# ── class weights and rows that are held out ──────────────────────────────────────────────────────
@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 0.5}])
@pytest.mark.parametrize("weighted", [False, True])
def test_held_out_rows_are_judged_by_what_is_minimised(class_weight, weighted):
    X, y = data(200)
    keep = np.flatnonzero((y != 0) | (np.arange(200) % 4 == 0))  # an uneven problem
    X, y, w = X[keep], y[keep], None
    n = len(y) // 2
    if weighted:
        w = np.where(y[:n] == 1, 3.0, 1.0) * (np.arange(n) % 7 > 0)
    model = SoftmaxClassifier(alpha=0.1, class_weight=class_weight)
    model.fit(X[:n], y[:n], w, X_valid=X[n:], y_valid=y[n:])
    amounts = np.bincount(y[:n], w)
    own = 1 / amounts if class_weight == "balanced" else np.array([3.0, 0.5, 1.0])
    shares, p = own[y[n:]], model.predict_proba(X[n:])
    loss = np.average(-np.log(p[np.arange(len(p)), y[n:]]), weights=shares)
    assert model.trace_.valid_loss[-1] == pytest.approx(loss)
    assert model.trace_.valid_accuracy[-1] == pytest.approx(np.average(p.argmax(axis=1) == y[n:], weights=shares))


def test_rows_given_and_rows_held_out_are_judged_alike():
    from linearhead.path import hold_out

    X, y = data(210)
    model = LinearClassifier(alpha=1.0, class_weight={0: 20.0})
    judge = hold_out(model._objective(X, y), 0)[1]
    held, theta = judge.weights > 0, np.random.default_rng(0).normal(size=(X.shape[1] + 1, 3))
    given = model._held_out(model._objective(X[~held], y[~held]), X[held], y[held])
    found = [objective.judge(objective.design.from_stored(theta))[0] for objective in (judge, given)]
    assert found[0] == pytest.approx(found[1])
