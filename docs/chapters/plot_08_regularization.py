r"""
Regularization: paying for large weights
========================================

Add :math:`\frac{\alpha}{2}\lVert W\rVert^2` to the mean loss (L2); the intercept is not penalised. Large weights must
now earn their price. L1, :math:`\alpha\sum|W|`, makes many weights exactly zero; the elastic net mixes both. How large
should :math:`\alpha` be? Ask the validation set: with ``alpha="auto"`` one value after the other is fitted, each starting
from the weights of the one before (the *path*), until no further value can win. The one with the best validation
accuracy is kept.
"""

import numpy as np
from sklearn.datasets import load_digits

from linearhead import SoftmaxClassifier

X, y = load_digits(return_X_y=True)
X = X / 16 + 0.3 * np.random.default_rng(0).normal(size=X.shape)  # noisy pictures
model = SoftmaxClassifier(alpha="auto").fit(X[:500], y[:500], X_valid=X[500:1000], y_valid=y[500:1000])
print(
    f"chosen alpha {model.alpha_:.3g}, accuracy on untouched pictures {np.mean(model.predict(X[1000:]) == y[1000:]):.1%}"
)
model.path_.plot()

# %%
# **Exercise.** With alpha growing without bound, what do all probabilities become? Think first; the answer below is
# checked when this page is built.
strong = SoftmaxClassifier(alpha=1e6).fit(X[:500], y[:500])
answer = np.bincount(y[:500]) / 500  # W is 0, and the free intercept gives each class its share
assert np.allclose(strong.predict_proba(X[:1])[0], answer, atol=1e-4)
print(answer.round(3))
