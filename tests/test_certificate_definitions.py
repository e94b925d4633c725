"""The reach of a certificate by the formulas of its proof, written out densely once more."""

from dataclasses import replace
from math import factorial, sqrt

import numpy as np
import pytest

from linearhead import LinearClassifier, certificate
from linearhead.certificate import prove, settle
from linearhead.certificate.reach import SAFE, Curvature, Reach, inverted, pair_squares, pulled, remainder
from linearhead.objective.duality import Gap
from test_certificate_rows import score_terms

ROUNDING = 1e-6  # of eigenvalues that are taken for a little less than they are


def fitted(loss, intercept=True, k=3, weighted=True):
    """(objective, θ, rows as the objective has them, labels, weights) of a fit that ended early."""
    rng = np.random.default_rng(4)
    X, w = rng.normal(size=(60, 4)) + 1, rng.uniform(0.5, 2, 60) if weighted else None
    y = np.argmax(np.c_[X[:, : k - 1], np.zeros(60)] + rng.gumbel(size=(60, k)), axis=1)
    model = LinearClassifier(loss, alpha=0.02, fit_intercept=intercept)
    objective = model._objective(X, y, w).precise()
    model.set_params(tol=1e-4).fit(X, y, w)
    theta = objective.design.from_stored(np.vstack([model.coef_.T, model.intercept_]).astype(float))
    return objective, theta, objective.design.dense(), y, np.ones(60) if w is None else w


def conductances(loss, objective, theta, Z, y, w, gap):
    """mean χᵢHᵢ and the same with every row ‖z‖² times."""
    lengths = np.sum(Z**2, axis=1)
    s = Z @ theta[:-1] + theta[-1]
    chi = remainder(sqrt(2) * sqrt(2 * gap / objective.alpha) * np.sqrt(lengths))
    H = score_terms(loss, s, y)[2]
    share = w / w.sum() * chi
    return np.einsum("n,nab->ab", share, H), np.einsum("n,nab->ab", share * lengths, H)


def flows(M, far, blind):
    """g of every class: the currents from it to all others, or to the ground, by resistors m, edge by edge."""
    k, found = len(M), []
    for a in range(k):
        u = np.eye(k)[a] - (1 / k if blind else 0)
        phi = np.linalg.pinv(M) @ u if blind else np.linalg.solve(M, u)
        at = np.zeros(k)
        for y in range(k):
            for b in range(k):
                if b != y and M[y, b] < 0:
                    m, length = -M[y, b], sqrt(far[y, b] / M[y, b])
                    at[y] += m * abs(phi[y] - phi[b]) * length
            if not blind:
                m = M[y].sum()
                at[y] += m * abs(phi[y]) * sqrt(far[y].sum() / m)
        found.append(np.linalg.norm(at))
    return np.array(found)


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_reach_is_that_of_the_proof(loss, weighted):
    objective, theta, Z, y, w = fitted(loss, weighted=weighted)
    certificate, before = prove(objective, theta, 1e-6)
    E, a, k, blind = certificate.gap, objective.alpha, 3, loss == "cross_entropy"
    assert 0 < E < 1e-3
    undecided, reach = settle(Curvature(objective, Gap(None, E, E)), theta)
    assert (reach.gap, reach.strength) == (E, a) == (before.gap, before.strength)
    assert undecided == certificate.undecided
    np.testing.assert_allclose(before.bends, reach.bends, rtol=1e-2)  # of the larger gap that the pass at θ expected
    assert np.all(before.bends >= reach.bends)
    M, far = conductances(loss, objective, theta, Z, y, w, E)
    g = flows(M, far, blind)
    pairs = [(np.eye(k)[i] - np.eye(k)[j], g[i] + g[j]) for i in range(k) for j in range(k)]
    own = np.array([u @ np.linalg.pinv(M) @ u for u, _ in pairs]).reshape(k, k)
    np.testing.assert_allclose(reach.pulls, g[:, None] + g, rtol=1e-5)
    # the least B with f(B) ≤ B, of differences, or of single scores that have a zero of their own
    singles = pairs if blind else [(u, g[i]) for i, u in enumerate(np.eye(k))]
    square = max(u @ np.linalg.pinv(M) @ u for u, _ in singles)
    pull = max(one for _, one in singles)
    B = 0.0
    for _ in range(200):
        B = sqrt(E * (np.exp(B) * square + 2 * pull**2 / a))
    np.testing.assert_allclose(reach.bends, E * np.exp(B) * own, rtol=1e-4)
    assert np.all(reach.bends >= E * np.exp(B) * own * (1 - ROUNDING))
    assert reach.kinks is None


def test_of_squares_all_rows_have_one_mean():
    objective, theta, Z, _, w = fitted("squared")
    certificate, reach = prove(objective, theta, 1e-6)
    mean = w @ Z / w.sum()
    assert certificate.gap == reach.gap
    np.testing.assert_allclose(reach.bends, reach.gap * 4 * (1 - np.eye(3)), rtol=1e-5)  # M = ½ I: 2 + 2
    off = ~np.eye(3, dtype=bool)
    # one edge of ½ to the ground, potentials 2: a flow of 1 along the mean row, from both classes
    assert np.all(reach.pulls[off] >= 2 * np.linalg.norm(mean))
    assert reach.pulls[off] == pytest.approx(2 * np.linalg.norm(mean), abs=1e-5)


