"""The cache that nobody named: used by itself, of bounded size, private, and never a reason for a run to fail."""

import errno
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from linearhead import evaluate, remote, train
from linearhead.cli import cli
from linearhead.data import cache
from linearhead.data.cache import open_store, sizes, trim
from linearhead.errors import FileError
from linearhead.experiment.progress import Progress

LOOK, KEY = {"preprocessing": "grey"}, b"k" * 32


class Said(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "home" / "cache"))
    return tmp_path / "home" / "cache"


def run(*words: object) -> None:
    assert CliRunner().invoke(cli, [str(word) for word in words]).exit_code == 0


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "digits"
    run("sample", "digits", folder)
    for i, picture in enumerate(sorted(folder.rglob("*.png"))):
        if i % 8:
            picture.unlink()
    return folder


def test_a_second_train_and_evaluate_decode_nothing(home: Path, digits: Path, tmp_path: Path) -> None:
    said = Said()
    options = {"features": "hog", "alpha": 0.1, "progress": said}
    first = train(digits, out=tmp_path / "a", **options)
    assert sum(str(home) in line for line in said.lines) == 1
    assert "--no-cache" in " ".join(said.lines)
    tables = {table: sorted(table.iterdir()) for table in sizes(home)}
    second = train(digits, out=tmp_path / "b", **options)
    assert {table: sorted(table.iterdir()) for table in sizes(home)} == tables
    assert len(said.lines) == len([line for line in said.lines if str(home) in line])
    assert second.run.evaluations["test"].accuracy == first.run.evaluations["test"].accuracy
    assert second.model.read_bytes()[-1000:] == first.model.read_bytes()[-1000:]
    assert evaluate(first.folder, digits).evaluation.accuracy == first.run.evaluations["test"].accuracy
    assert {table: sorted(table.iterdir()) for table in sizes(home)} == tables


def test_nothing_is_kept_where_nothing_shall_be(home: Path, digits: Path, tmp_path: Path) -> None:
    train(digits, out=tmp_path / "a", features="pixels", alpha=0.1, cache=None)
    words = ("train", digits, "--features", "pixels", "--alpha", "0.1")
    run(*words, "--out", tmp_path / "b", "--no-cache")
    assert not home.exists()
    run(*words, "--out", tmp_path / "c")
    assert sizes(home)
    assert home.stat().st_mode & 0o77 == 0


