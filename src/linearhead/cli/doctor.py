"""linearhead doctor: what this computer offers, what is missing and how to get it."""

from __future__ import annotations

import click

from .choices import AS_JSON
from .output import put_result


@click.command(short_help="Look at versions, BLAS, threads and extras.")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Print versions, BLAS, threads, picture formats and extras; for what is missing, the command that installs it."""
    from ..experiment.environment import examine
    from .words import doctor_lines

    found = examine()
    put_result(as_json, lambda: found, doctor_lines(found))
    if found["problems"]:
        raise click.exceptions.Exit(2)
