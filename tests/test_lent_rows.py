"""Rows that torch or another array library holds: the same fits, in its arrays, nothing copied to the host."""

import warnings

import array_api_strict
import numpy as np
import pytest

from linearhead import LinearClassifier, MarginClassifier, SoftmaxClassifier, regularization_path
from linearhead.arrays import to_host
from linearhead.design import LentArray, design_of
from linearhead.errors import DataError
from linearhead.losses import LOSSES
from linearhead.objective import Objective, curvature, lent, lent_model
from linearhead.objective import basis as sampling
from linearhead.objective.lent import LentObjective
from linearhead.objective.lent_model import LentBasis, LentModel
from linearhead.penalties import PENALTIES
from linearhead.solvers import turns
from linearhead.solvers.lbfgs import two_loop
from test_solvers_agree import blobs

LIBRARIES = ["strict", "torch", "cuda", "cupy"]


def into(library, X):
    if library == "strict":
        return array_api_strict.asarray(X)
    if library == "cupy":
        cupy = pytest.importorskip("cupy")
        return cupy.asarray(X)
    torch = pytest.importorskip("torch")
    rows = torch.from_numpy(np.ascontiguousarray(X))
    if library == "torch":
        return rows
    if not torch.cuda.is_available():
        pytest.skip("no graphics card that torch can use")
    return rows.cuda()


def data(n=300, d=8, k=4, dtype=np.float32, seed=0):
    X, y = blobs(np.random.default_rng(seed), n, d, k)
    return X.astype(dtype), y


def objective(X, y, loss="cross_entropy", penalty="l2", alpha=1e-2, weights=None, standardize=False, intercept=True):
    design = design_of(X, intercept=intercept).fitted(weights, standardize)
    return Objective(design, y, int(y.max()) + 1, LOSSES[loss](), PENALTIES[penalty](), alpha, weights, watch=True)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared", "squared_hinge"])
def test_the_same_fit_as_on_numpy_rows(library, dtype, loss, monkeypatch):
    monkeypatch.setattr(turns.Turns, "step", lambda *given: None)  # Newton's method has them on NumPy's rows alone
    X, y = data(dtype=dtype)
    options = {"loss": loss, "alpha": 1e-2, "solver": "lbfgs", "standardize": loss == "logistic"}
    ours, theirs = (LinearClassifier(**options).fit(rows, y) for rows in (X, into(library, X)))
    assert theirs.converged_
    assert theirs.coef_.dtype == X.dtype
    assert isinstance(theirs.coef_, np.ndarray)
    assert abs(theirs.n_iter_ - ours.n_iter_) <= 2
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=3e-5)
    assert theirs.certificate_.value == pytest.approx(ours.certificate_.value, rel=1e-9)
    assert np.array_equal(theirs.predict(into(library, X)), ours.predict(X))
    assert np.array_equal(theirs.undecided(into(library, X)), theirs.undecided(X))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("arrangement", ["plain", "weighted", "scaled", "no intercept", "far"])
def test_value_gradient_and_model_are_those_of_numpy(library, arrangement):
    X, y = data(dtype=np.float64)
    X = X + 1e9 * (arrangement == "far") * (np.arange(8) == 2)
    w = np.random.default_rng(1).uniform(0.1, 2, len(y)) if arrangement == "weighted" else None
    options = {"weights": w, "standardize": arrangement == "scaled", "intercept": arrangement != "no intercept"}
    here, there = objective(X, y, **options), LentObjective.of(objective(into(library, X), y, **options))
    theta = 0.1 * np.random.default_rng(2).standard_normal((9, 4))
    a, b = here.at(theta), there.back(there.at(there.into(theta)))
    assert b.value == pytest.approx(a.value, rel=1e-12)
    assert b.accuracy == pytest.approx(a.accuracy, rel=1e-12)
    np.testing.assert_allclose(b.gradient, a.gradient, atol=1e-12)
    assert there.judge(there.into(theta)) == pytest.approx((a.loss, a.accuracy), rel=1e-12)
    assert objective(into(library, X), y, **options).judge(theta) == pytest.approx((a.loss, a.accuracy), rel=1e-12)
    v = np.random.default_rng(3).standard_normal((9, 4))
    v[-1] *= options["intercept"]  # else no step along it is asked for
    moved = to_host(there.preconditioner(there.into(theta))(there.into(v))[0])
    np.testing.assert_allclose(moved, here.preconditioner(theta)(v)[0], rtol=1e-6, atol=1e-8)


@pytest.fixture
def far(monkeypatch):
    """As if no library's rows lay in the processor's memory."""
    monkeypatch.setattr(lent, "beside", lambda _: False)


