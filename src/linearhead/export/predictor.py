"""One Python file that says what pictures show, with NumPy and Pillow alone: the model's weights stand inside it.

Its functions are gathered from this package's own source, so its numbers are this package's numbers.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Collection
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from ..errors import UsageError
from ..features import Color, Extractor, Hog, Onnx, Patches, Pixels
from .source import gathered

ROOTS: dict[type, list[str]] = {  # what each extractor needs of itself
    Pixels: ["features.pixels:Pixels._rows"],
    Color: ["features.color:Color._rows"],
    Hog: ["features.hog:Hog._rows"],
    Patches: ["features.patches:Patches._rows", "features.patches:Patches.settled", "features.patches:Patches.layout"],
}
NEEDED = ("bank", "whitening", "ceiling")  # of what patches learned; the filters as pictures are not needed
DECODING = ["images.decode:_decoded", "images.decode:FORMATS"]
WIDTH = 116
AS_ONNX = (
    "Write the network as an ONNX file (torch.onnx.export), its preprocessing in a config.json beside it, and train "
    "with --features FILE.onnx; then "
)
PROBABILITIES = {
    "cross_entropy": "    e = np.exp(s - s.max(axis=1, keepdims=True))",
    "logistic": "    e = -np.logaddexp(0, -s)\n    e = np.exp(e - e.max(axis=1, keepdims=True))",
}
HERE = Path(__file__).parent / "templates"


def parts_of(extractor: Extractor | None, able: Collection[type] = tuple(ROOTS)) -> list[tuple[Extractor, float]]:
    """(extractor, the factor of its rows) side by side; UsageError where one is not of the kinds that are `able`."""
    if extractor is None:
        raise UsageError("This model was trained on feature rows, not on pictures, so it cannot look at pictures.")
    parts = extractor.scaled_parts()
    for part, _ in parts:
        if type(part) not in able:
            raise UsageError(
                f"The features {part.spec} of this model are {part.title}, which this form cannot take along. "
                f"{'' if isinstance(part, Onnx) else AS_ONNX}linearhead export --to onnx makes one graph of an ONNX "
                "network and the classifier; linearhead predict and linearhead serve run the model itself. Python file "
                f"and page can compute {', '.join(kind.name for kind in ROOTS)}."
            )
    return parts


def predictor(model: Any) -> bytes:
    """The file's text, UTF-8; `model` is a store.Model on pictures."""
    parts = parts_of(model.extractor)
    imports, definitions = gathered([*DECODING, *(root for part, _ in parts for root in ROOTS[type(part)])])
    weights = {"coef": model.coef, "intercept": model.intercept}
    made = []
    for i, (part, factor) in enumerate(parts):
        learned = {name: array for name, array in part.tensors().items() if name in NEEDED}
        weights |= {f"{i}.{name}": array for name, array in learned.items()}
        words = [f"{name}={value!r}" for name, value in {**part.options(), "picture": part.picture}.items()]
        words += [f'{name}=WEIGHTS["{i}.{name}"]' for name in learned]
        made.append(f"({type(part).__name__}({', '.join(words)}), {factor!r})")
    own = {"base64", "io", "sys", "types"}
    lines = {*imports, "import numpy as np", "from PIL import Image", *(f"import {name}" for name in own)}
    p = model.preprocessing
    values = {
        "CLASSES": json.dumps(model.classes, ensure_ascii=True),
        "COUNT": str(len(model.classes)),
        "IMPORTS": "\n".join(sorted(lines, key=lambda line: (line.startswith("from"), line))),
        "DEFINITIONS": definitions,
        "LOOKS": ", ".join(f"{k}={v!r}" for k, v in {**vars(p), "shape": p.shape}.items()),
        "EXTRACTORS": ",\n        ".join(made),
        "DTYPE": model.extractor.row_type.name,
        "TEMPERATURE": repr(model.temperature),
        "PROBABILITIES": PROBABILITIES.get(model.loss, "    return None  # this loss says nothing about chances"),
        "NORMALISED": "    return e / e.sum(axis=1, keepdims=True)" if model.loss in PROBABILITIES else "",
        "ENCODED": "\n".join(wrap(packed(weights), WIDTH)),
    }
    text = (HERE / "predictor.txt").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"«{name}»", value)
    return text.encode("utf-8")


def packed(arrays: dict[str, np.ndarray]) -> str:
    """Arrays as an .npz file in base64."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return base64.b64encode(file.getvalue()).decode("ascii")
