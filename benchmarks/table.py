"""The comparison table of the README and the picture beside it, from the JSON that the other scripts have written.

    python benchmarks/table.py

Replaces what lies between the two markers of README.md, and docs/seconds.svg. A script without results has no row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BEGIN, END = "<!-- from benchmarks/table.py -->", "<!-- end of benchmarks/table.py -->"
PICTURE = ROOT / "docs" / "seconds.svg"
Row = tuple[str, str, str]  # work, what was measured, aim


def times(ratio: dict[str, float]) -> str:
    return f"**{digits(ratio['seconds'])}×** ({digits(ratio['cpu_seconds'])}× in processor time)"


def digits(number: float) -> str:
    return f"{number:.0f}" if number >= 20 else f"{number:.1f}"


def seconds(record: dict, ours: str, theirs: str) -> str:
    return f"{digits(record['medians'][ours]['seconds'])} s against {digits(record['medians'][theirs]['seconds'])} s"


def softmax(record: dict) -> Iterator[Row]:
    for r in record["results"]:
        data = f"{record['data']} {record['rows']} × {record['columns']}"
        found = f"{times(r['times_as_long']['scikit-learn'])} scikit-learn's lbfgs"
        work = f"softmax + L2, {data}, α = {r['alpha_n']}/n, gap {r['gap']:.0e}"
        yield work, f"{found}, {seconds(r, 'linearhead', 'scikit-learn')}", "≥ 10×"
        for gaps, counts in [zip(*r["passes_to_gaps"].items(), strict=True)] if "passes_to_gaps" in r else []:
            found = "**" + ", ".join(f"{count:.0f}" for count in counts) + "**"
            yield f"the same: passes over all rows to gaps of {', '.join(gaps)}", found, ""


def peers(record: dict) -> Iterator[Row]:
    for name, r in record["results"].items():
        rows = f"{record['data']} {record['rows']} × {record['columns']}"
        work = f"softmax + L2, {rows}, α = 1/n, to the F where {name} stops"
        if r["ended"]:
            yield work, times(r["times_as_long"]), ""
        else:
            yield work, f"does not stop within {record['limit']} s", ""


def wide_k(record: dict) -> Iterator[Row]:
    for r in record["results"]:
        work = f"softmax + L2, {r['rows']} × {r['columns']}, {r['classes']} classes, condition {r['condition']:.0e}"
        yield work, f"{times(r['times_as_long']['scikit-learn'])} scikit-learn's lbfgs", "≥ 5×"


def margin(record: dict) -> Iterator[Row]:
    for r in record["results"]:
        work = f"Crammer–Singer, {record['data']} {record['rows']} × {record['columns']}, C = {r['C']:g}"
        defaults = ", its defaults," if (r["C"], r["tol_of_LinearSVC"]) == (1.0, 1e-4) else ""
        stopped = f"to the F where LinearSVC(tol={r['tol_of_LinearSVC']:g}){defaults} stops"
        yield f"{work}, {stopped}", f"{times(r['times_as_long']['LinearSVC'])} LinearSVC", "≥ 10×"


def path(record: dict) -> Iterator[Row]:
    theirs = record["scikit-learn"]
    fitted = "" if theirs["fitted"] == 45 else f", whose seconds are those of {theirs['fitted']} of the 45 alone"
    ratio = {name: theirs[name] / record["linearhead"][name] for name in ("seconds", "cpu_seconds")}
    work = f"45 values of C, {record['training_rows']} × {record['columns']}"
    judged = record["and_from_those_of_the_optimum_there"]
    ours, of = judged["linearhead"].count(0), len(judged["C"])
    whose = f"; of {of} C where validation labels differ, ours are the optimum's at **{ours}**" if of else ""
    yield work, f"{times(ratio)} cold scikit-learn fits{fitted}{whose}", "≥ 100×"
    if "LogisticRegressionCV" in record:
        warm = record["LogisticRegressionCV"]
        ratio = {name: warm[name] / warm["linearhead"][name] for name in ratio}
        yield work, f"{times(ratio)} LogisticRegressionCV", "≥ 10×"


def least_squares(record: dict) -> Iterator[Row]:
    n, d = record["shape"]
    work = f"least squares, {record['alphas']} α with leave-one-out, {n} × {d}"
    yield work, f"{times(record['linearhead_over_gram'])} the cost of XᵀX", "≤ 2×"
    yield work, f"{times(record['times_as_long']['RidgeClassifierCV'])} RidgeClassifierCV", ""


def small(record: dict) -> Iterator[Row]:
    losses = {"cross_entropy": "softmax + L2", "squared": "least squares", "squared_hinge": "squared hinge"}
    blocks: dict[tuple, list[dict]] = {}
    for r in record["results"]:
        blocks.setdefault((r["loss"], *r["shape"]), []).append(r)
    for (loss, n, d, k), those in blocks.items():
        found = "; ".join(beside(name, [r["peers"][name] for r in those]) for name in those[0]["peers"])
        proven = sum(r["defaults"]["certified"] for r in those)
        work = f"{losses.get(loss, loss)}, {n} × {d}, {k} classes, {len(those)} problems"
        yield work, f"{found}; defaults certify {proven} of {len(those)}", ""


def beside(name: str, runs: list[dict]) -> str:
    """A peer's times as long over some problems: the median, the range, and where it does not end."""
    ended = [run["times_as_long"]["seconds"] for run in runs if run["ended"]]
    if not ended:
        return f"{name} does not stop"
    ratios = f"**{median(ended):.1f}×** ({min(ended):.1f} to {max(ended):.1f}) scikit-learn's {name}"
    return ratios if len(ended) == len(runs) else f"{ratios}, which does not stop on {len(runs) - len(ended)}"


