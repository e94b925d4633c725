"""Ridge for every α from one Gram matrix and one eigendecomposition, and its exact leave-one-out.

With centred rows z, D = diag(w), ZᵀDZ/Σw = UΛUᵀ: W = U(Λ+α)⁻¹UᵀZᵀDY/Σw, and row i's leverage is hᵢ = (wᵢ/Σw)
[1 + Σⱼ (uⱼᵀzᵢ)²/(λⱼ+α)], the 1 for the intercept. The fit without row i misses it by rᵢ/(1 − hᵢ) (Cook & Weisberg 1982,
eq. 2.2.8; Golub, Heath & Wahba 1979), the penalty held at αΣw, as one C means. With n < d the rows' side is factorised,
√D Z Zᵀ√D/Σw = VΛVᵀ: 1 − hᵢ = Σⱼ Vᵢⱼ² α/(λⱼ+α) less the intercept's share, sums of positive terms where h is near 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import one_hot
from ..design import Block
from ..errors import UsageError
from ..objective import Objective

COLUMNS = 4096  # of scores formed at a time: α's × classes


def _targets(objective: Objective) -> tuple[np.ndarray, np.ndarray]:
    """Weights that sum to 1, (n,), and one-hot targets less their weighted mean if there is an intercept, (n, k)."""
    w = _row_weights(objective)
    Y = one_hot(objective.y, objective.k)
    return w, Y - _mean_target(objective, w)


def _mean_target(objective: Objective, w: np.ndarray) -> np.ndarray:
    shares = np.bincount(objective.y, w, minlength=objective.k)
    return shares if objective.design.intercept else 0 * shares


def _row_weights(objective: Objective, rows: slice = slice(None)) -> np.ndarray:
    """wᵢ/Σw of some rows, (m,)"""
    w = np.ones(len(objective.y[rows])) if objective.weights is None else objective.weights[rows].astype(np.float64)
    return w / objective.total


def spectrum(objective: Objective) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple]:
    """(λ (r,), U (d, r), UᵀZᵀDY/Σw (r, k), (mean row, mean target)); a fold's rows are centred by its own mean."""
    design: Any = objective.design.precise()
    target = _mean_target(objective, _row_weights(objective))

    def share(block: Block) -> tuple:
        w, Y = _row_weights(objective, block.rows), one_hot(objective.y[block.rows], objective.k) - target
        return (block.adjoint(np.column_stack([w, w[:, None] * Y])),)

    objective.count.passes += 0.5
    sums = design.from_rows(design.sweep(share)[0])
    mean, moment = (sums[:-1, 0] if design.intercept else 0 * sums[:-1, 0]), sums[:-1, 1:]
    if design.n >= design.d:
        gram = objective.gram() - np.outer(mean, mean)
        with design.session():
            values, U = np.linalg.eigh(gram)
        return np.maximum(values, 0), U, U.T @ moment, (mean, target)
    values, V, root = _rows_side(objective, mean)
    kept = values > 1e-13 * values[-1]
    U = _adjoint(objective, root[:, None] * V[:, kept])[:-1] - np.outer(mean, root @ V[:, kept])
    U /= np.sqrt(values[kept])
    return values[kept], U, U.T @ moment, (mean, target)


def _adjoint(objective: Objective, G: np.ndarray) -> np.ndarray:
    """[Zᵀ; 1ᵀ] G in the design's columns, float64: a pass."""
    design = objective.design.precise()
    objective.count.passes += 0.5
    return design.from_rows(design.sweep(lambda block: (block.adjoint(G[block.rows]),))[0])


