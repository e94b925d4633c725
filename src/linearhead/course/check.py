"""Grading a folder: the student's file runs in a child process, each task within a time limit.

The child runs with the user's own rights: the limit is against endless loops, not against malice.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import FileError, UsageError, explained
from ..files import new_folder, write_atomic
from .mistakes import Mistake, mistake
from .notebook import notebook_of, script_of

FILE, NOTEBOOK, PAGE = "assignment.py", "assignment.ipynb", "check.html"
FORMS = {"script": FILE, "notebook": NOTEBOOK}
TASK_NAMES = ("softmax", "cross_entropy", "gradients", "sgd", "margin_loss", "margin_gradients", "choose")
START = 60.0  # seconds for a slow machine to import NumPy


@dataclass
class Graded:
    """One task: right where there is no mistake; `picture` is data for a chart."""

    task: str
    mistakes: list[Mistake]
    picture: dict[str, Any] | None

    @property
    def right(self) -> bool:
        return not self.mistakes


@dataclass
class Report:
    """The whole assignment."""

    page: Path
    tasks: list[Graded]

    @property
    def right(self) -> bool:
        return all(task.right for task in self.tasks)

    def to_json(self) -> dict[str, Any]:
        return {
            "page": str(self.page),
            "right": sum(task.right for task in self.tasks),
            "of": len(self.tasks),
            "tasks": [
                {"task": t.task, "right": t.right, "mistakes": [asdict(m) for m in t.mistakes]} for t in self.tasks
            ],
        }


def new(folder: str | Path, force: bool = False, form: str = "script") -> Path:
    """Write the assignment into a new folder, as one of FORMS; the folder's absolute path."""
    text = (Path(__file__).parent / FILE).read_text(encoding="utf-8")
    name = FORMS[form]
    with new_folder(folder, force, marker=name) as made, explained("write", folder):
        (made / name).write_text(text if name == FILE else notebook_of(text), encoding="utf-8")
    return Path(folder).absolute()


def check(folder: str | Path, seconds: float = 10.0) -> Report:
    """Grade `folder`/assignment.py, or .ipynb, and draw `folder`/check.html; `seconds` is the limit for each task."""
    from .picture import page

    there = [name for name in FORMS.values() if (Path(folder) / name).is_file()]
    if not there:
        raise FileError(f"No {FILE} in {folder}. `linearhead course new {folder}` writes one to fill in.")
    if len(there) > 1:
        raise UsageError(f"{folder} holds {' and '.join(there)}; keep the one that is to be graded.")
    file = (Path(folder) / there[0]).absolute()
    with TemporaryDirectory() as place:
        if there[0] == NOTEBOOK:
            with explained("read", file):
                script = script_of(file.read_text(encoding="utf-8"), str(file))
            file = Path(place) / FILE
            file.write_text(script, encoding="utf-8")
        done = {task.task: task for task in outcomes(file, seconds, Path(folder).absolute())}
    report = Report(Path(folder).absolute() / PAGE, [done[name] for name in TASK_NAMES])
    with explained("write", report.page):
        write_atomic(report.page, page(report).encode("utf-8"))
    return report


def outcomes(file: Path, seconds: float, folder: Path | None = None) -> list[Graded]:
    """Every task's outcome, the code run in `folder`; a child that takes too long is ended and a new one goes on with
    the next task."""
    waiting, found = list(TASK_NAMES), []
    while waiting:
        with child(file, waiting, folder or file.parent) as process:
            lines = reader(process)
            limit = START + seconds
            while waiting:
                try:
                    line = lines.get(timeout=limit)
                except queue.Empty:
                    process.kill()
                    words = f"{waiting[0]} was still running after {limit:g} seconds."
                    found.append(Graded(waiting.pop(0), [mistake("too-slow", words)], None))
                    break
                if line is None:  # the process has ended by itself: killed by the system, or sys.exit in the code
                    words = f"The process ended within {waiting[0]} (exit code {process.wait()})."
                    found.append(Graded(waiting.pop(0), [mistake("crash", words)], None))
                    break
                answer = json.loads(line)
                mistakes = [Mistake(**m) for m in answer["mistakes"]]
                found.append(Graded(answer["task"], mistakes, answer["picture"]))
                waiting.pop(0)
                limit = seconds
            process.kill()
    return found


def child(file: Path, names: Sequence[str], folder: Path) -> subprocess.Popen:
    package = str(Path(__file__).resolve().parents[2])  # found there, wherever the child's own folder is
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-m", "linearhead.course.grade", str(file), *names]
    silent: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, text=True, encoding="utf-8", env=environment, cwd=folder, **silent)


def reader(process: subprocess.Popen) -> queue.Queue[str | None]:
    """The child's lines as they come, then None."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines
