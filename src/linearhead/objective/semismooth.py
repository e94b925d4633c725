"""Newton's method on a smoothed problem, its unknowns the free multipliers (Qi & Sun 1993; Li, Sun & Toh 2018).

A row whose multipliers rest on a corner of their domain has no curvature. Of the others the Hessian in the scores is
Σ_f h_f h_fᵀ / γ, f over the row's free directions, so that with z_f the row and w_f its weight
  ∇²F = αI + Σ_f (w_f/γ) (z_f h_fᵀ)(z_f h_fᵀ)ᵀ,
and by Woodbury a step takes the Cholesky factor of γ/w_f δ_fg + ⟨z_f, z_g⟩⟨h_f, h_g⟩/α, however many columns there are,
or that of ∇²F itself where that has fewer unknowns: d for each of the k − 1 differences between classes. The intercept,
which α leaves alone, is eliminated last. Along a step scores are linear: its length costs no pass.

A new γ moves the kinks away from all rows that were free, and from there Newton's steps find them again one by one. So
the first step takes what is free of the multipliers to stay so (a primal-dual active set: Hintermüller, Ito & Kunisch
2003, SIAM J. Optim. 13), which is the minimum where no multiplier leaves or reaches a corner.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import lower_gram
from ..solvers.line_search import turning
from .intercept import downhill
from .price import most_free

MOST = 1250  # free directions at the start, beyond which factors cost more than the passes that they save: `worth`
BETWEEN = 2000  # on the way, and at the start where other methods found the last problem hard
ROOM = 256 << 20  # bytes of the free rows in float64, and of their products
BLOCK = 1 << 20  # numbers of free rows at a time, as columns of ∇²F
STEPS = 30
CHEAP, AHEAD = 250, 1.5  # free directions, and times those that are free here: what a first step ahead is worth
ROUGH = (
    1e6  # times α that ∇²F may bend in all for a factor in single precision: the length of a step is found in double
)
DISTINCT = 0.01  # of the intercept's curvature that columns must leave for single precision to tell
DIGITS = 1e-11  # that α must be of the largest curvature: what is left of a step of size 1/α is a difference of such


def newton(held: Any, theta: np.ndarray, share: float) -> tuple[np.ndarray, int, bool | None]:
    """(θ, steps, whether the smoothed problem `held` is within `share` of its minimum there; None: it is one for other
    methods)."""
    walk = Walk.of(held, theta, held.gamma, BETWEEN)
    length = float(np.sum(held.column_metric()))  # what a slope of the intercept makes of W's, once it is balanced
    ahead = walk.ahead()
    for step in range(ahead, STEPS):
        u = held.score_gradient(walk.s, slice(None)) * walk.w[:, None]
        G = slopes(held, walk.theta, u)
        size = float(np.vdot(G[:-1], G[:-1]) + length * np.vdot(G[-1], G[-1]))
        if step and size <= 2 * held.alpha * share:
            return walk.theta, step, True
        t = walk.step(u, G)
        if not t:
            return walk.theta, step, None if t is None else True
    return walk.theta, STEPS, False


@dataclass
class Walk:
    """θ on its way, its scores, and what steps have in common."""

    held: Any
    theta: np.ndarray
    s: np.ndarray  # (n, k)
    w: np.ndarray  # (n,) of the rows, a share of all
    gamma: float  # of `held.score_factor`
    most: int  # free directions, in what their system is `worth`
    gram: Gram
    damping: float = 0.0  # added to α in the Hessian
    free: int = 0  # directions, at the last step

    @classmethod
    def of(cls, held: Any, theta: np.ndarray, gamma: float, most: int) -> Walk:
        w = (np.ones(held.n) if held.weights is None else held.weights) / held.total
        return cls(held, theta, scores(held, theta), w, gamma, most, Gram.of(held.design))

    def step(self, u: np.ndarray, G: np.ndarray) -> float | None:
        """The length of a step, 1 or less, from the weighted multipliers u (n, k) and F's gradient (d+1, k) here; 0
        where rounding has the say, None where other methods should."""
        held = self.held
        free = held.score_free(self.s, np.flatnonzero(self.w > 0))
        self.free = free.directions
        if not affordable(held, free, self.most) or 8 * len(np.unique(free.rows)) * held.design.d > ROOM:
            return None
        p = self._direction(free, G)
        return None if p is None else self._go(p, u, float(np.vdot(G, p)), scores(held, p))

    def ahead(self) -> bool:
        """Whether a step was made towards where what is free of the multipliers stays free: not where nothing is, where
        it costs more than it may save or does not lead down."""
        held = self.held
        if not held.g.any():
            return False
        rows = np.flatnonzero(self.w > 0)
        here, (u, free) = held.score_free(self.s, rows), held.score_ahead(self.s, rows)
        dear = price(held, free) > max(CHEAP, AHEAD * price(held, here)) or not affordable(held, free, self.most)
        if not len(free.rows) or dear or 8 * len(free.rows) * held.design.d > ROOM:
            return False
        G = slopes(held, self.theta, u * self.w[:, None])
        p = self._direction(free, G)
        if p is None:
            return False
        own, along = held.score_gradient(self.s, slice(None)) * self.w[:, None], scores(held, p)
        start = float(np.vdot(G, p)) + float(np.vdot(own - u * self.w[:, None], along))
        return self._go(p, own, start, along) > 0

    def _direction(self, free: Any, G: np.ndarray) -> np.ndarray | None:
        """−(∇²F)⁻¹ G, (d+1, k), by the factor that costs least; None where a step has no digits left."""
        held = self.held
        if by_classes(held, free):
            alpha = held.alpha + self.damping
            with contextlib.suppress(np.linalg.LinAlgError):
                return free.direction(self.gram, self.gamma / self.w[free.rows], G, alpha, held.design.intercept)
            return None
        rows, h = free.factor()
        return direction(held, self.gram, rows, h, self.gamma / self.w[rows], G, self.damping)

    def _go(self, p: np.ndarray, u: np.ndarray, start: float, along: np.ndarray) -> float:
        """The length of a step along p (d+1, k), F's slope there being `start` and that of the scores `along` (n, k);
        0 where it leads nowhere."""
        held = self.held
        if not start < 0:
            return 0.0
        straight, bend = start - float(np.vdot(u, along)), held.alpha * float(np.vdot(p[:-1], p[:-1]))

        def slope(t: float) -> float:
            u = held.score_gradient(self.s + t * along, slice(None)) * self.w[:, None]
            return float(np.vdot(u, along)) + straight + t * bend

        t = turning(slope, start)
        self.theta, self.s = self.theta + t * p, self.s + t * along
        return t


def scores(held: Any, theta: np.ndarray) -> np.ndarray:
    """(n, k) float64."""
    s, stored = np.empty((held.n, held.k)), held.design.to_rows(theta)
    held.design.fill(s, lambda block: (block.forward(stored),))
    held.count.passes += held.share / 2
    return s


def slopes(held: Any, theta: np.ndarray, u: np.ndarray) -> np.ndarray:
    """∇F, (d+1, k), of weighted multipliers u (n, k)."""
    sums = adjoint(held, u)
    sums[:-1] += held.alpha * theta[:-1]
    return sums if held.linear is None else sums + held.linear


def adjoint(held: Any, u: np.ndarray) -> np.ndarray:
    """Σ zᵢ uᵢᵀ, (d+1, k)."""
    narrow = u.astype(held.design.dtype)
    sums = held.design.from_rows(held.design.sweep(lambda block: (block.adjoint(narrow[block.rows]),))[0])
    if held.design.intercept:
        sums[-1] = u.sum(axis=0)
    held.count.passes += held.share / 2
    return sums


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
        if (m := len(self.rows) + len(new)) > len(rows) and 8 * m * max(m, self.design.d) > ROOM:
            self.rows, self.z, self.products, new = self.rows[:0], self.z[:0], self.products[:0, :0], rows
        if len(new):
            z = self.design.take(new).precise().dense().astype(np.float64)
            across = self.z @ z.T
            self.products = np.block([[self.products, across], [across.T, z @ z.T]])
            self.rows, self.z = np.concatenate([self.rows, new]), np.vstack([self.z, z])
        order = np.argsort(self.rows)
        return order[np.searchsorted(self.rows, rows, sorter=order)]


def direction(
    held: Any, gram: Gram, rows: np.ndarray, h: np.ndarray, least: np.ndarray, G: np.ndarray, damping: float = 0.0
) -> np.ndarray | None:
    """−(∇²F)⁻¹ G, (d+1, k), α more by the damping; rows (f,), h (f, k) and least (f,), γ/w_f, of the free directions.
    None where α is so small next to the largest curvature that a step has no digits left."""
    from scipy.linalg import cho_factor, cho_solve

    p, alpha = np.zeros_like(G), held.alpha + damping
    if not len(rows):
        p[:-1] = -G[:-1] / alpha
        return p
    if _columns(held) < len(rows):
        return _by_columns(held, rows, h / np.sqrt(least)[:, None], G, alpha)
    own, at = np.unique(rows, return_inverse=True)
    own = gram.find(own)
    z, kept = gram.z[own], own[at]
    A = np.take(gram.products[kept], kept, axis=1)
    A *= (h / alpha) @ h.T
    if float(least.min()) < DIGITS * float(A.diagonal().max()):
        return None
    A[np.diag_indices(len(A))] += least
    factor = cho_factor(A.T, lower=True, overwrite_a=True, check_finite=False)  # symmetric, and in LAPACK's order

    def solve(right: np.ndarray) -> np.ndarray:
        return cho_solve(factor, right, check_finite=False)

    t = solve(-np.einsum("fk,fk->f", (z @ G[:-1])[at], h) / alpha)
    if held.design.intercept:
        free = solve(h)
        p[-1] = downhill(h.T @ free, G[-1] + h.T @ t, 0.0)
        t += free @ p[-1]
    moved = np.zeros((len(own), G.shape[1]))
    np.add.at(moved, at, h * t[:, None])
    p[:-1] = -(G[:-1] + z.T @ moved) / alpha
    return p


def worth(held: Any, free: int) -> float:
    """Of how many free directions a system would cost as much if there were no other: f u² for u unknowns."""
    size = min(free, _columns(held))
    return float(free) if size == free else (free * size**2) ** (1 / 3)


def price(held: Any, free: Any) -> float:
    """The same of these free directions, by what costs least."""
    return free.price if by_classes(held, free) else worth(held, free.directions)


def by_classes(held: Any, free: Any) -> bool:
    """Whether a factor for each class costs less: of few directions nothing does."""
    own = worth(held, free.directions)
    return own > CHEAP and free.price < own


def affordable(held: Any, free: Any, most: float) -> bool:
    """Whether these are no more than `most`, or class by class no dearer than the passes that they save: of many
    classes these take longer."""
    return worth(held, free.directions) <= most or free.price <= max(most, most_free(held))


def _columns(held: Any) -> float:
    """Unknowns of ∇²F; more than they are by what its pairs of classes cost, which are products of their own."""
    r = held.k - 1
    return r**1.5 * held.design.d


def _by_columns(held: Any, rows: np.ndarray, h: np.ndarray, G: np.ndarray, alpha: float) -> np.ndarray | None:
    """The same by ∇²F = αI + Σᵢ Cᵢ ⊗ zᵢzᵢᵀ itself, Cᵢ = Σ h hᵀ over a row's h in coordinates of differences between
    classes; along their sum, which no h sees, α is all. In single precision first where that has digits enough."""
    from scipy.linalg import helmert

    E = helmert(held.k).T  # (k, r), orthonormal
    c, (own, first) = h @ E, np.unique(rows, return_index=True)
    C = np.add.reduceat(c[:, :, None] * c[:, None, :], first, axis=0)  # (m, r, r)
    trace = np.trace(C, axis1=1, axis2=2)
    if float(trace.sum() * np.sum(held.column_metric()[:-1])) <= ROUGH * alpha:  # about ∇²F's
        with contextlib.suppress(np.linalg.LinAlgError):
            p = _factored(held, own, C, trace, E, G, alpha, np.float32)
            if p is not None and float(np.vdot(G, p)) < 0:
                return p
    return _factored(held, own, C, trace, E, G, alpha, np.float64)


def _factored(
    held: Any,
    own: np.ndarray,
    C: np.ndarray,
    trace: np.ndarray,
    E: np.ndarray,
    G: np.ndarray,
    alpha: float,
    kind: Any,
) -> np.ndarray | None:
    """That step by a factor in this type; None where a step has no digits left."""
    from scipy.linalg import cho_factor, cho_solve

    d, r, g, largest = held.design.d, E.shape[1], G @ E, 0.0
    H, across = np.zeros((r * d, r * d), kind, order="F"), np.zeros((r, d, r))
    at = [slice(a * d, (a + 1) * d) for a in range(r)]
    for start in range(0, len(own), few := max(BLOCK // d, 64)):
        part = slice(start, start + few)
        z, K = held.design.take(own[part]).dense().astype(kind, copy=False), C[part].astype(kind)
        largest = max(largest, float((np.einsum("ij,ij->i", z, z) * trace[part]).max()))
        across += np.matmul(z.T, K.transpose(1, 0, 2))
        for a in range(r):
            H[at[a], at[a]] += lower_gram(z * np.sqrt(K[:, a, a])[:, None])
            for b in range(a):
                H[at[a], at[b]] += z.T @ (z * K[:, a, b, None])
    if alpha < DIGITS * largest:
        return None
    H[np.diag_indices(r * d)] += alpha
    factor, across = cho_factor(H, lower=True, overwrite_a=True, check_finite=False), across.reshape(r * d, r)
    right = np.column_stack([g[:-1].T.ravel(), across]).astype(kind)
    found = cho_solve(factor, right, check_finite=False).astype(np.float64)
    x, beside, p = -found[:, 0], found[:, 1:], np.zeros_like(G)
    if held.design.intercept:
        whole = C.sum(axis=0)
        left = whole - across.T @ beside
        if kind is np.float32 and np.linalg.eigvalsh(left)[0] < DISTINCT * np.trace(whole):
            return None
        b = downhill(left, g[-1] + across.T @ x, 0.0)
        x, p[-1] = x - beside @ b, E @ b
    p[:-1] = x.reshape(r, d).T @ E.T - G[:-1].mean(axis=1, keepdims=True) / alpha
    return p
