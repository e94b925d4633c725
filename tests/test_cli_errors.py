"""What goes wrong for users: one clear message, the right exit code, nothing half-written."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

from linearhead import files, store
from linearhead.cli import cli
from linearhead.objective import Objective


def run(*words, **extra):
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="linearhead", **extra)


def write_pictures(folder, amounts):
    """amounts: class name -> number of scanned digits in it; the i-th class shows the digit i."""
    pictures = load_digits()
    for i, (label, amount) in enumerate(amounts.items()):
        (folder / label).mkdir(parents=True)
        for j in (pictures.target == i).nonzero()[0][:amount]:
            Image.fromarray((pictures.images[j] * 15.9).astype("uint8")).save(folder / label / f"{j}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("photos"), {"zero": 40, "one": 40, "two": 40})


def empty(folder):
    folder.mkdir()


def one_class(folder):
    write_pictures(folder, {"zero": 9})


def lonely_classes(folder):
    write_pictures(folder, {"zero": 1, "one": 1, "two": 1})


def unreadable(folder):
    write_pictures(folder, {"zero": 9, "one": 9})
    for path in [*(folder / "zero").iterdir()][:3]:
        path.write_bytes(path.read_bytes()[:50])


def all_unreadable(folder):
    for label in "ab":
        (folder / label).mkdir(parents=True)
        for i in range(30):
            (folder / label / f"{i}.jpg").write_bytes(b"\xff\xd8\xff nothing")


def texts(folder):
    for label in "ab":
        (folder / label).mkdir(parents=True)
        for i in range(5):
            (folder / label / f"{i}.txt").write_text("hello")


def empty_classes(folder):
    for label in "ab":
        (folder / label).mkdir(parents=True)


def pictures_without_classes(folder):
    write_pictures(folder, {"zero": 5})
    for path in (folder / "zero").iterdir():
        path.rename(folder / path.name)
    (folder / "zero").rmdir()


def a_file(folder):
    folder.write_text("hello")


def nothing(folder):
    pass


TABLE = [
    (empty, 2, ["DATA holds nothing", "one sub-folder of pictures per class"]),
    (one_class, 2, ["9 pictures of 1 class ('zero')", "at least 2"]),
    (lonely_classes, 2, ["'two'", "1 picture", "2 are needed"]),
    (unreadable, 2, ["3 of 18 pictures cannot be read", "zero/", "--max-bad 0.167"]),
    (all_unreadable, 2, ["60 of 60 pictures cannot be read", "a/0.jpg", "and 40 more"]),
    (texts, 2, ["no picture but 10 other entries", "a/0.txt"]),
    (empty_classes, 2, ["2 other entries (2 empty folders)"]),
    (pictures_without_classes, 2, ["sub-folder"]),
    (a_file, 2, ["no data set in a form known here", "5 bytes", "numpy.savez("]),
    (nothing, 4, ["DATA does not exist"]),
]


@pytest.mark.parametrize(("make", "code", "says"), TABLE, ids=lambda v: getattr(v, "__name__", None))
def test_data_that_cannot_be_trained_on(make, code, says, tmp_path):
    make(tmp_path / "DATA")
    result = run("train", tmp_path / "DATA", "--out", tmp_path / "runs" / "run")
    assert result.exit_code == code, (result.stdout, result.stderr)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    for words in says:
        assert words in result.stderr
    assert [p.name for p in tmp_path.iterdir() if p.name != "DATA"] == []


def test_an_existing_run_folder_is_kept_unless_forced(photos, tmp_path):
    words = ("train", photos, "--out", tmp_path / "run", "--alpha", "0.1", "--features", "pixels")
    assert run(*words).exit_code == 0
    before = (tmp_path / "run" / "run.json").read_bytes()
    refused = run(*words)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert run(*words, "--force").exit_code == 0
    assert (tmp_path / "run" / "run.json").read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_force_does_not_delete_the_users_pictures(photos, tmp_path):
    mine = write_pictures(tmp_path / "mine", {"zero": 3})
    result = run("train", photos, "--out", mine, "--force")
    assert result.exit_code == 2
    assert len(list(mine.glob("zero/*.png"))) == 3


def test_full_disk(photos, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    result = run("train", photos, "--out", tmp_path / "runs" / "run", "--alpha", "0.1", "--features", "pixels")
    assert result.exit_code == 4
    assert "no space left" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_too_large_for_the_system(photos, tmp_path):
    """A real failing write: the kernel allows 2 000 bytes per file, the model is larger."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); from linearhead.cli import main; main()"
    )
    words = ["train", str(photos), "--out", str(tmp_path / "run"), "--features", "pixels", "--alpha", "0.1"]
    result = subprocess.run([sys.executable, "-B", "-c", code, *words], capture_output=True, text=True, timeout=120)
    assert result.returncode == 4, result.stderr
    assert "larger than the system allows" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_result_that_nobody_can_be_told(more):
    words = [sys.executable, "-c", "from linearhead.cli import main; main()", "doctor", *more]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 4
        assert done.stderr.startswith("Error: Could not write the result to standard output: no space left")
        assert subprocess.run(words, stdout=subprocess.DEVNULL, stderr=full, timeout=120).returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("asked", [["--help"], ["--version"], ["train", "--help"]])
