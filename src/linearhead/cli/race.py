"""linearhead race: the lecture's methods and their successors on the same pictures."""

from __future__ import annotations

from typing import Any

import click

from .choices import AS_JSON, READER, FromRegistry, Place, Size, cached
from .errors import INTERRUPTED
from .output import put, put_result


@click.command(short_help="Let all solvers race on the same pictures.")
@click.argument("data", type=Place())
@click.option("--out", type=Place(dir_okay=False), help="The page to write. [default: NAME-race.html]")
@click.option("--force", is_flag=True, help="Replace an earlier page at --out.")
@click.option(
    "--loss",
    type=FromRegistry("losses", "LOSSES"),
    default="cross_entropy",
    show_default=True,
    help="What a wrong answer costs; solvers that do not fit it stay at home.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Strength of the L2 penalty.",
)
@click.option(
    "--passes",
    type=click.IntRange(2),
    default=50,
    show_default=True,
    help="Reads of all training pictures after which a runner is stopped.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    show_default=True,
    help="Time after which a runner is stopped; the optimum may take that of all.",
)
@click.option(
    "--features",
    metavar="NAME[+NAME]",
    help="How pictures become numbers, as in train. [default: pixels]",
)
@click.option("--size", type=Size(), help="Picture size: 64, or height x width. [default: from the data]")
@click.option(
    "--standardize/--no-standardize",
    default=True,
    show_default=True,
    help="Columns of mean 0 and deviation 1; without, the slow ones get slower.",
)
@READER
@click.option(
    "--test-share",
    type=click.FloatRange(0, 0.9),
    default=0.2,
    show_default=True,
    help="Pictures held out to judge the end points, where DATA has no test split.",
)
@cached
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the split and of shuffling.")
@AS_JSON
def race(data: str, as_json: bool, **options: Any) -> None:
    """Let gradient descent, SGD with batches of 1, 32, 256 and all, momentum, Nesterov, L-BFGS with and without
    preconditioning, and Newton race on the pictures, or rows of features, in DATA.

    Draws F and its distance to the proven optimum against passes and against seconds, on one page. Ctrl-C ends the race
    and draws those who have run.
    """
    from ..experiment import race as run_race
    from .progress import Bars
    from .words import race_lines

    raced = run_race(data, progress=Bars(), **options)
    put_result(as_json, raced.to_json, race_lines(raced))
    if raced.race.interrupted:
        put("Interrupted: on the page are those who have run.", err=True)
        raise click.exceptions.Exit(INTERRUPTED)