def models(library, X, y, seed=2, **options):
    """The host's model and the one made where the rows are, at one θ, and what both answer for two arrays."""
    here, there = objective(X, y, **options), LentObjective.of(objective(into(library, X), y, **options))
    rng = np.random.default_rng(seed)
    theta, *vectors = rng.standard_normal((3, X.shape[1] + 1, int(y.max()) + 1))
    for v in vectors:
        v[-1] *= options.get("intercept", True)
    theta = 0.1 * theta / (1 + np.abs(here.design.dense()).max())
    host, own = here.preconditioner(theta), LentModel.made(there, LentBasis.of(there), there.into(theta), fine=False)
    return host, own, host(*vectors), [to_host(found) for found in own(*map(there.into, vectors))]


ARRANGEMENTS = {
    "plain": {},
    "weighted": {"weights": True},
    "scaled": {"standardize": True},
    "no intercept": {"intercept": False},
    "far": {},
    "columns of any size": {},
    "unpenalised": {"alpha": 0.0},
    "penalised strongly": {"alpha": 3.0},
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared", "squared_hinge"])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_model_made_there_is_the_hosts(library, loss, arrangement):
    X, y = data(dtype=np.float64)
    X = X + 1e9 * (arrangement == "far") * (np.arange(8) == 2)
    X = X * 10.0 ** (np.arange(8) - 3) if arrangement == "columns of any size" else X
    options = dict(ARRANGEMENTS[arrangement])
    if "weights" in options:
        options["weights"] = np.random.default_rng(1).uniform(0.1, 2, len(y)) * (np.arange(len(y)) % 5 > 0)
    host, own, ours, theirs = models(library, X, y, loss=loss, **options)
    assert own.lead == host.lead == 8
    assert (host.basis.scale != 1).any() == (arrangement == "columns of any size")
    for found, expected in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_two_loops_in_products(library, count):
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.5, 2, (9, 4))
    bend = rng.standard_normal((36, 36)) / 6
    steps = rng.standard_normal((count, 9, 4)) * 10.0 ** -np.arange(count)[:, None, None]
    changes = [s + (bend @ bend.T @ s.ravel()).reshape(s.shape) for s in steps]
    pairs = [(s, y, float((s * y).sum())) for s, y in zip(steps, changes, strict=True)]
    moved = [(into(library, s), into(library, y), curvature) for s, y, curvature in pairs]
    v, there = rng.standard_normal((9, 4)), into(library, scale)
    ours = two_loop(v, pairs, lambda *arrays: [a * scale for a in arrays])
    theirs = two_loop(into(library, v), moved, lambda *arrays: [a * there for a in arrays])
    np.testing.assert_allclose(to_host(theirs), ours, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("library", ["strict", "torch"])
@pytest.mark.parametrize("rows", [40, 300])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_hinge"])
def test_so_it_is_of_some_directions_and_of_many_classes(library, rows, loss, monkeypatch):
    monkeypatch.setattr(sampling, "FULL_EIGEN", 50)
    monkeypatch.setattr(lent_model, "FULL_EIGEN", 50)
    monkeypatch.setattr(sampling, "SKETCH", 20)
    monkeypatch.setattr(lent_model, "LARGE", 0)  # as if a pass took long
    X, y = data(n=rows, d=80, k=5, dtype=np.float64)
    monkeypatch.setattr(curvature, "size", lambda objective, directions: (directions, objective.n))
    for classes, rotated in ((32, 256), (4, 256), (4, 4)):
        for module in (curvature, lent_model):
            monkeypatch.setattr(module, "CLASSES", classes)
            monkeypatch.setattr(module, "ROTATED", rotated)
        host, own, ours, theirs = models(library, X, y, loss=loss)
        assert own.rest is not None
        assert (own.coupled is None) == (host.coupled is None) == (classes == 4 and loss == "squared_hinge")
        assert (own.Q is None) == (rotated == 4)
        if classes == 4:
            monkeypatch.setattr(lent_model, "LARGE", 2 * rows * 80 * 5)
            assert models(library, X, y, loss=loss)[1].coupled is None  # dearer than the passes that it saves
            monkeypatch.setattr(lent_model, "LARGE", rows * 80 * 5)
        for found, expected in zip(theirs, ours, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("library", ["strict", "torch"])
@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "squared", "squared_hinge"])
def test_with_models_made_there_fits_are_the_same(library, loss, far, monkeypatch):
    monkeypatch.setattr(turns.Turns, "step", lambda *given: None)  # Newton's method has its turns on NumPy's rows alone
    X, y = data()
    options = {"loss": loss, "alpha": 1e-3, "solver": "lbfgs", "standardize": loss == "logistic"}
    ours, theirs = (LinearClassifier(**options).fit(rows, y) for rows in (X, into(library, X)))
    assert theirs.converged_
    assert abs(theirs.n_iter_ - ours.n_iter_) <= 0.1 * ours.n_iter_ + 2
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=3e-5)


