"""Questions that only a measurement on the pictures answers, as plain numbers for the record; the checks judge them.

Cues are judged by five nearest neighbours; the sets by ridge least squares with its exact answer for a group
G of rows left out, y − ŷ₋ = (I − H_GG)⁻¹ (y − ŷ), H the hat matrix (Cook & Weisberg 1982, sec. 3.6): no split, no noise
from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data import Dataset
from ..images import Header, Preprocessing, decode_many, probe
from ..metrics import independent
from .extract import Sources

GLANCED = 800  # trained pictures looked at for cues
SIDE = 16  # pixels of a glance
COLUMNS = 1024  # sorted at once
TOLD_APART = 1000  # pictures of each set that are to be told apart
DIRECTIONS = 30
SORTED = 0.15  # deviation of the classes' mean places, in n: 0.29 where sorted, near 0 where mixed


def cues(
    dataset: Dataset, rows: np.ndarray, preprocessing: Preprocessing, seed: int, groups: np.ndarray | None = None
) -> dict[str, dict[str, Any]]:
    """How many of the pictures `rows` a single cue puts into the right class: brightness alone, the rim alone, the kind
    of file, asked of pictures of other groups (n,), since those of its own look alike and are of its class whatever the
    cue says."""
    chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:GLANCED])
    small = replace(preprocessing, height=SIDE, width=SIDE, fit="stretch")
    glances, kept = [], []
    for indices, pictures, _, _ in decode_many(Sources(dataset, chosen), small):
        glances.append(pictures.astype(np.float64) / 255)
        kept.append(chosen[indices])
    if not glances:
        return {}
    seen, looked = np.concatenate(glances), np.concatenate(kept)
    y, place = dataset.labels[looked], {row: i for i, row in enumerate(rows.tolist())}
    alike = None if groups is None else groups[[place[row] for row in looked.tolist()]]
    found = {name: _found(cue(seen), y, alike) for name, cue in (("brightness", brightness), ("border", border))}
    return found | {"file": saved([probe(dataset.read(row)) for row in looked.tolist()], y, alike)}


def saved(files: Sequence[Header], y: np.ndarray, groups: np.ndarray | None = None) -> dict[str, Any]:
    """The class that the format and colour mode, or else the size, of its files tells best from all others, by what
    most other files of that kind, and of other groups (n,), are: how many of its own are found so, and how many of the
    others are taken for them."""
    ways = [f"{one.format} {one.mode}" for one in files], [f"{one.width}×{one.height}" for one in files]
    return max((_kept_apart(np.array(way), y, groups) for way in ways), key=lambda told: told["found"] - told["taken"])


def _kept_apart(way: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> dict[str, Any]:
    classes, codes = np.unique(y, return_inverse=True)
    own = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    called = np.full(len(y), -1)
    for i in range(len(y)):
        others = codes[(way == way[i]) & (own != own[i])]
        called[i] = np.bincount(others).argmax() if len(others) else -1
    found = np.array([np.mean(called[codes == c] == c) for c in range(len(classes))])
    taken = np.array([np.mean(called[codes != c] == c) if np.any(codes != c) else 1.0 for c in range(len(classes))])
    best = int(np.argmax(found - taken))
    n = int(np.sum(codes == best))
    return {
        "n": n,
        "others": len(y) - n,
        "class": int(classes[best]),
        "found": float(found[best]),
        "taken": float(taken[best]),
    }


def brightness(seen: np.ndarray) -> np.ndarray:
    """Mean lightness, (n, 1): nothing about where or what."""
    return seen.mean(axis=(1, 2, 3))[:, None]


def border(seen: np.ndarray) -> np.ndarray:
    """The outermost ring of pixels, mean and deviation of each side and colour, (n, 8 c)."""
    sides = (seen[:, 0], seen[:, -1], seen[:, :, 0], seen[:, :, -1])
    return np.concatenate([f for side in sides for f in (side.mean(axis=1), side.std(axis=1))], axis=1)


def _found(Z: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> dict[str, Any]:
    """Leave-one-out accuracy of all classes, and of the one class that the cue tells best from the others."""
    predicted = neighbours(Z, y, groups=groups)
    classes, codes = np.unique(y, return_inverse=True)
    share = np.bincount(codes) / len(y)
    recall = np.array([np.mean(predicted[codes == c] == c) for c in range(len(classes))])
    found = {"n": len(y), "accuracy": float(np.mean(predicted == codes)), "guess": float(share.max()),
             "best_class": int(classes[recall.argmax()]), "best_recall": float(recall.max())}  # fmt: skip
    return found if groups is None else found | {"independent": independent(groups, predicted == codes)}


def neighbours(Z: np.ndarray, y: np.ndarray, k: int = 5, groups: np.ndarray | None = None) -> np.ndarray:
    """The commonest class code among each row's k nearest others, none of its group (n,), (n,), −1 where all are of its
    group: a cue may sort classes along one line, where no linear classifier finds those in the middle. Columns of
    deviation 1."""
    _, codes = np.unique(y, return_inverse=True)
    Z = (Z - Z.mean(axis=0)) / np.maximum(Z.std(axis=0), 1e-9)
    length = np.einsum("ij,ij->i", Z, Z)
    distance = length[:, None] + length[None] - 2 * Z @ Z.T
    own = np.arange(len(Z)) if groups is None else np.unique(groups, return_inverse=True)[1]
    distance[own[:, None] == own] = np.inf
    nearest = np.argpartition(distance, min(k, len(Z) - 1) - 1, axis=1)[:, :k]
    others = np.isfinite(np.take_along_axis(distance, nearest, axis=1))  # of other groups there may be fewer than k
    votes = np.zeros((len(Z), codes.max() + 1))
    np.add.at(votes, (np.arange(len(Z))[:, None], codes[nearest]), others)
    return np.where(others.any(axis=1), votes.argmax(axis=1), -1)


def column(X: np.ndarray, y: np.ndarray, seed: int) -> dict[str, Any]:
    """The column of X (n, d) that alone tells the classes apart best, as rows that follow one another in it most often
    have the same label, and how many rows their neighbours in it put right."""
    rows = np.random.default_rng(seed).permutation(len(y))[:GLANCED]
    Z, codes = np.asarray(X[rows]), np.unique(y[rows], return_inverse=True)[1]
    agree = []
    for start in range(0, Z.shape[1], COLUMNS):
        ordered = codes[np.argsort(Z[:, start : start + COLUMNS], axis=0)]
        agree.append(np.mean(ordered[1:] == ordered[:-1], axis=0))
    best = int(np.argmax(np.concatenate(agree)))
    found = float(np.mean(neighbours(Z[:, best, None].astype(np.float64), codes) == codes))
    return {"n": len(rows), "column": best, "accuracy": found, "guess": float(np.bincount(codes).max() / len(rows))}


def leave_groups_out(Z: np.ndarray, y: np.ndarray, groups: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """The class code of every row by ridge regression on all rows of other groups (n,), exactly; columns standardised.
    Scores less the classes' shares of those rows: what is left out makes its own class the rarer one."""
    _, codes = np.unique(y, return_inverse=True)
    Z = (Z - Z.mean(axis=0)) / np.maximum(Z.std(axis=0), 1e-9)
    A = np.c_[Z, np.ones(len(Z))]
    target = np.eye(codes.max() + 1)[codes]
    inverse = np.linalg.inv(A.T @ A + ridge * len(A) * np.diag(np.r_[np.ones(Z.shape[1]), 0]))
    residual, found = target - A @ (inverse @ (A.T @ target)), np.empty(len(A), dtype=int)
    for rows in np.split(np.argsort(groups, kind="stable"), np.cumsum(np.unique(groups, return_counts=True)[1])[:-1]):
        own = np.eye(len(rows)) - A[rows] @ inverse @ A[rows].T
        scores = target[rows] - np.linalg.solve(own, residual[rows])
        others = target.sum(axis=0) - target[rows].sum(axis=0)
        found[rows] = (scores - others / others.sum()).argmax(axis=1)
    return found


