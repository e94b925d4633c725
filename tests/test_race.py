"""The race: everybody solves the same problem, is charged what they use, and the page shows it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits

from linearhead.cli import cli
from linearhead.errors import DataError, UsageError
from linearhead.objective import Objective
from linearhead.race import ENTRANTS, charts, entrants, page, race
from linearhead.solvers import LBFGS


@pytest.fixture(scope="module")
def rows():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def run(rows):
    X, y = rows
    return race(X[:400], y[:400], passes=25, X_test=X[400:], y_test=y[400:])


def test_what_an_estimator_takes_may_race(rows):
    X, y = (part[:120].tolist() for part in rows)
    found = race(X, y, only=["L-BFGS"], passes=5, X_test=X, y_test=y)
    assert found.test_accuracy == 1.0
    with pytest.raises(ValueError, match="inconsistent numbers"):
        race(X, y[:-1])
    with pytest.raises(DataError, match=r"y_test has classes that y lacks: \[77\]"):
        race(X, y, only=["L-BFGS"], X_test=X[:1], y_test=[77])


def test_all_the_lectures_methods_race(run):
    assert [f.name for f in run.finishers] == [n for n in ENTRANTS if n != "multipliers"]
    assert len(run.finishers) == 10
    for finish in run.finishers:
        trace = finish.trace
        assert trace.value[0] == pytest.approx(np.log(10), rel=1e-5)  # everybody starts at W = 0
        assert trace.passes[0] == 1
        assert np.all(np.diff(trace.passes) > 0)
        assert np.all(np.diff(trace.seconds) >= 0)
        assert finish.value < trace.value[0]
        assert finish.gap > -1e-6


def test_the_optimum_is_proven_and_the_later_methods_reach_it(run):
    assert run.proven < 1e-9
    gap = {f.name: f.gap for f in run.finishers}
    assert gap["L-BFGS, preconditioned"] < 1e-5
    assert gap["gradient descent"] > 0.1
    assert gap["momentum"] < gap["gradient descent"]
    crossed = {f.name: f.passes_to for f in run.finishers}
    assert crossed["gradient descent"][-1] is None
    steps = [p for p in crossed["L-BFGS, preconditioned"] if p is not None]
    assert steps == sorted(steps)


def test_passes_are_what_was_read(run):
    passes = {f.name: f.trace.passes for f in run.finishers}
    assert passes["gradient descent"] == list(map(float, range(1, 26)))
    for name in ("SGD, batch 1", "SGD, batch 32", "SGD, batch 256", "SGD, batch n"):
        assert passes[name] == pytest.approx(np.arange(1, 26))
    assert passes["Nesterov"][2] == 4  # a look ahead and the new point: two reads a step, but for that ahead from θ = 0
    assert passes["L-BFGS"][-1] <= 25 + 5  # a line search may end a little later


def test_full_batches_are_gradient_descent_with_another_rate(run, rows):
    """The first step of batch n and of gradient descent go in the same direction."""
    ends = {f.name: f for f in run.finishers}
    assert ends["SGD, batch n"].learning_rate != ends["gradient descent"].learning_rate
    assert ends["SGD, batch 1"].value < ends["SGD, batch n"].value


def test_out_of_time(rows):
    X, y = rows
    (finish,) = race(X[:300], y[:300], passes=100_000, seconds=0.05, only=["gradient descent"]).finishers
    assert finish.outcome == "out of time"
    assert finish.trace.seconds[-1] < 1


def test_the_optimum_is_sought_for_the_time_of_all(rows, run):
    """Where that is short, what is proven says how well it is known, and the page says so, too."""
    X, y = rows
    lines = []
    short = race(X, y, alpha=1e-9, seconds=1e-3, only=["gradient descent", "Nesterov"], said=lines.append)
    assert any("or lower: out of time" in line for line in lines)
    assert short.proven > 1e-3 * short.optimum
    assert "not to be had in the time" in page(short, "digits", "pixels")
    assert "not to be had in the time" not in page(run, "digits", "pixels")


@pytest.mark.parametrize("told", ["F* = ", "gradient descent: "])
def test_ctrl_c_ends_the_race_with_those_who_have_run(rows, monkeypatch, told):
    """In the second runner's first steps; before the first one's there is nothing to show."""
    X, y = rows
    at, lines = Objective.at, []

    def interrupted(self, *args, **kwargs):
        if lines and lines[-1].startswith(told) and self.count.passes > 3:
            raise KeyboardInterrupt
        return at(self, *args, **kwargs)

    monkeypatch.setattr(Objective, "at", interrupted)
    found = race(X[:200], y[:200], passes=9, said=lines.append, only=["gradient descent", "Nesterov", "L-BFGS"])
    assert found.interrupted
    names = [finish.name for finish in found.finishers]
    assert names == (["gradient descent"] if told == "F* = " else ["gradient descent", "Nesterov"])
    assert found.finishers[-1].outcome.startswith("interrupted")
    assert found.finishers[-1].name in page(found, "digits", "pixels")


def test_ctrl_c_before_anybody_has_run_is_the_callers(rows, monkeypatch):
    X, y = rows

    def interrupted(self, problem, theta, progress):
        progress.record(0, problem.at(theta))
        raise KeyboardInterrupt

    monkeypatch.setattr(LBFGS, "minimise", interrupted)
    with pytest.raises(KeyboardInterrupt):
        race(X[:200], y[:200], passes=9)


def test_kinks_leave_those_at_home_who_need_a_slope():
    assert set(entrants("hinge")) == {"SGD, batch 1", "SGD, batch 32", "SGD, batch 256", "SGD, batch n", "multipliers"}
    assert "multipliers" not in entrants("cross_entropy")
    with pytest.raises(UsageError, match="Nobody called 'Newton' races on hinge"):
        race(np.eye(2), [0, 1], loss="hinge", only=["Newton"])


def test_the_page_is_one_file_that_loads_nothing(run):
    html = page(run, "<digits>", "pixels")
    assert "&lt;digits&gt;" in html
    assert html.count("<svg") == len(charts(run)) == 4
    assert "default-src 'none'" in html
    assert "<script" not in html
    for finish in run.finishers:
        assert html.count(finish.name) >= 7  # four pictures, three tables


def test_names_stay_words_on_a_phone(run, browser, tmp_path):
    """Where a table is wider than the phone it is scrolled sideways, and no name is broken letter by letter."""
    (tmp_path / "race.html").write_text(page(run, "digits", "pixels"), encoding="utf-8")
    seen = browser.new_page(viewport={"width": 390, "height": 844})
    seen.goto((tmp_path / "race.html").as_uri())
    heights = seen.evaluate("[...document.querySelectorAll('td:first-child')].map(cell => cell.offsetHeight)")
    assert max(heights) < 80  # two lines, "L-BFGS," and "preconditioned"
    assert seen.evaluate("document.documentElement.scrollWidth") == 390
    seen.close()


def test_the_command(tmp_path):
    done = CliRunner().invoke(cli, ["sample", "digits", str(tmp_path / "digits")])
    assert done.exit_code == 0
    for label in range(10):
        for path in sorted((tmp_path / "digits" / str(label)).iterdir())[15:]:
            path.unlink()
    words = ["race", str(tmp_path / "digits"), "--out", str(tmp_path / "a.html"), "--passes", "5"]
    done = CliRunner().invoke(cli, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n"] == 120
    assert len(found["finishers"]) == 10
    assert not found["interrupted"]
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    again = CliRunner().invoke(cli, words)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    text = CliRunner().invoke(cli, [*words, "--force"])
    assert text.stdout.count("(F - F*)/F* = ") == 10


def test_rows_of_features_race_as_they_are(rows, tmp_path):
    X, y = rows
    np.savez(tmp_path / "rows.npz", x=X[:200], y=y[:200])
    words = ["race", str(tmp_path / "rows.npz"), "--out", str(tmp_path / "a.html"), "--passes", "3", "--json"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["n"], found["d"]) == (160, 64)
    assert found["features"] == "given"
    assert "160 training rows" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_refused_before_the_race(tmp_path, monkeypatch):
    monkeypatch.setattr("linearhead.experiment.racing.open_readable", lambda *_: pytest.fail("pictures were read"))
    done = CliRunner().invoke(cli, ["race", str(tmp_path), "--out", str(tmp_path / "nowhere" / "a.html")])
    assert done.exit_code == 4, done.stderr
    assert "Could not write" in done.stderr
