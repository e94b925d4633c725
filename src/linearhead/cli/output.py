"""Text and JSON onto stdout and stderr, whatever the names in them are and whatever the terminal can show."""

from __future__ import annotations

import json
import sys
from typing import Any

import click


def put(text: str, err: bool = False) -> None:
    """One line; characters that the stream cannot write (a file name that is no UTF-8, × in ASCII) are escaped."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def put_json(value: Any) -> None:
    """One JSON value on stdout; in ASCII where the stream cannot write all its characters, which JSON can escape."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=1)
    click.echo(text)
