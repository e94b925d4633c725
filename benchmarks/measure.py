"""Work timed in a process of its own: wall and processor seconds, peak resident memory, and what it found.

A forked child starts from the data in memory and nothing else: no method warms the caches, threads or allocators of the
next. Rivals run in turn, medians are kept, so that a load on the machine meets all of them. Not run by itself.
"""

from __future__ import annotations

import os
import pickle
import platform
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Run:
    """Of one piece of work. `extra_mb`: the peak less what was resident before it began."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    extra_mb: float
    found: Any


def resident_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def alone(work: Callable[[], Any], limit: int = 0) -> Run:
    """Run `work` in a forked child; its answer must pickle. TimeoutError after `limit` seconds, 0: no limit."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        signal.alarm(limit)
        try:
            before, wall, cpu = resident_mb(), time.perf_counter(), time.process_time()
            found = work()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            with os.fdopen(write, "wb") as file:
                pickle.dump(Run(wall, cpu, peak, peak - before, found), file)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        answer = file.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        raise TimeoutError(f"The work took more than {limit} seconds.")
    if status:
        raise RuntimeError("The work failed; its traceback is above.")
    return pickle.loads(answer)


def interleaved(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[Run]]:
    """Every piece of work `repeats` times, in turn."""
    runs: dict[str, list[Run]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            runs[name].append(alone(work))
    return runs


def summary(runs: dict[str, list[Run]], ours: str = "linearhead") -> dict:
    """Medians of each, and how many times as long as ours the others take."""
    medians = {
        name: {
            field: statistics.median(getattr(run, field) for run in all_)
            for field in ("seconds", "cpu_seconds", "peak_mb", "extra_mb")
        }
        for name, all_ in runs.items()
    }
    ratios = {
        name: {field: medians[name][field] / medians[ours][field] for field in ("seconds", "cpu_seconds")}
        for name in medians
        if name != ours
    }
    return {"medians": medians, "times_as_long": ratios, "runs": {name: len(all_) for name, all_ in runs.items()}}


def versions() -> dict[str, str]:
    import numpy
    import sklearn

    threads = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    names = {"numpy": numpy.__version__, "scikit-learn": sklearn.__version__, "python": platform.python_version()}
    return names | {"cores": str(threads)}
