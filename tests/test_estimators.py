"""The scikit-learn surface: its own checks without exceptions, types and memory, warm starts, curves, interruptions."""

import functools
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from linearhead import LeastSquaresClassifier, LinearClassifier, LogisticClassifier, MarginClassifier, SoftmaxClassifier
from linearhead.design import design_of
from linearhead.errors import DataError, UsageError
from linearhead.estimators import ESTIMATORS
from test_solvers_agree import blobs

SMOOTH = [SoftmaxClassifier, LogisticClassifier, LeastSquaresClassifier]
ALL = list(ESTIMATORS.values())


def data(n=90, d=5, k=3, seed=0, dtype=np.float64):
    X, y = blobs(np.random.default_rng(seed), n, d, k)
    return X.astype(dtype), y


# ── scikit-learn's own checks ─────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("kind", ALL, ids=ESTIMATORS)
def test_check_estimator_without_exceptions(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some checks fit nonsense on purpose
        results = check_estimator(kind(), on_fail=None, on_skip=None)
    assert len(results) > 50
    assert not [(r["check_name"], r["exception"]) for r in results if r["status"] not in ("passed", "skipped")]
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert skipped <= {
        "check_sample_weights_pandas_series",
        "check_array_api_input",
        "check_classifier_data_not_an_array",
    }


@pytest.mark.parametrize("kind", ALL, ids=ESTIMATORS)
def test_clone_and_parameters(kind):
    model = kind(alpha=0.5, tol=1e-3, class_weight="balanced")
    assert clone(model).get_params() == model.get_params()
    assert ("loss" in model.get_params()) == (kind in (LinearClassifier, MarginClassifier))
    assert model.set_params(alpha=2.0).alpha == 2.0
    with pytest.raises(TypeError, match="colour"):
        kind(colour="red")


def test_search_pipeline_and_cross_validation():
    X, y = data(120)
    pipeline = make_pipeline(StandardScaler(), SoftmaxClassifier())
    search = GridSearchCV(pipeline, {"softmaxclassifier__alpha": [1e-3, 1e-1, 10.0]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.6
    assert cross_val_predict(pipeline, X, y, cv=3, method="predict_proba").shape == (120, 3)


def test_metadata_routing_reaches_fit():
    X, y = data(60)
    w = np.random.default_rng(1).integers(0, 3, 60).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        model = SoftmaxClassifier().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipeline.fit(X, y, sample_weight=w)
    expected = SoftmaxClassifier().fit(StandardScaler().fit_transform(X), y, sample_weight=w)
    np.testing.assert_array_equal(pipeline[-1].coef_, expected.coef_)
    plain = SoftmaxClassifier().fit(StandardScaler().fit_transform(X), y)
    assert np.abs(plain.coef_ - expected.coef_).max() > 1e-3


def test_feature_names_are_checked():
    class Frame:  # what the interchange asks of a data frame, without pandas
        def __init__(self, X, columns):
            self.X, self.columns = X, columns

    pandas = pytest.importorskip("pandas")
    X, y = data()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    model = SoftmaxClassifier().fit(frame, y)
    assert list(model.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("edcba")])


@pytest.mark.parametrize("kind", ALL, ids=ESTIMATORS)
def test_names_of_classes_travel(kind):
    X, y = data()
    names = np.array(["bear", "cat", "dog"], dtype=object)
    model, coded = kind(alpha=0.1).fit(X, names[y]), kind(alpha=0.1).fit(X, y)
    assert list(model.classes_) == list(names)
    assert np.array_equal(model.predict(X), names[coded.predict(X)])
    assert set(np.unique(model.predict(X[:5]))) <= set(names)


@pytest.mark.parametrize("kind", ALL, ids=ESTIMATORS)
@pytest.mark.parametrize("alpha", [0.01, "auto"])
def test_rows_that_are_all_alike_are_told_apart_by_the_intercept(kind, alpha):
    X, y = np.full((36, 50), 0.1, np.float32), np.arange(36) % 3
    model = kind(alpha=alpha).fit(X, y)
    assert model.converged_
    assert not np.any(model.coef_)
    assert np.ptp(model.intercept_) < 1e-6


# ── types and memory ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("kind", SMOOTH)
def test_single_precision_stays(kind):
    X, y = data(dtype=np.float32)
    model = kind(alpha=1e-2).fit(X, y)
    assert model.converged_
    for array in (model.coef_, model.intercept_, model.decision_function(X)):
        assert array.dtype == np.float32
    if hasattr(model, "predict_proba"):
        assert model.predict_proba(X).dtype == np.float32
    exact = kind(alpha=1e-2).fit(X.astype(np.float64), y)
    assert exact.coef_.dtype == np.float64
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint8])
def test_rows_are_read_in_place(dtype):
    X, y = data()
    X = (30 * X + 120).clip(0, 255).astype(dtype)
    for array in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        design = SoftmaxClassifier()._objective(array, y).design
        assert np.shares_memory(design.X, array)


