"""Features computed elsewhere go through train, evaluate and predict as photos do."""

import json
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits

from linearhead import SoftmaxClassifier, evaluate, store, train, update
from linearhead.charts.words import of_rows
from linearhead.cli import cli
from linearhead.errors import DataError
from linearhead.experiment import Recipe, fitting, sampling, scaling
from linearhead.experiment.leaderboard import compare
from linearhead.experiment.progress import Progress


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="linearhead")


@pytest.fixture(scope="module")
def rows():
    data = load_digits()
    return data.data[:600].astype(np.float32), data.target[:600]


@pytest.fixture(scope="module")
def trained(rows, tmp_path_factory):
    """(folder of the features, run folder, what `train` printed)"""
    folder = tmp_path_factory.mktemp("given")
    X, y = rows[0].copy(), rows[1]
    X[7, 3] = np.nan
    X[11] = X[10]
    np.savez(folder / "features.npz", X=X, y=y)
    with pytest.MonkeyPatch.context() as patch:  # the record names the command, which pytest's own words are not
        patch.setattr(sys, "argv", ["linearhead", "train", "features.npz"])
        result = run("train", folder / "features.npz", "--out", folder / "run", "--json", "--max-bad", "0.1")
    assert result.exit_code == 0, result.stderr
    return folder, folder / "run", json.loads(result.stdout)


def test_rows_are_counted_judged_and_copies_found(trained):
    _, out, got = trained
    assert (got["found"], got["used"], got["skipped"]) == (600, 599, 1)
    assert got["features"] == "given"
    assert got["converged"]
    assert got["test"]["accuracy"] > 0.9
    assert "[7],feature 3 is nan" in (out / "skipped.csv").read_text()
    record = json.loads((out / "run.json").read_text())
    assert record["duplicates"]["exact"] == 1
    assert record["trust"]["judged"] is not None
    assert record["learning_curve"]["accuracy"]
    assert "--features" not in " ".join(f["command"] or "" for f in record["findings"])
    assert (out / "report.html").stat().st_size < 2e6


def test_evaluate_judges_the_same_rows_and_predict_says_the_same(trained, rows):
    folder, out, got = trained
    judged = json.loads(run("evaluate", out, folder / "features.npz", "--json", "--max-bad", "0.1").stdout)
    assert (judged["n"], judged["accuracy"]) == (got["test"]["n"], got["test"]["accuracy"])
    np.save(folder / "new.npy", rows[0][:40])
    answers = json.loads(run("predict", out, folder / "new.npy", "--json").stdout)
    model = store.load(out / "model.safetensors")
    assert [a["label"] for a in answers] == model.predict(rows[0][:40]).tolist()
    assert answers[3]["path"].endswith("new.npy[3]")
    assert model.extractor is None


def test_the_fit_is_the_estimator_s(trained, rows):
    """On the rows that trained: the same optimum as SoftmaxClassifier finds."""
    _, out, got = trained
    model = store.load(out / "model.safetensors")
    record = json.loads((out / "run.json").read_text())
    assert record["fit"]["certificate"]["gap"] < 1e-4
    scaled = record["fit"]["standardize"]
    refit = SoftmaxClassifier(alpha=got["alpha"], standardize=scaled).fit(
        np.delete(rows[0], 7, 0), np.delete(rows[1], 7)
    )
    agree = np.mean(model.predict(rows[0]).astype(int) == refit.predict(rows[0]))
    assert agree > 0.98  # it saw the test rows as well


