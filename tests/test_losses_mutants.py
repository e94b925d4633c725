"""Planted errors: every check of the losses' contract is seen to fail on a loss that is wrong in its way.

A mutant is a registered loss with one method replaced; `PLANTED` names the checks that must notice it.
"""

import math

import numpy as np
import pytest

import test_losses_arrays as arrays
import test_losses_contract as contract
import test_losses_smoothed as smoothing
from linearhead.losses import CrammerSinger, CrossEntropy, Hinge, Logistic, Squared, SquaredHinge


def mutant(kind, **methods):
    """A loss like `kind` (same name) with these methods; each gets (self, right answer of kind, arguments)."""

    def wrap(name, change):
        return lambda self, *args: change(self, lambda *a: getattr(kind, name)(self, *a), *args)

    return type(f"Wrong{kind.__name__}", (kind,), {name: wrap(name, change) for name, change in methods.items()})()


def without_copy(self, right, s, y):
    """Right the first time; in torch +s is s."""
    answer, s = right(s, y), +s
    s *= 2
    return answer


def on_gradient(change):
    """A mutant of value_and_gradient that changes the gradient only."""

    def method(self, right, s, y):
        value, gradient = right(s, y)
        return value, change(gradient, s, y)

    return method


def on_value(change):
    def method(self, right, s, y):
        value, gradient = right(s, y)
        return change(value, s, y), gradient

    return method


def at(a, y, amount):
    a = a.copy()
    a[np.arange(len(a)), y] += amount
    return a


def one_global_max(self, right, s, y):
    e = np.exp(s - s.max())  # instead of each row's own
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(s)), y]), at(p, y, -1.0)


def no_max_at_all(self, right, s, y):
    p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(s)), y]), at(p, y, -1.0)


def diagonal_only(self, right, s, y, d):
    p = self.probabilities(s)
    return p * (1 - p) * d


def first_of_tied(self, right, s, y):
    g = right(s, y)
    best = int(np.argmax(g))
    g[np.arange(len(s)) != y] = 0
    g[best] = -g[y]
    return g


def first_label_only(self, right, s, y):
    return right(s, np.zeros_like(y))


def in_place(self, right, s, y):
    s -= s.max(axis=1, keepdims=True)
    return right(s, y)


def row_order_only(self, right, s, y):
    value, gradient = right(np.array(s, order="C"), y)
    flat = s.T.reshape(-1) if s.flags.f_contiguous and not s.flags.c_contiguous else None
    return (value, gradient) if flat is None else (value, flat[: s.size].reshape(s.shape))


def single_maximum(self, right, s, y):
    z = self.margin + s - s[np.arange(len(s)), y][:, None]
    z[np.arange(len(s)), y] = 0
    gradient = np.zeros_like(s)
    gradient[np.arange(len(s)), z.argmax(axis=1)] = z.max(axis=1) > 0
    return z.max(axis=1), at(gradient, y, -gradient.sum(axis=1))


def margin_ignored(self, right, s, y):
    return Hinge().value_and_gradient(s, y)


def overflowing(self, right, s, y):
    with np.errstate(all="ignore"):
        value = np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(s)), y]
    return value, right(s, y)[1]


def to_numpy(self, right, s, y):
    return right(np.asarray(s), np.asarray(y))


def forgets_gamma(self, right, s, y, g, gamma):
    return right(s, y, g, 2 * gamma)


def forgets_multipliers(self, right, s, y, g, gamma):
    return right(s, y, np.zeros_like(g), gamma)


def uncapped(self, right, xp, u):
    return np.clip(u, 0, 1)


def rescaled_to_the_cap(self, right, xp, u):
    v = np.maximum(u, 0)
    return v / np.maximum(v.sum(axis=1, keepdims=True), 1)


def without_the_shared_part(self, right, s, y, g, gamma):
    return Hinge(margin=self.margin).smoothed_hessian(s, y, g, gamma)


def double_conjugate(self, right, g, y):
    return 2 * right(g, y)


def careless_domain(self, right, g, y):
    value = right(g, y)
    return np.where(np.isinf(value), 0.0, value)


def wrong_sum(self, right, s, y, w):
    return right(s, y, w) / len(w)


def cubed_form(self, right, s, y, Q):
    return right(s, y, Q) * (1 + 1e-6)


def unnormalised(self, right, s):
    return 1 / (1 + np.exp(-s))


