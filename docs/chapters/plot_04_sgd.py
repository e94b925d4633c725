r"""
Stochastic gradient descent, batch sizes, batch 1
=================================================

A pass over all pictures for a single step is expensive. A batch :math:`B` of a few gives a gradient that is right on
average, so take the step at once: the same update, for every batch of every epoch (a pass over all pictures), the order
shuffled anew. Smaller batches make more, noisier steps in one pass. "SGD, batch n" has one batch of all n pictures:
gradient descent.

Below, :math:`F` is what all of them make small, the mean loss plus a small penalty (chapter 8), and :math:`F^*` the
lowest value it can have. 0.05 means: still 5 % above.
"""

from sklearn.datasets import load_digits

from linearhead.charts import trace_chart
from linearhead.race import race

X, y = load_digits(return_X_y=True)
names = ["SGD, batch 1", "SGD, batch 32", "SGD, batch 256", "SGD, batch n"]
run = race(X[:1000], y[:1000], passes=15, only=names)
for f in run.finishers:
    print(f"{f.name:<15} after 15 epochs (F - F*) / F* = {f.gap:.3f}")
trace_chart({f.name: f.trace for f in run.finishers}, what="value", title="The same steps on batches of every size")

# %%
# **Exercise.** How many steps does one epoch of batch 32 take on 1000 pictures? Think first; the answer below is
# checked when this page is built.
answer = -(-1000 // 32)  # the last batch holds 8
assert answer == 32
print(answer)
