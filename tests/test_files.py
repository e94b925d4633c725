"""Writes that fail, are interrupted or killed at every step: the old file or the new one, never neither."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from linearhead import files
from linearhead.errors import FileError, UsageError, file_error

OLD, NEW = b"old" * 1000, b"new" * 5000

# The system calls that files.py makes, and what reaches the disk through the open file.
CALLS = ("open", "mkdir", "fsync", "rename", "replace", "fchmod", "stat", "lstat", "fstat", "close", "listdir")


class Faulty:
    """Stands in for `os` inside files.py: `strike(name)` is called before and after every system call there."""

    def __init__(self, strike):
        self._strike = strike

    def __getattr__(self, name):
        real = getattr(os, name)
        if name == "fdopen":
            return lambda *args, **kwargs: FaultyFile(real(*args, **kwargs), self._strike)
        return self._wrap(name, real) if name in CALLS else real

    def _wrap(self, name, real):
        def call(*args, **kwargs):
            self._strike(name, "before")
            answer = real(*args, **kwargs)
            self._strike(name, "after")
            return answer

        return call


class FaultyFile:
    def __init__(self, file, strike):
        self._file, self._strike = file, strike

    def __getattr__(self, name):
        real = getattr(self._file, name)
        return Faulty._wrap(self, name, real) if name in ("write", "flush") else real


class Stop:
    """Raises `error` at the n-th chance; a simulated crash of the disk or a Ctrl-C."""

    def __init__(self, n, error, when):
        self.left, self.error, self.when, self.struck = n, error, when, ""

    def __call__(self, name, when):
        if when == self.when:
            self.left -= 1
            if self.left == 0:
                self.struck = name
                raise self.error


def _pieces(file):
    for start in range(0, len(NEW), 1500):
        file.write(NEW[start : start + 1500])


def _write_file(place: Path) -> None:
    files.write_atomic(place / "target", _pieces)


def _file_state(place: Path) -> bytes | None:
    target = place / "target"
    return target.read_bytes() if target.exists() else None


def _write_folder(place: Path) -> None:
    with files.new_folder(place / "target", force=True) as folder:
        files.write_atomic(folder / "a", NEW)
        os.mkdir(folder / "sub")
        Path(folder / "sub" / "b").write_bytes(NEW)


def _folder_state(place: Path) -> bytes | None:
    """The content of a folder whose parts agree; an AssertionError for a mixture."""
    target = place / "target"
    if not target.exists():
        return None
    parts = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert set(parts) == {"a", "sub/b"}
    assert len(set(parts.values())) == 1
    return parts["a"]


def _prepare_file(place: Path) -> None:
    (place / "target").write_bytes(OLD)


def _prepare_folder(place: Path) -> None:
    (place / "target" / "sub").mkdir(parents=True)
    (place / "target" / "a").write_bytes(OLD)
    (place / "target" / "sub" / "b").write_bytes(OLD)


KINDS = {"file": (_prepare_file, _write_file, _file_state), "folder": (_prepare_folder, _write_folder, _folder_state)}
FAULTS = {
    "disk full": (lambda: OSError(errno.ENOSPC, "No space left on device"), "before"),
    "broken disk": (lambda: OSError(errno.EIO, "Input/output error"), "before"),
    "Ctrl-C before": (KeyboardInterrupt, "before"),
    "Ctrl-C after": (KeyboardInterrupt, "after"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_failing_step_leaves_old_or_new(kind, exists, fault, tmp_path, monkeypatch):
    prepare, write, state = KINDS[kind]
    make, when = FAULTS[fault]
    struck = []
    for n in itertools.count(1):
        place = tmp_path / str(n)
        place.mkdir()
        if exists:
            prepare(place)
        stop = Stop(n, make(), when)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", Faulty(stop))
            try:
                write(place)
            except (KeyboardInterrupt, FileError):
                pass
            else:
                assert state(place) == NEW
        if not stop.struck:
            break
        struck.append(stop.struck)
        assert state(place) in ((OLD, NEW) if exists else (None, NEW)), stop.struck
        files.clean_leftovers(place)
        left = {path.name for path in place.iterdir()}
        assert left == ({"target"} if state(place) else set()), stop.struck
    assert len(struck) >= 15
    assert {"open", "write", "flush", "fsync", "rename" if kind == "folder" else "replace"} <= set(struck)


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_on_the_disk_before_the_name_and_the_name_before_the_end(kind, tmp_path, monkeypatch):
    """After a power cut a rename may be there and the content not, unless the content was flushed before it."""
    prepare, write, _ = KINDS[kind]
    prepare(tmp_path)
    done = []
    rename, fsync = os.rename, os.fsync

    def moved(source, target):
        rename(source, target)
        done.append(f"{Path(target).name} in place")

    monkeypatch.setattr(os, "rename", moved)
    monkeypatch.setattr(os, "replace", moved)
    monkeypatch.setattr(os, "fsync", lambda fd: (fsync(fd), done.append(os.readlink(f"/proc/self/fd/{fd}")))[0])
    write(tmp_path)
    at = done.index("target in place")
    before = {
        Path(re.sub(r"\.linearhead-tmp-\w+", "temp", path)).relative_to(tmp_path) for path in done[:at] if "/" in path
    }
    parts = ["temp"] if kind == "file" else ["temp", "temp/a", "temp/sub", "temp/sub/b"]
    assert {Path(part) for part in parts} <= before
    assert done[at + 1] == str(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_write_leaves_nothing_behind_at_once(kind, tmp_path, monkeypatch):
    """Without waiting for a next start: for each n-th write, flush, fsync and rename."""
    prepare, write, state = KINDS[kind]
    prepare(tmp_path)
    steps = {"write", "flush", "fsync", "rename", "replace", "mkdir", "fchmod"}
    trials = 0
    for n in itertools.count(1):
        stop = Stop(n, OSError(errno.ENOSPC, "No space left on device"), "before")
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", Faulty(lambda name, when, stop=stop: name in steps and stop(name, when)))
            told = ""
            try:
                write(tmp_path)
            except FileError as error:
                told = str(error)
        assert told or state(tmp_path) == NEW
        assert not told or ("no space left on the device" in told and f"{tmp_path}/target" in told)
        assert [path.name for path in tmp_path.iterdir()] == ["target"], stop.struck
        if not stop.struck:
            break
        trials += 1
        assert state(tmp_path) in (OLD, NEW)
    assert trials >= 5
    assert state(tmp_path) == NEW


KILLER = """
import itertools, os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from linearhead import files
import test_files as t

