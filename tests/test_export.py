"""A model taken elsewhere answers as at home: the Python file, the ONNX graph, the page in Chromium, the card."""

import base64
import errno
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

import fake_run
from linearhead.cli import cli
from linearhead.errors import DataError, FileError, UsageError
from linearhead.experiment import exporting, predict, run_folder
from linearhead.experiment.exporting import compared, export, made_pictures
from linearhead.export import FORMS, card, predictor, source
from linearhead.export.page import described
from linearhead.features import FEATURES, make
from linearhead.features.hog import SPAN, _bins
from linearhead.images import Preprocessing, decode
from linearhead.store import Model

SPECS = ["pixels", "color(grid=3,chroma=4)", "hog", "hog(cell=5,block=3,orientations=12)", "patches(filters=25)"]
SPECS += ["patches(filters=24,mirror=1,dtype=uint8)", "patches(quality=best,filters=16,side=20,stride=2)"]
SPECS += ["patches(filters=24,unit=0,threshold=0.5)", "patches(filters=90,mirror=1,grid=4)"]
JOINED = ["hog+color+patches(filters=12,mirror=1)+pixels", "color+patches(quality=best,filters=16,side=20,stride=2)"]
JOINED += ["hog+patches(filters=200,mirror=1,dtype=uint8)"]  # many pictures' rows: of a byte, joined with others
SHAPES = [(24, 30, "RGB"), (21, 21, "L")]


def picture_file(pixels: np.ndarray, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, format)
    return file.getvalue()


@cache
def learned(spec: str, shape: tuple[int, int, int]) -> tuple[Any, np.ndarray]:
    """An extractor and its features of the pictures that taught it."""
    extractor = make(spec).fit(made_pictures(shape), seed=0)
    return extractor, extractor.transform(made_pictures(shape)).astype(np.float32)


def model_of(spec: str, height: int, width: int, mode: str, loss: str = "cross_entropy", **looks) -> Model:
    """Weights as a fit would give them: scores of a few units on natural pictures."""
    rng = np.random.default_rng(1)
    looks = Preprocessing(height, width, mode, **looks)
    extractor, X = learned(spec, looks.shape)
    spread = X.std(axis=0) + 0.05 * X.std()
    W = (rng.normal(size=(5, X.shape[1])) / spread / np.sqrt(X.shape[1])).astype(np.float32)
    facts = {"trust": {"temperature": 0.7}}
    names = ["one", "zwei", "<b>drei</b>", "«four»", "五"]
    return Model(names, W, (-X @ W.T).mean(axis=0), looks, extractor, loss, facts)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a model and a record that need no training."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    run_folder.write(folder, model_of("hog+color", 24, 30, "RGB"), fake_run.digits_run())
    return folder


# ---- the Python file ----


@pytest.mark.parametrize("shape", SHAPES, ids=["colour", "grey"])
@pytest.mark.parametrize("spec", SPECS + JOINED)
def test_the_python_file_has_the_models_numbers(spec, shape):
    model = model_of(spec, *shape, loss="logistic" if "color" in spec else "cross_entropy")
    content = predictor.predictor(model)
    assert compared(model, *exporting.CHECKS["numpy"](content, model)) <= 1e-6
    compile(content, "predictor.py", "exec")


def test_a_loss_without_probabilities_gives_scores_and_labels():
    model = model_of("pixels", 8, 8, "L", "hinge")
    s, p = exporting.CHECKS["numpy"](predictor.predictor(model), model)
    assert p is None
    assert compared(model, s, p) == 0


