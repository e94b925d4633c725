"""From a finished fit to its run: the model, what it is worth, and the record of it all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, diagnose
from ..files import sha256
from ..records import GIVEN, KEY, DataSummary, Duplicates, Finding, Run
from ..store import Model
from . import copies as copying
from . import examine as examining
from . import given, ledger, roles
from .environment import versions
from .fitting import KEPT, Fit
from .judge import Answers, answer, evaluation, nearest_baseline
from .names import lasting, readable
from .preparing import Clock, Prepared
from .progress import Progress


@dataclass
class Conclusion:
    """What a fit is concluded from. `place` is where the run will be, among others that the same pictures may have
    judged; None: nowhere."""

    prepared: Prepared
    fitted: Fit
    clock: Clock
    command: str
    place: Path | None = None

    def reached(self, make: Callable[[], Model], progress: Progress) -> tuple[Model, Run, examining.Doubted | None]:
        """The model, its record and the doubted labels; the first Ctrl-C costs no more than what takes long to find
        out. `make` builds the model before anything is judged, anew where judging was interrupted halfway."""
        if self.fitted.interrupted:
            progress.say("Interrupted: the best classifier so far is kept, judged and written.")
        self.clock.seconds |= self.fitted.seconds
        model = make()
        try:
            return model, *self.illustrated(model, progress)
        except KeyboardInterrupt:
            if self.fitted.hurried:
                raise
        self.fitted.hurried = True
        progress.say("Interrupted: the finished classifier is judged in brief and written.")
        return self.reached(make, progress)

    def illustrated(self, model: Model, progress: Progress) -> tuple[Run, examining.Doubted | None]:
        """The record with the pictures worth looking at, and the doubted labels."""
        run, answers, doubted = self.record(model)
        with self.clock.stage("pictures for the report"):
            examining.illustrate(run, self.prepared, model, answers, doubted, progress)
        run.seconds = self.clock.stop()
        return run, doubted

    def record(self, model: Model) -> tuple[Run, Answers, examining.Doubted | None]:
        """The record without pictures: numbers on training and test pictures, and findings; the answers to the test
        pictures, and the trained ones whose label is doubted.

        Calibrates the model on the way: what it says of the test pictures is what it will say of new ones.
        """
        prepared, fitted = self.prepared, self.fitted
        X, y, n, plan = prepared.extracted.X, prepared.y, prepared.n_trained, prepared.plan
        run = Run(
            version=__version__,
            created=model.facts["created"],
            command=readable(self.command),
            data=summarise(prepared, fitted),
            features=describe(prepared),
            fit=fitted.summary(plan),
            evaluations={},
            environment=versions(),
            leaderboard=prepared.board,
            model=ledger.identity(model),
            muted=sorted(plan.mute),
        )
        with self.clock.stage("examine"):
            doubted = examining.examine(prepared, fitted, model, run)
        with self.clock.stage("judge"):
            alike, apart = (None, None) if (groups := prepared.groups) is None else (groups[:n], groups[n:])
            trained, answers = answer(model, X[:n], y[:n], kept=False), answer(model, X[n:], y[n:])
            run.evaluations["train"] = evaluation(model, trained, y[:n], alike)
            if len(y) > n:
                run.evaluations["test"] = evaluation(model, answers, y[n:], apart)
                nearest_baseline(run.evaluations["test"], X, y, n, plan.seed, plan.standardize is not False)
                run.judged_pictures = sha256(b"".join(prepared.keys[n:]))
                run.judged_keys = "".join(key.hex()[:KEY] for key in prepared.keys[n:])
                run.judged_groups = [] if apart is None else np.unique(apart, return_inverse=True)[1].tolist()
                run.judged_right = "".join("01"[int(hit)] for hit in answers.predicted == y[n:])
            run.duplicates = copied(prepared, model, answers, apart)
            for name, judged in run.evaluations.items():
                examining.audit(judged, name, run)
            examining.judged(prepared, model, run, answers)
            if self.place is not None and len(y) > n:
                run.probes["reuse"] = ledger.seen(self.place, run.judged_pictures, run.model)
        run.findings = [*diagnose.verdict(run), *(warned(text) for text in fitted.warned)]
        if run.of_rows:
            given.said(run)
        return run, answers, doubted


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


def copied(prepared: Prepared, model: Model, answers: Answers, groups: np.ndarray | None) -> Duplicates:
    """What copies there are, and the test numbers without those of trained pictures."""
    y, n, copies = prepared.y, prepared.n_trained, prepared.copies
    trained = np.arange(len(y)) < n
    names = [prepared.dataset.names[row] for row in prepared.extracted.rows]
    found = copying.duplicates(copies, y, names, prepared.dataset.classes, ~trained, trained)
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
