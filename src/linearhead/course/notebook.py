"""The assignment as a notebook, and a filled-in notebook as the script that is graded.

Of a notebook's cells imports, functions, classes and plain constants are graded; what a cell tries out, plots or prints
is left aside, so that one that fails or takes minutes does no harm.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from ..errors import FileError

SECTION = re.compile(r"^# (\d[\d, ]*) ── (.+?) ─+\n", re.MULTILINE)
MAGIC = re.compile(r"^\s*[%!?].*$", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook_of(script: str) -> str:
    """JSON (nbformat 4.5): the docstring and the sections' titles as text, each section's code as a cell."""
    words = ast.get_docstring(ast.parse(script)) or ""
    body = script[script.index('"""', 3) + 3 :]
    imports, *sections = SECTION.split(body)
    cells = [_cell("markdown", words.replace("\n    ", "\n        ")), _cell("code", imports)]
    for number, title, code in zip(*(sections[i::3] for i in range(3)), strict=True):
        code, _, ran = code.partition('if __name__ == "__main__":')
        cells += [_cell("markdown", f"## {number} · {title}"), _cell("code", code)]
        if ran:
            cells.append(_cell("code", f'if __name__ == "__main__":{ran}'))
    for i, cell in enumerate(cells):
        cell["id"] = f"part-{i}"
    return json.dumps({"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": text.strip().splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def script_of(notebook: str, name: str = "the notebook") -> str:
    """What is graded of a notebook; a cell that Python cannot read stands in it as it is. FileError for no notebook."""
    try:
        cells = [cell for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(
            f"{name} is no notebook (nbformat 4): {type(error).__name__} {error}. Save it again."
        ) from error
    return "\n\n".join(_graded(MAGIC.sub("", source)) for source in sources) + "\n"


def _graded(source: str) -> str:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # said when the script is run
    lines, parts = source.splitlines(), []
    for node in tree.body:
        if _kept(node):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            parts.append("\n".join(lines[first - 1 : node.end_lineno]))
    return "\n".join(parts)


def _kept(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        calls = [n.func for n in _run_now(node) if isinstance(n, ast.Call)]
        return all(isinstance(f, ast.Attribute) and _root(f) in ("np", "numpy") for f in calls)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _run_now(node: ast.AST) -> Iterator[ast.AST]:
    """What an assignment evaluates at once: all but the bodies of its lambdas."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Lambda):
            yield from _run_now(child)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
