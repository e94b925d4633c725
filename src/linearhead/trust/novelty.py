"""How unlike everything seen a picture's features x (d,) are: probabilistic PCA (Tipping & Bishop 1999).

z = (x − μ) / σ column by column, r leading directions V with variances λ, the rest of space with one variance v:
strangeness² = Σ_i (v_iᵀz)² / λ_i + (‖z‖² − ‖Vᵀz‖²) / v, the negative log likelihood up to constants. It is fitted to
four rows in five; the fifth says what is usual: `unlike` = share of them at least as strange, (1 + count)/(1 + m). With
fewer than ENOUGH rows each fifth in turn is asked of a fit to the others, and the model is a fit to all (Vovk 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

DIRECTIONS = 48
ROWS = 4000  # that it is fitted to, at most
LEAST, FEW, ENOUGH = 30, 100, 500  # rows: to say anything; to say 1 in 100 by counting; to spare a fifth
PARTS = 5
WIDER = 1.5  # than a normal ln of the strangeness is foreseen to be: its tail is longer (docs/decisions/verdict.md)
LOWEST = float(np.finfo(np.float32).tiny)  # variance: rows that are all alike have none
KEPT = 1000  # strangenesses kept
RARE = 0.01  # below this share a picture is called unlike the training pictures


@dataclass(frozen=True)
class Novelty:
    """`mean`, `spread` (d,), `axes` (r, d), `variance` (r + 1,), the last of the rest; `usual` (m,), sorted."""

    mean: np.ndarray
    spread: np.ndarray
    axes: np.ndarray
    variance: np.ndarray
    usual: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, seed: int = 0, groups: np.ndarray | None = None) -> Novelty | None:
        """From trained rows X (n, d); None where there are too few of them to say what is usual. What is usual of a row
        is asked without those of its group (n,): a frame beside others of its track is no new picture."""
        n = len(X)
        if n < LEAST:
            return None
        rng = np.random.default_rng(seed)
        group = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
        drawn = rng.permutation(int(group.max()) + 1)
        order = np.argsort(np.argsort(drawn)[group], kind="stable")[: ROWS + ROWS // 4]
        cut = _between(group[order], len(order) * 4 // 5)
        if n >= ENOUGH and cut:
            found = cls._of(X[np.sort(order[:cut])], rng)
            usual = found.strangeness(X[np.sort(order[cut:])])
        else:
            found = cls._of(X, rng)
            ends = {_between(group[order], part * len(order) // PARTS) for part in range(1, PARTS)} - {0, len(order)}
            parts = np.split(order, sorted(ends))
            if len(parts) < 2:
                return None
            usual = np.concatenate([cls._of(np.delete(X, part, axis=0), rng).strangeness(X[part]) for part in parts])
            usual = usual if n >= FEW else foreseen(usual)
        usual = np.sort(usual)
        if len(usual) > KEPT:
            usual = usual[np.linspace(0, len(usual) - 1, KEPT).round().astype(int)]
        return replace(found, usual=usual.astype(np.float32))

    @classmethod
    def _of(cls, X: np.ndarray, rng: np.random.Generator) -> Novelty:
        """Fitted to all of these rows; what is usual is not known yet."""
        n, d = X.shape
        A = X.astype(np.float32)
        mean, spread = A.mean(axis=0), A.std(axis=0)
        spread = np.where(spread > 1e-6 * max(float(spread.max()), 1e-30), spread, np.inf).astype(np.float32)
        A -= mean
        A /= spread
        r = max(1, min(DIRECTIONS, n // 5, d - 1)) if d > 1 else 1
        axes, variance = _leading(A, r, rng)
        total = float(np.mean(np.einsum("ij,ij->i", A, A)))
        rest = max(total - float(variance.sum()), 1e-6 * total, LOWEST) / max(d - r, 1)
        return cls(mean, spread, axes, np.append(variance, rest).astype(np.float32), np.zeros(0, np.float32))

    def strangeness(self, X: np.ndarray) -> np.ndarray:
        """(n, d) → (n,), about √d for a usual row."""
        out = np.empty(len(X))
        for i in range(0, len(X), 512):
            z = (X[i : i + 512].astype(np.float32) - self.mean) / self.spread
            along = (z @ self.axes.T).astype(np.float64)
            left = np.maximum(np.sum(z * z, axis=1, dtype=np.float64) - np.sum(along**2, axis=1), 0)
            out[i : i + 512] = np.sqrt(
                along**2 @ (1 / self.variance[:-1].astype(np.float64)) + left / self.variance[-1]
            )
        return out

    def unlike(self, X: np.ndarray) -> np.ndarray:
        """Share of usual rows at least as strange, (n,): below RARE nothing like it was seen."""
        # a training picture ties with itself, whatever the rounding of products that depend on the batch around it
        below = np.searchsorted(self.usual, self.strangeness(X) * (1 - 1e-4), side="left")
        return (1 + len(self.usual) - below) / (1 + len(self.usual))

    def tensors(self) -> dict[str, np.ndarray]:
        finite = np.where(np.isfinite(self.spread), self.spread, 0).astype(np.float32)  # a file holds finite numbers
        names = {"mean": self.mean, "axes": self.axes, "variance": self.variance, "usual": self.usual}
        return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in (names | {"spread": finite}).items()}

    @classmethod
    def restore(cls, tensors: dict[str, np.ndarray], d: int) -> Novelty:
        """The inverse of `tensors`; ValueError where the shapes do not fit."""
        found = cls(**tensors | {"spread": np.where(tensors["spread"] > 0, tensors["spread"], np.inf)})
        r = len(found.axes)
        shapes = [found.mean.shape, found.spread.shape, found.axes.shape, found.variance.shape]
        if shapes != [(d,), (d,), (r, d), (r + 1,)] or found.usual.ndim != 1 or found.variance.min() <= 0:
            raise ValueError(f"what is usual has the shapes {shapes} for {d} features")
        return found


def _between(group: np.ndarray, place: int) -> int:
    """The place (0 … m) at which the group of the row at `place` begins; `group` (m,) has every group in one piece."""
    while 0 < place < len(group) and group[place - 1] == group[place]:
        place -= 1
    return place


def foreseen(strangeness: np.ndarray) -> np.ndarray:
    """KEPT quantiles of what another row's strangeness may be after a few, whose largest says too little about one row
    in a hundred: ln of it taken as normal, Student's t of a prediction (Geisser 1993), WIDER times as wide."""
    from scipy.stats import t  # at fit time only: predict needs NumPy alone

    logs, n = np.log(np.maximum(strangeness, 1e-12)), len(strangeness)
    q = t.ppf((np.arange(KEPT) + 0.5) / KEPT, n - 1)
    return np.exp(logs.mean() + WIDER * logs.std(ddof=1) * np.sqrt(1 + 1 / n) * q)


def _leading(A: np.ndarray, r: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(r, d) directions and the variances along them: randomised subspace iteration (Halko et al. 2011)."""
    q = rng.standard_normal((A.shape[1], min(r + 8, *A.shape))).astype(np.float32)
    for _ in range(3):
        q, _ = np.linalg.qr(A.T @ (A @ q))
    values, vectors = np.linalg.eigh(((A @ q).T @ (A @ q)).astype(np.float64) / len(A))
    top = np.argsort(-values)[:r]
    axes = np.ascontiguousarray((q @ vectors[:, top].astype(np.float32)).T)
    return axes, np.maximum(values[top], max(1e-6 * values.max(), LOWEST))
