"""The verdict on a finished model after other pictures have judged it.

What its run's record knows stands, with these pictures in the place of the test set; only the checks that depend on
the judged pictures are asked (`diagnose.JUDGING`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .. import diagnose
from ..errors import FileError
from ..records import GIVEN, DataSummary, Duplicates, Evaluation, Finding, FitSummary, Run, Trace, Trust
from ..store import Model
from . import trusting
from .judge import Answers
from .run_folder import load_record


def record_of(run: Any, model: Model) -> Run:
    """The record beside the model; where there is none, or another model's, what the model file knows."""
    try:
        found = load_record(run)[1]
    except FileError:
        return bare(model)
    return found if found.data.classes == model.classes and found.created == model.facts.get("created") else bare(model)


def bare(model: Model) -> Run:
    """A record of which only the judged numbers are to be asked."""
    facts, spec = model.facts, GIVEN if model.extractor is None else model.extractor.spec
    source, alpha = str(facts.get("source", "")), float(facts.get("alpha", 0))
    data = DataSummary(source, "", model.classes, 0, 0, [], {}, {})
    fit = FitSummary(model.loss, "", "", alpha, False, str(facts.get("status", "")), True, 0, 0, None, Trace())
    return Run(str(facts.get("version", "")), str(facts.get("created", "")), "", data, {"name": spec}, fit, {})


def look(
    record: Run,
    model: Model,
    judged: Evaluation,
    answers: Answers,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    copies: Duplicates,
    reuse: dict[str, float | None],
) -> tuple[list[Finding], Trust | None]:
    """The findings, and what the model may be believed on these `rows`, X (m, d), labels y (m,), groups (m,)."""
    trust = trusting.kept(model)
    told = {name: seen for name, seen in record.probes.items() if name == "labels"}  # of the trained pictures
    probes = told | {"reuse": reuse} | ({} if trust is None else trusting.measure(trust, model, answers, *rows))
    evaluations = {name: e for name, e in record.evaluations.items() if name == "train"} | {"test": judged}
    run = replace(record, evaluations=evaluations, duplicates=copies, learning_curve=None, probes=probes)
    return diagnose.verdict(run, diagnose.JUDGING), trust
