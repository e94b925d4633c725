r"""
Analytic gradients, step by step, checked
=========================================

The chain rule in two steps. The loss in the scores: :math:`\partial \ell/\partial a_j = \hat y_j - 1` where :math:`j`
is the label and :math:`\hat y_j` elsewhere, in short :math:`\hat y_j - y_j`. The scores in the weights:
:math:`\partial a_j/\partial w_j = x`, :math:`\partial a_j/\partial b_j = 1`. Together

.. math:: \frac{\partial \ell}{\partial w_j} = (\hat y_j - y_j)\,x, \qquad \frac{\partial \ell}{\partial b_j} = \hat y_j - y_j.

In code all pictures go at once: :math:`X` has a picture a row, :math:`W` a column for each class, so that the scores
are :math:`X W + b` and the gradient is :math:`X^\top(\hat y - y)/n`. (An estimator's ``coef_`` is the transpose of this
:math:`W`, a row for each class.)

Derivations go wrong; central differences, :math:`(F(w + h) - F(w - h)) / 2h`, do not.
:func:`linearhead.testing.check_gradient` compares the two, and says which mistake a wrong one looks like.
"""

import numpy as np

from linearhead.charts import Series, line_chart
from linearhead.testing import check_gradient

rng = np.random.default_rng(0)
X, y = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)


def mine(W, b, X, y):
    a = X @ W + b
    p = np.exp(a - a.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.mean(np.log(p[np.arange(len(y)), y]))
    p[np.arange(len(y)), y] -= 1  # ŷ − y
    return loss, X.T @ p / len(y), p.mean(axis=0)


check = check_gradient(mine, X, y)
x = [e.numerical for e in check.entries]
line_chart([Series("entries", x, [e.analytic for e in check.entries], "points")], title="Analytic against numerical")

# %%
# **Exercise.** Leave the bias out. What does the check say? Think first; the answer below is checked when this page
# is built.
wrong = lambda W, b, X, y: (*mine(W, b, X, y)[:2], np.zeros_like(b))
answer = check_gradient(wrong, X, y, verbose=False).traps
assert answer == ("bias left out",)
print(answer)
