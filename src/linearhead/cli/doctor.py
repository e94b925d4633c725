"""linearhead doctor: what this computer offers, what is missing and how to get it."""

from __future__ import annotations

import click

from .output import put, put_json


@click.command(short_help="Look at versions, BLAS, threads and extras.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def doctor(as_json: bool) -> None:
    """Print versions, BLAS, threads, picture formats and extras; for what is missing, the command that installs it."""
    from ..experiment.environment import examine
    from .words import doctor_lines

    found = examine()
    if as_json:
        put_json(found)
    else:
        for line in doctor_lines(found):
            put(line)
    if found["problems"]:
        raise click.exceptions.Exit(2)
