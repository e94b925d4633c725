"""Pictures of one track are on one side of every random cut: hold-out, validation, leaderboard and folds."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import linearhead
from linearhead import metrics
from linearhead.data import open_dataset
from linearhead.diagnose import shifted
from linearhead.errors import DataError, UsageError
from linearhead.experiment import Recipe, leaderboard, outside, probes, roles


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    """Two classes, 12 tracks of 6 frames each: a track has its own pattern, its frames are nearly alike."""
    root, rng = tmp_path_factory.mktemp("tracks"), np.random.default_rng(0)
    lines = []
    for track in range(24):
        label = f"c{track % 2}"
        (root / label).mkdir(exist_ok=True)
        base = rng.integers(0, 256, (16, 16, 3)) // 2 + 60 * (track % 2)
        for frame in range(6):
            name = f"{label}/t{track:02}_{frame}.png"
            noise = rng.integers(0, 8, base.shape)
            Image.fromarray(np.uint8(base + noise)).save(root / name)
            lines.append({"file_name": name, "label": label, "camera": f"cam{track}"})
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


def sides(dataset: Any, roles_of: np.ndarray) -> dict[str, set]:
    return {g: set(roles_of[dataset.groups == g].tolist()) for g in np.unique(dataset.groups)}


@pytest.mark.parametrize(("group", "reader"), [(r"/(t\d+)_", "folder"), (r"t\d+", "folder"), ("camera", "manifest")])
@pytest.mark.parametrize("seed", range(3))
def test_no_track_on_two_sides(tracks, group, reader, seed):
    plan = Recipe(group=group, seed=seed)
    dataset = roles.grouped(open_dataset(tracks, reader), plan)
    assert dataset.groups is not None
    assert len(np.unique(dataset.groups)) == 24
    role = roles.assign(dataset, plan)
    assert set(role) == {"train", "valid", "test"}
    assert all(len(side) == 1 for side in sides(dataset, role).values())
    fold = outside._folds(dataset.labels, dataset.groups, seed, np.random.default_rng(0))
    assert fold is not None
    assert len(np.unique(fold)) == outside.FOLDS
    assert all(len(side) == 1 for side in sides(dataset, fold).values())
    without = roles.assign(open_dataset(tracks, "folder"), Recipe(seed=seed))
    assert any(len(set(without[dataset.groups == g])) > 1 for g in np.unique(dataset.groups))


def test_train_and_evaluate_keep_tracks_together(tracks, tmp_path, monkeypatch):
    seen, folds = [], []
    draw, cut = leaderboard.draw, outside._folds
    monkeypatch.setattr(leaderboard, "draw", lambda *a: seen.append((a, draw(*a))) or seen[-1][1])
    monkeypatch.setattr(outside, "_folds", lambda y, g, *a: folds.append((g, cut(y, g, *a))) or folds[-1][1])
    outcome = linearhead.train(tracks, out=tmp_path / "run", reader="folder", group=r"t\d+", loss="cross_entropy")
    (((pictures, among, *_), sample),) = seen
    part_of = pictures.dataset.groups[among]
    assert all(len(set(sample.part[part_of == g].tolist())) == 1 for g in np.unique(part_of))
    ((groups, fold),) = folds
    assert all(len(set(fold[groups == g].tolist())) == 1 for g in np.unique(groups))
    assert "groups kept together" in outcome.run.data.roles["judged"]
    looked, look = [], roles._in_names
    monkeypatch.setattr(roles, "_in_names", lambda *a: looked.append(a) or look(*a))
    judged = linearhead.evaluate(tmp_path / "run", tracks, reader="folder")
    assert len(looked) == 1
    assert judged.evaluation.accuracy == outcome.run.evaluations["test"].accuracy
    assert judged.evaluation.n == outcome.run.evaluations["test"].n
    assert judged.evaluation.independent == outcome.run.evaluations["test"].independent < judged.evaluation.n
    assert judged.evaluation.accuracy_interval == outcome.run.evaluations["test"].accuracy_interval
    # frames of a track are copies of one another: none of them judges what another taught
    assert outcome.run.duplicates.judged == 0


def test_evaluate_counts_by_the_groups_that_train_was_told(tracks, tmp_path):
    """Not by other groups that the data name themselves; by those where the model's are not to be found."""
    lines = [json.loads(line) for line in (tracks / "metadata.jsonl").read_text().splitlines()]
    table = tmp_path / "all.jsonl"
    for line in lines:
        line |= {"file_name": str(tracks / line["file_name"]), "group": line["file_name"]}  # every frame by itself
    table.write_text("\n".join(map(json.dumps, lines)))
    options = {"features": "pixels", "loss": "squared", "alpha": 1.0, "group": "camera"}
    test = linearhead.train(table, out=tmp_path / "run", **options).run.evaluations["test"]
    judged = linearhead.evaluate(tmp_path / "run", table).evaluation
    assert judged.independent == test.independent < judged.n
    for line in lines:
        del line["camera"]
    table.write_text("\n".join(map(json.dumps, lines)))
    assert linearhead.evaluate(tmp_path / "run", table, split="all").evaluation.independent == len(lines)


