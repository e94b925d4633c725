"""The charts: what is drawn where, what is left out, what a reader without eyes or with hostile names gets."""

from __future__ import annotations

import itertools
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linearhead.charts import (
    Bin,
    Mark,
    Series,
    bar_chart,
    line_chart,
    number,
    path_chart,
    percent,
    printable,
    reliability_chart,
    trace_chart,
)
from linearhead.charts.axes import Axis, linear_ticks, log_ticks, span
from linearhead.charts.lines import POINTS, spread
from linearhead.charts.words import clipped, duration, grouped
from linearhead.errors import DataError, UsageError
from linearhead.records import Trace

SVG = "{http://www.w3.org/2000/svg}"


def parsed(chart) -> ElementTree.Element:
    """Both forms must be XML; the standalone one is returned."""
    ElementTree.fromstring(chart.inline)
    return ElementTree.fromstring(chart.svg)


def drawn_points(chart) -> dict[str, list]:
    groups = ElementTree.fromstring(chart.inline).iter(f"{SVG}g")
    return {g.attrib["data-label"]: json.loads(g.attrib["data-points"]) for g in groups}


def texts(chart) -> list[str]:
    return [node.text for node in parsed(chart).iter(f"{SVG}text")]


def trace(n: int = 20, valid: bool = True, scale: float = 1.0) -> Trace:
    out = Trace()
    for i in range(n):
        row = {"train_loss": scale * 2.0**-i + 0.1, "train_accuracy": 1 - 0.5**i}
        row |= {"valid_loss": scale * 2.0**-i + 0.2, "valid_accuracy": 0.9 - 0.4**i} if valid and i % 2 == 0 else {}
        out.append(iteration=i, passes=2.0 * i, seconds=0.1 * i, value=scale * 2.0**-i, gradient_norm=1.0, **row)
    return out


# ---- words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (1234.5, "1 234"),
        (60000, "60 000"),
        (0.1, "0.1"),
        (2.1e-7, "2.1×10⁻⁷"),
        (1e-5, "10⁻⁵"),
        (2e9, "2×10⁹"),
        (-0.5, "-0.5"),
        (float("nan"), "not finite"),
        (None, "–"),
    ],
)
def test_numbers_read_like_numbers(value, words):
    assert number(value).replace("\u202f", " ") == words


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("60000 pictures of 20480.", "60 000 pictures of 20 480."),
        ("'20480' has 1200, 'IMG 20240 (a).jpg' 3000", "'20480' has 1 200, 'IMG 20240 (a).jpg' 3 000"),
        ("'the dog's 2024 set' 3000", "'the dog's 2024 set' 3 000"),
        ("the pictures' 5000 labels and a class's 6000", "the pictures' 5 000 labels and a class's 6 000"),
        ("`photos (2024)` has 1234 of --size 2048", "`photos (2024)` has 1 234 of --size 2048"),
        ("held out at random, seed 20240 (2000 of them)", "held out at random, seed 20240 (2 000 of them)"),
    ],
)
def test_numbers_in_sentences_are_grouped_and_names_are_not(sentence, shown):
    assert grouped(sentence).replace("\u202f", " ") == shown


@pytest.mark.parametrize(
    ("value", "decimals", "words"),
    [
        (0.931, 1, "93.1 %"),
        (1.0, 1, "100.0 %"),
        (0.99999, 1, "99.9 %"),
        (0.00001, 1, "<\u202f0.1 %"),  # no line ends between the two
        (0.0, 1, "0.0 %"),
        (0.996, 0, "99 %"),
        (None, 1, "–"),
    ],
)
def test_percent_never_rounds_to_certainty(value, decimals, words):
    assert percent(value, decimals) == words.replace(" %", "\u202f%")


@pytest.mark.parametrize(
    ("s", "words"), [(0.034, "34 ms"), (12.34, "12.3 s"), (754, "12 min 34 s"), (7300, "2 h 1 min")]
)
def test_durations(s, words):
    assert duration(s).replace("\u202f", " ") == words


