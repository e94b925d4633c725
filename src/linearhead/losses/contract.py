"""What a loss is: a function of one row's scores s ∈ R^k and its label y ∈ {0..k−1}; no X, W, weight or mean.

Every method takes s (n, k) and y (n,) integer labels and answers per row. Gradients are with respect to s.
Losses accept any array-API namespace and never write into their inputs.

`conjugate(g, y)` = sup_s ⟨g, s⟩ − ℓ(s, y), +inf outside its domain; with g = ∇ℓ(s) Fenchel–Young is tight:
ℓ(s) + ℓ*(g) = ⟨g, s⟩ (Rockafellar 1970, thm 23.5). The duality gap of a fit rests on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..arrays import namespace

Array = Any


@dataclass(frozen=True)
class Loss:
    """The contract; one subclass a file, listed in `LOSSES`."""

    name: ClassVar[str]
    title: ClassVar[str]  # for people: "cross-entropy"
    formula: ClassVar[str]  # one line, in the docs' symbols
    smoothness: ClassVar[int]  # continuous derivatives: 0 (kinks), 1 or 2
    curvature_source: ClassVar[str]  # where the bound `curvature` comes from
    shift_invariant: ClassVar[bool] = True  # whether adding one number to all scores of a row changes nothing
    piecewise: ClassVar[bool] = False  # whether it is quadratic between kinks of its slope: `factor`
    quadratic: ClassVar[bool] = False  # whether its Hessian is the identity at any scores
    splits: ClassVar[bool] = False  # whether a row's Hessian is a diagonal less one outer product: `hessian_parts`
    proper: ClassVar[bool] = False  # whether `probabilities` estimates P(y | x)

    def curvature(self, k: int) -> float:
        """Upper bound on the spectral norm of the Hessian in s of one row, for k classes (inf if not smooth)."""
        raise NotImplementedError

    def value(self, s: Array, y: Array) -> Array:
        """(n, k), (n,) → (n,)"""
        return self.value_and_gradient(s, y)[0]

    def value_and_gradient(self, s: Array, y: Array) -> tuple[Array, Array]:
        """(n, k), (n,) → (n,), (n, k); a subgradient where there is a kink."""
        raise NotImplementedError

    def gradient(self, s: Array, y: Array) -> Array:
        """The second half of `value_and_gradient`, for steps that need no value."""
        if type(s) is np.ndarray and len(s) == 1:
            with np.errstate(over="ignore"):
                return self.row_gradient(s[0], y[0])[None]
        return self.value_and_gradient(s, y)[1]

    def row_gradient(self, s: np.ndarray, y: Any) -> np.ndarray:
        """Of one row, s (k,) in NumPy → (k,), in the fewest calls: steps on single rows are made of them. Digits are
        those that a step needs, right next to the largest entry."""
        return self.value_and_gradient(s[None], np.array([y]))[1][0]

    def hessian_product(self, s: Array, y: Array, d: Array) -> Array:
        """Hessian in s (a generalised one if smoothness is 1) times d: (n, k), (n,), (n, k) → (n, k)."""
        raise TypeError(f"{self.name} has no Hessian: it has kinks.")

    def hessian(self, s: Array, y: Array) -> Any:
        """`hessian_product` at fixed scores, as a function of d: what depends on s alone is computed once."""
        return lambda d: self.hessian_product(s, y, d)

    def hessian_mean(self, s: Array, y: Array, w: Array) -> Array:
        """Σ_i w_i H_i, the (k, k) sum of the rows' Hessians with weights w (n,); by k probes unless overridden."""
        return mean_by_probes(self.hessian_product, s, y, w)

    def hessian_form(self, s: Array, y: Array, Q: Array | None) -> Array:
        """q_aᵀ H_i q_a for every row i and column q_a of Q (k, k), None for I: (n, k); by k probes if not replaced."""
        return form_by_probes(self.hessian_product, s, y, Q)

    def hessian_parts(self, s: Array, y: Array) -> tuple[Array, Array]:
        """a, b (n, k) with every row's Hessian diag(aᵢ) − bᵢbᵢᵀ, where `splits`."""
        raise TypeError(f"{self.name} has Hessians of another form.")

    def factor(self, s: np.ndarray, y: Array) -> tuple[np.ndarray, np.ndarray]:
        """(rows (f,), ascending, h (f, k)) with every row's Hessian the sum of h hᵀ over its h, where `piecewise`; on
        NumPy's rows."""
        raise TypeError(f"{self.name} is not quadratic between kinks.")

    def conjugate(self, g: Array, y: Array) -> Array:
        """sup_s ⟨g, s⟩ − ℓ(s, y): (n, k), (n,) → (n,), +inf outside the domain."""
        raise NotImplementedError

    def conjugate_of_shares(self, q: Array) -> Array:
        """ℓ*(q − e_y) for every label y, q (k,) in the simplex: (k,); a (k, k) array is formed unless overridden."""
        xp, k = namespace(q), q.shape[0]
        unit, y = xp.eye(k, dtype=q.dtype, device=q.device), xp.arange(k, device=q.device)
        return self.conjugate(q[None, :] - unit, y)

    def sharpness(self, g: Array, y: Array, width: float) -> tuple[Array, Array]:
        """For margin losses: a (n, k) ≥ 0 and c (n,) with ℓ(s) + ℓ*(g) − ⟨g, s⟩ ≥ Σ_j a_j (|s_j − s_c − r_j| − width/2)
        for all s, r_j some numbers: how fast a loss leaves what g is tangent to (weak sharp minima: Burke & Ferris
        1993, SIAM J. Control Optim. 31). The same holds of (1 − ε) a and (1 − ε) g + ε (q − e_y), q in the simplex,
        ε ≤ ½.
        """
        raise TypeError(f"{self.name} bends everywhere: its Hessian tells more.")

    def smoothed(self, s: Array, y: Array, g: Array, gamma: float) -> tuple[Array, Array]:
        """For kinked losses: max over u in dom ℓ* of ⟨u, s⟩ − ℓ*(u) − γ/2 |u − g|², and its maximiser.

        |·|² sums the off-label entries only (the margins), so the maximiser has a closed form. This is the
        proximal step of the method of multipliers (Rockafellar 1976); g (n, k) holds the multipliers.
        """
        raise TypeError(f"{self.name} is smooth already.")

    def smoothed_hessian(self, s: Array, y: Array, g: Array, gamma: float) -> Callable[[Array], Array]:
        """d (n, k) → a generalised Hessian of `smoothed` in s times d, (n, k)."""
        raise TypeError(f"{self.name} is smooth already.")

    def smoothed_hessian_mean(self, s: Array, y: Array, g: Array, gamma: float, w: Array) -> Array:
        """Σ_i w_i H_i of those Hessians, (k, k)."""
        raise TypeError(f"{self.name} is smooth already.")

    def smoothed_hessian_form(self, s: Array, y: Array, g: Array, gamma: float, Q: Array | None) -> Array:
        """q_aᵀ H_i q_a of those Hessians, (n, k)."""
        raise TypeError(f"{self.name} is smooth already.")

    def smoothed_star(self, s: np.ndarray, y: Array, g: Array, gamma: float) -> tuple[np.ndarray, np.ndarray]:
        """(a (n, k), c (n,)): a row's Hessian of those is Mᵀ (diag a − c a aᵀ) M / γ (`margins.py`); NumPy's rows."""
        raise TypeError(f"{self.name} is smooth already.")

    def smoothed_ahead(
        self, s: np.ndarray, y: Array, g: Array, gamma: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(u (n, k), a, c): the same star, and the maximiser, as if multipliers g that are free stayed free."""
        raise TypeError(f"{self.name} is smooth already.")

    def slack(self, s: Array, y: Array, g: Array, gamma: float) -> Array:
        """By how much a row's margins may move with `smoothed`'s maximiser staying where it is, (n,); ≤ 0: it moves."""
        raise TypeError(f"{self.name} is smooth already.")

    def nearest_dual(self, g: Array, y: Array) -> Array:
        """The dual point nearest to g (n, k) in the margins: removes what rounding put outside the domain of ℓ*."""
        return g

    def probabilities(self, s: Array) -> Array | None:
        """(n, k) → (n, k) rows that sum to 1, or None where the loss is no proper scoring rule."""
        return None

    def log_probabilities(self, s: Array) -> Array | None:
        """Their logarithms, finite also where a probability is too small a number for its type."""
        return None


def mean_by_probes(product: Any, s: Array, y: Array, w: Array) -> Array:
    """Σ_i w_i H_i from the k products with unit vectors; product(s, y, d) is a row-wise Hessian product."""
    xp = namespace(s)
    unit = xp.eye(s.shape[1], dtype=s.dtype, device=s.device)
    return xp.stack([w @ product(s, y, xp.zeros_like(s) + unit[j]) for j in range(s.shape[1])])


def form_by_probes(product: Any, s: Array, y: Array, Q: Array | None) -> Array:
    """q_aᵀ H_i q_a from the k products with the columns of Q."""
    xp = namespace(s)
    of = xp.eye(s.shape[1], dtype=s.dtype, device=s.device) if Q is None else Q
    columns = (xp.zeros_like(s) + of[:, a] for a in range(of.shape[1]))
    return xp.stack([xp.sum(d * product(s, y, d), axis=1) for d in columns], axis=1)
