"""The smoothed hinges: max over v in V of ⟨v, z⟩ − γ/2 |v − g|², against rivals, differences and limits."""

import numpy as np
import pytest

from linearhead.losses import CrammerSinger, Hinge
from linearhead.losses.contract import form_by_probes, mean_by_probes
from linearhead.losses.margins import star_factor
from test_losses_contract import CLASSES, close, rows, slopes, variants

GAMMAS = (0.02, 0.4, 1.0, 30.0)


def setting(loss, k, seed, spread=0.5):
    """Scores, labels, multipliers g (n, k), some of them outside V, and the margins z with 0 at the label."""
    s, y = rows(loss, k, n=40, seed=seed)
    g = np.random.default_rng([seed, k]).normal(size=s.shape) * spread / np.sqrt(k)
    z = loss.margin + s - s[np.arange(len(s)), y][:, None]
    z[np.arange(len(s)), y] = 0
    return s, y, g, z


def off_label(a, y):
    """A copy with 0 at the label."""
    a = a.copy()
    a[np.arange(len(a)), y] = 0
    return a


def objective(v, z, g, y, gamma):
    """⟨v, z⟩ − γ/2 |v − g|² per row, over the entries off the label."""
    v, g = off_label(v, y), off_label(g, y)
    return (v * z - gamma / 2 * (v - g) ** 2).sum(axis=1)


def rivals(loss, shape, seed):
    """Points of V: corners, faces, the inside."""
    rng = np.random.default_rng(seed)
    yield np.zeros(shape)
    for _ in range(60):
        v = rng.uniform(size=shape) * (rng.uniform(size=shape) < rng.uniform())
        if loss.name == "hinge":
            yield np.where(rng.uniform(size=shape) < 0.3, np.round(v), v)
        else:
            yield v / np.maximum(v.sum(axis=1, keepdims=True), rng.choice([1e-12, 1.0]))


def check_maximum(loss):
    """The value is attained by the maximiser, which lies in V, and no rival does better."""
    for k in CLASSES:
        for gamma in GAMMAS:
            s, y, g, z = setting(loss, k, 1)
            value, gradient = loss.smoothed(s, y, g, gamma)
            close(value, objective(gradient, z, g, y, gamma), atol=1e-11 * k)
            assert np.isfinite(loss.conjugate(gradient, y)).all()
            close(gradient.sum(axis=1), 0)
            for v in rivals(loss, s.shape, k):
                assert (objective(v, z, g, y, gamma) <= value + 1e-11 * k).all()


def check_nearby_rivals(loss):
    """First-order optimality: moving from the maximiser towards any rival never helps, not even a little."""
    for k in CLASSES:
        s, y, g, z = setting(loss, k, 2)
        for gamma in GAMMAS:
            best = off_label(loss.smoothed(s, y, g, gamma)[1], y)
            slope = z - gamma * (best - off_label(g, y))
            for v in rivals(loss, s.shape, k + 1):
                v = off_label(v, y)
                assert ((slope * (v - best)).sum(axis=1) <= 1e-11 * k).all()


def check_gradient(loss):
    for k in CLASSES:
        for gamma in GAMMAS:
            s, y, g, _ = setting(loss, k, 3)
            value, gradient = loss.smoothed(s, y, g, gamma)
            h = 1e-5
            found = slopes(lambda t, y=y, g=g, gamma=gamma: loss.smoothed(t, y, g, gamma)[0], s, h)
            error = np.abs(found - gradient)  # where a kink of the gradient lies within h: at most h k / γ
            assert np.median(error) <= 2e-10 * (5 + np.abs(value).max())
            assert error.max() <= 2e-10 * (5 + np.abs(value).max()) + 2 * h / gamma


def check_hessian_product(loss):
    """Against differences of the gradient, on the rows where no entry joins or leaves the active set."""
    kept = 0
    for k in CLASSES:
        for gamma in GAMMAS:
            s, y, g, _ = setting(loss, k, 4)
            d = np.random.default_rng(k).normal(size=s.shape)
            h = 1e-6
            sides = [loss.smoothed_hessian(s + t * d, y, g, gamma)(d) for t in (h, -h)]
            smooth = np.abs(sides[0] - sides[1]).max(axis=1) < 1e-9 / gamma
            ahead, behind = (loss.smoothed(s + t * d, y, g, gamma)[1] for t in (h, -h))
            product = loss.smoothed_hessian(s, y, g, gamma)(d)
            close(product[smooth], ((ahead - behind) / (2 * h))[smooth], rtol=1e-6, atol=1e-7 / gamma)
            assert smooth.mean() > 0.9
            kept += np.count_nonzero(product[smooth])
    assert kept > 1000  # most of the products compared are not zero


