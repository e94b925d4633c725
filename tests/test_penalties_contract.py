"""The contract of every registered penalty, and planted errors that its checks are seen to find.

A check takes a penalty and raises AssertionError. The prox is checked through Moreau's identity, the conjugate by
brute force in one dimension.
"""

import math

import array_api_strict
import numpy as np
import pytest

from linearhead.errors import UsageError
from linearhead.penalties import L1, L2, PENALTIES, ElasticNet, NoPenalty

STEPS = (1e-3, 0.2, 1.0, 7.0)


def weights(seed=0, shape=(7, 4), zeros=True):
    """W with entries of several sizes, some exactly 0 where asked."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=shape) * 10.0 ** rng.uniform(-1, 1, size=shape)
    return np.where(rng.uniform(size=shape) < 0.2, 0.0, W) if zeros else W + np.sign(W) * 1e-2


def textbook(penalty, w):
    """R of one number, or of many one by one."""
    rho = {"none": 0.0, "l2": 0.0, "l1": 1.0}.get(penalty.name, getattr(penalty, "l1_ratio", 0.0))
    return 0.0 * w if penalty.name == "none" else rho * abs(w) + (1 - rho) / 2 * w * w


def in_domain(penalty, seed):
    """A point of the conjugate's domain."""
    return penalty.gradient(weights(seed))


def close(found, wanted, rtol=1e-12, atol=1e-12):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def check_value(penalty):
    """The sum of the entries' own, a float, 0 at 0."""
    for W in (weights(), weights(1, (1, 1)), -weights(2), np.zeros((3, 2)), np.zeros((0, 3))):
        value = penalty.value(W)
        assert isinstance(value, float)
        close(value, math.fsum(textbook(penalty, float(w)) for w in W.ravel()))


def check_gradient(penalty):
    W, h = weights(3, zeros=False), 1e-6
    found = np.empty_like(W)
    for i in np.ndindex(W.shape):
        step = np.zeros_like(W)
        step[i] = h
        found[i] = (penalty.value(W + step) - penalty.value(W - step)) / (2 * h)
    close(penalty.gradient(W), found, rtol=1e-7, atol=1e-6)


def check_centre(penalty):
    """No other shift of a row's weights makes R less."""
    if penalty.smooth:
        return
    for k in (1, 2, 5, 6):
        W = weights(30 + k, (9, k))
        found = penalty.centre(W)
        assert found.shape == (9, 1)
        least = np.array([penalty.value(row[None]) for row in W - found])
        tried = [
            0.0,
            *np.linspace(W.min(), W.max(), 2001),
            *W.ravel(),
            *(found + 1e-9).ravel(),
            *(found - 1e-9).ravel(),
        ]
        for m in tried:
            assert np.all(least <= [penalty.value(row[None] - m) + 1e-12 for row in W])
        close(penalty.centre(W - found), 0 * found, atol=1e-10)  # what is centred stays as it is


def check_descent(penalty):
    """`descend` is W − t ∇R(W), in place."""
    for kind, rtol in ((np.float64, 1e-14), (np.float32, 1e-6)):
        W = np.asfortranarray(weights(12)).astype(kind)
        wanted, held = W - 0.3 * penalty.gradient(W), W
        penalty.descend(W, 0.3)
        assert held is W
        assert W.dtype == kind
        close(W, wanted, rtol=rtol, atol=rtol)


def check_gradient_at_zero(penalty):
    """The subgradient of least norm at W = 0 is 0."""
    W = weights(4)
    assert (W == 0).any()
    assert not penalty.gradient(W)[W == 0].any()


def check_hessian_product(penalty):
    W, V, h = weights(5, zeros=False), weights(6), 1e-7
    close(
        penalty.hessian_product(W, V), (penalty.gradient(W + h * V) - penalty.gradient(W - h * V)) / (2 * h), rtol=1e-6
    )


def check_moreau(penalty):
    """V = prox_t(W): u = (W − V)/t is a subgradient at V, that is R(V) + R*(u) = ⟨u, V⟩."""
    for seed in range(5):
        W = weights(seed)
        for t in STEPS:
            V = penalty.prox(W, t)
            u = (W - V) / t
            u *= (inside := penalty.dual_scale(u))  # the quotient's round-off may leave the domain
            assert inside > 1 - 1e-9
            close(penalty.value(V) + penalty.conjugate(u), np.vdot(u, V), rtol=1e-9, atol=1e-9)


