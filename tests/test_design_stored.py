"""Rows on disk are the rows in memory: the same optimum, whatever the files, threads and budget; bounded memory."""

import subprocess
import sys
import textwrap
from dataclasses import dataclass

import numpy as np
import pytest

from linearhead import LinearClassifier, SoftmaxClassifier, regularization_path
from linearhead.design import Rows, StoredArray, StoredRows, contract, design_of, opened, stored
from linearhead.errors import DataError, FileError

TYPES = [np.float64, np.float32, np.float16, np.uint8, np.int32]


@dataclass
class Store:
    """What a feature store has to show."""

    shards: list


def made(tmp_path, dtype=np.float64, n=700, d=6, k=3, seed=0):
    """(path of X, X, y)"""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * [1, 2, 0.5, 1, 1, 3] + [0, 1, 0, 5, 0, 0]
    y = (X[:, :k] + rng.gumbel(size=(n, k))).argmax(axis=1)
    X = (np.clip(40 * X + 100, 0, 255) if dtype == np.uint8 else X).astype(dtype)
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy", X, y


@pytest.fixture
def small_slabs(monkeypatch):
    """Blocks of 128 rows and slabs of one or two, that a small test has many of them."""
    monkeypatch.setattr(contract, "BLOCK_BYTES", 1)
    monkeypatch.setattr(stored, "SLAB_BYTES", 7000)


@dataclass
class Chosen:
    """Chosen rows of a feature store, some of them not yet in a file."""

    parts: list
    part: np.ndarray
    row: np.ndarray


def sharded(tmp_path, X, cuts):
    parts = np.split(X, cuts)
    for i, part in enumerate(parts):
        np.save(tmp_path / f"{i}.npy", part)
    return Store([np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(len(parts))])


# ── the array ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("budget", [0, 5000, 1 << 20])
def test_indexing_is_numpys(tmp_path, budget):
    _, X, _ = made(tmp_path)
    array = StoredArray(sharded(tmp_path, X, [1, 1, 300, 650]), budget)  # an empty shard is one, too
    assert array.shape == X.shape
    rng = np.random.default_rng(1)
    for _ in range(2):  # before and after rows are kept
        for key in (slice(0, 1), slice(0, 90), slice(250, 660), slice(None, None, 7), slice(9, 2), slice(50, 20, -3)):
            assert np.array_equal(array[key], X[key])
        for key in (rng.permutation(700), np.array([5, 5, -1, 0]), np.array([], int), rng.random(700) < 0.1):
            assert np.array_equal(array[key], X[key])
        assert np.array_equal(np.asarray(array), X)
        assert np.array_equal(array.column(4), X[:, 4])


def test_what_lies_in_order_in_a_file_is_read_there(tmp_path):
    path, X, _ = made(tmp_path)
    mapped = np.load(path, mmap_mode="r")
    for rows in (slice(None), slice(100, 500), slice(699, 700)):
        assert np.array_equal(opened(mapped[rows])[:], X[rows])
    assert np.array_equal(opened(mapped[100:][50:200])[:], X[150:300])
    private = np.load(path, mmap_mode="c")
    private[3] = 0
    for other in (private, mapped[::2], mapped[:, 1:], mapped + 0, X):
        assert opened(other) is other
    assert isinstance(design_of(mapped), StoredRows)
    assert type(design_of(private)) is Rows


def test_files_that_cannot_serve_are_refused(tmp_path):
    path, X, y = made(tmp_path)
    with pytest.raises(FileError, match="cannot be read"):
        StoredArray(tmp_path / "absent.npy")
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    with pytest.raises(DataError, match="real numbers"):
        StoredArray(tmp_path / "words.npy")
    np.save(tmp_path / "f.npy", np.asfortranarray(X))
    with pytest.raises(DataError, match="C order"):
        StoredArray(tmp_path / "f.npy")
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(DataError, match=r"no \.npy"):
        StoredArray(tmp_path / "text.npy")
    with pytest.raises(DataError, match="one number of columns"):
        StoredArray(sharded(tmp_path, X, []).shards[:0] or Store([np.load(path, mmap_mode="r"), _wide(tmp_path)]))
    array = StoredArray(path, budget=0)
    with open(path, "r+b") as file:
        file.truncate(20_000)
    with pytest.raises(FileError, match="cut while it was in use"):
        SoftmaxClassifier().fit(array, y)


