"""The registry of losses: name → class. A new loss costs one file and one line here."""

from .contract import Loss
from .cross_entropy import CrossEntropy
from .hinge import CrammerSinger, Hinge
from .logistic import Logistic
from .squared import Squared
from .squared_hinge import SquaredHinge

LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (CrossEntropy, Logistic, Hinge, CrammerSinger, SquaredHinge, Squared)
}


def make_loss(name: str, margin: float = 1.0) -> Loss:
    """The loss of that name, with the margin Δ if it has one."""
    kind = LOSSES[name]
    return kind(margin=margin) if "margin" in kind.__dataclass_fields__ else kind()  # type: ignore[call-arg]


__all__ = [
    "LOSSES",
    "CrammerSinger",
    "CrossEntropy",
    "Hinge",
    "Logistic",
    "Loss",
    "Squared",
    "SquaredHinge",
    "make_loss",
]
