"""predict: what a finished model says of pictures that nobody has labelled, or of rows of features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.folder import files_below
from ..errors import DataError, UsageError
from ..features import Extractor
from ..images import Preprocessing, decode_many
from ..store import Model
from ..trust.novelty import RARE
from . import given
from .extract import BATCH
from .judge import answer, by_blocks
from .progress import Progress
from .run_folder import load_model

ARRAYS = (".npy", ".npz")


@dataclass
class Prediction:
    """One line of `predict`: either a label or an error."""

    path: str
    label: str | None = None
    confidence: float | None = None
    runner_up: str | None = None
    runner_up_confidence: float | None = None
    labels: list[str] | None = None  # with a coverage: the set that holds the true label so often; may be empty
    unlike: float | None = None  # share of training pictures at least as unusual: near 0, nothing like it was seen
    error: str | None = None


class Predictions(list[Prediction]):
    """What `predict` answers, one a picture; a notebook shows it as a table."""

    def _repr_html_(self) -> str:
        from ..charts import percent
        from ..displays import answers_table

        def share(p: float | None) -> str:
            return "–" if p is None else percent(p)

        return answers_table([
            (p.path, p.label or "", share(p.confidence), f"{p.runner_up or ''} {share(p.runner_up_confidence)}",
             p.error or ("unlike the training pictures" if p.unlike is not None and p.unlike < RARE else ""))
            for p in self
        ])  # fmt: skip


def looks(model: Model) -> tuple[Extractor, Preprocessing]:
    """How the model looks at pictures; UsageError where it never saw any."""
    if model.extractor is None or model.preprocessing is None:
        raise UsageError(given.ONLY_ROWS)
    return model.extractor, model.preprocessing


def predict(
    run: str | Path, paths: Sequence[str | Path], *, coverage: float | None = None, progress: Progress | None = None
) -> Predictions:
    """What the model of RUN says of each picture file in `paths`; folders are walked. A file that is no readable
    picture gets an `error` and no label. A model of feature rows takes .npy and .npz files of such rows instead. With
    `coverage` each gets the set of `labels` that holds the true one in that share of pictures. DataError where there is
    nothing to look at.

    >>> answers = predict("run", ["digits/0", "lost.png"], coverage=0.9)
    >>> answers[0].label, answers[0].labels, answers[0].confidence > 0.5
    ('0', ['0'], True)
    >>> answers[-1].label, answers[-1].error
    (None, 'no such file or folder')
    """
    if coverage is not None and not 0 < coverage < 1:
        raise UsageError(f"--coverage is {coverage}, but a share between 0 and 1 is needed, such as 0.95.")
    progress = progress or Progress()
    model = load_model(run)
    if model.extractor is None:
        return Predictions(predict_rows(model, [Path(path) for path in paths], coverage))
    _, preprocessing = looks(model)
    files, predictions = list_files(paths)
    if not predictions:
        raise DataError(f"No files in {', '.join(map(str, paths))}: at least one picture is needed.")
    places = [i for i, p in enumerate(predictions) if p.error is None]
    with progress.bar(len(places), "pictures") as done:
        for indices, pictures, failures, _ in decode_many([files[i] for i in places], preprocessing):
            for i, reason in failures:
                predictions[places[i]].error = reason
            if len(indices):
                _fill(model, model.features(pictures), [predictions[places[i]] for i in indices], coverage)
            done(len(indices) + len(failures))
    return Predictions(predictions)


def list_files(paths: Sequence[str | Path]) -> tuple[list[Path], list[Prediction]]:
    """Every file to look at, folders walked in name order without hidden files; what is not there gets an error."""
    files: list[Path] = []
    predictions: list[Prediction] = []
    for path in map(Path, paths):
        for place, why in files_below(path) if os.path.isdir(path) else [(path, None)]:
            files.append(place)
            predictions.append(Prediction(str(place), error=why or _why_not(place)))
    return files, predictions


def _why_not(path: Path) -> str | None:
    """What is wrong with a path before it is opened."""
    if path.suffix.lower() in ARRAYS and os.path.isfile(path):
        return "an array file, but this model looks at pictures; give picture files"
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "no such file or folder"
    except (OSError, ValueError):  # who opens it says why
        pass
    return None


def predict_rows(model: Model, files: Sequence[Path], coverage: float | None) -> list[Prediction]:
    """What a model of feature rows says of every row in these files; a row that is not finite gets an `error`."""
    predictions: list[Prediction] = []
    for path in files:
        X = given.read(path, model.dimension)
        own = [Prediction(f"{path}[{i}]") for i in range(len(X))]
        for start in range(0, len(X), BATCH):
            part, asked = X[start : start + BATCH], own[start : start + BATCH]
            finite = np.isfinite(part).all(axis=1)
            for i in np.flatnonzero(~finite):
                asked[i].error = given.not_finite(part[i])
            if finite.any():
                _fill(model, part[finite], [asked[i] for i in np.flatnonzero(finite)], coverage)
        predictions += own
    return predictions


def _fill(model: Model, X: np.ndarray, predictions: list[Prediction], coverage: float | None) -> None:
    answers = answer(model, X)
    if coverage is not None:
        sets = by_blocks(lambda s: (model.label_sets(s, coverage),), answers.scores)[0]
        for prediction, inside in zip(predictions, sets, strict=True):
            prediction.labels = [model.classes[j] for j in np.flatnonzero(inside)]
    if (novelty := model.novelty) is not None:
        for prediction, share in zip(predictions, by_blocks(lambda X: (novelty.unlike(X),), X)[0], strict=True):
            prediction.unlike = float(share)
    for i, prediction in enumerate(predictions):
        prediction.label = model.classes[answers.predicted[i]]
        prediction.runner_up = model.classes[answers.runner_up[i]]
        if answers.confidence is not None and answers.runner_up_confidence is not None:
            prediction.confidence = float(answers.confidence[i])
            prediction.runner_up_confidence = float(answers.runner_up_confidence[i])
