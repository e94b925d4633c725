"""The scikit-learn surface: names of classes, weights, feature names; the mathematics is below.

F(W, b) = Σᵢ wᵢ ℓ(W xᵢ + b, yᵢ) / Σᵢ wᵢ + α R(W), the intercept not penalised; `coef_` (k, d) and `intercept_` (k,) hold
one row per class, also for two classes. scikit-learn's C is 1/(α n). With standardize=True the penalty refers to
columns of unit variance; `coef_` is in the units of X all the same.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..certificate import prove, sentence
from ..design import design_of
from ..errors import ConvergenceWarning, DataError, DataWarning, UsageError
from ..losses import LOSSES, make_loss
from ..objective import Objective, check_combination, check_passes, choose_solver
from ..objective.checking import check_drowned, check_scale, combine_weights, unlike_columns, weights_of_classes
from ..objective.inputs import checked_weights, codes_of, present_weights, scores, without_absent
from ..path import RegularizationPath, follow, follow_leaving_one_out, held_out, hold_out, solvable
from ..penalties import make_penalty
from ..records import Status, Trace
from ..solvers import SOLVERS, Solution
from . import separation
from .by_lbfgs import by_lbfgs
from .goal import Goal, tolerance
from .inputs import checked_pair, checked_rows
from .leaving_out import LeavingOut
from .options import check_options
from .whole import whole_or_nothing

SHARED_OPTIONS = ("max_iter", "learning_rate", "momentum", "nesterov", "batch_size", "schedule", "averaging")


class LinearClassifier(LeavingOut, ClassifierMixin, BaseEstimator):
    """Any loss with any penalty by any solver that fits both.

    Parameters
    ----------
    loss : name in LOSSES: cross_entropy, logistic, hinge, crammer_singer, squared_hinge, squared.
    penalty : name in PENALTIES: l2, l1, elastic_net, none.
    alpha : strength of the penalty, ≥ 0, or "auto": chosen on held-out rows by the path. C = 1/(alpha · n).
    l1_ratio : share of L1 in elastic_net, 0 … 1.
    margin : Δ of the hinge losses.
    solver : name in SOLVERS, or "auto": closed_form for squared, dual for hinges, proximal for L1, else lbfgs.
    fit_intercept : whether scores have an intercept, which is never penalised.
    standardize : penalise the weights of columns scaled to unit variance.
    tol : the largest |∂F| entry at which a fit counts as converged, default 1e-7, and where every column is smaller
        than 0.01 so much less; for kinked losses the relative duality gap, default 1e-4, and 1e-8 for small float64
        problems (n·d·k up to 2²⁰). Without a tol hinges of n·d·k² up to 2³⁰ go on towards 1e-8, and lbfgs until
        ‖W − W*‖ is a thousandth of ‖W‖, for as many passes again at most.
    max_iter : iterations (epochs for sgd); None: the solver's own limit.
    learning_rate : step size of gd and sgd; gd also takes "1/L" and "backtracking".
    momentum, nesterov, batch_size, schedule, averaging, patience : see solvers.SGD.
    class_weight : None, "balanced" or {class: weight}; of rows that are held out as well.
    warm_start : begin from the previous coef_ and intercept_.
    random_state : seed of the shuffling.
    callback : called with every row of the trace as a dict; return True to stop. By dual in between as well, with the
        last row and the passes and seconds until then.

    Attributes
    ----------
    coef_ (k, d), intercept_ (k,), classes_ (k,), n_iter_, trace_ (records.Trace), status_ (records.Status),
    converged_ (the tolerance was certified in float64), certificate_ (records.Certificate), solver_, alpha_,
    learning_rate_ (of gd and sgd, the largest where it falls; else None), path_ (RegularizationPath, with
    alpha="auto").

    Raises
    ------
    UsageError : options that do not fit. DataError : X or y is not what a classifier needs. Both are ValueErrors.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = LinearClassifier("squared_hinge", alpha=0.1).fit(X[:1000], y[:1000])
    >>> clf.solver_, clf.status_.value, clf.certificate_.gap < 1e-6
    ('lbfgs', 'the tolerance was reached', True)
    >>> clf.predict(X[1000:1004]), y[1000:1004]
    (array([1, 4, 0, 5]), array([1, 4, 0, 5]))
    """

    _directions = None  # `Shared` with other fits, whose first rows are the same: the basis of their curvature models

    def __init__(
        self,
        loss="cross_entropy",
        *,
        penalty="l2",
        alpha=1e-4,
        l1_ratio=0.5,
        margin=1.0,
        solver="auto",
        fit_intercept=True,
        standardize=False,
        tol=None,
        max_iter=None,
        learning_rate=None,
        momentum=None,
        nesterov=False,
        batch_size=32,
        schedule="cosine",
        averaging=False,
        patience=None,
        class_weight=None,
        warm_start=False,
        random_state=None,
        callback=None,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.margin = margin
        self.solver = solver
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.nesterov = nesterov
        self.batch_size = batch_size
        self.schedule = schedule
        self.averaging = averaging
        self.patience = patience
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.callback = callback

    # ── fitting ───────────────────────────────────────────────────────────────────────────────────
    def fit(self, X, y, sample_weight=None, X_valid=None, y_valid=None):
        """Minimise F on X (n, d), y (n,), weights (n,). X_valid (m, d), y_valid (m,) add their loss and accuracy to
        `trace_`, choose the strength where alpha="auto", and are what `patience` watches; they are never fitted.

        What is held out is judged by what is minimised: in loss and accuracy its rows count by class_weight, "balanced"
        being so on the rows fitted, and those that alpha="auto" holds out by sample_weight, too.

        Ctrl-C sets every attribute to the best parameters so far, then raises KeyboardInterrupt. A fit that fails, is
        refused or has no parameters yet leaves every attribute as it was.
        """
        with whole_or_nothing(self), ExitStack() as held_open:
            solver = self._make_solver()
            objective = self._objective(X, y, sample_weight)
            held_open.enter_context(objective.design.session())  # one for the solver and what is proven
            check_passes(objective.design, self.loss, self.penalty, self.solver_)
            for name in ("_calls", "path_"):  # of other fits
                self.__dict__.pop(name, None)
            self._check_valid(X_valid, y_valid)
            held = None if X_valid is None else self._held_out(objective, X_valid, y_valid, sample_weight)
            monitor = None if held is None else _monitor(held)
            objective = replace(objective, watch=held is not None)  # training accuracy is then counted as well
            theta, solution = self._start(objective), None
            if self._directions is not None and (basis := self._directions.basis) is not None:
                objective.shared.basis = basis.of(objective.design, basis.rows)
            if self.alpha == "auto" and objective.alpha:
                objective, theta, solution = self._choose_alpha(objective, held)
            goal = Goal.of(self, objective)
            solver = goal.given(solver)
            if solution is None and self.solver_ == "lbfgs":
                solution = by_lbfgs(solver, objective, theta, self.callback, monitor)
            elif solution is None:
                solution = solver(objective, theta, self.callback, monitor)
            self._finish(objective, solution, goal)
        if self.status_ is Status.INTERRUPTED:
            raise KeyboardInterrupt
        return self

    def _check_valid(self, X_valid: Any, y_valid: Any) -> None:
        if (X_valid is None) != (y_valid is None):
            raise UsageError("X_valid and y_valid come together: rows and their labels; found one of the two.")
        if self.patience is not None and X_valid is None:
            raise UsageError("patience watches the validation loss: pass X_valid and y_valid to fit, or patience=None.")

    def _make_solver(self) -> Any:
        loss = self.loss
        check_combination(loss, self.penalty, self.solver)
        self.solver_ = choose_solver(loss, self.penalty) if self.solver == "auto" else self.solver
        check_options(self, self.solver_)
        kind = SOLVERS[self.solver_]
        options = {name: getattr(self, name) for name in SHARED_OPTIONS if name in kind.__dataclass_fields__}
        if self.solver_ == "sgd":
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            options |= {"seed": seed, "patience": self.patience}
        return kind(**{name: value for name, value in options.items() if value is not None})

    def _objective(self, X: Any, y: Any, sample_weight: Any = None) -> Objective:
        """The problem that `fit` solves: validated rows, encoded labels, weights; sets classes_."""
        X, y = checked_pair(self, X, y)
        X, y, sample_weight = without_absent(X, y, checked_weights(sample_weight, X))
        self.classes_, codes = np.unique(y, return_inverse=True)
        k = len(self.classes_)
        if k < 2:
            raise DataError(
                f"A classifier needs rows of at least two classes; found one class only: {self.classes_[0]}."
            )
        weights = combine_weights(codes, sample_weight, self.class_weight, self.classes_)
        design = design_of(X, intercept=bool(self.fit_intercept)).fitted(weights, bool(self.standardize))
        if self.standardize:
            check_drowned(X, np.asarray(design.scale), design.intercept)
        else:
            check_scale(X, np.sqrt(np.asarray(design.energy)), tolerance(self))
        return self._problem(design, codes, k, weights)

    def _problem(self, design: Any, codes: np.ndarray, k: int, weights: np.ndarray | None) -> Objective:
        """F on these rows; alpha="auto" counts as 1 until the path has chosen."""
        loss, penalty = make_loss(self.loss, self.margin), make_penalty(self.penalty, self.l1_ratio)
        alpha = 0.0 if self.penalty == "none" else 1.0 if self.alpha == "auto" else float(self.alpha)
        return Objective(design, codes, k, loss, penalty, alpha, weights)

    def _start(self, objective: Objective) -> np.ndarray:
        if not (self.warm_start and hasattr(self, "coef_")):
            return objective.start()
        if self.coef_.shape != (objective.k, objective.design.d):
            raise DataError(
                f"warm_start continues from {self.coef_.shape[0]} classes and {self.coef_.shape[1]} features; found "
                f"{objective.k} and {objective.design.d}. Fit with warm_start=False first."
            )
        return self._theta(objective)

    def _theta(self, objective: Objective) -> np.ndarray:
        """The weights as θ in the objective's columns, (d+1, k) float64."""
        return objective.design.from_stored(np.vstack([self.coef_.T, self.intercept_]).astype(np.float64, order="C"))

    def _keep(self, objective: Objective, theta: np.ndarray, kind: Any) -> None:
        """The other way round, in numbers of this type."""
        stored = objective.design.stored(theta).astype(kind)
        self.coef_, self.intercept_ = np.ascontiguousarray(stored[:-1].T), stored[-1].copy()

    def _held_out(self, objective: Objective, X: Any, y: Any, sample_weight: Any = None) -> Objective:
        """These rows, judged with the class weights of the fit to rows with those weights."""
        X, y = checked_pair(self, X, y, reset=False)
        codes = codes_of(y, self.classes_, "y_valid has classes that y lacks")
        weights = None
        if self.class_weight is not None:
            own = present_weights(sample_weight, objective.n)
            weights = weights_of_classes(self.class_weight, self.classes_, objective.y, own)[codes]
        return held_out(objective, X, codes, weights)

    def _choose_alpha(
        self, objective: Objective, held: Objective | None
    ) -> tuple[Objective, np.ndarray, Solution | None]:
        """alpha="auto": by X_valid; else least squares by leaving each row out, others by one row in seven. The problem
        with that strength, θ to begin from, and where Ctrl-C ended the search, the best so far as what was found."""
        watching = replace(objective, watch=True)
        if held is None and self.loss == "squared" and self.penalty == "l2" and solvable(objective):
            self.path_ = RegularizationPath.of(objective, self.classes_)
            follow_leaving_one_out(self.path_, watching, None, certificates=False)
            return self._chosen(objective)
        seed = check_random_state(self.random_state).randint(2**31 - 1) if self.random_state is not None else 0
        train, judge = (watching, held) if held is not None else hold_out(watching, seed)
        self.path_ = RegularizationPath.of(objective, self.classes_)
        try:
            follow(self.path_, train, [(train, judge)], None, certificates=False)
        except KeyboardInterrupt:
            if not self.path_.points:
                raise
            chosen, theta, _ = self._chosen(objective)
            return chosen, theta, Solution(chosen.at(theta), Status.INTERRUPTED, np.inf, Trace(), 0)
        return self._chosen(objective)

    def _chosen(self, objective: Objective) -> tuple[Objective, np.ndarray, None]:
        point = self.path_.points[self.path_.index_]
        return replace(objective, alpha=point.alpha), objective.design.from_stored(point.theta), None

    def _finish(self, objective: Objective, solution: Solution, goal: Goal) -> None:
        self.trace_, self.status_, self.n_iter_ = solution.trace, solution.status, max(1, solution.iterations)
        self.alpha_, self.learning_rate_ = objective.alpha, solution.extras.get("learning_rate")
        if self._directions is not None and not objective.design.apart:
            self._directions.keep(objective.shared)
        objective.shared.basis = solution.extras["model"] = None  # certificates need their room, and no curvature model
        kind, proof = np.float32 if objective.design.dtype == np.float32 else np.float64, None
        self._keep(objective, solution.point.theta, kind)
        try:
            most = goal.aim if kind is np.float32 and goal.within(solution) else np.inf
            returned = self._prove(objective, solution, goal, most)
            if self.certificate_.residual > most or goal.rounded(self.certificate_, solution.point):
                self._keep(objective, solution.point.theta, np.float64)  # the optimum within tol has more digits
                returned = self._prove(objective, solution, goal)
            proof = self._separation(objective, returned)
        except KeyboardInterrupt:  # the weights are kept, with nothing proven
            self.status_, self.certificate_, self._reach = Status.INTERRUPTED, None, None
        if proof is not None and objective.loss.proper:
            self.status_ = Status.UNBOUNDED
        certified = self.certificate_ is not None and self.certificate_.certified
        self.converged_ = certified and self.status_ is not Status.UNBOUNDED
        self.status_ = goal.status(self.status_, self.converged_)
        self._warn(proof, objective)

    def _prove(self, objective: Objective, solution: Solution, goal: Goal, most: float = np.inf) -> np.ndarray:
        """What is proven of the weights, rounding included, and where the residual is at most `most` of rows; θ as it
        is returned."""
        returned = self._theta(objective)
        multipliers = solution.extras.get("multipliers")
        self.certificate_, self._reach = prove(objective, returned, goal.tol, multipliers, most=most)
        return returned

    def _separation(self, objective: Objective, theta: np.ndarray) -> Any:
        """What proves that only a penalty would bound the weights; None: nothing does, or there is a penalty."""
        if objective.alpha or self.loss == "squared" or self.status_ in (Status.INTERRUPTED, Status.DIVERGED):
            return None
        return separation.separated(objective, theta, every_class=self.status_ is Status.UNBOUNDED)

    def _warn(self, proof: Any, objective: Objective) -> None:
        if proof is not None:
            text = separation.sentence(proof, self.classes_, finite=not LOSSES[self.loss].proper)
            warnings.warn(text, DataWarning, stacklevel=4)
        elif not self.converged_ and self._unexpected():
            c, steps = self.certificate_, 0 if self.max_iter == 0 else self.n_iter_
            after = f"{steps} iteration{'' if steps == 1 else 's'} of {self.solver_}"
            warnings.warn(
                f"Not converged after {after}: the residual is {c.residual:.2e}, "
                f"tol is {c.tolerance:g}; {sentence(c)}. Likely cause: {self.status_.value}."
                + unlike_columns(np.asarray(objective.design.energy))
                * (self.status_ is Status.MAX_ITER),
                ConvergenceWarning,
                stacklevel=4,
            )

    def _unexpected(self) -> bool:
        """Whether it is news that the fit has not converged: sgd never does, but it shall not diverge."""
        return self.status_ is Status.DIVERGED or (self.status_ is not Status.INTERRUPTED and self.solver_ != "sgd")

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One pass of mini-batch steps over X (n, d), y (n,); `classes` names all classes at the first call."""
        from .partial import partial_fit

        return partial_fit(self, X, y, classes, sample_weight)

    # ── using ─────────────────────────────────────────────────────────────────────────────────────
    def _scores(self, X: Any, labels: bool = False) -> np.ndarray:
        """Scores (n, k), or the number of the class of the highest, (n,), found where the rows are."""
        check_is_fitted(self)
        return scores(checked_rows(self, X), self.coef_, self.intercept_, labels)

    def decision_function(self, X):
        """Scores (n, k); for two classes (n,), the second class's score less the first's, as scikit-learn has it."""
        s = self._scores(X)
        return s[:, 1] - s[:, 0] if len(self.classes_) == 2 else s

    def predict(self, X):
        """The class of the highest score for every row, (n,)."""
        labels = self._scores(X, labels=True)
        return self.classes_[labels]

    def undecided(self, X):
        """Which predictions of these rows could be others at the exact optimum of F, (n,) bool: True where nothing
        rules it out. Their number is its sum, their places its flatnonzero; proof: certificate/reach.py.

        Every row is undecided without an L2 part in the penalty, after `partial_fit`, and, with an intercept, of more
        than 512 classes.
        """
        labels = self._scores(X, labels=True)
        reach = getattr(self, "_reach", None)
        if reach is None:
            return np.ones(len(labels), dtype=bool)
        return reach.undecided(checked_rows(self, X), self.coef_, self.intercept_, labels)

    def _proper(self) -> bool:
        if LOSSES[self.loss].proper:
            return True
        raise AttributeError(
            f"{self.loss} has scores, not probabilities: it is no proper scoring rule. Use decision_function, "
            "or loss='cross_entropy' or 'logistic'."
        )

    @available_if(_proper)
    def predict_proba(self, X):
        """Probabilities (n, k) in the order of classes_; only for proper losses (cross_entropy, logistic)."""
        return make_loss(self.loss).probabilities(self._scores(X))

    @available_if(_proper)
    def predict_log_proba(self, X):
        """log of predict_proba, (n, k), from the scores: finite also where a probability is too small a number."""
        return make_loss(self.loss).log_probabilities(self._scores(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _monitor(held: Objective) -> Any:
    """Validation numbers for the trace."""

    def monitor(theta: np.ndarray) -> dict[str, Any]:
        loss, accuracy = held.judge(theta)
        return {"valid_loss": loss, "valid_accuracy": accuracy}

    return monitor
