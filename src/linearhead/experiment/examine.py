"""What the verdict rests on, measured between fit and judging: calibration, learning curve, doubted labels, cues.

`examine` sees trained pictures only, and puts what it learned into the model and into the record; `judged` then says
what that is worth on the test pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from ..features.regions import contributions
from ..losses import LOSSES
from ..records import Evaluation, Run, Status
from ..store import Model
from . import gallery, probes, trusting
from .curve import extended
from .fitting import Fit
from .judge import BLOCK, Answers, answer_scores
from .preparing import Prepared
from .progress import Progress

SUSPECTS, UNSURE, EXPLAINED = 24, 24, 60  # pictures shown of each kind
COPIED = 0.01  # of the trained pictures are copies of others, at least, for folds to be made around them
DEAR = 2e11  # multiplications from which leaving every row out costs more than the folds' fits
OUT_OF_FOLD = "classifiers fitted to the other folds (out-of-fold)"
LEFT_OUT = "classifiers fitted to all others ({} leave-one-out)"
HOW = {"squared": "exact"}  # where one step of Newton's method goes all the way
GROUPS, COPIES = 8, 3  # groups of copies shown, and pictures of each


@dataclass
class Doubted:
    """All trained rows whose label is doubted, the likeliest mistake first, and what unseen scores say of them."""

    rows: np.ndarray
    answers: Answers


def examine(prepared: Prepared, fitted: Fit, model: Model, run: Run) -> Doubted | None:
    """Everything that trained pictures can tell about the classifier."""
    from .outside import outside, stopped_early  # SciPy: a wrong path is told without waiting for it

    X, y, n, plan = prepared.extracted.X, prepared.y, prepared.n_trained, prepared.plan
    groups, single = together(prepared)
    if prepared.preprocessing is not None:
        run.probes |= probes.cues(
            prepared.dataset, prepared.extracted.rows[:n], prepared.preprocessing, plan.seed, groups
        )
    # without an optimum, where the model stands is not where the fits to other rows do
    skipped = fitted.hurried or fitted.status is Status.UNBOUNDED
    seen = None if skipped else outside(X[:n], y[:n], plan, fitted.alpha, plan.seed, groups)
    if seen is None:
        return None
    if fitted.held is not None and len(fitted.held) >= trusting.LEAST_HELD:
        alike = None if groups is None else groups[prepared.n_train :]
        extended(seen.curve, prepared.n_train, fitted.held.argmax(axis=1) == y[prepared.n_train : n], alike)
    run.learning_curve = seen.curve

    def early(times: int) -> np.ndarray | None:
        return stopped_early(X[:n], y[:n], plan, fitted.alpha, plan.seed, groups, times)

    unseen = trusting.unseen(seen, fitted, y[:n], prepared.n_train, early)
    kinds, apart = (X[:n], groups) if single is None else (X[single], None)
    run.trust = trusting.calibrate(model, unseen, kinds, plan.seed, apart)
    told = np.flatnonzero(seen.unseen)  # all but a class's only row, whose label no other classifier can know
    folded, labels = trusting.of_rows(seen.scores, seen.unseen), y[told]
    run.probes["labels"] = trusting.noise(model, folded, labels, None if groups is None else groups[told])
    scores = left_out(fitted, X[:n], y[:n]) if groups is None else None
    scores = None if scores is None else trusting.of_rows(scores, seen.unseen)
    if scores is not None and surely_worse(scores, folded, labels):
        scores = None
    run.doubted_by = OUT_OF_FOLD if scores is None else LEFT_OUT.format(HOW.get(model.loss, "one-step"))
    scores = folded if scores is None else scores
    worst, names = trusting.suspects(model, scores, labels), prepared.dataset.names
    doubted = told[worst]
    run.doubted = [names[prepared.extracted.rows[i]] for i in doubted[:SUSPECTS]]
    return Doubted(doubted, answer_scores(model, scores[worst], labels[worst]))


def left_out(fitted: Fit, X: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Scores (n, k) of the trained rows, each by the model fitted without it; None where that takes other fits, or
    longer than these. Groups and copies are not for it: it leaves out one row alone."""
    n, d = X.shape
    if n * d * min(n, d) > DEAR or not getattr(fitted.best, "converged_", False):  # not there: cut short
        return None
    try:
        return fitted.best.leave_one_out(X, y)
    except (UsageError, DataError):  # other penalties and losses; weights that another hand has changed
        return None


def surely_worse(scores: np.ndarray, others: np.ndarray, y: np.ndarray) -> bool:
    """Whether scores (n, k) of the rows have fewer right than others of them, by two standard errors of the paired
    differences: one step from a fit that has learned its rows by heart may end anywhere."""
    less = (others.argmax(axis=1) == y).astype(np.float64) - (scores.argmax(axis=1) == y)
    return bool(less.mean() > 2 * less.std() / np.sqrt(len(y)))


