"""export: a finished model as a file for another place, checked against the model itself before it is kept."""

from __future__ import annotations

import os
import runpy
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, FileError, UsageError, explained
from ..export import FORMS
from ..features import blocks
from ..files import write_atomic
from ..store import Model
from .predicting import looks
from .run_folder import load_model, load_record, model_path

CHECKED = 48  # pictures, half of them noise, half smooth: every branch of the features sees something
CLOSE = 1e-5
COARSE = 2e-3  # where rows have 16 or 8 bits: a number halfway between two of them may become either


@dataclass
class Exported:
    """Where the file is (absolute), and how far it was from the model on the pictures of the check."""

    path: Path
    to: str
    bytes: int
    checked: int = 0  # pictures; 0 where nothing can be run here, as of a page for the browser
    difference: float | None = None  # the largest of any probability, or where there are none of any score


def export(run: str | Path, *, to: str, out: str | Path | None = None, force: bool = False) -> Exported:
    """Writes the model of RUN as one of `FORMS` to the file `out` (the form's own name in the run folder).

    What can be run here is compared with the model on made pictures: another label, or a number that is off by more
    than 1e-5 of the picture's largest score (of 1, where that is smaller), is a DataError, and nothing is written; 2e-3
    where features are stored in 16 or 8 bits, and of 8 bits what one number may do, too.
    """
    if to not in FORMS:
        raise UsageError(f"--to is '{to}', but one of {', '.join(FORMS)} is needed.")
    form, place = FORMS[to], model_path(run)
    path = Path(out) if out is not None else place.parent / form.file
    if os.path.isdir(path):
        path = path / form.file
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path} exists already; choose another --out, or --force to replace it.")
    model = load_model(place)
    if to != "card" and model.extractor is None:
        raise UsageError(
            f"--to {to} makes a model that looks at pictures, but this one was trained on feature rows. --to card "
            "describes it; its weights are the tensors coef and intercept of model.safetensors."
        )
    content = form.make(model, load_record(run)[1] if to == "card" else None)
    answers = CHECKS[to](content, model) if to in CHECKS else None
    difference = None if answers is None else compared(model, *answers)
    write_atomic(path, content)
    return Exported(path.absolute(), to, len(content), CHECKED if answers else 0, difference)


def made_pictures(shape: tuple[int, int, int], n: int = CHECKED) -> np.ndarray:
    """uint8 (n, h, w, c): noise of all contrasts and smooth waves, the same every time."""
    rng = np.random.default_rng(0)
    height, width, channels = shape
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j][:, None, :, :, None]
    turn = rng.uniform(0, 2 * np.pi, (n, 1, 1, channels))
    waves = 0.5 + 0.5 * np.sin(rng.uniform(1, 40, (n, 1, 1, 1)) * (x * np.cos(turn) + y * np.sin(turn)) + turn)
    noise = 0.5 + rng.uniform(0, 1, (n, 1, 1, 1)) * rng.uniform(-0.5, 0.5, (n, height, width, channels))
    mixed = np.where(np.arange(n)[:, None, None, None] % 2, waves, noise)
    return np.rint(255 * mixed).astype(np.uint8)


def compared(model: Model, scores: np.ndarray, probabilities: np.ndarray | None) -> float:
    """How far these are from the model's own answers to the made pictures; DataError where that is too far."""
    own = model.scores(model.features(made_pictures(looks(model)[1].shape)))
    p = model.probabilities(own)
    one, other = (own, scores) if p is None or probabilities is None else (p, probabilities)
    # noise may get scores of hundreds, whose own rounding in 32 bits is then seen in the probabilities
    scale = np.maximum(1, np.abs(own).max(axis=1))
    differences, shifts = np.abs(one - other).max(axis=1), np.abs(own - scores).max(axis=1)
    top = np.sort(own, axis=1)
    clear = top[:, -1] - top[:, -2] > 2 * shifts  # the others may fall either way by rounding
    same = bool(np.all((own.argmax(axis=1) == scores.argmax(axis=1)) | ~clear))
    if not same or not np.all(np.maximum(differences, shifts) <= _close(model, scale)):
        raise DataError(
            f"The exported model does not answer as the model does: {'the same' if same else 'other'} labels, and "
            f"numbers that differ by up to {differences.max():.2g}. Nothing was written. Please report it."
        )
    return float(differences.max())


def _close(model: Model, scale: np.ndarray) -> np.ndarray:
    """How far a score of a picture may be off whose largest is `scale`: more where a number of few bits may fall either
    way, and of a byte what one such number does, which in a row of a few hundred is more still."""
    extractor, preprocessing = looks(model)
    close, step = CLOSE, 0.0
    for part, factor, columns in blocks(extractor, preprocessing.shape):
        if part.row_type != np.float32:
            close = COARSE
        if part.row_type == np.uint8:
            step = max(step, factor * float(np.abs(model.coef[:, columns]).max()))
    return close * scale + step


def _run_python(content: bytes, model: Model) -> tuple[np.ndarray, np.ndarray | None]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "predictor.py"
        with explained("write", file):
            file.write_bytes(content)
        made = runpy.run_path(str(file))
    s = made["scores"](made["features"](made_pictures(looks(model)[1].shape)))
    return s, made["probabilities"](s)


def _run_onnx(content: bytes, model: Model) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        runtime: Any = import_module("onnxruntime")
    except ImportError as error:
        raise UsageError("ONNX files are checked with ONNX Runtime: pip install 'linearhead[onnx]'.") from error
    pictures = made_pictures(looks(model)[1].shape)
    try:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        size = session.get_inputs()[0].shape[0]  # a number where the graph takes so many at a time and no others
        size = size if isinstance(size, int) else CHECKED
        pieces = [np.arange(first, first + size) % CHECKED for first in range(0, CHECKED, size)]
        runs = [session.run(None, {"pictures": pictures[rows]}) for rows in pieces]
    except Exception as error:  # ONNX Runtime's own classes, which differ from version to version
        raise FileError(
            f"ONNX Runtime cannot run the graph: {str(error).splitlines()[0]} Nothing was written. linearhead predict "
            "and linearhead serve run the model itself."
        ) from error
    names = [output.name for output in session.get_outputs()]
    given = {name: np.concatenate(made)[:CHECKED] for name, made in zip(names, zip(*runs, strict=True), strict=True)}
    if not np.array_equal(given["label"], given["scores"].argmax(axis=1)):
        raise DataError("The graph's label is not the class of its highest score. Nothing was written.")
    return given["scores"], given.get("probabilities")


CHECKS = {"numpy": _run_python, "onnx": _run_onnx}
