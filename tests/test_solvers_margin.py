"""The certified hinge solver: bounds that hold, liblinear's optimum, repeats, float32, fewer rows than columns."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from linearhead import LinearClassifier

LOSSES = ("hinge", "crammer_singer")


def blobs(n, d, k, seed=0):
    rng = np.random.default_rng([n, d, k, seed])
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + rng.normal(size=(k, d))[y], y


def objective(model, X, y, loss, alpha):
    """F in float64, from coef_ and intercept_ alone."""
    s = X.astype(float) @ model.coef_.T.astype(float) + model.intercept_
    rows = np.arange(len(y))
    z = 1 + s - s[rows, y][:, None]
    z[rows, y] = 0
    cost = z.max(axis=1) if loss == "crammer_singer" else np.maximum(z, 0).sum(axis=1)
    return cost.mean() + alpha / 2 * np.sum(model.coef_.astype(float) ** 2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(90, 5, 3), (30, 40, 3), (120, 6, 2), (200, 4, 20)], ids=str)
def test_float32_is_certified_and_near_the_float64_optimum(loss, shape):
    X, y = blobs(*shape)
    exact = LinearClassifier(loss, alpha=1e-2, tol=2e-6).fit(X, y)
    narrow = LinearClassifier(loss, alpha=1e-2, tol=1e-4).fit(X.astype(np.float32), y)
    assert exact.converged_
    assert narrow.converged_
    best = objective(exact, X, y, loss, 1e-2)
    found = objective(narrow, X.astype(np.float32), y, loss, 1e-2)
    assert best - exact.certificate_.gap - 1e-6 <= found <= best + narrow.certificate_.gap + 1e-6
    assert narrow.certificate_.gap <= 1e-4 * found * (1 + 1e-6)


def test_max_form_is_liblinears():
    for seed in range(3):
        X, y = blobs(90, 6, 4, seed)
        options = {"multi_class": "crammer_singer", "fit_intercept": False, "tol": 1e-10, "max_iter": 1_000_000}
        theirs = LinearSVC(C=1 / (1e-2 * len(X)), random_state=0, **options).fit(X, y)
        theirs.intercept_ = np.zeros(4)
        ours = LinearClassifier("crammer_singer", alpha=1e-2, tol=1e-12, fit_intercept=False).fit(X, y)
        best = objective(theirs, X, y, "crammer_singer", 1e-2)
        assert abs(objective(ours, X, y, "crammer_singer", 1e-2) - best) <= 1e-6 * best
        assert np.linalg.norm(ours.coef_ - theirs.coef_) <= 1e-6 * np.linalg.norm(theirs.coef_)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_of_two_is_a_row_twice(loss):
    X, y = blobs(60, 5, 3)
    w = np.arange(60) // 3 % 3
    once = LinearClassifier(loss, alpha=1e-2, tol=1e-11).fit(X, y, sample_weight=w)
    again = LinearClassifier(loss, alpha=1e-2, tol=1e-11).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(once.certificate_.value, again.certificate_.value, rtol=1e-11)
    np.testing.assert_allclose(once.coef_, again.coef_, atol=1e-6 * np.abs(again.coef_).max())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shares", [(0.9, 0.05, 0.05), (0.55, 0.4, 0.05), (0.98, 0.02)], ids=str)
def test_classes_of_very_different_size_need_an_intercept_that_is_found(loss, shares):
    """With most rows in one class all multipliers start at a corner, where the intercept's curvature is zero."""
    rng = np.random.default_rng(3)
    y = rng.choice(len(shares), 120, p=shares)
    y[: len(shares)] = np.arange(len(shares))
    X = rng.normal(size=(120, 4)) + 0.5 * rng.normal(size=(len(shares), 4))[y]
    model = LinearClassifier(loss, alpha=0.1, tol=1e-5).fit(X, y)
    assert model.converged_
    assert np.abs(model.intercept_).max() < 20
    without = LinearClassifier(loss, alpha=0.1, tol=1e-5, fit_intercept=False).fit(X, y)
    assert objective(model, X, y, loss, 0.1) <= objective(without, X, y, loss, 0.1) * (1 + 1e-5)
