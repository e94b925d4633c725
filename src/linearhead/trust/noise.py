"""How many labels look like noise: ε in P(y | x) = (1 − ε) p_T(y | x) + ε / k, by maximum likelihood with T.

Labels drawn anew at random from all k classes (Angluin & Laird 1988) leave out-of-fold probabilities a tail that no
temperature T explains: p_T errs towards classes that resemble the label, noise towards all alike. T on a grid, then on
a finer one; for each ε by expectation maximisation: r_i = (ε/k) / ((1 − ε) p_i + ε/k), ε = mean r_i. The share of wrong
labels is then ε (k − 1)/k.

Classes that a classifier cannot tell apart leave such a tail, too, but not towards all alike. So a third part competes,
in which an answer is a mistake, and the label drawn by q(y | answer): counted from the mistakes of other rows between
the two classes, either way round, and PRIOR more, shared out as probabilities are. `beyond` is what ε adds to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .calibration import of_labels

COARSE = np.geomspace(0.25, 5.0, 16)
FINE = (COARSE[1] / COARSE[0]) ** np.linspace(-0.9, 0.9, 9)  # times the best of those
STEPS = 60
PRIOR = 2.0
CELLS = 4_000_000  # scores looked at, at most
TINY = np.finfo(np.float64).tiny


class LabelNoise(NamedTuple):
    """What unseen rows' scores say of the labels: the share of wrong ones, and the nats by which all rows' likelihood
    gains from them, over temperatures alone and beyond confusions of similar classes."""

    share: float
    gain: float
    beyond: float


def label_noise(
    scores: np.ndarray,
    y: np.ndarray,
    probabilities: Callable[[np.ndarray], np.ndarray],
    groups: np.ndarray | None = None,
) -> LabelNoise:
    """Of scores (n, k) and labels (n,) of rows; those of one group (n,) do not vouch for each other's confusions."""
    n, k = scores.shape
    rows = np.arange(n)[:: max(1, -(-n * k // CELLS))]
    s, label = np.asarray(scores[rows], dtype=np.float64), y[rows]

    def labels(t: float) -> np.ndarray:
        return np.maximum(of_labels(probabilities, s, label, t), TINY)

    tried = {float(t): labels(t) for t in COARSE}
    near = max(tried, key=lambda t: _mixed(tried[t], 1 / k)[0])
    tried |= {near * float(r): labels(near * r) for r in FINE}
    noisy = {t: _mixed(p, 1 / k) for t, p in tried.items()}
    best = max(noisy, key=lambda t: noisy[t][0])
    gain = noisy[best][0] - max(float(np.log(p).mean()) for p in tried.values())
    similar = _similar(s, label, probabilities(s / best), rows if groups is None else groups[rows])
    confused = {t: _mixed(p, similar)[0] for t, p in tried.items()}
    ends = best, max(confused, key=lambda t: confused[t])
    beyond = max(_mixed(tried[t], similar, 1 / k)[0] for t in ends) - confused[ends[1]]
    return LabelNoise(noisy[best][1][0] * (k - 1) / k, n * max(gain, 0.0), n * max(beyond, 0.0))


def _mixed(p: np.ndarray, *others: np.ndarray | float) -> tuple[float, list[float]]:
    """The mean log likelihood of labels with probabilities p (n,) or, in the likeliest shares, those of others; and the
    shares."""
    shares = [0.05] * len(others)
    for _ in range(STEPS):
        parts = [share * q for share, q in zip(shares, others, strict=True)]
        mixed = (1 - sum(shares)) * p + sum(parts)
        shares = [float(np.mean(part / mixed)) for part in parts]
    mixed = (1 - sum(shares)) * p + sum(share * q for share, q in zip(shares, others, strict=True))
    return float(np.log(mixed).mean()), shares


def _similar(s: np.ndarray, y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The labels' probabilities q (n,), if all answers by scores s (n, k) were mistakes; p (n, k) says which classes
    are similar where rows of other groups show few."""
    n, k = s.shape
    answer = s.argmax(axis=1)
    wrong = np.flatnonzero(answer != y)
    a, b, own = answer[wrong], y[wrong], groups[wrong]
    given, place = np.unique(answer, return_inverse=True)
    towards, row = np.zeros((len(given) + 1, k)), np.full(k, len(given))  # the last row: of classes never given
    np.add.at(towards, place, p)
    row[given] = np.arange(len(given))
    like = towards[row[a], b] + towards[row[b], a]
    like /= np.maximum(towards.sum(axis=0)[a] + towards.sum(axis=1)[row[a]] - 2 * towards[row[a], a], TINY)
    pairs = _of_others(np.minimum(a, b) * k + np.maximum(a, b), own)
    ends = _of_others(np.concatenate([a, b]), np.concatenate([own, own]))[: len(a)]
    q = np.full(n, TINY)
    q[wrong] = np.maximum((pairs + PRIOR * like) / (ends + PRIOR), TINY)
    return q


def _of_others(keys: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) the rows of other groups (n,) that have the same key."""
    both = np.stack([keys, np.unique(groups, return_inverse=True)[1]], axis=1)
    _, key, of_key = np.unique(keys, return_inverse=True, return_counts=True)
    _, pair, of_pair = np.unique(both, axis=0, return_inverse=True, return_counts=True)
    return of_key[key] - of_pair[pair.ravel()]
