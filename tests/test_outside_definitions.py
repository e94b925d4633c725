"""Which rows train and which are scored where classifiers speak of rows that they had not seen: by counting."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead import SoftmaxClassifier
from linearhead.experiment import outside as room
from linearhead.experiment.outside import FOLDS, PARTS, Chain, outside, stopped_early
from linearhead.objective import Shared
from linearhead.solvers import LBFGS


def labels(*amounts):
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(amounts)), amounts))


def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize(("amounts", "k"), [((9, 8, 7), 4), ((5, 4, 21), 4), ((3, 40, 1), 3), ((2, 2, 2), 2)])
def test_every_classs_rows_are_dealt_out_evenly(amounts, k):
    y = labels(*amounts)
    fold = room._folds(y, None, 0, rng())
    assert fold.max() + 1 == k == min(FOLDS, min(n for n in amounts if n > 1))
    for c, n in enumerate(amounts):
        own = fold[y == c]
        assert own.tolist() == [-1] if n == 1 else sorted(np.bincount(own)) in even(n, k)
        if n > 1:  # dealt from place c on, so that classes of one row more do not all give it to one fold
            assert np.bincount(own, minlength=k).tolist() == [sum((i + c) % k == f for i in range(n)) for f in range(k)]
    part = room._parts(y, fold, None, 0, rng())
    for f in range(k):
        for c in range(len(amounts)):
            counts = np.bincount(part[(fold == f) & (y == c)], minlength=PARTS)
            assert np.ptp(counts) <= 1
            assert len(counts) == PARTS
    assert np.all(part[fold < 0] == 0)


def even(n, k):
    return [sorted([n // k + (i < n % k) for i in range(k)])]


def test_folds_and_parts_keep_groups_whole():
    groups = np.repeat(np.arange(96), 5)
    y = groups % 3
    fold = room._folds(y, groups, 0, rng())
    part = room._parts(y, fold, groups, 0, rng())
    assert fold.max() == 3
    for g in range(96):
        assert len(np.unique(np.c_[fold, part][groups == g], axis=0)) == 1
    for f in range(4):
        assert np.bincount(y[fold == f]).tolist() == [40, 40, 40]
        assert np.bincount(part[fold == f]).tolist() == [30] * PARTS
    assert room._folds(y, np.where(y == 2, groups % 2, groups + 2), 0, rng()).max() == 1  # two groups: two folds
    assert room._folds(y, np.where(y == 2, 0, groups + 1), 0, rng()) is None  # all of a class would be held out


@pytest.mark.parametrize("share", [1 / 16, 1 / 4, 1 / 2, 1.0])
def test_rows_below_a_share_are_that_share_of_each_class(share):
    y, among = labels(64, 33, 8), np.ones(105, bool)
    among[np.flatnonzero(y == 0)[:16]] = False
    place = room._places(y, among, rng())
    assert np.all(place[~among] == 2)
    assert np.all((place[among] >= 0) & (place[among] < 1))
    for c, n in enumerate((48, 33, 8)):
        below = np.sum(place[y == c] < share)
        assert share * n - 1 < below < share * n + 1
    assert np.all(place[np.argsort(place)] <= np.maximum.accumulate(place[np.argsort(place)]))
    groups = np.arange(105) // 5
    whole = room._places(y, among, rng(), groups)
    for c in range(3):
        for g in range(21):
            assert len(np.unique(whole[among & (y == c) & (groups == g)])) <= 1
        assert whole[among & (y == c)].min() < 1 / 3
    mean = np.mean(
        [np.mean(room._places(y, among, np.random.default_rng(s), groups)[among] < share) for s in range(60)]
    )
    assert mean == pytest.approx(share, abs=0.03)  # on average, whatever the groups' sizes


def test_a_sample_of_rows_is_one_of_every_class():
    y = labels(40, 80)
    kept = room._stratified(y, 0.25, rng())
    assert np.bincount(y[kept]).tolist() in ([10, 20], [11, 20], [10, 21], [9, 20], [10, 19])
    assert np.array_equal(kept, np.unique(kept))
    assert np.array_equal(room._stratified(y, 1.0, rng()), np.arange(120))


class Recipe:
    """Gives no estimator but an objective of so many classes."""

    def estimator(self, alpha):
        return SimpleNamespace(_objective=lambda X, y: SimpleNamespace(k=int(y.max()) + 1))


def scripted(monkeypatch, thetas):
    """`_chains` that fit nothing: θ of link i of fold f is thetas[f] + i, of the part j of a fold 10 (j + 1) more."""
    seen = []

    def chains(objective, alpha, fold, part, rng, groups=None):
        seen.append((fold, part, groups))
        found = []
        for f in range(fold.max() + 1):
            own = np.flatnonzero(fold == f)
            ends = [(own[part[own] == j], thetas[f] + 10.0 * (j + 1)) for j in np.unique(part[own])]
            found.append(Chain(own, [thetas[f] + i for i in range(3)], ends))
        return found

    monkeypatch.setattr(room, "_chains", chains)
    return seen


def test_every_row_has_its_own_parts_scores(monkeypatch):
    y = labels(30, 29, 1)
    X = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    thetas = np.random.default_rng(2).normal(size=(4, 5, 3))
    seen = scripted(monkeypatch, thetas)
    found = outside(X, y, Recipe(), 0.1, seed=7)
    (fold, part, _), lone = seen[0], y == 2
    assert np.array_equal(found.unseen, ~lone)
    for row in np.flatnonzero(~lone):
        theta = thetas[fold[row]] + 10.0 * (part[row] + 1)
        np.testing.assert_allclose(found.scores[row], X[row] @ theta[:-1] + theta[-1], rtol=1e-4, atol=1e-4)
    ends = [X[lone] @ t[:-1] + t[-1] for t in thetas + 2.0]
    np.testing.assert_allclose(found.scores[lone], np.mean(ends, axis=0), rtol=1e-4, atol=1e-4)
    sizes = [np.sum((fold == f) & (part == j)) for f in range(4) for j in range(PARTS)]
    assert found.fitted == 60 - round(np.mean([size for size in sizes if size]))
    trained = 60 - 59 / 4
    assert found.curve.n == [round(trained * share) for share in (1 / 4, 1 / 2, 1)]
    right = [
        np.mean([np.argmax(X[i] @ (t := thetas[fold[i]] + link)[:-1] + t[-1]) == y[i] for i in np.flatnonzero(~lone)])
        for link in range(3)
    ]
    assert found.curve.accuracy == pytest.approx(right)
    assert found.curve.judged == 59


def test_of_more_rows_than_are_affordable_the_others_get_the_mean_of_all_ends(monkeypatch):
    monkeypatch.setattr(room, "CELLS", 4 * 1000)
    y = labels(1200, 1199, 1)
    X = np.random.default_rng(1).normal(size=(2400, 4)).astype(np.float32)
    thetas = np.random.default_rng(2).normal(size=(4, 5, 3))
    seen = scripted(monkeypatch, thetas)
    found = outside(X, y, Recipe(), 0.1, seed=7)
    fold, part, _ = seen[0]
    assert 995 <= len(fold) <= 1005
    assert not part.any()  # not as sure of themselves as a fit to all rows: one part will do
    assert np.sum(fold < 0) == 1  # a class's only row is kept, and held out by none
    mean = np.mean([X @ (t + 2)[:-1] + (t + 2)[-1] for t in thetas], axis=0)
    others = np.all(np.isclose(found.scores, mean, rtol=1e-4, atol=1e-3), axis=1)
    assert others.sum() == 2400 - np.sum(fold >= 0)
    assert found.fitted == len(fold) - round(np.mean([np.sum(fold == f) for f in range(4)]))


def test_of_one_row_a_class_nothing_is_told(monkeypatch):
    seen = scripted(monkeypatch, np.zeros((4, 5, 2)))
    X = np.ones((2, 4), np.float32)
    assert outside(X, np.array([0, 1]), Recipe(), 0.1, 0) is None
    assert stopped_early(X, np.array([0, 1]), None, 0.1, 0, None, 1) is None
    assert not seen
    assert outside(np.ones((17, 4), np.float32), np.array([0] + [1] * 16), Recipe(), 0.1, 0) is not None


@pytest.mark.parametrize("alike", [False, True])
def test_chains_are_nested_shares_of_the_other_folds_and_end_in_all_rows_but_a_part(alike, monkeypatch):
    fits = []

    def fitted(self, used, theta, model=None):
        fits.append((used.copy(), theta[0, 0], model))
        return room._End(theta + 1, 0.0, f"model {len(fits)}")

    monkeypatch.setattr(room._Fits, "__call__", fitted)
    groups = np.arange(480) // 4 if alike else None
    y = np.arange(480) // 4 % 4
    X = np.random.default_rng(0).normal(size=(480, 3))
    fold = room._folds(y, groups, 0, rng())
    part = room._parts(y, fold, groups, 0, rng())
    objective = SoftmaxClassifier(alpha=0.1)._objective(X, y)
    chains = room._chains(objective, 0.1, fold, part, rng(), groups)
    assert len(fits) == 4 * (5 + 4)
    for f in range(4):
        own, others = fits[9 * f : 9 * f + 5], fits[9 * f + 5 : 9 * f + 9]
        assert [start for _, start, _ in own] == [0, 1, 2, 3, 4]  # each from the last
        for (used, _, model), share in zip(own, (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1), strict=True):
            assert model is None
            assert not used[fold == f].any()
            for c in range(4):
                of_class = np.sum((fold != f) & (y == c))
                assert abs(np.sum(used & (y == c)) - share * of_class) <= (4 if alike else 1)
            if alike:
                assert all(len(np.unique(used[groups == g])) == 1 for g in range(120))
        for (fewer, *_), (more, *_) in pairwise(own):
            assert not np.any(fewer & ~more)
        assert own[-1][0].sum() == np.sum(fold != f)
        assert np.array_equal(chains[f].fold, np.flatnonzero(fold == f))
        assert len(chains[f].links) == 5
        for j, (used, start, model) in enumerate(others):
            assert np.array_equal(~used, (fold == f) & (part == j))
            assert (start, model) == (5, f"model {9 * f + 5}")
            assert np.array_equal(chains[f].ends[j][0], np.flatnonzero(~used))


def test_shares_of_less_than_a_row_a_class_are_no_links(monkeypatch):
    monkeypatch.setattr(room._Fits, "__call__", lambda self, used, theta, model=None: room._End(theta, 0.0))
    for n, links in ((16 * 4, 4), (22 * 4, 5), (4 * 2, 1)):  # three fourths or half of the rows, one a class at least
        y = np.arange(n) % 4
        objective = SoftmaxClassifier(alpha=0.1)._objective(np.random.default_rng(0).normal(size=(n, 3)), y)
        fold = room._folds(y, None, 0, rng())
        chains = room._chains(objective, 0.1, fold, np.zeros(n, int), rng())
        assert [len(chain.links) for chain in chains] == [links] * (fold.max() + 1)


def test_scores_of_fits_that_a_weak_penalty_leaves_far_from_their_optimum_are_not_believed(monkeypatch):
    y, X = np.arange(64) % 4, np.random.default_rng(0).normal(size=(64, 3))
    objective = SoftmaxClassifier(alpha=1e-3)._objective(X, y)
    fold = room._folds(y, None, 0, rng())
    for alpha, residual, told in ((1e-3, 0.9e-3, True), (1e-3, 1.1e-3, False), (0.1, 1.0, True)):
        end = room._End(objective.start(), residual)
        monkeypatch.setattr(room._Fits, "__call__", lambda self, used, theta, model=None, end=end: end)
        found = room._chains(replace(objective, alpha=alpha), alpha, fold, np.zeros(64, int), rng())
        assert (found is not None) is told


class Counting:
    """Remembers what it was fitted to; its score of every class is the sum of a row of ones and the number of fits."""

    def __init__(self, log):
        self.log, self.fits, self.options = log, 0, {}

    def set_params(self, **options):
        self.options = options
        return self

    def fit(self, X, y):
        assert self.options == {"warm_start": True}
        self.fits += 1
        self.log.append((self.fits, X[:, 0].astype(int)))
        self.coef_, self.intercept_ = np.zeros((3, 2)), np.arange(3.0) + 10 * len(self.log)
        return self


def test_models_stopped_early_are_fitted_to_the_other_folds_so_many_times():
    log, y = [], labels(12, 12, 12)
    X = np.c_[np.arange(36), np.zeros(36)]
    recipe = SimpleNamespace(estimator=lambda alpha: Counting(log))
    scores = stopped_early(X, y, recipe, 0.1, 0, None, 3)
    assert [fits for fits, _ in log] == [1, 2, 3] * 4
    for row in range(36):
        last = [3 * f + 3 for f in range(4) if row not in log[3 * f + 2][1]]
        assert len(last) == 1  # one fold's fits have not seen it
        np.testing.assert_array_equal(scores[row], np.arange(3.0) + 10 * last[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_subset_in_its_own_span_is_the_same_problem(weighted):
    """Fewer rows than columns; its optimum is that of those rows alone, with their weights."""
    gen, y = np.random.default_rng(0), np.arange(40) % 4
    X, w = gen.normal(size=(40, 90)), gen.uniform(0.5, 2, 40) if weighted else np.ones(40)
    whole = SoftmaxClassifier(alpha=0.05)._objective(X, y, w)
    whole = replace(whole, weights=w, shared=Shared(basis=whole.basis()))
    solver = LBFGS(tol=1e-9)
    fits, used = room._Fits(whole, solver, solver), np.arange(40) % 3 == 0
    subset = room._subset(whole, used)
    alone = fits._alone(subset)
    assert alone is not None
    theta = gen.normal(size=whole.start().shape)
    assert alone.at(theta).value == pytest.approx(subset.at(theta).value, rel=1e-12)
    s = whole.design.dense()[used] @ theta[:-1] + theta[-1]
    losses = np.log(np.exp(s).sum(axis=1)) - s[np.arange(used.sum()), y[used]]
    expected = w[used] @ losses / w[used].sum() + 0.05 / 2 * np.sum(theta[:-1] ** 2)
    assert alone.at(theta).value == pytest.approx(expected, rel=1e-9)
    end = fits(used, whole.start())
    assert subset.at(end.theta).residual < 1e-8
    assert end.residual < 1e-8
    few = replace(fits, quick=None)
    assert few._alone(subset) is None
    many = room._subset(whole, np.arange(40) % 3 > 0)  # more than half of the rows: weights on all
    assert many.n == 40
    s = whole.design.dense() @ theta[:-1] + theta[-1]
    losses, own = np.log(np.exp(s).sum(axis=1)) - s[np.arange(40), y], w * (np.arange(40) % 3 > 0)
    assert many.at(theta).value == pytest.approx(own @ losses / own.sum() + 0.025 * np.sum(theta[:-1] ** 2), rel=1e-9)


def test_a_classs_only_row_has_any_place():
    places = [room._places(np.array([0, 1, 1]), np.ones(3, bool), np.random.default_rng(s))[0] for s in range(40)]
    assert min(places) < 0.2
    assert max(places) > 0.8
