"""update: the optimum over old and new pictures, from the old weights; roles kept, classes added, old ones needed."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

from linearhead.cli import cli
from linearhead.cli.words import outcome_lines
from linearhead.errors import DataError, UsageError
from linearhead.experiment import Progress, compare, evaluate, run_folder, train, update, updating
from linearhead.experiment.recipe import Recipe


def write(folder, classes, first, last):
    """Real scanned digits of some classes, the pictures first … last of each."""
    digits = load_digits()
    for label in classes:
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(digits.images[digits.target == label][first:last]):
            pixels = np.rint(image * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(label) / f"{first + i:03}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model of eight digits, a few pictures more of these, and two digits that it never saw."""
    place = tmp_path_factory.mktemp("update")
    write(place / "old", range(8), 0, 30)
    write(place / "more", range(8), 30, 32)
    write(place / "nines", [8, 9], 0, 20)
    train(place / "old", out=place / "run", features="hog", alpha=0.01)
    return place


@pytest.fixture(scope="module")
def updated(place):
    return update(place / "run", place / "more", out=place / "more-run")


def from_zero(outcome, monkeypatch):
    """The fit of the same rows from zero: (classifier, passes)."""
    found = {}

    def keep(*words):
        found["warm"] = refit(*words)
        monkeypatch.setattr(updating, "start", lambda m, k: (np.zeros((k, m.dimension)), np.zeros(k)))
        found["zero"] = refit(*words)
        monkeypatch.undo()
        return found["warm"]

    refit = updating.refit
    monkeypatch.setattr(updating, "refit", keep)
    outcome()
    return found["warm"].best, found["zero"].best


def test_more_pictures_give_the_certified_optimum_of_a_fit_from_zero(place, monkeypatch):
    warm, zero = from_zero(lambda: update(place / "run", place / "more", out=place / "again"), monkeypatch)
    assert warm.converged_
    assert zero.converged_
    assert warm.certificate_.gap < 1e-8
    assert abs(warm.certificate_.value - zero.certificate_.value) < 1e-8
    assert np.abs(warm.coef_ - zero.coef_).max() < 1e-3 * np.abs(zero.coef_).max()
    assert warm.trace_.passes[-1] < zero.trace_.passes[-1]
    assert warm.trace_.gradient_norm[0] < 0.1 * zero.trace_.gradient_norm[0]


def test_every_picture_has_one_role_and_old_ones_keep_theirs(place, updated):
    old = json.loads((place / "run" / "run.json").read_text())
    run = updated.run
    assert run.data.found == run.data.used == old["data"]["used"] + 16
    assert sum(run.data.counts["test"]) == sum(old["data"]["counts"]["test"]) + 8  # one of two pictures judges
    assert run.evaluations["test"].n == sum(run.data.counts["test"])
    assert run.fit.converged
    assert run.trust is not None
    assert not [f for f in run.findings if " + " in (f.command or "")]  # a command that could not be typed
    model = run_folder.load_model(updated.folder)
    assert model.classes == [str(i) for i in range(8)]
    assert model.facts["alpha"] == 0.01
    assert "kept from the run that was updated" in "\n".join(outcome_lines(updated))
    assert "alpha was kept" in updated.run.data.roles["chose"]
    assert [part["source"] for part in model.facts["parts"]] == [str(place / "old"), str(place / "more")]
    assert {path.name for path in updated.folder.iterdir()} >= {"model.safetensors", "run.json", "report.html"}


def test_evaluate_knows_which_pictures_an_updated_model_has_trained_on(place, updated):
    """Judged on the folders that made it, an updated model meets their test pictures only."""
    before = evaluate(place / "run", place / "old")
    after = evaluate(updated.folder, place / "old")
    assert (after.which, after.evaluation.n) == (before.which, before.evaluation.n) == ("test", 48)
    assert evaluate(updated.folder, place / "more").evaluation.n == 8


def test_an_updated_model_is_compared_on_the_old_test_pictures(place, updated):
    run = run_folder.load_record(place / "run")[1]
    pair = compare([place / "run", updated.folder])["pairs"][0]
    assert pair["n"] == run.evaluations["test"].n < updated.run.evaluations["test"].n
    assert pair["only_first"] + pair["only_second"] < pair["n"] / 4


def test_new_classes_are_learned_and_another_update_goes_on(place, updated):
    second = update(updated.folder, place / "nines", out=place / "second")
    model = run_folder.load_model(second.folder)
    assert model.classes == [str(i) for i in range(10)]
    assert second.run.fit.converged
    assert len(model.facts["fingerprints"]) == 3
    nines = evaluate(second.folder, place / "nines").evaluation
    assert nines.n == 8
    assert nines.accuracy >= 0.75
    assert second.run.evaluations["test"].accuracy > 0.85


def test_the_mean_of_the_old_weights_starts_a_new_class(place):
    model = run_folder.load_model(place / "run")
    coef, intercept = updating.start(model, 10)
    X = np.random.default_rng(0).normal(size=(5, model.dimension))
    s = X @ coef.T + intercept
    assert np.array_equal(s[:, :8], X @ model.coef.T + model.intercept)
    assert np.allclose(s[:, 8:], s[:, :8].mean(axis=1, keepdims=True), atol=1e-6)


