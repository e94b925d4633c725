"""What a run leaves behind: model.safetensors, run.json (the record), report.html (the page), skipped.csv,
judged.jsonl where pictures judged it (`ledger`), and labels.csv where many labels are doubted (`mending`).

A RUN is named by its folder or by the model file in it. The folder appears whole or not at all.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..diagnose import label_errors
from ..errors import FileError, explained
from ..files import write_atomic
from ..records import Run, from_json, to_json
from ..store import Model, load, save
from . import ledger

MODEL, RECORD, REPORT, SKIPPED = "model.safetensors", "run.json", "report.html", "skipped.csv"
LABELS = label_errors.SHEET


def write(folder: Path, model: Model, run: Run, judged_before: bytes = b"", labels: bytes | None = None) -> None:
    """The files into a folder that exists; `judged_before` are the ledger's lines of the run that it replaces, `labels`
    the content of labels.csv where there is to be one."""
    from ..report import render

    save(model, folder / MODEL)
    write_atomic(folder / RECORD, json.dumps(to_json(run), ensure_ascii=False, indent=1).encode("utf-8"))
    write_atomic(folder / SKIPPED, as_csv(["path", "reason"], [(s.path, s.reason) for s in run.data.skipped]))
    write_atomic(folder / REPORT, render(run).encode("utf-8"))
    if labels is not None:
        write_atomic(folder / LABELS, labels)
    if test := run.evaluations.get("test"):
        judged_before += ledger.line("train", run.judged_pictures, test.n, {run.model: test.accuracy})
    if judged_before:
        write_atomic(folder / ledger.FILE, judged_before)


def model_path(run: str | Path) -> Path:
    """The model file of RUN; FileError where there is none."""
    path = Path(run)
    with explained("open", path):
        if path.is_dir():
            path = path / MODEL
        if not path.is_file():
            raise FileError(
                f"No model at {path}: RUN has to be a run folder, with {MODEL} in it, or a model file. "
                "linearhead train DATA --out RUN makes one."
            )
    return path


def load_model(run: str | Path) -> Model:
    return load(model_path(run))


def load_record(run: str | Path) -> tuple[Path, Run]:
    """The folder of RUN and its record; FileError where it is missing, damaged or newer."""
    path = Path(run)
    with explained("open", path):
        folder = path.parent if path.is_file() else path
        record = folder / RECORD
        if not record.exists():
            raise FileError(
                f"No record at {record}: RUN has to be a run folder, with {RECORD} in it. "
                "linearhead train DATA --out RUN makes one."
            )
    with explained("read", record):
        text = record.read_bytes()
    try:
        value = json.loads(text)
    except ValueError as error:
        raise FileError(
            f"{record} is damaged: no JSON ({error}). Copy the run folder again, or train again."
        ) from error
    return folder, from_json(Run, value)


def rewrite_report(run: str | Path) -> Path:
    """Draws the page again from the record alone; its absolute path."""
    from ..report import render

    folder, record = load_record(run)
    path = (folder / REPORT).absolute()
    write_atomic(path, render(record).encode("utf-8"))
    return path


def as_csv(header: Sequence[str], lines: Iterable[Sequence[str]]) -> bytes:
    """A table; names of files keep the bytes that are no text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    return text.getvalue().encode("utf-8", "surrogateescape")
