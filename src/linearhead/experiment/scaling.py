"""Whether the columns of features are standardised: a leaderboard of two, on a sample of the rows.

Standardised columns count alike whatever their unit; as they come, those of larger spread count for more, which helps
where a spread means something, as the leading directions of a network's features or the common colours of a histogram
do. Only held-out rows can tell.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.stored_rows import StoredRows
from ..errors import DataError
from ..metrics import standard_error
from .leaderboard import compare
from .progress import Progress
from .recipe import Recipe
from .sampling import parted, some


def chosen(
    X: np.ndarray | StoredRows, y: np.ndarray, groups: np.ndarray | None, plan: Recipe, progress: Progress
) -> bool:
    """For trained rows (n, d), labels and groups (n,): as the plan says; else standardised, unless the rows as they
    come are better by more than a standard error of the judged rows' costs, each at its own best alpha. An alpha that
    is given is for standardised columns, and so are steps along the gradient, as slow as the columns are unlike."""
    stepping = hasattr(plan.estimator(1.0)._make_solver(), "learning_rate")
    if plan.standardize is not None or plan.alpha != "auto" or plan.penalty == "none" or stepping:
        return plan.standardize is not False
    rows = some(y, [X.shape[1]] * 2, plan.seed)
    part = np.asarray(X[rows], dtype=np.float32)
    sample = parted(part, y[rows], None if groups is None else groups[rows], plan)
    if sample is None:
        return True
    try:
        scaled, plain = (compare(part, sample, replace(plan, standardize=each))[2] for each in (True, False))
    except DataError:  # columns of sizes that one of the two refuses: the fit says so, where it does too
        return True
    worse = scaled.astype(np.float64) - plain
    if not worse.mean() > standard_error(worse, sample.alike):
        return True
    progress.say(
        f"Columns are fitted as they come: on {len(worse)} rows held out their loss is {plain.mean():.3g}, that of "
        f"standardised ones {scaled.mean():.3g}. --standardize standardises them."
    )
    return False
