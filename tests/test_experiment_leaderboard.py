"""The leaderboard behind --features auto: who is tried, on which pictures, who wins, and what it may cost."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from linearhead import SoftmaxClassifier, metrics
from linearhead.data import Dataset
from linearhead.experiment import Recipe, leaderboard, sampling
from linearhead.experiment.extract import Pictures, Tolerance
from linearhead.experiment.leaderboard import Contest, Tried
from linearhead.experiment.progress import Progress
from linearhead.experiment.sampling import Sample
from linearhead.features import FEATURES
from linearhead.images import Preprocessing
from linearhead.records import Candidate, Leaderboard


def pictures_of(images, labels, classes, groups=None):
    dataset = Dataset(
        source="s",
        reader="numpy",
        names=[f"p{i}" for i in range(len(labels))],
        labels=np.asarray(labels),
        classes=classes,
        splits=np.full(len(labels), ""),
        read=lambda i: images[i],
        groups=groups,
    )
    looks = Preprocessing(*images.shape[1:3], mode="L" if images.ndim == 3 else "RGB")
    return Pictures(dataset, np.arange(len(labels)), looks, Tolerance(len(labels), 0.01), Progress())


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    images = np.round(data.images[:400] * 15.9).astype(np.uint8)
    return pictures_of(images, data.target[:400], tuple("0123456789"))


@pytest.fixture(scope="module")
def held(digits):
    """The outcome for 300 of the 400 pictures."""
    return leaderboard.hold(digits, np.arange(300), Recipe(), Progress())


def test_every_extractor_that_fits_is_tried_alone_and_the_best_joined_with_each(held):
    plan, board = held
    singles = {c.features.split("(")[0] for c in board.candidates if "+" not in c.features}
    assert singles == {name for name, kind in FEATURES.items() if kind.ready}
    joined = {c.features for c in board.candidates if "+" in c.features}
    assert len(joined) >= len(singles) - 1 or board.not_tried
    assert [c.chosen for c in board.candidates].count(True) == 1
    chosen = next(c for c in board.candidates if c.chosen)
    assert plan.features == chosen.features.replace("quality=fast", "").replace("()", "").replace("(,", "(")
    assert plan.loss == chosen.loss != "auto"
    assert max(c.accuracy for c in board.candidates) > 0.93
    assert board.pictures == 300
    assert all(c.n == 300 and c.accuracy_interval[0] <= c.accuracy <= c.accuracy_interval[1] for c in board.candidates)


def test_only_pictures_that_may_be_trained_on_are_looked_at(digits, monkeypatch):
    seen = []
    look = digits.seen
    monkeypatch.setattr(digits, "seen", lambda rows: seen.extend(rows.tolist()) or look(rows))
    sample = sampling.draw(digits, np.arange(300), Recipe(), ["pixels"])
    assert len(sample.y) == len(seen) > 20
    assert max(seen) < 300


def test_the_table_says_what_was_tried_and_what_it_cost(held):
    lines = list(leaderboard.lines(held[1], 10))
    assert lines[0].split()[:2] == ["Features", "loss"]
    assert sum("← chosen" in line for line in lines) == 1
    assert f"in {held[1].seconds:.1f} s" in lines[-1]


def test_without_time_the_first_candidate_alone_is_tried_and_the_others_named(digits, monkeypatch):
    monkeypatch.setattr(leaderboard, "BUDGET", -1.0)
    monkeypatch.setattr(leaderboard, "EACH", 0.0)
    plan, board = leaderboard.hold(digits, np.arange(100), Recipe(loss="squared"), Progress())
    assert (len(board.candidates), plan.features, plan.loss) == (1, "patches", "squared")
    assert "hog with squared" in board.not_tried
    assert "Not tried for want of time" in list(leaderboard.lines(board, 10))[-2]


def test_the_clock_decides_nothing(digits, held, monkeypatch):
    clock = itertools.count(0, 1e4)
    slow = SimpleNamespace(perf_counter=lambda: next(clock), process_time=lambda: next(clock))
    monkeypatch.setattr(leaderboard, "time", slow)
    plan, board = leaderboard.hold(digits, np.arange(300), Recipe(), Progress())
    assert board.seconds >= 1e4
    assert plan == held[0]
    assert board.not_tried == held[1].not_tried
    assert [replace(c, seconds=0.0) for c in board.candidates] == [replace(c, seconds=0.0) for c in held[1].candidates]


def specs_of(board):
    return {c.features.replace("quality=fast,", "").replace("(quality=fast)", "") for c in board.candidates}


def test_named_features_leave_their_variants_to_the_pictures(digits):
    plan, board = leaderboard.hold(digits, np.arange(300), Recipe(features="patches"), Progress())
    specs = specs_of(board)
    assert {"patches", "patches(mirror=1)"} <= specs
    assert all(spec.startswith("patches") and "+" not in spec for spec in specs)
    assert {c.loss for c in board.candidates} == {"cross_entropy"} == {plan.loss}
    chosen = next(c.features for c in board.candidates if c.chosen)
    assert plan.features == chosen.replace("quality=fast,", "").replace("(quality=fast)", "")
    joined = leaderboard.hold(digits, np.arange(300), Recipe(features="patches+hog", quality="best"), Progress())
    assert {"patches+hog", "patches(mirror=1)+hog"} <= specs_of(joined[1])
    assert "quality=best" in joined[0].features


@pytest.mark.parametrize(
    "options",
    [
        {"features": "patches(mirror=0)"},
        {"features": "hog"},
        {"features": "patches", "quality": "fast"},
        {"features": "nets/patches.onnx"},
    ],
)
def test_features_with_options_or_without_variants_are_taken_as_they_are(options):
    assert not leaderboard.varies(Recipe(**options))


def test_pictures_that_only_face_another_way_are_not_folded_onto_their_mirror_images():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (200, 12, 12)) + 8 * np.arange(12)
    images[100:] = images[100:, :, ::-1]
    some = pictures_of(images.astype(np.uint8), np.arange(200) // 100, ("left", "right"))
    plan, board = leaderboard.hold(some, np.arange(200), Recipe(features="patches"), Progress())
    accuracy = {spec: c.accuracy for c in board.candidates for spec in [c.features]}
    assert accuracy["patches(quality=fast,mirror=1)"] < 0.7 < 0.95 < accuracy["patches(quality=fast)"]
    assert "mirror" not in plan.features


def test_too_few_pictures_to_compare_get_the_last_that_applies(digits):
    plan, board = leaderboard.hold(digits, np.arange(12), Recipe(quality="fast"), Progress())
    assert board is None
    assert (plan.features, plan.loss) == ("patches(quality=fast)", "cross_entropy")


@pytest.mark.parametrize(
    ("n", "k", "dimensions", "size", "classes"),
    [
        (500, 10, [100, 1000], 500, 10),
        (60_000, 10, [100, 1000], 3000, 10),
        (60_000, 1000, [500, 2000], 2350, 235),
        (4000, 3000, [500, 2000], 860, 645),
        (15, 2, [5], 15, 2),
    ],
)
def test_the_sample_is_bounded_by_arithmetic(n, k, dimensions, size, classes):
    """Ten pictures of every class, or of as many classes as there is work for, however many there are."""
    assert sampling.sample_size(n, k, dimensions) == (size, classes)
    columns = 2 * sum(dimensions) + max(dimensions) * len(dimensions)
    assert size * classes * columns * 400 <= sampling.WORK


def test_of_many_classes_those_are_tried_that_can_be_judged(monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (300, 8, 8), dtype=np.uint8)
    y = np.concatenate([np.repeat(np.arange(50), 4), np.arange(50, 150)])  # 100 of the classes have one picture each
    some = pictures_of(images, y, tuple(f"{i:03}" for i in range(150)))
    monkeypatch.setattr(sampling, "sample_size", lambda n, k, dimensions: (120, 30))
    sample = sampling.draw(some, np.arange(300), Recipe(), ["pixels"])
    assert sorted(np.bincount(sample.y)) == [4] * 30
    assert sampling.draw(some, np.arange(200, 300), Recipe(), ["pixels"]) is None  # nothing there can be judged
    board = Leaderboard(
        [Candidate("hog", "cross_entropy", 9, 1.0, 120, 0.5, [0.4, 0.6], 1.0, 1.0)], [], 120, "", 1.0, 30
    )
    assert "120 training pictures of 30 of the classes" in list(leaderboard.lines(board, 150))[-1]
    assert "of the classes" not in list(leaderboard.lines(board, 30))[-1]


def test_groups_stay_on_one_side(monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (120, 8, 8), dtype=np.uint8)
    some = pictures_of(images, np.arange(120) // 60, ("a", "b"), groups=np.arange(120) // 4)
    sample = sampling.draw(some, np.arange(120), Recipe(), ["pixels"])
    parts = sample.part.reshape(-1, 4)
    assert (parts == parts[:, :1]).all()
    assert set(sample.part) == {0, 1, 2}
    assert np.array_equal(sample.alike, np.concatenate([sample.groups[sample.part == part] for part in range(3)]))


# ── the rule ──────────────────────────────────────────────────────────────────────────────────────


def tried(spec, dimension, right, cost):
    return Tried(spec, "cross_entropy", dimension, 0.1, np.asarray(right), np.asarray(cost, float), 0.0, True)


def contest(*candidates, groups=None):
    return Contest(SimpleNamespace(alike=groups), Recipe(), 0.0, [], list(candidates))


def test_the_rule_prefers_few_numbers_only_where_chance_cannot_tell():
    rng = np.random.default_rng(0)
    right = rng.random(300) < 0.9
    cost = rng.random(300)
    large = tried("large", 5000, right, cost)
    equal = tried("small", 100, right, cost + rng.normal(0, 0.1, 300))
    worse = tried("tiny", 10, right, cost + 0.05)  # every picture a little worse: no chance
    assert contest(large, worse, equal).winner() is equal
    assert contest(large, worse).winner() is large
    fewer = right.copy()
    fewer[np.flatnonzero(right)[:12]] = False
    assert contest(large, tried("tiny", 10, fewer, cost - 0.01)).winner() is large  # accuracy counts first


def test_frames_of_few_tracks_count_as_what_they_show():
    """Wrong on one of ten tracks: of 300 pictures much, of ten tracks within a standard error; so the interval."""
    right, groups = np.ones(300, dtype=bool), np.repeat(np.arange(10), 30)
    large, small = tried("pixels", 5000, right, np.full(300, 0.2)), tried("hog", 100, groups > 0, 0.2 + (groups == 0))
    assert contest(large, small).winner() is large
    assert contest(large, small, groups=groups).winner() is small
    alone, whole = (small.record(False, g).accuracy_interval for g in (None, groups))
    assert whole == metrics.evaluate(groups * 0, groups == 0, ["a", "b"], groups=groups).accuracy_interval
    assert whole[0] < 0.6 < 0.85 < alone[0]


def test_the_rule_does_not_overfit_the_judges():
    """Among 40 equally good candidates the smallest wins most of the time, however the noise falls."""
    rng = np.random.default_rng(1)
    wins = 0
    for _ in range(50):
        base = rng.random(200) < 0.8
        noisy = [np.where(rng.random(200) < 0.1, ~base, base) for _ in range(40)]
        field = [tried(f"f{i}", 10 + i, r, np.where(r, 0.2, 1.6)) for i, r in enumerate(noisy)]
        best = max(field, key=lambda t: t.right.mean())
        won = contest(*field).winner()
        wins += won.dimension < best.dimension or won is best
        assert best.right.mean() - won.right.mean() <= 0.05
    assert wins == 50


def test_fits_are_judged_on_rows_that_they_do_not_see():
    """Labels drawn at random: an honest judge finds chance, one that sees the fit's own rows finds 1."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(150, 400)).astype(np.float32), np.repeat([0, 1, 2], 50)
    sample = Sample(X, y, np.tile([0, 1, 2], 50), (0, 1, 2), 0)
    _, right, cost = leaderboard.compare(X, sample, Recipe())
    assert len(right) == len(cost) == 150
    assert right.mean() < 0.5
    assert cost.mean() > 0.9  # no better than an even guess, log 3 = 1.1


