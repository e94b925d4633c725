"""What a classifier may be believed: calibrated confidence, sets of labels, when to be silent, what is unlike all
that was seen. Everything is fitted to scores of pictures that the scoring classifier had not seen, kept in the model
file, and needs NumPy alone at predict time.
"""

from .abstention import answered
from .calibration import fit_temperature, reliability
from .conformal import Conformal
from .novelty import Novelty

__all__ = ["Conformal", "Novelty", "answered", "fit_temperature", "reliability"]
