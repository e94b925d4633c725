"""One HTML file that classifies pictures in the browser, offline: features and head in plain JavaScript.

The resize is Pillow's own arithmetic on raw canvas pixels. What the browser decides is the decoding: PNG and other
lossless pictures give Pillow's pixels, of JPEGs the last bits differ, and so may the last digits of the answer.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..charts.page import hash_source
from ..charts.words import escaped
from ..features import Color, Extractor, Hog, Patches
from ..features.layer import FLAT
from ..features.windows import CONTRAST
from .predictor import NEEDED, parts_of

HERE = Path(__file__).parent / "templates"
LOCAL = ("show.js", "pixels.js", "features.js", "local.js")


def page(model: Any) -> bytes:
    """The file, UTF-8; `model` is a store.Model on pictures whose features a browser can compute."""
    data = described(model)
    names = data["classes"]
    return assembled(
        title=f"Which of these {len(names)} is it?",
        lead=f"{', '.join(names[:12])}{', …' if len(names) > 12 else ''}",
        where="They stay on this device: this page works without a network.",
        foot="Made by linearhead. Lossless pictures (PNG) get the very labels of the Python program; JPEGs are decoded "
        "by your browser, so the last digits of a percentage may differ.",
        data=data,
        scripts=LOCAL,
    ).encode("utf-8")


def assembled(
    title: str, lead: str, where: str, foot: str, data: Any, scripts: tuple[str, ...], connect: str = "'none'"
) -> str:
    """The page's text; only its own style and script are allowed to run, by their hashes. All words are escaped."""
    style = template("look.css")
    script = "\n".join(template(name) for name in scripts)
    policy = (
        f"default-src 'none'; script-src {hash_source(script)}; style-src {hash_source(style)}; img-src blob: data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    values = {
        "POLICY": policy,
        "TITLE": escaped(title),
        "LEAD": escaped(lead),
        "WHERE": escaped(where),
        "FOOT": escaped(foot),
        "STYLE": style,
        "SCRIPT": script,
        "MODEL": json.dumps(data).replace("<", "\\u003c"),
    }
    pieces = template("page.html").split("«")
    return pieces[0] + "".join(values[name] + rest for name, _, rest in (piece.partition("»") for piece in pieces[1:]))


def template(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def described(model: Any) -> dict[str, Any]:
    """The model as JSON values, arrays as base64 of float32."""
    shape, parts = model.preprocessing.shape, parts_of(model.extractor)
    return {
        "classes": model.classes,
        "loss": model.loss,
        "temperature": model.temperature,
        "shape": list(shape),
        "looks": model.preprocessing.to_dict() | {"tall_first": tall_first()},
        "extractors": [_extractor(part, factor, shape) for part, factor in parts],
        "half": model.extractor.row_type == np.float16,
        "coef": _encoded(model.coef),
        "intercept": _encoded(model.intercept),
    }


def tall_first() -> bool:
    """Whether this Pillow resizes a tall picture's columns before its rows, as it does from some version after 12.2 on:
    one resize is compared with its two passes, asked for one by one in that order."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 20), dtype=np.uint8)
    image, kind = Image.fromarray(noise), Image.Resampling.BILINEAR
    return image.resize((13, 17), kind).tobytes() == image.resize((20, 17), kind).resize((13, 17), kind).tobytes()


def _extractor(part: Extractor, factor: float, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Its options with nothing left to choose, and what it learned."""
    height, width, channels = shape
    if isinstance(part, Patches):
        part = part.settled(height, width)
    more: dict[str, Any] = {"name": part.name, "factor": factor}
    if isinstance(part, Color):
        more["bins"] = list(part.bins(channels))
    elif isinstance(part, Hog):
        part = dataclasses.replace(part, cell=part.cell_size(height, width))
    elif isinstance(part, Patches):
        more |= {name: _encoded(array) for name, array in part.tensors().items() if name in NEEDED}
        more |= {
            name: side._asdict() for name, side in zip(("rows", "columns"), part.layout(height, width), strict=True)
        }
        more |= {"contrast": float(CONTRAST), "flat": float(FLAT)}
    return part.options() | more


def _encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")
