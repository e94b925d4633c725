"""linearhead extract: pixels and features into a store, from which `train` and `evaluate` then read."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import click
from click.core import ParameterSource

from .choices import READER, Place
from .output import put, put_json
from .train import JUDGING, PICTURES

OWN = ("data", "out", "features", "as_json")  # what is said otherwise where `train` is named
SHARED = ("test_share", "group", "valid_share", "seed", "max_bad", "strict", "as_json")


def with_options(command: Any) -> Any:
    """Those of `train` that decide what features come out."""
    for option in reversed(JUDGING):
        command = option(command)
    command.__click_params__ = [p for p in command.__click_params__ if p.name in SHARED]
    next(p for p in command.__click_params__ if p.name == "strict").help = "Stop at the first unreadable picture."
    for option in reversed(PICTURES):
        command = option(command)
    return command


@click.command(short_help="Compute features once, for many runs.")
@click.argument("data", type=Place())
@click.option("--out", required=True, type=Place(file_okay=False), help="The store: a folder, new or used before.")
@READER
@with_options
def extract(data: str, out: str, as_json: bool, strict: bool, **recipe: Any) -> None:
    """Decode the pictures in DATA and compute their features into the store --out, as train would before its fit.

    linearhead train DATA --cache STORE with the same options then decodes nothing. An interrupted extraction goes on
    where it stopped, several may fill one store, and rows that are damaged are found and computed again.
    """
    from ..experiment.preparing import extract as run_extraction
    from .progress import Bars

    found = run_extraction(data, out=out, progress=Bars(), strict=strict, **recipe)
    if as_json:
        put_json(dataclasses.asdict(found) | {"store": str(found.store), "skipped": len(found.skipped)})
        return
    put(f"Pictures: {found.found} found = {found.used} used + {len(found.skipped)} skipped")
    put(f"Features: {found.features}, {found.dimension} numbers a picture")
    put(f"Took {found.seconds:.1f} s")
    put(f"Store   {found.store}")
    settled = ["--features", found.features, *(["--loss", found.loss] if recipe["features"] == "auto" else [])]
    put(f"Next    {shlex.join(['linearhead', 'train', data, *settled, *_given(), '--cache', out])}")


def _given() -> list[str]:
    """The options that somebody gave and `train` has to be given as well, or it would look at pictures anew."""
    context = click.get_current_context()
    words: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        if name in OWN or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        shown = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
        words += [option.opts[0]] if value is True else [option.opts[0], shown]
    return words
