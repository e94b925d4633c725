"""linearhead sample: real pictures to try everything on, without a download."""

from __future__ import annotations

import shlex

import click

from .choices import AS_JSON, Place
from .output import put_result


@click.command(short_help="Write a sample of real pictures into a folder.")
@click.argument("name", type=click.Choice(["digits"]))
@click.argument("folder", type=Place())
@click.option("--force", is_flag=True, help="Replace an earlier sample at FOLDER.")
@AS_JSON
def sample(name: str, folder: str, force: bool, as_json: bool) -> None:
    """Write the sample NAME into FOLDER, one sub-folder of PNG files per class.

    digits: 1 797 scanned handwritten digits of 8×8 pixels (Alpaydin & Kaynak 1998), as they come with scikit-learn.
    """
    from ..experiment import write_digits

    path = str(write_digits(folder, force))
    put_result(as_json, lambda: {"folder": path}, [path, f"Next    linearhead train {shlex.quote(folder)}"])