def odd_files(folder: Path) -> list[Path]:
    """Pictures of many kinds: sizes, modes, an EXIF turn, transparency, a palette, 16 bits, a large JPEG."""
    rng = np.random.default_rng(5)
    folder.mkdir()
    base = np.rint(255 * rng.uniform(size=(9, 11, 3))).astype(np.uint8)
    big = Image.fromarray(base).resize((640, 480), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    big.save(folder / "turned.jpg", exif=exif)
    big.resize((50, 37)).save(folder / "small.webp", lossless=True)
    big.convert("P").resize((41, 60)).save(folder / "palette.gif")
    Image.fromarray(np.dstack([base, np.arange(99).reshape(9, 11, 1).astype(np.uint8) * 2])).save(folder / "clear.png")
    Image.fromarray(rng.integers(0, 65536, (20, 31), dtype=np.uint16)).save(folder / "deep.png")
    big.convert("L").save(folder / "grey.jpg")
    big.convert("CMYK").save(folder / "cmyk.jpg")
    big.convert("1").save(folder / "bits.bmp")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_python_file_alone_reads_pictures_as_predict_does(fit, tmp_path):
    """In a process that has no linearhead and no current folder on its path."""
    folder = tmp_path / "run"
    folder.mkdir()
    run_folder.write(folder, model_of("hog+color", 24, 30, "RGB", fit=fit), fake_run.digits_run())
    file, pictures = export(folder, to="numpy").path, odd_files(tmp_path / "pictures")
    code = (
        "import sys, runpy; made = runpy.run_path(sys.argv[1]); import json\n"
        "print(json.dumps([made['predict'](p) for p in sys.argv[2:]]))\n"
        "assert not {'linearhead', 'scipy', 'sklearn', 'safetensors'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, file, *pictures], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    expected = predict(folder, pictures)
    for (label, chances), own in zip(json.loads(done.stdout), expected, strict=True):
        assert label == own.label
        assert abs(chances[label] - own.confidence) < 1e-5
    line = subprocess.run([sys.executable, file, pictures[0]], capture_output=True, text=True, check=True).stdout
    assert line.split("\t")[0] == expected[0].label
    words = [sys.executable, file, "nowhere.png", file, pictures[0]]  # the others are answered all the same
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, line)
    assert [error.split(":")[0] for error in done.stderr.splitlines()] == ["nowhere.png", str(file)]
    assert subprocess.run([sys.executable, file], capture_output=True).returncode == 1
    odd = tmp_path / "a\nö.png"
    odd.write_bytes(pictures[0].read_bytes())
    for encoding in ("ascii", "utf-8"):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, file, odd], capture_output=True, text=True, env=environment)
        assert done.stdout.split("\t")[1:] == [line.split("\t")[1], rf"{tmp_path}/a\n\xf6.png" + "\n"], done.stderr


def test_the_python_file_is_readable_and_holds_no_code_but_ours(run):
    text = export(run, to="numpy", force=True).path.read_text(encoding="utf-8")
    code = text.split('ENCODED = """')[0]
    assert code.count("\n") < 600
    assert "«" not in code.replace("\\u00ab", "")
    assert "pickle=False" in text
    assert not {"import pickle", "exec(", "eval("} & {
        word for word in ("import pickle", "exec(", "eval(") if word in code
    }


def test_no_room_to_check_the_file_is_told_with_its_place(monkeypatch, run, tmp_path):
    def full(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"Could not write .*predictor\.py: .*space"):
        export(run, to="numpy", out=tmp_path / "kept.py")
    assert not (tmp_path / "kept.py").exists()


def test_every_extractor_that_needs_nothing_can_leave():
    assert {kind for kind in FEATURES.values() if kind.ready} == set(predictor.ROOTS)
    with pytest.raises(UsageError, match=r"linearhead predict and linearhead serve run the model itself"):
        predictor.parts_of(FEATURES["timm"]())
    with pytest.raises(UsageError, match="feature rows"):
        predictor.parts_of(None)


def test_gathering_takes_what_is_named_and_no_more():
    imports, text = source.gathered(["features.hog:Hog._rows"])
    made: dict = {}
    exec(compile("from __future__ import annotations\n" + "\n".join(imports) + "\n" + text, "x", "exec"), made)  # ours
    assert "def _histogram" in text
    assert "def fit" not in text
    assert "def transform" not in text
    pictures = made_pictures((16, 16, 3))
    own = make("hog").fit(pictures)
    assert np.array_equal(made["Hog"](cell=own.cell)._rows(pictures), own.transform(pictures, 1))
    with pytest.raises(ValueError, match="one name"):
        source.gathered(["features.backbone:FITS", "images.preprocessing:FITS"])


