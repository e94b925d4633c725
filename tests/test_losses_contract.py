"""The contract of every registered loss, as checks that `test_losses_mutants.py` sees fail on planted errors.

A check takes a loss and raises AssertionError. Derivatives are checked by central differences away from kinks,
curvature by eigenvalues, the conjugate by Fenchel–Young.
"""

import math

import numpy as np
import pytest
from scipy.special import log_expit, log_softmax

from linearhead.errors import UsageError
from linearhead.losses import LOSSES
from linearhead.losses.contract import Loss, form_by_probes, mean_by_probes

CLASSES = (2, 3, 5, 10, 20, 50)
SHIFTED = {"logistic", "squared"}  # the losses that a common shift of a row's scores changes


# ── points ────────────────────────────────────────────────────────────────────────────────────────
def kink_distance(loss, s, y):
    """How far each row is from a kink: the least |margin|, or gap between the two largest margins. (n,)"""
    if not hasattr(loss, "margin"):
        return np.full(len(s), np.inf)
    own = np.arange(s.shape[1]) == y[:, None]
    z = loss.margin + s - s[np.arange(len(s)), y][:, None]
    largest = np.sort(np.where(own, -np.inf, z), axis=1)[:, ::-1]
    gap = largest[:, 0] - largest[:, 1] if s.shape[1] > 2 else np.inf
    return np.minimum(np.where(own, np.inf, np.abs(z)).min(axis=1), gap)


def rows(loss, k, n=24, seed=0):
    """Scores (n, k) of three sizes, away from kinks, and labels (n,) of many classes."""
    rng = np.random.default_rng([seed, k])
    s = rng.normal(size=(4 * n, k)) * rng.choice([0.2, 1.0, 4.0], size=(4 * n, 1))
    y = rng.permutation(np.arange(4 * n) % k)
    away = np.flatnonzero(kink_distance(loss, s, y) > 1e-3)[:n]
    assert len(away) == n
    return s[away], y[away]


def slopes(fn, s, h=1e-5):
    """Central differences of fn: (n, k) → (n,) in every entry, (n, k)."""
    step = h * np.eye(s.shape[1])
    return np.stack([(fn(s + e) - fn(s - e)) / (2 * h) for e in step], axis=1)


def hessians(loss, s, y):
    """(n, k, k) from products with unit vectors."""
    return np.stack([loss.hessian_product(s, y, np.zeros_like(s) + e) for e in np.eye(s.shape[1])], axis=2)


def close(found, wanted, rtol=1e-12, atol=1e-12):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


# ── value and derivatives ─────────────────────────────────────────────────────────────────────────
def textbook(loss, s, y):
    """ℓ as the lecture writes it, one row at a time."""
    s, own = list(map(float, s)), float(s[y])
    z = [loss.margin + v - own for j, v in enumerate(s) if j != y] if hasattr(loss, "margin") else []
    return {
        "cross_entropy": lambda: -math.log(math.exp(own) / sum(math.exp(v) for v in s)),
        "logistic": lambda: sum(math.log(1 + math.exp(-v if j == y else v)) for j, v in enumerate(s)),
        "hinge": lambda: sum(max(0, v) for v in z),
        "crammer_singer": lambda: max(0, *z),
        "squared_hinge": lambda: sum(max(0, v) ** 2 for v in z),
        "squared": lambda: 0.5 * sum((v - (j == y)) ** 2 for j, v in enumerate(s)),
    }[loss.name]()


def check_value(loss):
    for k in CLASSES:
        s, y = rows(loss, k)
        close(loss.value(s, y), [textbook(loss, *row) for row in zip(s, y, strict=True)])
        assert loss.value(s, y).shape == (len(s),)


def check_gradient(loss):
    for k in CLASSES:
        s, y = rows(loss, k, seed=1)
        value, gradient = loss.value_and_gradient(s, y)
        error = np.abs(gradient - slopes(lambda t, y=y: loss.value(t, y), s))
        assert gradient.shape == s.shape
        assert (error <= 2e-10 * (5 + value[:, None])).all(), error.max()