@given(st.text(alphabet=st.characters(), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_becomes_xml_and_utf8(name):
    shown = printable(name)
    shown.encode()
    root = ElementTree.fromstring(line_chart([Series(name, [1, 2], [1, 2])], title=name).svg)
    normal = shown.replace("\r", "\n")
    assert root.find(f"{SVG}title").text == (normal or None)


def test_printable_keeps_scripts_and_shows_or_replaces_the_rest():
    assert printable("héllo 한국어 ελ \U0001f98a e\u0301") == "héllo 한국어 ελ \U0001f98a e\u0301"
    assert printable("a\x00b\x1bc\x7f") == "a␀b␛c␡"
    assert printable("x\udcffy\ufffez\x85") == "x\ufffdy\ufffdz\ufffd"
    assert printable("evil\u202egpj.exe") == "evil\ufffdgpj.exe"
    assert clipped("abcdef", 4) == "abc…"


# ---- axes


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(5, 8))
@settings(max_examples=400, deadline=None)
def test_linear_ticks_are_few_round_and_inside(low, width, count):
    ticks = linear_ticks(low, low + width, count)
    assert 2 <= len(ticks) <= count + 1
    slack = 1e-6 * width + 1e-9 * abs(low)
    assert all(low - slack <= t <= low + width + slack for t in ticks)
    assert all(b > a for a, b in itertools.pairwise(ticks))


@given(st.floats(-280, 280), st.floats(0.05, 30))
@settings(max_examples=400, deadline=None)
def test_log_ticks_are_few_and_inside(exponent, decades):
    low, high = 10.0**exponent, 10.0 ** (exponent + min(decades, 300 - exponent))
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low * (1 - 1e-6) <= t <= high * (1 + 1e-6) for t in ticks)


def test_axis_places_by_its_formula():
    assert Axis(0, 10, 100, 300).place([0, 5, 10]).tolist() == [100, 200, 300]
    assert Axis(1e-4, 1, 300, 100, log=True).place([1e-4, 1e-2, 1]) == pytest.approx([300, 200, 100])
    assert [w for _, w in Axis(0, 1, 0, 1, as_percent=True).ticks()] == [
        f"{p}\u202f%" for p in (0, 20, 40, 60, 80, 100)
    ]


@pytest.mark.parametrize("values", [[3.0], [0.0], [5.0, 5.0 + 1e-15], [-1e308, 1e308], [1e-320], [2.0, 2.0]])
def test_a_span_is_never_empty(values):
    low, high = span(np.array(values), log=False)
    assert low < high
    assert np.isfinite(high - low)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12), st.floats(8, 20))
@settings(max_examples=300, deadline=None)
def test_names_are_spread_and_stay_inside_where_they_fit(wanted, gap):
    out = spread(sorted(wanted), gap, 0, 300)
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(out))
    if gap * (len(wanted) - 1) <= 300:
        assert out[0] >= -1e-9
        assert out[-1] <= 300 + 1e-9


# ---- lines


def test_missing_and_impossible_values_are_left_out():
    chart = line_chart([Series("a", [1, 2, 3, 4, 5], [0.5, None, float("nan"), -1, 0.25])], y_log=True)
    assert [(p[2], p[3]) for p in drawn_points(chart)["a"]] == [("1", "0.5"), ("5", "0.25")]


def test_nothing_to_draw_says_so():
    with pytest.raises(DataError, match=r"Losses.*no point is finite and above zero"):
        line_chart([Series("a", [1, 2], [0, -1])], y_log=True, title="Losses")
    with pytest.raises(DataError, match="none given"):
        line_chart([])


def test_bad_series_are_refused():
    with pytest.raises(UsageError, match="line, dashed, step, points, marked"):
        line_chart([Series("a", [1], [1], kind="pie")])
    with pytest.raises(UsageError, match="2 x but 1 y"):
        line_chart([Series("a", [1, 2], [1])])


def test_thinning_keeps_every_spike_and_both_ends():
    y = np.sin(np.arange(5000) / 200)
    y[1234], y[4321] = 9, -9
    points = drawn_points(line_chart([Series("a", range(5000), y)]))["a"]
    assert len(points) <= POINTS
    assert {"9", "-9"} <= {p[3] for p in points}
    assert (points[0][2], points[-1][2]) == ("0", number(4999))


