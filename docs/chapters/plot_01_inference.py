r"""
Inference: scores, probabilities, a label
=========================================

A picture becomes a vector of features :math:`x`. Each class has a row of weights and an intercept; its score is
:math:`a_j = w_j^\top x + b_j`. The softmax turns scores into probabilities,

.. math:: \hat y_j = \frac{\exp(a_j - m)}{\sum_k \exp(a_k - m)}, \qquad m = \max_k a_k,

the label is the class with the largest one, and that probability is the confidence. The maximum :math:`m` is each row's
own. It cancels from the fraction, and it keeps ``exp`` from overflowing: ``exp(1000)`` is more than a float can hold.
"""

import numpy as np

from linearhead.charts import bar_chart
from linearhead.losses import CrossEntropy

classes = ["cat", "dog", "bear"]
a = np.array([[3.2, 1.1, -0.4]])  # scores of one picture
p = CrossEntropy().probabilities(a)  # the softmax of each row
e = np.exp(a - a.max(axis=1, keepdims=True))
assert np.allclose(p, e / e.sum(axis=1, keepdims=True))  # the formula above, in two lines
print(f"label: {classes[p.argmax()]}, confidence {p.max():.3f}")
bar_chart(classes, p[0].tolist(), title="Probabilities of one picture")

# %%
# **Exercise.** Add 1000 to every score of the picture. What happens to the probability of *cat*? Think first; the
# answer below is checked when this page is built.
answer = p[0, 0]  # nothing: only differences of scores count
assert np.isclose(CrossEntropy().probabilities(a + 1000)[0, 0], answer)
print(f"still {answer:.3f}")
