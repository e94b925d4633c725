"""The site: Markdown by MyST, chapters executed by sphinx-gallery, formulas as MathML: no page needs a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from latex2mathml.converter import convert

HERE = Path(__file__).parent
os.environ["LINEARHEAD_CACHE"] = ""  # chapters leave nothing in the user's home
project, author, copyright = "linearhead", "linearhead", "linearhead"
extensions = ["myst_parser", "sphinx_gallery.gen_gallery", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "chapters", "choices.md"]
suppress_warnings = ["myst.xref_missing", "config.cache"]  # links from the repository's own pages into its sources
html_title = "linearhead"
html_context = {"default_mode": "auto"}
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": True, "navbar_end": ["theme-switcher"], "secondary_sidebar_items": ["page-toc"]}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {"*": []}  # pages without pages below them; the lecture keeps its own
html_show_sourcelink = False
autodoc_typehints = "none"
sphinx_gallery_conf = {
    "examples_dirs": "chapters",
    "gallery_dirs": "lecture",
    "filename_pattern": "/plot_",
    "image_scrapers": (),
    "reset_modules": (),
    "write_computation_times": False,  # that page alone would load scripts from elsewhere
    "capture_repr": ("_repr_html_",),
    "abort_on_example_error": True,
    "show_memory": False,
    "download_all_examples": False,
    "within_subsection_order": "FileNameSortKey",
}


def inline_math(self, node):
    self.body.append(convert(node.astext(), display="inline"))
    raise_skip()


def block_math(self, node):
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise_skip()


def raise_skip():
    from docutils.nodes import SkipNode

    raise SkipNode


PAGES = (
    ("registries.py", "registries.md"),
    ("figures.py", "benchmarks.md"),
    ("choices.py", "choices.md"),
    ("costs.py", "cost.md"),
)


def generate(app):
    """Pages that the package writes about itself."""
    for script, name in PAGES:
        done = subprocess.run([sys.executable, HERE / script], capture_output=True, text=True, check=True)
        page = HERE / name
        if not page.exists() or page.read_text(encoding="utf-8") != done.stdout:
            page.write_text(done.stdout, encoding="utf-8")


def as_written(app, what, name, obj, options, lines):
    """Docstrings are plain text, formulas and all."""
    lines[:] = ["::", "", *(f"   {line}" for line in lines), ""] if any(lines) else []


def setup(app):
    app.connect("autodoc-process-docstring", as_written)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("builder-inited", generate)


html_math_renderer = "mathml"