def test_kinds_are_drawn_as_asked():
    def path(kind):
        return ElementTree.fromstring(line_chart([Series("a", [1, 2, 3], [1, 3, 2], kind)]).inline)

    assert len(list(path("points").iter(f"{SVG}circle"))) == 3
    assert not list(path("points").iter(f"{SVG}path"))
    assert len(list(path("marked").iter(f"{SVG}circle"))) == 3
    assert re.fullmatch(r"M[\d. ]+(H[\d.]+V[\d.]+){2}", next(path("step").iter(f"{SVG}path")).attrib["d"])
    assert "stroke-dasharray" in next(path("dashed").iter(f"{SVG}path")).attrib
    assert "stroke-dasharray" not in next(path("line").iter(f"{SVG}path")).attrib


def test_up_to_four_series_are_named_at_their_ends_more_in_a_legend_above():
    def places(n):
        chart = line_chart([Series(f"s{i}", [0, 1], [i, i + 1], slot=i) for i in range(n)], size=(640, 380))
        return [
            (float(t.attrib["x"]), float(t.attrib["y"])) for t in parsed(chart).iter(f"{SVG}text") if t.text[:1] == "s"
        ]

    assert all(x > 500 for x, _ in places(4))
    assert len(places(10)) == 10
    assert all(y < 50 for _, y in places(10))


def test_more_series_than_colours_differ_by_their_dashes():
    chart = line_chart([Series(f"s{i}", [0, 1], [i, i + 1], slot=i) for i in range(16)])
    looks = {(p.attrib["class"], p.attrib.get("stroke-dasharray")) for p in parsed(chart).iter(f"{SVG}path")}
    assert len(looks) == 16


def test_everything_lies_inside_the_picture():
    for chart in (
        trace_chart(trace()),
        trace_chart({"a": trace(), "b": trace(scale=3)}, "seconds", "gap", size=(400, 276)),
    ):
        for x, y, *_ in (p for points in drawn_points(chart).values() for p in points):
            assert 0 < x < chart.width
            assert 0 < y < chart.height
        for node in parsed(chart).iter(f"{SVG}text"):
            assert 0 <= float(node.attrib["x"]) <= chart.width
            assert 0 <= float(node.attrib["y"]) <= chart.height


def test_a_chart_describes_itself():
    root = parsed(line_chart([Series("train", [1, 2], [0.5, 0.25])], title="Loss", x_label="passes", y_label="loss"))
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], desc.attrib["id"]]
    assert title.text == "Loss"
    assert desc.text == "loss against passes. train: 2 points, 0.5 at 1 to 0.25 at 2."


def test_colours_have_a_dark_form_and_a_form_without_variables():
    chart = line_chart([Series("a", [1, 2], [1, 2])])
    style = parsed(chart).find(f"{SVG}style").text
    light, dark = (re.findall(r"--lh-0:(#\w{6})", style)[i] for i in (0, 1))
    assert "prefers-color-scheme:dark" in style
    assert light != dark
    assert next(parsed(chart).iter(f"{SVG}path")).attrib["stroke"] == light
    assert "<style" not in chart.inline
    assert " style=" not in chart.svg


def test_charts_on_one_page_do_not_share_ids():
    a, b = line_chart([Series("a", [1, 2], [1, 2])]), line_chart([Series("a", [1, 2], [1, 3])])
    assert a.inline.split('aria-labelledby="')[1][:14] != b.inline.split('aria-labelledby="')[1][:14]


def test_a_mark_sits_on_its_point():
    chart = line_chart([Series("a", [0, 10], [0, 10])], marks=[Mark(10, 10, "here")])
    ring = next(c for c in parsed(chart).iter(f"{SVG}circle") if c.attrib["class"] == "lh-ring")
    x, y, *_ = drawn_points(chart)["a"][-1]
    assert (float(ring.attrib["cx"]), float(ring.attrib["cy"])) == (x, y)
    assert "here" in texts(chart)


