"""uvicorn's HTTP/1.1, with a clock on what a client owes: it alone would wait for half a request for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import Limits


def with_deadlines(limits: Limits) -> type[H11Protocol]:
    """A protocol class that closes a connection whose head or body is late, however slowly bytes keep coming."""

    class Watched(H11Protocol):
        owed: Any = None  # what is owed, as h11 names the state
        timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.watch()

        def data_received(self, data: bytes) -> None:
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
            if owed is self.owed and self.timer is not None:
                return
            self.rest()
            self.owed = owed
            seconds = {h11.IDLE: limits.head_seconds, h11.SEND_BODY: limits.body_seconds}.get(owed)
            if seconds is not None and not self.transport.is_closing():
                self.timer = self.loop.call_later(seconds, self.transport.abort)

        def rest(self) -> None:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None

    return Watched
