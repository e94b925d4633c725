"""choices.md, a part of choosing.md: what the choice of loss, penalty and solver changed, from benchmarks/choosing.json."""

import json
from pathlib import Path

from linearhead.charts import bar_chart

found = json.loads((Path(__file__).parents[1] / "benchmarks" / "choosing.json").read_text(encoding="utf-8"))
sets, where = found["pictures"], found["set_of_penalties_and_solvers"]


def table(head, rows):
    return "\n".join(
        ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(r) + " |" for r in rows)]
    )


def drawn(title, measured):
    """Accuracy with its interval, a bar each."""
    chart = bar_chart(
        list(measured),
        [m["accuracy"] for m in measured.values()],
        intervals=[tuple(m["interval"]) for m in measured.values()],
        title=title,
        show=lambda v: f"{v:.1%}",
        limit=1.0,
    )
    return f"```{{raw}} html\n{chart.svg}\n```\n"


def loss_of(m):
    return f"{m['log_loss']:.3f}" if "log_loss" in m else "no probabilities"


print("## Measured: losses\n")
print(
    "All with L2, on standardised columns, α chosen on a tenth of the training pictures "
    "(`python benchmarks/choosing.py`). Whiskers are 95 % intervals: where they overlap this much, take the loss for "
    "what it gives besides accuracy.\n"
)
for name, measured in found["losses"].items():
    columns = next(iter(measured.values()))["columns"]
    print(drawn(f"{name}: {sets[name]['trained']} trained, {sets[name]['judged']} judged, {columns} columns", measured))
    rows = [
        (f"`{loss}`", loss_of(m), f"{m['train_accuracy']:.1%}", f"{m['cpu_seconds']:.2g}")
        for loss, m in measured.items()
    ]
    print(table(("loss", "log loss", "right of the trained", "processor seconds, all α"), rows) + "\n")
print(f"## Measured: penalties\n\nCross-entropy on {where}.\n")
print(drawn(f"{where}: cross-entropy with every penalty", found["penalties"]))
rows = [
    (
        f"`{name}`",
        loss_of(m),
        f"{m['train_accuracy']:.1%}",
        f"{m['columns_used']} of {m['columns']}",
        f"{m['cpu_seconds']:.2g}",
    )
    for name, m in found["penalties"].items()
]
print(table(("penalty", "log loss", "right of the trained", "columns used", "processor seconds, all α"), rows))
print(f"\n## Measured: solvers\n\nOne fit of cross-entropy + L2 on {where}, each with its own defaults.\n")
rows = [
    (f"`{name}`", f"{m['passes']:.0f}", f"{m['cpu_seconds']:.2g}", f"{m['gap']:.0e}", "yes" if m["converged"] else "no")
    for name, m in found["solvers"].items()
]
print(
    table(("solver", "passes over the rows", "processor seconds", "proven relative gap", "tolerance certified"), rows)
)
