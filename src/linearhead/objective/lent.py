"""F on rows that another library holds: θ, scores and gradients are its arrays on the rows' device.

In an iteration numbers alone come to the host (F, slopes, norms), never arrays. The curvature model (`lent_model.py`)
of rows on a card is made there; of rows in the processor's own memory, by the host from its sample of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from ..arrays import beside, to_device, to_host
from ..design import LentRows
from ..design.lent import LentBlock
from .lent_model import LARGE, LentBasis, LentModel
from .objective import Objective, Point
from .point import Shared


@dataclass(frozen=True)
class LentObjective(Objective):
    """`y` and `weights` lie on the device, too; `host` is the same objective for NumPy."""

    host: Any = None
    plain: ClassVar[bool] = False

    @classmethod
    def of(cls, objective: Objective) -> LentObjective:
        design: Any = LentRows.like(objective.design)  # type: ignore[arg-type]
        y = to_device(np.asarray(objective.y, dtype=np.int64), design.X)
        w = None if objective.weights is None else to_device(objective.weights.astype(np.float64), design.X)
        same = {f.name: getattr(objective, f.name) for f in fields(Objective)}
        own = {"design": design, "y": y, "weights": w, "shared": Shared()}
        return cls(**(same | own), host=objective)

    @property
    def xp(self) -> Any:
        return self.design.xp  # type: ignore[attr-defined]

    def into(self, theta: np.ndarray) -> Any:
        """θ on the device, float64."""
        return to_device(theta.astype(np.float64), self.design.X)  # type: ignore[attr-defined]

    def back(self, point: Point) -> Point:
        """A point for NumPy."""
        return replace(point, theta=np.array(to_host(point.theta)), gradient=np.array(to_host(point.gradient)))

    def _seen(self, block: LentBlock, stored: Any, look: Any = None) -> tuple:  # type: ignore[override]
        xp, s = self.xp, block.forward(stored)
        value, g = self.score_terms(s, block.rows)
        seen = () if look is None else look(self, block, s, g)
        hits = xp.astype(xp.argmax(s, axis=1) == self.y[block.rows], xp.float64) if self.watch else value * 0
        if self.weights is not None:
            w = xp.astype(self.weights[block.rows], value.dtype)
            value, g, hits = value * w, g * w[:, None], xp.astype(hits, value.dtype) * w
        return xp.sum(xp.astype(value, xp.float64)), xp.sum(xp.astype(hits, xp.float64)), g, *seen

    def _point(self, theta: Any, value: Any, correct: Any, sums: Any) -> Point:
        xp, loss, W = self.xp, float(value) / self.total, theta[:-1, :]
        gradient = self.design.from_rows(sums) / self.total
        if self.loss.shift_invariant:
            gradient = gradient - xp.mean(gradient, axis=1, keepdims=True)
        if self.alpha:
            own = self.alpha * self.penalty.gradient(W)
            gradient = xp.concat([gradient[:-1, :] + own, gradient[-1:, :]], axis=0)
        accuracy = float(correct) / self.total if self.watch else None
        return Point(theta, loss + self.penalised(W), gradient, loss, accuracy)

    def separated(self, point: Point) -> bool:
        return self.host.separated(point)

    @property
    def near(self) -> bool:
        """Whether the rows lie in the processor's own memory."""
        return beside(self.design.X)  # type: ignore[attr-defined]

    def sample(self, step: int = 4) -> Objective | None:
        fair = self.near and self.host.fair_part(step) is not None  # on a card steps are short: a start saves little
        return self.every(step) if fair else None

    def few(self) -> Objective | None:  # on a card a look at a few rows takes as long as a pass that is not large
        return super().few() if self.near or self.n * self.design.d * self.k >= LARGE else None

    def _some(self, m: int) -> LentObjective:
        return self.every(self.n // m)

    def every(self, step: int) -> LentObjective:
        """Every step-th row."""
        design: Any = self.design.every(step)
        w = None if self.weights is None else self.weights[::step]
        part = design.n / self.n
        own = {"total": self.total * part, "share": self.share * part, "host": None}
        return replace(self, design=design, y=self.y[::step], weights=w, **own)

    def basis(self) -> LentBasis:
        if self.shared.basis is None:
            self.shared.basis = LentBasis.of(self)
        return self.shared.basis

    def preconditioner(self, theta: Any, fine: bool = False) -> LentModel:
        if self.near:  # the processor is as fast by draws; never fine, as that goes through all rows on the host
            return LentModel.of(self.host.preconditioner(np.array(to_host(theta))), self.into)
        return LentModel.made(self, self.basis(), theta, fine)
