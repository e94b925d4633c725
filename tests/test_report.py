"""The page as text: what it says, what it leaves out and admits, and that names and numbers cannot break out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fake_run
from linearhead import report
from linearhead.metrics import evaluate
from linearhead.records import (
    Certificate,
    ClassScore,
    Finding,
    Picture,
    Reliability,
    Run,
    Skipped,
    Trace,
    Trust,
    from_json,
    to_json,
)
from linearhead.report import LIMIT, classes, confusion, glossary, render, sentences

CASES = ["digits_run", "letters_run", "two_class_run", "hinge_run", "without_pictures", "bare_run"]
VOID = {"meta", "img", "link", "br", "hr", "input", "col"}


@cache
def page(case: str) -> str:
    return render(getattr(fake_run, case)())


class Reader(HTMLParser):
    """Tags and attributes of a page, its text, and the content of its raw elements; wrong nesting fails."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.raw: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.append((self.open[-1], data))
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words).replace("\u202f", " "))

    def all(self, tag: str, **wanted) -> list[dict]:
        names = {key.rstrip("_").replace("_", "-"): value for key, value in wanted.items()}
        return [a for t, a in self.tags if t == tag and all(a.get(k) == v for k, v in names.items())]


def embedded(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="numbers">(.*?)</script>', html, re.DOTALL)
    return json.loads(found[1])


# ---- every case


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_one_sound_page_that_asks_for_nothing(case):
    html = page(case)
    read = Reader(html)
    assert html.startswith("<!doctype html>")
    assert len(html.encode()) <= LIMIT
    assert [raw for raw, _ in read.raw].count("script") == 2
    for tag, attributes in read.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert re.match(r"#|data:image/(png|jpeg);base64,|$", attributes.get(name) or ""), (tag, name)
    assert set(re.findall(r"https?://[^\s\"'<)]+", html)) <= {"http://www.w3.org/2000/svg"}
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in read.all("a")} <= set(ids)
    for table_or_svg in read.all("img"):
        assert "alt" in table_or_svg


@pytest.mark.parametrize("case", CASES)
def test_the_policy_allows_exactly_the_pages_own_style_and_script(case):
    read = Reader(page(case))
    policy = read.all("meta", http_equiv="Content-Security-Policy")[0]["content"]

    def sha(kind: str, text: str) -> str:
        return f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    style = [text for tag, text in read.raw if tag == "style"]
    script = [text for tag, text in read.raw if tag == "script"][1]
    assert "".join(style) != ""
    assert policy.split("; ")[:4] == [
        "default-src 'none'",
        "img-src data:",
        sha("style", "".join(style)),
        sha("script", script),
    ]
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("case", CASES)
def test_a_record_that_went_through_json_gives_the_same_page(case):
    run = getattr(fake_run, case)()
    assert render(from_json(Run, json.loads(json.dumps(to_json(run))))) == page(case)


# ---- what it says


def test_the_header_answers_how_good_how_sure_what_next():
    run, read = fake_run.digits_run(), Reader(page("digits_run"))
    test = run.evaluations["test"]
    assert f"Right on {test.accuracy:.1%} of {test.n} new pictures".replace("%", " %") in read.text
    assert f"1 wrong in {round(test.n / (test.n * (1 - test.accuracy)))}" in read.text
    low, high = test.accuracy_interval
    assert f"{low * 100:.1f} – {high * 100:.1f} %" in read.text
    assert f"always the commonest class {test.majority_accuracy:.1%}".replace("%", " %") in read.text
    assert "log loss 0.344, an even guess has 2.3" in read.text
    assert "optimal within 2.1×10⁻⁷ and no training prediction can change" in read.text
    assert re.search(r"What next\?\s+warning\s+Overfitting: training pictures", read.text)
    assert "1 802 found = 1 797 used + 5 skipped" in read.text


def test_findings_come_gravest_first_and_back_quotes_become_code():
    read, html = Reader(page("hinge_run")), page("hinge_run")
    order = [a["class"] for a in read.all("li") if a.get("class") in sentences.SEVERITIES]
    assert order == ["problem", "warning", "note", "good"]
    assert "<code>linearhead train digits --alpha 0.01</code>" in html


def test_an_unknown_severity_is_a_note():
    odd = Finding("odd", "Odd", "fatal</style>", "e", "a")
    assert sentences.severity(odd) == (2, "note")
    assert 'class="fatal' not in render(replace(fake_run.bare_run(), findings=[odd]))


