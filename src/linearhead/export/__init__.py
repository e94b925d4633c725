"""A model for other places: one Python file, one ONNX graph, one page for the browser, one card for the hub.

`FORMS`: what `--to` may name → the file's name, for people, and the function (model, record or None) → bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError
from . import card as cards
from . import onnx_graph, page, predictor

if TYPE_CHECKING:
    from ..records import Run


class Form(NamedTuple):
    file: str  # its usual name
    what: str  # for people
    make: Callable[[Any, Run | None], bytes]


def _card(model: Any, run: Run | None) -> bytes:
    if run is None:
        raise UsageError("A card is written from the record run.json, which lies beside the model in its run folder.")
    return cards.card(run)


FORMS: dict[str, Form] = {
    "numpy": Form("predictor.py", "one Python file, NumPy and Pillow alone", lambda m, _: predictor.predictor(m)),
    "onnx": Form("model.onnx", "one ONNX graph, features included", lambda m, _: onnx_graph.onnx_graph(m)),
    "html": Form("classify.html", "one page that classifies in the browser, offline", lambda m, _: page.page(m)),
    "card": Form("README.md", "a model card for the Hugging Face hub", _card),
}

__all__ = ["FORMS", "Form"]
