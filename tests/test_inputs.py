"""What a path and an estimator accept as rows, labels and weights, what they refuse; what scikit-learn's C is here."""

import array_api_strict
import numpy as np
import pandas
import pytest
import scipy.sparse
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from linearhead import (
    LeastSquaresClassifier,
    LogisticClassifier,
    MarginClassifier,
    SoftmaxClassifier,
    regularization_path,
)
from linearhead.design import StoredArray, StoredRows, design_of
from linearhead.errors import DataError, DataWarning, UsageError
from linearhead.objective.inputs import checked_labels

ALPHAS = [0.1, 0.01]
FORMS = {
    "list": lambda X: X.tolist(),
    "frame": pandas.DataFrame,
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_matrix,
    "torch": lambda X: pytest.importorskip("torch").tensor(X),
    "strict": array_api_strict.asarray,
    "object": lambda X: X.astype(object),
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300], X[300:400] / 16, y[300:400]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", ["training", "validation", "both"])
def test_a_path_takes_what_an_estimator_takes(digits, form, part):
    X, y, Xv, yv = digits
    make = FORMS[form]
    rows = X if part == "validation" else make(X)
    judges = Xv if part == "training" else make(Xv)
    plain = regularization_path(X, y, valid=(Xv, yv), alphas=ALPHAS, refit=True, tol=1e-9)
    path = regularization_path(rows, y, valid=(judges, yv), alphas=ALPHAS, refit=True, tol=1e-9)
    np.testing.assert_allclose(path.coefs, plain.coefs, atol=1e-7)
    np.testing.assert_allclose(path.refit.theta, plain.refit.theta, atol=1e-7)
    np.testing.assert_allclose(path.valid_loss, plain.valid_loss)
    np.testing.assert_array_equal(path.predict(rows), plain.predict(X))


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (lambda y: None, "requires y to be passed"),
        (lambda y: np.eye(10)[y], r"shape \(300, 10\).*argmax.*MultiOutputClassifier"),
        (lambda y: y + 0.01 * np.arange(300), "continuous"),
        (lambda y: np.where(y == 3, np.nan, y), "contains NaN"),
        (lambda y: np.where(y == 3, None, y.astype(object)), "types NoneType, int"),
        (lambda y: y.astype(object), r"dtype object.*all int.*y\.astype\(int\)"),
        (lambda y: (y > 4).astype(object), r"all bool.*y\.astype\(bool\)"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: 0 * y, "one class only: 0"),
    ],
)
def test_labels_that_are_none(digits, y, words):
    X, labels, *_ = digits
    with pytest.raises(ValueError, match=words):
        regularization_path(X, y(labels), alphas=ALPHAS)
    with pytest.raises(ValueError, match=words):
        SoftmaxClassifier().fit(X, y(labels))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"valid": lambda X, y: (X[:9], y[:8])}, "inconsistent numbers"),
        ({"valid": lambda X, y: (X[:9, :5], y[:9])}, "5 columns, the training rows 64"),
        ({"valid": lambda X, y: X}, "a pair"),
        ({"valid": lambda X, y: (X, y + 5)}, r"classes that y lacks: \[10, 11, 12, 13, 14\]"),
        ({"cv": 3.0}, "number of folds, 'loo', a splitter of scikit-learn or pairs of row numbers; found 3.0"),
        ({"alphas": "auto"}, "must be numbers ≥ 0; found 'auto'"),
        ({"give_up": 0}, "give_up must be a whole number ≥ 1"),
        ({"tol": -1}, "tol must be"),
        ({"penalty": "none"}, "has none: choose l2"),
        ({"sample_weight": lambda X, y: np.ones(3)}, r"\(3,\)"),
    ],
)
def test_options_of_a_path_that_cannot_work(digits, options, words):
    X, y, *_ = digits
    given = {name: value(X, y) if callable(value) else value for name, value in options.items()}
    with pytest.raises(ValueError, match=words):
        regularization_path(X, y, **given)