def sgd(record: dict) -> Iterator[Row]:
    r = record["batch_256"]
    ratio = {"seconds": r["ratio"], "cpu_seconds": r["ratio_of_cpu_seconds"]}
    yield (
        "SGD, an epoch of batches of 256, {} × {}".format(*record["shape"][:2]),
        f"{times(ratio)} a torch loop",
        "≥ 3×",
    )
    ratios = [each["ratio"] for each in record["batch_1"]["losses"].values()]
    yield (
        "SGD, an epoch of batches of one, beside its two products on the same rows",
        f"**{min(ratios):.1f}** to **{max(ratios):.1f}** times their processor time over {len(ratios)} losses",
        "≤ 3",
    )


def sweep(record: dict) -> Iterator[Row]:
    for r in record["speed"]:
        aim = "≥ 80 %" if r["classes"] >= 100 else "≥ 50 %"
        yield f"a pass, {r['classes']} classes, of a square product's speed", f"**{r['efficiency']:.0%}**", aim
    for r in record["memory"]:
        work = f"peak memory of a fit beyond X, {r['type']}, {r['classes']} classes"
        yield work, f"**{r['extra_bytes'] / 1e6:.0f} MB**", f"≤ {r['allowed_bytes'] / 1e6:.0f} MB"


def out_of_core(record: dict) -> Iterator[Row]:
    work = f"rows on disk, {record['file_mb']} MB, budget {record['budget_mb']} MB"
    for name in ("warm", "cold"):
        over, ratio = record["peak_over_budget_mb"][name], record["results"][name]["pass_over_read"]
        found = f"peak **{over:.0f} MB** above the budget, a pass **{ratio:.1f}×** reading the file"
        yield f"{work}, {name} cache", found, "≤ 200 MB, ≤ 1.5×"


def growth(record: list) -> Iterator[Row]:
    held = sum(r["logarithmic"] for r in record)
    work = f"passes grow no faster than log(1/gap): {len(record)} problems over n, d, k, α"
    yield work, f"**{held}** of {len(record)}", "all"


def certificates(record: dict) -> Iterator[Row]:
    t = record["total"]
    work = f"certificates, {t['fits']} fits beside a float64 optimum"
    found = f"**{t['violation']}** gaps broken, **{t['changed']}** of {t['promised']} promised predictions changed, "
    yield work, found + f"`converged_` true in **{t['truthful'] / t['fits']:.0%}**", "0, 0, 100 %"


def device(record: dict) -> Iterator[Row]:
    for r in record["results"]:
        n, d = r["shape"]
        work = f"softmax + L2 on {record['device']}, {r['rows']} {n} × {d}, {r['classes']} classes"
        passes = {who: found["passes"] for who, found in r["to_the_gap"].items()}
        counts = f"{passes['linearhead']:.0f} passes against {passes['torch.optim.LBFGS']:.0f}"
        found = f"**{digits(r['times_as_long'])}×** torch's L-BFGS there to a gap of {record['relative_gap']:.0e}"
        found = f"{found} ({counts}); "
        yield work, found + f"certified to {r['fit']['residual']:.0e} in **{r['fit']['seconds']:.1f} s**", ""