ce, sq, lo = CrossEntropy, Squared, Logistic
PLANTED = {
    "another sign for single rows": (
        mutant(Hinge, row_gradient=lambda self, right, s, y: -right(s, y)),
        contract.check_gradient_alone,
    ),
    "the first of tied margins in single rows": (
        mutant(CrammerSinger, row_gradient=first_of_tied),
        contract.check_gradient_alone,
    ),
    "sign flip": (mutant(ce, value_and_gradient=on_gradient(lambda g, s, y: -g)), contract.check_gradient),
    "label branch left out": (
        mutant(ce, value_and_gradient=on_gradient(lambda g, s, y: at(g, y, 1.0))),
        contract.check_gradient,
        contract.check_shift,
        contract.check_fenchel_young,
    ),
    "1/k slipped in": (
        mutant(sq, value_and_gradient=on_value(lambda v, s, y: v / s.shape[1])),
        contract.check_value,
        contract.check_gradient,
        contract.check_fenchel_young,
    ),
    "value 1e-9 too large": (
        mutant(Hinge, value_and_gradient=on_value(lambda v, s, y: v * (1 + 1e-9))),
        contract.check_value,
    ),
    "one global max": (mutant(ce, value_and_gradient=one_global_max), contract.check_rows_are_independent),
    "no max": (mutant(ce, value_and_gradient=no_max_at_all), arrays.check_extremes),
    "every label is 0": (
        mutant(Hinge, value_and_gradient=first_label_only),
        contract.check_value,
        contract.check_permutation,
    ),
    "the batch's mean removed": (
        mutant(lo, value_and_gradient=lambda self, right, s, y: right(s - s.mean(), y)),
        contract.check_rows_are_independent,
    ),
    "maximum subtracted in the logistic loss": (
        mutant(lo, value_and_gradient=lambda self, right, s, y: right(s - s.max(axis=1, keepdims=True), y)),
        contract.check_value,
        contract.check_shift,
    ),
    "first of the tied maxima": (mutant(CrammerSinger, value_and_gradient=single_maximum), contract.check_permutation),
    "margin ignored": (
        mutant(Hinge, value_and_gradient=lambda self, right, s, y: right(s * 2, y)),
        contract.check_value,
    ),
    "diagonal Hessian of softmax": (
        mutant(ce, hessian_product=diagonal_only),
        contract.check_hessian_product,
        contract.check_hessian_sums,
    ),
    "Hessian of another scale": (
        mutant(SquaredHinge, hessian_product=lambda self, right, s, y, d: right(s, y, d) / 2),
        contract.check_hessian_product,
        contract.check_curvature,
    ),
    "Hessian not symmetric": (
        mutant(ce, hessian_product=lambda self, right, s, y, d: right(s, y, d) + 1e-6 * d[:, ::-1] * s),
        contract.check_hessian_symmetry,
    ),
    "Hessian negative": (
        mutant(sq, hessian_product=lambda self, right, s, y, d: -d),
        contract.check_hessian_symmetry,
    ),
    "mean instead of sum": (mutant(lo, hessian_mean=wrong_sum), contract.check_hessian_sums),
    "diagonal of the whole matrix": (
        mutant(ce, hessian_form=lambda self, right, s, y, Q: self.probabilities(s) if Q is None else right(s, y, Q)),
        contract.check_hessian_sums,
    ),
    "parts of a root": (
        mutant(ce, hessian_parts=lambda self, right, s, y: (right(s, y)[0], right(s, y)[1] ** 0.5)),
        contract.check_hessian_sums,
    ),
    "conjugate of shares at the label, too": (
        mutant(Hinge, conjugate_of_shares=lambda self, right, q: right(q) - self.margin * q),
        contract.check_conjugate_of_shares,
    ),
    "factor of half the Hessian": (
        mutant(SquaredHinge, factor=lambda self, right, s, y: (right(s, y)[0], right(s, y)[1] / 2**0.5)),
        contract.check_hessian_sums,
    ),
    "form slightly off": (mutant(SquaredHinge, hessian_form=cubed_form), contract.check_hessian_sums),
    "curvature too small": (mutant(ce, curvature=lambda self, right, k: 0.49), contract.check_curvature),
    "curvature too large": (mutant(lo, curvature=lambda self, right, k: 0.5), contract.check_curvature),
    "a curvature for a kink": (mutant(Hinge, curvature=lambda self, right, k: 1.0), contract.check_no_curvature),
    "a Hessian for a kink": (
        mutant(Hinge, hessian_product=lambda self, right, s, y, d: 0 * d),
        contract.check_no_curvature,
    ),
    "smoothing of the smooth": (
        mutant(sq, smoothed=lambda self, right, s, y, g, gamma: (s[:, 0], g)),
        contract.check_no_curvature,
    ),
    "conjugate doubled": (mutant(ce, conjugate=double_conjugate), contract.check_fenchel_young),
    "conjugate without the margin": (
        mutant(Hinge, conjugate=lambda self, right, g, y: 0 * right(g, y)),
        contract.check_fenchel_young,
        contract.check_conjugate_domain,
        contract.check_margin,
    ),
    "conjugate without a domain": (mutant(CrammerSinger, conjugate=careless_domain), contract.check_conjugate_domain),
    "conjugate of too small a domain": (
        mutant(ce, conjugate=lambda self, right, g, y: np.where(g.max(axis=1) < 0.4, right(g, y), math.inf)),
        contract.check_fenchel_young,
    ),
    "writes into the scores": (mutant(ce, value_and_gradient=in_place), arrays.check_inputs_untouched),
    "takes +s for a copy": (mutant(sq, value_and_gradient=without_copy), arrays.check_torch),
    "gives the input back": (
        mutant(sq, hessian_product=lambda self, right, s, y, d: d),
        arrays.check_inputs_untouched,
    ),
    "row order taken for granted": (mutant(sq, value_and_gradient=row_order_only), arrays.check_layouts),
    "float64 out of float32": (
        mutant(ce, value_and_gradient=on_value(lambda v, s, y: v.astype(np.float64))),
        arrays.check_types,
    ),
    "NumPy out of another library": (mutant(ce, value_and_gradient=to_numpy), arrays.check_types),
    "exponentials that overflow": (mutant(ce, value_and_gradient=overflowing), arrays.check_extremes),
    "unnormalised probabilities": (mutant(lo, probabilities=unnormalised), contract.check_probabilities),
    "probabilities of a hinge": (mutant(Hinge, probabilities=lambda self, right, s: s), contract.check_probabilities),
    "no answer for one class": (
        mutant(
            ce, value_and_gradient=lambda self, right, s, y: right(s[:, : max(2, s.shape[1])] / (s.shape[1] - 1), y)
        ),
        arrays.check_one_class,
    ),
    "γ taken twice": (
        mutant(Hinge, smoothed=forgets_gamma),
        smoothing.check_maximum,
        smoothing.check_nearby_rivals,
    ),
    "multipliers ignored": (
        mutant(CrammerSinger, smoothed=forgets_multipliers),
        smoothing.check_maximum,
        smoothing.check_fixed_point,
    ),
    "Danskin's sign": (
        mutant(Hinge, smoothed=lambda self, right, s, y, g, c: (right(s, y, g, c)[0], -right(s, y, g, c)[1])),
        smoothing.check_gradient,
        smoothing.check_limit,
    ),
    "the cap forgotten": (
        mutant(CrammerSinger, project=uncapped),
        smoothing.check_maximum,
        smoothing.check_many_classes,
    ),
    "rescaled instead of projected": (
        mutant(CrammerSinger, project=rescaled_to_the_cap),
        smoothing.check_nearby_rivals,
    ),
    "the Hessian's shared part left out": (
        mutant(CrammerSinger, smoothed_hessian=without_the_shared_part),
        smoothing.check_hessian_product,
    ),
    "the smoothed Hessian scaled": (
        mutant(Hinge, smoothed_hessian=lambda self, right, s, y, g, c: right(s, y, g, c / 2)),
        smoothing.check_hessian_sums,
        smoothing.check_hessian_product,
        smoothing.check_hessian_bounds,
    ),
    "the label's multiplier counted": (
        mutant(
            Hinge, smoothed=lambda self, right, s, y, g, c: (right(s, y, g, c)[0] + g.sum(axis=1), right(s, y, g, c)[1])
        ),
        smoothing.check_label_entry,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_error_is_found(name):
    loss, *checks = PLANTED[name]
    for check in checks:
        with pytest.raises((AssertionError, pytest.fail.Exception, FloatingPointError, RuntimeWarning)):
            check(loss)


def test_every_check_is_seen_to_fail():
    planted = {check for _, *checks in PLANTED.values() for check in checks}
    every = {*contract.ALWAYS, *contract.SMOOTH, *arrays.ARRAYS, *smoothing.CHECKS}
    assert not every - planted, [check.__name__ for check in every - planted]
    assert len(PLANTED) >= 40


def test_a_mutant_without_a_change_passes():
    """The machinery itself plants nothing: failures come from the errors."""
    unchanged = mutant(ce, value_and_gradient=lambda self, right, s, y: right(s, y))
    for check in (*contract.ALWAYS, *contract.SMOOTH, *arrays.ARRAYS):
        check(unchanged)