def test_a_margin_loss_has_no_log_loss_and_no_confidences():
    read = Reader(page("hinge_run"))
    assert "gives no probabilities" in read.text
    assert "None" not in read.text
    assert "Not proven optimal: other weights could have an objective lower by up to 0.0031." in read.text
    assert "at most 7 pictures of the training set could differ" in read.text


def test_the_audit_names_roles_reasons_and_conversions():
    read = Reader(page("digits_run"))
    assert re.search(r"trained\s+1 437 pictures.*chose\s+269 pictures.*judged\s+360 pictures", read.text)
    assert re.search(r"3\s+the file is truncated", read.text)
    assert "12 turned by EXIF, 1 CMYK to RGB" in read.text
    assert "zero/broken_2.jpg" in read.text
    assert "do not add up" not in read.text


def test_pictures_that_do_not_add_up_are_said():
    run = fake_run.bare_run()
    html = render(replace(run, data=replace(run.data, found=run.data.used + 3)))
    assert "3 pictures are not accounted for" in html


def test_a_long_list_of_skipped_files_is_counted_and_cut():
    run = fake_run.bare_run()
    skipped = [Skipped(f"f{i}.txt", "not a picture" if i % 3 else "truncated") for i in range(300)]
    read = Reader(render(replace(run, data=replace(run.data, skipped=skipped, found=run.data.used + 300))))
    assert re.search(r"200\s+not a picture\s+100\s+truncated", read.text)
    assert "f39.txt" in read.text
    assert "f40.txt" not in read.text
    assert "and 260 more" in read.text


def test_sections_without_content_are_absent_or_say_so():
    read = Reader(page("bare_run"))
    assert {a["id"] for a in read.all("section")} == {"findings", "matrix", "classes", "fit", "audit", "again", "words"}
    for sentence in (
        "No finding was recorded",
        "No trace was recorded",
        "No certificate",
        "This page holds no pictures",
    ):
        assert sentence in read.text


def test_without_an_evaluation_the_page_says_that_nothing_judged():
    read = Reader(render(replace(fake_run.bare_run(), evaluations={})))
    assert "Nothing judged this classifier" in read.text
    assert "matrix" not in {a["id"] for a in read.all("section")}


def test_only_training_numbers_are_called_flattering():
    run = fake_run.digits_run()
    read = Reader(render(replace(run, evaluations={"train": run.evaluations["train"]})))
    assert "the figure flatters it" in read.text
    assert "new pictures" not in read.text.split("Findings")[0]


@pytest.mark.parametrize(("right", "said"), [(0.627, "3 wrong in 8"), (0.6, "2 wrong in 5"), (0.975, "1 wrong in 40")])
def test_mistakes_are_counted_as_people_count(right, said):
    """1 wrong in 3 is not 37 %, and one in two not 40 %."""
    assert sentences.mistakes(SimpleNamespace(accuracy=right)) == said


def test_no_better_than_the_commonest_class_is_said():
    run = fake_run.digits_run()
    poor = replace(run.evaluations["test"], accuracy=0.15, accuracy_interval=[0.1, 0.2], majority_accuracy=0.13)
    read = Reader(render(replace(run, evaluations={"test": poor})))
    assert "not shown to be better than always answering with the commonest class" in read.text
    assert "85.0 % wrong" in read.text


def test_the_class_table_has_every_class_with_its_interval():
    run, read = fake_run.digits_run(), Reader(page("digits_run"))
    for score in run.evaluations["test"].per_class:
        low, high = score.recall_interval
        assert f"{score.recall * 100:.1f} % {low * 100:.1f} – {high * 100:.1f} %" in read.text, score.label


