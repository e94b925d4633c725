"""The command that a finding's advice comes to: that of the run with some options changed. Not a check itself."""

from __future__ import annotations

import shlex
from os.path import normpath

from ..records import Run

STEPPING = ("--learning-rate", "--momentum", "--nesterov", "--batch-size", "--schedule", "--averaging")
FLAGS = ("--json", "--force", "--nesterov", "--averaging")  # without a value
RUNS_OWN = ("--out", "--json", "--force")
ALL = "ALL_PICTURES"


def plain(value: float) -> str:
    """One digit, as a person would type it: 60, 0.0003."""
    return f"{float(f'{value:.1g}'):g}"


def again(run: Run, *options: str, without: tuple[str, ...] = ()) -> str:
    """`linearhead train …` as it was called, `options` in place of the same ones before, without some options."""
    left_out = {*RUNS_OWN, *without, *(word for word in options if word.startswith("--"))}
    try:
        words = shlex.split(run.command)
    except ValueError:
        words = []
    if words[:2] != ["linearhead", "train"] or len(words) < 3:
        several = " + " in run.data.source  # those of an update, which train would need in one place
        words = ["linearhead", "train", ALL if several else run.data.source]
    kept: list[str] = []
    value_of_left_out = False
    for word in words:
        name = word.split("=", 1)[0]
        drop = value_of_left_out or name in left_out
        value_of_left_out = not value_of_left_out and name in left_out and "=" not in word and name not in FLAGS
        if not drop:
            kept.append(word)
    return shlex.join([*kept, *options])


def elsewhere(run: Run, place: str, without: tuple[str, ...] = ()) -> str:
    """The same on the pictures in another place."""
    words = shlex.split(again(run, without=without))
    told = {normpath(run.data.source), ALL}  # a person types pictures/
    named = [word for word in words[2:] if normpath(word) in told] or [word for word in words[2:] if word[:1] != "-"]
    return shlex.join(place if word == named[0] else word for word in words)


def with_more(run: Run) -> str:
    """The same on more pictures than there are: a place to be filled in."""
    return elsewhere(run, "MORE_PICTURES")


def evened(run: Run, advice: str) -> dict[str, str]:
    """Advice and command where classes are uneven: weights that even them out, and pictures where it has had those."""
    if "--class-weight balanced" in run.command.replace("=", " "):
        return {"advice": f"{advice}.", "command": with_more(run)}
    weigh = "or train with --class-weight balanced if every class matters alike"
    return {"advice": f"{advice}, {weigh}.", "command": again(run, "--class-weight", "balanced")}


def with_lbfgs(run: Run) -> str:
    """The same by a method that needs no step size and no order of the rows."""
    return again(run, "--solver", "lbfgs", without=STEPPING)


def richer(run: Run, advice: str, quality: str = "auto") -> dict[str, str]:
    """Advice and command where better features are wanted; rows that came as features get them from elsewhere."""
    if run.of_rows:
        elsewhere = "Compute the rows by a stronger network, by another of its layers, or from larger pictures."
        return {"advice": elsewhere}
    return {"advice": advice, "command": again(run, "--features", quality, "--quality", "best")}
