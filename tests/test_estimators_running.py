"""What one sees of a fit under way and after it: curves, callbacks, interruptions, warnings, options refused."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from linearhead import LinearClassifier, LogisticClassifier, MarginClassifier, SoftmaxClassifier, certificate
from linearhead.design import contract
from linearhead.errors import ConvergenceWarning, DataError, DataWarning, UsageError
from linearhead.estimators import goal
from linearhead.losses import LOSSES
from linearhead.objective import misfit
from linearhead.records import Status
from linearhead.solvers import SOLVERS, lbfgs
from test_estimators import data

SOLVERS_OF_SOFTMAX = [name for name in SOLVERS if not misfit("cross_entropy", "l2", name)]


def test_a_fit_opens_threads_once_and_judges_rows_once(monkeypatch):
    held, settled, hold, settle = [], [], contract.one_blas_thread, certificate.settle
    monkeypatch.setattr(contract, "one_blas_thread", lambda: held.append(1) or hold())
    monkeypatch.setattr(certificate, "settle", lambda *given: settled.append(1) or settle(*given))
    X, y = data(160)
    model = MarginClassifier(loss="crammer_singer", alpha=1e-5).fit(X.astype(np.float32) + 5, y)
    assert model.coef_.dtype == np.float64  # rounded weights were not good enough, and were looked at before
    assert (len(held), len(settled)) == (2, 1)  # the rows' moments, then all the rest


# ── curves ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("solver", SOLVERS_OF_SOFTMAX)
def test_validation_curves(solver, standardize):
    X, y = data(160)
    rows = []
    model = SoftmaxClassifier(alpha=1e-2, solver=solver, tol=1e-4, standardize=standardize, callback=rows.append)
    if solver == "sgd":
        model.set_params(max_iter=10, random_state=0)
    model.fit(X[:100], y[:100], X_valid=X[100:], y_valid=y[100:])
    trace = model.trace_
    assert rows == trace.rows()
    assert len(trace) == trace.iteration[-1] + 1 > 1
    assert trace.passes == sorted(trace.passes)
    assert trace.seconds == sorted(trace.seconds)
    p = model.predict_proba(X)
    log_loss = -np.log(p[np.arange(160), y])
    assert trace.train_loss[-1] == pytest.approx(log_loss[:100].mean(), rel=1e-6)
    assert trace.valid_loss[-1] == pytest.approx(log_loss[100:].mean(), rel=1e-6)
    assert trace.train_accuracy[-1] == model.score(X[:100], y[:100])
    assert trace.valid_accuracy[-1] == model.score(X[100:], y[100:])
    assert trace.train_loss[0] == pytest.approx(np.log(3))
    penalty = 0.5e-2 * np.sum((model.coef_ * (X[:100].std(axis=0) if standardize else 1)) ** 2)
    assert trace.value[-1] == pytest.approx(trace.train_loss[-1] + penalty, rel=1e-6)


def test_without_validation_rows_there_are_no_such_numbers():
    X, y = data()
    trace = SoftmaxClassifier().fit(X, y).trace_
    assert set(trace.valid_loss) == set(trace.valid_accuracy) == {None}


def test_validation_rows_must_fit():
    X, y = data()
    with pytest.raises(DataError, match=r"y_valid has classes that y lacks: \[9\]"):
        SoftmaxClassifier().fit(X, y, X_valid=X[:3], y_valid=[0, 9, 1])
    with pytest.raises(ValueError, match="features"):
        SoftmaxClassifier().fit(X, y, X_valid=X[:, :2], y_valid=y)


def test_patience_returns_the_best_epoch():
    X, y = data(60, 30, 3, seed=5)  # nearly as many columns as training rows, and some labels wrong: it overfits
    y[:40:5] = (y[:40:5] + 1) % 3
    options = {"solver": "sgd", "patience": 5, "max_iter": 400, "schedule": "constant", "random_state": 0}
    model = SoftmaxClassifier(alpha=1e-6, learning_rate=0.02, **options)
    model.fit(X[:40], y[:40], X_valid=X[40:], y_valid=y[40:])
    losses = model.trace_.valid_loss
    assert model.status_ is Status.EARLY_STOPPED
    assert len(losses) - 1 - int(np.argmin(losses)) == 5
    found = -np.log(model.predict_proba(X[40:])[np.arange(20), y[40:]]).mean()
    assert found == pytest.approx(min(losses))
    with pytest.raises(UsageError, match="patience watches the validation loss"):
        model.fit(X, y)


# ── stops ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("solver", SOLVERS_OF_SOFTMAX)
def test_callback_stops(solver):
    X, y = data(200, 8)
    model = SoftmaxClassifier(solver=solver, callback=lambda row: row["iteration"] == 2, tol=1e-12, random_state=0)
    if solver == "sgd":
        model.fit(X, y)
    else:
        with pytest.warns(ConvergenceWarning, match="the callback asked to stop"):
            model.fit(X, y)
    assert model.status_ is Status.CALLBACK
    assert model.n_iter_ == 2
    assert len(model.trace_) == 3
    assert not model.converged_


@pytest.mark.parametrize("solver", SOLVERS_OF_SOFTMAX)
def test_interruption_keeps_the_best_and_goes_on_rising(solver):
    X, y = data(200, 8)

    def interrupt(row):
        if row["iteration"] == 3:
            raise KeyboardInterrupt

    model = SoftmaxClassifier(solver=solver, callback=interrupt, tol=1e-12, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.status_ is Status.INTERRUPTED
    assert not model.converged_
    assert model.n_iter_ == 3
    assert model.certificate_.value == pytest.approx(model.trace_.value[3], rel=1e-12)
    assert model.certificate_.value < model.trace_.value[0]
    assert model.predict(X).shape == (200,)


def test_a_callback_that_fails_is_heard():
    X, y = data()

    def broken(row):
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        SoftmaxClassifier(callback=broken).fit(X, y)


def test_other_answers_do_not_stop():
    X, y = data()
    model = SoftmaxClassifier(callback=lambda row: "yes").fit(X, y)
    assert model.converged_


def test_warnings_point_at_who_called_fit():
    X, y = data()
    for options in ({"max_iter": 2}, {"alpha": 0, "penalty": "none"}):
        with pytest.warns((ConvergenceWarning, DataWarning)) as said:
            SoftmaxClassifier(**options).fit(X * (y == 1)[:, None] + np.eye(3)[y][:, :1], y)
        assert {w.filename for w in said} == {__file__}


def test_too_few_iterations_are_said():
    X, y = data()
    with pytest.warns(ConvergenceWarning, match=r"Not converged after 2 iterations of lbfgs.*raise max_iter"):
        model = SoftmaxClassifier(max_iter=2).fit(X, y)
    assert model.status_ is Status.MAX_ITER
    assert not model.converged_
    for steps, words in ((0, "0 iterations"), (1, "1 iteration")):  # n_iter_ is 1 at least, as scikit-learn has it
        with pytest.warns(ConvergenceWarning, match=f"Not converged after {words} of lbfgs"):
            SoftmaxClassifier(max_iter=steps).fit(X, y)


@pytest.mark.parametrize("standardize", [False, True])
def test_columns_of_unlike_size_are_told_to_be_what_makes_a_fit_long(standardize):
    X, y = data()
    X = X * 10.0 ** np.linspace(-2, 3, X.shape[1])
    with pytest.warns(ConvergenceWarning) as heard:
        SoftmaxClassifier(solver="gd", alpha=0.1, max_iter=5, standardize=standardize).fit(X, y)
    assert ("standardize=True" in str(heard[0].message)) is not standardize


def test_too_large_a_step_is_said():
    X, y = data()
    with pytest.warns(ConvergenceWarning, match="lower learning_rate"):
        model = LinearClassifier("squared", solver="gd", learning_rate=1e3, max_iter=500).fit(X, y)
    assert model.status_ is Status.DIVERGED
    assert np.isfinite(model.coef_).all()
    with pytest.warns(ConvergenceWarning, match="lower learning_rate"):
        wild = LinearClassifier("squared", solver="sgd", learning_rate=1e6, random_state=0).fit(X, y)
    assert wild.status_ is Status.DIVERGED
    assert np.isfinite(wild.coef_).all()


# ── seeds ─────────────────────────────────────────────────────────────────────────────────────────
def test_seeds_decide_the_shuffling():
    X, y = data(200)
    fits = [SoftmaxClassifier(solver="sgd", max_iter=2, random_state=s).fit(X, y).coef_ for s in (0, 0, 1)]
    assert np.array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


# ── probabilities ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_only_where_they_mean_something(loss):
    X, y = data()
    model = LinearClassifier(loss, alpha=0.1).fit(X, y)
    if not LOSSES[loss].proper:
        assert not hasattr(model, "predict_proba")
        with pytest.raises(AttributeError, match="predict_proba"):
            model.predict_proba(X)
        return
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p)
    assert np.isfinite(model.predict_log_proba((1e3 * X).astype(np.float32))).all()  # where probabilities round to 0
    assert np.array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))


def test_class_weights():
    X, y = data(120, seed=2)
    by_hand = {0: 2.0, 1: 1.0, 2: 0.5}
    w = np.array([by_hand[label] for label in y])
    one = LogisticClassifier(class_weight=by_hand, tol=1e-10).fit(X, y)
    other = LogisticClassifier(tol=1e-10).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-8)
    balanced = w.sum() / (3 * np.bincount(y, w))
    one = LogisticClassifier(class_weight="balanced", tol=1e-10).fit(X, y, sample_weight=w)
    other = LogisticClassifier(tol=1e-10).fit(X, y, sample_weight=w * balanced[y])
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-8)


# ── options ───────────────────────────────────────────────────────────────────────────────────────
BAD = [
    ({"alpha": -1}, "alpha must be a finite number ≥ 0 or 'auto'; found -1"),
    ({"alpha": np.nan}, "alpha must be"),
    ({"alpha": np.inf}, "alpha must be"),
    ({"alpha": "1"}, "alpha must be"),
    ({"alpha": None}, "alpha must be"),
    ({"tol": -1e-3}, "tol must be"),
    ({"tol": "tight"}, "tol must be"),
    ({"l1_ratio": 1.2, "penalty": "elastic_net"}, "l1_ratio must be a finite number ≥ 0 and ≤ 1; found 1.2"),
    ({"margin": 0, "loss": "hinge"}, "margin must be a finite number > 0; found 0"),
    ({"margin": np.nan, "loss": "hinge"}, "margin must be"),
    ({"momentum": 1.0, "solver": "sgd"}, "momentum must be a finite number ≥ 0 and < 1 or None; found 1.0"),
    ({"batch_size": 0, "solver": "sgd"}, "batch_size must be a whole number ≥ 1; found 0"),
    ({"batch_size": 2.5, "solver": "sgd"}, "batch_size must be"),
    ({"max_iter": -1}, "max_iter must be a whole number ≥ 0 or None"),
    ({"max_iter": 1.5}, "max_iter must be"),
    ({"max_iter": True}, "max_iter must be"),
    ({"patience": 0}, "patience must be"),
    ({"schedule": "linear", "solver": "sgd"}, "schedule is one of cosine, constant, inverse; found 'linear'"),
    ({"fit_intercept": "no"}, "fit_intercept is True or False; found 'no'"),
    ({"standardize": "false"}, "standardize is True or False; found 'false'"),
    ({"callback": 3}, "callback is a function that takes a row of the trace, or None; found 3"),
    ({"learning_rate": 0, "solver": "sgd"}, "learning_rate must be a finite number > 0 or None; found 0"),
    ({"learning_rate": "1/L", "solver": "sgd"}, "sgd takes a number as learning_rate, or tries several"),
    ({"learning_rate": "fast", "solver": "gd"}, "or '1/L' or 'backtracking' or None; found 'fast'"),
    ({"loss": "mse"}, "Unknown loss 'mse'. Known: cross_entropy, logistic"),
    ({"loss": ["hinge"]}, "Unknown loss"),
    ({"penalty": "l3"}, "Unknown penalty 'l3'. Known: none, l2, l1, elastic_net"),
    ({"solver": "adam"}, "Unknown solver 'adam'. Known: auto, gd, sgd"),
    ({"solver": {}}, "Unknown solver"),
    ({"loss": "hinge", "solver": "gd"}, "gd on hinge needs a number as learning_rate"),
    ({"class_weight": "even"}, "balanced"),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[str(options) for options, _ in BAD])
def test_options_that_cannot_work(options, words):
    X, y = data()
    with pytest.raises(ValueError) as error:
        LinearClassifier(**options).fit(X, y)
    assert words in str(error.value)


def test_every_misfit_is_refused_with_remedies_from_the_registries():
    X, y = data()
    refused = 0
    for loss in LOSSES:
        for penalty in ("none", "l2", "l1", "elastic_net"):
            for solver in SOLVERS:
                if not (reason := misfit(loss, penalty, solver)):
                    continue
                with pytest.raises(UsageError) as error:
                    LinearClassifier(loss, penalty=penalty, solver=solver).fit(X, y)
                assert reason in str(error.value)
                assert f"Solvers that fit {loss} with {penalty}: auto, " in str(error.value)
                refused += 1
    assert refused > 60


def test_margin_classifier_takes_margin_losses_only():
    X, y = data()
    with pytest.raises(UsageError, match="one of hinge, crammer_singer, squared_hinge; found 'cross_entropy'"):
        MarginClassifier(loss="cross_entropy").fit(X, y)


def test_hinges_go_on_beyond_their_tolerance_for_as_many_passes_again_at_most():
    """Without a tol: to 1e-8 where float32 rows let them, and where they do not, what was asked for is certified."""
    X, y = load_digits(return_X_y=True)
    model = LinearClassifier("hinge", alpha=1e-2).fit((X / 16).astype(np.float32), y)
    assert model.converged_
    assert model.certificate_.tolerance == 1e-4
    assert model.certificate_.residual <= 1e-8
    assert model.certificate_.undecided < 10
    far = (64 * X[:300]).astype(np.float32)
    short, long = (LinearClassifier("hinge", alpha=1e-4, tol=tol).fit(far, y[:300]) for tol in (1e-4, None))
    assert long.converged_
    assert long.status_ is Status.CONVERGED
    assert short.trace_.passes[-1] < long.trace_.passes[-1] < 3 * short.trace_.passes[-1]


def separable(seed, n=300, held=200, d=60, k=5):
    """Rows of Gaussian classes that lie apart, fitted and new ones, in float32."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n + held)
    X = (rng.normal(size=(k, d))[y] + rng.normal(size=(n + held, d)) * np.logspace(0, -1.5, d)).astype(np.float32)
    return X[:n], y[:n], X[n:]


