"""benchmarks.md, from the scripts' first lines and the JSON that lies beside them."""

import ast
import json
from pathlib import Path

HERE = Path(__file__).resolve().parents[1] / "benchmarks"
MOST = 40  # figures of one benchmark; the rest is in its file


def flat(value, name=""):
    """(dotted name, number or word) of everything in a JSON value."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flat(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from flat(part, f"{name}[{i}]")
    elif value is not None:
        yield name, f"{value:.4g}" if isinstance(value, float) else str(value)


print("# Benchmarks\n\nGenerated from `benchmarks/`: one script each, its figures as JSON beside it.\n")
for script in sorted(HERE.glob("*.py")):
    words = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").split("\n\n")[0].replace("\n", " ")
    print(f"## {script.stem}\n\n{words}\n\n`python benchmarks/{script.name}`\n")
    results = script.with_suffix(".json")
    if results.exists():
        figures = list(flat(json.loads(results.read_text(encoding="utf-8"))))
        print("| figure | |\n|---|---|")
        for name, value in figures[:MOST]:
            print(f"| `{name}` | {value.replace('|', '/')} |")
        print(f"\n{len(figures) - MOST} more in `{results.name}`.\n" if len(figures) > MOST else "")
