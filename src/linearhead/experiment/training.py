"""train: pictures → features → fit → verdict → run folder. The order of the work, each step in its own room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, diagnose
from ..data import Data
from ..data.cache import AUTO, open_store
from ..errors import UsageError
from ..files import new_folder, sha256
from ..records import GIVEN, DataSummary, Duplicates, Evaluation, Finding, Run, to_json
from ..store import Model
from . import copies as copying
from . import examine as examining
from . import given, ledger, mending, roles, run_folder
from .clustered import spreading
from .environment import versions
from .fitting import KEPT, Fit, Rows, fit
from .judge import Answers, answer, evaluation, nearest_baseline
from .names import lasting, readable, unnamed_run
from .preparing import Clock, Prepared, prepare
from .progress import Progress
from .recipe import Recipe


@dataclass(repr=False)
class Outcome:
    """Where a run's files are (absolute), and its record. `interrupted`: Ctrl-C ended fit or judging early."""

    folder: Path
    run: Run
    interrupted: bool = False

    @property
    def model(self) -> Path:
        return self.folder / run_folder.MODEL

    @property
    def report(self) -> Path:
        return self.folder / run_folder.REPORT

    def __repr__(self) -> str:
        name = "test" if "test" in self.run.evaluations else "train"
        judged = self.run.evaluations[name]
        what = "rows" if self.run.of_rows else "pictures"
        return f"Outcome({str(self.folder)!r}, accuracy {judged.accuracy:.3f} of {judged.n} {name} {what})"

    def _repr_html_(self) -> str:
        from ..displays import EvaluationDisplay

        test = self.run.evaluations.get("test") or self.run.evaluations["train"]
        sure = None if self.run.trust is None else self.run.trust.judged
        return EvaluationDisplay(test, sure, str(self.report), self.run.findings)._repr_html_()

    def to_json(self) -> dict[str, Any]:
        """The object of `train --json`."""
        run = self.run
        parts = {
            name: headline(run.evaluations[name]) if name in run.evaluations else None for name in ("train", "test")
        }
        return {
            "model": str(self.model),
            "report": str(self.report),
            "classes": run.data.classes,
            "found": run.data.found,
            "used": run.data.used,
            "skipped": len(run.data.skipped),
            "features": run.features["name"],
            "leaderboard": to_json(run.leaderboard),
            "loss": run.fit.loss,
            "penalty": run.fit.penalty,
            "solver": run.fit.solver,
            "alpha": run.fit.alpha,
            "learning_rate": run.fit.learning_rate,
            "converged": run.fit.converged,
            "status": run.fit.status,
            "interrupted": self.interrupted,
            "seconds": run.seconds["total"],
            **parts,
            "duplicates": to_json(run.duplicates),
            "findings": to_json(run.findings),
            "evaluations": to_json(run.evaluations),
            "certificate": to_json(run.fit.certificate),
            "path": to_json(run.fit.path),
            "trace": to_json(run.fit.trace),
            "learning_curve": to_json(run.learning_curve),
            "trust": to_json(run.trust),
            "probes": to_json(run.probes),
            "doubted": run.doubted,
            "doubted_by": run.doubted_by,
            "counts": run.data.counts,
            "roles": run.data.roles,
            "stages": run.seconds,
        }


