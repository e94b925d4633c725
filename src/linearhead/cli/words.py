"""Results as lines of text for a reader; the figures themselves come ready from the experiment."""

from __future__ import annotations

import math
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..charts.words import of_rows
from ..charts.words import spaced as percent

if TYPE_CHECKING:
    from ..course import Report
    from ..experiment import Judged, Outcome, Planned, Prediction, Raced
    from ..records import Duplicates, Evaluation, Finding, Run, Skipped, Trust

COLOURS = {"good": "green", "note": "blue", "warning": "yellow", "problem": "red"}
COLUMN = 48  # characters of a name that others are brought in line with
LISTED = 5  # classes named in `evaluate`'s text, files without a label in that of `predict`
SET = 0.95  # coverage of the sets of labels that the text tells of


def interval(bounds: Sequence[float]) -> str:
    low, high = map(percent, bounds)
    return f"{low.removesuffix(' %')} to {high}"


def accuracy_line(name: str, judged: Evaluation) -> str:
    loss = "" if judged.log_loss is None else f"; log loss {judged.log_loss:.3f}"
    count = judged.independent
    alike = "" if count is None else f" in groups, which count as {max(round(count), 1)}"
    return (
        f"{name} accuracy {percent(judged.accuracy)} (95 % interval {interval(judged.accuracy_interval)}) on "
        f"{judged.n} pictures{alike}{loss}; always the largest class: {percent(judged.majority_accuracy)}"
    )


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """About ten lines: the headline, what was done, the findings, the files, one next step."""
    run, features = outcome.run, outcome.run.features
    if outcome.interrupted:
        what = "the finished classifier, judged in brief" if run.fit.converged else "the best classifier so far"
        yield click.style(f"Interrupted: this is {what}.", fg="yellow")
    yield from (of_rows(line) if run.of_rows else line for line in _run_lines(run))
    yield from finding_lines(run.findings)
    yield f"Took {run.seconds['total']:.1f} s"
    yield f"Model   {outcome.model}"
    yield f"Report  {outcome.report}"
    what = "PICTURE_OR_FOLDER" if "picture" in features else "ROWS.npy"
    yield f"Next    linearhead predict {shlex.quote(_near(outcome.folder))} {what}"


def _run_lines(run: Run) -> Iterator[str]:
    """The headline, and what was done."""
    from ..images import BLANK

    data, fit, features, test = run.data, run.fit, run.features, run.evaluations.get("test")
    if test is not None:
        yield click.style(accuracy_line("Test", test), bold=True)
    yield accuracy_line("Training", run.evaluations["train"])
    yield f"Pictures: {data.found} found = {data.used} used + {len(data.skipped)} skipped; {len(data.classes)} classes"
    if blank := data.conversions.get(BLANK):
        yield f"Blank:    {blank} of the pictures used {'are' if blank > 1 else 'is'} of one colour all over"
    seen = f" from {features['picture']} pictures" if "picture" in features else " a row"
    yield f"Features: {features['name']}, {features['dimension']} numbers{seen}"
    rate = "" if fit.learning_rate is None else f" at learning rate {fit.learning_rate:.3g}"
    chosen = f"{fit.loss_label} + {fit.penalty}, alpha {fit.alpha:.3g} ({fit.alpha_from})"
    yield f"Fit: {chosen}, {fit.solver}{rate}: {fit.status}"
    if run.duplicates is not None:
        yield copies_line(run.duplicates)
    if run.trust is not None and run.trust.judged is not None:
        yield trust_line(run.trust)


def copies_line(found: Duplicates) -> str:
    """How many copies there are, and the accuracy without those that were trained on."""
    line = f"Copies: {found.exact} equal and {found.near} nearly equal to another of {found.compared} pictures"
    if found.conflicting:
        line += f", {found.conflicting} of them under several labels"
    one = found.judged == 1
    line += f"; {found.judged} judged picture{' is a copy of a trained one' if one else 's are copies of trained ones'}"
    if found.without is not None:
        rest = f"{percent(found.without.accuracy)} ({interval(found.without.accuracy_interval)})"
        line += f", without {'it' if one else 'them'} {rest}"
    return line


