r"""
Logistic regression
===================

For two classes one score :math:`a` is enough: :math:`P(1\,|\,x) = \sigma(a) = 1/(1 + e^{-a})`. The loss is the
cross-entropy again, minus the log of the true class's probability: :math:`\log(1 + e^{-a})` for class 1,
:math:`\log(1 + e^{a})` for the other. With more classes there is one classifier for each, against all the rest; their
probabilities are divided by their sum. With two classes softmax is logistic regression on the difference of the two scores.
"""

import numpy as np
from sklearn.datasets import load_digits

from linearhead import LogisticClassifier, SoftmaxClassifier
from linearhead.charts import Series, line_chart

X, y = load_digits(return_X_y=True)
for model in (LogisticClassifier(alpha=1e-3), SoftmaxClassifier(alpha=1e-3)):
    model.fit(X[:1000], y[:1000])
    print(type(model).__name__, f"{np.mean(model.predict(X[1000:]) == y[1000:]):.1%}")
a = np.linspace(-6, 6, 200)
line_chart([Series("σ(a)", a, 1 / (1 + np.exp(-a)))], title="From a score to a probability", x_label="score a")

# %%
# **Exercise.** Softmax of the two scores (a, 0): the same as σ(a)? Think first; the answer below is checked when this
# page is built.
from linearhead.losses import CrossEntropy

answer = 1 / (1 + np.exp(-1.7))
assert np.isclose(CrossEntropy().probabilities(np.array([[1.7, 0.0]]))[0, 0], answer)
print(f"yes: {answer:.4f}")
