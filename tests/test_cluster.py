"""Rows on a cluster: the same bits for any number of workers and after any of them dies, the optimum of one machine.

Most is checked on `Here`, which runs tasks in this process after a journey through Dask's own serialisation, as a
worker would get them; what only processes can show (deaths, addresses, versions) on a LocalCluster.
"""

import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

distributed = pytest.importorskip("distributed", reason="needs the extra dask: pip install 'linearhead[dask]'")

from distributed.protocol.pickle import dumps, loads  # noqa: E402

from linearhead import LinearClassifier, SoftmaxClassifier, regularization_path  # noqa: E402
from linearhead.design import (  # noqa: E402
    Cluster,
    ClusterArray,
    ClusterRows,
    Journal,
    connect,
    connection,
    design_of,
    journal,
    tree,
    worker,
)
from linearhead.errors import DataError, FileError, UsageError  # noqa: E402
from linearhead.losses import LOSSES  # noqa: E402
from linearhead.objective import Objective, drawn, sample_basis  # noqa: E402
from linearhead.penalties import PENALTIES  # noqa: E402
from test_objective_contract import Case, check_derivatives, check_single_precision, check_value, problem  # noqa: E402

LEAF = 2000  # bytes: small rows make many leaves
SMOOTH = ("cross_entropy", "logistic", "squared_hinge", "squared")


class Here:
    """Workers that are this process; every task is run `again` so many times, and the last answer counts."""

    def __init__(self, shares=(1,), again=0):
        self.shares, self.again, self.rounds, self.bytes = shares, again, 0, 0

    def require(self, files):
        assert not worker.unseen(files)

    def run(self, task, H):
        self.rounds += 1
        answers = []
        for first, last in tree.runs(H, self.shares):
            if first < last:
                sent = dumps((task, first, last))
                self.bytes += len(sent)
                for _ in range(1 + self.again):
                    got, a, b = loads(sent)
                    answer = got(a, b)
                answers.append(loads(dumps(answer)))
        return answers


@pytest.fixture(autouse=True)
def room(monkeypatch):
    """What a worker would say of its memory and threads, where there is none."""

    monkeypatch.setattr(worker, "resources", lambda: (1 << 20, 1))


@dataclass
class Shards:
    shards: list


@dataclass
class Chosen:
    """Chosen rows of a feature store."""

    parts: list
    part: np.ndarray
    row: np.ndarray


