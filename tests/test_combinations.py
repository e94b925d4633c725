"""Which loss, penalty and solver fit together: a table from the definitions, beside what the registries answer."""

import re

import numpy as np
import pytest

from linearhead.design import ClusterRows, design_of
from linearhead.errors import UsageError
from linearhead.losses import LOSSES
from linearhead.objective import check_combination, choose_solver, misfit
from linearhead.objective.combination import check_passes
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS

EVERY, SLOPED = {"none", "l2", "l1", "elastic_net"}, {"none", "l2"}
SMOOTH, KINKED = {"cross_entropy", "logistic", "squared_hinge", "squared"}, {"hinge", "crammer_singer"}
FITS = {  # solver: losses that have the derivatives it asks for, penalties whose kinks it can take
    "gd": (SMOOTH | KINKED, EVERY),
    "sgd": (SMOOTH | KINKED, EVERY),
    "lbfgs": (SMOOTH, SLOPED),
    "newton": (SMOOTH, SLOPED),
    "proximal": (SMOOTH, EVERY),
    "dual": (KINKED, EVERY),
    "closed_form": ({"squared"}, SLOPED),
}
TRIPLES = [(loss, penalty, solver) for loss in LOSSES for penalty in PENALTIES for solver in SOLVERS]


def fits(loss, penalty, solver):
    return loss in FITS[solver][0] and penalty in FITS[solver][1]


def test_the_table_has_all():
    assert set(FITS) == set(SOLVERS)
    assert set(LOSSES) == SMOOTH | KINKED
    assert set(PENALTIES) == EVERY


@pytest.mark.parametrize("triple", TRIPLES, ids="-".join)
def test_misfits_are_those_of_the_table(triple):
    loss, penalty, solver = triple
    reason = misfit(*triple)
    assert (reason is None) == fits(*triple)
    if reason is None:
        check_combination(*triple)
        return
    assert solver in reason
    assert loss in reason or penalty in reason
    if solver == "closed_form" and loss != "squared":
        assert "closed_form solves only squared" in reason
    elif loss not in FITS[solver][0] and solver != "dual":
        have, need = LOSSES[loss].smoothness, SOLVERS[solver].smoothness
        assert f"needs a loss with {need} continuous derivative{'s' if need > 1 else ''};" in reason
        assert f"{loss} has {have}" in reason
        assert ("kinks at the margin" in reason) == (have == 0)
    elif loss in FITS[solver][0]:
        assert f"{solver} needs a smooth penalty; {penalty} has kinks at 0" in reason
    with pytest.raises(UsageError) as error:
        check_combination(*triple)
    text = str(error.value)
    assert text.startswith(reason)
    remedies = (
        (f"Solvers that fit {loss} with {penalty}: auto, ", [s for s in SOLVERS if fits(loss, penalty, s)]),
        (f"Losses that fit {solver} with {penalty}: ", [name for name in LOSSES if fits(name, penalty, solver)]),
        (f"Penalties that fit {solver} with {loss}: ", [name for name in PENALTIES if fits(loss, name, solver)]),
    )
    for words, names in remedies:
        assert re.search(re.escape(words) + r"([\w, ]+)\.", text)[1] == (", ".join(names) or "none")


def test_rows_at_hand_suit_every_solver():
    design = design_of(np.eye(4))
    for triple in TRIPLES:
        check_passes(design, *triple)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_auto_takes_one_that_fits(loss, penalty):
    chosen = choose_solver(loss, penalty)
    assert fits(loss, penalty, chosen)
    wanted = "lbfgs" if penalty in SLOPED else "proximal"
    wanted = "closed_form" if loss == "squared" and penalty in SLOPED else wanted
    assert chosen == ("dual" if loss in KINKED else wanted)
    check_combination(loss, penalty)
    check_combination(loss, penalty, "auto")


@pytest.mark.parametrize(
    ("triple", "words"),
    [
        (("mse", "l2", "auto"), "Unknown loss 'mse'. Known: cross_entropy, "),
        (("hinge", "l3", "auto"), "Unknown penalty 'l3'. Known: none, l2, "),
        (("hinge", None, "auto"), "Unknown penalty None"),
        (("hinge", "l2", "adam"), "Unknown solver 'adam'. Known: auto, gd, "),
        (("hinge", "l2", None), "Unknown solver None"),
        (("hinge", "l2", ["auto"]), r"Unknown solver \['auto'\]"),
        (("hinge", "l2", "auto "), "Unknown solver 'auto '"),
    ],
)
def test_unknown_names_are_refused(triple, words):
    with pytest.raises(UsageError, match=words):
        check_combination(*triple)


def test_rows_on_a_cluster_are_seen_in_full_passes():
    design = object.__new__(ClusterRows)
    for loss, penalty, solver in TRIPLES:
        if solver != "sgd":
            check_passes(design, loss, penalty, solver)
            continue
        with pytest.raises(UsageError) as error:
            check_passes(design, loss, penalty, solver)
        text = str(error.value)
        others = [s for s in SOLVERS if s != "sgd" and fits(loss, penalty, s)]
        assert text.startswith("sgd picks a few rows at a time")
        assert text.endswith(f"that fit {loss} with {penalty}: {', '.join(others) or 'none'}.")
