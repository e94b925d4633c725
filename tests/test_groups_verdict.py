"""What is said of pictures that come in groups: cues, curves, doubted labels, calibration, paired tests."""

from types import SimpleNamespace

import numpy as np
import pytest

from linearhead import SoftmaxClassifier, metrics
from linearhead.data import Dataset
from linearhead.diagnose import few_judged, shortcut
from linearhead.diagnose.test_reused import flattery
from linearhead.experiment import comparing, outside, probes, trusting
from linearhead.experiment.curve import curve_of, extended
from linearhead.images import Preprocessing
from linearhead.losses import LOSSES
from linearhead.records import Trust
from linearhead.trust import noise

TRACKS, FRAMES = 30, 20
GROUPS = np.repeat(np.arange(TRACKS), FRAMES)


def right_by_track(share, spread, seed, groups=GROUPS):
    """(n,) right answers whose share varies from track to track by a beta distribution."""
    rng = np.random.default_rng(seed)
    own = rng.beta(share * spread, (1 - share) * spread, groups.max() + 1)
    return rng.random(len(groups)) < own[groups]


def test_frames_of_one_track_are_no_shortcut():
    """Every track has its own light, which says nothing of its class: other frames of the track would know it all."""
    rng, light = np.random.default_rng(0), np.random.default_rng(1).uniform(20, 230, TRACKS)
    pictures = np.clip(light[GROUPS][:, None, None, None] + rng.normal(0, 1, (600, 8, 8, 3)), 0, 255).astype(np.uint8)
    y, names = (GROUPS % 2).astype(np.int64), [str(i) for i in range(600)]
    dataset = Dataset("s", "numpy", names, y, ("a", "b"), np.full(600, ""), lambda i: pictures[i], GROUPS.astype(str))
    rows = np.random.default_rng(2).permutation(600)[:500]
    alone, whole = (probes.cues(dataset, rows, Preprocessing(8, 8), 0, g) for g in (None, dataset.groups[rows]))
    assert alone["brightness"]["accuracy"] > 0.95
    assert whole["brightness"]["accuracy"] < 0.75
    assert whole["brightness"]["independent"] < 60
    told = [shortcut.check(run_with(seen)) is not None for seen in (alone, whole)]
    assert told == [True, False]


def run_with(seen):
    judged = SimpleNamespace(accuracy=0.9, nearest_accuracy=None)
    return SimpleNamespace(
        evaluations={"test": judged}, probes=seen, features={}, command="", data=SimpleNamespace(source="s"),
        fit=SimpleNamespace(converged=True, certificate=None, trace=SimpleNamespace(value=[])),
    )  # fmt: skip


def test_a_curve_judged_by_frames_of_few_tracks_promises_less():
    """Of 100 draws the margin holds the truth of the last point, were it to stay, in nearly all with groups alone."""
    held, errors = [0, 0], []
    for seed in range(100):
        right = np.array([right_by_track(0.8, 3, seed)] * 2)
        curves = [curve_of([100, 200], right, groups) for groups in (None, GROUPS)]
        for i, curve in enumerate(curves):
            held[i] += abs(curve.accuracy[-1] - 0.8) <= curve.margin
        errors.append(curves[1].independent)
    assert held[0] < 75 < 92 <= held[1]
    assert np.mean(errors) < 150
    right = np.array([right_by_track(0.8, 3, 0), right_by_track(0.9, 3, 1)])
    plain, whole = (curve_of([100, 200], right, groups) for groups in (None, GROUPS))
    assert whole.gain_error > 1.5 * plain.gain_error
    extended(whole, 2000, right_by_track(0.9, 3, 2), GROUPS)
    assert whole.n[-1] == 2000
    assert whole.judged == 600 > 4 * whole.independent


