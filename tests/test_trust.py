"""Calibration, sets of labels, abstention and what is unlike: their promises on data where the truth is known."""

import re

import numpy as np
import pytest

from linearhead.losses import LOSSES
from linearhead.trust import Conformal, Novelty, answered, fit_temperature, reliability
from linearhead.trust.calibration import PRIOR, TEMPERATURES, expected_ece, tempered
from linearhead.trust.conformal import strangeness
from linearhead.trust.noise import label_noise
from linearhead.trust.novelty import RARE

softmax = LOSSES["cross_entropy"]().probabilities


def drawn(n=4000, k=5, t=1.0, seed=0):
    """Scores whose probabilities are true, then multiplied by t; and labels drawn from them."""
    rng = np.random.default_rng(seed)
    s = rng.normal(0, 2, (n, k))
    y = (softmax(s).cumsum(axis=1)[:, :-1] <= rng.random((n, 1))).sum(axis=1)
    return s * t, y


@pytest.mark.parametrize("t", [0.4, 1.0, 2.5])
def test_temperature_is_found_and_lowers_ece_and_log_loss(t):
    s, y = drawn(t=t)
    found = fit_temperature(s, y, softmax)
    assert found == pytest.approx(t, rel=0.08)
    rows = np.arange(len(y))
    before, after = (
        reliability(p[rows, y], p.max(axis=1), p.argmax(axis=1) == y) for p in (softmax(s), softmax(s / found))
    )
    assert after.log_loss <= before.log_loss * 1.001
    if before.ece > 0.02:
        assert after.ece < before.ece
    assert sum(b[2] for b in after.bins) == len(y)
    assert after.ece < expected_ece(softmax(s / found).max(axis=1))


@pytest.mark.parametrize("t", [0.1, 0.4, 1.0, 2.5])
@pytest.mark.parametrize("n", [30, 400])
def test_the_temperature_from_losses_at_some_is_that_from_the_scores(n, t):
    s, y = drawn(n=n, t=t)
    losses = [-np.log(softmax(s / other)[np.arange(n), y]).mean() for other in TEMPERATURES]
    found, least = tempered(losses, n)
    wanted = fit_temperature(s, y, softmax)
    assert found == pytest.approx(wanted, rel=0.05)
    own = -np.log(softmax(s / wanted)[np.arange(n), y]).mean() + np.log(wanted) ** 2 / (2 * PRIOR**2 * n)
    assert least == pytest.approx(own, abs=2e-3)


def test_scores_that_lie_beyond_all_temperatures_get_the_last():
    assert tempered(np.arange(len(TEMPERATURES), 0, -1.0), 1e9)[0] == TEMPERATURES[-1]


@pytest.mark.parametrize("n", [0, 1, 6, 12, 100])
def test_few_rows_leave_the_temperature_near_1_and_never_raise_their_log_loss(n):
    for seed in range(20):
        s, y = drawn(n=n, seed=seed)
        t = fit_temperature(s, y, softmax)
        assert 0.5 < t < 2
        own = np.arange(n), y
        assert np.sum(np.log(softmax(s / t)[own])) >= np.sum(np.log(softmax(s)[own])) - 1e-9


@pytest.mark.parametrize("proper", [True, False])
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_sets_cover_what_they_promise(proper, coverage):
    covered = []
    for seed in range(40):
        s, y = drawn(n=1200, seed=seed)
        p = softmax(s) if proper else None
        cut = 600
        conformal = Conformal.fit(s[:cut], None if p is None else p[:cut], y[:cut])
        sets = conformal.sets(s[cut:], None if p is None else p[cut:], coverage)
        covered.append(sets[np.arange(600), y[cut:]].mean())
    assert np.mean(covered) == pytest.approx(coverage, abs=0.01)


