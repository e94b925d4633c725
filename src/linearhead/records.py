"""What the program remembers, as dataclasses that turn into JSON and back with a schema number.

A run folder's `run.json` is one `Run`; the report is drawn from it alone. Arrays never live here: lists of
Python numbers do, so a record reads the same in ten years.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

from .errors import FileError

SCHEMA = 2  # 1: confusion matrices with all their zeros
GIVEN = "given"  # the name of features that were computed elsewhere


class Status(Enum):
    """How a fit ended, in the words that the user reads."""

    CONVERGED = "the tolerance was reached"
    MAX_ITER = "the iteration limit came before the tolerance; raise max_iter or tol"
    STALLED = "rounding leaves no further decrease; raise tol, or use float64 features if these are float32"
    DIVERGED = "the loss grew without bound; lower learning_rate"
    UNBOUNDED = "the classes are separable and nothing is penalised, so no finite optimum exists; set alpha > 0"
    EARLY_STOPPED = "the validation loss stopped improving"
    CALLBACK = "the callback asked to stop"
    INTERRUPTED = "interrupted; the best parameters so far were kept"


@dataclass
class Trace:
    """One row per recorded step of a fit; `passes` counts reads of all n rows (a gradient is one)."""

    iteration: list[int] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    train_loss: list[float | None] = field(default_factory=list)
    train_accuracy: list[float | None] = field(default_factory=list)
    valid_loss: list[float | None] = field(default_factory=list)
    valid_accuracy: list[float | None] = field(default_factory=list)

    def append(self, **row: Any) -> None:
        for column in dataclasses.fields(self):
            getattr(self, column.name).append(row.get(column.name))

    def __len__(self) -> int:
        return len(self.iteration)

    def rows(self) -> list[dict[str, Any]]:
        names = [column.name for column in dataclasses.fields(self)]
        return [dict(zip(names, row, strict=True)) for row in zip(*(getattr(self, n) for n in names), strict=True)]

    def followed_by(self, rest: Trace) -> Trace:
        """This trace and that of a fit which went on from its end: iterations, passes and seconds count on."""
        columns = {column.name: list(getattr(self, column.name)) for column in dataclasses.fields(self)}
        for name, values in columns.items():
            before = values[-1] if values and name in ("iteration", "passes", "seconds") else None
            values += [value if before is None else before + value for value in getattr(rest, name)]
        return Trace(**columns)

    def plot(self, *others: Trace, against: str = "passes", what: str = "loss", names: Sequence[str] = ()) -> Any:
        """One picture of this trace and others: `what` (loss, accuracy, value, gap) against passes or seconds."""
        from .charts import trace_chart

        if not others and not names:
            return trace_chart(self, against, what)
        traces = (self, *others)
        names = list(names) or [f"fit {i + 1}" for i in range(len(traces))]
        return trace_chart(dict(zip(names, traces, strict=True)), against, what)

    def _repr_html_(self) -> str:
        return self.plot()._repr_svg_()


@dataclass
class Certificate:
    """What is proven about a fit: F(theta) − F* ≤ gap (None: no finite bound known); residual = max |∇F|."""

    value: float
    gap: float | None
    residual: float
    tolerance: float
    certified: bool
    undecided: int | None = None  # training predictions that could still differ at the exact optimum


@dataclass
class Skipped:
    """One picture that was found and not used."""

    path: str
    reason: str


@dataclass
class DataSummary:
    """What was found, used, left out, and which pictures had which role."""

    source: str
    reader: str
    classes: list[str]
    found: int
    used: int
    skipped: list[Skipped]
    counts: dict[str, list[int]]  # split name ('train', 'valid', 'test') -> pictures per class
    roles: dict[str, str]  # 'trained' | 'chose' | 'judged' -> a sentence
    conversions: dict[str, int] = field(default_factory=dict)  # e.g. {"turned by EXIF": 12}
    split_given: bool = False  # the test pictures are those of the data's own split

    @property
    def taught(self) -> list[int]:
        """Pictures per class that trained the model: train and, after they had chosen, valid."""
        parts = [counts for split in ("train", "valid") if (counts := self.counts.get(split))]
        return [sum(each) for each in zip(*parts, strict=True)]


@dataclass
class ClassScore:
    """One class in one evaluation. Intervals are Wilson 95 %."""

    label: str
    n: int
    precision: float | None
    recall: float | None
    recall_interval: list[float] | None
    f1: float | None
    precision_interval: list[float] | None = None
    f1_interval: list[float] | None = None


@dataclass
class Evaluation:
    """Numbers about predictions on one set; `log_loss` is None where the loss has no probabilities."""

    n: int
    accuracy: float
    accuracy_interval: list[float]
    balanced_accuracy: float
    log_loss: float | None
    majority_accuracy: float
    per_class: list[ClassScore]
    confusion: list[list[int]]  # [true, predicted, count] of every pair that occurs, in order
    intervals: dict[str, list[float]] = field(default_factory=dict)  # of the other numbers, by name: 95 %
    top: dict[str, float] = field(default_factory=dict)  # "3" -> share whose label is among the best 3
    nearest_accuracy: float | None = None  # what the nearest training picture's label would score on the same features
    nearest: str = ""  # how that was found, in words
    audit: dict[str, str] = field(default_factory=dict)  # 'trained' | 'chose' | 'judged' -> which pictures
    independent: float | None = None  # where they come in groups: the pictures as which they count in the intervals


@dataclass
class Picture:
    """A judged picture worth looking at; `thumbnail` is a data: URI."""

    path: str
    label: int
    predicted: int
    confidence: float | None
    label_confidence: float | None
    runner_up: int | None
    thumbnail: str
    regions: str = ""  # a data: URI to be laid over it: what spoke for `predicted` and against its rival
    lead: float | None = None  # score of `predicted` less that of its rival, the label or else the runner-up


@dataclass
class FitSummary:
    """The classifier and how it was found."""

    loss: str
    penalty: str
    solver: str
    alpha: float
    standardize: bool
    status: str
    converged: bool
    iterations: int
    passes: float
    certificate: Certificate | None
    trace: Trace
    path: list[dict[str, float | None]] = field(default_factory=list)  # per alpha tried: alpha, valid_accuracy, …
    loss_label: str = ""
    alpha_from: str = ""  # in words: chosen of 18, given, kept …
    learning_rate: float | None = None  # of gd and sgd: the one that was found or given, the largest where it falls

    @property
    def rounds(self) -> str:
        """What `iterations` counts."""
        return "epochs" if self.solver == "sgd" else "iterations"


@dataclass
class Candidate:
    """One choice of features and loss on the leaderboard, judged on n pictures that its fit did not see."""

    features: str
    loss: str
    dimension: int
    alpha: float
    n: int
    accuracy: float
    accuracy_interval: list[float]
    log_loss: float | None  # None where the loss has no probabilities
    seconds: float
    chosen: bool = False


@dataclass
class Leaderboard:
    """What "auto" tried, best accuracy first, and how it chose."""

    candidates: list[Candidate]
    not_tried: list[str]  # for want of time
    pictures: int  # of the sample; no test picture among them
    rule: str
    seconds: float
    classes: int = 0  # of the sample; 0: it is not known


@dataclass
class Reliability:
    """How often a stated confidence came true: log loss in nats, ECE over bins of equal count, and those bins."""

    log_loss: float
    ece: float
    bins: list[list[float]]  # [mean confidence, share right, n]


@dataclass
class Trust:
    """What the model may be believed, from scores of pictures that the scoring classifier had not seen."""

    n: int  # pictures that calibrated
    source: str  # which they were, in words
    temperature: float | None = None  # scores are divided by it before they become probabilities
    before: Reliability | None = None
    after: Reliability | None = None
    judged: Reliability | None = None  # on the test pictures, as the model is
    chance: float | None = None  # the ECE that as many pictures show by chance alone, in 99 of 100 cases at most
    coverage: list[dict[str, float]] = field(default_factory=list)  # asked, covered, labels: sets on the test pictures
    answered: list[list[float]] = field(default_factory=list)  # [share answered, accuracy among them], on the test set
    unlike: float | None = None  # share of the test pictures that are unlike every training picture


@dataclass
class LearningCurve:
    """Accuracy on pictures not trained on against the number trained on, and what twice as many should give."""

    n: list[int] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    judged: int = 0
    twice: float | None = None  # forecast of the accuracy with twice the pictures of the last point
    gain: float | None = None  # forecast less the last point
    gain_error: float | None = None  # standard error of the last doubling's gain
    margin: float | None = None  # by which the forecast may be off, 95 %: what so few judging pictures leave open
    independent: float | None = None  # where the judging pictures come in groups: as how many they count


@dataclass
class Finding:
    """One sentence of the verdict: severity is 'good', 'note', 'warning' or 'problem'."""

    code: str
    title: str
    severity: str
    evidence: str
    advice: str
    command: str = ""  # that the advice comes to; words in capitals are to be filled in


@dataclass
class Duplicates:
    """Pictures that are there more than once: equal in bytes or pixels (exact), or the same picture resized, saved
    again, cut at the edges or mirrored (near)."""

    compared: int  # pictures that were looked at, those trained on included
    exact: int  # pictures equal to an earlier one
    near: int  # pictures that look like an earlier one, the exact ones not counted again
    conflicting: int  # pictures with a copy under another label
    judged: int  # judged pictures with a copy among those that trained the model
    examples: list[list[str]] = field(default_factory=list)  # some groups of copies, by path
    thumbnails: list[list[str]] = field(default_factory=list)  # data: URIs of the first of them, where they are shown
    without: Evaluation | None = (
        None  # the judged numbers without the pictures counted in `judged`, where there are any
    )
    contradicting: int = 0  # pictures equal to one under another label
    contradictions: list[list[str]] = field(default_factory=list)  # some groups of those, by path and label


KEY = 12  # of few digits a hundred thousand pictures have two alike in 2 of 100 000 cases


@dataclass
class Run:
    """Everything a run leaves behind besides the model."""

    version: str
    created: str
    command: str
    data: DataSummary
    features: dict[str, Any]  # {"name": "hog+color", "dimension": 576, "picture": "64x64 RGB", …}
    fit: FitSummary
    evaluations: dict[str, Evaluation]  # 'train', 'test'
    findings: list[Finding] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)  # judged set only
    most_wrong: list[int] = field(default_factory=list)  # indices into pictures, worst first
    cells: dict[str, list[int]] = field(default_factory=dict)  # "true,predicted" -> indices into pictures
    weights: list[str] = field(default_factory=list)  # one data: URI per class, where they can be drawn as pictures
    filters: str = ""  # a data: URI of the filters, where features have some
    duplicates: Duplicates | None = None  # None: not looked for
    seconds: dict[str, float] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    leaderboard: Leaderboard | None = None  # where features, or their variants, were left to the pictures
    trust: Trust | None = None
    learning_curve: LearningCurve | None = None
    probes: dict[str, dict[str, float | None]] = field(default_factory=dict)  # what checks measured, by probe
    suspects: list[Picture] = field(default_factory=list)  # trained pictures whose label is doubted, worst first
    doubted: list[str] = field(default_factory=list)  # the paths of more of them, in the same order
    doubted_by: str = "classifiers that had not seen them"  # who gives them another label, in words
    unsure: list[int] = field(default_factory=list)  # indices into pictures, the least sure first
    judged_pictures: str = ""  # SHA-256 of the contents of the test pictures, in their order
    judged_right: str = ""  # "1" or "0" for each of them
    judged_keys: str = ""  # KEY hexadecimal digits of each one's own SHA-256: which of them another run has judged, too
    judged_groups: list[int] = field(default_factory=list)  # where they come in groups: which, for each of them
    model: str = ""  # the model's identity: 16 hexadecimal digits of its weights' SHA-256
    muted: list[str] = field(default_factory=list)  # codes of findings that the user does not want to hear
    schema: int = SCHEMA

    @property
    def of_rows(self) -> bool:
        """Whether rows of features computed elsewhere stand in the place of pictures."""
        return self.features.get("name") == GIVEN

    @property
    def unseen_accuracy(self) -> float | None:
        """Of the trained pictures, by classifiers that had not seen them; None where that was not asked."""
        wrong = self.probes.get("labels", {}).get("wrong")
        return None if wrong is None else 1 - wrong


def to_json(record: Any) -> Any:
    """A record as plain JSON values (dicts, lists, numbers, strings); non-finite numbers become None."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, dict):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_json(value) for value in record]
    if isinstance(record, Enum):
        return record.name
    if hasattr(record, "item"):  # NumPy scalars
        record = record.item()  # pyright: ignore
    if isinstance(record, float) and not (abs(record) < float("inf")):
        return None
    return record


