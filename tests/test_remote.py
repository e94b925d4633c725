"""Features on remote storage: every file is fetched once, put back whole, and found damaged as in a folder."""

import shutil

import numpy as np
import pytest

pytest.importorskip("fsspec", reason="needs the extra remote: pip install 'linearhead[remote]'")

import fsspec

import noisy_photos
from linearhead import SoftmaxClassifier, remote
from linearhead.data.feature_store import Store
from linearhead.design import ClusterArray
from linearhead.errors import FileError, UsageError
from linearhead.experiment import train
from linearhead.experiment.preparing import extract
from linearhead.experiment.progress import Progress

LOOK = {"what": "test"}


@pytest.fixture(autouse=True)
def copies(tmp_path, monkeypatch):
    """The copies of one machine; `elsewhere` is another one."""
    monkeypatch.setenv(remote.VARIABLE, str(tmp_path / "copies"))
    yield tmp_path / "copies"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    def go(name):
        monkeypatch.setenv(remote.VARIABLE, str(tmp_path / name))

    return go


def files(url):
    fs, place = fsspec.core.url_to_fs(url)
    fs.invalidate_cache()
    return {name.removeprefix(place).strip("/"): fs.cat_file(name) for name in fs.find(place)}


def filled(store, n=10):
    table = store.table(LOOK, 3, np.float32)
    for i in range(n):
        table.add(bytes([i]) * 32, np.full(3, i, np.float32))
        if i % 4 == 3:
            table.flush()
    table.flush()
    return table


@pytest.mark.parametrize("url", ["s3://bucket/a/b", "file:///data/a", "memory://a", "gs://b/c d/ä"])
def test_a_name_has_one_place_and_the_place_its_name(copies, url):
    path = remote.local(url)
    assert path.is_relative_to(copies)
    assert remote.name_of(path) == url
    assert remote.local(remote.name_of(path / "x.rows")) == path / "x.rows"
    assert remote.local("some/folder").is_absolute()
    for plain in ("/some/folder", str(copies), str(copies / "a" / "b")):
        assert remote.name_of(plain) == plain


@pytest.mark.parametrize("url", ["s3://", "simplecache::s3://a/b", "s3://a/../b"])
def test_what_is_no_place_is_refused(url):
    with pytest.raises(UsageError, match="no place on remote storage"):
        remote.local(url)


def test_storage_that_cannot_be_opened_is_named():
    with pytest.raises(UsageError, match=r"nonsense://a/b cannot be opened"):
        remote.pull(remote.local("nonsense://a/b"))


def test_storage_that_fails_is_named(monkeypatch):
    def failing(*_, **__):
        raise RuntimeError("403 forbidden")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", failing)
    with pytest.raises(FileError, match=r"Could not write memory://store/.*403 forbidden"):
        filled(Store("memory://store"))


@pytest.mark.parametrize("fails", ["mv", "put_file"])
def test_a_file_that_cannot_be_put_leaves_nothing_there(tmp_path, monkeypatch, fails):
    path = remote.local("memory://store/a")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"whole")
    kind = type(fsspec.filesystem("memory"))

    def broken(self, source, place, **options):
        if fails == "put_file":
            self.pipe_file(place, b"wh")
        raise OSError("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(kind, fails, broken)
        with pytest.raises(FileError, match="the connection is lost"):
            remote.push(path)
    assert files("memory://store") == {}
    remote.push(path)
    assert files("memory://store") == {"a": b"whole"}


@pytest.mark.parametrize("kind", ["memory://store", "file://{}/store"])
def test_another_machine_finds_the_rows(tmp_path, elsewhere, kind):
    url = kind.format(tmp_path)
    filled(Store(url))
    there = files(url)
    assert len([name for name in there if name.endswith(".rows")]) == 3
    assert not [name for name in there if ".linearhead-" in name]
    elsewhere("other")
    table = Store(url).table(LOOK, 3, np.float32)
    keys = [bytes([i]) * 32 for i in (7, 2, 9)]
    assert np.array_equal(table.rows(keys)[:], [[7.0] * 3, [2.0] * 3, [9.0] * 3])
    table.add(b"x" * 32, np.zeros(3, np.float32))
    table.flush()
    elsewhere("copies")
    assert b"x" * 32 in Store(url).table(LOOK, 3, np.float32)


def test_a_damaged_file_there_is_removed_and_made_again(elsewhere):
    url = "memory://store"
    filled(Store(url))
    good = files(url)
    name = next(name for name in good if name.endswith(".rows"))
    bad = bytearray(good[name])
    bad[-1] ^= 4
    fsspec.filesystem("memory").pipe_file(f"/store/{name}", bytes(bad))
    elsewhere("other")
    said = []
    filled(Store(url, said.append))
    assert len(said) == 1
    assert "set aside" in said[0]
    assert files(url)[name] == good[name]


def test_training_twice_decodes_once(tmp_path, elsewhere, monkeypatch):
    (tmp_path / "photos").mkdir()
    photos = noisy_photos.write(tmp_path / "photos", {"a": 0, "b": 80}, each=15, noise=100)
    options = {"features": "patches(quality=fast,filters=4)+color", "alpha": 0.1, "cache": "memory://store"}
    first = train(photos, out=tmp_path / "first", progress=Progress(), max_bad=0.2, **options)
    before = files("memory://store")
    elsewhere("other")
    assert extract(photos, out="memory://store", features=options["features"], max_bad=0.2).store == remote.local(
        "memory://store"
    )
    second = train(photos, out=tmp_path / "second", progress=Progress(), max_bad=0.2, **options)
    assert files("memory://store") == before
    assert first.run.fit.certificate == second.run.fit.certificate


def test_workers_of_a_cluster_fetch_for_themselves(tmp_path, elsewhere, monkeypatch):
    """Rows, labels and the list of files have names that are the same on every machine."""
    pytest.importorskip("distributed", reason="needs the extra dask: pip install 'linearhead[dask]'")
    from test_cluster import LEAF, Here, Shards, data, worker

    monkeypatch.setattr(worker, "resources", lambda: (1 << 20, 1))

    class Apart(Here):
        def run(self, task, H):
            elsewhere("worker")
            try:
                return super().run(task, H)
            finally:
                elsewhere("copies")

    X, y = data(300)
    path = remote.local("memory://rows/x.npy")
    path.parent.mkdir(parents=True)
    np.save(path, X)
    remote.push(path)
    A = ClusterArray(Shards([np.load(path, mmap_mode="r")]), Apart((1, 1)), leaf_bytes=LEAF)
    found = SoftmaxClassifier(alpha=0.01).fit(A, y)
    assert (tmp_path / "worker").exists()
    shutil.rmtree(tmp_path / "worker")
    wanted = SoftmaxClassifier(alpha=0.01).fit(X, y)
    assert np.abs(found.coef_ - wanted.coef_).max() <= 1e-6 * np.abs(wanted.coef_).max()
    assert any(name.startswith("columns/") for name in files("memory://rows"))
