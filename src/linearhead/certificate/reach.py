"""How far the scores of any row can still move: F(θ) − F* ≤ E, R m-strongly convex, a = α m, V = W* − W, β = b* − b.

1. As ∇F(θ*) = 0, F(θ) − F* ≥ mean D(sᵢ, sᵢ*) + a/2 ‖V‖², D ≥ 0 the Bregman distance of ℓ (mean: weighted, over rows).
2. dᵢ = Vᵀzᵢ + β. Along d, |φ'''| ≤ R(d) φ'' (Bach 2010, lemma 1): R = max d − min d for softmax, max |d| for logistic,
   0 for squares. Taylor's remainder: D(s, s + d) ≥ χ(R) dᵀH(s)d, χ(R) = ∫₀¹ u e^{−Ru} du, and χ(R + B) ≥ e^{−B} χ(R).
3. N(d)² = mean χᵢ dᵢᵀHᵢdᵢ with χᵢ = χ(√2 ρ ‖zᵢ‖), ρ² = 2E/a ≥ ‖V‖² is a seminorm; so if R(β) ≤ B,
   e^{−B} N(d)² + a/2 ‖V‖² ≤ E.
4. M = mean χᵢHᵢ is the Laplacian of a graph of classes (and the ground, where scores have a zero of their own) with
   conductances m_e = mean χᵢ(Hᵢ)_e. For u = e_a − e_b (or e_a), φ = M⁻¹u are the potentials of a unit current from a to
   b, f_e = m_e Δφ_e its flow, and uᵀβ = φᵀMβ = mean χᵢ φᵀHᵢ(dᵢ − Vᵀzᵢ). The first part is at most ‖u‖_{M⁻¹} N(d); the
   second Σ_e f_e (V_e)ᵀz̄_e ≤ g ‖V‖, z̄_e the mean row of an edge, ‖z̄_e‖² ≤ mean χᵢ(Hᵢ)_e ‖zᵢ‖² / m_e, and
   g² = Σ_y (Σ_{e at y} |f_e| ‖z̄_e‖)². A current from a to b is one from a to all less one from b to all: g ≤ g_a + g_b.
5. Hence |uᵀβ| ≤ f(B) = √E √(e^B ‖u‖²_{M⁻¹} + 2g²/a). D(s, s + td) rises with t, so 3 holds for tV, tβ, t ≤ 1: were
   R(β) > B > f(B), the t with R(tβ) = B gives B ≤ f(B). So any B with f(B) < B bounds R(β), by f(B). Then for every row
   z likewise |Δ(s_a − s_b)| ≤ √E √(e^B ‖u‖²_{M⁻¹} + 2 (√2 ‖z‖ + g)²/a); without an intercept the first and g are 0.
6. For squares N(d)² = ½ mean ‖dᵢ‖² ≥ ½ ‖β + Vᵀz̄‖², z̄ the mean row: M = ½I, every z̄_e is z̄, next to nothing where
   columns are centred, and no row need be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import namespace, to_device, to_host
from ..design import Block, LentArray, LentRows, design_of
from ..losses.labels import Label
from ..objective import Objective

BENDS = {"cross_entropy": 1.0, "logistic": 1.0, "squared": 0.0}  # |φ'''| ≤ bend · R(d) φ''
MOST = 512  # classes up to which M, (k, k), and its inverse cost less than the fit; beyond, nothing is said
SAFE = 1 + 1e-5  # room for the rounding of the bound itself, of the potentials above all
DEFINITE = 1e4  # times their rounding, eigenvalues of M at least


@dataclass(frozen=True)
class Reach:
    """How far differences of scores can move at the exact optimum. `centre` and `scale` (d,) make z of a row x."""

    gap: float  # E; inf: nothing is known
    strength: float  # a
    centre: np.ndarray | None
    scale: np.ndarray | None
    inverse: np.ndarray | None = None  # e^B M⁻¹, (k, k); None without an intercept
    pulls: np.ndarray | None = None  # g_a, (k,)

    def __call__(self, lengths: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
        """|Δ(s_label − s_b)| ≤ this, (n, k), for rows of these ‖z‖ and labels in 0 … k − 1."""
        xp = namespace(lengths)
        if not np.isfinite(self.gap):
            return xp.zeros((lengths.shape[0], k)) + np.inf
        pairs, pulls = (
            (pair_lengths(self.inverse), self.pulls) if self.pulls is not None else (np.zeros((k, k)), np.zeros(k))
        )
        c, g = (xp.take(to_device(table, lengths), labels, axis=0) for table in (pairs, pulls[:, None] + pulls))
        pull = 2**0.5 * lengths[:, None] + g
        return SAFE * xp.sqrt(float(self.gap) * (c * c + 2 * pull * pull / self.strength))

    def undecided(self, X: Any, coef: np.ndarray, intercept: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Which rows of X could have another label than these at the exact optimum, (n,) bool.

        coef (k, d) and intercept (k,) score X as it is; labels (n,) in 0 … k − 1 are what was predicted.
        """
        found = np.ones(len(labels), dtype=bool)
        if not np.isfinite(self.gap):
            return found
        design: Any = design_of(X).precise()
        measure = replace(design, shift=self.centre, scale=self.scale)
        theta: Any = np.vstack([coef.T, intercept]).astype(np.float64)
        if isinstance(X, LentArray):
            design, measure = LentRows.like(design), LentRows.like(measure)
            theta, labels = to_device(theta, X.source), to_device(labels.astype(np.int64), X.source)
        size, xp = abs(theta), namespace(theta)

        def look(block: Any) -> tuple:
            s, label = block.forward(theta), Label(xp, labels[block.rows])
            noise = 4 * design.d * float(np.finfo(float).eps) * block.absolute(size)
            margin = (label.get(s) - label.get(noise))[:, None] - s - noise
            far = self(xp.sqrt(measure.lengths(block)), label.y, s.shape[1])
            return (~to_host(xp.all(label.put(margin, np.inf) > far, axis=1)),)

        with np.errstate(invalid="ignore", over="ignore"):
            design.fill(found, look)
        return found


