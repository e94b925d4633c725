"""One self-contained HTML page of charts, tables and sentences, under a policy that lets nothing else load or run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from .chart import STYLE, Chart
from .words import escaped

LOOK = (
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1b1c1e;--soft:#5a5f66;--line:#dfe2e5}"
    "@media screen and (prefers-color-scheme:dark){:root{--paper:#131417;--ink:#e9e9e7;--soft:#a0a5ac;--line:#30343a}}"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 3rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.55 ui-sans-serif,system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
    "overflow-wrap:anywhere}h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0 1rem}h2{font-size:1.15rem;"
    "margin:2rem 0 .6rem}p{max-width:44rem;margin:.6rem 0}.quiet,caption,th{color:var(--soft);font-size:.875rem}"
    ".wide{overflow-x:auto}table{overflow-wrap:break-word;border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:60%}"
    "th,td{text-align:right;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);white-space:nowrap;"
    "font-weight:400}th:first-child,td:first-child{text-align:left;white-space:normal}"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem 1rem}"
    "pre{overflow-x:auto;border-left:3px solid var(--line);padding-left:.8rem}"
)


def page(title: str, *parts: str) -> str:
    """The whole page; `parts` are what `heading`, `paragraph`, `table`, `preformatted` and `drawn` give."""
    style = LOOK + STYLE
    policy = f"default-src 'none'; style-src {hash_source(style)}; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{style}</style></head>"
        f"<body><main><h1>{escaped(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )


def hash_source(text: str) -> str:
    """The source expression by which a content security policy allows this inline style or script alone (CSP 3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def heading(words: str) -> str:
    return f"<h2>{escaped(words)}</h2>"


def paragraph(words: str, quiet: bool = False) -> str:
    return f"<p{' class=quiet' if quiet else ''}>{escaped(words)}</p>"


def preformatted(words: str) -> str:
    return f"<pre>{escaped(words)}</pre>"


def drawn(charts: Sequence[Chart]) -> str:
    """Charts side by side where there is room."""
    return f'<div class="charts">{"".join(chart.inline for chart in charts)}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column names the row; others are numbers, to the right."""
    top = "".join(f'<th scope="col">{escaped(word)}</th>' for word in head)
    lines = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'