def check_gradient_alone(loss):
    """`gradient` is the second half of `value_and_gradient`, for many rows and for each alone, with ties too."""
    for k in CLASSES:
        s, y = rows(loss, k, n=30, seed=15)
        s[::5] = 0.0
        s[1::5] = 100 * s[1::5]
        s[2::10, 0] = s[2::10, -1] = s[2::10].max(axis=1) + 5  # the two best tie
        wanted = loss.value_and_gradient(s, y)[1]
        close(loss.gradient(s, y), wanted)
        scale = np.abs(wanted).max(axis=1, keepdims=True) + 1e-300
        for kind, rtol in ((np.float64, 1e-13), (np.float32, 1e-5)):
            each = [(s[i : i + 1].astype(kind), y[i : i + 1]) for i in range(len(s))]
            alone = np.concatenate([loss.gradient(*row) for row in each])
            assert alone.dtype == kind
            assert (np.abs(alone - wanted) <= rtol * np.maximum(scale, 1)).all()
            assert loss.gradient(*each[0]).shape == (1, k)


def check_hessian_product(loss):
    for k in CLASSES:
        s, y = rows(loss, k, seed=2)
        d = np.random.default_rng(k).normal(size=s.shape)
        h = 1e-5
        ahead, behind = (loss.value_and_gradient(s + t * d, y)[1] for t in (h, -h))
        close(loss.hessian_product(s, y, d), (ahead - behind) / (2 * h), rtol=1e-7, atol=2e-9 * k)


def check_hessian_symmetry(loss):
    for k in CLASSES:
        H = hessians(loss, *rows(loss, k, seed=3))
        close(H, H.transpose(0, 2, 1))
        assert np.linalg.eigvalsh(H).min() >= -1e-12 * k


def check_hessian_sums(loss):
    """`hessian_mean`, `hessian_form`, `hessian_parts` and `factor` against k probes each."""
    for k in CLASSES:
        s, y = rows(loss, k, seed=4)
        rng = np.random.default_rng(k)
        w, Q = rng.uniform(0, 2, size=len(s)), rng.normal(size=(k, k))
        close(loss.hessian_mean(s, y, w), mean_by_probes(loss.hessian_product, s, y, w), atol=1e-11)
        for turn in (Q, None):
            close(loss.hessian_form(s, y, turn), form_by_probes(loss.hessian_product, s, y, turn), atol=1e-10)
        if loss.splits:
            a, b = loss.hessian_parts(s, y)
            close(a[:, :, None] * np.eye(k) - b[:, :, None] * b[:, None], hessians(loss, s, y), atol=1e-12)
        else:
            with pytest.raises(TypeError, match="another form"):
                loss.hessian_parts(s, y)
        if loss.piecewise:
            row, h = loss.factor(s, y)
            found = np.zeros((len(s), k, k))
            np.add.at(found, row, h[:, :, None] * h[:, None])
            close(found, hessians(loss, s, y))
        else:
            with pytest.raises(TypeError, match="not quadratic"):
                loss.factor(s, y)


def check_curvature(loss):
    """The bound holds on random and on extreme rows, and is reached."""
    for k in CLASSES:
        s, y = rows(loss, k, seed=5)
        pair = np.full((1, k), -60.0)
        pair[0, :2] = 0  # two classes tie, the rest far below
        s, y = np.concatenate([s, pair, np.zeros((1, k))]), np.append(y, [0, 0])
        largest = np.linalg.eigvalsh(hessians(loss, s, y)).max()
        assert largest <= loss.curvature(k) * (1 + 1e-12)
        assert largest >= loss.curvature(k) * (1 - 1e-12)


def check_no_curvature(loss):
    """A kinked loss has no bound and says why it has no Hessian; a smooth one needs no smoothing."""
    s, y = rows(loss, 3)
    if loss.smoothness:
        assert 0 < loss.curvature(3) < math.inf
        refused = [lambda: loss.smoothed(s, y, s, 0.1), lambda: loss.smoothed_hessian(s, y, s, 0.1)]
    else:
        assert loss.curvature(3) == math.inf
        refused = [lambda: loss.hessian_product(s, y, s)]
    for call in refused:
        with pytest.raises(TypeError, match=loss.name):
            call()


# ── conjugate ─────────────────────────────────────────────────────────────────────────────────────
def check_fenchel_young(loss):
    """ℓ(s) + ℓ*(g) ≥ ⟨g, s⟩, with equality at g = ∇ℓ(s); mixtures of gradients are in the domain too."""
    for k in CLASSES:
        s, y = rows(loss, k, n=36, seed=6)
        s[::6] = 0  # where all margins tie, a subgradient is as tight as any
        value, g = loss.value_and_gradient(s, y)
        close(value + loss.conjugate(g, y), (g * s).sum(axis=1), atol=1e-11 * k)
        for label in np.unique(y)[:3]:
            mine = np.flatnonzero(y == label)
            for other in mine:
                mixed = 0.5 * (g[mine] + g[other])
                gap = value[mine] + loss.conjugate(mixed, y[mine]) - (mixed * s[mine]).sum(axis=1)
                assert np.isfinite(gap).all()
                assert gap.min() >= -1e-11 * k


