"""The verb extract: features once into a store, and a train that reads them there decodes nothing."""

import json
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

import linearhead
import noisy_photos
from linearhead import images
from linearhead.cli import cli
from linearhead.data import feature_store
from linearhead.errors import FileError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return noisy_photos.write(tmp_path_factory.mktemp("photos"), {"a": 100, "b": 0}, each=20, noise=120)


@pytest.mark.parametrize("features", ["hog+color", "patches(quality=fast,filters=20)"])
def test_train_after_extract_decodes_nothing(photos, tmp_path, monkeypatch, features):
    store = tmp_path / "store"
    command = ["extract", str(photos), "--features", features, "--out", str(store), "--max-bad", "0.1", "--json"]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["found"], found["used"], found["skipped"]) == (41, 40, 1)
    assert found["store"] == str(store)
    alone = linearhead.train(photos, out=tmp_path / "alone", features=features, max_bad=0.1)

    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(feature_store.Table, "add", refuse)
    monkeypatch.setattr(images.many, "decode", refuse, raising=True)
    monkeypatch.setattr("linearhead.experiment.probes.cues", lambda *_: {})  # a glance at other sizes, decoded anew
    for loss in ("cross_entropy", "squared_hinge"):
        outcome = linearhead.train(
            photos, out=tmp_path / loss, features=found["features"], loss=loss, cache=store, max_bad=0.1
        )
        assert outcome.run.features["dimension"] == found["dimension"]
    again = linearhead.load(tmp_path / "cross_entropy" / "model.safetensors")
    assert np.array_equal(again.coef, linearhead.load(alone.model).coef)


def test_what_is_named_next_reads_the_store(photos, tmp_path):
    """With every option that decides how pictures are looked at."""
    store = tmp_path / "my store"
    options = ["--size", "16x20", "--seed", "3", "--max-bad", "0.1"]
    done = CliRunner().invoke(cli, ["extract", str(photos), "--features", "color", *options, "--out", str(store)])
    assert done.exit_code == 0, done.output
    *_, following = done.stdout.splitlines()
    words = shlex.split(following)
    assert words[:4] == ["Next", "linearhead", "train", str(photos)]
    shards = sorted(store.rglob("*.rows"))
    again = CliRunner().invoke(cli, [*words[2:], "--out", str(tmp_path / "run")])
    assert again.exit_code == 0, again.output
    assert sorted(store.rglob("*.rows")) == shards


def test_a_store_that_cannot_be_made(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file"):
        linearhead.extract(photos, out=tmp_path / "file" / "store", features="color", max_bad=0.1)
