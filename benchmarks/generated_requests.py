"""Requests that schemathesis makes up from /openapi.json, given to the application in this process: no 5xx, no answer
that the document does not describe.

    pip install --target PLACE schemathesis
    PYTHONPATH=tests:PLACE python benchmarks/generated_requests.py RUN PICTURES [--requests 100000] [--examples 250]

Every answer is checked in all ways that schemathesis has. The first part is a run as its command makes it; the others
are so many examples a route and kind (fitting the document, or not), the part's number the seed. Bytes that are to be a
picture are one of PICTURES half of the time. Parts are added to generated_requests.json until there are enough
requests, so that a run may be ended and taken up again.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.generation import GenerationMode

from linearhead.experiment import Service
from linearhead.server import Limits
from linearhead.server.app import application

RECORD = Path(__file__).with_suffix(".json")
HOST = "testserver"  # as schemathesis asks an application in its own process
SETTINGS: dict[str, Any] = {
    "continue-on-failure": True,
    "generation": {"no-shrink": True, "max-examples": 50},
    # no schema can say which bytes are a picture, or that lengths fit each other: 400 and 422 are documented for that
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "422"]}},
}


def offer(pictures: list[bytes]) -> None:
    """Lets bodies hold pictures, whole or cut."""
    cut = st.builds(lambda data, share: data[: int(share * len(data))], st.sampled_from(pictures), st.floats(0, 1))
    some = st.one_of(st.sampled_from(pictures), st.sampled_from(pictures), cut, st.binary(max_size=200))
    schemathesis.openapi.format("binary", some)
    schemathesis.openapi.format("byte", some.map(lambda data: base64.b64encode(data).decode()))
    for kind in ("application/octet-stream", "image/*", "image/png"):
        schemathesis.openapi.media_type(kind, some)


class Seen:
    """What was asked and answered, and what was wrong with an answer, once of each kind."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.wrong: dict[str, str] = {}
        self.begun = time.process_time()

    def count(self, label: str, response: Any) -> None:
        self.answers[f"{label} {'none' if response is None else response.status_code}"] += 1

    def note(self, what: str, found: Any) -> None:
        self.wrong.setdefault(what, str(found)[:900])

    def ask(self, case: Any) -> None:
        response, label = case.call(), case.operation.label
        self.count(label, response)
        try:
            case.validate_response(response)
        except (AssertionError, BaseExceptionGroup) as failure:
            first = getattr(failure, "exceptions", [failure])[0]
            self.note(f"{label}: {type(first).__name__}", failure)

    def told(self) -> dict[str, Any]:
        return {"answers": self.answers, "violations": self.wrong, "busy_s": time.process_time() - self.begun}


def fixed(schema: Any, seen: Seen) -> None:
    """A run of schemathesis as its command makes it, with its fixed cases, sequences and some made-up ones."""
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            seen.note("schemathesis itself", event)
        for case_id, interaction in event.recorder.interactions.items() if hasattr(event, "recorder") else ():
            label = event.recorder.cases[case_id].value.operation.label
            seen.count(label, interaction.response)
            for check in event.recorder.checks.get(case_id, []):
                if (found := check.failure_info) is not None:
                    seen.note(f"{label}: {check.name}", f"{found.failure.message} {found.code_sample}")


def made_up(schema: Any, seen: Seen, seed: int, examples: int) -> None:
    """So many requests of either kind for each route that takes a body; without hypothesis' search for those that are
    accepted, which takes two thirds of the time of `fixed`."""
    phases, quiet = [Phase.generate], list(HealthCheck)
    settings = hypothesis.settings(
        max_examples=examples, phases=phases, database=None, deadline=None, suppress_health_check=quiet
    )
    for operation in (found.ok() for found in schema.get_all_operations()):
        for mode in GenerationMode if operation.body else ():
            case = operation.as_strategy(generation_mode=mode)
            hypothesis.seed(seed)(settings(hypothesis.given(case=case)(seen.ask)))()


def part(app: Any, seed: int, examples: int) -> dict[str, Any]:
    seen = Seen()
    config = SchemathesisConfig.from_dict(SETTINGS | {"seed": seed})
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    if seed:
        made_up(schema, seen, seed, examples)
    else:
        fixed(schema, seen)
    return seen.told()


def joined(record: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The record with one more part."""
    answers = Counter(record.get("answers", {})) + new["answers"]
    statuses = Counter()
    for answer, count in answers.items():
        statuses[answer.rpartition(" ")[2]] += count
    return {
        "parts": record.get("parts", 0) + 1,
        "requests": sum(answers.values()),
        "server_errors": sum(count for status, count in statuses.items() if status >= "5"),
        "violations": new["violations"] | record.get("violations", {}),
        "statuses": dict(sorted(statuses.items())),
        "answers": dict(sorted(answers.items())),
        "busy_s": round(record.get("busy_s", 0) + new["busy_s"], 1),
        "schemathesis": schemathesis.__version__,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run")
    options.add_argument("pictures")
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--examples", type=int, default=250)
    given = options.parse_args()
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    offer([path.read_bytes() for path in sorted(Path(given.pictures).rglob("*")) if path.is_file()][:40])
    app, _ = application(Service(given.run), {HOST}, limits=Limits())
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    while record.get("requests", 0) < given.requests:
        record = joined(record, part(app, record.get("parts", 0), given.examples))
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(record["parts"], record["requests"], record["statuses"], list(record["violations"]), flush=True)


if __name__ == "__main__":
    main()