def train(
    data: Data,
    *,
    out: str | Path | None = None,
    force: bool = False,
    cache: str | Path | None = AUTO,
    cluster: str | None = None,
    progress: Progress | None = None,
    command: str = "linearhead.train",
    **recipe: Any,
) -> Outcome:
    """Makes a classifier of the pictures in `data` and writes model, record and report to the folder `out`.

    `data`: a path, or arrays in memory: (X, y) or {"x_train": X, "y_train": y, "x_test": …}, X pictures (n, h, w[, c])
    uint8, a list of them, of files or of Pillow images, or features (n, d).

    `recipe`: see `Recipe`, every option of the command line with underscores. Ctrl-C during the fit keeps the best
    weights so far, and after it leaves out what takes long (`Outcome.interrupted`). UsageError, DataError, FileError:
    no run is written. Pixels and features are kept for the runs to come in the folder `cache`; None: nowhere, "auto":
    in the user's cache folder, within bounds (data/cache.py). `cluster`: the address of a Dask scheduler, whose workers
    then decode, extract and fit; they have to see data and cache under the same paths. The weights are those of one
    machine within the tolerance, and have the same bits for any number of workers.

    >>> outcome = train("digits", out="first", features="pixels", alpha=0.1)  # a folder of pictures, one per class
    >>> outcome.run.data.found, outcome.run.evaluations["test"].accuracy > 0.8
    (300, True)
    >>> [path.name for path in (outcome.model, outcome.report)]
    ['model.safetensors', 'report.html']
    """
    plan, progress, clock = Recipe(**recipe), progress or Progress(), Clock()
    plan.check()
    check_apart(data, out)
    with new_folder(out or unnamed_run(data), force, marker=run_folder.RECORD) as folder:
        store = open_store(cache, progress.say)
        with spreading(cluster, data, store, progress) as spread:
            prepared = prepare(data, plan, store, progress, clock, spread)
            plan, n = prepared.plan, prepared.n_trained
            if spread is None:
                rows = Rows(prepared.extracted.X[:n], prepared.y[:n], prepared.n_train, drawn=prepared.drawn)
            else:
                rows = spread.rows(prepared.extracted.stored, prepared.y[:n], prepared.n_train, prepared.drawn)
            fitted = fit(rows, plan, progress, None if prepared.groups is None else prepared.groups[:n])
        make = partial(build_model, prepared, fitted)
        model, run, doubted = conclude(make, prepared, fitted, progress, clock, command, folder.target)
        labels = mending.sheet(prepared, run, doubted, folder.target)
        run_folder.write(folder.path, model, run, ledger.kept(folder.target), labels)
    if spread is not None and not fitted.interrupted:
        spread.journal.forget()
    return Outcome(folder.target, run, fitted.hurried)


def check_apart(data: Data, out: str | Path | None) -> None:
    """UsageError where the pictures, or a table of them that was mended by hand, lie in the folder to be replaced."""
    if out is not None and isinstance(data, (str, Path)) and Path(out).resolve() in Path(data).resolve().parents:
        raise UsageError(
            f"{data} lies in {out}, which the new run would replace with all that is in it. Name another --out."
        )


def conclude(
    make: Callable[[], Model],
    prepared: Prepared,
    fitted: Fit,
    progress: Progress,
    clock: Clock,
    command: str,
    place: Path,
) -> tuple[Model, Run, examining.Doubted | None]:
    """The model, its record and the doubted labels; the first Ctrl-C costs no more than what takes long to find out.
    `make` builds the model before anything is judged, anew where judging was interrupted halfway."""
    if fitted.interrupted:
        progress.say("Interrupted: the best classifier so far is kept, judged and written.")
    clock.seconds |= fitted.seconds
    model = make()
    try:
        return model, *judge(prepared, fitted, model, progress, clock, command, place)
    except KeyboardInterrupt:
        if fitted.hurried:
            raise
    fitted.hurried = True
    progress.say("Interrupted: the finished classifier is judged in brief and written.")
    return conclude(make, prepared, fitted, progress, clock, command, place)


def build_model(prepared: Prepared, fitted: Fit) -> Model:
    """The model file's content: weights on raw features, and everything needed to make those from a photo."""
    dataset, plan, best = prepared.dataset, prepared.plan, fitted.best
    facts = {
        "version": __version__,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "source": lasting(dataset.source),
        "fingerprint": roles.fingerprint(dataset),
        "recipe": plan.to_dict(),
        "alpha": float(fitted.alpha),
        "status": fitted.status.value,
        "pictures": {"trained": prepared.n_trained, "judged": len(prepared.y) - prepared.n_trained},
    }
    return Model(
        classes=list(dataset.classes),
        coef=best.coef_,
        intercept=best.intercept_,
        preprocessing=prepared.preprocessing,
        extractor=prepared.extractor,
        loss=plan.loss_name,
        facts=facts,
    )


def judge(
    prepared: Prepared,
    fitted: Fit,
    model: Model,
    progress: Progress,
    clock: Clock,
    command: str,
    place: Path,
) -> tuple[Run, examining.Doubted | None]:
    """The record: numbers on training and test pictures, findings, and the pictures worth looking at; and the doubted
    labels. `place` is where the run will be, among others that the same pictures may have judged."""
    run, answers, doubted = record(prepared, fitted, model, clock, command, place)
    with clock.stage("pictures for the report"):
        examining.illustrate(run, prepared, model, answers, doubted, progress)
    run.seconds = clock.stop()
    return run, doubted