def hog(record: dict) -> Iterator[Row]:
    for case in record["cases"]:
        shape = " × ".join(map(str, case["picture"]))
        found = f"**{digits(case['times_as_fast'])}×** scikit-image, numbers differ by {case['largest_difference']:.0e}"
        yield f"HOG of {shape}, cells of {case['cell']}", found, "≥ 4×, 1e-06"


def patches(record: dict) -> Iterator[Row]:
    for r in record["arithmetic"]:
        shape = " × ".join(map(str, r["picture"]))
        pairs = " in mirrored pairs" if r.get("mirror") else ""
        yield (
            f"patches of {shape}, {r['filters']} filters{pairs}, of a square product's speed",
            f"**{r['share']:.0%}**",
            "≥ 60 %",
        )
    most = max(r["megabytes_beyond_pictures_and_rows"] for r in record["memory"])
    work = f"patches, peak memory on {record['memory'][0]['pictures']} pictures beyond them and their rows"
    yield work, f"**{max(most, 0):.0f} MB**", "≤ 1 500 MB"


def colour(record: dict) -> Iterator[Row]:
    for r in record["rows"]:
        work = (
            f"{r['trained']} painted colour pictures of 32 × 32, `patches` at {r['quality']} ({r['numbers']} numbers)"
        )
        low, high = r["accuracy_interval"]
        found = f"**{r['accuracy']:.1%}** ({low:.1%} to {high:.1%}) of {r['judged']} others in **{r['seconds']:.0f} s**"
        yield work, f"{found}, report included, {r['peak_mb'] / 1024:.1f} GB at the peak", ""


def decode(record: dict) -> Iterator[Row]:
    r = record["times_as_fast_as"]
    found = (
        f"**{digits(r['Pillow, bilinear'])}×** Pillow's open + resize, bilinear; {digits(r['Pillow, its default'])}×"
    )
    yield "a phone's photo, 4032 × 3024 to 96 × 96, one thread", f"{found} with its default filter", "≥ 4×"


def store(record: dict) -> Iterator[Row]:
    kill, damage, crowd = record["kill"], record["damage"], record["crowd"]
    lost = kill["most_rows_computed_in_vain"] / kill["rows_of_a_shard"]
    unreadable, differ = kill["stores_with_unreadable_shards"], kill["resumed_stores_that_differ"]
    found = f"**{unreadable}** unreadable, **{lost:.0f}** shard redone at most, **{differ}** differ"
    yield f"feature store, killed {kill['kills']} times at random moments", found, "0, 1, 0"
    found = f"**{damage['found']}** found, **{damage['rebuilt_bit_equal']}** rebuilt bit for bit"
    yield f"feature store, {damage['damages']} flipped bits and cut files", found, "all"
    found = f"**{crowd['failed_processes']}** errors, **{crowd['wrong_stores']}** wrong stores"
    yield f"feature store, {crowd['crowds']} times {crowd['processes']} processes on one", found, "0, 0"


def serving(record: dict) -> Iterator[Row]:
    ratio = record["latency"]["ratio_of_medians"]
    kept, new = (f"{ratio[how]:.2f}×" for how in ("http_client", "http_client_new"))
    found = f"**{kept}** the same call from Python; {new} on a new connection"
    yield "one picture from the server, on a kept connection", found, "≤ 1.3×"
    slow, bombs, other = record["half_open"], record["many_bombs"], record["foreign"]
    found = (
        f"**{slow['closed']}** closed within **{slow['slowest_s']} s**; good requests' p99 **{slow['p99_ms']:.0f} ms**"
    )
    yield f"server, {slow['connections']} connections that stop midway or drip", found, "all, ≤ 10 s, ≤ 250 ms"
    uploads = [record["huge_upload"][how] for how in ("stated", "unsaid")]
    codes = " and ".join(sorted({upload["answer"].split()[-1] for upload in uploads}))
    found = f"**{codes}**, memory + **{max(upload['peak_more_mib'] for upload in uploads)} MB**"
    yield "server, an upload of 1 GiB, its length said or not", found, "413, ≤ 64 MB"
    memory = bombs["decoder_peak_more_mib"]
    found = f"slowest **{bombs['slowest_s']} s** (load {bombs['load']}), a decoder + **{memory} MB**"
    yield f"server, {bombs['kinds']} kinds of decompression bombs", found, "≤ 2 s, ≤ 256 MB"
    killed = record["killed"]
    found = f"**{killed['not_200']}** of {killed['requests']} requests without their answer"
    yield f"server, {killed['killed']} decoders killed under load", found, "0"
    work = f"server, {other['hosts']} hosts × {other['origins']} origins of others, on {other['routes']} routes"
    yield work, f"**{other['not_refused']}** of {other['requests']} requests served", "0"


