"""Hostile arrays: each is refused with a sentence that names the place, or fitted right, or what is lost is said.

Never a hang (every case has a time limit), never NaN, never a RuntimeWarning, never a model near chance without a word.
"""

import re
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning, NotFittedError

from linearhead import LeastSquaresClassifier, LogisticClassifier, MarginClassifier, SoftmaxClassifier
from linearhead.errors import ConvergenceWarning, DataWarning
from linearhead.records import Status
from test_solvers_agree import blobs

SECONDS = 60  # a case needs well under one; the limit allows for a busy machine
ROW, COLUMN = 17, 2
X, Y = blobs(np.random.default_rng(0), 120, 5, 3, spread=1.5)
X = X / X.std(axis=0)

MODELS = {
    "softmax": lambda **o: SoftmaxClassifier(alpha=1e-3, **o),
    "logistic": lambda **o: LogisticClassifier(alpha=1e-3, **o),
    "squares": lambda **o: LeastSquaresClassifier(alpha=1e-3, **o),
    "squared hinge": lambda **o: MarginClassifier(loss="squared_hinge", alpha=1e-3, **o),
    "hinge": lambda **o: MarginClassifier(loss="hinge", alpha=1e-2, tol=1e-3, **o),
}
SMOOTH = ["softmax", "logistic", "squares", "squared hinge"]


@dataclass
class Case:
    """fit on (X, y) with a model; `refused`: words of the error; `said`: words of a warning; else it must be right."""

    name: str
    X: Callable
    y: Callable = lambda: Y
    model: str = "softmax"
    refused: str = ""
    said: str = ""
    accuracy: float | None = None  # None: that of the clean rows less 0.03
    options: dict = field(default_factory=dict)
    fit: dict = field(default_factory=dict)
    action: str = "fit"


class TooLong(BaseException):
    pass


