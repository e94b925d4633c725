"""F and its optimum in float64 by other means than the package's: dense Newton steps on small problems, to 1e-13.

F(W, b) = Σ wᵢ ℓ(W zᵢ + b, yᵢ)/Σw + α R(W) as docs/architecture.md defines it, every derivative written out from the
formulas, the Hessian assembled whole. Hinges are approached by softplus and log-sum-exp of falling temperature (their
F is then an upper bound of the optimum to about 1e-7); L1 by L-BFGS-B on W = P − N and Newton steps on its support.
"""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

SMOOTH = ("cross_entropy", "logistic", "squared", "squared_hinge")
UNLIKE = ("logistic", "squared")  # losses that change where all scores of a row are shifted
TEMPERATURES = 0.3 ** np.arange(15)  # of the smoothed hinges, down to 5e-8
LARGE = 200  # unknowns, beyond which a singular value decomposition a step takes too long


def row_losses(loss: str, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Losses (n,) at scores s (n, k)."""
    rows = np.arange(len(s))
    if loss == "cross_entropy":
        best = s.argmax(axis=1)
        top = s[rows, best]
        others = np.exp(s - top[:, None])
        others[rows, best] = 0  # losses far below scores keep their digits
        return np.log1p(others.sum(axis=1)) + (top - s[rows, y])
    if loss == "logistic":
        away = np.where(np.eye(s.shape[1], dtype=bool)[y], -s, s)
        return np.logaddexp(0, away).sum(axis=1)
    if loss == "squared":
        return 0.5 * ((s - np.eye(s.shape[1])[y]) ** 2).sum(axis=1)
    over = np.maximum(1 + s - s[rows, y][:, None], 0)
    over[rows, y] = 0
    if loss == "squared_hinge":
        return (over**2).sum(axis=1)
    return over.sum(axis=1) if loss == "hinge" else over.max(axis=1)


def objective(
    loss: str, coef: np.ndarray, intercept: np.ndarray | float, X: np.ndarray, y: np.ndarray, alpha: float
) -> float:
    """F in float64 with L2 and equal weights: coef (k, d), intercept (k,) or one number, y in 0 … k − 1; 4 096
    rows of X at a time."""
    W, b, total = coef.astype(np.float64), np.asarray(intercept, np.float64), 0.0
    for i in range(0, len(X), 4096):
        total += float(row_losses(loss, X[i : i + 4096].astype(np.float64) @ W.T + b, y[i : i + 4096]).sum())
    return total / len(X) + 0.5 * alpha * float(np.sum(W * W))


def score_terms(loss: str, s: np.ndarray, y: np.ndarray, t: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per row value (n,), gradient (n, k), Hessian (n, k, k) in the scores; t > 0: hinges smoothed, 0: as they are."""
    n, k = s.shape
    rows, Y = np.arange(n), np.eye(k)[y]
    if loss == "cross_entropy":
        e = np.exp(s - s.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return row_losses(loss, s, y), p - Y, p[:, :, None] * np.eye(k) - p[:, :, None] * p[:, None, :]
    if loss == "logistic":
        p = 1 / (1 + np.exp(-np.clip(s, -700, 700)))
        return row_losses(loss, s, y), p - Y, (p * (1 - p))[:, :, None] * np.eye(k)
    if loss == "squared":
        return row_losses(loss, s, y), s - Y, np.broadcast_to(np.eye(k), (n, k, k))
    z = 1 + s - s[rows, y][:, None]  # margins; the label's own counts for nothing
    z[rows, y] = -np.inf
    value, v, D = margin_terms(loss, z, t)
    value = value if t else row_losses(loss, s, y)
    B = np.eye(k) - Y[:, None, :]  # z = 1 + B s
    return value, np.einsum("na,nac->nc", v, B), B.transpose(0, 2, 1) @ D @ B


def margin_terms(loss: str, z: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same in the margins z (n, k)."""
    k, over = z.shape[1], np.maximum(z, 0)
    if loss == "squared_hinge":
        return (over**2).sum(axis=1), 2 * over, 2 * (z > 0)[:, :, None] * np.eye(k)
    if t == 0:
        zero = np.zeros((*z.shape, k))
        if loss == "hinge":
            return over.sum(axis=1), (z > 0).astype(float), zero
        top = np.eye(k)[z.argmax(axis=1)]
        return over.max(axis=1), top * (over.max(axis=1) > 0)[:, None], zero
    if loss == "hinge":
        p = 1 / (1 + np.exp(np.clip(-z / t, -700, 700)))
        return t * np.logaddexp(0, z / t).sum(axis=1), p, (p * (1 - p) / t)[:, :, None] * np.eye(k)
    m = np.maximum(z.max(axis=1, keepdims=True), 0)
    e = np.exp((z - m) / t)
    total = e.sum(axis=1, keepdims=True) + np.exp(-m / t)
    p = e / total
    return m[:, 0] + t * np.log(total[:, 0]), p, (p[:, :, None] * np.eye(k) - p[:, :, None] * p[:, None, :]) / t


@dataclass
class Problem:
    """θ = [W; b] (d+1, k) in centred columns, scaled if `standardize`; X (n, d) float64, y in 0 … k − 1."""

    X: np.ndarray
    y: np.ndarray
    k: int
    loss: str
    penalty: str
    alpha: float
    weights: np.ndarray | None = None
    intercept: bool = True
    standardize: bool = False
    l1_ratio: float = 0.5

    def __post_init__(self) -> None:
        w = np.ones(len(self.X)) if self.weights is None else self.weights
        self.w = w / w.sum()
        mean = self.w @ self.X
        spread = np.sqrt(self.w @ (self.X - mean) ** 2)
        spread = spread if self.intercept else np.hypot(spread, mean)
        self.centre = mean if self.intercept else np.zeros_like(mean)
        self.scale = np.where(spread > 0, spread, 1.0) if self.standardize else np.ones_like(mean)
        self.A = np.hstack([(self.X - self.centre) / self.scale, np.full((len(self.X), 1), float(self.intercept))])
        share = {"none": 0.0, "l2": 0.0, "l1": 1.0, "elastic_net": self.l1_ratio}[self.penalty]
        alpha = 0.0 if self.penalty == "none" else self.alpha
        self.l1, self.l2 = alpha * share, alpha * (1 - share)

    def inner(self, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        """θ of an estimator's coef_ (k, d) and intercept_ (k,)."""
        W, b = coef.T.astype(np.float64), intercept.astype(np.float64)
        return np.vstack([W * self.scale[:, None], b + self.centre @ W])

    def scores(self, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        return (X - self.centre) / self.scale @ theta[:-1] + theta[-1]

    def value(self, theta: np.ndarray, t: float = 0.0) -> float:
        W = theta[:-1]
        loss = self.w @ score_terms(self.loss, self.A @ theta, self.y, t)[0]
        return float(loss + self.l1 * np.abs(W).sum() + 0.5 * self.l2 * np.sum(W * W))

    def exactly(self, theta: np.ndarray) -> np.longdouble:
        """F in extended precision: what rounding makes of large columns that nearly cancel is no difference of fits."""
        theta = theta.astype(np.longdouble)
        W = theta[:-1]
        loss = self.w @ row_losses(self.loss, self.A.astype(np.longdouble) @ theta, self.y)
        return loss + self.l1 * np.abs(W).sum() + 0.5 * self.l2 * np.sum(W * W)

    def derivatives(self, theta: np.ndarray, t: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of all but L1, (d+1, k), and Hessian ((d+1) k, (d+1) k)."""
        _, g, H = score_terms(self.loss, self.A @ theta, self.y, t)
        gradient = self.A.T @ (self.w[:, None] * g)
        gradient[:-1] += self.l2 * theta[:-1]
        p, k = self.A.shape[1], self.k
        whole = np.empty((p, k, p, k))
        for a, b in np.ndindex(k, k):
            whole[:, a, :, b] = self.A.T @ ((self.w * H[:, a, b])[:, None] * self.A)
        whole = whole.reshape(p * k, p * k)
        each = np.arange((p - 1) * self.k)
        whole[each, each] += self.l2
        return gradient, whole

    def residual(self, theta: np.ndarray) -> float:
        """The least max |∂F|."""
        gradient, _ = self.derivatives(theta)
        W, G = theta[:-1], gradient[:-1]
        gradient[:-1] = np.where(W != 0, G + self.l1 * np.sign(W), np.sign(G) * np.maximum(np.abs(G) - self.l1, 0))
        return float(np.abs(gradient).max())


def newton(problem: Problem, theta: np.ndarray, t: float = 0.0, steps: int = 1000) -> np.ndarray:
    """Newton steps with halving on the support of W (all of it where there is no L1), to where rounding ends it."""
    free = np.ones(theta.shape, bool)
    sign = np.zeros_like(theta)
    if problem.l1:
        free[:-1], sign[:-1] = theta[:-1] != 0, problem.l1 * np.sign(theta[:-1])
    at = np.flatnonzero(free.ravel())
    value = problem.value(theta, t)
    for _ in range(steps):
        gradient, H = problem.derivatives(theta, t)
        g = (gradient + sign).ravel()[at]
        if np.abs(g).max() < 1e-15:
            break
        part = H[np.ix_(at, at)]
        part[np.diag_indices_from(part)] += 1e-13 * part.diagonal().max()
        move = np.zeros(theta.size)
        move[at] = -solved(part, g, 0 if problem.loss in UNLIKE else problem.k)
        move, length = move.reshape(theta.shape), 1.0
        while length > 1e-10:
            new = theta + length * move
            if problem.l1:
                new = np.where((theta != 0) & (np.sign(new) != np.sign(theta)) & (sign != 0), 0.0, new)
            found = problem.value(new, t)
            if found <= value + 1e-16 * abs(value):
                break
            length /= 2
        else:
            break
        done = value - found <= 1e-16 * abs(value) and np.abs(length * move).max() <= 1e-13 * max(
            1, np.abs(theta).max()
        )
        theta, value = new, found
        if done:
            break
    return theta


def solved(H: np.ndarray, g: np.ndarray, k: int) -> np.ndarray:
    """H⁻¹ g, of least norm where H is singular; of many unknowns by a Cholesky factor, where that exists, with a shift
    of k intercepts, the last unknowns, held where it is: it changes nothing where k is not 0."""
    if len(H) > LARGE:
        stiff = H.copy()
        if k:
            stiff[-k:, -k:] += H.diagonal().max() / k
        with contextlib.suppress(np.linalg.LinAlgError):
            return cho_solve(cho_factor(stiff), g)
    return np.linalg.lstsq(H, g, rcond=1e-14)[0]


def in_span(problem: Problem) -> tuple[Problem, np.ndarray]:
    """The same problem in the rows' span, where L2 leaves W, and that span's directions (d, n)."""
    V = np.linalg.svd(problem.A[:, :-1], full_matrices=False)[2].T
    inside = copy.copy(problem)
    inside.A = np.hstack([problem.A[:, :-1] @ V, problem.A[:, -1:]])
    return inside, V


def in_units(problem: Problem) -> tuple[Problem, float]:
    """The same problem in columns divided by a power of two near their size, and that: else what is small next to the
    intercept's ones would be taken for rounding."""
    size = float(np.sqrt(np.mean(problem.A[:, :-1] ** 2)))
    unit = 2.0 ** np.round(np.log2(size)) if size else 1.0
    inside = copy.copy(problem)
    inside.A = np.hstack([problem.A[:, :-1] / unit, problem.A[:, -1:]])
    inside.l1, inside.l2 = problem.l1 / unit, problem.l2 / unit**2
    return inside, unit


def optimum(problem: Problem) -> np.ndarray:
    """θ at the optimum, or for hinges close to it."""
    inside, unit = in_units(problem)
    theta = _optimum(inside)
    return np.vstack([theta[:-1] / unit, theta[-1:]])


def _optimum(problem: Problem) -> np.ndarray:
    if not problem.l1 and problem.A.shape[1] - 1 > len(problem.A):
        inside, V = in_span(problem)
        theta = _optimum(inside)
        return np.vstack([V @ theta[:-1], theta[-1:]])
    theta = np.zeros((problem.A.shape[1], problem.k))
    if problem.l1:
        for _ in range(20):  # L-BFGS-B may stop too early; from where it stopped it goes on
            theta = bounded(problem, theta)
            for _ in range(3):
                theta = newton(problem, theta)
            if problem.residual(theta) <= 1e-9:
                break
        return theta
    if problem.loss in SMOOTH:
        return newton(problem, theta)
    best = theta
    for t in TEMPERATURES:
        theta = newton(problem, theta, t, 40)
        best = min(best, theta, key=problem.value)
    return best


def bounded(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """L1 by L-BFGS-B from θ: W = P − N, P, N ≥ 0."""
    from scipy.optimize import minimize

    p, k = theta.shape
    size = (p - 1) * k

    def both(x: np.ndarray) -> tuple[float, np.ndarray]:
        at = np.vstack([(x[:size] - x[size : 2 * size]).reshape(p - 1, k), x[2 * size :][None]])
        gradient = problem.derivatives(at)[0]
        g = gradient[:-1].ravel()
        smooth = problem.value(at) - problem.l1 * np.abs(at[:-1]).sum() + problem.l1 * x[: 2 * size].sum()
        return smooth, np.concatenate([g + problem.l1, problem.l1 - g, gradient[-1]])

    bounds = [(0, None)] * (2 * size) + [(None, None)] * k
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-13, "maxcor": 30}
    start = np.concatenate([np.maximum(theta[:-1], 0).ravel(), np.maximum(-theta[:-1], 0).ravel(), theta[-1]])
    x = minimize(both, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    W = x[:size] - x[size : 2 * size]
    W = np.where(np.abs(W) > 1e-9 * np.abs(W).max(initial=0.0), W, 0.0)
    return np.vstack([W.reshape(p - 1, k), x[2 * size :][None]])