def _wide(tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((2, 7)))
    return np.load(tmp_path / "wide.npy", mmap_mode="r")


# ── fits ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("small_slabs")
@pytest.mark.parametrize(
    ("dtype", "options", "weighted"),
    [
        *((dtype, {"loss": "cross_entropy"}, True) for dtype in TYPES),
        *((dtype, {"loss": "cross_entropy", "standardize": True}, False) for dtype in TYPES),
        (np.float64, {"loss": "hinge", "alpha": 0.1, "tol": 1e-4}, False),
        (np.float32, {"loss": "squared", "class_weight": "balanced"}, False),
        (np.float64, {"loss": "logistic", "class_weight": "balanced"}, True),
        (np.float32, {"loss": "logistic", "penalty": "l1"}, False),
        (np.uint8, {"loss": "squared_hinge", "solver": "newton", "fit_intercept": False}, True),
        (np.float16, {"loss": "cross_entropy", "solver": "sgd", "max_iter": 3, "batch_size": 16}, False),
    ],
    ids=lambda given: "-".join(str(v) for v in given.values()) if isinstance(given, dict) else None,
)
@pytest.mark.filterwarnings("ignore::linearhead.errors.ConvergenceWarning")
def test_the_same_coefficients_as_in_memory(tmp_path, dtype, options, weighted):
    path, X, y = made(tmp_path, dtype)
    weights = np.random.default_rng(2).integers(0, 3, len(y)).astype(float) if weighted else None
    options = {"alpha": 0.01, "random_state": 0, **options}
    wanted = LinearClassifier(**options).fit(X, y, weights)
    found = LinearClassifier(**options).fit(path, y, weights)
    tolerance = 1e-7 if dtype in (np.float64, np.int32) else 2e-5  # float32 sums in another order
    if "solver" in options or "tol" in options:
        tolerance = 1e-4
    assert found.n_features_in_ == 6
    assert np.abs(found.coef_ - wanted.coef_).max() <= tolerance * np.abs(wanted.coef_).max()
    scores = found.decision_function(np.load(path, mmap_mode="r"))
    assert np.allclose(scores, found.decision_function(X), rtol=1e-5, atol=1e-5)
    assert np.array_equal(found.predict(str(path)), found.predict(X))


@pytest.mark.usefixtures("small_slabs")
@pytest.mark.filterwarnings("ignore::linearhead.errors.ConvergenceWarning")
def test_chosen_rows_of_a_store(tmp_path):
    _, X, y = made(tmp_path)
    parts = [*sharded(tmp_path, X[:600], [250]).shards, X[600:]]
    rng = np.random.default_rng(5)
    rows = np.concatenate([np.arange(200, 300), rng.permutation(700)[:400], np.arange(500, 700)])
    part = np.searchsorted([250, 600], rows, side="right")
    chosen = Chosen(parts, part, rows - np.array([0, 250, 600])[part])
    for budget in (0, 1 << 20):
        array = StoredArray(chosen, budget)
        assert np.array_equal(array[:], X[rows])
        assert np.array_equal(array[[5, 640, 99, 100]], X[rows][[5, 640, 99, 100]])
    wanted, found = (SoftmaxClassifier(alpha=0.01).fit(given, y[rows]) for given in (X[rows], chosen))
    assert np.allclose(found.coef_, wanted.coef_, atol=1e-7)


@pytest.mark.usefixtures("small_slabs")
@pytest.mark.parametrize("weighted", [False, True])
def test_the_path_and_auto_alpha(tmp_path, weighted):
    """The same folds, too, where rows without weight are left out in memory and lie among the others on disk."""
    path, X, y = made(tmp_path)
    w = np.random.default_rng(4).integers(0, 3, len(y)).astype(float) if weighted else None
    wanted, found = (regularization_path(rows, y, cv=3, alphas=[1, 0.1, 0.01], sample_weight=w) for rows in (X, path))
    np.testing.assert_allclose(found.valid_accuracy, wanted.valid_accuracy, rtol=1e-12)
    for a, b in zip(wanted.points, found.points, strict=True):
        assert np.allclose(a.theta, b.theta, atol=1e-5)
    wanted, found = (SoftmaxClassifier(alpha="auto", random_state=0).fit(rows, y, w) for rows in (X, path))
    assert found.alpha_ == pytest.approx(wanted.alpha_, rel=1e-12)
    assert np.allclose(wanted.coef_, found.coef_, atol=1e-5)