def test_the_sharper_model_is_the_hessian_of_all_rows_or_of_many(monkeypatch):
    """In all directions and on all rows it is the Hessian itself; beyond what it may cost, that of every so-manieth."""
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 300)
    X, y = data(n=900, dtype=np.float64)
    here, there = objective(X, y), LentObjective.of(objective(into("strict", X), y))
    basis, rng = LentBasis.of(there), np.random.default_rng(0)
    assert basis.rows.n == 300
    theta, v = 0.1 * rng.standard_normal((2, 9, 4))
    v -= v.mean(axis=1, keepdims=True)
    for multiplies, rows in (
        (900 * 36**2, np.arange(900)),
        (900 * 36**2 - 1, np.arange(0, 900, 2)),
        (300 * 36**2, sampling.sampled_rows(here, np.random.default_rng(0))),
    ):
        monkeypatch.setattr(lent_model, "MULTIPLIES", multiplies)
        model = LentModel.made(there, basis, there.into(theta), fine=True)
        found = to_host(model(there.into(here.take(rows).hessian_product(theta, v)))[0])
        np.testing.assert_allclose(found, v, rtol=1e-5, atol=1e-6)


def test_a_model_of_some_directions_only_is_the_same_too():
    X, y = data(n=60, d=1700)  # more columns than a full eigenbasis is made for
    here, there = objective(X, y), objective(into("strict", X), y)
    model, theta = here.preconditioner(here.start()), np.random.default_rng(3).standard_normal((1701, 4))
    assert not model.basis.full
    there = LentObjective.of(there)
    moved = LentModel.of(model, there.into)(there.into(theta))[0]
    np.testing.assert_allclose(to_host(moved), model(theta)[0], atol=2e-3)


