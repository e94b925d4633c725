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
    assert got.confusion == oracle.confusion_matrix(y, predicted, labels=labels).tolist()
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


def diagonal(hits, n):
    """Counts of classes with so many rows, so many of them right; the wrong ones go to the next class."""
    hits, n = np.asarray(hits), np.asarray(n)
    return np.diag(hits) + np.roll(np.diag(n - hits), 1, axis=1)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), min_size=2, max_size=12))
@settings(max_examples=30, deadline=None)
def test_interval_of_the_mean_recall_holds_it(rows):
    counts = diagonal([min(a, b) for a, b in rows], [b for _, b in rows])
    low, high = metrics.balanced_interval(counts)
    assert 0 <= low <= metrics.balanced_accuracy(counts) <= high <= 1
    assert high - low > 0.01  # never certain


def test_interval_of_the_mean_recall_of_even_classes_is_nearly_wilsons():
    for hits in (0, 20, 36):
        got = metrics.balanced_interval(diagonal([hits] * 10, [36] * 10))
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
        low, high = metrics.balanced_interval(worth * diagonal([10] * 10, [10] * 10))
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
        low, high = metrics.balanced_interval(diagonal(rng.binomial(n, recall), n))
        held += low <= np.mean(recall) <= high
    assert held / trials > 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / trials)


def test_hand_counted():
    got = metrics.evaluate(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), ["a", "b", "c", "never"])
    assert got.confusion == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
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
