"""Numbers and names as people read them, safe inside XML and HTML.

Names are not ours: they come from files. `printable` keeps every letter of every script and makes visible or
replaces what a page cannot carry or what would reorder the text around it.
"""

from __future__ import annotations

import math
import re
from html import escape

THIN = "\u202f"  # narrow no-break space: between digits, before the per cent sign
QUOTED = r"(?<!\w)'.*?'(?!\w)|`[^`]*`"
ALONE = re.compile(rf"--[a-z][a-z-]* \S+|seed \d+|{QUOTED}|(?<![^\s(])(\d{{4,6}})(?=[\s),;:]|\.?(?:\s|$))")
PICTURE = re.compile(
    rf"{QUOTED}|(?<!\w)&#39;.*?&#39;(?!\w)|(?<![\w./\\-])([Pp])icture(s?)(?![\w/\\-]|\.\w)"  # &#39; is HTML's quote
)
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(value: object) -> str:
    """`value` as text that UTF-8, XML and HTML can carry: control characters become pictures, the rest U+FFFD."""
    source = str(value)
    return source if source.isprintable() else "".join(map(_shown, source))


def _shown(c: str) -> str:
    code = ord(c)
    if c.isprintable() or c in "\n\t":
        return c
    if code < 0x20:
        return chr(0x2400 + code)  # ␀ … ␟
    if code == 0x7F:
        return "\u2421"
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code < 0xFDF0
    surrogate = 0xD800 <= code < 0xE000
    return "\ufffd" if code < 0xA0 or noncharacter or surrogate or c in _REORDERING else c


def escaped(value: object) -> str:
    """`printable(value)` for SVG text and for quoted attributes."""
    return escape(printable(value), quote=True)


def clipped(value: object, length: int) -> str:
    """At most `length` characters of `value`, an ellipsis for the rest."""
    whole = str(value)
    return whole if len(whole) <= length else whole[: length - 1].rstrip() + "…"


def number(value: float | None) -> str:
    """Three significant digits: 0.123, 12.3, 1 230, 4.1×10⁻⁷; integers below a million in full."""
    if value is None or not math.isfinite(value):
        return "–" if value is None else "not finite"
    size = abs(value)
    if size == 0 or (size < 999_999.5 and float(value).is_integer()):
        return f"{value:,.0f}".replace(",", THIN)
    if 1e-3 <= size < 999_999.5:
        digits = f"{value:,.{max(0, 2 - math.floor(math.log10(size)))}f}".replace(",", THIN)
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    mantissa, exponent = f"{value:.1e}".split("e")
    ten = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return ten if mantissa == "1.0" else f"{mantissa.removesuffix('.0')}×{ten}"


def grouped(text: str) -> str:
    """Whole numbers that stand alone in a sentence as `number` has them: 60000 pictures → 60 000 pictures. Names, which
    stand in quotes, and what people type, seeds and the values of --options, stay as they are."""

    def shown(found: re.Match[str]) -> str:
        return found[0] if found[1] is None else number(int(found[1]))

    return ALONE.sub(shown, text)


def of_rows(text: str) -> str:
    """The same of rows of features: 5 pictures → 5 rows. Names, which stand in quotes, and parts of paths stay."""

    def shown(found: re.Match[str]) -> str:
        return f"{'R' if found[1] == 'P' else 'r'}ow{found[2]}" if found[1] else found[0]

    return PICTURE.sub(shown, text)


def percent(value: float | None, decimals: int = 1, gap: str = THIN) -> str:
    """0.931 → '93.1 %'; what is short of 100 % or above 0 % is never rounded to it."""
    if value is None or not math.isfinite(value):
        return "–"
    shown = round(value * 100, decimals)
    unit = 10.0**-decimals
    if shown >= 100 and value < 1:
        shown = 100 - unit
    if shown <= 0 and value > 0:
        return f"<{gap}{unit:.{decimals}f}{gap}%"
    return f"{shown:.{decimals}f}{gap}%"


def spaced(value: float | None) -> str:
    """The same for terminals and Markdown, where a thin space is not to be had: 0.931 → '93.1 %'."""
    return percent(value, gap=" ")


def rate(value: float | None) -> str:
    """The same in a sentence of the record, which its readers set as they like: 0.931 → '93.1%'."""
    return percent(value, gap="")


def duration(seconds: float) -> str:
    """0.034 → '34 ms', 12.3 → '12.3 s', 754 → '12 min 34 s'."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}{THIN}ms"
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{THIN}h {minutes}{THIN}min" if hours else f"{minutes}{THIN}min {rest}{THIN}s"
