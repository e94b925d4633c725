"""The numbers of a path by their definitions: who is held out, what a point is worth, which one is chosen, where it
ends."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead import SoftmaxClassifier
from linearhead.errors import DataError, UsageError
from linearhead.metrics import effective, student
from linearhead.objective.judging import Tally
from linearhead.path import (
    PROTOCOLS,
    PathPoint,
    RegularizationPath,
    default_alphas,
    held_out,
    hold_out,
    regularization_path,
)
from linearhead.path.held import folds
from linearhead.path.protocols import random_part
from linearhead.path.sample import Sample
from linearhead.path.walk import Judgement, Walk, _hopeless, _rows, checked_alphas, standard_error
from linearhead.records import Status


def point(alpha, accuracy, loss, error=0.02):
    return PathPoint(alpha, np.zeros((2, 2)), Status.CONVERGED, None, 0.0, 1.0, loss, accuracy, error, 1.0, 0.0)


def path_of(accuracies, losses, rule="best"):
    points = [point(10.0**-i, a, loss) for i, (a, loss) in enumerate(zip(accuracies, losses, strict=True))]
    return RegularizationPath(points, rule=rule)


def objective_of(y, weights=None, standardize=False):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(y), 3)) * [1, 2, 5] + 1
    return SoftmaxClassifier(alpha=0.1, standardize=standardize)._objective(X, np.asarray(y), weights)


@pytest.mark.parametrize("amounts", [(7, 14, 21), (2, 3, 9), (30, 8, 2)])
def test_of_every_class_one_row_in_seven_is_held_out(amounts):
    y = np.random.default_rng(1).permutation(np.repeat(np.arange(3), amounts))
    training, held = hold_out(objective_of(y), seed=0)
    assert np.array_equal(training.weights, 1 - held.weights)
    assert (training.alpha, held.alpha) == (0.1, 0.0)
    for c, n in enumerate(amounts):  # dealt out from place c of seven on: totals of small classes even out
        assert held.weights[y == c].sum() == sum((i + c) % 7 == 0 for i in range(n))


def test_rows_of_no_weight_are_no_rows_of_their_class():
    y, w = np.repeat([0, 1], 6), np.r_[np.ones(6), 1, 2, 3, 0, 0, 0]
    objective = replace(objective_of(y), weights=w, total=0.0)  # as where rows are on disk or elsewhere
    pairs = folds(objective, 3, seed=1)
    for training, held in pairs:
        np.testing.assert_array_equal(training.weights + held.weights, objective.weights)
        assert [np.count_nonzero(held.weights[objective.y == c]) for c in (0, 1)] == [2, 1]
        assert training.total == training.weights.sum()
        assert held.total == held.weights.sum()
    for cv in (1, 7):
        with pytest.raises(UsageError, match="from 2 to 6, the rows of the commonest class"):
            folds(objective, cv, seed=1)
    assert len(folds(objective_of(y), 6, seed=0)) == 6


def test_a_rare_class_always_trains():
    """A row of its own in every fit; of fewer rows than folds, each is held out once."""
    y = np.r_[9, 3, 3, np.repeat(5, 14)]
    objective = objective_of(y)
    pairs = [*folds(objective, 5, seed=0), hold_out(objective, seed=0)]
    for training, held in pairs:
        np.testing.assert_array_equal(training.weights + held.weights, 1)
        assert training.weights[0] == 1
        assert training.weights[1:3].sum() >= 1
        assert held.total > 0
    np.testing.assert_array_equal(sum(held.weights for _, held in pairs[:5]), y != 9)
    lonely = objective_of(np.arange(5))
    with pytest.raises(UsageError, match="every class has a single row"):
        folds(lonely, 2, seed=0)
    with pytest.raises(DataError, match="every class has a single row"):
        hold_out(lonely, seed=0)


def test_rows_given_to_judge_are_seen_in_the_columns_of_those_that_train():
    objective = objective_of(np.arange(30) % 3, standardize=True)
    X, codes = np.random.default_rng(2).normal(size=(9, 3)) * 3, np.arange(9) % 3
    held = held_out(objective, X, codes)
    theta = np.random.default_rng(3).normal(size=(4, 3))
    stored = objective.design.stored(theta)
    s = X @ stored[:-1] + stored[-1]
    expected = np.mean(np.log(np.exp(s).sum(axis=1)) - s[np.arange(9), codes])
    assert held.at(theta).value == pytest.approx(expected, rel=1e-6)
    with pytest.raises(DataError, match="have 2 columns, the training rows 3"):
        held_out(objective, X[:, :2], codes)


def judge(loss, right, weights, tempered=()):
    right, weights = np.atleast_1d(right).astype(float), np.atleast_1d(weights).astype(float)
    return SimpleNamespace(
        total=weights.sum(), weights=None, n=40, tally=lambda *_: Tally(loss, right, weights, tuple(tempered))
    )


def test_a_point_is_judged_by_the_rows_of_all_folds_together():
    seen = [(judge(12.0, 20, 30), None), (judge(2.0, 9, 10), None)]
    found = Judgement.of(seen, 40.0)
    assert (found.loss, found.accuracy, found.temperature) == (14 / 40, 29 / 40, 1)
    assert found.error == standard_error(29 / 40, 40.0)
    rights, weights = [[3, 0, 5], [4, 6, 0]], [[4, 0, 6], [4, 6, 0]]
    seen = [(judge(1.0, r, w), None) for r, w in zip(rights, weights, strict=True)]
    found = Judgement.of(seen, 20.0, np.zeros(1))
    assert found.accuracy == 18 / 20
    sums = np.sum(rights, axis=0).astype(float), np.sum(weights, axis=0).astype(float)
    assert found.error == standard_error(0.9, effective(*sums, 0.9 * 0.1, 20.0))
    assert Judgement.of([], 0.0).accuracy is None


@pytest.mark.parametrize(("share", "n"), [(0.0, 10), (0.3, 25), (1.0, 4)])
def test_the_error_of_an_accuracy_is_that_of_two_more_hits_and_two_more_misses(share, n):
    p = (share * n + 2) / (n + 4)
    assert standard_error(share, n) == pytest.approx(np.sqrt(p * (1 - p) / (n + 4)))


def test_held_out_rows_count_by_their_weights():
    one, other = np.array([1.0, 0, 2, 0]), np.array([0, 3.0, 0, 1])
    both = one + other
    parts = [SimpleNamespace(weights=w, n=4) for w in (one, other)]
    assert _rows(parts) == pytest.approx(both.sum() ** 2 / (both**2).sum())
    assert _rows([SimpleNamespace(weights=None, n=4), SimpleNamespace(weights=None, n=3)]) == 7


def test_how_far_a_point_is_behind_the_lowest_in_standard_errors():
    def part(total, mean, error):
        return SimpleNamespace(total=total, excess=lambda *_: (mean, error))

    walk = SimpleNamespace(groups=None, lowest=(0.0, [0, 0]), last=[(part(3.0, 0.2, 0.1), 1), (part(4.0, 0.5, 0.1), 1)])
    assert Walk.behind(walk) == pytest.approx((3 * 0.2 + 4 * 0.5) / np.hypot(0.3, 0.4))
    walk = SimpleNamespace(groups=None, lowest=(0.0, [0]), last=[(part(3.0, 0.0, 0.0), 1)])
    assert Walk.behind(walk) == 0


def test_the_default_strengths_begin_at_the_mean_curvature_of_a_row():
    objective = objective_of(np.arange(30) % 3)
    X = objective.design.dense()
    alphas = default_alphas(objective)
    assert len(alphas) == 25
    assert alphas[0] == pytest.approx(np.mean(np.sum(np.square(X), axis=1)) / 3, rel=1e-5)
    assert alphas[:-1] / alphas[1:] == pytest.approx(10 ** (1 / 3))
    np.testing.assert_array_equal(checked_alphas(objective, [0.0, 3.0, 1.0, 3.0]), [3, 1, 0])
    for alphas in ([], [-1.0], [np.nan], [np.inf, 1.0], ["x"]):
        with pytest.raises(UsageError, match="numbers ≥ 0"):
            checked_alphas(objective, alphas)


@pytest.mark.parametrize(
    ("accuracies", "losses", "chosen"),
    [
        ([0.90, 0.88, 0.85], [0.5, 0.4, 0.1], {"best": 1, "accuracy": 0, "one_standard_error": 0}),  # 0.88 is tied
        ([0.88, 0.90, 0.90], [0.5, 0.4, 0.4], {"best": 1, "accuracy": 1, "one_standard_error": 0}),
        ([0.87, 0.90, 0.89], [0.1, 0.4, 0.3], {"best": 2, "accuracy": 1, "one_standard_error": 1}),
    ],
)
def test_which_point_is_chosen(accuracies, losses, chosen):
    path = path_of(accuracies, losses)
    for each in path.points:
        each.valid_error = 0.02 + 1e-12
    for rule, index in chosen.items():
        path.rule = rule
        assert path.index_ == index
    path.n_rows, path.unit = 50, 2.0
    assert 2 / (path.alpha_ * 50) == path.C_


def test_a_path_is_hopeless_where_the_chosen_point_lies_so_many_behind():
    path = path_of([0.9, 0.5, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4])
    assert _hopeless(path, 3)
    assert not _hopeless(path, 4)
    assert not _hopeless(path, 3, stronger=True)
    backwards = path_of([0.5, 0.5, 0.5, 0.9], [0.4, 0.3, 0.2, 0.1])
    assert _hopeless(backwards, 3, stronger=True)
    assert not _hopeless(backwards, 3)


@pytest.mark.parametrize("rule", ["accuracy", "one_standard_error"])
def test_by_other_rules_it_is_where_accuracy_and_loss_are(rule):
    lost = [0.9, 0.9, 0.9], [0.1, 0.2, 0.3]
    for stronger, turn in ((False, 1), (True, -1)):
        accuracies, losses = (numbers[::turn] for numbers in lost)
        assert _hopeless(path_of(accuracies, losses, rule), 2, stronger)
        assert not _hopeless(path_of(accuracies, losses, rule), 3, stronger)
        for better in ([0.9, 0.9, 0.91], [0.1, 0.2, 0.3]), ([0.9, 0.9, 0.9], [0.1, 0.2, 0.1]):
            accuracies, losses = (numbers[::turn] for numbers in better)
            assert not _hopeless(path_of(accuracies, losses, rule), 2, stronger)


@pytest.mark.parametrize(("best", "expected"), [(2.0, [1, 3, 1.5, 2.5, 1.75, 2.25, 1.875, 2.125]), (6.0, [5, 5.5])])
def test_clips_values_are_halved_around_the_best_within_the_first_ones(best, expected):
    tried = list(PROTOCOLS["clip"].values(lambda: SimpleNamespace(C_=10.0**best)))
    assert tried[:7] == [-6, -4, -2, 0, 2, 4, 6]
    assert tried[7:] == pytest.approx([*expected, 5.75, 5.875] if best == 6 else expected)
    assert len(list(PROTOCOLS["dinov3-logreg"].values(lambda: pytest.fail("it searches")))) == 45


def test_a_random_part_is_the_first_of_a_permutation():
    order = np.random.default_rng(4).permutation(29)
    train, held = random_part(np.zeros(29), 0.1, 4)
    assert held.tolist() == sorted(order[:2])
    assert train.tolist() == sorted(order[2:])
    assert [len(part) for part in random_part(np.zeros(10), 0.1, 0)] == [9, 1]
    for rows in (np.zeros(9), np.arange(10)):
        with pytest.raises(UsageError, match="is empty"):
            random_part(rows, 0.1, 0)


def test_a_class_whose_rows_would_all_be_held_out_trains():
    order = np.random.default_rng(4).permutation(29)
    y = np.array(["many"] * 29)
    y[order[0]] = "lone"
    train, held = random_part(y, 0.1, 4)
    assert held.tolist() == [order[1]]
    assert order[0] in train


def test_rows_without_weights_joined_to_others_weigh_one():
    X = np.arange(6.0).reshape(3, 2)
    plain, weighted = Sample(X, np.array([0, 1, 0])), Sample(X + 10, np.array([1, 1, 0]), np.array([2.0, 3, 4]))
    assert plain.joined(plain).weights is None
    both = plain.joined(weighted)
    assert both.weights.tolist() == [1, 1, 1, 2, 3, 4]
    assert weighted.joined(plain).weights.tolist() == [2, 3, 4, 1, 1, 1]
    assert both.X.tolist() == [*X.tolist(), *(X + 10).tolist()]
    assert both.y.tolist() == [0, 1, 0, 1, 1, 0]
    assert both.take(np.array([4, 0])).weights.tolist() == [3, 1]


@pytest.mark.parametrize("weighted", [False, True])
def test_what_held_out_rows_say_of_weights(weighted):
    """Loss and hits, by group and in all; how much higher the loss is than at others, and the error of that."""
    rng = np.random.default_rng(6)
    y, w = rng.integers(0, 3, 50), rng.uniform(0.2, 3, 50) if weighted else np.ones(50)
    objective = replace(objective_of(y, w if weighted else None), watch=True)
    X, groups = objective.design.dense(), rng.integers(0, 8, 50)
    here, there = rng.normal(size=(2, 4, 3))

    def losses(theta, t=1.0):
        s = (X @ theta[:-1] + theta[-1]) / t
        return np.log(np.exp(s).sum(axis=1)) - s[np.arange(50), y]

    right = (X @ here[:-1] + here[-1]).argmax(axis=1) == y
    before = objective.count.passes
    assert objective.judge(here) == pytest.approx((w @ losses(here) / w.sum(), w @ right / w.sum()))
    assert objective.count.passes - before == 0.5
    tally = objective.tally(here, groups, (0.5, 3.0))
    assert tally.right == pytest.approx(np.bincount(groups, w * right, 8))
    assert tally.weights == pytest.approx(np.bincount(groups, w, 8))
    assert tally.tempered == pytest.approx([w @ losses(here, t) for t in (0.5, 3.0)])
    assert tally.loss == pytest.approx(w @ losses(here))
    more = losses(here) - losses(there)
    mean = w @ more / w.sum()
    before = objective.count.passes
    error = np.linalg.norm(w * (more - mean)) / w.sum()
    assert objective.excess(here, there) == pytest.approx((mean, error))
    assert objective.count.passes - before == 1
    sums = np.bincount(groups, w * (more - mean), 8)
    error = student(8) * np.sqrt(8 / 7) * np.linalg.norm(sums) / w.sum()
    assert objective.excess(here, there, groups) == pytest.approx((mean, error))
    alone = objective.excess(here, there, np.zeros(50, int))
    assert alone[0] == pytest.approx(mean)
    assert alone[1] == pytest.approx(0, abs=1e-12)
    assert objective.excess(here, here)[1] == 0


@pytest.mark.parametrize("k", [2, 3])
def test_the_strength_as_scikit_learns_c_gives_its_fit(k):
    """Two classes have one vector of weights there, and two here."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 3))
    y = np.argmax(X[:, :k] + rng.gumbel(size=(60, k)), axis=1)
    path = regularization_path(X, y, alphas=[0.2], tol=1e-9)
    theirs = LogisticRegression(C=path.C_, tol=1e-9).fit(X, y)
    W = path.coefs[0]
    np.testing.assert_allclose(W[1:] - W[:1] if k == 2 else W, theirs.coef_, atol=1e-5)
    for loss, penalty in (("logistic", "l2"), ("cross_entropy", "l1")):
        assert regularization_path(X, y, loss=loss, penalty=penalty, alphas=[0.2], certificates=False).unit == 1
