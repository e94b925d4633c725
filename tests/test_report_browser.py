"""The page in a real browser, headless Chromium: quiet console, working keyboard, a phone's width, hostile names.

Skipped where there is no Chromium or no playwright to drive it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import fake_run
from linearhead.charts import bar_chart, trace_chart
from linearhead.metrics import evaluate
from linearhead.records import (
    Candidate,
    Duplicates,
    Finding,
    Leaderboard,
    LearningCurve,
    Picture,
    Reliability,
    Run,
    Skipped,
    Trust,
)
from linearhead.report import LIMIT, render

CASES = ["digits_run", "letters_run", "two_class_run", "hinge_run", "without_pictures", "bare_run"]
WATCH = """
window.hits = []; window.blocked = [];
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => hits.push(name);
document.addEventListener("securitypolicyviolation", (e) => blocked.push(e.violatedDirective + " " + e.blockedURI));
"""


class Visit:
    """One page in a fresh context; collects everything that a quiet page must not do."""

    def __init__(
        self, browser, html: str, folder: Path, width: int = 1280, scheme: str = "light", scripts: bool = True
    ):
        file = folder / "page.html"
        file.write_text(html, encoding="utf-8")
        self.context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=scripts
        )
        self.page = self.context.new_page()
        self.noise: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.noise.append(message.text))
        self.page.on("pageerror", lambda error: self.noise.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.noise.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        if scripts:
            self.page.add_init_script(WATCH)
        self.page.goto(file.as_uri())

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_) -> None:
        self.context.close()

    def run(self, script: str):
        return self.page.evaluate(script)

    def assert_quiet(self) -> None:
        assert self.noise == []
        assert self.run("blocked") == []
        assert self.run("hits") == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:"))] == []
        assert len([url for url in self.requests if url.startswith("file:")]) == 1


@cache
def page_of(case: str) -> str:
    return render(getattr(fake_run, case)())


def overflow(visit: Visit) -> int:
    return visit.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_quiet_and_fits_a_phone_and_any_other_width(browser, tmp_path, case):
    with Visit(browser, page_of(case), tmp_path, 390) as visit:
        visit.run("for (const d of document.querySelectorAll('details')) d.open = true")
        assert overflow(visit) == 0
        visit.page.emulate_media(color_scheme="dark")
        for width in (320, 700, 1000, 1600):
            visit.page.set_viewport_size({"width": width, "height": 844})
            assert overflow(visit) == 0, width
        visit.page.emulate_media(media="print")
        visit.page.set_viewport_size({"width": 688, "height": 1000})  # A4 between its margins
        assert overflow(visit) == 0, "print"
        assert visit.run("[...document.querySelectorAll('p .term')].every(term => term.offsetWidth)")
        visit.assert_quiet()


def every_shade() -> list[list[int]]:
    """Pairs with all nine levels on and off the diagonal: level l is a share of (l / 9)² of the row."""
    table = [[0] * 10 for _ in range(10)]
    for i in range(9):
        rest = 8100 - 100 * (i + 1) ** 2
        table[i][i] = 100 * (i + 1) ** 2
        for step, level in enumerate((8, 7, 6, 5, 4, 3, 2, 1), start=1):
            if 100 * level**2 <= rest:
                table[i][(i + step) % 10] = 100 * level**2
                rest -= 100 * level**2
        table[i][(i + 9) % 10] += rest
    table[9][0] = 8100
    return [[i, j, n] for i, row in enumerate(table) for j, n in enumerate(row) if n]


def counted(run) -> dict[tuple[int, int], int]:
    """The test set's counts by (true, predicted)."""
    return {(i, j): n for i, j, n in run.evaluations["test"].confusion}


