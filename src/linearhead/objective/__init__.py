"""Where loss, penalty and design meet: the objective, its curvature model, its dual, and which parts fit together."""

from .basis import Basis, sample_basis
from .combination import check_combination, check_passes, choose_solver, misfit
from .curvature import Preconditioner, precondition
from .duality import Gap, gap_at
from .objective import Count, Objective, Point, Shared
from .smoothed import Smoothed

__all__ = [
    "Basis",
    "Count",
    "Gap",
    "Objective",
    "Point",
    "Preconditioner",
    "Shared",
    "Smoothed",
    "check_combination",
    "check_passes",
    "choose_solver",
    "gap_at",
    "misfit",
    "precondition",
    "sample_basis",
]