def test_folds_are_a_number_of_any_type(digits):
    X, y, *_ = digits
    path = regularization_path(X, y, alphas=ALPHAS, cv=np.int64(3))
    assert path.points[0].valid_accuracy == regularization_path(X, y, alphas=ALPHAS, cv=3).points[0].valid_accuracy


def test_rows_without_weight_are_absent_from_a_path(digits):
    X, y, *_ = digits
    with pytest.warns(DataWarning, match=r"left out: \[4\]"):
        path = regularization_path(X, y, alphas=ALPHAS, sample_weight=(y != 4).astype(float), tol=1e-9)
    without = regularization_path(X[y != 4], y[y != 4], alphas=ALPHAS, tol=1e-9)
    assert path.classes.tolist() == without.classes.tolist()
    np.testing.assert_allclose(path.coefs, without.coefs, atol=1e-7)


@pytest.mark.parametrize("weight", [-1.0, 0.0, np.inf, np.nan])
def test_a_class_weighs_more_than_nothing(digits, weight):
    X, y, *_ = digits
    with pytest.raises(UsageError, match=r"class_weight must be finite and above 0; found .* for class 3"):
        SoftmaxClassifier(class_weight={3: weight}).fit(X, y)


DAYS = np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="M8[D]")


@pytest.mark.parametrize("key", [DAYS[0], DAYS[0].item(), "2020-01-01", DAYS[0].astype("M8[ns]")], ids=repr)
@pytest.mark.parametrize("unit", ["D", "ns"])
def test_dates_have_weights_by_what_they_mean(digits, key, unit):
    X, y, *_ = digits
    y, days = y % 3, DAYS.astype(f"M8[{unit}]")
    weighted = SoftmaxClassifier(class_weight={key: 2.0}).fit(X, days[y])
    alike = SoftmaxClassifier(class_weight={0: 2.0}).fit(X, y)
    assert np.array_equal(weighted.coef_, alike.coef_)
    assert np.array_equal(weighted.predict(X), days[alike.predict(X)])


@pytest.mark.parametrize(
    ("class_weight", "words"),
    [
        ("even", "class_weight is None, 'balanced' or {class: weight}; found 'even'"),
        ([1, 2, 3], r"or {class: weight}; found \[1, 2, 3\]"),
        ({"0": 2.0}, r"class_weight names \['0'\], which are no classes of y, and leaves \[0, 1, 2\] out"),
        ({0: 1.0, 7: 2.0}, r"names \[7\], which are no classes of y, and leaves \[1, 2\] out"),
    ],
)
def test_class_weights_that_say_nothing_are_refused_with_what_was_found(digits, class_weight, words):
    X, y, *_ = digits
    y = y % 3
    with pytest.raises(UsageError, match=words):
        SoftmaxClassifier(class_weight=class_weight).fit(X, y)
    with pytest.raises(UsageError, match=words):
        SoftmaxClassifier(class_weight=class_weight).partial_fit(X, y, classes=[0, 1, 2])


def test_weights_of_more_classes_than_a_part_of_the_rows_has(digits):
    X, y, *_ = digits
    given = {0: 2.0, 1: 1.0, 9: 5.0}
    part = SoftmaxClassifier(class_weight=given).fit(X[y < 2], y[y < 2])
    assert np.array_equal(part.coef_, SoftmaxClassifier(class_weight={0: 2.0}).fit(X[y < 2], y[y < 2]).coef_)


def test_many_classes_of_few_rows_are_no_matter_of_regression(digits, recwarn):
    X, *_ = digits
    SoftmaxClassifier().fit(X[:60], np.arange(60))
    regularization_path(X[:60], np.arange(60), alphas=[0.1])
    assert not recwarn.list


@pytest.mark.parametrize("lacking", ["X_valid", "y_valid"])
def test_validation_rows_and_labels_come_together(digits, lacking):
    X, y, Xv, yv = digits
    valid = {"X_valid": Xv, "y_valid": yv} | {lacking: None}
    with pytest.raises(UsageError, match="come together"):
        SoftmaxClassifier().fit(X, y, **valid)


