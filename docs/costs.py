"""cost.md: what training costs on workers, from the cost model and the measurements that it was fitted to."""

import json
from pathlib import Path

from linearhead.cli.words import amount, duration
from linearhead.experiment import cost

RECORD = json.loads((Path(__file__).resolve().parents[1] / "benchmarks" / "cluster.json").read_text(encoding="utf-8"))
SIZES = (  # name, problem, setting
    ("ImageNet-1k, ViT-B features", cost.Problem(1_281_167, 768, 1000, 2), (1, 4, 16)),
    ("ImageNet-21k, ViT-B features", cost.Problem(13_153_500, 768, 21_841, 2), (4, 16, 64)),
    ("LAION-400M, ViT-B features, 1 000 classes", cost.Problem(413_000_000, 768, 1000, 2), (16, 64, 256)),
)
CORES, MEMORY, NETWORK, STORAGE = 16, 64.0, 1.25, 0.5

print("# What it costs\n")
print(
    "`linearhead plan DATA --workers N` says what a training costs before it begins. Generated from "
    "`benchmarks/cluster.json` when the site is built.\n"
)
m = RECORD["model"]
print("## Measured\n")
print(
    "Passes of softmax with L2, float32 rows in memory, by 1 to 4 worker processes of one thread each on one machine of "
    f"{m['machine_cores']} cores (load {m['load']} at the end, the benchmark's own included). “Measured” are processor "
    "seconds: those of the client, plus those of the worker that has most, or of all workers over the cores where there are "
    "fewer cores, and what the smallest pass waits besides; on an idle machine the clock shows the same, on a busy one it "
    f"shows more. The least of {m['repeats']} passes. The model's coefficients are non-negative least squares on the passes "
    "marked “fitted”; the other sizes, and three workers, it has not seen.\n"
)
print(
    "| rows | columns | classes | workers | measured | by the clock | foretold | off | |\n|---|---|---|---|---|---|---|---|---|"
)
for row in m["passes"]:
    n, d, k = row["size"]
    kind = "fitted" if row["fitted"] else "**unseen**"
    print(
        f"| {n} | {d} | {k} | {row['workers']} | {duration(row['seconds'])} | {duration(row['clock'])} | "
        f"{duration(row['foretold'])} | {100 * row['off']:+.0f} % | {kind} |"
    )
inside = sum(abs(row["off"]) <= 0.2 for row in m["passes"] if not row["fitted"])
total = sum(not row["fitted"] for row in m["passes"])
print(
    f"\nOf {total} unseen passes {inside} are foretold within 20 %; the median is off by "
    f"{100 * m['median_of_unseen']:.0f} %, the worst by {100 * m['worst_of_unseen']:.0f} %.\n"
)
print("| coefficient | seconds |\n|---|---|")
for name, value in m["costs"].items():
    print(f"| `{name}` | {value:.3g} |")
print(
    "\nWhat each multiplies stands at the head of `src/linearhead/experiment/cost.py`. A coefficient of 0 means that "
    "these measurements could not tell it from its neighbours.\n"
)
print("## Extrapolated\n")
print(
    f"Nobody ran these. Workers of {CORES} cores as fast as the measured ones and {MEMORY:.0f} GB, float16 rows, a line "
    f"of {NETWORK} GB/s at the client, storage of {STORAGE} GB/s a worker; all strengths of the penalty (`--alpha auto`). "
    "The number of passes is what fits of other data took; it decides the seconds, and depends on how the columns lie. "
    "Not measured are networks (the workers spoke within one machine), more than four workers, more than two cores, several "
    "threads in one worker, and stragglers.\n"
)
print(
    "| problem | workers | passes | a pass | all | limited by | read | carried | a worker's memory | the client's |"
    "\n|---|---|---|---|---|---|---|---|---|---|"
)
for name, problem, counts in SIZES:
    for workers in counts:
        p = cost.plan(problem, cost.Setting(workers, CORES, MEMORY, NETWORK, STORAGE))
        low, high = p.seconds_range
        print(
            f"| {name} | {workers} | {p.passes} ({p.passes_range[0]} to {p.passes_range[1]}) | "
            f"{duration(p.seconds_per_pass)} | {duration(p.seconds)} ({duration(low)} to {duration(high)}) | "
            f"{p.limited_by} | {amount(p.read_bytes, 'B')} | {amount(p.carried_bytes, 'B')} | "
            f"{amount(p.worker_bytes, 'B')} | {amount(p.client_bytes, 'B')} |"
        )
print(
    "\nWhere θ is large (21 841 classes: 134 MB), the client's line carries it to every worker in every pass: more workers "
    "then make a pass no shorter. A tree of workers that hand θ and sums on to each other would; it is not built.\n"
)
