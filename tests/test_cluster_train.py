"""`train --cluster`: workers decode, extract and fit; the classifier is that of one machine."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("distributed", reason="needs the extra dask: pip install 'linearhead[dask]'")

import noisy_photos
from linearhead.cli import cli
from linearhead.design import connect
from linearhead.experiment import clustered

FEATURES = "patches(quality=fast,filters=8)+color"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Classes that overlap: where all is right, log loss falls with alpha for ever and none is best."""
    return noisy_photos.write(tmp_path_factory.mktemp("photos"), {"a": 0, "b": 3, "c": 6}, each=30, noise=150)


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and one worker."""
    with connect("local:1") as cluster:
        yield cluster


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def test_the_classifier_of_one_machine(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(clustered, "JOB", 16)
    options = ("--features", FEATURES, "--max-bad", "0.1", "--json")
    store = tmp_path / "store"
    done = run("train", photos, "--out", tmp_path / "run", "--cluster", "local:2", "--cache", store, *options)
    assert done.exit_code == 0, done.output
    assert "Cluster: 2 workers, 2 threads" in done.stderr
    found = json.loads(done.stdout)
    assert (found["found"], found["used"], found["skipped"]) == (91, 90, 1)
    assert found["converged"]
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.rows")}
    assert len(before) >= 10  # a shard of pixels and one of features for every job
    done = run("train", photos, "--out", tmp_path / "alone", "--cache", store, *options)
    wanted = json.loads(done.stdout)
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*.rows")} == before  # nothing was left to compute
    assert wanted["alpha"] == pytest.approx(found["alpha"], rel=1e-6)
    assert wanted["test"]["log_loss"] == pytest.approx(found["test"]["log_loss"], abs=1e-3)
    first, second = (each["certificate"] for each in (found, wanted))
    assert abs(first["value"] - second["value"]) <= 1e-12 + max(first["gap"], second["gap"])


def test_rows_computed_elsewhere_even_those_in_memory(tmp_path, cluster):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 12)).astype(np.float32)
    y = (X[:, :3] + rng.gumbel(size=(600, 3))).argmax(axis=1)
    np.savez(tmp_path / "f.npz", x_train=X[:400], y_train=y[:400], x_test=X[400:], y_test=y[400:])
    options = ("--cache", tmp_path / "store", "--json")
    found, wanted = (
        json.loads(run("train", tmp_path / "f.npz", "--out", tmp_path / str(i), *options, *where).stdout)
        for i, where in enumerate((("--cluster", cluster.client.scheduler.address), ()))
    )
    assert found["alpha"] == pytest.approx(wanted["alpha"], rel=1e-6)
    assert found["certificate"]["value"] == pytest.approx(wanted["certificate"]["value"], rel=1e-9)
    assert found["test"]["accuracy"] == wanted["test"]["accuracy"]


def test_a_cluster_needs_a_folder_that_workers_see(photos, tmp_path):
    for cache in ((), ("--no-cache",)):
        done = run("train", photos, "--out", tmp_path / "run", "--cluster", "local:1", *cache)
        assert done.exit_code == 2
        assert "--cluster needs --cache FOLDER" in done.stderr
    assert not (tmp_path / "run").exists()


KILLED = """
import os, signal, sys
from linearhead.cli import main
from linearhead.design import Journal

recall = Journal.recall

def until(self, key, find):
    if len(list(self.folder.iterdir())) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return recall(self, key, find)

Journal.recall = until
sys.argv = ["linearhead", *sys.argv[1:]]
main()
"""


def test_a_command_that_was_killed_goes_on_with_its_passes(tmp_path, cluster):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 12)).astype(np.float32)
    np.savez(tmp_path / "f.npz", x=X, y=(X[:, :3] + rng.gumbel(size=(600, 3))).argmax(axis=1))
    store = tmp_path / "store"
    words = ["train", tmp_path / "f.npz", "--cluster", cluster.client.scheduler.address, "--cache", store, "--json"]
    words = [str(word) for word in words]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words, "--out", str(tmp_path / "a")], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((store / "passes").iterdir())) == 9
    done = run(*words, "--out", tmp_path / "b")
    assert done.exit_code == 0, done.output
    assert f"9 passes were found in {store}" in done.stderr
    assert not list((store / "passes").iterdir())
    fresh = run(*words, "--out", tmp_path / "c")
    assert "passes were found" not in fresh.stderr
    found, wanted = (json.loads(each.stdout) for each in (done, fresh))
    assert found["certificate"] == wanted["certificate"]
    assert (tmp_path / "b" / "model.safetensors").exists()
