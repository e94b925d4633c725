"""Option values that come from a registry, looked up only when asked for: `linearhead --help` imports none of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

import click

ELSEWHERE = {  # what other libraries, and the lecture, call it
    "softmax": "cross_entropy",
    "multinomial": "cross_entropy",
    "log_loss": "cross_entropy",
    "nll": "cross_entropy",
    "ovr": "logistic",
    "sigmoid": "logistic",
    "svm": "hinge",
    "multi_margin": "hinge",
    "mse": "squared",
    "ridge": "squared",
    "least_squares": "squared",
    "lasso": "l1",
    "elasticnet": "elastic_net",
    "elastic": "elastic_net",
    "gradient_descent": "gd",
    "fista": "proximal",
    "newton_cg": "newton",
}


class FromRegistry(click.Choice):
    """One of `extra` or of the names in linearhead.<room>.<registry>."""

    def __init__(self, room: str, registry: str, extra: Sequence[str] = ()) -> None:
        self.room, self.registry, self.extra = room, registry, tuple(extra)
        self.case_sensitive = True

    @cached_property
    def choices(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.extra, *getattr(import_module(f"linearhead.{self.room}"), self.registry))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        known = ELSEWHERE.get(str(value).lower().replace("-", "_"))
        if value not in self.choices and known in self.choices:
            self.fail(f"{value!r} is called {known!r} here.", param, ctx)
        return super().convert(value, param, ctx)


class NumberOr(click.ParamType):
    """A number, or one of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = "|".join([*words, "number"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value in self.words:
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor {' nor '.join(self.words)}.", param, ctx)


class Size(click.ParamType):
    """64 or 48x64 (height x width) → (height, width)."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().replace("×", "x").split("x")
        if len(sides) <= 2 and all(side.isascii() and side.isdigit() for side in sides):
            return int(sides[0]), int(sides[-1])
        self.fail(f"{value!r} is neither one number (64) nor height x width (48x64).", param, ctx)


AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
READER = click.option(
    "--reader",
    type=FromRegistry("data", "READERS", ("auto",)),
    default="auto",
    show_default=True,
    help="Kind of DATA; auto looks at it.",
)


class Place(click.Path):
    """A path that is not empty: Python takes an empty one for the folder that it runs in. Whether it can be read is
    seen, and said, by whoever reads it."""

    def __init__(self, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, readable=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("a path is empty; . is the folder you are in.", param, ctx)
        if str(value) == "-":
            self.fail("- stands for standard input or output; name a file or folder (./- is one).", param, ctx)
        return super().convert(value, param, ctx)


def _no_folder_called_none(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """It would be one of gigabytes, made by those who wanted none."""
    if value is not None and value.lower() == "none":
        raise click.BadParameter(f"{value} would be a folder of that name (./{value}). To keep nothing: --no-cache.")
    return value


def cached(command: Any) -> Any:
    """--cache DIR and --no-cache, which arrive as `cache`: a folder, "auto" or None."""
    keep = click.option(
        "--cache",
        type=Place(file_okay=False),
        default="auto",
        callback=_no_folder_called_none,
        help="Folder, or place such as s3://bucket/store, that keeps pixels and features for the runs to come. "
        "[default: linearhead's in the user's cache]",
    )
    return keep(click.option("--no-cache", "cache", flag_value=None, help="Keep nothing.")(command))
