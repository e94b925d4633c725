"""A few decoder processes, so that no picture, however hostile, can hurt the server: too slow, too large or deadly ones
cost their child, which is replaced. A picture whose child ended is given to another one, up to TRIES in all: it
need not have been the picture's fault.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

import numpy as np

from ..images import Preprocessing, Unreadable
from .child import GOOD, frame

PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "HOME", "TMPDIR")  # no tokens

# modules come from where this process has them, never from the folder in which somebody happened to start it
BEGIN = "import sys; sys.path[:] = {path}; from {package}.child import main; main(sys.stdin.buffer, sys.stdout.buffer)"
TRIES = 3
PAUSE = 0.2  # seconds before another start, where one failed; also how long a dead child's end is waited for


class Died(Exception):
    """A child ended in the middle of its work."""


class Child:
    """One process; `ask` one picture at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.sink, self.source = process, process.stdin, process.stdout

    @classmethod
    async def start(cls, looks: Preprocessing, most: int, work: float) -> Child:
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        words = [sys.executable, "-P", "-c", BEGIN.format(path=sys.path, package=__package__)]
        options = {"stdin": pipe, "stdout": pipe, "stderr": null, "env": env, "start_new_session": True}
        child = cls(await asyncio.create_subprocess_exec(*words, limit=2**20, **options))
        try:
            await child.ask(json.dumps({"looks": looks.to_dict(), "bytes": most, "work": work}).encode())
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def dead(self) -> bool:
        return self.process.returncode is not None

    async def overworked(self) -> bool:
        """Whether the work on a picture was too much: of a child that has just died."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), PAUSE)
        return self.process.returncode == -getattr(signal, "SIGPROF", 0) != 0

    async def ask(self, data: bytes) -> bytes:
        try:
            self.sink.write(frame(data))
            await self.sink.drain()
            return await self.source.readexactly(int.from_bytes(await self.source.readexactly(4), "big"))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Died from error

    async def end(self) -> None:
        """Killed, if it does not end by itself now; by its number, as `Process.kill` first looks whether it has ended,
        which takes that from who waits for it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), PAUSE)
        if not self.dead:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            await self.process.wait()


class Decoders:
    """`count` children; `decode` waits for one that is idle."""

    def __init__(self, looks: Preprocessing, count: int, seconds: float, most: int, work: float) -> None:
        self.looks, self.count, self.seconds, self.most, self.work = looks, count, seconds, most, work
        self.idle: asyncio.Queue[Child] = asyncio.Queue()
        self.all: set[Child] = set()
        self.renewing: set[asyncio.Task[None]] = set()
        self.replaced = 0

    async def start(self) -> None:
        await asyncio.gather(*(self._add() for _ in range(self.count)))

    async def _add(self) -> None:
        child = await Child.start(self.looks, self.most, self.work)
        self.all.add(child)
        self.idle.put_nowait(child)

    async def decode(self, data: bytes) -> np.ndarray:
        """(h, w, c) uint8; `Unreadable` with a reason."""
        for _ in range(TRIES):
            with suppress(Died):
                return await self._decode(data)
        raise Unreadable(f"decoding it ended the decoder {TRIES} times")

    async def _decode(self, data: bytes) -> np.ndarray:
        while (child := await self.idle.get()).dead:
            self._replace(child)
        whole = False
        try:
            async with asyncio.timeout(self.seconds):
                answer = await child.ask(data)
            whole = True
        except TimeoutError:
            raise Unreadable(f"decoding it takes longer than {self.seconds:g} seconds") from None
        except Died:
            if await child.overworked():
                raise Unreadable(f"decoding it takes more than {self.work:g} seconds of a processor") from None
            raise
        finally:  # cancelled in the middle, too: its pipe holds half of something
            if whole:
                self.idle.put_nowait(child)
            else:
                self._replace(child)
        if answer[:1] != GOOD:
            raise Unreadable(answer[1:].decode("utf-8", "replace"))
        return np.frombuffer(answer, np.uint8, offset=1).reshape(self.looks.shape)

    def _replace(self, child: Child) -> None:
        async def renew() -> None:
            self.all.discard(child)
            await child.end()
            while True:
                try:
                    return await self._add()
                except (Died, OSError):  # killed while it began, or no memory for it now
                    await asyncio.sleep(PAUSE)

        self.replaced += 1
        task = asyncio.get_running_loop().create_task(renew())
        self.renewing.add(task)
        task.add_done_callback(self.renewing.discard)

    async def stop(self) -> None:
        for task in self.renewing:
            task.cancel()
        await asyncio.gather(*self.renewing, return_exceptions=True)
        for child in self.all:
            child.sink.close()  # the end of its input is the end of a child that is well
        await asyncio.gather(*(child.end() for child in self.all))
