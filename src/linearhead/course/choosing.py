"""Grading the choice: two worlds in which training, validation and test set speak for different penalties."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import reference
from .grading import Outcome, StandIn, Wrong
from .mistakes import Mistake, mistake

WEAK, STRONG = 1e-3, 5.0


def choose(code: Any) -> Outcome:
    """Two worlds. In one, validation speaks for the weak penalty and the test set for the strong one; in the other it
    is the reverse. Whoever asks the wrong set answers wrongly in at least one."""
    own = separable(120, 0)
    worlds = {
        WEAK: (*own, *separable(60, 1), *contrary(100, 2)),  # the test set is the larger, should both be asked
        STRONG: (*own, *contrary(60, 3), *separable(100, 4)),
    }
    answers = {}
    with StandIn(
        code, sgd=reference.sgd, gradients=reference.gradients, fit=reference.fit, accuracy=reference.accuracy
    ):
        for right, sets in worlds.items():
            found = code.choose(*(part.copy() for part in sets), [WEAK, STRONG])
            if not isinstance(found, (tuple, list)) or len(found) != 2:
                raise Wrong(f"choose(…) should return (alpha, accuracy); found {type(found).__name__}.")
            answers[right] = (float(found[0]), float(found[1]))
    out = Outcome("choose", chosen_by(answers, worlds), picture=who_says_what(worlds[WEAK]))
    return out


def separable(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two groups, a fifth of the rows in the second, that a weak penalty tells apart."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 5 == 0).astype(int)
    return rng.normal(size=(n, 2)) * 0.2 + np.where(y, 0.5, -0.5)[:, None], y


def contrary(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the second group labelled as the first: only who never answers "second" is right."""
    X, y = separable(n, seed)
    return X, np.zeros_like(y)


def chosen_by(answers: dict, worlds: dict) -> list[Mistake]:
    alphas = {right: answer[0] for right, answer in answers.items()}
    if alphas[WEAK] == STRONG:
        return [
            mistake(
                "test-as-validation",
                f"The validation set speaks for alpha = {WEAK:g}, the test set for "
                f"{STRONG:g}; you choose {alphas[WEAK]:g}.",
            )
        ]
    if alphas[STRONG] == WEAK:
        return [
            mistake(
                "train-as-validation",
                f"The validation set speaks for alpha = {STRONG:g}; you choose {WEAK:g}, "
                "which is best on the training set.",
            )
        ]
    if alphas != {WEAK: WEAK, STRONG: STRONG}:
        return [mistake("wrong", f"You choose {sorted(alphas.values())}, none of the penalties that were offered.")]
    for right, (_, told) in answers.items():
        sets = worlds[right]
        W, b = reference.fit(sets[0], sets[1], right)
        honest = reference.accuracy(W, b, sets[4], sets[5])
        if abs(told - honest) > 0.02:
            return [mistake("wrong-judge", f"You tell an accuracy of {told:.3g}; on the test set it is {honest:.3g}.")]
    return []


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
