"""The documentation of the command line says what the command line says."""

import dataclasses
import json
import re
from pathlib import Path

import click
import pytest

from linearhead import records
from linearhead.cli import cli
from linearhead.cli.manual import manual

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_cli_page_is_generated_from_help():
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == manual(), (
        "docs/cli.md is stale: python -m linearhead.cli.manual > docs/cli.md"
    )


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_takes_json_and_is_described(verb):
    command = cli.commands[verb]
    for each in getattr(command, "commands", {verb: command}).values():
        assert "--json" in [option for p in each.params for option in p.opts]
        assert each.help
    assert verb in (DOCS / "json.md").read_text(encoding="utf-8")
    assert command.help
    assert command.get_short_help_str()


def test_every_option_of_train_is_a_field_of_the_recipe_and_back():
    from dataclasses import fields

    from linearhead.experiment import Recipe

    options = {p.name for p in cli.commands["train"].params} - {"data", "out", "force", "cache", "cluster", "as_json"}
    assert options == {f.name for f in fields(Recipe)}
    context = click.Context(cli.commands["train"])
    defaults = {p.name: p.get_default(context) for p in cli.commands["train"].params if p.name in options}
    for f in fields(Recipe):
        if f.name != "class_weight" and f.default is not None:
            assert defaults[f.name] == f.default, f.name


def documented(section):
    """Keys in the first column of a table of docs/json.md."""
    text = (DOCS / "json.md").read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


def test_json_page_names_the_keys_that_are_printed():
    from dataclasses import asdict

    from linearhead.experiment import Judged, Outcome, Prediction
    from linearhead.experiment.judging import Judged  # noqa: F811
    from test_experiment_findings import make_run

    run = make_run()
    run.seconds = {"total": 1.0}
    outcome = Outcome(Path("/runs/a"), run).to_json()
    assert documented("train") == set(json.loads(json.dumps(outcome)))
    run.evaluations["test"].nearest_accuracy = 0.5
    judged = Judged(Path("/m"), "test", "why", run.evaluations["test"], 10).to_json()
    assert documented("evaluate") == set(judged)
    assert documented("predict") == set(asdict(Prediction("a.png")))


@pytest.mark.parametrize(
    "record",
    [
        records.Candidate,
        records.Certificate,
        records.ClassScore,
        records.Duplicates,
        records.Finding,
        records.Leaderboard,
        records.LearningCurve,
        records.Reliability,
        records.Trace,
        records.Trust,
    ],
)
def test_json_page_names_what_lies_within(record):
    lines = (DOCS / "json.md").read_text(encoding="utf-8").splitlines()
    fields = {field.name for field in dataclasses.fields(record)}
    assert any(fields <= set(re.findall(r"[`\"](\w+)[`\"]", line)) for line in lines)


def test_json_page_names_the_keys_of_compare_and_doctor():
    from linearhead.experiment.comparing import _numbers
    from linearhead.experiment.environment import examine
    from test_experiment_findings import make_run

    words = set(re.findall(r"[`\"](\w+)[`\"]", (DOCS / "json.md").read_text(encoding="utf-8")))
    found = examine()
    assert {*_numbers("run", make_run()), *found, *found["blas"][0], *next(iter(found["extras"].values()))} <= words
