"""F(θ) = Σᵢ wᵢ ℓ(Aθ, y)ᵢ / Σᵢ wᵢ + α R(W): the one place where loss, penalty and design meet.

Chain rule: ∇F = Aᵀ G / Σw + α [∇R(W); 0], G_i = wᵢ ∇ℓ(sᵢ, yᵢ); Hessian product Aᵀ (H ∘ A v) / Σw + α [R''v; 0].
θ = [W; b] is (d+1, k) in the design's columns: centring changes b alone, so F is the user's own; scaling (standardize)
makes W, and with it the penalty, refer to the scaled columns. A mini-batch is the same code on fewer rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ..arrays import one_hot, to_host
from ..design import Block, Design, LentSlabs, Rows
from ..losses import Loss
from ..penalties import Penalty
from .coupled import CLASSES
from .judging import Judging
from .minibatches import MiniBatches
from .point import Count, Point, Shared
from .proximal import Proximal
from .scales import Scales

SAMPLE_ROWS, SAMPLE_PER_CLASS = 8192, 50  # below, the optimum of a sample says little about that of all rows
FEW_ROWS = 512


@dataclass(frozen=True)
class Objective(Judging, Proximal, Scales, MiniBatches):
    """loss, penalty and alpha on a design with labels y (n,) in 0..k−1 and weights (n,) or None for equal ones."""

    design: Design
    y: np.ndarray
    k: int
    loss: Loss
    penalty: Penalty
    alpha: float
    weights: np.ndarray | None = None
    total: float = 0.0  # Σ wᵢ; for a mini-batch its fair share of it
    share: float = 1.0  # of all rows; what one pass counts for
    watch: bool = False  # also count correct predictions in every pass
    count: Count = field(default_factory=Count)
    shared: Shared = field(default_factory=Shared)
    plain: ClassVar[bool] = True  # a row's share is that of `loss`, on NumPy's rows

    def __post_init__(self) -> None:
        if not self.total:
            total = float(self.design.n if self.weights is None else np.sum(self.weights, dtype=np.float64))
            object.__setattr__(self, "total", total)
        if self.design.scores != self.k:
            object.__setattr__(self, "design", replace(self.design, scores=self.k))
        for name in ("y", "weights"):
            object.__setattr__(self, name, self.design.column(getattr(self, name)))

    @property
    def n(self) -> int:
        return self.design.n

    def start(self) -> np.ndarray:
        """θ = 0."""
        return np.zeros((self.design.d + 1, self.k))

    # ── one block's share ─────────────────────────────────────────────────────────────────────────
    def score_terms(self, s: np.ndarray, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        """Loss per row (m,) and its gradient in the scores (m, k)."""
        return self.loss.value_and_gradient(s, self.y[rows])

    def score_gradient(self, s: np.ndarray, rows: Any) -> np.ndarray:
        """The same without the loss."""
        return self.loss.gradient(s, self.y[rows])

    def score_hessian(self, s: np.ndarray, rows: Any, d: np.ndarray) -> np.ndarray:
        """The rows' Hessians in the scores times d (m, k)."""
        return self.loss.hessian_product(s, self.y[rows], d)

    def score_hessians(self, s: np.ndarray, rows: Any) -> Any:
        """d (m, k) → the rows' Hessians at these scores times d, for many d."""
        return self.loss.hessian(s, self.y[rows])

    def score_hessian_mean(self, s: np.ndarray, rows: Any, w: np.ndarray) -> np.ndarray:
        """Σ wᵢ Hᵢ, (k, k)."""
        return self.loss.hessian_mean(s, self.y[rows], w)

    def score_hessian_form(self, s: np.ndarray, rows: Any, Q: np.ndarray | None) -> np.ndarray:
        """qₐᵀ Hᵢ qₐ, (m, k)."""
        return self.loss.hessian_form(s, self.y[rows], Q)

    def score_factor(self, s: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows (f,) among these, h (f, k)): a row's Hessian in the scores is Σ h hᵀ over its h."""
        own, h = self.loss.factor(s[rows], self.y[rows])
        return rows[own], h

    def score_free(self, s: np.ndarray, rows: np.ndarray) -> Any:
        """What is free in these rows: `Directions`, or another of their kind."""
        from .stars import Directions

        return Directions(*self.score_factor(s, rows))

    def _weigh(self, rows: Any, *terms: np.ndarray) -> None:
        if self.weights is not None:
            w = self.weights[rows]
            for term in terms:
                term *= (w if term.ndim == 1 else w[:, None]).astype(term.dtype, copy=False)

    def correct(self, s: np.ndarray, rows: Any) -> float:
        """The weight of rows whose label has the largest score, where that is watched."""
        if not self.watch:
            return 0.0
        right = s.argmax(axis=1) == self.y[rows]
        return float(np.sum(right if self.weights is None else self.weights[rows][right]))

    def _seen(self, block: Block, stored: np.ndarray, look: Any = None) -> tuple:
        """Sums of the rows' losses and hits, the losses' gradient in the scores, and what look finds."""
        s = block.forward(stored)
        value, g = self.score_terms(s, block.rows)
        seen = () if look is None else look(self, block, s, g)
        self._weigh(block.rows, value, g)
        return float(value.sum(dtype=np.float64)), self.correct(s, block.rows), g, *seen

    def _share(self, block: Block, stored: np.ndarray) -> tuple:
        value, correct, g = self._seen(block, stored)
        return value, correct, block.adjoint(g)

    # ── where the rows are ────────────────────────────────────────────────────────────────────────
    def placed(self) -> Any:
        """The same objective in the arrays that hold the rows: itself, unless another library holds them."""
        if not isinstance(self.design, LentSlabs):
            return self
        from .lent import LentObjective

        return LentObjective.of(self)

    def into(self, theta: np.ndarray) -> Any:
        """θ for `placed`."""
        return theta

    # ── what a solver sees ────────────────────────────────────────────────────────────────────────
    def at(self, theta: np.ndarray) -> Point:
        """F and ∇F at θ: one pass, where the rows are."""
        there = self.placed()
        if there is not self:
            return there.back(there.at(there.into(theta)))
        if self.plain and not theta.any():
            return self._at_zero(theta)
        stored = self.design.to_rows(theta)
        value, correct, gradient = self.design.sweep(lambda block: self._share(block, stored))
        self.count.passes += self.share
        return self._point(theta, value, correct, gradient)

    def observed(self, theta: np.ndarray, look: Callable[..., tuple]) -> tuple[Point, list, list]:
        """The point at θ; what look(objective, block, scores, slopes) → (anything, *what is summed) finds in that pass,
        in the rows' order; and the sums. Objective and arrays are those of where the rows are; look leaves them alone.
        """
        here = self.placed()
        inner = here.into(theta)
        stored = here.design.to_rows(inner)

        def share(block: Block) -> tuple:
            value, correct, g, found, *sums = here._seen(block, stored, look)
            return found, value, correct, block.adjoint(g), *sums

        found, (value, correct, gradient, *sums) = here.design.collect(share)
        self.count.passes += self.share
        point = here._point(inner, value, correct, gradient)
        return (point if here is self else here.back(point)), found, sums

    def _point(self, theta: np.ndarray, value: float, correct: float, sums: np.ndarray) -> Point:
        return self._finished(theta, value, correct, self._mean(sums))

    def _finished(self, theta: np.ndarray, value: float, correct: float, gradient: np.ndarray) -> Point:
        """The point from sums of losses and hits and the mean gradient of the losses, owned."""
        loss, W = value / self.total, theta[:-1]
        if self.alpha:
            gradient[:-1] += self.alpha * self.penalty.gradient(W)
        return Point(theta, loss + self.penalised(W), gradient, loss, correct / self.total if self.watch else None)

    def _mean(self, sums: np.ndarray) -> np.ndarray:
        """Sums over stored rows, owned, → means in the design's columns, (d+1, k). Where a shift of all scores changes
        no loss they add up to 0 over the classes; what rounding leaves of that goes, as no step can make it vanish."""
        mean = self.design.from_rows(sums)
        mean /= self.total
        # θ's order: what a solver does with steps and slopes goes through all numbers of both
        return np.ascontiguousarray(self._without_shift(mean))

    def _without_shift(self, mean: np.ndarray) -> np.ndarray:
        if self.loss.shift_invariant:
            mean -= mean.mean(axis=1, keepdims=True)
        return mean

    def penalised(self, W: np.ndarray) -> float:
        """α R(W)."""
        return self.alpha * self.penalty.value(W) if self.alpha else 0.0

    def _at_zero(self, theta: np.ndarray) -> Point:
        """The point at θ = 0, where a row's share depends on its label alone, and on all labels alike."""
        value, g = self.loss.value_and_gradient(np.zeros((1, self.k)), np.zeros(1, int))
        own, other = g[0, :2]
        sums = self.class_sums()
        gradient = other * sums.sum(axis=1, keepdims=True) + (own - other) * sums
        weights = self.class_shares() * self.total  # of a sample not quite its share of the total
        return self._finished(theta, float(value[0] * weights.sum()), float(weights[0]), self._without_shift(gradient))

    def class_shares(self) -> np.ndarray:
        """Weighted share of each class, (k,)."""
        return np.bincount(self.y, self.weights, minlength=self.k) / self.total

    def class_sums(self) -> np.ndarray:
        """Σᵢ wᵢ zᵢ e_{yᵢ}ᵀ / Σw in the design's columns, (d+1, k) float64: one pass, kept for labels and weights."""
        y, weights, sums = self.shared.class_sums or (None, None, None)
        if sums is None or y is not self.y or weights is not self.weights:
            here = self.placed()

            def share(block: Any) -> tuple:
                w = None if here.weights is None else here.weights[block.rows]
                return (block.by_class(here.y[block.rows], w, here.k),)

            self.count.passes += self.share
            sums = np.array(to_host(here.design.from_rows(here.design.sweep(share)[0])), order="C") / self.total
            self.shared.class_sums = self.y, self.weights, sums
        return sums

    def hessian_product(self, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """∇²F(θ) v, (d+1, k) → (d+1, k): one pass."""
        at, along = self.design.to_rows(theta), self.design.to_rows(v)

        def share(block: Block) -> tuple:
            h = self.score_hessian(block.forward(at), block.rows, block.forward(along))
            self._weigh(block.rows, h)
            return (block.adjoint(h),)

        product = self._mean(self.design.sweep(share)[0])
        self.count.passes += self.share
        if self.alpha:
            product[:-1] += self.alpha * self.penalty.hessian_product(theta[:-1], v[:-1])
        return product

    def basis(self) -> Any:
        """The curvature model's directions: made once, shared by all relatives on the same rows."""
        if self.shared.basis is None:
            from .basis import sample_basis

            self.shared.basis = sample_basis(self)
        return self.shared.basis

    def preconditioner(self, theta: np.ndarray, fine: bool = False) -> Any:
        """M⁻¹ of the curvature model at θ; fine: a sharper one, where there are rows enough for it to pay."""
        from .curvature import precondition
        from .drawn import PLENTY

        return precondition(self, self.basis(), theta, fine and self.n >= PLENTY)

    def finish(self, allowed: float) -> Any:
        """Newton's steps that cost so many passes at most, a `Finish`; None where they are not for this problem."""
        from .finish import Finish

        return Finish.of(self, allowed)

    def kinked_newton(self, allowed: float) -> Any:
        """Newton's steps that see the penalty's kinks and cost so many passes at most, a `Kinked`; None where they are
        not for this problem."""
        from .kinked import Kinked

        return Kinked.of(self, allowed)

    def separated(self, point: Point) -> bool:
        """Whether nothing is penalised and the loss proves every row right: then no finite optimum exists.

        Cross-entropy and logistic loss are below log 2 only where the label wins, so Σ wᵢ ℓᵢ < min wᵢ log 2 is a proof.
        """
        if self.alpha or not self.loss.proper:
            return False
        least = 1.0 if self.weights is None else float(np.min(self.weights[self.weights > 0]))
        return point.loss * self.total < least * np.log(2)

    # ── least squares ─────────────────────────────────────────────────────────────────────────────
    def weighted_rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All rows (n, d) in the design's columns, one-hot targets (n, k) and weights that sum to 1, in float64."""
        w = np.ones(self.n) if self.weights is None else self.weights.astype(np.float64)
        return self.design.precise().dense().astype(np.float64), one_hot(self.y, self.k), w / self.total

    def gram(self) -> np.ndarray:
        """ZᵀDZ/Σw of the centred columns, (d, d) float64: one pass, which brings `class_sums` along."""
        self.count.passes += self.share
        gram, sums = self.design.precise().gram(self.y, self.k, self.weights)
        gram /= self.total
        self.shared.class_sums = self.y, self.weights, sums / self.total
        return gram

    def normal_equations(self) -> Any:
        """What least squares needs to know of the rows, `NormalEquations`: one pass."""
        from .normal import NormalEquations

        return NormalEquations.of(self)

    def inverse_by_rows(self) -> Any:
        """v → H⁻¹v of least squares by n × n numbers; None where rows are not half as many as columns, or not in
        memory: it takes more passes than a matrix of the columns does."""
        from .normal import inverse_by_rows

        design: Any = self.design
        here = type(design) is Rows and type(design.X) is np.ndarray
        return inverse_by_rows(self) if here and self.alpha and 2 * design.n <= design.d else None

    # ── kinked losses: multipliers and the dual (duality.py) ──────────────────────────────────────
    def no_multipliers(self) -> np.ndarray:
        """g = 0, (n, k); UsageError where arrays of that shape cannot be kept."""
        from .smoothed import no_multipliers

        return no_multipliers(self)

    def smoothed(self, g: np.ndarray, gamma: float) -> Objective:
        """F with the loss smoothed around the multipliers g."""
        from .smoothed import Smoothed

        return Smoothed.of(self, g, gamma)

    def gap_at(self, theta: np.ndarray, g: np.ndarray | None = None, notice: Any = None, along: Any = None) -> Any:
        """The point at θ and a bound on F(θ) − F*, from the dual point g (default: ∇ℓ at θ's scores): a `Gap`."""
        from .duality import gap_at

        return gap_at(self, theta, g, notice, along)

    # ── relatives ─────────────────────────────────────────────────────────────────────────────────
    def on(self, design: Design, rows: np.ndarray) -> Objective:
        """The objective with `design` holding just these rows, scaled to estimate the whole."""
        weights = None if self.weights is None else self.weights[rows]
        part = rows.shape[0] / self.n
        own = {"total": self.total * part, "share": self.share * part, "shared": Shared()}
        return replace(self, design=design, y=self.y[rows], weights=weights, **own)

    def of_rows(self, rows: np.ndarray) -> Objective:
        """The labels and weights of some rows, for what is asked of their scores; the design stays as it is."""
        return self.on(self.design, rows)

    def fair_part(self, step: int) -> np.ndarray | None:
        """Every step-th row, where that leaves plenty and every class about its share; else None."""
        if self.n < step * max(SAMPLE_ROWS, SAMPLE_PER_CLASS * self.k):
            return None
        rows = np.arange(0, self.n, step)
        weights = np.ones(self.n) if self.weights is None else self.weights
        whole = np.bincount(self.y, weights, self.k)
        part = np.bincount(self.y[rows], weights[rows], self.k) * step
        return None if np.any(part < 0.5 * whole) or np.any(part > 2 * whole) else rows

    def sample(self, step: int = 4) -> Objective | None:
        """The objective on `fair_part`, where the design has such a view of its rows; else None."""
        rows = self.fair_part(step)
        if rows is None or (design := self.design.every(step)) is None:
            return None
        return self.on(design, rows)

    def few(self) -> Objective | None:
        """The objective on a few rows from everywhere, to tell how far to go in a direction: where they are a small
        part, and so many classes that the curvature model leaves their coupling out."""
        return self._some(FEW_ROWS) if self.k > CLASSES and self.n >= 16 * FEW_ROWS else None

    def _some(self, m: int) -> Objective:
        return self.take(np.linspace(0, self.n - 1, m).astype(int))

    def take(self, rows: np.ndarray) -> Objective:
        """The objective on some rows only."""
        return self.on(self.design.take(rows), rows)

    def precise(self) -> Objective:
        """The same objective in float64 arithmetic."""
        return self if self.design.exact else replace(self, design=self.design.precise())
