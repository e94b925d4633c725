"""Rows computed once: what is stored comes back, every flipped bit is found, a killed or crowded store loses no row."""

import os
import signal
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest
from PIL import Image

import linearhead
import linearhead.features
from linearhead.data import feature_store
from linearhead.data.feature_store import Store
from linearhead.errors import FileError

LOOK = {"preprocessing": "any"}
KEYS = [bytes([i]) * 32 for i in range(100)]
ROWS = np.random.default_rng(0).integers(0, 256, (100, 40), dtype=np.uint8)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(feature_store, "SHARD_ROWS", 16)


def filled(folder, missing=False):
    """A store with the 100 rows, every fifth picture unreadable; only what is missing is added. How many that was."""
    table, added = Store(folder).table(LOOK, 40, np.uint8), 0
    for i, key in enumerate(KEYS):
        if key not in table:
            added += 1
            bad = i % 5 == 0
            table.add(key, None if bad else ROWS[i], () if i % 2 else ("odd",), "no picture" if bad else "")
    table.flush()
    return table, added


def check(table):
    good = [i for i in range(100) if i % 5]
    np.testing.assert_array_equal(table.rows([KEYS[i] for i in good])[:], ROWS[good])
    assert table.notes([KEYS[i] for i in good]) == {"odd": 40}
    assert [table.reason(key) for key in KEYS] == [None if i % 5 else "no picture" for i in range(100)]


@pytest.mark.parametrize("kept", [True, False])
def test_rows_notes_and_reasons_come_back(tmp_path, kept):
    table, added = filled(tmp_path / "store" if kept else None)
    assert added == 100
    check(table)
    if kept:
        again, added = filled(tmp_path / "store")
        assert added == 0
        check(again)
        other = Store(tmp_path / "store").table({"preprocessing": "other"}, 40, np.uint8)
        assert KEYS[1] not in other


def test_blocks_and_gathers_of_stored_rows(tmp_path):
    good = [i for i in range(100) if i % 5]
    rows = filled(tmp_path)[0].rows([KEYS[i] for i in good])
    order = np.random.default_rng(1).permutation(len(good))
    for which in (slice(0, 0), slice(3, 50), slice(None), order, order[:1], np.array([5, 5, 4])):
        np.testing.assert_array_equal(rows[which], ROWS[good][which])
    np.testing.assert_array_equal(np.asarray(rows.take(order)), ROWS[good][order])
    assert (rows.shape, rows.nbytes, len(rows)) == ((80, 40), 3200, 80)


def test_rows_that_no_file_holds_are_never_there_twice():
    """Gathered into one array, in any order and with repeats; the parts are gone, the rows lie in the array."""
    table, _ = filled(None)
    good = [i for i in range(100) if i % 5]
    asked = [*reversed(good), *good[10:50], *good]
    stored = table.rows([KEYS[i] for i in asked])
    held = [weakref.ref(part) for part in stored.parts]
    del table
    X = stored.gathered()
    assert np.array_equal(X, ROWS[asked])
    assert [part() for part in held] == [None] * len(held)
    assert stored.parts[0] is X
    assert np.array_equal(stored[np.array([3, 1, 90])], X[[3, 1, 90]])
    assert np.shares_memory(stored.gathered(), stored.parts[0])


def test_flipped_bits_and_cut_files_are_found_set_aside_and_computed_again(tmp_path):
    rng = np.random.default_rng(0)
    filled(tmp_path)
    for trial in range(24):
        shards = sorted(tmp_path.rglob("*.rows"))
        victim = shards[rng.integers(len(shards))]
        data = bytearray(victim.read_bytes())
        if trial % 4:
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        else:
            del data[int(rng.integers(len(data))) :]
        victim.write_bytes(data)
        table, added = filled(tmp_path)
        assert 1 <= added <= 16, trial
        assert victim.with_suffix(".damaged").exists()
        check(table)


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path, monkeypatch):
    table, _ = filled(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.rows")}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    table.add(b"n" * 32, ROWS[0])
    with pytest.raises(FileError, match="no space left") as told:
        table.flush()
    assert told.value.exit_code == 4
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.rows")} == before
    assert not list(tmp_path.rglob(".linearhead-tmp*"))


FILL = """
import sys; sys.path.insert(0, {tests!r})
import test_feature_store as t
t.feature_store.SHARD_ROWS = 16
table, added = t.filled({folder!r})
t.check(table)
"""


def filler(folder):
    code = FILL.format(tests=os.path.dirname(__file__), folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)


def test_several_processes_on_one_store(tmp_path):
    several = [filler(tmp_path) for _ in range(3)]
    assert [process.wait(60) for process in several] == [0, 0, 0], several[0].stderr.read()
    for process in several:
        process.stderr.close()
    check(filled(tmp_path)[0])


def test_a_killed_process_costs_at_most_a_shard(tmp_path, monkeypatch):
    write = feature_store.container.write
    for writes in range(4):
        child = os.fork()
        if child == 0:
            left = [writes]

            def dying(path, info, tensors, left=left):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                write(path, info, tensors)

            feature_store.container.write = dying
            filled(tmp_path / str(writes))
            os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        table, added = filled(tmp_path / str(writes))
        assert added == 100 - 16 * writes
        check(table)


def test_who_waits_for_another_process_takes_over_what_it_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "PATIENCE", 0.3)
    said = []
    table = Store(tmp_path, said.append).table(LOOK, 40, np.uint8)
    start = time.monotonic()
    with Store(tmp_path).table(LOOK, 40, np.uint8).alone():
        filled(tmp_path)
        with table.alone():  # held for longer than anybody's patience
            assert 0.2 < time.monotonic() - start < 5
            check(table)
    assert "waiting" in said[0]


def test_a_second_train_decodes_nothing_and_learns_no_features_again(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(30):
            pixels = rng.integers(0, 120, (20, 20, 3), dtype=np.uint8) + (100 if label == "a" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / label / f"{i}.png")
    options = {"features": "patches(quality=fast,filters=20)", "alpha": 0.1}
    kept = {"cache": tmp_path / "cache"}
    first = linearhead.train(tmp_path / "data", out=tmp_path / "one", **options, **kept)
    assert (tmp_path / "cache").is_dir()

    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(feature_store.Table, "add", refuse)  # as pixels or features are after they are computed
    monkeypatch.setattr(linearhead.features.Patches, "fit", refuse)
    second = linearhead.train(tmp_path / "data", out=tmp_path / "two", loss="squared_hinge", **options, **kept)
    same = linearhead.train(tmp_path / "data", out=tmp_path / "three", **options, **kept)
    assert second.run.fit.loss == "squared_hinge"
    assert same.run.evaluations == first.run.evaluations
    assert same.run.data.conversions == first.run.data.conversions
    assert (
        linearhead.evaluate(tmp_path / "two", tmp_path / "data", **kept).evaluation.n
        == second.run.evaluations["test"].n
    )
    with pytest.raises(AssertionError, match="again"):
        linearhead.train(tmp_path / "data", out=tmp_path / "four", **options)
