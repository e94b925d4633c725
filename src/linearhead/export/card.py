"""A model card for the Hugging Face hub, README.md: its YAML header and the record's own words.

The header's keys are those of the hub's model card specification; every value is written as JSON, which is YAML.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..charts.words import number, of_rows, spaced
from ..records import Evaluation, Run

LISTED = 40  # classes in the card's table


def card(run: Run) -> bytes:
    """The card of a finished run, UTF-8."""
    lines = ["---", *(f"{key}: {_json(value)}" for key, value in _header(run).items()), "---", "", *_body(run)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _header(run: Run) -> dict[str, Any]:
    name = _title(run)
    kind = "tabular" if run.of_rows else "image"
    task = {"type": f"{kind}-classification", "name": f"{kind.capitalize()} classification"}
    header: dict[str, Any] = {
        "library_name": "linearhead",
        "pipeline_tag": task["type"],
        "tags": ["linear-probe", task["type"], "linearhead", *dict.fromkeys(_word(run.features["name"]))],
    }
    judged = run.evaluations.get("test")
    if judged is not None:
        data = {"type": "custom", "name": name, "split": "test"}
        metrics = [{"type": "accuracy", "value": judged.accuracy, "name": "Accuracy"}]
        if judged.log_loss is not None:
            metrics.append({"type": "log_loss", "value": judged.log_loss, "name": "Log loss"})
        header["metrics"] = ["accuracy"]
        header["model-index"] = [{"name": name, "results": [{"task": task, "dataset": data, "metrics": metrics}]}]
    return header


def _word(features: str) -> list[str]:
    return [part.partition("(")[0].strip() for part in features.split("+")]


def _body(run: Run) -> list[str]:
    data, fit, features = run.data, run.fit, run.features
    judged, said = run.evaluations.get("test"), of_rows if run.of_rows else str
    lines = [f"# {_plain(_title(run))}", "", f"A linear classifier of {said('pictures')} into {len(data.classes)} "
             f"classes, made by linearhead {_plain(run.version)} on {_plain(run.created)}.",
             "", "## How good", ""]  # fmt: skip
    lines += _numbers(judged, said) if judged is not None else [said("No picture judged this model.")]
    lines += [
        "",
        "## What trained, what chose, what judged",
        "",
        *(f"- {_plain(text)}" for text in data.roles.values()),
    ]
    skipped = f"{data.found} pictures found = {data.used} used + {len(data.skipped)} skipped"
    lines += [f"- {said(skipped)}.", "", "## How it works", ""]
    each = f"of a picture of {_plain(features['picture'])} pixels" if "picture" in features else "a row"
    lines.append(f"- Features: `{_code(features['name'])}`, {features['dimension']} numbers {each}.")
    lines.append(f"- Classifier: {_plain(fit.loss_label or fit.loss)}, penalty {_plain(fit.penalty)}, alpha "
                 f"{fit.alpha:.4g}; solver {_plain(fit.solver)}: {_plain(fit.status)}.")  # fmt: skip
    proof = fit.certificate
    if proof is not None and proof.gap is not None:
        lines.append(f"- Proven: its objective is within {proof.gap:.2g} of the optimum.")
    lines += ["", "## What to know before using it", ""]
    lines += [f"- {f.severity}: {_plain(f.title)}. {_plain(f.evidence)}" for f in run.findings] or ["- No finding."]
    example = "rows.npy" if run.of_rows else "photo.jpg"
    lines += ["", "## Use", "", "```", f"linearhead predict . {example}", "```", "", "## Made with", "",
              "```", _code(run.command), "```", ""]  # fmt: skip
    return lines


def _numbers(judged: Evaluation, said: Callable[[str], str]) -> list[str]:
    low, high = judged.accuracy_interval
    loss = "" if judged.log_loss is None else f"; log loss {judged.log_loss:.3f}"
    lines = [
        f"Accuracy {spaced(judged.accuracy)} (95 % interval {spaced(low)} to {spaced(high)}) on {judged.n} "
        f"test {said('pictures')}{loss}. Always the largest class: {spaced(judged.majority_accuracy)}.",
        "",
        f"| class | {said('pictures')} | precision | recall |",
        "|---|---|---|---|",
    ]
    for score in judged.per_class[:LISTED]:
        lines.append(f"| {_plain(score.label)} | {score.n} | {number(score.precision)} | {number(score.recall)} |")
    if len(judged.per_class) > LISTED:
        lines.append(f"| and {len(judged.per_class) - LISTED} more | | | |")
    return lines


def _title(run: Run) -> str:
    return run.data.source.replace("\\", "/").rstrip("/").rpartition("/")[2] or "pictures"


def _json(value: Any) -> str:
    return json.dumps(value)


def _plain(text: Any) -> str:
    """One line in which nothing is Markdown or HTML."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    for c in "\\`*_{}[]<>#|":
        line = line.replace(c, f"\\{c}" if c not in "<>" else {"<": "&lt;", ">": "&gt;"}[c])
    return line


def _code(text: Any) -> str:
    return "".join(c if c.isprintable() and c != "`" else " " for c in str(text))