def test_text_is_legible_in_both_schemes(browser, tmp_path):
    """WCAG contrast of every visible text against what lies behind it: 4.5, or 3 for large text (SC 1.4.3)."""
    measure = """
    () => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data]; };
      const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
      const behind = (node) => { for (; node; node = node.parentElement) {
        const c = rgb(getComputedStyle(node).backgroundColor); if (c[3] > 200) return c; } return [255, 255, 255]; };
      const poor = [];
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const node = walk.currentNode.parentElement;
        const words = walk.currentNode.textContent.trim();
        if (!words || !node.checkVisibility() || node.closest("dialog, script, .hidden, .skip")) continue;
        const style = getComputedStyle(node), svg = node.closest("svg");
        const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(node))].sort((x, y) => y - x);
        const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < (large ? 3 : 4.5)) poor.push([words, contrast.toFixed(2)]);
      }
      return poor;
    }"""
    run = fake_run.digits_run()
    judged = replace(run.evaluations["test"], confusion=every_shade())
    html = render(replace(run, evaluations=run.evaluations | {"test": judged}))
    for scheme in ("light", "dark"):
        with Visit(browser, html, tmp_path, scheme=scheme) as visit:
            assert (
                visit.run("new Set([...document.querySelectorAll('.confusion td[class]')].map(c => c.className)).size")
                == 19
            )
            assert visit.run(measure) == [], scheme


def test_a_cell_opens_its_pictures_by_click_and_escape_closes_it(browser, tmp_path):
    run = fake_run.digits_run()
    key, members = max(
        ((k, v) for k, v in run.cells.items() if len(set(k.split(","))) == 2), key=lambda item: len(item[1])
    )
    row, column = key.split(",")
    with Visit(browser, page_of("digits_run"), tmp_path) as visit:
        page = visit.page
        page.click(f'.confusion button[data-r="{row}"][data-c="{column}"]')
        assert page.locator("#viewer").is_visible()
        names = run.data.classes
        assert page.inner_text("#viewer-title") == f"{names[int(row)]}, called {names[int(column)]}"
        assert page.inner_text("#viewer-note") == f"{len(members)} pictures"
        assert page.locator("#viewer-strip img").count() == len(members)
        sources = [run.pictures[i].thumbnail for i in members]
        assert page.get_attribute("#viewer-picture", "src") == sources[0]
        page.keyboard.press("ArrowRight")
        assert page.get_attribute("#viewer-picture", "src") == sources[1]
        assert run.pictures[members[1]].path in page.inner_text("#viewer-caption")
        page.keyboard.press("End")
        assert page.get_attribute("#viewer-picture", "src") == sources[-1]
        assert page.is_disabled("#viewer-next")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Home")
        assert page.get_attribute("#viewer-picture", "src") == sources[0]
        page.click("#viewer-strip button >> nth=1")
        assert page.get_attribute("#viewer-picture", "src") == sources[1]
        page.keyboard.press("Escape")
        assert not page.locator("#viewer").is_visible()
        assert visit.run("[document.activeElement.dataset.r, document.activeElement.dataset.c]") == [row, column]
        visit.assert_quiet()