@pytest.mark.parametrize(
    ("form", "column"), [(pandas.DataFrame, r"1 \('kind'\)"), (lambda rows: rows.to_numpy(), "1;")]
)
def test_words_among_the_numbers_are_named(form, column):
    rows = pandas.DataFrame({"size": [1.0, 2.0, 3.0], "kind": ["4", "cat", "dog"]})
    with pytest.raises(DataError, match=f"X holds 'cat' in row 1 of column {column}.*give it as y"):
        SoftmaxClassifier().fit(form(rows), [0, 1, 1])


def test_labels_of_nullable_and_categorical_columns():
    y = pandas.Series([2, 1, 2])
    for kind in ("Int64", "category"):
        assert checked_labels(y.astype(kind), np.zeros((3, 1))).tolist() == [2, 1, 2]


class TestCOfScikitLearn:
    """The table of docs/coming-from.md: the same coefficients."""

    C = 0.3

    def fitted(self, digits, two: bool):
        X, y, *_ = digits
        return X, (y > 4).astype(int) if two else y, self.C * len(y)

    def same(self, ours, theirs):
        coef = ours.coef_ if len(theirs.coef_) > 1 else ours.coef_[1:] - ours.coef_[:1]
        np.testing.assert_allclose(coef, theirs.coef_, atol=1e-5 * np.abs(theirs.coef_).max())

    @pytest.mark.parametrize("two", [False, True])
    def test_logistic_regression(self, digits, two):
        X, y, Cn = self.fitted(digits, two)
        theirs = LogisticRegression(C=self.C, tol=1e-10, solver="newton-cholesky").fit(X, y)
        self.same(SoftmaxClassifier(alpha=(1 + two) / Cn, tol=1e-9).fit(X, y), theirs)
        path = regularization_path(X, y, alphas=[(1 + two) / Cn])
        assert pytest.approx(self.C) == path.C_
        if two:
            ours = LogisticClassifier(alpha=1 / Cn, tol=1e-9).fit(X, y)
            np.testing.assert_allclose(ours.coef_[1:], theirs.coef_, atol=1e-7)
            np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-7)
            assert pytest.approx(self.C) == regularization_path(X, y, loss="logistic", alphas=[1 / Cn]).C_

    def test_weights(self, digits):
        X, y, _ = self.fitted(digits, False)
        w = np.random.default_rng(0).uniform(0, 3, len(y))
        theirs = LogisticRegression(C=self.C, tol=1e-10, solver="newton-cholesky").fit(X, y, sample_weight=w)
        self.same(SoftmaxClassifier(alpha=1 / (self.C * w.sum()), tol=1e-9).fit(X, y, sample_weight=w), theirs)
        path = regularization_path(X, y, alphas=[1 / (self.C * w.sum())], sample_weight=w)
        assert pytest.approx(self.C) == path.C_
        auto = SoftmaxClassifier(alpha="auto").fit(X, y, sample_weight=w)
        assert pytest.approx(1 / (auto.alpha_ * w.sum())) == auto.path_.C_

    def test_a_protocol_halves_the_interval_around_the_best_whatever_the_weights(self, digits):
        X, y, Xv, yv = digits
        plain = regularization_path(X, y, valid=(Xv, yv), protocol="clip", refit=False)
        heavy = regularization_path(X, y, valid=(Xv, yv), protocol="clip", refit=False, sample_weight=np.full(300, 7.0))
        np.testing.assert_allclose(heavy.unit / (heavy.alphas * 2100), np.sort(heavy.unit / (heavy.alphas * 2100)))
        powers = np.log10(heavy.unit / (heavy.alphas * heavy.n_rows))
        np.testing.assert_allclose(powers * 8, np.round(powers * 8), atol=1e-6)
        assert len(heavy.points) == len(plain.points)

    def test_margins(self, digits):
        X, y, Cn = self.fitted(digits, False)
        theirs = LinearSVC(C=self.C, multi_class="crammer_singer", fit_intercept=False, tol=1e-9, max_iter=10**5)
        ours = MarginClassifier(loss="crammer_singer", alpha=1 / Cn, fit_intercept=False, tol=1e-9).fit(X, y)
        self.same(ours, theirs.fit(X, y))
        X, y, Cn = self.fitted(digits, True)
        theirs = LinearSVC(C=self.C, fit_intercept=False, dual=False, tol=1e-9, max_iter=10**5).fit(X, y)
        ours = MarginClassifier(loss="squared_hinge", alpha=2 / Cn, fit_intercept=False, tol=1e-9).fit(X, y)
        self.same(ours, theirs)

    def test_ridge(self, digits):
        X, y, _ = self.fitted(digits, False)
        ours, theirs = LeastSquaresClassifier(alpha=3 / len(y)).fit(X, y), RidgeClassifier(alpha=3).fit(X, y)
        np.testing.assert_allclose(2 * ours.coef_, theirs.coef_, atol=1e-9)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


