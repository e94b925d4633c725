"""train: pictures → features → fit → verdict → run folder. The order of the work, each step in its own room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import Data
from ..data.cache import AUTO, open_store
from ..errors import UsageError
from ..files import new_folder
from ..records import Evaluation, Run, to_json
from . import ledger, mending, run_folder
from .clustered import spreading
from .concluding import Conclusion, build_model
from .fitting import Rows, fit
from .names import unnamed_run
from .preparing import Clock, prepare
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
        concluding = Conclusion(prepared, fitted, clock, command, folder.target)
        model, run, doubted = concluding.reached(lambda: build_model(prepared, fitted), progress)
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


def headline(judged: Evaluation) -> dict[str, Any]:
    """The figures of one evaluation that fit on a line."""
    return {
        "n": judged.n,
        "accuracy": judged.accuracy,
        "accuracy_interval": judged.accuracy_interval,
        "balanced_accuracy": judged.balanced_accuracy,
        "log_loss": judged.log_loss,
    }
