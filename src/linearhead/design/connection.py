"""A Dask cluster as what it is here: a place where tasks run again until they are done.

Every worker has a run of leaves for as long as it lives, so that its rows stay where they are. The runs of one that
died go to those with the fewest; where there are more workers than runs, all is shared out anew. dask.distributed is
imported when a cluster is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import Any

from ..errors import FileError, UsageError
from .tree import runs
from .worker import unseen, versions

ANSWER = 10.0  # seconds in which a scheduler has to answer
PATIENCE = 120.0  # seconds without any worker after which a pass is given up
TICK, FETCH = 2.0, 10.0  # seconds after which is asked what became of a task, and of its result
TRIES = 10  # of a task whose workers died, each of them Dask's own four
LOCAL = "local"


class Cluster:
    """A connection; see `connect`."""

    def __init__(self, client: Any, say: Callable[[str], object]) -> None:
        self.client, self.say, self.patience = client, say, PATIENCE
        self._runs: dict[int, list[tuple[int, int]]] = {}  # height → runs of leaves
        self._owner: dict[tuple[int, int, int], str] = {}  # (height, run) → worker
        self.rounds = self.lost = 0  # passes so far, and tasks that were asked for again

    def workers(self) -> dict[str, int]:
        """Address → threads of every worker that lives."""
        found = self.client.scheduler_info(n_workers=-1).get("workers", {})
        if self.client.status in ("closing", "closed"):
            raise FileError(self._gone())
        return {address: int(worker["nthreads"]) for address, worker in found.items()}

    def awaited(self) -> dict[str, int]:
        """`workers`, waited for; FileError where none comes."""
        deadline, told = time.monotonic() + self.patience, False
        while not (found := self.workers()):
            if not told:
                self.say("The cluster has no worker; waiting for one.")
            told = True
            if time.monotonic() > deadline:
                raise FileError(
                    f"The cluster at {self.client.scheduler.address} has had no worker for {self.patience:.0f} s. "
                    f"Start some: dask worker {self.client.scheduler.address}"
                )
            time.sleep(0.2)
        return found

    def require(self, files: Sequence[str]) -> None:
        """FileError unless every worker can read these files."""
        self.awaited()
        for address, missing in self.client.run(unseen, list(files)).items():
            if missing:
                more = f" and {len(missing) - 1} more files" if len(missing) > 1 else ""
                raise FileError(
                    f"The worker at {address} does not see {missing[0]}{more}. Workers read for themselves: put what "
                    "they need on storage that is mounted under the same path on every machine."
                )

    def run(self, task: Callable[[int, int], Any], H: int) -> list:
        """task(first, last) of runs that make up the 2^H leaves, in order."""
        self.rounds += 1
        spans = self._spans(H)
        futures = [self._submit(task, span) for span in spans]
        return self._answers(futures, lambda i: self._submit(task, spans[i]))

    def map(self, task: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(i, task(arguments[i])) as they are done, on any worker; as many are on their way as there are threads."""

        def again(i: int) -> Any:
            return self.client.submit(task, arguments[i], pure=False)

        rest, flying = iter(range(len(arguments))), {}
        while True:
            room = sum(self.awaited().values()) - len(flying)  # more would be queued, which looks like lost
            flying |= {i: again(i) for i in islice(rest, max(room, 0))}
            if not flying:
                return
            self._wait(list(flying.values()), "FIRST_COMPLETED")
            done = [i for i, future in flying.items() if future.done()]
            for i in done:
                yield i, self._answers([flying.pop(i)], lambda _, i=i: again(i))[0]
            for j in [] if done else self._astray(list(flying.values())):
                self.lost += 1
                i = list(flying)[j]
                flying[i] = again(i)

    def _spans(self, H: int) -> list[tuple[int, int, str]]:
        """(first, last leaf, worker that has them)."""
        workers = self.awaited()
        spans = self._runs.get(H, [])
        if len(spans) < min(len(workers), 2**H) or not spans:
            ordered = sorted(workers)
            cut = runs(H, [workers[address] for address in ordered])
            spans = self._runs[H] = [span for span in cut if span[0] < span[1]]
            for address, span in zip(ordered, cut, strict=True):
                self._owner[(H, *span)] = address
        load = Counter(dict.fromkeys(workers, 0))
        for span in spans:
            load[self._owner[(H, *span)]] += self._owner[(H, *span)] in workers
        for span in spans:
            if self._owner[(H, *span)] not in workers:
                heir = min(workers, key=lambda address: (load[address], address))
                self._owner[(H, *span)] = heir
                load[heir] += 1
        return [(*span, self._owner[(H, *span)]) for span in spans]

    def _submit(self, task: Callable[[int, int], Any], span: tuple[int, int, str]) -> Any:
        first, last, worker = span
        with import_module("dask").config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self.client.submit(task, first, last, pure=False, workers=[worker], allow_other_workers=True)

    def _answers(self, futures: list, again: Callable[[int], Any]) -> list:
        """Results; a task that was lost, because workers died, is asked for again."""
        killed = import_module("distributed").scheduler.KilledWorker
        patience = FETCH
        for _ in range(TRIES):
            answers, lost = None, []
            while answers is None and not lost:
                self._wait(futures)
                failed = {i: future.exception() for i, future in enumerate(futures) if future.status == "error"}
                for error in failed.values():
                    if not isinstance(error, killed):
                        raise error
                answers = None if failed else self._fetched(futures, patience)
                if answers is None:
                    lost = list(failed) or self._astray(futures)
                    patience *= 2  # what takes long may be much
            if answers is not None:
                return answers
            self.lost += len(lost)
            for i in lost:
                futures[i] = again(i)
        raise FileError(
            f"A task was lost {TRIES} times because the workers that ran it died, maybe of want of memory. Look at the "
            "workers' logs; give them more memory or use more workers."
        )

    def _fetched(self, futures: list, patience: float) -> list | None:
        """The results, or None where they do not arrive: Dask waits without end for some whose worker has died."""
        if not all(future.status == "finished" for future in futures):
            return None

        async def fetch() -> list:
            return await asyncio.wait_for(self.client.gather(futures, asynchronous=True), patience)

        try:
            return self.client.sync(fetch)
        except TimeoutError:
            return None

    def _astray(self, futures: list) -> list[int]:
        """Those that no worker holds or works at, twice in a row."""
        found = set(range(len(futures)))
        for attempt in range(2):
            if attempt and found:
                time.sleep(TICK / 5)
            self.awaited()
            held, running = self.client.who_has(futures), self.client.processing()
            at_work = {key for keys in running.values() for key in keys}
            found &= {i for i, f in enumerate(futures) if not held.get(f.key) and f.key not in at_work}
        return sorted(found)

    def _wait(self, futures: list, until: str = "ALL_COMPLETED") -> None:
        """Until they are done, or for a moment."""
        distributed = import_module("distributed")
        try:
            with self.client.as_current():
                distributed.wait(futures, timeout=TICK, return_when=until)
        except (TimeoutError, distributed.TimeoutError):
            self.awaited()
        except distributed.CancelledError:
            raise FileError(self._gone()) from None
        if self.client.status != "running" or any(future.cancelled() for future in futures):
            raise FileError(self._gone())

    def _gone(self) -> str:
        return (
            "The scheduler of the cluster is gone. Start it again (dask scheduler, dask worker) and repeat the "
            "command: what is in the feature store is not computed again."
        )


