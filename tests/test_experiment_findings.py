"""Every finding fires where it should, stays silent where it should, and says its figures."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead import diagnose
from linearhead.cli.words import accuracy_line
from linearhead.experiment import judge, trusting
from linearhead.metrics import evaluate
from linearhead.records import Certificate, DataSummary, Duplicates, FitSummary, LearningCurve, Run, Status, Trace
from linearhead.report import view

CLASSES = ["cat", "dog"]


def judged(hits, n, classes=2):
    """An evaluation with `hits` of `n` right, the classes alternating."""
    y = np.arange(n) % classes
    predicted = np.where(np.arange(n) < hits, y, (y + 1) % classes)
    return evaluate(y, predicted, [f"class {i}" for i in range(classes)])


def make_run(train=(990, 1000), test=(970, 1000), counts=(500, 500), converged=True, path=(), alpha=0.01):
    counts = {"train": list(counts), "valid": [0, 0], "test": [500, 500]}
    data = DataSummary("photos", "folder", CLASSES, 2000, 2000, [], counts, {})
    proof = Certificate(value=0.25, gap=3e-4, residual=2e-3, tolerance=1e-6, certified=converged)
    status = "the tolerance was reached" if converged else "the iteration limit came before the tolerance"
    fit = FitSummary("cross_entropy", "l2", "lbfgs", alpha, True, status, converged, 7, 9, proof, Trace(), list(path))
    evaluations = {"train": judged(*train), "test": judged(*test)}
    return Run("0.1.0", "now", "linearhead train", data, {"name": "hog"}, fit, evaluations)


def codes(run):
    return {finding.code: finding for finding in diagnose.verdict(run)}


def test_a_sound_run_has_one_good_finding():
    (finding,) = diagnose.verdict(make_run())
    assert (finding.code, finding.severity) == ("sound", "good")
    assert "97.0%" in finding.evidence


@pytest.mark.parametrize(
    ("train", "test", "severity"),
    [((1000, 1000), (800, 1000), "warning"), ((1000, 1000), (700, 1000), "problem"), ((30, 30), (27, 30), None)],
)
def test_overfitting(train, test, severity):
    found = codes(make_run(train=train, test=test)).get("overfitting")
    assert (found and found.severity) == severity
    if found:
        assert "gap of" in found.evidence


def test_underfitting_and_not_both():
    found = codes(make_run(train=(800, 1000), test=(790, 1000)))
    assert "20.0% of the 1000 training pictures are wrong" in found["underfitting"].evidence
    assert "overfitting" not in found
    assert "sound" not in found
    assert "underfitting" not in codes(make_run(train=(800, 1000), test=(600, 1000)))


def test_not_converged_names_residual_and_gap():
    found = codes(make_run(converged=False))["not-converged"]
    assert "7 iterations" in found.evidence
    assert "2.0e-03" in found.evidence
    assert "3.0e-04" in found.evidence


def test_what_is_short_of_all_is_nowhere_called_all():
    """The report says 99.9 % of 2 175 of 2 176; sentences of the record and the terminal say the same."""
    run = make_run(train=(2175, 2176), test=(1500, 2176))
    assert "Accuracy 99.9% on the 2176" in codes(run)["overfitting"].evidence
    assert "100.0" not in accuracy_line("Training", run.evaluations["train"])
    assert "(95 % interval 99.7 to 99.9 %)" in accuracy_line("Training", run.evaluations["train"])


def test_imbalance_and_few_pictures():
    found = codes(make_run(counts=(900, 9)))
    assert "100 to 1" in found["imbalance"].evidence
    assert "'dog' 9" in found["few-pictures"].evidence
    assert "imbalance" not in codes(make_run(counts=(900, 100)))


def test_no_better_than_majority():
    found = codes(make_run(train=(520, 1000), test=(510, 1000)))["no-better-than-majority"]
    assert found.severity == "problem"
    assert "50.0%" in found.evidence


def test_few_judged_says_how_many_would_do():
    found = codes(make_run(test=(36, 40)))["few-judged"]
    assert "40 test pictures" in found.evidence
    assert "384" in found.advice
    assert "few-judged" not in codes(make_run())


def test_a_class_that_nothing_judges_is_named():
    run = make_run()
    test = run.evaluations["test"]
    per_class = [replace(test.per_class[0], n=0), *test.per_class[1:]]
    found = codes(replace(run, evaluations={"test": replace(test, per_class=per_class)}))["few-judged"]
    assert found.title == f"No test picture shows 1 of {len(per_class)} classes"
    assert f"'{per_class[0].label}'" in found.evidence


def test_overfitting_does_not_advise_a_penalty_that_the_validation_pictures_refused():
    path = [{"alpha": a, "valid_accuracy": v} for a, v in ((1.0, 0.8), (0.1, 0.85), (0.01, 0.9))]
    tried = codes(make_run(train=(1000, 1000), test=(800, 1000), path=path, alpha=0.01))["overfitting"]
    assert "preferred this one" in tried.advice
    assert "--alpha" not in tried.command
    given = codes(make_run(train=(1000, 1000), test=(800, 1000), alpha=0.01))["overfitting"]
    assert "or a stronger penalty than alpha = 0.01" in given.advice
    assert given.command.endswith("--alpha 0.1")


def test_alpha_at_edge_hears_the_log_loss_where_accuracies_differ_by_chance():
    def path(last, error=0.03):
        rows = ((0.1, 0.9, 1.0), (0.01, 0.9, 0.9), (0.001, last, 0.8))
        return [{"alpha": a, "valid_accuracy": v, "valid_loss": loss, "valid_error": error} for a, v, loss in rows]

    run = make_run(path=path(0.88), alpha=0.001)
    assert "alpha-at-edge" in codes(run)
    assert "alpha-at-edge" not in codes(replace(run, fit=replace(run.fit, path=path(0.88, 0.01))))
    assert "alpha-at-edge" not in codes(replace(run, fit=replace(run.fit, path=path(0.8))))
    certain = [row | {"valid_loss": 1e-5 * row["valid_loss"]} for row in path(0.9)]
    assert "alpha-at-edge" not in codes(replace(run, fit=replace(run.fit, path=certain)))


def test_alpha_at_edge_is_silent_where_rows_are_told_apart_with_certainty_or_nothing_was_learned():
    path = [{"alpha": a, "valid_accuracy": v} for a, v in ((0.1, 0.9), (0.01, 0.9), (0.001, 0.95))]
    run = make_run(path=path, alpha=0.001)
    sure = replace(run.evaluations["train"], log_loss=1e-5)
    assert "alpha-at-edge" not in codes(replace(run, evaluations=run.evaluations | {"train": sure}))
    guess = codes(make_run(path=path, alpha=0.001, test=(3, 10)))
    assert "no-better-than-majority" in guess
    assert "alpha-at-edge" not in guess


@pytest.mark.parametrize(("alpha", "fires"), [(0.001, True), (0.01, False), (0.1, False)])
def test_alpha_at_edge_needs_a_better_edge(alpha, fires):
    path = [{"alpha": a, "valid_accuracy": v} for a, v in ((0.1, 0.9), (0.01, 0.9), (0.001, 0.95))]
    found = codes(make_run(path=path, alpha=alpha))
    assert ("alpha-at-edge" in found) == fires
    if fires:
        assert "0.0001" in found["alpha-at-edge"].advice


STEPPING = [f"learning-rate-{how}" for how in ("large", "small")]


def cosine(t):
    """How much of all steps lies behind at the share t of the epochs."""
    return t + np.sin(np.pi * t) / np.pi


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([2.3 - 0.02 * cosine(t) for t in np.linspace(0, 1, 21)], STEPPING[1:]),
        ([2.3 - 0.02 * t for t in np.linspace(0, 1, 21)], STEPPING[1:]),
        ([2.3, 0.11, 0.08, 0.075, 0.07, 0.066, 0.061, 0.058, 0.056], []),
        ([2.3, 1.2, 0.9, 0.8, 0.75, 0.72, 0.7, 0.69], []),
        ([2.3, 715.0, 90.0, 300.0, 20.0, 11.0, 8.0, 2.0, 0.4], STEPPING[:1]),  # not also too small
    ],
)
def test_a_learning_rate_of_mini_batches(values, told):
    run = make_run(converged=False)
    run.fit.solver, run.fit.trace = "sgd", Trace(value=list(map(float, values)))
    found = codes(run)
    assert [code for code in found if code in STEPPING] == told
    assert ("not-converged" in found) == (not told)  # the reason stands in its place
    for code in told:
        assert not re.search(r"\d{3}%", found[code].evidence)


def test_a_rate_that_was_found_is_told_and_epochs_are_called_so():
    run = make_run(converged=False)
    run.fit.solver, run.fit.learning_rate = "sgd", 0.04
    run.fit.trace = Trace(value=[2.3 - 0.02 * t for t in np.linspace(0, 1, 21)])
    small = codes(run)["learning-rate-small"]
    assert "The epochs ran out" in small.evidence
    assert "whose rate was 0.04" in small.evidence
    assert "Take --learning-rate 0.1," in small.advice
    run.fit.trace = Trace(value=[2.3, 0.11, 0.08, 0.075, 0.07, 0.066])
    assert codes(run)["not-converged"].evidence.startswith("sgd after 7 epochs: ")
    told = dict(view.fit(run))
    assert (told["learning rate"], told["epochs"]) == ("0.04", "7")
    assert "learning rate" not in dict(view.fit(make_run()))


def unfinished(start, end, gap):
    """A fit that ended early, on pictures that it does not tell apart."""
    curve = LearningCurve([200, 400], [0.81, 0.815], judged=400, twice=0.817, gain=0.002, gain_error=0.003)
    run = make_run(train=(500, 1000), test=(95, 200), converged=False)
    run.fit.trace = Trace(value=[start, end])
    run.fit.certificate = Certificate(end, gap, 0.2, 1e-7, False)
    probes = {name: PROBES[name] for name in ("calibration", "brightness")}
    return replace(run, learning_curve=curve, probes=probes)


FEATURES_AND_PICTURES = {"underfitting", "richer-features", "miscalibrated", "shortcut"}


def test_a_fit_far_from_its_optimum_says_nothing_of_features_and_pictures():
    far, near = codes(unfinished(2.3, 2.29, 2.29)), codes(unfinished(2.3, 1.0, 0.05))
    assert not FEATURES_AND_PICTURES & set(far)
    assert far["no-better-than-majority"].command == far["not-converged"].command != ""
    assert "its fit ended far from the optimum" in far["no-better-than-majority"].advice
    assert {"miscalibrated", "shortcut"} <= set(near)
    assert "its fit ended" not in near["no-better-than-majority"].advice
    far, near = unfinished(2.3, 2.29, 2.29), unfinished(2.3, 1.0, 0.05)
    for run in (far, near):
        run.evaluations |= {"train": judged(800, 1000), "test": judged(160, 200)}
    assert not FEATURES_AND_PICTURES & set(codes(far))
    assert set(codes(near)) >= FEATURES_AND_PICTURES
    far.fit.certificate = Certificate(float("inf"), None, 0.2, 1e-7, False)
    assert not FEATURES_AND_PICTURES & set(codes(far))


def test_a_run_without_test_pictures_has_a_verdict():
    run = make_run()
    run = replace(run, evaluations={"train": run.evaluations["train"]})
    assert [f.code for f in diagnose.verdict(run)] == ["sound"]


def test_codes_are_file_names_and_unique():
    modules = {check.__module__.rsplit(".", 1)[1].replace("_", "-") for check in diagnose.CHECKS.values()}
    assert modules == set(diagnose.CHECKS)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([10, 9, 8, 7, 6, 5, 4, 3, 2], {"learning-rate-small"}),
        ([10, 6, 7, 5, 4, 3.5, 3, 2.5, 2], set()),  # it rose once: no step that is too short does
        ([10, 14, 7, 9, 6, 5, 4, 3, 2], {"learning-rate-large"}),
        ([10, 5, 7, 3, 4, 2, 2.5, 1.5, 1.4], {"learning-rate-large"}),  # zigzags down
        ([10, 5, 2, 1.5, 1.52, 1.49, 1.5, 1.48, 1.48], set()),  # as momentum does
        ([10, 2, 1.2, 1.1, 1.02, 1.01, 1.0, 1.0, 1.0], set()),
    ],
)
def test_one_learning_rate_is_not_called_too_small_and_too_large_at_once(values, told):
    run = make_run(converged=False)
    trace = Trace(value=[float(v) for v in values])
    run = replace(run, fit=replace(run.fit, solver="gd", trace=trace))
    assert {code for code in codes(run) if code.startswith("learning-rate")} == told


def test_a_call_for_more_pictures_does_not_end_in_the_command_that_was_just_run():
    path = [{"alpha": a, "valid_accuracy": 0.8} for a in (0.1, 0.01, 0.001)]
    run = make_run(train=(1000, 1000), test=(800, 1000), path=path)
    run.command = "linearhead train photos --size 32x32 --out runs/a"
    assert codes(run)["overfitting"].command == "linearhead train MORE_PICTURES --size 32x32"


PROBES = {
    "labels": {"n": 1000.0, "noise": 0.1, "gain": 50.0},
    "calibration": {"ece": 0.2, "chance": 0.03, "stated": 0.9, "right": 0.7},
    "brightness": {"n": 800.0, "accuracy": 0.95, "guess": 0.5},
}


@pytest.mark.parametrize("options", ["", " --class-weight balanced --fit crop --features auto --quality best"])
def test_no_advice_is_the_command_that_was_just_run(options):
    run = make_run(train=(700, 1000), test=(680, 1000), counts=(900, 9))
    run = replace(run, probes=PROBES, command=f"linearhead train photos{options} --out runs/a")
    found = codes(run)
    assert {"label-errors", "miscalibrated", "shortcut", "imbalance", "underfitting"} <= set(found)
    just_run = f"linearhead train photos{options}"
    assert [c for c, f in found.items() if set(f.command.split()) == set(just_run.split())] == []
    assert found["miscalibrated"].command == f"linearhead train MORE_PICTURES{options}"
    assert found["label-errors"].command == f"linearhead train RUN/labels.csv{options}"


def test_labels_that_lie_in_no_files_are_mended_where_they_are_kept():
    run = make_run()
    found = codes(replace(run, probes=PROBES, data=replace(run.data, reader="idx")))["label-errors"]
    assert found.command == ""
    assert "where they are kept" in found.advice


@pytest.mark.parametrize(
    ("status", "command", "says"),
    [
        (Status.STALLED, "--tol 0.004", "More iterations change nothing"),
        (Status.MAX_ITER, "--max-iter 100", "larger --max-iter"),
        (Status.DIVERGED, "--solver lbfgs", "smaller steps"),
        (Status.UNBOUNDED, "--penalty l2", "cost something"),
        (Status.INTERRUPTED, "", "let it finish"),
    ],
)
def test_what_helps_depends_on_what_stopped_the_fit(status, command, says):
    run = make_run(converged=False)
    run.fit.status = status.value
    finding = codes(run)["not-converged"]
    assert finding.command.endswith(command)
    assert bool(finding.command) == bool(command)
    assert says in finding.advice


def test_underfitting_says_of_more_pictures_what_the_learning_curve_says():
    run = make_run(train=(70, 100), test=(55, 80))
    assert "would not change much" in codes(run)["underfitting"].evidence
    curve = LearningCurve([50, 100], [0.5, 0.6], 100, twice=0.66, gain=0.06, gain_error=0.01)
    found = codes(replace(run, learning_curve=curve))
    assert "more-pictures" in found
    assert "more pictures would help" in found["underfitting"].evidence


def test_few_judged_pictures_ask_for_more_before_other_features():
    few, many = make_run(train=(36, 40), test=(4, 7)), make_run(train=(520, 1000), test=(510, 1000))
    assert "MORE_PICTURES" in codes(few)["no-better-than-majority"].command
    assert "--features" in codes(many)["no-better-than-majority"].command


def test_a_fit_that_was_interrupted_is_not_said_to_lack_its_intercept():
    run = replace(make_run(converged=False), probes={"intercept": {"largest": 0.02}})
    assert "intercept-frozen" in codes(run)
    run.fit.status = Status.INTERRUPTED.value
    assert "intercept-frozen" not in codes(run)


def test_what_noise_of_batches_leaves_is_no_lacking_intercept():
    told = {
        (converged, gap): "intercept-frozen"
        in codes(replace(make_run(converged=converged), probes={"intercept": {"largest": gap}}))
        for converged in (True, False)
        for gap in (0.004, 0.006, 0.011)
    }
    assert told == {k: k[1] > (0.005 if k[0] else 0.01) for k in told}


def test_steps_that_are_too_short_have_not_left_the_intercept_out():
    run = replace(make_run(converged=False), probes={"intercept": {"largest": 0.02}})
    run.fit.solver, run.fit.trace = "gd", Trace(value=[2.3, 2.2, 2.1, 2.0, 1.9])
    assert "learning-rate-small" in codes(run)
    assert "intercept-frozen" not in codes(run)


def test_a_rare_class_that_is_found_is_not_called_worse_than_no_model():
    y = np.repeat([0, 1], [186, 6])
    predicted = np.where(np.arange(192) < 188, 0, 1)  # two of the six rare ones are missed
    run = make_run(counts=(742, 24))
    run.evaluations["test"] = evaluate(y, predicted, CLASSES)
    found = codes(run)["no-better-than-majority"]
    assert found.severity == "warning"
    assert "83.3% on average" in found.evidence
    assert found.command.endswith("--class-weight balanced")
    assert "--class-weight balanced" in found.advice
    weighted = codes(replace(run, command="linearhead train photos --seed 1 --class-weight balanced --size 64"))
    for code in ("no-better-than-majority", "imbalance"):  # what it has had is not advised
        assert "--class-weight" not in weighted[code].advice
        assert weighted[code].command.startswith("linearhead train MORE_PICTURES")
    run.evaluations["test"] = evaluate(y, np.zeros(192, int), CLASSES)
    assert codes(run)["no-better-than-majority"].severity == "problem"


def random_labels():
    curve = LearningCurve([270, 540], [0.49, 0.5], judged=720, twice=0.5, gain=0.0, gain_error=0.004)
    run = make_run(train=(580, 1000), test=(490, 1000))
    return replace(run, learning_curve=curve, probes={"labels": {"n": 1000.0, "wrong": 0.5}})


def test_a_penalty_too_strong_is_not_the_pictures_fault():
    """The rim tells four in ten; that is most of what the classifier does, but not of what the nearest picture does."""
    probes = {"border": {"n": 1000.0, "accuracy": 0.48, "guess": 0.1}}
    run = replace(make_run(train=(510, 1000), test=(500, 1000)), probes=probes)
    run.evaluations["test"].majority_accuracy = 0.1
    assert "shortcut" in codes(run)
    run.evaluations["test"].nearest_accuracy = 0.97
    assert "shortcut" not in codes(run)


def test_labels_given_at_random_are_named_and_nothing_else_is_promised():
    found = codes(random_labels())
    assert "labels given at random look like this" in found["no-better-than-majority"].evidence
    assert found["no-better-than-majority"].title.endswith("given at random")
    assert "every label belongs to its picture" in found["no-better-than-majority"].advice
    assert not {"underfitting", "richer-features", "enough-pictures"} & set(found)
    better = replace(random_labels(), probes={"labels": {"n": 1000.0, "wrong": 0.3}})
    assert "at random" not in codes(better)["no-better-than-majority"].evidence
    uneven = replace(random_labels(), probes={"labels": {"n": 1000.0, "wrong": 0.5, "chance": 0.4}})
    assert "at random" not in codes(uneven)["no-better-than-majority"].title  # no better than one answer, but not blind


def test_what_the_same_answers_given_at_random_would_score():
    scores = np.eye(3)[[0, 0, 0, 1, 1, 2]]
    found = trusting.noise(SimpleNamespace(loss="squared"), scores, np.array([0, 0, 1, 1, 1, 1]))
    assert found["wrong"] == pytest.approx(2 / 6)
    assert found["chance"] == pytest.approx((3 * 2 + 2 * 4 + 1 * 0) / 36)


def test_labels_given_at_random_are_named_without_validation_pictures_too():
    run = random_labels()
    counts = run.data.counts
    assert run.data.taught == [sum(both) for both in zip(counts["train"], counts.get("valid") or [0, 0], strict=True)]
    run.data.counts = {"train": run.data.taught, "test": counts["test"]}
    assert run.data.taught == run.data.counts["train"]
    assert "labels given at random look like this" in codes(run)["no-better-than-majority"].evidence
    run.data.counts["valid"] = []
    assert "labels given at random look like this" in codes(run)["no-better-than-majority"].evidence


def test_pictures_and_features_are_not_both_said_to_help_most():
    curve = LearningCurve([50, 100], [0.7, 0.75], judged=1000, twice=0.77, gain=0.02, gain_error=0.01)
    run = replace(make_run(train=(1000, 1000), test=(750, 1000)), learning_curve=curve)
    assert "more-pictures" in codes(run)
    assert "richer-features" not in codes(run)
    assert codes(run)["overfitting"].advice.startswith("More pictures help most")
    flat = replace(run, learning_curve=replace(curve, gain=0.002, gain_error=0.004))
    assert {"richer-features", "enough-pictures"} <= set(codes(flat))
    assert codes(flat)["overfitting"].advice.startswith("Fewer or more robust features")


def test_the_remedy_for_a_bright_class_changes_what_sees_brightness():
    run = replace(make_run(), probes={"brightness": PROBES["brightness"]})
    assert codes(replace(run, features={"name": "color"}))["shortcut"].command.endswith("--features hog")
    assert "--features" not in codes(run)["shortcut"].advice  # hog it is already
    rim = codes(replace(run, probes={"border": PROBES["brightness"]}))["shortcut"]
    assert "cut the rim off" in rim.advice
    assert "--fit" not in rim.command


def test_a_class_of_one_kind_of_file_is_named():
    run, seen = make_run(), {"n": 48.0, "others": 96.0, "class": 1.0, "found": 0.96, "taken": 0.02}
    told = codes(replace(run, probes={"file": seen}))["shortcut"]
    assert told.title == f"The kind of its file alone gives class '{run.data.classes[1]}' away"
    assert "96.0% of 48" in told.evidence
    for less in ({"found": 0.8}, {"taken": 0.2}, {"others": 9.0}, {"n": 9.0}):
        assert "shortcut" not in codes(replace(run, probes={"file": seen | less}))


def test_copies_in_a_split_that_came_with_the_data_are_not_to_be_grouped():
    copies = Duplicates(compared=2000, exact=100, near=0, conflicting=0, judged=100)
    run = replace(make_run(train=(1000, 1000), test=(800, 1000)), duplicates=copies)
    assert "--group" in codes(run)["duplicates-across-splits"].command
    assert "without the copies" in codes(run)["overfitting"].advice
    own = replace(run, data=replace(run.data, split_given=True))
    assert codes(own)["duplicates-across-splits"].command == ""
    assert codes(run)["duplicates-across-splits"].title.startswith("Some test")
    whole = codes(replace(run, duplicates=replace(copies, judged=1000)))["duplicates-across-splits"]
    assert whole.title == "All test pictures are copies of training pictures"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_the_nearest_picture_is_found_in_narrow_rows(dtype):
    """Squared lengths beyond what float16 holds; in uint8 one over a deviation would round to 0."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(4), 700)
    X = np.rint(120 + 40 * rng.normal(size=(4, 300))[y] + 30 * rng.normal(size=(2800, 300))).clip(0, 255)
    X = (X if dtype == np.uint8 else X + 1500).astype(dtype)
    X[:, 0] = 7  # a column that never changes
    judged = SimpleNamespace(intervals={}, independent=None)
    judge.nearest_baseline(judged, X, y, 2500, 0)
    unit = 1 / np.maximum(X[:2500].std(axis=0, dtype=float), 1e-9)
    unit[0] = 0
    A, B = X[:2500] * unit, X[2500:] * unit
    distance = (A * A).sum(axis=1) - 2 * B @ A.T
    assert judged.nearest_accuracy == pytest.approx(np.mean(y[distance.argmin(axis=1)] == y[2500:]), abs=0.01)
    assert judged.nearest_accuracy > 0.9


