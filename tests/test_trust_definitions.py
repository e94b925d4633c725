"""What a classifier may be believed, number by number: every definition written out once more."""

from math import ceil

import numpy as np
import pytest

from linearhead.losses import LOSSES
from linearhead.trust import Conformal, Novelty, answered, fit_temperature, reliability
from linearhead.trust.calibration import PRIOR, TEMPERATURES, expected_ece, tempered
from linearhead.trust.conformal import strangeness
from linearhead.trust.noise import PRIOR as MISTAKES
from linearhead.trust.noise import _similar, label_noise
from linearhead.trust.novelty import ENOUGH, FEW, KEPT, LEAST, WIDER, foreseen

softmax = LOSSES["cross_entropy"]().probabilities


def drawn(n, k=4, seed=0):
    rng = np.random.default_rng(seed)
    s = rng.normal(0, 2, (n, k))
    return s, (softmax(s).cumsum(axis=1)[:, :-1] <= rng.random((n, 1))).sum(axis=1)


@pytest.mark.parametrize("n", [1, 19, 20, 400, 2000])
def test_the_limit_of_sets_is_an_order_statistic(n):
    s, y = drawn(n)
    conformal = Conformal.fit(s, None, y)
    own = np.sort(s.max(axis=1) - s[np.arange(n), y])
    assert conformal.n == n
    for coverage in (0.05, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0):
        rank = ceil(round((n + 1) * coverage, 6))
        assert conformal.limit(coverage) == (own[rank - 1] if rank <= n else np.inf)
    assert np.array_equal(conformal.sets(s, None, 0.5), strangeness(s, None) <= conformal.limit(0.5))


@pytest.mark.parametrize("n", [2001, 3999, 4000, 5003])
def test_of_more_rows_the_next_order_statistic_that_was_kept(n):
    s, y = drawn(n)
    conformal = Conformal.fit(s, softmax(s), y)
    own = np.sort(-np.log(softmax(s)[np.arange(n), y]))
    ranks = np.array([ceil(n * i / 2000) for i in range(1, 2001)])
    assert conformal.kept == tuple(own[ranks - 1])
    for coverage in (0.3, 0.777, 0.9, 0.95, 0.9995):
        rank = ceil(round((n + 1) * coverage, 6))
        assert conformal.limit(coverage) == own[ranks[ranks >= rank][0] - 1]


