"""The numbers about predictions against scikit-learn, SciPy and hand counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linearhead import metrics
from linearhead.errors import DataError


def random_case(seed):
    rng = np.random.default_rng(seed)
    k, n = int(rng.integers(2, 9)), int(rng.integers(1, 80))
    p = rng.dirichlet(np.ones(k), size=n)
    y = rng.integers(0, k, size=n)
    return y, p.argmax(axis=1), p, [f"class {i}" for i in range(k)]


@pytest.mark.parametrize("seed", range(60))
def test_equals_scikit_learn(seed):
    from sklearn import metrics as oracle

    y, predicted, p, classes = random_case(seed)
    k, labels = len(classes), np.arange(len(classes))
    got = metrics.evaluate(y, predicted, classes, p)
    assert got.accuracy == pytest.approx(oracle.accuracy_score(y, predicted))
    assert got.log_loss == pytest.approx(oracle.log_loss(y, p, labels=labels))
    assert got == metrics.evaluate(y, predicted, classes, p[np.arange(len(y)), y])
    counts = oracle.confusion_matrix(y, predicted, labels=labels)
    assert got.confusion == [[*pair, counts[tuple(pair)]] for pair in np.argwhere(counts).tolist()]
    recalls = [score.recall for score in got.per_class if score.n]
    assert got.balanced_accuracy == pytest.approx(np.mean(recalls))
    precision, recall, f1, n = oracle.precision_recall_fscore_support(y, predicted, labels=labels, zero_division=np.nan)
    for i in range(k):
        mine = got.per_class[i]
        assert mine.n == n[i]
        for ours, theirs in ((mine.precision, precision[i]), (mine.recall, recall[i])):
            assert (ours is None and np.isnan(theirs)) or ours == pytest.approx(theirs)
        assert mine.f1 is None or mine.f1 == pytest.approx(f1[i])


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 37), (37, 37), (5, 9), (81, 263), (999, 1000)])
def test_wilson_equals_scipy(hits, n):
    from scipy.stats import binomtest

    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert metrics.wilson(hits, n) == pytest.approx([expected.low, expected.high], abs=1e-12)


@given(st.integers(0, 500), st.integers(0, 500))
@settings(max_examples=200, deadline=None)
def test_wilson_holds_the_share_and_stays_in_the_unit_interval(a, b):
    hits, n = min(a, b), max(a, b)
    low, high = metrics.wilson(hits, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low <= hits / n <= high


def test_difference_is_newcombes_published_example():
    """Newcombe 1998, table II (a): 56/70 − 48/80 = 0.20, method 10: 0.0524 … 0.3339."""

    def judged(hits, n):
        y = np.zeros(n, dtype=int)
        predicted = np.r_[np.zeros(hits, dtype=int), np.ones(n - hits, dtype=int)]
        return metrics.evaluate(y, predicted, ["a", "b"])

    low, gap, high = metrics.difference(judged(56, 70), judged(48, 80))
    assert (low, gap, high) == pytest.approx((0.0524, 0.20, 0.3339), abs=5e-5)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), min_size=2, max_size=12))
@settings(max_examples=30, deadline=None)
def test_interval_of_the_mean_recall_holds_it(rows):
    counts = np.array([min(a, b) for a, b in rows]), np.array([b for _, b in rows])
    low, high = metrics.balanced_interval(*counts)
    assert 0 <= low <= metrics.balanced_accuracy(*counts) <= high <= 1
    assert high - low > 0.01  # never certain


def test_interval_of_the_mean_recall_of_even_classes_is_nearly_wilsons():
    for hits in (0, 20, 36):
        got = metrics.balanced_interval(np.full(10, hits), np.full(10, 36))
        assert got == pytest.approx(metrics.wilson(10 * hits, 360), abs=8e-4)


@pytest.mark.parametrize("worth", [1.0, 0.05])  # rows that count as less than one leave classes of less than one row
def test_likeliest_recalls_have_one_multiplier_and_fall_with_it(worth):
    hits, n = worth * np.array([3.0, 8, 36, 0]), worth * np.array([5.0, 10, 36, 7])
    means = []
    for lam in (-60.0, -7, -0.4, 0, 0.3, 9, 80):
        p = metrics.likeliest(hits, n, lam)
        slope = hits * (1 - p) - (n - hits) * p  # of the log likelihood, times p (1 - p)
        inside = (p > 1e-6) & (p < 1 - 1e-6)
        np.testing.assert_allclose(slope[inside], lam * (p * (1 - p))[inside], atol=1e-12)
        assert np.all((p >= 0) & (p <= 1))
        means.append(p.mean())
    assert np.all(np.diff(means) < 0)
    assert means[3] == pytest.approx(np.mean(hits / n))


def test_classes_of_little_more_than_a_row_are_not_without_bounds():
    """Ten classes of ten rows that count as 11 in all: as ten of one row, not as if nothing were known."""
    lows = []
    for worth in (0.05, 0.1, 0.11, 0.19, 0.2, 1.0):
        low, high = metrics.balanced_interval(*np.full((2, 10), 10 * worth))
        assert high == 1
        lows.append(low)
    assert min(lows) > 0.5
    assert lows[0] < lows[1] < lows[2] < lows[3] < lows[5]


COVERED = [
    ([36] * 10, [0.99] * 10),
    ([36] * 10, np.linspace(0.3, 1, 10)),
    ([5] * 10, [0.9] * 10),
    ([5] * 10, [0.999] * 10),
    ([5, 8, 10, 20, 40, 80, 160, 320], [0.97] * 8),
    ([5, 8, 10, 20, 40, 80, 160, 320], [0.8] + [0.99] * 7),
    ([10, 1000], [0.9, 0.99]),
]


@pytest.mark.parametrize(("n", "recall"), COVERED)
def test_interval_of_the_mean_recall_covers_the_truth(n, recall):
    rng, held, trials = np.random.default_rng(3), 0, 60
    for _ in range(trials):
        low, high = metrics.balanced_interval(rng.binomial(n, recall), np.array(n))
        held += low <= np.mean(recall) <= high
    assert held / trials > 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / trials)


def test_hand_counted():
    got = metrics.evaluate(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), ["a", "b", "c", "never"])
    assert got.confusion == [[0, 0, 1], [0, 1, 1], [1, 1, 1], [2, 1, 1]]
    assert got.accuracy == 0.5
    assert got.majority_accuracy == 0.5
    assert got.balanced_accuracy == pytest.approx((0.5 + 1 + 0) / 3)
    assert got.log_loss is None
    never = got.per_class[3]
    assert (never.n, never.precision, never.recall, never.recall_interval, never.f1) == (0, None, None, None, None)
    assert got.per_class[2].precision is None
    assert got.per_class[2].recall == 0
    assert got.per_class[1].precision == pytest.approx(1 / 3)


def test_log_loss_of_the_lecture():
    p = np.array([[0.85, 0.10, 0.05], [0.20, 0.70, 0.10], [0.40, 0.45, 0.15], [0.40, 0.25, 0.35]])
    y = np.array([0, 1, 0, 2])
    got = metrics.evaluate(y, p.argmax(axis=1), ["cat", "dog", "bear"], p[np.arange(4), y])
    assert got.log_loss == pytest.approx(-(np.log(0.85) + np.log(0.70) + np.log(0.40) + np.log(0.35)) / 4)
    assert got.accuracy == 2 / 4


def test_a_probability_of_zero_is_a_large_finite_loss():
    assert metrics.log_loss(np.array([0.0])) == pytest.approx(708.396, abs=1e-2)
    assert f"{metrics.log_loss(np.ones(3)):.3f}" == "0.000"  # and not -0.000


def test_refusals():
    with pytest.raises(DataError, match="0 pictures to judge"):
        metrics.evaluate(np.array([], dtype=int), np.array([], dtype=int), ["a"])
    with pytest.raises(DataError, match="Shapes do not fit"):
        metrics.evaluate(np.array([0, 1]), np.array([0]), ["a", "b"])
    with pytest.raises(DataError, match="Shapes do not fit"):
        metrics.evaluate(np.array([0, 1]), np.array([0, 1]), ["a", "b"], np.ones((2, 3)) / 3)


def calibrated(rng, n):
    """Label probabilities (n,) of a classifier that is right on nine in ten and means what it says."""
    p = rng.beta(5, 0.6, n)
    return np.clip(np.where(rng.random(n) < p, p, 1 - p), 1e-6, 1)


def test_interval_of_the_log_loss_of_few_rows_covers_the_truth():
    """Of 20 rows; percentiles of resampled means hold it in 84 % of draws, as rare large losses are not among them."""
    rng, held = np.random.default_rng(0), 0
    truth = metrics.log_loss(calibrated(rng, 400_000))
    for _ in range(150):
        low, high = metrics.log_loss_interval(calibrated(rng, 20))
        held += low <= truth <= high
    assert held / 150 > 0.89


def test_interval_of_the_log_loss_at_its_ends():
    assert metrics.log_loss_interval(np.array([0.3])) is None  # one row says nothing of others
    assert "log_loss" not in metrics.evaluate(np.zeros(1, int), np.zeros(1, int), ["a"], np.array([0.3])).intervals
    assert metrics.log_loss_interval(np.full(5, 0.5)) == pytest.approx([np.log(2)] * 2)
    assert metrics.log_loss_interval(np.ones(5)) == [0.0, 0.0]
    p = calibrated(np.random.default_rng(0), 400)
    few, many = metrics.log_loss_interval(np.repeat(p, 30), 0.05), metrics.log_loss_interval(np.repeat(p, 60))
    half = 1.96 * np.log(p).std()
    assert few[1] - few[0] == pytest.approx(2 * half / 600**0.5, rel=0.15)
    assert many[1] - many[0] == pytest.approx(2 * half / 24_000**0.5, rel=1e-3)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 10, 100])
def test_students_quantile_is_within_what_is_said_of_it(df):
    from scipy.stats import t

    rel = {1: 1e-12, 2: 0.031, 3: 8e-3, 4: 3e-3, 5: 1.2e-3, 10: 8e-5, 100: 1e-8}[df]
    assert metrics.student(df + 1) == pytest.approx(t.ppf(0.975, df) / metrics.Z95, rel=rel)
    assert metrics.student(1) == 1


def test_what_is_left_of_students_quantile_is_the_next_term_of_its_expansion():
    """Fisher & Cornish 1960: in powers of 1/f, of which the fourth is left out."""
    from scipy.stats import t

    z, f = metrics.Z95, 50.0
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    assert (t.ppf(0.975, f) - metrics.Z95 * metrics.student(51)) * f**4 == pytest.approx(fourth, rel=0.1)


def as_said(y, groups):
    """As how many rows groups count, by the definition: var / var of the mean by the groups' sums, times (z/t)²."""
    from scipy.stats import t

    names, n = np.unique(groups), len(y)
    m = len(names)
    counts = [np.sum(groups == g) for g in names]
    off = [np.sum(y[groups == g] - y.mean()) for g in names]
    of_mean = m / (m - 1) * np.sum(np.square(off)) / n**2
    found = max(y.var() / of_mean, n**2 / np.sum(np.square(counts)))
    return min(found, n) * (metrics.Z95 / t.ppf(0.975, m - 1)) ** 2


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.9, 1.0])
def test_rows_count_by_how_alike_their_groups_are(alike):
    rng = np.random.default_rng(4)
    groups = rng.permutation(np.repeat(np.arange(40), rng.integers(1, 12, 40)))
    y = np.where(rng.random(len(groups)) < alike, rng.normal(size=40)[groups], rng.normal(size=len(groups)))
    assert metrics.independent(groups, y) == pytest.approx(as_said(y, groups), rel=1e-5)
    assert metrics.independent(groups) == pytest.approx(len(groups) ** 2 / np.sum(np.bincount(groups) ** 2))
    assert metrics.standard_error(y, groups) == pytest.approx(y.std() / as_said(y, groups) ** 0.5, rel=1e-5)
    assert metrics.standard_error(y) == pytest.approx(y.std() / len(y) ** 0.5)


