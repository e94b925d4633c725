"""Right solutions of the assignment in several styles, and wrong ones made from them by small edits.

A solution is a script of seven functions; STYLES[name] holds several right texts of one function. MUTATIONS holds, for
each mistake of the catalogue, (function, text, other text): applied wherever a style contains the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

STYLES: dict[str, list[str]] = {
    "softmax": [
        """def softmax(a):
    m = a.max(axis=1, keepdims=True)
    e = np.exp(a - m)
    return e / e.sum(axis=1, keepdims=True)
""",
        """def softmax(a):
    p = np.zeros(a.shape)
    for i in range(len(a)):
        m = a[i].max()
        row = np.exp(a[i] - m)
        p[i] = row / row.sum()
    return p
""",
        """def softmax(a):
    m = np.max(a, axis=1)[:, None]
    z = a - m
    return np.exp(z - np.log(np.exp(z).sum(axis=1))[:, None])
""",
        """def softmax(a):
    m = a.max(1)
    e = np.exp((a.T - m).T)
    return np.array([row / sum(row) for row in e])
""",
        """def softmax(scores):
    m = np.amax(scores, axis=-1, keepdims=True)
    p = np.exp(scores - m)
    p /= np.sum(p, axis=-1, keepdims=True)
    return p
""",
        """def softmax(a):
    a = np.asarray(a, dtype=np.float32)
    a -= a.max(axis=1, keepdims=True)
    np.exp(a, out=a)
    return a / a.sum(axis=1, keepdims=True)
""",
        """def softmax(a, axis=-1):
    from scipy.special import logsumexp

    return np.exp(a - logsumexp(a, axis=axis, keepdims=True))
""",
    ],
    "cross_entropy": [
        """def cross_entropy(a, y):
    p = softmax(a)
    return -np.mean(np.log(p[np.arange(len(y)), y]))
""",
        """def cross_entropy(a, y):
    total = 0.0
    for row, label in zip(a, y):
        m = row.max()
        total += m + np.log(np.exp(row - m).sum()) - row[label]
    return total / len(y)
""",
        """def cross_entropy(a, y):
    onehot = np.eye(a.shape[1])[y]
    m = a.max(axis=1, keepdims=True)
    logs = a - m - np.log(np.exp(a - m).sum(axis=1, keepdims=True))
    return -(onehot * logs).sum() / len(a)
""",
        """def cross_entropy(a, y):
    losses = [-np.log(softmax(a[i : i + 1])[0, y[i]]) for i in range(len(y))]
    return np.average(losses)
""",
        """def cross_entropy(a, y):
    from scipy.special import log_softmax

    return -np.take_along_axis(log_softmax(a.astype(np.float32), axis=1), y[:, None], axis=1).mean()
""",
        """def cross_entropy(a, y):
    return float(np.mean([-np.log(softmax(row[None])[0, label] + 1e-12) for row, label in zip(a, y)]))
""",
    ],
    "gradients": [
        """def gradients(W, b, X, y, alpha):
    g = softmax(X @ W + b)
    g[np.arange(len(y)), y] -= 1
    g /= len(y)
    return X.T @ g + alpha * W, g.sum(axis=0)
""",
        """def gradients(W, b, X, y, alpha):
    n = len(y)
    dW, db = alpha * W, np.zeros_like(b)
    for x, label in zip(X, y):
        a = x @ W + b
        p = np.exp(a - a.max())
        p = p / p.sum()
        for j in range(len(b)):
            delta = p[j] - (1 if j == label else 0)
            dW[:, j] += delta * x / n
            db[j] += delta / n
    return dW, db
""",
        """def gradients(W, b, X, y, alpha):
    onehot = np.eye(len(b))[y]
    delta = softmax(X @ W + b) - onehot
    dW = np.einsum("nd,nk->dk", X, delta) / len(X)
    db = delta.mean(axis=0)
    dW = dW + alpha * W
    return dW, db
