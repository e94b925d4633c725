"""Questions that arrive while others are being answered are answered together, in one call on one thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from . import Answering, Question

TOGETHER = 64

Asked = tuple[Question, "asyncio.Future[Any]"]


class Batcher:
    """`ask` one question; whatever waits when the thread is free goes into the next call."""

    def __init__(self, served: Answering) -> None:
        self.served = served
        self.waiting: SimpleQueue[Asked | None] = SimpleQueue()
        self.calls = self.asked = 0

    def start(self) -> None:
        """On the running loop, whose questions are answered until `stop`."""
        self.loop = asyncio.get_running_loop()
        Thread(target=self._run, name="answers", daemon=True).start()

    def stop(self) -> None:
        self.waiting.put(None)

    async def ask(self, question: Question) -> dict[str, Any]:
        future = self.loop.create_future()
        self.waiting.put((question, future))
        return await future

    def _run(self) -> None:
        while (batch := self._batch()) is not None:
            self.calls, self.asked = self.calls + 1, self.asked + len(batch)
            found: Any
            try:
                found = self.served.answers([question for question, _ in batch])
            except Exception as error:  # theirs to tell; the next batch is another matter
                found = [error] * len(batch)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(tell, batch, found)

    def _batch(self) -> list[Asked] | None:
        """What waits, one at least; None at the end."""
        first = self.waiting.get()
        if first is None:
            return None
        batch = [first]
        with suppress(Empty):
            while len(batch) < TOGETHER:
                if (more := self.waiting.get_nowait()) is None:
                    self.stop()
                    break
                batch.append(more)
        return batch


def tell(batch: list[Asked], found: list[Any]) -> None:
    """Every one its answer."""
    for (_, future), answer in zip(batch, found, strict=True):
        if future.done():  # nobody waits for it any more
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