def data(n=900, d=6, k=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 2.0 ** rng.integers(-2, 3, size=d) + rng.normal(size=d)
    return X.astype(dtype), (X[:, :k] + rng.gumbel(size=(n, k))).argmax(axis=1)


def saved(folder, X, cuts=()):
    """X in as many files as there are cuts, and one more."""
    folder.mkdir(exist_ok=True)
    parts = np.split(X, list(cuts))
    for i, part in enumerate(parts):
        np.save(folder / f"{i}.npy", part)
    return Shards([np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(len(parts))])


def array(tmp_path, X, cluster, cuts=(), leaf_bytes=LEAF):
    return ClusterArray(saved(tmp_path / "rows", X, cuts), cluster, leaf_bytes=leaf_bytes)


# ── the tree ──────────────────────────────────────────────────────────────────────────────────────
def test_any_sharing_out_of_the_leaves_gives_the_same_bits():
    rng = np.random.default_rng(0)
    for H in (0, 1, 3, 6):
        leaves = [[float(v), rng.normal(size=3) * 10.0**e] for v, e in zip(rng.normal(size=2**H), itertools.count(-3))]
        seen = set()
        for shares in ((1,), (1, 1), (1, 1, 1), (1,) * 4, (3, 1, 2), (1,) * 9, (7, 1)):
            parts, at = [], 0
            for first, last in tree.runs(H, shares):
                assert first == at
                at = last
                nodes = tree.Nodes()
                for i in range(first, last):
                    nodes.push(0, i, [leaves[i][0], leaves[i][1].copy()])
                assert len(nodes.stack) <= 2 * H + 1
                parts.append(nodes.stack)
            assert at == 2**H
            number, vector = tree.total(parts)
            seen.add((number, vector.tobytes()))
        assert len(seen) == 1


def test_powers_of_two_hand_on_one_node_each_and_others_are_fair():
    assert tree.runs(6, (1,) * 8) == [(8 * i, 8 * i + 8) for i in range(8)]
    for shares in ((1, 1, 1), (1,) * 7, (4, 2, 1)):
        for (first, last), share in zip(tree.runs(12, shares), shares, strict=True):
            assert abs((last - first) / 2**12 * sum(shares) / share - 1) <= 0.1
    assert [tree.height(n, 100, 400) for n in (1, 7, 8, 63, 64, 1000)] == [0, 0, 1, 3, 4, 7]
    assert tree.height(3, 10**9) == 1  # never a leaf without a row


# ── what a pass is ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_objectives_contract(tmp_path, monkeypatch, loss, penalty):
    """Value, gradient and Hessian products of `test_objective_contract.py`, its rows on three workers."""
    import test_objective_contract as contract

    def placed(X, layout):
        return array(tmp_path, X, Here((1, 1, 2)), leaf_bytes=500)

    monkeypatch.setattr(contract, "arrange", placed)
    for dtype, weights, standardize in (("float64", "zeros", True), ("float32", "real", False)):
        objective, X, w = problem(Case(loss, penalty, weights, True, dtype, "cluster", standardize, n=90))
        assert isinstance(objective.design, ClusterRows)
        assert objective.design.X.H > 0
        check_value(objective, X, w)
        check_derivatives(objective, 1)
        check_single_precision(objective)


def test_a_task_carries_parameters_but_no_rows_labels_or_weights(tmp_path):
    X, y = data(20_000)
    here = Here((1, 1))
    objective = Objective(
        design_of(array(tmp_path, X, here)).fitted(None),
        y,
        3,
        LOSSES["cross_entropy"](),
        PENALTIES["l2"](),
        0.1,
        np.random.default_rng(0).uniform(size=len(y)),
    )
    objective.basis()  # rows that the client has sampled stay with it
    here.rounds = here.bytes = 0
    objective.at(objective.start())
    assert here.rounds == 1
    assert here.bytes < 2 * 8000


ARRANGEMENTS = [  # shares of the workers, cuts of the rows into files, bytes that are kept, threads
    ((1,), (), 0, 1),
    ((1, 1), (0, 0, 77, 500), 9000, 2),
    ((1,) * 4, (899,), 1 << 20, 1),
    ((2, 1, 5), range(0, 900, 50), 0, 3),
]


@pytest.mark.parametrize("loss", SMOOTH)
def test_the_same_bits_for_any_workers_files_room_and_threads(tmp_path, monkeypatch, loss):
    X, y = data()
    weights, seen = np.random.default_rng(1).uniform(0.5, 2, len(y)), set()
    for i, (shares, cuts, kept, threads) in enumerate(ARRANGEMENTS):
        monkeypatch.setattr(worker, "resources", lambda kept=kept, threads=threads: (kept, threads))
        A = ClusterArray(saved(tmp_path / str(i), X, cuts), Here(shares, again=i), leaf_bytes=LEAF)
        model = LinearClassifier(loss, alpha=0.01, standardize=True).fit(A, y, weights)
        assert model.converged_
        found = model.certificate_
        seen.add((model.coef_.tobytes(), model.intercept_.tobytes(), found.gap, found.undecided))
    assert len(seen) == 1


def test_rows_drawn_by_their_curvature_are_those_of_one_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "DRAWN_ROWS", 200)
    X, y = data()
    theta, seen = np.random.default_rng(1).normal(size=(7, 3)), []
    for rows in (X, array(tmp_path, X, Here((1, 2, 1)))):
        design = design_of(rows, intercept=True).fitted(None, False)
        objective = Objective(design, y, 3, LOSSES["cross_entropy"](), PENALTIES["l2"](), 0.01)
        seen.append(drawn.draw(objective, sample_basis(objective), theta, 4))
    here, there = seen
    assert len(here.w) == 200
    np.testing.assert_allclose(there.w, here.w, rtol=1e-9)
    (z, s), (their_z, their_s) = here.look(np.arange(200))(), there.look(np.arange(200))()
    their_z *= np.sign(np.sum(their_z * z, axis=0))  # either sign is an eigenvector's
    np.testing.assert_allclose(their_z, z, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(their_s, s, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"penalty": "l1"}, {"standardize": True, "class_weight": "balanced"}])
