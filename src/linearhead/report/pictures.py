"""Which pictures the page carries: the most important ones that fit into its size.

Importance: the most wrong first; then, in turns with the weights, of every cell of the confusion matrix the first
picture, the second, …, wrong cells before right ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from ..records import Run
from .confusion import cell_of_picture

FIRST = 12  # most wrong pictures that come before everything else
FRAME = 900  # bytes of markup around one picture, without its data
DATA_URI = re.compile(r"data:image/(?:png|jpeg|webp|gif|avif);base64,[A-Za-z0-9+/]+={0,2}")


def is_picture(uri: str) -> bool:
    """Whether this is plain base64 of a raster picture: nothing else is put into a page's src."""
    return isinstance(uri, str) and DATA_URI.fullmatch(uri) is not None


@dataclass(frozen=True)
class Kept:
    """Indices into run.pictures and run.weights that are on the page."""

    pictures: frozenset[int]
    weights: frozenset[int]


def everything(run: Run) -> Kept:
    return Kept(
        frozenset(i for i, picture in enumerate(run.pictures) if is_picture(picture.thumbnail)),
        frozenset(i for i, uri in enumerate(run.weights) if is_picture(uri)),
    )


def within(run: Run, allowance: int) -> Kept:
    """As many as `allowance` bytes hold, the most important first; a smaller one may follow where a large one fails."""
    whole = everything(run)
    kept: dict[str, set[int]] = {"picture": set(), "weight": set()}
    for kind, index in _by_importance(run, whole):
        uri = run.pictures[index].thumbnail if kind == "picture" else run.weights[index]
        cost = len(uri) + FRAME
        if cost <= allowance:
            kept[kind].add(index)
            allowance -= cost
    return Kept(frozenset(kept["picture"]), frozenset(kept["weight"]))


def cost(run: Run, kept: Kept) -> int:
    """Bytes that the kept pictures take on the page, by the same estimate as `within`."""
    data = [run.pictures[i].thumbnail for i in kept.pictures] + [run.weights[i] for i in kept.weights]
    return sum(len(uri) + FRAME for uri in data)


def _by_importance(run: Run, whole: Kept) -> list[tuple[str, int]]:
    wrong = [i for i in run.most_wrong if i in whole.pictures]
    filled: dict[str, int] = {}
    ranks = []
    for index, key in enumerate(cell_of_picture(run)):
        if index in whole.pictures:
            true, called = key.split(",", 1) if "," in key else (key, "")
            ranks.append((filled.get(key, 0), true == called, index))
            filled[key] = filled.get(key, 0) + 1
    behind = [("picture", index) for _, _, index in sorted(ranks)]
    weights = [("weight", i) for i in sorted(whole.weights)]
    turns = [item for pair in zip_longest(behind, weights) for item in pair if item is not None]
    return list(dict.fromkeys([("picture", i) for i in wrong[:FIRST]] + turns))
