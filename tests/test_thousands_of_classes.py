"""What grows with the number of classes grows with it, not with its square: records, pages and the work they take."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import fake_run
from linearhead.experiment import run_folder
from linearhead.metrics import evaluate
from linearhead.records import Duplicates, Run, from_json, to_json
from linearhead.report import LIMIT, render

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