@pytest.mark.parametrize("loss", ["hinge", "crammer_singer"])
def test_the_hinges_multipliers_travel_as_files(tmp_path, loss, options):
    """A certified optimum with the same bits anywhere, and no multipliers left behind."""
    X, y = data(120, d=4)
    options = {"alpha": 0.1, "tol": 1e-4, **options}
    here, seen = LinearClassifier(loss, **options).fit(X, y), set()
    for i, (shares, cuts) in enumerate((((1,), ()), ((1, 1, 2), (0, 77)))):
        A = ClusterArray(saved(tmp_path / str(i), X, cuts), Here(shares, again=i), leaf_bytes=LEAF)
        model = LinearClassifier(loss, **options).fit(A, y)
        assert model.converged_
        assert model.certificate_.value == pytest.approx(here.certificate_.value, rel=2e-4)
        seen.add((model.coef_.tobytes(), model.intercept_.tobytes(), model.certificate_.gap))
        gc.collect()
        assert not [file for file in A.folder.glob("*.npy") if np.load(file).ndim > 1]
    assert len(seen) == 1


def test_the_path_of_a_hinge(tmp_path):
    X, y = data(120, d=4)
    A = array(tmp_path, X, Here((1, 1, 1)), (77,), leaf_bytes=500)
    wanted, found = (regularization_path(rows, y, loss="hinge", alphas=[1, 0.1], cv=3) for rows in (X, A))
    assert found.alpha_ == wanted.alpha_
    assert np.allclose(found.valid_loss, wanted.valid_loss, rtol=1e-2)


CHUNKINGS = {"one file": (), "empty files": (0, 0, 300, 300, 900), "ragged": (1, 2, 400, 899), "by class": None}


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("loss", SMOOTH)
def test_the_optimum_of_one_machine(tmp_path, loss, chunking):
    """Intercept and coefficients apart, at 1e-6 of the largest of each."""
    for seed, options in enumerate(({}, {"standardize": True}, {"fit_intercept": False}, {"class_weight": "balanced"})):
        X, y = data(seed=seed)
        cuts = CHUNKINGS[chunking]
        if cuts is None:  # every file has rows of one class alone
            order = np.argsort(y, kind="stable")
            X, y = X[order], y[order]
            cuts = np.flatnonzero(np.diff(y)) + 1
        A = ClusterArray(saved(tmp_path / str(seed), X, cuts), Here((1, 1, 1)), leaf_bytes=LEAF)
        options = {"alpha": 0.02, "tol": 1e-10, **options}
        wanted, found = (LinearClassifier(loss, **options).fit(given, y) for given in (X, A))
        assert np.abs(found.coef_ - wanted.coef_).max() <= 1e-6 * np.abs(wanted.coef_).max()
        assert np.abs(found.intercept_ - wanted.intercept_).max() <= 1e-6 * np.abs(wanted.intercept_).max()
        assert found.certificate_.undecided == wanted.certificate_.undecided
        assert np.array_equal(found.predict(A), wanted.predict(X))


