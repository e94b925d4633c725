"""Grading the choice: worlds in which training, validation and test set speak for different penalties."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import reference
from .grading import Outcome, Wrong, described, listed
from .mistakes import Mistake, mistake

WEAK, STRONG = 1e-3, 5.0
NEARLY = 0.02


def choose(code: Any) -> Outcome:
    """Three worlds. In one, all sets speak for the weak penalty. In the others validation speaks for one penalty and
    the test set for the other. Whoever asks the wrong set, or takes the worst, answers wrongly in at least one."""
    own = separable(120, 0)
    worlds = [
        (WEAK, (*own, *separable(60, 5), *separable(100, 6))),
        (WEAK, (*own, *separable(60, 1), *contrary(100, 2))),  # the test set is the larger, should both be asked
        (STRONG, (*own, *contrary(60, 3), *separable(100, 4))),
    ]
    answers = []
    for _, sets in worlds:
        found = code.choose(*(part.copy() for part in sets), [WEAK, STRONG])
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong(f"choose(…) should return (alpha, accuracy); found {described(found)}.")
        answers.append((float(found[0]), float(found[1])))
    return Outcome("choose", chosen_by(answers, worlds), picture=who_says_what(worlds[1][1]))


def separable(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two groups, a fifth of the rows in the second, that a weak penalty tells apart."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 5 == 0).astype(int)
    return rng.normal(size=(n, 2)) * 0.2 + np.where(y, 0.5, -0.5)[:, None], y


def contrary(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the second group labelled as the first: only who never answers "second" is right."""
    X, y = separable(n, seed)
    return X, np.zeros_like(y)


def chosen_by(answers: list[tuple[float, float]], worlds: list[tuple[float, tuple]]) -> list[Mistake]:
    agreed, weak, strong = (alpha for alpha, _ in answers)
    if any(alpha not in (WEAK, STRONG) for alpha in (agreed, weak, strong)):
        return [mistake("wrong", f"You choose {listed([agreed, weak, strong])}, of {WEAK:g} and {STRONG:g}.")]
    if agreed == STRONG:
        words = f"All sets speak for alpha = {WEAK:g}; you choose {STRONG:g}, the worst. Which way do you compare?"
        return [mistake("wrong", words)]
    if weak == STRONG:
        words = f"The validation set speaks for alpha = {WEAK:g}, the test set for {STRONG:g}; you choose {STRONG:g}."
        return [mistake("test-as-validation", words)]
    if strong == WEAK:
        words = (
            f"The validation set speaks for alpha = {STRONG:g}; you choose {WEAK:g}, which is best on the training set."
        )
        return [mistake("train-as-validation", words)]
    for (right, sets), (_, told) in zip(worlds, answers, strict=True):
        honest = [reference.accuracy(*reference.fit(X, y, right), *sets[4:]) for X, y in finally_trained(sets)]
        if min(abs(told - accuracy) for accuracy in honest) > NEARLY:
            words = f"You tell an accuracy of {told:.3g}; on the test set it is {honest[0]:.3g}."
            return [mistake("wrong-judge", words)]
    return []


def finally_trained(sets: tuple) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the chosen penalty may be fitted on in the end: the training set, or that and the validation set."""
    return [sets[:2], (np.concatenate(sets[0:4:2]), np.concatenate(sets[1:4:2]))]


def who_says_what(sets: tuple) -> dict[str, Any]:
    alphas = [1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0, 5.0]
    fits = [reference.fit(sets[0], sets[1], alpha) for alpha in alphas]
    roles = (("training", 0, "dashed"), ("validation", 2, "marked"), ("test", 4, "marked"))
    series = [
        {
            "label": name,
            "x": alphas,
            "y": [reference.accuracy(W, b, sets[i], sets[i + 1]) for W, b in fits],
            "kind": kind,
        }
        for name, i, kind in roles
    ]
    return {"title": "Whom do you ask?", "x": "alpha", "y": "accuracy", "x_log": True, "series": series}
