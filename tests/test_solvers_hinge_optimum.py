"""The hinges at their exact optimum, by means that share nothing with the solvers.

With L2: the Karush–Kuhn–Tucker conditions are linear once it is known which margins are positive, zero or negative.
These sets are guessed, the linear system solved by dense least squares, and every sign of the conditions checked: a
guess that passes is the optimum, to rounding, whoever made it. With L1: a linear program, solved by HiGHS.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import linprog
from sklearn.datasets import load_digits

from linearhead import LinearClassifier
from linearhead.errors import ConvergenceWarning
from test_solvers_agree import blobs

LOSSES = ("hinge", "crammer_singer")


def margins(X, y, W, b):
    """z (n, k), −inf at the label; margin 1."""
    s = X @ W + b
    z = 1 + s - s[np.arange(len(y)), y][:, None]
    z[np.arange(len(y)), y] = -np.inf
    return z


def value(loss, X, y, w, W, b):
    """The mean loss, from the formulas."""
    z = np.maximum(margins(X, y, W, b), 0)
    return w @ (z.sum(axis=1) if loss == "hinge" else z.max(axis=1)) / w.sum()


# ── L2 ────────────────────────────────────────────────────────────────────────────────────────────
def guessed(loss, X, y, W, b, slack):
    """(i, j) of the margins whose multipliers are 1, and of those whose multipliers are unknown, near a kink."""
    z = margins(X, y, W, b)
    if loss == "hinge":
        return np.argwhere(z > slack), np.argwhere(np.abs(z) <= slack)
    top = np.maximum(z.max(axis=1), 0)[:, None]
    near = z > top - slack
    alone = (near.sum(axis=1) == 1) & (top[:, 0] > slack)
    return np.argwhere(near & alone[:, None]), np.argwhere(near & ~alone[:, None])


def exact_optimum(loss, X, y, w, alpha, W, b, intercept, slack=1e-5):
    """(W, b) of the mean loss + α/2 ‖W‖² by its conditions, the sets guessed at (W, b); AssertionError if they fail."""
    n, (d, k) = len(y), W.shape
    w, A = w / w.sum(), np.hstack([X, np.ones((n, 1))])
    sure, free = guessed(loss, X, y, W, b, slack)

    def gradient(pairs):
        """Of every margin z_ij in [W; b], (pairs, (d+1) k)."""
        G = np.zeros((len(pairs), d + 1, k))
        for row, (i, j) in enumerate(pairs):
            G[row, :, j], G[row, :, y[i]] = A[i], -A[i]
        return G.reshape(len(pairs), (d + 1) * k)

    B, size = gradient(free), (d + 1) * k
    ridge = np.repeat(np.append(np.full(d, alpha), 0.0), k)
    held = w[sure[:, 0]] @ gradient(sure)
    # unknowns: θ, the free multipliers v, and for the max form the level t_i ≥ 0 of rows that are tied above 0
    rows = np.unique(free[:, 0])
    level = np.maximum(margins(X, y, W, b).max(axis=1), 0)[rows] if loss == "crammer_singer" else np.zeros(len(rows))
    tied = rows[level > slack]
    E = (free[:, :1] == tied[None, :]).astype(float)  # (free, tied)
    m, t = len(free), len(tied)
    stationary = np.hstack([np.diag(ridge), B.T * w[free[:, 0]], np.zeros((size, t))])
    kinks = np.hstack([B, np.zeros((m, m)), -E])  # z_ij = t_i
    ones = np.hstack([np.zeros((t, size)), E.T, np.zeros((t, t))])  # Σ_j v_ij = 1 where t_i > 0
    system, right = np.vstack([stationary, kinks, ones]), np.concatenate([-held, -np.ones(m), np.ones(t)])
    if not intercept:  # b stays 0, and nothing is asked of its slope
        last = np.arange(size - k, size)
        system, right = np.delete(np.delete(system, last, axis=0), last, axis=1), np.delete(right, last)
    own = size if intercept else size - k
    start = np.concatenate([np.vstack([W, b]).ravel()[:own], np.zeros(m + t)])
    # the smallest step from the guess: where many intercepts are optimal, its own stays
    found = start + np.linalg.lstsq(system, right - system @ start, rcond=1e-12)[0]
    assert np.abs(system @ found - right).max() <= 1e-11, "the guess contradicts itself"
    theta = np.zeros(size)
    theta[:own] = found[:own]
    v, levels = found[own : own + m], found[own + m :]
    sums = (free[:, 0] == rows[:, None]).astype(float) if loss == "crammer_singer" else np.zeros((0, m))
    if ((v < 0) | (v > 1)).any() or (sums @ v > 1).any():  # where they are not unique, others may be within bounds
        some, rest = np.r_[:own, own + m : own + m + t], slice(own, own + m)
        here = right[some] - np.delete(system[some], np.r_[rest], axis=1) @ np.delete(found, np.r_[rest])
        exact = {"primal_feasibility_tolerance": 1e-10}
        bounded = linprog(np.zeros(m), sums, np.ones(len(sums)), system[some, rest], here, (0, 1), options=exact)
        assert bounded.status == 0, "no multipliers within their bounds"
        v = bounded.x
    theta = theta.reshape(d + 1, k)
    check_conditions(loss, margins(X, y, theta[:-1], theta[-1]), sure, free, v, levels, tied)
    return theta[:-1], theta[-1]


def check_conditions(loss, z, sure, free, v, levels, tied, room=1e-9):
    """Every multiplier within its bounds, every margin on its side."""
    assert ((v >= -room) & (v <= 1 + room)).all()
    known = np.zeros(z.shape, dtype=bool)
    known[tuple(sure.T)] = known[tuple(free.T)] = True
    if loss == "hinge":
        assert (z[tuple(sure.T)] >= -room).all()
        assert (z[~known] <= room).all()
        return
    assert (levels >= -room).all()
    total = np.bincount(free[:, 0], v, minlength=len(z))
    assert (total <= 1 + room).all()
    top = np.zeros(len(z))
    top[sure[:, 0]] = z[tuple(sure.T)]
    top[tied] = levels
    assert (top >= -room).all()
    assert (np.where(known, -np.inf, z) <= top[:, None] + room).all()


PROBLEMS = {
    "three classes": (60, 4, 3, {}),
    "two classes": (50, 5, 2, {}),
    "fewer rows than columns": (20, 30, 3, {}),
    "imbalanced": (90, 3, 3, {"shares": (0.9, 0.06, 0.04)}),
    "eight classes": (80, 4, 8, {}),
    "separated": (40, 4, 3, {"spread": 6.0}),
}


def fitted(loss, X, y, alpha, w=None, **options):
    options = {"tol": 1e-13, "max_iter": 400, **options}
    model = LinearClassifier(loss, alpha=alpha, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the tolerance lies at the floor of rounding
        return model.fit(X, y, sample_weight=w)


def check_optimum(loss, kind, seeds):
    n, d, k, options = PROBLEMS[kind]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        X, y = blobs(rng, n, d, k, **options)
        w = np.ones(n) if seed % 2 == 0 else rng.uniform(0.2, 2, n)
        alpha, intercept = (1e-1, 1e-2, 3e-3, 1e-2)[seed % 4], seed % 4 != 3
        model = fitted(loss, X, y, alpha, w, fit_intercept=intercept)
        W, b = exact_optimum(loss, X, y, w, alpha, model.coef_.T, model.intercept_, intercept)
        assert np.linalg.norm(model.coef_.T - W) <= 1e-7 * max(np.linalg.norm(W), 1e-3)  # W = 0 where α is strong
        F = value(loss, X, y, w, W, b) + alpha / 2 * np.sum(W**2)
        assert abs(model.certificate_.value - F) <= 1e-9 * F
        assert model.certificate_.value - F <= model.certificate_.gap + 1e-14


def test_an_intercept_that_is_not_unique_is_an_optimum_all_the_same():
    check_optimum("crammer_singer", "imbalanced", (12,))


def test_rows_near_a_kink_that_led_astray_are_joined_by_all_others():
    """Without the others' kinks the intercept has nothing that holds it: the gap was F itself."""
    check_optimum("hinge", "separated", (20, 24))


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("loss", LOSSES)
def test_coefficients_are_those_of_the_optimum(loss, kind):
    check_optimum(loss, kind, range(4))


