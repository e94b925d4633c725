"""The assignment of the lecture: written into a folder, graded there, every classical mistake called by its name."""

from .check import TASK_NAMES, Graded, Report, check, new
from .mistakes import CATALOGUE, Mistake

__all__ = ["CATALOGUE", "TASK_NAMES", "Graded", "Mistake", "Report", "check", "new"]
