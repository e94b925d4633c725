"""The record as JSON inside the page: every number, no picture, safe between script tags, and never too long.

What is too long for the page is shortened in a fixed order, and the JSON's own "left_out" says what was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from ..records import Run, Trace, to_json

LIMIT = 500_000  # characters
MOST = 2000  # skipped files and trace rows beyond which they are cut at once
ROWS = 500  # trace rows kept then
MOST_CELLS = LIMIT // len("[0,0,1],")  # of all confusion matrices together
NAMES = 200


def numbers(run: Run) -> dict[str, Any]:
    """`to_json(run)` without pictures' data, shortened until it fits."""
    run, left_out = _without_bulk(run)
    record = to_json(run) | {"left_out": left_out}
    for sentence, shorten in SHORTER:
        if len(script_text(record)) <= LIMIT:
            break
        shorten(record)
        left_out.append(sentence)
    return record


def _without_bulk(run: Run) -> tuple[Run, list[str]]:
    """What is certainly too much goes before the record is turned into JSON, which would take seconds."""
    left_out = ["the pictures' data"]
    pictures = [replace(picture, thumbnail="", regions="") for picture in run.pictures]
    suspects = [replace(picture, thumbnail="", regions="") for picture in run.suspects]
    copies = None if run.duplicates is None else replace(run.duplicates, thumbnails=[])
    run = replace(run, pictures=pictures, suspects=suspects, duplicates=copies, weights=[], filters="")
    if len(run.data.skipped) > MOST:
        run = replace(run, data=replace(run.data, skipped=run.data.skipped[:MOST]))
        left_out.append(f"all but {MOST} of the skipped files")
    if len(run.fit.trace) > MOST:
        run = replace(run, fit=replace(run.fit, trace=_thinned(run.fit.trace)))
        left_out.append(f"all but {ROWS} rows of the trace")
    if sum(len(e.confusion) for e in run.evaluations.values()) > MOST_CELLS:
        run = replace(run, evaluations={name: replace(e, confusion=[]) for name, e in run.evaluations.items()})
        left_out.append("the confusion matrices")
    return run, left_out


def _thinned(trace: Trace) -> Trace:
    """ROWS rows of the trace, the first and the last among them."""
    keep = [round(i * (len(trace) - 1) / (ROWS - 1)) for i in range(ROWS)]
    columns = (getattr(trace, column.name) for column in fields(trace))
    return Trace(*([values[i] for i in keep] for values in columns))


def script_text(value: Any) -> str:
    """JSON that cannot end its script element, open a comment or break a line: all of < > & are escaped."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _skipped(record: dict[str, Any]) -> None:
    record["data"]["skipped"] = record["data"]["skipped"][:NAMES]


def _train_classes(record: dict[str, Any]) -> None:
    for name, evaluation in record["evaluations"].items():
        if name == "train":
            evaluation["per_class"], evaluation["confusion"] = [], []


def _pictures(record: dict[str, Any]) -> None:
    record["pictures"], record["most_wrong"], record["cells"], record["unsure"] = [], [], {}, []


def _classes(record: dict[str, Any]) -> None:
    for evaluation in record["evaluations"].values():
        evaluation["per_class"] = evaluation["per_class"][:NAMES]
        evaluation["confusion"] = []
    record["data"]["counts"] = {name: sum(counts) for name, counts in record["data"]["counts"].items()}
    record["data"]["classes"] = record["data"]["classes"][:NAMES]


def _clip(value: Any) -> Any:
    if isinstance(value, str):
        return value[:NAMES]
    if isinstance(value, list):
        return [_clip(item) for item in value[:NAMES]]
    if isinstance(value, dict):
        return {key[:NAMES]: _clip(item) for key, item in list(value.items())[:NAMES]}
    return value


def _everything_long(record: dict[str, Any]) -> None:
    for name in ("data", "features", "fit", "environment", "seconds", "findings", "command"):
        record[name] = _clip(record[name])


SHORTER: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    (f"all but {NAMES} of the skipped files", _skipped),
    ("the training set's scores per class and its confusion matrix", _train_classes),
    ("the list of pictures", _pictures),
    (f"the confusion matrices and all but {NAMES} classes", _classes),
    (f"what is longer than {NAMES} characters or entries", _everything_long),
]