prepare, write, state = t.KINDS[{kind!r}]
trials = missing = 0
for when in ("before", "after"):
    for n in itertools.count(1):
        place = Path({place!r}) / f"{{when}}{{n}}"
        place.mkdir()
        prepare(place)
        child = os.fork()
        if not child:
            left = [n]
            def strike(name, moment):
                if moment == when:
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
            files.os = t.Faulty(strike)
            write(place)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        missing += state(place) is None
        files.clean_leftovers(place)
        assert state(place) in (t.OLD, t.NEW), (when, n)
        assert [p.name for p in place.iterdir()] == ["target"], (when, n)
        if status == 0:
            assert state(place) == t.NEW
            break
        trials += 1
print(trials, missing)
"""


def _run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_step_then_started_again(kind, tmp_path):
    trials, missing = map(
        int, _run(KILLER.format(tests=str(Path(__file__).parent), kind=kind, place=str(tmp_path))).split()
    )
    assert trials >= 30
    # Between the two renames of a swap the old folder waits under another name; the next start puts it back.
    assert (missing > 0) == (kind == "folder")


RANDOM_KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from linearhead import files

place, trials = Path({place!r}), {trials}
random.seed(0)
target = place / "target"
files.write_atomic(target, bytes([0]) * 400_000)
finished = 0
for trial in range(trials):
    child = os.fork()
    if not child:
        for n in range(1, 250):
            files.write_atomic(target, bytes([n]) * 400_000)
        os._exit(0)
    time.sleep(random.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    data = target.read_bytes()
    assert len(data) == 400_000 and len(set(data)) == 1, trial
    finished += data[0] > 0
files.write_atomic(target, b"last")
assert [p.name for p in place.iterdir()] == ["target"]
print(finished)
"""


