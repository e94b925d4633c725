"""Runs side by side: their numbers, and a paired test on the pictures that judged both (McNemar 1947)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnose.test_reused import flattery
from ..errors import UsageError
from ..metrics import holm, mcnemar
from ..records import KEY, Run
from . import ledger
from .run_folder import load_record


def compare(runs: Sequence[str | Path]) -> dict[str, Any]:
    """The object of `compare --json`: one entry per run, and one per pair of the first run with another."""
    if len(runs) < 2:
        raise UsageError(f"compare needs at least two runs; found {len(runs)}. linearhead compare RUN RUN …")
    found = [load_record(run) for run in runs]
    records = [record for _, record in found]
    pairs = [_pair(str(runs[0]), records[0], str(n), r) for n, r in zip(runs[1:], records[1:], strict=True)]
    tested = [pair for pair in pairs if pair["p"] is not None]
    for pair, adjusted in zip(tested, holm([pair["p"] for pair in tested]), strict=True):
        pair["p_adjusted"] = adjusted
    return {
        "runs": [_numbers(str(name), run) for name, run in zip(runs, records, strict=True)],
        "pairs": pairs,
        "judged_by": [_counted(folder, records, record) for folder, record in found],
    }


def _counted(folder: Path, records: list[Run], record: Run) -> dict[str, Any]:
    """How many models the test pictures of this run have judged, itself among them, and by how much the best of so many
    flatters; that they are compared is written into its folder."""
    test, alike = record.evaluations.get("test"), [r for r in records if r.judged_pictures == record.judged_pictures]
    if test is None or not record.judged_pictures:
        return {"models": None, "times": None, "flatters_by": None}
    accuracies = {r.model: r.evaluations["test"].accuracy for r in alike if r.model}
    if len(accuracies) > 1:
        ledger.note(folder, ledger.line("compare", record.judged_pictures, test.n, accuracies))
    seen = ledger.seen(folder, record.judged_pictures, record.model)
    models = int(seen["models"] or 0) + 1
    return {"models": models, "times": seen["times"], "flatters_by": flattery(test, models)}


def _numbers(name: str, run: Run) -> dict[str, Any]:
    test = run.evaluations.get("test")
    return {
        "run": name,
        "features": run.features.get("name"),
        "dimension": run.features.get("dimension"),
        "loss": run.fit.loss,
        "alpha": run.fit.alpha,
        "n": None if test is None else test.n,
        "accuracy": None if test is None else test.accuracy,
        "accuracy_interval": None if test is None else test.accuracy_interval,
        "balanced_accuracy": None if test is None else test.balanced_accuracy,
        "log_loss": None if test is None else test.log_loss,
        "seconds": run.seconds.get("total"),
        "findings": [f.code for f in run.findings if f.severity in ("warning", "problem")],
    }


def _pair(name: str, run: Run, other_name: str, other: Run) -> dict[str, Any]:
    """Whether the two differ on the n pictures that judged both; nulls where there are none."""
    pair: dict[str, Any] = {"first": name, "second": other_name, "n": 0}
    pair |= dict.fromkeys(("only_first", "only_second", "p", "p_adjusted"))
    places = _shared(run, other)
    pair["n"] = len(places[0])
    if pair["n"]:
        rights = (np.frombuffer(r.judged_right.encode("ascii"), np.uint8) == ord("1") for r in (run, other))
        first, second = (right[place] for right, place in zip(rights, places, strict=True))
        known = [np.array(r.judged_groups)[p] for r, p in zip((run, other), places, strict=True) if r.judged_groups]
        pair["only_first"], pair["only_second"], pair["p"] = mcnemar(first, second, known[0] if known else None)
    return pair


def _shared(run: Run, other: Run) -> tuple[np.ndarray, np.ndarray]:
    """Where the pictures that judged both stand in each, (n,) twice; of equal ones in a set the first."""
    if run.judged_pictures and run.judged_pictures == other.judged_pictures:
        rows = np.arange(len(run.judged_right))
        return rows, rows
    keys, others = (np.frombuffer(r.judged_keys.encode("ascii"), f"S{KEY}") for r in (run, other))
    _, first, second = np.intersect1d(keys, others, return_indices=True)
    return first, second