def check_prox_is_the_minimum(penalty):
    """No rival has a smaller t R(V) + ½ ‖V − W‖²; the prox never lengthens a distance."""
    rng = np.random.default_rng(7)
    W, other = weights(7), weights(8)
    for t in STEPS:

        def objective(V, t=t):
            return t * penalty.value(V) + 0.5 * np.sum((V - W) ** 2)

        best = penalty.prox(W, t)
        for V in [W, 0 * W, *(best + rng.normal(size=W.shape) * 10.0**-e for e in range(5) for _ in range(20))]:
            assert objective(best) <= objective(V) + 1e-12
        assert np.linalg.norm(best - penalty.prox(other, t)) <= np.linalg.norm(W - other)


def check_prox_steps(penalty):
    """t may be an array that broadcasts; a step of 0 moves nothing."""
    W = weights(9)
    t = np.array([0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 9.0])[:, None]
    found = penalty.prox(W, t)
    for i, step in enumerate(t[:, 0]):
        close(found[i], penalty.prox(W[i : i + 1], float(step))[0], atol=0)
    assert np.array_equal(found[0], W[0])
    if penalty.name != "none":
        assert np.linalg.norm(found[-1]) < np.linalg.norm(W[-1])


def check_conjugate(penalty):
    """sup_w u w − R(w) in one dimension, over a grid that grows where the supremum is infinite."""
    for u in (-3.0, -1.2, -0.9, -0.3, 0.0, 0.2, 0.75, 0.999, 1.4, 2.5):
        grids = np.linspace(-500, 500, 20001), np.linspace(-1000, 1000, 20001)
        best = [float(np.max(u * w - textbook(penalty, w))) for w in grids]
        found = penalty.conjugate(np.array([[u]]))
        assert isinstance(found, float)
        if best[1] > best[0] + 1:  # unbounded
            assert found == math.inf
        else:
            assert abs(found - best[0]) <= 3e-3
    U = in_domain(penalty, 10)
    close(penalty.conjugate(U), sum(penalty.conjugate(u.reshape(1, 1)) for u in U.ravel()))


def check_fenchel_young(penalty):
    """R(W) + R*(U) ≥ ⟨U, W⟩, with equality at U = ∇R(W)."""
    for seed in range(6):
        W, U = weights(seed), in_domain(penalty, seed + 20)
        assert penalty.value(W) + penalty.conjugate(U) >= np.vdot(U, W) - 1e-9
        mine = penalty.gradient(W)
        close(penalty.value(W) + penalty.conjugate(mine), np.vdot(mine, W), rtol=1e-10)


def check_strong_convexity(penalty):
    """R − m/2 ‖·‖² is convex for the m it states, and for no larger one."""
    m, h = penalty.strong_convexity, 1e-2
    W, D = weights(11, zeros=False), weights(12)

    def bend(m):
        def rest(V):
            return penalty.value(V) - m / 2 * np.sum(V * V)

        return (rest(W + h * D) - 2 * rest(W) + rest(W - h * D)) / h**2

    sizes = np.sum(D * D)
    crossing = np.sign(W + h * D) != np.sign(W - h * D)
    D = np.where(crossing, 0.0, D)  # along D no entry changes its sign
    sizes = np.sum(D * D)
    assert bend(m) >= -1e-6 * sizes
    assert bend(m + 0.01) <= -0.009 * sizes


def check_dual_scale(penalty):
    """c U is in the conjugate's domain, and c is the largest such number up to 1."""
    for seed in range(5):
        for size in (1e-3, 1.0, 40.0):
            U = size * weights(seed)
            c = penalty.dual_scale(U)
            assert 0 <= c <= 1
            assert math.isfinite(penalty.conjugate(c * U))
            if c < 1:
                assert penalty.conjugate((c + 1e-6) * U) == math.inf
    assert penalty.dual_scale(np.zeros((2, 2))) == 1
    assert penalty.dual_scale(np.zeros((0, 2))) == 1


