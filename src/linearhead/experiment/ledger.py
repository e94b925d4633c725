"""How often the same test pictures have judged: one line in RUN/judged.jsonl for every time.

Whoever picks the best of m models by some pictures lets those pictures choose, and its figure on them flatters. A line
is written by `train`, `evaluate` and `compare`; read are those of the run and of the runs in the folder around it.
Pictures are known by the SHA-256 of their contents in their order, models by that of their weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..files import held, sha256, write_atomic
from ..store import Model

FILE = "judged.jsonl"
AROUND = 1000  # runs beside one that are looked into, at most


def identity(model: Model) -> str:
    """Of its weights: 16 hexadecimal digits."""
    return sha256(np.ascontiguousarray(model.coef).tobytes() + np.ascontiguousarray(model.intercept).tobytes())[:16]


def line(verb: str, pictures: str, n: int, accuracies: dict[str, float]) -> bytes:
    """One time: what was done, with which n pictures, and each model's accuracy on them."""
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    entry = {"when": when, "verb": verb, "pictures": pictures, "n": n, "accuracies": accuracies}
    return json.dumps(entry, allow_nan=False).encode() + b"\n"


def kept(folder: Path) -> bytes:
    """The lines in a run folder so far; nothing where there are none."""
    try:
        text = (folder / FILE).read_bytes()
    except OSError:
        return b""
    return text if not text or text.endswith(b"\n") else text + b"\n"


def note(folder: Path, entry: bytes, say: Callable[[str], object] = lambda text: None) -> None:
    """Adds a line to a run folder; one that cannot be written to stays as it is, which is said."""
    try:
        with held(folder) as lock:
            lock.wait()  # another process between its reading and its writing would lose this line
            write_atomic(folder / FILE, kept(folder) + entry)
    except FileError as error:
        say(f"That these pictures have judged once more is not kept. {error}")


def seen(folder: Path, pictures: str, own: str) -> dict[str, float | None]:
    """Of these pictures: how many other models they have judged, how often they judged anything, the best accuracy."""
    others: dict[str, float] = {}
    times = 0
    for entry in _entries(folder):
        if entry.get("pictures") != pictures:
            continue
        times += 1
        others |= {name: float(found) for name, found in entry["accuracies"].items() if name != own}
    return {"models": len(others), "times": times, "best": max(others.values(), default=None)}


def _entries(folder: Path) -> Iterator[dict[str, Any]]:
    """Every sound line of the run and of those around it."""
    around = [folder]
    with suppress(OSError), os.scandir(folder.parent) as listing:
        runs = (Path(item) for item in listing if item.is_dir(follow_symlinks=False))
        around += [path for path, _ in zip(runs, range(AROUND), strict=False) if path != folder]
    for place in around:
        for text in kept(place).splitlines():
            with suppress(ValueError):
                entry = json.loads(text)
                if isinstance(entry, dict) and isinstance(entry.get("accuracies"), dict):
                    yield entry