def check_hessian_bounds(loss):
    """Symmetric, between 0 and k/γ (the norm of Mᵀ M / γ)."""
    for k in (2, 3, 5, 10):
        for gamma in GAMMAS:
            s, y, g, _ = setting(loss, k, 5)
            unit = np.eye(k)
            H = np.stack([loss.smoothed_hessian(s, y, g, gamma)(np.zeros_like(s) + e) for e in unit], axis=2)
            close(H, H.transpose(0, 2, 1), atol=1e-12 / gamma)
            spectrum = np.linalg.eigvalsh(H)
            assert spectrum.min() >= -1e-12 * k / gamma
            assert spectrum.max() <= k / gamma * (1 + 1e-12)


def check_hessian_sums(loss):
    """The sum over rows and the forms, of any vectors and of the classes themselves, against k products each."""
    for k in CLASSES:
        s, y, g, _ = setting(loss, k, 10)
        rng = np.random.default_rng(k)
        w, Q = rng.uniform(0, 2, size=len(s)), rng.normal(size=(k, k))
        product = lambda s, y, d, g=g: loss.smoothed_hessian(s, y, g, 0.3)(d)  # noqa: E731
        close(loss.smoothed_hessian_mean(s, y, g, 0.3, w), mean_by_probes(product, s, y, w), atol=1e-10)
        for turn in (Q, None):
            close(loss.smoothed_hessian_form(s, y, g, 0.3, turn), form_by_probes(product, s, y, turn), atol=1e-9)


def check_limit(loss):
    """γ → 0 gives the loss and its gradient; the smoothed loss never exceeds it."""
    for k in CLASSES:
        s, y, g, _ = setting(loss, k, 6)
        value, gradient = loss.value_and_gradient(s, y)
        sharp, maximiser = loss.smoothed(s, y, g, 1e-9)
        close(sharp, value, rtol=1e-7, atol=1e-7)
        close(maximiser, gradient)
        for gamma in GAMMAS:
            assert (loss.smoothed(s, y, g, gamma)[0] <= value + 1e-12 * k).all()


def check_label_entry(loss):
    """What g holds at the label has no influence."""
    for k in CLASSES:
        s, y, g, _ = setting(loss, k, 7)
        other = g.copy()
        other[np.arange(len(s)), y] = 7.0
        d = np.random.default_rng(k).normal(size=s.shape)
        for a, b in zip(loss.smoothed(s, y, g, 0.3), loss.smoothed(s, y, other, 0.3), strict=True):
            assert np.array_equal(a, b)
        products = [loss.smoothed_hessian(s, y, m, 0.3)(d) for m in (g, other)]
        assert np.array_equal(*products)


def check_many_classes(loss):
    """1 000 classes, float32: in V, and the same as in float64."""
    rng = np.random.default_rng(8)
    s, y = rng.normal(size=(64, 1000)).astype(np.float32) * 3, np.arange(64)
    g = np.abs(rng.normal(size=s.shape)).astype(np.float32) / 1000
    narrow = loss.smoothed(s, y, g, 0.5)
    wide = loss.smoothed(s.astype(np.float64), y, g.astype(np.float64), 0.5)
    assert np.isfinite(loss.conjugate(narrow[1], y)).all()
    close(narrow[1], wide[1], atol=2e-6, rtol=1e-4)
    close(narrow[0], wide[0], rtol=1e-5)


def check_fixed_point(loss):
    """Where g is the maximiser of the loss itself, with slack, smoothing changes nothing."""
    for k in CLASSES:
        s, y, _, _ = setting(loss, k, 9)
        value, gradient = loss.value_and_gradient(s, y)
        for gamma in (1e-3, 0.3):
            smooth, maximiser = loss.smoothed(s, y, gradient, gamma)
            close(smooth, value)
            close(maximiser, gradient)


CHECKS = [
    check_maximum,
    check_nearby_rivals,
    check_gradient,
    check_hessian_product,
    check_hessian_bounds,
    check_hessian_sums,
    check_limit,
    check_label_entry,
    check_many_classes,
    check_fixed_point,
]


@pytest.mark.parametrize("loss", [p for p in variants() if not p.values[0].smoothness])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_smoothed(loss, check):
    check(loss)


def test_projection_onto_the_capped_simplex_by_hand():
    """u = (2, 1.5, −1) off the label: Σ of the positive parts exceeds 1, τ = 1.25, v = (0.75, 0.25, 0)."""
    loss, y = CrammerSinger(margin=1.0), np.array([0])
    s = np.array([[1.0, 2.0, 1.5, -1.0]])
    value, gradient = loss.smoothed(s, y, np.zeros_like(s), 1.0)
    assert gradient.tolist() == [[-1.0, 0.75, 0.25, 0.0]]
    assert value.tolist() == [0.75 * 2 + 0.25 * 1.5 - 0.5 * (0.75**2 + 0.25**2)]
    product = loss.smoothed_hessian(s, y, np.zeros_like(s), 1.0)(np.array([[5.0, 3.0, 1.0, 9.0]]))
    assert product.tolist() == [[0.0, 1.0, -1.0, 0.0]]
    near = np.array([[1.0, 0.5, 0.375, -1.0]])
    inside, small = loss.smoothed(near, y, np.zeros_like(s), 1.0)
    assert small.tolist() == [[-0.875, 0.5, 0.375, 0.0]]  # Σ ≤ 1: nothing to share
    assert inside.tolist() == [0.5 * (0.5**2 + 0.375**2)]
    product = loss.smoothed_hessian(near, y, np.zeros_like(s), 1.0)(np.array([[5.0, 3.0, 1.0, 9.0]]))
    assert product.tolist() == [[6.0, -2.0, -4.0, 0.0]]


