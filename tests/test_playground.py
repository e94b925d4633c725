"""The playground in headless Chromium: the library's arithmetic to 1e-10, the traps named, quiet, usable by keys."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from linearhead.design import design_of
from linearhead.losses import LOSSES
from linearhead.objective import Objective
from linearhead.penalties import PENALTIES

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "_static" / "playground.html"


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.noise, page.requests = [], []
    page.on("console", lambda message: page.noise.append(message.text))
    page.on("pageerror", lambda error: page.noise.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(PAGE.as_uri())
    yield page
    assert page.noise == []
    assert len(page.requests) == 1  # itself
    context.close()


def test_the_policy_allows_this_style_and_this_script_alone():
    sealed = runpy.run_path(str(DOCS / "seal.py"))["sealed"]
    text = PAGE.read_text(encoding="utf-8")
    assert sealed(text) == text, "run: python docs/seal.py"
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")


STEPS = """([points, options, epochs]) => {
  const model = play.fresh(), orders = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rows = play.order(points.length, epoch, options);
    orders.push(rows);
    for (let i = 0; i < rows.length; i += options.batch)
      play.update(model, rows.slice(i, i + options.batch).map((r) => points[r]), options);
  }
  return { W: model.W, b: model.b, orders, F: play.objective(model, points, options),
           p: points.map((q) => play.probabilities(options.loss, play.scores(model, q.x))) };
}"""


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("batch", "momentum"), [(1, 0.0), (4, 0.9), (30, 0.5)])
def test_the_same_steps_as_the_library(page, loss, batch, momentum):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(30, 2)), np.arange(30) % 3
    X[:, 0] += y
    options = {"loss": loss, "rate": 0.05, "momentum": momentum, "alpha": 0.01, "batch": batch}
    points = [{"x": x.tolist(), "y": int(label)} for x, label in zip(X, y, strict=True)]
    found = page.evaluate(STEPS, [points, options, 4])

    whole = Objective(design_of(X), y, 3, LOSSES[loss](), PENALTIES["l2"](), 0.01)
    theta, velocity = whole.start(), whole.start()
    assert any(order != sorted(order) for order in found["orders"])
    for order in found["orders"]:
        assert sorted(order) == list(range(30))
        for i in range(0, 30, batch):
            rows = np.array(order[i : i + batch])
            # a batch's own mean loss, not its share of the whole
            part = Objective(design_of(X[rows]), y[rows], 3, LOSSES[loss](), PENALTIES["l2"](), 0.01)
            velocity = momentum * velocity - 0.05 * part.at(theta).gradient
            theta = theta + velocity
    np.testing.assert_allclose(np.vstack([found["W"], found["b"]]), theta, rtol=1e-10, atol=1e-10)
    assert found["F"] == pytest.approx(whole.at(theta).value, rel=1e-10)
    probabilities = LOSSES[loss]().probabilities(X @ theta[:-1] + theta[-1])
    if probabilities is None:
        assert found["p"] == [None] * 30
    else:
        np.testing.assert_allclose(found["p"], probabilities, rtol=1e-10)


def code_after(page, epochs=40):
    page.evaluate("document.getElementById('epoch').click()")
    page.evaluate("(n) => play.epochs(n)", epochs - 1)
    return page.evaluate("document.getElementById('finding').dataset.code")


def set_(page, name, value):
    page.evaluate(
        "([n, v]) => { const e = document.getElementById(n); e[e.type === 'checkbox' ? 'checked' : 'value'] = v;"
        " e.dispatchEvent(new Event('input')); }",
        [name, value],
    )


def test_a_sound_run_is_not_accused(page):
    assert code_after(page) == ""
    history = page.evaluate("play.state().history")
    assert history[0] == pytest.approx(np.log(3))
    assert history[-1] < 0.7 * history[0]


def test_the_traps_are_named(page):
    page.evaluate("document.getElementById('toolarge').click()")
    set_(page, "loss", "squared")
    assert code_after(page, 20) == "learning-rate-large"
    set_(page, "loss", "cross_entropy")
    set_(page, "rate", "-0.5")
    set_(page, "frozen", True)
    assert code_after(page) == "intercept-frozen"
    set_(page, "frozen", False)
    assert code_after(page) == ""
    set_(page, "batch", "1")
    set_(page, "unshuffled", True)
    assert code_after(page) == "no-shuffling"
    assert "last word" in page.inner_text("#finding")


def test_by_keyboard_alone_on_a_phone(page):
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    page.evaluate("document.getElementById('clear').click()")
    page.focus("#plane")
    for key in ("1", "Enter", "ArrowRight", "ArrowUp", "2", "Enter", "ArrowUp", "3", "Enter", " "):
        page.keyboard.press(key)
    state = page.evaluate("play.state()")
    assert [p["y"] for p in state["points"]] == [0, 1, 2]
    assert state["points"][2]["x"] == pytest.approx([0.05, 0.1])
    assert state["epoch"] == 1
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 23)"


def test_run_and_pause_and_click(page):
    page.click("#run")
    for _ in range(100):
        page.wait_for_timeout(50)
        if page.evaluate("play.state().epoch") > 3:
            break
    page.click("#run")
    before = page.evaluate("play.state()")
    assert before["history"][-1] < before["history"][0]
    page.click("#plane", position={"x": 100, "y": 100})
    after = page.evaluate("play.state()")
    assert len(after["points"]) == len(before["points"]) + 1
    assert after["epoch"] == before["epoch"]
