"""The Open Inference protocol's JSON: pictures in as base64 of their files or as pixels, tensors out."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import Answering
from .guard import Refused


@dataclass
class Tensor:
    name: str
    datatype: str
    shape: list[int]

    def head(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": self.shape}


def read_inputs(asked: Any, shape: tuple[int, int, int], most: int) -> list[bytes] | list[np.ndarray]:
    """The pictures of a request; Refused (400) with what is wrong."""
    inputs = asked.get("inputs") if isinstance(asked, dict) else None
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Refused(400, "inputs has to be an array of one tensor, pictures (BYTES) or pixels (UINT8).")
    if "id" in asked and not isinstance(asked["id"], str):
        raise Refused(400, "id has to be a string.")
    tensor = inputs[0]
    kind, dims, data = (tensor.get(name) for name in ("datatype", "shape", "data"))
    if not (isinstance(dims, list) and dims and all(isinstance(n, int) and not isinstance(n, bool) for n in dims)):
        raise Refused(400, "shape has to be an array of whole numbers, one at least.")
    if not 1 <= dims[0] <= most:
        raise Refused(400, f"1 to {most} pictures are taken at a time.")
    if not isinstance(data, list):
        raise Refused(400, "data has to be an array.")
    if kind == "BYTES" and tensor.get("name") == "pictures" and len(dims) == 1:
        return _files(data, dims[0])
    if kind == "UINT8" and tensor.get("name") == "pixels" and tuple(dims[1:]) == shape:
        return _pixels(data, dims)
    found = ", ".join(str(part)[:40] for part in (tensor.get("name"), kind, f"shape {dims}"))
    raise Refused(
        400,
        f"The tensor is {found}; needed is pictures, BYTES, shape [n], or pixels, UINT8, shape "
        f"[n, {', '.join(map(str, shape))}].",
    )


def _files(data: list[Any], n: int) -> list[bytes]:
    if len(data) != n or not all(isinstance(item, str) for item in data):
        raise Refused(400, f"data has to hold {n} strings, base64 of a picture's file each.")
    try:
        return [base64.b64decode(item, validate=True) for item in data]
    except (binascii.Error, ValueError):
        raise Refused(400, "data has to hold base64 of a picture's file.") from None


def _pixels(data: list[Any], dims: list[int]) -> list[np.ndarray]:
    try:
        values = np.array(data)
    except (ValueError, OverflowError, RecursionError):
        values = np.zeros(0)
    if values.dtype.kind not in "iu" or values.size != math.prod(dims) or values.min() < 0 or values.max() > 255:
        raise Refused(400, f"data has to hold {math.prod(dims)} whole numbers from 0 to 255.")
    return list(values.astype(np.uint8).reshape(dims))


def outputs_of(served: Answering) -> list[str]:
    """The names of the tensors that come out."""
    return ["label", "scores", *(["probabilities"] if served.probable else [])]


def wanted(asked: dict[str, Any], served: Answering) -> list[str]:
    """Those of `outputs_of` that a request wants; Refused (400) where it names others."""
    known = outputs_of(served)
    if (named := asked.get("outputs")) is None:
        return known
    names = [str(item.get("name")) for item in named if isinstance(item, dict)] if isinstance(named, list) else []
    if not names or len(names) < len(named) or any(name not in known for name in names):
        raise Refused(400, f"outputs has to be an array of tensors named {', '.join(known)}, or to be left out.")
    return names


def written(
    asked: dict[str, Any], answers: list[dict[str, Any]], served: Answering, names: list[str]
) -> dict[str, Any]:
    """The response."""
    n, k = len(answers), len(served.classes)
    outputs = [Tensor("label", "BYTES", [n]).head() | {"data": [answer["label"] for answer in answers]}]
    scores = [value for answer in answers for value in answer["scores"]]
    outputs.append(Tensor("scores", "FP32", [n, k]).head() | {"data": scores})
    if served.probable:
        p = [answer["probabilities"][name] for answer in answers for name in served.classes]
        outputs.append(Tensor("probabilities", "FP32", [n, k]).head() | {"data": p})
    named = {"id": asked["id"]} if "id" in asked else {}
    told = [tensor for tensor in outputs if tensor["name"] in names]
    return {"model_name": served.name, "model_version": "1", **named, "outputs": told}
