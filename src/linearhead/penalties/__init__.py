"""The registry of penalties: name → class. A new penalty costs one file and one line here."""

from .contract import Penalty
from .elastic_net import ElasticNet
from .l1 import L1
from .l2 import L2
from .none import NoPenalty

PENALTIES: dict[str, type[Penalty]] = {penalty.name: penalty for penalty in (NoPenalty, L2, L1, ElasticNet)}

__all__ = ["L1", "L2", "PENALTIES", "ElasticNet", "NoPenalty", "Penalty"]
