"""Results as pictures in a notebook, as scikit-learn's displays go: from an estimator and rows, or from predictions.

    EvaluationDisplay.from_estimator(clf, X, y)                    # numbers with intervals, confusion, reliability
    EvaluationDisplay.from_predictions(y, predicted, probabilities)
    WeightsDisplay.from_estimator(clf, (28, 28))                   # each class's weights in the shape of a picture

A display shows itself; its `charts` are SVG drawings with `save`. Everything that came from data is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .charts import Bin, Chart, bar_chart, confusion_chart, percent, reliability_chart
from .charts.page import table
from .charts.words import escaped
from .errors import DataError, UsageError
from .metrics import evaluate, wilson
from .records import Evaluation, Finding, Reliability
from .trust import reliability

LISTED = 30  # classes in the table and the bars: those with the lowest recall


@dataclass
class EvaluationDisplay:
    """The numbers of one set of predictions, and how far its confidence comes true (None: the loss has none).

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> from linearhead import SoftmaxClassifier
    >>> clf = SoftmaxClassifier(alpha=0.1).fit(X[:1000], y[:1000])
    >>> display = EvaluationDisplay.from_estimator(clf, X[1000:], y[1000:])
    >>> display.evaluation.n, len(display.charts)  # recall of each class, confusion, reliability
    (797, 3)
    """

    evaluation: Evaluation
    reliability: Reliability | None = None
    title: str = ""
    findings: list[Finding] = field(default_factory=list)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, title: str = "") -> EvaluationDisplay:
        """A fitted classifier of any kind asked about X (n, d) with labels y (n,)."""
        p = estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else None
        name = title or type(estimator).__name__
        return cls.from_predictions(y, estimator.predict(X), p, estimator.classes_, name)

    @classmethod
    def from_predictions(
        cls,
        y: Any,
        predicted: Any,
        probabilities: Any = None,
        classes: Sequence[Any] | None = None,
        title: str = "",
    ) -> EvaluationDisplay:
        """Labels and predictions (n,), probabilities (n, k) in the order of `classes`, by default the sorted labels."""
        y, predicted = np.asarray(y), np.asarray(predicted)
        known = np.unique(np.concatenate([y, predicted])) if classes is None else np.asarray(classes)
        place = {label: i for i, label in enumerate(known.tolist())}
        strange = sorted(set(y.tolist()) | set(predicted.tolist()), key=str)
        if unknown := [label for label in strange if label not in place]:
            raise UsageError(f"The labels {unknown[:5]} are not among the classes {known.tolist()[:8]}.")
        code, answer = (np.array([place[label] for label in a.tolist()], dtype=int) for a in (y, predicted))
        p = None if probabilities is None else np.asarray(probabilities)
        numbers = evaluate(code, answer, [str(label) for label in known.tolist()], p)
        rows = np.arange(len(code))
        sure = None if p is None else reliability(p[rows, code], p.max(axis=1), p.argmax(axis=1) == code)
        return cls(numbers, sure, title)

    @property
    def charts(self) -> list[Chart]:
        """Recall per class with intervals, the confusion matrix, reliability."""
        scores = sorted((s for s in self.evaluation.per_class if s.recall is not None), key=lambda s: s.recall or 0)
        shown = scores[:LISTED]
        bounds = [None if s.recall_interval is None else (s.recall_interval[0], s.recall_interval[1]) for s in shown]
        out = [bar_chart([s.label for s in shown], [s.recall or 0.0 for s in shown], intervals=bounds,
                         title="Recall, lowest first", show=percent, limit=1.0, width=460)]  # fmt: skip
        out.append(confusion_chart(self.evaluation.confusion, [s.label for s in self.evaluation.per_class]))
        if self.reliability is not None and self.reliability.bins:
            worth = (self.evaluation.independent or self.evaluation.n) / self.evaluation.n  # what a row counts
            bins = [Bin(c, a, int(n), (low, high)) for c, a, n in self.reliability.bins
                    for low, high in [wilson(a * n * worth, n * worth)]]  # fmt: skip
            out.append(reliability_chart(bins))
        return out

    def _repr_html_(self) -> str:
        e = self.evaluation
        low, high = e.accuracy_interval
        lines = [
            f"<b>{percent(e.accuracy)}</b> of {e.n} right (95 % interval {percent(low)} to {percent(high)})",
            f"mean recall {percent(e.balanced_accuracy)}",
            f"largest class {percent(e.majority_accuracy)}",
        ]
        if e.log_loss is not None:
            lines.append(f"log loss {e.log_loss:.3f}")
        if self.reliability is not None:
            lines.append(f"stated confidence and share right differ by {percent(self.reliability.ece)}")
        return framed(self.title or "Evaluation", "; ".join(lines), self.findings, self.charts)


@dataclass
class WeightsDisplay:
    """One picture per class as a data: URI; grey is zero, bright speaks for the class.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> from linearhead import SoftmaxClassifier
    >>> clf = SoftmaxClassifier(alpha=0.1).fit(X[:1000], y[:1000])
    >>> len(WeightsDisplay.from_estimator(clf, (8, 8)).pictures)
    10
    """

    pictures: list[str]
    classes: list[str]

    @classmethod
    def from_estimator(
        cls, estimator: Any, shape: Sequence[int], classes: Sequence[Any] | None = None
    ) -> WeightsDisplay:
        """`shape` (h, w) or (h, w, c) of the pictures whose pixels were the features, row by row."""
        from .images import weights_uri

        W = np.asarray(estimator.coef_, dtype=np.float64)
        if W.shape[1] != int(np.prod(shape)) or len(shape) not in (2, 3):
            raise DataError(f"{W.shape[1]} weights a class do not make a picture of shape {tuple(shape)}.")
        names = list(map(str, estimator.classes_ if classes is None else classes))
        return cls([weights_uri(row.reshape(shape)) for row in W], names[-len(W) :])

    def _repr_html_(self) -> str:
        figures = "".join(
            f'<figure style="margin:0"><img src="{uri}" alt="Weights of {escaped(name)}" width="96" '
            f'style="image-rendering:pixelated"><figcaption>{escaped(name)}</figcaption></figure>'
            for uri, name in zip(self.pictures, self.classes, strict=True)
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{figures}</div>'


def framed(title: str, line: str, findings: Sequence[Finding], charts: Sequence[Chart]) -> str:
    """A heading, a line of markup that is safe already, the findings, charts side by side."""
    told = "".join(f"<li><b>{escaped(f.severity)}</b> {escaped(f.title)}. {escaped(f.evidence)}</li>" for f in findings)
    drawn = "".join(f"<div>{chart.svg}</div>" for chart in charts)
    return (
        f"<div><h4>{escaped(title)}</h4><p>{line}</p>{f'<ul>{told}</ul>' if told else ''}"
        f'<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start">{drawn}</div></div>'
    )


def answers_table(rows: Sequence[Sequence[str]]) -> str:
    """What `predict` says, a row a picture."""
    return table(("picture", "label", "confidence", "then", ""), rows)
