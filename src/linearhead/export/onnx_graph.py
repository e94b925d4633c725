"""One ONNX graph of a whole model: pictures uint8 (n, h, w, c) of the model's own size → scores, probabilities, label.

extractor (`onnx_features`) → s = X Wᵀ + b, the columns' standardisation folded in → softmax(s / T). Class names and the
preprocessing that makes such pictures stand in the metadata as JSON.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np

from .. import __version__
from ..errors import UsageError
from .onnx_features import rows
from .predictor import parts_of

OPSET, IR = 18, 9  # ONNX 1.14 of 2023: what runtimes of the last years read


class Graph:
    """Nodes and constants as they come; a value is named by the node that gives it."""

    def __init__(self) -> None:
        try:
            self.onnx = import_module("onnx")
        except ImportError as error:
            raise UsageError("ONNX files need the onnx package: pip install 'linearhead[onnx]'.") from error
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, kind: str, *inputs: Any, name: str = "", **attributes: Any) -> str:
        """The output of a new node; arrays and numbers among the inputs become constants."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        given = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        self.nodes.append(self.onnx.helper.make_node(kind, given, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Whole numbers are int64, as shapes and axes are; others float32 unless they are arrays."""
        array = np.asarray(value)
        if not isinstance(value, (np.ndarray, np.generic)):
            array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def cast(self, value: str, dtype: Any) -> str:
        return self("Cast", value, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def slice(self, value: str, axis: int, start: int, stop: int) -> str:
        return self("Slice", value, [start], [stop], [axis])

    def model(self, inputs: list[Any], outputs: list[Any], facts: dict[str, str]) -> bytes:
        make = self.onnx.helper
        graph = make.make_graph(self.nodes, "linearhead", inputs, outputs, self.constants)
        opset = make.make_opsetid("", OPSET)
        model = make.make_model(graph, producer_name="linearhead", producer_version=__version__, opset_imports=[opset])
        model.ir_version = IR
        make.set_model_props(model, facts)
        self.onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()


def onnx_graph(model: Any) -> bytes:
    """The file's bytes; `model` is a store.Model on pictures, UsageError where its features cannot be expressed."""
    parts = parts_of(model.extractor)
    g = Graph()
    height, width, channels = model.preprocessing.shape
    blocks = []
    for part, factor in parts:
        block = rows(g, part, "pictures", (height, width, channels))
        blocks.append(block if len(parts) == 1 else g("Mul", block, np.float32(factor)))
    X = blocks[0] if len(blocks) == 1 else g("Concat", *blocks, axis=1)
    if model.extractor.row_type == np.float16:
        X = g.cast(g.cast(X, np.float16), np.float32)
    dtype = model.coef.dtype
    if dtype != np.float32:
        X = g.cast(X, dtype)
    s = g("Add", g("MatMul", X, np.ascontiguousarray(model.coef.T)), model.intercept.astype(dtype))
    make, kinds, k = g.onnx.helper, g.onnx.TensorProto, len(model.classes)
    g("Cast", s, name="scores", to=kinds.FLOAT)
    g("ArgMax", "scores" if dtype == np.float32 else s, name="label", axis=1, keepdims=0)
    outputs = [make.make_tensor_value_info("scores", kinds.FLOAT, ["n", k])]
    if model.loss in ("cross_entropy", "logistic"):
        t = g("Div", s, np.asarray(model.temperature, dtype)[()])
        if model.loss == "logistic":  # σ / Σ σ = softmax(log σ), log σ(t) = −softplus(−t)
            t = g("Neg", g("Softplus", g("Neg", t)))
        g("Cast", g("Softmax", t, axis=1), name="probabilities", to=kinds.FLOAT)
        outputs.insert(0, make.make_tensor_value_info("probabilities", kinds.FLOAT, ["n", k]))
    outputs.append(make.make_tensor_value_info("label", kinds.INT64, ["n"]))
    picture = make.make_tensor_value_info("pictures", kinds.UINT8, ["n", height, width, channels])
    facts = {
        "classes": json.dumps(model.classes),
        "preprocessing": json.dumps(model.preprocessing.to_dict()),
        "features": model.extractor.spec,
        "loss": model.loss,
        "temperature": repr(model.temperature),
    }
    return g.model([picture], outputs, facts)
