"""Ridge for every α from one Gram matrix and one eigendecomposition, and its exact leave-one-out.

With centred rows z, D = diag(w), ZᵀDZ/Σw = UΛUᵀ: W = U(Λ+α)⁻¹UᵀZᵀDY/Σw, and row i's leverage is hᵢ = (wᵢ/Σw)
[1 + Σⱼ (uⱼᵀzᵢ)²/(λⱼ+α)], the 1 for the intercept. The fit without row i misses it by rᵢ/(1 − hᵢ) (Cook & Weisberg 1982,
eq. 2.2.8; Golub, Heath & Wahba 1979), the penalty held at αΣw, as one C means. With n < d the rows' side is factorised,
√D Z Zᵀ√D/Σw = VΛVᵀ: 1 − hᵢ = Σⱼ Vᵢⱼ² α/(λⱼ+α) less the intercept's share, sums of positive terms where h is near 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import one_hot
from ..design import Block
from ..design.contract import GRAM_BYTES
from ..errors import UsageError
from ..objective import Objective

COLUMNS = 4096  # of scores formed at a time: α's × classes


def _mean_target(objective: Objective, w: np.ndarray) -> np.ndarray:
    shares = np.bincount(objective.y, w, minlength=objective.k)
    return shares if objective.design.intercept else 0 * shares


def row_weights(objective: Objective, rows: slice = slice(None)) -> np.ndarray:
    """wᵢ/Σw of some rows, (m,)"""
    w = np.ones(len(objective.y[rows])) if objective.weights is None else objective.weights[rows].astype(np.float64)
    return w / objective.total


def spectrum(objective: Objective) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple]:
    """(λ (r,), U (d, r), UᵀZᵀDY/Σw (r, k), (mean row, mean target)); a fold's rows are centred by its own mean."""
    design: Any = objective.design.precise()
    target = _mean_target(objective, row_weights(objective))

    def share(block: Block) -> tuple:
        w, Y = row_weights(objective, block.rows), one_hot(objective.y[block.rows], objective.k) - target
        return (block.adjoint(np.column_stack([w, w[:, None] * Y])),)

    objective.count.passes += 0.5
    sums = design.from_rows(design.sweep(share)[0])
    mean, moment = (sums[:-1, 0] if design.intercept else 0 * sums[:-1, 0]), sums[:-1, 1:]
    if design.n >= design.d:
        gram = objective.gram() - np.outer(mean, mean)
        with design.session():
            values, U = np.linalg.eigh(gram)
        return np.maximum(values, 0), U, U.T @ moment, (mean, target)
    values, _, _, kept, U = _rows_side(objective, mean)
    return values[kept], U, U.T @ moment, (mean, target)


def _adjoint(objective: Objective, G: np.ndarray) -> np.ndarray:
    """[Zᵀ; 1ᵀ] G in the design's columns, float64: a pass."""
    design = objective.design.precise()
    objective.count.passes += 0.5
    return design.from_rows(design.sweep(lambda block: (block.adjoint(G[block.rows]),))[0])


