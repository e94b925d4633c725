"""What a record says of copies, counted once more picture by picture."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead.experiment import copies as copying
from linearhead.experiment import judge
from linearhead.images import Copies
from linearhead.records import Duplicates


def drawn(seed, n=60):
    """Groups by their first picture, whether a later one is equal to it or only looks like it, and labels."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, 25 if seed % 2 else 6, n)  # many groups, or large ones
    group = np.array([np.flatnonzero(chosen == one)[0] for one in chosen])
    later = group != np.arange(n)
    exact = later & (rng.random(n) < 0.5)
    return Copies(group, exact, later & ~exact), np.where(rng.random(n) < 0.8, group % 3, rng.integers(0, 3, n))


@pytest.mark.parametrize("seed", range(6))
def test_copies_are_counted_picture_by_picture(seed):
    copies, labels = drawn(seed)
    n = len(labels)
    judged = np.random.default_rng(seed).random(n) < 0.3
    trained = ~judged & (np.arange(n) % 7 > 0)
    names, classes = [f"{i}.png" for i in range(n)], ("a", "b", "c")
    found = copying.duplicates(copies, labels, names, classes, judged, trained)

    alike = [[j for j in range(n) if copies.group[j] == copies.group[i]] for i in range(n)]
    equal = [[j for j in alike[i] if copies.exact[j] or j == copies.group[i]] for i in range(n)]
    other = [len({labels[j] for j in alike[i]}) > 1 for i in range(n)]
    leaks = np.array([judged[i] and any(trained[j] for j in alike[i]) for i in range(n)])
    assert found.compared == n
    assert found.exact + found.near == n - len(set(copies.group.tolist()))
    assert found.exact == copies.exact.sum()
    assert found.conflicting == sum(other)
    assert found.judged == leaks.sum()
    np.testing.assert_array_equal(copying.leaked(copies, judged, trained), leaks)
    unlike = [i for i in range(n) if i in equal[i] and len({labels[j] for j in equal[i]}) > 1]
    assert found.contradicting == len(unlike)
    firsts = sorted({int(copies.group[i]) for i in unlike})
    assert found.contradictions == [[f"{names[j]} ({classes[labels[j]]})" for j in equal[i][:6]] for i in firsts][:12]
    # those that judge what they taught first, then those of several labels, then as they come
    order = sorted(
        {int(i) for i in copies.group if len(alike[i]) > 1}, key=lambda i: (not any(leaks[alike[i]]), not other[i], i)
    )
    assert found.examples == [[names[j] for j in alike[i][:6]] for i in order][:12]


def test_rows_of_one_key_are_copies_of_the_first():
    found = copying.equal([b"a", b"b", b"a", b"c", b"b", b"a"])
    assert found.group.tolist() == [0, 1, 0, 3, 1, 0]
    assert found.exact.tolist() == [False, False, True, False, True, True]
    assert not found.near.any()


@pytest.mark.parametrize("grouped", [False, True])
def test_judged_again_without_the_copies(grouped):
    rng = np.random.default_rng(0)
    s, y, leaks = rng.normal(size=(50, 3)), rng.integers(0, 3, 50), rng.random(50) < 0.3
    s[leaks, y[leaks]] += 9  # what was seen is known
    groups = np.arange(50) // 5 if grouped else None
    model = SimpleNamespace(classes=["a", "b", "c"], probabilities=lambda s: np.exp(s) / np.exp(s).sum(1)[:, None])
    answers, left = judge.answer_scores(model, s, y), ~leaks
    found = Duplicates(50, 0, 0, 0, int(leaks.sum()))
    copying.without(model, answers, y, groups, leaks, found)
    own = judge.evaluation(
        model, judge.answer_scores(model, s[left], y[left]), y[left], None if groups is None else groups[left]
    )
    assert found.without == own
    assert found.without.accuracy == np.mean(s[left].argmax(axis=1) == y[left])
    for none in (np.zeros(50, bool), np.ones(50, bool)):  # nothing to leave out, or nothing left
        found.without = None
        copying.without(model, answers, y, groups, none, found)
        assert found.without is None


def test_pictures_are_looked_at_in_blocks_and_counted(monkeypatch):
    monkeypatch.setattr(copying, "BATCH", 4)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 30, 30, 1), dtype=np.uint8)
    pixels[9], pixels[6] = pixels[0], pixels[5]
    asked, seen, rows = [], [], np.array([3, 4, 0, 1, 2, 5, 6, 7, 8, 9])

    @contextmanager
    def bar(total, what):
        asked.append((total, what))
        yield seen.append

    pictures = SimpleNamespace(
        pixels=lambda rows: pixels[rows],
        shaped=lambda block: block,
        keys=[b"%d" % i for i in range(10)],
        progress=SimpleNamespace(bar=bar),
    )
    found = copying.look_for(pictures, rows)
    assert (asked, seen) == ([(10, "copies")], [4, 4, 2])
    assert found.group.tolist() == [0, 1, 2, 3, 4, 5, 5, 7, 8, 2]
    assert np.flatnonzero(found.exact).tolist() == [6, 9]