def test_rows_of_which_groups_hold_as_many_of_every_kind_count_once_each():
    """Sums that are all alike would say that the mean is certain."""
    even, groups = np.tile([0.0, 1.0], 30), np.repeat(np.arange(30), 2)
    assert metrics.effective(np.ones(30), np.full(30, 2.0), 0.25, 60) == pytest.approx(30 / metrics.student(30) ** 2)
    assert metrics.independent(groups, even) == pytest.approx(30 / metrics.student(30) ** 2)
    weightless = metrics.effective(np.array([3.0, 1, 0]), np.array([4.0, 4, 0]), 0.25, 8)
    assert weightless == pytest.approx(metrics.effective(np.array([3.0, 1]), np.array([4.0, 4]), 0.25, 8))


@pytest.mark.parametrize("worth", [1.0, 0.3])
def test_intervals_of_every_class_are_wilsons_of_the_rows_that_they_are_shares_of(worth):
    counts = np.array([[7, 2, 1], [0, 4, 0], [3, 0, 0]])
    first, second, third = metrics.class_scores(counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0), "abc", worth)
    assert first.recall_interval == metrics.wilson(7 * worth, 10 * worth)
    assert first.precision_interval == metrics.wilson(7 * worth, 10 * worth)
    assert second.precision_interval == metrics.wilson(4 * worth, 6 * worth)
    jaccard = metrics.wilson(7 * worth, 13 * worth)  # of the class or called so
    assert first.f1_interval == pytest.approx([2 * j / (1 + j) for j in jaccard])
    assert (third.f1, third.f1_interval[0]) == (0, 0)
    assert metrics.class_scores(*np.zeros((3, 1), int), "a")[0].f1_interval is None


