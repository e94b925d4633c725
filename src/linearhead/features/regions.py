"""Where in the picture a linear head's score comes from: s_j = b_j + Σ_f W_jf μ_f + Σ_f W_jf (x_f − μ_f).

Every feature f of an extractor that pools over places belongs to one rectangle of the picture; its term is spread
evenly over that rectangle's squares on an S×S canvas. The canvas therefore adds up to the score, less what the average
picture μ gets: exact, no approximation and no second model (contrast Ribeiro, Singh & Guestrin 2016).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .color import Color
from .contract import Extractor
from .hog import Hog
from .joined import blocks
from .patches import Patches
from .pixels import Pixels

SIDE = 24  # squares of the canvas along each side


def contributions(extractor: Extractor, weights: np.ndarray, x: np.ndarray, mean: np.ndarray) -> np.ndarray | None:
    """weights (d,), features x (d,), average features (d,) → (SIDE, SIDE) float64 that adds up to weights·(x − mean);
    None where the extractor's features have no places."""
    if extractor.picture is None:
        return None
    terms = weights.astype(np.float64) * (x.astype(np.float64) - mean.astype(np.float64))
    canvas, end = np.zeros((SIDE, SIDE)), 0
    for part, _, columns in blocks(extractor, extractor.picture):
        own, end = _canvas(part, terms[columns]), columns.stop
        if own is None:
            return None
        canvas += own
    return canvas if end == len(terms) else None


def _canvas(extractor: Extractor, terms: np.ndarray) -> np.ndarray | None:
    places = _places(extractor)
    if places is None or len(terms) % len(places):
        return None
    canvas = np.zeros((SIDE, SIDE))
    mirrored = bool(getattr(extractor, "mirror", 0))  # such features hold half of their place, half of its mirror image
    for (top, bottom, left, right), term in zip(places, terms.reshape(len(places), -1).sum(axis=1), strict=True):
        share = np.outer(_covered(top, bottom), _covered(left, right))
        share = share + share[:, ::-1] if mirrored else share
        canvas += term * (share / share.sum())
    return canvas


def _covered(start: float, stop: float) -> np.ndarray:
    """(SIDE,) how much of each square the stretch [start, stop) of [0, 1] covers."""
    edges = np.arange(SIDE + 1) / SIDE
    return np.clip(np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start), 0, None)


def _places(extractor: Extractor) -> list[tuple[float, float, float, float]] | None:
    """(top, bottom, left, right) in [0, 1] of each place, in the order in which the features lie."""
    if extractor.picture is None:
        return None
    height, width, _ = extractor.picture
    if isinstance(extractor, Pixels):
        rows, columns = (_even(n, n) for n in (height, width))
    elif isinstance(extractor, Color):
        rows, columns = (_even(n, extractor.grid) for n in (height, width))
    elif isinstance(extractor, Hog):
        cell, blocks = extractor.cell_size(height, width), extractor.blocks(height, width)
        rows, columns = (
            [(i * cell / n, (i + extractor.block) * cell / n) for i in range(b)]
            for b, n in zip(blocks, (height, width), strict=True)
        )
    elif isinstance(extractor, Patches):
        e = extractor.settled(height, width)
        rows, columns = (
            [
                (f * e.stride / side.pixels, ((f + side.count - 1) * e.stride + e.patch) / side.pixels)
                for f in side.firsts
            ]
            for side in e.layout(height, width)
        )
    else:
        return None
    return [(*row, *column) for row in rows for column in columns]


def _even(pixels: int, places: int) -> list[tuple[float, float]]:
    """Where `places` places of a side begin and end: pixel i lies in place ⌊i · places / pixels⌋."""
    ends = [-(-i * pixels // places) / pixels for i in range(places + 1)]
    return list(pairwise(ends))