@dataclass(frozen=True)
class Curvature:
    """What the training rows tell about the intercept: M of the proof and what rows of length ‖z‖² for 1 make of it,
    gathered block by block."""

    objective: Objective
    gap: float

    @property
    def strength(self) -> float:
        return self.objective.alpha * self.objective.penalty.strong_convexity

    @property
    def told(self) -> bool:
        """Whether they tell anything: an intercept, a penalty and a loss whose bend is known, not too many classes."""
        known = self.objective.design.intercept and self.objective.loss.name in BENDS and self.objective.k <= MOST
        return bool(known and self.strength > 0 and np.isfinite(self.gap))

    @property
    def needed(self) -> bool:
        """Whether that takes a pass."""
        return self.told and not self.objective.loss.quadratic

    def share(self, here: Objective, block: Block, s: np.ndarray) -> tuple:
        """A block's part of Σ w χ H and Σ w χ ‖z‖² H, (k, k), at its scores s (m, k); here: the objective where the
        rows are."""
        lengths = here.design.lengths(block)
        w = 1.0 if here.weights is None else here.weights[block.rows]
        with np.errstate(over="ignore", invalid="ignore"):
            steps = namespace(s).sqrt(float(4 * self.gap / self.strength) * lengths)
            w = w * remainder(BENDS[here.loss.name] * steps)
            return tuple(here.score_hessian_mean(s, block.rows, v) for v in (w, w * lengths))

    def _of_squares(self) -> tuple[np.ndarray, np.ndarray]:
        """The two sums for squares (5), the mean row's rounding included."""
        objective = self.objective
        sums, far = objective.class_sums().sum(axis=1), np.abs(objective.design.centre)
        noise = 1e-6 * np.sqrt(objective.column_metric()[:-1, 0]) + objective.n * np.finfo(float).eps * far
        z, M = np.linalg.norm(np.abs(sums[:-1]) + noise), 0.5 * objective.total * np.eye(objective.k)
        return M, float(z * z) * M

    def reach(self, M: Any = None, far: Any = None) -> Reach:
        """The reach of all rows, from the sums over the training rows."""
        objective, design = self.objective, self.objective.design
        if self.told and objective.loss.quadratic:
            M, far = self._of_squares()
        known = self.strength > 0 and np.isfinite(self.gap) and (M is not None or not design.intercept)
        gap = self.gap if known else np.inf
        reach = Reach(gap, self.strength, design.shift, design.scale)
        if not known or M is None:
            return reach
        if not (np.isfinite(M).all() and np.isfinite(far).all()):  # rows too long for float64 squares
            return replace(reach, gap=np.inf)
        inverse = inverted(M / objective.total, objective.loss.shift_invariant)
        if inverse is None:
            return replace(reach, gap=np.inf)
        pulls = pulled(inverse, M / objective.total, far / objective.total)
        # R(β) is of two classes' difference where scores have no zero of their own
        two = objective.loss.shift_invariant
        own, g = (pair_lengths(inverse) ** 2, pulls[:, None] + pulls) if two else (inverse.diagonal(), pulls)
        bend = BENDS[objective.loss.name] * SAFE
        B = self_bound(bend**2 * gap * own.max(), bend**2 * gap * 2 * g.max() ** 2 / self.strength)
        if not np.isfinite(B):
            return replace(reach, gap=np.inf)
        return replace(reach, inverse=np.exp(B) * inverse, pulls=pulls)