def vertex(k, y, at, size=1.0):
    """size on the classes `at`, minus their sum on the label."""
    g = np.zeros((1, k))
    g[0, list(at)] = size
    g[0, y] = -size * len(at)
    return g


def check_conjugate_domain(loss):
    """Finite at 0 and at e_j − e_label with the right numbers; +inf a step outside."""
    margin, y = getattr(loss, "margin", None), np.array([1])
    at_vertex = {"hinge": lambda: -margin, "crammer_singer": lambda: -margin, "squared_hinge": lambda: 0.25 - margin}
    for k in (3, 7):
        close(loss.conjugate(np.zeros((1, k)), y), 0)
        close(loss.conjugate(vertex(k, 1, [0]), y), at_vertex.get(loss.name, lambda: 0)())
        if loss.name == "squared":
            close(loss.conjugate(np.full((1, k), 3.0), y), 4.5 * k + 3)
            continue
        outside = [vertex(k, 1, [0], -0.01), vertex(k, 1, [2], -0.01)]
        if loss.name not in SHIFTED:
            at_label = np.arange(k) == 1  # too much or too little there: the row no longer sums to 0
            outside += [vertex(k, 1, [0]) + 0.01, vertex(k, 1, [0], 0.5) + 0.01 * at_label]
            outside += [vertex(k, 1, [0]) - 0.01 * at_label, vertex(k, 1, [0], 0.5) - 0.01 * at_label]
        if loss.name != "squared_hinge":
            outside.append(vertex(k, 1, [0], 1.01))
        if loss.name in ("cross_entropy", "crammer_singer", "logistic"):
            outside.append(vertex(k, 1, [0, 2], 0.51))
        for g in outside:
            assert loss.conjugate(g, y)[0] == math.inf, g
        if loss.name in ("hinge", "squared_hinge"):
            assert np.isfinite(loss.conjugate(vertex(k, 1, [0, 2], 0.9), y)).all()


# ── symmetries ────────────────────────────────────────────────────────────────────────────────────
def check_conjugate_of_shares(loss):
    """ℓ*(q − e_y) for all labels at once against `conjugate`, q with and without zeros."""
    for k in CLASSES:
        q = np.random.default_rng(k).dirichlet(np.ones(k))
        corner = np.eye(k)[k - 1]
        for shares in (q, corner, 0.5 * (corner + np.eye(k)[0])):
            close(loss.conjugate_of_shares(shares), Loss.conjugate_of_shares(loss, shares), atol=1e-14)


def check_rows_are_independent(loss):
    """A row's answers don't depend on its neighbours, however far apart their scores are."""
    for k in (2, 10, 50):
        s, y = rows(loss, k, seed=7)
        s += 10.0 ** np.arange(-5, 7).repeat(2)[:, None] * np.where(np.arange(24) % 2, 1, -1)[:, None]
        together = loss.value_and_gradient(s, y)
        p = loss.probabilities(s)
        for i in range(len(s)):
            for mine, alone in zip(together, loss.value_and_gradient(s[i : i + 1], y[i : i + 1]), strict=True):
                close(mine[i], alone[0], atol=0)
            if p is not None:
                close(p[i], loss.probabilities(s[i : i + 1])[0], atol=0)


def check_permutation(loss):
    """Renaming the classes renames the answers, also where all scores tie."""
    for k in CLASSES:
        s, y = rows(loss, k, seed=8)
        s[::4] = 0
        order = np.random.default_rng(k).permutation(k)
        value, gradient = loss.value_and_gradient(s, y)
        again, permuted = loss.value_and_gradient(s[:, order], np.argsort(order)[y])
        close(again, value)
        close(permuted, gradient[:, order])


def check_shift(loss):
    """A constant added to a row's scores changes nothing, and the gradient's rows sum to 0."""
    changed = 0.0
    for k in CLASSES:
        s, y = rows(loss, k, seed=9)
        value, gradient = loss.value_and_gradient(s, y)
        moved, tilted = loss.value_and_gradient(s + 0.75, y)
        if loss.name in SHIFTED:
            changed += np.abs(moved - value).max()
            continue
        close(moved, value)
        close(tilted, gradient)
        close(gradient.sum(axis=1), 0)
    assert (changed > 1e-3) == (loss.name in SHIFTED)
    assert loss.shift_invariant == (loss.name not in SHIFTED)


