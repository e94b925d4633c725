r"""
Least squares
=============

The plainest loss compares the scores with one-hot targets (1 for the label, 0 for all others),
:math:`\ell = \frac12\lVert a - y\rVert^2`. Its gradient is linear in :math:`W`, so the optimum, where it is 0, is the
solution of linear equations: :math:`(X^\top X/n + \alpha I)\,W = X^\top Y/n`, the columns of :math:`X` and :math:`Y`
shifted to mean 0. No steps, no learning rate: they are solved once, or, by the eigenvectors of :math:`X^\top X`, for all
penalties at once. It also punishes scores that are *too right*: above 1 for the label costs as much as below.
"""

import numpy as np
from sklearn.datasets import load_digits

from linearhead import LeastSquaresClassifier, SoftmaxClassifier
from linearhead.charts import bar_chart

X, y = load_digits(return_X_y=True)
judged = {}
for model in (LeastSquaresClassifier(alpha=1e-2), SoftmaxClassifier(alpha=1e-2)):
    model.fit(X[:1000], y[:1000])
    judged[type(model).__name__] = float(np.mean(model.predict(X[1000:]) == y[1000:]))
    print(type(model).__name__, model.solver_, f"{judged[type(model).__name__]:.1%}")
bar_chart(list(judged), list(judged.values()), title="Accuracy on scanned digits", limit=1.0)

# %%
# **Exercise.** A label's score of 3 and 0 elsewhere: what do least squares and the hinge lose? Think first; the
# answer below is checked when this page is built.
from linearhead.losses import Hinge, Squared

a, label = np.array([[3.0, 0.0, 0.0]]), np.array([0])
answer = (2.0, 0.0)  # (3 − 1)² / 2, and nothing: the lead exceeds the margin
assert (Squared().value(a, label)[0], Hinge().value(a, label)[0]) == answer
print(answer)
