"""The verdict beyond one run: how often pictures have judged, what to run next, other pictures, notebooks."""

import csv
import json
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import fake_run
from linearhead import EvaluationDisplay, SoftmaxClassifier, WeightsDisplay, diagnose
from linearhead.charts import confusion_chart
from linearhead.cli import cli
from linearhead.diagnose import next_command
from linearhead.diagnose.test_reused import flattery
from linearhead.errors import DataError, UsageError
from linearhead.experiment import compare, evaluate, ledger, predict, train, write_digits
from linearhead.metrics import f1_interval
from test_experiment_findings import make_run


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "digits"
    write_digits(folder)
    for label in range(10):
        for path in sorted((folder / str(label)).iterdir())[24:]:
            path.unlink()
    return folder


@pytest.fixture(scope="module")
def runs(digits, tmp_path_factory):
    """Seven runs in one folder that the same pictures judged, the strongest penalties first."""
    folder = tmp_path_factory.mktemp("runs")
    strengths = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.01]
    outcomes = [
        train(digits, out=folder / f"run{i}", features="pixels", alpha=a, tol=1e-4) for i, a in enumerate(strengths)
    ]
    return folder, outcomes


# ---- doubted labels, in a table to be mended


def test_doubted_labels_come_in_a_table_that_trains_once_mended(digits, tmp_path):
    shutil.copytree(digits, tmp_path / "digits")
    for here in range(10):
        for i, path in enumerate(sorted((tmp_path / "digits" / str(here)).glob("[!w]*"))[:4]):
            path.rename(tmp_path / "digits" / str((here + 1 + 2 * i) % 10) / f"was{here}-{path.name}")
    first = train(tmp_path / "digits", out=tmp_path / "run", features="pixels", alpha=0.1, tol=1e-4)
    assert "label-errors" in {f.code for f in first.run.findings}
    table = tmp_path / "run" / "labels.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == first.run.data.used
    doubted = [row for row in rows if row["looks_like"]]
    assert rows[: len(doubted)] == doubted
    assert all(row["looks_like"] != row["label"] and row["split"] != "test" for row in doubted)
    assert sum("was" in row["file_name"] for row in doubted[:10]) >= 7
    for row in rows:
        if "was" in row["file_name"]:
            row["label"] = row["file_name"].split("was")[1][0]
    with table.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, rows[0])
        lines.writeheader()
        lines.writerows(rows)
    with pytest.raises(UsageError, match="lies in"):
        train(table, out=tmp_path / "run", force=True)  # would take the mended table away with the old run
    again = train(table, out=tmp_path / "mended", features="pixels", alpha=0.1, tol=1e-4)
    assert again.run.judged_pictures == first.run.judged_pictures
    assert "label-errors" not in {f.code for f in again.run.findings}
    assert not (tmp_path / "mended" / "labels.csv").exists()


# ---- how often the same pictures have judged


def test_runs_beside_one_another_are_counted_and_the_best_of_many_is_warned_of(runs):
    _, outcomes = runs
    assert [o.run.probes["reuse"]["models"] for o in outcomes] == list(range(7))
    found = {f.code: f for o in outcomes[5:] for f in o.run.findings}["test-reused"]
    accuracies = [o.run.evaluations["test"].accuracy for o in outcomes]
    assert found.severity == ("warning" if accuracies[6] == max(accuracies) else "note")
    assert "6 other models" in found.evidence
    assert not [f for o in outcomes[:5] for f in o.run.findings if f.code == "test-reused"]


def test_evaluating_again_and_again_is_counted_in_the_run_folder_and_said(runs, digits, tmp_path):
    folder, outcomes = runs
    alone = tmp_path / "alone" / "run"
    alone.parent.mkdir()
    alone.symlink_to(folder / "run0")  # the same files, with no run beside it
    first = evaluate(alone, digits)
    assert (first.reuse["models"], first.reuse["times"]) == (0, 1)
    for _ in range(9):
        last = evaluate(alone, digits)
    assert (last.reuse["models"], last.reuse["times"]) == (0, 10)
    assert (
        "They have judged 10 times before, 0 other models."
        in {f.code: f.evidence for f in last.findings}["test-reused"]
    )
    lines = [json.loads(line) for line in (folder / "run0" / ledger.FILE).read_text().splitlines()]
    assert [line["verb"] for line in lines] == ["train"] + ["evaluate"] * 10
    assert {line["pictures"] for line in lines} == {outcomes[0].run.judged_pictures}
    others = evaluate(folder / "run0", digits, split="train")
    assert (others.reuse, others.findings) == ({}, [])
    assert "flatter" in others.evaluation.audit["judged"]


