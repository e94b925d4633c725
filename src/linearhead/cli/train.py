"""linearhead train: every option of `Recipe`, the folder to write to, and how the outcome is printed."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from .choices import AS_JSON, READER, FromRegistry, NumberOr, Place, Size, cached
from .errors import INTERRUPTED
from .output import put_result

NOT_CONVERGED = 3
SHARE = click.FloatRange(0, 1)

# fmt: off
WHERE = [
    click.option("--out", type=Place(), help="Folder for model, report and record. [default: runs/NAME-TIME]"),
    click.option("--force", is_flag=True, help="Replace an earlier run at --out."),
    READER,
    cached,
    click.option("--cluster", metavar="ADDRESS",
                 help="Dask scheduler whose workers decode, extract and fit, such as tcp://10.0.0.1:8786; local:N "
                 "starts N processes here. All workers must see DATA and the folder --cache, which has to be named."),
]
PICTURES = [
    click.option("--features", default="auto", show_default=True, metavar="NAME[+NAME]",
                 help="How pictures become numbers: names joined with +, options in brackets, as in hog(cell=8). "
                 "auto: a leaderboard on a sample of the training pictures decides. patches, without options: whether "
                 "mirror images count as equal, and how large the windows are, is decided likewise."),
    click.option("--quality", type=FromRegistry("features", "QUALITIES"), default="balanced", show_default=True,
                 help="Of features that have one (patches): accuracy for minutes."),
    click.option("--size", type=Size(),
                 help="Picture size for the features: 64, or height x width. [default: from the data]"),
    click.option("--fit", type=click.Choice(["stretch", "crop", "pad"]),
                 help="How a picture is brought to that size. [default: stretch]"),
]
OBJECTIVE = [
    click.option("--loss", type=FromRegistry("losses", "LOSSES", ("auto",)), default="auto", show_default=True,
                 help="What a wrong answer costs. auto: cross_entropy; with --features auto the leaderboard also tries "
                 "the others that give probabilities."),
    click.option("--margin", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
                 help="Margin of the hinge losses."),
    click.option("--penalty", type=FromRegistry("penalties", "PENALTIES"), default="l2", show_default=True,
                 help="What large weights cost."),
    click.option("--l1-ratio", type=SHARE, default=0.5, show_default=True, help="Share of L1 in elastic_net."),
    click.option("--alpha", type=NumberOr("auto"), default="auto", show_default=True,
                 help="Strength of the penalty; auto: chosen on the validation pictures, by folds where they are few. "
                 "C of scikit-learn = 1/(alpha n)."),
    click.option("--class-weight", type=click.Choice(["none", "balanced"]), default="none", show_default=True,
                 help="balanced: every class counts alike, however few its pictures."),
    click.option("--standardize/--no-standardize", default=None,
                 help="Fit on columns of mean 0 and deviation 1; the model keeps weights for the columns as they are. "
                 "[default: chosen with alpha on held-out pictures; standardize where one is given]"),
]
SOLVING = [
    click.option("--solver", type=FromRegistry("solvers", "SOLVERS", ("auto",)), default="auto", show_default=True,
                 help="The method that finds the weights."),
    click.option("--max-iter", type=click.IntRange(1), help="Limit of iterations; epochs for sgd. [default: solver's]"),
    click.option("--tol", type=click.FloatRange(0, min_open=True),
                 help="Largest gradient entry at which the fit is done; the relative duality gap for hinges. "
                 "[default: 1e-7; for hinges 1e-4]"),
    click.option("--learning-rate", type=NumberOr("1/L", "backtracking"),
                 help="Step size of gd and sgd; gd also takes 1/L and backtracking. [default: backtracking, with "
                 "momentum 1/L; for sgd the best of several tried]"),
    click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), help="Momentum of gd and sgd. [default: 0]"),
    click.option("--nesterov", is_flag=True, help="Momentum in Nesterov's form, which looks ahead first."),
    click.option("--batch-size", type=click.IntRange(1), help="Rows per step of sgd. [default: 32]"),
    click.option("--schedule", type=FromRegistry("solvers", "SCHEDULES"),
                 help="How the learning rate of sgd falls. [default: cosine]"),
    click.option("--averaging", is_flag=True, help="sgd returns the mean of its second half."),
]
JUDGING = [
    click.option("--test-share", type=click.FloatRange(0, 0.9), default=0.2, show_default=True,
                 help="Pictures held out to judge, where DATA has no test split."),
    click.option("--group", metavar="COLUMN|PATTERN",
                 help="Pictures that share this stay on one side of every random cut: a column of the manifest, or a "
                 "regular expression in file names, such as '^.*/(track\\d+)_'."),
    click.option("--valid-share", type=click.FloatRange(0, 0.9), default=0.15, show_default=True,
                 help="Training pictures that choose alpha and draw the curves, where DATA has no validation split."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of every random choice."),
    click.option("--max-bad", type=SHARE, default=0.01, show_default=True,
                 help="Share of unreadable pictures above which nothing is made."),
    click.option("--mute", multiple=True, default=(), metavar="CODE",
                 help="Code of a finding not to be told; may be repeated."),
    click.option("--strict", is_flag=True,
                 help="Stop at the first unreadable picture; exit code 3 where the fit did not converge."),
    AS_JSON,
]
# fmt: on


def with_options(command: Any) -> Any:
    """All of the above, in that order."""
    for option in reversed([*WHERE, *PICTURES, *OBJECTIVE, *SOLVING, *JUDGING]):
        command = option(command)
    return command


@click.command(short_help="Make a classifier of a folder of pictures.")
@click.argument("data", type=Place())
@with_options
def train(
    data: str,
    out: str | None,
    force: bool,
    cache: str | None,
    cluster: str | None,
    as_json: bool,
    class_weight: str,
    **recipe: Any,
) -> None:
    """Make a classifier of the pictures in DATA: a folder with one sub-folder per class (also below train/, valid/,
    test/), or a folder of IDX files.

    Writes model.safetensors, report.html, run.json and skipped.csv into the folder --out, all of them or none, and
    judged.jsonl, which counts how often the test pictures have judged; where labels look wrong, labels.csv as well,
    a table to mend and to train on.
    Ctrl-C during the fit keeps the best classifier so far.
    """
    from ..experiment import train as run_training
    from .progress import Bars
    from .words import outcome_lines

    recipe["class_weight"] = None if class_weight == "none" else class_weight
    command = shlex.join(["linearhead", *sys.argv[1:]])
    where: dict[str, Any] = {"out": out, "force": force, "cache": cache, "cluster": cluster}
    outcome = run_training(data, **where, progress=Bars(), command=command, **recipe)
    put_result(as_json, outcome.to_json, outcome_lines(outcome))
    if outcome.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)
    if recipe["strict"] and not outcome.run.fit.converged:
        raise click.exceptions.Exit(NOT_CONVERGED)