def test_the_old_pictures_are_needed_as_they_were(place, tmp_path):
    shutil.copytree(place / "old", tmp_path / "old")
    train(tmp_path / "old", out=tmp_path / "run", features="pixels", alpha=0.1)
    (tmp_path / "old" / "3" / "003.png").unlink()
    with pytest.raises(DataError, match="not those that made the model"):
        update(tmp_path / "run", place / "more", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    model = run_folder.load_model(tmp_path / "run")
    model.facts = {}
    run_folder.save(model, tmp_path / "bare.safetensors")
    with pytest.raises(UsageError, match="does not say how it was trained"):
        update(tmp_path / "bare.safetensors", place / "more", out=tmp_path / "new")


def test_a_run_that_holds_pictures_is_not_replaced(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    pictures = write(tmp_path / "run" / "extra", range(8), 32, 33)
    with pytest.raises(UsageError, match="lies in"):
        update(place / "run", pictures, out=tmp_path / "run", force=True)
    assert list(pictures.iterdir())


def test_groups_stay_together_in_every_part(place):
    parts = [updating.open_readable(place / name, "auto") for name in ("old", "more")]
    joined, role = updating.join(parts, [], Recipe(group=r"(\d)\.png$"))
    assert joined.groups is not None
    for group in np.unique(joined.groups):
        assert len(np.unique(role[joined.groups == group])) == 1
    assert joined.read(len(parts[0])) == parts[1].read(0)
    assert joined.names[len(parts[0])].startswith("more/")


def test_one_group_may_be_added_and_a_known_group_keeps_its_role(place, tmp_path):
    """Frames of one new track all train; more frames of an old track have the role that the track has."""
    plan = Recipe(group=r"(track\d)")
    for name, tracks in (("old", range(8)), ("new", [8]), ("again", range(8))):
        for track in tracks:
            for label in (0, 1):
                folder = tmp_path / name / str(label)
                folder.mkdir(parents=True, exist_ok=True)
                for i in range(3):
                    Image.new("L", (8, 8), i).save(folder / f"track{track}_{name}{i}.png")
    old, new, again = (updating.open_readable(tmp_path / name, "auto") for name in ("old", "new", "again"))
    joined, role = updating.join([old, new, again], [], plan)
    assert set(role[len(old) : len(old) + len(new)]) == {"train"}
    assert set(role[: len(old)]) == {"train", "valid", "test"}
    for track in range(8):
        assert len({r for r, name in zip(role, joined.names, strict=True) if f"track{track}" in name}) == 1
    with pytest.raises(DataError, match="makes one group of all"):
        updating.join([new], [], plan)
    with pytest.raises(DataError, match="makes no group of the"):
        updating.join([old, new], [], Recipe(group=r"track[0-7]"))


def test_the_command_prints_what_train_prints_and_the_passes(place, tmp_path):
    words = ["update", str(place / "run"), str(place / "more"), "--out", str(tmp_path / "run"), "--json"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["converged"]
    assert told["passes"] > 0
    assert told["classes"] == [str(i) for i in range(8)]
    again = CliRunner().invoke(cli, words)
    assert again.exit_code == 2


def test_the_old_pictures_are_found_from_any_folder(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    train("old", out=tmp_path / "first", features="pixels", alpha=0.1)
    monkeypatch.chdir(tmp_path)
    outcome = update("first", place / "more", out="second")
    monkeypatch.chdir("/")
    assert outcome.run.data.found == 256
    judged = evaluate(tmp_path / "second", place / "more", split="all")
    assert f"trained pictures of {place / 'old'} + {place / 'more'}" in judged.compared
    assert 0 < judged.duplicates.judged < 16  # of the new ones those that trained
    again = update(tmp_path / "second", place / "nines", out=tmp_path / "third")
    assert len(run_folder.load_model(again.folder).facts["parts"]) == 3


def test_ctrl_c_after_the_fit_keeps_the_finished_classifier(place, tmp_path, monkeypatch):
    """Judged in brief, and it knows of which parts it is made, so that it can be updated again."""
    from linearhead.experiment import outside

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    words = ["update", str(place / "run"), str(place / "more"), "--out", str(tmp_path / "run"), "--json", "--force"]
    with monkeypatch.context() as patch:
        patch.setattr(outside, "outside", interrupted)
        done = CliRunner().invoke(cli, words)
    assert done.exit_code == 130, done.stderr
    assert "Interrupted: the finished classifier is judged in brief" in done.stderr
    told = json.loads(done.stdout)
    assert (told["interrupted"], told["converged"]) == (True, True)
    assert len(run_folder.load_model(tmp_path / "run").facts["parts"]) == 2
    judged = (tmp_path / "run" / "judged.jsonl").read_text()
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert (tmp_path / "run" / "judged.jsonl").read_text().startswith(judged)  # the old run's judgements count on


def test_ctrl_c_keeps_the_best_so_far(place, tmp_path, monkeypatch):
    from linearhead.estimators import LinearClassifier

    def interrupted(self, *_, **__):
        raise KeyboardInterrupt

    original = updating.refit

    def stopped(*words):
        with monkeypatch.context() as patch:
            patch.setattr(LinearClassifier, "fit", interrupted)
            return original(*words)

    monkeypatch.setattr(updating, "refit", stopped)
    outcome = update(place / "run", place / "more", out=tmp_path / "run", progress=Progress())
    assert outcome.interrupted
    assert outcome.run.learning_curve is None  # what takes long is left out
    old, new = (run_folder.load_model(folder) for folder in (place / "run", tmp_path / "run"))
    assert np.array_equal(old.coef, new.coef)
