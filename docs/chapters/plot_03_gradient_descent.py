r"""
Gradient descent: w = 12, 10, 8 …
=================================

The slope says which way is up; a step goes the other way, :math:`w \leftarrow w - \eta\, dL/dw`. In the lecture's
picture the descent starts at :math:`w = 12`, where the slope is 6; with :math:`\eta = 1/3` it visits 10, 8, 6 … The
curve below is a bowl around its lowest point, 2, with straight walls of slope 6, as in that picture. In many dimensions
nothing changes: :math:`W \leftarrow W - \eta\,\partial L/\partial W`, the same for :math:`b`.
"""

import numpy as np
from sklearn.datasets import load_digits

from linearhead import SoftmaxClassifier
from linearhead.charts import Series, line_chart, trace_chart

# dL/dw: −6 on the left wall, 6 on the right one, in between it grows evenly from one to the other
slope = lambda w: 6 * np.clip((w - 2) / 2, -1, 1)
visited = [12.0]
for _ in range(5):
    w = visited[-1]
    print(f"w = {w:4.1f}, dL/dw = {slope(w):.1f}")
    visited.append(w - slope(w) / 3)

loss = lambda w: np.where(np.abs(w - 2) <= 2, 1.5 * (w - 2) ** 2, 6 * (np.abs(w - 2) - 1))
w = np.linspace(-3, 13, 161)
curve = Series("L(w)", w, loss(w), "line", 0)
line_chart([curve, Series("steps", visited, loss(np.array(visited)), "marked", 1)], title="Down the curve", x_label="w")

# %%
# The same on pictures. One batch of all rows is gradient descent; the loss of every epoch is kept in ``trace_``, "useful
# to see if this is becoming smaller or not". A constant ``schedule`` keeps the learning rate as it is.
X, y = load_digits(return_X_y=True)
steps = SoftmaxClassifier(solver="sgd", batch_size=len(y), learning_rate=0.02, schedule="constant", max_iter=60)
steps.fit(X, y)  # one batch of all rows: gradient descent
trace_chart(steps.trace_, title="Loss of full-batch steps on scanned digits")

# %%
# **Exercise.** A step that is too long: on L(w) = 3 w² / 2, from w = 1, does a learning rate of 0.7 still descend?
# Think first; the answer below is checked when this page is built.
w = 1.0
for _ in range(5):
    w -= 0.7 * 3 * w
answer = abs(w) > 1  # no: each step takes w to (1 − 0.7 · 3) w = −1.1 w; the rate must stay below 2/3
assert answer
print(f"|w| has grown to {abs(w):.2f}")