""",
        """def gradients(W, b, X, y, alpha):
    A = np.hstack([X, np.ones((len(X), 1))])
    theta = np.vstack([W, b])
    p = softmax(A @ theta)
    onehot = (y[:, None] == np.arange(len(b))).astype(float)
    dtheta = A.T @ (p - onehot) / len(X)
    dtheta[:-1] += alpha * theta[:-1]
    return dtheta[:-1], dtheta[-1]
""",
        """def gradients(W, b, X, y, alpha):
    delta = softmax(X.dot(W) + b).T.copy()
    delta[y, range(len(y))] -= 1
    return [np.einsum("kn,nd->kd", delta, X).T / X.shape[0] + alpha * W, delta.mean(axis=1)]
""",
        """def gradients(W, b, X, y, alpha):
    W, b, X = (part.astype(np.float32) for part in (W, b, X))
    p = np.exp(X @ W + b)
    p /= p.sum(axis=1, keepdims=True)
    p -= np.eye(len(b), dtype=np.float32)[y]
    return X.T @ p / np.float32(len(y)) + np.float32(alpha) * W, p.mean(axis=0)
""",
    ],
    "sgd": [
        """def sgd(W, b, X, y, learning_rate, epochs, batch_size, alpha, seed):
    rng = np.random.default_rng(seed)
    n = len(y)
    for epoch in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, batch_size):
            rows = order[start : start + batch_size]
            dW, db = gradients(W, b, X[rows], y[rows], alpha)
            W = W - learning_rate * dW
            b = b - learning_rate * db
    return W, b
""",
        """def sgd(W, b, X, y, learning_rate, epochs, batch_size, alpha, seed):
    rng = np.random.default_rng(seed)
    n = len(y)
    for epoch in range(epochs):
        order = np.arange(n)
        rng.shuffle(order)
        X2, y2 = X[order], y[order]
        while len(y2):
            grads = gradients(W, b, X2[:batch_size], y2[:batch_size], alpha)
            W -= learning_rate * grads[0]
            b -= learning_rate * grads[1]
            X2, y2 = X2[batch_size:], y2[batch_size:]
    return W, b
""",
        """def sgd(W, b, X, y, learning_rate, epochs, batch_size, alpha, seed):
    rng = np.random.default_rng(seed)
    n = len(y)
    onehot = np.eye(len(b))[y]
    for epoch in range(epochs):
        order = rng.permutation(n)
        for rows in np.split(order, range(batch_size, n, batch_size)):
            delta = softmax(X[rows] @ W + b) - onehot[rows]
            dW = X[rows].T @ delta / len(rows) + alpha * W
            db = delta.sum(axis=0) / len(rows)
            W = W - learning_rate * dW
            b = b - learning_rate * db
    return W, b
""",
        """def sgd(W, b, X, y, learning_rate, epochs, batch_size, alpha, seed):
    rng = np.random.default_rng(seed)
    n = len(y)
    todo = []
    for _ in range(epochs):
        order = rng.choice(n, n, replace=False)
        todo += [order[i : i + batch_size] for i in range(0, n, batch_size)]
    for rows in todo:
        step = gradients(W, b, X[rows], y[rows], alpha)
        W, b = W - learning_rate * step[0], b - learning_rate * step[1]
    return W, b