def test_curves_and_path_are_drawn_with_the_chosen_alpha():
    html = page("digits_run")
    assert html.count('class="lh-chart"') == 6
    assert "chosen 0.01" in html
    assert {"train", "validation", "objective"} == set(re.findall(r'class="lh-series" data-label="([^"]*)"', html))
    one = replace(
        fake_run.digits_run(), fit=replace(fake_run.digits_run().fit, path=[{"alpha": 1.0, "valid_accuracy": 0.9}])
    )
    assert 'id="path"' not in render(one)


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (Certificate(0.5, 2e-7, 1e-6, 1e-5, True, 0), ["Optimal within 2×10⁻⁷", "No prediction can change"]),
        (Certificate(0.5, None, 1e-6, 1e-5, True), ["tolerance was reached; no finite bound"]),
        (
            Certificate(0.5, float("inf"), 1e-2, 1e-5, False, 3),
            ["was not reached; no finite bound", "at most 3 pictures"],
        ),
        (Certificate(0.5, 1e-2, 1e-2, 1e-5, False, 1), ["Not proven optimal", "at most 1 picture of"]),
        (None, ["nothing is proven"]),
    ],
)
def test_the_certificate_in_words(certificate, words):
    told = " ".join(sentences.certificate(certificate))
    assert all(w in told for w in words), told


def test_a_diverged_fit_can_be_reported_after_json_has_lost_its_infinities():
    run = fake_run.digits_run()
    trace = Trace()
    for i, value in enumerate([1.0, 1e300, float("inf")]):
        trace.append(iteration=i, passes=i, seconds=i, value=value, gradient_norm=float("nan"))
    fit = replace(run.fit, trace=trace, certificate=Certificate(float("inf"), float("inf"), float("nan"), 1e-5, False))
    again = from_json(Run, json.loads(json.dumps(to_json(replace(run, fit=replace(fit, status="DIVERGED"))))))
    read = Reader(render(again))
    assert "Objective F = not finite" in read.text
    assert "the loss grew without bound; lower learning_rate" in read.text


# ---- confusion


def test_cells_are_shaded_by_their_share_of_the_row():
    run = fake_run.two_class_run()
    judged = replace(run.evaluations["test"], confusion=[[0, 0, 99], [0, 1, 1], [1, 0, 50], [1, 1, 50]])
    (_, total, (right, wrong)), (_, _, (half, _)) = confusion.matrix(judged)["rows"]
    assert (total, right.level, wrong.level, half.level) == (100, "g9", "e1", "e7")
    assert confusion.matrix(replace(judged, confusion=[[1, 1, 5]]))["rows"][0][2] == [1, 1]


def test_a_compact_matrix_joins_its_empty_cells_and_stays_as_wide():
    run = fake_run.letters_run()
    drawn = confusion.matrix(run.evaluations["test"])
    assert drawn["compact"]
    for i, total, cells in drawn["rows"]:
        assert sum(cell if isinstance(cell, int) else 1 for cell in cells) == 136
        assert not any(isinstance(a, int) and isinstance(b, int) for a, b in pairwise(cells))
        assert sum(cell.count for cell in cells if not isinstance(cell, int)) == total
        column = 0
        for cell in cells:
            if not isinstance(cell, int):
                assert (cell.row, cell.column) == (i, column)
            column += cell if isinstance(cell, int) else 1


def test_pairs_are_the_most_confused_ones_and_taken_for_the_worst_of_a_class():
    cells = [[0, 0, 5], [0, 1, 2], [1, 0, 4], [1, 1, 9], [1, 2, 1], [2, 2, 3]]
    judged = replace(fake_run.two_class_run().evaluations["test"], confusion=cells)
    assert [(p["row"], p["column"], p["count"], p["of"]) for p in confusion.pairs(judged)] == [
        (1, 0, 4, 14),
        (0, 1, 2, 7),
        (1, 2, 1, 14),
    ]
    judged = replace(judged, per_class=[replace(judged.per_class[0], label=name) for name in "abc"])
    rows = {row["index"]: row for row in classes.table(fake_run.two_class_run(), judged)["rows"]}
    assert rows[1]["taken_for"] == (0, 4)
    assert rows[1]["called_as"] == [(0, 4), (2, 1)]
    assert rows[1]["mistaken_for_it"] == [(0, 2)]
    assert (rows[1]["found"], rows[1]["called"]) == (9, 11)
    assert rows[2]["taken_for"] is None
    assert classes.table(fake_run.two_class_run(), replace(judged, confusion=[]))["rows"][0]["taken_for"] is None


def test_a_class_that_nobody_judged_is_not_said_to_be_called_nothing_else():
    run = fake_run.two_class_run()
    judged = run.evaluations["test"]
    first = replace(judged.per_class[0], n=0, recall=None, recall_interval=None, precision=None)
    judged = replace(judged, confusion=[[1, 1, 5]], per_class=[first, judged.per_class[1]])
    html = render(replace(run, evaluations={"test": judged}))
    own, other = (html.split(f'id="class-{i}"')[1].split("</article>")[0] for i in (0, 1))
    assert "no picture of it was judged" in own
    assert "no picture was called so" in own
    assert "nothing else" not in own
    assert other.count("nothing else") == 2
    assert "is called</dt>" not in render(replace(run, evaluations={"test": replace(judged, confusion=[])}))