def test_by_default_predictions_are_certain_at_weak_penalties_too():
    """A gradient of 1e-7 is met there where F is 1e-6, and the gap all of it: every new row was undecided."""
    X, y, new = separable(0)
    for alpha in (1e-6, 1e-8):
        fit = SoftmaxClassifier(alpha=alpha).fit(X, y)
        assert fit.converged_
        assert fit.undecided(new).sum() <= 2
        assert fit.certificate_.tolerance == 1e-7
        told = SoftmaxClassifier(alpha=alpha, tol=1e-7).fit(X, y)
        assert told.undecided(new).all() or alpha > 1e-8
        assert told.trace_.passes[-1] < fit.trace_.passes[-1]
    chosen = SoftmaxClassifier(alpha="auto").fit(X, y)  # F's alpha was 1 while there was none
    assert 2 * chosen.certificate_.gap < 4e-6 * chosen.alpha_ * np.sum(chosen.coef_**2)
    firm = SoftmaxClassifier(alpha=1e-3).fit(X, y)  # where the tolerance says enough nothing is added
    assert firm.trace_.passes == SoftmaxClassifier(alpha=1e-3, tol=1e-7).fit(X, y).trace_.passes


def test_a_fit_hopes_for_certain_predictions_for_as_many_passes_again_at_most(monkeypatch):
    X, y, _ = separable(1)
    monkeypatch.setattr(goal, "SURE", 1e-13)  # further than float64 goes
    reached = SoftmaxClassifier(alpha=1e-8, tol=1e-7).fit(X, y).trace_.passes[-1]
    fit = SoftmaxClassifier(alpha=1e-8).fit(X, y)
    assert fit.converged_
    assert fit.status_ is Status.CONVERGED
    assert fit.trace_.passes[-1] <= 3 * max(reached, lbfgs.LEAST_AGAIN) + 10
