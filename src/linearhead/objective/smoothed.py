"""F with a kinked loss made smooth around multipliers g (n, k): the inner problem of the method of multipliers.

The row's loss becomes max_u ⟨u, s⟩ − ℓ*(u) − γ/2 |u − g|², whose gradient in s is the maximiser u (Danskin).
Far from a kink u rests on a corner of the domain and the row's share is linear in θ: `part` keeps only the rows near
one and adds ⟨C, θ⟩ for the others, C = Σ_rest wᵢ zᵢ uᵢᵀ / Σw. `settle` looks at all rows again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np

from ..design import Block, Design
from ..errors import UsageError
from .basis import basis_of_rows
from .curvature import precondition
from .duality import Gap, gap_from
from .intercept import intercept_step
from .objective import Objective, Point
from .price import most_free
from .semismooth import BETWEEN, MOST, ROOM, affordable, newton, worth
from .stars import Stars

ARRAYS, BYTES = 5, 8 << 30  # of n × k numbers: multipliers, scores and what replaces them; what they may take
NUMBERS = 1 << 20  # of scores handled at a time
WORTH = 0.4  # of the rows: what a part may hold; copying more costs more than its passes save


@dataclass(frozen=True)
class Settled:
    """All rows at one θ: the maximisers u (n, k), which are the next multipliers, the scores and the gap."""

    theta: np.ndarray
    u: np.ndarray
    s: np.ndarray
    sums: np.ndarray  # Σ wᵢ zᵢ uᵢᵀ / Σw, (d+1, k)
    gap: Gap
    value: float  # of the smoothed problem
    short: float  # at most so far above its minimum, ‖slope in W‖²/2α; 0 where the penalty is not L2


def no_multipliers(objective: Objective) -> np.ndarray:
    """g = 0, (n, k); UsageError where arrays of that shape cannot be kept."""
    n, k, dtype = objective.n, objective.k, objective.design.dtype
    room = n * k * dtype.itemsize * ARRAYS
    if room > BYTES:
        raise UsageError(
            f"The method of multipliers keeps {ARRAYS} arrays of rows × classes; {n} × {k} need "
            f"{room / 2**30:.3g} GiB, and the limit is {BYTES / 2**30:g}. Take loss='squared_hinge', which needs no "
            "such arrays, or solver='sgd'."
        )
    return np.zeros((n, k), dtype=dtype)


@dataclass(frozen=True)
class Smoothed(Objective):
    g: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    gamma: float = 1.0
    linear: np.ndarray | None = None  # C (d+1, k) of the rows that are left out
    model: Any = None  # the curvature model, where it is known
    plain: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "g", self.design.column(self.g))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"model": None}  # a block's share needs none, wherever it is computed

    @classmethod
    def of(cls, objective: Objective, g: np.ndarray, gamma: float) -> Smoothed:
        same = {f.name: getattr(objective, f.name) for f in fields(Objective)}
        return cls(**same, g=g, gamma=gamma)

    def placed(self) -> Smoothed:
        return self  # the multipliers are NumPy's

    def _multipliers(self, s: np.ndarray, rows: Any) -> tuple[np.ndarray, np.ndarray, float]:
        return self.y[rows], self.g[rows].astype(s.dtype, copy=False), self.gamma

    def score_terms(self, s: np.ndarray, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.loss.smoothed(s, *self._multipliers(s, rows))

    def score_gradient(self, s: np.ndarray, rows: Any) -> np.ndarray:
        return self.score_terms(s, rows)[1]

    def score_hessian(self, s: np.ndarray, rows: Any, d: np.ndarray) -> np.ndarray:
        return self.score_hessians(s, rows)(d)

    def score_hessians(self, s: np.ndarray, rows: Any) -> Any:
        return self.loss.smoothed_hessian(s, *self._multipliers(s, rows))

    def score_hessian_mean(self, s: np.ndarray, rows: Any, w: np.ndarray) -> np.ndarray:
        return self.loss.smoothed_hessian_mean(s, *self._multipliers(s, rows), w)

    def score_hessian_form(self, s: np.ndarray, rows: Any, Q: np.ndarray | None) -> np.ndarray:
        return self.loss.smoothed_hessian_form(s, *self._multipliers(s, rows), Q)

    def score_factor(self, s: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows (f,) among these, h (f, k)): a row's Hessian in the scores is Σ h hᵀ / γ over its h."""
        return self.score_free(s, rows).factor()

    def score_free(self, s: np.ndarray, rows: np.ndarray) -> Stars:
        """The multipliers that are free in these rows, by float64."""
        part = s[rows].astype(np.float64)
        return Stars.of(rows, *self.loss.smoothed_star(part, *self._multipliers(part, rows)), self.y[rows])

    def score_ahead(self, s: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Stars]:
        """(u (n, k), what is free in these rows): the slopes in all rows' scores s, and the multipliers, as if what is
        free of the multipliers g stayed free; float64."""
        u, a, c = self.loss.smoothed_ahead(s, *self._multipliers(s, slice(None)))
        return u, Stars.of(rows, a[rows], c[rows], self.y[rows])

    def _point(self, theta: np.ndarray, value: float, correct: float, sums: np.ndarray) -> Point:
        point = super()._point(theta, value, correct, sums)
        if self.linear is not None:
            share = float(np.vdot(self.linear, theta))
            point.value, point.loss = point.value + share, point.loss + share
            point.gradient += self.linear
        return point

    def on(self, design: Design, rows: np.ndarray) -> Smoothed:
        part = super().on(design, rows)
        return replace(part, g=self.g[rows])  # type: ignore[return-value]

    def sample(self, step: int = 4) -> None:
        return None  # multipliers of other rows say nothing about these

    def separated(self, point: Any) -> bool:
        return False  # the smoothed value is a lower bound of the loss, no proof

    def preconditioner(self, theta: np.ndarray, fine: bool = False) -> Any:
        return super().preconditioner(theta) if self.model is None else self.model

    # ── all rows ──────────────────────────────────────────────────────────────────────────────────
    def settle(self, theta: np.ndarray) -> Settled:
        """The next multipliers at θ, its intercept balanced first, and the gap that they prove: one pass."""
        s = np.empty((self.n, self.k), dtype=self.design.dtype)
        stored = self.design.to_rows(theta)
        self.design.fill(s, lambda block: (block.forward(stored),))
        shift = self._balance(s) if self.design.intercept else np.zeros(self.k)
        theta = theta.copy()
        theta[-1] += shift
        scores, u = self.design.column(s), np.empty_like(s)

        def adjoint(block: Block) -> tuple:
            y, exact = self.y[block.rows], scores[block.rows].astype(np.float64) + shift
            smooth, dual = self.score_terms(exact, block.rows)
            value = self.loss.value(exact, y)
            gap = value + self.loss.conjugate(dual, y) - np.sum(exact * dual, axis=1)
            multipliers = dual.astype(scores.dtype)
            self._weigh(block.rows, smooth, value, gap, dual)
            seen = float(smooth.sum()), float(value.sum()), float(gap.sum()), self.correct(exact, block.rows)
            return multipliers, *seen, dual.sum(axis=0), block.adjoint(dual.astype(scores.dtype))

        smooth, loss, rows_gap, correct, balance, sums = self.design.fill(u, adjoint)
        s += shift.astype(s.dtype)
        self.count.passes += 1
        sums = self.design.from_rows(sums) / self.total
        if self.design.intercept:
            sums[-1] = balance / self.total
        loss /= self.total
        accuracy = correct / self.total if self.watch else None
        point = Point(theta, loss + self.penalised(theta[:-1]), sums, loss, accuracy)
        gap = gap_from(self, point, rows_gap / self.total, sums[:-1], sums[-1])[0]
        value = smooth / self.total + self.penalised(theta[:-1])
        return Settled(theta, u, s, sums, gap, value, self._short(theta[:-1], sums[:-1]))

    def _short(self, W: np.ndarray, U: np.ndarray) -> float:
        """How far above its minimum at most, Σᵢwᵢzᵢuᵢᵀ/Σw = U and the intercept balanced; 0 where nothing is known."""
        if not self.alpha or self.penalty.name != "l2":
            return 0.0
        slope = U + self.alpha * W
        return float(np.vdot(slope, slope)) / (2 * self.alpha)

    def value_at(self, settled: Settled) -> float:
        """F smoothed, at a θ where all rows have been looked at with other multipliers: no products with rows."""
        return self._balance_terms(settled.s, np.zeros(self.k))[0] + self.penalised(settled.theta[:-1])

    def _balance(self, s: np.ndarray, steps: int = 60) -> np.ndarray:
        """What to add to the intercept so that Σ wᵢ uᵢ vanishes, W held: Newton steps on the smoothed loss in a
        trust region (where all rows are at corners the curvature is 0, a plain step endless); no products with rows."""
        shift, radius = np.zeros(self.k), 1.0
        newton = step = shift
        best = np.inf, np.inf, shift
        for _ in range(steps):
            value, r = self._balance_terms(s, shift)
            norm = float(np.max(np.abs(r)))
            noise = 1e-14 * abs(value)
            if value < best[0] - noise or (value <= best[0] + noise and norm < best[1]):
                best = value, norm, shift
                if norm <= 4e-16 * self.k:
                    break
                radius *= 4
                newton = intercept_step(self, r, lambda at=shift: self._moved(s, at), radius)
            else:
                radius = 0.25 * float(np.max(np.abs(step)))
                if radius <= 1e-17 * (1 + float(np.max(np.abs(best[2])))):
                    break
            step = newton * min(1.0, radius / max(float(np.max(np.abs(newton))), 1e-300))
            shift = best[2] + step
        return best[2]

    def _balance_terms(self, s: np.ndarray, shift: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean smoothed loss at the scores s + shift, and its slope (k,) in the shift."""
        value, r = 0.0, np.zeros(self.k)
        for moved, rows, w in self._moved(s, shift):
            terms, dual = self.score_terms(moved, rows)
            value += float(w @ terms)
            r += w @ dual
        return value, r

    def _moved(self, s: np.ndarray, shift: np.ndarray) -> Iterator[tuple[np.ndarray, slice, np.ndarray]]:
        """Slabs of s + shift in float64, as rounding of the sum is what a gap would show; their rows and weights."""
        size = int(np.clip(NUMBERS // self.k, 64, 8192))
        for i in range(0, self.n, size):
            rows = slice(i, min(i + size, self.n))
            w = np.ones(rows.stop - i) if self.weights is None else self.weights[rows]
            yield s[rows] + shift, rows, w / self.total

    def part(self, settled: Settled, reach: float) -> Smoothed:
        """Only the rows whose margins are within `reach` of a kink, with the curvature model of the free ones among
        them; all rows where these would be too many, or far."""
        if self.design.apart:
            return self
        slack = self._slack(settled)
        rows = np.flatnonzero(slack < reach)
        if not 0 < len(rows) <= WORTH * self.n:
            return self
        held, free = self._near(settled, rows), np.flatnonzero(slack < 0)
        if not len(free):
            return held
        weight = float(len(free) if self.weights is None else np.sum(self.weights[free]))
        model = precondition(self, basis_of_rows(self, free), settled.theta, share=weight / self.total)
        return replace(held, model=model)

    def newton(
        self, settled: Settled, reach: float, share: float, hard: bool = False
    ) -> tuple[np.ndarray, int, bool | None]:
        """(θ, steps, whether it is within `share` of the minimum) by Newton's method; None for that where more
        multipliers are free than it is good for, or its system has no digits left. hard: for other methods, at least.
        """
        most = BETWEEN if hard else MOST
        if not self.design.apart and self.alpha and self.k <= most:  # there is a system of k intercepts, too
            slack = self._slack(settled)
            near, free = np.flatnonzero(slack < reach), np.flatnonzero(slack < 0)
            few = len(free) <= most_free(self) or worth(self, len(free)) <= most  # a direction for each row at least
            few = few and len(near) and 8 * len(free) * self.design.d <= ROOM
            if few and affordable(self, self.score_free(settled.s, free), most):
                held = self._near(settled, near) if len(near) < self.n else self
                return newton(held, settled.theta, share)
        return settled.theta, 0, None

    def _slack(self, settled: Settled) -> np.ndarray:
        """(n,) how far margins may move before multipliers do; below 0 they are free."""
        slack = np.empty(self.n, dtype=settled.s.dtype)
        for i in range(0, self.n, 8192):
            rows = slice(i, i + 8192)
            slack[rows] = self.loss.slack(settled.s[rows], *self._multipliers(settled.s, rows))
        return slack

    def _near(self, settled: Settled, rows: np.ndarray) -> Smoothed:
        """Some rows; the share of the others is linear."""
        held = replace(self.on(self.design.take(rows), rows), total=self.total)
        u = settled.u[rows]

        def share(block: Block) -> tuple:
            dual = u[block.rows].astype(held.design.dtype)
            held._weigh(block.rows, dual)
            return (block.adjoint(dual),)

        own = held.design.from_rows(held.design.sweep(share)[0]) / self.total
        return replace(held, linear=settled.sums - own, count=self.count)
