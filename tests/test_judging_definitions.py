"""Which pictures judge, whose class is whose, and what answers, doubts and choices are worth: written out once more."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead import metrics
from linearhead.data import Dataset, split
from linearhead.diagnose.test_reused import flattery
from linearhead.errors import DataError
from linearhead.experiment import Recipe, examine, judge, probes, roles, scaling, trusting
from linearhead.experiment.judging import audited, choose_rows, match_classes, remember_nearest
from linearhead.experiment.progress import Progress
from linearhead.images import Header
from linearhead.losses import LOSSES
from linearhead.records import Certificate, Skipped, Trust
from linearhead.trust.calibration import expected_ece, reliability


def dataset(labels, classes, splits=None, groups=None):
    n = len(labels)
    names = [f"picture {i}" for i in range(n)]
    splits = np.full(n, "") if splits is None else np.array(splits)
    return Dataset("here", "folder", names, np.array(labels), tuple(classes), splits, lambda i: b"", groups)


def model_of(classes, **facts):
    return SimpleNamespace(classes=list(classes), facts=facts)


def test_classes_are_matched_by_name():
    data = dataset([0, 1, 2, 0, 2, 1], ("b", "strange", "a"))
    y, rows, skipped = match_classes(data, np.array([5, 4, 3, 0]), model_of("acb"))
    assert y.tolist() == [0, 2, 2]  # of rows 4, 3, 0: a, b, b as the model counts
    assert rows.tolist() == [4, 3, 0]
    assert [(one.path, one.reason) for one in skipped] == [("picture 5", "class 'strange' is unknown to the model")]
    with pytest.raises(DataError, match="None of the 2 pictures in here"):
        match_classes(data, np.array([1, 5]), model_of("acb"))


def test_the_datas_own_test_pictures_judge_or_those_asked_for_or_all():
    data = dataset([0, 1] * 3, "ab", ["train", "test", "", "valid", "test", "train"])
    plain = dataset([0, 1] * 3, "ab")
    model = model_of("ab")
    assert choose_rows(data, model, "auto")[0] == "test"
    for split_asked, rows in (("auto", [1, 4]), ("test", [1, 4]), ("valid", [3]), ("train", [0, 5])):
        found = choose_rows(data, model, split_asked)
        assert found[1].tolist() == rows
        assert found[2] == f"{len(rows)} {found[0]} pictures (the data's own split)"
    for which in (choose_rows(data, model, "all"), choose_rows(plain, model, "auto")):
        assert (which[0], which[1].tolist()) == ("all", list(range(6)))
    with pytest.raises(DataError, match="no test pictures; splits found: none"):
        choose_rows(plain, model, "test")
    with pytest.raises(DataError, match="no valid pictures; splits found: test, train"):
        choose_rows(dataset([0, 1], "ab", ["train", "test"]), model, "valid")


@pytest.mark.parametrize("updated", [False, True])
def test_of_the_very_pictures_of_train_those_held_out_judge(updated):
    plan = Recipe(seed=5)
    data = dataset(np.arange(40) % 2, "ab")
    own = roles.fingerprint(data)
    facts = {"fingerprint": "other", "fingerprints": ["x", own]} if updated else {"fingerprint": own}
    model = model_of("ab", recipe=plan.to_dict(), **facts)
    which, rows, why = choose_rows(data, model, "auto")
    held = np.flatnonzero(roles.held_out(data, plan) == "test")
    assert (which, rows.tolist()) == ("test", held.tolist())
    assert len(held) == 8
    assert why == "8 test pictures (these are the data of train, split as there)"
    assert choose_rows(dataset(np.arange(40) // 20, "ab"), model, "auto")[0] == "all"  # other labels: other data


def test_roles_are_two_cuts_of_seeds_of_their_own():
    y = np.arange(60) % 3
    groups = np.arange(60) // 2
    for own in (None, groups):
        found = roles.held_out(dataset(y, "abc", groups=own), Recipe(seed=3, test_share=0.2, valid_share=0.25))
        test = split(y, {"train": 0.8, "test": 0.2}, 3, own) == "test"
        rest = np.flatnonzero(~test)
        valid = split(y[rest], {"train": 0.75, "valid": 0.25}, 1_000_006, None if own is None else own[rest])
        expected = np.where(test, "test", "train")
        expected[rest[valid == "valid"]] = "valid"
        assert found.tolist() == expected.tolist()
    splits = ["test"] * 6 + [""] * 54
    found = roles.held_out(dataset(y, "abc", splits), Recipe(seed=3))
    assert np.flatnonzero(found == "test").tolist() == list(range(6))
    assert np.sum(found == "valid") == round(54 * 0.15)


def test_a_problem_needs_a_class_of_two_to_be_judged_and_a_trained_picture_of_each():
    lonely = dataset([0, 1, 2], "abc")
    with pytest.raises(DataError, match="Classes 'a', 'b', 'c' have only 1 picture in here"):
        roles.assign(lonely, Recipe())
    for names, said in (("abcde", "'d', 'e' have only"), ("abcdefg", "'e' and 2 more have only")):
        with pytest.raises(DataError, match=said):
            roles.assign(dataset(range(len(names)), names), Recipe())
    assert roles.assign(lonely, Recipe(test_share=0.0, valid_share=0.0)).tolist() == ["train"] * 3
    found = roles.assign(dataset([0, 1, 1, 1, 1, 1], "ab"), Recipe())
    assert found[0] == "train"
    assert "test" in found
    for splits, says in (
        (["test"] * 4, "no picture to train on: all 4 belong to 'test'"),
        (["train", "train", "test", "valid"], "Class 'b' has no picture to train on .* belongs to 'valid' and 'test'"),
    ):
        with pytest.raises(DataError, match=says):
            roles.assign(dataset([0, 0, 1, 1], "ab", splits), Recipe())
    lost = [Skipped("picture 3", "cut off")]
    with pytest.raises(DataError, match=r"'b' has no picture .*cannot be read \(picture 3: cut off\)"):
        roles.check_taught(dataset([0, 0, 0, 1], "ab"), np.array([0, 0]), lost)
    roles.check_taught(dataset([0, 0], "ab"), np.array([0]))  # of a class without any picture none is missed


@pytest.mark.parametrize(
    ("alpha", "updated", "folds", "says"),
    [
        ("auto", False, False, "chose alpha and drew the curves; afterwards they were trained on as well."),
        ("auto", False, True, "drew the curves; all trained pictures, in folds, chose alpha."),
        (0.1, False, False, "drew the curves; alpha was given; afterwards they were trained on as well."),
        (0.1, True, False, "chose nothing: alpha was kept from the run that was updated"),
    ],
)
def test_what_is_said_of_who_trained_chose_and_judged(alpha, updated, folds, says):
    amounts = {"train": [3, 4], "valid": [1, 1], "test": [2, 0]}
    data, plan = dataset([0, 1] * 5 + [0], "ab", ["test"] * 2 + [""] * 9), Recipe(alpha=alpha, seed=7)
    said = roles.sentences(data, plan, amounts, updated, folds)
    assert said["trained"].startswith("9 pictures trained the final model: 7 train and 2 validation pictures")
    assert said["trained"].endswith("after they had chosen.") is not folds
    assert said["chose"].startswith("2 validation pictures (held out at random, class by class, seed 7) ")
    assert says in said["chose"]
    assert said["judged"].startswith("2 test pictures (the data's own split) judged")
    grouped = replace(data, groups=np.arange(11))
    assert "groups kept together, seed 7" in roles.sentences(grouped, plan, amounts, updated, folds)["chose"]
    nobody = roles.sentences(data, plan, amounts | {"valid": [0, 0], "test": [0, 0]}, updated, folds)
    assert nobody["chose"].startswith("No validation pictures")
    assert nobody["judged"].startswith("No test pictures")


def test_small_classes_that_judge_oftener_than_they_are_there_are_told():
    """Of three pictures one judges: a third, where a fifth is held out."""
    data, plan = dataset([0, 1], "ab", ["", ""]), Recipe(test_share=0.2)
    amounts = {"train": [800, *[2] * 99], "valid": [0] * 100, "test": [200, *[1] * 99]}
    said = roles.sentences(data, plan, amounts, False, False)["judged"]
    assert "Of 99 classes too small for that share one picture each judges: 33% of the accuracy" in said
    assert said.endswith("where 23% of the data are theirs.")
    even = {"train": [4] * 100, "valid": [0] * 100, "test": [1] * 100}
    assert "too small" not in roles.sentences(data, plan, even, False, False)["judged"]
    own = replace(data, splits=np.array(["test", ""]))
    assert "too small" not in roles.sentences(own, plan, amounts, False, False)["judged"]


def test_pictures_that_trained_are_said_to_flatter_and_the_nearest_is_remembered():
    record = SimpleNamespace(data=SimpleNamespace(roles={"trained": "a", "judged": "old"}))
    assert audited(record, "8 pictures", "test") == {"trained": "a", "judged": "8 pictures."}
    for which in ("train", "valid"):
        assert audited(record, "8 pictures", which)["judged"].endswith("these numbers flatter.")
    judged, before = (
        SimpleNamespace(intervals={}),
        SimpleNamespace(nearest_accuracy=0.4, nearest="so", intervals={"nearest_accuracy": [0.3, 0.5]}),
    )
    remember_nearest(judged, before)
    assert (judged.nearest_accuracy, judged.nearest, judged.intervals) == (0.4, "so", before.intervals)


class Linear:
    """Scores that are the columns, and softmax of them."""

    loss, facts = "cross_entropy", {}

    def __init__(self, proper=True):
        self.proper = proper

    def scores(self, X):
        return X

    def probabilities(self, scores):
        return LOSSES["cross_entropy"]().probabilities(scores) if self.proper else None


@pytest.mark.parametrize("proper", [True, False])
@pytest.mark.parametrize("n", [3, 64, 65, 200])
def test_answers_are_the_best_two_classes(proper, n):
    rng = np.random.default_rng(n)
    s, y = rng.normal(size=(n, 5)), rng.integers(0, 5, n)
    found, rows = judge.answer(Linear(proper), s, y), np.arange(n)
    order = np.argsort(-s, axis=1)
    assert np.array_equal(found.predicted, order[:, 0])
    assert np.array_equal(found.runner_up, order[:, 1])
    np.testing.assert_allclose(found.margin, s.max(axis=1) - s[rows, y])
    assert np.array_equal(found.rank, [list(o).index(label) for o, label in zip(order, y, strict=True)])
    if proper:
        p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.confidence, p.max(axis=1))
        np.testing.assert_allclose(found.runner_up_confidence, np.sort(p, axis=1)[:, -2])
        np.testing.assert_allclose(found.label_confidence, p[rows, y])
        np.testing.assert_allclose(trusting.certainty(found), p.max(axis=1))
    else:
        assert found.confidence is found.runner_up_confidence is found.label_confidence is None
        np.testing.assert_allclose(trusting.certainty(found), np.sort(s)[:, -1] - np.sort(s)[:, -2])
    assert judge.answer(Linear(proper), s).rank is None


def test_a_label_that_ties_with_an_earlier_class_is_no_hit():
    found = judge.answer_scores(Linear(), np.array([[1.0, 1, 0], [1, 1, 0], [0, 2, 2]]), np.array([1, 0, 2]))
    assert found.predicted.tolist() == [0, 0, 1]
    assert found.rank.tolist() == [1, 0, 1]


@pytest.mark.parametrize("proper", [True, False])
def test_doubted_labels_are_in_the_order_of_their_doubt(proper):
    rng = np.random.default_rng(2)
    s, y = rng.normal(size=(300, 3)) * 2, rng.integers(0, 3, 300)
    answer, p = s.argmax(axis=1), np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    doubts = {}
    for i in np.flatnonzero(answer != y):
        confused = 1 + np.sum((y == y[i]) & (answer == answer[i]))
        usual = confused / (3 + np.sum(answer == answer[i]))
        own = -np.log(p[i, y[i]]) if proper else s[i].max() - s[i, y[i]]
        doubts[i] = own - np.log(usual)
    assert trusting.suspects(Linear(proper), s, y).tolist() == sorted(doubts, key=lambda i: -doubts[i])


def test_noise_says_what_chance_would():
    rng = np.random.default_rng(2)
    s, y = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    groups, answer = np.arange(200) // 4, s.argmax(axis=1)
    found, whole = (trusting.noise(Linear(), s, y, g) for g in (None, groups))
    assert found["wrong"] == np.mean(answer != y)
    assert found["chance"] == pytest.approx(sum(np.mean(answer == c) * np.mean(y == c) for c in range(3)))
    assert whole["independent"] == metrics.independent(groups, answer != y)
    assert whole["gain"] == pytest.approx(found["gain"] * whole["independent"] / 200)
    assert "independent" not in found


def test_the_nearest_trained_row_in_columns_of_one_spread():
    rng = np.random.default_rng(3)
    X = (rng.normal(size=(90, 4)) * [1e7, 1e8, 1e6, 5]).astype(np.float32)  # the last hardly changes
    y = rng.integers(0, 3, 90)
    judged = SimpleNamespace(independent=None, n=30, intervals={})
    judge.nearest_baseline(judged, X, y, 60, seed=0)
    Z = X[:, :3] / X[:60, :3].std(axis=0)
    nearest = [np.argmin(np.sum((Z[:60] - row) ** 2, axis=1)) for row in Z[60:]]
    hits = int(np.sum(y[nearest] == y[60:]))
    assert judged.nearest_accuracy == hits / 30
    assert judged.intervals["nearest_accuracy"] == metrics.wilson(hits, 30)
    alike = SimpleNamespace(independent=10.0, n=30, intervals={})
    judge.nearest_baseline(alike, X, y, 60, seed=0)
    assert alike.intervals["nearest_accuracy"] == metrics.wilson(hits / 3, 10)
    plain = SimpleNamespace(independent=None, n=30, intervals={})
    judge.nearest_baseline(plain, X, y, 60, seed=0, scaled=False)
    nearest = [np.argmin(np.sum((X[:60] - row) ** 2, axis=1)) for row in X[60:]]
    assert plain.nearest_accuracy == np.mean(y[nearest] == y[60:])


@pytest.mark.parametrize("alike", [None, np.arange(40) // 8])
def test_columns_are_taken_as_they_come_where_that_is_better_by_more_than_an_error(alike, monkeypatch):
    """Costs of the judged rows are given: standardised ones, then plain ones."""
    rng = np.random.default_rng(0)
    gap = rng.normal(size=40)
    gap -= gap.mean()
    error = metrics.standard_error(gap, alike)
    monkeypatch.setattr(scaling, "parted", lambda *_: SimpleNamespace(alike=alike))
    for factor, standardised in ((0.98, True), (1.02, False), (-3.0, True)):
        costs, asked = {True: 1.0 + gap + factor * error, False: np.ones(40)}, []

        def compared(part, sample, plan, costs=costs, asked=asked):
            asked.append(plan.standardize)
            return None, None, costs[plan.standardize]

        monkeypatch.setattr(scaling, "compare", compared)
        assert scaling.chosen(np.ones((40, 2)), np.arange(40) % 2, None, Recipe(), Progress()) is standardised
        assert asked == [True, False]


def test_where_both_ways_cost_the_same_or_one_cannot_be_columns_are_standardised(monkeypatch):
    monkeypatch.setattr(scaling, "parted", lambda *_: SimpleNamespace(alike=None))

    def refused(part, sample, plan):
        raise DataError("columns of such sizes")

    for compared in (lambda *_: (None, None, np.ones(40)), refused):
        monkeypatch.setattr(scaling, "compare", compared)
        assert scaling.chosen(np.ones((40, 2)), np.arange(40) % 2, None, Recipe(), Progress())
    monkeypatch.setattr(scaling, "parted", lambda *_: None)  # no row can judge
    assert scaling.chosen(np.ones((2, 2)), np.arange(2), None, Recipe(), Progress())


def test_a_fit_is_near_its_optimum_where_that_is_proven_to_a_hundredth():
    def near(certified, gap, value=2.0):
        return trusting._near_optimum(SimpleNamespace(certificate_=Certificate(value, gap, 1.0, 1e-7, certified, None)))

    assert near(True, None)
    assert near(False, 0.02)
    assert not near(False, 0.0201)
    assert not near(False, None)
    assert not trusting._near_optimum(SimpleNamespace())


def test_what_a_model_is_worth_is_measured_on_the_judged_rows():
    rng = np.random.default_rng(1)
    s, y, groups = rng.normal(size=(120, 3)) * 2, rng.integers(0, 3, 120), np.arange(120) // 6
    model = Linear()
    model.label_sets = lambda scores, asked: scores > 2 * asked - 1.5
    model.novelty = SimpleNamespace(usual=np.zeros(150), unlike=lambda X: np.linspace(0, 1, len(X)))
    answers, p = judge.answer(model, s, y), np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    right = s.argmax(axis=1) == y
    for own in (None, groups):
        trust = Trust(120, "")
        probes = trusting.measure(trust, model, answers, s, y, own)
        chance = expected_ece(p.max(axis=1))
        if own is not None:
            chance *= np.sqrt(120 / metrics.independent(groups, right - p.max(axis=1)))
        assert trust.chance == pytest.approx(chance)
        told = reliability(p[np.arange(120), y], p.max(axis=1), right)
        assert trust.judged.ece == pytest.approx(told.ece)
        assert probes["calibration"]["stated"] == pytest.approx(p.max(axis=1).mean())
        assert probes["calibration"]["right"] == pytest.approx(right.mean())
        for one, asked in zip(trust.coverage, (0.8, 0.9, 0.95, 0.99), strict=True):
            sets = s > 2 * asked - 1.5
            assert one == {
                "asked": asked,
                "covered": pytest.approx(sets[np.arange(120), y].mean()),
                "labels": pytest.approx(sets.sum(axis=1).mean()),
            }
        assert [row[0] for row in trust.answered] == [m / 120 for m in range(6, 121, 6)]
        assert trust.answered[-1][1] == pytest.approx(right.mean())
        assert trust.unlike == np.mean(np.linspace(0, 1, 120) < 0.01)
        assert probes["unlike"]["share"] == np.mean(np.linspace(0, 1, 120) < 0.05)
        assert probes["unlike"].get("independent") == (None if own is None else 20)
    model.novelty.usual = np.zeros(99)  # not even the strangest could be one in a hundred
    trust = Trust(120, "")
    trusting.measure(trust, model, answers, s, y)
    assert trust.unlike is None


def test_what_a_file_remembers_of_its_calibration():
    assert trusting.kept(SimpleNamespace(facts={})) is None
    found = trusting.kept(SimpleNamespace(facts={"trust": {"source": "so", "temperature": 1.5}}))
    assert (found.n, found.source, found.temperature) == (0, "so", 1.5)
    assert trusting.kept(SimpleNamespace(facts={"trust": {"strangeness": {"n": 7, "kept": []}}})).n == 7


@pytest.mark.parametrize("alike", [False, True])
def test_neighbours_vote_by_counting(alike):
    rng = np.random.default_rng(5)
    Z, y = rng.normal(size=(60, 2)) * [1, 50], rng.integers(4, 7, 60)
    groups = np.arange(60) // 4 if alike else np.arange(60)
    found, unit = probes.neighbours(Z, y, groups=groups if alike else None), Z / Z.std(axis=0)
    for i in range(60):
        far = np.where(groups == groups[i], np.inf, np.sum((unit - unit[i]) ** 2, axis=1))
        assert found[i] == np.bincount(y[np.argsort(far)[:5]] - 4, minlength=3).argmax()
    told = probes._found(Z, y, groups if alike else None)
    right = found == y - 4
    recall = [right[y == c].mean() for c in (4, 5, 6)]
    assert (told["accuracy"], told["guess"]) == (right.mean(), np.bincount(y).max() / 60)
    assert (told["best_class"], told["best_recall"]) == (4 + np.argmax(recall), max(recall))
    assert told.get("independent") == (metrics.independent(groups, right) if alike else None)


def test_the_kind_of_file_that_gives_a_class_away():
    y, groups = np.repeat([3, 5, 9], 12), np.arange(36) // 6
    files = [Header("PNG" if c == 5 else "JPEG", 10 + i, 20, "RGB", False) for i, c in enumerate(y)]
    found = probes.saved(files, y)
    assert found == {"n": 12, "others": 24, "class": 5, "found": 1.0, "taken": 0.0}
    assert probes.saved(files, y, groups) == found
    assert probes.saved(files, y, y)["found"] == 0  # of one group, which tells nothing of others
    files[13] = Header("JPEG", 1, 20, "RGB", False)
    assert probes.saved(files, y)["found"] == pytest.approx(11 / 12)
    uneven = probes.saved([files[0]] * 36, np.repeat([0, 1], [34, 2]))  # all alike: the largest class is no finding
    assert (uneven["found"], uneven["taken"]) == (1.0, 1.0)


def test_large_numbers_are_told_apart_without_a_warning():
    X = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32) * np.float32(1e30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probes.told_apart(X, 40, 0)["accuracy"] < 0.75


def test_neighbours_of_the_same_group_never_vote():
    """Two groups of six and three rows: of the six only three others may vote, and all say what is not so."""
    groups = np.repeat([0, 1], [6, 3])
    Z, y = np.arange(9.0)[:, None], np.repeat([0, 1], [6, 3])
    assert probes.neighbours(Z, y, groups=groups).tolist() == [1] * 6 + [0] * 3
    assert probes.neighbours(Z, y, groups=np.zeros(9)).tolist() == [-1] * 9
    assert probes._found(Z, y, np.zeros(9))["accuracy"] == 0


def test_the_column_that_tells_classes_best(monkeypatch):
    monkeypatch.setattr(probes, "COLUMNS", 2)
    rng, y = np.random.default_rng(5), np.arange(90) % 3
    X = np.c_[rng.normal(size=(90, 3)), rng.permutation(3)[y] + rng.normal(0, 0.01, 90), rng.normal(size=90)]
    found = probes.column(X.astype(np.float32), y, seed=0)
    assert found == {"n": 90, "column": 3, "accuracy": 1.0, "guess": pytest.approx(1 / 3)}


def test_the_bias_of_probabilities_is_their_mean_less_the_classes_shares():
    rng, y = np.random.default_rng(5), np.repeat([2, 0, 1, 3], [30, 20, 25, 25])
    p = rng.dirichlet(np.ones(4), 100)
    found, gap = probes.bias(p.mean(axis=0), y), np.array([p[:, c].mean() - np.mean(y == c) for c in range(4)])
    assert found["largest"] == pytest.approx(np.abs(gap).max())
    assert found["last_class"] == pytest.approx(gap[3])
    order = [1, 2, 0, 3]  # of the classes' places
    assert found["trend"] == pytest.approx(np.corrcoef(order, np.sign(gap) * np.abs(gap) ** 0.5)[0, 1])
    mixed = rng.permutation(100)
    assert probes.bias(p.mean(axis=0), y[mixed])["trend"] is None  # not sorted by class


@pytest.mark.parametrize("models", [1, 2, 6, 50])
def test_the_best_of_many_flatters_by_bloms_formula(models):
    from scipy.stats import norm

    for hits, independent, count in ((90, None, 100), (90, 20.0, 20), (100, None, 100)):
        judged = SimpleNamespace(n=100, accuracy=hits / 100, independent=independent)
        error = np.sqrt(max(hits / 100 * (1 - hits / 100), 1 / 100) / count)
        expected = error * norm.ppf((models - 3 / 8) / (models + 1 / 4)) if models > 1 else 0
        assert flattery(judged, models) == pytest.approx(expected)


def test_scores_are_surely_worse_by_two_standard_errors_of_the_paired_differences():
    y = np.zeros(100, int)
    for lost, won, worse in ((10, 2, True), (10, 3, False), (4, 0, True), (3, 0, False), (0, 9, False)):
        mine, others = np.zeros((2, 100, 2))
        mine[:lost, 1], others[lost : lost + won, 1] = 1, 1
        less = np.r_[np.ones(lost), -np.ones(won), np.zeros(100 - lost - won)]
        assert worse is bool(less.mean() > 2 * less.std() / 10) is examine.surely_worse(mine, others, y)
    assert not examine.surely_worse(mine, mine, y)


def test_copies_are_kept_together_where_they_are_one_in_a_hundred():
    def prepared(copies, y, groups=None):
        found = SimpleNamespace(group=np.array([*copies, 0, 0]))  # the last two are judged
        return SimpleNamespace(n_trained=len(copies), groups=groups, copies=found, y=np.array([*y, 1, 1]))

    y = np.arange(200) % 2
    group = np.arange(200)
    group[199] = 1
    assert examine.together(prepared(group, y)) == (None, None)
    group[198] = 0
    copies, single = examine.together(prepared(group, y))  # two of two hundred
    assert np.array_equal(copies, group)
    assert np.array_equal(single, np.arange(198))
    group[2:200:2] = 0  # of one class but one kind is left
    assert examine.together(prepared(group, y)) == (None, None)
    own = np.arange(202)
    found, single = examine.together(prepared(group, y, own))
    assert np.array_equal(found, own[:200])
    assert single is None