@pytest.mark.parametrize("n", [1, 39, 40, 299, 300, 700])
def test_reliability_is_counted_in_bins_of_equal_count(n):
    rng = np.random.default_rng(n)
    confidence, right, p = rng.random(n), rng.random(n) < 0.6, rng.random(n)
    p[0] = 0
    found = reliability(p, confidence, right)
    order, m = np.argsort(confidence), max(1, min(15, n // 20))
    bins = [order[i] for i in np.array_split(np.arange(n), m)]
    assert found.bins == [[pytest.approx(confidence[b].mean()), pytest.approx(right[b].mean()), len(b)] for b in bins]
    ece = sum(len(b) * abs(confidence[b].mean() - right[b].mean()) for b in bins) / n
    assert found.ece == pytest.approx(ece)
    assert found.log_loss == pytest.approx(-np.log(np.maximum(p, np.finfo(float).tiny)).mean())


@pytest.mark.parametrize("n", [30, 400])
def test_the_ece_of_chance_is_a_quantile_of_draws(n):
    c = np.random.default_rng(2).uniform(0.3, 1, n)
    draws = np.random.default_rng(5).random((200, n)) < np.sort(c)
    # the same rows in order: a row's bin is its place
    eces = [reliability(np.ones(n), np.sort(c), seen).ece for seen in draws]
    assert expected_ece(c, seed=5) == pytest.approx(np.quantile(eces, 0.99))


@pytest.mark.parametrize("n", [5, 300])
def test_the_temperature_is_the_likeliest_after_what_is_thought_of_it_before(n):
    from scipy.optimize import minimize_scalar

    s, y = drawn(n, seed=n)

    def cost(u):
        return -np.log(softmax(s / np.exp(u))[np.arange(n), y]).sum() + u * u / (2 * 0.5**2)

    assert PRIOR == 0.5
    least = minimize_scalar(cost, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    assert np.log(fit_temperature(s, y, softmax)) == pytest.approx(least.x, abs=1e-5)


def test_the_parabola_through_three_losses_is_exact_where_they_lie_on_one():
    u = np.log(TEMPERATURES)
    prior = u * u / (2 * PRIOR**2 * 50)
    t, least = tempered(0.4 + 0.3 * (u - 0.11) ** 2 - prior, 50)
    assert (np.log(t), least) == pytest.approx((0.11, 0.4))
    assert tempered(-u, np.inf) == (TEMPERATURES[-1], pytest.approx(-u[-1]))
    assert tempered(u, np.inf) == (TEMPERATURES[0], pytest.approx(u[0]))


@pytest.mark.parametrize("k", [2, 5])
def test_label_noise_is_the_likeliest(k):
    from scipy.optimize import minimize

    s, y = drawn(1500, k, seed=3)
    y = np.where(np.random.default_rng(0).random(1500) < 0.2, np.random.default_rng(1).integers(0, k, 1500), y)
    own = np.arange(1500), y

    def cost(at):
        p = softmax(s / np.exp(at[0]))[own]
        return -np.log((1 - at[1]) * p + at[1] / k).mean()

    both = minimize(cost, [0.0, 0.1], bounds=[(-2, 2), (0, 1)])
    alone = minimize(lambda at: cost([at[0], 0.0]), [0.0], bounds=[(-2, 2)])
    found, gain, _ = label_noise(s, y, softmax)
    assert found == pytest.approx(both.x[1] * (k - 1) / k, abs=3e-3)
    assert gain == pytest.approx(1500 * (alone.fun - both.fun), rel=0.03)


@pytest.mark.parametrize("alike", [False, True])
def test_what_label_noise_competes_with_is_counted_from_mistakes_of_other_rows(alike):
    rng, n, k = np.random.default_rng(3), 90, 5
    y, s = rng.integers(0, k, n), rng.normal(size=(n, k))
    s[:, 4] -= 9  # a class that is never answered
    s[np.arange(n), y] += 1
    groups, p, answer = np.arange(n) // (3 if alike else 1), rng.dirichlet(np.ones(k), n), s.argmax(axis=1)
    q, wrong = _similar(s, y, p, groups), [i for i in range(n) if answer[i] != y[i]]
    assert 20 < len(wrong) < n
    assert (q[answer == y] < 1e-300).all()  # of no mistake there is nothing to explain
    for i in wrong:
        a, b, others = answer[i], y[i], [j for j in wrong if groups[j] != groups[i]]
        between = sum({answer[j], y[j]} == {a, b} for j in others)
        either = sum(a in (answer[j], y[j]) for j in others)
        mutual = p[answer == a, b].sum() + p[answer == b, a].sum()
        whole = sum(p[answer == a, c].sum() + p[answer == c, a].sum() for c in range(k) if c != a)
        assert q[i] == pytest.approx((between + MISTAKES * mutual / whole) / (either + MISTAKES))


def test_answers_are_counted_at_twentieths():
    rng = np.random.default_rng(0)
    confidence, right = rng.random(57), rng.random(57) < 0.7
    rows, surest = answered(confidence, right), np.argsort(-confidence)
    counts = sorted({max(1, round(57 * i / 20)) for i in range(1, 21)})
    expected = [[m / 57, right[surest[:m]].mean(), confidence[surest[m - 1]]] for m in counts]
    assert rows == [pytest.approx(row) for row in expected]
    assert len(answered(np.ones(3), np.array([True, False, True]))) == 3
    assert answered(np.zeros(0), np.zeros(0)) == []


def cloud(n, d=6, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3).astype(np.float32)


def test_strangeness_of_few_columns_is_the_distance_of_mahalanobis():
    """All directions but the last are leading ones, and the rest of the variance is the last one's."""
    X, new = cloud(200), cloud(700, seed=1)
    novelty = Novelty.fit(X)
    assert novelty is not None
    z = (new - X.mean(axis=0)) / X.std(axis=0)
    expected = np.sqrt(np.sum(z @ np.linalg.inv(np.corrcoef(X.T)) * z, axis=1))
    np.testing.assert_allclose(novelty.strangeness(new), expected, rtol=2e-3)


@pytest.mark.parametrize(("n", "usual"), [(FEW - 1, KEPT), (FEW, FEW), (ENOUGH - 1, ENOUGH - 1), (ENOUGH, ENOUGH // 5)])
def test_the_usual_is_asked_of_rows_that_were_not_fitted(n, usual):
    novelty = Novelty.fit(cloud(n))
    assert novelty is not None
    assert len(novelty.usual) == usual
    assert np.all(np.diff(novelty.usual) >= 0)
    own = novelty.strangeness(new := cloud(50, seed=3))
    counted = [(1 + np.sum(novelty.usual >= one * (1 - 1e-4))) / (1 + usual) for one in own]
    assert novelty.unlike(new) == pytest.approx(counted)
    assert Novelty.fit(cloud(LEAST)) is not None
    assert Novelty.fit(cloud(LEAST - 1)) is None


@pytest.mark.parametrize(
    ("n", "fitted"), [(LEAST, [30] + [24] * 5), (ENOUGH - 1, [499] + [399] * 4 + [400]), (ENOUGH, [400])]
)
def test_each_fifth_is_asked_of_a_fit_to_the_others_until_one_can_be_spared(n, fitted, monkeypatch):
    sizes, own = [], Novelty._of.__func__
    monkeypatch.setattr(Novelty, "_of", classmethod(lambda cls, X, rng: sizes.append(len(X)) or own(cls, X, rng)))
    Novelty.fit(cloud(n))
    assert sizes[:1] + sorted(sizes[1:]) == fitted


def test_rows_of_a_group_do_not_say_what_is_usual_of_one_another():
    """Thirty groups, each in a place of its own: beside others of its group a row is as usual as can be."""
    groups = np.random.default_rng(2).permutation(np.repeat(np.arange(30), 10))
    X = (np.random.default_rng(0).normal(size=(30, 40)) * 5)[groups] + np.random.default_rng(1).normal(size=(300, 40))
    alone, whole = (Novelty.fit(X.astype(np.float32), groups=g) for g in (None, groups))
    assert alone is not None
    assert whole is not None
    assert np.median(whole.usual) > 1.3 * np.median(alone.usual)
    assert Novelty.fit(X.astype(np.float32), groups=np.zeros(300)) is None


def test_of_few_rows_the_usual_is_foreseen_by_students_t():
    from scipy.stats import t

    some = np.random.default_rng(0).lognormal(1, 0.3, 40)
    found, logs = foreseen(some), np.log(some)
    middle, spread = logs.mean(), logs.std(ddof=1) * np.sqrt(1 + 1 / 40)
    for q in (0.01, 0.5, 0.99):
        expected = np.exp(middle + WIDER * spread * t.ppf(q, 39))
        assert np.interp(q, (np.arange(KEPT) + 0.5) / KEPT, found) == pytest.approx(expected, rel=1e-3)
