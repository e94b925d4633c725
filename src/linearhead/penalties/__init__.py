"""The registry of penalties: name → class. A new penalty costs one file and one line here."""

from .contract import Penalty
from .elastic_net import ElasticNet
from .l1 import L1
from .l2 import L2
from .none import NoPenalty

PENALTIES: dict[str, type[Penalty]] = {penalty.name: penalty for penalty in (NoPenalty, L2, L1, ElasticNet)}


def make_penalty(name: str, l1_ratio: float = 0.5) -> Penalty:
    """The penalty of that name, with the share of L1 if it has one."""
    kind = PENALTIES[name]
    return kind(l1_ratio=l1_ratio) if "l1_ratio" in kind.__dataclass_fields__ else kind()  # type: ignore[call-arg]


__all__ = ["L1", "L2", "PENALTIES", "ElasticNet", "NoPenalty", "Penalty", "make_penalty"]
