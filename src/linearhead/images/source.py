"""From a path to bytes without ever waiting: only regular files are opened, and only what a picture needs is read.

A FIFO, a socket or a device named x.jpg would block for ever or worse; a link that leads to itself has no end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from .unreadable import Unreadable

# formats given to Pillow: an allow-list, because the decoders of formats that nobody photographs in are where holes are
# found. MPO (phones' pictures with a second one inside) comes with JPEG; naming it to `Image.open` is a KeyError.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM")
NAMED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and PPM"
BMP_HEADERS = [length.to_bytes(4, "little") for length in (12, 16, 40, 52, 56, 64, 108, 124)]
ELSEWHERE = {  # what people have in such folders and what to do about it
    b"%PDF": "a PDF document; export its pages as PNG",
    b"8BPS": "a Photoshop file; export it as PNG",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 picture; convert it to PNG",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture; convert it to PNG",
    b"\xff\x0a": "a JPEG XL picture; convert it to PNG",
    b"<svg": "an SVG drawing; export it as PNG",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"version https://git-lfs": "a Git LFS pointer, not the picture itself; run `git lfs pull`",
    b"<!DOCTYPE": "a web page, not a picture: the download failed",
    b"<html": "a web page, not a picture: the download failed",
}


def sniff(head: bytes) -> str | None:
    """The format that the first 32 bytes announce, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:2] == b"BM" and head[14:18] in BMP_HEADERS:
        return "BMP"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[4:12] in (b"ftypavif", b"ftypavis") or (head[4:8] == b"ftyp" and b"avif" in head[8:32]):
        return "AVIF"
    if head[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf") and head[2:3].isspace():
        return "PPM"
    return None


def not_a_picture(head: bytes) -> str:
    """Why a file that begins so is none of ours."""
    if not head:
        return "an empty file (0 bytes)"
    if not head.strip(b"\0"):
        return "not a picture: it begins with zero bytes only, as after a crash or an unfinished copy"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "a HEIC picture, which is not read here; convert it to JPEG"
    for start, what in ELSEWHERE.items():
        if head.startswith(start):
            return what
    kind = "text" if all(b >= 32 or b in b"\t\n\r\f" for b in head) else "binary data"
    return f"not a picture in a format read here ({NAMED}): it begins with {kind} {head[:12]!r}"


def open_regular(path: str | Path) -> BinaryIO:
    """The file at `path`, open for reading; `Unreadable` where there is none, or something else than a file."""
    try:
        _require_regular(os.stat(path).st_mode)
        # between stat and open a FIFO may have taken the file's place: never wait for a writer, and look again
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        raise Unreadable(_why_not_opened(error)) from error
    except ValueError as error:  # a NUL byte in the name
        raise Unreadable(f"no such file: the name is impossible ({error})") from error
    try:
        _require_regular(os.fstat(file.fileno()).st_mode)
    except BaseException:
        file.close()
        raise
    return file


def read_picture(path: str | Path, most: int) -> bytes:
    """All bytes of the file; `Unreadable` above `most`, or as soon as the beginning shows that it is no picture."""
    with open_regular(path) as file:
        try:
            head = file.read(32)
            if sniff(head) is None:
                raise Unreadable(not_a_picture(head))
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise Unreadable(
                    f"too large: {size} bytes, more than any picture within the pixel limit needs ({most})"
                )
            return head + file.read(most)
        except OSError as error:
            raise Unreadable(_why_not_opened(error)) from error


def _require_regular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe (FIFO)", stat.S_IFSOCK: "a socket"}
    raise Unreadable(f"not a file but {kinds.get(stat.S_IFMT(mode), 'a device')}")


def _why_not_opened(error: OSError) -> str:
    reasons = {
        errno.ENOENT: "no such file",
        errno.ENOTDIR: "no such file",
        errno.ELOOP: "a symbolic link that leads to itself",
        errno.EACCES: "no permission to read it",
        errno.EPERM: "no permission to read it",
        errno.ENAMETOOLONG: "no such file: the name is too long",
    }
    return reasons.get(error.errno or 0, f"cannot be read ({error.strerror or error})")
