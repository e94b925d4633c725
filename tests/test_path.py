"""The path: every point is the fit that stands alone, held-out rows choose, folds are folds."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from scipy.special import log_softmax
from scipy.stats import t as student
from sklearn.datasets import load_digits

from linearhead.errors import ConvergenceWarning, DataError, UsageError
from linearhead.estimators import ESTIMATORS, LeastSquaresClassifier, LinearClassifier, SoftmaxClassifier
from linearhead.losses import LOSSES
from linearhead.path import RegularizationPath, follow, held_out, regularization_path
from linearhead.records import Status

ALPHAS = [1.0, 0.1, 0.01, 1e-3]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:500] / 16, y[:500], X[500:800] / 16, y[500:800]


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared_hinge", "squared"])
def test_every_point_is_the_fit_that_stands_alone(digits, loss):
    X, y, Xv, yv = digits
    path = regularization_path(X, y, loss=loss, alphas=ALPHAS, valid=(Xv, yv), tol=1e-9, give_up=None)
    assert path.alphas.tolist() == ALPHAS
    for point, coef, intercept in zip(path.points, path.coefs, path.intercepts, strict=True):
        alone = LinearClassifier(loss, alpha=point.alpha, tol=1e-9).fit(X, y)
        np.testing.assert_allclose(coef, alone.coef_, atol=1e-6)
        assert point.certificate.certified
        assert point.valid_accuracy == pytest.approx(alone.score(Xv, yv))
        assert point.train_accuracy == pytest.approx(alone.score(X, y))
        s = Xv @ coef.T + intercept
        assert point.valid_loss == pytest.approx(float(np.mean(LOSSES[loss]().value(s, yv))))


def test_alphas_run_from_strong_to_weak_whatever_their_order(digits):
    X, y, *_ = digits
    path = regularization_path(X, y, alphas=[1e-3, 1.0, 0.1, 0.1])
    assert path.alphas.tolist() == [1.0, 0.1, 1e-3]
    assert np.all(np.diff(path.train_loss) < 0)


def test_folds_are_weights_and_equal_copies(digits):
    X, y, *_ = digits
    path = regularization_path(X, y, alphas=[0.01], cv=4, tol=1e-9, random_state=3)
    point = path.points[0]
    from linearhead.design import design_of
    from linearhead.losses import CrossEntropy
    from linearhead.objective import Objective
    from linearhead.path import folds
    from linearhead.penalties import L2

    objective = Objective(design_of(X).fitted(), y, 10, CrossEntropy(), L2(), 0.01)
    seen, right, losses = np.zeros(len(y)), 0, 0.0
    for train, held in folds(objective, 4, 3):
        assert np.all((train.weights > 0) != (held.weights > 0))
        rows = held.weights > 0
        seen += rows
        assert set(y[rows]) == set(range(10))
        alone = SoftmaxClassifier(alpha=0.01, tol=1e-9).fit(X[~rows], y[~rows])
        right += np.sum(alone.predict(X[rows]) == y[rows])
        losses += -np.sum(alone.predict_log_proba(X[rows])[np.arange(rows.sum()), y[rows]])
    assert np.all(seen == 1)
    assert point.valid_accuracy == pytest.approx(right / len(y))
    assert point.valid_loss == pytest.approx(losses / len(y), rel=1e-6)
    middle = (right + 2) / (len(y) + 4)
    assert point.valid_error == pytest.approx(np.sqrt(middle * (1 - middle) / (len(y) + 4)))


def test_the_rules(digits):
    X, y, Xv, yv = digits
    path = regularization_path(X, y, valid=(Xv, yv), give_up=None, tol=1e-4, certificates=False)
    accuracy, loss = path.valid_accuracy, path.valid_loss
    best = int(np.argmax(accuracy))
    enough = accuracy[best] - path.points[best].valid_error
    assert accuracy[path.index_] >= enough
    assert all(loss[path.index_] <= loss[i] for i in range(len(loss)) if accuracy[i] >= enough)
    assert path.alpha_ == path.alphas[path.index_]
    path.rule = "accuracy"
    assert path.index_ == best
    path.rule = "one_standard_error"
    assert accuracy[path.index_] >= enough
    assert path.index_ < best
    assert np.all(accuracy[: path.index_] < enough)


def test_loss_decides_where_accuracy_ties():
    from linearhead.path import PathPoint, RegularizationPath

    def point(alpha, accuracy, loss, error=0.02):
        return PathPoint(alpha, np.zeros((2, 2)), Status.CONVERGED, None, 0.0, 1.0, loss, accuracy, error, 1.0, 0.0)

    path = RegularizationPath(
        [point(1, 0.90, 0.5), point(0.1, 0.89, 0.3), point(0.01, 0.80, 0.2), point(0.001, 0.9, 0.6)]
    )
    assert path.alpha_ == 0.1
    path.rule = "accuracy"
    assert path.alpha_ == 1
    path.rule = "one_standard_error"
    assert path.alpha_ == 1


def test_hopeless_penalties_are_left_out_and_named(digits):
    X, y, Xv, yv = digits
    whole = regularization_path(X, y, valid=(Xv, yv), give_up=None, tol=1e-4, certificates=False)
    short = regularization_path(X, y, valid=(Xv, yv), give_up=3, tol=1e-4, certificates=False)
    assert 3 < len(short.points) < len(whole.points)
    assert sorted(whole.alphas) == sorted([*short.alphas, *short.abandoned])
    first, last = (whole.alphas.tolist().index(alpha) for alpha in short.alphas[[0, -1]])
    assert short.alphas.tolist() == whole.alphas[first : last + 1].tolist()
    assert first > 0  # the strongest were not even tried
    assert short.index_ >= 3 <= len(short.points) - 1 - short.index_  # the turn can be seen on both sides
    assert short.alpha_ == whole.alpha_
    np.testing.assert_allclose(short.valid_loss, whole.valid_loss[first : last + 1], rtol=2e-2)


def test_the_path_goes_up_from_where_it_begins_to_the_strongest_if_that_is_better(digits):
    X, y, Xv, yv = digits
    lost = np.random.default_rng(0).permutation(y)
    whole = regularization_path(X, lost, valid=(Xv, yv), give_up=None, certificates=False)
    short = regularization_path(X, lost, valid=(Xv, yv), certificates=False)
    assert short.alphas[0] == whole.alphas[0]
    assert short.alpha_ == whole.alpha_
    assert np.all(np.diff(short.alphas) < 0)
    assert len(short.points) < len(whole.points)
    np.testing.assert_allclose(short.valid_loss, whole.valid_loss[: len(short.points)], rtol=1e-3)


def test_of_very_many_classes_the_path_begins_at_the_strongest(digits, monkeypatch):
    from linearhead.path import walk

    X, y, Xv, yv = digits
    within = regularization_path(X, y, valid=(Xv, yv), tol=1e-4, certificates=False)
    monkeypatch.setattr(walk, "MANY_CLASSES", 9)
    seen = []
    options = {"tol": 1e-4, "certificates": False, "callback": lambda point: seen.append(point.alpha)}
    many = regularization_path(X, y, valid=(Xv, yv), **options)
    assert many.alpha_ == within.alpha_
    assert max(seen) == seen[0] > max(within.alphas)
    assert seen == sorted(seen, reverse=True)


def test_accuracy_within_chance_keeps_no_path_going_where_loss_decides():
    from linearhead.path import PathPoint, RegularizationPath
    from linearhead.path.walk import _hopeless

    def path(rule, accuracies):
        losses = [0.5, 0.3, 0.4, 0.5, 0.6]
        points = [
            PathPoint(10.0**-i, np.zeros((2, 2)), Status.CONVERGED, None, 0.0, 1.0, loss, accuracy, 0.01, 1.0, 0.0)
            for i, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
        ]
        return RegularizationPath(points, rule=rule)

    chance, more = [0.8, 0.9, 0.905, 0.901, 0.9], [0.8, 0.9, 0.905, 0.92, 0.9]
    assert _hopeless(path("best", chance), 3)
    assert not _hopeless(path("accuracy", chance), 3)
    assert _hopeless(path("best", [0.9, 0.8, 0.8, 0.8, 0.8]), 4)  # lower losses, but right too seldom to be chosen
    assert not _hopeless(path("best", more), 3)
    assert not _hopeless(path("best", chance), 4)
    assert not _hopeless(path("best", chance), 3, stronger=True)


def test_a_rough_path_ends_where_it_is_told_without_float64(digits, monkeypatch):
    from linearhead.objective import Objective
    from linearhead.path import follow
    from linearhead.path.held import held_out
    from linearhead.path.result import RegularizationPath
    from linearhead.path.sample import Maker, Sample

    X, y, Xv, yv = (part.astype(np.float32) if part.dtype == float else part for part in digits)
    objective, classes = Maker("cross_entropy", "l2", 0.5, 1.0, False, True).objective(Sample.of(X, y))
    judges = [(objective, held_out(objective, Xv, yv))]

    def walked(**options):
        path = RegularizationPath.of(objective, classes)
        follow(path, objective, judges, ALPHAS, tol=1e-3, certificates=False, give_up=None, **options)
        return path

    checked, at = walked(), Objective.at
    with monkeypatch.context() as patch:
        patch.setattr(
            Objective, "at", lambda self, theta: pytest.fail("float64") if self.design.exact else at(self, theta)
        )
        rough, sharp = walked(rough=np.inf), walked(rough=1e-2)
    assert sum(rough.passes) < sum(checked.passes)
    assert sum(rough.passes) < sum(sharp.passes)
    for loose, point in zip(rough.points, sharp.points, strict=True):
        exact = LinearClassifier(alpha=point.alpha, tol=1e-6).fit(X, y).coef_
        off, most = (np.abs(p.theta[:-1].T - exact).max() / np.abs(exact).max() for p in (point, loose))
        assert off < 0.05
        assert off <= most


def test_sparse_and_standardized_paths(digits):
    X, y, Xv, yv = digits
    options = {"alphas": [0.1, 0.01], "tol": 1e-9, "give_up": None}
    dense = regularization_path(X, y, valid=(Xv, yv), **options)
    sparse = regularization_path(scipy.sparse.csr_array(X), y, valid=(scipy.sparse.csr_array(Xv), yv), **options)
    np.testing.assert_allclose(sparse.coefs[1], dense.coefs[1], atol=1e-7)
    scaled = regularization_path(X, y, valid=(Xv, yv), standardize=True, **options)
    alone = SoftmaxClassifier(alpha=0.01, standardize=True, tol=1e-9).fit(X, y)
    spread = X.std(axis=0)  # the weights of the scaled columns, which the penalty and tol refer to
    np.testing.assert_allclose(scaled.coefs[1] * spread, alone.coef_ * spread, atol=1e-6)
    assert scaled.points[1].valid_accuracy == pytest.approx(alone.score(Xv, yv))


def test_weights_are_repeats(digits):
    X, y, *_ = digits
    w = np.random.default_rng(0).integers(1, 4, len(y)).astype(float)
    rows = np.repeat(np.arange(len(y)), w.astype(int))
    weighted = regularization_path(X, y, alphas=[0.1, 0.01], sample_weight=w, tol=1e-9)
    repeated = regularization_path(X[rows], y[rows], alphas=[0.1, 0.01], tol=1e-9)
    np.testing.assert_allclose(weighted.coefs[1], repeated.coefs[1], atol=1e-7)


def test_a_callback_sees_points_and_may_stop(digits):
    X, y, *_ = digits
    seen = []
    path = regularization_path(X, y, alphas=ALPHAS, callback=lambda p: seen.append(p.alpha) or len(seen) == 2)
    assert seen == ALPHAS[:2]
    assert path.abandoned == ALPHAS[2:]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rule": "luck"}, UsageError, "one_standard_error"),
        ({"cv": 1}, UsageError, "folds from 2"),
        ({"cv": 10**6}, UsageError, "commonest class"),
        ({"alphas": []}, UsageError, "at least one"),
        ({"alphas": [1.0, -1.0]}, UsageError, "≥ 0"),
        ({"loss": "nonsense"}, UsageError, "cross_entropy"),
    ],
)
def test_options_that_cannot_work_are_named(digits, options, error, words):
    X, y, *_ = digits
    with pytest.raises(error, match=words):
        regularization_path(X, y, **options)


def test_valid_and_cv_together_and_one_class(digits):
    X, y, Xv, yv = digits
    with pytest.raises(UsageError, match="not both"):
        regularization_path(X, y, valid=(Xv, yv), cv=3)
    with pytest.raises(DataError, match="two classes"):
        regularization_path(X, np.zeros(len(y)))


def test_nothing_is_chosen_where_nothing_is_held_out(digits):
    """By the rows that were fitted the weakest penalty always wins: no choice to be given without a word."""
    X, y, *_ = digits
    path = regularization_path(X, y, alphas=ALPHAS)
    for ask in (lambda: path.alpha_, lambda: path.C_, lambda: path.index_, lambda: path.predict(X)):
        with pytest.raises(UsageError, match=r"No rows were held out.*cv=5"):
            ask()
    assert "none chosen" in repr(path)
    assert "chosen" not in path.plot().svg
    assert len(path.coefs) == len(ALPHAS)
    with pytest.raises(UsageError, match="nothing is held out"):
        regularization_path(X, y, alphas=ALPHAS, refit=True)
    alone = regularization_path(X, y, alphas=[0.1])
    assert alone.alpha_ == 0.1
    assert len(alone.predict(X)) == len(y)
    with pytest.warns(ConvergenceWarning, match="has not converged") as told:
        regularization_path(X, y, alphas=ALPHAS, max_iter=1)
    assert len(told) == len(ALPHAS)


def grouped(tracks=40, frames=8, d=40, k=3):
    """Tracks of one class whose frames are nearly alike and lie as far apart as classes: X, y, groups."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(tracks), frames)
    y = groups % k
    X = rng.normal(size=(tracks, d))[groups] + 0.3 * np.eye(k, d)[y] + 0.01 * rng.normal(size=(len(y), d))
    mixed = rng.permutation(len(y))
    return X[mixed], y[mixed], groups[mixed]


