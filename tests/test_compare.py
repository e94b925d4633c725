"""Runs side by side, and the paired test between them."""

import json
from dataclasses import replace

import pytest

from linearhead.cli.words import compared_lines
from linearhead.errors import UsageError
from linearhead.experiment import compare
from linearhead.metrics import mcnemar
from linearhead.records import KEY, to_json
from test_experiment_findings import make_run


def test_mcnemar_is_the_exact_binomial_test():
    from scipy.stats import binomtest

    first, second = [True] * 9 + [False] * 2 + [True] * 30, [False] * 9 + [True] * 2 + [True] * 30
    assert mcnemar(first, second) == (9, 2, pytest.approx(binomtest(2, 11).pvalue))
    assert mcnemar(first, first)[2] == 1.0


def test_compare_tests_only_the_same_pictures(tmp_path):
    right = {"a": "1" * 90 + "0" * 10, "b": "1" * 60 + "0" * 40, "c": "1" * 100}
    for name, bits in right.items():
        run = replace(make_run(), judged_right=bits, judged_pictures="same" if name != "c" else "others")
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(to_json(run)))
    found = compare([tmp_path / name for name in right])
    assert [run["accuracy"] for run in found["runs"]] == [0.97] * 3
    assert (found["pairs"][0]["only_first"], found["pairs"][0]["only_second"]) == (30, 0)
    assert found["pairs"][0]["p"] < 1e-6
    assert found["pairs"][1]["p"] is None
    with pytest.raises(UsageError, match="at least two"):
        compare([tmp_path / "a"])


def test_compare_tests_the_pictures_that_judged_both(tmp_path):
    """As after an update, whose test pictures are the old ones and some of the new."""
    keys = [f"{i:0{KEY}x}" for i in range(150)]
    right = {"a": ("1" * 90 + "0" * 10, keys[:100]), "b": ("1" * 50 + "0" * 40 + "1" * 60, keys[50:100] + keys[:100])}
    for name, (bits, seen) in right.items():
        run = replace(make_run(), judged_right=bits, judged_pictures=name, judged_keys="".join(seen))
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(to_json(run)))
    found = compare([tmp_path / name for name in right])
    pair = found["pairs"][0]
    # of pictures that are there twice the first counts: b has 50 to 99 right, and 10 to 49 of the others
    assert (pair["n"], pair["only_first"], pair["only_second"]) == (100, 40, 10)
    assert pair["p"] == pytest.approx(mcnemar([True] * 40 + [False] * 10, [False] * 40 + [True] * 10)[2])
    assert "no difference" not in (line := list(compared_lines(found))[2])
    assert "on the 100 pictures that judged both" in line
    for run in found["runs"]:
        run["features"] = "given"
    assert "on the 100 rows that judged both" in list(compared_lines(found))[2]
