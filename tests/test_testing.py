"""The gradient checker: right code passes, every trap that it names is found when planted and not where it is not."""

import numpy as np
import pytest

from linearhead.errors import DataError, UsageError
from linearhead.estimators import LeastSquaresClassifier, LinearClassifier, LogisticClassifier, MarginClassifier
from linearhead.losses import LOSSES, CrossEntropy, Hinge
from linearhead.testing import check_gradient

N, D, K = 24, 6, 4
ALPHA = 0.3


def data(n=N, d=D, k=K, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, size=d), np.arange(n) % k


def student(change=None, *, flip=False, alpha=0.0, global_max=False, mean=True):
    """The softmax classifier as a student writes it, W (d, k), or (k, d) if `flip`; `change` edits the gradient."""

    def f(W, b, X, y):
        W = W.T if flip else W
        n = len(y)
        s = X @ W + b
        with np.errstate(all="ignore"):
            s = s - (s.max() if global_max else s.max(axis=1, keepdims=True))
            p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
            value = -np.log(p[np.arange(n), y]).sum()
            p[np.arange(n), y] -= 1
            share = n if mean else 1
            value, dW, db = (
                value / share + alpha / 2 * (W * W).sum(),
                X.T @ p / share + alpha * W,
                p.sum(axis=0) / share,
            )
        if change:
            dW, db = change(dW, db, W, b, X, y)
        return value, dW.T if flip else dW, db

    return f


def silent(subject, X, y, **options):
    return check_gradient(subject, X, y, verbose=False, **options)


# ── right answers pass ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("k", [2, 3, 7])
def test_registered_losses_pass(name, k):
    for seed in range(6):
        X, y = data(40, k=k, seed=seed)
        check = silent(name, X, y, seed=seed)
        assert check.ok, check
        assert check
        assert check.traps == check.messages == ()
        assert max(check.weights, check.intercept) <= check.tol == 1e-6
        assert len(check.entries) == D * k + k


def test_losses_may_be_given_as_class_or_instance():
    X, y = data()
    assert silent(CrossEntropy, X, y).ok
    assert silent(Hinge(margin=2.0), X, y).ok