def test_save_writes_the_standalone_form(tmp_path):
    chart = trace_chart(trace())
    assert chart.save(tmp_path / "loss.svg").read_text(encoding="utf-8") == chart.svg == chart._repr_svg_()
    with pytest.raises(UsageError, match=r"loss\.svg"):
        chart.save(tmp_path / "loss.png")


# ---- traces and paths


def test_one_trace_shows_train_and_validation():
    chart = trace_chart(trace())
    assert {label: len(points) for label, points in drawn_points(chart).items()} == {"train": 20, "validation": 10}
    assert chart.title == "Loss against passes"
    assert "passes over the training rows" in texts(chart)


def test_several_traces_share_a_picture_and_validation_is_dashed():
    chart = trace_chart({"lbfgs": trace(), "sgd": trace(scale=2)}, against="seconds", what="accuracy")
    assert list(drawn_points(chart)) == ["lbfgs, train", "lbfgs, validation", "sgd, train", "sgd, validation"]
    dashed = ["stroke-dasharray" in p.attrib for p in parsed(chart).iter(f"{SVG}path")]
    assert dashed == [False, True, False, True]


def test_the_gap_is_taken_from_the_optimum_or_from_the_lowest_value():
    known = drawn_points(trace_chart(trace(4), what="gap", optimum=0.0))["objective"]
    assert [p[3] for p in known] == ["1", "0.5", "0.25", "0.125"]
    lowest = drawn_points(trace_chart({"a": trace(4), "b": trace(3)}, what="gap"))
    assert [p[3] for p in lowest["a"]] == ["0.875", "0.375", "0.125"]
    assert [p[3] for p in lowest["b"]] == ["0.875", "0.375", "0.125"]


def test_wide_losses_get_a_logarithmic_axis_unless_told_otherwise():
    steep = Trace()
    for i in range(8):
        steep.append(iteration=i, passes=i, seconds=i, value=10.0**-i)
    ticks = [words for words in texts(trace_chart(steep, what="value")) if "10" in words]
    assert "10⁻⁴" in ticks
    assert "10⁻⁴" not in texts(trace_chart(steep, what="value", log=False))


def test_a_diverging_trace_is_drawn_as_far_as_it_is_finite():
    wild = Trace()
    for i, value in enumerate([1.0, 1e200, float("inf"), float("nan"), None]):
        wild.append(iteration=i, passes=i, seconds=i, value=value)
    assert len(drawn_points(trace_chart(wild, what="value"))["objective"]) == 2


def test_wrong_words_and_empty_traces_are_explained():
    with pytest.raises(UsageError, match="passes, seconds, iteration"):
        trace_chart(trace(), against="epochs")
    with pytest.raises(UsageError, match="loss, accuracy, value, gap"):
        trace_chart(trace(), what="auc")
    with pytest.raises(DataError, match=r"empty\. Fit first"):
        trace_chart(Trace())
    only_value = Trace()
    only_value.append(iteration=0, passes=1, seconds=0.1, value=3.0)
    with pytest.raises(DataError, match="hold only value, gap"):
        trace_chart(only_value, what="accuracy")


PATH = [
    {"alpha": 10.0**-e, "train_accuracy": 0.5 + e / 20, "valid_accuracy": 0.9 - abs(e - 3) / 20, "valid_loss": 0.3}
    for e in range(7)
]


def test_the_path_is_sorted_and_the_chosen_alpha_ringed_on_the_validation_line():
    chart = path_chart(PATH, chosen=1e-3)
    points = drawn_points(chart)
    assert [p[2] for p in points["train"]] == ["10⁻⁶", "10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1", "1"]
    ring = next(c for c in parsed(chart).iter(f"{SVG}circle") if c.attrib["class"] == "lh-ring")
    assert [float(ring.attrib["cx"]), float(ring.attrib["cy"])] == points["validation"][3][:2]
    assert "chosen 0.001" in texts(chart)


