"""Scores without each row: n literal refits for least squares, one literal Newton step for the others."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from linearhead import LinearClassifier, MarginClassifier, SoftmaxClassifier
from linearhead.errors import ConvergenceWarning, DataError, UsageError
from linearhead.estimators import ESTIMATORS
from linearhead.path import leaving_out
from test_path import ridge

SMOOTH = ["cross_entropy", "logistic", "squared_hinge"]
SHAPES = [(40, 5), (14, 30)]  # n ≥ d and n < d


def rows(shape, k=3, seed=5):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal(shape) * np.logspace(0, -1, shape[1]) + 0.5, rng.integers(0, k, shape[0])
    X[:, 0] += y
    return X, y, rng.integers(0, 4, shape[0]).astype(float)


def refitted(X, y, w, alpha, intercept):
    """(n, k) least squares scores by n refits, the penalty held at alpha Σw."""
    out = []
    for i in range(len(y)):
        w_i = np.where(np.arange(len(y)) == i, 0, w)
        out.append(ridge(X, y, w_i, alpha * w.sum(), intercept, 3)(X[i]))
    return np.array(out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_least_squares_is_n_refits(shape, intercept, weighted):
    X, y, w = rows(shape)
    for alpha in (1.0, 1e-2, 1e-4):
        clf = LinearClassifier("squared", alpha=alpha, fit_intercept=intercept).fit(X, y, w if weighted else None)
        got = clf.leave_one_out(X, y, w if weighted else None)
        expected = refitted(X, y, w if weighted else np.ones(len(y)), alpha, intercept)
        np.testing.assert_allclose(got, expected, atol=1e-9, rtol=1e-9)


def newton(objective, theta):
    """(n, k) by a dense Hessian of the other rows and one step on it, row by row."""
    out = []
    for i in range(objective.n):
        w = np.ones(objective.n) if objective.weights is None else objective.weights.copy()
        w[i] = 0
        others = replace(objective, weights=w, total=objective.total)
        free = theta.size if objective.design.intercept else theta[:-1].size
        unit = np.eye(theta.size)[:free].reshape(-1, *theta.shape)
        H = np.array([others.hessian_product(theta, v).ravel()[:free] for v in unit])
        step = np.zeros(theta.size)
        step[:free] = np.linalg.lstsq(H, others.at(theta).gradient.ravel()[:free], rcond=1e-12)[0]
        step = step.reshape(theta.shape)
        out.append(objective.design.block(np.array([i])).forward(objective.design.to_rows(theta - step))[0])
    return np.array(out)


def centred(s):
    """A shift of all of a row's scores says nothing."""
    return s - s.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("intercept", [True, False])
def test_the_others_take_one_newton_step(loss, shape, intercept):
    X, y, w = rows(shape)
    w += 0.5
    clf = LinearClassifier(loss, alpha=0.03, tol=1e-10, max_iter=5000, fit_intercept=intercept).fit(X, y, w)
    objective = clf._objective(X, y, w)
    theta = objective.design.from_stored(np.vstack([clf.coef_.T, clf.intercept_]))
    got, expected = clf.leave_one_out(X, y, w), newton(objective, theta)
    if loss != "logistic":
        got, expected = centred(got), centred(expected)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.abs(got - clf.decision_function(X)).max() > 0.1


@pytest.mark.parametrize("loss", ["squared", *SMOOTH])
def test_leverages_without_the_intercept_would_be_seen(loss, monkeypatch):
    make = leaving_out._Look.of

    def mutant(*arguments):
        look = make(*arguments)
        return replace(look, design=replace(look.design, intercept=False))

    monkeypatch.setattr(leaving_out._Look, "of", mutant)
    squared = lambda: test_least_squares_is_n_refits(SHAPES[0], True, True)  # noqa: E731
    others = lambda: test_the_others_take_one_newton_step(loss, SHAPES[0], True)  # noqa: E731
    with pytest.raises(AssertionError):
        (squared if loss == "squared" else others)()


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    y = y[:300].copy()
    y[:30] = (y[:30] + 3) % 10
    return X[:300] / 16, y