def test_comparing_counts_and_says_by_how_much_the_best_flatters(runs):
    folder, outcomes = runs
    found = compare([folder / "run5", folder / "run6"])
    assert [seen["models"] for seen in found["judged_by"]] == [7, 7]
    best = outcomes[5].run.evaluations["test"]
    assert found["judged_by"][0]["flatters_by"] == pytest.approx(flattery(best, 7))
    last = (folder / "run5" / ledger.FILE).read_text().splitlines()[-1]
    assert json.loads(last)["verb"] == "compare"
    assert len(json.loads(last)["accuracies"]) == 2
    text = CliRunner().invoke(cli, ["compare", str(folder / "run5"), str(folder / "run6")]).stdout
    assert "have judged 7 models" in text


def test_a_judgement_that_cannot_be_kept_is_said(runs, digits, tmp_path):
    folder = shutil.copytree(runs[0] / "run0", tmp_path / "run")
    (folder / ledger.FILE).unlink()
    (folder / ledger.FILE).mkdir()  # as one that may not be written
    told = CliRunner().invoke(cli, ["evaluate", str(folder), str(digits), "--json"])
    assert told.exit_code == 0
    assert "have judged once more is not kept. Could not write" in told.stderr
    assert json.loads(told.stdout)["judged_before"]["times"] == 0


def test_a_replaced_run_is_not_forgotten(digits, tmp_path):
    for i in range(2):
        outcome = train(digits, out=tmp_path / "run", force=True, features="pixels", alpha=1.0 + i, tol=1e-3)
    assert outcome.run.probes["reuse"]["models"] == 1
    assert len((tmp_path / "run" / ledger.FILE).read_text().splitlines()) == 2


def test_a_damaged_ledger_counts_what_is_sound(tmp_path):
    line = ledger.line("train", "a", 10, {"one": 0.5})
    (tmp_path / ledger.FILE).write_bytes(line + b'{"pictures": "a"}\n\xff\xfe\n[1]\n' + line[:20])
    ledger.note(tmp_path, ledger.line("evaluate", "a", 10, {"two": 0.75}))
    ledger.note(tmp_path, ledger.line("evaluate", "b", 10, {"three": 1.0}))
    assert ledger.seen(tmp_path, "a", "one") == {"models": 1, "times": 2, "best": 0.75}
    assert ledger.seen(tmp_path / "nowhere" / "run", "a", "one") == {"models": 0, "times": 0, "best": None}


def test_two_that_judge_at_once_are_both_kept(tmp_path):
    entries = [ledger.line("evaluate", "a", 10, {str(i): 0.5}) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda entry: ledger.note(tmp_path, entry), entries))
    assert sorted((tmp_path / ledger.FILE).read_bytes().splitlines(True)) == sorted(entries)


def test_the_best_of_many_flatters_by_what_chance_makes_of_it():
    """20 000 draws of m models of the same accuracy on n pictures: the mean of the best figure less the truth."""
    rng = np.random.default_rng(0)
    judged = make_run(test=(900, 1000)).evaluations["test"]
    for m in (2, 6, 20):
        lead = (rng.binomial(1000, 0.9, (20_000, m)).max(axis=1) / 1000 - 0.9).mean()
        assert flattery(judged, m) == pytest.approx(lead, rel=0.06), m
    assert flattery(judged, 1) == 0.0


# ---- the next command


def test_every_warning_of_a_real_run_names_a_command_that_the_command_line_takes():
    runs = [
        make_run(train=(1000, 1000), test=(700, 1000), converged=False, counts=(900, 9)),
        make_run(train=(520, 1000), test=(510, 1000)),
        make_run(train=(800, 1000), test=(30, 40)),
        make_run(path=[{"alpha": a, "valid_accuracy": a} for a in (0.001, 0.01, 0.1)], alpha=0.1),
    ]
    codes = set()
    for run in runs:
        for finding in diagnose.verdict(replace(run, command="linearhead train 'my photos' --out runs/a --json")):
            codes.add(finding.code)
            words = shlex.split(finding.command)
            assert words[0] == "linearhead", finding.code
            parent = cli.make_context("linearhead", words[1:])
            context = cli.commands[words[1]].make_context(words[1], words[2:], parent=parent)
            assert context.params.get("out") is None
            assert not context.params["as_json"]
    assert len(codes) >= 7


def test_a_command_is_the_one_of_the_run_with_options_changed():
    run = replace(
        make_run(), command="linearhead train 'my photos' --alpha=3 --solver sgd --nesterov --out a/b --force"
    )
    assert next_command.again(run, "--alpha", "0.1") == (
        "linearhead train 'my photos' --solver sgd --nesterov --alpha 0.1"
    )
    assert next_command.with_lbfgs(run) == "linearhead train 'my photos' --alpha=3 --solver lbfgs"
    assert next_command.again(replace(run, command="linearhead.train")) == "linearhead train photos"
    for typed in ("photos", "photos/", "./photos"):
        command = next_command.with_more(replace(run, command=f"linearhead train --alpha 3 {typed} --seed 1"))
        assert command == "linearhead train --alpha 3 MORE_PICTURES --seed 1"
    assert next_command.again(replace(run, command="a 'b")) == "linearhead train photos"


# ---- other pictures