@pytest.mark.parametrize("alpha", [1e-3, 1e-4])
def test_digits_as_they_come_with_hardly_a_penalty(alpha):
    """Separable rows of length 35 or so: F is 3e-6 at the optimum, and so are the multipliers."""
    X, y = load_digits(return_X_y=True)
    X, y, w = X[:150], y[:150], np.ones(150)
    model = fitted("crammer_singer", X, y, alpha, tol=1e-10)
    W, b = exact_optimum("crammer_singer", X, y, w, alpha, model.coef_.T, model.intercept_, True)
    assert np.linalg.norm(model.coef_.T - W) <= 1e-8 * np.linalg.norm(W)
    F = value("crammer_singer", X, y, w, W, b) + alpha / 2 * np.sum(W**2)
    assert -1e-9 * F <= model.certificate_.value - F <= model.certificate_.gap <= 1e-7 * F


def test_the_conditions_refuse_what_is_no_optimum():
    X, y = blobs(np.random.default_rng(0), 60, 4, 3)
    for loss in LOSSES:
        model = fitted(loss, X, y, 1e-2)
        with pytest.raises(AssertionError):
            exact_optimum(loss, X, y, np.ones(60), 2e-2, model.coef_.T, model.intercept_, True)
        with pytest.raises(AssertionError):
            exact_optimum(loss, X, y, np.ones(60), 1e-2, 1.01 * model.coef_.T, model.intercept_, True)


