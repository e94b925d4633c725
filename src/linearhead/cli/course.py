"""linearhead course: the assignment of the lecture, written and graded."""

from __future__ import annotations

import shlex

import click

from .output import put, put_json

NOT_RIGHT = 3


@click.group(short_help="The assignment of the lecture: write it, grade it.", invoke_without_command=False)
def course() -> None:
    """The assignment: softmax, cross-entropy, their gradients, SGD and the margin classifier, in plain NumPy.

    \b
    linearhead course new homework           writes homework/assignment.py, to be filled in
    linearhead course check homework         says what is right, and which mistake it sees
    """


@course.command(short_help="Write the assignment into a new folder.")
@click.argument("folder", type=click.Path())
@click.option("--force", is_flag=True, help="Replace an earlier assignment at FOLDER, with what was filled in.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def new(folder: str, force: bool, as_json: bool) -> None:
    """Write FOLDER/assignment.py: seven functions to fill in, with their formulas."""
    from ..course import new as write

    path = str(write(folder, force))
    if as_json:
        put_json({"folder": path})
    else:
        put(path)
        put(f"Next    fill in assignment.py, then: linearhead course check {shlex.quote(folder)}")


@course.command(short_help="Grade a filled-in assignment.")
@click.argument("folder", type=click.Path())
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    show_default=True,
    help="Limit for each function.",
)
@click.option("--strict", is_flag=True, help="Exit code 3 unless everything is right.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def check(folder: str, seconds: float, strict: bool, as_json: bool) -> None:
    """Grade FOLDER/assignment.py: which functions are right, which classical mistake the others show, and a picture of
    each in FOLDER/check.html.

    Your code runs in a process of its own, with your rights and a time limit.
    """
    from ..course import check as grade
    from .words import graded_lines

    report = grade(folder, seconds)
    if as_json:
        put_json(report.to_json())
    else:
        for line in graded_lines(report):
            put(line)
    if strict and not report.right:
        raise click.exceptions.Exit(NOT_RIGHT)