@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_fitting_and_scoring_copy_a_small_part(dtype):
    X = np.random.default_rng(0).integers(0, 256, (240_000, 100), dtype=np.uint8).astype(dtype)
    y = X[:, 0] > 128
    model = SoftmaxClassifier(alpha=1.0, tol=1e-4, standardize=True)
    tracemalloc.start()
    try:
        model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        model.predict(X)
        scoring = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    in_full = X.shape[0] * X.shape[1] * 4  # one copy in float32
    assert peak < 0.6 * in_full
    assert scoring < 0.6 * in_full


def test_other_numbers_become_float64():
    X, y = data()
    X = np.round(10 * X)
    expected = SoftmaxClassifier(alpha=0.1).fit(X, y)
    for kind in (np.int8, np.int64, ">f8"):
        model = SoftmaxClassifier(alpha=0.1).fit(X.astype(kind), y)
        np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(SoftmaxClassifier(alpha=0.1).fit(X.tolist(), y.tolist()).coef_, expected.coef_)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array])
@pytest.mark.parametrize("kind", SMOOTH)
def test_sparse_gives_the_same_answers(kind, form):
    X, y = data(dtype=np.float64)
    X[np.abs(X) < 0.7] = 0
    dense, sparse = kind(alpha=0.05, tol=1e-11).fit(X, y), kind(alpha=0.05, tol=1e-11).fit(form(X), y)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-8)
    np.testing.assert_allclose(sparse.decision_function(form(X)), dense.decision_function(X), atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_same_bits_for_any_number_of_threads(dtype, monkeypatch):
    X, y = data(6000, 40, 4, dtype=dtype)
    seen = []
    for threads in (1, 2, 3):
        monkeypatch.setattr("linearhead.estimators.linear.design_of", functools.partial(design_of, threads=threads))
        models = [SoftmaxClassifier(tol=1e-5), LinearClassifier("squared_hinge", solver="newton", tol=1e-4)]
        models += [LinearClassifier("logistic", solver="sgd", max_iter=2, random_state=0)]
        seen.append([m.fit(X, y).coef_.tobytes() for m in models])
    assert seen[0] == seen[1] == seen[2]


# ── warm starts, batches ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("standardize", [False, True])
def test_warm_start_continues(standardize):
    X, y = data(200, 8, 4)
    model = SoftmaxClassifier(alpha=1e-3, warm_start=True, standardize=standardize).fit(X, y)
    first = model.n_iter_
    coef = model.coef_.copy()
    assert model.fit(X, y).n_iter_ <= 2 < first
    np.testing.assert_allclose(model.coef_, coef, atol=1e-5)
    assert model.set_params(alpha=1.1e-3).fit(X, y).n_iter_ < first
    with pytest.raises(DataError, match="4 classes and 8 features; found 3"):
        model.fit(X[y < 3], y[y < 3])


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "hinge", "crammer_singer", "squared_hinge", "squared"])
def test_batches_that_miss_classes(loss):
    X, y = data(600, 5, 4, seed=3)
    full = LinearClassifier(loss, alpha=1e-2, max_iter=30, solver="sgd", random_state=0).fit(X, y)
    model = LinearClassifier(loss, alpha=1e-2)
    order = np.argsort(np.random.default_rng(0).permutation(600) + 200 * y)  # a batch rarely sees every class
    for epoch in range(20):
        for batch in np.array_split(order, 15):
            model.partial_fit(X[batch], y[batch], classes=[0, 1, 2, 3] if epoch == 0 else None)
    assert {len(np.unique(y[batch])) for batch in np.array_split(order, 15)} & {1, 2, 3}
    assert model.score(X, y) > full.score(X, y) - 0.05
    assert model.n_iter_ == 300
    assert not model.converged_
    assert len(model.trace_) >= 300


