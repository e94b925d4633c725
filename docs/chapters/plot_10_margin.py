r"""
The hinge family and the margin classifier, solved
==================================================

Scores need not be probabilities. The hinge asks that the label's score lead every other one by a margin
:math:`\Delta`: :math:`\ell = \sum_{j \ne \text{label}} \max(0,\, a_j - a_{\text{label}} + \Delta)` (sum form, Weston and
Watkins); the max form (Crammer and Singer) takes the worst offender only; the squared hinge squares each term. A label
that leads by the margin costs nothing at all; the logistic loss always asks for a little more. The certificate below
proves, after the fit, how far :math:`F` can be from its lowest value. The margin classifier is the lecture's assignment:
``linearhead course new homework`` writes it, ``linearhead course check homework`` grades it.
"""

import numpy as np
from sklearn.datasets import load_digits

from linearhead import MarginClassifier
from linearhead.charts import Series, line_chart
from linearhead.course import reference  # the assignment, solved in plain NumPy
from linearhead.losses import Hinge

scores = np.array([[4.3, -1.3, 1.1], [0.5, 5.6, -4.2], [3.3, 3.5, 1.1], [1.1, -5.3, -9.4]])
labels = np.array([0, 1, 0, 2])
print("the lecture's four pictures lose", Hinge(margin=1.0).value(scores, labels).round(2))
assert np.isclose(reference.margin_loss(scores, labels, 1.0), Hinge(margin=1.0).value(scores, labels).mean())

X, y = load_digits(return_X_y=True)
model = MarginClassifier(alpha=1e-2).fit(X[:1000] / 16, y[:1000])
print(
    f"accuracy {np.mean(model.predict(X[1000:] / 16) == y[1000:]):.1%}; {model.certificate_.value:.4f} is F, "
    f"at most {model.certificate_.gap:.1e} above the optimum"
)
z = np.linspace(-2, 3, 200)
line_chart(
    [
        Series("hinge", z, np.maximum(0, 1 - z), "line", 0),
        Series("squared hinge", z, np.maximum(0, 1 - z) ** 2, "line", 1),
        Series("logistic", z, np.log1p(np.exp(-z)), "line", 2),
    ],
    title="Losses of a lead",
    x_label="lead of the label",
)

# %%
# **Exercise.** Untrained, all scores are 0. What does the sum form lose with ten classes and a margin of 1? Think
# first; the answer below is checked when this page is built.
answer = 10 - 1
assert Hinge(margin=1.0).value(np.zeros((1, 10)), np.array([3]))[0] == answer
print(answer)
