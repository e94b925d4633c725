"""linearhead export: a finished model as a file for another place."""

from __future__ import annotations

import dataclasses

import click

from .choices import AS_JSON, FromRegistry, Place
from .output import put, put_json


@click.command(short_help="Take a model elsewhere: Python file, ONNX, web page, model card.")
@click.argument("run", type=Place())
@click.option("--to", required=True, type=FromRegistry("export", "FORMS"),
              help="numpy: one Python file for NumPy and Pillow. onnx: one graph, features included. html: one page "
              "that classifies in the browser, offline. card: README.md for the Hugging Face hub.")  # fmt: skip
@click.option("--out", type=Place(), help="The file to write. [default: the form's own name in the run folder]")
@click.option("--force", is_flag=True, help="Replace an earlier file.")
@AS_JSON
def export(run: str, to: str, out: str | None, force: bool, as_json: bool) -> None:
    """Write the model of RUN (a run folder or its model.safetensors) as a file that works without linearhead.

    numpy and onnx files are run before they are kept: their labels must be the model's, their numbers within 1e-5 of
    the scores' scale.
    """
    from ..experiment import export as run_export

    made = run_export(run, to=to, out=out, force=force)
    if as_json:
        put_json(dataclasses.asdict(made) | {"path": str(made.path)})
        return
    if made.difference is not None:
        put(f"Checked: {made.checked} pictures, the same labels, numbers within {made.difference:.1e} of the model's")
    put(f"Wrote   {made.path} ({made.bytes} bytes)")