def unlike(kind, n=700, d=60, k=3):
    """Classes told by a few columns of larger spread; or by columns in unlike units."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, d))
    X[:, :5] *= 4
    y = np.argmax(X[:, :5] @ rng.standard_normal((5, k)) / 4 + 0.5 * rng.gumbel(size=(n, k)), axis=1)
    if kind == "units":
        X *= np.geomspace(1e-3, 1e3, d)[rng.permutation(d)]
    return {"x_train": X[:150], "y_train": y[:150], "x_test": X[150:], "y_test": y[150:]}


@pytest.mark.parametrize("kind", ["spread", "units"])
def test_held_out_rows_tell_whether_columns_are_standardised(kind, tmp_path):
    said, told = [], Progress()
    told.say = said.append
    chosen = train(unlike(kind), out=tmp_path / "chosen", cache=None, progress=told).run
    assert chosen.fit.standardize is (kind == "units")
    assert any("fitted as they come" in line for line in said) is (kind == "spread")
    assert store.load(tmp_path / "chosen" / "model.safetensors").facts["recipe"]["standardize"] is (kind == "units")
    other = train(unlike(kind), out=tmp_path / "other", cache=None, standardize=kind == "spread").run
    assert other.fit.standardize is (kind == "spread")
    assert chosen.evaluations["test"].log_loss < other.evaluations["test"].log_loss - 0.02


def test_so_do_held_out_pictures(tmp_path):
    pictures = {
        name: np.clip(128 + 9 * part, 0, 255).astype(np.uint8).reshape(-1, 6, 10) if name.startswith("x") else part
        for name, part in unlike("spread").items()
    }
    run = train(pictures, out=tmp_path / "run", cache=None, features="pixels").run
    assert run.fit.standardize is False
    assert "standardise or not" in run.seconds
    assert store.load(tmp_path / "run" / "model.safetensors").facts["recipe"]["standardize"] is False


def test_whether_to_standardise_is_asked_of_some_rows_and_only_where_it_can_be_told(monkeypatch):
    data, asked = unlike("spread"), []
    X, y, groups = data["x_train"].astype(np.float32), data["y_train"], np.arange(150) // 2
    monkeypatch.setattr(
        scaling, "compare", lambda X, sample, plan: asked.append((X, sample)) or compare(X, sample, plan)
    )
    assert scaling.chosen(X, y, None, Recipe(alpha=0.1), Progress())
    assert scaling.chosen(X, y, None, Recipe(penalty="none"), Progress())
    assert scaling.chosen(X, y, None, Recipe(solver="sgd"), Progress())
    assert not scaling.chosen(X, y, None, Recipe(standardize=False), Progress())
    assert scaling.chosen(X[:12], y[:12], None, Recipe(), Progress())
    assert not asked
    monkeypatch.setattr(sampling, "MOST", 60)
    assert not scaling.chosen(X, y, groups, Recipe(), Progress())
    (part, sample), (again, _) = asked
    assert part is again
    where = [np.flatnonzero((row == X).all(axis=1))[0] for row in part]
    assert len(set(where)) == len(where) < 70
    assert np.array_equal(sample.groups, groups[where])
    monkeypatch.setattr(scaling, "standard_error", lambda *_: 10.0)
    assert scaling.chosen(X, y, None, Recipe(), Progress())  # not surely better


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "features.npz", "--features", "hog", "--out", "x"], "Leave --features out"),
        (["evaluate", "run", "pictures"], "cannot look at pictures. What it takes are .npy or .npz"),
        (["extract", "features.npz", "--out", "x"], "pictures are needed here. train and evaluate take such rows"),
        (["evaluate", "run", "narrow.npz"], "trained on rows of 64"),
        (["predict", "run", "narrow.npz"], "(n, 64), are needed"),
        (["predict", "run", "note.txt"], "a .npy or .npz of such rows is needed"),
        (["train", "holes.npz", "--out", "x"], "feature 0 is inf"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(words, sentence, trained, monkeypatch):
    folder = trained[0]
    monkeypatch.chdir(folder)
    np.savez("narrow.npz", X=np.zeros((20, 5), np.float32), y=np.arange(20) % 2)
    np.savez("holes.npz", X=np.full((20, 5), np.inf, np.float32), y=np.arange(20) % 2)
    (folder / "note.txt").write_text("no rows")
    if not (folder / "pictures").exists():
        assert run("sample", "digits", folder / "pictures").exit_code == 0
    result = run(*words)
    assert result.exit_code in (2, 4), result.stdout
    assert sentence in result.stderr
    assert not (folder / "x").exists()


def test_an_array_without_labels_is_refused_and_what_is_returned_prints_in_a_line(trained, rows):
    folder, out, _ = trained
    with pytest.raises(DataError, match=r"one ndarray.*\(X, y\)"):
        train(rows[0])
    judged = evaluate(out, folder / "features.npz", max_bad=0.1)
    assert repr(judged).endswith(f"accuracy {judged.evaluation.accuracy:.3f} of {judged.evaluation.n} rows)")
    assert len(repr(judged)) < 300


def test_a_class_of_another_name_and_a_run_that_is_not_there_are_named(trained, rows, tmp_path):
    _, out, _ = trained
    np.savez(tmp_path / "typo.npz", X=rows[0], y=np.where(rows[1] == 3, "three", rows[1].astype(str)))
    told = run("evaluate", out, tmp_path / "typo.npz").stderr
    assert "does not know (three)" in told
    assert "there is no 3: classes are matched by name" in told
    for words in (("compare", out, tmp_path / "nothing"), ("report", tmp_path / "nothing")):
        result = run(*words)
        assert result.exit_code == 4
        assert str(tmp_path / "nothing") in result.stderr


def test_errors_speak_of_rows_and_of_no_folders(trained, rows):
    with pytest.raises(DataError, match=r"600 rows of 1 class \('0'\).*Add some of another class"):
        train((rows[0], 0 * rows[1]))
    with pytest.raises(DataError, match=r"None of the 600 rows .*; rename the classes, or train on these rows"):
        evaluate(trained[1], (rows[0], rows[1] + 10))


def test_rows_are_not_called_pictures(trained, tmp_path):
    folder, out, got = trained
    said = run("train", folder / "features.npz", "--out", tmp_path / "run", "--max-bad", "0.1").stdout
    said += run("evaluate", out, folder / "features.npz", "--max-bad", "0.1").stdout
    said += json.dumps([got["findings"], got["roles"], got["trust"], got["evaluations"]["test"]["nearest"]])
    assert "picture" not in said.lower()
    page = (out / "report.html").read_text()
    page = re.sub(r'<section id="words".*?</section>|<(script|style)\b.*?</\1>|<[^>]*>', " ", page, flags=re.DOTALL)
    assert re.findall(r"[^.]*[Pp]icture[^.]*", page) == []
    assert "training rows" in page


def test_names_and_paths_keep_their_pictures_where_rows_are_spoken_of():
    said = "the picture 'a picture' of 2 pictures in /my/pictures/pictures.npz, `pictures`; Pictures"
    assert of_rows(said) == "the row 'a picture' of 2 rows in /my/pictures/pictures.npz, `pictures`; Rows"


def test_rows_are_updated_to_the_optimum_of_all_rows(rows, tmp_path):
    X, y = rows
    np.savez(tmp_path / "old.npz", X=X[:400][y[:400] != 9], y=y[:400][y[:400] != 9])
    np.savez(tmp_path / "new.npz", X=X[400:], y=y[400:])
    train(tmp_path / "old.npz", out=tmp_path / "run", alpha=0.01)
    outcome = update(tmp_path / "run", tmp_path / "new.npz", out=tmp_path / "updated")
    data = outcome.run.data
    assert data.used == 200 + np.sum(y[:400] != 9)
    assert data.classes[-1] == "9"
    assert outcome.run.fit.converged
    assert outcome.run.evaluations["test"].accuracy > 0.9
    with pytest.raises(DataError, match="very rows that made the model"):
        update(tmp_path / "updated", tmp_path / "new.npz", out=tmp_path / "x")
    np.savez(tmp_path / "more.npz", X=X[:50], y=y[:50])
    again = update(tmp_path / "updated", tmp_path / "more.npz", out=tmp_path / "again")  # parts of an update are kept
    assert again.run.data.used == data.used + 50
    np.savez(tmp_path / "narrow.npz", X=X[400:, :30], y=y[400:])
    with pytest.raises(DataError, match="rows of 30 numbers"):
        update(tmp_path / "run", tmp_path / "narrow.npz", out=tmp_path / "x")
    np.savez(tmp_path / "old.npz", X=X[:300], y=y[:300])
    with pytest.raises(DataError, match=r"The rows in .* are not those that made the model"):
        update(tmp_path / "run", tmp_path / "new.npz", out=tmp_path / "x")


def test_copies_among_the_trained_rows_do_not_make_the_model_surer_than_it_may_be(rows, tmp_path):
    """The data's own split: every trained row is there twice, no judged one is."""
    rng = np.random.default_rng(0)
    order = rng.permutation(600)
    X, y = (rows[0] + rng.normal(0, 6, rows[0].shape).astype(np.float32))[order], rows[1][order]
    data = {"x_train": np.repeat(X[:250], 2, axis=0), "y_train": np.repeat(y[:250], 2), "x_test": X[250:]}
    trust = train(data | {"y_test": y[250:]}, out=tmp_path / "run", alpha=0.02).run.trust
    held = {row["asked"]: row["covered"] for row in trust.coverage}
    assert held[0.9] > 0.84
    assert trust.unlike < 0.05


