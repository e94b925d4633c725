"""Text and JSON onto stdout and stderr, whatever the names in them are and whatever the terminal can show."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import click

from ..errors import file_error


def put(text: str, err: bool = False) -> None:
    """One line; characters that the stream cannot write (a file name that is no UTF-8, × in ASCII) are escaped."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    if err:
        with suppress(OSError):  # a message that nobody can be shown is no reason to end the work
            click.echo(text, err=True)
    else:
        _print(text)


def put_result(as_json: bool, value: Callable[[], Any], lines: Iterable[str]) -> None:
    """A verb's result as one JSON value or as lines of text; the other of the two is not made."""
    if as_json:
        put_json(value())
    else:
        for line in lines:
            put(line)


def put_json(value: Any) -> None:
    """One JSON value on stdout; in ASCII where the stream cannot write all its characters, which JSON can escape."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=1)
    _print(text)


def _print(text: str) -> None:
    """Onto stdout; FileError where that is a file that cannot grow, while a reader who has gone is click's affair."""
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise file_error("write the result to", "standard output", error) from error