def test_batches_are_refused_with_reasons():
    X, y = data()
    with pytest.raises(UsageError, match="first call of partial_fit needs classes"):
        SoftmaxClassifier().partial_fit(X, y)
    model = SoftmaxClassifier().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(DataError, match=r"did not name: \[7\]"):
        model.partial_fit(X[:2], [0, 7])
    with pytest.raises(UsageError, match="differ"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :3], y)


def test_batches_take_weights_bytes_and_sparse_rows():
    X, y = data()
    w = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    heavy = SoftmaxClassifier(batch_size=90, learning_rate=0.1).partial_fit(X, y, [0, 1, 2], sample_weight=w)
    repeated = SoftmaxClassifier(batch_size=180, learning_rate=0.1)
    repeated.partial_fit(np.repeat(X, w.astype(int), axis=0), np.repeat(y, w.astype(int)), [0, 1, 2])
    np.testing.assert_allclose(heavy.coef_, repeated.coef_, atol=1e-12)
    dense = SoftmaxClassifier(learning_rate=0.1).partial_fit(X, y, [0, 1, 2])
    sparse = SoftmaxClassifier(learning_rate=0.1).partial_fit(scipy.sparse.csr_array(X), y, [0, 1, 2])
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-12)
    pixels = (30 * X + 120).clip(0, 255).astype(np.uint8)
    assert SoftmaxClassifier().partial_fit(pixels, y, [0, 1, 2]).coef_.dtype == np.float32


def test_partial_fit_goes_on_from_fit():
    X, y = data(200)
    model = SoftmaxClassifier(alpha=0.1).fit(X, y)
    value, coef = model.trace_.value[-1], model.coef_.copy()
    model.partial_fit(X, y)
    assert not np.array_equal(model.coef_, coef)
    assert model.trace_.value[-1] == pytest.approx(value, rel=0.2)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array, lambda X: X.astype(np.float32)])
@pytest.mark.parametrize("name", ["SoftmaxClassifier", "LeastSquaresClassifier"])
def test_batches_learn_from_columns_far_from_zero(name, form):
    X, y = data(600)
    streams = {}
    for offset in (0, 50):
        streams[offset] = ESTIMATORS[name]()
        for rows in np.split(np.arange(600), 6):
            streams[offset].partial_fit(form(X[rows] + offset), y[rows], [0, 1, 2])
    near, far = (model.score(form(X + offset), y) for offset, model in streams.items())
    assert near > 0.6
    assert far > near - 0.05