def test_a_curve_over_tracks_is_not_flat_for_more_frames_of_the_same():
    """1/8 of the frames are of nearly all tracks, and as good as all frames; 1/8 of the tracks are far from it."""
    ends = {}
    for groups in (None, np.repeat(np.arange(96), 10)):
        rows = np.repeat(np.arange(96), 10)
        rng, y = np.random.default_rng(0), rows % 3
        X = rng.normal(size=(96, 30))[rows] + 1.2 * np.eye(3, 30)[y] + 0.05 * rng.normal(size=(960, 30))
        fold = rows % 4 if groups is None else groups % 4  # the same folds, of whole tracks
        place = [outside._places(y, fold != f, np.random.default_rng(f), groups) for f in range(4)]
        right = [
            np.mean(SoftmaxClassifier(alpha=0.01).fit(X[p < s], y[p < s]).predict(X[fold == f]) == y[fold == f])
            for s in (1 / 8, 1)
            for f, p in enumerate(place)
        ]
        ends[groups is None] = np.mean(right[4:]) - np.mean(right[:4])
        for p in place if groups is not None else ():
            assert all(len(np.unique(p[groups == g])) == 1 for g in range(96))
            assert np.mean(p < 1 / 8) == pytest.approx(0.75 / 8, abs=0.03)
    assert ends[True] < 0.04 < 0.06 < ends[False]


def test_confidence_is_not_called_untrue_for_how_tracks_fall():
    """Calibrated on average, 20 frames a track: the ECE of 100 draws exceeds what rows show by chance in most."""
    over = [0, 0]
    for seed in range(60):
        right = right_by_track(0.8, 4, seed)
        answers = SimpleNamespace(
            scores=np.zeros((600, 2)),
            predicted=np.where(right, 0, 1),
            confidence=np.full(600, 0.8),
            label_confidence=np.where(right, 0.8, 0.2),
        )
        model = SimpleNamespace(label_sets=lambda s, c: s == 0, novelty=None)
        for i, groups in enumerate((None, GROUPS)):
            trust = Trust(600, "")
            trusting.measure(trust, model, answers, np.zeros((600, 1), np.float32), np.zeros(600, int), groups)
            over[i] += trust.judged.ece > trust.chance
    assert over[0] > 15
    assert over[1] <= 2


def test_one_track_under_a_wrong_label_is_one_sign():
    rng = np.random.default_rng(0)
    y, given = GROUPS % 3, GROUPS % 3
    given = np.where(GROUPS == 4, (y + 1) % 3, given)
    scores = 4.0 * np.eye(3)[y] + rng.normal(0, 0.5, (600, 3))
    alone, whole = (trusting.noise(SimpleNamespace(loss="cross_entropy"), scores, given, g) for g in (None, GROUPS))
    assert LOSSES["cross_entropy"].proper
    assert alone["noise"] == whole["noise"] > 0.02
    assert whole["gain"] < alone["gain"] / 10
    assert noise._of_others(np.array([1, 1, 1, 2]), np.array([0, 0, 1, 1])).tolist() == [1, 1, 2, 0]
    told = [noise._similar(scores, given, np.full((600, 3), 1 / 3), g)[GROUPS == 4] for g in (np.arange(600), GROUPS)]
    assert told[0].min() > 0.9  # the other frames say that the two classes are similar
    assert told[1] == pytest.approx(0.5)


def test_sentences_and_flattery_count_tracks():
    right = right_by_track(0.8, 3, 0)
    alone, whole = (metrics.evaluate(right * 0, 1 - right, ["a", "b"], groups=g) for g in (None, GROUPS))
    assert flattery(whole, 6) > 2 * flattery(alone, 6)
    told = few_judged.check(SimpleNamespace(evaluations={"test": whole}))
    assert f"600 test pictures in groups, which count as {round(whole.independent)}:" in told.evidence
    assert "of other groups" in told.advice


def test_a_paired_test_of_frames_errs_as_often_as_it_says():
    """Two equally good classifiers that are good at different tracks, 200 draws: p < 0.05 in 5 % with groups alone."""
    low = [0, 0]
    for seed in range(200):
        first, second = (right_by_track(0.8, 4, 1000 * s + seed) for s in (1, 2))
        for i, groups in enumerate((None, GROUPS)):
            low[i] += metrics.mcnemar(first, second, groups)[2] < 0.05
    assert low[0] > 40
    assert low[1] <= 16


def test_pairs_are_tested_by_groups_and_together(monkeypatch):
    assert metrics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert metrics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert metrics.holm([]) == []
    first, second = (right_by_track(0.8, 4, seed) for seed in (3, 4))
    runs = [
        SimpleNamespace(judged_pictures="x", judged_right="".join("01"[int(r)] for r in right), judged_groups=groups)
        for right, groups in ((first, []), (second, GROUPS.tolist()))
    ]
    pair = comparing._pair("a", runs[0], "b", runs[1])
    assert pair["p"] == metrics.mcnemar(first, second, GROUPS)[2] > metrics.mcnemar(first, second)[2]