def test_kill_9_at_random_moments(tmp_path):
    finished = int(_run(RANDOM_KILLS.format(place=str(tmp_path), trials=300)))
    assert finished > 0


CROWD = """
import os
from pathlib import Path
from linearhead import files

place = Path({place!r})
children = []
for worker in range(8):
    child = os.fork()
    if not child:
        code = 1
        try:
            for n in range(40):
                files.write_atomic(place / "shared", bytes([worker]) * 20_000)
                files.write_atomic(place / f"own{{worker}}", bytes([n]) * 1000)
                with files.new_folder(place / f"folder{{worker}}", force=n > 0) as folder:
                    files.write_atomic(folder / "n", bytes([n]))
                files.clean_leftovers(place)
                assert len(set((place / "shared").read_bytes())) == 1
                assert (place / f"own{{worker}}").read_bytes() == bytes([n]) * 1000
                assert (place / f"folder{{worker}}" / "n").read_bytes() == bytes([n])
            code = 0
        finally:
            os._exit(code)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
print(len(list(place.iterdir())))
"""


def test_eight_processes_in_one_folder_never_take_each_other_for_leftovers(tmp_path):
    assert int(_run(CROWD.format(place=str(tmp_path)))) == 1 + 8 + 8


SMALL_LIMIT = """
import resource
from pathlib import Path
from linearhead import files
from linearhead.errors import FileError

place = Path({place!r})
target = place / "target"
files.write_atomic(target, b"old")
refused = 0
for limit in range(0, 60_000, 500):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for data in (b"new" * 20_000, lambda file: [file.write(b"new" * 20) for _ in range(1000)]):
        try:
            files.write_atomic(target, data)
        except FileError as error:
            assert "larger than the system allows" in str(error) and str(target) in str(error), error
            refused += 1
        assert target.read_bytes() == b"old", limit
        assert [p.name for p in place.iterdir()] == ["target"], limit
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
files.write_atomic(target, b"new")
print(refused)
"""


def test_a_file_that_may_not_grow(tmp_path):
    """RLIMIT_FSIZE makes the kernel itself refuse the write, at any byte of the file."""
    assert int(_run(SMALL_LIMIT.format(place=str(tmp_path)))) == 240


def _build(path: Path, *contents: bytes, end: BaseException | None = None, keep: bool = False) -> None:
    """A new folder with one numbered file for each content; then `keep`, then `end` is raised."""
    with files.new_folder(path) as folder:
        for n, content in enumerate(contents):
            files.write_atomic(folder / str(n), content)
        if keep:
            folder.keep()
        if end:
            raise end


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True).returncode
    ):
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_full_disk(small_disk):
    target = small_disk / "model"
    files.write_atomic(target, OLD)
    with pytest.raises(FileError, match=r"Could not write .*model: no space left on the device\. Free some space"):
        files.write_atomic(target, bytes(1_000_000))
    with pytest.raises(FileError, match="no space left"):
        _build(small_disk / "deep" / "run", bytes(100_000), bytes(300_000))
    assert target.read_bytes() == OLD
    assert [path.name for path in small_disk.iterdir()] == ["model"]
    files.write_atomic(target, NEW)
    assert target.read_bytes() == NEW


# ---- write_atomic: what a user meets ----


def test_write_takes_bytes_or_a_function(tmp_path):
    files.write_atomic(tmp_path / "a", b"bytes")
    files.write_atomic(str(tmp_path / "b"), lambda file: file.write(b"function") and None)
    assert (tmp_path / "a").read_bytes() == b"bytes"
    assert (tmp_path / "b").read_bytes() == b"function"


def test_the_functions_own_error_passes_and_nothing_is_written(tmp_path):
    def broken(file):
        file.write(b"half")
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        files.write_atomic(tmp_path / "a", broken)
    assert list(tmp_path.iterdir()) == []