def test_the_nearest_picture_is_looked_for_in_the_columns_of_the_fit():
    """Signal in the one column of larger spread: scaled alike the others drown it."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(2), 300)
    X = rng.normal(size=(600, 50)).astype(np.float32)
    X[:, 0] += 40 * y
    found = [SimpleNamespace(intervals={}, independent=None) for _ in range(2)]
    for judged, scaled in zip(found, (False, True), strict=True):
        judge.nearest_baseline(judged, X, y, 400, 0, scaled)
    assert found[0].nearest_accuracy == 1.0
    assert found[1].nearest_accuracy < 0.95


def test_features_help_most_where_the_training_pictures_are_not_told_apart_either():
    curve = LearningCurve([50, 100], [0.68, 0.7], judged=1000, twice=0.72, gain=0.02, gain_error=0.005)
    run = replace(make_run(train=(730, 1000), test=(710, 1000)), learning_curve=curve)
    assert {"underfitting", "more-pictures", "richer-features"} <= set(codes(run))
    much = replace(run, learning_curve=replace(curve, gain=0.05))
    assert "richer-features" not in codes(much)


def wrong_labels(**kwargs):
    """A run of which 14 % of the training labels look wrong, 16 % out of fold."""
    run = make_run(**kwargs)
    run.probes["labels"] = {"n": 1000, "classes": 2, "wrong": 0.16, "noise": 0.14, "gain": 90.0}
    return run


def test_mistakes_that_wrong_labels_explain_call_for_no_other_features():
    curve = LearningCurve([250, 500, 1000], [0.83, 0.84, 0.84], 1000, 0.84, 0.001, 0.002)
    sound, noisy = make_run(train=(850, 1000), test=(840, 1000)), wrong_labels(train=(850, 1000), test=(840, 1000))
    sound.learning_curve = noisy.learning_curve = curve
    assert {"underfitting", "richer-features"} <= codes(sound).keys()
    assert {"underfitting", "richer-features"}.isdisjoint(codes(noisy))
    assert "label-errors" in codes(noisy)
    assert "underfitting" in codes(wrong_labels(train=(600, 1000), test=(590, 1000)))  # more than those labels explain


def test_labels_are_doubted_by_more_where_most_are_not_told_at_all():
    """176 photos of rubbish by their colours: 54 % wrong out of fold, 20 % "noise" by 8.2 nats, and sound labels."""
    run, said = make_run(), {"n": 176, "classes": 6, "noise": 0.2, "gain": 8.2}
    run.probes["labels"] = said | {"wrong": 0.54}
    assert "label-errors" not in codes(run)
    run.probes["labels"] = said | {"wrong": 0.45}
    assert "label-errors" in codes(run)
    run.probes["labels"] = said | {"wrong": 0.54, "gain": 10.5}
    assert "label-errors" in codes(run)


def test_classes_that_are_not_told_apart_are_not_called_wrong_labels():
    """HOG of 20 letters of one alphabet × 16, sound labels: mistakes lie between similar letters."""
    run, said = make_run(), {"n": 320, "classes": 20, "noise": 0.08, "gain": 13.2}
    for wrong, beyond, gain, told in (
        (0.42, 1.3, 13.9, False),
        (0.42, 1.3, 16.0, True),
        (0.42, 7.8, 13.9, True),
        (0.3, 1.3, 13.9, True),
    ):
        run.probes["labels"] = said | {"wrong": wrong, "beyond": beyond, "gain": gain}
        assert ("label-errors" in codes(run)) == told


def test_a_confidence_that_wrong_labels_lowered_is_not_blamed_on_other_pictures():
    low = {"ece": 0.13, "chance": 0.05, "stated": 0.79, "right": 0.92}
    sound, noisy, high = make_run(), wrong_labels(), wrong_labels()
    sound.probes["calibration"] = noisy.probes["calibration"] = low
    high.probes["calibration"] = low | {"stated": 0.99}
    assert "put pictures like these" in codes(sound)["miscalibrated"].advice
    assert "labels are probably wrong: mend those" in codes(noisy)["miscalibrated"].advice
    assert "put pictures like these" in codes(high)["miscalibrated"].advice


def test_a_gap_that_pictures_of_another_kind_made_is_not_called_overfitting():
    run = make_run(train=(1000, 1000), test=(500, 1000))
    assert "overfitting" in codes(run)
    run.probes["told_apart"] = {"n": 1000, "accuracy": 1.0}
    assert "overfitting" in codes(run)  # nothing says how the training kind is recognised unseen
    run.probes["labels"] = {"n": 1000, "classes": 2, "wrong": 0.3, "noise": 0.0, "gain": 0.0}
    assert {"overfitting", "shifted"} <= codes(run).keys()
    run.probes["labels"]["wrong"] = 0.01
    found = codes(run)
    assert "overfitting" not in found
    assert "recognised to 99.0%, these to 50.0%" in found["shifted"].evidence


def test_judged_pictures_that_are_too_few_are_not_called_enough():
    """The good word at the end of `evaluate` claims no more than was looked at and found."""
    many, few = make_run(test=(970, 1000)), make_run(test=(20, 20))
    for run, enough in ((many, True), (few, False)):
        found = {f.code: f for f in diagnose.verdict(run, diagnose.JUDGING)}
        assert ("none too few" in found["sound"].evidence) is enough
        assert "confidence" not in found["sound"].evidence
    many.probes["calibration"] = {"ece": 0.01, "chance": 0.05, "stated": 0.97, "right": 0.97}
    assert "confidence comes true" in {f.code: f for f in diagnose.verdict(many, diagnose.JUDGING)}["sound"].evidence


def test_doubts_come_from_the_scores_that_are_right_more_often():
    from linearhead.experiment.examine import surely_worse

    y = np.arange(200) % 2
    good, bad = np.eye(2)[y], np.eye(2)[np.where(np.arange(200) < 60, 1 - y, y)]
    nearly = np.eye(2)[np.where(np.arange(200) < 3, 1 - y, y)]
    assert surely_worse(bad, good, y)
    assert not surely_worse(good, bad, y)
    assert not surely_worse(nearly, good, y)  # as chance would have it
    assert not surely_worse(good, good, y)


def test_without_a_penalty_the_remedy_is_one():
    """`--alpha 0 --penalty l2` is the command that was just run in other words."""
    run = make_run(train=(1000, 1000), test=(700, 1000), converged=False, alpha=0.0)
    run.fit.status, run.command = Status.UNBOUNDED.value, "linearhead train photos --alpha 0"
    found = codes(run)
    for code in ("not-converged", "overfitting"):
        assert found[code].command == "linearhead train photos --penalty l2"


def test_a_warning_of_the_fit_is_told_by_what_it_says():
    """The terminal shows titles alone."""
    from linearhead.experiment.concluding import warned

    assert warned("3 columns are constant. Drop them.").title == "The fit warned: 3 columns are constant"
