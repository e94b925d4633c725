"""linearhead compare: runs side by side, and whether they differ on the same pictures."""

from __future__ import annotations

import click

from .choices import AS_JSON, Place
from .output import put_result


@click.command(short_help="Put runs side by side.")
@click.argument("runs", nargs=-1, required=True, type=Place())
@AS_JSON
def compare(runs: tuple[str, ...], as_json: bool) -> None:
    """Put the finished runs RUNS side by side, and test the first against each other one on the same pictures.

    The paired test (McNemar's, exact) counts the test pictures that only one of the two has right; of several pairs p
    is adjusted for their number (Holm).
    """
    from ..experiment import compare as run_comparison
    from .words import compared_lines

    found = run_comparison(runs)
    put_result(as_json, lambda: found, compared_lines(found))
