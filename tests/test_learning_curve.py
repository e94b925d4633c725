"""The learning curve's forecast where the truth is known, and the point that the validation pictures add."""

from dataclasses import replace

import numpy as np
import pytest

from linearhead import SoftmaxClassifier
from linearhead.experiment.curve import curve_of, extended, forecast
from linearhead.experiment.outside import _Fits, _subset, outside
from linearhead.experiment.recipe import Recipe
from linearhead.metrics import independent, standard_error
from linearhead.records import LearningCurve
from linearhead.solvers import SOLVERS

N = [100, 200, 400, 800, 1600]


def law(e_last, floor, power, n):
    """The error of a power law down to floor · e_last."""
    return e_last * (floor + (1 - floor) * (np.asarray(n) / N[-1]) ** -power)


@pytest.mark.parametrize("floor", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("power", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("e_last", [0.02, 0.05, 0.09])  # beyond, the errors of few pictures would exceed 1
def test_a_power_law_is_followed(e_last, floor, power):
    found = forecast(N, (1 - law(e_last, floor, power, N)).tolist(), judged=100_000)
    assert 1 - found == pytest.approx(law(e_last, floor, power, 3200), rel=0.07)


def test_noise_of_few_judged_pictures_moves_the_forecast_less_than_the_curve():
    rng = np.random.default_rng(0)
    e = law(0.2, 0.3, 0.5, N)
    gains, moved = [], []
    for _ in range(100):
        # the same 300 pictures judge all fits: a picture is wrong from a fit on if its difficulty exceeds that fit's
        hard = rng.random(300)
        a = [(hard >= x).mean() for x in e + rng.normal(0, 0.005, 5)]
        gains.append(forecast(N, a, 300) - a[-1])
        moved.append(a[-1] - (1 - e[-1]))
    assert np.mean(gains) == pytest.approx(0.2 - law(0.2, 0.3, 0.5, 3200), abs=0.006)
    assert np.std(gains) < 0.5 * np.std(moved)


def test_few_pictures_that_are_all_right_promise_little():
    curve = curve_of([4, 8], np.array([[True] * 7 + [False] * 3, [True] * 10]))
    assert (curve.twice, curve.gain) == (1.0, 0.0)  # 96 % was foretold, below what is there
    assert curve.margin > 0.15  # of ten pictures a share of 85 % is often all right


def test_the_margin_told_holds_the_truth():
    rng, held = np.random.default_rng(1), 0
    e = law(0.2, 0.3, 0.5, N)
    for _ in range(200):
        hard = rng.random(300)
        curve = curve_of(N, np.array([hard >= x for x in e]))
        assert curve.twice is not None
        assert curve.margin is not None
        held += abs(curve.twice - 1 + law(0.2, 0.3, 0.5, 3200)) <= curve.margin
    assert 0.93 <= held / 200 <= 0.995


@pytest.mark.parametrize("accuracy", [[1.0, 1.0], [0.5, 0.4], [0.0, 0.0], [0.1, 0.9], [0.3, 0.3, 0.3]])
def test_it_never_falls_below_the_last_point_nor_exceeds_1(accuracy):
    found = forecast(N[: len(accuracy)], accuracy, 50)
    assert accuracy[-1] - 0.01 <= found <= 1


@pytest.mark.parametrize(("accuracy", "judged"), [([0.4, 0.6, 0.7], 90), ([0.9, 1.0], 20.5), ([0.0, 0.2], 1.0)])
def test_the_forecast_is_the_mean_over_floors_and_powers(accuracy, judged):
    n = N[: len(accuracy)]
    least = 0.5 / max(judged, 1.5)
    e = [min(max(1 - a, least), 1 - least) for a in accuracy]
    total = wanted = 0.0
    for q in np.linspace(0, 0.975, 40):
        for b in np.linspace(0.1, 1.5, 29):
            weight = (1 - q) ** 2 * np.exp(-(((b - 0.5) / 0.2) ** 2) / 2)
            for m, own in zip(n[:-1], e[:-1], strict=True):
                said = e[-1] * (q + (1 - q) * (m / n[-1]) ** -b)
                weight *= np.exp(-((own - said) ** 2) / (2 * own * (1 - own) / 4 / judged))
            total += weight
            wanted += weight * (1 - e[-1] * (q + (1 - q) * 2**-b))
    assert forecast(n, accuracy, judged) == pytest.approx(wanted / total, rel=1e-9)


def test_what_is_told_of_a_curve_by_its_formulas():
    rng, groups = np.random.default_rng(3), np.arange(120) // 3
    right = rng.random((3, 120)) < np.array([0.5, 0.7, 0.8])[:, None]
    for own in (None, groups):
        curve = curve_of(N[:3], right, own)
        last, count = right[-1].mean(), 120 if own is None else independent(groups, right[-1])
        assert curve.accuracy == pytest.approx(right.mean(axis=1))
        assert curve.gain_error == standard_error(right[-1] * 1.0 - right[-2], own)
        assert curve.twice == forecast(N[:3], curve.accuracy, count)
        assert curve.gain == pytest.approx(curve.twice - last)
        middle = (last * count + 2) / (count + 4)
        assert curve.margin == pytest.approx(1.959964 * (middle * (1 - middle) / (count + 4) + 0.01**2) ** 0.5)
        other, whose = rng.random(90) < 0.85, None if own is None else np.arange(90) // 2
        extended(curve, 599, other, whose)
        assert curve.n == N[:3]
        extended(curve, 600, other, whose)  # half as many again
        assert curve.n == [*N[:3], 600]
        now, fewer = other.mean(), 90 if own is None else independent(whose, other)
        assert curve.gain_error == pytest.approx((last * (1 - last) / count + now * (1 - now) / fewer) ** 0.5)
        assert curve.judged == 90
        assert curve.independent == (None if own is None else min(count, fewer))
        assert curve.twice == forecast(curve.n, curve.accuracy, min(count, fewer))


def test_a_flat_curve_is_called_flat_and_a_steep_one_steep():
    flat, steep = [0.80, 0.81, 0.812, 0.813, 0.813], [0.40, 0.50, 0.60, 0.70, 0.80]
    assert forecast(N, flat, 10_000) - 0.813 < 0.005
    assert forecast(N, steep, 10_000) - 0.80 > 0.04


def test_one_fit_alone_forecasts_nothing():
    curve = curve_of([50], np.ones((1, 60), bool))
    assert (curve.twice, curve.gain, curve.gain_error) == (None, None, None)


def test_validation_pictures_add_the_point_of_the_fit_on_all_train_pictures():
    rng = np.random.default_rng(0)
    right = rng.random((5, 4000)) < np.array([0.7, 0.76, 0.8, 0.83, 0.85])[:, None]
    curve = curve_of(N, right)
    before = curve.accuracy.copy()
    extended(curve, 50_000, rng.random(2000) < 0.885)
    assert curve.n == [*N, 50_000]
    assert curve.accuracy[:-1] == before
    assert curve.gain is not None
    assert curve.gain_error is not None
    assert curve.twice == pytest.approx(curve.accuracy[-1] + curve.gain)
    assert 0 < curve.gain < 0.015
    assert curve.gain_error == pytest.approx((0.885 * 0.115 / 2000 + 0.85 * 0.15 / 4000) ** 0.5, rel=0.1)
    near = curve_of(N, right)
    extended(near, 2000, rng.random(2000) < 0.86)  # hardly more than the folds had: other judges would blur the curve
    assert near.n == N
    nothing = LearningCurve()
    extended(nothing, 2000, np.ones(300, bool))
    assert nothing.n == []


def test_small_subsets_are_fitted_on_their_rows_alone_to_the_same_optimum():
    rng = np.random.default_rng(2)
    y = np.arange(600) % 5
    X = (rng.normal(size=(5, 40))[y] + 1.5 * rng.normal(size=(600, 40))).astype(np.float32)
    objective = SoftmaxClassifier(alpha=0.05)._objective(X, y)
    objective = replace(objective, weights=rng.uniform(0.5, 2, 600), total=0.0, alpha=0.05)
    used = np.zeros(600, bool)
    used[rng.permutation(600)[:150]] = True
    few, solver = _subset(objective, used), SOLVERS["lbfgs"](tol=1e-8)
    assert (few.n, _subset(objective, ~used).n) == (150, 600)
    all_rows = replace(objective, weights=objective.weights * used, total=0.0)
    before = objective.count.passes
    found = solver(few, few.start()).point.theta
    assert objective.count.passes - before < 8  # of all rows
    wanted = solver(all_rows, few.start()).point.theta
    for theta in (found, wanted):
        theta[-1] -= theta[-1].mean()  # a shift of all intercepts changes no loss
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("alpha", [1e-2, 1e-4])
def test_rows_that_lie_apart_from_all_others_are_scored_as_by_fits_to_the_end(alpha):
    """Of many more columns than rows: what a gradient leaves of W is multiplied by the length of a row's own part, and
    a gradient of alpha / 10 once left 38 to 64 % right where 92 % are."""
    rng, y = np.random.default_rng(0), np.arange(200) % 4
    centres = 6 / np.sqrt(6000) * rng.normal(size=(4, 6000))
    X = (centres[y] + rng.normal(size=(200, 6000))).astype(np.float32)
    seen = outside(X, y, Recipe(loss="cross_entropy"), alpha, 0)
    assert seen is not None
    right = 0
    for part in range(4):  # of every class each fourth row
        held = np.arange(200) // 4 % 4 == part
        fit = SoftmaxClassifier(alpha=alpha, standardize=True).fit(X[~held], y[~held])
        right += np.sum(fit.predict(X[held]) == y[held])
    assert abs(seen.curve.accuracy[-1] - right / 200) <= 0.04
    assert np.mean(seen.scores.argmax(axis=1) == y) >= right / 200 - 0.02


def test_classes_that_lie_wide_apart_have_scores_too_under_the_weakest_penalty():
    """A gradient of 1e-7 is as exact as the model, however weak the penalty that its rows prefer."""
    rng, y = np.random.default_rng(0), np.arange(300) % 3
    X = (5 * np.eye(3, 20)[y] + rng.normal(size=(300, 20))).astype(np.float32)
    seen = outside(X, y, Recipe(loss="cross_entropy"), 2e-8, 0)
    assert seen is not None
    assert np.mean(seen.scores.argmax(axis=1) == y) > 0.97


def test_fits_end_at_a_gradient_in_the_columns_own_units(monkeypatch):
    """Columns of another spread, and alpha in their units, are the same problem."""
    rng, y, asked = np.random.default_rng(0), np.arange(90) % 3, []
    X = (rng.normal(size=(90, 6)) + 2 * np.eye(3, 6)[y]).astype(np.float32)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    call = _Fits.__call__
    monkeypatch.setattr(_Fits, "__call__", lambda self, *given: asked.append(self.solver.tol) or call(self, *given))
    plan = Recipe(standardize=False)
    whole, small = (outside(X * u, y, plan, 1e-3 * u * u, 0) for u in (1.0, 1 / 16))
    assert asked[0] == pytest.approx(16 * asked[-1], rel=0.01)
    assert np.mean(whole.scores.argmax(axis=1) == small.scores.argmax(axis=1)) > 0.97
