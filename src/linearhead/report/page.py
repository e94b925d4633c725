"""`render`: the record's view through the template, under a policy that lets nothing but this page's own text run.

The style sheet and the script stand inside the page and are allowed by their SHA-256 alone; pictures are data: URIs.
Too long a page loses its least important pictures and says so.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from ..charts import STYLE, number, percent, printable
from ..charts.page import hash_source
from ..charts.words import clipped, duration, grouped
from ..records import Run
from . import sentences
from .confusion import pictures_behind
from .glossary import anchor, glossary
from .numbers import numbers, script_text
from .pictures import Kept, cost, everything, within
from .prose import page_of_rows, prose
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
    page = _template().render(
        **view(run, kept),
        behind=pictures_behind(run, set(kept.pictures)),
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=Markup(script_text(numbers(run))),
    )
    return page_of_rows(page, {*run.data.classes, run.data.source}) if run.of_rows else page


def policy(style: str, script: str) -> str:
    """The content security policy: nothing from anywhere, this style, this script, pictures inside the page."""
    return (
        f"default-src 'none'; img-src data:; style-src {hash_source(style)}; script-src {hash_source(script)}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


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
        "grouped": grouped,
        "interval": sentences.interval,
        "severity": lambda finding: sentences.severity(finding)[1],
        "when": sentences.when,
        "prose": prose,
        "explained": _explained,
        "breakable": _breakable,
        "svg": lambda chart: Markup(chart.inline),
    }
    environment.globals |= {"glossary": glossary, "anchor": anchor}
    return environment.get_template("page.html")


EMPHASIS = re.compile(r"\*([^*]+)\*")


def _breakable(spec: str) -> Any:
    """The name of features, which may go on in a new line after what joins its parts."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([+,(])", r"\1<wbr>", str(escape(spec))))


def _explained(text: str) -> Any:
    """A cell of the glossary: `prose`, and *stressed* words."""
    from markupsafe import Markup

    return Markup(EMPHASIS.sub(r"<em>\1</em>", str(prose(text))))
