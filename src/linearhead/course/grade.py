"""The child process of `course check`: runs the student's file, task after task, one line of JSON for each.

    python -m linearhead.course.grade FILE TASK …

What the student's code prints goes to stderr; stdout belongs to the answers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from . import reference
from .grading import Outcome, StandIn, Wrong
from .mistakes import mistake
from .tasks import TASKS

MEMORY = 8 * 2**30
GIVEN = ("fit", "accuracy")


def grade(code: Any, name: str) -> Outcome:
    """One task on a module (or anything with the functions as attributes); whatever goes wrong is an outcome.

    While a function is graded the reference stands in for the student's others, so that one mistake is not told twice.
    Who calls those in a way of their own, with a further argument perhaps, is graded with them.
    """
    if not callable(getattr(code, name, None)):
        return Outcome(name, [mistake("unfinished", f"There is no function called {name}.")])
    others = {other: getattr(reference, other) for other in (*TASKS, *GIVEN) if other != name}
    with StandIn(code, **others):
        alone = outcome(code, name)
    if not alone.mistakes or alone.mistakes[0].code == "unfinished":
        return alone
    together = outcome(code, name)
    return together if not together.mistakes or alone.mistakes[0].code == "crash" else alone


def outcome(code: Any, name: str) -> Outcome:
    try:
        with np.errstate(all="ignore"):
            return TASKS[name][1](code)
    except NotImplementedError:
        return Outcome(name, [mistake("unfinished", f"{name} raises NotImplementedError.")])
    except Wrong as found:
        return Outcome(name, [mistake("wrong", str(found))])
    except Exception as error:
        return Outcome(name, [mistake("crash", last_words(error, getattr(code, "__file__", None)))])


def last_words(error: BaseException, file: str | None) -> str:
    """The error and the line of the student's own file where it happened."""
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    where = f" in line {lines[-1].lineno}: {lines[-1].line}" if lines else ""
    return f"{type(error).__name__}: {error}{where}"


def load(path: Path) -> Any:
    """The student's file as a module; its `if __name__ == "__main__"` part does not run."""
    spec = importlib.util.spec_from_file_location("assignment", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["assignment"] = module
    spec.loader.exec_module(module)
    return module


def main(path: str, names: list[str]) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with contextlib.suppress(ImportError, ValueError, OSError):  # where the system has such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        code: Any = load(Path(path))
    except BaseException as error:
        words = "The file cannot be run: " + last_words(error, path)
        outcomes = (Outcome(name, [mistake("crash", words)]) for name in names)
    else:
        outcomes = (grade(code, name) for name in names)
    for outcome in outcomes:
        print(json.dumps(dataclasses.asdict(outcome)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
