"""The tables of docs/diagnoses.md are those of the campaign's JSON, complete, and say which aims are missed."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from linearhead.diagnose import CHECKS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def campaign():
    spec = importlib.util.spec_from_file_location("planted_faults", ROOT / "benchmarks" / "planted_faults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted_faults"] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module, json.loads((ROOT / "benchmarks" / "planted_faults.json").read_text(encoding="utf-8"))


def test_the_page_holds_the_tables_of_the_json(campaign):
    module, result = campaign
    page = (ROOT / "docs" / "diagnoses.md").read_text(encoding="utf-8")
    assert page.split("<!-- generated -->")[1].strip() == module.table(result).strip()


def test_every_diagnosis_is_planted_at_three_strengths(campaign):
    module, result = campaign
    assert {row["code"] for row in result["faults"].values()} == set(CHECKS)
    assert list(result["faults"]) == list(module.FAULTS)
    for fault, (code, _, strengths, _) in module.FAULTS.items():
        row = result["faults"][fault]
        assert (row["code"], row["strengths"]) == (code, list(strengths)), fault
        assert len(set(strengths)) == 3


def test_enough_trials_and_what_misses_its_aim_is_named(campaign):
    module, result = campaign
    trials = sum(sum(row["trials"]) for row in result["faults"].values())
    assert trials >= 200
    assert result["clean_runs"] >= 200
    below, above = module.missed(result).split("False alarms")
    rows = result["faults"].values()
    assert {row["code"] for row in rows if row["hits"][1] < 0.9 * row["trials"][1]} == set(
        re.findall(r"`(.*?)`", below)
    )
    high = {code for code, n in result["false_alarms"].items() if n > 0.05 * result["clean_runs"]}
    assert high == set(re.findall(r"`(.*?)`", above))
    assert sum(row["hits"][1] for row in rows) >= 0.9 * sum(row["trials"][1] for row in rows)
    assert sum(result["false_alarms"].values()) <= 0.05 * result["clean_runs"]
