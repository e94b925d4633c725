"""Sums in a fixed binary tree: the same bits whoever adds up which part of it.

The n rows are cut into 2^H leaves, leaf i = rows ⌊i n / 2^H⌋ … ⌊(i+1) n / 2^H⌋, H from the data alone. Node (l, i) is
the sum of (l−1, 2i) and (l−1, 2i+1), in this order. Whoever is given a run of leaves hands on the largest nodes that
lie within it, at most 2H, one where the run is a node itself; the rest of the tree is added up elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .contract import _add

LEAF_BYTES = 4 << 20  # of rows, at least: what is read at a time

Node = tuple[int, int, list]  # level, index, sums


def height(n: int, row_bytes: int, leaf_bytes: int = LEAF_BYTES) -> int:
    """H: as many leaves as have `leaf_bytes` and a row each."""
    return max(0, min(n, n * row_bytes // max(leaf_bytes, 1)).bit_length() - 1)


def leaf_rows(n: int, H: int, leaf: int) -> int:
    """The first row of a leaf; of leaf 2^H: n."""
    return leaf * n >> H


class Nodes:
    """Sums that come in the order of the rows, siblings added up at once."""

    def __init__(self) -> None:
        self.stack: list[Node] = []

    def push(self, level: int, index: int, sums: list) -> None:
        """Takes `sums` over: they may be added to in place."""
        while self.stack and index % 2 and self.stack[-1][:2] == (level, index - 1):
            left = self.stack.pop()[2]
            _add(left, sums)
            level, index, sums = level + 1, index // 2, left
        self.stack.append((level, index, sums))


def total(parts: Sequence[Sequence[Node]]) -> tuple[Any, ...]:
    """The sums of all rows from the nodes of consecutive runs."""
    nodes = Nodes()
    for part in parts:
        for level, index, sums in part:
            nodes.push(level, index, sums)
    ((_, index, sums),) = nodes.stack
    assert not index
    return tuple(sums)


def runs(H: int, shares: Sequence[int]) -> list[tuple[int, int]]:
    """[first, last) leaves for each of some takers in proportion to their shares; (a, a) for one that gets none.

    Equal shares of a power of two are a node each; else cuts lie where eight times as many takers would have them, so
    that few nodes are handed on.
    """
    takers = -(-sum(shares) // min(shares))
    even = takers == len(shares) and not takers & (takers - 1) and len(set(shares)) == 1
    depth = min(H, takers.bit_length() + (-1 if even else 3))
    bounds, seen = [0], 0
    for share in shares:
        seen += share
        bounds.append(round(seen * 2**depth / sum(shares)) << (H - depth))
    return list(pairwise(bounds))
