"""linearhead report: the page again, from the record alone."""

from __future__ import annotations

import click

from .choices import AS_JSON, Place
from .output import put_result


@click.command(short_help="Draw the report of a run again.")
@click.argument("run", type=Place())
@AS_JSON
def report(run: str, as_json: bool) -> None:
    """Draw report.html of RUN again from its record run.json; neither pictures nor features nor the fit are needed."""
    from ..experiment import rewrite_report

    path = str(rewrite_report(run))
    put_result(as_json, lambda: {"report": path}, [path])