@pytest.mark.parametrize("card", [False, True])
def test_an_iteration_brings_no_array_to_the_host(card, monkeypatch):
    """On a card no model does either, once there are directions."""
    monkeypatch.setattr(lent, "beside", lambda _: not card)
    torch = pytest.importorskip("torch")
    X, y = data(n=40_000, d=6)
    there = LentObjective.of(objective(torch.from_numpy(X), y))
    theta = there.into(np.zeros((7, 4)))
    model = there.preconditioner(theta)

    def refuse(*_, **__):
        raise AssertionError("an array came to the host")

    for name in ("__array__", "numpy", "tolist", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    for problem in (there, *([] if card else [there.sample()]), there.precise()):
        model = problem.preconditioner(theta, fine=True) if card else model
        point, pairs = problem.at(theta), []
        for _ in range(3):
            step = problem.at(point.theta - two_loop(point.gradient, pairs, model))
            s, change = step.theta - point.theta, step.gradient - point.gradient
            pairs.append((s, change, float((s * change).sum())))
            assert step.residual < point.residual
            point = step
        assert isinstance(point.theta, torch.Tensor)
        assert isinstance(point.gradient, torch.Tensor)


def test_the_sample_is_every_fourth_row():
    X, y = data(n=33_000, d=3)
    here = objective(X, y)
    there = LentObjective.of(objective(into("strict", X), y))
    theta = np.random.default_rng(0).standard_normal((4, 4))
    before = here.count.passes, there.count.passes
    a, b = here.sample().at(theta), there.sample().at(there.into(theta))
    assert there.count.passes - before[1] == here.count.passes - before[0] == pytest.approx(0.25, rel=0.01)
    assert b.value == pytest.approx(a.value, rel=1e-6)
    np.testing.assert_allclose(to_host(b.gradient), a.gradient, atol=1e-5)
    assert LentObjective.of(objective(into("strict", X[:900]), y[:900])).sample() is None


def test_a_few_rows_are_asked_on_a_card_only_where_a_pass_is_long(monkeypatch):
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((9000, 3)), np.arange(9000) % 40
    there = LentObjective.of(objective(into("strict", X), y))
    few, theta = there.few(), rng.standard_normal((4, 40))
    assert 512 <= few.n <= 530
    wanted = objective(X, y).take(np.arange(0, 9000, 9000 // 512)).at(theta)
    assert few.at(there.into(theta)).value == pytest.approx(wanted.value, rel=1e-9)
    monkeypatch.setattr(lent, "beside", lambda _: False)
    assert there.few() is None
    monkeypatch.setattr(lent, "LARGE", 9000 * 3 * 40)
    assert there.few().n == few.n


def test_other_types_labels_weights_and_validation_rows():
    torch = pytest.importorskip("torch")
    X, y = data(dtype=np.float64)
    X = np.clip(np.round(20 * X), -100, 100)
    X -= X.min()
    w = np.random.default_rng(0).uniform(0.5, 2, len(y))
    whole = SoftmaxClassifier(alpha=10.0, tol=1e-5).fit(X, y, w)
    for kind in (torch.uint8, torch.int32, torch.float16, torch.bfloat16, torch.float64):
        rows = torch.from_numpy(X).to(kind)
        model = SoftmaxClassifier(alpha=10.0, tol=1e-5).fit(rows, torch.from_numpy(y), torch.from_numpy(w))
        atol = 1e-2 if kind == torch.bfloat16 else 1e-5
        np.testing.assert_allclose(model.coef_, whole.coef_, atol=atol)
    rows = torch.from_numpy(X).requires_grad_()
    model = SoftmaxClassifier(alpha=10.0, tol=1e-5).fit(rows, y, X_valid=rows, y_valid=torch.from_numpy(y))
    assert model.trace_.valid_loss[-1] == pytest.approx(model.trace_.train_loss[-1], rel=1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_lbfgs_does_not_solve_works_on_rows_as_they_come(library):
    X, y = data(dtype=np.float64)
    rows = into(library, X)
    for model in (
        MarginClassifier(alpha=0.1),
        LinearClassifier("squared", alpha=0.1),
        SoftmaxClassifier(penalty="l1", alpha=0.02),
    ):
        ours, value = model.fit(X, y).coef_.copy(), model.certificate_.value
        theirs = model.fit(rows, y).coef_
        assert model.certificate_.value == pytest.approx(value, rel=1e-4)
        if model.penalty == "l1":  # half of a column's weights above 0: a shift of all of them changes nothing in F
            ours, theirs = (coef - coef.mean(axis=0) for coef in (ours, theirs))
        np.testing.assert_allclose(theirs, ours, atol=2e-4)
    path = regularization_path(rows, y, valid=(rows, y), alphas=[1.0, 0.1])
    assert path.alpha_ == regularization_path(X, y, valid=(X, y), alphas=[1.0, 0.1]).alpha_


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_cannot_be_used_is_said(library):
    X, y = data()
    X[3, 1] = np.nan
    with pytest.raises(DataError, match="row 3 column 1"):
        SoftmaxClassifier().fit(into(library, X), y)
    with pytest.raises(ValueError, match="2D"):
        SoftmaxClassifier().fit(into(library, np.zeros(5, np.float32)), y[:5])
    with pytest.raises(DataError, match="complex"):
        SoftmaxClassifier().fit(into(library, np.zeros((5, 2), np.complex64)), y[:5])


def test_rows_are_views_where_the_memory_is_the_processors():
    torch = pytest.importorskip("torch")
    X = torch.zeros((10, 3))
    lent = LentArray(X)
    lent[2:5][:] = 7
    assert X[2:5].min() == 7
    assert np.array_equal(lent[np.array([-1, 2])], X[[-1, 2]].numpy())
    assert np.array_equal(lent[np.arange(10) == 3], X[3:4].numpy())
    assert np.array_equal(np.asarray(lent), X.numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert design_of(X).dense().shape == (10, 3)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_path_with_folds_is_that_of_numpy_rows(library):
    X, y = data(n=400)
    theirs, ours = (regularization_path(rows, y, cv=3, alphas=[1.0, 0.1, 0.01]) for rows in (into(library, X), X))
    assert theirs.alpha_ == ours.alpha_
    np.testing.assert_allclose(theirs.valid_loss, ours.valid_loss, rtol=1e-3)


@pytest.mark.parametrize("library", LIBRARIES)
def test_some_rows_stay_where_they_are(library):
    X, _ = data()
    rows = into(library, X)
    part = design_of(rows).take(np.array([5, 2]))
    assert type(part.X.source) is type(rows)
    assert np.array_equal(part.X[:], X[[5, 2]])


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_numpy_rows(weighted):
    X, _ = data()
    X[:, 1], X[:, 2] = 7.0, X[:, 2] + 1e6  # a constant, and a mean that dwarfs the spread
    w = np.random.default_rng(0).uniform(0.1, 2, len(X)) if weighted else None
    mean, deviation = design_of(into("strict", X)).moments(w)
    exact = X.astype(np.float64)
    truth = np.average(exact, axis=0, weights=w)
    np.testing.assert_allclose(mean, truth, rtol=1e-12)
    np.testing.assert_allclose(deviation**2, np.average((exact - truth) ** 2, axis=0, weights=w), rtol=1e-9, atol=1e-20)
    assert deviation[1] == 0


@pytest.mark.parametrize("make", ["to_sparse_coo", "to_sparse_csr"])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_are_refused_with_what_to_do(make):
    X, y = data()
    rows = getattr(into("torch", X), make)()
    with pytest.raises(DataError, match=r"sparse tensor \(torch.sparse_.*X.to_dense\(\)"):
        SoftmaxClassifier().fit(rows, y)