def record(
    prepared: Prepared,
    fitted: Fit,
    model: Model,
    clock: Clock,
    command: str,
    place: Path | None = None,
) -> tuple[Run, Answers, examining.Doubted | None]:
    """The record without pictures, the answers to the test pictures, and the trained ones whose label is doubted.

    Calibrates the model on the way: what it says of the test pictures is what it will say of new ones.
    """
    X, y, n, plan = prepared.extracted.X, prepared.y, prepared.n_trained, prepared.plan
    run = Run(
        version=__version__,
        created=model.facts["created"],
        command=readable(command),
        data=summarise(prepared, fitted),
        features=describe(prepared),
        fit=fitted.summary(plan),
        evaluations={},
        environment=versions(),
        leaderboard=prepared.board,
        model=ledger.identity(model),
        muted=sorted(plan.mute),
    )
    with clock.stage("examine"):
        doubted = examining.examine(prepared, fitted, model, run)
    with clock.stage("judge"):
        alike, apart = (None, None) if (groups := prepared.groups) is None else (groups[:n], groups[n:])
        trained, answers = answer(model, X[:n], y[:n]), answer(model, X[n:], y[n:])
        run.evaluations["train"] = evaluation(model, trained, y[:n], alike)
        if len(y) > n:
            run.evaluations["test"] = evaluation(model, answers, y[n:], apart)
            nearest_baseline(run.evaluations["test"], X, y, n, plan.seed, plan.standardize is not False)
            run.judged_pictures = sha256(b"".join(prepared.keys[n:]))
            run.judged_groups = [] if apart is None else np.unique(apart, return_inverse=True)[1].tolist()
            run.judged_right = "".join("01"[int(hit)] for hit in answers.predicted == y[n:])
        run.duplicates = copied(prepared, model, answers, apart)
        for name, judged in run.evaluations.items():
            examining.audit(judged, name, run)
        examining.judged(prepared, model, run, trained, answers)
        if place is not None and len(y) > n:
            run.probes["reuse"] = ledger.seen(place, run.judged_pictures, run.model)
    run.findings = [*diagnose.verdict(run), *(warned(text) for text in fitted.warned)]
    if run.of_rows:
        given.said(run)
    return run, answers, doubted


def copied(prepared: Prepared, model: Model, answers: Answers, groups: np.ndarray | None) -> Duplicates:
    """What copies there are, and the test numbers without those of trained pictures."""
    y, n, copies = prepared.y, prepared.n_trained, prepared.copies
    trained = np.arange(len(y)) < n
    names = [prepared.dataset.names[row] for row in prepared.extracted.rows]
    found = copying.duplicates(copies, y, names, ~trained, trained)
    copying.without(model, answers, y[n:], groups, copying.leaked(copies, ~trained, trained)[n:], found)
    return found


def warned(text: str) -> Finding:
    """A warning of the estimator, as a finding."""
    title = text.split(". ")[0].rstrip(".")
    return Finding("warned", f"The fit warned: {title}", "warning", text, "See the advice in the warning itself.")


def summarise(prepared: Prepared, fitted: Fit) -> DataSummary:
    """Found, used and skipped, and who had which role."""
    dataset, extracted = prepared.dataset, prepared.extracted
    amounts = roles.counts(dataset, prepared.roles, extracted.rows)
    skipped = [*dataset.skipped, *extracted.skipped]
    return DataSummary(
        source=dataset.source,
        reader=dataset.reader,
        classes=list(dataset.classes),
        found=len(extracted.rows) + len(skipped),
        used=len(extracted.rows),
        skipped=skipped,
        counts=amounts,
        roles=roles.sentences(dataset, prepared.plan, amounts, fitted.alpha_from == KEPT, fitted.folds),
        conversions=dict(extracted.conversions),
        split_given=bool(np.any(dataset.splits == "test")),
    )


def describe(prepared: Prepared) -> dict[str, Any]:
    """What the record says about the features."""
    p, extractor = prepared.preprocessing, prepared.extractor
    if p is None or extractor is None:
        return {"name": GIVEN, "dimension": int(prepared.extracted.stored.shape[1])}
    return {
        "name": prepared.plan.features,
        "dimension": int(prepared.extracted.X.shape[1]),
        "picture": f"{p.width}×{p.height} {'grey' if p.channels == 1 else 'colour'}",
        "preprocessing": p.to_dict(),
        "contract": extractor.contract(),
    }


def headline(judged: Evaluation) -> dict[str, Any]:
    """The figures of one evaluation that fit on a line."""
    return {
        "n": judged.n,
        "accuracy": judged.accuracy,
        "accuracy_interval": judged.accuracy_interval,
        "balanced_accuracy": judged.balanced_accuracy,
        "log_loss": judged.log_loss,
    }
