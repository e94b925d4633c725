"""The experiment's rooms one by one: roles, extraction, choosing alpha, the gallery, findings about real runs."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

import linearhead
from linearhead import SoftmaxClassifier, path, store
from linearhead.data import Dataset, open_dataset
from linearhead.errors import DataError, FileError, UsageError
from linearhead.experiment import Progress, Recipe, extract, fitting, gallery, judge, roles
from linearhead.experiment.extract import Pictures, Tolerance, choose_pictures
from linearhead.experiment.predicting import list_files
from linearhead.features import Patches, make
from linearhead.losses import CrossEntropy
from linearhead.records import Run, Skipped, from_json, to_json
from linearhead.store import Model


def dataset(amounts, splits=None, groups=None):
    """Scanned digits in memory: amounts per class."""
    digits = load_digits()
    rows = np.concatenate([np.flatnonzero(digits.target == c)[:n] for c, n in enumerate(amounts)])
    pictures = np.round(digits.images[rows] * 15.9).astype(np.uint8)
    n = len(rows)
    return Dataset(
        source="memory",
        reader="test",
        names=[f"digit[{i}]" for i in range(n)],
        labels=digits.target[rows],
        classes=tuple("abcdefghij"[: len(amounts)]),
        splits=np.full(n, "", dtype="<U5") if splits is None else np.asarray(splits, dtype="<U5"),
        read=lambda i: pictures[i],
        groups=groups,
    )


class Recorder(Progress):
    """Counts what bars are told."""

    def __init__(self):
        self.totals, self.counted, self.said = {}, Counter(), []

    def say(self, text):
        self.said.append(text)

    def bar(self, total, what):
        from contextlib import contextmanager

        @contextmanager
        def counting():
            self.totals[what] = total
            yield lambda done: self.counted.update({what: done})

        return counting()


# ── roles ─────────────────────────────────────────────────────────────────────────────────────────


def test_roles_are_stratified_seeded_and_disjoint():
    data = dataset([60, 40, 20])
    role = roles.assign(data, Recipe())
    table = roles.counts(data, role, np.arange(120))
    assert table == {"train": [41, 27, 13], "valid": [7, 5, 3], "test": [12, 8, 4]} or (
        sum(table["test"]) == 24 and abs(sum(table["valid"]) - 14) <= 1 and table["test"] == [12, 8, 4]
    )
    np.testing.assert_array_equal(role, roles.assign(data, Recipe()))
    assert np.any(role != roles.assign(data, Recipe(seed=1)))


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_on_one_side(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 25, size=120).astype(str)
    role = roles.assign(dataset([60, 60], groups=groups), Recipe(seed=seed))
    for group in np.unique(groups):
        assert len(set(role[groups == group])) == 1


def test_own_splits_are_kept_and_only_what_lacks_is_held_out():
    own = ["train"] * 40 + ["test"] * 20 + ["train"] * 40 + ["test"] * 20
    role = roles.assign(dataset([60, 60], own), Recipe())
    np.testing.assert_array_equal(role == "test", np.array(own) == "test")
    assert np.sum(role == "valid") == 12
    own = ["train"] * 40 + ["valid"] * 20 + ["train"] * 40 + ["valid"] * 20
    role = roles.assign(dataset([60, 60], own), Recipe())
    np.testing.assert_array_equal(role == "valid", np.array(own) == "valid")
    assert np.sum(role == "test") == 16


def test_a_class_that_nobody_trains_is_refused():
    own = ["train"] * 10 + ["test"] * 10
    with pytest.raises(DataError, match=r"'b' has no picture to train on .* to 'test' by the data's own split.*Put"):
        roles.assign(dataset([10, 10], own), Recipe())
    lost = dataset([10, 1])
    with pytest.raises(DataError, match=r"cannot be read \(.*: empty\)\. Each class"):
        roles.check_taught(lost, np.zeros(10, int), [Skipped(lost.names[10], "empty")])
    with pytest.raises(DataError, match="Classes 'a', 'b', 'c' have only 1 picture"):
        roles.assign(dataset([1, 1, 1]), Recipe())
    rows = replace(dataset([1, 1]), features=np.zeros((2, 3)))
    with pytest.raises(DataError, match="have only 1 row in"):
        roles.assign(rows, Recipe())
    with pytest.raises(DataError, match="'b' has no row to train on"):
        roles.check_taught(rows, np.array([0]))
    assert set(roles.assign(dataset([1, 1, 1]), Recipe(test_share=0))) == {"train"}  # one shot, nothing judged


def test_a_class_of_one_picture_is_taught_and_costs_the_others_nothing(tmp_path):
    """Its picture trains; calibration, curve and doubted labels come from all the others."""
    data = dataset([30, 30, 1])
    for seed in range(5):
        role = roles.assign(data, Recipe(seed=seed))
        assert role[-1] == "train"
        assert set(role[:-1]) == {"train", "valid", "test"}
    pictures, names = np.stack([data.read(i) for i in range(61)]), [data.classes[label] for label in data.labels]
    outcome = linearhead.train((pictures, names), out=tmp_path / "run", features="pixels", cache=None)
    run, few = outcome.run, next(f for f in outcome.run.findings if f.code == "few-pictures")
    assert "'c' 1" in few.evidence
    assert few.title == "1 of 3 classes has fewer than 10 training pictures"
    judged = next(f for f in run.findings if f.code == "few-judged")
    assert (judged.title, "No test picture shows 'c'" in judged.evidence) == (
        "Few pictures judged the model, and none of some classes",
        True,
    )
    n = sum(run.data.taught)
    assert run.trust is not None
    assert run.trust.n == n - 1
    assert run.learning_curve is not None
    assert run.learning_curve.judged == n - 1
    assert not any(run.data.classes[one.label] == "c" for one in run.suspects)
    assert run.evaluations["test"].per_class[2].recall is None
    judged = linearhead.evaluate(outcome.folder, (pictures, names), split="all", cache=None)
    assert judged.evaluation.per_class[2].n == 1


def test_data_that_are_all_for_judging_say_so():
    with pytest.raises(DataError, match=r"no picture to train on: all 20 belong to 'test' by the data's own split"):
        roles.assign(dataset([10, 10], ["test"] * 20), Recipe())


def test_two_pictures_a_class_are_enough_to_run(tmp_path):
    """One trains, one judges; nothing chooses alpha, and that is said."""
    data, recorder = dataset([2, 2]), Recorder()
    role = roles.assign(data, Recipe(valid_share=0))
    assert sorted(role) == ["test", "test", "train", "train"]
    X = np.arange(8.0).reshape(4, 2)
    fitted = fitting.fit(fitting.Rows(X, np.array([0, 1, 0, 1]), 4), Recipe(valid_share=0), recorder)
    assert fitted.alpha == fitting.DEFAULT_ALPHA
    assert "No validation pictures" in recorder.said[0]


def test_fingerprint_changes_with_names_labels_and_classes():
    first, same = dataset([5, 5]), dataset([5, 5])
    assert roles.fingerprint(first) == roles.fingerprint(same)
    same.names[3] = "other"
    assert roles.fingerprint(first) != roles.fingerprint(same)
    assert roles.fingerprint(dataset([5, 6])) != roles.fingerprint(first)


# ── extraction ────────────────────────────────────────────────────────────────────────────────────


def extracted(data, spec, recorder=None, tolerance=None, rows=None):
    rows = np.arange(len(data)) if rows is None else rows
    looks = choose_pictures(data, rows, Recipe())
    pictures = Pictures(data, rows, looks, tolerance or Tolerance(len(rows), 0.01), recorder or Progress())
    extractor = pictures.learn(spec, rows[: len(rows) // 2], seed=0)
    return extractor, pictures.features(extractor), looks


@pytest.mark.parametrize("spec", ["pixels", "hog+color", "patches(quality=fast)"])
def test_features_are_those_of_the_extractor_in_the_order_asked(spec):
    data = dataset([150, 150])
    order = np.random.default_rng(0).permutation(300)
    extractor, got, _ = extracted(data, spec, rows=order)
    np.testing.assert_array_equal(got.rows, order)
    whole = np.stack([data.read(int(i))[:, :, None] for i in order])
    np.testing.assert_array_equal(got.X, extractor.transform(whole))


@pytest.mark.parametrize("spec", ["pixels", "patches(quality=fast)"])
def test_every_picture_is_decoded_once(spec, monkeypatch):
    data, recorder = dataset([40, 40]), Recorder()
    asked = Counter()
    read = data.read
    data.read = lambda i: asked.update([i]) or read(i)
    monkeypatch.setattr(extract, "PROBED", 0)
    extracted(data, spec, recorder)
    assert asked == Counter(range(80))
    assert recorder.counted["pictures"] == recorder.totals["pictures"] == 80


def test_the_sample_that_is_learned_from_is_bounded(monkeypatch):
    monkeypatch.setattr(extract, "SAMPLE_BYTES", 64 * 25)
    taught = []
    fit = Patches.fit
    monkeypatch.setattr(
        Patches, "fit", lambda self, pictures, seed=0: taught.append(len(pictures)) or fit(self, pictures, seed)
    )
    _, got, _ = extracted(dataset([40, 40]), "patches(quality=fast)")
    assert taught == [25]
    assert len(got.X) == 80


def test_unreadable_pictures_are_counted_and_past_the_limit_all_are_listed():
    data = dataset([50, 50])
    read = data.read
    data.read = lambda i: b"nothing" if i % 10 == 0 else read(i)
    _, got, _ = extracted(data, "hog+color", tolerance=Tolerance(100, 0.1))
    assert len(got.X) == len(got.rows) == 90
    assert [s.path for s in got.skipped] == [f"digit[{i}]" for i in range(0, 100, 10)]
    for spec in ("pixels", "hog+color"):
        with pytest.raises(
            DataError, match=r"10 of 100 pictures cannot be read(.|\n)*digit\[90\](.|\n)*--max-bad 0.1\b"
        ):
            extracted(data, spec, tolerance=Tolerance(100, 0.05))
        with pytest.raises(DataError, match=r"Unreadable picture digit\[\d*0\]"):
            extracted(data, spec, tolerance=Tolerance(100, 0.5, strict=True))


def test_train_predict_and_evaluate_see_byte_equal_features(tmp_path, monkeypatch):
    digits = load_digits()
    for label in (3, 8):
        (tmp_path / "data" / str(label)).mkdir(parents=True)
        for i in np.flatnonzero(digits.target == label)[:40]:
            path = tmp_path / "data" / str(label) / f"{i}.jpg"
            Image.fromarray(np.round(digits.images[i] * 15.9).astype(np.uint8)).resize((45, 35)).save(path)
    seen = {}
    answer = judge.answer

    def spying(model, X, y=None, **kept):
        seen.setdefault(verb, []).append(X.copy())
        return answer(model, X, y, **kept)

    for module in ("concluding", "judging", "predicting"):
        monkeypatch.setattr(f"linearhead.experiment.{module}.answer", spying)
    for spec in ("hog+color", "patches(quality=fast)"):
        verb = "train"
        outcome = linearhead.train(tmp_path / "data", out=tmp_path / spec, features=spec, alpha=0.1)
        verb = "evaluate"
        linearhead.evaluate(outcome.folder, tmp_path / "data")
        test = seen["train"][1]
        np.testing.assert_array_equal(test, seen["evaluate"][0])
        data = open_dataset(tmp_path / "data")
        rows = np.flatnonzero(roles.assign(data, Recipe()) == "test")
        verb = "predict"
        linearhead.predict(outcome.folder, [data.read(int(i)) for i in rows])
        np.testing.assert_array_equal(test, np.concatenate(seen["predict"]))
        for i in (0, 5):
            seen.pop("predict")
            linearhead.predict(outcome.folder, [data.read(int(rows[i]))])
            np.testing.assert_array_equal(test[i : i + 1], seen["predict"][0])
        seen.clear()


# ── fitting and judging ───────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def fitted():
    """(model, features, labels, how the fit went) on four digits."""
    data = dataset([60, 60, 60, 60])
    extractor, got, looks = extracted(data, "pixels")
    order = np.random.default_rng(0).permutation(240)
    X, y = got.X[order], data.labels[order]
    state = fitting.fit(fitting.Rows(X[:200], y[:200], 160), Recipe(), Progress())
    model = Model(list(data.classes), state.best.coef_, state.best.intercept_, looks, extractor, "cross_entropy")
    return model, X, y, state


def test_alpha_is_chosen_on_validation_rows_and_the_model_fits_all(fitted):
    state = fitted[3]
    summary = state.summary(Recipe())
    assert summary.converged
    assert len(summary.path) >= 5
    assert summary.alpha in [row["alpha"] for row in summary.path]
    assert summary.trace.value[0] == pytest.approx(np.log(4), rel=1e-3)  # from zero: the lecture's curve
    assert summary.trace.valid_loss[-1] < summary.trace.valid_loss[0]


def test_in_place_of_few_rows_drawn_at_random_all_choose_alpha_fold_by_fold(fitted, monkeypatch):
    _, X, y, state = fitted
    X, y, plan, judges = X[:200], y[:200], Recipe(), []
    monkeypatch.setattr(path, "follow", lambda *a, of=path.follow, **o: judges.extend(a[2]) or of(*a, **o))
    found = fitting.fit(fitting.Rows(X, y, 160, drawn=True), plan, Progress())
    assert len(judges) == fitting.PARTS
    assert np.array_equal(sum(held.weights for _, held in judges), np.ones(200))
    assert all(np.array_equal(fold.weights + held.weights, np.ones(200)) for fold, held in judges)
    assert found.folds
    assert not state.folds  # the data's own validation rows
    assert len(found.held) == 40
    groups, alone = np.arange(200) // 8, np.where(np.arange(200) == 5, 4, y)
    fold = fitting.folded(fitting.Rows(X, y, 160, drawn=True), plan, groups)
    assert all(len(set(fold[groups == g])) == 1 for g in range(25))
    assert np.flatnonzero(fitting.folded(fitting.Rows(X, alone, 160, drawn=True), plan, None) == -1).tolist() == [5]
    many, dear = fitting.Rows(X, y, 0, drawn=True), Recipe(loss="hinge")
    assert fitting.folded(many, plan, None) is None
    assert fitting.folded(fitting.Rows(X, y, 160, drawn=True), dear, None) is None


def test_a_given_alpha_is_used_and_still_draws_curves(fitted):
    _, X, y, _ = fitted
    state = fitting.fit(fitting.Rows(X[:200], y[:200], 160), Recipe(alpha=0.5), Progress())
    assert (state.alpha, state.path) == (0.5, [])
    assert state.trace.valid_accuracy[-1] > 0.9
    alone = SoftmaxClassifier(alpha=0.5, standardize=True).fit(X[:200], y[:200])  # all 200, not the 160
    np.testing.assert_allclose(state.best.coef_, alone.coef_, atol=1e-4 * np.abs(alone.coef_).max())


@pytest.mark.parametrize("alpha", [1e-1, 1e-3, 1e-5])
def test_held_scores_are_settled_although_that_fit_ends_early(fitted, alpha):
    _, X, y, _ = fitted
    state = fitting.fit(fitting.Rows(X[:200], y[:200], 160), Recipe(alpha=alpha), Progress())
    exact = SoftmaxClassifier(alpha=alpha, standardize=True, tol=1e-8).fit(X[:160].astype(float), y[:160])
    p = CrossEntropy().probabilities(state.held)
    assert log_loss(y[160:200], p) == pytest.approx(log_loss(y[160:200], exact.predict_proba(X[160:200])), rel=0.01)
    assert state.trace.passes[-1] <= exact.trace_.passes[-1]


@pytest.mark.parametrize("options", [{"penalty": "none", "alpha": "auto"}, {"penalty": "l1"}, {"loss": "squared"}])
def test_other_combinations_fit(fitted, options):
    _, X, y, _ = fitted
    state = fitting.fit(fitting.Rows(X[:200], y[:200], 160), Recipe(**options, max_iter=200), Progress())
    scores = X[200:] @ state.best.coef_.T + state.best.intercept_
    assert np.mean(scores.argmax(axis=1) == y[200:]) > 0.9


def test_fits_of_many_columns_share_the_directions_of_their_curvature(fitted, monkeypatch):
    from linearhead.objective import basis, span

    _, X, y, state = fitted
    for module, name, value in ((basis, "FULL_EIGEN", 20), (span, "FULL_EIGEN", 20), (basis, "SKETCH", 16)):
        monkeypatch.setattr(module, name, value)
    made, make_basis = [], basis.sample_basis
    monkeypatch.setattr(basis, "sample_basis", lambda objective: made.append(1) or make_basis(objective))
    again = fitting.fit(fitting.Rows(X[:200], y[:200], 160), Recipe(), Progress())
    assert len(made) == 1  # path, curves and the model
    assert again.best.converged_
    assert again.alpha == state.alpha
    mine, other = again.best.certificate_, state.best.certificate_
    assert abs(mine.value - other.value) <= mine.gap + other.gap
    given = fitting.fit(fitting.Rows(X[:200], y[:200], 160), Recipe(alpha=0.1), Progress())
    assert len(made) == 2  # curves and the model
    assert given.best.converged_


def test_answers_agree_with_the_model_in_any_block(fitted):
    model, X, y, _ = fitted
    answers = judge.answer(model, X, y)
    scores = model.scores(X)
    p = model.probabilities(scores)
    np.testing.assert_array_equal(answers.predicted, scores.argmax(axis=1))
    np.testing.assert_array_equal(answers.runner_up, np.argsort(scores, axis=1)[:, -2])
    np.testing.assert_allclose(answers.label_confidence, p[np.arange(len(y)), y], rtol=1e-5)
    np.testing.assert_allclose(answers.confidence, p.max(axis=1), rtol=1e-5)
    for part in (slice(0, 1), slice(7, 8), slice(3, 70), slice(100, 240)):
        some = judge.answer(model, X[part])
        np.testing.assert_array_equal(some.confidence, answers.confidence[part])
    assert len(judge.answer(model, X[:0]).predicted) == 0


def test_the_gallery_shows_the_worst_and_every_cell(fitted):
    model, X, y, _ = fitted
    rng = np.random.default_rng(0)
    wrong = np.where(rng.random(len(y)) < 0.3, (y + 1) % 4, y)  # mislabelled on purpose
    answers = judge.answer(model, X, wrong)
    chosen, most_wrong, cells = gallery.choose(answers, wrong)
    assert len(set(chosen)) == len(chosen) <= gallery.BUDGET
    confidences = [answers.label_confidence[chosen[i]] for i in most_wrong]
    assert confidences == sorted(confidences)
    errors = np.flatnonzero(answers.predicted != wrong)
    assert confidences[0] == answers.label_confidence[errors].min()
    filled = {f"{t},{p}" for t, p in zip(wrong, answers.predicted, strict=True)}
    assert set(cells) == filled
    assert sorted(i for places in cells.values() for i in places) == list(range(len(chosen)))


def test_weights_are_pictures_of_the_pixels(fitted):
    import base64
    import io

    model, X, _, _ = fitted
    drawn = gallery.weights(model, (8, 8, 1), X)
    assert len(drawn) == 4
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn[0].split(",")[1]))))
    strength = (model.coef[0] * X.std(axis=0)).reshape(8, 8)
    assert np.corrcoef(pixels.ravel(), strength.ravel())[0, 1] > 0.99
    assert abs(int(pixels[X.std(axis=0).reshape(8, 8) == 0].mean()) - 127) <= 1
    model = Model(model.classes, model.coef, model.intercept, None, make("hog"), "cross_entropy")
    assert gallery.weights(model, (8, 8, 1), X) == []


@pytest.mark.parametrize("spec", ["patches(filters=12)", "color+patches(filters=12)"])
def test_patches_are_drawn_as_filters_and_their_weights_through_them(spec):
    import base64
    import io

    data = dataset([30, 30])
    extractor, got, looks = extracted(data, spec)
    coef = np.random.default_rng(0).normal(size=(2, got.X.shape[1])).astype(np.float32)
    model = Model(["a", "b"], coef, np.zeros(2, np.float32), looks, extractor, "cross_entropy")
    drawn = gallery.weights(model, looks.shape, got.X)
    sheet = gallery.filters(model, looks.shape, got.X)
    sizes = [Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).size for uri in (*drawn, sheet)]
    assert sizes == [(9, 9), (9, 9), (12 * 4 + 1, 5)]  # 3×3 places of 3×3 pixels; 12 filters in a row
    assert drawn[0] != drawn[1]
    hog = Model(model.classes, coef, model.intercept, None, make("hog"), "cross_entropy")
    assert gallery.filters(hog, (8, 8, 1), got.X) == ""


def test_thumbnails_keep_proportions_and_stay_small(tmp_path):
    import base64
    import io

    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    looks = choose_pictures(dataset([5, 5]), np.arange(10), Recipe())
    uri = gallery.thumbnail(noise, looks)
    shown = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert shown.size == (96, 72)
    assert gallery.thumbnail(b"gone", looks) == ""
    assert gallery.thumbnail(tmp_path / "gone.png", looks) == ""


# ── recipe and record ─────────────────────────────────────────────────────────────────────────────


def test_recipes_survive_the_model_file():
    recipe = Recipe(size=(32, 48), alpha=0.5, seed=7, class_weight="balanced")
    saved = json.loads(json.dumps(to_json(recipe.to_dict())))
    assert Recipe.from_dict(saved) == recipe
    assert Recipe.from_dict(saved | {"of_a_later_version": 1}) == recipe


@pytest.mark.parametrize(
    "wrong", [{"alpha": "strong"}, {"alpha": -1}, {"loss": "hinge", "solver": "lbfgs"}, {"features": "x"}, {"tol": -1}]
)
def test_recipes_that_cannot_work(wrong):
    with pytest.raises(UsageError):
        Recipe(**wrong).check()


def test_real_pictures_of_many_kinds(shared_data, tmp_path):
    """trash-photos: six classes of JPEG photos, 220 in all; the whole way through, and the record reads back."""
    outcome = linearhead.train(shared_data / "trash-photos", out=tmp_path / "run", features="hog+color", size=(32, 32))
    record = from_json(Run, json.loads((tmp_path / "run" / "run.json").read_text()))
    assert to_json(record) == to_json(outcome.run)
    assert record.data.found == 220
    assert record.evaluations["test"].accuracy > 0.3
    assert {f.code for f in record.findings} >= {"overfitting", "few-judged"}
    model = store.load(outcome.model)
    assert model.facts["recipe"]["size"] == [32, 32]
    with pytest.raises(FileError, match="No model at"):
        linearhead.predict(tmp_path, ["x.png"])


def test_arrays_in_memory_get_everything_that_files_get(tmp_path):
    digits = load_digits()
    pictures, y = (digits.images[::6] / 16 * 255).astype(np.uint8), digits.target[::6]
    ran = linearhead.train((pictures, y), out=tmp_path / "run", features="pixels")
    assert ran.run.data.source == "arrays in memory"
    assert ran.report.exists()
    judged = linearhead.evaluate(ran.folder, (pictures, y))  # the very data of train: those which it held out
    assert judged.which == "test"
    assert judged.evaluation.accuracy == ran.run.evaluations["test"].accuracy


def test_predict_passes_over_what_the_desktop_keeps_for_itself(tmp_path):
    for name in ("a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/a.png", "b/c.png"):
        place = tmp_path / "photos" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    files, _ = list_files([tmp_path / "photos"])
    assert [file.name for file in files] == ["a.png", "c.png"]


def test_predict_walks_through_links_to_folders_each_once(tmp_path):
    for name in ("real/a.png", "elsewhere/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    for name, target in (("far", tmp_path / "elsewhere"), ("itself", tmp_path / "real"), ("lost", tmp_path / "gone")):
        (tmp_path / "real" / name).symlink_to(target)
    files, _ = list_files([tmp_path / "real"])
    assert [file.name for file in files] == ["a.png", "b.png", "lost"]
