"""Which judged pictures are worth looking at, as small pictures inside the record; and weights drawn as pictures.

Shown: the most wrong (the label got the least probability, or the largest margin was lost), and some of every cell of
the confusion matrix: of the wrong cells the worst, of the right ones the least sure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from ..data import Dataset
from ..features import Patches, Pixels, blocks
from ..images import Preprocessing, Unreadable, data_uri, decode, probe, weights_uri
from ..records import Picture
from ..store import Model
from .judge import Answers

MOST_WRONG, PER_CELL, BUDGET = 36, 4, 400
SIDE = 96  # of a thumbnail's longer side, in pixels
FILTERS, FILTERS_ACROSS = 144, 24  # drawn in the report
SPREAD = 1000  # rows that tell how much a column varies


def choose(answers: Answers, y: np.ndarray) -> tuple[list[int], list[int], dict[str, list[int]]]:
    """Rows worth showing, and as places in that list: the most wrong, worst first; and the pictures of every cell."""
    if answers.label_confidence is not None:
        badness = -np.log(np.maximum(answers.label_confidence.astype(np.float64), np.finfo(np.float64).tiny))
    else:
        badness = np.asarray(answers.margin, dtype=np.float64)
    if answers.confidence is not None:  # among the right ones: the least sure
        badness = np.where(answers.predicted == y, -answers.confidence, badness)
    worst_first = np.argsort(-badness, kind="stable")
    wrong = [int(i) for i in worst_first if answers.predicted[i] != y[i]][:MOST_WRONG]
    ranked: list[tuple[int, bool, int]] = []
    filled: dict[tuple[int, int], int] = {}
    for i in worst_first:
        cell = int(y[i]), int(answers.predicted[i])
        rank = filled.get(cell, 0)
        filled[cell] = rank + 1
        if rank < PER_CELL:
            ranked.append((rank, cell[0] == cell[1], int(i)))
    # the first picture of every wrong cell, the first of every right one, the second …: no cell stays empty for long
    chosen = list(dict.fromkeys(wrong + [i for _, _, i in sorted(ranked, key=lambda r: r[:2])]))[:BUDGET]
    cells: dict[str, list[int]] = {}
    for place, i in enumerate(chosen):
        cells.setdefault(f"{y[i]},{answers.predicted[i]}", []).append(place)
    return chosen, list(range(len(wrong))), cells


def show(dataset: Dataset, row: int, i: int, y: np.ndarray, answers: Answers, looks: Preprocessing | None) -> Picture:
    """The record of answer i, which is about the dataset's picture `row`, or row of features where looks is None."""

    def at(values: np.ndarray | None) -> float | None:
        return None if values is None else float(values[i])

    return Picture(
        path=dataset.names[row],
        label=int(y[i]),
        predicted=int(answers.predicted[i]),
        confidence=at(answers.confidence),
        label_confidence=at(answers.label_confidence),
        runner_up=int(answers.runner_up[i]),
        thumbnail="" if looks is None else thumbnail(dataset.read(row), looks),
    )


def thumbnail(source: Any, preprocessing: Preprocessing) -> str:
    """The picture in its own proportions as a data: URI, at most SIDE pixels long; "" if it has gone since."""
    try:
        header = probe(source)
        shrink = min(1.0, SIDE / max(header.height, header.width))
        size = {"height": max(1, round(header.height * shrink)), "width": max(1, round(header.width * shrink))}
        looks = Preprocessing.from_dict(preprocessing.to_dict() | size | {"fit": "stretch", "mode": "RGB"})
        pixels, _ = decode(source, looks)
    except (Unreadable, OSError):
        return ""
    return data_uri(pixels)


def overlay(canvas: np.ndarray) -> str:
    """(S, S) contributions as a PNG to be laid over the picture: orange spoke for, blue against, clear said nothing."""
    size = np.abs(canvas).max() or 1.0
    shade = np.uint8(np.round(200 * np.sqrt(np.abs(canvas) / size)))  # the root lifts what is weak but there
    colour = np.where(canvas[:, :, None] > 0, (255, 122, 26), (36, 108, 255)).astype(np.uint8)
    image = Image.fromarray(np.dstack([colour, shade]), "RGBA").quantize(64, method=Image.Quantize.FASTOCTREE)
    return data_uri(image, lossless=True)


def least_sure(answers: Answers, most: int) -> list[int]:
    """Rows whose two best classes are closest, closest first."""
    if answers.confidence is not None and answers.runner_up_confidence is not None:
        return [int(i) for i in np.argsort(answers.confidence - answers.runner_up_confidence, kind="stable")[:most]]
    return []


def weights(model: Model, shape: tuple[int, int, int], X: np.ndarray) -> list[str]:
    """One PNG per class where weights have the shape of a picture, else []; grey is 0, bright speaks for the class.

    Of pixels (h, w, c) the weights themselves; of patches, at each place of the grid the sum of the filters, each by
    its weight there. Each weight is multiplied by its column's standard deviation in X (n, d), so that a number which
    hardly ever changes, and whose weight therefore may be anything, does not outshine the rest.
    """
    extractor, columns = _drawable(model, shape)
    if extractor is None:
        return []
    W = model.coef[:, columns].astype(np.float64) * spread(X, columns)
    pictures = extractor.templates(W) if isinstance(extractor, Patches) else W.reshape(-1, *shape)
    return [weights_uri(picture) for picture in pictures]


def filters(model: Model, shape: tuple[int, int, int], X: np.ndarray) -> str:
    """The FILTERS most used filters of patches as one PNG, row by row, most used first; "" for other features."""
    extractor, columns = _drawable(model, shape)
    if not isinstance(extractor, Patches):
        return ""
    used = extractor.importance(model.coef[:, columns].astype(np.float64) * spread(X, columns))
    shown = extractor.filters_as_pictures()[np.argsort(-used, kind="stable")[:FILTERS]]
    p, across = extractor.patch + 1, min(FILTERS_ACROSS, len(shown))
    sheet = np.zeros((-(-len(shown) // across) * p + 1, across * p + 1, 4), dtype=np.uint8)  # clear between them
    for i, picture in enumerate(shown):
        top, left = i // across * p + 1, i % across * p + 1
        sheet[top : top + p - 1, left : left + p - 1, :3] = picture
        sheet[top : top + p - 1, left : left + p - 1, 3] = 255
    return data_uri(sheet, lossless=True)


def _drawable(model: Model, shape: tuple[int, int, int]) -> tuple[Any, slice]:
    """The first part of the features whose weights can be drawn, and its columns; (None, …) where there is none."""
    for part, _, columns in blocks(model.extractor, shape) if model.extractor is not None else ():
        if isinstance(part, (Pixels, Patches)) and columns.stop <= model.dimension:
            return part, columns
    return None, slice(0)


def spread(X: np.ndarray, columns: slice) -> np.ndarray:
    """Standard deviation of some columns over at most SPREAD rows, evenly taken: (d,) float64."""
    return X[:: max(1, -(-len(X) // SPREAD)), columns].std(axis=0, dtype=np.float64)