@pytest.mark.usefixtures("small_slabs")
def test_threads_and_budget_change_no_bit(tmp_path):
    path, _, _ = made(tmp_path, np.float32)
    rng = np.random.default_rng(3)
    theta, seen = rng.normal(size=(7, 3)), set()
    for threads in (1, 2, 5):
        for budget in (0, 9000, 1 << 20):
            design = StoredRows.of(StoredArray(path, budget), threads=threads)
            for _ in range(2):
                inner = design.to_rows(theta)
                total = design.sweep(lambda b, inner=inner: (b.adjoint(np.tanh(b.forward(inner))), float(len(b.x))))
                seen.add(total[0].tobytes())
                assert total[1] == 700
    assert len(seen) == 1


@pytest.mark.usefixtures("small_slabs")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_failing_pass_ends(tmp_path, threads):
    path, _, _ = made(tmp_path)
    design = StoredRows.of(StoredArray(path, 0), threads=threads)
    calls = []

    def fails(block):
        calls.append(len(block.x))
        if len(calls) == 2:
            raise ZeroDivisionError
        return ()

    with pytest.raises(ZeroDivisionError):
        design.sweep(fails)


@pytest.mark.usefixtures("small_slabs")
def test_a_number_that_is_none_is_named_by_its_row(tmp_path):
    _, X, y = made(tmp_path)
    X[[431, 650], [2, 5]] = np.nan, np.inf
    np.save(tmp_path / "bad.npy", X)
    with pytest.raises(DataError, match=r"2 places: row 431 column 2 \(nan\), row 650 column 5 \(inf\)"):
        SoftmaxClassifier().fit(tmp_path / "bad.npy", y)
    X[[431, 650], [2, 5]] = 1e30, 0
    np.save(tmp_path / "huge.npy", X)
    with pytest.raises(DataError, match=r"Column 2 of X spreads.*row 431"):
        SoftmaxClassifier().fit(tmp_path / "huge.npy", y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SoftmaxClassifier().fit(tmp_path / "bad.npy", y[:-1])


def test_rows_without_weight_are_absent(tmp_path):
    path, X, y = made(tmp_path)
    weights = (y != 2).astype(float)
    with pytest.warns(UserWarning, match="zero weight"):
        found = SoftmaxClassifier(alpha=0.1).fit(path, y, weights)
    wanted = SoftmaxClassifier(alpha=0.1).fit(X[y != 2], y[y != 2])
    assert np.array_equal(found.classes_, [0, 1])
    assert np.allclose(found.coef_, wanted.coef_, atol=1e-6)


def test_memory_stays_within_the_budget(tmp_path):
    """A file of 400 MB, a budget of 20 MB: the peak of resident memory rises by at most budget and working room."""
    code = """
        import sys, numpy as np
        from pathlib import Path
        from linearhead import SoftmaxClassifier
        from linearhead.design import StoredArray

        def status(name):
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024

        rng, n, d, path = np.random.default_rng(0), 200_000, 512, sys.argv[1]
        out = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
        for i in range(0, n, 50_000):  # the rest are zeros that need no disk
            out[i : i + 5000] = rng.standard_normal((5000, d), dtype=np.float32)
        y = (out[:, :3] + rng.gumbel(size=(n, 3))).argmax(axis=1)
        del out
        SoftmaxClassifier(max_iter=2).fit(np.eye(600, 512, dtype=np.float32), y[:600])
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        before = status("VmRSS")
        SoftmaxClassifier(alpha=1e-2, max_iter=1).fit(StoredArray(path, 20 << 20), y)
        print(status("VmHWM") - before)
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("peak memory is read from /proc")
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), str(tmp_path / "x.npy")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) < 20 + 200