def from_json(kind: Any, value: Any) -> Any:
    """The inverse of `to_json` for the record type `kind`; FileError where the JSON is of another shape."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
        return from_json(kind, value)
    if dataclasses.is_dataclass(kind):
        return _dataclass_from_json(kind, value)
    if origin is list and isinstance(value, list):
        return [from_json(typing.get_args(kind)[0], item) for item in value]
    if origin is dict and isinstance(value, dict):
        return {key: from_json(typing.get_args(kind)[1], item) for key, item in value.items()}
    return value


def _dataclass_from_json(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise FileError(f"This record is damaged: {kind.__name__} should be an object, found {type(value).__name__}.")
    schema = value.get("schema", SCHEMA)
    if kind is Run and (not isinstance(schema, int) or schema > SCHEMA):
        raise FileError(f"This run was written in record format {schema}; this version reads up to {SCHEMA}. Upgrade.")
    if kind is Run and schema < 2:
        value = _with_cells(value) | {"schema": SCHEMA}
    hints = _hints(kind)
    known = {f.name: f for f in dataclasses.fields(kind)}
    missing = [
        name
        for name, f in known.items()
        if name not in value and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise FileError(f"This record is damaged: {kind.__name__} lacks {', '.join(missing)}.")
    return kind(**{name: from_json(hints[name], value[name]) for name in known if name in value})


_hints = cache(typing.get_type_hints)  # of thousands of classes' scores once


def _with_cells(value: Any) -> Any:
    """A record of format 1 with its confusion matrices, lists of k rows, as the pairs that occur, wherever they are."""
    if isinstance(value, dict):
        return {name: _cells(item) if name == "confusion" else _with_cells(item) for name, item in value.items()}
    return value


def _cells(rows: Any) -> Any:
    if not (isinstance(rows, list) and all(isinstance(row, list) for row in rows)):
        return rows  # as any other damage
    return [[i, j, count] for i, row in enumerate(rows) for j, count in enumerate(row) if count]
