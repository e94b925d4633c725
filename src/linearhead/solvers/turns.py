"""Whose turn it is: L-BFGS's, or, where a loss is quadratic between kinks, that of Newton's method on the free
directions (`objective/finish.py`), which ends at the minimum in few steps or hands back a better point."""

from __future__ import annotations

import math
from typing import Any

from .contract import Problem, Progress

FIRST = 16  # iterations before its second turn
LEAST, SPENT = 512, 4  # passes, and times the passes so far, whichever is more: what the steps of one turn may cost


class Turns:
    """Newton's method has its turn at once, as its steps may be short from where L-BFGS leads, at iteration FIRST, and
    again when there have been twice as many iterations. before: passes made on the way."""

    def __init__(self, before: float) -> None:
        self.before = before
        self.due: float = 0
        self.finish: Any = None

    def step(self, problem: Problem, progress: Progress) -> Any:
        """Newton's next point after the newest one; None where it is L-BFGS's turn."""
        if self.finish is None:
            if progress.iterations < self.due:
                return None
            self.finish = problem.finish(max(LEAST, SPENT * (self.before + progress.trace.passes[-1])))
            if self.finish is None:
                self.due = math.inf
                return None
        step = self.finish.step(progress.best)
        if step is None:
            self.finish, self.due = None, max(2 * progress.iterations, FIRST)
        return step
