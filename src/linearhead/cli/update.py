"""linearhead update: more pictures, or a new class, for a finished model."""

from __future__ import annotations

import shlex
import sys

import click

from .choices import AS_JSON, READER, Place, cached
from .errors import INTERRUPTED
from .output import put_result


@click.command(short_help="Add pictures or a class to a model.")
@click.argument("run", type=Place())
@click.argument("data", type=Place())
@click.option("--out", type=Place(), help="Folder of the new run. [default: runs/NAME-TIME]")
@click.option("--force", is_flag=True, help="Replace an earlier run at --out.")
@READER
@cached
@AS_JSON
def update(run: str, data: str, as_json: bool, **choices: object) -> None:
    """Add the pictures in DATA, of classes old or new, to the model of RUN, and write a new run folder.

    The old pictures are needed where they were. Features and alpha stay; the fit goes on from the old weights to the
    optimum over all pictures, which is certified and the one that a fit from zero would find.
    """
    from ..experiment import update as run_update
    from .progress import Bars
    from .words import outcome_lines

    command = shlex.join(["linearhead", *sys.argv[1:]])
    outcome = run_update(run, data, progress=Bars(), command=command, **choices)  # type: ignore[arg-type]
    put_result(as_json, lambda: outcome.to_json() | {"passes": outcome.run.fit.passes}, outcome_lines(outcome))
    if outcome.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)