# ---- ONNX ----


@pytest.mark.parametrize("shape", SHAPES, ids=["colour", "grey"])
@pytest.mark.parametrize("spec", SPECS + JOINED)
def test_the_onnx_graph_has_the_models_numbers(spec, shape):
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    model = model_of(spec, *shape, loss="logistic" if "color" in spec else "cross_entropy")
    content = FORMS["onnx"].make(model, None)
    assert compared(model, *exporting.CHECKS["onnx"](content, model)) <= (2e-3 if "uint8" in spec else 1e-5)


@pytest.mark.parametrize("spec", ["patches(filters=9,dtype=uint8)", "color+patches(filters=9,dtype=uint8)"])
def test_one_number_of_a_byte_may_fall_either_way_and_no_more(spec):
    model = model_of(spec, 24, 30, "RGB")
    own = model.scores(model.features(made_pictures(model.preprocessing.shape)))
    last = model.extractor.scales[-1] if "+" in spec else 1
    step = last * np.abs(model.coef[:, -162:]).max()  # 9 filters, two signs, 3×3 places
    assert step > 2e-3
    compared(model, own + np.float32(step), None)
    exact = model_of(spec.replace("uint8", "float32"), 24, 30, "RGB")
    for shifted, off in ((model, 2e-3 * np.abs(own).max() + 2 * step), (exact, step)):
        own = shifted.scores(shifted.features(made_pictures(model.preprocessing.shape)))
        with pytest.raises(DataError, match="does not answer"):
            compared(shifted, own + np.float32(off), None)


def test_the_onnx_graph_says_what_it_is():
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    model = model_of("pixels", 8, 8, "L", "hinge")
    graph = onnx.load_from_string(FORMS["onnx"].make(model, None))
    facts = {p.key: p.value for p in graph.metadata_props}
    assert json.loads(facts["classes"]) == model.classes
    assert Preprocessing.from_dict(json.loads(facts["preprocessing"])) == model.preprocessing
    assert [o.name for o in graph.graph.output] == ["scores", "label"]
    names = [node.name for node in graph.graph.node]
    assert all(names)  # older ONNX Runtimes refuse graphs of nodes without
    assert len(set(names)) == len(names)


def test_weights_of_64_bits_stay(monkeypatch):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    model = model_of("hog", 24, 30, "RGB")
    model.coef, model.intercept = model.coef.astype(np.float64), model.intercept.astype(np.float64)
    for form in ("onnx", "numpy"):
        assert compared(model, *exporting.CHECKS[form](FORMS[form].make(model, None), model)) <= 1e-6


# ---- the page ----


class Page:
    """The exported page of a model, with everything that it must not do noted."""

    def __init__(self, browser, model: Model, folder: Path, width: int = 1000):
        file = folder / "page.html"
        file.write_bytes(FORMS["html"].make(model, None))
        self.context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
        self.page = self.context.new_page()
        self.noise: list[str] = []
        self.page.on("console", lambda message: self.noise.append(message.text))
        self.page.on("pageerror", lambda error: self.noise.append(str(error)))
        self.page.on("request", lambda r: None if r.url.startswith(("file:", "blob:")) else self.noise.append(r.url))
        self.page.goto(file.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def answers(self, files: list[bytes]) -> list[dict]:
        """What the page's functions say of PNG files: pixels, scores, probabilities, label."""
        script = """async (files) => { const out = []; for (const text of files) {
          const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          const file = new File([bytes], "a.png", {type: "image/png"});
          const seen = looked(await decoded(file), MODEL.looks), s = scores(features(seen));
          out.push({seen: [...seen], s, p: probabilities(s), label: (await classify(file)).label}); } return out; }"""
        return self.page.evaluate(script, [base64.b64encode(file).decode() for file in files])


def assert_same(model: Model, files: list[bytes], answers: list[dict]) -> None:
    seen = np.stack([decode(file, model.preprocessing)[0] for file in files])
    assert np.array_equal([a["seen"] for a in answers], seen.reshape(len(seen), -1))
    s = model.scores(model.features(seen))
    assert [a["label"] for a in answers] == [model.classes[j] for j in s.argmax(axis=1)]
    p = model.probabilities(s)
    mine, theirs = (s, [a["s"] for a in answers]) if p is None else (p, [a["p"] for a in answers])
    close = 1e-5 if model.extractor.row_type == np.float32 else 2e-3
    assert np.abs(np.array(theirs) - mine).max() < close * max(1, np.abs(mine).max())


def scanned(count: int) -> list[bytes]:
    """Real scanned digits, enlarged and cut to all kinds of sizes, in grey and tinted."""
    rng = np.random.default_rng(3)
    files = []
    for i, digit in enumerate(load_digits().images[:count]):
        image = Image.fromarray(np.rint(digit * 255 / 16).astype(np.uint8))
        width, height = (int(n) for n in rng.integers(5, 90, 2))
        grey = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float64)
        colour = grey[..., None] * rng.uniform(0.3, 1, 3) + rng.uniform(0, 20, (height, width, 3))
        pixels = np.rint(np.minimum(colour, 255)).astype(np.uint8)
        files.append(picture_file(pixels if i % 3 else np.rint(grey).astype(np.uint8)[..., None]))
    return files


