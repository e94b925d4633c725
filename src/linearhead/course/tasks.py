"""The seven tasks of the assignment: name → what it is about, and how it is graded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .choosing import choose
from .grading import Outcome
from .slopes import gradients, margin_gradients
from .steps import sgd
from .values import cross_entropy, margin_loss, softmax

TASKS: dict[str, tuple[str, Callable[[Any], Outcome]]] = {
    "softmax": ("probabilities", softmax),
    "cross_entropy": ("the quantity to make small", cross_entropy),
    "gradients": ("which way is down", gradients),
    "sgd": ("learning", sgd),
    "margin_loss": ("the margin classifier's loss", margin_loss),
    "margin_gradients": ("its gradients", margin_gradients),
    "choose": ("choosing and judging", choose),
}