def test_folds_keep_groups_whole():
    """A frame of a track that trained recalls its label by heart: one in three is right of new tracks."""
    X, y, groups = grouped()
    options = {"alphas": [1e-2, 1e-5], "cv": 5}
    parted, whole = (regularization_path(X, y, groups=g, **options) for g in (None, groups))
    assert parted.valid_accuracy[-1] > 0.7
    assert whole.valid_accuracy[-1] < 0.5
    named = regularization_path(X, y, groups=np.array([f"track {g:02}" for g in groups]), **options)
    assert np.array_equal(named.valid_loss, whole.valid_loss)
    errors = [path.points[-1].valid_error for path in (parted, whole, named)]
    assert errors[2] == errors[1] > 2 * errors[0]  # 40 tracks of 8 frames


def test_given_rows_of_groups_count_by_how_alike_they_are():
    X, y, groups = grouped()
    held = groups < 20
    options = {"valid": (X[held], y[held]), "alphas": [1e-2]}
    alone, whole, apart = (
        regularization_path(X[~held], y[~held], groups=g, **options).points[0]
        for g in (None, groups[held], np.arange(held.sum()))
    )
    assert alone.valid_loss == whole.valid_loss
    assert apart.valid_error == pytest.approx(alone.valid_error, rel=0.02)
    assert whole.valid_error > 2 * alone.valid_error  # 20 tracks of 8 frames


