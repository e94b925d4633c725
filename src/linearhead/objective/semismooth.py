"""Newton's method on a smoothed problem, its unknowns the free multipliers (Qi & Sun 1993; Li, Sun & Toh 2018).

A row whose multipliers rest on a corner of their domain has no curvature. Of the others the Hessian in the scores is
Σ_f h_f h_fᵀ / γ, f over the row's free directions, so that with z_f the row and w_f its weight
  ∇²F = αI + Σ_f (w_f/γ) (z_f h_fᵀ)(z_f h_fᵀ)ᵀ,
and by Woodbury a step takes the Cholesky factor of γ/w_f δ_fg + ⟨z_f, z_g⟩⟨h_f, h_g⟩/α, however many columns there are;
the intercept, which α leaves alone, is eliminated last. Along a step scores are linear: its length costs no pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..solvers.line_search import turning
from .intercept import downhill

MOST = 1250  # free directions at the start, beyond which factors cost more than the passes that they save
BETWEEN = 2000  # on the way, and at the start where other methods found the last problem hard
ROOM = 256 << 20  # bytes of the free rows in float64
STEPS = 30
DIGITS = 1e-11  # that α must be of the largest curvature: what is left of a step of size 1/α is a difference of such


def newton(held: Any, theta: np.ndarray, share: float) -> tuple[np.ndarray, int, bool | None]:
    """(θ, steps, whether the smoothed problem `held` is within `share` of its minimum there; None: it is one for other
    methods)."""
    s, w = scores(held, theta), (np.ones(held.n) if held.weights is None else held.weights) / held.total
    length = float(np.sum(held.column_metric()))  # what a slope of the intercept makes of W's, once it is balanced
    gram, heavy = Gram.of(held.design), np.flatnonzero(w > 0)
    for step in range(STEPS):
        u = held.score_gradient(s, slice(None)) * w[:, None]
        G = slopes(held, theta, u)
        size = float(np.vdot(G[:-1], G[:-1]) + length * np.vdot(G[-1], G[-1]))
        if step and size <= 2 * held.alpha * share:
            return theta, step, True
        rows, h = held.score_factor(s, heavy)
        if len(rows) > BETWEEN:
            return theta, step, None
        p = direction(held, gram, rows, h, w[rows], G)
        if p is None:
            return theta, step, None
        start, along = float(np.vdot(G, p)), scores(held, p)
        if not start < 0:
            return theta, step, True  # rounding has the say
        straight, bend = start - float(np.vdot(u, along)), held.alpha * float(np.vdot(p[:-1], p[:-1]))

        def slope(t: float, at=s, along=along, straight=straight, bend=bend) -> float:
            u = held.score_gradient(at + t * along, slice(None)) * w[:, None]
            return float(np.vdot(u, along)) + straight + t * bend

        t = turning(slope, start)
        theta, s = theta + t * p, s + t * along
    return theta, STEPS, False


def scores(held: Any, theta: np.ndarray) -> np.ndarray:
    """(n, k) float64."""
    s, stored = np.empty((held.n, held.k)), held.design.to_rows(theta)
    held.design.fill(s, lambda block: (block.forward(stored),))
    held.count.passes += held.share / 2
    return s


def slopes(held: Any, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
    """∇F, (d+1, k), of weighted multipliers u (n, k)."""
    narrow = u.astype(held.design.dtype)
    sums = held.design.from_rows(held.design.sweep(lambda block: (block.adjoint(narrow[block.rows]),))[0])
    if held.design.intercept:
        sums[-1] = u.sum(axis=0)
    held.count.passes += held.share / 2
    sums[:-1] += held.alpha * theta[:-1]
    return sums if held.linear is None else sums + held.linear


@dataclass
class Gram:
    """Inner products of the rows that have been free, in float64; new ones are added as they come."""

    design: Any
    rows: np.ndarray
    z: np.ndarray  # (m, d), in the design's columns
    products: np.ndarray  # (m, m)

    @classmethod
    def of(cls, design: Any) -> Gram:
        return cls(design, np.zeros(0, int), np.zeros((0, design.d)), np.zeros((0, 0)))

    def find(self, rows: np.ndarray) -> np.ndarray:
        """The places of some rows, ascending, among those that are kept."""
        new = np.setdiff1d(rows, self.rows)
        if len(new):
            z = self.design.take(new).precise().dense().astype(np.float64)
            across = self.z @ z.T
            self.products = np.block([[self.products, across], [across.T, z @ z.T]])
            self.rows, self.z = np.concatenate([self.rows, new]), np.vstack([self.z, z])
        order = np.argsort(self.rows)
        return order[np.searchsorted(self.rows, rows, sorter=order)]


def direction(
    held: Any, gram: Gram, rows: np.ndarray, h: np.ndarray, w: np.ndarray, G: np.ndarray
) -> np.ndarray | None:
    """−(∇²F)⁻¹ G, (d+1, k); rows (f,), h (f, k) and weights w (f,) of the free directions. None where α is so small
    next to the largest curvature that a step has no digits left."""
    from scipy.linalg import cho_factor, cho_solve

    p = np.zeros_like(G)
    if not len(rows):
        p[:-1] = -G[:-1] / held.alpha
        return p
    own, at = np.unique(rows, return_inverse=True)
    own = gram.find(own)
    z, kept = gram.z[own], own[at]
    A = np.take(gram.products[kept], kept, axis=1)
    A *= (h / held.alpha) @ h.T
    least = held.gamma / w
    if float(least.min()) < DIGITS * float(A.diagonal().max()):
        return None
    A[np.diag_indices(len(A))] += least
    factor = cho_factor(A.T, lower=True, overwrite_a=True, check_finite=False)  # symmetric, and in LAPACK's order

    def solve(right: np.ndarray) -> np.ndarray:
        return cho_solve(factor, right, check_finite=False)

    t = solve(-np.einsum("fk,fk->f", (z @ G[:-1])[at], h) / held.alpha)
    if held.design.intercept:
        free = solve(h)
        p[-1] = downhill(h.T @ free, G[-1] + h.T @ t, 0.0)
        t += free @ p[-1]
    moved = np.zeros((len(own), G.shape[1]))
    np.add.at(moved, at, h * t[:, None])
    p[:-1] = -(G[:-1] + z.T @ moved) / held.alpha
    return p
