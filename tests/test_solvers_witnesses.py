"""Second witnesses: scikit-learn's solvers run to convergence, and for kinked penalties FISTA with a dense Newton.

Two classes: ours have W₀ = −W₁ at the optimum, so with w = W₁ − W₀ the penalty α/2 ‖W‖² is α/4 ‖w‖², and C = 2/(αn).
"""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from linearhead import LeastSquaresClassifier, LinearClassifier, LogisticClassifier, SoftmaxClassifier
from linearhead.objective import Objective
from linearhead.records import Status
from linearhead.solvers import SOLVERS, closed_form
from test_solvers_agree import (
    PROBLEMS,
    SHIFT_FREE,
    SMOOTH,
    assert_same,
    blobs,
    dense_hessian,
    objective_of,
    value_slope_bend,
)

SEVERAL = ["condition 1", "condition 1e2", "imbalanced", "every row three times", "fewer rows than columns"]


def fitted(loss, X, y, alpha, **options):
    return LinearClassifier(loss, alpha=alpha, tol=1e-10, **options).fit(X, y)


def near(found, wanted, rtol=1e-6):
    assert np.linalg.norm(found - wanted) <= rtol * np.linalg.norm(wanted)


# ── scikit-learn ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("kind", SEVERAL)
def test_softmax_is_scikit_learns(kind):
    X, y = PROBLEMS[kind](np.random.default_rng(0))
    alpha = 1e-2
    theirs = LogisticRegression(C=1 / (alpha * len(X)), solver="newton-cholesky", tol=1e-12, max_iter=500).fit(X, y)
    ours = SoftmaxClassifier(alpha=alpha, tol=1e-10).fit(X, y)
    near(ours.coef_, theirs.coef_)
    near(ours.intercept_ - ours.intercept_.mean(), theirs.intercept_ - theirs.intercept_.mean())
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-7)


def test_two_classes_are_scikit_learns():
    X, y = PROBLEMS["two classes"](np.random.default_rng(1))
    alpha = 3e-3
    theirs = LogisticRegression(C=2 / (alpha * len(X)), solver="newton-cholesky", tol=1e-12, max_iter=500).fit(X, y)
    ours = SoftmaxClassifier(alpha=alpha, tol=1e-11).fit(X, y)
    near(ours.coef_[1:] - ours.coef_[:1], theirs.coef_)
    near(ours.decision_function(X), theirs.decision_function(X))


@pytest.mark.parametrize("kind", SEVERAL)
def test_one_against_the_rest_is_scikit_learns(kind):
    X, y = PROBLEMS[kind](np.random.default_rng(2))
    alpha = 1e-2
    ours = LogisticClassifier(alpha=alpha, tol=1e-10).fit(X, y)
    for j in range(len(ours.classes_)):
        binary = LogisticRegression(C=1 / (alpha * len(X)), solver="newton-cholesky", tol=1e-12, max_iter=500)
        binary.fit(X, y == j)
        near(ours.coef_[j], binary.coef_[0])
        assert ours.intercept_[j] == pytest.approx(binary.intercept_[0], rel=1e-6)


@pytest.mark.parametrize("solver", ["closed_form", "lbfgs", "newton"])
@pytest.mark.parametrize("kind", ["condition 1", "condition 1e4", "imbalanced", "fewer rows than columns"])
def test_least_squares_is_ridge(kind, solver):
    X, y = PROBLEMS[kind](np.random.default_rng(3))
    alpha, w = 1e-2, np.random.default_rng(4).uniform(0.2, 2, len(X))
    theirs = Ridge(alpha=alpha * w.sum(), solver="svd").fit(X, np.eye(3)[y], sample_weight=w)
    ours = LinearClassifier("squared", alpha=alpha, tol=1e-10, solver=solver).fit(X, y, sample_weight=w)
    near(ours.coef_, theirs.coef_)
    near(ours.intercept_, theirs.intercept_)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("kind", ["condition 1", "condition 1e6", "imbalanced"])
def test_least_squares_by_one_gram_matrix_is_ridge(kind, intercept, monkeypatch):
    """The way of large problems: a Gram matrix loses digits, the corrections bring them back."""
    monkeypatch.setattr(closed_form, "DIRECT", 0)
    X, y = PROBLEMS[kind](np.random.default_rng(3))
    alpha, w = 1e-2, np.random.default_rng(4).uniform(0.2, 2, len(X))
    theirs = Ridge(alpha=alpha * w.sum(), solver="svd", fit_intercept=intercept).fit(X, np.eye(3)[y], sample_weight=w)
    options = {"alpha": alpha, "tol": 1e-9, "solver": "closed_form", "fit_intercept": intercept}
    ours = LinearClassifier("squared", **options).fit(X, y, sample_weight=w)
    near(ours.coef_, theirs.coef_)
    near(ours.intercept_, theirs.intercept_ if intercept else np.zeros(3))
    assert ours.status_ is Status.CONVERGED


