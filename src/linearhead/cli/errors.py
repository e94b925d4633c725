"""From exceptions to one clear message on stderr and an exit code."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import NoReturn

import click

from ..errors import FileError, LinearheadError, file_error
from .output import put

INTERRUPTED, FAULT = 130, 1


def reported(ctx: click.Context, invoke: Callable[[click.Context], object]) -> object:
    """invoke(ctx), every failure told in one message."""
    if "NO_COLOR" in os.environ:
        ctx.color = False
    try:
        return invoke(ctx)
    except LinearheadError as error:
        tell(str(error))
        ctx.exit(error.exit_code)
    except KeyboardInterrupt:
        interrupted(ctx)
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does; click knows what to do
        raise
    except OSError as error:
        failed(error)
    except MemoryError as error:
        tell(f"Not enough memory: {error}. Use smaller pictures (--size) or features with fewer numbers (--features).")
        ctx.exit(2)
    except ImportError as error:
        if (error.name or "linearhead").startswith("linearhead"):
            fault(ctx, error)
        tell(f"A package that linearhead needs is missing or broken: {error}. linearhead doctor says how to get it.")
        ctx.exit(2)
    except (click.exceptions.Exit, click.ClickException, click.Abort):
        raise
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # in an import Python 3.11 makes a RuntimeError of it
            interrupted(ctx)
        fault(ctx, error)


def fault(ctx: click.Context, error: Exception) -> NoReturn:
    """What nobody has foreseen."""
    tell(
        f"A fault of linearhead, not of yours: {type(error).__name__}: {error}\n"
        "Nothing half-written is left behind. Please report it, with what LINEARHEAD_DEBUG=1 shows."
    )
    ctx.exit(FAULT)


def failed(error: OSError) -> NoReturn:
    """A system call that nobody has explained where it was made; of an unnamed file, what click prints goes to."""
    tell(str(file_error("use", error.filename or "a file or standard output", error)))
    raise click.exceptions.Exit(FileError.exit_code)


def interrupted(ctx: click.Context) -> NoReturn:
    """Ctrl-C that no verb has caught."""
    put("\nInterrupted before there was anything to keep; nothing was written.", err=True)
    ctx.exit(INTERRUPTED)


def tell(text: str) -> None:
    """An error on stderr; with LINEARHEAD_DEBUG=1 the traceback of the exception being handled first."""
    if os.environ.get("LINEARHEAD_DEBUG"):
        put(traceback.format_exc(), err=True)
    from ..experiment.names import readable

    lines = [readable(line) for line in text.split("\n")]
    put(click.style("Error: ", fg="red", bold=True) + "\n".join(lines), err=True)