def test_held_out_rows_count_once_and_by_their_weights():
    from sklearn.model_selection import RepeatedStratifiedKFold

    X, y, _ = grouped(12)
    options = {"alphas": [10.0], "cv": RepeatedStratifiedKFold(n_splits=3, n_repeats=5, random_state=0)}
    w = np.where(np.arange(len(y)) % 2, 1.0, 0.1)
    for weights, rows in ((None, len(y)), (w, w.sum() ** 2 / (w**2).sum())):
        point = regularization_path(X, y, sample_weight=weights, **options).points[0]
        middle = (point.valid_accuracy * rows + 2) / (rows + 4)
        assert point.valid_error == pytest.approx((middle * (1 - middle) / (rows + 4)) ** 0.5)


@pytest.mark.parametrize("weighted", [False, True])
def test_folds_by_a_splitter_are_its_own(weighted):
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

    X, y, groups = grouped(12)
    w = np.random.default_rng(1).integers(0, 3, len(y)).astype(float) if weighted else None
    cv = StratifiedGroupKFold(3)
    splits = list(cv.split(X, y, groups))
    options = {"alphas": [0.1], "tol": 1e-9, "sample_weight": w}
    path = regularization_path(X, y, cv=cv, groups=groups, **options)
    pairs = regularization_path(X, y, cv=(pair for pair in splits), **options)
    assert path.valid_loss[0] == pairs.valid_loss[0]
    total, losses = 0.0, 0.0
    for train, held in splits:
        own = np.ones(len(y)) if w is None else w
        clf = SoftmaxClassifier(alpha=0.1, tol=1e-9).fit(X[train], y[train], own[train])
        losses -= own[held] @ clf.predict_log_proba(X[held])[np.arange(len(held)), y[held]]
        total += own[held].sum()
    assert path.valid_loss[0] == pytest.approx(losses / total, rel=1e-7)
    assert len(regularization_path(X, y, cv=LeaveOneGroupOut(), groups=groups, **options).points) == 1


