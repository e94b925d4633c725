"""uvicorn's HTTP/1.1, with a clock on what a client owes: it alone would wait for half a request for ever.

Whoever closes a connection while the other side still sends makes the kernel reset it, and the answer that is on its
way is lost. So after a refusal the rest of the request is read and forgotten for a while (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import Limits


class Watched(H11Protocol):
    """Closes a connection whose head is late, or whose body is and comes slower than a slow network brings it."""

    limits: Limits
    owed: Any = None  # what is owed, as h11 names the state
    timer: asyncio.TimerHandle | None = None
    came = 0  # bytes since the timer was set

    def connection_made(self, transport: Any) -> None:
        lingering: Any = Lingering(transport, self.linger)
        super().connection_made(lingering)
        self.watch()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # the rest of what was refused
        self.came += len(data)
        super().data_received(data)
        self.watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self.rest()
        super().connection_lost(exc)

    def watch(self) -> None:
        """A timer from the moment when a head, or a body, begins to be owed until it is there."""
        owed = self.conn.their_state
        if self.transport.is_closing() or (owed is self.owed and self.timer is not None):
            return
        self.rest()
        self.owed = owed
        self.wait()

    def wait(self) -> None:
        """From now on, as long as what is owed may take; a body that comes fast enough may take as long again."""
        self.came = 0
        seconds = {h11.IDLE: self.limits.head_seconds, h11.SEND_BODY: self.limits.body_seconds}.get(self.owed)
        if seconds is not None:
            self.timer = self.loop.call_later(seconds, self.late)

    def late(self) -> None:
        enough = self.came >= self.limits.body_rate * self.limits.body_seconds
        if self.owed is h11.SEND_BODY and enough and not self.transport.is_closing():
            self.wait()
        else:
            self.transport.abort()

    def linger(self) -> bool:
        """Whether more of a request may come, which is then read; never longer than the clock on it allows."""
        if self.conn.their_state not in (h11.SEND_BODY, h11.ERROR):
            return False
        until = self.loop.time() + self.limits.linger_seconds
        if self.timer is None or self.timer.when() > until:
            self.rest()
            self.timer = self.loop.call_at(until, self.transport.abort)
        self.flow.resume_reading()
        return True

    def rest(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def with_deadlines(limits: Limits) -> type[Watched]:
    """The protocol class with these limits: uvicorn makes its instances by itself."""
    return type("Watched", (Watched,), {"limits": limits})


class Lingering:
    """A transport whose `close` ends only what is sent, as long as `linger()` says that more is to be read."""

    def __init__(self, transport: Any, linger: Any) -> None:
        self._transport, self._linger, self._closing = transport, linger, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        self._closing = True
        if self._linger():
            with suppress(OSError):  # the other side has reset the connection: nobody reads the answer
                self._transport.write_eof()
        else:
            self._transport.close()