def check_margin(loss):
    """Δ and the scores in other units: ℓ_{cΔ}(c s) = c^p ℓ_Δ(s), p = 2 for the squared hinge; Δ = 1 by default."""
    if not hasattr(loss, "margin"):
        return
    power = 2 if loss.name == "squared_hinge" else 1
    assert type(loss)().margin == 1
    for k in CLASSES:
        s, y = rows(loss, k, seed=10)
        wide = type(loss)(margin=3 * loss.margin)
        close(wide.value(3 * s, y), 3**power * loss.value(s, y))
        close(wide.value_and_gradient(3 * s, y)[1], 3 ** (power - 1) * loss.value_and_gradient(s, y)[1])
        g = loss.value_and_gradient(s, y)[1]
        close(loss.conjugate(g, y) - wide.conjugate(g, y), 2 * loss.margin * np.where(g > 0, g, 0).sum(axis=1))


def check_probabilities(loss):
    """Rows of positive numbers that sum to 1 in the order of the scores, or None."""
    s, _ = rows(loss, 3)
    assert (loss.probabilities(s) is not None) == (loss.log_probabilities(s) is not None) == loss.proper
    if not loss.proper:
        return
    for k in CLASSES:
        s, _ = rows(loss, k, seed=14)
        p = loss.probabilities(s)
        weights = np.exp(s) if loss.name == "cross_entropy" else 1 / (1 + np.exp(-s))
        close(p, weights / weights.sum(axis=1, keepdims=True))
        close(p.sum(axis=1), 1, rtol=1e-15)
        assert (p > 0).all()
        assert np.array_equal(np.argsort(p, axis=1), np.argsort(s, axis=1))
        close(loss.log_probabilities(s), np.log(p), rtol=1e-14)
        far = 1e4 * s  # e^-1e4 is no number
        close(loss.log_probabilities(far), log_softmax(far if loss.name == "cross_entropy" else log_expit(far), axis=1))


ALWAYS = [
    check_value,
    check_gradient,
    check_gradient_alone,
    check_no_curvature,
    check_fenchel_young,
    check_conjugate_domain,
    check_conjugate_of_shares,
    check_rows_are_independent,
    check_permutation,
    check_shift,
    check_margin,
    check_probabilities,
]
SMOOTH = [check_hessian_product, check_hessian_symmetry, check_hessian_sums, check_curvature]


def variants():
    """Every registered loss as it comes, and with margins of 0.3 and 2.5 where it has one."""
    found = []
    for name, kind in LOSSES.items():
        found.append(pytest.param(kind(), id=name))
        if hasattr(kind, "margin"):
            found += [pytest.param(kind(margin=m), id=f"{name}-{m}") for m in (0.3, 2.5)]
    return found


@pytest.mark.parametrize("loss", variants())
@pytest.mark.parametrize("check", ALWAYS, ids=lambda check: check.__name__[6:])
def test_contract(loss, check):
    check(loss)


@pytest.mark.parametrize("loss", [p for p in variants() if p.values[0].smoothness])
@pytest.mark.parametrize("check", SMOOTH, ids=lambda check: check.__name__[6:])
def test_smooth_contract(loss, check):
    check(loss)


def test_registry_names_and_words():
    assert list(LOSSES) == ["cross_entropy", "logistic", "hinge", "crammer_singer", "squared_hinge", "squared"]
    smoothness = {"hinge": 0, "crammer_singer": 0, "squared_hinge": 1}
    for name, kind in LOSSES.items():
        assert kind.name == name
        assert kind.smoothness == smoothness.get(name, 2)
        assert all(len(text) > 3 for text in (kind.title, kind.formula, kind.curvature_source))
    assert len({kind.title for kind in LOSSES.values()}) == len(LOSSES)


def test_curvature_numbers():
    found = {name: kind().curvature(10) for name, kind in LOSSES.items()}
    inf = math.inf
    assert found == dict(zip(LOSSES, (0.5, 0.25, inf, inf, 20.0, 1.0), strict=True))


@pytest.mark.parametrize("name", ["hinge", "crammer_singer", "squared_hinge"])
@pytest.mark.parametrize("margin", [0, -1.0, math.inf, math.nan])
def test_a_margin_that_cannot_work_is_refused(name, margin):
    with pytest.raises(UsageError, match=f"margin is {margin}; needed is a finite number above 0"):
        LOSSES[name](margin=margin)


