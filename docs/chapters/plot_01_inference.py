r"""
Inference: scores, probabilities, a label
=========================================

A picture becomes a vector of features :math:`x`. Each class has a row of weights and an intercept; its score is
:math:`a_j = w_j^\top x + b_j`. The softmax makes probabilities of scores,

.. math:: \hat y_j = \frac{\exp(a_j - m)}{\sum_k \exp(a_k - m)}, \qquad m = \max_k a_k,

the label is the class of the largest one, the confidence its probability. The maximum :math:`m` is each row's own: it
changes nothing in exact arithmetic and keeps ``exp`` from overflowing.
"""

import numpy as np

from linearhead.charts import bar_chart
from linearhead.losses import CrossEntropy

classes = ["cat", "dog", "bear"]
a = np.array([[3.2, 1.1, -0.4]])  # scores of one picture
p = CrossEntropy().probabilities(a)
print(f"label: {classes[p.argmax()]}, confidence {p.max():.3f}")
bar_chart(classes, p[0].tolist(), title="Probabilities of one picture")

# %%
# **Exercise.** Add 1000 to every score of the picture. What happens to the probability of *cat*? Think first; the
# answer below is checked when this page is built.
answer = p[0, 0]  # nothing: only differences of scores count
assert np.isclose(CrossEntropy().probabilities(a + 1000)[0, 0], answer)
print(f"still {answer:.3f}")
