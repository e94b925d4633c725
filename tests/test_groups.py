"""Pictures of one track are on one side of every random cut: hold-out, validation, leaderboard and folds."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

import linearhead
from linearhead.data import open_dataset
from linearhead.errors import DataError, UsageError
from linearhead.experiment import Recipe, leaderboard, outside, roles


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
    judged = linearhead.evaluate(tmp_path / "run", tracks, reader="folder")
    assert judged.evaluation.accuracy == outcome.run.evaluations["test"].accuracy
    assert judged.evaluation.n == outcome.run.evaluations["test"].n
    # frames of a track are copies of one another: none of them judges what another taught
    assert outcome.run.duplicates.judged == 0


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
