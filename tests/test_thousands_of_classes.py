"""What grows with the number of classes grows with it, not with its square: records, pages and the work they take."""

from __future__ import annotations

import json
import tracemalloc
import typing
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import fake_run
from linearhead import records
from linearhead.arrays import rows_of
from linearhead.experiment import examine, judge, run_folder, trusting
from linearhead.losses import CrossEntropy
from linearhead.metrics import evaluate
from linearhead.records import Duplicates, Run, from_json, to_json
from linearhead.report import LIMIT, render
from linearhead.store import Model
from linearhead.trust import calibration, fit_temperature

K, EACH = 5000, 3


@pytest.fixture(scope="module")
def many():
    """A run judged on three rows of each of 5 000 classes, one in four of them taken for a class nearby."""
    rng = np.random.default_rng(0)
    names = [f"species {i}" for i in range(K)]
    y = np.repeat(np.arange(K), EACH)
    judged = evaluate(y, np.where(rng.random(len(y)) < 0.25, (y + rng.integers(1, 9, len(y))) % K, y), names)
    run = fake_run.bare_run()
    return replace(run, data=replace(run.data, classes=names, counts={"train": [9] * K}), evaluations={"test": judged})


def test_a_record_of_thousands_of_classes_holds_the_pairs_that_occur(many):
    cells = many.evaluations["test"].confusion
    assert sum(count for _, _, count in cells) == K * EACH
    assert len(cells) <= K * EACH
    assert cells == sorted(cells)
    assert len(json.dumps(to_json(many))) < 500 * K


def test_a_record_is_read_with_one_look_at_each_of_its_types(many, monkeypatch):
    looks, hints = [], typing.get_type_hints
    monkeypatch.setattr(records, "_hints", cache(lambda kind: looks.append(kind) or hints(kind)))
    assert from_json(Run, to_json(many)).evaluations["test"] == many.evaluations["test"]
    assert len(looks) == len(set(looks)) < 20


def test_a_page_of_thousands_of_classes_is_short_and_names_the_most_confused(many):
    html = render(many)
    assert len(html.encode()) < LIMIT / 2
    score = min(many.evaluations["test"].per_class, key=lambda score: score.recall)
    assert html.count(score.label) > 1


def test_a_record_of_format_1_reads_with_its_zeros_left_out(tmp_path):
    """Three classes, whose rows of counts are as long as a pair with its count."""
    y = np.array([0, 0, 1, 2, 2])
    judged = evaluate(y, np.array([0, 1, 1, 0, 2]), ["a", "b", "c"])
    run = fake_run.digits_run()
    copies = Duplicates(compared=9, exact=1, near=0, conflicting=0, judged=1, without=judged)
    run = replace(run, evaluations={"test": judged}, duplicates=copies)
    old = to_json(run) | {"schema": 1}
    for evaluation in (old["evaluations"]["test"], old["duplicates"]["without"]):
        evaluation["confusion"] = [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    (tmp_path / run_folder.RECORD).write_text(json.dumps(old))
    read = run_folder.load_record(tmp_path)[1]
    assert to_json(read) == to_json(from_json(Run, to_json(run)))
    assert read.evaluations["test"].confusion == [[0, 0, 1], [0, 1, 1], [1, 1, 1], [2, 0, 1], [2, 2, 1]]
    assert read.schema == run.schema == 2


def test_the_rows_of_every_label_are_found_in_one_look():
    y = np.random.default_rng(0).integers(-1, 9, 200)
    found = rows_of(y)
    assert all(np.array_equal(own, np.flatnonzero(y == c)) for own, c in zip(found, np.unique(y), strict=True))
    assert rows_of(np.zeros(0, int)) == []


@pytest.fixture
def asked(monkeypatch):
    """How many scores each call turned into probabilities."""
    sizes, probabilities = [], CrossEntropy.probabilities
    monkeypatch.setattr(CrossEntropy, "probabilities", lambda self, s: sizes.append(s.size) or probabilities(self, s))
    return sizes


def scored(n, k):
    """Scores (n, k), labels (n,), and a model of which rows of features are their own scores."""
    rng, names = np.random.default_rng(1), [str(i) for i in range(k)]
    y, model = rng.permutation(n) % k, Model(names, np.eye(k), np.zeros(k), None, None, "cross_entropy")
    return (rng.normal(size=(n, k)) + 2 * np.eye(k)[y]).astype(np.float32), y, model


def test_temperature_is_fitted_to_so_many_scores_and_few_of_them_at_a_time(monkeypatch, asked):
    scores, y, _ = scored(900, 60)
    whole = fit_temperature(scores, y, CrossEntropy().probabilities)
    assert max(asked) <= calibration.AT_ONCE
    before = sum(asked)
    monkeypatch.setattr(calibration, "CELLS", 900 * 60 // 3)
    some = fit_temperature(scores, y, CrossEntropy().probabilities)
    assert sum(asked) - before <= before / 3
    assert some == fit_temperature(scores[::3], y[::3], CrossEntropy().probabilities) == pytest.approx(whole, rel=0.1)


def test_calibrating_and_judging_look_at_a_block_of_rows_at_a_time(asked):
    scores, y, model = scored(1500, 60)
    trust = trusting.calibrate(model, trusting.Unseen(scores, y, "those"), scores, 0)
    trusting.suspects(model, scores, y)
    examine.mean_probabilities(model, scores)
    answers = judge.answer(model, scores, y)
    trusting.measure(trust, model, answers, scores, y)
    assert max(asked) <= max(judge.BLOCK * 60, calibration.AT_ONCE) < scores.size
    alone = judge.answer(model, scores, y, kept=False)
    assert alone.scores.size == 0
    assert np.array_equal(alone.label_confidence, answers.label_confidence)


def test_doubted_labels_take_no_table_of_all_pairs_of_classes():
    scores, y, model = scored(100, 3000)
    tracemalloc.start()
    trusting.suspects(model, scores, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000**2
