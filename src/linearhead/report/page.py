"""`render`: the record's view through the template, under a policy that lets nothing but this page's own text run.

The style sheet and the script stand inside the page and are allowed by their SHA-256 alone; pictures are data: URIs.
Too long a page loses its least important pictures and says so.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from ..charts import STYLE, number, percent, printable
from ..charts.words import THIN, clipped, duration
from ..records import Run
from . import sentences
from .confusion import pictures_behind
from .numbers import numbers, script_text
from .pictures import Kept, cost, everything, within
from .view import view

LIMIT = 2_000_000  # bytes of UTF-8
HERE = Path(__file__).parent / "templates"


def render(run: Run) -> str:
    """One self-contained HTML page of at most LIMIT bytes, drawn from the record alone."""
    kept = everything(run)
    page = _page(run, kept)
    size = len(page.encode())
    allowance = LIMIT - (size - cost(run, kept))
    while size > LIMIT and (kept.pictures or kept.weights):
        kept = within(run, allowance)
        page = _page(run, kept)
        size = len(page.encode())
        allowance -= max(size - LIMIT, 0) + 4096
    return page


def _page(run: Run, kept: Kept) -> str:
    from markupsafe import Markup

    style, script = _asset("page.css") + STYLE + _asset("theme.css"), _asset("page.js")
    return _template().render(
        **view(run, kept),
        behind=pictures_behind(run, set(kept.pictures)),
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=Markup(script_text(numbers(run))),
    )


def policy(style: str, script: str) -> str:
    """The content security policy: nothing from anywhere, this style, this script, pictures inside the page."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    """The compiled template; every value is made printable and escaped unless this module marked it as markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return value if isinstance(value, (int, float, Markup)) else printable(value)

    environment = Environment(
        loader=FileSystemLoader(HERE, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {
        "percent": percent,
        "number": number,
        "duration": duration,
        "clip": clipped,
        "interval": sentences.interval,
        "severity": lambda finding: sentences.severity(finding)[1],
        "when": sentences.when,
        "prose": _prose,
        "svg": lambda chart: Markup(chart.inline),
    }
    return environment.get_template("page.html")


OPTION = re.compile(r"`([^`]+)`|(?<![\w-])(--[a-z][a-z0-9-]{1,30}(?![\w-]))")
PER_CENT = re.compile(r"(?<=\d) ?%")


def _prose(text: str) -> Any:
    """A sentence: `back-quoted` words and --options become <code>, per cent signs stand as everywhere on the page;
    everything is escaped."""
    from markupsafe import Markup, escape

    text = PER_CENT.sub(f"{THIN}%", printable(text))
    if text.count("`") % 2:  # an odd quote out: leave the text as it is
        return escape(text)
    parts, end = [], 0
    for found in OPTION.finditer(text):
        code = Markup("<code>{}</code>") if found[1] else Markup('<code class="option">{}</code>')
        parts += [escape(text[end : found.start()]), code.format(found[1] or found[2])]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])
