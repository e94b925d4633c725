"""A network from the user's own ONNX file as part of the graph: its nodes and weights as they are, each name prefixed.

Before it: the centre is cut out, x = (pixel/255 − mean) / std, channels first. After it: the mean of a map's places, or
the class token. Both as in `features.backbone`. Nodes that the wanted output does not need are left out, local
functions are written out, and weights that lie in files beside the network come into the one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import UsageError
from ..features import Onnx
from ..features.onnx import find

LEAST = 11  # opset: in older ones axes, limits and paddings are written otherwise than the nodes around a network are


def opset(onnx: Any, networks: Iterable[Onnx], usual: int) -> int:
    """The one in which everything can be written: the newest of the networks'; `usual` where there is none."""
    versions = [_version(onnx.load(find(e.source, e.sha256), load_external_data=False)) for e in networks]
    return max([LEAST, *versions]) if versions else usual


def network(g: Any, e: Onnx, pictures: str, shape: tuple[int, int, int]) -> str:
    """The name of the value that holds the rows, float32 (n, d)."""
    assert e.pixels is not None
    model, prefix = _opened(g.onnx, e, g.opset), f"network{len(g.nodes)}_"
    graph = model.graph
    output, weights = e.output or graph.output[0].name, {w.name for w in graph.initializer}
    given = next(value for value in graph.input if value.name not in weights)
    g.feed(given.type.tensor_type.shape.dim[0].dim_value or "n", e.spec)
    x = pictures
    for axis, (have, want) in enumerate(zip(shape, e.pixels["input_size"][1:], strict=False), start=1):
        start = round((have - want) / 2)
        x = x if have == want else g.slice(x, axis, start, start + want)
    x = g("Div", g.cast(x, np.float32), 255.0)
    x = g("Div", g("Sub", x, np.float32(e.pixels["mean"])), np.float32(e.pixels["std"]))
    g("Transpose", x, perm=[0, 3, 1, 2], name=prefix + given.name)
    g.take(model, *_needed(graph, output), prefix)
    x, rank = g.cast(prefix + output, np.float32), e.rank()
    if rank == 4:
        return g("ReduceMean", x, axes=[2, 3], keepdims=0)
    return g("Squeeze", g.slice(x, 1, 0, 1), axes=[1]) if rank == 3 else x


def renamed(nodes: Iterable[Any], values: Iterable[Any], prefix: str) -> None:
    """Prefixes all names of nodes, of what they contain, and of these values, so that they stay one another's."""
    for value in values:
        value.name = prefix + value.name
    for node in nodes:
        node.name = node.name and prefix + node.name
        for names in (node.input, node.output):
            names[:] = [name and prefix + name for name in names]  # an empty name is an input left out
        for inner in _graphs(node):
            sparse = (w.values for w in inner.sparse_initializer)
            renamed(inner.node, [*inner.input, *inner.output, *inner.value_info, *inner.initializer, *sparse], prefix)


def _opened(onnx: Any, e: Onnx, wanted: int) -> Any:
    """The file's ModelProto in the wanted opset, its weights included."""
    try:
        model = onnx.load(find(e.source, e.sha256))
        if model.functions:
            model = import_module("onnx.inliner").inline_local_functions(model)
        if _version(model) != wanted:
            model = import_module("onnx.version_converter").convert_version(model, wanted)
    except Exception as error:  # of the onnx package, of protobuf, of its C++: each has classes of its own
        raise UsageError(
            f"The onnx package {onnx.__version__} cannot write {e.source} in opset {wanted}: "
            f"{str(error).strip().splitlines()[0]} Write the network again in that opset, e.g. "
            f"torch.onnx.export(…, opset_version={wanted}), and train with that file; or use linearhead predict or "
            "linearhead serve with the model itself."
        ) from error
    return model


def _version(model: Any) -> int:
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)


def _needed(graph: Any, output: str) -> tuple[list[Any], list[Any], list[Any]]:
    """Nodes, weights and sparse weights that `output` needs; every node stands behind those whose values it takes."""
    names, nodes = {output}, []
    for node in reversed(graph.node):
        if names.intersection(node.output):
            nodes.append(node)
            names.update(_taken(node))
    weights = [w for w in graph.initializer if w.name in names]
    return nodes[::-1], weights, [w for w in graph.sparse_initializer if w.values.name in names]


def _taken(node: Any) -> Iterator[str]:
    """Names of all values that a node takes, and those in the graphs inside it (the branches of an If)."""
    yield from node.input
    for inner in _graphs(node):
        yield from (value.name for value in inner.output)
        for each in inner.node:
            yield from _taken(each)


def _graphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else []
        yield from attribute.graphs