@pytest.mark.parametrize("options", [{"penalty": "l1"}, {"solver": "newton"}, {"penalty": "none"}, {"alpha": "auto"}])
def test_other_solvers_of_full_passes(tmp_path, options):
    X, y = data()
    A = array(tmp_path, X, Here((1, 1)), (300,))
    wanted, found = (
        LinearClassifier(**{"alpha": 0.01, "random_state": 0, **options}).fit(given, y) for given in (X, A)
    )
    assert found.alpha_ == pytest.approx(wanted.alpha_, rel=1e-9)
    assert np.abs(found.coef_ - wanted.coef_).max() <= 1e-5 * np.abs(wanted.coef_).max()


def test_the_path_folds_and_leave_one_out(tmp_path):
    X, y = data()
    A = array(tmp_path, X, Here((1, 1, 1)), (300,))
    for options in ({"cv": 3}, {"cv": "loo", "loss": "squared"}, {"valid": True}):
        if "valid" in options:
            Xv, yv = data(seed=5)
            held = [(Xv, yv), (ClusterArray(saved(tmp_path / "v", Xv), Here((1, 1)), leaf_bytes=LEAF), yv)]
            wanted, found = (
                regularization_path(rows, y, alphas=[1, 0.1, 0.01], valid=valid)
                for rows, valid in zip((X, A), held, strict=True)
            )
        else:
            wanted, found = (regularization_path(rows, y, alphas=[1, 0.1, 0.01], **options) for rows in (X, A))
        assert found.alpha_ == wanted.alpha_
        assert np.allclose(found.valid_loss, wanted.valid_loss, rtol=1e-6)
        for a, b in zip(wanted.points, found.points, strict=True):
            assert np.allclose(a.theta, b.theta, atol=1e-5)


@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_scores_without_each_row(loss, coupled, tmp_path, monkeypatch):
    X, y = data()
    A = array(tmp_path, X, Here((1, 1, 1)), (300,))
    if not coupled:
        monkeypatch.setattr("linearhead.path.leaving_out.COUPLED", 0)
    wanted, found = (LinearClassifier(loss, alpha=0.01).fit(rows, y).leave_one_out(rows, y) for rows in (X, A))
    assert np.allclose(found, wanted, atol=1e-5)


def test_chosen_rows_of_a_store(tmp_path):
    X, y = data()
    parts, rng = saved(tmp_path / "rows", X, (250, 600)).shards, np.random.default_rng(5)

    rows = rng.permutation(900)[:700]
    part = np.searchsorted([250, 600], rows, side="right")
    A = ClusterArray(Chosen(parts, part, rows - np.array([0, 250, 600])[part]), Here((1, 1)), leaf_bytes=LEAF)
    wanted, found = (SoftmaxClassifier(alpha=0.01).fit(given, y[rows]) for given in (X[rows], A))
    assert np.allclose(found.coef_, wanted.coef_, atol=1e-7)


def test_windows_are_given_up_in_the_order_of_their_use(tmp_path):
    X, _ = data()
    A, windows = array(tmp_path, X, Here()), worker.Windows()
    most = 500 * 48
    first = windows.get(A.layout, 0, 300, most)
    second = windows.get(A.layout, 300, 500, most)
    assert windows.get(A.layout, 0, 300, most) is first
    third = windows.get(A.layout, 500, 900, most)  # 400 rows: both must go
    assert third._kept.nbytes == 400 * 48
    assert windows.get(A.layout, 300, 500, most) is not second
    assert np.array_equal(first[slice(10, 300)], X[10:300])
    for _ in range(2):
        assert np.array_equal(third[slice(500, 900)], X[500:])
        assert np.array_equal(third[slice(899, 900)], X[899:])


# ── a client that was killed ─────────────────────────────────────────────────────────────────────
def journalled(tmp_path, X, cluster, say=lambda text: None):
    source = Shards([np.load(tmp_path / "rows" / "0.npy", mmap_mode="r")])
    return ClusterArray(source, cluster, leaf_bytes=LEAF, journal=Journal(tmp_path / "passes", say))