def test_136_classes_are_drawn_whole_and_1000_by_their_worst():
    read = Reader(page("letters_run"))
    assert len(read.all("th", scope="row")) == 136 * 2 + 2
    rng = np.random.default_rng(0)
    names = [f"class {i}" for i in range(1000)]
    y = rng.integers(0, 1000, 30000)
    called = np.where((y < 40) & (rng.random(30000) < 0.5), (y + 1) % 40, y)
    run = fake_run.letters_run()
    judged = evaluate(y, called, names)
    html = render(replace(run, data=replace(run.data, classes=names, counts={}), evaluations={"test": judged}))
    shown = confusion.matrix(judged)["classes"]
    assert set(range(40)) <= set(shown)
    assert len(shown) == confusion.WORST
    assert "Of 1\u202f000 classes the matrix shows the 60 with the most mistakes" in html
    assert "holds the other 800" in html
    assert len(html.encode()) <= LIMIT


def test_pictures_stand_behind_the_cell_that_the_record_names():
    run = fake_run.two_class_run()
    moved = replace(run, cells={"1,0": [0], "0,1": [999]})
    assert confusion.cell_of_picture(moved)[0] == "1,0"
    assert 'id="p0" data-cell="1,0"' in render(moved)


# ---- size


def picture(index: int, size: int, k: int = 10) -> Picture:
    wrong = index % 3 == 0
    return Picture(f"{index}.jpg", index % k, (index + wrong) % k, 0.9, 0.1, 0, "data:image/jpeg;base64," + "A" * size)