def test_equal_columns_without_a_penalty_by_one_gram_matrix(monkeypatch):
    X, y = PROBLEMS["condition 1"](np.random.default_rng(5))
    double = np.hstack([X, X[:, :2]])
    options = {"penalty": "none", "solver": "closed_form", "tol": 1e-9}
    by_rows = LinearClassifier("squared", **options).fit(double, y)
    monkeypatch.setattr(closed_form, "DIRECT", 0)
    by_gram = LinearClassifier("squared", **options).fit(double, y)
    near(by_gram.coef_, by_rows.coef_)  # of least norm, both
    near(by_gram.coef_[:, :2], by_gram.coef_[:, -2:])


def test_a_factor_that_exists_by_rounding_alone_is_not_used():
    gram = np.array([[1.0, 1.0], [1.0, 1.0 + 2.0**-52]])
    assert np.linalg.cholesky(gram)[1, 1] > 0
    np.testing.assert_allclose(closed_form._inverse(gram.copy(), 0.0)(np.ones((2, 1))), [[0.5], [0.5]])
    for alpha in (0.1, 1e-3):
        penalised = gram + alpha * np.eye(2)
        found = closed_form._inverse(penalised.copy(), alpha)(np.array([[1.0], [0.0]]))
        np.testing.assert_allclose(found, np.linalg.solve(penalised, [[1.0], [0.0]]), rtol=1e-9)


def test_what_the_eigensolver_leaves_of_nothing_holds_no_direction():
    """MRRR leaves up to 1.6 d · eps in place of 0 where the other eigenvalues are equal."""
    d = 10
    V = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0]
    for left in (0.0, 3 * d * 2.0**-52):
        values = np.where(np.arange(d) < 2, left, 1.0)
        found = closed_form._inverse((V * values) @ V.T, 0.0)(V)
        np.testing.assert_allclose(found, V * (np.arange(d) >= 2), atol=1e-12)


def test_a_correction_that_leads_away_is_not_taken(monkeypatch):
    """A factor that holds by rounding alone what nothing holds: steps along it are large, and rounding their sum."""
    X, y = PROBLEMS["condition 1"](np.random.default_rng(5))
    double = np.hstack([X, X[:, :1]])
    lost = np.zeros((double.shape[1], 1))
    lost[0], lost[-1] = 1, -1
    exact = closed_form._inverse

    def by_rounding(gram, alpha):
        solve = exact(gram, alpha)
        return lambda v: solve(v) + 1e14 * lost * (lost.T @ v + 1e-17)

    monkeypatch.setattr(closed_form, "DIRECT", 0)
    monkeypatch.setattr(closed_form, "_inverse", by_rounding)
    model = LinearClassifier("squared", penalty="none", solver="closed_form", tol=1e-9).fit(double, y)
    assert model.status_ is Status.CONVERGED


def ridge_of(cond, alpha):
    """Rows and labels along a spectrum of this condition, and F's Ridge."""
    rng = np.random.default_rng(0)
    y, root = rng.integers(0, 4, 300), np.geomspace(1, 1 / cond, 30)
    X = (rng.standard_normal((300, 30)) + rng.standard_normal((4, 30))[y]) * root
    X = X @ np.linalg.qr(rng.standard_normal((30, 30)))[0]
    return X, y, Ridge(alpha=alpha * 300, solver="svd").fit(X, np.eye(4)[y])


def test_a_penalised_fit_of_few_rows_corrects_its_gram_matrix_and_needs_no_more(monkeypatch):
    X, y, theirs = ridge_of(1e4, 1e-6)
    with pytest.MonkeyPatch.context() as patch:
        for other in ("_by_rows", "_by_conjugate_gradients"):
            patch.setattr(closed_form, other, lambda *_: pytest.fail("the long way was taken"))
        ours = LinearClassifier("squared", alpha=1e-6).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-10, atol=1e-10 * np.abs(theirs.coef_).max())
    assert ours.trace_.passes[-1] <= 5  # the matrix, and corrections of one pass each


