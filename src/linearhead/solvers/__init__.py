"""The registry of solvers: name → class. A new solver costs one file and one line here."""

from .closed_form import ClosedForm
from .contract import Solution, Solver
from .dual import Dual
from .gradient_descent import GradientDescent
from .lbfgs import LBFGS
from .newton import Newton
from .proximal import Proximal
from .sgd import SCHEDULES, SGD

SOLVERS: dict[str, type[Solver]] = {
    solver.name: solver for solver in (GradientDescent, SGD, LBFGS, Newton, Proximal, Dual, ClosedForm)
}

__all__ = [
    "LBFGS",
    "SCHEDULES",
    "SGD",
    "SOLVERS",
    "ClosedForm",
    "Dual",
    "GradientDescent",
    "Newton",
    "Proximal",
    "Solution",
    "Solver",
]
