"""The catalogue: what goes wrong in this assignment, by name, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """`seen` is what the check saw, with numbers; title and remedy come from the catalogue."""

    code: str
    title: str
    remedy: str
    seen: str


CATALOGUE: dict[str, tuple[str, str]] = {
    "sign": ("A sign is wrong", "The loss is −log ŷ_label, its gradient ŷ − y, and a step goes against the gradient."),
    "missing-mean": (
        "The mean over the rows is missing",
        "Divide by n, the number of rows in the batch, exactly once.",
    ),
    "one-global-max": (
        "One maximum is subtracted from all rows",
        "Subtract from each row its own maximum: a.max(axis=1, keepdims=True).",
    ),
    "bias-left-out": ("The intercept is left out", "b has a gradient too, the mean of ŷ − y; step with it as with W."),
    "no-shuffling": (
        "The rows are not shuffled in every epoch",
        "Draw a new order, rng.permutation(n), at the start of every epoch.",
    ),
    "penalised-intercept": ("The intercept is penalised", "The penalty is alpha/2 Σ W²: b has no share in it."),
    "test-as-validation": (
        "The test set has chosen",
        "Choose alpha by the validation set; look at the test set once, afterwards, to judge.",
    ),
    "overflow": ("Large scores overflow", "Subtract the row's maximum before exp; the quotient stays the same."),
    "label-branch": (
        "The branch j = label is wrong",
        "Cross-entropy: ∂ℓ/∂a_j = ŷ_j − 1 where j is the label, ŷ_j elsewhere. Margin loss: minus the number of "
        "violated margins where j is the label, 1 where j violates, 0 elsewhere.",
    ),
    "wrong-axis": (
        "The sum or the maximum goes over the wrong axis",
        "A row of scores is one picture, whose probabilities sum to 1: axis=1, keepdims=True.",
    ),
    "label-counted": (
        "The label counts as a violation",
        "The sum goes over j ≠ label: leave the margin at j = label out.",
    ),
    "unclipped": (
        "Margins that hold are not clipped at 0",
        "max(0, a_j − a_label + margin): a margin that holds costs nothing, and nothing pulls there.",
    ),
    "margin-left-out": (
        "The margin is left out",
        "a_j violates where a_j − a_label + margin > 0, and not only where it is above a_label.",
    ),
    "scores-returned": ("The scores are given for probabilities", "Softmax: exp of each score, over their row's sum."),
    "penalty": ("The penalty is not right", "Add alpha · W to dF/dW: the derivative of alpha/2 Σ W²."),
    "constant-factor": ("A constant factor is wrong", "Compare your formula with the derivative, factor by factor."),
    "seed-ignored": ("The seed is ignored", "Take the random numbers from np.random.default_rng(seed)."),
    "torn-rows": ("Pictures and labels are torn apart", "Use the same order for X and y."),
    "rows-left-out": (
        "Not every row is visited",
        "Every epoch sees all n rows once, the last batch may be smaller, and `return` comes after the last epoch.",
    ),
    "batches": (
        "The batches are not those that were asked for",
        "Take rows = order[start : start + batch_size], and X[rows], y[rows] alone, for a step.",
    ),
    "steps-change": (
        "The steps are not learning_rate times the gradient",
        "Every step is learning_rate times its own batch's gradient, from the first to the last: no decay makes it "
        "shorter, no momentum longer.",
    ),
    "labels-shifted": (
        "The labels are counted from 1",
        "Labels are 0 … k − 1 and name columns as they are: y itself, neither y − 1 nor y + 1.",
    ),
    "rates-confused": (
        "Learning rate and penalty strength are confused",
        "learning_rate multiplies the whole gradient, alpha multiplies W within it.",
    ),
    "train-as-validation": (
        "The training set has chosen",
        "A strong fit to the training set says nothing of new pictures: choose by the validation set.",
    ),
    "wrong-judge": (
        "The accuracy told is not the test set's",
        "Return the accuracy of the chosen fit on the test set.",
    ),
    "wrong": ("The numbers are wrong", "Work one row by hand and compare."),
    "unfinished": ("Not begun", "Replace `raise NotImplementedError` by your code."),
    "crash": ("Your code stopped with an error", "The last lines of its traceback say where."),
    "too-slow": ("Your code took too long", "Is there a loop that cannot end? These problems have two dozen rows."),
}


def mistake(code: str, seen: str) -> Mistake:
    title, remedy = CATALOGUE[code]
    return Mistake(code, title, remedy, seen)
