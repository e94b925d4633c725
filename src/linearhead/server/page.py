"""The server's page: that of `export --to html`, asking this server instead of computing."""

from __future__ import annotations

import re

from ..export.page import assembled
from . import Answering

SCRIPTS = ("show.js", "remote.js")


def page(served: Answering, guarded: bool) -> tuple[str, str]:
    """(HTML, its content security policy); behind a token it names no class."""
    names = served.classes
    text = assembled(
        title="What is it?" if guarded else f"Which of these {len(names)} is it?",
        lead="" if guarded else f"{', '.join(names[:12])}{', …' if len(names) > 12 else ''}",
        where="They go to this server, which keeps none.",
        foot="Served by linearhead.",
        data={"coverage": 0.95 if served.calibrated else None, "overlay": served.preprocessing.fit == "stretch"},
        scripts=SCRIPTS,
        connect="'self'",
    )
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    return text, f"{found[1]}; frame-ancestors 'none'"