def test_links_are_followed_and_permissions_kept(tmp_path):
    real = tmp_path / "real"
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    files.write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").touch()
    files.write_atomic(tmp_path / "new", b"")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p.mkdir(), "it is a folder, not a file"),
        (lambda p: os.mkfifo(p), "a device or a pipe"),
        (lambda p: p.symlink_to(p.name), "symbolic links go round in a circle"),
        (lambda p: p.symlink_to("/dev/null"), "a device or a pipe"),
    ],
)
def test_what_cannot_be_replaced_is_refused(make, words, tmp_path):
    make(tmp_path / "target")
    with pytest.raises(FileError, match=words):
        files.write_atomic(tmp_path / "target", b"new")
    assert len(list(tmp_path.iterdir())) == 1
    assert Path("/dev/null").is_char_device()


def test_a_missing_folder_a_long_name_and_a_file_as_folder(tmp_path):
    (tmp_path / "file").touch()
    for path, words in [
        ("no/a", "no such file or folder"),
        ("x" * 256, "name is too long"),
        ("file/a", "is a file, not"),
    ]:
        with pytest.raises(FileError, match=words) as caught:
            files.write_atomic(tmp_path / path, b"")
        assert path in str(caught.value)
        assert caught.value.exit_code == 4


def test_a_write_protected_file_stays(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)  # root may write to anything
    with pytest.raises(FileError, match="permission denied"):
        files.write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_every_errno_becomes_a_sentence():
    for number in errno.errorcode:
        text = str(file_error("write", "a/b", OSError(number, os.strerror(number))))
        assert re.fullmatch(r"Could not write a/b: [a-z.].+\. [A-Z].+\.", text), text