def test_pictures_unlike_the_trained_ones_are_told_by_evaluate(runs, digits, tmp_path):
    from PIL import Image

    folder, _ = runs
    assert "shifted" not in [f.code for f in evaluate(folder / "run6", digits).findings]
    rng = np.random.default_rng(0)
    for path in digits.glob("*/*.png"):
        (tmp_path / "noisy" / path.parent.name).mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(path).convert("L")).astype(float)
        noisy = np.clip(255 - pixels + rng.normal(0, 40, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(tmp_path / "noisy" / path.parent.name / path.name)
    judged = evaluate(folder / "run6", tmp_path / "noisy")
    found = {f.code: f for f in judged.findings}
    assert "stranger than 95% of the training pictures" in found["shifted"].evidence
    assert judged.trust is not None
    assert judged.trust.unlike is not None
    assert judged.trust.unlike > 0.9
    text = CliRunner().invoke(cli, ["evaluate", str(folder / "run6"), str(tmp_path / "noisy")]).stdout.splitlines()
    assert any(line.endswith("The test pictures are not like the training pictures") for line in text)
    assert any(line.startswith("  try: linearhead ") for line in text)
    assert len(text) <= 14


def test_a_model_without_its_record_is_judged_all_the_same(runs, digits, tmp_path):
    folder, _ = runs
    model = tmp_path / "model.safetensors"
    model.write_bytes((folder / "run6" / "model.safetensors").read_bytes())
    judged = evaluate(model, digits)
    assert [f.severity for f in judged.findings]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors"]
    assert set(judged.to_json()["trust"]) >= {"judged", "coverage", "answered", "unlike"}


# ---- intervals, notebooks


def test_the_interval_of_f1_covers_it():
    """A class with P = 0.8, R = 0.7 in 400 sets of pictures: Wilson's 95 % through J."""
    rng = np.random.default_rng(0)
    truth = 2 * 0.8 * 0.7 / 1.5
    inside = 0
    for _ in range(400):
        present = 60
        hits = rng.binomial(present, 0.7)
        extra = rng.binomial(round(present * 0.7 / 0.8), 0.2)
        low, high = f1_interval(hits, present + extra)
        inside += low <= truth <= high
    assert inside / 400 > 0.93
    assert f1_interval(0, 0) is None


@pytest.mark.parametrize("kind", [SoftmaxClassifier, LogisticRegression])
def test_displays_from_any_classifier(kind):
    X, y = load_digits(return_X_y=True)
    model = kind(max_iter=200).fit(X[:900] / 16, y[:900])
    shown = EvaluationDisplay.from_estimator(model, X[900:] / 16, y[900:])
    assert shown.evaluation.accuracy == pytest.approx(model.score(X[900:] / 16, y[900:]))
    html = shown._repr_html_()
    assert kind.__name__ in html
    assert html.count("<svg") == 3
    assert f"{shown.evaluation.n} right" in html
    assert WeightsDisplay.from_estimator(model, (8, 8))._repr_html_().count("data:image/png") == 10
    with pytest.raises(DataError, match="64 weights"):
        WeightsDisplay.from_estimator(model, (9, 9))


def test_displays_from_predictions_escape_names_and_refuse_unknown_labels():
    bad = "<script>alert(1)</script>"
    shown = EvaluationDisplay.from_predictions([bad, "b", "b"], ["b", "b", bad], title=bad)
    assert "<script" not in shown._repr_html_()
    assert shown.reliability is None
    with pytest.raises(UsageError, match="not among the classes"):
        EvaluationDisplay.from_predictions(["a"], ["c"], classes=["a", "b"])
    with pytest.raises(DataError, match="no picture"):
        confusion_chart([], ["a", "b"])
    many = [[i, j, 1] for i in range(60) for j in range(60)]
    assert "40 of 60" in confusion_chart(many, list(map(str, range(60)))).svg


def test_outcomes_and_predictions_show_themselves(runs, digits):
    folder, outcomes = runs
    html = outcomes[-1]._repr_html_()
    assert outcomes[-1].run.findings[0].title in html
    assert "<svg" in html
    assert evaluate(folder / "run6", digits)._repr_html_().count("<svg") == 3
    shown = predict(folder / "run6", [digits / "3"])
    assert len(shown) == 24
    assert shown._repr_html_().count("<tr>") == 25


def test_the_page_shows_the_next_command_and_copies_as_pictures():
    from linearhead.records import Duplicates
    from linearhead.report import render

    run = fake_run.digits_run()
    thumbs = [run.pictures[0].thumbnail] * 2
    copies = Duplicates(9, 1, 0, 0, 0, [["a/1.png", "b/1.png"]], [thumbs])
    finding = replace(run.findings[0], command="linearhead train digits --alpha 1")
    html = render(replace(run, duplicates=copies, findings=[finding]))
    assert '<pre class="try" tabindex="0"><code>linearhead train digits --alpha 1</code></pre>' in html
    assert html.split('<div class="copies">')[1].count("<img", 0, 9000) >= 2
