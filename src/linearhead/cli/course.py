"""linearhead course: the assignment of the lecture, written and graded."""

from __future__ import annotations

import shlex

import click

from .choices import AS_JSON, Place
from .output import put_result

NOT_RIGHT = 3


@click.group(short_help="The assignment of the lecture: write it, grade it.", invoke_without_command=False)
def course() -> None:
    """The assignment: softmax, cross-entropy, their gradients, SGD and the margin classifier, in plain NumPy.

    \b
    linearhead course new homework           writes homework/assignment.py, to be filled in (--form notebook: .ipynb)
    linearhead course check homework         says what is right, and which mistake it sees
    """


@course.command(short_help="Write the assignment into a new folder.")
@click.argument("folder", type=Place())
@click.option(
    "--form",
    type=click.Choice(["script", "notebook"]),
    default="script",
    show_default=True,
    help="assignment.py or .ipynb.",
)
@click.option("--force", is_flag=True, help="Replace an earlier assignment at FOLDER, with what was filled in.")
@AS_JSON
def new(folder: str, form: str, force: bool, as_json: bool) -> None:
    """Write FOLDER/assignment.py: seven functions to fill in, with their formulas."""
    from ..course import new as write

    path = str(write(folder, force, form))
    file = "assignment.py" if form == "script" else "assignment.ipynb"
    following = f"Next    fill in {file}, then: linearhead course check {shlex.quote(folder)}"
    put_result(as_json, lambda: {"folder": path}, [path, following])


@course.command(short_help="Grade a filled-in assignment.")
@click.argument("folder", type=Place())
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    show_default=True,
    help="Limit for each function.",
)
@click.option("--strict", is_flag=True, help="Exit code 3 unless everything is right.")
@AS_JSON
def check(folder: str, seconds: float, strict: bool, as_json: bool) -> None:
    """Grade FOLDER/assignment.py, or assignment.ipynb: which functions are right, which classical mistake the others
    show, and a picture of each in FOLDER/check.html.

    Your code runs in a process of its own, with your rights and a time limit. Of a notebook its functions, imports and
    constants run, not what its cells try out.
    """
    from ..course import check as grade
    from .words import graded_lines

    report = grade(folder, seconds)
    put_result(as_json, report.to_json, graded_lines(report))
    if strict and not report.right:
        raise click.exceptions.Exit(NOT_RIGHT)