def test_without_an_intercept_only_weights_move():
    objective, theta, *_ = fitted("cross_entropy", intercept=False)
    certificate, reach = prove(objective, theta, 1e-6)
    assert reach.bends is reach.kinks is reach.pulls is None
    lengths = np.array([1.0, 9.0])
    expected = sqrt(2 * certificate.gap / 0.02) * sqrt(2) * lengths[:, None]
    np.testing.assert_allclose(reach(lengths, np.array([0, 2]), 3), expected + 0 * np.ones(3), rtol=2e-5)


def test_above_a_residual_nothing_is_sought_of_rows(monkeypatch):
    objective, theta, *_ = fitted("hinge")
    whole, _ = prove(objective, theta, 1e-6)
    assert prove(objective, theta, 1e-6, most=whole.residual)[0] == whole
    monkeypatch.setattr(certificate, "settle", None)
    found, reach = prove(objective, theta, 1e-6, most=whole.residual / 2)
    assert (found, reach.gap) == (replace(whole, undecided=None), np.inf)


def test_a_rows_reach_adds_up_what_bends_what_pulls_and_what_kinks():
    rng = np.random.default_rng(0)
    bends, kinks, pulls = rng.uniform(0.1, 2, (3, 4, 4))
    lengths, labels = np.array([0.0, 3.0, 7.0]), np.array([1, 0, 3])
    found = Reach(0.3, 0.7, None, None, bends, kinks, pulls)(lengths, labels, 4)
    for row, (z, label) in enumerate(zip(lengths, labels, strict=True)):
        for b in range(4):
            moved = sqrt(bends[label, b] + 2 * 0.3 / 0.7 * (pulls[label, b] + sqrt(2) * z) ** 2) + kinks[label, b]
            assert found[row, b] == pytest.approx(SAFE * moved)
            assert found[row, b] >= moved


@pytest.mark.parametrize(("loss", "mixed"), [("crammer_singer", 0.0), ("hinge", 0.2), ("squared_hinge", 0.5)])
def test_the_reach_of_margin_losses_is_that_of_their_kinks(loss, mixed):
    objective, *_ = fitted(loss)
    E, k, total = 3e-4, 3, objective.total
    edges = np.array([[0, 0.2, 0.1], [0.2, 0, 0.3], [0.1, 0.3, 0]]) * total
    M, far = (np.diag(e.sum(axis=1)) - e for e in (edges, 5 * edges))
    reach = Curvature(objective, Gap(None, E, E, mixed=mixed)).reach(M, far)
    inverse, t = np.linalg.pinv(M / total), sqrt(E) if loss == "squared_hinge" else 0.0
    K = 2 * E / (1 - mixed) + t * 0.6  # the mean of Σ a
    own = [[(v := np.eye(k)[i] - np.eye(k)[j]) @ inverse @ v for j in range(k)] for i in range(k)]
    np.testing.assert_allclose(reach.kinks, K * np.array(own), rtol=1e-5, atol=1e-15)
    g = flows(M / total, far / total, True)
    np.testing.assert_allclose(reach.pulls, g[:, None] + g, rtol=1e-5)
    assert reach.bends is None
    if mixed:
        told = Curvature(objective, Gap(None, E, E, mixed=mixed)).told
        assert told
        assert not Curvature(objective, Gap(None, E, E, mixed=mixed + 0.31)).told


def test_of_what_is_not_known_nothing_is_promised():
    objective, *_ = fitted("cross_entropy")
    M = np.array([[2.0, -1, -1], [-1, 2, -1], [-1, -1, 2]])
    at = Curvature(objective, Gap(None, 1e-6, 1e-6))
    assert np.isfinite(at.reach(M, M).gap)
    assert at.reach().gap == np.inf  # an intercept, and no sums
    assert at.reach(M, M * np.inf).gap == np.inf
    assert at.reach(M * np.nan, M).gap == np.inf
    cut = np.array([[1.0, -1, 0], [-1, 1, 0], [0, 0, 0]])  # nothing holds the third class
    assert at.reach(cut, cut).gap == np.inf
    assert Curvature(objective, Gap(None, 5.0, 5.0)).reach(M, M).gap == np.inf  # no B below 10
    assert inverted(np.diag([1.0, 1e-9]), blind=False) is not None
    assert inverted(np.diag([1.0, 1e-12]), blind=False) is None


def test_currents_and_squares_of_a_star():
    M = np.array([[3.0, -1, -2], [-1, 1, 0], [-2, 0, 2]])
    far = M * 4  # all rows have length 2
    inverse = inverted(M, blind=True)
    found = pulled(inverse, M, far)
    np.testing.assert_allclose(found, flows(M, far, True), rtol=1e-9)
    # from the middle a third of the current goes to either leaf
    assert found[0] == pytest.approx(2 * sqrt((2 / 3) ** 2 + 2 / 9))
    np.testing.assert_allclose(pair_squares(inverse), [[0, 1, 0.5], [1, 0, 1.5], [0.5, 1.5, 0]], atol=1e-9)


