"""The lecture's classifiers by name: `LinearClassifier` with its loss fixed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .linear import LinearClassifier


def _with(defaults: dict[str, Any], without: tuple[str, ...]) -> Callable[[type], type]:
    """Give a subclass `LinearClassifier`'s constructor with other defaults and without some options.

    The signature is what scikit-learn reads for get_params and clone, so it is written out for `inspect`.
    """

    def decorate(cls: type) -> type:
        options = list(inspect.signature(LinearClassifier.__init__).parameters.values())
        kept = [p.replace(default=defaults.get(p.name, p.default)) for p in options if p.name not in without]
        own, keyword = [kept[0]], [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept[1:]]
        signature = inspect.Signature(own + keyword)

        def __init__(self, *unnamed, **given):
            try:
                bound = signature.bind(self, *unnamed, **given)
            except TypeError as error:
                raise TypeError(
                    f"{cls.__name__}: {error}. Its options, all by name: {', '.join(p.name for p in keyword)}. "
                    "C of scikit-learn is alpha = 1/(C n), for n training rows."
                ) from None
            bound.apply_defaults()
            LinearClassifier.__init__(self, **(defaults | dict(list(bound.arguments.items())[1:])))

        __init__.__signature__ = signature  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[misc]
        return cls

    return decorate


@_with({"loss": "cross_entropy"}, without=("loss", "margin"))
class SoftmaxClassifier(LinearClassifier):
    """The lecture's softmax classifier: ŷ = softmax(W x + b), cross-entropy, L2 by default. See LinearClassifier.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = SoftmaxClassifier(alpha=0.1).fit(X[:1000], y[:1000])
    >>> clf.converged_, clf.coef_.shape, clf.score(X[1000:], y[1000:]) > 0.9
    (True, (10, 64), True)
    >>> print(clf.predict_proba(X[1000:1001]).round(2))
    [[0.   0.88 0.03 0.09 0.   0.   0.   0.   0.   0.  ]]
    """


@_with({"loss": "logistic"}, without=("loss", "margin"))
class LogisticClassifier(LinearClassifier):
    """One logistic regression per class against the rest, probabilities normalised. See LinearClassifier.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = LogisticClassifier(alpha="auto").fit(X[:1000], y[:1000])  # chosen on held-out rows
    >>> len(clf.path_.alphas) > 5, clf.alpha_ > 0, clf.score(X[1000:], y[1000:]) > 0.9
    (True, True, True)
    """


@_with({"loss": "hinge"}, without=())
class MarginClassifier(LinearClassifier):
    """The linear margin classifier: loss is "hinge" (sum form), "crammer_singer" (max form) or "squared_hinge".

    Scores, not probabilities. See LinearClassifier.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MarginClassifier(loss="crammer_singer", alpha=0.1).fit(X[:500], y[:500])
    >>> clf.decision_function(X[1000:]).shape, hasattr(clf, "predict_proba")
    ((797, 10), False)
    """

    def _make_solver(self) -> Any:
        from ..errors import UsageError

        forms = ("hinge", "crammer_singer", "squared_hinge")
        if self.loss not in forms:
            raise UsageError(f"MarginClassifier's loss is one of {', '.join(forms)}; found {self.loss!r}.")
        return super()._make_solver()


@_with({"loss": "squared"}, without=("loss", "margin"))
class LeastSquaresClassifier(LinearClassifier):
    """Least squares on one-hot targets, by default in closed form. See LinearClassifier.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = LeastSquaresClassifier(alpha=0.1).fit(X[:1000], y[:1000])
    >>> clf.solver_, clf.score(X[1000:], y[1000:]) > 0.85
    ('closed_form', True)
    """
