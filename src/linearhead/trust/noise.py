"""How many labels look like noise: ε in P(y | x) = (1 − ε) p_T(y | x) + ε / k, by maximum likelihood with T.

Labels drawn anew at random from all k classes (Angluin & Laird 1988) leave out-of-fold probabilities a tail that no
temperature T explains: p_T errs towards classes that resemble the label, noise towards all alike. T on a grid, then on
a finer one; for each ε by expectation maximisation: r_i = (ε/k) / ((1 − ε) p_i + ε/k), ε = mean r_i. The share of wrong
labels is then ε (k − 1)/k.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

COARSE = np.geomspace(0.25, 5.0, 16)
FINE = (COARSE[1] / COARSE[0]) ** np.linspace(-0.9, 0.9, 9)  # times the best of those
STEPS = 60
CELLS = 4_000_000  # scores looked at, at most
TINY = np.finfo(np.float64).tiny


def label_noise(
    scores: np.ndarray, y: np.ndarray, probabilities: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float]:
    """(share of wrong labels, nats by which all rows' likelihood gains from it) for unseen rows' scores (n, k)."""
    n, k = scores.shape
    rows = np.arange(n)[:: max(1, -(-n * k // CELLS))]
    s, own = np.asarray(scores[rows], dtype=np.float64), (np.arange(len(rows)), y[rows])

    def tried(t: float) -> tuple[float, float, float, float]:
        """(likelihood with noise, T, ε, likelihood without)."""
        p = np.maximum(probabilities(s / t)[own], TINY)
        noise = _share(p, k)
        return float(np.log((1 - noise) * p + noise / k).mean()), t, noise, float(np.log(p).mean())

    found = [tried(float(t)) for t in COARSE]
    near = max(found)[1]
    found += [tried(near * float(r)) for r in FINE]
    best, _, noise, _ = max(found)
    return noise * (k - 1) / k, n * max(best - max(row[3] for row in found), 0.0)


def _share(p: np.ndarray, k: int) -> float:
    """ε for the labels' probabilities p (n,)."""
    noise = 0.05
    for _ in range(STEPS):
        noise = float(np.mean(noise / k / ((1 - noise) * p + noise / k)))
    return noise
