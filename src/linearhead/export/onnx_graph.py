"""One ONNX graph of a whole model: pictures uint8 (n, h, w, c) of the model's own size → scores, probabilities, label.

extractor (`onnx_features`, `onnx_network`) → s = X Wᵀ + b, the columns' standardisation folded in → softmax(s / T).
Class names and the preprocessing that makes such pictures stand in the metadata as JSON, the latter in words as well.
"""

from __future__ import annotations

import dataclasses
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import UsageError
from ..features import Extractor, Onnx
from ..images import Preprocessing
from .onnx_features import WRITERS, rows
from .onnx_network import opset, renamed
from .predictor import parts_of

OPSET, IR = 18, 9  # ONNX 1.14 of 2023: what runtimes of the last years read
AXES = {"ReduceMean": 18, "ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}  # opset from which axes are an input
LARGEST = 2**31 - 2**24  # bytes of weights: protobuf holds 2 GiB, the nodes included
FITS = {
    "stretch": "the whole picture stretched to that size",
    "crop": "the largest centred part of that shape, brought to that size",
    "pad": "the whole picture as large as fits, centred on the background",
}


class Graph:
    """Nodes and constants as they come; a value is named by the node that gives it."""

    def __init__(self, networks: list[Onnx]) -> None:
        try:
            self.onnx = import_module("onnx")
        except ImportError as error:
            raise UsageError("ONNX files need the onnx package: pip install 'linearhead[onnx]'.") from error
        self.opset, self.ir = opset(self.onnx, networks, OPSET), IR
        self.n: int | str = "n"  # pictures at a time
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.sparse: list[Any] = []
        self.domains: dict[str, int] = {}  # other sets of operators, by name

    def __call__(
        self, kind: str, *inputs: Any, name: str = "", axes: list[int] | None = None, **attributes: Any
    ) -> str:
        """The output of a new node; arrays and numbers among the inputs become constants."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        if axes is not None and self.opset < AXES[kind]:
            attributes["axes"] = axes
        elif axes is not None:
            inputs = (*inputs, axes)
        given = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        # a name, as older ONNX Runtimes give what they fuse of nodes without names the same one, and refuse it
        self.nodes.append(self.onnx.helper.make_node(kind, given, [name], name=name, **attributes))
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

    def feed(self, n: int | str, network: str) -> None:
        """Notes how many pictures a network takes at a time, "n" for any number."""
        if n != "n" and self.n not in ("n", n):
            raise UsageError(f"{network} takes {n} pictures at a time, another network {self.n}: no graph feeds both.")
        self.n = self.n if n == "n" else n

    def take(self, model: Any, nodes: list[Any], weights: list[Any], sparse: list[Any], prefix: str) -> None:
        """Nodes and weights of another graph, under names with that prefix."""
        renamed(nodes, [*weights, *(w.values for w in sparse)], prefix)
        self.nodes, self.constants, self.sparse = self.nodes + nodes, self.constants + weights, self.sparse + sparse
        self.ir = max(self.ir, model.ir_version)
        for o in model.opset_import:
            self.domains[o.domain] = max(o.version, self.domains.get(o.domain, 0))

    def model(self, inputs: list[Any], outputs: list[Any], facts: dict[str, str]) -> bytes:
        make, large = self.onnx.helper, sum(w.ByteSize() for w in self.constants)
        if large > LARGEST:
            raise UsageError(
                f"The weights take {large / 2**30:.1f} GiB, but one ONNX file holds 2. Use linearhead predict or "
                "linearhead serve with the model itself."
            )
        graph = make.make_graph(
            self.nodes, "linearhead", inputs, outputs, self.constants, sparse_initializer=self.sparse
        )
        domains = {name: v for name, v in self.domains.items() if name not in ("", "ai.onnx")} | {"": self.opset}
        opsets = [make.make_opsetid(name, version) for name, version in domains.items()]
        model = make.make_model(graph, producer_name="linearhead", producer_version=__version__, opset_imports=opsets)
        model.ir_version = self.ir
        make.set_model_props(model, facts)
        if not self.domains:  # nodes of networks that run may be of kinds, or in forms, that the checker does not know
            self.onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()


def onnx_graph(model: Any) -> bytes:
    """The file's bytes; `model` is a store.Model on pictures, UsageError where its features cannot be expressed."""
    parts = parts_of(model.extractor, WRITERS)
    g = Graph([part for part, _ in parts if isinstance(part, Onnx)])
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
    outputs = [make.make_tensor_value_info("scores", kinds.FLOAT, [g.n, k])]
    if model.loss in ("cross_entropy", "logistic"):
        t = g("Div", s, np.asarray(model.temperature, dtype)[()])
        if model.loss == "logistic":  # σ / Σ σ = softmax(log σ), log σ(t) = −softplus(−t)
            t = g("Neg", g("Softplus", g("Neg", t)))
        g("Cast", g("Softmax", t, axis=1), name="probabilities", to=kinds.FLOAT)
        outputs.insert(0, make.make_tensor_value_info("probabilities", kinds.FLOAT, [g.n, k]))
    outputs.append(make.make_tensor_value_info("label", kinds.INT64, [g.n]))
    size = [g.n, height, width, channels]
    picture = make.make_tensor_value_info("pictures", kinds.UINT8, size, in_words(model.preprocessing))
    facts = {
        "classes": json.dumps(model.classes),
        "preprocessing": json.dumps(model.preprocessing.to_dict()),
        "pictures": in_words(model.preprocessing),
        "features": "+".join(_named(part) for part, _ in parts),
        "loss": model.loss,
        "temperature": repr(model.temperature),
    }
    return g.model([picture], outputs, facts)


def in_words(p: Preprocessing) -> str:
    """How pictures are made ready, for somebody who has only the graph."""
    colours = "red, green, blue" if p.mode == "RGB" else "grey = 0.299 red + 0.587 green + 0.114 blue"
    draft = "; JPEGs decoded at 1/2, 1/4 or 1/8 of their size, at least twice what is needed" if p.draft else ""
    return (
        f"uint8 (n, {p.height}, {p.width}, {p.channels}), {colours}, 0 to 255: turned as EXIF says, behind what is "
        f"transparent the colour {p.background}, {FITS[p.fit]}, by Pillow's resize, {p.interpolation}, antialiased"
        f"{draft}. A network's own crop and normalisation are nodes of this graph."
    )


def _named(part: Extractor) -> str:
    """Its specification, without the folders of the machine that trained."""
    if isinstance(part, Onnx) and not part.source.startswith("hf:"):
        part = dataclasses.replace(part, source=Path(part.source).name)
    return part.spec
