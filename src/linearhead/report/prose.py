"""Sentences of the record as markup: everything is escaped, and what a reader should see apart is set apart."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from ..charts.words import THIN, grouped, of_rows, printable

OPTION = re.compile(r"`([^`]+)`|(?<![\w-])(--[a-z][a-z0-9-]{1,30}(?![\w-]))")
TOKEN = re.compile(r"<(style|script|code|pre)\b.*?</\1>|<section id=\"words\".*?</section>|<[^>]*>|([^<]+)", re.DOTALL)
PER_CENT = re.compile(r"(?<=\d) ?%")


def prose(text: str) -> Any:
    """A sentence: `back-quoted` words and --options become <code>, numbers and per cent signs stand as everywhere on
    the page; everything is escaped."""
    from markupsafe import Markup, escape

    text = PER_CENT.sub(f"{THIN}%", grouped(printable(text)))
    if text.count("`") % 2:  # an odd quote out: leave the text as it is
        return escape(text)
    parts, end = [], 0
    for found in OPTION.finditer(text):
        code = Markup("<code>{}</code>") if found[1] else Markup('<code class="option">{}</code>')
        parts += [escape(text[end : found.start()]), code.format(found[1] or found[2])]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def page_of_rows(page: str, names: set[str]) -> str:
    """The page of rows of features, which are no pictures: its texts say so, but not the glossary and not `names`."""

    def shown(found: re.Match[str]) -> str:
        text = found[2]
        return found[0] if text is None or unescape(text).strip() in names else of_rows(text)

    return TOKEN.sub(shown, page)
