"""The command line: parse, call, print. Results go to stdout, progress and messages to stderr.

Exit codes: 0 done · 1 a fault of the program · 2 usage or data · 3 not converged (--strict) · 4 input or output · 130
interrupted. LINEARHEAD_DEBUG=1 shows the traceback behind a message; NO_COLOR is honoured.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from .. import __version__
from .compare import compare
from .course import course
from .doctor import doctor
from .errors import failed, reported
from .evaluate import evaluate
from .export import export
from .extract import extract
from .plan import plan
from .predict import predict
from .race import race
from .report import report
from .sample import sample
from .serve import serve
from .train import train
from .update import update


class Verbs(click.Group):
    """The verbs, with every failure turned into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        return reported(ctx, super().invoke)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)  # prints what --help and --version ask for
        except BrokenPipeError:
            raise
        except OSError as error:
            failed(error)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of use, not of the alphabet


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="linearhead")
def cli() -> None:
    """Linear classifiers for visual recognition: a folder of photos in, a classifier, a verdict and a report out.

    \b
    linearhead sample digits digits          real pictures to try it on
    linearhead train digits --out run        model, report and record in the folder run
    linearhead predict run photo.png         what it says of new pictures
    """


for verb in (
    train,
    predict,
    evaluate,
    update,
    extract,
    compare,
    report,
    export,
    serve,
    race,
    plan,
    course,
    sample,
    doctor,
):
    cli.add_command(verb)


def main() -> None:
    """The console script."""
    sys.exit(cli.main(prog_name="linearhead"))