@pytest.fixture(scope="module", params=ESTIMATORS)
def left_out(request, digits):
    """(fitted estimator, rows asked for, their scores by fits to all other rows)"""
    X, y = digits
    kind, options = ESTIMATORS[request.param], {"alpha": 1e-3}
    if request.param == "MarginClassifier":
        options["loss"] = "squared_hinge"
    asked = np.arange(0, 60, 2)  # half of them wrongly labelled
    return kind(**options).fit(X, y), asked, refits(kind, X, y, asked, **options)


def refits(kind, X, y, asked, **options):
    """Scores of the rows asked for, each by a fit to the others."""
    out = []
    for i in asked:
        others = np.arange(len(y)) != i
        again = kind(**options | {"alpha": options["alpha"] * len(y) / (len(y) - 1)}).fit(X[others], y[others])
        out.append(X[i] @ again.coef_.T + again.intercept_)
    return np.array(out)


@pytest.mark.parametrize("by_class", [False, True])
def test_every_estimator_comes_close_to_refits(digits, left_out, by_class, monkeypatch):
    X, y = digits
    if by_class:  # as where k (rank + 1) is large
        monkeypatch.setattr(leaving_out, "COUPLED", 0)
    fitted, asked, truth = left_out
    own = fitted.decision_function(X)[asked]
    got = fitted.leave_one_out(X, y)
    assert got.shape == (300, 10)
    assert got.dtype == np.float64
    error, before = np.abs(centred(got[asked] - truth)), np.abs(centred(own - truth))
    assert np.median(error) < np.median(before) / (1.2 if by_class else 3)
    same = [np.mean(s.argmax(axis=1) == truth.argmax(axis=1)) for s in (got[asked], own)]
    assert same[0] >= max(0.9, same[1] + 0.05)


def test_directions_that_are_left_uncoupled_cost_little_where_rows_are_many(monkeypatch):
    X, y = load_digits(return_X_y=True)
    clf = SoftmaxClassifier(alpha=0.01, standardize=True).fit(X, y)
    whole = clf.leave_one_out(X, y)
    root, sizes = leaving_out._root, []
    monkeypatch.setattr(leaving_out, "_root", lambda H: sizes.append(H.shape) or root(H))
    monkeypatch.setattr(leaving_out, "WORK", 16**2 * len(y) * 10)  # 16 leading directions of 61
    part, own = clf.leave_one_out(X, y), clf.decision_function(X)
    assert sizes == [(17, 17)] * 10
    change = [np.abs(centred(a - whole)).mean() for a in (part, own)]
    assert 0 < change[0] < change[1] / 2
    assert np.mean(part.argmax(axis=1) == whole.argmax(axis=1)) > 0.99


@pytest.mark.parametrize("kind", [np.float32, scipy.sparse.csr_array])
@pytest.mark.parametrize("by_class", [False, True])
def test_other_rows_have_the_same_scores(digits, kind, by_class, monkeypatch):
    X, y = digits
    if by_class:
        monkeypatch.setattr(leaving_out, "COUPLED", 0)
    clf = SoftmaxClassifier(alpha=0.01, standardize=True)
    expected = clf.fit(X, y).leave_one_out(X, y)
    other = kind(X)
    np.testing.assert_allclose(clf.fit(other, y).leave_one_out(other, y), expected, atol=2e-3)


def test_rows_of_no_weight_were_not_in_the_fit():
    X, y, w = rows((40, 5))
    clf = SoftmaxClassifier(alpha=0.1).fit(X, y, w)
    got, absent = clf.leave_one_out(X, y, w), w == 0
    np.testing.assert_allclose(got[absent], clf.decision_function(X)[absent])
    np.testing.assert_allclose(got[~absent], SoftmaxClassifier(alpha=0.1).fit(X[~absent], y[~absent], w[~absent])
                               .leave_one_out(X[~absent], y[~absent], w[~absent]), atol=1e-5)  # fmt: skip


