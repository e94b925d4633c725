"""linearhead predict: path, label, confidence, runner-up."""

from __future__ import annotations

import dataclasses

import click

from .choices import Place
from .output import put, put_result


@click.command(short_help="Say what new pictures show.")
@click.argument("run", type=Place())
@click.argument("paths", nargs=-1, required=True, type=Place())
@click.option(
    "--coverage",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Also give each picture the set of labels that holds the true one so often, such as 0.95.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout instead of text.")
def predict(run: str, paths: tuple[str, ...], coverage: float | None, as_json: bool) -> None:
    """Say what each picture in PATHS shows, according to the model of RUN (a run folder or its model.safetensors).

    Folders are walked. A file that is no readable picture gets an error instead of a label, and of those in folders the
    text names the first few; the exit code is 2 only where no picture at all could be read. A model of features
    computed elsewhere takes .npy and .npz files of rows.
    """
    from ..experiment import predict as run_prediction
    from .progress import Bars
    from .words import prediction_lines, unlabelled_lines

    predictions = run_prediction(run, paths, coverage=coverage, progress=Bars())
    put_result(as_json, lambda: [dataclasses.asdict(p) for p in predictions], prediction_lines(predictions))
    for line in unlabelled_lines(predictions, paths) if not as_json else ():
        put(line, err=True)
    if all(p.error is not None for p in predictions):
        raise click.exceptions.Exit(2)