def test_200_pictures_get_the_same_labels_in_the_browser(browser, tmp_path):
    files = scanned(200)
    model = model_of("hog+color+patches(filters=16,mirror=1)", 32, 28, "RGB")
    with Page(browser, model, tmp_path) as page:
        answers = page.answers(files)
        assert len(answers) == 200
        assert_same(model, files, answers)
        assert page.noise == []


@pytest.mark.parametrize("spec", [*SPECS, JOINED[1]])
def test_every_extractor_in_the_browser(browser, tmp_path, spec):
    files = scanned(12)
    for i, shape in enumerate(SHAPES):
        model = model_of(spec, *shape, loss=("cross_entropy", "logistic")[i])
        with Page(browser, model, tmp_path) as page:
            assert_same(model, files, page.answers(files))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("interpolation", ["box", "bilinear", "bicubic", "lanczos"])
def test_the_pages_resize_is_pillows_to_the_bit(browser, tmp_path, fit, interpolation):
    files = scanned(30)
    grey = {"mode": "L", "background": (9, 200, 77)} if interpolation == "bicubic" else {"mode": "RGB"}
    model = model_of("pixels", 19, 26, loss="hinge", fit=fit, interpolation=interpolation, **grey)
    with Page(browser, model, tmp_path) as page:
        assert_same(model, files, page.answers(files))


def test_the_pages_bins_of_gradients_are_those_of_the_table(browser, tmp_path):
    with Page(browser, model_of("hog", 24, 30, "RGB"), tmp_path) as page:
        script = """(o) => { let t = ""; for (let r = -255; r < 256; r++) for (let c = -255; c < 256; c++)
          t += String.fromCharCode(97 + orientation(r, c, o)); return t; }"""
        for orientations in (1, 4, 8, 9, 12, 18):
            text = page.page.evaluate(script, orientations)
            assert len(text) == SPAN**2
            assert np.array_equal(np.frombuffer(text.encode(), np.uint8) - 97, _bins(orientations))


def test_a_person_drops_a_picture_and_sees_its_label(browser, tmp_path):
    model = model_of("pixels", 24, 30, "RGB")
    file = scanned(1)[0]
    place = tmp_path / "a<b>.png"
    place.write_bytes(file)
    other = tmp_path / "no.png"
    other.write_bytes(b"nothing")
    s = model.scores(model.features(decode(file, model.preprocessing)[0][None]))
    for width in (1000, 390):
        with Page(browser, model, tmp_path, width) as page:
            page.page.set_input_files("#files", [str(place), str(other)])
            page.page.wait_for_selector("#results li:nth-child(2) .warn")
            cards = page.page.query_selector_all("#results > li")  # in the order in which they were chosen
            assert cards[0].query_selector(".label").inner_text() == model.classes[int(s.argmax())]
            assert len(cards[0].query_selector_all("meter")) == 5
            assert cards[0].query_selector(".name").inner_text() == "a<b>.png"
            assert "cannot decode" in cards[1].inner_text()
            assert [len(card.query_selector_all("img")) for card in cards] == [1, 0]  # no frame around nothing
            page.page.set_input_files("#files", [str(other)])
            page.page.wait_for_selector("#results li:nth-child(3)")
            assert page.page.inner_text("#results li:nth-child(2) .name") == "a<b>.png"  # the newest come first
            assert page.page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.page.evaluate("[0, 1e-6, 0.001, 0.5, 0.9996, 1].map(percent)") == [
                "0.0 %", "< 0.1 %", "0.1 %", "50.0 %", "99.9 %", "100.0 %"
            ]  # fmt: skip
            assert page.noise == []


