"""docs/cli.md, generated from the commands themselves: python -m linearhead.cli.manual > docs/cli.md"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from . import cli

WIDTH = 100
HEAD = """# The command line

Generated from `--help` by `python -m linearhead.cli.manual > docs/cli.md`; a test keeps it true. The same words work in
Python: `linearhead.train("photos", out="run", valid_share=0.2)`. What `--json` prints is in [json.md](json.md).

Results go to stdout, progress and messages to stderr. Exit codes: 0 done · 1 a fault of the program · 2 usage or data ·
3 not converged, or not all right, with `--strict` · 4 input or output · 130 interrupted. `NO_COLOR` is honoured;
`LINEARHEAD_DEBUG=1` shows the traceback behind a message.
"""


def manual() -> str:
    """The whole page."""
    return "\n".join([HEAD, *sections()])


def sections() -> Iterator[str]:
    """One section per command, the group first."""
    width: dict[str, Any] = {"max_content_width": WIDTH, "terminal_width": WIDTH}
    top = click.Context(cli, info_name="linearhead", **{**cli.context_settings, **width})
    yield f"## linearhead\n\n```\n{cli.get_help(top)}\n```\n"
    for name in cli.list_commands(top):
        command = cli.commands[name]
        context = click.Context(command, parent=top, info_name=name, **width)
        yield f"## linearhead {name}\n\n```\n{command.get_help(context)}\n```\n"
        for part, below in getattr(command, "commands", {}).items():
            inner = click.Context(below, parent=context, info_name=part, **width)
            yield f"## linearhead {name} {part}\n\n```\n{below.get_help(inner)}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(manual())