def test_a_model_of_rows_has_a_card_and_says_why_no_file_that_looks_at_pictures(trained, tmp_path):
    _, out, _ = trained
    assert run("export", out, "--to", "card", "--out", tmp_path / "README.md").exit_code == 0
    text = (tmp_path / "README.md").read_text()
    assert "picture" not in text.lower()
    assert "64 numbers a row" in text
    assert '"tabular-classification"' in text
    refused = run("export", out, "--to", "numpy", "--out", tmp_path / "x.py")
    assert refused.exit_code == 2
    assert "--to card" in refused.stderr


def test_weights_that_the_path_s_rule_can_choose_no_more_are_not_kept(rows, monkeypatch):
    kept = []
    monkeypatch.setattr(
        fitting,
        "_forget_beaten",
        lambda points, own=fitting._forget_beaten: (own(points), kept.append([len(p.theta) for p in points])),
    )
    plan, parts = Recipe(loss="cross_entropy"), fitting.Rows(rows[0], rows[1], 400)
    state = fitting.Fit(plan.estimator(0.01))
    fitting.choose_alpha(parts, plan, state, Progress())
    assert len(kept) == len(state.path) > 5
    assert max(np.count_nonzero(sizes) for sizes in kept) < len(state.path) / 2
    best = min(range(len(state.path)), key=lambda i: state.path[i]["valid_loss"])
    assert kept[-1][best] == 65


def test_a_column_made_from_the_label_is_named(rows, tmp_path):
    """Its order is no line that a classifier could follow, so that nothing in the accuracy tells."""
    X, y = rows
    rng = np.random.default_rng(0)
    noise = rng.normal(size=X.shape).astype(np.float32)
    quick = {"cache": None, "alpha": 0.1}
    leaking = np.c_[noise, rng.permutation(10)[y] + rng.normal(0, 0.01, len(y))].astype(np.float32)
    found = {f.code: f for f in train((leaking, y), out=tmp_path / "leaking", **quick).run.findings}
    assert "number in column 64 of a row" in found["shortcut"].title
    assert "100.0%" in found["shortcut"].evidence
    clean = train((X, y), out=tmp_path / "clean", **quick).run
    assert "shortcut" not in {f.code for f in clean.findings}
    assert clean.probes["column"]["accuracy"] < 0.6
