"""The registry of extractors: name → class. A new extractor costs one file and one line here.

A specification is names joined with "+", each with options in brackets where they differ from the default:
"hog+color", "hog(cell=8,orientations=12)"; a trained network is named by its address, "nets/model.onnx" or
"timm:resnet18.a1_in1k". `make` reads one; `from_contract` rebuilds a saved extractor.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FileError, UsageError
from .color import Color
from .contract import Extractor
from .hog import Hog
from .joined import Joined, blocks
from .onnx import Onnx
from .patches import QUALITIES, Patches
from .pixels import Pixels
from .timm import Timm

FEATURES: dict[str, type[Extractor]] = {kind.name: kind for kind in (Pixels, Color, Hog, Patches, Onnx, Timm)}

_PART = re.compile(r"\s*(?P<name>[^()]*?)\s*(\((?P<options>[^()]*)\))?\s*")


def make(spec: str, quality: str | None = None) -> Extractor:
    """The extractor of a specification such as "pixels", "hog+color", "hog(cell=8)+color(grid=3)".

    `quality` is that of the parts which have one and for which `spec` names none.
    """
    parts = [_make_part(text, spec, quality) for text in split_spec(spec)]
    if twice := [name for name, times in Counter(part.spec for part in parts).items() if times > 1]:
        raise UsageError(f"{spec!r} has {twice[0]} twice: the same numbers again say nothing more. Name it once.")
    return parts[0] if len(parts) == 1 else Joined(parts=tuple(parts))


def split_spec(spec: str) -> list[str]:
    """The parts between the + signs, those inside brackets left alone."""
    return re.split(r"\+(?![^()]*\))", spec)


def from_contract(contract: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Extractor:
    """The extractor that gave this `contract()` and these `tensors()`, exactly; FileError where that cannot be."""
    if not isinstance(contract, Mapping):
        raise FileError(f"The saved features are damaged: expected an object, found {type(contract).__name__}.")
    if "parts" in contract:
        return _restore_joined(contract, tensors)
    name = contract.get("name")
    if not isinstance(name, str) or name not in FEATURES:
        raise FileError(
            f"The model uses features named {name!r}, which this version does not have "
            f"(it has {', '.join(FEATURES)}). Use the version of linearhead that wrote the model, or train again."
        )
    return FEATURES[name].restore(dict(contract), dict(tensors))


def _restore_joined(contract: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Joined:
    try:
        parts = tuple(
            from_contract(part, {k.removeprefix(f"{i}."): v for k, v in tensors.items() if k.startswith(f"{i}.")})
            for i, part in enumerate(contract["parts"])
        )
        scales = tuple(float(scale) for scale in contract["scales"])
        picture = contract["picture"]
        if len(scales) != len(parts) or not np.isfinite(scales).all():
            raise ValueError(f"{len(parts)} parts, scales {scales}")
        return Joined(parts=parts, scales=scales, picture=tuple(picture) if picture else None)
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"The saved joined features are damaged ({error!r}). Train the model again.") from error


def _make_part(text: str, spec: str, quality: str | None) -> Extractor:
    match = _PART.fullmatch(text)
    kind, address = _named(match["name"] if match else text)
    if match is None or kind is None:
        raise UsageError(
            f"There are no features named {text.strip()!r} (in {spec!r}). Available: "
            f"{', '.join(name for name, kind in FEATURES.items() if kind.address is None)}, PATH.onnx and timm:NAME; "
            'join several with +, e.g. "hog+color", and set options in brackets, e.g. "hog(cell=8)".'
        )
    known = kind.choices()
    values: dict[str, Any] = {}
    for item in filter(None, (match["options"] or "").replace(" ", "").split(",")):
        option, _, value = item.partition("=")
        if option not in known or option in values:
            options = ", ".join(known) or "none"
            raise UsageError(f"{kind.name} has no option {item!r} (or it was given twice). Its options: {options}.")
        values[option] = _parse(value, known[option], f"{kind.name}({item})")
    if quality is not None and "quality" in known:
        values.setdefault("quality", quality)
    return kind.at(address, **values) if address is not None else kind(**values)


def _named(name: str) -> tuple[Any, str | None]:
    """The kind of extractor that a name stands for, and the address where it is one; (None, None) where nothing is."""
    for kind in FEATURES.values():
        if kind.address is not None and (found := kind.address.fullmatch(name)):
            return kind, found["source"]
    kind = FEATURES.get(name)
    return (kind, None) if kind is not None and kind.address is None else (None, None)


def _parse(value: str, default: Any, where: str) -> int | float | str:
    """The text of an option as the type of its default."""
    try:
        return type(default)(value)
    except ValueError as error:
        raise UsageError(f"{where}: expected a value like {default!r}; found {value!r}.") from error


__all__ = [
    "FEATURES",
    "QUALITIES",
    "Color",
    "Extractor",
    "Hog",
    "Joined",
    "Onnx",
    "Patches",
    "Pixels",
    "Timm",
    "blocks",
    "from_contract",
    "make",
    "split_spec",
]
