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
6. Margin losses have no bend to rest on, but kinks (squared ones: a bend on one side). E = F(θ) − D(g), g the bound's
   dual point, is also Σ of the rows' B(s) = ℓ(s) + ℓ*(g) − ⟨g, s⟩ and a part of W, at θ as F* − D(g) ≤ E is at θ*; and
   B(s) ≥ Σ_j a_j (|s_j − s_c − r_j| − t/2), `Loss.sharpness`, t = √E for squared ones, else 0. So of the edges' changes
   d_e = (d_i)_j − (d_i)_c the mean Σ a|d_e| is at most K = 2E/(1 − ε) + t mean Σ a, ε the share of g that balancing the
   intercept mixed away. In 4, with M the Laplacian of the a, mean Σ a Δφ_e d_e ≤ K ‖u‖²_{M⁻¹}, as no potentials are
   further apart than those of the current's ends: |Δ(s_a − s_b)| ≤ K ‖u‖²_{M⁻¹} + ρ (√2 ‖z‖ + g).
7. For squares N(d)² = ½ mean ‖dᵢ‖² ≥ ½ ‖β + Vᵀz̄‖², z̄ the mean row: M = ½I, every z̄_e is z̄, next to nothing where
   columns are centred, and no row need be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import namespace, to_device, to_host
