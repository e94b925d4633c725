"""Losses and probabilities in float64 against a 100-digit oracle: at most 4 units in the last place.

The oracle (mpmath) is written so that it does not cancel itself: log1p(Σ_{j≠label} exp(s_j − s_label)) rather than a
difference of logarithms. Near the smallest number each class may add a few steps of 5e-324.
"""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from linearhead.losses import LOSSES

POINTS = 1200
ULP = 4


def exact_losses(s, label, margin=1):
    """Every loss of one row, as mpmath numbers."""
    s, margin = [mpf(float(v)) for v in s], mpf(margin)
    other = [v for j, v in enumerate(s) if j != label]
    z = [margin + v - s[label] for v in other]
    zero = mpf(0)
    return {
        "cross_entropy": lambda: mpmath.log1p(mpmath.fsum(mpmath.exp(v - s[label]) for v in other)),
        "logistic": lambda: mpmath.fsum(mpmath.log1p(mpmath.exp(t)) for t in [-s[label], *other]),
        "hinge": lambda: mpmath.fsum(max(zero, v) for v in z),
        "crammer_singer": lambda: max(zero, *z),
        "squared_hinge": lambda: mpmath.fsum(max(zero, v) ** 2 for v in z),
        "squared": lambda: (mpmath.fsum(v * v for v in other) + (s[label] - 1) ** 2) / 2,
    }


def exact_probabilities(name, s):
    s = [mpf(float(v)) for v in s]
    weight = {"cross_entropy": lambda v: mpmath.exp(v - max(s)), "logistic": lambda v: 1 / (1 + mpmath.exp(-v))}[name]
    weights = [weight(v) for v in s]
    total = mpmath.fsum(weights)
    return [w / total for w in weights]


def points(name, seed=20):
    """(s, label) rows: sizes 1e-3 … 1e4 within and across rows, near ties, near-zero margins, ±1e300."""
    rng = np.random.default_rng(seed)
    limit = 149 if name.startswith("squared") else 300
    for i in range(POINTS):
        k = int(rng.choice([2, 3, 5, 10, 20, 50], p=[0.2, 0.25, 0.25, 0.2, 0.06, 0.04]))
        label = int(rng.integers(k))
        size = 10.0 ** rng.uniform(-3, 4, size=k if i % 3 == 0 else 1)
        s = rng.normal(size=k) * size
        if i % 3 == 1:
            s[label] += 10.0 ** rng.uniform(-1, 2.6)  # a good margin: tiny losses
        if i % 6 == 2:  # margins that nearly cancel against Δ = 1, by a few units in the last place
            s[(label + 1) % k] = s[label] - 1 + rng.integers(-3, 4) * math.ulp(s[label])
        if i % 100 == 3:
            s *= 10.0 ** (limit - 5)
            s[rng.integers(k)] = rng.choice([-1, 1]) * 10.0**limit
        yield s, label


def steps(found, exact, k):
    """The distance from exact in units of the last place; near 0, k steps of the smallest number count as one."""
    nearest = float(exact)
    unit = max(math.ulp(nearest), k * 5e-324 if abs(nearest) < 1e-305 else 0.0)
    return float(abs(mpf(float(found)) - exact) / mpf(unit))


def batches(name, every=1, seed=20):
    """The same rows stacked by their number of classes: s (n, k), y (n,)."""
    rows = {}
    for i, (s, label) in enumerate(points(name, seed)):
        if i % every == 0:
            rows.setdefault(len(s), []).append((s, label))
    for group in rows.values():
        yield np.stack([s for s, _ in group]), np.array([label for _, label in group])


def alone(fn, s, y):
    """fn on one row at a time, stacked: sums are then added in another order."""
    return np.concatenate([fn(s[i : i + 1], y[i : i + 1]) for i in range(len(s))])


def check_loss(name, seed):
    loss, worst, count = LOSSES[name](), 0.0, 0
    with mpmath.workdps(100):
        for s, y in batches(name, seed=seed):
            for found, single, row, label in zip(loss.value(s, y), alone(loss.value, s, y), s, y, strict=True):
                exact = exact_losses(row, label)[name]()
                worst = max(worst, steps(found, exact, len(row)), steps(single, exact, len(row)))
                count += 1
                assert worst <= ULP, (worst, found, single, list(row), label)
    assert count == POINTS
    assert worst > 0  # the comparison compares something
    if name == "crammer_singer":
        assert worst <= 0.5  # one margin, rounded once


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_is_within_4_ulp(name):
    check_loss(name, 20)


@pytest.mark.parametrize("name", ["hinge", "crammer_singer", "squared_hinge"])
@pytest.mark.parametrize("margin", [0.1, 3.0])
def test_other_margins_are_within_4_ulp(name, margin):
    loss = LOSSES[name](margin=margin)
    with mpmath.workdps(100):
        for s, y in batches(name, every=5):
            for found, row, label in zip(loss.value(s, y), s, y, strict=True):
                assert steps(found, exact_losses(row, label, margin)[name](), len(row)) <= ULP


def check_probabilities(name, seed):
    loss, worst = LOSSES[name](), 0.0
    with mpmath.workdps(100):
        for s, y in batches(name, seed=seed):
            p = loss.probabilities(s)
            np.testing.assert_allclose(p, alone(lambda s, y: loss.probabilities(s), s, y), rtol=1e-15)
            for row, found in zip(s, p, strict=True):
                for mine, exact in zip(found, exact_probabilities(name, row), strict=True):
                    worst = max(worst, steps(mine, exact, len(row)))
                    assert worst <= ULP, (mine, exact, list(row))
    assert worst > 0


@pytest.mark.parametrize("name", ["cross_entropy", "logistic"])
def test_probabilities_are_within_4_ulp(name):
    check_probabilities(name, 20)


def test_one_vs_rest_rows_of_vanishing_sigmoids_keep_their_ratios():
    p = LOSSES["logistic"]().probabilities(np.array([[-900.0, -901.0, -950.0]]))[0]
    weights = np.exp([0.0, -1.0, -50.0])
    np.testing.assert_allclose(p, weights / weights.sum(), rtol=1e-15)
