"""Separable rows without a penalty: found in every separable set and in none of the others, by a truth from linear
programs. SEPARABLE_TRIALS=200 is the full campaign of 200 sets each: 200 of 200 found, apart or but for rows on the
boundary, 0 of 200 accused, sets with a row just beyond the boundary among them.
"""

import os
import re
import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import linprog

from linearhead import LinearClassifier
from linearhead.errors import DataWarning
from linearhead.estimators import recession
from linearhead.records import Status

TRIALS = int(os.environ.get("SEPARABLE_TRIALS", "40"))


# ── the truth ─────────────────────────────────────────────────────────────────────────────────────
def widest(rows):
    """max t with rows v ≥ t, |v| ≤ 1, per row in units of its length; > 0: one v has all rows on its side."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = linprog(
        np.append(np.zeros(rows.shape[1]), -1.0),
        A_ub=np.hstack([-rows, np.ones((len(rows), 1))]),
        b_ub=np.zeros(len(rows)),
        bounds=[(-1, 1)] * rows.shape[1] + [(None, 1)],
    )
    return -found.fun


def grows(rows):
    """max Σ rows v with rows v ≥ 0, |v| ≤ 1; > 0: along v no loss rises and some fall, so no finite optimum exists."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return -linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=[(-1, 1)] * rows.shape[1]).fun


def pairs(A, y, k):
    """Rows (a ⊗ (e_y − e_j)) for every row and other class: the margins of all scores."""
    return np.stack(
        [np.kron(np.eye(k)[c] - np.eye(k)[j], a) for a, c in zip(A, y, strict=True) for j in range(k) if j != c]
    )


def against_the_rest(A, y, j):
    return A * np.where(y == j, 1.0, -1.0)[:, None]


def with_ones(X):
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    return np.hstack([Z, np.ones((len(X), 1))])


def truth(X, y, loss):
    """Whether no finite optimum exists: True where strictly separable, all or one class; None: in between."""
    A, k = with_ones(X), int(y.max()) + 1
    ways = [against_the_rest(A, y, j) for j in range(k)] + ([pairs(A, y, k)] if loss == "cross_entropy" else [])
    if any(widest(rows) > 1e-7 for rows in ways):
        return True
    hidden = pairs(A, y, k) if loss == "cross_entropy" else None
    return None if any(grows(rows) > 1e-7 for rows in (ways if hidden is None else [hidden])) else False


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────
def separable(rng, kind):
    """X (n, d), y of a kind: all classes apart, by much or little; fewer rows than columns; one class apart."""
    k, d, n = int(rng.choice([2, 3, 5])), int(rng.choice([2, 3, 6])), int(rng.choice([15, 40]))
    scale = 10.0 ** rng.uniform(-2, 2, size=d)
    if kind == "few rows":
        n = d + 1
        return rng.normal(size=(n, d)) * scale, rng.permutation(np.arange(n) % min(k, n))
    if kind == "one class":
        X, y = rng.normal(size=(n, d)), rng.permutation(np.arange(n) % 3)
        direction = rng.normal(size=d)
        direction /= np.linalg.norm(direction)
        own = y == rng.integers(3)
        X -= np.outer(X @ direction, direction)
        X += np.outer(np.where(own, 1, -1) * (10.0 ** rng.uniform(-1.5, 0.5) + np.abs(rng.normal(size=n))), direction)
        return X * scale, y
    X = rng.normal(size=(20 * n, d))
    s = np.sort(scores := X @ rng.normal(size=(d, k)) + 0.3 * rng.normal(size=k), axis=1)
    lead, y = s[:, -1] - s[:, -2], scores.argmax(axis=1)
    kept = np.flatnonzero(lead > (0.01 if kind == "narrow" else 0.5) * lead.std())[:n]
    return X[kept] * scale, np.unique(y[kept], return_inverse=True)[1]


KINDS = ("wide", "narrow", "few rows", "one class")


