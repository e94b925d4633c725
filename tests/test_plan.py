"""What a training costs, said beforehand: sizes as train sees them, a model that is that of the measurements."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from linearhead.cli import cli
from linearhead.cli.words import amount, duration
from linearhead.experiment import cost, plan
from linearhead.experiment.sample import write_digits
from linearhead.objective import Objective

ROOT = Path(__file__).resolve().parents[1]
RECORD = json.loads((ROOT / "benchmarks" / "cluster.json").read_text(encoding="utf-8"))


def invoke(*words):
    return CliRunner().invoke(cli, ["plan", *map(str, words)], catch_exceptions=False)


def test_the_model_is_that_of_the_measurements():
    assert RECORD["model"]["costs"] == cost.MEASURED
    assert RECORD["passes"]["fit"] == list(cost.FIT_PASSES)
    assert RECORD["passes"]["path"] == list(cost.PATH_PASSES)
    cores = RECORD["model"]["machine_cores"]
    for row in RECORD["model"]["passes"]:
        parts = cost.terms(cost.Problem(*row["size"]), cost.Setting(workers=row["workers"], shared_cores=cores))
        foretold = sum(cost.MEASURED[name] * parts[name] for name in cost.PASS_TERMS)
        assert foretold == pytest.approx(row["foretold"])
        assert foretold / row["seconds"] - 1 == pytest.approx(row["off"])


def test_a_path_of_today_takes_as_many_passes_as_are_foretold():
    from sklearn.datasets import load_digits

    from linearhead.experiment.fitting import Fit, Rows, choose_alpha
    from linearhead.experiment.progress import Progress
    from linearhead.experiment.recipe import Recipe

    X, y = load_digits(return_X_y=True)
    recipe = Recipe()
    chosen = Fit(recipe.estimator(1.0))
    choose_alpha(Rows(X.astype(np.float32), y, 1540), recipe, chosen, Progress())
    few, _, many = cost.PATH_PASSES
    assert few <= sum(point["passes"] for point in chosen.path) <= many


def test_what_follows_from_sizes():
    problem = cost.Problem(1_000_000, 500, 100, 2)
    one = cost.plan(problem, cost.Setting(workers=1, cores=4, price=2.0), passes=50)
    assert one.flops == 50 * 4 * 1_000_000 * 500 * 100
    assert one.stored_bytes == one.read_bytes == 1e9
    assert one.money == pytest.approx(2.0 * one.seconds / 3600)
    assert one.seconds >= 50 * one.seconds_per_pass
    times = [cost.plan(problem, cost.Setting(workers=w, cores=4)).seconds_per_pass for w in (1, 2, 4, 8)]
    assert times == sorted(times, reverse=True)
    assert times[0] / times[1] > 1.7
    little = cost.plan(problem, cost.Setting(workers=1, cores=4, memory=0.5), passes=50)
    assert not little.resident
    assert little.read_bytes == 50e9
    slow = cost.plan(problem, cost.Setting(workers=1, cores=64, memory=0.5, storage=0.1))
    assert slow.limited_by == "storage"
    assert slow.seconds_per_pass > 10
    wide = cost.plan(cost.Problem(1000, 1000, 50_000), cost.Setting(workers=64, cores=64, network=0.1))
    assert wide.limited_by == "network"
    few = cost.plan(cost.Problem(1000, 4, 2), cost.Setting(workers=8))
    assert few.limited_by == "rounds"
    assert cost.plan(problem, cost.Setting(), path=False).passes < cost.plan(problem, cost.Setting()).passes
    assert cost.plan(problem, cost.Setting(), speed=2.0).seconds < cost.plan(problem, cost.Setting()).seconds


def test_workers_share_cores_and_take_whole_leaves():
    problem = cost.Problem(60_000, 256, 50)  # 61 MB: 8 leaves
    own = {w: cost.plan(problem, cost.Setting(w)).seconds_per_pass for w in (1, 2, 4, 8, 16, 64)}
    shared = {w: cost.plan(problem, cost.Setting(w, shared_cores=2)).seconds_per_pass for w in (1, 2, 4, 8)}
    assert shared[1] == own[1]
    assert shared[2] == own[2]
    assert own[1] > own[2] > own[4]
    assert shared[2] < shared[4] < shared[8]  # no more cores, and more tasks
    assert own[16] == own[64] == own[8]  # whom no leaf is left for
    leaf = cost.Problem(2_000, 64, 4)  # all in one
    assert cost.pass_seconds(leaf, cost.Setting(8, network=100.0)) == cost.pass_seconds(leaf, cost.Setting(1))
    assert cost.carried_bytes(leaf, cost.Setting(8)) == cost.carried_bytes(leaf, cost.Setting(1))
    two = cost.terms(problem, cost.Setting(3))["number"] / cost.terms(problem, cost.Setting(1))["number"]
    assert two == 3 / 8  # of three, one has three


def test_rows_and_pictures_are_seen_as_train_sees_them(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(500, 7)).astype(np.float16))
    np.save(tmp_path / "y.npy", np.arange(500) % 5)
    found = plan(tmp_path, speed=1.0).to_json()
    assert (found["rows"], found["columns"], found["classes"], found["number_bytes"]) == (400, 7, 5, 2)
    assert found["features"] is found["extract_seconds"] is found["money"] is None
    other = plan(tmp_path, speed=1.0, rows=10**6, kind="float64")
    assert (other.plan.rows, other.plan.columns, other.number_bytes) == (10**6, 7, 8)
    digits = write_digits(tmp_path / "digits")
    found = plan(digits, features="hog+color", speed=1.0, workers=2, cores=1).to_json()
    assert (found["rows"], found["classes"], found["pictures"], found["workers"]) == (1438, 10, 1797, 2)
    from linearhead.features import make

    assert found["columns"] == make("hog+color").dimension(8, 8, 1)
    found = plan(digits, features="hog+patches", speed=1.0).to_json()  # as 1222 pictures teach them, not the few probed
    patches = make("patches").settled(8, 8, 1222)
    assert patches.filters > make("patches").settled(8, 8, 48).filters
    assert found["columns"] == patches.dimension(8, 8, 1) + make("hog").dimension(8, 8, 1)
    sizes = [path.stat().st_size for path in digits.rglob("*.png")]
    assert found["picture_bytes"] == pytest.approx(sum(sizes), rel=0.1)
    assert found["total_seconds"] == found["seconds"] + found["extract_seconds"] > found["seconds"] > 0


def test_the_verb(tmp_path):
    sizes = ("--rows", 1_281_167, "--columns", 768, "--classes", 1000, "--type", "float16", "--speed", 1)
    done = invoke(*sizes, "--workers", 16, "--cores", 8, "--price", 1.5)
    assert done.exit_code == 0
    for text in ("1281167 rows × 768 numbers of 2 bytes, 1000 classes: 1.97 GB; 16 workers", "Passes", "Money"):
        assert text in done.stdout
    found = json.loads(invoke(*sizes, "--json").stdout)
    assert found["stored_bytes"] == 1_281_167 * 768 * 2
    documented = (ROOT / "docs" / "json.md").read_text(encoding="utf-8").split("\n## plan\n")[1].split("\n## ")[0]
    assert all(f"`{key}`" in documented for key in found)
    assert invoke(*sizes, "--alpha", "0.1", "--json").stdout != invoke(*sizes, "--json").stdout
    done = invoke("--rows", 10)
    assert done.exit_code == 2
    assert "needs DATA, or --rows, --columns and --classes; --columns is None" in done.stderr
    assert invoke(tmp_path / "nothing").exit_code == 4


def test_nothing_of_dask_is_needed(tmp_path):
    code = (
        "import sys\nfor name in ('dask', 'distributed'): sys.modules[name] = None\n"
        "from linearhead.cli import cli\n"
        "cli.main(['plan', '--rows', '1000', '--columns', '5', '--classes', '3'], standalone_mode=False)\n"
        "sys.argv[1:] = ['train', '.', '--cluster', 'tcp://h:1', '--cache', sys.argv[1], '--out', sys.argv[1] + '/o']\n"
        "cli.main()\n"
    )
    told = {**os.environ, "LINEARHEAD_DEBUG": "1"}  # what went wrong, if anything does
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=told)
    assert "Passes" in done.stdout, done.stderr
    assert done.returncode == 2
    assert "pip install 'linearhead[dask]'" in done.stderr


def test_a_stalled_machine_still_gets_a_speed():
    assert 0 < cost.measured_speed(cost.Problem(1000, 5, 3, 4), seconds=0.0) < np.inf


def test_amounts_and_durations():
    assert [amount(v, "B") for v in (0, 999, 1000, 1.5e9, 2e15, 3e18)] == [
        "0 B", "999 B", "1 kB", "1.5 GB", "2 PB", "3 EB",
    ]  # fmt: skip
    assert [duration(v) for v in (0.0021, 1, 119, 121, 7300, 2e5)] == [
        "2.1 ms", "1 s", "119 s", "2.02 min", "2.03 h", "2.31 days",
    ]  # fmt: skip


def test_a_core_is_timed_on_passes_that_read_the_rows(monkeypatch):
    """At θ = 0 all scores are known, and nothing is read."""
    seen = []
    plain = Objective.at
    monkeypatch.setattr(Objective, "at", lambda self, theta: seen.append(theta.any()) or plain(self, theta))
    cost.measured_speed(cost.Problem(1000, 200, 5), seconds=0.0)
    assert seen
    assert all(seen)
