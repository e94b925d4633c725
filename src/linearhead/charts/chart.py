"""What a chart is: an SVG body, a size, a title and a description for those who cannot see it.

Colours come as CSS variables under classes, and as plain attributes beneath them: a viewer that knows no
variables still shows the light colours. Eight hues, in an order that keeps neighbours apart for colour-blind readers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from ..files import write_atomic
from .words import escaped

COLOURS = (  # (on light, on dark)
    ("#2a78d6", "#5b9df0"),
    ("#d9541e", "#f0834f"),
    ("#138a60", "#35b98a"),
    ("#a87400", "#d9a52e"),
    ("#c2457f", "#e57fae"),
    ("#4a3aa7", "#a79cf2"),
    ("#008300", "#4cb04c"),
    ("#c93534", "#ee7a79"),
)
SURFACES = {
    "ink": ("#1b1c1e", "#ececea"),
    "soft": ("#5f6368", "#a3a6ab"),
    "grid": ("#e3e5e8", "#33363b"),
    "surface": ("#ffffff", "#17181b"),
}


def _variables(theme: int) -> str:
    surfaces = "".join(f"--lh-{name}:{pair[theme]};" for name, pair in SURFACES.items())
    return surfaces + "".join(f"--lh-{slot}:{pair[theme]};" for slot, pair in enumerate(COLOURS))


STYLE = (
    f".lh-chart{{{_variables(0)}max-width:100%;height:auto}}"
    f"@media screen and (prefers-color-scheme:dark){{.lh-chart{{{_variables(1)}}}}}"
    ".lh-chart text{font-family:ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:var(--lh-soft);"
    "font-variant-numeric:tabular-nums}.lh-chart .lh-title,.lh-chart .lh-name{fill:var(--lh-ink)}"
    ".lh-chart .lh-surface{fill:var(--lh-surface)}.lh-chart .lh-grid{stroke:var(--lh-grid)}"
    ".lh-chart .lh-axis{stroke:var(--lh-soft)}.lh-chart .lh-ring{stroke:var(--lh-ink);fill:var(--lh-surface)}"
    ".lh-chart .lh-halo{stroke:var(--lh-surface)}"
    + "".join(f".lh-chart .lh-s{i}{{stroke:var(--lh-{i})}}.lh-chart .lh-f{i}{{fill:var(--lh-{i})}}" for i in range(8))
)


@dataclass(frozen=True)
class Chart:
    """A finished drawing. Notebooks show it by themselves; `save` writes a file that any browser opens."""

    title: str
    description: str
    width: int
    height: int
    body: str = field(repr=False)

    @property
    def inline(self) -> str:
        """The <svg> element without its style sheet, for a page that includes `STYLE`."""
        return self._element("")

    @property
    def svg(self) -> str:
        """The <svg> element that stands alone."""
        return self._element(f"<style>{STYLE}</style>")

    def _element(self, style: str) -> str:
        content = f"{self.title}{self.description}{self.body}".encode(errors="surrogatepass")
        name = f"lh{hashlib.sha256(content).hexdigest()[:10]}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="lh-chart" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" aria-labelledby="{name}t {name}d" '
            f'font-family="sans-serif" font-size="12" fill="{SURFACES["soft"][0]}">'
            f'<title id="{name}t">{escaped(self.title)}</title><desc id="{name}d">{escaped(self.description)}</desc>'
            f'{style}<rect class="lh-surface" width="100%" height="100%" fill="none"/>{self.body}</svg>'
        )

    def _repr_html_(self) -> str:
        return self.svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Write the standalone SVG; UsageError where the name does not end in .svg."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise UsageError(
                f"A chart is saved as SVG, but {path.name!r} does not end in .svg. Name it {path.stem + '.svg'!r}; "
                "a browser or rsvg-convert makes other formats from it."
            )
        write_atomic(path, self.svg.encode())
        return path


_HALO = ' stroke-width="4" stroke-linejoin="round" paint-order="stroke" font-weight="600"'


def label(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "", halo: bool = False) -> str:
    """One <text>; `kind` "title" and "name" are in ink, the rest softer; a halo keeps it legible on lines."""
    names = " ".join([f"lh-{kind}"] * bool(kind) + ["lh-halo"] * halo)
    style = f' class="{names}"' if names else ""
    style += f' fill="{SURFACES["ink"][0]}"' if kind else ""
    style += ' font-size="13.5" font-weight="600"' if kind == "title" else ""
    style += f' stroke="{SURFACES["surface"][0]}"{_HALO}' if halo else ""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{place}{style}>{escaped(words)}</text>'


def stroke(kind: str, x1: float, y1: float, x2: float, y2: float, extra: str = "") -> str:
    """One straight hairline, `kind` "grid" or "axis"."""
    colour = SURFACES["grid" if kind == "grid" else "soft"][0]
    return f'<line class="lh-{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{extra}/>'


def width_of(words: str, size: float = 12) -> float:
    """About how many pixels a text takes; fonts differ, so this errs on the wide side."""
    return 0.58 * size * len(words)