def model_files(record: dict) -> Iterator[Row]:
    kinds = [kind for kind in record.values() if "mutations" in kind]
    seen = sorted({event for kind in kinds for event in kind["events"]} - {"open the model for reading"})
    work = f"model files, {sum(kind['mutations'] for kind in kinds)} mutated ones loaded under an audit hook"
    yield work, f"**{len(seen)}** events beyond reading the file, **0** crashes", "0, 0"
    bits = f"**{sum(kind['bits_refused'] for kind in kinds)}** refused"
    yield f"model files, {sum(kind['bits_flipped'] for kind in kinds)} flipped bits", bits, "all"


def generated_requests(record: dict) -> Iterator[Row]:
    work = f"server, {record['requests']} requests that schemathesis made up from its own description"
    found = f"**{record['server_errors']}** answers of 5xx, **{len(record['violations'])}** kinds not as described"
    yield work, found, "0, 0"


SECTIONS: dict[str, tuple[Callable[..., Iterator[Row]], ...]] = {
    "Exact fits, to the same objective": (softmax, peers, wide_k, path, margin, least_squares),
    "Small probes, in a process of their own, to the objective where the peer stops": (small,),
    "A pass, its memory, and what is proven": (sweep, sgd, out_of_core, growth, certificates),
    "On a graphics card": (device,),
    "From pictures to features": (patches, colour, hog, decode),
    "Files and the server": (store, model_files, serving, generated_requests),
}


def results(name: str) -> object:
    file = HERE / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def table() -> str:
    """A table a section, one row or several a script that has results."""
    return "\n\n".join(filter(None, (section(*named) for named in SECTIONS.items())))


def section(title: str, scripts: tuple[Callable[..., Iterator[Row]], ...]) -> str:
    lines = [f"**{title}**", "", "| work | measured | aim | script |", "|---|---|---|---|"]
    head = len(lines)
    for script in scripts:
        record = results(script.__name__)
        for work, found, aim in script(record) if record is not None else ():
            lines.append(f"| {work} | {found} | {aim} | [`{script.__name__}.py`](benchmarks/{script.__name__}.py) |")
    return "\n".join(lines) if len(lines) > head else ""


def picture(record: dict) -> str:
    """Relative gap against seconds, both sides, every α."""
    from linearhead.charts import Series, line_chart

    drawn = []
    for i, r in enumerate(record["results"]):
        for j, (name, trace) in enumerate(r["trace"].items()):
            x, y = zip(*trace, strict=True)
            drawn.append(Series(f"{name}, α = {r['alpha_n']}/n", x, y, ("line", "dashed")[j], i))
    chart = line_chart(
        drawn,
        title=f"Softmax + L2 on {record['data']}, {record['rows']} × {record['columns']}",
        x_label="seconds",
        y_label="relative gap F/F* − 1",
        x_log=True,
        y_log=True,
    )
    return chart.svg + "\n"


def block() -> str:
    """What stands between the markers, markers included."""
    shown = f"\n\n![Gap against seconds]({PICTURE.relative_to(ROOT).as_posix()})" if results("softmax") else ""
    return f"{BEGIN}\n{table()}{shown}\n{END}"


def replaced(readme: str) -> str:
    before, rest = readme.split(BEGIN)
    return before + block() + rest.split(END)[1]


def main() -> None:
    record = results("softmax")
    if record is not None:
        PICTURE.write_text(picture(record), encoding="utf-8")  # type: ignore[arg-type]
    readme = ROOT / "README.md"
    readme.write_text(replaced(readme.read_text(encoding="utf-8")), encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()