def test_paths_without_what_is_asked():
    assert list(drawn_points(path_chart(PATH, what="loss"))) == ["validation"]
    assert not any("chosen" in t for t in texts(path_chart(PATH, chosen=0.5)))
    assert len(drawn_points(path_chart([*PATH, {"alpha": 0.0, "valid_accuracy": 1.0}], 0.0))["validation"]) == 7
    with pytest.raises(DataError, match="no row"):
        path_chart([{"alpha": 0.0, "valid_accuracy": 0.5}])
    with pytest.raises(UsageError, match="accuracy or loss"):
        path_chart(PATH, what="gap")


# ---- bars and reliability


def test_bars_are_as_long_as_their_values():
    chart = bar_chart(["a", "b", "c"], [1, 2, 0], title="T")
    widths = [float(r.attrib["width"]) for r in parsed(chart).iter(f"{SVG}rect") if r.attrib["class"] == "lh-f0"]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[2] <= 0.5
    assert parsed(chart).find(f"{SVG}desc").text == "Bars: a 1, b 2, c 0."


def test_intervals_are_whiskers_inside_the_limit():
    chart = bar_chart(["a"], [0.5], intervals=[(0.4, 0.6)], limit=1, show=percent)
    bar = next(r for r in parsed(chart).iter(f"{SVG}rect") if r.attrib["class"] == "lh-f0")
    start, width = float(bar.attrib["x"]), float(bar.attrib["width"])
    whisker = next(x for x in parsed(chart).iter(f"{SVG}line") if x.attrib["class"] == "lh-ring")
    ends = [(float(whisker.attrib[end]) - start) / (2 * width) for end in ("x1", "x2")]
    assert ends == pytest.approx([0.4, 0.6], abs=0.005)


def test_impossible_bars_are_refused():
    for values, found in (([-1.0], "-1"), ([float("nan")], "nan")):
        with pytest.raises(UsageError, match=found):
            bar_chart(["a"], values)
    with pytest.raises(UsageError, match="2, 1 and 2"):
        bar_chart(["a", "b"], [1.0])
    with pytest.raises(DataError, match="no bar"):
        bar_chart([], [])


def test_reliability_puts_a_truthful_bin_on_the_diagonal():
    chart = reliability_chart([Bin(0.25, 0.25, 10), Bin(0.9, 0.6, 40, (0.5, 0.7)), Bin(0.5, 0.1, 0)])
    first, second = parsed(chart).iter(f"{SVG}circle")
    diagonal = next(x for x in parsed(chart).iter(f"{SVG}line") if x.attrib.get("stroke-dasharray"))
    x1, y1, x2, y2 = (float(diagonal.attrib[k]) for k in ("x1", "y1", "x2", "y2"))

    def above(dot):
        share = (float(dot.attrib["cx"]) - x1) / (x2 - x1)
        return (y1 - float(dot.attrib["cy"])) / (y1 - y2) - share

    assert above(first) == pytest.approx(0, abs=0.002)
    assert above(second) == pytest.approx(-0.3, abs=0.002)
    assert float(second.attrib["r"]) > float(first.attrib["r"])
    with pytest.raises(DataError, match="every bin is empty"):
        reliability_chart([Bin(0.5, 0.5, 0)])


def test_words_of_a_mark_stand_where_no_line_runs():
    """Above the point to the right, as it lies below and left of the middle, unless another line runs there."""
    flat = Series("flat", [0, 5, 10], [1.0, 1.0, 1.0])

    def place(other):
        svg = line_chart([flat, other], marks=[Mark(3, 1.0, "chosen")]).svg
        point, words = (
            re.search(r'lh-ring" cx="(\S+)" cy="(\S+)"', svg),
            re.search(r'x="(\S+)" y="(\S+)"[^>]*>chosen', svg),
        )
        return float(words[1]) > float(point[1]), float(words[2]) < float(point[2])

    assert place(Series("far", [0, 10], [5.0, 5.0])) == (True, True)
    steep = Series("steep", [0, 3, 3.2, 4, 10], [0.5, 1.0, 1.2, 1.22, 5.0])
    assert place(steep) != (True, True)
