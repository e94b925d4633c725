"""How far a fit goes, and which options are refused: by tables."""

from types import SimpleNamespace

import numpy as np
import pytest

from linearhead import LinearClassifier
from linearhead.errors import UsageError
from linearhead.estimators.goal import Goal, tolerance
from linearhead.estimators.options import check_options
from linearhead.records import Status
from linearhead.solvers import LBFGS, SCHEDULES, Dual


def problem(n, d, k, dtype=np.float64, unit=3.0):
    design, penalty = SimpleNamespace(d=d, dtype=np.dtype(dtype)), SimpleNamespace(strong_convexity=0.5)
    return SimpleNamespace(n=n, k=k, unit=unit, design=design, alpha=1e-6, penalty=penalty)


@pytest.mark.parametrize(
    ("loss", "solver", "tol", "of", "expected"),
    [
        ("cross_entropy", "lbfgs", None, problem(10, 2, 2), (3e-7, 3e-7)),  # in the unit of the gradient
        ("cross_entropy", "lbfgs", 1e-3, problem(10, 2, 2), (1e-3, 1e-3)),  # but as it stands where it is given
        ("cross_entropy", "lbfgs", None, problem(2**20, 2**7, 2), (3e-7, 3e-7)),  # 2²⁸ multiply-adds a pass
        ("cross_entropy", "lbfgs", None, problem(2**20 + 1, 2**7, 2), (3e-7, 3e-7)),
        ("squared_hinge", "dual", None, problem(2**20, 2**10, 2, unit=1.0), (1e-7, 1e-7)),
        ("hinge", "sgd", None, problem(10, 2, 2), (1e-4, 1e-4)),
        ("hinge", "dual", 1e-3, problem(10, 2, 2), (1e-3, 1e-3)),
        ("hinge", "dual", None, problem(2**10, 2**9, 2), (1e-8, 1e-8)),  # 2²⁰ multiply-adds a pass
        ("hinge", "dual", None, problem(2**10, 2**9, 2, np.float32), (1e-4, 1e-8)),
        ("hinge", "dual", None, problem(2**10 + 1, 2**9, 2), (1e-4, 1e-8)),
        ("crammer_singer", "dual", None, problem(2**12, 2**10, 2**4), (1e-4, 1e-8)),  # 2³⁰ = n d k²
        ("crammer_singer", "dual", None, problem(2**12 + 1, 2**10, 2**4), (1e-4, 1e-4)),
    ],
)
def test_how_far_a_fit_goes(loss, solver, tol, of, expected):
    model = SimpleNamespace(loss=loss, solver_=solver, tol=tol)
    goal = Goal.of(model, of)
    assert (goal.tol, goal.aim) == pytest.approx(expected, rel=1e-12)
    assert tolerance(model) == (tol or (1e-4 if loss in ("hinge", "crammer_singer") else 1e-7))
    if solver != "lbfgs":
        told = goal.given(Dual())
        assert (told.tol, told.enough) == (goal.aim, goal.tol if goal.aim < goal.tol else 0)
    if solver != "dual":
        told, beyond = goal.given(LBFGS()), 5e-10 * (solver == "lbfgs" and tol is None and of.n <= 2**20)
        assert told.tol == goal.tol
        assert told.sure == goal.sure == pytest.approx(beyond)


@pytest.mark.parametrize("found", list(Status))
def test_what_lies_beyond_the_tolerance_is_a_hope(found):
    far, near = Goal(1e-4, 1e-8), Goal(1e-4, 1e-4)
    hoped = found in (Status.STALLED, Status.MAX_ITER)
    assert near.near(found) == (found is Status.CONVERGED)
    assert far.near(found) == (found is Status.CONVERGED or hoped)
    assert far.status(found, True) is (Status.CONVERGED if hoped else found)
    assert near.status(found, True) is found
    assert Goal(1e-7, 1e-7, sure=1e-9).near(found) == far.near(found)
    for goal in (far, near):  # what is not certified has not converged, whatever the solver thinks
        assert goal.status(found, False) is (Status.STALLED if found is Status.CONVERGED else found)


LIMITS = {  # values on the right side of a limit, and on the wrong one
    "alpha": ([0, 1e-9, 1e9, "auto"], [-1e-9, "some", None, np.nan]),
    "tol": ([0, 1e-9, None], [-1e-9, "auto"]),
    "l1_ratio": ([0, 0.5, 1], [-1e-9, 1 + 1e-9, None]),
    "margin": ([1e-9, 5], [0, -1, None]),
    "momentum": ([0, 0.999, None], [-1e-9, 1, 1.5]),
    "batch_size": ([1, 256], [0, 1.5, None]),
    "max_iter": ([0, 1, None], [-1, 1.5]),
    "patience": ([1, 5, None], [0, 1.5]),
    "learning_rate": ([1e-9, 2, None], [0, -1, "1/L", "backtracking"]),
    "schedule": (list(SCHEDULES), ["often", None, 1]),
    "callback": ([None, print], ["print", 1]),
    **{
        name: ([True, False], ["no"])
        for name in ("fit_intercept", "standardize", "nesterov", "averaging", "warm_start")
    },
}


@pytest.mark.parametrize("name", LIMITS)
def test_options_are_taken_up_to_their_limits_and_refused_beyond(name):
    good, bad = LIMITS[name]
    for value in good:
        check_options(LinearClassifier(**{name: value}), "lbfgs")
    for value in bad:
        with pytest.raises(UsageError, match=name):
            check_options(LinearClassifier(**{name: value}), "lbfgs")


def test_steps_by_name_are_for_the_solver_that_sees_all_rows():
    for rate in ("1/L", "backtracking", 0.1, None):
        check_options(LinearClassifier(learning_rate=rate), "gd")
    with pytest.raises(UsageError, match="sgd takes a number"):
        check_options(LinearClassifier(learning_rate="1/L"), "sgd")
    check_options(LinearClassifier(learning_rate=0.1), "sgd")
    for rate in ("1/L", None):
        with pytest.raises(UsageError, match="the loss has kinks"):
            check_options(LinearClassifier(loss="hinge", learning_rate=rate), "gd")
    check_options(LinearClassifier(loss="hinge", learning_rate=0.1), "gd")
    check_options(LinearClassifier(loss="hinge"), "sgd")