@pytest.mark.parametrize(("loss", "bend"), [("cross_entropy", 0.5), ("logistic", 0.25), ("squared", 1.0)])
@pytest.mark.parametrize("weighted", [True, False])
def test_undecided_rows_are_those_that_the_gap_could_pay_for(loss, bend, weighted):
    objective, theta, Z, y, w = fitted(loss, weighted=weighted)
    off = 0.004 if loss == "squared" else 0.02
    theta = theta + off * np.random.default_rng(0).normal(size=theta.shape)
    certificate, _ = prove(objective, theta, 1e-6)
    g = score_terms(loss, Z @ theta[:-1] + theta[-1], y)[1] + np.eye(3)[y]
    lead = np.sort(g, axis=1)[:, -1] - np.sort(g, axis=1)[:, -2]
    costs = np.sort(w * lead**2 / 2)  # ‖g − g*‖² ≥ lead² / 2
    count = int(np.sum(np.cumsum(costs) <= 2 * bend * certificate.gap * w.sum()))
    assert certificate.undecided == count
    assert 2 <= count <= 58
    assert objective.loss.curvature(3) == bend


def test_rows_are_undecided_where_a_margin_is_within_its_reach():
    rng = np.random.default_rng(2)
    X, coef, b = rng.normal(size=(90, 5)) + 2, 0.5 * rng.normal(size=(3, 5)), 0.4 * rng.normal(size=3)
    centre, scale = X.mean(axis=0), X.std(axis=0)
    tables = [one + one.T for one in rng.uniform(0.05, 0.4, (3, 3, 3))]
    reach, s = Reach(0.01, 2.0, centre, scale, *tables), X @ coef.T + b
    labels = s.argmax(axis=1)
    far = reach(np.linalg.norm((X - centre) / scale, axis=1), labels, 3)
    margin = s[np.arange(90), labels][:, None] - s
    margin[np.arange(90), labels] = np.inf
    expected = np.any(margin <= far, axis=1)
    assert 10 < expected.sum() < 80
    np.testing.assert_array_equal(reach.undecided(X, coef, b, labels), expected)
    other = (labels + 1) % 3  # of labels that are not the best nothing is promised
    assert reach.undecided(X, coef, b, other).all()
    assert replace(reach, gap=np.inf).undecided(X, coef, b, labels).all()


def test_margins_within_the_rounding_of_scores_are_undecided():
    """Sums of six numbers of size 1e6, whose first five cancel: nothing else moves."""
    reach, eps = Reach(1e-300, 1.0, None, None), np.finfo(float).eps
    coef = np.array([[1.0, -1, 1, -1, 0], [1.0, -1, 1, -1, 1]])
    size = 4e6
    noise = 4 * 5 * eps * 2 * size  # of both scores
    X = np.full((4, 5), 1e6)
    X[:, 4] = noise * np.array([0.5, 0.9, 1.1, 3.0])
    undecided = reach.undecided(X, coef, np.zeros(2), np.ones(4, int))
    assert undecided.tolist() == [True, True, False, False]


def test_the_fits_own_rows_are_counted_as_others_are():
    objective, theta, Z, *_ = fitted("hinge")
    reach = Reach(0.01, 2.0, objective.design.shift, objective.design.scale, *np.full((3, 3, 3), 0.2))
    s = Z @ theta[:-1] + theta[-1]
    top = np.sort(s, axis=1)
    far = reach(np.linalg.norm(Z, axis=1), s.argmax(axis=1), 3)[:, 0]  # alike for all classes
    count = int(np.sum(top[:, -1] - top[:, -2] <= far))
    assert 5 < count < 55
    assert reach.count(objective, theta) == count
    assert replace(reach, gap=np.inf).count(objective, theta) is None


def test_currents_flow_between_classes_and_to_the_ground():
    rng = np.random.default_rng(1)
    edges, ground = rng.uniform(0.1, 1, (4, 4)), rng.uniform(0.1, 1, 4)
    edges = (edges + edges.T) * (1 - np.eye(4))
    M = np.diag(edges.sum(axis=1) + ground) - edges
    lengths = rng.uniform(1, 3, (4, 4))
    far = -edges * (lengths + lengths.T)
    far += np.diag(-far.sum(axis=1) + ground * rng.uniform(1, 9, 4))
    np.testing.assert_allclose(pulled(inverted(M, blind=False), M, far), flows(M, far, False), rtol=1e-9)


def test_the_remainders_series_ends_just_below_it():
    for R in (1e-4, 3e-3, 9.99e-3):
        exact = sum((-R) ** m / (factorial(m) * (m + 2)) for m in range(12))  # ∫ u e^{−Ru} du term by term
        assert exact * (1 - 2e-10) <= remainder(np.array(R)) <= exact * (1 + 1e-15)