def test_the_best_few_labels():
    y, ranks = np.zeros(10, int), np.array([0, 0, 0, 0, 1, 1, 2, 3, 4, 5])
    judged = metrics.evaluate(y, np.minimum(ranks, 1), "abcdef", ranks=ranks)
    assert judged.top == {"2": 0.6, "3": 0.7, "5": 0.9}
    assert judged.intervals["top_3"] == metrics.wilson(7, 10)
    assert list(metrics.top_k(ranks, 3)) == ["2"]  # of three classes all are among the best three
    grouped = metrics.evaluate(y, np.minimum(ranks, 1), "abcdef", ranks=ranks, groups=np.arange(10) // 2)
    share = grouped.independent / 10
    assert grouped.intervals["top_2"] == metrics.wilson(6 * share, 10 * share)
    assert grouped.accuracy_interval == metrics.wilson(4 * share, 10 * share)
    assert grouped.per_class[0].recall_interval == metrics.wilson(4 * share, 10 * share)
    assert grouped.intervals["balanced_accuracy"] == metrics.balanced_interval(
        np.array([4]) * share, np.array([10]) * share
    )


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (3, 9), (9, 3), (40, 41), (2, 200)])
def test_mcnemars_p_is_that_of_a_fair_coin(first, second):
    from scipy.stats import binomtest

    right = np.zeros((2, first + second + 30), bool)
    right[0, :first], right[1, first : first + second], right[:, -20:] = True, True, True
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert metrics.mcnemar(*right) == (first, second, pytest.approx(expected))


