"""linearhead evaluate: a finished model judged on pictures with known classes."""

from __future__ import annotations

from typing import Any

import click

from .choices import AS_JSON, READER, FromRegistry, Place, cached
from .output import put_result


@click.command(short_help="Judge a model on pictures with known classes.")
@click.argument("run", type=Place())
@click.argument("data", type=Place())
@click.option(
    "--split",
    type=FromRegistry("experiment.judging", "SPLITS"),
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
@AS_JSON
def evaluate(run: str, data: str, cache: str | None, as_json: bool, **choices: Any) -> None:
    """Judge the model of RUN (a run folder or its model.safetensors) on the pictures in DATA.

    Classes are matched by name. Pictures of classes that the model does not know are left out and counted.
    """
    from ..experiment import evaluate as run_evaluation
    from .progress import Bars
    from .words import judged_lines

    judged = run_evaluation(run, data, cache=cache, progress=Bars(), **choices)
    put_result(as_json, judged.to_json, judged_lines(judged))