@pytest.fixture
def limited():
    def stop(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def with_cell(value, dtype=np.float64, form=None):
    def make():
        Z = X.astype(dtype)
        Z[ROW, COLUMN] = value
        return Z if form is None else form(Z)

    return make


def with_column(change):
    def make():
        Z = X.copy()
        Z[:, COLUMN] = change(Z[:, COLUMN])
        return Z

    return make


PLACE = rf"row {ROW} column {COLUMN}"
FAR = rf"Column {COLUMN} of X .*row {ROW}"
CASES = []
for model in SMOOTH:
    for standardize in (False, True):
        o = {"standardize": standardize}
        for value in (np.nan, np.inf, -np.inf):
            CASES.append(Case(f"cell {value}", with_cell(value), model=model, options=o, refused=PLACE))
        for value in (1e30, 1e100, 1e200, 1e300, -1e300):
            words = {"said": FAR} if standardize else {"refused": FAR}
            CASES.append(Case(f"cell {value}", with_cell(value), model=model, options=o, accuracy=0.5, **words))
        words = {"said": FAR} if standardize else {"refused": FAR}
        CASES.append(
            Case("float32 cell 1e30", with_cell(1e30, np.float32), model=model, options=o, accuracy=0.5, **words)
        )
        CASES.append(Case("float16 cell inf", with_cell(np.inf, np.float16), model=model, options=o, refused=PLACE))
for form in (scipy.sparse.csr_array, scipy.sparse.csc_array, scipy.sparse.coo_matrix):
    for value, words in ((np.nan, PLACE), (np.inf, PLACE), (1e30, FAR), (1e300, FAR)):
        CASES.append(Case(f"sparse {form.__name__} cell {value}", with_cell(value, form=form), refused=words))
for model in MODELS:
    for standardize in (False, True):
        o = {"standardize": standardize}
        for offset in (1e8, -1e8):
            CASES.append(
                Case(
                    f"constant column {offset}",
                    lambda offset=offset: np.hstack([X, np.full((120, 1), offset)]),
                    model=model,
                    options=o,
                )
            )
        CASES.append(Case("column + 1e8", with_column(lambda c: c + 1e8), model=model, options=o))
        CASES.append(Case("all zero column", with_column(lambda c: 0 * c), model=model, options=o, accuracy=0.5))
        huge = {} if standardize else {"refused": rf"Column {COLUMN} of X spreads over 1e\+06"}
        CASES.append(
            Case(
                "column × 1e6",
                with_column(lambda c: c * 1e6),
                model=model,
                options=o,
                **({} if model == "hinge" else huge),
            )
        )
        CASES.append(
            Case(
                "column × 1e-6",
                with_column(lambda c: c * 1e-6),
                model=model,
                options=o,
                accuracy=None if standardize else 0.5,
            )
        )
    CASES.append(Case("one class", lambda: X, lambda: np.full(120, "cat"), model, refused="one class only: cat"))
    CASES.append(
        Case("no weight at all", lambda: X, model=model, fit={"sample_weight": np.zeros(120)}, refused="weights")
    )
    lost = (Y != 1).astype(float)
    CASES.append(
        Case(
            "class without weight",
            lambda: X,
            model=model,
            fit={"sample_weight": lost},
            said=r"left out: \[1\]",
            accuracy=0.4,
        )
    )
for model in ("softmax", "hinge"):
    CASES += [
        Case("ragged", lambda: [[1.0, 2.0], [3.0]], lambda: [0, 1], model, refused="inhomogeneous"),
        Case("complex", lambda: X + 1j, model=model, refused="Complex data"),
        Case("words", lambda: np.full((120, 2), "red"), model=model, refused="X holds 'red' in row 0 of column 0"),
        Case("objects", lambda: np.full((120, 2), object()), model=model, refused="float"),
        Case(
            "None",
            lambda: np.where(X > 2, None, X.astype(object)),
            model=model,
            refused=r"NaN or infinity in \d+ place",
        ),
        Case("numbers as objects", lambda: X.astype(object), model=model),
        Case("numbers as strings", lambda: X.astype(str), model=model),
        Case("dates", lambda: np.zeros((120, 2), "M8[s]"), model=model, refused="dates or durations in column 0"),
        Case("durations", lambda: np.zeros((120, 2), "m8[s]"), model=model, refused="dates or durations in column 0"),
        Case(
            "masked", lambda: np.ma.masked_greater(X, 2.5), model=model, refused=r"X masks \d+ values: row \d+ column"
        ),
        Case("masked nowhere", lambda: np.ma.masked_greater(X, 1e9), model=model),
        Case("one dimension", lambda: X[:, 0], model=model, refused="Expected 2D array"),
        Case("three dimensions", lambda: X[:, :, None], model=model, refused="dim 3"),
        Case("no rows", lambda: X[:0], lambda: Y[:0], model, refused="0 sample"),
        Case("no columns", lambda: X[:, :0], model=model, refused="0 feature"),
        Case("one row", lambda: X[:1], lambda: Y[:1], model, refused="one class only"),
        Case("lengths differ", lambda: X, lambda: Y[:-1], model, refused=r"\[120, 119\]"),
        Case("y NaN", lambda: X, lambda: np.where(Y == 1, np.nan, Y), model, refused="NaN"),
        Case("y None", lambda: X, lambda: None, model, refused="None"),
        Case(
            "y of mixed types",
            lambda: X,
            lambda: np.where(Y == 1, "a", Y.astype(object)),
            model,
            refused="types int, str",
        ),
        Case("y continuous", lambda: X, lambda: Y + 0.5, model, refused="continuous"),
        Case("y one-hot", lambda: X, lambda: np.eye(3)[Y], model, refused="1d array"),
        Case("y a column", lambda: X, lambda: Y[:, None], model, said="column-vector"),
        Case("y booleans", lambda: X, lambda: Y == 1, model, accuracy=0.6),
        Case(
            "weight negative",
            lambda: X,
            model=model,
            fit={"sample_weight": np.where(np.arange(120) == 5, -1.0, 1)},
            refused=r"row 5 \(-1.0\)",
        ),
        Case("weight NaN", lambda: X, model=model, fit={"sample_weight": np.where(Y == 1, np.nan, 1)}, refused="NaN"),
        Case(
            "weight inf", lambda: X, model=model, fit={"sample_weight": np.where(Y == 1, np.inf, 1)}, refused="infinity"
        ),
        Case(
            "weights too few",
            lambda: X,
            model=model,
            fit={"sample_weight": np.ones(7)},
            refused=r"\(7,\), expected \(120,\)",
        ),
        Case(
            "weights of two dimensions",
            lambda: X,
            model=model,
            fit={"sample_weight": np.ones((120, 2))},
            refused="1D array",
        ),
        Case("weights 1e308", lambda: X, model=model, fit={"sample_weight": np.full(120, 1e308)}),
        Case("weights 1e-320", lambda: X, model=model, fit={"sample_weight": np.full(120, 1e-320)}),
        Case(
            "a valid row NaN", lambda: X, model=model, fit={"X_valid": with_cell(np.nan)(), "y_valid": Y}, refused=PLACE
        ),
        Case(
            "a class for every row",
            lambda: X[:40],
            lambda: np.arange(40),
            model,
            accuracy=0.0,
            options={"max_iter": 20 if model == "softmax" else 2},
            said="Not converged",
        ),
        Case("predict NaN", lambda: X, model=model, action="predict", refused=PLACE),
        Case("predict other columns", lambda: X, model=model, action="predict narrow", refused="features"),
        Case("predict before fit", lambda: X, model=model, action="predict unfitted", refused="not fitted"),
        Case("batch NaN", with_cell(np.nan), model=model, action="partial_fit", refused=PLACE),
        Case("batch 1e30", with_cell(1e30), model=model, action="partial_fit", refused=FAR),
        Case("batch 1e300", with_cell(1e300), model=model, action="partial_fit", refused=FAR),
        Case("batch dates", lambda: np.zeros((120, 2), "M8[s]"), model=model, action="partial_fit", refused="dates"),
    ]
CASES.append(
    Case(
        "four hundred classes",
        lambda: np.random.default_rng(1).normal(size=(800, 3)),
        lambda: np.arange(800) // 2,
        "squares",
        accuracy=0.0,
    )
)
for model in SMOOTH:
    CASES.append(
        Case(
            "a thousand classes, a row each",
            lambda: np.random.default_rng(1).normal(size=(1000, 3)),
            lambda: np.arange(1000),
            model,
            accuracy=0.0,
            options={"tol": 1e-5},
        )
    )


def act(case):
    model, rows, y = MODELS[case.model](**case.options), case.X(), case.y()
    if case.action == "partial_fit":
        return model.partial_fit(rows, y, classes=[0, 1, 2]), rows, y
    if case.action == "predict unfitted":
        model.predict(rows)
    model.fit(rows, y, **case.fit)
    if case.action == "predict":
        model.predict(with_cell(np.nan)())
    if case.action == "predict narrow":
        model.predict(rows[:, :2])
    return model, rows, y


CLEAN = {}


def clean_accuracy(case):
    key = case.model
    if key not in CLEAN:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CLEAN[key] = MODELS[key]().fit(X, Y).score(X, Y)
    return CLEAN[key] - 0.03


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("case", [pytest.param(c, id=f"{c.name}, {c.model}, {i}") for i, c in enumerate(CASES)])
def test_hostile(case):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        if case.refused:
            with pytest.raises((ValueError, TypeError, NotFittedError)) as error:
                act(case)
            assert re.search(case.refused, str(error.value)), str(error.value)
            return
        model, rows, y = act(case)
    kinds = {w.category for w in heard}
    assert kinds <= {DataWarning, ConvergenceWarning, DataConversionWarning, UserWarning}, [
        str(w.message) for w in heard
    ]
    texts = [str(w.message) for w in heard]
    assert not case.said or any(re.search(case.said, text) for text in texts), texts
    assert case.said or not texts, texts
    for array in (model.coef_, model.intercept_, model.decision_function(rows), model.certificate_.value):
        assert np.isfinite(array).all()
    assert model.converged_ or case.said
    assert model.status_ in (Status.CONVERGED, Status.MAX_ITER, Status.STALLED)
    assert model.score(rows, np.ravel(y)) >= (clean_accuracy(case) if case.accuracy is None else case.accuracy)


def test_there_are_enough_cases():
    assert len(CASES) >= 150
    assert sum(not case.refused for case in CASES) >= 50


def test_twenty_thousand_classes_in_batches():
    """Forty rows of fourteen classes, of twenty thousand that are named: finite, and no array of classes × classes."""
    classes, y = np.arange(20_000), np.arange(40) // 3 * 500
    for name in ("softmax", "logistic", "squared hinge", "hinge"):
        model = MODELS[name]().partial_fit(X[:40], y, classes=classes)
        assert model.coef_.shape == (20_000, 5)
        assert np.isfinite(model.coef_).all()
        assert model.predict(X[:40]).shape == (40,)


def test_partial_fits_refuse_what_needs_all_rows():
    for options, words in (
        ({"alpha": "auto"}, "alpha='auto' needs all rows"),
        ({"standardize": True}, "standardize=True needs all rows"),
        ({"class_weight": "balanced"}, "class_weight='balanced' needs all rows"),
    ):
        model = SoftmaxClassifier(**options)
        with pytest.raises(ValueError, match=words):
            model.partial_fit(X, Y, classes=[0, 1, 2])
        assert not hasattr(model, "classes_")


def test_partial_fits_weigh_classes():
    by_class = SoftmaxClassifier(class_weight={0: 2.0, 1: 0.5}, learning_rate=0.1).partial_fit(X, Y, classes=[0, 1, 2])
    w = np.array([2.0, 0.5, 1.0])[Y]
    by_row = SoftmaxClassifier(learning_rate=0.1).partial_fit(X, Y, classes=[0, 1, 2], sample_weight=w)
    np.testing.assert_array_equal(by_class.coef_, by_row.coef_)
    plain = SoftmaxClassifier(learning_rate=0.1).partial_fit(X, Y, classes=[0, 1, 2])
    assert np.abs(plain.coef_ - by_row.coef_).max() > 1e-3