def test_of_rows_in_groups_mcnemars_p_is_that_of_as_many_as_their_differences_count():
    """Both are right at the same tracks, and differ at random: what is alike is not the difference."""
    from scipy.stats import binomtest

    rng, groups = np.random.default_rng(8), np.repeat(np.arange(30), 10)
    both = (rng.random(30) < 0.5)[groups]
    first, second = both ^ (rng.random(300) < 0.15), both ^ (rng.random(300) < 0.05)
    worth = as_said(first.astype(float) - second, groups) / 300
    a, b = np.sum(first & ~second), np.sum(second & ~first)
    expected = binomtest(round(min(a, b) * worth), round((a + b) * worth)).pvalue
    assert metrics.mcnemar(first, second, groups) == (a, b, pytest.approx(expected))
    assert worth > 3 * metrics.independent(groups, first.astype(float) + second) / 300


def test_the_interval_of_the_log_loss_is_the_bootstraps_of_students_quotient():
    p = calibrated(np.random.default_rng(5), 60)
    losses, rng, found = -np.log(p), np.random.default_rng(7), []
    for _ in range(metrics.RESAMPLES):
        some = losses[rng.integers(0, 60, 30)]
        found.append((some.mean() - losses.mean()) / (some.std(ddof=1) / 30**0.5))
    error = losses.std() / (59 * 0.5) ** 0.5
    expected = [losses.mean() - np.quantile(found, q) * error for q in (0.975, 0.025)]
    assert metrics.log_loss_interval(p, 0.5, seed=7) == pytest.approx(expected)
    zero = metrics.log_loss_interval(np.r_[np.zeros(9), np.ones(9)])
    assert zero[1] <= 708.4  # no mean of them is more


def test_the_variance_of_the_mean_recall_is_that_of_its_classes():
    p, n = np.array([0.9, 0.5, 0.2, 1.0]), np.array([10.0, 2.0, 1.0, 0.5])
    lone = p.mean() * (1 - p.mean())  # of classes of less than two rows, by the mean
    expected = (0.09 / 9 + 0.25 / 1 + lone / 1 + lone / 0.5) / 16
    assert metrics._variance(p, n) == pytest.approx(expected)


def test_holms_p_values_by_hand():
    assert metrics.holm([0.04, 0.01, 0.02, 0.5]) == pytest.approx([0.08, 0.04, 0.06, 0.5])
