"""Questions that arrive while others are being answered are answered together, in one call on one thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import Answering, Question

TOGETHER = 64


class Batcher:
    """`ask` one question; whatever waits when the thread is free goes into the next call."""

    def __init__(self, served: Answering) -> None:
        self.served = served
        self.waiting: asyncio.Queue[tuple[Question, asyncio.Future[Any]]] = asyncio.Queue()
        self.thread = ThreadPoolExecutor(1, "answers")
        self.calls = self.asked = 0

    async def ask(self, question: Question) -> dict[str, Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((question, future))
        return await future

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            batch = [await self.waiting.get()]
            while not self.waiting.empty() and len(batch) < TOGETHER:
                batch.append(self.waiting.get_nowait())
            questions = [question for question, _ in batch]
            self.calls, self.asked = self.calls + 1, self.asked + len(batch)
            try:
                found = await asyncio.get_running_loop().run_in_executor(self.thread, self.served.answers, questions)
            except Exception as error:  # theirs to tell; the next batch is another matter
                found = [error] * len(batch)
            for (_, future), answer in zip(batch, found, strict=True):
                if future.done():  # nobody waits for it any more
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
