"""From a record to what the template shows: one function per section of the page, each answering with plain values.

Names of classes and files pass through untouched: the template escapes everything, and it alone writes markup.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..charts import Bin, Chart, Series, bar_chart, line_chart, path_chart, reliability_chart, trace_chart
from ..charts.words import duration
from ..errors import DataError
from ..metrics import wilson
from ..records import Evaluation, Picture, Run
from . import classes, confusion, sentences
from .pictures import Kept, everything, is_picture

CHART = (400, 276)  # pixels: legible at half a desktop's and at a phone's whole width
SKIPPED = 40  # files listed by name


def view(run: Run, kept: Kept) -> dict[str, Any]:
    """Everything the template needs, by section."""
    name = sentences.judged_set(run)
    judged = run.evaluations[name] if name is not None else None
    return {
        "run": run,
        "labels": run.data.classes,
        "judged_name": name,
        "judged": judged,
        "header": header(run, name, judged),
        "findings": sorted(run.findings, key=lambda f: sentences.severity(f)[0]),
        "sets": sets(run, name),
        "audit": audit(run),
        "curves": curves(run),
        "path": path(run),
        "classes": classes.table(run, judged) if judged else None,
        "matrix": confusion.matrix(judged) if judged and judged.confusion else None,
        "pairs": confusion.pairs(judged) if judged else [],
        "gallery": gallery(run, kept),
        "suspects": suspects(run),
        "learning": learning(run),
        "trust": trust(run),
        "weights": [(i, run.weights[i]) for i in sorted(kept.weights)],
        "copies": copies(run),
        "filters": run.filters if is_picture(run.filters) else "",
        "leaderboard": leaderboard(run),
        "left_out": left_out(run, kept),
        "fit": fit(run),
        "proof": sentences.certificate(run.fit.certificate),
        "features": sentences.facts({k: v for k, v in run.features.items() if not isinstance(v, dict)}),
        "contract": sentences.facts({k: v for k, v in run.features.items() if isinstance(v, dict)}),
        "cost": cost(run),
        "environment": sentences.facts(run.environment),
    }


def header(run: Run, name: str | None, judged: Evaluation | None) -> dict[str, Any]:
    """How good, how sure, what next."""
    worst = sentences.what_next(run.findings)
    out: dict[str, Any] = {"next": worst, "next_is": sentences.severity(worst)[1] if worst else None}
    if judged is None or name is None:
        return out | {"headline": "Nothing judged this classifier", "good": None, "sure": None, "proof": None}
    return out | {
        "headline": sentences.headline(name, judged, run.duplicates),
        "good": sentences.how_good(name, judged, run.duplicates),
        "mistakes": sentences.mistakes(judged),
        "baselines": sentences.baselines(judged),
        "sure": sentences.how_sure(judged),
        "confidence": sentences.confidence(run.trust),
        "proof": sentences.certificate_in_short(run),
        "even_guess": math.log(max(len(judged.per_class), 1)),
    }


def sets(run: Run, judged_name: str | None) -> list[dict[str, Any]]:
    """The evaluations side by side, in the order train, valid, test, then any other."""
    order = [n for n in ("train", "valid", "test") if n in run.evaluations]
    order += [n for n in run.evaluations if n not in order]
    return [
        {"name": sentences.SET_WORDS.get(n, n), "judged": n == judged_name, "numbers": run.evaluations[n]}
        for n in order
    ]


def audit(run: Run) -> dict[str, Any]:
    """Which pictures did what, and found = used + skipped."""
    data = run.data
    reasons = Counter(s.reason for s in data.skipped).most_common(SKIPPED)
    return {
        "roles": [(role, data.roles[role]) for role in ("trained", "chose", "judged") if role in data.roles],
        "other_roles": [(r, words) for r, words in data.roles.items() if r not in ("trained", "chose", "judged")],
        "totals": [(sentences.SET_WORDS.get(name, name), sum(counts)) for name, counts in data.counts.items()],
        "skipped_count": len(data.skipped),
        "balanced": data.found == data.used + len(data.skipped),
        "reasons": reasons,
        "skipped": data.skipped[:SKIPPED],
        "unlisted": max(0, len(data.skipped) - SKIPPED),
        "copies": "" if run.duplicates is None else sentences.copies(run.duplicates),
        "conversions": sorted(data.conversions.items(), key=lambda item: -item[1]),
    }


def drawn(draw: Callable[..., Chart], *args: Any, **options: Any) -> Chart | None:
    """The chart, or None where the record holds nothing to draw."""
    try:
        return draw(*args, **options)
    except DataError:
        return None


def curves(run: Run) -> list[Chart]:
    """Loss and accuracy of train and validation against passes, the way to the optimum against seconds."""
    trace = run.fit.trace
    charts = [
        drawn(trace_chart, trace, "passes", "loss", size=CHART, title="Loss"),
        drawn(trace_chart, trace, "passes", "accuracy", size=CHART, title="Accuracy"),
        drawn(trace_chart, trace, "seconds", "gap", size=CHART, title="The way to the optimum"),
    ]
    if charts[0] is None:
        charts[0] = drawn(trace_chart, trace, "passes", "value", size=CHART, title="Objective")
    return [chart for chart in charts if chart is not None]


def path(run: Run) -> list[Chart]:
    """Accuracy and loss against alpha, the chosen one ringed; nothing where only one alpha was tried."""
    if len(run.fit.path) < 2:
        return []
    alpha = run.fit.alpha
    charts = [drawn(path_chart, run.fit.path, alpha, what, size=CHART) for what in ("accuracy", "loss")]
    return [chart for chart in charts if chart is not None]


def gallery(run: Run, kept: Kept) -> dict[str, Any]:
    """The most wrong pictures, worst first, and all others that are on the page."""
    keys = confusion.cell_of_picture(run)
    wrong = list(dict.fromkeys(i for i in run.most_wrong if i in kept.pictures))
    others = sorted(set(kept.pictures) - set(wrong))
    shown = {i: figure(i, run.pictures[i], keys[i]) for i in kept.pictures}
    unsure = [shown[i] for i in dict.fromkeys(run.unsure) if i in kept.pictures and i not in wrong]
    others = [i for i in others if i not in {u["index"] for u in unsure}]
    return {
        "wrong": [shown[i] for i in wrong],
        "unsure": unsure,
        "others": [shown[i] for i in others],
        "any": bool(shown),
    }


def figure(index: int | str, picture: Picture, cell: str) -> dict[str, Any]:
    """One picture; what is laid over it only where it is a picture itself."""
    regions = picture.regions if is_picture(picture.regions) else ""
    return {"index": index, "picture": picture, "cell": cell, "regions": regions}


def suspects(run: Run) -> list[dict[str, Any]]:
    """Trained pictures whose label is doubted."""
    shown = [p for p in run.suspects if is_picture(p.thumbnail)]
    return [figure(f"s{i}", p, "") for i, p in enumerate(shown)]


def copies(run: Run) -> list[list[tuple[str, str]]]:
    """Groups of copies as (path, picture), those that can be shown."""
    found = run.duplicates
    groups = [] if found is None else zip(found.examples, found.thumbnails, strict=False)
    return [
        list(zip(paths, uris, strict=False)) for paths, uris in groups if len(uris) > 1 and all(map(is_picture, uris))
    ]


def learning(run: Run) -> dict[str, Any] | None:
    """The learning curve, what it forecasts, and the same in words."""
    curve = run.learning_curve
    if curve is None or len(curve.n) < 2:
        return None
    series = [Series("not trained on", curve.n, curve.accuracy, "marked")]
    if curve.twice is not None:
        ends = [curve.n[-1], 2 * curve.n[-1]], [curve.accuracy[-1], curve.twice]
        series.append(Series("forecast", *ends, "dashed"))
    chart = drawn(line_chart, series, title="Accuracy against pictures", x_label="training pictures", x_log=True,
                  as_percent=True, size=CHART)  # fmt: skip
    return None if chart is None else {"chart": chart, "words": sentences.learning(curve)}


def trust(run: Run) -> dict[str, Any] | None:
    """Reliability before and after calibration, accuracy by share answered, sets of labels."""
    t = run.trust
    if t is None:
        return None
    charts, test, told = [], run.evaluations.get("test"), run.probes.get("labels", {})
    judged = 1.0 if test is None else (test.independent or test.n) / test.n  # what a picture counts
    trained = (told.get("independent") or 1.0) / (told.get("n") or 1.0) if told.get("independent") else 1.0
    for found, title, worth in (
        (t.before, "Before calibration", trained),
        (t.judged, "As it is, on the test pictures", judged),
    ):
        if found is not None:
            bins = [Bin(c, a, int(n), _interval(a, n * worth)) for c, a, n in found.bins]
            charts.append(drawn(reliability_chart, bins, title=title, size=(400, 340)))
    if len(t.answered) > 1:
        shares, right = zip(*t.answered, strict=True)
        line = [Series("accuracy", [100 * share for share in shares], right, "marked", 2)]
        charts.append(drawn(line_chart, line, title="Answering only when sure", y_label="accuracy among those answered",
                            x_label="per cent of the pictures answered, the surest first", as_percent=True,
                            size=CHART))  # fmt: skip
    return {"charts": [c for c in charts if c is not None], "words": sentences.trust(t), "coverage": t.coverage}


def _interval(share: float, n: float) -> tuple[float, float]:
    low, high = wilson(share * n, n)
    return low, high


def left_out(run: Run, kept: Kept) -> dict[str, int]:
    """Pictures of the record that are not on the page, for want of space or because they are no pictures."""
    whole = everything(run)
    return {
        "pictures": len(whole.pictures) - len(kept.pictures),
        "weights": len(whole.weights) - len(kept.weights),
        "broken": len(run.pictures) - len(whole.pictures),
    }


def leaderboard(run: Run) -> dict[str, Any] | None:
    """What "auto" tried, and what that cost beside the whole run."""
    board = run.leaderboard
    if board is None or not board.candidates:
        return None
    total = run.seconds.get("total")
    return {"board": board, "judged": board.candidates[0].n, "share": board.seconds / total if total else None}


def fit(run: Run) -> list[tuple[str, str]]:
    """The classifier in a few rows."""
    f = run.fit
    rows = {
        "loss": f.loss_label or f.loss,
        "penalty": f.penalty,
        "alpha": f"{f.alpha:g} ({f.alpha_from})" if f.alpha_from else f.alpha,
        "columns standardised": f.standardize,
        "solver": f.solver,
        "learning rate": f.learning_rate,
        f.rounds: f.iterations,
        "passes over the rows": float(f.passes),
        "ended because": sentences.status(f.status),
    }
    return sentences.facts({name: value for name, value in rows.items() if value is not None})


def cost(run: Run) -> dict[str, Any] | None:
    """Seconds by stage, as bars, and their total."""
    stages = {name: s for name, s in run.seconds.items() if name != "total" and s is not None and 0 <= s < float("inf")}
    if not stages:
        return None
    total = run.seconds.get("total") or sum(stages.values())
    chart = bar_chart(
        list(stages), list(stages.values()), title=f"{duration(total)} in all, by stage", show=duration, width=CHART[0]
    )  # one hue: the bars are one measure
    return {"chart": chart}
