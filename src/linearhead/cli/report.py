"""linearhead report: the page again, from the record alone."""

from __future__ import annotations

import click

from .choices import Place
from .output import put, put_json


@click.command(short_help="Draw the report of a run again.")
@click.argument("run", type=Place())
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def report(run: str, as_json: bool) -> None:
    """Draw report.html of RUN again from its record run.json; neither pictures nor features nor the fit are needed."""
    from ..experiment import rewrite_report

    path = str(rewrite_report(run))
    if as_json:
        put_json({"report": path})
    else:
        put(path)