# ── L1 ────────────────────────────────────────────────────────────────────────────────────────────
def linear_program(loss, X, y, w, alpha, k):
    """min mean loss + α Σ|W| by HiGHS: unknowns W⁺, W⁻, b⁺, b⁻ and a slack per margin or per row."""
    n, d = X.shape
    w, A = w / w.sum(), np.hstack([X, np.ones((n, 1))])
    pairs = [(i, j) for i in range(n) for j in range(k) if j != y[i]]
    size, slacks = (d + 1) * k, len(pairs) if loss == "hinge" else n
    M = np.zeros((len(pairs), d + 1, k))
    S = np.zeros((len(pairs), slacks))
    for row, (i, j) in enumerate(pairs):
        M[row, :, j], M[row, :, y[i]] = A[i], -A[i]
        S[row, row if loss == "hinge" else i] = 1
    M = M.reshape(len(pairs), size)
    price = np.repeat(np.append(np.full(d, alpha), 0.0), k)
    cost = w[[i for i, _ in pairs]] if loss == "hinge" else w
    left = scipy.sparse.csr_array(np.hstack([M, -M, -S]))
    found = linprog(np.concatenate([price, price, cost]), A_ub=left, b_ub=-np.ones(len(pairs)), method="highs")
    assert found.status == 0
    return found.fun


def check_value_with_l1(loss, seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        X, y = blobs(rng, 60, 5, 3)
        w = np.ones(60) if seed % 2 == 0 else rng.uniform(0.2, 2, 60)
        alpha = (3e-2, 1e-2, 1e-1, 3e-3, 3e-2)[seed % 5]
        best = linear_program(loss, X, y, w, alpha, 3)
        model = fitted(loss, X, y, alpha, w, penalty="l1", tol=1e-6)
        found = model.certificate_
        assert model.converged_
        assert -1e-9 <= found.value / best - 1 <= found.gap / best + 1e-9
        assert found.value / best - 1 <= 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_with_l1_the_value_is_the_linear_programs(loss):
    check_value_with_l1(loss, range(5))
