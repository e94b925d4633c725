"""F on rows that another library holds: θ, scores and gradients are its arrays on the rows' device.

In an iteration numbers alone come to the host (F, slopes, norms), never arrays. The curvature model is made on the host
from its sample of rows, at iterations 0, 2, 4, 8, …, and moved to the device, where it is applied.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from ..arrays import beside, namespace, to_device, to_host
from ..design import LentRows
from ..design.lent import LentBlock
from .curvature import Preconditioner
from .objective import Objective, Point


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
        return cls(**(same | {"design": design, "y": y, "weights": w}), host=objective)

    @property
    def xp(self) -> Any:
        return self.design.xp  # type: ignore[attr-defined]

    def into(self, theta: np.ndarray) -> Any:
        """θ on the device, float64."""
        return to_device(theta.astype(np.float64), self.design.X)  # type: ignore[attr-defined]

    def back(self, point: Point) -> Point:
        """A point for NumPy."""
        return replace(point, theta=np.array(to_host(point.theta)), gradient=np.array(to_host(point.gradient)))

    def _share(self, block: LentBlock, stored: Any) -> tuple:  # type: ignore[override]
        xp, s = self.xp, block.forward(stored)
        value, g = self.score_terms(s, block.rows)
        hits = xp.astype(xp.argmax(s, axis=1) == self.y[block.rows], xp.float64) if self.watch else value * 0
        if self.weights is not None:
            w = xp.astype(self.weights[block.rows], value.dtype)
            value, g, hits = value * w, g * w[:, None], xp.astype(hits, value.dtype) * w
        return xp.sum(xp.astype(value, xp.float64)), xp.sum(xp.astype(hits, xp.float64)), block.adjoint(g)

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

    def sample(self, step: int = 4) -> Objective | None:
        near = beside(self.design.X)  # type: ignore[attr-defined]
        rows = self.host.fair_part(step) if near else None  # a card's passes cost less than models
        if rows is None:
            return None
        part, design = len(rows) / self.n, self.design.every(step)
        w = None if self.weights is None else self.weights[::step]
        own = {"total": self.total * part, "share": self.share * part, "host": None}
        return replace(self, design=design, y=self.y[::step], weights=w, **own)

    def preconditioner(self, theta: Any, fine: bool = False) -> Any:
        # never fine: all rows would come to the host for it
        return LentModel.of(self.host.preconditioner(np.array(to_host(theta))), self.into)


@dataclass(frozen=True)
class LentModel:
    """`Preconditioner` on the device, everything that is divided by inverted, the coupled part an inverse."""

    U: Any
    Q: Any
    scale: Any
    inverse: Any  # of its diagonal (r, k)
    rest: Any
    lone: Any
    coupled: Any
    lead: int
    alpha: float | None

    @classmethod
    def of(cls, model: Preconditioner, move: Any) -> LentModel:
        basis, k = model.basis, len(model.intercept)
        coupled = None
        if model.coupled is not None:  # its columns are the answers to unit vectors, in the order (class, direction)
            size = (model.lead + 1) * k
            answers = model.coupled(np.eye(size).reshape(size, k, model.lead + 1).transpose(2, 0, 1))
            coupled = move(answers.transpose(2, 0, 1).reshape(size, size))
        rest = None if basis.full else move(1 / model.rest)
        inverted = move(1 / model.diagonal), rest, move((1 / model.intercept)[None, :])
        Q = None if model.Q is None else move(model.Q)
        return cls(
            move(np.eye(len(basis.scale)) if basis.U is None else basis.U),
            Q,
            move(basis.scale[:, None]),
            *inverted,
            coupled,
            model.lead,
            model.alpha,
        )

    def __call__(self, *arrays: Any) -> list:
        return [self._apply(v) for v in arrays]

    def _apply(self, v: Any) -> Any:
        xp, Q = namespace(v), self.Q
        turned, back = (_same, _same) if Q is None else (lambda a: a @ Q, lambda a: a @ Q.T)
        shift = xp.mean(v, axis=1, keepdims=True)
        v = v if self.alpha is None else v - shift
        w = turned(v[:-1, :] / self.scale)
        inner = self.U.T @ w
        solved, b = inner * self.inverse, back(turned(v[-1:, :]) * self.lone)
        if self.coupled is not None:
            lead = xp.concat([back(inner[: self.lead, :]), v[-1:, :]], axis=0)
            lead = xp.reshape(self.coupled @ xp.reshape(lead.T, (-1,)), lead.T.shape).T
            solved = xp.concat([turned(lead[:-1, :]), solved[self.lead :, :]], axis=0)
            b = lead[-1:, :]
        out = self.U @ solved
        if self.rest is not None:
            out = out + (w - self.U @ inner) * self.rest
        out = xp.concat([back(out) / self.scale, b], axis=0)
        if self.alpha is None:
            return out
        out = out - xp.mean(out, axis=1, keepdims=True)
        return xp.concat([out[:-1, :] + shift[:-1, :] / self.alpha, out[-1:, :]], axis=0) if self.alpha else out


def _same(a: Any) -> Any:
    return a