from ..design import Block, LentArray, LentRows, design_of
from ..losses.labels import Label
from ..losses.margins import star_mean
from ..objective import Objective
from ..objective.duality import Gap

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
    # without an intercept None, else (k, k) for every pair of classes
    bends: np.ndarray | None = None  # E e^B ‖u‖²_{M⁻¹}
    kinks: np.ndarray | None = None  # K ‖u‖²_{M⁻¹}
    pulls: np.ndarray | None = None  # g

    def __call__(self, lengths: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
        """|Δ(s_label − s_b)| ≤ this, (n, k), for rows of these ‖z‖ and labels in 0 … k − 1."""
        xp = namespace(lengths)
        if not np.isfinite(self.gap):
            return xp.zeros((lengths.shape[0], k)) + np.inf
        nothing = np.zeros((k, k))
        tables = (nothing if table is None else table for table in (self.bends, self.kinks, self.pulls))
        bend, kink, pull = (xp.take(to_device(table, lengths), labels, axis=0) for table in tables)
        pull = pull + 2**0.5 * lengths[:, None]
        return SAFE * (xp.sqrt(bend + float(2 * self.gap / self.strength) * pull * pull) + kink)

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
        size = abs(theta)

        def look(block: Any) -> tuple:
            return (~to_host(self._settled(block, theta, size, measure.lengths(block), labels[block.rows])),)

        with np.errstate(invalid="ignore", over="ignore"):
            design.fill(found, look)
        return found

    def count(self, objective: Objective, theta: np.ndarray) -> int | None:
        """How many of the objective's rows could have another label than the scores of θ (d+1, k) give, by one pass;
        None where nothing is known."""
        if not np.isfinite(self.gap):
            return None
        here = objective.placed()
        stored = here.design.to_rows(here.into(theta))
        size, xp = abs(stored), namespace(stored)

        def look(block: Any) -> tuple:
            return None, xp.count_nonzero(~self._settled(block, stored, size, here.design.lengths(block)))

        with np.errstate(invalid="ignore", over="ignore"):
            return int(here.design.collect(look)[1][0])

    def _settled(self, block: Any, theta: Any, size: Any, lengths: Any, labels: Any = None) -> Any:
        """Which of a block's rows, of squared length ‖z‖² (m,), keep their label (m,), by default that of the highest
        score, (m,) bool; their scores are those of θ (d+1, k) as it is stored, `size` its absolute values."""
        xp, s = namespace(theta), block.forward(theta)
        noise = 4 * (theta.shape[0] - 1) * float(np.finfo(float).eps) * block.absolute(size)
        label = Label(xp, xp.argmax(s, axis=1) if labels is None else labels)
        margin = (label.get(s) - label.get(noise))[:, None] - s - noise
        return xp.all(label.put(margin, np.inf) > self(xp.sqrt(lengths), label.y, s.shape[1]), axis=1)


@dataclass(frozen=True)
class Curvature:
    """What the training rows tell about the intercept: M of the proof and the same sum with every row counted ‖z‖²
    times, gathered block by block."""

    objective: Objective
    found: Gap
    multipliers: np.ndarray | None = None  # (n, k) of the bound's dual point, where it is not ∇ℓ

    @property
    def gap(self) -> float:
        return self.found.bound

    @property
    def strength(self) -> float:
        return self.objective.alpha * self.objective.penalty.strong_convexity

    @property
    def sharp(self) -> bool:
        """Whether the loss has kinks in place of a bend."""
        return self.objective.loss.smoothness < 2

    @property
    def told(self) -> bool:
        """Whether they tell anything: an intercept, a penalty, a bound's dual point that is mostly its own, and not too
        many classes."""
        mixed = self.sharp and self.found.mixed > 0.5
        known = self.objective.design.intercept and self.objective.k <= MOST and not mixed
        return bool(known and self.strength > 0 and np.isfinite(self.gap))

    @property
    def needed(self) -> bool:
        """Whether that takes a pass."""
        return self.told and not self.objective.loss.quadratic

    @property
    def width(self) -> float:
        return float(self.gap) ** 0.5 if self.objective.loss.smoothness else 0.0

    def share(self, here: Objective, block: Block, s: np.ndarray) -> tuple:
        """A block's part of both sums, (k, k), at its scores s (m, k); here: the objective where the rows are."""
        xp, lengths = namespace(s), here.design.lengths(block)
        w = xp.ones_like(lengths) if here.weights is None else here.weights[block.rows]
        with np.errstate(over="ignore", invalid="ignore"):
            if self.sharp:
                a, centre = here.loss.sharpness(self._dual(here, block, s), here.y[block.rows], self.width)
                star, none = Label(xp, centre), xp.zeros_like(lengths)
                return tuple(star_mean(xp, a, none, v, star) for v in (w, w * lengths))
            steps = xp.sqrt(float(4 * self.gap / self.strength) * lengths)
            w = w * remainder(BENDS[here.loss.name] * steps)
            return tuple(here.score_hessian_mean(s, block.rows, v) for v in (w, w * lengths))

    def _dual(self, here: Objective, block: Block, s: np.ndarray) -> np.ndarray:
        """The block's part of the bound's dual point, (m, k)."""
        y = here.y[block.rows]
        if self.multipliers is None:
            return here.score_gradient(s + here.into(np.zeros(here.k) + self.found.moved), block.rows)
        return here.loss.nearest_dual(self.multipliers[block.rows].astype(s.dtype), y)

    def _of_squares(self) -> tuple[np.ndarray, np.ndarray]:
        """The two sums for squares (7), the mean row's rounding included."""
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
        own, g = pair_squares(inverse), pulls[:, None] + pulls
        reach = replace(reach, pulls=g)
        if self.sharp:
            K = 2 * gap / (1 - self.found.mixed) + self.width * float(np.trace(M)) / (2 * objective.total)
            return replace(reach, kinks=K * own)
        # R(β) is of single scores where these have a zero of their own
        most = (own, g) if objective.loss.shift_invariant else (inverse.diagonal(), pulls)
        bend = gap * (BENDS[objective.loss.name] * SAFE) ** 2
        B = self_bound(bend * most[0].max(), bend * 2 * most[1].max() ** 2 / self.strength)
        return replace(reach, bends=gap * np.exp(B) * own) if np.isfinite(B) else replace(reach, gap=np.inf)


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


def pair_squares(inverse: np.ndarray) -> np.ndarray:
    """(e_a − e_b)ᵀ M⁻¹ (e_a − e_b), (k, k)."""
    own = inverse.diagonal()
    return np.maximum(own[:, None] + own[None, :] - 2 * inverse, 0)
