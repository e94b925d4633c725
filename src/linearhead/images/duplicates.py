"""Pictures that are there more than once: equal, or resized, saved again, cut at the edges or mirrored.

Exact: equal bytes or pixels. Near, in three steps. (1) A 16×16 thumbnail f, blurred, mean 0, length 1, in its even and
odd part under mirroring, e and o: ⟨f, g⟩ = ⟨e, e'⟩ + ⟨o, o'⟩ and ⟨f, mirrored g⟩ = ⟨e, e'⟩ − ⟨o, o'⟩, so that
two products look through both orientations. (2) The most alike pairs are laid over one another: shift and scale of each
axis, gain and offset by Gauss–Newton (Lucas & Kanade 1981). (3) What is left is r = 1 − correlation of the gradients.
A pair are copies where r < LEFT and r < SHARE · r of the neighbours further away: chance neighbours within r of a
picture grow as r^(D/2), D the set's dimension (Levina & Bickel 2004), so pictures that are merely alike have others
nearly as near, copies have not. Figures: docs/decisions/images.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..arrays import available_threads, one_blas_thread

SIDE, COARSE, TINT = 32, 16, 4  # pixels of the thumbnails: the closest look, the search, the colours
LEAST = 28  # pixels of a side from which near copies are looked for: below, clothes of one cut differ too little
KEPT = 32  # leading numbers of the even and of the odd part
NEIGHBOURS, ASKED = 12, 4  # of each picture: those known, and those that are laid over it; the last ones are background
MOST = 30_000  # pairs laid over one another: of very many pictures only the most alike pair of each
ALIKE = 0.8  # cosine of thumbnails worth a closer look
ROUGH, LEFT, SHARE = 0.2, 0.07, 0.15  # r at the search's size, at the closest look's, and against the background's
TINTED = 12.0  # grey levels by which colours may differ on average
BLOCK, PAIRS = 256, 512  # rows of the search, and pairs aligned, at a time
REACH = 0.16  # largest shift and change of scale, in half sides
GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass
class Copies:
    """Per picture: its group (the first picture of which it is a copy, itself where none), and how it is a copy."""

    group: np.ndarray  # (n,) int
    exact: np.ndarray  # (n,) bool: equal to an earlier one
    near: np.ndarray  # (n,) bool: looks like an earlier one, and is not equal to one

    def groups(self) -> list[np.ndarray]:
        """The pictures of every group of two or more."""
        order = np.argsort(self.group, kind="stable")
        cuts = np.flatnonzero(np.diff(self.group[order])) + 1
        return [part for part in np.split(order, cuts) if len(part) > 1]


def find_copies(blocks: Iterable[np.ndarray], keys: Sequence[bytes]) -> Copies:
    """Of pictures that come in blocks (m, h, w, c) uint8, each known by a key of its bytes."""
    fine, coarse, tint, pixels = [], [], [], []
    small = False
    for block in blocks:
        small = small or min(block.shape[1:3]) < LEAST
        pixels += [hashlib.sha256(np.ascontiguousarray(picture).data).digest() for picture in block]
        grey = block @ GREY if block.shape[3] == 3 else block[..., 0].astype(np.float32)
        fine.append(np.rint(_averaged(grey, SIDE)).astype(np.uint8))
        coarse.append(np.rint(_averaged(grey, COARSE)).astype(np.uint8))
        tint.append(_averaged(block.astype(np.float32), TINT) - _averaged(grey, TINT)[..., None])
    if not pixels:
        return Copies(np.zeros(0, int), np.zeros(0, bool), np.zeros(0, bool))
    joined = _Union(len(keys))
    for names in (keys, pixels):
        seen: dict[bytes, int] = {}
        for i, name in enumerate(names):
            joined.unite(seen.setdefault(name, i), i)
    equal = joined.roots()
    first = np.flatnonzero(equal == np.arange(len(equal)))
    if not small:
        looks = _Looks(*(np.concatenate(part)[first] for part in (fine, coarse, tint)))
        for i, j in looks.pairs():
            joined.unite(int(first[i]), int(first[j]))
    group, place = joined.roots(), np.arange(len(equal))
    return Copies(group, equal != place, (group != place) & (equal == place))


class _Union:
    """Disjoint sets, each named by its smallest member."""

    def __init__(self, n: int) -> None:
        self.parent = list(range(n))

    def root(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = i = self.parent[self.parent[i]]
        return i

    def unite(self, i: int, j: int) -> None:
        a, b = sorted((self.root(i), self.root(j)))
        self.parent[b] = a

    def roots(self) -> np.ndarray:
        return np.array([self.root(i) for i in range(len(self.parent))])


class _Looks:
    """Distinct pictures as thumbnails: fine (n, S, S), coarse (n, C, C), tint (n, T, T, c)."""

    def __init__(self, fine: np.ndarray, coarse: np.ndarray, tint: np.ndarray) -> None:
        self.fine, self.coarse, self.tint = fine, coarse, tint
        self.near, self.alike, self.mirrored = _neighbours(coarse)

    def pairs(self) -> list[tuple[int, int]]:
        """Which of them are near copies of one another."""
        found = self._laid_over(slice(0, min(ASKED, max(1, MOST // len(self.near)))), ROUGH, LEFT)
        if not found:
            return []
        asked = np.unique([row for row, _, _ in found])
        background = self._background(asked)
        level = dict(zip(asked.tolist(), background.tolist(), strict=True))
        return [(i, j) for i, j, r in found if r < SHARE * level[i] and self._same_colours(i, j)]

    def _laid_over(self, which: slice, rough: float, left: float) -> list[tuple[int, int, float]]:
        """(row, neighbour, r) of those that fit, first at the search's size, then at the closest look's."""
        rows, places = np.nonzero(self.alike[:, which] > ALIKE)
        places += which.start
        r = self._left(self.coarse, rows, places)
        rows, places = rows[r < rough], places[r < rough]
        r = self._left(self.fine, rows, places)
        good = np.flatnonzero(r < left)
        return [(int(rows[k]), int(self.near[rows[k], places[k]]), float(r[k])) for k in good]

    def _background(self, rows: np.ndarray) -> np.ndarray:
        """(m,) the mean r of each row's last neighbours; 1 where a row has not that many."""
        m = self.near.shape[1]
        if m < NEIGHBOURS:
            return np.ones(len(rows))
        places = np.tile(np.arange(m - ASKED, m), len(rows))
        return self._left(self.fine, np.repeat(rows, ASKED), places).reshape(-1, ASKED).mean(axis=1)

    def _left(self, thumbnails: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        def part(start: int) -> np.ndarray:
            i, place = rows[start : start + PAIRS], places[start : start + PAIRS]
            a, b = thumbnails[i].astype(np.float32), thumbnails[self.near[i, place]].astype(np.float32)
            turned = self.mirrored[i, place]
            b[turned] = b[turned][:, :, ::-1]
            return left_over(a, b)

        with ThreadPoolExecutor(available_threads()) as pool:
            return np.concatenate([np.zeros(0), *pool.map(part, range(0, len(rows), PAIRS))])

    def _same_colours(self, i: int, j: int) -> bool:
        a, b = self.tint[i], self.tint[j]
        return min(np.abs(a - b).mean(), np.abs(a - b[:, ::-1]).mean()) < TINTED


def _averaged(x: np.ndarray, side: int) -> np.ndarray:
    """(n, h, w, …) → at most `side` pixels a side, by area."""
    for axis in (1, 2):
        length = x.shape[axis]
        if length > side:
            edges = np.linspace(0, length, side + 1)
            pixel = np.arange(length)
            covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
            weights = np.maximum(covered, 0) * (side / length)
            x = np.moveaxis(np.tensordot(x, weights.astype(np.float32), (axis, 1)), -1, axis)
    return x


def _blurred(x: np.ndarray) -> np.ndarray:
    """(m, h, w) under the mask ¼ ½ ¼ along both axes."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    x = 0.25 * x[:, :-2] + 0.5 * x[:, 1:-1] + 0.25 * x[:, 2:]
    return 0.25 * x[:, :, :-2] + 0.5 * x[:, :, 1:-1] + 0.25 * x[:, :, 2:]


def _neighbours(coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every thumbnail the most alike others: (n, m) rows, cosines, and whether mirrored. The best of each of a few
    dozen parts stands for the part, which one pass over the products finds."""
    n, _, w = coarse.shape
    f = _blurred(coarse.astype(np.float32))
    f = f - f.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt(np.square(f).sum(axis=(1, 2), keepdims=True))
    f = np.where(length > f[0].size ** 0.5, f / np.maximum(length, 1e-6), 0)  # a flat picture is like no other
    half = (w + 1) // 2
    even, odd = (_leading(((f + sign * f[:, :, ::-1])[:, :, :half] / 2**0.5).reshape(n, -1)) for sign in (1, -1))
    parts = min(max(n - 1, 1), 4 * NEIGHBOURS)
    m = min(NEIGHBOURS, parts)
    near, alike, mirrored = np.empty((n, m), np.intp), np.empty((n, m), np.float32), np.empty((n, m), bool)
    evens, odds = ([np.ascontiguousarray(x[part::parts]) for part in range(parts)] for x in (even, odd))

    def look(start: int) -> None:  # a tile of cosines stays in a core's cache
        rows = np.arange(start, min(start + BLOCK, n))
        best, cosine = np.empty((parts, len(rows)), np.intp), np.empty((parts, len(rows)), np.float32)
        for part in range(parts):  # neighbours in files are in other parts
            cosines = odd[rows] @ odds[part].T
            np.abs(cosines, out=cosines)
            cosines += even[rows] @ evens[part].T
            own = np.flatnonzero(rows % parts == part)
            cosines[own, rows[own] // parts] = -2
            at = cosines.argmax(axis=1)
            best[part], cosine[part] = part + parts * at, cosines[np.arange(len(rows)), at]
        order = np.argsort(-cosine, axis=0, kind="stable")[:m]
        near[rows], alike[rows] = np.take_along_axis(best, order, 0).T, np.take_along_axis(cosine, order, 0).T
        mirrored[rows] = np.einsum("ij,imj->im", odd[rows], odd[near[rows]]) < 0

    with one_blas_thread(), ThreadPoolExecutor(available_threads()) as pool:
        list(pool.map(look, range(0, n, BLOCK)))
    return near, alike, mirrored


def _leading(x: np.ndarray) -> np.ndarray:
    """(n, d) in the directions of their largest second moments: products of rows change little."""
    if x.shape[1] <= KEPT:
        return x
    _, vectors = np.linalg.eigh((x.T @ x).astype(np.float64))
    return np.ascontiguousarray(x @ vectors[:, -KEPT:].astype(np.float32))


def left_over(a: np.ndarray, b: np.ndarray, steps: int = 4) -> np.ndarray:
    """(m, h, w) twice → r (m,) after b was laid over a."""
    p, smooth, target = np.zeros((len(a), 4), np.float32), _blurred(b), _blurred(a)
    for _ in range(steps):
        p = np.clip(p + _step(target, smooth, p), -REACH, REACH).astype(np.float32)
    over, inside = _warped(b, p)
    mask = inside[:, 1:-1, 2:] & inside[:, 1:-1, :-2] & inside[:, 2:, 1:-1] & inside[:, :-2, 1:-1]
    mask = np.repeat(mask.reshape(len(a), -1), 2, axis=1)
    return 1 - _correlation(_gradient(a), _gradient(over), mask)


def _step(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> np.ndarray:
    """(m, 4) the change of shifts and scales p that brings b nearest to gain · a + offset, to first order."""
    m, h, w = a.shape
    over, inside = _warped(b, p)
    u, v = (np.arange(w) + 0.5) / w * 2 - 1, (np.arange(h) + 0.5) / h * 2 - 1
    along, down = np.gradient(over, axis=2) * (w / 2), np.gradient(over, axis=1) * (h / 2)
    J = np.stack([along, down, along * u, down * v[:, None], -a, -np.ones_like(a)], axis=1).astype(np.float32)
    J = (J * inside[:, None]).reshape(m, 6, -1)
    H = (J @ J.transpose(0, 2, 1)).astype(np.float64)
    g = (J @ (over * inside).reshape(m, -1, 1)).astype(np.float64)
    size = np.einsum("mjj->mj", H)
    damped = size * np.array([1e-3] * 4 + [0] * 2) + 1e-6 * size.mean(axis=1, keepdims=True) + 1e-9
    return np.clip(-np.linalg.solve(H + damped[:, :, None] * np.eye(6), g)[:, :4, 0], -0.08, 0.08)


def _warped(x: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (m, h, w) seen at (1 + scale) · place + shift, in half sides from the centre, and where that is inside it."""
    m, h, w = x.shape
    row, (y, fy, in_y) = np.arange(m)[:, None], _places(h, p[:, 1:2], p[:, 3:4])
    rows = x[row, y] * (1 - fy)[:, :, None] + x[row, y + 1] * fy[:, :, None]
    column, fx, in_x = _places(w, p[:, 0:1], p[:, 2:3])
    rows = rows.transpose(0, 2, 1)
    out = rows[row, column] * (1 - fx)[:, :, None] + rows[row, column + 1] * fx[:, :, None]
    return out.transpose(0, 2, 1), in_y[:, :, None] & in_x[:, None, :]


def _places(length: int, shift: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(m, length) the pixel before each place, how far behind it the place lies, and whether the place is inside."""
    centred = (np.arange(length, dtype=np.float32) + 0.5) / length * 2 - 1
    place = ((shift + (1 + scale) * centred) + 1) / 2 * length - 0.5
    inside = (place >= 0) & (place <= length - 1)
    place = np.clip(place, 0, length - 1)
    before = np.minimum(place.astype(np.intp), length - 2)
    return before, (place - before).astype(np.float32), inside


def _gradient(x: np.ndarray) -> np.ndarray:
    """(m, h, w) → (m, (h − 2)(w − 2) 2)."""
    along, down = x[:, 1:-1, 2:] - x[:, 1:-1, :-2], x[:, 2:, 1:-1] - x[:, :-2, 1:-1]
    return np.stack([along, down], axis=-1).reshape(len(x), -1)


def _correlation(x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    n = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    x = (x - (x * mask).sum(axis=1, keepdims=True) / n) * mask
    y = (y - (y * mask).sum(axis=1, keepdims=True) / n) * mask
    power = np.square(x).sum(axis=1) * np.square(y).sum(axis=1)
    return (x * y).sum(axis=1) / np.sqrt(np.maximum(power, 1e-6))
