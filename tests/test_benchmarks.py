"""The README's figures are those of the benchmarks' JSON, and the benchmarks judge by what is true."""

import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from linearhead import SoftmaxClassifier
from test_solvers_agree import blobs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import certificates  # noqa: E402
import measure  # noqa: E402
import mutation  # noqa: E402
import reference  # noqa: E402
import small  # noqa: E402
import softmax  # noqa: E402
import table  # noqa: E402


def test_the_readme_says_what_the_results_say():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count(table.BEGIN) == readme.count(table.END) == 1
    assert table.replaced(readme) == readme
    assert len(re.findall(r"^\| .* \[`\w+\.py`\]", readme, re.MULTILINE)) >= 2


def test_the_picture_is_that_of_the_results():
    record = table.results("softmax")
    if record is None:
        pytest.skip("softmax.py has not been run")
    assert table.PICTURE.read_text(encoding="utf-8") == table.picture(record)


def test_every_script_has_words_and_a_row_or_none():
    for script in (script for scripts in table.SECTIONS.values() for script in scripts):
        assert (ROOT / "benchmarks" / f"{script.__name__}.py").read_text(encoding="utf-8").startswith('"""')
        record = table.results(script.__name__)
        rows = list(script(record)) if record is not None else []
        assert (record is None) == (not rows)


def test_the_certificates_campaign_found_nothing():
    record = table.results("certificates")
    assert record["total"]["fits"] >= 2000
    assert record["total"]["violation"] == record["total"]["changed"] == record["total"]["count_broken"] == 0
    assert record["total"]["truthful"] == record["total"]["fits"]
    assert record["failures"] == []


def test_the_certificates_campaign_counts_the_ways_that_fits_take():
    rng = np.random.default_rng(0)
    problems = [certificates.draw(rng)[2] for _ in range(60)]
    ways = {"squared": "Gram factor, corrected", "crammer_singer": "Newton's method on multipliers"}
    for loss, way in ways.items():
        problem = next(one for one in problems if (one.loss, one.penalty) == (loss, "l2") and len(one.X) < 200)
        *_, taken = certificates.fit(problem, "float64", None, None)
        assert taken[way]
        assert not taken["Newton on the support of L1"]


@pytest.mark.parametrize("loss", reference.SMOOTH)
def test_the_reference_is_an_optimum_with_many_unknowns_too(loss):
    X = np.random.default_rng(0).normal(size=(90, 5))
    problem = reference.Problem(X, np.arange(90) % 36, 36, loss, "l2", 8.0)
    assert (problem.A.shape[1] * problem.k) > reference.LARGE
    assert problem.residual(reference.optimum(problem)) < 1e-13


def test_losses_far_below_scores_keep_their_digits():
    s = np.array([[40.0, 0.0, 1.0], [-3.0, 37.5, 0.0]])
    found = reference.row_losses("cross_entropy", s, np.array([0, 1]))
    np.testing.assert_allclose(found, [np.exp(-40.0) + np.exp(-39.0), np.exp(-40.5) + np.exp(-37.5)], rtol=1e-13)
    found = reference.row_losses("logistic", np.array([[40.0, -39.0]]), np.array([0]))
    np.testing.assert_allclose(found, [np.exp(-40.0) + np.exp(-39.0)], rtol=1e-13)


def test_both_sides_stop_at_the_first_iterate_at_the_target():
    X, y = blobs(np.random.default_rng(0), 400, 6, 3)
    X, alpha = X.astype(np.float32), 1e-2
    best = SoftmaxClassifier(alpha=alpha).fit(X, y).certificate_.value
    target = best * (1 + 1e-4)

    def quiet(run):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run(X, y, alpha, target)

    for run in (softmax.ours, softmax.peer):
        found = measure.alone(lambda run=run: quiet(run)).found  # in a child, as the peer's optimiser is patched
        value = softmax.objective(found["coef"], found["intercept"], X, y, alpha)
        assert best * (1 - 1e-9) <= value <= target * (1 + 1e-6)
        assert found["trace"][-1][1] <= target < found["trace"][-2][1]


@pytest.mark.parametrize("loss", ["cross_entropy", "squared", "squared_hinge", "hinge"])
def test_small_probes_are_the_same_problem_on_both_sides(loss):
    """Whoever stops, F is one function's: the peer's optimum, put into our form, has our optimum's F."""
    k = 2 if "hinge" in loss else 4
    X, y = small.clusters(200, 12, k, "overlapping")
    case = small.Case("overlapping", X, y, loss, 1.0)
    mine = small.ours(case)
    assert mine["certified"]
    for name, peer in small.peers(case).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = small.compare(case, name, peer, 1, 60)
        assert found["ended"]
        assert case.value(mine) - mine["gap"] - 1e-9 <= found["F"] <= case.value(mine) * (1 + 2e-3)
        assert found["reached"] <= 1e-6
        assert found["times_as_long"]["seconds"] > 0


def test_small_probes_are_told_block_by_block():
    run = {"ended": True, "times_as_long": {"seconds": 3.0, "cpu_seconds": 1.0}}
    each = {"loss": "hinge", "shape": [9, 5, 2], "defaults": {"certified": True}}
    results = [each | {"peers": {"LinearSVC": found}} for found in (run, {"ended": False, "seconds": 10})]
    ((work, found, _),) = table.small({"results": results})
    assert "hinge, 9 × 5, 2 classes, 2 problems" in work
    assert found == (
        "**3.0×** (3.0 to 3.0) scikit-learn's LinearSVC, which does not stop on 1; defaults certify 2 of 2"
    )
    ((_, found, _),) = table.small({"results": [each | {"peers": {"LinearSVC": {"ended": False}}}]})
    assert found.startswith("LinearSVC does not stop")


def test_a_child_tells_time_memory_and_failure(capfd):
    runs = measure.interleaved({"linearhead": lambda: np.ones(30_000_000).sum(), "little": lambda: 1}, 2)
    assert [r.found for r in runs["linearhead"]] == [3e7, 3e7]
    assert runs["linearhead"][0].extra_mb > 150 > runs["little"][0].extra_mb
    found = measure.summary(runs)
    assert found["times_as_long"]["little"]["seconds"] < 1
    with pytest.raises(RuntimeError, match="failed"):
        measure.alone(lambda: 1 / 0)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_small_errors_are_looked_for_in_all_the_mathematics():
    """A file of these rooms that no test is named for would count as having no survivors."""
    assert mutation.without_tests() == []
    for file, words in mutation.TESTS.items():
        assert (mutation.PACKAGE / file).is_file()
        named = [word.split("::")[0] for word in words if word.startswith("tests/")]
        assert named
        assert all((ROOT / name).is_file() for name in named)
    assert set(mutation.WHOLE) >= {"losses", "penalties", "objective", "solvers", "certificate"}
