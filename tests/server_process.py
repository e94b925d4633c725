"""A server in a process of its own, for the tests of its promises."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

START = """
import sys, time
from linearhead.experiment import Service
from linearhead.server import Limits
from linearhead.server.run import serve
given = {given!r}
served = Service(given["run"])
if given["slow"]:
    quick = served.answers
    served.answers = lambda questions: time.sleep(given["slow"]) or quick(questions)
limits = Limits(**given["limits"])
serve(served, given["host"], 0, given["token"], (), limits, say=lambda address: print(address, flush=True))
"""


class Running:
    """`with Running(run, slow=0.5, waiting=4) as server`: slow is seconds a call; other words are of Limits."""

    def __init__(
        self, run: Path, slow: float = 0.0, token: str | None = None, host: str = "127.0.0.1", **limits: Any
    ) -> None:
        given = {"run": str(run), "slow": slow, "token": token, "host": host, "limits": limits}
        code = START.format(given=given)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), self.process.communicate()[1]
        self.port = int(line.rsplit(":", 1)[1].strip("/\n"))
        self.host = f"127.0.0.1:{self.port}"
        for _ in range(200):  # the address is said before the decoders are there
            try:
                if self.ask("GET", "/health/ready")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.05)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            _, self.errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.process.returncode in (0, -signal.SIGTERM), self.errors
        assert "Traceback" not in self.errors, self.errors

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "image/png", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """(status, headers in small letters, JSON or text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            words = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, ({"Content-Type": kind} if body is not None else {}) | words)
            response = connection.getresponse()
            text = response.read()
            told = {name.lower(): value for name, value in response.getheaders()}
            return (
                response.status,
                told,
                json.loads(text) if text and "json" in told.get("content-type", "") else text.decode(),
            )
        finally:
            connection.close()

    def children(self) -> list[int]:
        """The decoders' process numbers."""
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = place.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.append(int(place.parent.name))
        return found

    def resident(self, pid: int | None = None, peak: bool = False) -> int:
        """Bytes of memory in use by the server, or by one of its children."""
        name = "VmHWM" if peak else "VmRSS"
        lines = Path(f"/proc/{pid or self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def form(files: dict[str, bytes], boundary: str = "x1y2z3") -> tuple[bytes, str]:
    """A multipart body and its content type."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'.encode()
        + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n"
        for name, data in files.items()
    ]  # fmt: skip
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def foreign_hosts(port: int) -> list[str]:
    """40 values of the Host header that a server on this port of loopback does not go by."""
    return [f"{name}:{port}" for name in (
        "example.org", "evil", "127.0.0.1.nip.io", "localhost.evil.org", "0.0.0.0", "127.1", "2130706433", "0x7f000001",
        "127.0.0.2", "[::]", "[::1%25lo]", "local", "localhost.", "LOCALHOST.evil", "127.0.0.1@evil", "evil@127.0.0.1",
        "127.0.0.1#", "127.0.0.1/", "127.0.0.1\\", "[::ffff:127.0.0.1]", "my run", "host.docker.internal", "10.0.0.1",
        "192.168.0.1", "xn--localhost", "127.0.0.1,evil", "localhost,evil", "metadata", "169.254.169.254", "a" * 300,
    )] + ["", "127.0.0.1", "localhost", "127.0.0.1:", f"127.0.0.1:{port + 1}", f"127.0.0.1:{port}0",
          f"127.0.0.1:0{port}",
          f":{port}", f"http://127.0.0.1:{port}", f"127.0.0.1:{port}:{port}"]  # fmt: skip


def foreign_origins(port: int) -> list[str]:
    """20 values of the Origin header that are not its own page's."""
    own = f"http://127.0.0.1:{port}"
    return ["null", "http://evil", "https://example.org", own.replace("http", "https"), f"{own}0", own[:-1],
               own + "/",
               f"http://localhost:{port}", "http://127.0.0.1", "file://", "chrome-extension://abc", f"{own}.evil.org",
               f"http://evil@127.0.0.1:{port}", f"{own} http://evil", "", "*", "about:blank", f"ws://127.0.0.1:{port}",
               "http://[::1]", "http://127.0.0.2"]  # fmt: skip