def check_arrays(penalty):
    """Inputs untouched, float32 kept, any layout, any array-API library."""
    W, V = weights(13), weights(14)
    U = in_domain(penalty, 15)
    answers = {
        "value": lambda W, V, U: penalty.value(W),
        "gradient": lambda W, V, U: penalty.gradient(W),
        "hessian_product": lambda W, V, U: penalty.hessian_product(W, V),
        "prox": lambda W, V, U: penalty.prox(W, 0.3),
        "conjugate": lambda W, V, U: penalty.conjugate(U),
        "dual_scale": lambda W, V, U: penalty.dual_scale(U),
    }
    before = W.copy(), V.copy(), U.copy()
    for a in (W, V, U):
        a.setflags(write=False)
    for name, answer in answers.items():
        try:
            wanted = answer(W, V, U)
        except ValueError as error:
            raise AssertionError(f"{name} writes into its inputs") from error
        close(answer(*(np.asfortranarray(a) for a in (W, V, U))), wanted, atol=1e-13)
        strict = answer(*(array_api_strict.asarray(a) for a in (W, V, U)))
        close(np.asarray(strict), wanted, atol=1e-13)
        narrow = answer(*(a.astype(np.float32) for a in (W, V, U)))
        close(narrow, wanted, rtol=1e-5, atol=1e-5)
        assert not isinstance(wanted, np.ndarray) or narrow.dtype == np.float32
    assert all(np.array_equal(a, b) for a, b in zip(before, (W, V, U), strict=True))
    assert not np.shares_memory(penalty.prox(W, 0.3), W)


def check_smoothness(penalty):
    """`smooth` says whether the gradient is continuous at 0."""
    jump = np.abs(penalty.gradient(np.full((1, 1), 1e-9)) - penalty.gradient(np.full((1, 1), -1e-9))).max()
    assert penalty.smooth == (jump < 1e-6)


CHECKS = [
    check_value,
    check_gradient,
    check_centre,
    check_descent,
    check_gradient_at_zero,
    check_hessian_product,
    check_moreau,
    check_prox_is_the_minimum,
    check_prox_steps,
    check_conjugate,
    check_fenchel_young,
    check_strong_convexity,
    check_dual_scale,
    check_arrays,
    check_smoothness,
]
VARIANTS = [pytest.param(kind(), id=name) for name, kind in PENALTIES.items()]
VARIANTS += [pytest.param(ElasticNet(l1_ratio=ratio), id=f"elastic_net-{ratio}") for ratio in (0.05, 0.9, 1.0)]