def touching(rng, kind):
    """Whole numbers X (n, d), y, with rows of unlike classes on the boundary itself, and a direction that leaves it."""
    d, k, n = int(rng.choice([2, 3, 5])), int(rng.choice([2, 3, 4])), 60
    X, y = rng.integers(-9, 10, size=(n, d)).astype(float), rng.permutation(np.arange(n) % k)
    if kind == "column":  # a pixel that some classes never light
        X[:, rng.integers(d)] = np.where(y < rng.integers(1, k), 0, rng.integers(0, 3, n))
        return X, y
    if kind == "cell":  # a level of a category that a class never has
        level = np.where(y == 0, rng.integers(1, 4, n), rng.integers(0, 4, n))
        return np.hstack([X, np.eye(4)[level]]), y
    D = rng.integers(-3, 4, size=(d, k)).astype(float)
    s = X @ D
    first, second = np.argsort(-s, axis=1)[:, :2].T
    if kind == "one plane":  # the first two classes apart, or on the plane; the others anywhere: margins of pairs alone
        first, second = np.zeros(n, int), np.ones(n, int)
    u = (D[:, first] - D[:, second]).T
    on = rng.random(n) < 0.6
    X[on] = (X * (u * u).sum(axis=1, keepdims=True) - (X * u).sum(axis=1, keepdims=True) * u)[on]
    s = X @ D
    if kind == "one plane":
        own = np.where(s[:, 0] == s[:, 1], rng.integers(2, size=n), np.where(s[:, 0] > s[:, 1], 0, 1))
        return X, own
    best = s >= s.max(axis=1, keepdims=True)
    return X, np.argmax(best * rng.random((n, k)), axis=1)


TOUCHING = ("column", "cell", "cones", "one plane")


def fitted(X, y, loss, **options):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        model = LinearClassifier(loss, penalty="none", **options).fit(X, y)
    return model, [str(w.message) for w in heard if w.category is DataWarning]


def margin_of(text):
    return float(re.search(r"at least ([\d.e+-]+) (?:times|away)", text).group(1))