def together(prepared: Prepared) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What must not lie on both sides of a cut of the trained rows, (n,): the data's groups, else copies of one another
    where they are many; and then the rows without those copies. A copy in another fold is no unseen picture: scores of
    such would call the classifier surer than it may be, and every new picture strange."""
    n = prepared.n_trained
    if (groups := prepared.groups) is not None:
        return groups[:n], None
    copies, y = prepared.copies.group[:n], prepared.y[:n]
    kinds, single = np.unique(copies, return_index=True)
    if n - len(kinds) < COPIED * n or np.bincount(y[single], minlength=int(y.max()) + 1).min() < 2:
        return None, None
    return copies, np.sort(single)


def judged(prepared: Prepared, model: Model, run: Run, answers: Answers) -> None:
    """What the trained pictures and the answers to the test pictures say of it."""
    X, y, n, plan = prepared.extracted.X, prepared.y, prepared.n_trained, prepared.plan
    if model.loss == "cross_entropy" and plan.class_weight is None:
        run.probes["intercept"] = probes.bias(mean_probabilities(model, X[:n]), y[:n])
    groups = prepared.groups
    if run.trust is not None:
        run.probes |= trusting.measure(run.trust, model, answers, X[n:], y[n:], None if groups is None else groups[n:])
    run.probes["told_apart"] = probes.told_apart(X, n, plan.seed, groups)
    if prepared.preprocessing is None and groups is None:
        run.probes["column"] = probes.column(X[:n], y[:n], plan.seed)


def mean_probabilities(model: Model, X: np.ndarray) -> np.ndarray:
    """(k,) over the rows of X (n, d), as the fit means them, before any calibration."""
    p: Any = LOSSES[model.loss]().probabilities
    total = np.zeros(len(model.classes))
    for start in range(0, len(X), BLOCK):
        total += p(model.scores(X[start : start + BLOCK])).sum(axis=0, dtype=np.float64)
    return total / len(X)


def audit(evaluation: Evaluation, name: str, run: Run) -> None:
    """Which pictures trained, chose and judged the numbers of this set."""
    roles = run.data.roles
    evaluation.audit = {
        "trained": roles["trained"],
        "chose": roles["chose"],
        "judged": roles["judged"] if name == "test" else "the trained pictures themselves: these numbers flatter",
    }


def illustrate(
    run: Run,
    prepared: Prepared,
    model: Model,
    answers: Answers,
    doubted: Doubted | None,
    progress: Progress,
) -> None:
    """The pictures worth looking at, and the weights as pictures."""
    dataset, rows, n = prepared.dataset, prepared.extracted.rows, prepared.n_trained
    X, y, looks = prepared.extracted.X, prepared.y, prepared.preprocessing
    chosen, run.most_wrong, run.cells = gallery.choose(answers, y[n:])
    unsure = gallery.least_sure(answers, UNSURE)
    place = {row: i for i, row in enumerate(dict.fromkeys([*chosen, *unsure]))}
    chosen, run.unsure = list(place), [place[row] for row in unsure]
    suspects = [] if doubted is None else doubted.rows[:SUSPECTS].tolist()
    with progress.bar(len(chosen) + len(suspects), "pictures for the report") as done:
        for i in chosen:
            run.pictures.append(gallery.show(dataset, int(rows[n + i]), i, y[n:], answers, looks))
            done(1)
        for i, row in enumerate(suspects):
            assert doubted is not None
            run.suspects.append(gallery.show(dataset, int(rows[row]), i, y[suspects], doubted.answers, looks))
            done(1)
    if looks is None:
        return
    if run.duplicates is not None:
        place = {dataset.names[row]: int(row) for row in rows}
        run.duplicates.thumbnails = [
            [gallery.thumbnail(dataset.read(place[name]), looks) for name in group[:COPIES]]
            for group in run.duplicates.examples[:GROUPS]
        ]
    explain(run, model, X[n:], chosen, X[:n].mean(axis=0, dtype=np.float64))
    run.weights = gallery.weights(model, looks.shape, X[:n])
    run.filters = gallery.filters(model, looks.shape, X[:n])


def explain(run: Run, model: Model, X: np.ndarray, chosen: list[int], mean: np.ndarray) -> None:
    """Regions of the most interesting pictures that spoke for the class given and against its rival, as overlays.
    `chosen[i]` is the row in X of run.pictures[i]."""
    if model.extractor is None:
        return
    wanted = list(dict.fromkeys([*run.most_wrong, *run.unsure, *range(len(run.pictures))]))[:EXPLAINED]
    for place in wanted:
        picture = run.pictures[place]
        rival = picture.label if picture.label != picture.predicted else picture.runner_up
        if rival is None:
            continue
        weights = model.coef[picture.predicted].astype(np.float64) - model.coef[rival]
        x = X[chosen[place]]
        canvas = contributions(model.extractor, weights, x, mean)
        if canvas is None:
            return
        picture.regions = gallery.overlay(canvas)
        # in float64, as the regions are: the float32 scores of thousands of pixels differ from both by 3e-5
        picture.lead = float(x @ weights + model.intercept[picture.predicted] - model.intercept[rival])