def test_groups_and_splits_that_cannot_be():
    X, y, groups = grouped(12)
    for options, error, words in (
        ({"groups": groups}, UsageError, "cv=5"),
        ({"groups": groups, "cv": "loo", "loss": "squared"}, UsageError, "number of folds"),
        ({"groups": groups[1:], "cv": 3}, DataError, "a group for each row"),
        ({"groups": groups, "valid": (X[:9], y[:9])}, DataError, r"a group for each row, \(9,\)"),
        ({"groups": groups, "cv": 3, "protocol": "clip"}, UsageError, "its own alphas and split"),
        ({"cv": 2.5}, UsageError, "found 2.5"),
        ({"cv": [(np.flatnonzero(y), np.flatnonzero(y == 0))]}, UsageError, "no row of class 0"),
        ({"cv": [(np.arange(len(y)), np.zeros(0, int))]}, UsageError, "holds no row out"),
    ):
        with pytest.raises(error, match=words):
            regularization_path(X, y, alphas=[0.1], **options)


def test_a_fit_with_a_given_alpha_keeps_no_other_fits_path(digits):
    X, y, *_ = digits
    clf = SoftmaxClassifier(alpha="auto").fit(X[:200], y[:200])
    assert len(clf.path_.points) > 3
    assert not hasattr(clf.set_params(alpha=0.1).fit(X[:200], y[:200]), "path_")


