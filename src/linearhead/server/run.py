"""Serving until told to stop: addresses, names and token checked first, then uvicorn with clocks of our own."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterable
from types import FrameType

import uvicorn

from ..errors import FileError, UsageError
from . import Answering, Limits
from .app import application
from .protocol import with_deadlines

LEAST_TOKEN = 16  # characters


def serve(
    served: Answering,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    names: Iterable[str] = (),
    limits: Limits | None = None,
    say: Callable[[str], object] = lambda address: None,
) -> None:
    """Answers until SIGINT or SIGTERM, then ends what is being answered. Loopback needs no token, other addresses do.

    `names`: further names by which people may ask for the server, such as its name in DNS. UsageError for an address
    that cannot be served so; FileError for one that is taken.
    """
    limits = limits or Limits()
    check(host, token)
    listener = listen(host, port)
    port = listener.getsockname()[1]
    app, _ = application(served, allowed(host, port, names), token, limits, is_everywhere(host))
    _room_for(limits.connections)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # strangers' broken forms are no news
    config = uvicorn.Config(
        app,
        http=with_deadlines(limits),
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=int(limits.head_seconds),
        timeout_graceful_shutdown=int(limits.stop_seconds),
        h11_max_incomplete_event_size=limits.head_bytes,
    )
    shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    try:
        _Announced(config, lambda: say(f"http://{shown}:{port}/")).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn has ended in good order, and raises it again
        pass
    finally:
        listener.close()


class _Announced(uvicorn.Server):
    """Says where it is once it answers, and once Ctrl-C ends it in good order."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self.force_exit:  # Ctrl-C once more: what is broken off now is no news
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_everywhere(host: str) -> bool:
    """Whether listening there is listening at every address that this machine has."""
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def check(host: str, token: str | None) -> None:
    """UsageError for an address other than loopback without a token, or a token that could be guessed."""
    if token is not None and (
        len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise UsageError(
            f"The token has to be {LEAST_TOKEN} or more printable ASCII characters without spaces, so that nobody "
            "guesses it. python -c 'import secrets; print(secrets.token_urlsafe(24))' makes one."
        )
    if token is None and not is_loopback(host):
        raise UsageError(
            f"--host is {host}, which others can reach, so a token is needed: set LINEARHEAD_TOKEN or --token. "
            "python -c 'import secrets; print(secrets.token_urlsafe(24))' makes one. There is no encryption: put a "
            "proxy with TLS before it where the network is not yours alone."
        )


def allowed(host: str, port: int, names: Iterable[str]) -> set[str]:
    """HOST:PORT as a Host header may say them; port 80 may be left out. Where it listens everywhere, the address at
    which a connection came in is one more (`guard`)."""
    hosts = {*names} if is_everywhere(host) else {host, *names}
    if is_loopback(host) or is_everywhere(host):
        hosts |= {"localhost", "127.0.0.1", "::1"}
    written = {f"[{name}]" if ":" in name else name.lower() for name in hosts}
    return {f"{name}:{port}" for name in written} | (written if port == 80 else set())


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is named because asyncio sends without delay (Nagle's 40 ms) only where it is
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_everywhere(host) and family == socket.AF_INET6:
            listener.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0
            )  # IPv4 as well, whatever the system's default
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or str(error)
        raise FileError(f"Could not serve at {host}, port {port}: {why}. Choose another --port or --host.") from error
    return listener


def _room_for(connections: int) -> None:
    """As many open files as the connections need, where the system allows it."""
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 256
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
