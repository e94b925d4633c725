"""The split: a partition, stratified, seeded, the same everywhere; groups stay together."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linearhead.data import split
from linearhead.errors import DataError, UsageError

labels_st = st.lists(st.integers(0, 6), min_size=1, max_size=120)
shares_st = st.sampled_from(
    [
        {"train": 0.8, "test": 0.2},
        {"train": 0.5, "valid": 0.25, "test": 0.25},
        {"train": 0.98, "test": 0.02},
        {"train": 0.1, "valid": 0.1, "test": 0.8},
        {"train": 3, "valid": 1},
        {"test": 0.4, "train": 0.6},
        {"train": 1.0, "test": 0.0},
    ]
)


@settings(max_examples=300, deadline=None)
@given(labels_st, shares_st, st.integers(0, 2**40))
def test_promises_without_groups(labels, shares, seed):
    y = np.array(labels)
    parts = split(y, shares, seed)
    assert parts.shape == y.shape
    assert set(parts.tolist()) <= {name for name, share in shares.items() if share > 0}
    judge = "test" if shares.get("test", 0) else "valid"
    for c in np.unique(y):
        mine = parts[y == c]
        assert "train" in mine  # a single row trains, of more at least one
        if len(mine) >= 2 and shares.get(judge, 0):
            assert judge in mine
    np.testing.assert_array_equal(parts, split(labels, shares, seed))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(30, 300), min_size=1, max_size=8), shares_st, st.integers(0, 2**30))
def test_shares_are_kept_in_all_and_in_every_class(sizes, shares, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    parts = split(y, shares, seed)
    whole = sum(shares.values())
    lifted = len(sizes)  # one row of each class may be promised away
    for name, share in shares.items():
        quota = share / whole * len(y)
        assert abs((parts == name).sum() - quota) <= 1 + (lifted if quota < 2 * lifted or "test" in shares else 0)
        for c, n in enumerate(sizes):
            assert abs((parts[y == c] == name).sum() - share / whole * n) < 2.01


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 25)), min_size=1, max_size=100), shares_st, st.integers(0, 99)
)
def test_groups_stay_together_and_every_class_trains(rows, shares, seed):
    y, g = np.array(rows).T
    parts = split(y, shares, seed, groups=g)
    for group in np.unique(g):
        assert len(set(parts[g == group].tolist())) == 1
    for c in np.unique(y):
        assert "train" in parts[y == c]
    np.testing.assert_array_equal(parts, split(y, shares, seed, groups=[f"track-{v:03d}" for v in g]))


def test_groups_are_dealt_out_in_proportion():
    rng = np.random.default_rng(0)
    g = rng.integers(0, 400, 6000)
    y = g % 5
    parts = split(y, {"train": 0.7, "valid": 0.1, "test": 0.2}, 3, groups=g)
    for name, share in (("train", 0.7), ("valid", 0.1), ("test", 0.2)):
        for c in range(5):
            assert abs((parts[y == c] == name).mean() - share) < 0.03


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_two_classes_are_dealt_out_by_the_shares_of_both(seed):
    """Twenty groups of five rows of each class; the commoner one has groups of its own, which come later."""
    y = np.r_[np.tile([0] * 5 + [1] * 5, 20), np.zeros(400, int)]
    g = np.r_[np.repeat(np.arange(20), 10), np.repeat(np.arange(20, 120), 4)]
    parts = split(y, {"train": 0.6, "test": 0.4}, seed, groups=g)
    for c in (0, 1):  # to a group
        assert abs(int(np.sum(parts[y == c] == "test")) - 0.4 * np.sum(y == c)) <= 5


def test_one_class_leaves_another_its_last_group():
    """b trains on group 1 or 2; 2 would leave nothing of c, which trains on 0, to judge."""
    y, g = np.array([1, 2, 0, 1, 0, 2]), np.array([0, 0, 1, 2, 2, 3])
    parts = split(y, {"train": 0.5, "test": 0.5}, 0, groups=g)
    assert all(set(parts[y == c]) == {"train", "test"} for c in range(3))


def test_two_people_who_show_every_class_are_told_apart():
    y = np.tile(np.arange(10), 20)
    g = np.repeat(["anna", "ben"], 100)
    parts = split(y, {"train": 0.9, "test": 0.1}, 0, groups=g)
    assert len(set(parts.tolist())) == 2


def test_many_classes_with_few_pictures_keep_the_share():
    y = np.repeat(np.arange(136), 20)
    parts = split(y, {"train": 0.83, "test": 0.17}, 0)
    assert abs((parts == "test").sum() - 0.17 * len(y)) <= 1  # 3.4 a class: 3 here, 4 there
    assert set(np.bincount(y[parts == "test"])) == {3, 4}


def test_seeds_differ_and_rows_are_equally_likely():
    y = np.zeros(50, int)
    held = np.array([split(y, {"train": 0.8, "test": 0.2}, seed) == "test" for seed in range(400)])
    assert len({row.tobytes() for row in held}) == 400
    assert (held.sum(axis=1) == 10).all()
    assert held.mean(axis=0).min() > 0.12  # 0.2 ± 0.02; 4 standard deviations
    assert held.mean(axis=0).max() < 0.28


def test_the_answer_is_frozen():
    """A model says how its data were split by seed alone: these rows must never change."""
    y = np.tile([0, 1, 2], 6)
    expected = "test train train train train test train train test train train train train train train train test train"
    assert " ".join(split(y, {"train": 0.8, "test": 0.2}, 7).tolist()) == expected
    code = (
        "import numpy as np; from linearhead.data import split;"
        "print(*split(np.tile([0, 1, 2], 6), {'train': 0.8, 'test': 0.2}, 7))"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.split() == expected.split()


def test_so_is_that_of_groups():
    """Of unlike sizes, some of several classes."""
    g = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 3, 2])
    y = (g * 7 % 5) % 3
    y[::9] = 2
    parts = split(y, {"train": 0.6, "valid": 0.15, "test": 0.25}, 7, groups=g)
    expected = "valid train valid train valid train test train test test train train"
    assert " ".join(parts[np.searchsorted(g, np.arange(12))].tolist()) == expected
    words = split(y, {"train": 0.6, "valid": 0.15, "test": 0.25}, 7, groups=[f"track {10 + one}" for one in g])
    np.testing.assert_array_equal(words, parts)


@pytest.mark.parametrize(
    ("amounts", "shares", "expected"),
    [
        ([10], [0.5, 0.25, 0.25], [[5, 3, 2]]),  # of equal remainders the first
        ([3, 3, 3, 3], [0.5, 0.5], [[2, 1], [1, 2], [2, 1], [1, 2]]),  # what one class withholds the next gives back
        ([4, 4, 4, 4, 4], [0.9, 0.1], [[3, 1]] * 5),  # promised to every class, taken back from none
        ([1, 1, 7], [0.6, 0.4], [[1, 0], [1, 0], [4, 3]]),
        ([2, 20], [0.95, 0.05], [[1, 1], [19, 1]]),
    ],
)
def test_how_many_rows_of_a_class_go_where(amounts, shares, expected):
    y, names = np.repeat(np.arange(len(amounts)), amounts), ["train", "valid", "test"]
    names = names if len(shares) == 3 else ["train", "test"]
    parts = split(y, dict(zip(names, shares, strict=True)), 3)
    assert [[int(np.sum(parts[y == c] == name)) for name in names] for c in range(len(amounts))] == expected


def test_labels_may_be_names():
    y = np.array(["cat", "dog"] * 10)
    np.testing.assert_array_equal(split(y, {"train": 1, "test": 1}, 0), split(y == "dog", {"train": 1, "test": 1}, 0))


def test_nothing_and_everything():
    assert split([], {"train": 0.8, "test": 0.2}, 0).tolist() == []
    assert split([1, 1, 2], {"train": 1.0}, 0).tolist() == ["train"] * 3


@pytest.mark.parametrize(
    "shares", [{}, {"train": 0.0}, {"train": -1, "test": 2}, {"train": float("nan")}, {"train": float("inf")}]
)
def test_shares_that_mean_nothing(shares):
    with pytest.raises(UsageError, match="numbers from 0 up"):
        split([0, 1], shares, 0)


def test_other_wrong_input():
    with pytest.raises(DataError, match="one label per row"):
        split(np.zeros((2, 2)), {"train": 1}, 0)
    with pytest.raises(DataError, match="one group per row"):
        split([0, 1], {"train": 1, "test": 1}, 0, groups=[1])
    with pytest.raises(UsageError, match="seed"):
        split([0, 1], {"train": 1, "test": 1}, -1)


def test_many_rows_are_quick():
    import time

    began = time.process_time()
    split(np.arange(1_000_000) % 1000, {"train": 0.8, "test": 0.2}, 0)
    assert time.process_time() - began < 5
