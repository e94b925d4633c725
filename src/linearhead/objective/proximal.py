"""Penalties with kinks: F's smooth part, the prox of the rest, and how far a point is from stationary.

A step on the loss alone is followed by prox_{tαR}(W) = argmin_V tαR(V) + ½‖V − W‖² (Parikh & Boyd 2014); at the optimum
0 ∈ ∂F, where a weight of 0 may have any slope that the kink absorbs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .point import Parts, Point


class Proximal(Parts):
    """The part of `Objective` that knows of kinks in the penalty."""

    def smooth_at(self, theta: np.ndarray) -> Point:
        """F, but only the loss's part of the gradient: what proximal steps need."""
        whole: Any = self
        point = replace(whole, alpha=0.0).at(theta)
        point.value += self.penalised(theta[:-1])
        return point

    def step_point(self, theta: np.ndarray) -> Point:
        """F and the gradient of its smooth part: all of it, or the loss's where the penalty has kinks."""
        return self.smooth_at(theta) if self.kinked else self.at(theta)

    @property
    def kinked(self) -> bool:
        """Whether the penalty has kinks, so that steps need its prox."""
        return bool(self.alpha) and not self.penalty.smooth

    def prox(self, theta: np.ndarray, t: Any) -> np.ndarray:
        """[prox of t α R at W; b]; t a number or an array (d+1, 1)."""
        out = theta.copy()
        out[:-1] = self.penalty.prox(theta[:-1], (t[:-1] if isinstance(t, np.ndarray) else t) * self.alpha)
        return out

    def centred(self, theta: np.ndarray) -> np.ndarray:
        """θ where the weights of each column are shifted, as no row sees it, to where a penalty with kinks is least."""
        if not (self.kinked and self.loss.shift_invariant):
            return theta
        out = theta.copy()
        out[:-1] -= self.penalty.centre(theta[:-1])
        return out

    def full_gradient(self, point: Point) -> np.ndarray:
        """Of a point of `smooth_at`: with the penalty's (sub)gradient added."""
        gradient = point.gradient.copy()
        if self.alpha:
            gradient[:-1] += self.alpha * self.penalty.gradient(point.theta[:-1])
        return gradient

    def prox_residual(self, point: Point) -> float:
        """How far a point of `smooth_at` is from stationary: the least |∂F| entry by entry, max norm."""
        least = self.full_gradient(point)
        if self.kinked:
            t = 2.0**-40 / (1 + self.alpha)  # at W = 0 a tiny step: the loss's gradient less what the kink absorbs
            least = np.where(point.theta == 0, self.prox(-t * point.gradient, t) / t, least)
            least[-1] = point.gradient[-1]
        return float(np.max(np.abs(least), initial=0.0))

    def step_residual(self, point: Point) -> float:
        """The same of a point of `step_point`."""
        return self.prox_residual(point) if self.kinked else point.residual
