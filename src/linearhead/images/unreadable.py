"""Why one picture cannot be used, in words for the person who owns it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError


class Unreadable(Exception):
    """One picture that cannot be used; `reason` is a clause that follows "path: " in a list of skipped files."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def in_words(error: Exception, format: str) -> str:
    """What Pillow's exception means for a file that begins like a picture of `format`."""
    text = str(error).strip()
    if isinstance(error, MemoryError):
        return f"too large for the memory of this machine ({format})"
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels to decode safely ({text})"
    if isinstance(error, UnidentifiedImageError):
        return f"a damaged {format} file: its header cannot be read"
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return f"a {format} file that was cut off: its data end too early"
    return f"a damaged {format} file ({text or type(error).__name__})"


@contextmanager
def damage_is_unreadable(format: str) -> Iterator[None]:
    """Whatever Pillow raises on hostile data becomes `Unreadable`.

    Its decoders raise OSError, SyntaxError, ValueError, TypeError, struct.error, KeyError, IndexError, EOFError … on
    broken files; a list of them would never be complete. Ctrl-C is no `Exception` and passes.
    """
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(in_words(error, format)) from error