def _rows_side(
    objective: Objective, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(λ (n,), V (n, n), √(w/Σw) (n,)) of √D (Z − mean)(Z − mean)ᵀ √D / Σw, which λ (n,) are no rounding of 0, and the
    columns' side U (d, r) of those."""
    design: Any = objective.design.precise()
    root = np.sqrt(row_weights(objective))
    Z = (np.asarray(design.dense(), dtype=np.float64) - mean) * root[:, None]
    objective.count.passes += 1
    with design.session():
        values, V = np.linalg.eigh(Z @ Z.T)
    values = np.maximum(values, 0)
    kept = values > 1e-13 * values[-1]
    U = _adjoint(objective, root[:, None] * V[:, kept])[:-1] - np.outer(mean, root @ V[:, kept])
    return values, V, root, kept, U / np.sqrt(values[kept])


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


def thetas_of(
    objective: Objective, values: np.ndarray, U: np.ndarray, moment: np.ndarray, means: tuple, alphas: np.ndarray
) -> list:
    """[θ per α], all by one product."""
    with objective.design.session():
        shrunk = moment[:, None] / (values[:, None] + alphas)[:, :, None]  # (r, alphas, k)
        W = U @ shrunk.reshape(len(moment), len(alphas) * moment.shape[1])  # r is 0 where all rows are alike
    Ws = W.reshape(len(U), len(alphas), -1).transpose(1, 0, 2)
    return [np.vstack([W, means[1] - means[0] @ W]) for W in Ws]


def _by_columns(objective: Objective, alphas: np.ndarray) -> tuple[list, np.ndarray]:
    """n ≥ d: one more sweep over the rows, for scores and leverages of all α at once."""
    values, U, moment, means = spectrum(objective)
    thetas = thetas_of(objective, values, U, moment, means, alphas)
    design: Any = replace(objective.design, block_bytes=GRAM_BYTES)  # for every block U, as large, is read again
    shrink = 1 / (values[:, None] + alphas)
    U = np.vstack([U, -(means[0] @ U)[None]])
    each = max(1, COLUMNS // objective.k)
    groups = [slice(i, i + each) for i in range(0, len(alphas), each)]
    # (d+1, k·α's): the classes outside, as reductions over them then run along contiguous α's
    stacked = [np.stack(thetas[part], axis=2).reshape(len(U), -1) for part in groups]
    stored_U, shrink, *stored = (
        a.astype(design.dtype, copy=False) for a in (design.to_rows(U), shrink, *map(design.to_rows, stacked))
    )

    def share(block: Block) -> tuple:
        z = block.forward(stored_U)
        np.square(z, out=z)
        h = z @ shrink
        w = row_weights(objective, block.rows)
        h += float(design.intercept)
        h *= w[:, None].astype(h.dtype)
        y, rest, rows = objective.y[block.rows], 1 - h, np.arange(len(h))
        judged = []
        for part, theta in zip(groups, stored, strict=True):
            residual = block.forward(theta).reshape(len(h), objective.k, -1)
            residual[rows, y] -= 1
            judged.append(_judge(residual, rest[:, part], y, w))
        return (np.hstack(judged),)

    objective.count.passes += 1
    return thetas, design.sweep(share)[0]


def _by_rows(objective: Objective, alphas: np.ndarray) -> tuple[list, np.ndarray]:
    """n < d: everything is in V, the eigenvectors of the rows' side."""
    w = row_weights(objective)
    sums = _adjoint(objective, w[:, None])
    mean = sums[:-1, 0] if objective.design.intercept else 0 * sums[:-1, 0]
    values, V, root, kept, U = _rows_side(objective, mean)
    means = (mean, _mean_target(objective, w))
    targets = V.T @ (root[:, None] * (one_hot(objective.y, objective.k) - means[1]))  # (n, k)
    moment = np.sqrt(values[kept])[:, None] * targets[kept]
    left = alphas / (values[:, None] + alphas)  # (n, m): what shrinking leaves of each direction
    rest = np.square(V) @ left - float(objective.design.intercept) * w[:, None]
    judged = np.empty((4, len(alphas)))
    safe = np.where(root > 0, root, 1.0)[:, None]
    for m in range(len(alphas)):
        residual = V @ (left[:, m : m + 1] * targets) / safe
        residual = np.where(root[:, None] > 0, -residual, 0.0)
        judged[:, m] = _judge(residual[:, :, None], rest[:, m : m + 1], objective.y, w)[:, 0]
    return thetas_of(objective, values[kept], U, moment, means, alphas), judged


def _judge(residual: np.ndarray, rest: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(4, m) weighted sums over rows of loss and hits, with and without the row; a tie is no hit. residual (n, k, m),
    scores less one-hot targets, is overwritten; rest = 1 − h (n, m). Without the row it is divided by rest."""
    rows = np.arange(len(y))
    loss = 0.5 * np.einsum("nkm,nkm->nm", residual, residual)
    own = residual[rows, y]
    residual[rows, y] = -np.inf
    lead = own - residual.max(axis=1)  # of the label, less the 1 of its target
    tiny = np.finfo(residual.dtype).tiny ** 0.5
    rest = np.maximum(rest, tiny)
    return np.array([w @ loss, w @ (lead > -1), w @ (loss / (rest * rest)), w @ (lead > -rest)], dtype=np.float64)
