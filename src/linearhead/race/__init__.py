"""The race: the lecture's methods and their successors on the same rows, from θ = 0, the same objective for all.

F = mean loss + α/2 ‖W‖²; F* by preconditioned L-BFGS (hinges: by multipliers) in float64, with its proven gap. A pass
is one read of all rows. Gradient descent steps by 1/L, momentum is 0.9; SGD's rate is the best of several tried on a
sample, its schedule cosine over the whole budget. Finding these rates costs passes which are not charged, nor are the
pass and the time for watching F after each epoch of SGD: whoever loses, loses by no trick of the accounts.
"""

from .entrants import ENTRANTS, entrants
from .picture import charts, page
from .run import Finish, Race, race

__all__ = ["ENTRANTS", "Finish", "Race", "charts", "entrants", "page", "race"]