def _rows_side(objective: Objective, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(λ (n,), V (n, n), √(w/Σw)) of √D (Z − mean)(Z − mean)ᵀ √D / Σw."""
    design: Any = objective.design.precise()
    w, _ = _targets(objective)
    root = np.sqrt(w)
    Z = (np.asarray(design.dense(), dtype=np.float64) - mean) * root[:, None]
    objective.count.passes += 1
    with design.session():
        values, V = np.linalg.eigh(Z @ Z.T)
    return np.maximum(values, 0), V, root


def leave_one_out(objective: Objective, alphas: np.ndarray) -> tuple[list, np.ndarray]:
    """[θ per α] in the design's columns, and (4, m): loss, accuracy of the fits; loss, accuracy without each row."""
    if objective.loss.name != "squared" or objective.penalty.name != "l2" or np.any(np.asarray(alphas) <= 0):
        raise UsageError(
            "Exact leave-one-out exists for loss='squared' with penalty='l2' and alphas above 0, where one "
            f"factorisation serves all rows; found {objective.loss.name} with {objective.penalty.name}. Use cv=5."
        )
    if objective.design.n >= objective.design.d:
        return _by_columns(objective, np.asarray(alphas, float))
    return _by_rows(objective, np.asarray(alphas, float))


def _thetas(values: np.ndarray, U: np.ndarray, moment: np.ndarray, means: tuple, alphas: np.ndarray) -> list:
    Ws = [U @ (moment / (values + a)[:, None]) for a in alphas]
    return [np.vstack([W, means[1] - means[0] @ W]) for W in Ws]


def _by_columns(objective: Objective, alphas: np.ndarray) -> tuple[list, np.ndarray]:
    """n ≥ d: one more sweep over the rows, for scores and leverages of all α at once."""
    values, U, moment, means = spectrum(objective)
    thetas = _thetas(values, U, moment, means, alphas)
    design: Any = objective.design
    shrink = 1 / (values[:, None] + alphas)
    # U, and as many α's weights as fit beside it, in one product
    per = max(1, COLUMNS // objective.k)
    stored_U = design.to_rows(np.vstack([U, -(means[0] @ U)[None]]))
    stored = [
        design.to_rows(np.hstack(thetas[i : i + per])).astype(design.dtype, copy=False)
        for i in range(0, len(alphas), per)
    ]
    stored_U, shrink = stored_U.astype(design.dtype, copy=False), shrink.astype(design.dtype, copy=False)

    def share(block: Block) -> tuple:
        z = block.forward(stored_U)
        np.square(z, out=z)
        h = z @ shrink
        w = _row_weights(objective, block.rows)
        h += float(design.intercept)
        h *= w[:, None].astype(h.dtype)
        scores = np.hstack([block.forward(theta) for theta in stored]).reshape(len(h), len(alphas), objective.k)
        return (_judge(scores, 1 - h, objective.y[block.rows], w),)

    objective.count.passes += 1
    return thetas, design.sweep(share)[0]


def _by_rows(objective: Objective, alphas: np.ndarray) -> tuple[list, np.ndarray]:
    """n < d: everything is in V, the eigenvectors of the rows' side."""
    w, Y = _targets(objective)
    sums = _adjoint(objective, w[:, None])
    mean = sums[:-1, 0] if objective.design.intercept else 0 * sums[:-1, 0]
    values, V, root = _rows_side(objective, mean)
    kept = values > 1e-13 * values[-1]
    targets = V.T @ (root[:, None] * Y)  # (n, k)
    U = _adjoint(objective, root[:, None] * V[:, kept])[:-1] - np.outer(mean, root @ V[:, kept])
    U /= np.sqrt(values[kept])
    moment = np.sqrt(values[kept])[:, None] * targets[kept]
    means = (mean, _mean_target(objective, w))
    left = alphas / (values[:, None] + alphas)  # (n, m): what shrinking leaves of each direction
    rest = np.square(V) @ left - float(objective.design.intercept) * w[:, None]
    judged = np.empty((4, len(alphas)))
    safe = np.where(root > 0, root, 1.0)[:, None]
    for m in range(len(alphas)):
        residual = V @ (left[:, m : m + 1] * targets) / safe
        scores = one_hot(objective.y, objective.k) - np.where(root[:, None] > 0, residual, 0.0)
        judged[:, m] = _judge(scores[:, None], rest[:, m : m + 1], objective.y, w)[:, 0]
    return _thetas(values[kept], U, moment, means, alphas), judged


def _judge(scores: np.ndarray, rest: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(4, m) weighted sums over rows of loss and hits, with and without the row: scores (n, m, k), rest = 1 − h."""
    rows = np.arange(len(y))
    tiny = np.finfo(scores.dtype).tiny ** 0.5
    out = []
    for divisor in (None, np.maximum(rest, tiny)):
        if divisor is None:
            hit = scores.argmax(axis=2) == y[:, None]
            scores[rows, :, y] -= 1  # residuals from here on
        else:
            scores /= divisor[:, :, None]  # e_y plus this are the scores of the fit without the row
        loss = 0.5 * np.einsum("nmk,nmk->nm", scores, scores)
        if divisor is not None:
            scores[rows, :, y] += 1
            hit = scores.argmax(axis=2) == y[:, None]
        out += [w @ loss, w @ hit]
    return np.array(out, dtype=np.float64)