def test_a_long_name_leaves_room_for_the_bars(browser, tmp_path):
    model = model_of("pixels", 24, 30, "RGB")
    model.classes[:] = [f"{name} {'of a kind that somebody described at length ' * 3}" for name in model.classes]
    with Page(browser, model, tmp_path, 390) as page:
        place = tmp_path / "a.png"
        place.write_bytes(scanned(1)[0])
        page.page.set_input_files("#files", [str(place)])
        page.page.wait_for_selector("#results meter")
        widths = page.page.evaluate("[...document.querySelectorAll('meter')].map((m) => m.clientWidth)")
        assert min(widths) >= 48
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_names_of_words_stay_whole_on_a_phone(browser, tmp_path):
    model = model_of("pixels", 24, 30, "RGB")
    model.classes[:] = [f"n0212304_tabby_cat_striped_{i}" for i in range(len(model.classes))]
    with Page(browser, model, tmp_path, 360) as page:
        place = tmp_path / "a.png"
        place.write_bytes(scanned(1)[0])
        page.page.set_input_files("#files", [str(place)])
        page.page.wait_for_selector("#results meter")
        assert page.page.inner_text(".bars dt") in model.classes
        heights = page.page.evaluate("[...document.querySelectorAll('.bars dt')].map((name) => name.clientHeight)")
        assert max(heights) < 30  # one line


def test_what_the_page_is_told_is_the_whole_model():
    model = model_of("hog+patches(filters=12)", 24, 30, "RGB")
    told = described(model)
    assert [e["name"] for e in told["extractors"]] == ["hog", "patches"]
    assert told["temperature"] == 0.7
    assert len(base64.b64decode(told["coef"])) == 4 * model.coef.size


# ---- the card, and the command ----


def test_the_card_is_one_that_the_hub_reads(run):
    hub = pytest.importorskip("huggingface_hub", reason="the extra onnx is not installed")
    record = run_folder.load_record(run)[1]
    made = hub.ModelCard(card.card(record).decode("utf-8"))
    assert made.data.pipeline_tag == "image-classification"
    assert made.data.library_name == "linearhead"
    result = made.data.eval_results[0]
    assert result.metric_type == "accuracy"
    assert result.metric_value == record.evaluations["test"].accuracy
    for name in record.data.classes:
        assert f"| {name} |" in made.text


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("judged", [False, True])
def test_a_card_says_what_the_record_says(given, judged):
    record = replace(fake_run.digits_run(), command="linearhead train `digits`\n--seed 0")
    if given:
        record.features = {"name": "given", "dimension": 7}
    if not judged:
        record.evaluations = {}
    one, data = "row" if given else "picture", record.data
    head, body = card.card(record).decode("utf-8").removeprefix("---\n").split("\n---\n\n")
    header = {key: json.loads(value) for key, value in (line.split(": ", 1) for line in head.splitlines())}
    kind = "tabular-classification" if given else "image-classification"
    assert header["pipeline_tag"] == kind
    assert header["tags"] == ["linear-probe", kind, "linearhead", "given" if given else "pixels"]
    assert ("model-index" in header) == judged
    title, *parts = body.split("\n## ")
    parts = {part.splitlines()[0]: part.strip().splitlines()[2:] for part in parts}
    assert list(parts) == ["How good", "What trained, what chose, what judged", "How it works",
                           "What to know before using it", "Use", "Made with"]  # fmt: skip
    assert f"classifier of {one}s into 10 classes" in title
    if judged:
        test = record.evaluations["test"]
        assert f"on {test.n} test {one}s; log loss {test.log_loss:.3f}" in parts["How good"][0]
        assert parts["How good"][2] == f"| class | {one}s | precision | recall |"
        assert [line.split(" | ")[:2] for line in parts["How good"][4:]] == [
            [f"| {score.label}", str(score.n)] for score in test.per_class
        ]
    else:
        assert parts["How good"] == [f"No {one} judged this model."]
    *roles, counted = parts["What trained, what chose, what judged"]
    assert roles == [f"- {text}" for text in data.roles.values()]
    assert counted == f"- {data.found} {one}s found = {data.used} used + {len(data.skipped)} skipped."
    features, _, proven = parts["How it works"]
    assert features.endswith("7 numbers a row." if given else "64 numbers of a picture of 8×8 grey pixels.")
    assert f"within {record.fit.certificate.gap:.2g} of the optimum" in proven
    assert len(parts["What to know before using it"]) == len(record.findings)
    assert parts["Use"] == ["```", f"linearhead predict . {'rows.npy' if given else 'photo.jpg'}", "```"]
    assert parts["Made with"] == ["```", "linearhead train  digits  --seed 0", "```"]