# ── where the rules have edges ────────────────────────────────────────────────────────────────────
ULPS = np.finfo(np.float64).eps  # rounding of numbers about 1
ROOM = {"cross_entropy": 16.0, "hinge": 16.0, "crammer_singer": 16.0, "logistic": 16.0 / 8, "squared_hinge": 16.0 / 8}


def off_by(k, entry, at_label):
    g = np.zeros((1, k))
    g[0, 0], g[0, 1] = entry, at_label
    return g


@pytest.mark.parametrize("name", ROOM)
def test_conjugates_forgive_sixteen_roundings_and_not_seventeen(name):
    """Of a class's entry, or of all k together where their sum is what must vanish; k = 8 for exact numbers."""
    loss, k, y = LOSSES[name](), 8, np.array([1])
    t = ROOM[name] * k * ULPS
    if name == "squared_hinge":
        t *= 1 + t  # in units of 1 + Σ |v|
    edges = [lambda t: off_by(k, -t, t)]
    edges += [lambda t: off_by(k, 1 + t, -1 - t)] if name in ("hinge", "logistic", "crammer_singer") else []
    for edge in edges:
        assert np.isfinite(loss.conjugate(edge(t), y)).all()
        assert np.isinf(loss.conjugate(edge(t * 17 / 16), y)).all()
    if name not in SHIFTED:  # entries that do not add up to 0
        t = 16 * k * ULPS
        for sign in (1, -1):
            assert np.isfinite(loss.conjugate(off_by(k, 0.0, sign * t), y)).all()
            assert np.isinf(loss.conjugate(off_by(k, 0.0, sign * t * 17 / 16), y)).all()


def test_the_room_of_the_squared_hinge_grows_with_its_entries():
    loss, k, y = LOSSES["squared_hinge"](), 8, np.array([1])
    for size in (3.0, 1023.0):
        room = 16 * ULPS * (1 + size)
        for roundings, inside in ((15, True), (17, False)):
            off = room * roundings / 16
            assert np.isfinite(loss.conjugate(off_by(k, size, -size - k * off), y)[0]) == inside
            g = off_by(k, size, -size + off)
            g[0, 2] = -off
            assert np.isfinite(loss.conjugate(g, y)[0]) == inside


def test_a_margin_of_exactly_0_costs_nothing_and_pulls_nowhere():
    """Δ = 1, label 0: scores (1, 0, −3) lie on the kink of class 1."""
    s, y = np.array([[1.0, 0.0, -3.0]]), np.array([0])
    for name in ("hinge", "crammer_singer", "squared_hinge"):
        loss = LOSSES[name]()
        value, gradient = loss.value_and_gradient(s, y)
        assert not value.any()
        assert not gradient.any()
        assert not loss.gradient(s, y).any()
        assert not loss.gradient(np.repeat(s, 2, axis=0), np.repeat(y, 2)).any()
    assert not LOSSES["squared_hinge"]().hessian_product(s, y, np.array([[0.0, 1.0, 0.0]])).any()


def test_squares_saturate_where_the_type_ends():
    """At 1e150 in float64 and 1e16 in float32, so that a row's value is a number for any number of classes."""
    y = np.array([0])
    for kind, far, limit in ((np.float64, 1e300, 1e150), (np.float32, 1e30, 1e16)):
        s = np.array([[1.0, far, -far]], kind)
        assert LOSSES["squared"]().value(s, y)[0] == pytest.approx(limit**2, rel=1e-6)
        assert LOSSES["squared_hinge"]().value(s, y)[0] == pytest.approx(limit**2, rel=1e-6)
        near = np.array([[1.0, 0.9 * limit, 0.0]], kind)
        assert LOSSES["squared"]().value(near, y)[0] == pytest.approx(0.405 * limit**2, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_one_row_in_numpy_takes_the_short_way_and_more_do_not(name, monkeypatch):
    loss, taken = LOSSES[name](), []
    short = type(loss).row_gradient
    monkeypatch.setattr(type(loss), "row_gradient", lambda self, s, y: taken.append(s.shape) or short(self, s, y))
    s, y = rows(loss, 3)
    for n in (1, 2, 3):
        close(loss.gradient(s[:n], y[:n]), loss.value_and_gradient(s[:n], y[:n])[1])
    assert taken == [(3,)]
