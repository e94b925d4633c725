"""The assignment: a softmax classifier and a margin classifier, from the formulas alone.

Replace every `raise NotImplementedError` by your own code; NumPy is all you need. Then, in this folder's parent:

    linearhead course check THIS_FOLDER

It runs your functions on small problems, says which of the classical mistakes it sees, and draws them into check.html.

Symbols: X (n, d) one picture per row · y (n,) labels 0..k−1 · W (d, k), b (k,) · scores a = X W + b (n, k).
"""

import numpy as np


# 1 ── probabilities ──────────────────────────────────────────────────────────────────────────────
def softmax(a):
    """Scores (n, k) → probabilities (n, k): ŷ_j = exp(a_j) / Σ_i exp(a_i), each row by itself.

    Scores of 1000 must not overflow, and rows may lie far apart: what may be subtracted from a row, and why?
    """
    raise NotImplementedError("softmax")


# 2 ── the quantity to make small ─────────────────────────────────────────────────────────────────
def cross_entropy(a, y):
    """Scores (n, k), labels (n,) → one number: the mean over the rows of −log ŷ_label."""
    raise NotImplementedError("cross_entropy")


# 3 ── which way is down ──────────────────────────────────────────────────────────────────────────
def gradients(W, b, X, y, alpha):
    """dF/dW (d, k) and dF/db (k,) of F = cross_entropy(X W + b, y) + alpha/2 Σ W².

    By the chain rule ∂ℓ/∂a_j = ŷ_j − 1[j = label]. The intercept b is not penalised.
    """
    raise NotImplementedError("gradients")


# 4 ── learning ───────────────────────────────────────────────────────────────────────────────────
def sgd(W, b, X, y, learning_rate, epochs, batch_size, alpha, seed):
    """Mini-batch gradient descent from W, b; returns the last W and b.

    Every epoch visits every row once, in a new random order from np.random.default_rng(seed), batch by batch (the last
    batch may be smaller): W ← W − learning_rate · dF/dW and the same for b, F on the batch.
    """
    raise NotImplementedError("sgd")


# 5, 6 ── the margin classifier ───────────────────────────────────────────────────────────────────
def margin_loss(a, y, margin):
    """Scores (n, k), labels (n,) → the mean over the rows of Σ_{j ≠ label} max(0, a_j − a_label + margin)."""
    raise NotImplementedError("margin_loss")


def margin_gradients(W, b, X, y, margin):
    """d/dW (d, k) and d/db (k,) of margin_loss(X W + b, y, margin)."""
    raise NotImplementedError("margin_gradients")


# 7 ── choosing and judging ───────────────────────────────────────────────────────────────────────
def fit(X, y, alpha):
    """Given: W, b after thirty epochs from zero."""
    d, k = X.shape[1], int(y.max()) + 1
    return sgd(np.zeros((d, k)), np.zeros(k), X, y, 0.1, 30, 16, alpha, 0)


def accuracy(W, b, X, y):
    """Given: the share of rows whose highest score is their label's."""
    return float(np.mean(np.argmax(X @ W + b, axis=1) == y))


def choose(X_train, y_train, X_valid, y_valid, X_test, y_test, alphas) -> tuple[float, float]:
    """Fit with every one of `alphas`, choose the best, and say how good the chosen classifier will be on new pictures.

    Returns (the chosen alpha, an honest accuracy). Three sets, three roles: which is which?
    """
    raise NotImplementedError("choose")


if __name__ == "__main__":  # python assignment.py: your classifier on real pictures, scanned digits
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    pictures = pictures / 16
    train, valid, test = np.split(np.random.default_rng(0).permutation(len(labels)), [1000, 1400])
    alphas = [1e-4, 1e-3, 1e-2, 1e-1]
    X, y = pictures, labels
    alpha, honest = choose(X[train], y[train], X[valid], y[valid], X[test], y[test], alphas)
    print(f"alpha = {alpha:g}, accuracy on pictures that chose nothing: {honest:.1%}")
