"""Model files: `save` and `load`. One format, no fallback to any other, nothing that could run code."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .. import container
from ..container import Refused
from ..errors import DataError, FileError, explained
from ..records import to_json
from .model import Model

_ENTRIES = {"version", "classes", "loss", "preprocessing", "extractor", "facts"}
_OPTIONAL = ("mean", "scale")
_LEARNED = "extractor."  # before the names of the tensors that the extractor learned
_USUAL = "novelty."  # before those that say which pictures are usual


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Writes the model file, whole or not at all; equal models give equal bytes.

    DataError: parts that do not fit each other, numbers that are not finite. FileError: no space, no permission, …
    """
    model.check()
    tensors = {name: getattr(model, name) for name in ("coef", "intercept", *_OPTIONAL)}
    tensors = {name: array for name, array in tensors.items() if array is not None}
    info: dict[str, Any] = {"classes": model.classes, "loss": model.loss, "preprocessing": None, "extractor": None}
    if model.preprocessing is not None:
        info["preprocessing"] = to_json(model.preprocessing.to_dict())
    if model.extractor is not None:
        info["extractor"] = to_json(model.extractor.contract())
        tensors |= {_LEARNED + name: array for name, array in model.extractor.tensors().items()}
    if model.novelty is not None:
        tensors |= {_USUAL + name: array for name, array in model.novelty.tensors().items()}
    container.write(path, info | {"facts": to_json(model.facts)}, tensors)


def load(path: str | os.PathLike[str]) -> Model:
    """The model in a file; FileError for a file that is missing, damaged, foreign, or of a newer version.

    >>> model = load("run/model.safetensors")
    >>> model.classes[:3], model.coef.shape, model.loss
    (['0', '1', '2'], (10, 64), 'cross_entropy')
    """
    try:
        with explained("read", path):
            info, tensors = container.read(path)
        try:
            return _rebuild(info, tensors)
        except ImportError:  # ours or the machine's fault, not the file's
            raise
        except Exception as error:  # whatever a hand-made header makes a room of pictures or features say
            raise Refused(f"describes a model that cannot be rebuilt: {_plain(error)}") from error
    except Refused as refused:
        raise FileError(f"{os.fspath(path)} {refused}") from refused.__cause__


def _plain(error: Exception) -> str:
    """An error's text, which may quote the file, as a short piece of one line."""
    text = str(error) or type(error).__name__
    return "".join(letter if letter.isprintable() else " " for letter in text[:300]).rstrip(". ")


def _rebuild(info: dict[str, Any], tensors: dict[str, np.ndarray]) -> Model:
    if set(info) != _ENTRIES:
        raise DataError(f"Its entries should be {sorted(_ENTRIES)}; found {sorted(info)}.")
    learned = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_LEARNED)}
    usual = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_USUAL)}
    if not {"coef", "intercept"} <= set(tensors) <= {"coef", "intercept", *_OPTIONAL}:
        raise DataError(f"Its tensors should be coef and intercept, perhaps mean and scale; found {sorted(tensors)}.")
    preprocessing = extractor = None
    if info["preprocessing"] is not None:
        from ..images import Preprocessing

        preprocessing = Preprocessing.from_dict(info["preprocessing"])
    if info["extractor"] is not None:
        from ..features import from_contract

        names = {name.removeprefix(_LEARNED): array for name, array in learned.items()}
        extractor = from_contract(info["extractor"], names)
    elif learned:
        raise DataError(f"It has tensors of an extractor but no extractor: {sorted(learned)}.")
    model = Model(
        info["classes"],
        tensors["coef"],
        tensors["intercept"],
        preprocessing,
        extractor,
        info["loss"],
        info["facts"],
        tensors.get("mean"),
        tensors.get("scale"),
    )
    if usual:
        from ..trust import Novelty

        names = {name.removeprefix(_USUAL): array for name, array in usual.items()}
        model.novelty = Novelty.restore(names, model.dimension)
    model.check()
    return model


__all__ = ["Model", "load", "save"]
