"""What decides which model comes out of a set of pictures: every option of `train`, its default and its bounds.

The same words on the command line (`--valid-share`) and in Python (`valid_share=`). The recipe is saved in the model,
so a run can be repeated; where, how loudly and how the outcome is written is no part of it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import UsageError

SOLVING = "penalty l1_ratio margin solver standardize class_weight max_iter tol"  # the estimator's words for the same
STEPPING = "learning_rate momentum nesterov batch_size schedule averaging"  # of gd and sgd; None: their own defaults


@dataclass(frozen=True)
class Recipe:
    """Every option of `train` that changes the model."""

    features: str = "auto"  # a name of FEATURES, several joined with +; "auto": the winner of a leaderboard
    quality: str = "balanced"  # of features that have one: accuracy for minutes
    size: tuple[int, int] | None = None  # (height, width) of the pictures as the extractor sees them; None: chosen
    fit: str | None = None  # "stretch", "crop" or "pad" to that size; None: chosen
    reader: str = "auto"
    loss: str = "auto"  # with features="auto" on the leaderboard, too, else cross-entropy
    penalty: str = "l2"
    alpha: float | str = "auto"  # strength of the penalty; "auto": chosen on the validation pictures
    l1_ratio: float = 0.5
    margin: float = 1.0
    solver: str = "auto"
    standardize: bool | None = None  # None: chosen on held-out rows, True where an alpha is given
    class_weight: str | None = None
    learning_rate: float | str | None = None
    momentum: float | None = None
    nesterov: bool = False
    batch_size: int | None = None
    schedule: str | None = None
    averaging: bool = False
    max_iter: int | None = None
    tol: float | None = None  # 1e-7; for hinges 1e-4
    seed: int = 0
    test_share: float = 0.2  # of the pictures, where the data come without a test split
    group: str | None = None  # a manifest's column, or a pattern in file names: what shares it stays on one side
    valid_share: float = 0.15  # of the training pictures, where the data come without a validation split
    max_bad: float = 0.01  # share of unreadable pictures above which the run stops
    mute: tuple[str, ...] = ()  # codes of findings that shall not be told
    strict: bool = False  # stop at the first unreadable picture; a fit without convergence is a failure

    def check(self) -> None:
        """UsageError for a value out of bounds or a combination that cannot work, before any picture is read."""
        for name, low, high in (("test_share", 0, 0.9), ("valid_share", 0, 0.9), ("max_bad", 0, 1), ("l1_ratio", 0, 1)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{_option(name)} is {value}, but a share between {low} and {high} is needed.")
        if self.alpha != "auto" and not (isinstance(self.alpha, (int, float)) and 0 <= self.alpha < math.inf):
            raise UsageError(f"--alpha is {self.alpha}, but 'auto' or a number of at least 0 is needed.")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"--size is {self.size[0]}x{self.size[1]}, but at least 1x1 pixel is needed.")
        from ..features import QUALITIES, make

        if self.mute:
            from ..diagnose import check_codes

            check_codes(self.mute)

        if self.quality not in QUALITIES:
            raise UsageError(f"--quality is {self.quality!r}, but one of {', '.join(QUALITIES)} is needed.")
        if self.features != "auto":
            make(self.features, self.quality)
        self._check_used(self.estimator(1.0)._make_solver())

    def _check_used(self, solver: Any) -> None:
        """UsageError for an option that would change nothing, though somebody thought of it."""
        from ..losses import LOSSES
        from ..solvers import SOLVERS

        given = [name for name in STEPPING.split() if getattr(self, name) not in (None, False)]
        for name in given:
            if not hasattr(solver, name):
                others = [other for other, kind in SOLVERS.items() if name in kind.__dataclass_fields__]
                raise UsageError(f"{_option(name)} is not for {solver.name}: add --solver {' or '.join(others)}.")
        if self.nesterov and not self.momentum:
            raise UsageError("--nesterov is a form of momentum: add --momentum 0.9, say.")
        if self.margin != Recipe.margin and not hasattr(LOSSES[self.loss_name], "margin"):
            others = [name for name, kind in LOSSES.items() if hasattr(kind, "margin")]
            raise UsageError(f"--margin is not for {self.loss_name}: add --loss {' or '.join(others)}.")
        if self.l1_ratio != Recipe.l1_ratio and self.penalty != "elastic_net":
            raise UsageError(f"--l1-ratio is not for {self.penalty}: add --penalty elastic_net.")

    def estimator(self, alpha: float) -> Any:
        """The classifier of this recipe, not fitted yet."""
        from ..estimators import LinearClassifier

        options: dict[str, Any] = {name: getattr(self, name) for name in SOLVING.split()}
        options["standardize"] = self.standardize is not False
        options |= {name: value for name in STEPPING.split() if (value := getattr(self, name)) is not None}
        return LinearClassifier(self.loss_name, alpha=alpha, random_state=self.seed, **options)

    @property
    def loss_name(self) -> str:
        """The loss, where none was named the one that needs no choosing."""
        return "cross_entropy" if self.loss == "auto" else self.loss

    def loss_title(self) -> str:
        """The loss in the words of its own file."""
        from ..losses import LOSSES

        return LOSSES[self.loss_name].title

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Recipe:
        """A saved recipe; options that this version does not know are left out."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in saved.items() if name in known}
        if values.get("size"):
            values["size"] = tuple(values["size"])
        values["mute"] = tuple(values.get("mute") or ())
        return cls(**values)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
