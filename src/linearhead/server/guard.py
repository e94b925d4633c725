"""Outside the routing: who may ask (Host, Origin, token), how much (bytes, counted as they come), how long.

A browser sends any page's requests to a server on loopback: DNS rebinding changes whom a name means, so the name itself
is checked on every route; other pages' requests carry their Origin. There are no CORS headers: no other page may read.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from . import Limits
from .metrics import Metrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
OPEN = (
    "/",
    "/health",
    "/health/ready",
    "/v2/health/live",
    "/v2/health/ready",
)  # without a token: nothing to learn there


class Refused(Exception):
    """A request that ends here, as a short JSON answer; the connection ends, too: nobody reads the rest of the body."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.body = json.dumps({"error": why}, ensure_ascii=False).encode()

    @property
    def headers(self) -> dict[str, str]:
        more = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": "1"}}.get(self.status, {})
        length = str(len(self.body))
        return {"content-type": "application/json", "content-length": length, "connection": "close", **more}


class Guard:
    """The ASGI application around `app`. `names`: hosts with ports that may be asked for, in small letters;
    `everywhere`: so may the address at which the connection came in. No name can be rebound to mean that."""

    def __init__(
        self, app: Any, names: set[str], token: str | None, limits: Limits, metrics: Metrics, everywhere: bool = False
    ) -> None:
        self.app, self.names, self.token, self.limits, self.metrics = app, names, token, limits, metrics
        self.everywhere = everywhere
        self.held = 0  # bytes of bodies in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return None  # no WebSocket is spoken here
        visit = Visit(self, scope, receive, send)
        try:
            self._check(scope)
            async with asyncio.timeout(self.limits.answer_seconds) as visit.clock:
                await self.app(scope, visit.receive, visit.send)
        except Refused as refused:
            await visit.refuse(refused)
        except TimeoutError:
            await visit.refuse(Refused(503, "The answer took too long."))
        except asyncio.CancelledError:  # the server ends, and waits no longer for what it is answering
            await visit.refuse(Refused(503, "The server is stopping."))
        except Exception as error:  # a fault of ours; the message is for the log, not for strangers
            if not visit.gone:
                self.metrics.fault(error)
                await visit.refuse(Refused(500, "A fault of the server."))
        finally:
            self.held -= visit.bytes
            self.metrics.count(scope["method"], scope["path"], visit.status)
        return None

    def _check(self, scope: Scope) -> None:
        headers = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        names = self.names | _came_in_at(scope) if self.everywhere else self.names
        if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in names:
            raise Refused(421, "This server does not go by the name in the Host header; serve --name allows another.")
        origins = [value for name, value in headers if name == b"origin"]
        own = f"{scope['scheme']}://{hosts[0].decode('latin-1').lower()}"
        if len(origins) > 1 or (origins and origins[0].decode("latin-1").lower() != own):
            raise Refused(403, "Requests of other pages (the Origin header) are refused.")
        if self.token is not None and scope["path"] not in OPEN:
            given = [value for name, value in headers if name == b"authorization"]
            if len(given) != 1 or not hmac.compare_digest(given[0], b"Bearer " + self.token.encode()):
                raise Refused(401, "The header Authorization: Bearer TOKEN is needed.")
        stated = [value for name, value in headers if name == b"content-length"]
        if stated and int(stated[0]) > self.limits.body_bytes:
            raise Refused(413, f"More than {self.limits.body_bytes} bytes are not taken.")

    def take(self, amount: int) -> None:
        """Counts bytes that are kept in memory."""
        self.held += amount
        if self.held > self.limits.all_bytes:
            raise Refused(503, "Too many pictures are being sent; try again in a second.")


def _came_in_at(scope: Scope) -> set[str]:
    """The server's own address of this connection as a Host header says it; nothing where that is not known."""
    try:
        address, port = scope["server"]
        address = ipaddress.ip_address(address)
    except (KeyError, TypeError, ValueError):
        return set()
    address = getattr(address, "ipv4_mapped", None) or address  # of IPv4 at a socket for both
    written = f"[{address}]" if address.version == 6 else str(address)
    return {f"{written}:{port}", *([written] if port == 80 else [])}


class Visit:
    """One request: its bytes counted while they come, its headers put on while they go."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.guard, self.scope, self._receive, self._send = guard, scope, receive, send
        self.bytes, self.status, self.gone = 0, 499, False
        self.clock: asyncio.Timeout | None = None

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = True
        else:
            body = len(message.get("body", b""))
            self.bytes += body
            self.guard.take(body)
            if self.bytes > self.guard.limits.body_bytes:
                raise Refused(413, f"More than {self.guard.limits.body_bytes} bytes are not taken.")
            if self.clock is not None:  # how long bytes may take is the protocol's affair
                self.clock.reschedule(asyncio.get_running_loop().time() + self.guard.limits.answer_seconds)
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            there = {name.lower() for name, _ in message["headers"]}
            more = (
                HEADERS
                if b"content-security-policy" in there
                else [*HEADERS, (b"content-security-policy", POLICY.encode())]
            )
            message["headers"] = [*message["headers"], *more]
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        """Where nothing has been said yet and somebody is there to hear it."""
        if self.status == 499 and not self.gone:
            encoded = [(name.encode(), value.encode()) for name, value in refused.headers.items()]
            await self.send({"type": "http.response.start", "status": refused.status, "headers": encoded})
            await self._send({"type": "http.response.body", "body": refused.body})