@pytest.mark.parametrize("d", [8, 70])
def test_scales_are_those_of_the_rows_fitted(d):
    """Columns in which a row or two are most of the spread: a fit that has not seen them thinks little of it."""
    rng, y = np.random.default_rng(0), np.arange(60) % 3
    X = (rng.normal(size=(60, d)) ** 3 + np.eye(3, d)[y]).astype(np.float32)
    sample = Sample(X, y, np.arange(60) // 3 % 3, (0, 1, 2), 0)
    _, right, cost = leaderboard.compare(X, sample, Recipe(alpha=0.1))
    parts = [sample.part == part for part in sample.judges]
    fits = [SoftmaxClassifier(alpha=0.1, standardize=True).fit(X[~held], y[~held]) for held in parts]
    s = np.concatenate([fit.decision_function(X[held]) for fit, held in zip(fits, parts, strict=True)])
    own = np.concatenate([y[held] for held in parts])
    expected = leaderboard._costs(leaderboard.LOSSES["cross_entropy"](), s, own, np.ones(60))
    np.testing.assert_allclose(cost, expected, atol=0.05)  # as exact as ranks need
    assert right.mean() == pytest.approx(np.mean(s.argmax(axis=1) == own), abs=0.02)


def test_candidates_are_not_compared_by_a_confidence_that_calibration_will_change():
    rng = np.random.default_rng(0)
    s = rng.normal(0, 2, (600, 4)).astype(np.float32)
    loss = leaderboard.LOSSES["cross_entropy"]()
    y = (loss.probabilities(s).cumsum(axis=1)[:, :-1] <= rng.random((600, 1))).sum(axis=1)
    costs = [leaderboard._costs(loss, s * factor, y, np.ones(600)).mean() for factor in (0.2, 1, 5)]
    np.testing.assert_allclose(costs, costs[1], atol=5e-3)


def test_a_picture_whose_class_the_fit_lacks_judges_nothing():
    """No features would get it right, and a stronger penalty alone would make it cost less."""
    rng, y = np.random.default_rng(0), np.r_[np.arange(60) % 3, 3, 4]
    X = (5 * np.eye(5, 30)[y] + rng.normal(size=(62, 30))).astype(np.float32)
    sample = Sample(X, y, np.arange(62) % 4 % 3, (0, 1, 2), 0)
    alpha, right, cost = leaderboard.compare(X, sample, Recipe())
    assert len(right) == len(cost) == 60
    assert right.mean() > 0.9
    assert cost.mean() < 0.3
    assert alpha < 1


def test_pictures_count_by_class_weight():
    """What judges is then the mean over classes, of one in which there are many pictures and of one with few."""
    rng, y = np.random.default_rng(0), np.repeat([0, 1], [270, 30])
    X = (rng.normal(size=(300, 5)) + 0.7 * y[:, None]).astype(np.float32)
    plan = Recipe(class_weight="balanced")
    sample = sampling.parted(X, y, None, plan)
    _, right, cost = leaderboard.compare(X, sample, plan)
    own = np.concatenate([sample.y[sample.judged(part)] for part in sample.judges])
    recalls = [np.mean(right[own == c] > 0) for c in (0, 1)]
    assert right.mean() == pytest.approx(np.mean(recalls))
    assert cost[own == 1].sum() == pytest.approx(cost[own == 0].sum(), rel=0.3)  # though they are one in ten
    found = tried("hog", 5, right, cost).record(True, None, sample.counts)
    assert found.accuracy == pytest.approx(np.mean(recalls))
    low, high = found.accuracy_interval
    assert high - low == pytest.approx(np.subtract(*metrics.wilson(100 * np.mean(recalls), 100.0)[::-1]), rel=0.1)
    assert sampling.parted(X, y, None, Recipe()).counts is None


@pytest.mark.parametrize("standardize", [True, False])
def test_wide_rows_are_compared_in_their_own_span_and_fare_alike(standardize, monkeypatch):
    from linearhead.objective import span

    rng = np.random.default_rng(0)
    X, y = (rng.normal(size=(40, 90)) * np.linspace(0.5, 2, 90) + 1).astype(np.float32), np.arange(40) % 3
    X[:, 7] = 4.0  # a constant column
    sample, plan = Sample(X, y, np.arange(40) % 4 % 3, (0, 1), 0), Recipe(standardize=standardize, alpha=0.1)
    spanned = []
    monkeypatch.setattr(span, "span", lambda o, of=span.span: spanned.append(o) or of(o))
    _, _, narrow = leaderboard.compare(X, sample, plan)
    assert len(spanned) == (2 if standardize else 1)  # scales are of each part's own rows
    monkeypatch.setattr(span, "worth_spanning", lambda _: False)
    _, _, wide = leaderboard.compare(X, sample, plan)
    np.testing.assert_allclose(narrow, wide, atol=2e-2)  # as exact as ranks need
