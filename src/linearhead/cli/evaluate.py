"""linearhead evaluate: a finished model judged on pictures with known classes."""

from __future__ import annotations

from typing import Any

import click

from .choices import READER, Place, cached
from .output import put, put_json

SPLITS = ("auto", "all", "train", "valid", "test")


@click.command(short_help="Judge a model on pictures with known classes.")
@click.argument("run", type=Place())
@click.argument("data", type=Place())
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="auto",
    show_default=True,
    help="Which pictures judge. auto: the test split; of the data of train, those which it held out; else all.",
)
@READER
@click.option(
    "--max-bad",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of unreadable pictures above which nothing is judged.",
)
@click.option("--strict", is_flag=True, help="Stop at the first unreadable picture.")
@cached
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def evaluate(run: str, data: str, cache: str | None, as_json: bool, **choices: Any) -> None:
    """Judge the model of RUN (a run folder or its model.safetensors) on the pictures in DATA.

    Classes are matched by name. Pictures of classes that the model does not know are left out and counted.
    """
    from ..experiment import evaluate as run_evaluation
    from .progress import Bars
    from .words import judged_lines

    judged = run_evaluation(run, data, cache=cache, progress=Bars(), **choices)
    if as_json:
        put_json(judged.to_json())
    else:
        for line in judged_lines(judged):
            put(line)
