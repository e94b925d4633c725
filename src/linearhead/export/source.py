"""Pieces of this package's own source as one text that needs nothing of the package: what a predictor file is made of.

`gathered(["features.hog:Hog._rows"])` is that method in its class, and everything in the package that it names, each
definition as it is written in its file. A class named with methods is cut down to its fields, those methods and what
they ask of `self`; a class that is merely named comes whole. Imports from outside come as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass
class Module:
    """One file of the package: its lines, what it defines, and where the other names in it come from."""

    name: str  # "features.hog"
    lines: list[str]
    defined: dict[str, Definition] = field(default_factory=dict)
    inside: dict[str, tuple[str, str]] = field(default_factory=dict)  # name → (module, name there)
    outside: dict[str, str] = field(default_factory=dict)  # name → the import line for it alone

    def text(self, node: ast.AST) -> str:
        """A definition as it stands in the file, decorators and end-of-line comments included."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])  # type: ignore[attr-defined]
        return "\n".join(self.lines[first - 1 : node.end_lineno])  # type: ignore[attr-defined]


@cache
def module(name: str) -> Module:
    """The file features/hog.py, or features/__init__.py for "features"."""
    place = files("linearhead").joinpath(*name.split("."))
    path = place / "__init__.py" if place.is_dir() else place.parent / f"{name.rpartition('.')[2]}.py"  # type: ignore[attr-defined]
    source = path.read_text(encoding="utf-8")
    found = Module(name, source.split("\n"))
    home = name.split(".") if place.is_dir() else name.split(".")[:-1]
    for node in ast.parse(source).body:
        _note(found, node, home)
    return found


def _note(found: Module, node: ast.stmt, home: list[str]) -> None:
    """Where the names that this statement binds come from."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        found.defined[node.name] = node
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            found.defined |= {n.id: node for n in ast.walk(target) if isinstance(n, ast.Name)}
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        found.defined[node.target.id] = node
    elif isinstance(node, ast.Import):
        for alias in node.names:
            found.outside[alias.asname or alias.name] = f"import {alias.name}" + _as(alias)
    elif isinstance(node, ast.ImportFrom):
        base = home[: len(home) - node.level + 1] + (node.module or "").split(".") if node.level else []
        for alias in node.names:
            if node.level:
                found.inside[alias.asname or alias.name] = (".".join(base), alias.name)
            else:
                found.outside[alias.asname or alias.name] = f"from {node.module} import {alias.name}" + _as(alias)


def _as(alias: ast.alias) -> str:
    return f" as {alias.asname}" if alias.asname else ""


def gathered(roots: Iterable[str]) -> tuple[list[str], str]:
    """(import lines, definitions) of "module:name" and "module:Class.method", dependencies before what needs them."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for root in roots:
        where, _, what = root.partition(":")
        name, _, method = what.partition(".")
        wanted.setdefault((where, name), set()).update([method] if method else [])
    walk = _Walk(wanted)
    for where, name in wanted:
        walk.take(where, name)
    homes = {name: where for where, name in walk.done}
    if len(homes) < len(walk.done):
        raise ValueError(f"two of the gathered definitions have one name: {sorted(n for _, n in walk.done)}")
    return sorted(walk.imports, key=lambda line: (line.startswith("from"), line)), "\n\n\n".join(walk.texts)


class _Walk:
    """Depth first through what the definitions name."""

    def __init__(self, cut: dict[tuple[str, str], set[str]]) -> None:
        self.cut, self.done, self.texts, self.imports = cut, set(), [], set()

    def take(self, where: str, name: str) -> None:
        if (where, name) in self.done:
            return
        home = module(where)
        if name in home.inside:
            return self.take(*home.inside[name])
        if name in home.outside:
            self.imports.add(home.outside[name])
            return None
        node = home.defined.get(name)
        if node is None:  # of Python itself
            return None
        self.done.add((where, name))
        if isinstance(node, ast.ClassDef) and (methods := self.cut.get((where, name))):
            parts = _parts(node, methods)
            used, text = [*node.decorator_list, *parts], _class(home, node, parts)
        else:
            used, text = [node], home.text(node)
        for needed, at_runtime in (pair for part in used for pair in _names(part)):
            if at_runtime or needed in home.outside:
                self.take(where, needed)
        self.texts.append(text)
        return None


def _names(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """(name, whether it is looked up when the code runs); those in annotations are not."""
    types = {id(n) for a in ast.walk(node) for t in _annotations(a) for n in ast.walk(t)}
    for n in ast.walk(node):
        if isinstance(n, ast.Name):
            yield n.id, id(n) not in types


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    for name in ("annotation", "returns"):
        if (found := getattr(node, name, None)) is not None:
            yield found


def _parts(node: ast.ClassDef, methods: set[str]) -> list[ast.stmt]:
    """The fields, and the methods that are wanted or asked of `self` by these, in their order."""
    there = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    kept, rest = set(), list(methods)
    while rest:
        if (name := rest.pop()) not in kept:
            kept.add(name)
            rest += [a for a in _asked(there[name]) if a in there]
    return [part for part in node.body if _is_field(part) or getattr(part, "name", None) in kept]


def _asked(method: ast.FunctionDef) -> list[str]:
    """Attributes of `self` in a method."""
    return [
        n.attr
        for n in ast.walk(method)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
    ]


def _is_field(part: ast.stmt) -> bool:
    return isinstance(part, ast.AnnAssign) and "ClassVar" not in ast.unparse(part.annotation)


def _class(home: Module, node: ast.ClassDef, parts: list[ast.stmt]) -> str:
    """The class with these parts only, without its bases; what those would give it, the pictures' shape, is a field."""
    head = [f"@{ast.unparse(d)}" for d in node.decorator_list] + [f"class {node.name}:"]
    picture = "    picture: tuple[int, int, int] | None = None"
    fields = [home.text(part) for part in parts if _is_field(part)]
    methods = ["\n" + home.text(part) for part in parts if not _is_field(part)]
    return "\n".join([*head, *fields, picture, *methods])
