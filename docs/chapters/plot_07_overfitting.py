r"""
Under- and overfitting
======================

A polynomial of degree 1 cannot follow a curve (*underfitting*, high bias); one of degree 9 follows the noise of ten
points (*overfitting*, high variance); degree 3 is about right. The least-squares fit minimises
:math:`\sum_i (f(x_i) - t_i)^2` over the points :math:`(x_i, t_i)` it was given, which says nothing of those in between.
Classifiers do the same: many features and few pictures give perfect training accuracy and poor validation accuracy. Put
the two side by side, always.
"""

import numpy as np
from sklearn.datasets import load_digits

from linearhead import SoftmaxClassifier
from linearhead.charts import Series, line_chart

rng = np.random.default_rng(1)
x = np.linspace(0, 1, 10)
t = np.sin(2 * np.pi * x) + 0.2 * rng.normal(size=10)
fine = np.linspace(0, 1, 200)
fits = {d: np.polynomial.Polynomial.fit(x, t, d) for d in (1, 3, 9)}
for d, f in fits.items():
    print(
        f"degree {d}: error on the points {np.abs(f(x) - t).mean():.3f}, off them "
        f"{np.abs(f(fine) - np.sin(2 * np.pi * fine)).mean():.3f}"
    )
lines = [Series(f"degree {d}", fine, np.clip(f(fine), -2, 2), "line", i) for i, (d, f) in enumerate(fits.items())]
line_chart([*lines, Series("data", x, t, "points", 4)], title="Ten noisy points", x_label="x")

# %%
# The same with real pictures: accuracy on the training and on other pictures, as the training pictures grow.
X, y = load_digits(return_X_y=True)
sizes, train, valid = [30, 60, 120, 250, 500, 1000], [], []
for n in sizes:
    model = SoftmaxClassifier(alpha=1e-4).fit(X[:n], y[:n])
    train.append(np.mean(model.predict(X[:n]) == y[:n]))
    valid.append(np.mean(model.predict(X[1000:]) == y[1000:]))
line_chart(
    [Series("training", sizes, train, "marked", 0), Series("validation", sizes, valid, "marked", 1)],
    title="More pictures close the gap",
    x_label="training pictures",
    x_log=True,
    as_percent=True,
)

# %%
# **Exercise.** Which degree has the smallest error between the points? Think first; the answer below is checked when
# this page is built.
answer = min(fits, key=lambda d: np.abs(fits[d](fine) - np.sin(2 * np.pi * fine)).mean())
assert answer == 3
print(f"degree {answer}")
