"""Models on networks' features as one ONNX graph, on small networks of every kind that are written here."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import linearhead
from linearhead.cli import cli
from linearhead.errors import DataError, FileError, UsageError
from linearhead.experiment import exporting
from linearhead.experiment.exporting import compared, made_pictures
from linearhead.export import FORMS, onnx_graph
from linearhead.features import make
from linearhead.features.timm import Timm
from linearhead.images import Preprocessing, decode
from linearhead.store import Model, load
from test_features_onnx import red_and_blue

pytest.importorskip("onnx.version_converter", reason="the extra onnx is not installed")
onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

PIXELS = {"input_size": [3, 12, 14], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "crop_pct": 0.75}
SHAPE = (16, 18, 3)  # what those words ask for: 12 and 14 over 0.75, rounded down
CONV = "c = Conv(x, w, b)"
FUNCTION = '<domain: "own", opset_import: ["": {opset}]> twice (a) => (z) {{ z = Add(a, a) }}'
BRANCHES = (
    "yes = Greater(top, b0) out = If(yes) <then_branch = t () => (float[] z) { z = Conv(x, w, b) }, "
    "else_branch = e () => (float[] z) { z = Identity(x) }>"
)
KINDS = {
    "map": f"{CONV} out = Relu(c)",
    "vectors": f"{CONV} r = Relu(c) p = GlobalMaxPool(r) out = Flatten(p)",
    "tokens": f"{CONV} r = Reshape(c, s) out = Transpose <perm = [0, 2, 1]> (r)",
    "our names": "label = Conv(x, w, b) constant_0 = Relu(label) pictures = Neg(constant_0) out = Exp(pictures)",
    "branches": BRANCHES,
    "a function": f"{CONV} out = own.twice(c)",
    "another domain": f"{CONV} out = com.microsoft.QuickGelu <alpha = 1.7> (c)",
    "an input left out": f"{CONV} out = Clip(c, , top)",
}


def written(path: Path, kind: str = "map", opset: int = 17, batch: str | int = "n", seed: int = 0, ir: int = 8) -> Path:
    """A network file with the config.json that says how it wants its pixels."""
    rng = np.random.default_rng(seed)
    domains = f'["": {opset}, "own": 1, "com.microsoft": 1]'
    graph = f"net (float[{batch}, 3, 12, 14] x) => (float[] out) {{ {KINDS[kind]} }}"
    functions = FUNCTION.format(opset=opset) if kind == "a function" else ""
    model = onnx.parser.parse_model(f"<ir_version: {ir}, opset_import: {domains}> {graph} {functions}")
    weights = {
        "w": rng.normal(0, 0.3, (5, 3, 4, 4)).astype(np.float32),
        "b": rng.normal(0, 0.1, 5).astype(np.float32),
        "s": np.array([0, 5, 99]),
        "top": np.float32(0.4),
        "b0": np.float32(0.1),
    }
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items())
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, path)
    path.with_name("config.json").write_text(json.dumps(PIXELS))
    return path


def model_on(spec: str, loss: str = "cross_entropy") -> Model:
    rng = np.random.default_rng(1)
    extractor = make(spec).fit(made_pictures(SHAPE))
    X = extractor.transform(made_pictures(SHAPE))
    # scores of some tens: of hundreds the last bits of 32 are seen in the probabilities
    W = (rng.normal(size=(4, X.shape[1])) / (4 * X.std(axis=0) + 0.2 * X.std())).astype(np.float32)
    looks = Preprocessing(*SHAPE[:2], **{k: v for k, v in make(spec).looks().items() if k not in ("height", "width")})
    return Model([*"abcd"], W, (-X @ W.T).mean(axis=0), looks, extractor, loss, {"trust": {"temperature": 0.7}})


def exported(model: Model) -> bytes:
    """The graph, which answers as the model does."""
    content = FORMS["onnx"].make(model, None)
    assert compared(model, *exporting.CHECKS["onnx"](content, model)) <= 1e-5
    return content


@pytest.mark.parametrize("kind", KINDS)
def test_networks_of_every_kind_go_along(tmp_path, kind):
    graph = onnx.load_from_string(exported(model_on(str(written(tmp_path / "a.onnx", kind))))).graph
    names = [name for node in graph.node for name in node.output] + [w.name for w in graph.initializer]
    assert len(names) == len(set(names))
    assert [value.name for value in graph.input] == ["pictures"]
    weights = {w.name for w in graph.initializer}
    assert ("network0_s" in weights, "network0_b0" in weights) == (kind == "tokens", kind == "branches")


@pytest.mark.parametrize("opset", [9, 11, 12, 13, 17, 18, 21])
def test_the_rest_is_written_in_the_networks_opset(tmp_path, opset):
    path = written(tmp_path / "a.onnx", opset=opset)
    content = exported(model_on(f"{path}+hog+color+patches(filters=12)", loss="logistic"))
    versions = {o.domain: o.version for o in onnx.load_from_string(content).opset_import}
    assert versions[""] == max(opset, 11)


def test_two_networks_of_different_opsets_share_the_newer_one(tmp_path):
    one, two = (written(tmp_path / f"{v}" / "a.onnx", opset=v, seed=v) for v in (13, 18))
    content = exported(model_on(f"{one}+{two}+{one}(output=c)".replace("(output=c)", "(batch=3)")))
    assert {o.domain: o.version for o in onnx.load_from_string(content).opset_import}[""] == 18


def test_a_fixed_number_of_pictures_stays_fixed(tmp_path):
    content = exported(model_on(f"{written(tmp_path / 'a.onnx', batch=5)}+color"))  # 48 pictures are no multiple of 5
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [5, *SHAPE]
    assert [o.shape[0] for o in session.get_outputs()] == [5, 5, 5]
    other = written(tmp_path / "b" / "b.onnx", batch=4)
    with pytest.raises(UsageError, match="4 pictures at a time, another network 5"):
        FORMS["onnx"].make(model_on(f"{tmp_path / 'a.onnx'}+{other}"), None)


def test_weights_beside_the_file_come_into_it(tmp_path):
    path = written(tmp_path / "a.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="a.data", size_threshold=0)
    assert (tmp_path / "a.data").is_file()
    content = exported(model_on(str(path)))  # run from memory, where no file lies beside it
    assert not any(w.external_data for w in onnx.load_from_string(content).graph.initializer)


def test_what_the_wanted_output_does_not_need_is_left_out(tmp_path):
    path = written(tmp_path / "a.onnx", "vectors")
    whole = onnx.load(path)
    whole.graph.output.append(onnx.helper.make_tensor_value_info("r", 1, None))
    onnx.save(whole, path)
    kinds = [node.op_type for node in onnx.load_from_string(exported(model_on(f"{path}(output=r)"))).graph.node]
    assert "Relu" in kinds
    assert "GlobalMaxPool" not in kinds


def test_what_cannot_go_along_is_refused_with_what_can_be_done(tmp_path, monkeypatch):
    model = model_on(f"{written(tmp_path / 'a.onnx')}+hog")
    for form in ("numpy", "html"):
        with pytest.raises(UsageError, match=r"linearhead export --to onnx makes one graph"):
            FORMS[form].make(model, None)
        with pytest.raises(UsageError, match=r"torch\.onnx\.export.*--features FILE\.onnx.*--to onnx"):
            FORMS[form].make(replace(model, extractor=Timm(source="resnet18")), None)
    with pytest.raises(UsageError, match=r"timm:resnet18.*torch\.onnx\.export"):
        FORMS["onnx"].make(replace(model, extractor=Timm(source="resnet18")), None)
    monkeypatch.setattr(onnx_graph, "LARGEST", 1000)
    with pytest.raises(UsageError, match=r"one ONNX file holds 2.*linearhead serve"):
        FORMS["onnx"].make(model, None)


def test_an_opset_that_cannot_be_reached_is_refused(tmp_path, monkeypatch):
    old, new = written(tmp_path / "a.onnx", opset=13), written(tmp_path / "b" / "b.onnx", opset=18)
    model = model_on(f"{old}+{new}")

    def convert_version(*_):
        raise RuntimeError("No Adapter From Version $13 for Conv")

    monkeypatch.setattr("onnx.version_converter.convert_version", convert_version)
    with pytest.raises(UsageError, match=r"a\.onnx in opset 18: No Adapter.*opset_version=18"):
        FORMS["onnx"].make(model, None)


def test_a_graph_that_conversion_spoilt_is_not_written(tmp_path, monkeypatch):
    old, new = written(tmp_path / "a.onnx", opset=13), written(tmp_path / "b" / "b.onnx", opset=18)
    model, right = model_on(f"{old}+{new}"), onnx.version_converter.convert_version

    def convert_version(*words):
        made = right(*words)
        next(node for node in made.graph.node if node.op_type == "Relu").op_type = "Softplus"
        return made

    monkeypatch.setattr("onnx.version_converter.convert_version", convert_version)
    with pytest.raises(DataError, match=r"does not answer as the model does.*Nothing was written"):
        exported(model)


def test_from_train_to_a_graph_that_answers_as_predict_does(tmp_path):
    path = written(tmp_path / "nets" / "a.onnx")
    red_and_blue(tmp_path / "data")
    outcome = linearhead.train(tmp_path / "data", out=tmp_path / "run", features=f"{path}+color", alpha=0.01)
    done = CliRunner().invoke(cli, ["export", str(outcome.folder), "--to", "onnx", "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["checked"] == 48
    assert told["difference"] <= 1e-5
    model, files = load(outcome.folder / "model.safetensors"), sorted((tmp_path / "data").rglob("*.png"))[::5]
    facts = {p.key: p.value for p in onnx.load(told["path"]).metadata_props}
    looks = Preprocessing.from_dict(json.loads(facts["preprocessing"]))
    assert json.loads(facts["classes"]) == model.classes
    assert facts["features"] == "a.onnx+color"  # not where it lay
    assert str(tmp_path) not in Path(told["path"]).read_bytes().decode("latin-1")
    session = runtime.InferenceSession(told["path"], providers=["CPUExecutionProvider"])
    p, _, label = session.run(None, {"pictures": np.stack([decode(file, looks)[0] for file in files])})
    own = linearhead.predict(outcome.folder, files)
    assert [model.classes[j] for j in label] == [answer.label for answer in own]
    np.testing.assert_allclose(p.max(axis=1), [answer.confidence for answer in own], atol=1e-5)
    assert facts["pictures"] == session.get_modelmeta().custom_metadata_map["pictures"]


def test_the_words_about_pictures_are_enough_to_make_them(tmp_path):
    """Followed by hand, with Pillow alone."""
    model = model_on(str(written(tmp_path / "a.onnx")))
    words = {p.key: p.value for p in onnx.load_from_string(exported(model)).metadata_props}["pictures"]
    assert "uint8 (n, 16, 18, 3), red, green, blue, 0 to 255" in words
    assert "the largest centred part of that shape, brought to that size, by Pillow's resize, bicubic" in words
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 90, 3), dtype=np.uint8))
    width = 64 * 18 / 16  # of the largest centred part
    box = ((90 - width) / 2, 0, (90 + width) / 2, 64)
    file = io.BytesIO()
    image.save(file, "PNG")
    by_hand = np.asarray(image.resize((18, 16), Image.Resampling.BICUBIC, box=box))
    assert np.array_equal(decode(file.getvalue(), model.preprocessing)[0], by_hand)


def test_a_network_that_has_changed_is_refused(tmp_path):
    model = model_on(str(written(tmp_path / "a.onnx")))
    written(tmp_path / "a.onnx", seed=3)
    linearhead.features.onnx.find.cache_clear()
    with pytest.raises(FileError, match="another file"):
        FORMS["onnx"].make(model, None)
    linearhead.features.onnx.find.cache_clear()
