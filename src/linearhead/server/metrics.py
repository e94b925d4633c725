"""Counts for Prometheus, in its text format 0.0.4. Paths are those of known routes: nobody can make up series."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds


class Metrics:
    """`gauges`: name → (help, function) asked when somebody looks."""

    def __init__(self, routes: set[str]) -> None:
        self.routes = routes
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.pictures: Counter[str] = Counter()  # by outcome
        self.buckets, self.seconds, self.answered = [0] * len(BOUNDS), 0.0, 0
        self.faults = 0
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def count(self, method: str, path: str, status: int) -> None:
        method = method if method in ("GET", "POST", "HEAD", "OPTIONS") else "other"
        self.requests[method, path if path in self.routes else "other", status] += 1

    def fault(self, error: Exception) -> None:
        self.faults += 1
        print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)  # noqa: T201

    def timed(self, start: float) -> None:
        taken = time.perf_counter() - start
        self.seconds, self.answered = self.seconds + taken, self.answered + 1
        for i, bound in enumerate(BOUNDS):
            self.buckets[i] += taken <= bound

    def text(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# HELP linearhead_requests_total Requests by method, route and status."
        yield "# TYPE linearhead_requests_total counter"
        for (method, path, status), n in sorted(self.requests.items()):
            yield f'linearhead_requests_total{{method="{method}",route="{path}",status="{status}"}} {n}'
        yield "# HELP linearhead_pictures_total Pictures by outcome."
        yield "# TYPE linearhead_pictures_total counter"
        for outcome, n in sorted(self.pictures.items()):
            yield f'linearhead_pictures_total{{outcome="{outcome}"}} {n}'
        yield "# HELP linearhead_answer_seconds From a request's last byte to its answer."
        yield "# TYPE linearhead_answer_seconds histogram"
        for bound, n in zip(BOUNDS, self.buckets, strict=True):
            yield f'linearhead_answer_seconds_bucket{{le="{bound}"}} {n}'
        yield f'linearhead_answer_seconds_bucket{{le="+Inf"}} {self.answered}'
        yield f"linearhead_answer_seconds_sum {self.seconds:.6f}"
        yield f"linearhead_answer_seconds_count {self.answered}"
        yield "# HELP linearhead_faults_total Answers that failed through a fault of the server."
        yield "# TYPE linearhead_faults_total counter"
        yield f"linearhead_faults_total {self.faults}"
        for name, (what, ask) in self.gauges.items():
            yield f"# HELP linearhead_{name} {what}"
            yield f"# TYPE linearhead_{name} gauge"
            yield f"linearhead_{name} {ask():g}"