def test_a_fit_that_is_started_again_makes_only_the_passes_that_are_missing(tmp_path):
    X, y = data()
    saved(tmp_path / "rows", X)
    arrays, models = [], []

    def fit():
        arrays.append(journalled(tmp_path, X, Here((1, 1))))
        models.append(SoftmaxClassifier(alpha=0.01, standardize=True).fit(arrays[-1], y))
        assert models[-1].coef_.tobytes() == models[0].coef_.tobytes()
        assert models[-1].certificate_.gap == models[0].certificate_.gap
        return arrays[-1].cluster.rounds, arrays[-1].journal.found

    rounds, found = fit()
    assert found == 0
    entries = sorted((tmp_path / "passes").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    others = rounds - len(entries)  # what is not a sum
    assert 0 <= others <= 3 < len(entries)
    assert fit() == (others, len(entries))
    entries[2].write_bytes(entries[2].read_bytes()[:-9])
    entries[5].unlink()
    assert fit() == (others + 2, len(entries) - 2)
    os.utime(tmp_path / "rows" / "0.npy", ns=(1, 1))  # other rows, for all that is known
    assert fit() == (rounds, 0)
    for array in arrays:
        array.journal.forget()
    assert not list((tmp_path / "passes").iterdir())


def test_a_journal_that_cannot_be_written_ends_no_fit(tmp_path, monkeypatch):
    X, y = data()
    saved(tmp_path / "rows", X)
    said = []

    write, left = journal.container.write, iter(range(3))

    def full(*content):
        if next(left, None) is None:
            raise FileError("No space.")
        write(*content)

    monkeypatch.setattr(journal.container, "write", full)
    SoftmaxClassifier(alpha=0.01).fit(journalled(tmp_path, X, Here(), said.append), y)
    assert said == ["No space. If this run is killed, its fit begins anew."]
    assert not list((tmp_path / "passes").iterdir())


def test_a_journal_that_grows_too_long_ends_no_fit(tmp_path, monkeypatch):
    X, y = data()
    saved(tmp_path / "rows", X)
    said = []
    monkeypatch.setattr(journal, "MOST", 1000)
    SoftmaxClassifier(alpha=0.01).fit(journalled(tmp_path, X, Here(), said.append), y)
    (once,) = said
    assert once.startswith("What the passes found takes more than")
    assert not list((tmp_path / "passes").iterdir())


def test_what_nobody_came_back_for_is_removed(tmp_path):
    for name, age in (("old.pass", 40), ("new.pass", 20), ("other", 40)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - 86400 * age,) * 2)
    Journal(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new.pass", "other"}


CLIENT = """
import os, signal, sys
import numpy as np
from linearhead import SoftmaxClassifier
from linearhead.design import ClusterArray, Journal, connect

address, folder, leaf_bytes, *ends = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])

def client(last):
    def end(row):
        if row["iteration"] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    with connect(address) as cluster:
        X = ClusterArray(folder + "/rows/0.npy", cluster, leaf_bytes=leaf_bytes, journal=Journal(folder + "/passes"))
        y = np.load(folder + "/y.npy")
        before = cluster.rounds
        model = SoftmaxClassifier(alpha=0.01, standardize=True, callback=end).fit(X, y)
        np.savez(folder + "/model.npz", coef=model.coef_, intercept=model.intercept_, rounds=cluster.rounds - before,
                 found=X.journal.found)

for last in ends:
    child = os.fork()  # a process each; what they import is imported once
    if not child:
        client(last)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(os.listdir(folder + "/passes")))
"""


def test_a_client_that_is_killed_goes_on_where_it_was(tmp_path, three):
    X, y = data(dtype=np.float32)
    saved(tmp_path / "rows", X)
    np.save(tmp_path / "y.npy", y)
    wanted = SoftmaxClassifier(alpha=0.01, standardize=True).fit(array(tmp_path, X, Some(three, 3)), y)
    (tmp_path / "passes").mkdir()
    words = [three.client.scheduler.address, tmp_path, LEAF, 2, 5, -1]
    words = [sys.executable, "-c", CLIENT, *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    codes, kept = zip(*(map(int, line.split()) for line in done.stdout.splitlines()), strict=True)
    assert codes == (-signal.SIGKILL, -signal.SIGKILL, 0), done.stderr
    assert 0 < kept[0] < kept[1] < kept[2]
    with np.load(tmp_path / "model.npz") as model:
        assert model["coef"].tobytes() == wanted.coef_.tobytes()
        assert model["intercept"].tobytes() == wanted.intercept_.tobytes()
        assert model["found"] == kept[1]
        assert kept[2] - kept[1] <= model["rounds"] < kept[2]


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────
def test_what_cannot_be_done_is_said(tmp_path):
    X, y = data()
    A = array(tmp_path, X, Here())
    with pytest.raises(UsageError, match=r"sgd picks a few rows .*lbfgs"):
        SoftmaxClassifier(solver="sgd").fit(A, y)
    kept = []
    with pytest.raises(UsageError, match="every row"):
        design_of(A).sweep(lambda block: kept.append(block) or ())
    with pytest.raises(DataError, match="in memory"):
        ClusterArray(Chosen([X], np.zeros(9, int), np.arange(9)), Here(), tmp_path)
    X[[431, 650], [2, 5]] = np.nan, np.inf
    A = ClusterArray(saved(tmp_path / "bad", X, (100,)), Here((1, 1)), leaf_bytes=LEAF)
    with pytest.raises(DataError, match=r"2 places: row 431 column 2 \(nan\), row 650 column 5 \(inf\)"):
        SoftmaxClassifier().fit(A, y)


def test_files_that_are_cut_or_gone(tmp_path):
    X, y = data()
    A = array(tmp_path, X, Here(), (300,))
    with open(tmp_path / "rows" / "1.npy", "r+b") as file:
        file.truncate(20_000)
    monkey = worker.Windows()
    worker._windows = monkey
    with pytest.raises(FileError, match="it is another file"):
        SoftmaxClassifier().fit(A, y)
    (tmp_path / "rows" / "1.npy").unlink()
    worker._windows = worker.Windows()
    with pytest.raises(FileError, match="cannot be read on"):
        SoftmaxClassifier().fit(A, y)


# ── processes ─────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def three():
    """A cluster of three worker processes. Dask itself tries no task twice here: each lost one comes back to us."""
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), connect("local:3") as cluster:
        yield cluster


class Some(Cluster):
    """The first so many workers of a cluster."""

    def __init__(self, cluster, many):
        super().__init__(cluster.client, cluster.say)
        self.many = many

    def workers(self):
        return dict(sorted(super().workers().items())[: self.many])


def pids(cluster):
    return list(cluster.client.run(os.getpid).values())


def test_one_two_and_three_processes(tmp_path, three):
    X, y = data(dtype=np.float32)
    source, seen = saved(tmp_path / "rows", X, (0, 300)), set()
    for many in (1, 2, 3):
        A = ClusterArray(source, Some(three, many), leaf_bytes=LEAF)
        model = SoftmaxClassifier(alpha=0.01, standardize=True).fit(A, y)
        assert len(A.cluster._spans(A.H)) == many
        seen.add((model.coef_.tobytes(), model.intercept_.tobytes()))
    here = SoftmaxClassifier(alpha=0.01, standardize=True).fit(array(tmp_path, X, Here()), y)
    assert seen == {(here.coef_.tobytes(), here.intercept_.tobytes())}


def test_workers_that_die_in_and_between_passes_change_no_bit(tmp_path, three):
    X, y = data(dtype=np.float32)
    A = array(tmp_path, X, Some(three, 3))
    wanted = SoftmaxClassifier(alpha=0.01).fit(A, y)
    seen, flag, mine = [], tmp_path / "died", os.getpid()

    def dies(block):  # in the middle of a pass, once
        if block.rows.start > 400 and not flag.exists() and os.getpid() != mine:
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (block.x.sum(axis=0, dtype=np.float64),)

    before = A.cluster.lost
    (sums,) = design_of(A).sweep(dies)
    assert flag.exists()
    assert A.cluster.lost > before
    assert np.array_equal(sums, design_of(A).sweep(dies)[0])

    def kill(row):  # just before the next pass, by the hand of the system
        if row["iteration"] in (1, 3):
            while len(alive := pids(three)) < 2:  # the one before may still be starting again
                time.sleep(0.05)
            victim = alive[row["iteration"] % 2]
            os.kill(victim, signal.SIGKILL)
            seen.append(victim)

    found = SoftmaxClassifier(alpha=0.01, callback=kill).fit(A, y)
    assert len(set(seen)) == 2
    assert found.coef_.tobytes() == wanted.coef_.tobytes()
    assert found.intercept_.tobytes() == wanted.intercept_.tobytes()


def once(flag):
    """The flag's number; the worker that is asked first dies."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return int(flag.name)


def test_jobs_of_workers_that_die_are_done_by_others(tmp_path, three):
    flags = [tmp_path / str(i) for i in range(9)]
    for flag in flags[1:]:
        flag.touch()
    assert dict(three.map(once, flags)) == dict(enumerate(range(9)))


def test_a_file_that_workers_do_not_see_is_named(three):
    with pytest.raises(FileError, match=r"The worker at tcp://\S+ does not see /nowhere/x.npy and 1 more files"):
        three.require(["/nowhere/x.npy", __file__, "/nowhere/y.npy"])


def test_a_worker_of_another_version_is_named(three):
    with pytest.raises(FileError, match=r"tcp://\S+ has numpy .* \(here 0.1\)"):
        connection.check_versions(three, {"numpy": "0.1"})


def test_a_cluster_without_workers_is_waited_for_and_then_given_up(three):
    said = []
    empty = Some(Cluster(three.client, said.append), 0)
    empty.patience = 0.5
    with pytest.raises(FileError, match=r"no worker for 0 s. Start some: dask worker tcp://"):
        empty.run(None, 0)
    assert said == ["The cluster has no worker; waiting for one."]


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'linearhead'", name="linearhead"),
        Exception("ModuleNotFoundError(\"No module named 'linearhead'\")"),  # as Dask tells of what it cannot send
        Exception("No package metadata was found for linearhead"),
    ],
)
def test_a_worker_without_the_package_is_told_in_a_sentence(error):
    class Client:
        def run(self, function):
            raise error

    bare = Some(Cluster(Client(), print), 1)
    bare.awaited = lambda: {"tcp://w": 1}
    with pytest.raises(FileError, match="A worker cannot import linearhead"):
        connection.check_versions(bare, worker.versions())


def test_addresses_that_do_not_answer_and_extras_that_are_missing(monkeypatch):
    monkeypatch.setattr(connection, "ANSWER", 0.5)
    with (
        pytest.raises(FileError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        connect("tcp://127.0.0.1:9"),
    ):
        pass
    begin = time.monotonic()
    for wrong in ("nonsense", "nonsense://a", "tcp://10.0.0.1", "local:0", "local:many", "local"):
        with pytest.raises(UsageError), connect(wrong):
            pass
    gc.collect()  # no client is left that tries to close
    assert time.monotonic() - begin < 10

    def missing(name):
        raise ImportError(name=name)

    monkeypatch.setattr(connection, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'linearhead\[dask\]'"), connect("tcp://127.0.0.1:9"):
        pass