def told_apart(X: np.ndarray, n: int, seed: int, groups: np.ndarray | None = None) -> dict[str, Any]:
    """How often a classifier tells trained rows from the judged rows after them (a two-sample test, Lopez-Paz & Oquab
    2017); ½ where they are alike. Rows of a group (len(X),) are alike whatever the set: each is asked of a classifier
    that has seen none of its group, and they count as so many `independent` ones."""
    m = min(n, len(X) - n, TOLD_APART)
    if m < 20:
        return {}
    rng = np.random.default_rng(seed)
    rows = np.r_[rng.permutation(n)[:m], n + rng.permutation(len(X) - n)[:m]]
    group = np.arange(2 * m) if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    if not group.any():
        return {}
    A = X[rows].astype(np.float32)
    A -= A.mean(axis=0)
    A /= np.maximum(A.std(axis=0, dtype=np.float64), 1e-6).astype(np.float32)  # squares of large numbers overflow
    q = rng.standard_normal((A.shape[1], min(DIRECTIONS, A.shape[1], m // 4))).astype(np.float32)
    for _ in range(3):
        q, _ = np.linalg.qr(A.T @ (A @ q))
    which = np.repeat([0, 1], m)
    right = leave_groups_out((A @ q).astype(np.float64), which, group) == which
    return {"n": 2 * m, "independent": independent(group), "accuracy": float(right.mean())}


def bias(p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Mean probability p (k,) of each class less its share, of trained rows in the order in which they were given, y
    (n,): 0 at the optimum of every proper loss with a free intercept, since that difference is its gradient. `trend`:
    the correlation of its signed root with the classes' places, where rows lie sorted by class at all."""
    amounts = np.bincount(y, minlength=len(p))
    gap = p - amounts / len(y)
    places = np.bincount(y, np.arange(len(y)), minlength=len(p)) / np.maximum(amounts, 1)
    position = np.where(amounts > 0, places, -1)
    place = np.argsort(np.argsort(position)).astype(float)
    ordered = position.std() > SORTED * len(y) and gap.std() > 1e-12
    # the root, so that one class with a large difference does not decide alone
    trend = float(np.corrcoef(place, np.sign(gap) * np.sqrt(np.abs(gap)))[0, 1]) if ordered else None
    return {"largest": float(np.abs(gap).max()), "last_class": float(gap[position.argmax()]), "trend": trend}
