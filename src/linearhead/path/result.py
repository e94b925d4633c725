"""What a path is: one point per α, and the rule that chooses among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import UsageError
from ..objective import Objective
from ..objective.inputs import checked_labels, checked_rows, scores
from ..records import Certificate, Status

RULES = ("best", "accuracy", "one_standard_error")


@dataclass
class PathPoint:
    """One α: the fit on all training rows and what the held-out rows say of it."""

    alpha: float
    theta: np.ndarray = field(repr=False)  # (d+1, k) in the units of X
    status: Status
    certificate: Certificate | None
    train_loss: float
    train_accuracy: float
    valid_loss: float | None
    valid_accuracy: float | None
    valid_error: float | None  # standard error of valid_accuracy
    passes: float
    seconds: float


@dataclass
class RegularizationPath:
    """The path, strong to weak. Arrays have one entry per α that was fitted.

    >>> from sklearn.datasets import load_digits
    >>> from linearhead import regularization_path
    >>> X, y = load_digits(return_X_y=True)
    >>> path = regularization_path(X[:800], y[:800], valid=(X[800:1000], y[800:1000]), alphas=[10, 1, 0.1])
    >>> path
    RegularizationPath(3 alphas 10 to 0.1; chosen 0.1, validation accuracy 0.950)
    >>> path.C_, path.predict(X[1000:1004]), path.score(X[1000:], y[1000:]) > 0.9
    (0.0125, array([1, 4, 0, 5]), True)
    """

    points: list[PathPoint] = field(default_factory=list)
    classes: np.ndarray | None = None
    rule: str = "best"
    abandoned: list[float] = field(default_factory=list)  # α's not fitted because they could not win any more
    refit: PathPoint | None = None  # where a protocol asks for it: the fit on training and held-out rows together
    n_rows: float = 0  # training rows by their weights, Σw
    unit: float = 1.0  # C · alpha · n_rows: 2 where scikit-learn has one vector of weights for our two, else 1

    @classmethod
    def of(cls, objective: Objective, classes: np.ndarray, rule: str = "best") -> RegularizationPath:
        """A path over the strengths of this objective, with no point yet."""
        pair = objective.k == 2 and objective.loss.shift_invariant and objective.penalty.name == "l2"
        return cls(classes=classes, rule=rule, n_rows=objective.total, unit=2.0 if pair else 1.0)

    def _column(self, name: str) -> np.ndarray:
        return np.array([getattr(p, name) for p in self.points], dtype=float)

    alphas = property(lambda self: self._column("alpha"), doc="(m,) penalty strengths, falling")
    train_loss = property(lambda self: self._column("train_loss"))
    train_accuracy = property(lambda self: self._column("train_accuracy"))
    valid_loss = property(lambda self: self._column("valid_loss"))
    valid_accuracy = property(lambda self: self._column("valid_accuracy"))
    passes = property(lambda self: self._column("passes"))
    seconds = property(lambda self: self._column("seconds"))
    certificates = property(lambda self: [p.certificate for p in self.points])
    coefs = property(lambda self: [p.theta[:-1].T for p in self.points], doc="(k, d) each")
    intercepts = property(lambda self: [p.theta[-1] for p in self.points], doc="(k,) each")

    def add(self, point: PathPoint) -> None:
        """One more, in its place."""
        self.points.append(point)
        self.points.sort(key=lambda p: -p.alpha)

    @property
    def judged(self) -> bool:
        """Whether held-out rows judge the points: else nothing chooses among them."""
        return bool(self.points) and self.points[0].valid_accuracy is not None

    @property
    def index_(self) -> int:
        """Which point the rule chooses, or the only one; UsageError where nothing was held out to choose by."""
        if len(self.points) == 1:
            return 0
        if not self.judged:
            raise UsageError(
                f"No rows were held out, so nothing chooses among these {len(self.points)} alphas: by the rows that "
                "were fitted the weakest penalty always wins. Give valid=(X, y), cv=5 or a protocol; the fits are in "
                "coefs and intercepts."
            )
        accuracy = self.valid_accuracy
        best = int(np.argmax(accuracy))  # the first of equals: the strongest penalty
        if self.rule == "accuracy":
            return best
        tied = accuracy >= accuracy[best] - (self.points[best].valid_error or 0.0)
        if self.rule == "one_standard_error":
            return int(np.argmax(tied))
        return int(np.argmin(np.where(tied, self.valid_loss, np.inf)))

    @property
    def alpha_(self) -> float:
        """The chosen penalty strength."""
        return self.points[self.index_].alpha

    @property
    def C_(self) -> float:
        """The chosen strength as scikit-learn's C, unit / (alpha_ · n_rows)."""
        return self.unit / (self.alpha_ * self.n_rows)

    @property
    def coef_(self) -> np.ndarray:
        """(k, d) of the refit, or of the chosen point where there is none: those that `predict` predicts by."""
        return (self.refit or self.points[self.index_]).theta[:-1].T

    @property
    def intercept_(self) -> np.ndarray:
        """(k,) of the same fit."""
        return (self.refit or self.points[self.index_]).theta[-1]

    def predict(self, X: Any) -> np.ndarray:
        """Labels of the rows of X by the refit, or by the chosen point where there is none."""
        codes = scores(checked_rows(X), self.coef_, self.intercept_, labels=True)
        return codes if self.classes is None else self.classes[codes]

    def score(self, X: Any, y: Any) -> float:
        """The share of the rows of X whose label in y (n,) `predict` finds."""
        labels = self.predict(X)
        return float(np.mean(labels == checked_labels(y, labels)))

    def rows(self) -> list[dict[str, float | None]]:
        """One dict per α, for records and charts."""
        names = (
            "alpha",
            "train_loss",
            "train_accuracy",
            "valid_loss",
            "valid_accuracy",
            "valid_error",
            "passes",
            "seconds",
        )
        return [{name: getattr(p, name) for name in names} for p in self.points]

    def plot(self, what: str = "accuracy") -> Any:
        """A chart of train and validation accuracy (or "loss") against α with the chosen point, if there is one."""
        from ..charts import path_chart

        return path_chart(self.rows(), self.alpha_ if self.judged else None, what)

    def __repr__(self) -> str:
        if not self.points:
            return "RegularizationPath(no point yet)"
        tried = self.alphas
        span = f"{len(tried)} alphas {tried[0]:.3g} to {tried[-1]:.3g}"
        if not self.judged:
            return f"RegularizationPath({span}; none chosen, as no rows were held out)"
        chosen = self.points[self.index_]
        return f"RegularizationPath({span}; chosen {chosen.alpha:.3g}, validation accuracy {chosen.valid_accuracy:.3f})"

    def _repr_html_(self) -> str:
        return self.plot()._repr_svg_()
