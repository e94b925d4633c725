"""Charts as hand-written SVG: lines, steps, points, bars, reliability; pictures of traces and of penalty paths.

`chart.svg` is text that stands alone, light or dark as its reader prefers; `chart.inline` is the same drawing for
a page that carries `STYLE` itself, as a strict content security policy demands. Missing values (None, NaN, ±inf, and
anything ≤ 0 on a logarithmic axis) are left out, never drawn as zero.
"""

from .bars import Bin, bar_chart, reliability_chart
from .chart import STYLE, Chart
from .confusion import confusion_chart
from .lines import Mark, Series, line_chart
from .traces import path_chart, trace_chart
from .words import number, percent, printable

__all__ = [
    "STYLE",
    "Bin",
    "Chart",
    "Mark",
    "Series",
    "bar_chart",
    "confusion_chart",
    "line_chart",
    "number",
    "path_chart",
    "percent",
    "printable",
    "reliability_chart",
    "trace_chart",
]
