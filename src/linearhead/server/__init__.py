"""A finished model over HTTP: a page for people, routes for programs. What it knows of models is one function.

guard (who may ask, how much, how long) → routes → decoders (child processes) → batcher → the answers that it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..images import Preprocessing


@dataclass(frozen=True)
class Limits:
    """What one client, or all together, can ask of the server; seconds, bytes, counts."""

    head_seconds: float = 4.0  # for a request's head, and between requests
    body_seconds: float = 5.5  # for its body: with the head, under ten; again and again while it comes at
    body_rate: float = 2.0**16  # bytes a second at least, as a photo does over a phone's slow network
    linger_seconds: float = 2.0  # for what still comes of a refused request, so that the answer arrives
    answer_seconds: float = 60.0  # from the last byte of the request
    head_bytes: int = 16 * 2**10
    body_bytes: int = 20 * 2**20
    all_bytes: int = 160 * 2**20  # of all bodies being read or waiting
    pictures: int = 32  # in one request
    waiting: int = 64  # pictures being looked at or waiting; more get 503
    pixels: int = 64_000_000  # of one picture
    decode_seconds: float = 5.0  # for one picture, by the clock
    decode_work: float = 1.7  # of a processor: a bomb has its answer in two seconds where one is free
    decode_bytes: int = 256 * 2**20  # that a decoder may take for one picture
    decoders: int = 2
    connections: int = 4000
    stop_seconds: float = 10.0  # for what is being answered when the server is asked to stop


@dataclass
class Question:
    """One decoded picture, (h, w, c) uint8, and what shall be said of it."""

    pixels: np.ndarray
    coverage: float | None = None
    regions: bool = False


class Answering(Protocol):
    """What is served. `answers` gives one JSON object a question, and is never called twice at a time."""

    name: str
    classes: list[str]
    probable: bool  # whether there are probabilities
    calibrated: bool  # whether sets of labels can be promised
    preprocessing: Preprocessing

    def answers(self, questions: list[Question]) -> list[dict[str, Any]]: ...