def check_apart(seed, trials):
    rng, tried, single = np.random.default_rng(seed), 0, 0
    while tried < trials:
        kind, loss = KINDS[tried % 4], ("cross_entropy", "logistic")[(tried // 4) % 2]
        X, y = separable(rng, kind)
        if y.max() < 1 or truth(X, y, loss) is not True:
            continue
        model, texts = fitted(X, y, loss)
        assert len(texts) == 1, (tried, kind, loss, X.shape, model.status_)
        assert model.status_ is Status.UNBOUNDED
        assert not model.converged_
        assert "no finite optimum exists" in texts[0]
        assert margin_of(texts[0]) > 0
        if "every row is right" in texts[0]:
            s = X @ model.coef_.T + model.intercept_
            own = s[np.arange(len(y)), y].copy()
            s[np.arange(len(y)), y] = -np.inf
            lead = np.min(own - s.max(axis=1)) / np.linalg.norm(model.coef_)
            assert lead > 0
            assert margin_of(texts[0]) == pytest.approx(lead, rel=1e-2)
        else:
            single += 1
            j = int(re.match(r"Class (\d+) is perfectly separable", texts[0]).group(1))
            assert widest(against_the_rest(with_ones(X), y, j)) > 1e-9
        tried += 1
    assert single > trials // 10


def test_all_are_found_with_their_margin():
    check_apart(0, TRIALS)


def check_touching(seed, trials):
    rng, tried, by_one_column = np.random.default_rng(seed), 0, 0
    while tried < trials:
        kind, loss = TOUCHING[tried % 4], ("cross_entropy", "logistic")[(tried // 4) % 2]
        X, y = touching(rng, kind)
        y = np.unique(y, return_inverse=True)[1]
        X = X[:, np.ptp(X, axis=0) > 0]
        if y.max() < 1 or truth(X, y, loss) is not None:  # apart altogether, or not at all
            continue
        if tried % 3 == 0:  # other numbers, the same planes
            X = X * 10.0 ** rng.uniform(-2, 2, X.shape[1]) + rng.normal(size=X.shape[1])
        model, texts = fitted(X, y, loss, standardize=bool(tried % 2))
        assert len(texts) == 1, (tried, kind, loss, X.shape, model.status_)
        assert model.status_ is Status.UNBOUNDED
        assert not model.converged_
        assert "separable" in texts[0]
        assert "but for rows on the boundary" in texts[0]
        if found := re.search(r"Class (\d+) .* by column (\d+) alone: it is at (least|most) ([-\d.e+]+)", texts[0]):
            by_one_column += 1
            j, c, way = int(found[1]), int(found[2]), 1 if found[3] == "least" else -1
            edge = min((way * X[y == j, c]).min(), (way * X[:, c]).max())
            assert float(found[4]) == pytest.approx(way * max((way * X[y != j, c]).max(), -np.inf), rel=1e-5)
            assert (way * X[y != j, c]).max() <= edge
        else:
            clear, rows = map(int, re.search(r"weights (\d+) of (\d+) rows gain", texts[0]).groups())
            assert 0 < clear <= rows == len(y)
        tried += 1
    assert trials // 8 < by_one_column < trials


def test_rows_on_the_boundary_do_not_hide_it():
    check_touching(7, TRIALS)


def test_a_row_beyond_the_boundary_by_little_is_seen():
    """A row on the wrong side of the only plane in question, by less and less: a finite optimum exists."""
    rng = np.random.default_rng(8)
    for beyond in (1e-2, 1e-4, 1e-6, 0.0):
        X = np.vstack([np.repeat(rng.normal(size=(20, 2)), 2, axis=0), rng.normal(size=(40, 2))])
        y = np.arange(80) % 2  # every point twice, once for each class: no plane but x₂ = 0 could have them all
        x = np.append(np.zeros(40), np.where(y[40:] == 1, 1.0, -1.0) * rng.uniform(0.5, 2, 40))
        x[0] = -beyond * (1 if y[0] == 1 else -1)
        model, texts = fitted(np.column_stack([X, x]), y, "cross_entropy", max_iter=300)
        assert (model.status_ is Status.UNBOUNDED) == (beyond == 0), beyond
        assert bool(texts) == (beyond == 0)


def test_sparse_rows_weights_and_no_intercept():
    rng = np.random.default_rng(9)
    X, y = np.abs(rng.normal(size=(90, 4))), np.arange(90) % 3
    X[y == 1, 2] = 0
    X[y != 1, 2] *= rng.random(60) < 0.5
    X[0, 2], w = 0.3, np.ones(90)  # the one row that contradicts, y = 0: class 1 still has none
    for rows in (X, scipy.sparse.csr_array(X), X.astype(np.float32)):
        for options in ({}, {"fit_intercept": False}, {"standardize": True}):
            _, texts = fitted(rows, y, "cross_entropy", **options)
            assert "Class 1 is separable" in texts[0], options
            assert "column 2 alone: it is at most 0 in every row" in texts[0]
    X[1, 2], w[1] = 0.5, 0.0  # a row of class 1 that counts for nothing
    with pytest.warns(DataWarning, match="column 2 alone"):
        LinearClassifier(penalty="none").fit(X, y, sample_weight=w)
    assert not fitted(X, y, "cross_entropy")[1]


def test_a_column_is_enough_at_any_size_and_so_is_the_fit(monkeypatch):
    monkeypatch.setattr(recession, "UNKNOWNS", 0)
    x = np.array([1.0, 2, 3, 3, 4, 5])[:, None]
    y = np.array([0, 0, 0, 1, 1, 1])
    turned = np.hstack([x, 0 * x]) @ np.array([[3.0, 4], [-4, 3]])
    assert "by column 0 alone: it is at least 3" in fitted(x, y, "cross_entropy")[1][0]
    assert "by column 0 alone" in fitted(turned, y, "cross_entropy")[1][0]
    sheared = np.hstack([x + 10 * (w := np.array([1.0, -1, 1, 1, -1, 1])[:, None]), w])
    words = "along one direction of the weights [34] of 6 rows gain"
    assert re.search(words, fitted(sheared, y, "cross_entropy")[1][0])
    monkeypatch.undo()
    assert re.search(words, fitted(sheared, y, "cross_entropy")[1][0])


@pytest.fixture
def fit_alone(monkeypatch):
    """Neither single columns nor linear programs are looked at."""
    monkeypatch.setattr(recession, "UNKNOWNS", 0)
    monkeypatch.setattr(recession, "by_column", lambda objective: None)


@pytest.mark.usefixtures("fit_alone")
def test_the_fit_alone_finds_the_direction():
    rng, tried = np.random.default_rng(11), 0
    while tried < TRIALS:
        kind, loss = TOUCHING[tried % 4], ("cross_entropy", "logistic")[(tried // 4) % 2]
        X, y = touching(rng, kind)
        y = np.unique(y, return_inverse=True)[1]
        X = X[:, np.ptp(X, axis=0) > 0]
        if y.max() < 1 or truth(X, y, loss) is not None:
            continue
        if tried % 2 == 0:
            X = X * 10.0 ** rng.uniform(-2, 1, X.shape[1]) + rng.normal(size=X.shape[1])
        model, texts = fitted(X, y, loss, standardize=tried % 3 == 0, tol=(1e-7, 1e-4, 1e-10)[tried % 3])
        assert len(texts) == 1, (tried, kind, loss, X.shape, model.status_)
        assert "but for rows on the boundary" in texts[0]
        tried += 1


@pytest.mark.usefixtures("fit_alone")
def test_the_fit_alone_accuses_none_of_the_others():
    check_neither(12, TRIALS)
    test_a_row_beyond_the_boundary_by_little_is_seen()


@pytest.mark.usefixtures("fit_alone")
def test_the_search_by_the_fit_is_bounded(monkeypatch):
    X, y = touching(np.random.default_rng(7), "column")
    assert fitted(X, y, "cross_entropy")[1]
    monkeypatch.setattr(recession, "PASSES", -1)
    assert not fitted(X, y, "cross_entropy")[1]


def cones(rng, n, d, k):
    """k cones of numbers without rounding; three rows of five on a border between two, each twice, once for each."""
    X, D = rng.integers(-9, 10, size=(n, d)).astype(float), rng.integers(-3, 4, size=(d, k)).astype(float)
    first, second = np.argsort(-(X @ D), axis=1)[:, :2].T
    u, on = (D[:, first] - D[:, second]).T, np.flatnonzero(rng.random(n) < 0.6)
    X[on] = (X * (u * u).sum(axis=1, keepdims=True) - (X * u).sum(axis=1, keepdims=True) * u)[on]
    X = np.ldexp(X, -np.frexp(np.abs(X).max(axis=1, keepdims=True))[1])
    s = X @ D
    own = np.argmax((s >= s.max(axis=1, keepdims=True)) * rng.random(s.shape), axis=1)
    tied = on[(s[on] >= s[on].max(axis=1, keepdims=True)).sum(axis=1) == 2]
    other = np.where(own[tied] == first[tied], second[tied], first[tied])
    return np.vstack([X, X[tied]]), np.append(own, other)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array, np.float32])
def test_many_columns_and_classes(form):
    """410 unknowns: separable but for the borders; not so once five rows are of another class."""
    X, y = cones(np.random.default_rng(13), 1000, 40, 10)
    w = np.append(np.ones(len(y)), 0.0)
    rows, y = form(np.vstack([X, X[:1]])), np.append(y, (y[0] + 1) % 10)  # the last contradicts and has no weight
    for options in ({}, {"fit_intercept": False}):
        with pytest.warns(DataWarning, match="but for rows on the boundary: along one direction"):
            LinearClassifier(penalty="none", **options).fit(rows, y, sample_weight=w)
    y[:5] = (y[:5] + 1) % 10
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        LinearClassifier(penalty="none", tol=1e-6).fit(rows, y, sample_weight=w)


def check_neither(seed, trials):
    rng, tried = np.random.default_rng(seed), 0
    while tried < trials:
        loss = ("cross_entropy", "logistic")[tried % 2]
        n, d, k = int(rng.choice([25, 50])), int(rng.choice([1, 2, 4])), int(rng.choice([2, 3]))
        X, y = rng.normal(size=(n, d)), rng.permutation(np.arange(n) % k)
        X[:, 0] += rng.choice([0.0, 0.5, 1.5]) * y
        if tried % 5 == 0:  # all but one row of a separable set
            X, y = separable(rng, "wide")
            y = y.copy()
            y[rng.integers(len(y))] = (y[0] + 1) % (y.max() + 1)
        if tried % 5 == 1:  # a few rows off the boundary
            X, y = touching(rng, rng.choice(TOUCHING))
            X, y = X[:, np.ptp(X, axis=0) > 0], np.unique(y, return_inverse=True)[1]
            X[rng.integers(len(y), size=6)] += rng.normal(size=(6, X.shape[1])) * rng.choice([0.1, 1, 10])
        if y.max() < 1 or truth(X, y, loss) is not False:
            continue
        model, texts = fitted(X, y, loss)
        assert not texts, (tried, X.shape, texts)
        assert model.status_ is not Status.UNBOUNDED
        assert np.isfinite(model.coef_).all()
        tried += 1


def test_none_of_the_others_is_accused():
    check_neither(1, TRIALS)


@pytest.mark.parametrize("loss", ["squared_hinge"])
def test_margin_losses_reach_no_loss_and_say_that_it_is_not_the_only_optimum(loss):
    rng, seen = np.random.default_rng(2), 0
    for i in range(40):
        X, y = separable(rng, KINDS[i % 2])
        X = X / X.std(axis=0)
        if y.max() < 1:
            continue
        model, texts = fitted(X, y, loss)
        assert len(texts) == 1, (i, X.shape, model.status_)
        assert "infinitely many weights have no loss" in texts[0]
        assert model.status_ is not Status.UNBOUNDED
        assert model.score(X, y) == 1
        seen += 1
    assert seen >= 35
    mixed = rng.normal(size=(40, 2))
    assert not fitted(mixed, np.arange(40) % 2, loss)[1]


def test_least_squares_always_has_an_optimum():
    X, y = separable(np.random.default_rng(3), "wide")
    model, texts = fitted(X, y, "squared")
    assert not texts
    assert model.converged_


@pytest.mark.parametrize("solver", ["lbfgs", "newton", "gd", "sgd", "proximal"])
def test_every_solver_stops_where_it_is_proven(solver):
    rng = np.random.default_rng(4)
    X, y = separable(rng, "wide")
    X = X / X.std(axis=0)
    model, texts = fitted(X, y, "cross_entropy", solver=solver, random_state=0)
    assert model.status_ is Status.UNBOUNDED
    assert "every row is right" in texts[0]


def test_rows_of_no_weight_and_float32_do_not_hide_it():
    rng = np.random.default_rng(5)
    X, y = separable(rng, "wide")
    w = np.ones(len(y))
    X, y, w = np.vstack([X, X[:1]]), np.append(y, (y[0] + 1) % (y.max() + 1)), np.append(w, 0.0)
    with pytest.warns(DataWarning, match="perfectly separable"):
        LinearClassifier(penalty="none").fit(X.astype(np.float32), y, sample_weight=w)


def test_alpha_zero_is_no_penalty():
    X, y = separable(np.random.default_rng(6), "wide")
    with pytest.warns(DataWarning, match="Set alpha > 0"):
        LinearClassifier(alpha=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        LinearClassifier(alpha=1e-3).fit(X, y)