""",
        """def sgd(W, b, X, y, learning_rate, epochs, batch_size, alpha, seed):
    rng = np.random.default_rng(seed)
    W, b, X = (part.astype(np.float32) for part in (W, b, X))
    for epoch in range(epochs):
        order = rng.permutation(len(y))
        X[:], y[:] = X[order], y[order]
        for i in range(-(-len(y) // batch_size)):
            rows = slice(i * batch_size, (i + 1) * batch_size)
            dW, db = gradients(W, b, X[rows], y[rows], alpha)
            W -= np.float32(learning_rate) * dW
            b -= np.float32(learning_rate) * db
    return W, b
""",
        """def sgd(W, b, X, y, learning_rate, epochs, batch_size, alpha, seed):
    rng = np.random.default_rng(seed)
    data = np.hstack([X, np.ones((len(X), 1)), y[:, None]])
    theta = np.vstack([W, b])
    for epoch in range(epochs):
        rng.shuffle(data)
        for start in range(0, len(data), batch_size):
            x, label = data[start : start + batch_size, :-1], data[start : start + batch_size, -1].astype(int)
            g = np.exp(x @ theta)
            g /= g.sum(axis=1, keepdims=True)
            g[range(len(x)), label] -= 1
            decay = np.vstack([theta[:-1], 0 * b])
            theta = theta - learning_rate * (x.T @ g / len(x) + alpha * decay)
    return theta[:-1], theta[-1]
""",
    ],
    "margin_loss": [
        """def margin_loss(a, y, margin):
    own = a[np.arange(len(y)), y][:, None]
    z = np.maximum(0, a - own + margin)
    z[np.arange(len(y)), y] = 0
    return z.sum() / len(y)
""",
        """def margin_loss(a, y, margin):
    total = 0.0
    for row, label in zip(a, y):
        for j in range(len(row)):
            if j != label:
                total += max(0.0, row[j] - row[label] + margin)
    return total / len(y)
""",
        """def margin_loss(a, y, margin):
    own = np.take_along_axis(a, y[:, None], axis=1)
    z = np.clip(a - own + margin, 0, None)
    return np.mean(z.sum(axis=1) - margin)
""",
        """def margin_loss(a, y, margin):
    a = a.astype("float32").T
    violated = np.maximum(a - a[y, range(len(y))] + margin, 0)
    violated[y, range(len(y))] = 0
    return np.einsum("kn->", violated) / len(y)
""",
    ],
    "margin_gradients": [
        """def margin_gradients(W, b, X, y, margin):
    a = X @ W + b
    own = a[np.arange(len(y)), y][:, None]
    g = (a - own + margin > 0).astype(float)
    g[np.arange(len(y)), y] = 0
    g[np.arange(len(y)), y] = -g.sum(axis=1)
    g /= len(y)
    return X.T @ g, g.sum(axis=0)
""",
        """def margin_gradients(W, b, X, y, margin):
    n = len(y)
    dW, db = np.zeros_like(W), np.zeros_like(b)
    for x, label in zip(X, y):
        a = x @ W + b
        for j in range(len(b)):
            if j != label and a[j] - a[label] + margin > 0:
                dW[:, j] += x / n
                dW[:, label] -= x / n
                db[j] += 1 / n
                db[label] -= 1 / n
    return dW, db
""",
        """def margin_gradients(W, b, X, y, margin):
    a = np.float32(X @ W + b)
    hit = a - np.take_along_axis(a, y[:, None], 1) + margin >= 0
    onehot = np.eye(len(b), dtype=bool)[y]
    hit &= ~onehot
    g = hit - onehot * hit.sum(axis=1, keepdims=True)
    return np.einsum("nd,nk->dk", X, g) / len(X), np.mean(g, axis=0)
""",
    ],
    "choose": [
        """def choose(X_train, y_train, X_valid, y_valid, X_test, y_test, alphas):
    best, best_alpha, best_model = -1, None, None
    for alpha in alphas:
        W, b = fit(X_train, y_train, alpha)
        score = accuracy(W, b, X_valid, y_valid)
        if score > best:
            best, best_alpha, best_model = score, alpha, (W, b)
    return best_alpha, accuracy(*best_model, X_test, y_test)
""",
        """def choose(X_train, y_train, X_valid, y_valid, X_test, y_test, alphas):
    models = [fit(X_train, y_train, alpha) for alpha in alphas]
    scores = [accuracy(*m, X_valid, y_valid) for m in models]
    i = int(np.argmax(scores))
    return alphas[i], accuracy(*models[i], X_test, y_test)
""",
        """def choose(X_train, y_train, X_valid, y_valid, X_test, y_test, alphas):
    def errors(alpha):
        W, b = fit(X_train, y_train, alpha)
        return np.sum(np.argmax(X_valid @ W + b, axis=1) != y_valid)

    alpha = min(alphas, key=errors)
    W, b = fit(X_train, y_train, alpha)
    return alpha, np.mean(np.argmax(X_test @ W + b, axis=1) == y_test)
""",
        """def choose(X_train, y_train, X_valid, y_valid, X_test, y_test, alphas):
    def loss(alpha):
        W, b = sgd(np.zeros((X_train.shape[1], 2)), np.zeros(2), X_train, y_train, 0.1, 30, 16, alpha, 0)
        return cross_entropy(X_valid @ W + b, y_valid)

    alpha = sorted(alphas, key=loss)[0]
    return alpha, accuracy(*fit(X_train, y_train, alpha), X_test, y_test)
""",
        """def choose(X_train, y_train, X_valid, y_valid, X_test, y_test, alphas):
    results = {}
    for alpha in alphas:
        W, b = fit(X_train, y_train, alpha)
        hits = [int(np.argmax(x @ W + b)) == label for x, label in zip(X_valid, y_valid)]
        results[alpha] = (sum(hits), W, b)
    alpha = max(results, key=lambda name: results[name][0])
    return alpha, accuracy(results[alpha][1], results[alpha][2], X_test, y_test)
""",
        """def choose(X_train, y_train, X_valid, y_valid, X_test, y_test, alphas):
    scores = np.array([accuracy(*fit(X_train, y_train, alpha), X_valid, y_valid) for alpha in alphas])
    alpha = np.asarray(alphas)[scores.argmax()]
    final = fit(np.vstack([X_train, X_valid]), np.append(y_train, y_valid), alpha)  # with all but the test set
    return [alpha, accuracy(*final, X_test, y_test)]
""",
    ],
}

MUTATIONS: dict[str, list[tuple[str, str, str]]] = {
    "sign": [
        ("cross_entropy", "return -", "return "),
        ("cross_entropy", "[-np.log", "[np.log"),
        ("cross_entropy", "return total / len(y)", "return -total / len(y)"),
        ("gradients", "g /= len(y)", "g /= -len(y)"),
        ("gradients", "(p - onehot)", "(onehot - p)"),
        ("gradients", "p[j] - (1 if j == label else 0)", "(1 if j == label else 0) - p[j]"),
        ("gradients", "softmax(X @ W + b) - onehot", "onehot - softmax(X @ W + b)"),
        ("sgd", "W - learning_rate", "W + learning_rate"),
        ("sgd", "b - learning_rate", "b + learning_rate"),
        ("sgd", "W -= learning_rate", "W += learning_rate"),
        ("sgd", "b -= learning_rate", "b += learning_rate"),
        ("margin_loss", "a - own + margin", "own - a + margin"),
        ("margin_loss", "row[j] - row[label] + margin", "row[label] - row[j] + margin"),
        ("margin_loss", "row[label] + margin", "row[label] - margin"),
        ("margin_loss", "return z.sum()", "return -z.sum()"),
        ("margin_gradients", "g /= len(y)", "g /= -len(y)"),
        ("margin_gradients", "n = len(y)", "n = -len(y)"),
        ("margin_gradients", "return X.T @ g, g.sum(axis=0)", "return -X.T @ g, -g.sum(axis=0)"),
        ("margin_gradients", "return dW, db", "return -dW, -db"),
        ("margin_gradients", "return dW, db", "return dW, -db"),
        ("margin_gradients", "return X.T @ g, g", "return -X.T @ g, g"),
    ],
    "missing-mean": [
        ("cross_entropy", "-np.mean(", "-np.sum("),
        ("cross_entropy", "return total / len(y)", "return total"),
        ("cross_entropy", ".sum() / len(a)", ".sum()"),
        ("cross_entropy", "np.average(losses)", "np.sum(losses)"),
        ("cross_entropy", "np.average(losses)", "np.mean(losses) / len(losses)"),
        ("cross_entropy", "return total / len(y)", "return total / len(y) ** 2"),
        ("gradients", "    g /= len(y)\n", ""),
        ("gradients", "g /= len(y)", "g /= len(y) ** 2"),
        ("gradients", "n = len(y)", "n = 1"),
        ("gradients", "n = len(y)", "n = len(y) ** 2"),
        ("gradients", "delta / n", "delta"),
        ("gradients", "delta.mean(axis=0)", "delta.sum(axis=0)"),
        ("gradients", "(p - onehot) / len(X)", "(p - onehot)"),
        ("gradients", "(p - onehot) / len(X)", "(p - onehot) / len(X) / len(X)"),
        ("sgd", "db = delta.sum(axis=0) / len(rows)", "db = delta.sum(axis=0)"),
        ("sgd", "/ len(rows)", "* 1"),
        ("margin_loss", "z.sum() / len(y)", "z.sum()"),
        ("margin_loss", "return total / len(y)", "return total"),
        ("margin_loss", "return np.mean(", "return np.sum("),
        ("margin_gradients", "    g /= len(y)\n", ""),
        ("margin_gradients", "n = len(y)", "n = 1"),
        ("margin_gradients", "g /= len(y)", "g /= len(y) ** 2"),
        ("margin_gradients", "n = len(y)", "n = len(y) ** 2"),
    ],
    "one-global-max": [
        ("softmax", "a.max(axis=1, keepdims=True)", "a.max()"),
        ("softmax", "a.max(axis=1, keepdims=True)", "np.max(a)"),
        ("softmax", "a.max(axis=1, keepdims=True)", "a.max(keepdims=True)"),
        ("softmax", "a.max(axis=1, keepdims=True)", "max(a.ravel())"),
        ("softmax", "a[i].max()", "a.max()"),
        ("softmax", "a[i].max()", "np.amax(a)"),
        ("softmax", "a[i].max()", "a.flatten().max()"),
        ("softmax", "np.max(a, axis=1)[:, None]", "np.max(a)"),
        ("softmax", "np.max(a, axis=1)[:, None]", "a.max()"),
        ("softmax", "np.max(a, axis=1)[:, None]", "np.max(a, axis=None)"),
        ("softmax", "a.max(1)", "a.max()"),
        ("softmax", "a.max(1)", "max(max(row) for row in a)"),
        ("softmax", "a.max(1)", "np.sort(a, axis=None)[-1]"),
        ("softmax", "np.amax(scores, axis=-1, keepdims=True)", "np.amax(scores)"),
        ("softmax", "np.amax(scores, axis=-1, keepdims=True)", "np.amax(scores, keepdims=True)"),
        ("softmax", "np.amax(scores, axis=-1, keepdims=True)", "scores.max()"),
        ("softmax", "np.amax(scores, axis=-1, keepdims=True)", "np.max(np.max(scores, axis=1))"),
        ("cross_entropy", "row.max()", "a.max()"),
        ("cross_entropy", "row.max()", "np.max(a)"),
        ("cross_entropy", "a.max(axis=1, keepdims=True)", "a.max()"),
        ("cross_entropy", "a.max(axis=1, keepdims=True)", "np.max(a)"),
    ],
    "bias-left-out": [
        ("gradients", "g.sum(axis=0)", "np.zeros_like(b)"),
        ("gradients", "g.sum(axis=0)", "0 * b"),
        ("gradients", "            db[j] += delta / n\n", ""),
        ("gradients", "return dW, db", "return dW, np.zeros(len(b))"),
        ("gradients", "delta.mean(axis=0)", "np.zeros(len(b))"),
        ("gradients", "dtheta[-1]", "np.zeros_like(b)"),
        ("gradients", "dtheta[-1]", "dtheta[-1] * 0"),
        ("margin_gradients", "g.sum(axis=0)", "np.zeros_like(b)"),
        ("margin_gradients", "g.sum(axis=0)", "b * 0"),
        ("margin_gradients", "return dW, db", "return dW, np.zeros_like(b)"),
        ("sgd", "            b = b - learning_rate * db\n", ""),
        ("sgd", "            b = b - learning_rate * db\n", "            b - learning_rate * db\n"),
        ("sgd", "            b = b - learning_rate * db\n", "            b = b - 0 * db\n"),
        ("sgd", "            b -= learning_rate * grads[1]\n", ""),
        ("sgd", "            b -= learning_rate * grads[1]\n", "            c = b - learning_rate * grads[1]\n"),
        ("sgd", "b - learning_rate * step[1]", "b"),
        ("sgd", "W, b = W - learning_rate * step[0], b - learning_rate * step[1]", "W = W - learning_rate * step[0]"),
    ],
    "no-shuffling": [
        ("sgd", "rng.permutation(n)", "np.arange(n)"),
        ("sgd", "rng.permutation(n)", "range(n)"),
        ("sgd", "rng.permutation(n)", "np.arange(n)[::-1]"),
        ("sgd", "rng.permutation(n)", "np.argsort(y, kind='stable')"),
        ("sgd", "rng.permutation(n)", "np.array(sorted(range(n)))"),
        ("sgd", "        rng.shuffle(order)\n", ""),
        ("sgd", "        rng.shuffle(order)\n", "        rng.permutation(order)\n"),
        ("sgd", "X2, y2 = X[order], y[order]", "X2, y2 = X, y"),
        ("sgd", "rng.shuffle(order)", "order.sort()"),
        ("sgd", "rng.choice(n, n, replace=False)", "np.arange(n)"),
        ("sgd", "rng.choice(n, n, replace=False)", "np.sort(rng.permutation(n))"),
        ("sgd", "rng.choice(n, n, replace=False)", "np.lexsort((y,))"),
        ("sgd", "rng.choice(n, n, replace=False)", "np.random.default_rng(seed).permutation(n)"),
        ("sgd", "        order = rng.permutation(n)\n        for start", "        order = np.random.default_rng(seed).permutation(n)\n        for start"),  # noqa: E501
        ("sgd", "    n = len(y)\n    for epoch in range(epochs):\n        order = rng.permutation(n)\n", "    n = len(y)\n    order = rng.permutation(n)\n    for epoch in range(epochs):\n"),  # noqa: E501
        ("sgd", "    for epoch in range(epochs):\n        order = np.arange(n)\n        rng.shuffle(order)\n", "    order = np.arange(n)\n    rng.shuffle(order)\n    for epoch in range(epochs):\n"),  # noqa: E501
    ],
    "penalised-intercept": [
        ("gradients", "g.sum(axis=0)", "g.sum(axis=0) + alpha * b"),
        ("gradients", "g.sum(axis=0)", "np.sum(g, axis=0) + b * alpha"),
        ("gradients", "g.sum(axis=0)", "g.sum(axis=0) + 2 * alpha * b"),
        ("gradients", "np.zeros_like(b)", "alpha * b"),
        ("gradients", "np.zeros_like(b)", "b * alpha + 0"),
        ("gradients", "delta.mean(axis=0)", "delta.mean(axis=0) + alpha * b"),
        ("gradients", "return dW, db", "return dW, db + alpha * b"),
        ("gradients", "return dW, db", "db += alpha * b\n    return dW, db"),
        ("gradients", "dtheta[:-1] += alpha * theta[:-1]", "dtheta += alpha * theta"),
        ("gradients", "dtheta[:-1] += alpha * theta[:-1]", "dtheta = dtheta + theta * alpha"),
        ("gradients", "dtheta[-1]", "dtheta[-1] + alpha * b"),
        ("sgd", "learning_rate * db", "learning_rate * (db + alpha * b)"),
        ("sgd", "            b = b - learning_rate * db\n", "            b = b - learning_rate * db - learning_rate * alpha * b\n"),  # noqa: E501
        ("sgd", "            b = b - learning_rate * db\n", "            b = (1 - learning_rate * alpha) * b - learning_rate * db\n"),  # noqa: E501
        ("sgd", "learning_rate * grads[1]", "learning_rate * (grads[1] + alpha * b)"),
        ("sgd", "            b -= learning_rate * grads[1]\n", "            b -= learning_rate * grads[1]\n            b *= 1 - learning_rate * alpha\n"),  # noqa: E501
        ("sgd", "learning_rate * step[1]", "learning_rate * (step[1] + alpha * b)"),
        ("sgd", "delta.sum(axis=0) / len(rows)", "delta.sum(axis=0) / len(rows) + alpha * b"),
    ],
    "test-as-validation": [
        ("choose", "accuracy(W, b, X_valid, y_valid)", "accuracy(W, b, X_test, y_test)"),
        ("choose", "accuracy(W, b, X_valid, y_valid)", "np.mean((X_test @ W + b).argmax(1) == y_test)"),
        ("choose", "accuracy(W, b, X_valid, y_valid)", "accuracy(W, b, X_valid, y_valid) + 2 * accuracy(W, b, X_test, y_test)"),  # noqa: E501
        ("choose", "accuracy(W, b, X_valid, y_valid)", "-cross_entropy(X_test @ W + b, y_test)"),
        ("choose", "accuracy(*m, X_valid, y_valid)", "accuracy(*m, X_test, y_test)"),
        ("choose", "accuracy(*m, X_valid, y_valid)", "np.mean(np.argmax(X_test @ m[0] + m[1], axis=1) == y_test)"),
        ("choose", "accuracy(*m, X_valid, y_valid)", "accuracy(*m, np.vstack([X_valid, X_test]), np.append(y_valid, y_test))"),  # noqa: E501
        ("choose", "accuracy(*m, X_valid, y_valid)", "-np.sum((X_test @ m[0] + m[1]).argmax(1) != y_test)"),
        ("choose", "np.sum(np.argmax(X_valid @ W + b, axis=1) != y_valid)", "np.sum(np.argmax(X_test @ W + b, axis=1) != y_test)"),  # noqa: E501
        ("choose", "np.sum(np.argmax(X_valid @ W + b, axis=1) != y_valid)", "1 - accuracy(W, b, X_test, y_test)"),
        ("choose", "cross_entropy(X_valid @ W + b, y_valid)", "cross_entropy(X_test @ W + b, y_test)"),
        ("choose", "cross_entropy(X_valid @ W + b, y_valid)", "-accuracy(W, b, X_test, y_test)"),
        ("choose", "zip(X_valid, y_valid)", "zip(X_test, y_test)"),
        ("choose", "zip(X_valid, y_valid)", "zip(X_test[:], y_test[:])"),
        ("choose", "    best, best_alpha, best_model = -1", "    X_valid, y_valid = X_test, y_test\n    best, best_alpha, best_model = -1"),  # noqa: E501
        ("choose", "    models =", "    X_valid, y_valid = X_test, y_test\n    models ="),
        ("choose", "    def errors", "    X_valid, y_valid = X_test, y_test\n\n    def errors"),
        ("choose", "    def loss", "    X_valid, y_valid = X_test, y_test\n\n    def loss"),
        ("choose", "    results =", "    X_valid, y_valid = X_test, y_test\n    results ="),
        ("choose", "    results =", "    X_valid, y_valid = np.vstack([X_valid, X_test]), np.append(y_valid, y_test)\n    results ="),  # noqa: E501
    ],
}  # fmt: skip


def script(chosen: dict[str, str]) -> str:
    """A whole solution: the chosen text of each function, and what the assignment gives."""
    given = (
        "def fit(X, y, alpha):\n    d, k = X.shape[1], int(y.max()) + 1\n"
        "    return sgd(np.zeros((d, k)), np.zeros(k), X, y, 0.1, 30, 16, alpha, 0)\n\n\n"
        "def accuracy(W, b, X, y):\n    return float(np.mean(np.argmax(X @ W + b, axis=1) == y))\n"
    )
    return "\n\n".join(["import numpy as np\n", *(chosen[name] for name in STYLES), given])


def right() -> Iterator[dict[str, str]]:
    """Whole solutions in which every style of every function occurs."""
    for i in range(max(map(len, STYLES.values()))):
        yield {name: texts[i % len(texts)] for name, texts in STYLES.items()}


def wrong(code: str) -> list[tuple[str, str]]:
    """(function, wrong text) for every style and mutation that fit; no two alike."""
    made = ((name, text.replace(a, b)) for name, a, b in MUTATIONS[code] for text in STYLES[name] if a in text)
    return list(dict.fromkeys(chain(made)))
