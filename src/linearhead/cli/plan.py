"""linearhead plan: what a training costs on so many workers, before it is paid."""

from __future__ import annotations

from typing import Any

import click

from .choices import AS_JSON, READER, NumberOr, Place, Size
from .output import put_result

MANY, AMOUNT = click.IntRange(1), click.FloatRange(0, min_open=True)


# fmt: off
OPTIONS = [
    click.option("--rows", type=MANY, help="Instead of DATA's, or without it: number of rows trained on."),
    click.option("--columns", type=MANY, help="The same for the numbers a row."),
    click.option("--classes", type=click.IntRange(2), help="The same for the classes."),
    click.option("--type", "kind", type=click.Choice(["float16", "uint8", "float32", "float64"]),
                  help="Of the stored numbers. [default: DATA's, or float32]"),
    click.option("--features", default="hog+color", show_default=True, help="Where DATA are pictures: as of train."),
    click.option("--size", type=Size(), help="Picture size for the features. [default: from the data]"),
    READER,
    click.option("--alpha", type=NumberOr("auto"), default="auto", show_default=True,
                  help="auto: the path over all strengths; a number: one fit."),
    click.option("--workers", type=MANY, default=1, show_default=True),
    click.option("--cores", type=MANY, help="Of a worker. [default: of this machine]"),
    click.option("--shared-cores", type=MANY, help="Of all workers together, where they run on one machine."),
    click.option("--memory", type=AMOUNT, default=16.0, show_default=True, help="GB of a worker."),
    click.option("--network", type=AMOUNT, default=1.0, show_default=True, help="GB/s of the client's line."),
    click.option("--storage", type=AMOUNT, default=0.5, show_default=True, help="GB/s at which a worker reads."),
    click.option("--price", type=click.FloatRange(0), default=0.0, help="Of a worker for an hour."),
    click.option("--speed", type=AMOUNT, help="Of a core, 1 being those that were measured. [default: timed here]"),
    AS_JSON,
]
# fmt: on


def with_options(command: Any) -> Any:
    """All of the above, in that order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command(short_help="Say what a training costs on N workers.")
@click.argument("data", required=False, type=Place())
@with_options
def plan(data: str | None, as_json: bool, **options: Any) -> None:
    """Say what training on DATA costs: bytes, flops, passes, seconds, memory, and money at a --price.

    Nothing is trained and no cluster is needed. The model behind it was fitted to timed passes on 1, 2 and 4 local
    workers; everything beyond is extrapolated (see the documentation: what it costs).
    """
    from ..experiment import plan as run_plan
    from .words import plan_lines

    found = run_plan(data, **options)
    put_result(as_json, found.to_json, plan_lines(found))