def test_the_picture_holds_the_chosen_point(digits):
    X, y, Xv, yv = digits
    path = regularization_path(X, y, alphas=ALPHAS, valid=(Xv, yv))
    assert "chosen" in path.plot().svg
    assert path._repr_html_().startswith("<svg")


class TestAlphaAuto:
    @pytest.mark.parametrize("name", ["SoftmaxClassifier", "LogisticClassifier", "LeastSquaresClassifier"])
    def test_every_estimator_chooses(self, digits, name):
        X, y, Xv, yv = digits
        auto = ESTIMATORS[name](alpha="auto").fit(X, y)
        assert auto.alpha_ == auto.path_.alpha_
        assert auto.converged_
        same = ESTIMATORS[name](alpha=auto.alpha_).fit(X, y)
        np.testing.assert_allclose(auto.coef_, same.coef_, atol=2e-3)
        assert auto.score(Xv, yv) > 0.8

    def test_rows_given_to_judge_do_judge(self, digits):
        X, y, Xv, yv = digits
        auto = SoftmaxClassifier(alpha="auto").fit(X, y, X_valid=Xv, y_valid=yv)
        path = regularization_path(X, y, valid=(Xv, yv), certificates=False)
        assert auto.alpha_ == pytest.approx(path.alpha_)
        assert auto.trace_.valid_accuracy[-1] == pytest.approx(auto.score(Xv, yv))

    def test_a_class_of_one_row_is_taught_and_not_judged(self, digits):
        """One picture of one class is no reason to refuse the others: by rows held out, by folds, by a protocol whose
        random part holds it out."""
        X, y, *_ = digits
        seed = next(s for s in range(99) if 0 in np.random.default_rng(s).permutation(len(y))[: len(y) // 10])
        y = np.r_[99, y[1:]]
        auto = SoftmaxClassifier(alpha="auto").fit(X, y)
        paths = [
            regularization_path(X, y, cv=3, alphas=[0.1, 0.01]),
            regularization_path(X, y, protocol="clip", random_state=seed, certificates=False),
        ]
        for fit, classes in ((auto, auto.classes_), *((path, path.classes) for path in paths)):
            assert classes[-1] == 99
            assert np.mean(fit.predict(X) == y) > 0.9

    def test_an_interruption_keeps_the_best_so_far(self, digits, monkeypatch):
        X, y, Xv, yv = digits
        from linearhead.path import walk as module

        real, calls = module.fit_at, []

        def point(*args):
            calls.append(1)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return real(*args)

        monkeypatch.setattr(module, "fit_at", point)
        auto = SoftmaxClassifier(alpha="auto")
        with pytest.raises(KeyboardInterrupt):
            auto.fit(X, y)
        assert auto.status_ is Status.INTERRUPTED
        assert auto.alpha_ == auto.path_.alpha_
        assert len(auto.path_.points) == 5
        assert auto.score(Xv, yv) > 0.5

    def test_without_a_penalty_there_is_nothing_to_choose(self, digits):
        X, y, *_ = digits
        plain = LeastSquaresClassifier(alpha="auto", penalty="none").fit(X, y)
        assert plain.alpha_ == 0
        assert not hasattr(plain, "path_")


def brute_force(X, y, w, alpha, intercept, k):
    """Leave-one-out by n refits, the penalty held at alpha Σw: mean loss and accuracy."""
    total, loss, hits = w.sum(), 0.0, 0.0
    for i in range(len(y)):
        if not w[i]:
            s = ridge(X, y, w, alpha * total, intercept, k)(X[i])
        else:
            keep = np.arange(len(y)) != i
            s = ridge(X[keep], y[keep], w[keep], alpha * total, intercept, k)(X[i])
        loss += w[i] * 0.5 * np.sum((s - np.eye(k)[y[i]]) ** 2)
        hits += w[i] * (s.argmax() == y[i])
    return loss / total, hits / total


def ridge(X, y, w, strength, intercept, k):
    Y, p = np.eye(k)[y], w / w.sum()
    mean, target = (p @ X, p @ Y) if intercept else (np.zeros(X.shape[1]), np.zeros(k))
    Z = X - mean
    W = np.linalg.solve(Z.T @ (Z * w[:, None]) + strength * np.eye(X.shape[1]), Z.T @ ((Y - target) * w[:, None]))
    return lambda x: (x - mean) @ W + target


@pytest.mark.parametrize("shape", [(40, 7), (20, 60)])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_leave_one_out_is_n_refits(shape, intercept, weighted):
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal(shape) * np.logspace(0, -2, shape[1]) + 0.5, rng.integers(0, 3, shape[0])
    X[:, 0] += y
    w = rng.integers(0, 4, shape[0]).astype(float) if weighted else np.ones(shape[0])
    alphas = [1.0, 1e-2, 1e-4]
    path = regularization_path(
        X, y, loss="squared", alphas=alphas, cv="loo", fit_intercept=intercept, sample_weight=w if weighted else None
    )
    for point, alpha in zip(path.points, alphas, strict=True):
        loss, accuracy = brute_force(X, y, w, alpha, intercept, 3)
        assert point.valid_loss == pytest.approx(loss, rel=1e-7)
        assert point.valid_accuracy == pytest.approx(accuracy)
        assert point.certificate.residual < 1e-9
        r = X @ point.theta[:-1] + point.theta[-1] - np.eye(3)[y]
        assert point.train_loss == pytest.approx(w @ np.sum(r * r, axis=1) / 2 / w.sum())
        assert point.train_accuracy == pytest.approx(w @ ((r + np.eye(3)[y]).argmax(1) == y) / w.sum())


def test_least_squares_chooses_by_leaving_one_out(digits):
    X, y, Xv, yv = digits
    auto = LeastSquaresClassifier(alpha="auto").fit(X, y)
    path = regularization_path(X, y, loss="squared", cv="loo")
    assert auto.alpha_ == pytest.approx(path.alpha_)
    with pytest.raises(UsageError, match="loss='squared'"):
        regularization_path(X, y, cv="loo")
    assert auto.score(Xv, yv) > 0.8


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared_hinge"])
@pytest.mark.parametrize("wide", [False, True])
def test_as_exact_as_choosing_needs(digits, loss, wide):
    X, y, Xv, yv = digits
    if wide:
        rng = np.random.default_rng(0)
        turn = rng.standard_normal((64, 900)) / 30
        X, Xv, y = np.hstack([X[:200], X[:200] @ turn]), np.hstack([Xv, Xv @ turn]), y[:200]
    alphas = np.logspace(0, -4, 7)
    quick = regularization_path(X, y, loss=loss, alphas=alphas, valid=(Xv, yv), give_up=None)
    exact = regularization_path(X, y, loss=loss, alphas=alphas, valid=(Xv, yv), give_up=None, tol=1e-7)
    assert all(p.certificate.certified and p.certificate.gap <= 1e-6 * p.certificate.value for p in quick.points)
    for a, b in zip(quick.points, exact.points, strict=True):
        assert a.certificate.value <= b.certificate.value * (1 + 1e-6)
        labels = [(Xv @ p.theta[:-1] + p.theta[-1]).argmax(axis=1) for p in (a, b)]
        assert np.array_equal(labels[0], labels[1])
        assert a.valid_loss == pytest.approx(b.valid_loss, rel=1e-3)
    assert quick.alpha_ == exact.alpha_


@pytest.mark.parametrize(
    "given", [{"alphas": [0.1, 1e-4]}, {"alphas": [1e-4], "certificates": False}, {"protocol": "clip"}]
)
def test_the_fit_that_predicts_is_told_where_it_ended_too_early(digits, given):
    X, y, Xv, yv = digits
    with pytest.warns(ConvergenceWarning, match=r"alpha = .*, which the path predicts by, .*raise max_iter") as told:
        regularization_path(X, y, valid=(Xv, yv), max_iter=2, **given)
    assert [w.filename for w in told] == [__file__]


@pytest.mark.parametrize("form", [np.float64, np.float32, scipy.sparse.csr_array])
@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
@pytest.mark.parametrize("spare", [0, 8])
def test_classes_of_one_size_are_told_apart_under_any_strong_penalty(loss, form, spare):
    """As α grows W tends to a multiple of the means' places, so that x goes to argmax (m_c − m)·(x − m)."""
    X, y = load_digits(return_X_y=True)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    few = np.concatenate([np.flatnonzero(y == c)[: 16 - spare * (c == 9)] for c in range(10)])
    others = np.setdiff1d(np.arange(1000), few)
    make = form if form is scipy.sparse.csr_array else lambda rows: rows.astype(form)
    path = regularization_path(make(X[few]), y[few], loss=loss, alphas=10.0 ** np.arange(6, 2, -0.25))
    means = np.array([X[few][y[few] == c].mean(axis=0) for c in range(9 if spare else 10)])
    middle = X[few].mean(axis=0)
    places = (X[others] - middle) @ (means - middle).T
    first = np.sort(places, axis=1)
    clear = first[:, -1] - first[:, -2] > 0.03 * np.ptp(places, axis=1)
    assert clear.sum() > 600
    for coef, intercept in zip(path.coefs, path.intercepts, strict=True):
        found = (X[others] @ coef.T + intercept)[:, : len(means)].argmax(axis=1)
        np.testing.assert_array_equal(found[clear], places[clear].argmax(axis=1))


def test_folds_as_exact_as_choosing_needs(digits):
    X, y, *_ = digits
    quick = regularization_path(X, y, alphas=[1.0, 0.1, 0.01], cv=3, give_up=None)
    exact = regularization_path(X, y, alphas=[1.0, 0.1, 0.01], cv=3, give_up=None, tol=1e-6)
    np.testing.assert_allclose(quick.valid_accuracy, exact.valid_accuracy, atol=1.5 / len(y))  # one row at most
    np.testing.assert_allclose(quick.valid_loss, exact.valid_loss, rtol=1e-2)


class TestProtocols:
    def test_dinov3_is_the_literal_protocol(self, digits):
        from sklearn.linear_model import LogisticRegression

        X, y, Xv, yv = digits
        X, y = X[:300], y[:300]
        path = regularization_path(X, y, protocol="dinov3-logreg", valid=(Xv, yv))
        C = 10.0 ** np.linspace(-6, 5, 45)
        np.testing.assert_allclose(1 / (path.alphas * len(y)), C)
        shown = slice(4, 30, 12)
        cold = [LogisticRegression(C=c, tol=1e-8, max_iter=1000).fit(X, y) for c in C[shown]]
        np.testing.assert_allclose(path.valid_accuracy[shown], [m.score(Xv, yv) for m in cold])
        assert pytest.approx(C[np.argmax(path.valid_accuracy)]) == path.C_
        both = np.vstack([X, Xv]), np.concatenate([y, yv])
        final = LogisticRegression(C=path.C_, tol=1e-8, max_iter=1000).fit(*both)
        assert path.refit.alpha == pytest.approx(1 / (path.C_ * len(both[1])))
        assert np.array_equal(path.predict(both[0]), final.predict(both[0]))

    def test_dinov3_holds_a_random_tenth_out(self, digits):
        X, y, *_ = digits
        path = regularization_path(X, y, protocol="dinov3-logreg", random_state=1)
        assert path.n_rows == len(y) - len(y) // 10
        assert path.refit.alpha == pytest.approx(path.alpha_ * path.n_rows / len(y))

    def test_clip_halves_around_the_best(self, digits):
        X, y, Xv, yv = digits
        path = regularization_path(X, y, protocol="clip", valid=(Xv, yv))
        powers = np.log10(1 / (path.alphas * len(y)))
        assert set(np.round(powers, 6)) >= {-6, -4, -2, 0, 2, 4, 6}
        assert len(powers) <= 15
        assert np.allclose(powers * 8, np.round(powers * 8))
        best = np.log10(path.C_)
        if abs(best) < 6:
            assert np.min(np.abs(powers - best - 0.125)) < 1e-9

    def test_options_of_a_protocol(self, digits):
        X, y, *_ = digits
        with pytest.raises(UsageError, match="dinov3-logreg, clip"):
            regularization_path(X, y, protocol="luck")
        with pytest.raises(UsageError, match="its own alphas"):
            regularization_path(X, y, protocol="clip", cv=3)


def test_a_weaker_penalty_clearly_worse_on_held_out_rows_ends_the_path(digits):
    """Wrong labels are learned where the penalty is weak, so that the held-out loss rises steeply."""
    X, y, Xv, yv = digits
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(len(y)) < 0.3, rng.integers(0, 10, len(y)), y)
    options = {"valid": (Xv, yv), "tol": 1e-6, "certificates": False}
    whole = regularization_path(X, noisy, give_up=None, **options)
    short = regularization_path(X, noisy, **options)
    assert short.alpha_ == whole.alpha_
    lowest = int(np.argmin(short.valid_loss))
    assert lowest < len(short.points) - 1  # the rise can be seen
    assert len(short.points) - 1 - short.index_ < 4  # sooner than four α's behind


@pytest.mark.parametrize(("accuracies", "fitted"), [([0.5, 0.6, 0.6], 3), ([0.5, 0.6, 0.7], 4)])
def test_it_goes_on_while_a_worse_loss_is_more_often_right(accuracies, fitted):
    from linearhead.path import PathPoint, RegularizationPath
    from linearhead.path.walk import _from_within

    walk = SimpleNamespace(objective=SimpleNamespace(k=3), walkers=[], behind=lambda: 9.0)
    path, seen = RegularizationPath(), []
    for alpha in _from_within(walk, path, 10.0 ** -np.arange(12), 4):
        seen.append(alpha)
        if len(seen) > len(accuracies) or alpha > seen[0]:
            break
        accuracy = accuracies[len(seen) - 1]
        path.add(PathPoint(alpha, np.zeros((2, 2)), Status.CONVERGED, None, 0.0, 1.0, 1.0, accuracy, 0.01, 1.0, 0.0))
    assert sum(alpha <= seen[0] for alpha in seen) == fitted


@pytest.mark.parametrize("library", ["numpy", "strict"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alike", [False, True])
def test_how_much_higher_a_loss_is_comes_with_its_standard_error(digits, library, weighted, alike):
    import array_api_strict

    X, y, _, _ = digits
    rng = np.random.default_rng(1)
    thetas = 0.1 * rng.standard_normal((2, X.shape[1] + 1, 10))
    w = rng.integers(0, 3, len(y)).astype(float) if weighted else np.ones(len(y))
    rows = X if library == "numpy" else array_api_strict.asarray(X)
    objective = SoftmaxClassifier()._objective(rows, y, w if weighted else None)
    own = [objective.design.to_rows(theta) for theta in thetas]
    losses = [-log_softmax(X[w > 0] @ t[:-1] + t[-1], axis=1)[np.arange(np.sum(w > 0)), y[w > 0]] for t in own]
    groups = (np.arange(len(y)) // 25)[w > 0] if alike else None
    codes = groups if groups is None or objective.n == len(groups) else np.arange(len(y)) // 25  # rows of no weight
    more, error = objective.excess(*thetas, codes)
    difference, share = losses[0] - losses[1], w[w > 0]
    mean = np.average(difference, weights=share)
    assert more == pytest.approx(mean, rel=1e-9)
    deviations, factor = share * (difference - mean), 1.0
    if alike:
        deviations = np.bincount(groups, deviations)
        factor = (len(deviations) / (len(deviations) - 1)) ** 0.5 * student.ppf(0.975, len(deviations) - 1) / 1.96
    assert error == pytest.approx(factor * np.linalg.norm(deviations) / share.sum(), rel=1e-4)
    tally = objective.tally(thetas[0], codes)
    assert tally.loss == pytest.approx(share @ losses[0])
    assert tally.weights == pytest.approx(np.bincount(groups, share) if alike else [share.sum()])


@pytest.mark.parametrize("library", ["numpy", "strict"])
@pytest.mark.parametrize("weighted", [False, True])
def test_judging_also_tells_the_loss_over_each_temperature(digits, library, weighted):
    import array_api_strict

    X, y, _, _ = digits
    rng = np.random.default_rng(1)
    theta = 0.1 * rng.standard_normal((X.shape[1] + 1, 10))
    w = rng.integers(0, 3, len(y)).astype(float) if weighted else None
    rows = X if library == "numpy" else array_api_strict.asarray(X)
    objective = replace(SoftmaxClassifier()._objective(rows, y, w), watch=True)
    alike = np.arange(len(y)) % 7
    for groups in (None, alike):
        seen = objective.tally(theta, groups, [0.5, 1.0, 4.0])
        others = [objective.tally(theta / t, groups) for t in (0.5, 1.0, 4.0)]
        assert seen.tempered == pytest.approx([other.loss for other in others], rel=1e-9)
        np.testing.assert_array_equal(seen.right, others[1].right)
        np.testing.assert_array_equal(seen.weights, others[1].weights)


def test_a_fit_that_will_be_calibrated_is_not_chosen_for_its_own_confidence():
    """Classes of one spread in all directions: the stronger the penalty, the more often right, and the less confident;
    a temperature mends the latter."""
    rng = np.random.default_rng(1)
    centres, y = 0.5 * rng.normal(size=(10, 60)), rng.integers(0, 10, 3000)
    X = centres[y] + rng.normal(size=(3000, 60))
    objective = SoftmaxClassifier()._objective(X[:400], y[:400])
    held = held_out(objective, X[400:550], y[400:550])
    accuracies, alphas = [], []
    for calibrated in (False, True):
        path = RegularizationPath.of(objective, np.arange(10))
        follow(path, objective, [(objective, held)], None, certificates=False, calibrated=calibrated)
        accuracies.append(np.mean(path.predict(X[550:]) == y[550:]))
        alphas.append(path.alpha_)
    assert alphas[1] > 10 * alphas[0]
    assert accuracies[1] > accuracies[0] + 0.02