@pytest.mark.parametrize(
    "estimator",
    [
        LinearClassifier(alpha=0.1),
        LinearClassifier(loss="logistic", penalty="elastic_net", alpha=0.2, standardize=True),
        LogisticClassifier(fit_intercept=False),
        MarginClassifier(alpha=0.1),
        LeastSquaresClassifier(alpha=1.0, class_weight="balanced"),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_pass_and_stay_unfitted(estimator):
    X, y = data(40)
    check = silent(estimator, X, np.array(["ant", "bee", "cat", "dog"])[y])
    assert check.ok, check
    assert not hasattr(estimator, "coef_")
    assert not hasattr(estimator, "classes_")
    assert any(e.name.startswith("b[") for e in check.entries) == estimator.fit_intercept


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("d", [D, K])
@pytest.mark.parametrize("alpha", [0.0, ALPHA])
def test_a_right_function_passes_whichever_way_round_its_weights_are(flip, d, alpha):
    check = silent(student(flip=flip, alpha=alpha), *data(d=d))
    assert check.ok, check
    assert check.weights < 1e-7
    assert check.intercept < 1e-7


def test_single_precision_gets_its_own_step():
    def narrow(W, b, X, y):
        value, dW, db = student()(*(a.astype(np.float32) for a in (W, b, X)), y)
        return value, dW.astype(np.float32), db.astype(np.float32)

    X, y = data()
    check = silent(narrow, X, y)
    assert check.ok, check
    assert check.tol == 2e-2
    wrong = silent(lambda *a: (lambda v, dW, db: (v, -dW, db))(*narrow(*a)), X, y)
    assert "sign error" in wrong.traps


def test_a_kink_within_the_step_is_not_a_mistake():
    """Kinks so dense that a coarse step often crosses one; the entry is then tried with a smaller step."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(400, 3)), rng.integers(0, 10, 400)
    for seed in range(3):
        check = silent("hinge", X, y, entries=15, epsilon=1e-2, seed=seed)
        assert check.ok, check


# ── planted traps ─────────────────────────────────────────────────────────────────────────────────
def counts(X, y):
    onehot = np.eye(K)[y]
    return X.T @ onehot, onehot.sum(axis=0)


def without_label_branch(dW, db, W, b, X, y):
    W_part, b_part = counts(X, y)
    return dW + W_part / len(y), db + b_part / len(y)


TRAPS = {
    "bias left out": lambda dW, db, W, b, X, y: (dW, 0 * db),
    "sign error": lambda dW, db, W, b, X, y: (-dW, -db),
    "missing 1/n": lambda dW, db, W, b, X, y: (len(y) * dW, len(y) * db),
    "1/n twice": lambda dW, db, W, b, X, y: (dW / len(y), db / len(y)),
    "constant factor": lambda dW, db, W, b, X, y: (2 * dW, 2 * db),
    "label branch": without_label_branch,
    "penalty": lambda dW, db, W, b, X, y: (dW + 0.2 * W, db),
    "penalised intercept": lambda dW, db, W, b, X, y: (dW, db + 0.2 * b),
}


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("trap", TRAPS)
def test_planted_trap_is_found_and_named(trap, flip):
    for seed in range(4):
        check = silent(student(TRAPS[trap], flip=flip), *data(seed=seed), seed=seed)
        assert not check.ok
        assert not check
        # a gradient that is already divided by n once more changes with the batch, too
        assert set(check.traps) - {"missing 1/n"} == {trap} - {"missing 1/n"}, check
        assert trap in check.traps
        assert all(isinstance(message, str) and len(message) > 30 for message in check.messages)


@pytest.mark.parametrize("trap", ["missing 1/n", "bias left out", "penalised intercept"])
def test_traps_are_found_beside_a_penalty(trap):
    def change(dW, db, W, b, X, y):
        dW, db = TRAPS[trap](dW - ALPHA * W, db, W, b, X, y)
        return dW + ALPHA * W, db

    assert trap in silent(student(change, alpha=ALPHA), *data()).traps


def test_only_the_intercept_lacks_its_share():
    check = silent(student(lambda dW, db, W, b, X, y: (dW, len(y) * db)), *data())
    assert check.traps == ("missing 1/n",)
    assert check.weights <= check.tol < check.intercept
    assert check.messages[0].startswith(f"intercept: analytic = {N} × numerical")
    assert check.worst.name.startswith("b[")


def test_one_global_max_is_found_though_its_gradient_is_right():
    check = silent(student(global_max=True), *data())
    assert check.traps == ("one global max",)
    assert not check.ok
    assert check.weights <= check.tol
    assert "nan" in check.messages[0]
    assert "axis=1" in check.messages[0]


def test_one_global_max_is_found_in_a_loss():
    class Batched(CrossEntropy):
        name = "batched"

        def value_and_gradient(self, s, y):
            p = np.exp(s - s.max())
            p /= p.sum(axis=1, keepdims=True) + 1e-300
            value = -np.log(p[np.arange(len(s)), y] + 1e-300)
            p[np.arange(len(s)), y] -= 1
            return value, p

    assert silent(Batched(), *data()).traps == ("one global max",)


def test_no_max_at_all_overflows():
    def naive(W, b, X, y):
        s = X @ W + b
        with np.errstate(all="ignore"):
            p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
            value = -np.mean(np.log(p[np.arange(len(y)), y]))
            p[np.arange(len(y)), y] -= 1
            return value, X.T @ p / len(y), p.mean(axis=0)

    check = silent(naive, *data())
    assert check.traps == ("overflow",)
    assert check.weights <= check.tol


def test_a_sum_is_named_and_may_be_meant():
    check = silent(student(mean=False), *data())
    assert check.traps == ("missing 1/n in F",)
    assert silent(student(mean=False), *data(), mean=False).ok


def test_a_function_without_db_has_left_the_bias_out():
    for returns in (lambda v, dW, db: (v, dW), lambda v, dW, db: (v, dW, None)):
        check = silent(lambda *a, returns=returns: returns(*student()(*a)), *data())
        assert check.traps == ("bias left out",)
        assert check.intercept == 1.0  # |0 − g| / |0 + g|
        assert check.weights <= check.tol


def test_a_wrong_user_loss_is_found():
    class Wrong(CrossEntropy):
        name = "wrong"

        def value_and_gradient(self, s, y):
            value, gradient = super().value_and_gradient(s, y)
            return value, -gradient

    check = silent(Wrong(), *data())
    assert check.traps == ("sign error",)
    assert check.weights > 100  # g1 + g2 cancels


def test_a_mistake_without_a_name_is_still_found():
    def change(dW, db, W, b, X, y):
        dW[2, 1] *= 1.001
        return dW, db

    check = silent(student(change), *data())
    assert check.traps == ()
    assert not check.ok
    assert check.worst.name == "W[2, 1]"
    assert abs(check.worst.difference - 0.0005) < 1e-5
    assert "W[2, 1]" in check.messages[0]
    assert sum(e.difference > check.tol for e in check.entries) == 1


def test_nan_is_a_mistake():
    assert silent(student(lambda dW, db, W, b, X, y: (dW * np.nan, db)), *data()).weights == np.inf


def test_inputs_are_copies():
    def greedy(W, b, X, y):
        answer = student()(W, b, X, y)
        W[:], b[:], X[:], y[:] = 0, 0, 0, 0
        return answer

    X, y = data()
    before = X.copy(), y.copy()
    assert silent(greedy, X, y).ok
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


# ── what is printed, refused ──────────────────────────────────────────────────────────────────────
def test_the_comparison_is_printed(capsys):
    X, y = data()
    check = check_gradient("cross_entropy", X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"cross_entropy: {N} rows, {D} features, {K} classes"
    assert lines[1].split() == ["analytic", "numerical", "|g1", "−", "g2|", "/", "|g1", "+", "g2|"]
    for entry in (e for e in check.entries if e.name == "b[3]"):
        row = next(line for line in lines if line.startswith("b[3]")).split()
        assert row == ["b[3]", f"{entry.analytic:+.9e}", f"{entry.numerical:+.9e}", f"{entry.difference:.1e}"]
    assert sum(line.startswith("W[") for line in lines) == 5
    assert [line for line in lines if line.startswith(("W:", "b:"))] == [
        f"W: largest relative difference of {D * K} is {check.weights:.1e}, limit 1e-06: agree",
        f"b: largest relative difference of {K} is {check.intercept:.1e}, limit 1e-06: agree",
    ]
    check_gradient(student(TRAPS["bias left out"]), X, y)
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("f: ")
    assert "b: largest relative difference of 4 is 1.0e+00, limit 1e-06: disagree" in out
    assert out.rstrip().endswith("the bias update is left out.")


def test_large_problems_are_sampled():
    X, y = data(d=100, k=30, n=60)
    check = silent("squared", X, y, entries=50)
    assert len(check.entries) == 50 + 30
    assert check.ok
    assert {e.name for e in silent("squared", X, y, entries=50, seed=1).entries} != {e.name for e in check.entries}


def test_what_cannot_be_checked_is_refused():
    X, y = data()
    with pytest.raises(UsageError, match=r"No loss is called 'huber'\. The losses are: cross_entropy, logistic"):
        check_gradient("huber", X, y)
    with pytest.raises(UsageError, match="got float; needed is a loss"):
        check_gradient(3.5, X, y)
    with pytest.raises(UsageError, match=r"cannot be called as f\(W, b, X, y\).*takes 1 positional"):
        check_gradient(lambda W: W, X, y)
    with pytest.raises(UsageError, match=r"it returned value \(\), dW \(6,\)"):
        check_gradient(lambda W, b, X, y: (0.0, np.zeros(6), np.zeros(4)), X, y)
    for X_bad, y_bad in ((X[0], y), (X, y[:-1]), (X[:0], y[:0])):
        with pytest.raises(DataError, match="X has shape"):
            check_gradient("hinge", X_bad, y_bad)