@pytest.mark.parametrize("loss", ["squared", "squared_hinge", "cross_entropy"])
def test_a_first_batch_of_a_row_or_two_makes_no_step_too_long(loss):
    X, y = data(400)
    X = X * 10.0 ** np.arange(X.shape[1])
    for size in (1, 2):
        model = LinearClassifier(loss)
        for start in range(0, 400, size):
            model.partial_fit(X[start : start + size], y[start : start + size], [0, 1, 2])
        assert np.abs(X @ model.coef_.T).max() < 100


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("shape", [(60, 300), (400, 20)])
@pytest.mark.parametrize("alpha", [1.0, 100.0, 1e4])
def test_a_strong_penalty_on_float32_rows_is_fitted_to_the_tolerance(alpha, shape, standardize):
    """A rounding of the weights to float32, or of the rows' span, leaves α times itself in the gradient."""
    rng = np.random.default_rng(0)
    X = (20 * rng.standard_normal(shape) + 60).astype(np.float32)
    y = (X[:, :3] + 10 * rng.standard_normal((len(X), 3))).argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SoftmaxClassifier(alpha=alpha, standardize=standardize, tol=1e-8).fit(X, y)
    assert model.converged_
    assert model.certificate_.residual <= 1e-8
    assert model.predict_proba(X[:2]).shape == (2, 3)


def test_weights_of_float32_rows_stay_float32_where_they_suffice():
    X, y = load_digits(return_X_y=True)
    assert SoftmaxClassifier(alpha=0.1).fit(X.astype(np.float32), y).coef_.dtype == np.float32


@pytest.mark.parametrize(("unnamed", "named"), [((), {"C": 1.0}), (("crammer_singer",), {})])
def test_options_of_elsewhere_are_answered_with_those_there_are(unnamed, named):
    with pytest.raises(TypeError, match=r"MarginClassifier: .*all by name: loss, .*alpha = 1/\(C n\)"):
        MarginClassifier(*unnamed, **named)


def test_a_path_is_told_in_a_line():
    X, y = load_digits(return_X_y=True)
    path = SoftmaxClassifier(alpha="auto", tol=1e-3).fit(X[:400], y[:400]).path_
    assert len(repr(path)) < 120
    assert f"chosen {path.alpha_:.3g}" in repr(path)
    assert "theta" not in repr(path.points[0])


@pytest.mark.parametrize("exponent", [-14, -20, -34])
@pytest.mark.parametrize(
    ("loss", "penalty"),
    [("cross_entropy", "l2"), ("logistic", "l2"), ("squared_hinge", "l2"), ("hinge", "l2"), ("cross_entropy", "l1")],
)
@pytest.mark.parametrize(("n", "d", "dtype"), [(400, 20, "f8"), (60, 90, "f8"), (400, 20, "f4")])
def test_columns_of_tiny_numbers_are_fitted_as_in_other_units(exponent, loss, penalty, n, d, dtype):
    """Their gradients are as small: θ = 0 was called an optimum, or nothing came of a thousand iterations."""
    X, y = data(n, d, 4)
    X, unit = X.astype(dtype), 2.0**exponent
    alpha = 0.01 * (unit if penalty == "l1" else unit**2)
    own, tiny = (
        LinearClassifier(loss, penalty=penalty, alpha=a).fit(x, y)
        for a, x in ((0.01, X), (alpha, X * X.dtype.type(unit)))
    )
    assert tiny.converged_
    assert tiny.certificate_.gap < 1e-4 * tiny.certificate_.value
    assert tiny.certificate_.value == pytest.approx(own.certificate_.value, rel=1e-4)
    assert tiny.trace_.passes[-1] < 4 * own.trace_.passes[-1] + 20
    np.testing.assert_allclose(unit * tiny.coef_, own.coef_, atol=3e-3 * np.abs(own.coef_).max())


@pytest.mark.parametrize(("n", "d"), [(400, 20), (60, 90)])
def test_the_strength_for_columns_of_tiny_numbers_is_that_of_other_units(n, d):
    X, y = data(n, d, 4)
    unit = 2.0**-24
    own, tiny = (LinearClassifier(alpha="auto").fit(x, y) for x in (X, unit * X))
    assert tiny.alpha_ == pytest.approx(unit**2 * own.alpha_)
    assert tiny.converged_