def test_a_card_lists_forty_classes_and_counts_the_rest():
    record = fake_run.digits_run()
    test = record.evaluations["test"]
    for n, rest in ((40, []), (43, ["| and 3 more | | | |"])):
        test.per_class = [replace(test.per_class[0], label=f"c{i}") for i in range(n)]
        rows = [line for line in card.card(record).decode("utf-8").splitlines() if line.startswith("| ")]
        assert [row.split(" | ")[0] for row in rows[1:41]] == [f"| c{i}" for i in range(40)]
        assert rows[41:] == rest


def test_a_card_escapes_what_people_wrote():
    record = fake_run.digits_run()
    record.data.classes = record.data.classes[:]
    record.evaluations["test"].per_class[0].label = "<script>|x\n# y"
    record.data.source = "/data/a: b\n---\nx: [y"
    text = card.card(record).decode("utf-8")
    assert "<script>" not in text
    assert "\n# y" not in text
    assert text.split("\n---\n")[0].count("\n") <= 6


def test_the_command_says_what_it_checked_and_keeps_what_is_there(run, tmp_path):
    words = ["export", str(run), "--to", "numpy", "--out", str(tmp_path / "p.py")]
    first = CliRunner().invoke(cli, [*words, "--json"])
    assert first.exit_code == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["checked"] == 48
    assert told["difference"] <= 1e-6
    assert Path(told["path"]).stat().st_size == told["bytes"]
    again = CliRunner().invoke(cli, words)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    forced = CliRunner().invoke(cli, [*words, "--force"])
    assert forced.exit_code == 0
    assert "Checked: 48 pictures" in forced.stdout
    assert callable(runpy.run_path(told["path"])["predict"])


@pytest.mark.parametrize("form", ["numpy", "onnx"])
def test_a_file_that_answers_otherwise_is_not_written(run, tmp_path, monkeypatch, form):
    """The check is seen to fail: the weights that are exported are not the model's."""
    if form == "onnx":
        pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    right = FORMS[form]

    def wrong(model, record):
        other = model_of("hog+color", 24, 30, "RGB")
        other.coef[2] += 1e-3 * np.abs(other.coef).max()
        return right.make(other, record)

    monkeypatch.setitem(FORMS, form, right._replace(make=wrong))
    with pytest.raises(DataError, match="does not answer as the model does"):
        export(run, to=form, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_card_needs_the_record(run, tmp_path):
    shutil.copy(run / "model.safetensors", tmp_path)
    assert CliRunner().invoke(cli, ["export", str(tmp_path), "--to", "card"]).exit_code == 4
    with pytest.raises(UsageError, match="one of numpy, onnx, html, card"):
        export(run, to="pickle")