def test_help_that_nobody_can_be_told(asked):
    words = [sys.executable, "-c", "from linearhead.cli import main; main()", *asked]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 4
    assert done.stderr.startswith("Error: Could not use a file or standard output: no space left")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--loss", "hinge", "--solver", "newton"), "newton"),
        (("--loss", "squared", "--penalty", "l1", "--solver", "closed_form"), "closed_form"),
        (("--features", "hogg"), "hog"),
        (("--loss", "softmax"), "cross_entropy"),
        (("--momentum", "0.9"), "--momentum is not for lbfgs: add --solver gd or sgd"),
        (("--learning-rate", "0.1", "--solver", "newton"), "--learning-rate is not for newton"),
        (("--batch-size", "32", "--solver", "gd"), "add --solver sgd"),
        (("--schedule", "constant"), "add --solver sgd"),
        (("--solver", "gd", "--nesterov"), "add --momentum"),
        (("--solver", "gd", "--momentum", "0.9", "--learning-rate", "backtracking"), "Give a number or 1/L"),
        (("--margin", "2"), "add --loss hinge or crammer_singer or squared_hinge"),
        (("--l1-ratio", "0.2"), "add --penalty elastic_net"),
        (("--alpha", "strong"), "auto"),
        (("--alpha", "-1"), "at least 0"),
        (("--alpha", "nan"), "at least 0"),
        (("--test-share", "1.5"), "0.9"),
        (("--size", "0"), "at least 1x1"),
        (("--size", "64x64x3"), "height x width"),
        (("--reader", "floppy"), "folder"),
    ],
)
def test_options_are_refused_before_any_picture_is_read(photos, tmp_path, monkeypatch, words, says):
    def never(*_, **__):
        raise AssertionError("a picture was read")

    monkeypatch.setattr(Image, "open", never)  # not a function that modules imported meanwhile would keep
    result = run("train", photos, "--out", tmp_path / "run", *words)
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["predict", "evaluate", "report"])
def test_runs_that_are_none(verb, photos, tmp_path):
    target = [] if verb == "report" else [photos]
    assert run(verb, tmp_path / "nowhere", *target).exit_code == 4
    (tmp_path / "folder").mkdir()
    missing = run(verb, tmp_path / "folder", *target)
    assert missing.exit_code == 4
    assert str(tmp_path / "folder") in missing.stderr
    (tmp_path / "folder" / "model.safetensors").write_bytes(b"\x80\x04 pickle")
    (tmp_path / "folder" / "run.json").write_text("{")
    damaged = run(verb, tmp_path / "folder", *target)
    assert damaged.exit_code == 4
    assert "Traceback" not in damaged.stderr


def test_sample_refuses_what_exists(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert run("sample", "digits", tmp_path / "mine").exit_code == 2
    assert run("sample", "digits", tmp_path / "mine", "--force").exit_code == 2
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    assert run("sample", "faces", tmp_path / "faces").exit_code == 2


def interrupting(call):
    """Objective.at whose so manieth call is interrupted as by Ctrl-C."""
    calls, at = itertools.count(1), Objective.at

    def interrupted(self, *args, **kwargs):
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return at(self, *args, **kwargs)

    return interrupted


@pytest.fixture
def interrupted_train(photos, tmp_path, monkeypatch):
    def train(call, alpha):
        monkeypatch.setattr(Objective, "at", interrupting(call))
        words = ("--features", "pixels", "--standardize", "--alpha", alpha, "--json")
        return run("train", photos, "--out", tmp_path / "run", *words)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started this process deaf
    yield train
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("call", "alpha"), [(70, "auto"), (230, "auto"), (10, "1e-6"), (20, "1e-6")])
def test_ctrl_c_in_a_fit_keeps_the_best_so_far(call, alpha, interrupted_train, tmp_path):
    """In a fold of the path's second alpha, which takes calls 51 to 80, and in the fits after it, from 218 on."""
    result = interrupted_train(call, alpha)
    assert result.exit_code == 130, result.stderr
    assert "Interrupted: the best classifier so far is kept" in result.stderr
    got = json.loads(result.stdout)
    assert got["interrupted"]
    assert not got["converged"]
    assert "interrupted" in got["status"]
    assert got["test"]["accuracy"] > 0.5
    assert store.load(tmp_path / "run" / "model.safetensors").classes == ["one", "two", "zero"]
    assert (tmp_path / "run" / "report.html").is_file()