@pytest.mark.parametrize(
    ("group", "error", "says"),
    [("(", UsageError, "neither a column"), ("nowhere", DataError, "no group"), (r"\.png", DataError, "one group")],
)
def test_groups_that_cannot_be(tracks, group, error, says):
    with pytest.raises(error, match=says):
        roles.grouped(open_dataset(tracks, "manifest"), Recipe(group=group))


def test_a_class_of_one_group_is_in_no_fold():
    y, groups = np.repeat([0, 1], 10), np.repeat(["a", "b", "c", "d"], [4, 3, 3, 10])
    assert outside._folds(y, groups, 0, np.random.default_rng(0)) is None


def tracks_of(sets, frames, d=20, shift=0.0, seed=0):
    """Rows of tracks whose frames are nearly alike, those of the second set moved along one column: X, n, groups."""
    rng, groups = np.random.default_rng(seed), np.repeat(np.arange(sum(sets)), frames)
    X = rng.normal(size=(sum(sets), d))[groups] + 0.05 * rng.normal(size=(len(groups), d))
    X[sets[0] * frames :, 0] += shift
    return X, sets[0] * frames, groups


def test_frames_of_one_track_do_not_tell_the_sets_apart():
    """Beside the other frames of its track every frame is known: asked without them nobody can tell."""
    seen = []
    for seed in range(5):
        X, n, groups = tracks_of((30, 15), 20, seed=seed)
        alone, whole = (probes.told_apart(X, n, seed, g) for g in (None, groups))
        assert alone["accuracy"] > 0.7
        seen.append(whole["accuracy"])
        assert whole["independent"] < 45 < alone["independent"] == alone["n"]
        assert [finding is not None for finding in map(shifted_by, (alone, whole))] == [True, False]
    assert 0.4 < np.mean(seen) < 0.6  # 15 tracks say little: 0.1 a set
    X, n, groups = tracks_of((150, 80), 5, shift=3.0)
    found = probes.told_apart(X, n, 0, groups)
    assert found["accuracy"] > 0.85
    assert shifted_by(found) is not None


def shifted_by(told, name="told_apart"):
    return shifted.check(SimpleNamespace(probes={name: told}, evaluations={}, unseen_accuracy=None))


def test_leaving_groups_out_is_fitting_without_them():
    rng = np.random.default_rng(0)
    Z, y, groups = rng.normal(size=(60, 4)), np.arange(60) % 3, rng.integers(0, 9, 60)
    Z[:, 0] += y
    found = probes.leave_groups_out(Z, y, groups, ridge=0.1)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    A, T, penalty = np.c_[Z, np.ones(60)], np.eye(3)[y], 6.0 * np.diag([1, 1, 1, 1, 0])
    for g in range(9):
        rest = groups != g
        W = np.linalg.solve(A[rest].T @ A[rest] + penalty, A[rest].T @ T[rest])
        scores = A[~rest] @ W - T[rest].mean(axis=0)
        assert np.array_equal(found[~rest], scores.argmax(axis=1))


def test_rows_of_groups_say_as_much_as_fewer_rows():
    assert metrics.independent(np.arange(7)) == 7
    assert metrics.independent(np.repeat(np.arange(4), 5)) == pytest.approx(4)
    assert metrics.independent(np.zeros(9)) == 1


def test_intervals_count_rows_by_how_alike_a_group_is():
    """Groups of 20 whose shares of right rows differ (a beta distribution of mean 0.8): of 400 draws the 95 % interval
    that takes rows for independent holds the mean in far fewer, this one in as many as it says."""
    rng, groups, y, held = np.random.default_rng(0), np.repeat(np.arange(30), 20), np.zeros(600, int), [0, 0]
    for _ in range(400):
        right = rng.random(600) < rng.beta(3.2, 0.8, 30)[groups]
        for i, of in enumerate((groups, None)):
            low, high = metrics.evaluate(y, 1 - right, ["a", "b"], groups=of).accuracy_interval
            held[i] += low <= 0.8 <= high
    assert 0.93 * 400 <= held[0] <= 0.99 * 400
    assert held[1] <= 0.8 * 400


def test_groups_that_are_all_right_or_no_groups_at_all():
    y, groups = np.zeros(60, int), np.repeat(np.arange(6), 10)
    assert metrics.independent(groups, y == 0) == pytest.approx(6 * (metrics.Z95 / 2.5706) ** 2, rel=0.01)
    assert metrics.evaluate(y, y, ["a"], groups=groups).accuracy_interval[0] < 0.6
    alone = metrics.evaluate(y, y, ["a"], groups=np.arange(60))
    assert alone.independent == 60
    assert alone.accuracy_interval == metrics.evaluate(y, y, ["a"]).accuracy_interval
    assert metrics.independent(np.zeros(60), np.arange(60) % 2 == 0) == 1


def test_strange_frames_of_few_tracks_prove_no_shift():
    for independent, told in (({}, True), ({"independent": 3.0}, False)):
        assert (shifted_by({"n": 200, "share": 0.4} | independent, "unlike") is not None) == told
