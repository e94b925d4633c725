"""The command line from end to end on scanned digits: what is printed, written, promised, and how fast it starts."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import fake_run
from linearhead import metrics, store
from linearhead.cli import cli
from linearhead.cli.words import _run_lines, judged_lines, prediction_lines
from linearhead.experiment.judging import Judged
from linearhead.experiment.predicting import Prediction
from linearhead.images import BLANK

EVALUATION = {"n", "accuracy", "log_loss"}


def run(*words, **extra):
    """The command in this process: exit code, stdout and stderr."""
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="linearhead", **extra)


def fresh(*words, code="from linearhead.cli import main; main()", **extra):
    """The command in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **extra)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """`sample digits`, thinned to 40 pictures a class."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    result = run("sample", "digits", folder)
    assert result.exit_code == 0, result.stderr
    assert len(list(folder.glob("*/*.png"))) == 1797
    for label in range(10):
        for path in sorted((folder / str(label)).iterdir())[40:]:
            path.unlink()
    return folder


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """(run folder, what `train` printed)"""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = run("train", digits, "--out", folder)
    assert result.exit_code == 0, result.stderr
    return folder, result


def test_train_writes_its_files_and_says_where(trained):
    folder, result = trained
    files = ["judged.jsonl", "model.safetensors", "report.html", "run.json", "skipped.csv"]
    assert sorted(p.name for p in folder.iterdir()) == files
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Test accuracy ")
    assert "always the largest class" in lines[0]
    assert f"Model   {folder / 'model.safetensors'}" in lines
    assert f"Report  {folder / 'report.html'}" in lines
    assert lines[-1].startswith("Next    linearhead predict ")
    assert len(lines) <= 16
    assert result.stderr.startswith("Features ")  # the leaderboard; no bars off a terminal
    assert result.stderr.count("← chosen") == 1
    assert "\x1b" not in result.stdout


def test_train_learns_and_keeps_its_roles_apart(trained):
    record = json.loads((trained[0] / "run.json").read_text())
    assert record["evaluations"]["test"]["accuracy"] > 0.85
    counts = {role: sum(amounts) for role, amounts in record["data"]["counts"].items()}
    assert counts == {"train": 272, "valid": 48, "test": 80}
    assert record["data"]["found"] == record["data"]["used"] == 400
    assert record["evaluations"]["train"]["n"] == 320
    assert record["evaluations"]["test"]["n"] == 80
    assert "chose alpha" in record["data"]["roles"]["chose"]
    assert [row["alpha"] for row in record["fit"]["path"]] == sorted(r["alpha"] for r in record["fit"]["path"])[::-1]
    assert record["fit"]["trace"]["valid_accuracy"][-1] is not None
    assert record["pictures"]
    assert record["pictures"][0]["thumbnail"].startswith("data:image/")


def test_train_json(digits, tmp_path):
    result = run("train", digits, "--out", tmp_path / "run", "--json", "--alpha", "0.01", "--features", "pixels")
    assert result.exit_code == 0, result.stderr
    got = json.loads(result.stdout)
    needed = {"model", "report", "classes", "found", "used", "skipped", "features", "alpha", "seconds", "train", "test"}
    assert needed <= set(got)
    assert set(got["train"]) >= EVALUATION
    assert set(got["test"]) >= EVALUATION
    assert got["classes"] == [str(i) for i in range(10)]
    assert (got["found"], got["used"], got["skipped"]) == (400, 400, 0)
    assert (got["alpha"], got["features"], got["interrupted"]) == (0.01, "pixels", False)
    assert Path(got["model"]).is_absolute()
    assert Path(got["model"]).is_file()
    assert Path(got["report"]).is_file()
    weights = json.loads((tmp_path / "run" / "run.json").read_text())["weights"]
    assert len(weights) == 10
    assert all(uri.startswith("data:image/png") for uri in weights)


def test_evaluate_on_the_data_of_train_gives_the_numbers_of_the_report(trained, digits):
    folder, _ = trained
    expected = json.loads((folder / "run.json").read_text())["evaluations"]["test"]
    result = run("evaluate", folder, digits, "--json")
    assert result.exit_code == 0, result.stderr
    got = json.loads(result.stdout)
    assert EVALUATION | {"per_class"} <= set(got)
    assert got["split"] == "test"
    here = {key for key in expected if key != "audit"}  # which belongs to the run
    assert {key: got[key] for key in here} == {key: expected[key] for key in here}
    assert 0.5 < got["nearest_accuracy"] < 1
    everything = json.loads(run("evaluate", folder / "model.safetensors", digits, "--split", "all", "--json").stdout)
    assert everything["n"] == 400
    assert not {"nearest_accuracy", "nearest"} & set(everything)
    text = run("evaluate", folder, digits)
    assert text.stdout.startswith("Accuracy ")
    assert "80 test pictures" in text.stdout


def test_blank_pictures_are_told():
    record = fake_run.two_class_run()
    record = replace(record, data=replace(record.data, conversions={BLANK: 3}))
    assert "Blank:    3 of the pictures used are of one colour all over" in list(_run_lines(record))


def test_only_unknown_classes_that_would_judge_are_named(trained, digits, tmp_path):
    for split, name in (("test", "9"), ("test", "fox"), ("train", "eel")):
        shutil.copytree(digits / "9", tmp_path / split / name)
    result = run("evaluate", trained[0], tmp_path, "--split", "test")
    assert "a class that the model does not know (fox); they are left out." in result.stderr


def test_evaluate_matches_classes_by_name(trained, digits, tmp_path):
    """A test folder with other classes, in another order: '9' and '10' only; '10' is unknown to the model."""
    shutil.copytree(digits / "9", tmp_path / "9")
    shutil.copytree(digits / "1", tmp_path / "10")
    result = run("evaluate", trained[0], tmp_path, "--json")
    got = json.loads(result.stdout)
    assert (got["found"], got["n"], got["skipped"]) == (80, 40, 40)
    assert got["accuracy"] > 0.8
    assert next(c for c in got["per_class"] if c["label"] == "9")["n"] == 40
    assert "40 pictures are of a class that the model does not know (10)" in result.stderr
    shutil.rmtree(tmp_path / "9")
    refused = run("evaluate", trained[0], tmp_path)
    assert refused.exit_code == 2
    assert "Found: 10. The model knows: 0, 1, 2" in refused.stderr


def test_predict_json_and_text(trained, digits, tmp_path):
    shutil.copy(digits / "3" / "0003.png", tmp_path / "three.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "three.png").read_bytes()[:60])
    (tmp_path / "notes.txt").write_text("not a picture")
    result = run("predict", trained[0], tmp_path, digits / "7", "nowhere.png", "--json")
    assert result.exit_code == 0, result.stderr
    got = json.loads(result.stdout)
    assert len(got) == 3 + 40 + 1
    by_name = {Path(p["path"]).name: p for p in got}
    keys = {"path", "label", "confidence", "runner_up", "runner_up_confidence", "labels", "unlike", "error"}
    assert keys == set(got[0])
    assert by_name["three.png"]["label"] == "3"
    assert 0.1 < by_name["three.png"]["confidence"] <= 1
    assert by_name["three.png"]["error"] is None
    for name in ("broken.png", "notes.txt", "nowhere.png"):
        assert by_name[name]["label"] is None
        assert by_name[name]["confidence"] is None
        assert by_name[name]["error"]
    assert sum(p["label"] == "7" for p in got) >= 36
    text = run("predict", trained[0] / "model.safetensors", tmp_path)
    assert text.stdout.split()[:2] == [str(tmp_path / "three.png"), "3"]
    assert "broken.png" in text.stderr


def test_predict_names_what_it_was_given_and_counts_what_lies_in_folders(trained, digits, tmp_path, monkeypatch):
    shutil.copy(digits / "3" / "0003.png", tmp_path / "three.png")
    (tmp_path / "closed").mkdir()
    for i in range(7):
        (tmp_path / f"note{i}.txt").write_text("not a picture")
    np.savez(tmp_path / "rows.npz", x=np.zeros((3, 8, 8)))
    scandir = os.scandir

    def closed(place):
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", closed)
    long = "a" * 300 + ".png"
    words = (trained[0], tmp_path, tmp_path / "rows.npz", tmp_path / "note6.txt", long)
    text = run("predict", *words)
    assert text.exit_code == 0, text.stderr
    told = text.stderr.splitlines()
    given = [line for line in told if line.startswith(str(tmp_path / "rows.npz"))]
    assert "this model looks at pictures" in given[0]
    assert f"{long}: no such file: the name is too long" in told
    assert sum("note6.txt" in line for line in told) == 2  # in the folder, and by its own name
    assert told[-1] == "and 2 more without a label (--json names each)"
    got = json.loads(run("predict", *words, "--json").stdout)
    assert len(got) == 10 + 3
    by_name = {Path(p["path"]).name: p["error"] for p in got}
    assert by_name["closed"] == "a folder that cannot be read (Permission denied)"
    assert by_name["three.png"] is None


def test_one_long_name_does_not_push_all_columns_away():
    told = [Prediction(f"{name}.png", name, 0.5, "b", 0.4) for name in ("a", "b" * 200)]
    short, long = prediction_lines(told)
    assert len(short) < 130
    assert "b" * 200 in long


def test_evaluate_counts_the_classes_it_does_not_name():
    found = metrics.evaluate(np.arange(12) % 6, np.zeros(12, int), list("abcdef"))
    judged = Judged(Path("model"), "test", "sentence", found, 12)
    assert "1 class has more" in [*judged_lines(judged)][-1]


def test_predict_without_one_readable_picture_is_exit_2(trained, tmp_path):
    (tmp_path / "notes.txt").write_text("not a picture")
    result = run("predict", trained[0], tmp_path, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)[0]["error"]
    (tmp_path / "empty").mkdir()
    empty = run("predict", trained[0], tmp_path / "empty")
    assert empty.exit_code == 2
    assert "at least one picture" in empty.stderr


def test_losses_without_probabilities_have_no_confidence(digits, tmp_path):
    words = ("--loss", "squared_hinge", "--alpha", "0.1", "--features", "pixels")
    done = run("train", digits, "--out", tmp_path / "run", "--json", *words)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["test"]["log_loss"] is None
    assert json.loads(done.stdout)["test"]["accuracy"] > 0.8
    (got,) = json.loads(run("predict", tmp_path / "run", digits / "3" / "0003.png", "--json").stdout)
    assert got["confidence"] is None
    assert got["runner_up_confidence"] is None
    assert got["label"] == "3"
    assert got["error"] is None


def test_report_draws_the_same_page_again(trained):
    folder, _ = trained
    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    result = run("report", folder)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_bytes() == page
    again = run("report", folder / "model.safetensors", "--json")
    assert json.loads(again.stdout) == {"report": str(folder / "report.html")}


def test_train_from_python_is_the_same_and_the_same_seed_gives_the_same_model(digits, tmp_path, trained):
    import linearhead

    outcome = linearhead.train(digits, out=tmp_path / "run")
    record = json.loads((trained[0] / "run.json").read_text())
    assert outcome.run.evaluations["test"].accuracy == record["evaluations"]["test"]["accuracy"]
    first, second = store.load(trained[0] / "model.safetensors"), store.load(outcome.model)
    np.testing.assert_array_equal(first.coef, second.coef)
    assert linearhead.predict(outcome.folder, [digits / "3" / "0003.png"])[0].label == "3"
    assert linearhead.evaluate(outcome.folder, digits).evaluation.n == 80


def test_an_own_test_split_is_respected(digits, tmp_path):
    data = tmp_path / "data"
    for label in ("0", "1", "2"):
        files = sorted((digits / label).iterdir())
        for split, part in (("train", files[:30]), ("test", files[30:])):
            (data / split / label).mkdir(parents=True)
            for path in part:
                shutil.copy(path, data / split / label)
    got = json.loads(run("train", data, "--out", tmp_path / "run", "--json", "--features", "pixels").stdout)
    assert (got["train"]["n"], got["test"]["n"]) == (90, 30)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "the data's own split" in record["data"]["roles"]["judged"]
    judged = json.loads(run("evaluate", tmp_path / "run", data, "--json").stdout)
    assert (judged["n"], judged["accuracy"]) == (30, got["test"]["accuracy"])


def test_bad_pictures_below_the_limit_are_skipped_and_listed(digits, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    (data / "4" / "broken.png").write_bytes(b"\x89PNG broken")
    words = ("train", data, "--features", "pixels", "--alpha", "0.1")
    got = json.loads(run(*words, "--out", tmp_path / "run", "--json").stdout)
    assert (got["found"], got["used"], got["skipped"]) == (401, 400, 1)
    header, row = (tmp_path / "run" / "skipped.csv").read_text().splitlines()
    assert header == "path,reason"
    assert row.startswith("4/broken.png,")
    strict = run(*words, "--out", tmp_path / "strict", "--strict")
    assert strict.exit_code == 2
    assert "4/broken.png" in strict.stderr
    assert not (tmp_path / "strict").exists()


def test_strict_and_not_converged_is_exit_3_with_a_model(digits, tmp_path):
    words = ("train", digits, "--features", "pixels", "--alpha", "1e-4", "--max-iter", "2")
    result = run(*words, "--out", tmp_path / "run", "--strict")
    assert result.exit_code == 3, result.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert "stopped before its optimum" in result.stdout
    assert run(*words, "--out", tmp_path / "b").exit_code == 0


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["doctor", "--help"]])
def test_help_imports_neither_scipy_nor_scikit_learn(words):
    check = (
        "import sys; from linearhead.cli import cli; cli.main(sys.argv[1:], standalone_mode=False); "
        "print([m for m in ('scipy', 'sklearn', 'torch') if m in sys.modules], file=sys.stderr)"
    )
    result = fresh(*words, code=check)
    assert result.stderr.strip() == "[]"
    assert "Usage:" in result.stdout


def test_predict_and_report_import_neither_scipy_nor_scikit_learn(trained, digits):
    check = (
        "import json, sys; from linearhead.cli import cli\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    cli.main(words, standalone_mode=False)\n"
        "    heavy = [m for m in ('scipy', 'sklearn', 'torch', 'tqdm') if m in sys.modules]\n"
        "    print(words[0], heavy, file=sys.stderr)\n"
    )
    folder = str(trained[0])
    commands = [["predict", folder, str(digits / "5")], ["evaluate", folder, str(digits)], ["report", folder]]
    result = fresh(json.dumps(commands), code=check)
    assert result.stderr.splitlines() == [f"{words[0]} []" for words in commands]
    assert all(begin in result.stdout for begin in (str(digits / "5"), "Accuracy ", str(trained[0] / "report.html")))


def test_predictions_are_bit_equal_whatever_stands_beside_a_picture(trained, digits):
    files = sorted((digits / "8").iterdir())[:9]
    together = json.loads(run("predict", trained[0], *files, "--json").stdout)
    alone = [json.loads(run("predict", trained[0], f, "--json").stdout)[0] for f in files]
    assert together == alone


def test_the_package_is_a_command():
    got = subprocess.run([sys.executable, "-m", "linearhead", "--help"], capture_output=True, text=True, timeout=60)
    assert got.returncode == 0
    assert "train" in got.stdout


def test_doctor():
    result = run("doctor")
    assert result.exit_code == 0
    assert "BLAS:" in result.stdout
    got = json.loads(run("doctor", "--json").stdout)
    assert got["problems"] == []
    assert got["processors"] >= 1
    assert {"numpy", "scipy", "scikit-learn", "pillow"} <= set(got["core"])
    assert got["extras"]["dev"]["installed"]
    assert got["cache"] is None


def test_doctor_knows_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LINEARHEAD_CACHE", str(tmp_path))
    (tmp_path / ("a1" * 16)).mkdir()
    (tmp_path / ("a1" * 16) / "rows").write_bytes(bytes(1000))
    got = json.loads(run("doctor", "--json").stdout)["cache"]
    assert (got["folder"], got["bytes"]) == (str(tmp_path), 1000)
    assert f"Cache: {tmp_path}, 0 MB of at most 10 GB" in run("doctor").stdout


def test_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch):
    from importlib import metadata

    from linearhead.experiment import environment

    def version(name):
        if name in ("safetensors", "mpmath"):
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(environment, "version", version)
    result = run("doctor")
    assert result.exit_code == 2
    assert "safetensors is missing; to install it: " in result.stdout
    assert "lacks mpmath" in result.stdout
    assert "linearhead[dev]" in result.stdout


def test_no_color_and_debug(tmp_path):
    env = os.environ | {"NO_COLOR": "1", "LINEARHEAD_DEBUG": "1"}
    result = run("train", tmp_path / "nowhere", env=env, color=True)
    assert "\x1b" not in result.stderr
    assert "Traceback" in result.stderr
    assert "\x1b" in run("train", tmp_path / "nowhere", color=True).stderr


def test_thumbnails_are_small(trained):
    record = json.loads((trained[0] / "run.json").read_text())
    sizes = [len(p["thumbnail"]) for p in record["pictures"]]
    assert 0 < max(sizes) < 3000
    assert 10 <= len(sizes) <= 400
    shown = [record["pictures"][i] for i in record["most_wrong"]]
    assert all(p["label"] != p["predicted"] for p in shown)
    assert [p["label_confidence"] for p in shown] == sorted(p["label_confidence"] for p in shown)
    for cell, places in record["cells"].items():
        assert places
        for i in places:
            assert f"{record['pictures'][i]['label']},{record['pictures'][i]['predicted']}" == cell


def test_pictures_of_any_size_and_colour(tmp_path):
    rng = np.random.default_rng(0)
    for label, colour in (("red", 0), ("blue", 2)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(15):
            pixels = rng.integers(0, 90, (20 + i, 31, 3), dtype=np.uint8)
            pixels[:, :, colour] += 120
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{i}.png")
    got = json.loads(run("train", tmp_path / "data", "--out", tmp_path / "run", "--json").stdout)
    assert got["features"] in [
        c["features"].replace("(quality=fast)", "").replace("quality=fast,", "")
        for c in got["leaderboard"]["candidates"]
    ]
    assert got["test"]["accuracy"] == 1


def test_names_with_commas_are_kept_apart():
    found = metrics.evaluate(np.arange(12) % 3, np.zeros(12, int), ["Zürich, alt", "b", "c"])
    line = [*judged_lines(Judged(Path("model"), "test", "sentence", found, 12))][-1]
    assert line == "Lowest recall: b 0.0 % of 4; c 0.0 % of 4; Zürich, alt 100.0 % of 4"
    told = Prediction("a.png", "b", 0.5, "c", 0.4, labels=["Zürich, alt", "b"])
    assert next(iter(prediction_lines([told]))).endswith("one of: Zürich, alt; b")


def test_a_cache_called_none_is_not_made(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(cli, ["train", str(digits), "--cache", "none"])
    assert told.exit_code == 2
    assert "--no-cache" in told.stderr
    assert not (tmp_path / "none").exists()