def test_a_row_that_nothing_else_tells_of_has_finite_scores():
    """Its leverage is 1 but for rounding."""
    X, y = np.diag([1e6, 1e6, 1.0, 1.0, 1.0, 1.0]), np.array([0, 1, 0, 1, 0, 1])
    for loss in ("squared", *SMOOTH):
        clf = LinearClassifier(loss, alpha=1e-9, tol=1e-6, max_iter=5000).fit(X, y)
        if clf.converged_:
            assert np.isfinite(clf.leave_one_out(X, y)).all()


def test_what_cannot_be_left_out_is_said(digits):
    X, y = digits
    for clf, words in (
        (MarginClassifier(alpha=0.1), "hinge has kinks"),
        (LinearClassifier("logistic", penalty="elastic_net", alpha=0.1), "penalty is elastic_net"),
        (LinearClassifier("squared", penalty="none"), "penalty is none"),
    ):
        with pytest.raises(UsageError, match=words):
            clf.fit(X, y).leave_one_out(X, y)
    clf = SoftmaxClassifier(alpha=0.1).fit(X, y)
    other = y.copy()
    other[:3] = (y[:3] + 1) % 10
    for rows_, labels, words in ((X[:-1], y[:-1], "gradient at these rows"), (X, other, "gradient at these rows"),
                                 (X, y % 9, "9 and 64"), (X[y > 0], y[y > 0], "had 10 classes")):  # fmt: skip
        with pytest.raises(DataError, match=words):
            clf.leave_one_out(rows_, labels)
    with pytest.raises(UsageError, match="did not come within its tolerance"), pytest.warns(ConvergenceWarning):
        SoftmaxClassifier(alpha=1e-6, max_iter=2).fit(X, y).leave_one_out(X, y)


def test_the_root_of_an_inverse_is_that_of_the_pseudo_inverse_where_rounding_has_left_no_more():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    whole, flat = A @ A.T, A[:, :4] @ A[:, :4].T
    flat[np.diag_indices(6)] -= 1e-14  # no longer positive definite
    for H, inverse in ((whole, np.linalg.inv(whole)), (flat, np.linalg.pinv(flat, rcond=1e-12, hermitian=True))):
        R = leaving_out._root(H)
        np.testing.assert_allclose(R @ R.T, inverse, rtol=1e-6, atol=1e-8 * np.abs(inverse).max())


@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_the_bits_do_not_depend_on_the_threads_of_blas(loss):
    X, y = load_digits(return_X_y=True)
    X, y = (X[:400], y[:400]) if loss == "cross_entropy" else (np.tile(X[:200], 4) ** 2, y[:200])
    clf = LinearClassifier(loss, alpha=1e-2, tol=1e-5).fit(X, y)
    with threadpool_limits(1, "blas"):
        one = clf.leave_one_out(X, y)
    with threadpool_limits(2, "blas"):
        np.testing.assert_array_equal(clf.leave_one_out(X, y), one)


def test_directions_beyond_the_leading_ones_are_alone(monkeypatch):
    """Class by class the Hessian in two leading directions and the intercept is whole, in the others its diagonal; in
    these it is as good without the row as with it."""
    X, y, w = rows((40, 5))
    w += 0.5
    clf = LinearClassifier("logistic", alpha=0.03, tol=1e-10, max_iter=5000).fit(X, y, w)
    monkeypatch.setattr(leaving_out, "WORK", 2**2 * 40 * 3)
    got = clf.leave_one_out(X, y, w)
    share = w / w.sum()
    z = X - share @ X
    U = np.linalg.eigh(z.T @ (z * share[:, None]))[1][:, ::-1]
    z = z @ U
    s = clf.decision_function(X)
    p = 1 / (1 + np.exp(-s))
    g, a = share[:, None] * (p - np.eye(3)[y]), share[:, None] * p * (1 - p)
    near, far = np.c_[z[:, :2], np.ones(40)], z[:, 2:] ** 2
    for j in range(3):
        H = near.T @ (near * a[:, j : j + 1]) + 0.03 * np.diag([1, 1, 0])
        v = np.einsum("ij,ij->i", near @ np.linalg.inv(H), near)
        v = v / (1 - a[:, j] * v) + far @ (1 / (far.T @ a[:, j] + 0.03))
        np.testing.assert_allclose(got[:, j], s[:, j] + v * g[:, j], atol=1e-9)