def judged_lines(judged: Judged) -> Iterator[str]:
    """About ten lines: the headline, on what, the findings, and the classes with the lowest recall."""
    numbers = judged.evaluation
    yield from (of_rows(line) if judged.of_rows else line for line in _numbers_lines(judged))
    yield from finding_lines(judged.findings)
    known = sorted((c for c in numbers.per_class if c.recall is not None), key=lambda c: c.recall or 0.0)
    worst = [f"{c.label} {percent(c.recall or 0.0)} of {c.n}" for c in known[:LISTED]]
    others = len(known) - LISTED
    more = f", … {others} {'class has' if others == 1 else 'classes have'} more (--json)" if others > 0 else ""
    yield f"Lowest recall: {listed(worst)}{more}"


def listed(words: Sequence[str]) -> str:
    """Names of classes one after the other, kept apart also where one of them has a comma."""
    return ("; " if any("," in word for word in words) else ", ").join(words)


def _numbers_lines(judged: Judged) -> Iterator[str]:
    """The headline, and on what."""
    yield click.style(accuracy_line("Accuracy:", judged.evaluation).replace(": accuracy", ""), bold=True)
    yield f"Judged on {judged.sentence}"
    used = judged.found - len(judged.skipped)
    yield f"Pictures: {judged.found} found = {used} used + {len(judged.skipped)} skipped{_reasons(judged.skipped)}"
    if judged.duplicates is not None:
        yield f"{copies_line(judged.duplicates)} (compared with {judged.compared})"
    if judged.trust is not None and judged.trust.judged is not None:
        yield trust_line(judged.trust)


def _reasons(skipped: Sequence[Skipped]) -> str:
    """The commonest reasons, counted."""
    common = Counter(one.reason for one in skipped).most_common(2)
    return f" ({'; '.join(f'{n} × {reason}' for reason, n in common)})" if common else ""


def trust_line(trust: Trust) -> str:
    """Whether confidence means what it says, how large a set of labels has to be, and what is unlike anything seen."""
    assert trust.judged is not None
    line = f"Trust: stated confidence and share right differ by {percent(trust.judged.ece)} on average"
    line += "" if trust.chance is None else f" (chance alone: up to {percent(trust.chance)})"
    sets = next((row for row in trust.coverage if row["asked"] == SET), None)
    if sets is not None:
        held = f"{percent(sets['covered'])} ({100 * SET:.0f} % asked)"
        line += f"; sets of {sets['labels']:.1f} labels hold the true one for {held}"
    return line if trust.unlike is None else f"{line}; {percent(trust.unlike)} are unlike the training pictures"


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """A line each, the gravest first; what to run next for the gravest."""
    ranked = sorted(findings, key=lambda f: list(COLOURS)[::-1].index(f.severity) if f.severity in COLOURS else 9)
    for i, finding in enumerate(ranked):
        yield click.style(f"{finding.severity}: ", fg=COLOURS.get(finding.severity)) + finding.title
        if i == 0 and finding.severity in ("problem", "warning") and finding.command:
            yield f"  try: {finding.command}"


def prediction_lines(predictions: Sequence[Prediction]) -> Iterator[str]:
    """One line per readable picture, in columns."""
    from ..experiment.names import readable
    from ..trust.novelty import RARE

    good = [p for p in predictions if p.label is not None]
    paths = [readable(p.path) for p in good]
    width = min(max(map(len, paths), default=0), COLUMN)
    names = min(max((len(p.label or "") for p in good), default=0), COLUMN)
    for p, path in zip(good, paths, strict=True):
        sure = "" if p.confidence is None else f"  {percent(p.confidence):>7}"
        second = "" if p.runner_up_confidence is None else f" {percent(p.runner_up_confidence)}"
        line = f"{path:<{width}}  {p.label:<{names}}{sure}  (then {p.runner_up}{second})"
        if p.labels is not None:
            line += f"  one of: {listed(p.labels)}" if p.labels else "  one of: none fits, ask a person"
        yield line + ("  unlike the training pictures" if p.unlike is not None and p.unlike < RARE else "")


