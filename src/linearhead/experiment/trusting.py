"""From scores of unseen pictures to trust: calibrate the model, then measure on the test pictures what that is worth.

Calibrated on scores of pictures that the scoring classifier had not seen (`unseen`), by a classifier as sure of itself
as the model is; judged on the test pictures, which had no say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..losses import LOSSES
from ..metrics import independent
from ..records import Trust
from ..store import Model
from ..trust import Conformal, Novelty, answered, fit_temperature, reliability
from ..trust.calibration import expected_ece
from ..trust.conformal import of_labels
from ..trust.noise import label_noise
from ..trust.novelty import RARE
from .fitting import Fit
from .judge import Answers, by_blocks

if TYPE_CHECKING:
    from .outside import Outside

ASKED = (0.8, 0.9, 0.95, 0.99)
LEAST_HELD = 200  # validation pictures that can calibrate by themselves
NEAR = 0.01  # of F
UNUSUAL = 0.05  # of the trained pictures are as strange, at most: as many of the judged ones should be


@dataclass(frozen=True)
class Unseen:
    """Scores (n, k) of pictures by classifiers that had not seen them, their labels (n,), and in words which."""

    scores: np.ndarray
    y: np.ndarray
    source: str


def unseen(
    seen: Outside, fitted: Fit, y: np.ndarray, n_train: int, early: Callable[[int], np.ndarray | None]
) -> Unseen:
    """What calibrates: the trained rows, y (n,), by the fits of the folds, or the rows from n_train on by the fit that
    drew the curves, where that one saw more rows than a fold's or was no more at its optimum than the model is. Scores
    of fits on far fewer rows are surer of themselves than the model: on 60 000 clothes their T left an ECE of 7.6 %.
    The fits of the folds are optima; a model that is far from its own is calibrated by early(times) → scores of fits
    that were stopped as it was, after so many rounds."""
    held, near = fitted.held, _near_optimum(fitted.best)
    if held is not None and len(held) >= LEAST_HELD and (n_train > seen.fitted or not near):
        words = f"{len(held)} validation pictures, scored by the classifier of the {n_train} train pictures"
        return Unseen(held, y[n_train:], words)
    rows = seen.unseen
    words = f"{int(rows.sum())} trained pictures, each scored by a classifier that had not seen it"
    if not near and (scores := early(1 if held is None else 2)) is not None:
        return Unseen(of_rows(scores, rows), y[rows], f"{words}, stopped as early as the model was")
    return Unseen(of_rows(seen.scores, rows), y[rows], words)


def of_rows(table: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The rows of a table (n, k) that are wanted (n,); where all are, itself: of thousands of classes it is large."""
    return table if wanted.all() else table[wanted]


def _near_optimum(model: Any) -> bool:
    """Whether F is proven to be within NEAR of its least value: the scores are then those of the optimum."""
    proof = getattr(model, "certificate_", None)
    return proof is not None and (proof.certified or (proof.gap is not None and proof.gap <= NEAR * proof.value))