@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"standardize": True}])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8])
def test_of_fewer_rows_than_columns_no_matrix_of_the_columns_is_made(kind, options, monkeypatch):
    rng = np.random.default_rng(0)
    X, y, alpha = (40 * rng.standard_normal((60, 3000)) + 128).clip(0, 255).astype(kind), np.arange(60) % 3, 1e-2
    w = rng.uniform(0.2, 2, 60) * (np.arange(60) % 7 > 0)
    monkeypatch.setattr(Objective, "gram", lambda _: pytest.fail("3 000 × 3 000 numbers were asked for"))
    ours = LinearClassifier("squared", alpha=alpha, **options).fit(X, y, sample_weight=w)
    Z = X.astype(float)
    if "standardize" in options:
        Z /= np.sqrt(np.average((Z - np.average(Z, axis=0, weights=w)) ** 2, axis=0, weights=w))
    ridge = Ridge(alpha=alpha * w.sum(), solver="svd", fit_intercept=ours.fit_intercept)
    near(ours.decision_function(X), ridge.fit(Z, np.eye(3)[y], w).predict(Z), 1e-6 if kind == np.float64 else 1e-4)
    assert ours.converged_


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_alike_rows_with_next_to_no_penalty_are_solved_though_their_products_have_no_factor(kind):
    """α is below the rounding of the products; LAPACK's error came out of `fit`."""
    Z = np.random.default_rng(0).normal(size=(15, 100))
    ours = LinearClassifier("squared", alpha=1e-12).fit(1e3 * np.vstack([Z, Z, Z]).astype(kind), np.arange(45) % 3)
    assert ours.converged_


@pytest.mark.parametrize(("alpha", "passes"), [(1e-4, 1), (1e-9, 2)])
def test_float32_weights_take_one_pass_unless_rows_are_nearly_collinear(alpha, passes):
    """The sums are good for what rounding leaves of the weights; the certificate says so of the weights themselves."""
    X, y, _ = ridge_of(1e2, alpha)
    ours = LeastSquaresClassifier(alpha=alpha).fit(X.astype(np.float32), y)
    exact = LeastSquaresClassifier(alpha=alpha).fit(X.astype(np.float32).astype(np.float64), y)
    assert ours.trace_.passes[-1] == passes
    assert ours.converged_
    assert exact.certificate_.value <= ours.certificate_.value <= exact.certificate_.value * (1 + 1e-9)
    np.testing.assert_allclose(ours.coef_, exact.coef_, atol=2e-6 * np.abs(exact.coef_).max())


def test_a_factor_of_too_few_digits_is_left_for_the_rows(monkeypatch):
    X, y, theirs = ridge_of(1e7, 1e-15)
    way, taken = closed_form._by_rows, []
    monkeypatch.setattr(closed_form, "_by_rows", lambda problem: taken.append(1) or way(problem))
    ours = LinearClassifier("squared", alpha=1e-15).fit(X, y)
    assert taken
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8, atol=1e-8 * np.abs(theirs.coef_).max())


def test_squared_hinge_of_two_classes_is_liblinears():
    X, y = PROBLEMS["two classes"](np.random.default_rng(5))
    alpha = 1e-2
    options = {"fit_intercept": False, "dual": False, "tol": 1e-12, "max_iter": 100_000}
    theirs = LinearSVC(C=2 / (alpha * len(X)), **options).fit(X, y)
    ours = fitted("squared_hinge", X, y, alpha, fit_intercept=False)
    near(ours.coef_[1] - ours.coef_[0], theirs.coef_[0])


@pytest.mark.parametrize("ratio", [0.3, 0.9, 1.0])
def test_kinked_least_squares_is_elastic_net(ratio):
    X, y = PROBLEMS["condition 1e2"](np.random.default_rng(6))
    for alpha in (0.3, 0.03):
        ours = fitted("squared", X, y, alpha, penalty="elastic_net", l1_ratio=ratio)
        for j in range(3):
            theirs = ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-14, max_iter=1_000_000).fit(X, y == j)
            near(ours.coef_[j], theirs.coef_)
            assert np.array_equal(ours.coef_[j] != 0, theirs.coef_ != 0)


def test_l1_logistic_is_liblinears():
    X, y = PROBLEMS["imbalanced"](np.random.default_rng(7))
    alpha = 2e-2
    ours = fitted("logistic", X, y, alpha, penalty="l1", fit_intercept=False)
    for j in range(3):
        options = {
            "solver": "liblinear",
            "random_state": 0,
            "l1_ratio": 1,
            "fit_intercept": False,
            "tol": 1e-12,
            "max_iter": 100_000,
        }
        theirs = LogisticRegression(C=1 / (alpha * len(X)), **options).fit(X, y == j)
        near(ours.coef_[j], theirs.coef_[0])


