"""How unlike everything seen a picture's features x (d,) are: probabilistic PCA (Tipping & Bishop 1999).

z = (x − μ) / σ column by column, r leading directions V with variances λ, the rest of space with one variance v:
strangeness² = Σ_i (v_iᵀz)² / λ_i + (‖z‖² − ‖Vᵀz‖²) / v, the negative log likelihood up to constants. It is fitted to
four rows in five; the fifth says what is usual: `unlike` = share of them at least as strange, (1 + count)/(1 + m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIRECTIONS = 48
ROWS = 4000  # that it is fitted to, at most
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
    def fit(cls, X: np.ndarray, seed: int = 0) -> Novelty | None:
        """From trained rows X (n, d); None where there are too few of them to say what is usual."""
        n, d = X.shape
        if n < 30:
            return None
        rng = np.random.default_rng(seed)
        order = rng.permutation(n)[: ROWS + ROWS // 4]
        cut = len(order) * 4 // 5
        A = X[np.sort(order[:cut])].astype(np.float32)
        mean, spread = A.mean(axis=0), A.std(axis=0)
        spread = np.where(spread > 1e-6 * max(float(spread.max()), 1e-30), spread, np.inf).astype(np.float32)
        A = (A - mean) / spread
        r = max(1, min(DIRECTIONS, cut // 5, d - 1)) if d > 1 else 1
        axes, variance = _leading(A, r, rng)
        total = float(np.mean(np.sum(A * A, axis=1)))
        rest = max(total - float(variance.sum()), 1e-6 * total) / max(d - r, 1)
        found = cls(mean, spread, axes, np.append(variance, rest).astype(np.float32), np.zeros(0, np.float32))
        usual = np.sort(found.strangeness(X[np.sort(order[cut:])]))
        if len(usual) > KEPT:
            usual = usual[np.linspace(0, len(usual) - 1, KEPT).round().astype(int)]
        return cls(mean, spread, axes, found.variance, usual.astype(np.float32))

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


def _leading(A: np.ndarray, r: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(r, d) directions and the variances along them: randomised subspace iteration (Halko et al. 2011)."""
    q = rng.standard_normal((A.shape[1], min(r + 8, *A.shape))).astype(np.float32)
    for _ in range(3):
        q, _ = np.linalg.qr(A.T @ (A @ q))
    values, vectors = np.linalg.eigh(((A @ q).T @ (A @ q)).astype(np.float64) / len(A))
    top = np.argsort(-values)[:r]
    axes = np.ascontiguousarray((q @ vectors[:, top].astype(np.float32)).T)
    return axes, np.maximum(values[top], 1e-6 * values.max())