@pytest.mark.parametrize("size", [3_000, 12_000, 100_000, 1_900_000, 2_400_000])
def test_a_page_too_long_drops_its_least_important_pictures_and_says_so(size):
    run = fake_run.digits_run()
    count = max(3, min(400, 12_000_000 // size))
    pictures = [picture(i, size) for i in range(count)]
    wrong = [i for i, p in enumerate(pictures) if p.label != p.predicted][::-1]
    big = replace(run, pictures=pictures, most_wrong=wrong, cells=fake_run.cells_of(pictures), weights=[])
    html = render(big)
    shown = [int(i) for i in re.findall(r'<figure class="picture[^>]*id="p(\d+)"', html)]
    assert len(html.encode()) <= LIMIT
    if size * count < 1_500_000:
        assert len(shown) == count
        assert "To keep this page under 2 MB" not in html
        return
    left = count - len(shown)
    told = "none of" if not shown else f"{left} of"
    assert left > 0
    assert f"To keep this page under 2 MB, {told} the record's {count} pictures" in html
    if shown:
        assert len(html.encode()) > LIMIT - 2 * size - 20_000, "there was room for more"
        assert shown[: min(12, len(shown))] == wrong[: min(12, len(shown))]


def test_weights_and_pictures_share_the_room():
    run = fake_run.letters_run()
    big = "data:image/png;base64," + "A" * 12_000
    html = render(replace(run, pictures=[replace(p, thumbnail=big) for p in run.pictures], weights=[big] * 136))
    kept_pictures, kept_weights = (html.count(t) for t in ('<figure class="picture', 'alt="Weights of'))
    assert kept_pictures > 40
    assert kept_weights > 40
    assert f"{136 - kept_weights} of 136 are not on it" in html


def test_only_plain_base64_of_raster_pictures_becomes_a_src():
    run = fake_run.digits_run()
    bad = [
        "",
        "javascript:alert(1)",
        "https://example.org/x.png",
        "data:text/html;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        'data:image/png;base64,AA" onerror="x',
        "data:image/png;base64,AAAA\n",
        "data:image/png,<svg>",
    ]
    pictures = [replace(run.pictures[0], thumbnail=uri) for uri in bad]
    html = render(replace(run, pictures=pictures, most_wrong=list(range(8)), cells={}, weights=bad))
    read = Reader(html)
    assert [a for a in read.all("img") if a.get("src")] == []
    assert f"{len(bad)} pictures could not be shown" not in html  # the section is gone with its last picture
    one = render(replace(run, pictures=[run.pictures[0], *pictures], most_wrong=[0], cells={}))
    assert "8 pictures could not be shown" in one


# ---- the numbers inside


def test_all_numbers_are_inside_as_json():
    run = fake_run.digits_run()
    inside = embedded(page("digits_run"))
    assert inside["left_out"] == ["the pictures' data"]
    expected = json.loads(json.dumps(to_json(run)))
    for name in (
        "data",
        "fit",
        "evaluations",
        "findings",
        "features",
        "most_wrong",
        "cells",
        "seconds",
        "command",
        "schema",
    ):
        assert inside[name] == expected[name], name
    assert [p["path"] for p in inside["pictures"]] == [p.path for p in run.pictures]


def test_the_json_cannot_end_its_element():
    evil = "</script><script>alert(1)</script><!-- <script> ]]> \u2028 & \udcff"
    run = fake_run.bare_run()
    html = render(replace(run, command=evil, data=replace(run.data, source=evil)))
    assert embedded(html)["command"] == evil
    assert html.count("</script>") == 2
    body = html.split('id="numbers">')[1].split("</script>")[0]
    assert not set("<>&\u2028") & set(body)


def test_what_is_too_long_for_the_json_is_shortened_and_listed():
    run = fake_run.digits_run()
    trace = Trace(*(list(np.linspace(3, 1, 30_000)) for _ in range(9)))
    data = replace(run.data, skipped=[Skipped(f"{'x' * 80}{i}", "bad") for i in range(50_000)])
    inside = embedded(render(replace(run, fit=replace(run.fit, trace=trace), data=data)))
    assert len(inside["fit"]["trace"]["value"]) == 500
    assert (inside["fit"]["trace"]["value"][0], inside["fit"]["trace"]["value"][-1]) == (3.0, 1.0)
    assert inside["data"]["found"] == run.data.found
    assert "all but 500 rows of the trace" in inside["left_out"]
    assert "all but 2000 of the skipped files" in inside["left_out"]


def test_twenty_thousand_classes_still_fit():
    run = fake_run.bare_run()
    names = [f"class number {i}" for i in range(20_000)]
    scores = [ClassScore(n, 3, 0.5, 0.5, [0.1, 0.9], 0.5) for n in names]
    judged = replace(run.evaluations["test"], per_class=scores, confusion=[])
    html = render(
        replace(
            run, data=replace(run.data, classes=names, counts={"train": [3] * 20_000}), evaluations={"test": judged}
        )
    )
    assert len(html.encode()) <= LIMIT
    assert "all but 200 classes" in " ".join(embedded(html)["left_out"])


def test_names_of_any_length_do_not_make_the_page_long():
    run = fake_run.digits_run(10, [f"{i}" + "x" * 20_000 for i in range(10)])
    html = render(replace(run, command="y" * 300_000))
    assert len(html.encode()) <= LIMIT


# ---- hostile text


def test_undecodable_file_names_do_not_stop_the_page():
    run = fake_run.digits_run()
    name = b"caf\xe9\x00\x1b.png".decode("utf-8", "surrogateescape")
    html = render(replace(run, pictures=[replace(run.pictures[0], path=name)], most_wrong=[0], cells={}))
    assert "caf\ufffd␀␛.png" in html
    html.encode()


def test_templates_quote_every_attribute_and_never_switch_escaping_off():
    folder = Path(report.__file__).parent / "templates"
    for template in folder.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"=\{\{", text), template
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape" not in text
        assert not re.search(r"\son\w+=", text)
    script = (folder / "page.js").read_text(encoding="utf-8")
    for sink in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        'setTimeout("',
        "srcdoc",
    ):
        assert sink not in script, sink


def test_importing_the_report_does_not_load_its_template_engine():
    code = "import sys, linearhead.report; print({'jinja2', 'sklearn', 'scipy', 'PIL'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_the_wheel_carries_the_templates(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel and is not installed here")
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    from zipfile import ZipFile

    names = ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    for name in ("page.html", "macros.html", "page.css", "theme.css", "page.js"):
        assert f"linearhead/report/templates/{name}" in names