def test_the_matrix_works_from_the_keyboard_alone(browser, tmp_path):
    run = fake_run.letters_run()
    names = run.data.classes
    with Visit(browser, page_of("letters_run"), tmp_path) as visit:
        page = visit.page
        assert page.locator('.confusion button[tabindex="0"]').count() == 1
        page.focus('.confusion button[tabindex="0"]')
        where = "[Number(document.activeElement.dataset.r), Number(document.activeElement.dataset.c)]"
        start = visit.run(where)
        keys = ["ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "End", "Home", "ArrowDown"]
        seen = [start]
        for key in keys:
            page.keyboard.press(key)
            seen.append(visit.run(where))
        assert start == [0, 0]
        for (r0, c0), (r1, c1), key in zip(seen, seen[1:], keys, strict=False):
            if key in ("ArrowDown", "ArrowUp"):
                assert r1 == r0 + (1 if key == "ArrowDown" else -1), (key, seen)
            else:
                assert r1 == r0, (key, seen)
                assert (c1 >= c0) if key in ("ArrowRight", "End") else (c1 <= c0), (key, seen)
        assert len({tuple(cell) for cell in seen}) >= 4
        assert page.locator('.confusion button[tabindex="0"]').count() == 1
        r, c = seen[-1]
        count = counted(run)[r, c]
        expected = f"{names[r]}, called {'so' if r == c else names[c]}: {count} of 5"
        assert visit.run("document.activeElement.getAttribute('aria-label')") == expected
        page.keyboard.press("Enter")
        assert page.locator("#viewer").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#viewer").is_visible()
        assert visit.run(where) == seen[-1]
        visit.assert_quiet()


def test_every_cell_and_pair_opens_and_counts_truthfully(browser, tmp_path):
    """A cell's title names its class pair, and the note its count, for all filled cells of the ten-class run."""
    run = fake_run.digits_run()
    counts, names = counted(run), run.data.classes
    script = """(selector) => [...document.querySelectorAll(selector)].map((button) => {
      button.click();
      const out = [button.dataset.r, button.dataset.c, ...["title", "note"].map((id) =>
        document.getElementById("viewer-" + id).textContent), document.querySelectorAll("#viewer-strip img").length];
      document.getElementById("viewer").close();
      return out; })"""
    with Visit(browser, page_of("digits_run"), tmp_path) as visit:
        for selector in (".confusion td button", ".pair"):
            opened = visit.page.evaluate(script, selector)
            for r, c, title, note, strip in opened:
                n = counts[int(r), int(c)]
                assert title == f"{names[int(r)]}, called {'so' if r == c else names[int(c)]}"
                assert note.startswith(f"{n} picture")
                assert strip == len(run.cells.get(f"{r},{c}", []))
        assert len(opened) == 12
        visit.assert_quiet()


def test_a_cell_without_pictures_says_so(browser, tmp_path):
    with Visit(browser, page_of("without_pictures"), tmp_path) as visit:
        visit.page.click(".confusion td button >> nth=0")
        assert "this page shows none of them" in visit.page.inner_text("#viewer-note")
        assert not visit.page.locator("#viewer-picture").is_visible()
        visit.page.keyboard.press("ArrowRight")
        visit.page.keyboard.press("Escape")
        visit.assert_quiet()


def test_the_gallery_opens_at_the_picture_that_was_pressed(browser, tmp_path):
    run = fake_run.digits_run()
    with Visit(browser, page_of("digits_run"), tmp_path) as visit:
        visit.page.click("#wrong .picture .open >> nth=3")
        assert visit.page.get_attribute("#viewer-picture", "src") == run.pictures[run.most_wrong[3]].thumbnail
        visit.page.click("#viewer-close")
        assert visit.run("document.activeElement.className") == "open"
        visit.assert_quiet()


def test_a_class_has_its_own_page(browser, tmp_path):
    """By its link, by its address, by the keyboard; its pictures are those behind its row and its column."""
    run = fake_run.digits_run()
    counts, names = counted(run), run.data.classes
    judged = run.evaluations["test"].per_class
    worst = max(range(10), key=lambda i: judged[i].n - counts[i, i])
    with Visit(browser, page_of("digits_run"), tmp_path) as visit:
        page = visit.page
        assert page.locator(".class-page:visible").count() == 0
        page.focus(f'#classes-table a[href="#class-{worst}"]')
        page.keyboard.press("Enter")
        shown = page.locator(".class-page:visible")
        assert shown.count() == 1
        text = shown.inner_text()
        assert text.startswith(names[worst])
        assert f"{counts[worst, worst]} of its {judged[worst].n} pictures found" in text.replace("\u202f", "")
        expected = {"otherwise": [], "is not": [], "least sure": []}
        for key, members in run.cells.items():
            r, c = map(int, key.split(","))
            if worst in (r, c):
                kind = "is not" if r != worst else "otherwise" if c != worst else "least sure"
                expected[kind] += [run.pictures[i].thumbnail for i in members]
        galleries = """(nodes) => nodes.map((g) => [g.dataset.title,
          [...g.querySelectorAll(".open img:first-child")].map((i) => i.src)])"""
        for title, sources in shown.locator(".gallery").evaluate_all(galleries):
            kind = next(k for k in expected if k in title)
            assert sorted(sources) == sorted(expected.pop(kind))
        assert not any(expected.values())
        shown.locator(".picture .open").first.click()
        assert page.locator("#viewer").is_visible()
        page.keyboard.press("Escape")
        shown.get_by_role("link", name="Next" if worst < 9 else "Previous").click()
        assert visit.run("document.activeElement.id") == f"class-{worst + 1 if worst < 9 else worst - 1}"
        assert page.locator(".class-page:visible").count() == 1
        visit.assert_quiet()
        page.goto(page.url.split("#")[0] + "#class-3")
        assert page.locator("#class-3 .picture").count() > 0


def test_the_class_table_sorts_both_ways(browser, tmp_path):
    run = fake_run.digits_run()
    with Visit(browser, page_of("digits_run"), tmp_path) as visit:
        recalls = "[...document.querySelectorAll('#classes-table tbody tr')].map((r) => Number(r.cells[2].dataset.v))"
        visit.page.click("#classes-table thead th:nth-child(3) button")
        up = visit.run(recalls)
        visit.page.click("#classes-table thead th:nth-child(3) button")
        down = visit.run(recalls)
        assert up == sorted(s.recall for s in run.evaluations["test"].per_class)
        assert down == up[::-1]
        assert visit.page.get_attribute("#classes-table thead th:nth-child(3)", "aria-sort") == "descending"
        visit.assert_quiet()


def test_charts_tell_the_values_under_the_pointer(browser, tmp_path):
    with Visit(browser, page_of("digits_run"), tmp_path) as visit:
        chart = visit.page.locator("#fit .chart").nth(1)
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
        told = chart.locator(".tip").inner_text()
        assert told.split("\n")[0].startswith("at ")
        assert "train" in told
        assert "validation" in told
        assert "%" in told
        visit.assert_quiet()


def test_without_scripts_everything_but_the_viewer_is_there(browser, tmp_path):
    with Visit(browser, page_of("digits_run"), tmp_path, scripts=False) as visit:
        text = visit.page.inner_text("body")
        for words in ("Right on", "Most often confused", "Most wrong", "Proof", "Again"):
            assert words in text
        assert visit.page.locator("#wrong .picture img").first.is_visible()
        assert visit.page.locator("#viewer").is_visible() is False


def test_a_large_page_opens_and_scrolls_quickly(browser, tmp_path):
    big = "data:image/png;base64," + fake_run.scanned()[0][0].tobytes().hex() * 30
    run = fake_run.letters_run()
    html = render(
        replace(run, pictures=[replace(p, thumbnail=p.thumbnail) for p in run.pictures] * 2, weights=[big] * 136)
    )
    with Visit(browser, html, tmp_path) as visit:
        opened = visit.run("performance.getEntriesByType('navigation')[0].domComplete")
        longest = visit.run("""async () => { let worst = 0, last = performance.now();
          for (let y = 0; y < document.body.scrollHeight; y += 400) { scrollTo(0, y);
            await new Promise(requestAnimationFrame); const now = performance.now();
            worst = Math.max(worst, now - last); last = now; } return worst; }""")
        assert opened < 5000
        assert longest < 1000


def sixty_thousand() -> Run:
    """The record of a run on 60 000 + 10 000 pictures of ten classes with all that the gallery keeps: 400 judged
    pictures and 24 doubted ones as JPEGs of 96 pixels, 60 of them with their regions, 3 000 skipped files."""
    rng = np.random.default_rng(0)
    n, k = 10_000, 10
    y = rng.integers(0, k, n)
    scores = rng.normal(0, 1, (n, k)) + 3.5 * np.eye(k)[y]
    p = fake_run.softmax(scores)
    small = rng.integers(0, 256, (424, 12, 12), dtype=np.uint8)  # noise compresses badly: these are long
    uris = [fake_run.data_uri(one, 96, "JPEG") for one in small]
    order = np.argsort(p[np.arange(n), y])
    wrong, right = [i for i in order if p[i].argmax() != y[i]], [i for i in order if p[i].argmax() == y[i]]
    kept = [int(i) for i in [*wrong[:250], *right[:150]]]
    pictures = [
        Picture(f"class {y[i]}/{i:05d}.jpg", int(y[i]), int(p[i].argmax()), float(p[i].max()), float(p[i, y[i]]),
                int(np.argsort(-p[i])[1]), uris[place], uris[place] if place < 60 else "")
        for place, i in enumerate(kept)
    ]  # fmt: skip
    run = fake_run.digits_run()
    names = run.data.classes
    data = replace(
        run.data, found=73_000, used=70_000, skipped=[Skipped(f"broken/{i}.jpg", "truncated") for i in range(3000)],
        counts={"train": [5100] * k, "valid": [900] * k, "test": np.bincount(y, minlength=k).tolist()},
    )  # fmt: skip
    test = evaluate(y, p.argmax(1), names, p)
    return replace(
        run, data=data, evaluations={"train": test, "test": test}, pictures=pictures, unsure=list(range(250, 274)),
        most_wrong=list(range(36)), cells=fake_run.cells_of(pictures), weights=uris[:10],
        suspects=[replace(one, thumbnail=uri) for one, uri in zip(pictures, uris[400:], strict=False)],
        duplicates=Duplicates(70_000, 10, 10, 0, 5, [["a", "b"]] * 8, [uris[:2]] * 8),
    )  # fmt: skip


def test_the_page_of_sixty_thousand_pictures(browser, tmp_path):
    """At most 2 MB; nothing on the console; every filled cell opens, and those with pictures show them."""
    run = sixty_thousand()
    html = render(run)
    assert 600_000 < len(html.encode()) <= LIMIT
    with Visit(browser, html, tmp_path) as visit:
        page = visit.page
        shown = visit.page.evaluate("""() => [...document.querySelectorAll(".confusion td button")].map((b) => {
          b.click();
          const strip = document.querySelectorAll("#viewer-strip img").length;
          document.getElementById("viewer").close();
          return [b.dataset.r + "," + b.dataset.c, strip]; })""")
        assert len(shown) == len(run.evaluations["test"].confusion)
        on_page = visit.run("document.querySelectorAll('.picture[data-cell]:not([data-cell=\"\"])').length")
        assert sum(strip for _, strip in shown) == on_page >= 200
        page.focus('.confusion button[tabindex="0"]')
        for key in ("ArrowRight", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        assert page.locator("#viewer").is_visible()
        page.keyboard.press("Escape")
        frames = visit.run("""async () => { let n = 0; for (let y = 0; y < document.body.scrollHeight; y += 900) {
          scrollTo(0, y); await new Promise(requestAnimationFrame); n++; } return n; }""")
        assert frames > 5
        visit.assert_quiet()


def test_the_standalone_chart_follows_the_readers_scheme(browser, tmp_path):
    chart = trace_chart(fake_run.digits_run().fit.trace).save(tmp_path / "chart.svg")
    seen = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(chart.as_uri())
        of = "(s, name) => getComputedStyle(document.querySelector(s))[name]"
        seen[scheme] = [page.evaluate(f"() => ({of})('{s}', 'fill')") for s in (".lh-title", ".lh-surface")]
        context.close()
    assert seen["light"] == ["rgb(27, 28, 30)", "rgb(255, 255, 255)"]
    assert seen["dark"] == ["rgb(236, 236, 234)", "rgb(23, 24, 27)"]


# ---- hostile names

HIT = "window.hits.push(1)"
HOSTILE = [
    f"<script>{HIT}</script>",
    f"</script><script>{HIT}</script>",
    f"</style><script>{HIT}</script>",
    f"</title><script>{HIT}</script>",
    f"</textarea><script>{HIT}</script>",
    f"--><script>{HIT}</script>",
    f"]]><script>{HIT}</script>",
    f"<!--<script>{HIT}</script>-->",
    f"<SCRIPT>{HIT}</SCRIPT>",
    f"<scr\x00ipt>{HIT}</script>",
    f"<script/x>{HIT}</script>",
    f"<<script>{HIT}//<</script>",
    f"<img src=x onerror={HIT}>",
    f'"><img src=x onerror="{HIT}">',
    f"'><img src=x onerror='{HIT}'>",
    f'" onerror="{HIT}" x="',
    f"' onerror='{HIT}' x='",
    f'" onfocus="{HIT}" autofocus tabindex="0" x="',
    f'" onmouseover="{HIT}" x="',
    f'" onload="{HIT}" x="',
    f"` onload=`{HIT}` x=`",
    f"x onload={HIT}",
    f"<svg onload={HIT}>",
    f"<svg><script>{HIT}</script></svg>",
    f"<svg><animate onbegin={HIT} attributeName=x dur=1s>",
    f"<svg><style><img src=x onerror={HIT}></style>",
    f"</svg><img src=x onerror={HIT}>",
    f"</desc></title><script>{HIT}</script>",
    f"<math><mtext></math><img src=x onerror={HIT}>",
    f"<body onload={HIT}>",
    f"<iframe srcdoc='<script>parent.{HIT}</script>'></iframe>",
    f"<iframe src=javascript:{HIT}>",
    f"<object data=javascript:{HIT}>",
    f"<embed src=javascript:{HIT}>",
    f"<a href=javascript:{HIT} autofocus>x</a>",
    f"javascript:{HIT}",
    f"data:text/html,<script>{HIT}</script>",
    f"<details open ontoggle={HIT}>",
    f"<video><source onerror={HIT}></video>",
    f"<audio src=x onerror={HIT}>",
    f"<input autofocus onfocus={HIT}>",
    f"<select autofocus onfocus={HIT}>",
    f"<marquee onstart={HIT}>",
    "<meta http-equiv=refresh content='0;url=https://example.org/'>",
    "<base href=https://example.org/>",
    "<link rel=stylesheet href=https://example.org/x.css>",
    "<style>*{display:none}</style>",
    "<form action=https://example.org/><button autofocus>",
    f"<template><script>{HIT}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={HIT}>'>",
    f"\\u003cscript\\u003e{HIT}\\u003c/script\\u003e",
    f"&lt;script&gt;{HIT}&lt;/script&gt;",
    f"&#60;script&#62;{HIT}&#60;/script&#62;",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "${" + HIT + "}",
    f"');{HIT};//",
    f'";{HIT};//',
    f"\u2028{HIT}\u2029",
    f"`<code>`<script>{HIT}</script>`",
    f"\u202e>tpircs/<{HIT}>tpircs<\u202c",
    f"+ADw-script+AD4-{HIT}+ADw-/script+AD4-",
    f"\ud800<script>{HIT}</script>",
    "__proto__",
    "constructor",
    "../../../etc/passwd",
    "a" * 5000,
]
N = len(HOSTILE)
EMPTY = {
    "filters",
    "probes",
    "model",
    "judged_pictures",
    "judged_right",
    "judged_keys",
    "judged_groups",
}  # no name of the user is there


@cache
def hostile_run() -> Run:
    """Every name at every place where the page shows one: classes, files, reasons, findings, keys, sentences."""
    run = fake_run.letters_run(N, 3 * N, 3 * N)
    names = HOSTILE
    pictures = [replace(p, path=f"{names[i % N]}/{names[(i + 7) % N]}") for i, p in enumerate(run.pictures)]
    severities = ("problem", "warning", "note", "good", names[0])
    findings = [Finding(n, n, severities[i % 5], n, f"{n} `{n}`", n) for i, n in enumerate(names)]
    everywhere = " ".join(names[:-1])
    data = replace(
        run.data,
        classes=names,
        source=everywhere,
        reader=names[15],
        skipped=[Skipped(n, n) for n in names],
        counts={n: [1] * N for n in names} | {"train": [1] * N},
        roles={"trained": everywhere, "chose": names[0], "judged": names[13]} | {n: n for n in names},
        conversions=dict.fromkeys(names, 3),
    )
    fit = replace(run.fit, loss=names[0], loss_label=everywhere, penalty=names[12], solver=names[13], status=names[14])
    evaluations = {
        name: replace(e, per_class=[replace(s, label=n) for s, n in zip(e.per_class, names, strict=True)])
        for name, e in run.evaluations.items()
    }
    return replace(
        run,
        version=names[15],
        created=names[13],
        command=everywhere,
        data=data,
        fit=fit,
        evaluations=evaluations | dict.fromkeys(names[:20], run.evaluations["test"]),
        features={"name": names[0], "preprocessing": {n: n for n in names}} | {n: n for n in names},
        findings=findings,
        pictures=pictures,
        weights=[fake_run.data_uri(fake_run.scanned()[0][0], 8)] * N,
        seconds=dict.fromkeys(names, 1.0),
        environment={n: n for n in names},
        suspects=[replace(p, regions=p.thumbnail) for p in pictures],
        leaderboard=Leaderboard(
            [Candidate(n, n, 3, 0.1, 9, 0.5, [0.3, 0.7], 1.0, 0.1, i == 0) for i, n in enumerate(names)],
            names,
            9,
            everywhere,
            1.0,
        ),
        duplicates=Duplicates(
            9, 1, 1, 1, 1, [[n, n] for n in names], [[p.thumbnail, p.thumbnail] for p in pictures[:N]]
        ),
        muted=names,
        doubted=names,
        unsure=list(range(len(pictures))),
        trust=Trust(3, everywhere, 2.0, Reliability(1.0, 0.1, [[0.5, 0.5, 3.0]]), Reliability(1.0, 0.0, [])),
        learning_curve=LearningCurve([10, 20], [0.5, 0.6], judged=20, twice=0.7, gain=0.1, gain_error=0.01),
    )


@cache
def hostile_page() -> str:
    return render(hostile_run())


def use_everything(visit: Visit) -> None:
    """Open a cell and the page of every class, every pair and some of the gallery; sort every column; point at every
    chart."""
    visit.run("""async () => {
      for (const link of document.querySelectorAll("#classes-table tbody a")) {
        link.click();
        await new Promise((done) => setTimeout(done));
      }
      for (const d of document.querySelectorAll("details")) d.open = true;
      const some = ".confusion td[class^=g] button, .pair, .picture:nth-child(-n+2) .open";
      for (const button of document.querySelectorAll(some)) {
        button.focus(); button.click();
        document.getElementById("viewer-next").click();
        document.getElementById("viewer").close();
      }
      for (const button of document.querySelectorAll("#classes-table thead button")) { button.click(); button.click(); }
      for (const chart of document.querySelectorAll(".chart")) {
        const box = chart.getBoundingClientRect();
        chart.dispatchEvent(new PointerEvent("pointermove", { clientX: box.x + 99, clientY: box.y + 99 }));
      }
    }""")
    visit.page.wait_for_timeout(300)


@pytest.mark.parametrize("policy", [True, False], ids=["with the policy", "without the policy"])
def test_hostile_names_execute_nothing(browser, tmp_path, policy):
    """66 names at every place; without its policy the page must hold by its escaping alone."""
    assert N >= 60
    assert not [name for name in vars(hostile_run()) if not getattr(hostile_run(), name) and name not in EMPTY]
    html = hostile_page()
    if not policy:
        html = html.replace("Content-Security-Policy", "X-Nothing")
    with Visit(browser, html, tmp_path) as visit:
        use_everything(visit)
        visit.assert_quiet()
        assert visit.run("document.querySelectorAll('script').length") == 2
        assert visit.run("document.querySelectorAll('style, base, link, iframe, object, embed, form').length") == 1
        nodes = "[...document.querySelectorAll('*:not(.tip)')]"  # the charts' own box is moved by its style
        attributes = nodes + ".flatMap((n) => [...n.attributes].map((a) => a.name))"
        assert not [name for name in visit.run(attributes) if name.startswith("on") or name in ("style", "srcdoc")]
        assert visit.run("document.querySelectorAll('meta[http-equiv=refresh]').length") == 0
        assert overflow(visit) == 0
        shown = visit.run("[...document.querySelectorAll('.confusion tbody th')].map((th) => th.textContent)")
        assert shown[0] == HOSTILE[0]
        assert visit.run("JSON.parse(document.getElementById('numbers').textContent).data.classes[0]") == HOSTILE[0]


def test_hostile_names_fit_a_phone(browser, tmp_path):
    with Visit(browser, hostile_page(), tmp_path, 390) as visit:
        visit.run("for (const d of document.querySelectorAll('details')) d.open = true")
        assert overflow(visit) == 0


def test_hostile_names_in_charts_execute_nothing(browser, tmp_path):
    trace = fake_run.digits_run().fit.trace
    charts = [trace_chart({a: trace, b: trace}, title=a) for a, b in pairwise(HOSTILE)]
    charts.append(bar_chart(HOSTILE, [1.0] * N, title=HOSTILE[0]))
    page = "<!doctype html><meta charset=utf-8>" + "".join(chart.svg for chart in charts)
    with Visit(browser, page, tmp_path) as visit:
        visit.page.wait_for_timeout(200)
        visit.assert_quiet()
        assert visit.run("document.querySelectorAll('svg').length") == len(charts)
        assert visit.run("document.querySelectorAll('script, img, iframe').length") == 0


def test_the_watch_sees_what_it_should(browser, tmp_path):
    """The names do execute where they are not escaped, and the policy alone already stops them."""
    escaped = HOSTILE[12].replace("<", "&lt;").replace(">", "&gt;")
    for policy, hits in ((False, True), (True, False)):
        assert escaped in hostile_page()
        html = hostile_page().replace(escaped, HOSTILE[12])
        html = html if policy else html.replace("Content-Security-Policy", "X-Nothing")
        with Visit(browser, html, tmp_path) as visit:
            visit.page.wait_for_timeout(300)
            assert bool(visit.run("hits.length")) is hits
            assert bool(visit.run("blocked.length")) is policy