class TestRowsOnDisk:
    @pytest.fixture
    def stored(self, tmp_path, digits):
        np.save(tmp_path / "x.npy", digits[0])
        np.save(tmp_path / "v.npy", digits[2])
        return StoredArray(tmp_path / "x.npy"), StoredArray(tmp_path / "v.npy")

    def test_some_rows_and_joined_rows_stay_there(self, stored, digits):
        X, y, Xv, _ = digits
        rows = np.random.default_rng(1).permutation(len(y))[:77]
        some, both = stored[0].take(rows), stored[0].take(rows).joined(stored[1])
        for found, wanted in (
            (some, X[rows]),
            (some.take(np.arange(5, 9)), X[rows[5:9]]),
            (both, np.vstack([X[rows], Xv])),
        ):
            assert isinstance(design_of(found), StoredRows)
            np.testing.assert_array_equal(found[:], wanted)

    @pytest.mark.parametrize("given", [True, False])
    def test_a_protocol_loads_none_of_them(self, stored, digits, given, monkeypatch):
        X, y, Xv, yv = digits
        plain = regularization_path(X, y, protocol="clip", valid=(Xv, yv) if given else None)
        monkeypatch.setattr(StoredArray, "__array__", lambda *_, **__: pytest.fail("all rows were loaded"))
        path = regularization_path(stored[0], y, protocol="clip", valid=(stored[1], yv) if given else None)
        np.testing.assert_allclose(path.alphas, plain.alphas)
        np.testing.assert_allclose(path.refit.theta, plain.refit.theta, atol=1e-4)
        np.testing.assert_array_equal(path.predict(stored[1]), plain.predict(Xv))


def test_arrays_are_looked_at_without_a_search_among_the_installed_packages(digits, monkeypatch):
    """narwhals lists them all to find who makes data frames; of NumPy's rows and labels nobody needs to know."""
    plugins = pytest.importorskip("narwhals.plugins")

    def refuse(*_):
        raise AssertionError("the packages were searched")

    monkeypatch.setattr(plugins, "_iter_native_plugins", refuse)
    X, y, new, _ = digits
    for labels in (y, y.astype(str), y > 4):
        model = LeastSquaresClassifier().fit(X.astype(np.float32), labels)
        model.predict(new.astype(np.float32))
    named = LeastSquaresClassifier()
    named.feature_names_in_ = np.array(["a"], dtype=object)
    with pytest.raises(AssertionError, match="were searched"):  # names that are forgotten are worth it
        named.fit(X, y)


def test_arrays_are_checked_as_ever(digits):
    X, y, *_ = digits
    for rows, labels, what in (
        (X, y[:-1], "inconsistent numbers of samples"),
        (X[0], y, "Expected 2D array"),
        (X[:, :0], y, "0 feature"),
        (X, y[:, None].repeat(2, axis=1), "1d array"),
        (X, y + 0.5, "Unknown label type"),
    ):
        with pytest.raises(ValueError, match=what):
            LeastSquaresClassifier().fit(rows, labels)
    frame = pandas.DataFrame(X, columns=[f"c{j}" for j in range(64)])
    model = LeastSquaresClassifier().fit(frame, y)
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X)
    assert not hasattr(model.fit(X, y), "feature_names_in_")
    swapped = X.astype(">f4")
    assert LeastSquaresClassifier().fit(swapped, y).score(swapped, y) > 0.9