def test_sets_of_many_rows_keep_bounded_order_statistics_and_never_promise_what_they_cannot():
    s, y = drawn(n=5000)
    conformal = Conformal.fit(s, softmax(s), y)
    assert len(conformal.kept) == 2000
    own = strangeness(s, softmax(s))[np.arange(5000), y]
    assert np.mean(own <= conformal.limit(0.9)) == pytest.approx(0.9, abs=0.001)
    few = Conformal.fit(s[:10], softmax(s[:10]), y[:10])
    assert few.limit(0.99) == np.inf
    assert few.sets(s[:3], softmax(s[:3]), 0.99).all()


def test_answering_only_when_sure():
    rows = answered(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]))
    assert [row[:2] for row in rows] == [[0.25, 1.0], [0.5, 1.0], [0.75, 2 / 3], [1.0, 0.5]]
    assert rows[-1][2] == 0.6


@pytest.mark.parametrize("d", [3, 40, 500])
def test_unlike_is_uniform_on_the_usual_and_small_on_the_strange(d):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(min(d, 6), d))

    def rows(n):
        return (rng.normal(size=(n, len(mix))) @ mix + 0.1 * rng.normal(size=(n, d))).astype(np.float32)

    novelty = Novelty.fit(rows(900))
    assert novelty is not None
    assert np.mean(novelty.unlike(rows(1500)) < 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.all(novelty.unlike(rows(200) + 40) < 0.01)
    again = Novelty.restore(novelty.tensors(), d)
    x = rows(20)
    assert np.array_equal(again.unlike(x), novelty.unlike(x))
    with pytest.raises(ValueError, match="shapes"):
        Novelty.restore(novelty.tensors(), d + 1)


@pytest.mark.parametrize("n", [30, 60, 120, 300])
def test_from_few_rows_the_usual_is_seldom_called_strange_and_the_strange_is(n):
    own, foreign = [], []
    for seed in range(12):
        rng = np.random.default_rng([seed, n])
        mix = rng.normal(size=(6, 80))
        X, new = ((rng.normal(size=(m, 6)) @ mix + 0.3 * rng.normal(size=(m, 80))).astype(np.float32) for m in (n, 400))
        novelty = Novelty.fit(X)
        assert novelty is not None
        own.append(np.mean(novelty.unlike(new) < RARE))
        foreign.append(np.mean(novelty.unlike(rng.normal(size=(50, 80)).astype(np.float32) * 6) < RARE))
    assert np.mean(own) < 2.5 * RARE
    assert np.mean(foreign) > 0.9


def test_constant_columns_and_few_rows():
    X = np.zeros((60, 4), np.float32)
    X[:, 0] = np.arange(60)
    novelty = Novelty.fit(X)
    assert novelty is not None
    assert np.isfinite(novelty.strangeness(X)).all()
    assert Novelty.fit(X[:10]) is None
    alike = Novelty.fit(np.ones((60, 4), np.float32))
    assert alike is not None
    again = Novelty.restore(alike.tensors(), 4)  # a run on such rows wrote a model that could not be read again
    assert np.isfinite(again.strangeness(X)).all()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("t", [0.5, 2.0])
def test_the_share_of_random_labels_is_estimated_whatever_the_temperature(share, t):
    s, y = drawn(n=6000, k=8, t=t)
    rng = np.random.default_rng(1)
    flipped = rng.permutation(6000)[: round(6000 * share)]
    y[flipped] = (y[flipped] + rng.integers(1, 8, len(flipped))) % 8
    found, gain, _ = label_noise(s, y, softmax)
    assert found == pytest.approx(share, abs=0.012)
    assert (gain > 20) == (share > 0)


def test_similar_classes_are_no_wrong_labels():
    """Five pairs of classes: of a quarter of the rows the classifier is sure of the other one of the pair."""
    rng, truth = np.random.default_rng(0), np.arange(400) % 10
    confused, drawn_anew = rng.random(400) < 0.25, rng.random(400) < 0.1
    s = 4 * np.eye(10)[np.where(confused, truth ^ 1, truth)] + rng.normal(0, 0.5, (400, 10))
    share, gain, beyond = label_noise(s, truth, softmax)
    assert share > 0.05
    assert gain > 10
    assert beyond < 0.5
    y = np.where(drawn_anew, (truth + rng.integers(1, 10, 400)) % 10, truth)
    assert label_noise(s, y, softmax).beyond > 3


def test_noise_of_two_classes_and_of_very_many_cells(monkeypatch):
    s, y = drawn(n=4000, k=2)
    assert label_noise(s, y, softmax)[0] < 0.02
    flipped = np.random.default_rng(0).permutation(4000)[:600]
    y[flipped] = 1 - y[flipped]
    whole = label_noise(s, y, softmax)
    assert whole[0] == pytest.approx(0.15, abs=0.03)
    monkeypatch.setattr("linearhead.trust.noise.CELLS", 2000)
    part = label_noise(s, y, softmax)
    assert part[0] == pytest.approx(0.15, abs=0.06)
    assert part[1] == pytest.approx(whole[1], rel=0.4)


def rows_of_digits(n=600):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[:n]
    return (X[order] / 16).astype(np.float32), y[order].astype(np.int64)


def test_planted_flips_come_first_among_the_doubted_labels():
    from linearhead.experiment.outside import outside
    from linearhead.experiment.recipe import Recipe
    from linearhead.experiment.trusting import noise, suspects
    from linearhead.store import Model

    X, y = rows_of_digits()
    rng = np.random.default_rng(1)
    flipped = rng.permutation(600)[:30]
    y[flipped] = (y[flipped] + rng.integers(1, 10, 30)) % 10
    seen = outside(X, y, Recipe(features="pixels"), 0.003, 0)
    assert seen is not None
    W = np.zeros((10, 64), np.float32)
    for loss, least in (("cross_entropy", 0.8), ("hinge", 0.7)):
        model = Model(list("0123456789"), W, W[:, 0], None, None, loss, {})
        first, found = suspects(model, seen.scores, y), noise(model, seen.scores, y)
        assert np.isin(first[:30], flipped).mean() >= least
        assert ("noise" in found) == (loss == "cross_entropy")
    assert 0.05 <= found["wrong"] < 0.2


@pytest.mark.parametrize("loss", ["hinge", "crammer_singer"])
def test_hinges_are_scored_where_the_first_link_of_another_fold_has_no_row_in_common(loss):
    from linearhead.experiment.outside import outside
    from linearhead.experiment.recipe import Recipe

    X, y = rows_of_digits(1000)
    few = np.flatnonzero(y < 3)[:200]
    seen = outside(X[few], y[few], Recipe(features="pixels", loss=loss), 0.1, 0)
    assert seen is not None
    assert np.isfinite(seen.scores).all()
    assert np.mean(seen.scores.argmax(axis=1) == y[few]) > 0.9


@pytest.mark.parametrize(("alpha", "settled"), [(6e-5, True), (1e-9, False)])
def test_a_weak_penalty_is_followed_to_its_optimum_or_nothing_is_said(alpha, settled):
    from linearhead import SoftmaxClassifier
    from linearhead.experiment.outside import outside
    from linearhead.experiment.recipe import Recipe

    X, y = rows_of_digits(1000)
    seen = outside(X, y, Recipe(features="pixels"), alpha, 0)
    assert (seen is not None) == settled
    if seen is not None:
        one = SoftmaxClassifier(alpha=alpha, standardize=True, tol=1e-6, max_iter=2000).fit(X[:750], y[:750])
        assert seen.curve.accuracy[-1] == pytest.approx(one.score(X[750:], y[750:]), abs=0.03)
        assert np.abs(seen.scores).max() < 2 * np.abs(one.decision_function(X)).max()


def test_every_row_is_scored_by_a_fit_on_nearly_all_others_that_had_not_seen_it():
    """A row's own label, changed, leaves its own score as it is."""
    from dataclasses import replace

    from linearhead.experiment import outside as room
    from linearhead.experiment.recipe import Recipe

    X, y = rows_of_digits(300)
    seen = room.outside(X, y, Recipe(features="pixels"), 0.01, 0)
    assert seen is not None
    assert seen.fitted == pytest.approx(300 * (1 - 1 / (room.FOLDS * room.PARTS)), abs=1)
    fold = room._folds(y, None, 0, np.random.default_rng(0))
    assert fold is not None
    part = room._parts(y, fold, None, 0, np.random.default_rng(0))
    objective = Recipe(features="pixels").estimator(0.01)._objective(X, y)
    chains = room._chains(objective, 0.01, fold, part, np.random.default_rng(1))
    assert chains is not None
    rows, theta = chains[1].ends[2]
    swapped = objective.y.copy()
    swapped[rows] = (swapped[rows] + 1) % 10  # what the end of this part must not see
    again = room._chains(replace(objective, y=swapped), 0.01, fold, part, np.random.default_rng(1))
    assert again is not None
    same, other = again[1].ends[2]
    assert np.array_equal(rows, same)
    assert np.abs(room._scores(X[rows], theta) - room._scores(X[rows], other)).max() < 0.2
    seeing = [chain[1].ends[1][1] for chain in (chains, again)]  # of another part: these labels trained it
    assert np.abs(room._scores(X[rows], seeing[0]) - room._scores(X[rows], seeing[1])).max() > 1
    assert sum(len(rows) for chain in chains for rows, _ in chain.ends) == len(y)


@pytest.mark.parametrize(("held", "n_train", "settled", "who"), [
    (300, 9000, True, "validation"),  # the folds' fits saw far fewer rows than the model
    (300, 500, True, "trained"),
    (300, 5000, True, "trained"),  # as many
    (50, 9000, True, "trained"),  # too few to calibrate by themselves
    (199, 9000, True, "trained"),
    (200, 5001, True, "validation"),
    (300, 500, False, "validation"),  # the folds' fits are optima, the model is not
    (None, 9000, True, "trained"),
    (50, 500, False, "stopped as early"),
    (None, 500, False, "stopped as early"),
])  # fmt: skip
def test_who_calibrates(held, n_train, settled, who):
    from types import SimpleNamespace

    from linearhead.experiment.fitting import Fit
    from linearhead.experiment.outside import Outside
    from linearhead.experiment.trusting import unseen
    from linearhead.records import Certificate, LearningCurve

    n = n_train + (held or 0)
    seen = Outside(np.zeros((n, 3)), LearningCurve(), 5000, np.ones(n, bool))
    proof = Certificate(1.0, 1e-9 if settled else 0.3, 1e-3, 1e-7, settled, None)
    fitted = Fit(SimpleNamespace(certificate_=proof), held=None if held is None else np.ones((held, 3)))
    rounds = []
    found = unseen(seen, fitted, np.arange(n) % 3, n_train, lambda times: rounds.append(times) or np.ones((n, 3)))
    assert who in found.source
    assert rounds == ([1 if held is None else 2] if who == "stopped as early" else [])
    assert len(found.y) == len(found.scores) == (held if who == "validation" else n)


def test_where_the_folds_hold_far_fewer_rows_the_validation_pictures_calibrate_and_end_the_curve(tmp_path, monkeypatch):
    from linearhead import train

    X, y = rows_of_digits(1797)
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    told = {}
    for cells in (12_000_000, 0):  # 0: folds of 1000 rows, the least
        monkeypatch.setattr("linearhead.experiment.outside.CELLS", cells)
        told[cells] = train(tmp_path / "rows.npz", out=tmp_path / f"run{cells}", alpha=0.001).run
    whole, part = told.values()
    assert whole.trust is not None
    assert part.trust is not None
    assert "trained rows" in whole.trust.source
    assert "validation rows" in part.trust.source
    assert part.trust.n == sum(part.data.counts["valid"]) >= 200
    assert part.learning_curve is not None
    assert whole.learning_curve is not None
    assert part.learning_curve.n[-1] == sum(part.data.counts["train"])
    assert len(part.learning_curve.n) == len(whole.learning_curve.n) + 1
    for run in (whole, part):  # both are as sure as they should be
        assert run.trust.judged.ece < run.probes["calibration"]["chance"]


def test_scores_of_few_digits_are_fitted_in_float32_alone(monkeypatch):
    from sklearn.datasets import load_digits

    from linearhead.experiment.outside import outside
    from linearhead.experiment.recipe import Recipe
    from linearhead.objective import Objective

    X, y = load_digits(return_X_y=True)
    exact, plain = [], Objective.at
    monkeypatch.setattr(Objective, "at", lambda self, theta: exact.append(self.design.exact) or plain(self, theta))
    outside(X[:500].astype(np.float32), y[:500], Recipe(features="pixels"), 0.01, 0)
    assert exact
    assert not any(exact)


@pytest.mark.parametrize(("loss", "repeated", "by"), [
    ("cross_entropy", 0, "one-step leave-one-out"),
    ("squared_hinge", 0, "one-step leave-one-out"),
    ("squared", 0, "exact leave-one-out"),
    ("hinge", 0, "out-of-fold"),  # kinks
    ("cross_entropy", 20, "out-of-fold"),  # leaving a row out leaves its copy there
])  # fmt: skip
def test_who_doubts_labels_is_said(loss, repeated, by, tmp_path):
    from linearhead import train

    X, y = rows_of_digits(400)
    flipped = np.arange(40)
    y[flipped] = (y[flipped] + 1 + flipped % 9) % 10
    again = np.arange(100, 100 + repeated)
    np.savez(tmp_path / "rows.npz", X=np.vstack([X, X[again]]), y=np.append(y, y[again]))
    run = train(tmp_path / "rows.npz", out=tmp_path / "run", loss=loss, alpha=0.03, test_share=0.0).run
    assert by in run.doubted_by
    assert by in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    first = [int(re.findall(r"\d+", name)[-1]) for name in run.doubted]
    assert np.mean(np.isin(first, flipped)) >= 0.7
    for finding in run.findings:
        if finding.code == "label-errors":
            assert by in finding.evidence


def test_labels_are_doubted_by_other_folds_where_the_fit_is_no_optimum():
    from types import SimpleNamespace

    from linearhead import SoftmaxClassifier
    from linearhead.experiment import examine

    X, y = rows_of_digits(200)
    good, poor = (SoftmaxClassifier(alpha=0.1, tol=tol, solver="sgd").fit(X, y) for tol in (1e9, None))
    cut = SoftmaxClassifier(warm_start=True)  # before its first step
    cut.coef_, cut.intercept_ = good.coef_, good.intercept_
    changed = SoftmaxClassifier(alpha=0.1).fit(X, y)
    changed.coef_ = 4 * changed.coef_
    for best in (poor, cut, changed):
        assert examine.left_out(SimpleNamespace(best=best), X, y) is None
    assert examine.left_out(SimpleNamespace(best=good), X, y) is not None


def fits_of(X, y, monkeypatch, alpha=0.003):
    """What every fit of `outside` was asked: rows that have weight, columns, and how many curvature models it made."""
    from linearhead.experiment.outside import outside
    from linearhead.experiment.recipe import Recipe
    from linearhead.objective import Objective
    from linearhead.solvers import LBFGS

    found, call, made = [], LBFGS.__call__, Objective.preconditioner

    def fit(self, objective, theta, *a):
        rows = objective.n if objective.weights is None else int(np.sum(objective.weights > 0))
        found.append([rows, objective.design.d, 0])
        return call(self, objective, theta, *a)

    def make(self, theta, fine=False):
        found[-1][2] += 1
        return made(self, theta, fine)

    monkeypatch.setattr(LBFGS, "__call__", fit)
    monkeypatch.setattr(Objective, "preconditioner", make)
    seen = outside(X, y, Recipe(features="pixels"), alpha, 0)
    assert seen is not None
    return seen, found


def test_the_fits_to_all_rows_but_a_part_go_by_their_chains_last_curvature_model(monkeypatch):
    X, y = rows_of_digits(600)
    seen, fits = fits_of(X, y, monkeypatch)
    parts, chains = ([made for rows, _, made in fits if (rows > 500) == whole] for whole in (True, False))
    assert len(parts) == 16
    assert max(parts) == 0
    assert min(chains) > 0
    assert np.mean(seen.scores.argmax(axis=1) == y) > 0.9


def test_subsets_of_fewer_rows_than_columns_are_fitted_in_their_own_span(monkeypatch):
    X, y = rows_of_digits(600)
    X = np.hstack([X, X**2, np.sin(5 * X)]).astype(np.float32)  # 600 × 192
    seen, fits = fits_of(X, y, monkeypatch, 0.01)
    columns = {rows: d for rows, d, _ in fits}
    small = {rows: d for rows, d in columns.items() if rows < 180}
    assert small
    assert all(d <= rows for rows, d in small.items())
    assert len({d for rows, d in columns.items() if rows > 192}) == 1
    monkeypatch.setattr("linearhead.experiment.outside.TURNING", 0)
    other, fits = fits_of(X, y, monkeypatch, 0.01)
    assert len({d for _, d, _ in fits}) == 1
    np.testing.assert_allclose(seen.curve.accuracy, other.curve.accuracy, atol=0.02)
    assert np.mean(seen.scores.argmax(axis=1) == other.scores.argmax(axis=1)) > 0.99


@pytest.mark.parametrize("tracks", [30, 120])
def test_frames_of_another_track_are_as_usual_as_those_of_the_trained_ones(tracks):
    """Six frames a track, all but alike: a frame is at home among its own, and no new track ever is."""
    rng = np.random.default_rng(0)

    def frames(amount):
        return (np.repeat(rng.normal(size=(amount, 40)), 6, axis=0) + 0.02 * rng.normal(size=(6 * amount, 40))).astype(
            "f4"
        )

    X, groups, new = frames(tracks), np.repeat([f"track {i}" for i in range(tracks)], 6), frames(50)
    alone, whole = Novelty.fit(X), Novelty.fit(X, 0, groups)
    assert np.mean(whole.unlike(new) < 0.05) < 0.2
    assert np.mean(whole.unlike(new) < 0.05) < np.mean(alone.unlike(new) < 0.05)
    assert np.all(whole.unlike(8 * new) < 0.05)
    assert Novelty.fit(X, 0, np.zeros(len(X))) is None  # one track says nothing about others


def test_a_fit_without_an_optimum_promises_nothing(tmp_path):
    """Where it stopped is chance: other fits' scores called its labels wrong and its confidence 72 points too low."""
    from linearhead import train

    rng, y = np.random.default_rng(0), np.arange(240) % 4
    X = (6 * np.eye(4, 60)[y] + rng.normal(size=(240, 60))).astype(np.float32)
    outcome = train((X, y), out=tmp_path / "run", penalty="none")
    codes = {f.code for f in outcome.run.findings}
    assert "not-converged" in codes
    assert {"label-errors", "miscalibrated"}.isdisjoint(codes)
    assert outcome.run.trust is None
    assert (outcome.run.fit.alpha, outcome.run.fit.alpha_from) == (0.0, "nothing is penalised")


@pytest.mark.parametrize(("solver", "valid_share"), [("gd", 0.15), ("gd", 0.0), ("sgd", 0.15)])
def test_a_model_stopped_early_is_calibrated_by_fits_stopped_as_early(tmp_path, solver, valid_share):
    """Optima are surer of themselves than five steps are: by theirs no label was likely enough for any set."""
    from linearhead import train

    X, y = rows_of_digits(1000)
    options = {"solver": solver, "max_iter": 5 if solver == "gd" else 1, "alpha": 0.001, "valid_share": valid_share}
    trust = train((X, y), out=tmp_path / "run", **options).run.trust
    assert trust is not None
    assert "stopped as early" in trust.source
    for row in trust.coverage:
        assert row["covered"] > row["asked"] - 0.07, row
        assert row["labels"] > row["covered"] - 1e-9, row
