"""Networks as extractors, on small ones that are built here: the path that loads a real one is what runs."""

import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import linearhead
from linearhead.data import Dataset
from linearhead.errors import DataError, FileError, UsageError
from linearhead.experiment import Recipe
from linearhead.experiment.extract import choose_pictures
from linearhead.features import Joined, from_contract, make, onnx

onnx_format = pytest.importorskip("onnx", reason="the networks are built with the onnx package")
pytest.importorskip("onnxruntime", reason="ONNX Runtime runs the networks: pip install 'linearhead[onnx]'")
PIXELS = {"input_size": [3, 12, 12], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "crop_pct": 0.75}


def network(path, batch="n", kernel=4, outputs=5, seed=0):
    """conv → relu as "map", its mean over places → linear as "logits"; the first output is the map."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    weights = {
        "w": rng.normal(0, 0.3, (outputs, 3, kernel, kernel)).astype(np.float32),
        "b": rng.normal(0, 0.1, outputs).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["c"]),
            helper.make_node("Relu", ["c"], ["map"]),
            helper.make_node("GlobalMaxPool", ["map"], ["tops"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 12, 12])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("map", "tops")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return weights


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "model.onnx"
    weights = network(path)
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": PIXELS, "architecture": "small"}))
    return path, weights


def by_hand(pictures, weights):
    """The mean over places of relu(conv) of the normalised centre, in float64."""
    side, want = pictures.shape[1], 12
    top = round((side - want) / 2)
    x = pictures[:, top : top + want, top : top + want] / 255.0
    x = (x - np.array(PIXELS["mean"])) / np.array(PIXELS["std"])
    kernel = weights["w"].shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    maps = np.einsum("nijcuv,ocuv->noij", windows, weights["w"].astype(np.float64)) + weights["b"][:, None, None]
    return np.maximum(maps, 0).mean(axis=(2, 3))


def noise(n, side=16):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_a_file_gives_the_features_of_its_definition_whatever_the_batch(net):
    path, weights = net
    extractor = make(str(path)).fit(noise(1))
    rows = extractor.transform(noise(37))
    np.testing.assert_allclose(rows, by_hand(noise(37), weights), atol=1e-5)
    for batch in (1, 5, 64):
        np.testing.assert_allclose(make(f"{path}(batch={batch})").fit(noise(1)).transform(noise(37)), rows, atol=1e-5)
    np.testing.assert_array_equal(extractor.transform(noise(37)[3:4]), rows[3:4])
    assert extractor.dimension(16, 16, 3) == 5
    tops = make(f"{path}(output=tops)").fit(noise(1)).transform(noise(3))  # (n, c, 1, 1)
    assert (tops >= rows[:3]).all()


def test_a_network_with_a_fixed_batch_is_fed_it(tmp_path):
    weights = network(tmp_path / "fixed.onnx", batch=3)
    (tmp_path / "config.json").write_text(json.dumps(PIXELS))
    rows = make(str(tmp_path / "fixed.onnx")).fit(noise(1)).transform(noise(7))
    np.testing.assert_allclose(rows, by_hand(noise(7), weights), atol=1e-5)


def test_pictures_are_prepared_as_timm_and_pillow_prepare_them(net, tmp_path):
    """Shorter side to 12 / 0.75 = 16, bicubic and antialiased, the middle cut out: by Pillow."""
    path, weights = net
    y, x = np.mgrid[0:90, 0:120]
    large = np.stack([128 + 100 * np.sin(x / 9), 128 + 90 * np.cos(y / 7), (x + y) % 255], axis=2).astype(np.uint8)
    large = np.asarray(Image.fromarray(large).resize((96, 48)))
    data = Dataset("s", "numpy", ["a"], np.zeros(1, int), ("a",), np.array([""]), lambda i: large)
    looks = choose_pictures(data, np.arange(1), Recipe(features=str(path)))
    assert (looks.height, looks.width, looks.fit, looks.interpolation, looks.draft) == (
        16,
        16,
        "crop",
        "bicubic",
        False,
    )
    from linearhead.images import decode

    seen, _ = decode(large, looks)
    whole = Image.fromarray(large).resize((32, 16), Image.Resampling.BICUBIC)
    witness = np.asarray(whole.crop((10, 2, 22, 14)))
    ours = make(str(path)).prepared(seen[None])[0].transpose(1, 2, 0) * PIXELS["std"] + PIXELS["mean"]
    assert np.abs(ours * 255 - witness).max() < 1e-3
    np.testing.assert_allclose(
        by_hand(seen[None], weights), make(str(path)).fit(seen[None]).transform(seen[None]), atol=1e-5
    )


def red_and_blue(folder):
    """Twenty noisy pictures of each of two colours."""
    rng = np.random.default_rng(0)
    for label, colour in (("red", 0), ("blue", 2)):
        (folder / label).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 90, (20, 24, 3), dtype=np.uint8)
            pixels[:, :, colour] += 120
            Image.fromarray(pixels).save(folder / label / f"{i}.png")


def test_train_and_predict_run_through_the_file_and_miss_it_clearly(net, tmp_path):
    path, _ = net
    red_and_blue(tmp_path / "data")
    outcome = linearhead.train(tmp_path / "data", out=tmp_path / "run", features=str(path), alpha=0.01)
    assert outcome.run.evaluations["test"].accuracy == 1
    contract = outcome.run.features["contract"]
    assert contract["found"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert contract["found"]["pixels"]["interpolation"] == "bicubic"
    picture = tmp_path / "data" / "red" / "0.png"
    assert linearhead.predict(outcome.folder, [picture])[0].label == "red"
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    path.rename(moved)
    code = f"import linearhead; print(linearhead.predict({str(outcome.folder)!r}, [{str(picture)!r}])[0].label)"
    lost = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "is not there" in lost.stderr
    assert "LINEARHEAD_BACKBONES" in lost.stderr
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=moved.parent)
    assert found.stdout.strip() == "red", found.stderr


def test_contracts_survive_and_another_file_is_refused(net, tmp_path, monkeypatch):
    path, _ = net
    extractor = make(f"{path}(output=tops)+color").fit(noise(3))
    assert isinstance(extractor, Joined)
    contract = json.loads(json.dumps(extractor.contract()))
    again = from_contract(contract, extractor.tensors())
    np.testing.assert_array_equal(again.transform(noise(4)), extractor.transform(noise(4)))
    onnx.find.cache_clear()
    network(path, seed=1)
    with pytest.raises(FileError, match="another file"):
        from_contract(contract, extractor.tensors()).transform(noise(1))
    away = tmp_path / "nets"
    away.mkdir()
    network(away / path.name)
    monkeypatch.setenv("LINEARHEAD_BACKBONES", f"/nowhere:{away}")
    np.testing.assert_array_equal(from_contract(contract, {}).transform(noise(4)), extractor.transform(noise(4)))
    onnx.find.cache_clear()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "lacks input_size, mean, std"),
        ("{", "is no JSON"),
        ("[1]", "lacks input_size"),
        (json.dumps(PIXELS | {"interpolation": "random"}), "interpolation = 'random'"),
        (json.dumps(PIXELS | {"mean": [0.5]}), "mean = "),
        (json.dumps(PIXELS | {"crop_pct": 3}), "crop_pct = 3"),
        (json.dumps(PIXELS | {"input_size": [224, 224]}), "input_size = "),
    ],
)
def test_preprocessing_that_is_missing_or_has_no_meaning_is_refused(net, config, words):
    path, _ = net
    path.with_name("config.json").unlink()
    if config is not None:
        path.with_name("config.json").write_text(config)
    with pytest.raises((UsageError, FileError), match=words):
        make(str(path))


def test_wrong_files_outputs_and_sizes_are_refused(net, tmp_path):
    path, _ = net
    with pytest.raises(FileError, match="no file"):
        make("missing.onnx")
    with pytest.raises(UsageError, match="it has map, tops"):
        make(f"{path}(output=logits)").fit(noise(1))
    with pytest.raises(UsageError, match="no option"):
        make(f"{path}(sha256=1)")
    with pytest.raises(DataError, match="needs pictures of 16×16 colour"):
        make(str(path)).fit(noise(1, 17))
    path.write_bytes(b"no network")
    with pytest.raises(FileError, match="no ONNX file"):
        make(str(path)).fit(noise(1))
    with pytest.raises(UsageError, match=r"PATH\.onnx and timm:NAME"):
        make("resnet")


def test_weights_in_a_file_beside_it_are_part_of_the_network(net, tmp_path):
    path, _ = net
    onnx_format.save(onnx_format.load(path), path, save_as_external_data=True, location="b.data", size_threshold=0)
    extractor = make(str(path)).fit(noise(3))
    contract = extractor.contract()
    np.testing.assert_array_equal(from_contract(contract, {}).transform(noise(2)), extractor.transform(noise(2)))
    assert contract["found"]["sha256"] != hashlib.sha256(path.read_bytes()).hexdigest()
    data = tmp_path / "b.data"
    data.write_bytes(data.read_bytes()[:-1] + b"\0")
    onnx.find.cache_clear()
    with pytest.raises(FileError, match="another file"):
        from_contract(contract, {}).transform(noise(1))
    onnx.find.cache_clear()


def test_networks_that_do_not_run_on_pictures_say_what_they_take(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(PIXELS))
    texts = {
        "two": "(float[n,3,12,12] x, float[n] more) => (float[n,3,12,12] y) { y = Identity(x) }",
        "half": "(float16[n,3,12,12] x) => (float16[n,3,12,12] y) { y = Identity(x) }",
        "other": "(float[n,3,9,9] x) => (float[n,3,9,9] y) { y = Identity(x) }",
        "unsaid": "(float[] x) => (float[] y) { y = Identity(x) }",
    }
    for name, text in texts.items():
        model = onnx_format.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {text}')
        onnx_format.save(model, tmp_path / f"{name}.onnx")
    for name, said in (("two", "more"), ("half", r"x: tensor\(float16\)"), ("other", r"'n', 3, 9, 9")):
        with pytest.raises(DataError, match=rf"{name}.onnx does not run on pictures.*{said}"):
            make(str(tmp_path / f"{name}.onnx")).fit(noise(1))
    assert make(str(tmp_path / "unsaid.onnx")).fit(noise(1)).transform(noise(2)).shape == (2, 3)


HUB = "hf:some-one/a.net@" + "0" * 40 + "/onnx/model.onnx#"


@pytest.mark.parametrize("source", ["hf:a/b@main/m.onnx#" + "0" * 64, HUB + "12", HUB[:-1], "hf:a/b/m.onnx"])
def test_networks_of_the_hub_have_to_be_pinned(source):
    with pytest.raises(UsageError, match="does not pin"):
        make(source)


def test_a_network_in_the_hubs_cache_needs_no_network(net, tmp_path, monkeypatch):
    """The layout of the hub's cache, made by hand; its real client reads it with HF_HUB_OFFLINE."""
    path, weights = net
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    snapshot = tmp_path / "hub" / "models--some-one--a.net" / "snapshots" / ("0" * 40)
    (snapshot / "onnx").mkdir(parents=True)
    (snapshot / "onnx" / "model.onnx").write_bytes(path.read_bytes())
    (snapshot / "config.json").write_text(json.dumps(PIXELS))
    code = (
        "import numpy as np; from linearhead.features import make, from_contract\n"
        f"pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)\n"
        f"e = make('{HUB}{digest}').fit(pictures)\n"
        "print(from_contract(e.contract(), {}).transform(pictures).tolist())\n"
        f"make('{HUB}{'0' * 64}')\n"
    )
    env = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    np.testing.assert_allclose(json.loads(got.stdout), by_hand(noise(3), weights), atol=1e-5)
    assert "It is not the file that was pinned" in got.stderr
    none = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=env | {"HF_HUB_CACHE": str(tmp_path / "empty")},
    )
    assert "could not be had" in none.stderr
    assert "hf download some-one/a.net onnx/model.onnx" in none.stderr


def test_timm_runs_where_torch_is(tmp_path):
    if not (find_spec("torch") and find_spec("timm")):
        with pytest.raises(UsageError, match=r"linearhead\[torch\]"):
            make("timm:resnet18")
        pytest.skip("PyTorch and timm are not installed: pip install 'linearhead[torch]'")
    extractor = make("timm:resnet10t(pretrained=0,batch=2)")
    looks = extractor.looks()
    pictures = noise(3, looks["height"])
    rows = extractor.fit(pictures).transform(pictures)
    assert rows.shape == (3, 512)
    np.testing.assert_allclose(from_contract(extractor.contract(), {}).transform(pictures), rows, rtol=1e-4)


def test_nothing_heavy_is_imported_for_a_specification():
    code = "import sys, linearhead.features; print([m for m in ('onnxruntime', 'torch', 'timm') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    assert Path(onnx.__file__).name == "onnx.py"
