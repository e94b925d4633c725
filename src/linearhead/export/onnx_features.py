"""Each extractor as ONNX nodes: "pictures" uint8 (n, h, w, c) → float32 (n, d), the numbers of its `transform`.

Where an extractor looks something up or gathers (HOG's bins of gradients, the windows of patches), the graph holds the
very table, filled by the extractor's own code; what rounds, rounds in the same order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..features import Color, Extractor, Hog, Onnx, Patches, Pixels
from ..features.hog import SPAN, _bins, _length
from ..features.layer import FLAT
from ..features.windows import CONTRAST, View
from .onnx_network import network

Shape = tuple[int, int, int]


def rows(g: Any, extractor: Extractor, pictures: str, shape: Shape) -> str:
    """The name of the value that holds the rows."""
    return WRITERS[type(extractor)](g, extractor, pictures, shape)


def _unit_range(g: Any, pictures: str) -> str:
    return g("Div", g.cast(pictures, np.float32), 255.0)


def _pixels(g: Any, extractor: Pixels, pictures: str, shape: Shape) -> str:
    return g("Reshape", _unit_range(g, pictures), [0, int(np.prod(shape))])


# ---- colour histogram ----


def _color(g: Any, extractor: Color, pictures: str, shape: Shape) -> str:
    height, width, channels = shape
    bins = extractor.bins(channels)
    axes = [_hats(g, axis, n) for axis, n in zip(_axes(g, pictures, channels), bins, strict=True)]
    rows, columns = (np.arange(n) * extractor.grid // n for n in (height, width))
    places = []
    for i in range(extractor.grid):
        for j in range(extractor.grid):
            bounds = [(1, rows, i), (2, columns, j)]
            places.append(_histogram(g, [_place(g, axis, bounds) for axis in axes], bins))
    return places[0] if len(places) == 1 else g("Concat", *places, axis=1)


def _axes(g: Any, pictures: str, channels: int) -> list[str]:
    """The opponent coordinates in [0, 1], each (n, h, w)."""
    x = _unit_range(g, pictures)
    r, *rest = (g("Squeeze", g.slice(x, 3, c, c + 1), axes=[3]) for c in range(channels))
    if not rest:
        return [r]
    green, b = rest
    both = g("Add", r, green)
    lightness = g("Min", g("Mul", g("Add", both, b), float(np.float32(1 / 3))), 1.0)
    chromas = g("Sub", r, green), g("Sub", g("Mul", both, 0.5), b)
    return [lightness, *(g("Clip", g("Add", c, 0.5), 0.0, 1.0) for c in chromas)]


def _hats(g: Any, axis: str, bins: int) -> str:
    """(n, h, w) → (n, h, w, bins): the shares of the two nearest bin centres."""
    position = g("Mul", axis, float(bins - 1))
    lower = g("Min", g("Floor", position), float(bins - 2))
    share = g("Sub", position, lower)
    below, above = (
        g("Mul", g("OneHot", g.cast(value, np.int64), bins, [0.0, 1.0], axis=-1), g("Unsqueeze", weight, axes=[3]))
        for value, weight in ((lower, g("Sub", 1.0, share)), (g("Add", lower, 1.0), share))
    )
    return g("Add", below, above)


def _place(g: Any, axis: str, bounds: list[tuple[int, np.ndarray, int]]) -> str:
    """(n, h, w, bins) → (n, pixels of the place, bins)."""
    bins = 0
    for along, number, place in bounds:
        inside = np.flatnonzero(number == place)
        axis = g.slice(axis, along, int(inside[0]), int(inside[-1]) + 1)
        bins = (bins or 1) * len(inside)
    return g("Reshape", axis, [0, bins, -1])


def _histogram(g: Any, axes: list[str], bins: tuple[int, ...]) -> str:
    """The square roots of the mean weight of every bin, (n, product of bins)."""
    if len(axes) == 1:
        mean = g("ReduceMean", axes[0], axes=[1], keepdims=0)
    else:
        pair = g("Mul", g("Unsqueeze", axes[0], axes=[3]), g("Unsqueeze", axes[1], axes=[2]))
        pair = g("Transpose", g("Reshape", pair, [0, 0, bins[0] * bins[1]]), perm=[0, 2, 1])
        pixels = g.cast(g("Gather", g("Shape", axes[0]), 1), np.float32)
        mean = g("Div", g("Reshape", g("MatMul", pair, axes[2]), [0, int(np.prod(bins))]), pixels)
    return g("Sqrt", mean)


# ---- histograms of oriented gradients ----


def _hog(g: Any, e: Hog, pictures: str, shape: Shape) -> str:
    height, width, _ = shape
    cell, (across, down) = e.cell_size(height, width), e.blocks(height, width)[::-1]
    rows, columns = height // cell, width // cell
    pair, squared = _gradient(g, pictures, shape)
    pair, squared = (g.slice(g.slice(v, 1, 0, rows * cell), 2, 0, columns * cell) for v in (pair, squared))
    bins = g.cast(g("Gather", _bins(e.orientations), pair), np.int64)
    bins = g("OneHot", bins, e.orientations, [0.0, 1.0], axis=-1)
    votes = g("Mul", bins, g("Unsqueeze", g("Sqrt", g.cast(squared, np.float32)), axes=[3]))
    votes = g("Reshape", votes, [0, rows, cell, columns, cell, e.orientations])
    histogram = g("Div", g("ReduceSum", votes, axes=[2, 4], keepdims=0), float(cell**2))
    windows = [
        g.slice(g.slice(histogram, 1, i, i + down), 2, j, j + across) for i in range(e.block) for j in range(e.block)
    ]
    v = g("Concat", *windows, axis=3)
    v = _unit(g, g("Min", _unit(g, v), 0.2))
    return g("Reshape", v, [0, e.dimension(*shape)])


def _gradient(g: Any, pictures: str, shape: Shape) -> tuple[str, str]:
    """Per pixel the table index of (g_row, g_col) and |g|², int32 (n, h, w), of the channel where that is largest."""
    height, width, channels = shape
    a = g.cast(pictures, np.int32)
    differences = []
    for axis, length in ((1, height), (2, width)):
        inner = g("Sub", g.slice(a, axis, 2, length), g.slice(a, axis, 0, length - 2))
        before = [int(i == axis) for i in range(4)]
        differences.append(g("Pad", inner, before + before))
    row, column = differences
    half = np.int32(SPAN // 2)
    pair = g("Add", g("Mul", g("Add", row, half), np.int32(SPAN)), g("Add", column, half))
    squared = g("Add", g("Mul", row, row), g("Mul", column, column))
    if channels > 1:
        best = g("ArgMax", g("Gather", _rank(), pair), axis=3, keepdims=1)
        pair, squared = (g("GatherElements", value, best, axis=3) for value in (pair, squared))
    return g("Squeeze", pair, axes=[3]), g("Squeeze", squared, axes=[3])


def _rank() -> np.ndarray:
    """(511·511,) float32: the place of every pair in the order of |g|², then of |g| as it rounds; equals have one."""
    pair = np.arange(SPAN * SPAN)
    row, column = np.divmod(pair, SPAN)
    square = (row - SPAN // 2) ** 2 + (column - SPAN // 2) ** 2
    _, rank = np.unique(np.stack([square, _length(pair)]), axis=1, return_inverse=True)
    return rank.ravel().astype(np.float32)


def _unit(g: Any, v: str) -> str:
    squares = g("ReduceSum", g("Mul", v, v), axes=[3], keepdims=1)
    return g("Div", v, g("Sqrt", g("Add", squares, 1e-10)))


# ---- learned patches ----


def _patches(g: Any, e: Patches, pictures: str, shape: Shape) -> str:
    assert e.bank is not None
    assert e.ceiling is not None
    height, width, channels = shape
    view = View(e.settled(height, width), *e.layout(height, width), shape)
    rows, columns = view.rows, view.columns
    places, size = len(rows.firsts) * len(columns.firsts), rows.count * columns.count
    x, (h, w) = _unit_range(g, pictures), (view.rows.pixels, view.columns.pixels)
    if view.down is not None:
        x = g(
            "Reshape",
            g("MatMul", view.down[0], g("Reshape", x, [0, height, width * channels])),
            [0, h, width, channels],
        )
        x = g("MatMul", view.down[1], x)
    u = _contrast(g, g("Gather", g("Reshape", x, [0, h * w * channels]), _windows(view, e.stride), axis=1))
    z = g("Add", g("MatMul", u, e.bank[:-1]), e.bank[-1])
    if e.unit:
        assert e.whitening is not None
        v = g("Add", g("MatMul", u, e.whitening[:-1]), e.whitening[-1])
        squares = g("ReduceSum", g("Mul", v, v), axes=[2], keepdims=1)
        z = g("Div", z, g("Sqrt", g("Add", squares, float(FLAT))))
    z = g("Reshape", z, [0, places, size, e.filters])
    t = float(e.threshold)
    sides = [g("Relu", g("Sub", side, t)) for side in (z, g("Neg", z))]
    beyond = [g("ReduceMean", side, axes=[2], keepdims=1) for side in sides]
    out = g("Sqrt", g("Concat", *beyond, axis=2))  # (n, places, 2, filters)
    if e.mirror:
        out, half = (
            g("Reshape", out, [0, len(rows.firsts), len(columns.firsts), 2, e.filters]),
            e.filters // 2,
        )
        turned = g("Gather", out, np.arange(len(columns.firsts))[::-1].copy(), axis=2)
        out = g("Mul", g("Add", g.slice(out, 4, 0, half), g.slice(turned, 4, half, e.filters)), 0.5)
    out = g("Reshape", out, [0, e.dimension(*shape)])
    if e.dtype == "uint8":
        return g("Round", g("Min", g("Mul", out, np.float32(255 / e.ceiling[0])), 255.0))
    return out


def _windows(view: View, stride: int) -> np.ndarray:
    """(positions, K) int64: where each number of each window, place by place, is in a flattened picture."""
    h, w, p = view.rows.pixels, view.columns.pixels, view.patch
    numbers = np.arange(h * w * view.channels).reshape(h, w, view.channels)
    cut = sliding_window_view(numbers, (p, p), axis=(0, 1))[::stride, ::stride].transpose(0, 1, 3, 4, 2)
    down, across = (np.add.outer(along.firsts, np.arange(along.count)) for along in (view.rows, view.columns))
    return cut[down[:, None, :, None], across[None, :, None, :]].reshape(-1, p * p * view.channels)


def _contrast(g: Any, windows: str) -> str:
    u = g("Sub", windows, g("ReduceMean", windows, axes=[2], keepdims=1))
    variance = g("ReduceMean", g("Mul", u, u), axes=[2], keepdims=1)
    return g("Mul", u, g("Reciprocal", g("Sqrt", g("Add", variance, float(CONTRAST)))))


WRITERS: dict[type, Any] = {Pixels: _pixels, Color: _color, Hog: _hog, Patches: _patches, Onnx: network}