def test_clipping_of_the_sum_form_by_hand():
    """u = (2, 0.25, −1): v = (1, 0.25, 0); only the middle entry has curvature."""
    loss, y = Hinge(margin=0.5), np.array([3])
    s = np.array([[1.5, -0.25, -1.5, 0.0]])
    g = np.zeros_like(s)
    value, gradient = loss.smoothed(s, y, g, 1.0)
    assert gradient.tolist() == [[1.0, 0.25, 0.0, -1.25]]
    assert value.tolist() == [2.0 - 0.5 + 0.25**2 / 2]
    product = loss.smoothed_hessian(s, y, g, 0.5)(np.array([[1.0, 2.0, 3.0, 1.0]]))
    assert product.tolist() == [[0.0, 2.0, 0.0, -2.0]]


def test_slack_is_how_far_margins_may_move_by_hand():
    """γ = ½, no multipliers: u = 2z. Margins (−5, −4): the nearest kink is 4 away. (6, 1): the max form rests on e_1
    while 12 − 1 ≥ 2, both moving; the sum form's second clip, u = 2 ≥ 1, is ½ away."""
    below, above = np.array([[1.0, -5.0, -4.0]]), np.array([[1.0, 6.0, 1.0]])
    y, g = np.array([0]), np.zeros((1, 3))
    for loss, wanted in ((CrammerSinger(margin=1.0), (4.0, 2.25)), (Hinge(margin=1.0), (4.0, 0.5))):
        found = [loss.slack(s, y, g, 0.5)[0] for s in (below, above)]
        np.testing.assert_allclose(found, wanted)


def test_where_all_margins_tie_the_max_form_is_free():
    """u = (2, 2): v = (½, ½), and whichever margin moves, v moves."""
    s, y = np.array([[0.0, 1.0, 1.0]]), np.array([0])
    assert CrammerSinger(margin=1.0).slack(s, y, np.zeros((1, 3)), 1.0)[0] == -0.5


@pytest.mark.parametrize("loss", [CrammerSinger(), Hinge()], ids=lambda loss: loss.name)
def test_the_factor_is_the_hessians(loss):
    """Σ h hᵀ / γ row by row, in as many directions as its rank."""
    capped = 0
    for k in CLASSES:
        s, y, g, _ = setting(loss, k, 6)
        rows, h = star_factor(*loss.smoothed_star(s, y, g, 0.3), y)
        found = np.zeros((len(s), k, k))
        np.add.at(found, rows, h[:, :, None] * h[:, None, :] / 0.3)
        unit = np.eye(k)
        H = np.stack([loss.smoothed_hessian(s, y, g, 0.3)(np.zeros_like(s) + e) for e in unit], axis=2)
        close(found, H, atol=1e-12)
        assert np.bincount(rows, minlength=len(s)).tolist() == np.linalg.matrix_rank(H, tol=1e-9).tolist()
        capped += np.count_nonzero(H[np.arange(len(s)), y, y] < 1e-12) - np.count_nonzero(~H.any(axis=(1, 2)))
    assert (capped > 20) == (loss.name == "crammer_singer")  # rows whose multipliers add up to 1


def test_on_the_edge_itself_an_entry_has_no_curvature_and_a_full_sum_is_not_shared():
    """γ = 1, g = 0: u = z. Sum form, u = (1, 0, ½): only ½ lies inside. Max form, u = (½, ½): nothing to share."""
    y, still = np.array([0]), np.zeros((1, 4))
    s = np.array([[1.0, 1.0, 0.0, 0.5]])
    d = np.array([[0.0, 1.0, 1.0, 1.0]])
    assert Hinge().smoothed_hessian(s, y, still, 1.0)(d).tolist() == [[-1.0, 0.0, 0.0, 1.0]]
    half = np.array([[1.0, 0.5, 0.5, -1.0]])
    product = CrammerSinger().smoothed_hessian(half, y, still, 1.0)(d)
    assert product.tolist() == [[-2.0, 1.0, 1.0, 0.0]]


def test_slack_of_rows_that_move():
    """At or below 0 where an entry lies within, whatever the others do: γ = 1, u = z."""
    y, g = np.array([0]), np.zeros((1, 3))
    for z, of_max, of_sum in (((0.4, -3.0), -0.3, -0.4), ((0.0, -3.0), 0.0, 0.0), ((1.0, 0.5), -0.25, -0.5)):
        s = np.array([[1.0, *z]])
        np.testing.assert_allclose(CrammerSinger().slack(s, y, g, 1.0), of_max)
        np.testing.assert_allclose(Hinge().slack(s, y, g, 1.0), of_sum)
