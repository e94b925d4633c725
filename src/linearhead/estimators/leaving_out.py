"""What a fitted classifier would have said of its rows without them: the problem as fitted, then `path/leaving_out`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..errors import DataError, UsageError
from ..objective import Objective
from ..objective.inputs import checked_weights
from ..path import left_out

DIGITS = 2  # times the residual that the fit ended with: the same rows have the same, but for rounding


class LeavingOut:
    """What `LinearClassifier` can do besides, once it is fitted."""

    if TYPE_CHECKING:
        alpha_: float
        certificate_: Any
        classes_: np.ndarray
        coef_: np.ndarray
        converged_: bool
        intercept_: np.ndarray
        status_: Any
        _scores: Any
        _theta: Any

    def leave_one_out(self, X, y, sample_weight=None):
        """Scores (n, k) float64 of the rows that were fitted, each by the classifier fitted to all the others.

        X (n, d), y (n,) and weights (n,) as they were given to `fit`. The others' fit has the same penalty on their sum
        of losses (the same C), and the same scales and class weights. Exact for least squares; for the other smooth
        losses one Newton step from the optimum, which costs no fit and is close to it (Rad & Maleki 2020).
        A copy of a row is another row, and stays.

        Raises UsageError for hinges, other penalties than L2 and fits that have not converged, DataError for rows that
        were not fitted.

        >>> from linearhead import SoftmaxClassifier
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = SoftmaxClassifier(alpha=0.1).fit(X[:1000], y[:1000])
        >>> right = clf.leave_one_out(X[:1000], y[:1000]).argmax(axis=1) == y[:1000]
        >>> print(clf.score(X[:1000], y[:1000]), right.mean())
        0.998 0.969
        """
        check_is_fitted(self)
        if not self.converged_:
            raise UsageError(
                "Leaving rows out starts from the optimum, and this fit did not come within its tolerance: "
                f"{self.status_.value}. Fit with a larger max_iter or alpha, or with another solver."
            )
        objective = _fitted(self, X, y, sample_weight)
        theta = self._theta(objective)
        found, w = left_out(objective, theta), checked_weights(sample_weight, X)  # says first what cannot be
        residual, own = objective.precise().at(theta).residual, self.certificate_
        if residual > DIGITS * max(own.residual, own.tolerance):
            raise DataError(
                f"The gradient at these rows is {residual:.1e}, and the fit ended at {own.residual:.1e}: they are not "
                "the rows, labels and weights that were fitted. Give those of the last fit."
            )
        if w is None or len(found) == len(w):
            return found
        scores = self._scores(X).astype(np.float64)  # rows of no weight were not in the fit
        scores[w > 0] = found
        return scores


def _fitted(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Objective:
    """The problem of the last fit; DataError where that had other classes or columns."""
    twin: Any = clone(estimator)
    twin.callback = None
    objective = twin._objective(X, y, sample_weight)
    if not np.array_equal(twin.classes_, estimator.classes_) or objective.design.d != estimator.coef_.shape[1]:
        raise DataError(
            f"The fit had {len(estimator.classes_)} classes and {estimator.coef_.shape[1]} columns, and these "
            f"rows have {objective.k} and {objective.design.d}. Give the rows and labels of the last fit."
        )
    return replace(objective, alpha=estimator.alpha_)
