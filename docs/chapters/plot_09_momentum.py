r"""
Momentum
========

Gradient descent zigzags across a narrow valley. Momentum keeps a velocity, :math:`v \leftarrow \mu v - \eta g`,
:math:`w \leftarrow w + v`: what alternates cancels, what persists adds up. Nesterov's form looks ahead by
:math:`\mu v` before it takes the gradient. Beyond it lie methods that learn the valley's shape: Newton's, which uses
second derivatives, and L-BFGS, which guesses them from the steps it has made. Printed is, after 40 passes over the
pictures, how far :math:`F` is above the lowest value :math:`F^*` it can have, as a share of :math:`F^*`.
"""

from sklearn.datasets import load_digits

from linearhead.charts import trace_chart
from linearhead.race import race

X, y = load_digits(return_X_y=True)
names = ["gradient descent", "momentum", "Nesterov", "L-BFGS, preconditioned"]
run = race(X[:1000], y[:1000], passes=40, only=names)
for f in run.finishers:
    print(f"{f.name:<23} (F - F*) / F* = {max(f.gap, 0):.1e}")
trace_chart({f.name: f.trace for f in run.finishers}, what="gap", optimum=run.optimum, title="Distance to the optimum")

# %%
# **Exercise.** On a straight slope g = 1 with learning rate 0.1 and momentum 0.9, how long does a step become? Think
# first; the answer below is checked when this page is built.
v = 0.0
for _ in range(300):
    v = 0.9 * v - 0.1 * 1
answer = 0.1 / (1 - 0.9)  # ten times as long as without
assert abs(-v - answer) < 1e-9
print(f"{answer:.1f}")