@pytest.mark.parametrize("case", CASES)
def test_every_term_leads_to_its_words(case):
    read = Reader(page(case))
    ids = {attrs["id"] for _, attrs in read.tags if "id" in attrs}
    links = [a["href"] for a in read.all("a") if a.get("class") == "term"]
    assert len(links) >= 6
    assert {link[1:] for link in links} <= ids
    source = (Path(report.__file__).parent / "templates" / "glossary.md").read_text(encoding="utf-8")
    assert (
        sum(one.startswith("word-") for one in ids) == len(re.findall(r"^\| (?!word )[^-]", source, re.MULTILINE)) > 40
    )
    assert not re.search(r"[$`\\]|\*\w", " ".join(read.words[read.words.index("Words") :]))


def test_every_term_of_the_templates_has_words():
    folder = Path(report.__file__).parent / "templates"
    text = "".join((folder / name).read_text(encoding="utf-8") for name in ("page.html", "macros.html"))
    labels = set(re.findall(r'term\("([^"]+)"\)', text))
    assert len(labels) > 12
    assert [label for label in labels if glossary.anchor(label) is None] == []
    assert glossary.anchor("no such word") is None


def test_numbers_are_written_one_way_everywhere():
    run = fake_run.digits_run()
    roles = {
        "trained": "60000 pictures trained it: 51000 train and 9000 validation pictures.",
        "chose": "9000 pictures chose (seed 0).",
        "judged": "10000 test pictures, none of them trained on",
    }
    finding = Finding("more", "More", "warning", "9000 right (of 10000), 1234.5 m, a/60000/x.png.", "Try --alpha 1000.")
    counts = {"train": [5100] * 10, "valid": [900] * 10, "test": [1000] * 10}
    many = evaluate(np.arange(20000) % 10, np.zeros(20000, int), run.data.classes)
    trust = Trust(51000, "51000 trained pictures", 1.5, *[Reliability(0.1, 0.05, [])] * 3, chance=0.01)
    run = replace(
        run,
        data=replace(run.data, found=60000, used=60000, skipped=[], roles=roles, counts=counts),
        features=run.features | {"dimension": 1800},
        fit=replace(run.fit, iterations=2500, passes=5000.0),
        evaluations={"train": replace(many, audit=roles), "test": replace(many, audit=roles)},
        findings=[finding],
        trust=trust,
    )
    html = re.sub(r"<(script|style|code|pre|title)\b.*?</\1>", " ", render(run), flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", html)
    plain = set(re.findall(r"(?<![\w.,\u202f/-])\d{4,}(?!\w|\.\d|/)", text))
    assert plain == {"2026", "1000"}  # the year, --alpha's value
    for number in ("60 000", "51 000", "9 000", "10 000", "20 000", "1 800", "2 500", "5 000", "2 000"):
        assert number.replace(" ", "\u202f") in text, number


def test_the_leaderboard_and_the_filters_are_on_the_page():
    from linearhead.records import Candidate, Leaderboard

    run = fake_run.digits_run()
    assert '<h2 id="leaderboard-title"' not in render(run)
    entries = [
        Candidate("hog+<b>", "cross_entropy", 576, 0.01, 300, 0.91, [0.87, 0.94], 0.31, 2.5, True),
        Candidate("pixels", "hinge", 64, 0.01, 300, 0.9, [0.86, 0.93], None, 0.5),
    ]
    board = Leaderboard(entries, ["patches with logistic"], 900, "Chosen by a rule.", 4.0)
    html = render(replace(run, leaderboard=board, filters=run.weights[0]))
    assert "hog+<wbr>&lt;b&gt;" in html  # a line may break there, not within a word
    assert html.count(" chosen</span>") + html.count(">chosen</span>") == 1
    assert "Not tried for want of time: patches with logistic." in html
    assert 'alt="The most used filters' in html
    assert 'alt="The most used filters' not in render(replace(run, filters="javascript:alert(1)"))


@pytest.mark.parametrize(
    ("ece", "chance", "said"),
    [
        (0.007, 0.011, "no more than chance alone can show where every confidence is true (1.1 %)"),
        (0.08, 0.02, "where chance alone shows up to 2.0 %."),
        (0.08, None, "differ by 8.0 % on average."),
    ],
)
def test_the_head_says_whether_confidences_may_be_believed(ece, chance, said):
    from linearhead.records import Reliability, Trust
    from linearhead.report import sentences

    found = sentences.confidence(Trust(100, "some", judged=Reliability(0.3, ece, []), chance=chance))
    assert said in found.replace("\u202f", " ")
    assert sentences.confidence(None) == sentences.confidence(Trust(100, "some")) == ""