@pytest.mark.parametrize("penalty", VARIANTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_contract(penalty, check):
    check(penalty)


def test_registry():
    assert list(PENALTIES) == ["none", "l2", "l1", "elastic_net"]
    assert [kind.name for kind in PENALTIES.values()] == list(PENALTIES)
    assert [kind.smooth for kind in PENALTIES.values()] == [True, True, False, False]
    assert all(len(kind.title) > 1 and kind.formula for kind in PENALTIES.values())


def test_elastic_net_lies_between_l2_and_l1():
    W, t = weights(16), 0.4
    for ratio, end in ((0.0, L2()), (1.0, L1())):
        net = ElasticNet(l1_ratio=ratio)
        close(net.value(W), end.value(W))
        close(net.gradient(W), end.gradient(W))
        close(net.prox(W, t), end.prox(W, t))
        close(net.conjugate(end.gradient(W)), end.conjugate(end.gradient(W)))
        assert net.strong_convexity == end.strong_convexity == 1 - ratio
        assert net.dual_scale(2 * W) == end.dual_scale(2 * W)
    assert ElasticNet().l1_ratio == 0.5


@pytest.mark.parametrize("ratio", [-0.1, 1.01, math.nan])
def test_a_share_outside_0_to_1_is_refused(ratio):
    with pytest.raises(UsageError, match=f"l1_ratio is {ratio}; needed is a number from 0 to 1"):
        ElasticNet(l1_ratio=ratio)


@pytest.mark.parametrize("penalty", [L1(), ElasticNet(l1_ratio=1.0)], ids=["l1", "elastic_net"])
def test_the_conjugate_forgives_sixteen_roundings_and_not_seventeen(penalty):
    for sign in (1, -1):
        assert penalty.conjugate(np.array([[sign * (1 + 16 * 2.0**-52), 0.5]])) == 0
        assert penalty.conjugate(np.array([[sign * (1 + 17 * 2.0**-52), 0.5]])) == math.inf
    assert penalty.dual_scale(np.array([[1.0, -0.5]])) == 1
    assert penalty.dual_scale(np.array([[1 + 2.0**-20, -0.5]])) < 1


def test_soft_threshold_by_hand():
    W = np.array([[3.0, -0.5, 0.5, -2.0, 0.0]])
    assert L1().prox(W, 0.5).tolist() == [[2.5, 0.0, 0.0, -1.5, 0.0]]
    assert ElasticNet(l1_ratio=0.5).prox(W, 1.0).tolist() == [[2.5 / 1.5, 0.0, 0.0, -1.5 / 1.5, 0.0]]
    assert L2().prox(W, 1.0).tolist() == [[1.5, -0.25, 0.25, -1.0, 0.0]]
    assert NoPenalty().prox(W, 9.0).tolist() == W.tolist()


# ── planted errors ────────────────────────────────────────────────────────────────────────────────
def mutant(kind, **methods):
    """A penalty like `kind` with these methods; each gets (right answer of kind, arguments)."""

    def wrap(name, change):
        return lambda self, *args: change(lambda *a: getattr(kind, name)(self, *a), *args)

    changed = {name: wrap(name, change) for name, change in methods.items() if callable(change)}
    changed |= {name: change for name, change in methods.items() if not callable(change)}
    return type(f"Wrong{kind.__name__}", (kind,), changed)()


def in_place(right, W, t):
    W *= 1 / (1 + t)
    return W


PLANTED = {
    "value doubled": (mutant(L2, value=lambda right, W: 2 * right(W)), check_value, check_moreau, check_fenchel_young),
    "value is an array": (mutant(L2, value=lambda right, W: np.float32(right(W))), check_value),
    "½ forgotten in the gradient": (mutant(L2, gradient=lambda right, W: 2 * W), check_gradient),
    "sign flip": (mutant(L1, gradient=lambda right, W: -right(W)), check_gradient, check_fenchel_young),
    "a sign of 0": (
        mutant(L1, gradient=lambda right, W: np.where(W >= 0, 1.0, -1.0)),
        check_gradient_at_zero,
    ),
    "decay doubled": (mutant(L2, descend=lambda right, W, t: right(W, 2 * t)), check_descent),
    "a step not in place": (mutant(L2, descend=lambda right, W, t: (1 - t) * W), check_descent),
    "Hessian scaled twice": (
        mutant(ElasticNet, hessian_product=lambda right, W, V: right(W, V) / 2),
        check_hessian_product,
    ),
    "prox of another step": (
        mutant(L1, prox=lambda right, W, t: right(W, 2 * t)),
        check_moreau,
        check_prox_is_the_minimum,
    ),
    "hard threshold": (
        mutant(L1, prox=lambda right, W, t: np.where(np.abs(W) > t, W, 0)),
        check_moreau,
        check_prox_is_the_minimum,
    ),
    "prox that passes 0": (mutant(L1, prox=lambda right, W, t: W - t * np.sign(W)), check_moreau),
    "in-place prox": (mutant(L2, prox=in_place), check_arrays),
    "prox with the first step for all": (
        mutant(L2, prox=lambda right, W, t: right(W, float(np.ravel(t)[0]))),
        check_prox_steps,
    ),
    "conjugate without a domain": (mutant(L1, conjugate=lambda right, U: 0.0), check_conjugate, check_dual_scale),
    "conjugate scaled twice": (
        mutant(ElasticNet, conjugate=lambda right, U: 0.5 * right(U)),
        check_conjugate,
        check_fenchel_young,
    ),
    "strong convexity overstated": (mutant(ElasticNet, strong_convexity=0.6), check_strong_convexity),
    "strong convexity understated": (mutant(L2, strong_convexity=0.9), check_strong_convexity),
    "dual scale too timid": (mutant(L1, dual_scale=lambda right, U: 0.5 * right(U)), check_dual_scale),
    "dual scale too bold": (mutant(L1, dual_scale=lambda right, U: 1.0), check_dual_scale),
    "float64 out of float32": (
        mutant(L1, gradient=lambda right, W: np.sign(np.asarray(W, dtype=np.float64))),
        check_arrays,
    ),
    "a mean for a median": (mutant(L1, centre=lambda right, W: W.mean(axis=1, keepdims=True)), check_centre),
    "the median of an elastic net": (mutant(ElasticNet, centre=lambda right, W: L1().centre(W)), check_centre),
    "a kink denied": (mutant(L1, smooth=True), check_smoothness),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_error_is_found(name):
    penalty, *checks = PLANTED[name]
    for check in checks:
        with pytest.raises(AssertionError):
            check(penalty)


def test_every_check_is_seen_to_fail():
    planted = {check for _, *checks in PLANTED.values() for check in checks}
    assert not set(CHECKS) - planted, [check.__name__ for check in set(CHECKS) - planted]
