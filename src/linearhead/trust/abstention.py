"""Answering only when sure: rows sorted by confidence, accuracy among the surest share of them (Chow 1970)."""

from __future__ import annotations

import numpy as np

SHARES = tuple(i / 20 for i in range(1, 21))


def answered(confidence: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """[share answered, accuracy among those, least confidence among those] at each of SHARES; confidence (n,) may be
    any number that grows with certainty."""
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    hits, n = np.cumsum(np.asarray(right)[order], dtype=np.float64), len(order)
    counts = sorted({max(1, round(share * n)) for share in SHARES}) if n else []
    return [[m / n, float(hits[m - 1]) / m, float(confidence[order[m - 1]])] for m in counts]