def calibrate(model: Model, unseen: Unseen, X: np.ndarray, seed: int, groups: np.ndarray | None = None) -> Trust:
    """Puts temperature, strangenesses and what is usual, from the trained rows X (n, d) of `groups` (n,), into the
    model; the record of the calibration."""
    scores, y = unseen.scores, unseen.y
    trust = Trust(len(y), unseen.source)
    probabilities: Any = LOSSES[model.loss]().probabilities
    proper = probabilities(scores[:1]) is not None
    t = trust.temperature = fit_temperature(scores, y, probabilities) if proper else None

    def look(s: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """The label's strangeness, whether it is the answer; the probabilities of both before and after."""
        s, rows = s.astype(np.float64), np.arange(len(y))
        right = s.argmax(axis=1) == y
        if t is None:
            return of_labels(s, None, y), right
        p, after = probabilities(s), probabilities(s / t)
        return of_labels(s, after, y), right, p[rows, y], p.max(axis=1), after[rows, y], after.max(axis=1)

    own, right, *told = by_blocks(look, scores, y)
    if told:
        trust.before, trust.after = (reliability(told[i], told[i + 1], right) for i in (0, 2))
    conformal = Conformal.of(own)
    model.facts["trust"] = {
        "temperature": trust.temperature,
        "strangeness": {"n": conformal.n, "kept": list(conformal.kept)},
        "source": trust.source,
    }
    model.novelty = Novelty.fit(X, seed, groups)
    return trust


def kept(model: Model) -> Trust | None:
    """What a model file remembers of its calibration."""
    facts = model.facts.get("trust")
    if not facts:
        return None
    n = (facts.get("strangeness") or {}).get("n", 0)
    return Trust(n, str(facts.get("source", "")), facts.get("temperature"))


def measure(
    trust: Trust, model: Model, answers: Answers, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, dict[str, float | None]]:
    """What the calibrated model is worth on judged rows X (m, d), of which those of one group (m,) are alike; as
    probes: its calibration against chance, and how many of the rows are unusual."""
    if not len(y):
        return {}
    seen: dict[str, dict[str, float | None]] = {}
    right = answers.predicted == y
    if answers.confidence is not None and answers.label_confidence is not None:
        trust.judged = reliability(answers.label_confidence, answers.confidence, right)
        trust.chance = expected_ece(answers.confidence)
        if groups is not None:  # deviations of bins grow as that of the mean does
            trust.chance *= float(np.sqrt(len(y) / independent(groups, right - answers.confidence)))
        seen["calibration"] = {
            "ece": trust.judged.ece,
            "chance": trust.chance,
            "stated": float(np.mean(answers.confidence)),
            "right": float(np.mean(right)),
        }
    trust.answered = [row[:2] for row in answered(certainty(answers), right)]
    covered, labels = by_blocks(lambda s, y: _sets(model, s, y), answers.scores, y)
    for i, asked in enumerate(ASKED):
        held = {"covered": float(np.mean(covered[:, i])), "labels": float(labels[:, i].mean())}
        trust.coverage.append({"asked": asked, **held})
    if model.novelty is not None:
        unlike = model.novelty.unlike(X)
        if 1 / (1 + len(model.novelty.usual)) < RARE:  # with fewer usual pictures not even the strangest could be below
            trust.unlike = float(np.mean(unlike < RARE))
        seen["unlike"] = {"n": len(X), "share": float(np.mean(unlike < UNUSUAL))}
        if groups is not None:
            seen["unlike"]["independent"] = independent(groups)
    return seen


def _sets(model: Model, scores: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row's sets of labels at the coverages ASKED, (m, len(ASKED)) each: whether they hold y; their sizes."""
    rows, sets = np.arange(len(y)), [model.label_sets(scores, asked) for asked in ASKED]
    return np.stack([held[rows, y] for held in sets], axis=1), np.stack([held.sum(axis=1) for held in sets], axis=1)


def certainty(answers: Answers) -> np.ndarray:
    """The probability of the best class, or where there is none its lead over the second."""
    if answers.confidence is not None:
        return answers.confidence
    top = np.partition(answers.scores, -2, axis=1)[:, -2:]
    return top[:, 1] - top[:, 0]


def suspects(model: Model, scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows whose label is doubted, the likeliest mistake first, by scores (n, k) of classifiers that had not seen them.

    A row is doubted by −ln p(label) − ln P(label | answer), P counted over all rows: what the classifier often confuses
    is doubted less than what it never does. Without probabilities the lead of the answer's score over the label's
    stands for the first.
    """

    def look(s: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s, rows = s.astype(np.float64), np.arange(len(y))
        answer, p = s.argmax(axis=1), model.probabilities(s)
        return answer, s[rows, answer] - s[rows, y] if p is None else -np.log(np.maximum(p[rows, y], 1e-300))

    (answer, doubt), k = by_blocks(look, scores, y), scores.shape[1]
    _, pair, times = np.unique(y * k + answer, return_inverse=True, return_counts=True)
    doubt = doubt - np.log((1 + times[pair]) / (k + np.bincount(answer, minlength=k)[answer]))
    order = np.argsort(-doubt, kind="stable")
    return order[answer[order] != y[order]]


def noise(model: Model, scores: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> dict[str, float | None]:
    """How many labels look wrong in all, by out-of-fold scores (n, k); rows of one group (n,) say less of that."""
    answers, k = scores.argmax(axis=1), scores.shape[1]
    wrong = answers != y
    found: dict[str, float | None] = {"n": len(y), "classes": k, "wrong": float(np.mean(wrong))}
    found["chance"] = float(np.bincount(answers, minlength=k) @ np.bincount(y, minlength=k)) / len(y) ** 2
    count = len(y) if groups is None else independent(groups, wrong)
    if groups is not None:
        found["independent"] = count
    probabilities: Any = LOSSES[model.loss]().probabilities
    if probabilities(scores[:1]) is not None:
        noisy = label_noise(scores, y, probabilities, groups)
        found["noise"], found["gain"] = noisy.share, noisy.gain * count / len(y)
        found["beyond"] = noisy.beyond * count / len(y)
    return found