def unlabelled_lines(predictions: Sequence[Prediction], named: Sequence[str]) -> Iterator[str]:
    """A line for every path of `named` that got no label; of what else lies in folders the first, and a count."""
    from ..experiment.names import readable

    bad = [p for p in predictions if p.error is not None]
    asked = [p for p in bad if p.path in named]
    found = [p for p in bad if p.path not in named]
    for p in asked + found[:LISTED]:
        yield f"{readable(p.path)}: {p.error}"
    if len(found) > LISTED:
        yield f"and {len(found) - LISTED} more without a label (--json names each)"


def compared_lines(found: dict[str, Any]) -> Iterator[str]:
    """A line per run, then a line per pair."""
    from ..experiment.names import readable

    width = max(len(readable(run["run"])) for run in found["runs"])
    what = "row" if all(run["features"] == "given" for run in found["runs"]) else "picture"
    for run in found["runs"]:
        judged = "nothing judged it"
        if run["accuracy"] is not None:
            judged = f"{percent(run['accuracy'])} ({interval(run['accuracy_interval'])}) of {run['n']}"
        loss = "" if run["log_loss"] is None else f", log loss {run['log_loss']:.3f}"
        yield f"{readable(run['run']):<{width}}  {judged}{loss}; {run['features']}, {run['loss']}"
    for pair in found["pairs"]:
        names = f"{readable(pair['first'])} against {readable(pair['second'])}: "
        if pair["p"] is None:
            yield names + f"no {what} judged both, so no paired test"
            continue
        judged = max(run["n"] or 0 for run in found["runs"] if run["run"] in (pair["first"], pair["second"]))
        some = "" if pair["n"] == judged else f" on the {pair['n']} {what}s that judged both"
        word = "they differ" if pair["p_adjusted"] < 0.05 else "no difference is shown"
        among = sum(other["p"] is not None for other in found["pairs"])
        adjusted = f", {pair['p_adjusted']:.3g} among {among} pairs (Holm)" if among > 1 else ""
        yield (
            f"{names}{word}{some} (only the first right on {pair['only_first']}, only the second on "
            f"{pair['only_second']}; McNemar p = {pair['p']:.3g}{adjusted})"
        )
    counted = max(found["judged_by"], key=lambda seen: seen["models"] or 0)
    if (counted["models"] or 0) > 2:
        yield (
            f"These test {what}s have judged {counted['models']} models: the best of them looks better than it is by "
            f"up to {100 * counted['flatters_by']:.1f} points. Choose by validation accuracy."
        )


def race_lines(raced: Raced) -> Iterator[str]:
    """The problem, a line per runner, the page."""
    race = raced.race
    yield (
        f"{race.n} {'rows' if raced.of_rows else 'pictures'}, {race.d} numbers each ({raced.features}), "
        f"{race.k} classes; {race.loss} + {race.alpha:g}/2 |W|^2; F* = {race.optimum:.8g}"
    )
    width = max(len(finish.name) for finish in race.finishers)
    for finish in race.finishers:
        trace, judged = finish.trace, finish.test_accuracy
        yield (
            f"{finish.name:<{width}}  (F - F*)/F* = {max(finish.gap, 0):7.1e} after {trace.passes[-1]:5.0f} passes, "
            f"{trace.seconds[-1]:6.2f} s{'' if judged is None else f'; test accuracy {percent(judged)}'}; "
            f"{finish.outcome}"
        )
    yield f"Page    {raced.page}"