# ── kinked penalties, by a method of first steps and a dense Newton on what is left ───────────────
@threadpool_limits.wrap(limits=1)
def kinked_optimum(X, y, loss, alpha, ratio, w):
    """(W (d, k), b (k,), F*) of mean loss + α (ρ Σ|W| + (1 − ρ)/2 ‖W‖²)."""
    w, hot = w / w.sum(), np.eye(int(y.max()) + 1)[y]
    mean = w @ X
    A = np.hstack([X - mean, np.ones((len(X), 1))])
    bound = {"cross_entropy": 0.5, "logistic": 0.25, "squared": 1.0, "squared_hinge": 2.0 * hot.shape[1]}[loss]
    step = 1 / (bound * np.linalg.eigvalsh((A * w[:, None]).T @ A)[-1])
    weights = np.append(np.full(X.shape[1], alpha), 0.0)[:, None]

    def slope(theta):
        return A.T @ (w[:, None] * value_slope_bend(loss, A @ theta, hot)[1])

    theta, ahead, t = (z := np.zeros((A.shape[1], hot.shape[1]))), z, 1.0
    for _ in range(3000):
        v = ahead - step * slope(ahead)
        new = np.sign(v) * np.maximum(np.abs(v) - step * ratio * weights, 0) / (1 + step * (1 - ratio) * weights)
        t, before = (1, 1) if np.vdot(ahead - new, new - theta) > 0 else ((1 + (1 + 4 * t * t) ** 0.5) / 2, t)
        ahead, theta = new + (before - 1) / t * (new - theta), new
    free = (theta != 0) | (weights == 0)
    sign = ratio * weights * np.sign(theta)
    for _ in range(8):
        bend = value_slope_bend(loss, A @ theta, hot)[2]
        gradient = slope(theta) + (1 - ratio) * weights * theta + sign
        H = dense_hessian(A, w, bend) + np.diag(np.repeat((1 - ratio) * weights[:, 0], theta.shape[1]))
        inside = free.ravel()
        move = np.linalg.lstsq(H[np.ix_(inside, inside)], gradient.ravel()[inside], rcond=1e-13)[0]
        theta[free] -= move
    gradient = slope(theta) + (1 - ratio) * weights * theta
    assert np.abs(gradient + sign)[free].max() < 1e-12
    assert (np.abs(gradient) <= ratio * weights + 1e-12)[~free].all()
    W, b = theta[:-1], theta[-1] - mean @ theta[:-1]
    F = w @ value_slope_bend(loss, A @ theta, hot)[0]
    return W, b, F + alpha * (ratio * np.abs(W).sum() + (1 - ratio) / 2 * (W**2).sum())


def check_proximal(loss, kind, ratio, seed):
    rng = np.random.default_rng(seed)
    X, y = PROBLEMS[kind](rng) if kind in PROBLEMS else blobs(rng, 90, 4, 8)
    w, alpha = rng.uniform(0.2, 2, len(X)), 2e-2
    W, b, F = kinked_optimum(X, y, loss, alpha, ratio, w)
    objective = objective_of(X, y, loss, alpha, w, penalty="elastic_net", l1_ratio=ratio)
    solution = SOLVERS["proximal"](tol=1e-10)(objective, objective.start())
    assert solution.status is Status.CONVERGED
    assert abs(solution.point.value - F) <= 1e-10 * F
    assert 0 < np.mean(W == 0) < 1 or ratio < 1 or kind != "imbalanced"
    if ratio < 1 or loss not in SHIFT_FREE:  # else the optimum is a set: one number may move between the classes
        assert_same(solution.point.theta, objective, X, W, b)
    gradient = SOLVERS["gd"](tol=1e-5, max_iter=3000)(objective, objective.start())
    assert gradient.point.value - F <= 1e-6 * F


@pytest.mark.parametrize("ratio", [0.5, 1.0])
@pytest.mark.parametrize("kind", ["condition 1", "imbalanced", "two classes", "eight classes"])
@pytest.mark.parametrize("loss", SMOOTH)
def test_proximal_reaches_the_reference(loss, kind, ratio):
    check_proximal(loss, kind, ratio, 8)


def test_strong_l1_leaves_nothing():
    X, y = blobs(np.random.default_rng(9), 60, 5, 3)
    model = fitted("cross_entropy", X, y, 10.0, penalty="l1")
    assert not model.coef_.any()
    shares = np.log(np.bincount(y) / len(y))
    near(model.intercept_ - model.intercept_.mean(), shares - shares.mean())
