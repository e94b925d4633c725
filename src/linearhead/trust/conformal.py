"""Sets of labels that hold the true one in a promised share of pictures (Vovk, Gammerman & Shafer 2005).

A label's strangeness a(x, j) is −ln p_j where the loss has probabilities, else max s − s_j: the least ambiguous sets
(Sadinle, Lei & Wasserman 2019). With the strangeness of n unseen rows' own labels sorted, a new picture's set is
{j: a(x, j) ≤ a_(⌈(n+1) c⌉)}: it holds the true label with probability c to c + 1/(n+1) over pictures of the same kind.
A set may be empty: then no label fits as well as c of the true ones did, and a person should look.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

import numpy as np

KEPT = 2000  # order statistics kept in a model: coverage in steps of 1/2000
TINY = np.finfo(np.float64).tiny


def strangeness(scores: np.ndarray, p: np.ndarray | None) -> np.ndarray:
    """a(x, j) for every row and label, (n, k)."""
    if p is None:
        s = np.asarray(scores, dtype=np.float64)
        return s.max(axis=1, keepdims=True) - s
    return -np.log(np.maximum(np.asarray(p, dtype=np.float64), TINY))


def of_labels(scores: np.ndarray, p: np.ndarray | None, y: np.ndarray) -> np.ndarray:
    """a(x, y) of every row's own label, (n,)."""
    rows = np.arange(len(y))
    if p is None:
        s = np.asarray(scores, dtype=np.float64)
        return s.max(axis=1) - s[rows, y]
    return -np.log(np.maximum(np.asarray(p[rows, y], dtype=np.float64), TINY))


@dataclass(frozen=True)
class Conformal:
    """`n` rows calibrated; `kept` are order statistics of theirs at the ranks ⌈n i/m⌉, i = 1 … m, m = len(kept)."""

    n: int
    kept: tuple[float, ...]

    @classmethod
    def fit(cls, scores: np.ndarray, p: np.ndarray | None, y: np.ndarray) -> Conformal:
        return cls.of(of_labels(scores, p, y))

    @classmethod
    def of(cls, own: np.ndarray) -> Conformal:
        """From the strangeness (n,) of unseen rows' own labels."""
        own = np.sort(own)
        m = min(len(own), KEPT)
        ranks = np.ceil(np.arange(1, m + 1) * (len(own) / m) - 1e-9).astype(int)
        return cls(len(own), tuple(float(a) for a in own[ranks - 1]))

    def limit(self, coverage: float) -> float:
        """The largest strangeness that a label in the set may have; inf where n is too small to promise so much."""
        rank, m = ceil((self.n + 1) * coverage - 1e-9), len(self.kept)
        if rank > self.n or not m:
            return inf
        return self.kept[(rank - 1) * m // self.n]  # the first rank kept that is not below: ⌈n i/m⌉ ≥ rank

    def sets(self, scores: np.ndarray, p: np.ndarray | None, coverage: float) -> np.ndarray:
        """Which labels are in each row's set, bool (n, k)."""
        return strangeness(scores, p) <= self.limit(coverage)
