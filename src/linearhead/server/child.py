"""A decoder process: encoded pictures in through stdin, pixels out through stdout, within hard limits of its own.

Frames are a length, 4 bytes big-endian, and so many bytes. First frame in: {"looks": …, "bytes": …, "work": seconds}.
Then one picture a frame; out: 0 and the pixels, or 1 and the reason in UTF-8. A picture that needs more seconds of the
processor ends the process by SIGPROF. No file is opened, nothing of a picture is executed.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any, BinaryIO

from ..images import Preprocessing, Unreadable, decode

GOOD, BAD = b"\0", b"\1"
TOO_LARGE = "too large to be decoded within the server's memory limit"


def read(file: BinaryIO) -> bytes | None:
    """A frame; None at the end."""
    head = file.read(4)
    return file.read(int.from_bytes(head, "big")) if len(head) == 4 else None


def frame(*parts: bytes) -> bytes:
    return b"".join([sum(map(len, parts)).to_bytes(4, "big"), *parts])


def confine(more: int) -> None:
    """No more than `more` bytes beyond what is in use now, no files to write, no core to dump."""
    try:
        import resource
    except ImportError:  # not on this system: the parent still has its clock
        return
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            limits[resource.RLIMIT_AS] = int(file.read().split()[0]) * resource.getpagesize() + more
    except OSError:
        limits[resource.RLIMIT_DATA] = more
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))


def allow(seconds: float) -> None:
    """So much of the processor from now on, however busy it is with others; 0: without end."""
    if hasattr(signal, "setitimer"):  # not on this system: the parent still has its clock
        signal.setitimer(signal.ITIMER_PROF, seconds)


def answered(data: bytes, looks: Preprocessing) -> bytes:
    """The frame for one picture."""
    try:
        return frame(GOOD, decode(data, looks)[0].tobytes())
    except Unreadable as error:
        return frame(BAD, error.reason.encode("utf-8", "replace"))
    except MemoryError:
        return frame(BAD, TOO_LARGE.encode())


def main(source: BinaryIO, sink: BinaryIO) -> None:
    given: Any = json.loads(read(source) or b"{}")
    looks = Preprocessing.from_dict(given["looks"])
    confine(given["bytes"])
    sink.write(frame(GOOD))
    sink.flush()
    while (data := read(source)) is not None:
        allow(given["work"])
        made = answered(data, looks)
        allow(0)
        sink.write(made)
        sink.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
