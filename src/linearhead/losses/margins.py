"""The map that the hinges share: margins z_j = Δ + s_j − s_label for j ≠ label, and its transpose.

z is (n, k) with an exact 0 in the label's column, so sums and maxima over a row need no mask. The transpose takes
v (n, k) with 0 at the label and writes −Σ_j v_j there. M = [I, −1], M Mᵀ = I + 11ᵀ, whose norm is k.
The hinges' Hessians are H = Mᵀ (diag a − c a aᵀ) M, a (n, k) 0 at the label, c (n,): for c = 0 the Laplacian of the
star that joins the label to the classes of a, so a sum over rows is the Laplacian of a graph of classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import UsageError
from .labels import Array, Label, columns, indicator, positive, row_sum


def check_margin(margin: float) -> None:
    """Δ must be a positive number: with 0, zero weights would already have no loss."""
    if not 0 < margin < math.inf:
        raise UsageError(
            f"margin is {margin}; needed is a finite number above 0, because it is the lead in score that the right "
            "class must have before a row costs nothing, and without one zero weights cost nothing. 1 is usual."
        )


def margins(xp: Any, s: Array, label: Label, margin: float) -> Array:
    """z (n, k), 0 at the label. Subtracting the scores first keeps z exact where the two are close."""
    s = columns(xp, s)
    own = label.get(s)[:, None]
    z = s - own
    if z.dtype == xp.float64:  # carry both roundings (TwoSum): a z near 0 keeps its digits
        back = z - s
        low = (s - (z - back)) - (own + back)
        total = z + margin
        back = total - z
        low += (z - (total - back)) + (margin - back)
        z = total + low
    else:
        z += margin
    return label.put(z, 0.0)


def differences(xp: Any, d: Array, label: Label) -> Array:
    """M d: d_j − d_label (n, k), 0 at the label."""
    d = columns(xp, d)
    return d - label.get(d)[:, None]


def transpose(xp: Any, v: Array, label: Label) -> Array:
    """Mᵀ v in place: v (n, k), 0 at the label, gets −Σ_j v_j there."""
    return label.put(v, -row_sum(xp, v))


def star_product(xp: Any, a: Array, c: Array, d: Array, label: Label) -> Array:
    """H d, (n, k)."""
    step = a * differences(xp, d, label)
    return transpose(xp, step - a * (c * row_sum(xp, step))[:, None], label)


def star_mean(xp: Any, a: Array, c: Array, w: Array, label: Label) -> Array:
    """Σ wᵢ Hᵢ, (k, k)."""
    k = a.shape[1]
    target = indicator(xp, ~label.off(k), a)
    edges = (target * w[:, None]).T @ a  # (k, k): the weight of rows of class i that a joins to j
    edges = edges + edges.T
    spread = a - target * row_sum(xp, a)[:, None]  # Mᵀ a
    unit = xp.eye(k, dtype=a.dtype, device=a.device)
    return unit * xp.sum(edges, axis=0) - edges - spread.T @ (spread * (w * c)[:, None])


def star_form(xp: Any, a: Array, c: Array, Q: Array | None, label: Label) -> Array:
    """qᵀ Hᵢ q = Σ_j a_j (q_j − q_label)² − c (Σ_j a_j (q_j − q_label))² for every column q of Q, by its terms."""
    if Q is None:  # of e_j: a_j − c a_j²; of e_label: Σ a − c (Σ a)²
        total = row_sum(xp, a)
        return label.put(a - c[:, None] * a * a, total - c * total * total)
    own, total, along = xp.take(Q, label.y, axis=0), row_sum(xp, a)[:, None], a @ Q
    straight = a @ (Q * Q) - 2 * own * along + own * own * total
    return positive(xp, straight - c[:, None] * (along - own * total) ** 2)


def star_factor(a: np.ndarray, c: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows (f,) ascending, h (f, k)) with Hᵢ = Σ h hᵀ over row i's h, for a of 0 and 1 and c = 0 or 1/Σ a.

    c = 0: e_j − e_label for every j of a. Else what is orthogonal to their sum: Helmert's vectors, of the j-th and all
    before.
    """
    capped, place = c > 0, np.cumsum(a, axis=1)
    rows, j = np.nonzero((a > 0) & ~(capped[:, None] & (place < 2)))
    before = np.where(capped[rows], place[rows, j] - 1, 0)
    h = np.where(np.arange(a.shape[1]) < j[:, None], a[rows] * (before > 0)[:, None], 0.0)
    h[np.arange(len(rows)), j] = np.where(before > 0, -before, 1)
    h /= np.sqrt(np.where(before > 0, before * (before + 1), 1))[:, None]
    h[np.arange(len(rows)), y[rows]] -= h.sum(axis=1)
    return rows, h
