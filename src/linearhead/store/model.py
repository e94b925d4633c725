"""What a trained classifier is once training is over: scores S = X Wᵀ + b on raw features, W (k, d), b (k,)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, UsageError
from ..losses import LOSSES
from ..trust.conformal import Conformal

if TYPE_CHECKING:
    from ..features import Extractor
    from ..images import Preprocessing
    from ..trust import Novelty


@dataclass(eq=False)
class Model:
    """A classifier and all that turns a picture into its features.

    The standardisation is folded into `coef` and `intercept`; `mean` and `scale` (d,) record it. `facts` is what else
    is worth remembering, as plain JSON. Trained on feature rows, it has neither `preprocessing` nor `extractor`.
    """

    classes: list[str]
    coef: np.ndarray  # (k, d) float32 or float64
    intercept: np.ndarray  # (k,)
    preprocessing: Preprocessing | None
    extractor: Extractor | None
    loss: str
    facts: dict[str, Any] = field(default_factory=dict)
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    novelty: Novelty | None = None

    @property
    def temperature(self) -> float:
        """What scores are divided by before they become probabilities; 1 where nothing was calibrated."""
        return float((self.facts.get("trust") or {}).get("temperature") or 1.0)

    @property
    def conformal(self) -> Conformal | None:
        """What turns scores into sets of labels; None where nothing was calibrated."""
        kept = (self.facts.get("trust") or {}).get("strangeness")
        return Conformal(int(kept["n"]), tuple(kept["kept"])) if kept else None

    @property
    def dimension(self) -> int:
        """Features per row, d."""
        return self.coef.shape[1]

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, c), as `images.decode` makes them with this model's preprocessing → float32 (n, d)."""
        if self.extractor is None or self.preprocessing is None:
            raise UsageError("This model was trained on feature rows, not on pictures; call scores with such rows.")
        needed = self.preprocessing.shape
        dtype, shape = getattr(pictures, "dtype", type(pictures).__name__), np.shape(pictures)
        if dtype != np.uint8 or len(shape) != 4 or shape[1:] != needed:
            raise DataError(
                f"This model needs pictures as uint8 (n, {', '.join(map(str, needed))}); found {dtype} {shape}. "
                "Decode them with the model's own preprocessing."
            )
        return self.extractor.transform(pictures)

    def scores(self, X: Any) -> np.ndarray:
        """(n, d) features, an array or a SciPy sparse matrix → (n, k); DataError names the first bad row."""
        X = X if hasattr(X, "tocsr") else np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.dimension or X.dtype.kind not in "fiub":
            raise DataError(f"This model needs features as real (n, {self.dimension}); found {X.dtype} {X.shape}.")
        with np.errstate(over="ignore", invalid="ignore"):  # told below, with the place
            s = X @ self.coef.T + self.intercept
        finite = np.isfinite(s).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            values = X.tocsr()[[row]].toarray()[0] if hasattr(X, "tocsr") else X[row]
            column = int(np.argmax(np.where(np.isnan(values), np.inf, np.abs(values))))
            raise DataError(f"Row {row} has no finite scores: its feature {column} is {values[column]}. Leave it out.")
        return s

    def probabilities(self, scores: np.ndarray) -> np.ndarray | None:
        """(n, k) scores → (n, k) rows that sum to 1, or None where the loss estimates no probabilities."""
        t = self.temperature
        return LOSSES[self.loss]().probabilities(scores if t == 1.0 else scores / scores.dtype.type(t))

    def label_sets(self, scores: np.ndarray, coverage: float) -> np.ndarray:
        """(n, k) scores → bool (n, k), sets that hold the true label in a share `coverage` of pictures like those that
        the model was made of."""
        conformal = self.conformal
        if conformal is None:
            raise UsageError("This model cannot promise a coverage: no pictures calibrated it. Train it again.")
        return conformal.sets(scores, self.probabilities(scores), coverage)

    def predict(self, X: Any) -> np.ndarray:
        """(n, d) features → (n,) class names, each of the highest score (the first of equals)."""
        return np.array(self.classes, dtype=object)[np.argmax(self.scores(X), axis=1)]

    def check(self) -> None:
        """DataError with the first part that does not fit the others."""
        names = self.classes
        if not (isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)):
            raise DataError("The class names must be a list of texts, none empty.")
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            raise DataError(f"The class names must differ; {name[:80]!r} stands there {times} times.")
        if not isinstance(self.loss, str) or self.loss not in LOSSES:
            raise DataError(f"The loss {str(self.loss)[:80]!r} is not known here; known are {', '.join(LOSSES)}.")
        if not isinstance(self.facts, dict):
            raise DataError(f"The facts must be a dict; found {type(self.facts).__name__}.")
        self._check_numbers()
        self._check_extractor()
        self._check_trust()

    def _check_trust(self) -> None:
        trust = self.facts.get("trust") or {}
        t = trust.get("temperature") if isinstance(trust, dict) else "none"
        if not (t is None or (isinstance(t, (int, float)) and 1e-3 < t < 1e3)):
            raise DataError(f"The temperature must be a number above 0; found {str(t)[:80]}.")
        kept = trust.get("strangeness")
        if kept is not None and not (
            isinstance(kept, dict)
            and isinstance(kept.get("n"), int)
            and isinstance(kept.get("kept"), list)
            and len(kept["kept"]) <= max(kept["n"], 0)
            and all(isinstance(a, (int, float)) for a in kept["kept"])
        ):
            raise DataError("The order statistics of the calibration must be a list of numbers.")

    def _check_numbers(self) -> None:
        k, d = len(self.classes), np.shape(self.coef)[-1] if np.ndim(self.coef) else 0
        _check_array("coef", self.coef, (k, d))
        _check_array("intercept", self.intercept, (k,))
        if (self.mean is None) != (self.scale is None):
            raise DataError("mean and scale belong together; found one of them.")
        if self.mean is not None:
            _check_array("mean", self.mean, (d,))
            _check_array("scale", self.scale, (d,))

    def _check_extractor(self) -> None:
        if (self.preprocessing is None) != (self.extractor is None):
            raise DataError("preprocessing and extractor belong together; found one of them.")
        if self.preprocessing is not None and self.extractor is not None:
            shape = self.preprocessing.shape
            if self.extractor.picture not in (None, shape):
                raise DataError(f"The pictures are {shape}, but the extractor is for {self.extractor.picture}.")
            made = self.extractor.dimension(*shape)
            if made != self.dimension:
                raise DataError(f"The extractor makes {made} features, but coef has {self.dimension} columns.")


def _check_array(name: str, array: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        found = getattr(array, "dtype", type(array).__name__)
        raise DataError(f"{name} must be a float32 or float64 array; found {found}.")
    if array.shape != shape or 0 in shape:
        raise DataError(f"{name} must have the shape {shape} (classes, features); found {array.shape}.")
    if not np.isfinite(array).all():
        raise DataError(f"{name} has {np.sum(~np.isfinite(array))} values that are no finite numbers.")