@contextlib.contextmanager
def connect(address: str, say: Callable[[str], object] = lambda text: None) -> Iterator[Cluster]:
    """The cluster whose scheduler listens at `address`, such as tcp://10.0.0.1:8786; "local:N" starts N worker
    processes on this machine for as long as the context lasts.

    UsageError without dask.distributed or for an address that is none, FileError where nothing answers or a worker has
    other versions.
    """
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise UsageError(f"A cluster needs {error.name}: pip install 'linearhead[dask]'.") from error
    with contextlib.ExitStack() as stack:
        if address.partition(":")[0] == LOCAL:
            # a local cluster closes for good whatever worker is just down so long after any other was lost
            stack.enter_context(import_module("dask").config.set({"distributed.deploy.lost-worker-timeout": "1 day"}))
            address = stack.enter_context(_local(distributed, address)).scheduler_address
        try:  # a client that cannot be made of it would try to close for 20 s
            import_module("distributed.comm").resolve_address(address)
            client = distributed.Client(address, timeout=ANSWER, set_as_default=False)
        except ValueError as error:
            raise UsageError(
                f"{address!r} is no address of a cluster ({error}), such as tcp://10.0.0.1:8786."
            ) from None
        except OSError:
            raise FileError(
                f"No Dask scheduler answers at {address} within {ANSWER:.0f} s. Start one there with: dask scheduler; "
                f"and workers with: dask worker {address}"
            ) from None
        stack.enter_context(client)
        cluster = Cluster(client, say)
        check_versions(cluster, versions())
        yield cluster


def _local(distributed: Any, address: str) -> Any:
    count = address.partition(":")[2]
    if not (count.isascii() and count.isdigit() and int(count) > 0):
        raise UsageError(f"{address!r} starts no workers here; say how many, such as local:2.")
    return distributed.LocalCluster(
        n_workers=int(count), threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=40, host="127.0.0.1"
    )


def check_versions(cluster: Cluster, mine: dict[str, str]) -> None:
    """FileError where a worker lacks linearhead or has other versions than these."""
    cluster.awaited()
    try:
        found = cluster.client.run(versions)
    except Exception as error:  # of another machine: it comes as it was raised, or as text in an Exception
        missing = re.search(r"No (?:module named|package metadata was found for) '?([\w.-]+)", str(error))
        if not missing and not isinstance(error, ImportError):
            raise
        raise FileError(
            f"A worker cannot import {missing[1] if missing else error}. Every worker needs the same environment as "
            "this process: pip install 'linearhead[dask]' there."
        ) from None
    for address, theirs in found.items():
        other = [f"{name} {theirs.get(name)} (here {mine[name]})" for name in mine if theirs.get(name) != mine[name]]
        if other:
            raise FileError(
                f"The worker at {address} has {', '.join(other)}. The same versions give the same bits: install them "
                "there, too."
            )