def test_what_was_not_used_for_longest_goes_first(home: Path) -> None:
    store = open_store("auto")
    for i in range(4):
        table = store.table({"look": i}, 1000, np.uint8)
        table.add(KEY, np.zeros(1000, np.uint8))
        table.flush()
    tables = list(sizes(home))
    for age, table in enumerate(tables):
        os.utime(table, (time.time() - 1e6 * age,) * 2)
    trim(home, 10**9)
    assert len(sizes(home)) == 4
    each = next(iter(sizes(home).values()))[1]
    trim(home, 2 * each + each // 2)
    assert set(sizes(home)) == set(tables[:2])
    trim(home, 0)
    assert set(sizes(home)) == set(tables[:1])  # used just now: its run may be going on


def test_a_table_that_is_used_again_stays(home: Path) -> None:
    for i in range(2):
        open_store("auto").table({"look": i}, 10, np.uint8)
    for table in sizes(home):
        os.utime(table, (1e9, 1e9))
    open_store("auto").table({"look": 0}, 10, np.uint8)
    (new,) = [table for table, (used, _) in sizes(home).items() if used > 1e9]
    trim(home, -1)
    assert list(sizes(home)) == [new]


@pytest.mark.parametrize("full", ["disk", "write"])
def test_a_full_disk_costs_only_the_keeping(home: Path, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    said: list[str] = []
    store = open_store("auto", said.append)
    table = store.table(LOOK, 5, np.uint8)
    if full == "disk":
        monkeypatch.setattr(cache, "LEFT_FREE", 1 << 62)
        store = open_store("auto", said.append)
        table = store.table(LOOK, 5, np.uint8)
    else:

        def no_room(*_: object) -> None:
            raise OSError(errno.ENOSPC, "no space")

        monkeypatch.setattr("linearhead.files.os.fsync", no_room)
    rows = {bytes([i]) * 32: np.full(5, i, np.uint8) for i in range(3)}
    for key, row in rows.items():
        table.add(key, row)
    np.testing.assert_array_equal(table.rows(list(rows))[:], list(rows.values()))
    assert sum("not kept" in line for line in said) == 1
    assert not store.write(home / "more", {}, {})


def test_a_folder_that_the_user_named_must_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from linearhead.errors import FileError

    table = open_store(tmp_path / "named").table(LOOK, 5, np.uint8)
    table.add(KEY, np.zeros(5, np.uint8))

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("linearhead.files.os.fsync", no_room)
    with pytest.raises(FileError, match="no space"):
        table.flush()


def test_a_store_that_may_only_be_read_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extracted by one for many others, whose it is not."""
    table = open_store(tmp_path / "named").table(LOOK, 5, np.uint8)
    table.add(KEY, np.arange(5, dtype=np.uint8))
    table.flush()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr("linearhead.data.feature_store.os.utime", refused)
    monkeypatch.setattr("linearhead.files._claim", refused)
    again = open_store(tmp_path / "named").table(LOOK, 5, np.uint8)
    np.testing.assert_array_equal(again.rows([KEY])[:], [np.arange(5)])


def test_what_is_not_its_own_is_never_deleted(home: Path) -> None:
    """The variable may name a folder of other things, ~/.cache say: they are neither counted nor trimmed."""
    open_store("auto").table(LOOK, 4, np.uint8)
    (home / "photos").mkdir()
    (home / "photos" / "a.jpg").write_bytes(bytes(1000))
    os.utime(home / "photos", (0, 0))
    assert [table.name for table in sizes(home)] == [t.name for t in home.iterdir() if len(t.name) == 32]
    trim(home, most=0)
    assert (home / "photos" / "a.jpg").exists()


def test_a_folder_of_other_things_becomes_no_store(home: Path, digits: Path, tmp_path: Path) -> None:
    """The tag in it would tell backup programs to leave them out."""
    home.mkdir(parents=True)
    (home / "letter.txt").write_text("dear")
    said = Said()
    train(digits, out=tmp_path / "run", features="pixels", alpha=0.1, progress=said)
    assert [line for line in said.lines if "letter.txt" in line]
    assert [entry.name for entry in home.iterdir()] == ["letter.txt"]
    before = sorted(digits.iterdir())
    for words in (["train", "--features", "pixels", "--cache"], ["extract", "--features", "pixels", "--out"]):
        done = CliRunner().invoke(cli, [words[0], str(digits), *words[1:], str(digits)])
        assert done.exit_code == 4
        assert "is no store: it holds 0, 1, 2, …" in done.stderr
        assert sorted(digits.iterdir()) == before
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    for _ in range(2):
        train(digits, out=tmp_path / "run", force=True, features="pixels", alpha=0.1, cache=tmp_path / "disk")


def test_where_no_folder_can_be_made_rows_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    for named, why in (
        (str(tmp_path / "file" / "cache"), "a part of the path is a file"),
        (
            str(tmp_path / ("a" * 300)),
            "the name is too long",
        ),  # as one that may not be looked into
        ("~nobody-of-that-name/cache", "no home folder"),
    ):
        monkeypatch.setenv(cache.VARIABLE, named)
        assert open_store("auto", said.append).folder is None
        assert "Nothing is kept" in said[-1]
        assert why in said[-1]
        assert len(said.pop()) < 600
        assert not said
    monkeypatch.setenv(cache.VARIABLE, "")
    assert open_store("auto", said.append).folder is None
    assert not said


def test_a_user_without_a_home_is_told_and_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of no user, as containers have them, and no HOME: nobody knows where such a one's files lie."""
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    said: list[str] = []
    assert open_store("auto", said.append).folder is None
    assert "no home folder" in said[0]
    done = CliRunner().invoke(cli, ["doctor", "--json"])
    assert done.exit_code == 0
    assert "no home folder" in json.loads(done.stdout)["cache"]["error"]
    assert "Cache: none. There is no home folder" in CliRunner().invoke(cli, ["doctor"]).stdout
    monkeypatch.delenv(remote.VARIABLE, raising=False)
    with pytest.raises(FileError, match="LINEARHEAD_COPIES names a folder"):
        remote.copies()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path("~/.cache/x"))  # as versions to 4.0 did
    with pytest.raises(FileError, match="LINEARHEAD_CACHE names a folder"):
        cache.default_folder()


def test_other_source_code_means_other_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The version stays while the source is being worked on."""
    from linearhead import features
    from linearhead.experiment.extract import code

    copied = Path(shutil.copytree(Path(features.__file__).parent, tmp_path / "features"))
    found = []
    for change in (b"", b"\n"):
        (copied / "hog.py").write_bytes((copied / "hog.py").read_bytes() + change)
        code.cache_clear()
        monkeypatch.setattr(features, "__file__", str(copied / "__init__.py"))
        found.append(code())
    monkeypatch.undo()
    code.cache_clear()
    assert found[0] == code() != found[1]