def test_whether_a_file_could_be_written_is_known_before(tmp_path):
    files.check_writable(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").write_bytes(b"old")
    files.check_writable(tmp_path / "a")
    for path, words in (("nowhere/b", "no such file"), ("a/b", "a part of the path is a file"), (".", "a folder")):
        with pytest.raises(FileError, match=words):
            files.check_writable(tmp_path / path)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_is_refused_before_the_work_for_it(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, words in (("a" * 300, "the name is too long"), ("file/run", "a file is where a folder has to be")):
        with pytest.raises(FileError, match=words), files.new_folder(tmp_path / path):
            pytest.fail("the work began")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(NEW)
    assert files.sha256(NEW) == files.sha256_file(tmp_path / "a") == hashlib.sha256(NEW).hexdigest()
    with pytest.raises(FileError, match=r"Could not read .*missing: no such file"):
        files.sha256_file(tmp_path / "missing")


# ---- new_folder ----


def test_a_folder_appears_at_the_end_only(tmp_path):
    with files.new_folder(tmp_path / "deep" / "run") as folder:
        (folder / "a").write_bytes(b"1")
        assert Path(folder).parent == tmp_path / "deep"
        assert folder.target == tmp_path / "deep" / "run"
        assert not folder.target.exists()
    assert (tmp_path / "deep" / "run" / "a").read_bytes() == b"1"
    assert os.listdir(tmp_path / "deep") == ["run"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_build_leaves_nothing(error, tmp_path):
    with pytest.raises(error):
        _build(tmp_path / "deep" / "er" / "run", b"a", b"b", end=error())
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_that_was_worth_keeping_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _build(tmp_path / "run", b"a", end=KeyboardInterrupt(), keep=True)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["run", "run/0"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda p: p.symlink_to("/dev/null")])
def test_what_exists_is_not_touched_without_force(make, tmp_path):
    make(tmp_path / "run")
    with pytest.raises(UsageError, match=r"run exists already; choose another folder, or --force") as caught:
        files.new_folder(tmp_path / "run").__enter__()
    assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_force_never_replaces_a_file_or_somebody_elses_folder(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    (tmp_path / "empty").mkdir()
    refusals = [
        ("file", "is a file"),
        ("photos", "holds no run.json"),
        ("/", "mount point or holds the current folder"),
    ]
    for path, words in refusals:
        with pytest.raises(UsageError, match=words):
            files.new_folder(tmp_path / path, force=True, marker="run.json").__enter__()
    monkeypatch.chdir(tmp_path / "photos")
    with pytest.raises(UsageError, match="holds the current folder"):
        files.new_folder(tmp_path, force=True).__enter__()
    assert (tmp_path / "photos" / "cat.jpg").exists()
    for _ in range(2):  # an empty folder, then one of ours
        with files.new_folder(tmp_path / "empty", force=True, marker="run.json") as folder:
            (folder / "run.json").touch()
    assert (tmp_path / "empty" / "run.json").exists()


def test_the_old_folder_stays_while_the_new_one_is_built(tmp_path):
    _prepare_folder(tmp_path)
    with files.new_folder(tmp_path / "target", force=True) as folder:
        assert _folder_state(tmp_path) == OLD
        (folder / "only").touch()
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["only"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_appears_meanwhile_costs_neither(force, tmp_path):
    context = files.new_folder(tmp_path / "run", force=force)
    folder = context.__enter__()
    (folder / "mine").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "theirs").touch()
    with pytest.raises(FileError, match="appeared while this run was working; the run's own folder is") as caught:
        context.__exit__(None, None, None)
    own = Path(str(caught.value).split(" is ")[-1].rstrip("."))
    assert [path.name for path in own.iterdir()] == ["mine"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["theirs"]


def test_through_a_link_the_real_folder_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "latest").symlink_to("real")
    with files.new_folder(tmp_path / "latest", force=True) as folder:
        (folder / "a").touch()
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "real" / "a").exists()


# ---- leftovers ----


def test_leftovers_go_at_the_next_start_but_only_ours(tmp_path):
    gone = [f"{files.PREFIX}tmp-{'0' * 16}", f"{files.PREFIX}tmp-{'f' * 16}"]
    (tmp_path / gone[0]).touch()
    (tmp_path / gone[1] / "sub").mkdir(parents=True)
    (tmp_path / gone[1] / "sub" / "a").touch()
    strangers = [f"{files.PREFIX}notes", f"{files.PREFIX}tmp-{'g' * 16}", f"{files.PREFIX}tmp-{'0' * 15}", "a"]
    for name in strangers:
        (tmp_path / name).mkdir()
    (tmp_path / f"{files.PREFIX}tmp-{'1' * 16}").symlink_to(tmp_path / "a")
    files.write_atomic(tmp_path / "new", b"")
    assert {p.name for p in tmp_path.iterdir()} == {*strangers, "new", f"{files.PREFIX}tmp-{'1' * 16}"}


def test_what_a_living_run_builds_is_no_leftover(tmp_path):
    with files.new_folder(tmp_path / "a") as folder:
        files.clean_leftovers(tmp_path)
        with files.new_folder(tmp_path / "b"):
            files.write_atomic(tmp_path / "c", lambda file: files.clean_leftovers(tmp_path))
        (folder / "x").touch()
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}


def test_a_half_deleted_old_folder_never_returns(tmp_path, monkeypatch):
    """Killed while deleting the replaced folder, and the new one moved elsewhere by the user: nothing comes back."""
    _prepare_folder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(files, "_remove", lambda path: None)
        _write_folder(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "target").rename(tmp_path / "moved")
    files.clean_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]


def test_a_name_that_changed_hands_before_the_lock_is_left_alone(tmp_path, monkeypatch):
    """Between a cleaner's look and its lock the owner finished, and another run set the same name aside."""
    aside = tmp_path / f"{files.PREFIX}old-run"
    aside.mkdir()
    (tmp_path / "run").mkdir()

    def late(descriptor, wait):
        aside.rename(tmp_path / "finished")
        aside.mkdir()
        return True

    monkeypatch.setattr(files, "_lock", late)
    files.clean_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "finished", aside.name}


def test_without_locks_nothing_is_cleaned_and_all_else_works(tmp_path, monkeypatch):
    def no_locks(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    leftover = tmp_path / f"{files.PREFIX}tmp-{'0' * 16}"
    leftover.touch()
    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    _write_folder(tmp_path)
    assert _folder_state(tmp_path) == NEW
    assert leftover.exists()