def test_ctrl_c_ends_the_process(photos, tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import signal, test_cli_errors as here\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler); here.Objective.at = here.interrupting(70)\n"
        "from linearhead.cli import main; main()"
    )
    words = ["train", str(photos), "--out", str(tmp_path / "run"), "--features", "pixels", "--standardize"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    assert "Interrupted: the best classifier so far is kept" in done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_ctrl_c_in_a_fit_for_out_of_fold_scores_ends_them_all(interrupted_train):
    """A solver keeps its best so far, and is not to be taken for one that came to its end."""
    result = interrupted_train(600, "auto")  # of some 250 calls before these fits, 1650 with them
    assert result.exit_code == 130, result.stderr
    assert "Interrupted: the finished classifier is judged in brief and written" in result.stderr
    got = json.loads(result.stdout)
    assert got["interrupted"]
    assert got["converged"]


def test_ctrl_c_after_the_fit_keeps_the_finished_classifier(photos, tmp_path, monkeypatch):
    from linearhead.experiment import outside

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(outside, "outside", interrupted)
    result = run("train", photos, "--out", tmp_path / "run", "--features", "pixels", "--json")
    assert result.exit_code == 130
    assert "Interrupted: the finished classifier is judged in brief and written" in result.stderr
    got = json.loads(result.stdout)
    assert got["interrupted"]
    assert got["converged"]
    assert got["test"]["accuracy"] > 0.5
    assert store.load(tmp_path / "run" / "model.safetensors").classes == ["one", "two", "zero"]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["learning_curve"] is None or not record["learning_curve"]


def test_ctrl_c_while_reading_pictures_leaves_nothing(photos, tmp_path, monkeypatch):
    from linearhead import images

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    for name in ("decode_many", "look_many"):
        monkeypatch.setattr(images, name, interrupted)
    result = run("train", photos, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "nothing was written" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_an_import_is_no_fault(photos, tmp_path, monkeypatch):
    """Python 3.11 raises RuntimeError from what __set_name__ raises; its later versions leave it as it is."""
    from linearhead.experiment import training

    class Name:
        def __set_name__(self, *_):
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", lambda *_, **__: type("Loaded", (), {"name": Name()}))
    result = run("train", photos, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr
    assert "fault" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "code"), [("PIL", 2), ("linearhead.nowhere", 1)])
def test_a_missing_package_is_no_fault_of_the_program(name, code, photos, tmp_path, monkeypatch):
    from linearhead.experiment import training

    def broken(*_, **__):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(training, "fit", broken)
    result = run("train", photos, "--out", tmp_path / "run")
    assert result.exit_code == code
    assert ("linearhead doctor says how to get it" in result.stderr) == (code == 2)
    assert ("fault" in result.stderr) == (code == 1)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_the_program_is_one_message(photos, tmp_path, monkeypatch):
    from linearhead.experiment import training

    def broken(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(training, "fit", broken)
    result = run("train", photos, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "word", "name"),
    [
        ("--loss", "softmax", "cross_entropy"),
        ("--penalty", "ElasticNet", "elastic_net"),
        ("--solver", "newton-cg", "newton"),
    ],
)
def test_names_from_elsewhere_are_translated(tmp_path, option, word, name):
    found = CliRunner().invoke(cli, ["train", str(tmp_path), option, word])
    assert found.exit_code == 2
    assert f"'{word}' is called '{name}' here" in found.stderr


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["train", "photos", "--out", ""], "--out"),
        (["train", " "], "DATA"),
        (["predict", "", "photo.png"], "RUN"),
        (["predict", "run", ""], "PATHS"),
        (["export", "run", "--to", "card", "--out", ""], "--out"),
        (["train", "photos", "--cache", ""], "--cache"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(words, name):
    result = run(*words)
    assert result.exit_code == 2
    assert name in result.stderr
    assert "a path is empty; . is the folder you are in." in result.stderr


def test_a_dash_is_no_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("export", "run", "--to", "card", "--out", "-")
    assert result.exit_code == 2
    assert "- stands for standard input or output" in result.stderr
    assert "./-" in result.stderr
    assert not list(tmp_path.iterdir())
