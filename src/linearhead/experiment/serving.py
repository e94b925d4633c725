"""What a server is given: a finished model as one function from decoded pictures to answers in words and numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..features.regions import contributions
from .judge import by_blocks
from .predicting import looks
from .run_folder import load_model, model_path


class Service:
    """The model of RUN. `answers` says the same as `predict`, to the bit."""

    def __init__(self, run: str | Path) -> None:
        place = model_path(run).absolute()
        self.model = load_model(place)
        self.extractor, self.preprocessing = looks(self.model)
        self.name = re.sub(r"[^A-Za-z0-9_.-]+", "-", place.parent.name).strip("-.") or "model"
        self.classes = self.model.classes
        self.probable = self.model.probabilities(np.zeros((1, len(self.classes)), np.float32)) is not None
        self.calibrated = self.model.conformal is not None

    def answers(self, questions: list[Any]) -> list[dict[str, Any]]:
        """One JSON object for each question (server.Question)."""
        model = self.model
        X = model.features(np.stack([question.pixels for question in questions]))
        scores, p = by_blocks(lambda X: (s := model.scores(X), model.probabilities(s)), X)
        novelty = model.novelty
        unlike = None if novelty is None else by_blocks(lambda X: (novelty.unlike(X),), X)[0]
        found = []
        for i, question in enumerate(questions):
            order = np.argsort(-scores[i], kind="stable")
            found.append(
                {
                    "label": self.classes[order[0]],
                    "confidence": None if p is None else float(p[i, order[0]]),
                    "probabilities": None if p is None else dict(zip(self.classes, p[i].tolist(), strict=True)),
                    "labels": self._labels(scores, i, question.coverage),
                    "unlike": None if unlike is None else float(unlike[i]),
                    "regions": self._regions(X[i], order) if question.regions else None,
                    "scores": scores[i].tolist(),
                }
            )
        return found

    def _labels(self, scores: np.ndarray, i: int, coverage: float | None) -> list[str] | None:
        """The set that holds the true label so often, asked for in a block of usual height, as `predict` does."""
        if coverage is None:
            return None
        inside = by_blocks(lambda s: (self.model.label_sets(s, coverage),), scores[i : i + 1])[0][0]
        return [self.classes[j] for j in np.flatnonzero(inside)]

    def _regions(self, x: np.ndarray, order: np.ndarray) -> list[list[float]] | None:
        """Which squares of the picture spoke for the label and against the runner-up, as against a mean picture."""
        if self.model.novelty is None or len(order) < 2:
            return None
        weights = self.model.coef[order[0]].astype(np.float64) - self.model.coef[order[1]]
        canvas = contributions(self.extractor, weights, x, self.model.novelty.mean)
        return None if canvas is None else canvas.tolist()
