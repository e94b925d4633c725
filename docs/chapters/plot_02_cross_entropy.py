r"""
Cross-entropy: the quantity to make small
=========================================

How wrong is a prediction? The cross-entropy asks only for the probability that the true label got:
:math:`\ell = -\sum_j y_j \log \hat y_j = -\log \hat y_{\text{label}}`, averaged over the data. A sure, right answer
costs nothing; a sure, wrong one costs without limit.
"""

import numpy as np

from linearhead.charts import Series, line_chart
from linearhead.losses import CrossEntropy

predictions = np.array([[0.85, 0.10, 0.05], [0.20, 0.70, 0.10], [0.40, 0.45, 0.15], [0.40, 0.25, 0.35]])
labels = np.array([0, 1, 0, 2])  # cat, dog, cat, bear
losses = CrossEntropy().value(np.log(predictions), labels)  # softmax(log p) = p
print("per picture:", losses.round(3), "mean:", losses.mean().round(4))
p = np.linspace(0.01, 1, 100)
line_chart([Series("loss", p, -np.log(p))], title="What a probability costs", x_label="probability of the label")

# %%
# **Exercise.** What is the mean cross-entropy of a classifier of ten classes whose weights are all zero? Think first;
# the answer below is checked when this page is built.
answer = np.log(10)  # every class gets 1/10
assert np.isclose(CrossEntropy().value(np.zeros((1, 10)), np.array([3]))[0], answer)
print(f"ln 10 = {answer:.3f}")