def remainder(R: np.ndarray) -> np.ndarray:
    """χ(R) = ∫₀¹ u e^{−Ru} du = (1 − (1 + R) e^{−R}) / R², from 1/2 at R = 0."""
    xp = namespace(R)
    r = xp.clip(R, None, 1e-2)
    series = 0.5 - r / 3 + r * r / 8 - r**3 / 30  # ≤ χ: the sum ends before a positive term
    big, end = xp.clip(R, 1e-2, None), xp.clip(R, 1e-2, 700.0)
    return xp.where(R < 1e-2, series, (1 - (1 + end) * xp.exp(-end)) / big / big)


def self_bound(grows: float, stays: float) -> float:
    """Some B with √(grows · e^B + stays) ≤ B, near the least; inf where none below 10 is found."""
    B = 0.0
    while B < 10:  # rises towards the least such B
        before, B = B, (1 + 1e-6) * float(np.sqrt(grows * np.exp(B) + stays))
        if before * (1 + 1e-7) >= B:
            return B
    return np.inf


def pulled(inverse: np.ndarray, M: np.ndarray, far: np.ndarray) -> np.ndarray:
    """g_a of a current from class a to all others (or the ground), (k,), from M, its inverse and the same sum with
    every row counted ‖z‖² times."""
    potentials = inverse @ (2 * np.eye(len(M)) - M @ inverse)  # the inverse's eigenvalues are a little too large
    edges = np.sqrt(np.clip(-M, 0, None) * np.clip(-far, 0, None))  # m_e ‖z̄_e‖
    ground = np.sqrt(np.clip(M.sum(axis=1), 0, None) * np.clip(far.sum(axis=1), 0, None))
    flows = ((edges * np.abs(p[:, None] - p)).sum(axis=1) + ground * np.abs(p) for p in potentials.T)
    return np.array([np.linalg.norm(flow) for flow in flows])


def inverted(M: np.ndarray, blind: bool) -> np.ndarray | None:
    """M⁻¹ from eigenvalues less their rounding, on differences of scores alone where the loss is blind to the rest;
    None where M is not definite there."""
    k = len(M)
    values, vectors = np.linalg.eigh(M + blind * np.trace(M) * np.ones((k, k)) / k)
    noise = 4 * k * np.finfo(float).eps * values[-1]
    if not values[0] > DEFINITE * noise:
        return None
    return (vectors / (values - noise)) @ vectors.T


def pair_lengths(inverse: np.ndarray) -> np.ndarray:
    """√((e_a − e_b)ᵀ M⁻¹ (e_a − e_b)), (k, k)."""
    own = inverse.diagonal()
    return np.sqrt(np.maximum(own[:, None] + own[None, :] - 2 * inverse, 0))