def plan_lines(found: Planned) -> Iterator[str]:
    """What it is a plan of, what it costs, what it needs."""
    p = found.plan
    yield (
        f"{p.rows} rows × {p.columns} numbers of {found.number_bytes} bytes, {p.classes} classes: "
        f"{amount(p.stored_bytes, 'B')}; {p.workers} worker{'s' * (p.workers > 1)} with {p.cores} cores each, "
        f"{found.speed:.2g} times as fast as those measured"
    )
    if found.extract_seconds is not None:
        yield (
            f"Pictures: {found.pictures}, {amount(found.picture_bytes or 0, 'B')}; decoding and {found.features} "
            f"{duration(found.extract_seconds)}"
        )
    few, many = p.passes_range
    low, high = p.seconds_range
    yield f"Passes {p.passes} ({few} to {many}) of {duration(p.seconds_per_pass)}, limited by {p.limited_by}"
    yield click.style(f"Fit {duration(p.seconds)} ({duration(low)} to {duration(high)})", bold=True)
    where = "once, then from memory" if p.resident else "in every pass: the rows do not fit the workers' memory"
    yield f"Read {amount(p.read_bytes, 'B')} ({where})"
    yield f"Carried {amount(p.carried_bytes, 'B')}; computed {amount(p.flops, 'flop')}"
    yield f"Memory {amount(p.worker_bytes, 'B')} a worker, {amount(p.client_bytes, 'B')} where the command runs"
    if p.money is not None:
        yield f"Money {p.money:.2f}"


def amount(number: float, unit: str) -> str:
    """Three digits and a prefix, as in 1.23 GB."""
    steps = 0 if number < 1 else min(int(math.log10(number)) // 3, 6)
    return f"{number / 1000**steps:.3g} {' kMGTPE'[steps].strip()}{unit}"


def duration(seconds: float) -> str:
    """Three digits, as of a forecast, where `charts.words.duration` tells to the second what was measured."""
    for unit, size, least in (("days", 86400, 2), ("h", 3600, 2), ("min", 60, 2), ("s", 1, 1)):
        if seconds >= least * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{1000 * seconds:.3g} ms"


def graded_lines(report: Report) -> Iterator[str]:
    """A line per task, and what was found below it."""
    for task in report.tasks:
        begun = all(m.code != "unfinished" for m in task.mistakes)
        mark = ("right", "green") if task.right else ("wrong", "red") if begun else ("open ", "yellow")
        mark = click.style(mark[0], fg=mark[1])
        yield f"{mark}  {task.task}"
        for m in task.mistakes:
            yield f"       {m.title}. {m.seen}"
            yield f"       {m.remedy}"
    yield f"{sum(task.right for task in report.tasks)} of {len(report.tasks)} right"
    yield f"Page   {report.page}"


def doctor_lines(found: dict[str, Any]) -> Iterator[str]:
    """Versions first, then what is missing and how to get it."""
    yield f"linearhead {found['linearhead']}, Python {found['python']}, {found['system']}"
    yield f"Processors for this process: {found['processors']}"
    for pool in found["blas"]:
        yield f"BLAS: {pool['library']} {pool['version'] or ''}, {pool['threads']} threads"
    yield "Packages: " + ", ".join(f"{name} {version or 'missing'}" for name, version in found["core"].items())
    lost = [name for name, there in found["formats"].items() if not there]
    yield (
        "Formats: "
        + ", ".join(name for name, there in found["formats"].items() if there)
        + (f"; not in this Pillow: {', '.join(lost)}" if lost else "")
    )
    for name, extra in found["extras"].items():
        state = "installed" if extra["installed"] else f"lacks {', '.join(extra['missing'])}; {extra['install']}"
        yield f"Extra {name}: {state}"
    if (kept := found["cache"]) is not None:
        if kept["error"] is None:
            size, most = kept["bytes"] / 2**20, kept["most"] / 2**30
            yield f"Cache: {kept['folder']}, {size:.0f} MB of at most {most:.0f} GB; it may be deleted"
        else:
            yield f"Cache: none. {kept['error']}"
    yield from (click.style("problem: ", fg="red") + problem for problem in found["problems"])
    yield "Everything needed is here." if not found["problems"] else "Mend the problems above first."


def _near(path: os.PathLike[str]) -> str:
    """Relative to the current folder where the path is inside it, as people would type it."""
    relative = os.path.relpath(path)
    return os.fspath(path) if relative.startswith("..") else relative
