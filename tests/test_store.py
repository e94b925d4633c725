"""Model files: exact round trips, every flipped bit and hostile header refused, nothing run or written by a load."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from linearhead import __version__, container
from linearhead.errors import DataError, FileError, UsageError
from linearhead.features import FEATURES, Extractor, make
from linearhead.images import Preprocessing, decode
from linearhead.losses import LOSSES
from linearhead.store import Model, load, save

NAMES = [
    "cat",
    "<script>alert('dog')</script>",
    "naïve café",
    "ネコ",
    "🐈‍⬛",
    'a "quoted\\" name',
    "line\nbreak",
    "caf\udce9",
]


def model_of(k: int = 3, d: int = 4, dtype: Any = np.float64, **parts: Any) -> Model:
    rng = np.random.default_rng(k * 1000 + d)
    parts = {"loss": "cross_entropy", "preprocessing": None, "extractor": None, **parts}
    classes = (NAMES + [f"class {j}" for j in range(k)])[:k]
    return Model(classes, rng.normal(size=(k, d)).astype(dtype), rng.normal(size=k).astype(dtype), **parts)


def picture_model(spec: str = "pixels+color", height: int = 8, width: int = 6, mode: str = "RGB", k: int = 2) -> Model:
    preprocessing = Preprocessing(height, width, mode, background=(1, 2, 3))
    extractor = make(spec).fit(np.zeros((2, *preprocessing.shape), np.uint8))
    d = extractor.dimension(*preprocessing.shape)
    return model_of(k, d, np.float32, preprocessing=preprocessing, extractor=extractor)


def refused(path: Path, data: bytes | None = None) -> str:
    """The sentence with which a file is refused; fails if it is not."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(FileError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith((str(path), "Could not read"))
    assert text.endswith(".")
    assert text.isprintable()  # a hostile file cannot speak to the terminal
    return text


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def forged(text: str | None, outer: str | None = None, payload: bytes | None = None, good: bytes = b"") -> bytes:
    """A file with a header of our own making and correct digests: what an attacker, not bit rot, would send."""
    table, body = parts_of(good)[1:]
    payload = body if payload is None else payload
    if outer is None:
        assert text is not None
        rest = "".join(f",{json.dumps(name)}:{json.dumps(entry)}" for name, entry in table.items())
        outer = f'{{"__metadata__":{{"linearhead":{json.dumps(text)}}}{rest}}}'
    return sealed(outer.encode(), payload)


def sealed(header: bytes, payload: bytes) -> bytes:
    zeros = b"0" * 64
    mark = b'payload_sha256\\":\\"'
    at = header.find(mark)
    if at >= 0:
        at += len(mark)
        header = header[:at] + hashlib.sha256(payload).hexdigest().encode() + header[at + 64 :]
    begin = len(container._START)
    header = header[:begin] + zeros + header[begin + 64 :]
    full = len(header).to_bytes(8, "little") + header
    digest = hashlib.sha256(full).hexdigest().encode()
    return full[: 8 + begin] + digest + full[8 + begin + 64 :] + payload


def parts_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """(info, table, payload) of a good file, by an independent reading."""
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    return json.loads(table.pop("__metadata__")["linearhead"]), table, data[8 + length :]


@pytest.fixture(scope="module")
def good_pictures(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("pictures") / "model.safetensors"
    save(picture_model(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    facts = {"alpha": 1e-4, "n": 12, "note": "ok", "nested": {"list": [1, 2.5, None, True]}}
    save(model_of(facts=facts, mean=np.arange(4.0), scale=np.ones(4)), path)
    return path.read_bytes()


# ---- round trips ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("k", "d"), [(1, 1), (2, 3), (8, 65), (300, 7)])
@pytest.mark.parametrize("standardised", [False, True])
def test_round_trip_is_bit_equal(dtype, k, d, standardised, tmp_path):
    extra = {"mean": np.linspace(-1, 1, d), "scale": np.full(d, 0.1, np.float32)} if standardised else {}
    model = model_of(k, d, dtype, facts={"a": [1, {"b": None}], "µ": "\u2028"}, **extra)
    model.coef[0, 0] = np.finfo(dtype).smallest_subnormal
    model.coef[-1, -1] = -0.0
    save(model, tmp_path / "m")
    back = load(tmp_path / "m")
    for field in dataclasses.fields(Model):
        ours, theirs = getattr(model, field.name), getattr(back, field.name)
        if isinstance(ours, np.ndarray):
            assert theirs.dtype == ours.dtype
            assert theirs.shape == ours.shape
            assert theirs.tobytes() == ours.tobytes()
            assert theirs.flags.writeable
            assert theirs.flags.aligned
        else:
            assert theirs == ours
    save(back, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


def test_any_memory_layout_gives_the_same_bytes(tmp_path, good):
    model = model_of()
    save(model, tmp_path / "a")
    model.coef = np.asfortranarray(model.coef).astype(">f8")[:, :]
    model.facts = {}
    save(model, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_numbers_in_the_facts_become_plain(tmp_path):
    facts = {"accuracy": np.float32(0.5), "n": np.int64(7), "alphas": (1.0, np.inf), 3: "three"}
    save(model_of(facts=facts), tmp_path / "m")
    assert load(tmp_path / "m").facts == {"accuracy": 0.5, "n": 7, "alphas": [1.0, None], "3": "three"}


SAVE = """
import sys, numpy as np
from linearhead.store import Model, save
facts = {{"set": sorted({{"a", "b", "c"}}), "n": 1}}
save(Model(["a", "b"], np.eye(2), np.zeros(2), None, None, "cross_entropy", facts), {path!r})
"""


def test_equal_models_give_equal_bytes_in_every_process(tmp_path):
    digests = set()
    for seed in ("0", "1", "2"):
        path = tmp_path / seed
        subprocess.run(
            [sys.executable, "-c", SAVE.format(path=str(path))], env={**os.environ, "PYTHONHASHSEED": seed}, check=True
        )
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_tensors_begin_and_lie_at_multiples_of_eight(tmp_path):
    for n in range(8):
        save(model_of(2, 1, np.float32, facts={"x": "y" * n}, mean=np.zeros(1), scale=np.ones(1)), tmp_path / "m")
        data = (tmp_path / "m").read_bytes()
        assert int.from_bytes(data[:8], "little") % 8 == 0
        assert list(parts_of(data)[1]) == ["mean", "scale", "coef", "intercept"]  # the widest first


def test_names_that_no_reader_would_take_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "HEADER_LIMIT", 2000)
    with pytest.raises(DataError, match=r"class names and facts take 3\d\d\d bytes; at most 2000 fit"):
        save(model_of(facts={"text": "x" * 3000}), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_it_is_a_safetensors_file_for_everybody_else(tmp_path):
    model = model_of(8, 5, np.float32, mean=np.arange(5.0), scale=np.ones(5))
    save(model, tmp_path / "m")
    tensors = safetensors.numpy.load_file(tmp_path / "m")
    assert set(tensors) == {"coef", "intercept", "mean", "scale"}
    for name, array in tensors.items():
        np.testing.assert_array_equal(array, getattr(model, name), strict=True)
    with safetensors.safe_open(tmp_path / "m", framework="np") as file:
        text = json.loads(file.metadata()["linearhead"])
    assert text["classes"] == model.classes
    assert (text["format"], text["version"], text["loss"]) == (2, __version__, "cross_entropy")


@pytest.mark.parametrize("spec", ["pixels", "color", "hog", "hog(cell=4)+color", "pixels+hog+color(grid=1)"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_same_pictures_give_the_same_bits_after_a_round_trip(spec, mode, tmp_path):
    model = picture_model(spec, 32, 24, mode, k=3)
    pictures = np.random.default_rng(0).integers(0, 256, (5, *model.preprocessing.shape), dtype=np.uint8)
    save(model, tmp_path / "m")
    back = load(tmp_path / "m")
    assert back.preprocessing == model.preprocessing
    assert back.features(pictures).tobytes() == model.features(pictures).tobytes()
    assert back.predict(back.features(pictures)).tolist() == model.predict(model.features(pictures)).tolist()
    assert len(set(back.predict(back.features(pictures)).tolist())) >= 1


def test_a_real_photo_gives_the_same_scores_after_a_round_trip(shared_data, tmp_path):
    photo = next((shared_data / "sign-digits").rglob("*.[jJ][pP][gG]"))
    model = picture_model("hog+color", 64, 64)
    pixels, _ = decode(photo, model.preprocessing)
    assert np.ptp(pixels) > 50
    save(model, tmp_path / "m")
    back = load(tmp_path / "m")
    again, _ = decode(photo, back.preprocessing)
    expected = model.scores(model.features(pixels[None]))
    assert back.scores(back.features(again[None])).tobytes() == expected.tobytes()


@dataclasses.dataclass(frozen=True)
class Learned(Extractor):
    """An extractor that carries arrays: the mean picture, in each type that a model file holds."""

    name = "learned"
    arrays: Any = dataclasses.field(default=(), kw_only=True)

    def dimension(self, height: int, width: int, channels: int) -> int:
        return height * width * channels

    def contract(self) -> dict[str, Any]:
        return {"name": self.name, "types": [array.dtype.str for array in self.arrays]}

    def tensors(self) -> dict[str, np.ndarray]:
        return {f"array {i}": array for i, array in enumerate(self.arrays)}

    @classmethod
    def restore(cls, contract: dict[str, Any], tensors: dict[str, np.ndarray]) -> Learned:
        assert len(tensors) == len(contract["types"])
        return cls(arrays=tuple(tensors[f"array {i}"] for i in range(len(tensors))))


def test_what_an_extractor_learned_travels_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setitem(FEATURES, "learned", Learned)
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=shape).astype(t) for t, shape in [("f8", (3,)), ("f4", (2, 5)), ("f2", (1, 2, 3)), ("f4", ())]
    ]
    arrays += [rng.integers(0, 256, 7, dtype=np.uint8), np.array([np.nan, np.inf, -0.0])]
    model = picture_model("pixels")
    model.extractor = Learned(arrays=tuple(arrays))
    save(model, tmp_path / "m")
    back = load(tmp_path / "m").extractor
    assert isinstance(back, Learned)
    for ours, theirs in zip(arrays, back.arrays, strict=True):
        assert (theirs.dtype, theirs.shape, theirs.tobytes()) == (ours.dtype, ours.shape, ours.tobytes())
    for bad in (np.arange(3), np.zeros(3, complex), np.array(["x"]), np.array([None]), np.zeros((0, 3))):
        model.extractor = Learned(arrays=(bad,))
        with pytest.raises(DataError, match="a model file holds float64, float32, float16, uint8"):
            save(model, tmp_path / "m")
    monkeypatch.delitem(FEATURES, "learned")
    assert "features named 'learned', which this version does not have" in refused(tmp_path / "m")


# ---- damage ----


def test_every_single_flipped_bit_is_refused(tmp_path, good):
    path = tmp_path / "m"
    path.write_bytes(good)
    assert load(path).classes == NAMES[:3]
    bits = len(good) * 8
    assert bits >= 2000
    loaded = []
    with open(path, "r+b", buffering=0) as file:
        for bit in range(bits):
            place, flipped = bit // 8, good[bit // 8] ^ (1 << bit % 8)
            os.pwrite(file.fileno(), bytes([flipped]), place)
            try:
                load(path)
                loaded.append(bit)
            except FileError:
                pass
            os.pwrite(file.fileno(), good[place : place + 1], place)
    assert loaded == []
    assert load(path).classes == NAMES[:3]


def test_every_truncation_is_refused_with_a_word_for_it(tmp_path, good):
    path = tmp_path / "m"
    path.write_bytes(good)
    for length in reversed(range(len(good))):
        os.truncate(path, length)
        text = refused(path)
        assert ("cut off" if length else "is empty") in text, (length, text)


def test_bytes_added_or_inserted_are_refused(tmp_path, good):
    length = 8 + int.from_bytes(good[:8], "little")
    for at in range(0, len(good) + 1, 7):
        for more in (b"\0", b" ", good[:8]):
            text = refused(tmp_path / "m", good[:at] + more + good[at:])
            assert at < length or "too long" in text


def test_two_halves_of_different_models_are_refused(tmp_path, good):
    save(model_of(facts={"alpha": 1.0}), tmp_path / "other")
    other = (tmp_path / "other").read_bytes()
    assert len(parts_of(other)[2]) < len(parts_of(good)[2])
    save(dataclasses.replace(model_of(), mean=np.arange(4.0) + 1, scale=np.ones(4)), tmp_path / "other")
    payload = parts_of((tmp_path / "other").read_bytes())[2]
    assert len(payload) == len(parts_of(good)[2])
    assert "do not match their SHA-256" in refused(tmp_path / "m", good[: -len(payload)] + payload)


# ---- what is no model ----


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return data.getvalue()


def _npy() -> bytes:
    data = io.BytesIO()
    np.save(data, np.eye(3))
    return data.getvalue()


FOREIGN = {
    "PNG picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "JPEG picture": b"\xff\xd8\xff\xe0" + bytes(100),
    "GIF picture": b"GIF89a" + bytes(100),
    "WebP picture": b"RIFF\x10\0\0\0WEBPVP8 " + bytes(100),
    "HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "NumPy array": _npy(),
    "zip archive": _zip(),
    "gzip archive": b"\x1f\x8b\x08" + bytes(100),
    "PDF": b"%PDF-1.7 " + bytes(100),
    "a program": b"\x7fELF" + bytes(100),
    "web page": b"<!DOCTYPE html><html></html>" + bytes(60),
    "JSON text": json.dumps({"classes": ["a", "b"]}).encode() + b" " * 100,
    "safetensors file of another program": safetensors.numpy.save({"coef": np.eye(2)}, {"format": "np"}),
    "some other file": b"hello, this is a text of no particular kind, long enough to be looked at",
} | {f"Python pickle, which can run code (protocol {n})": pickle.dumps({"a": list(range(99))}, n) for n in (2, 3, 4, 5)}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_called_by_its_name(kind, tmp_path):
    text = refused(tmp_path / "m", FOREIGN[kind])
    assert kind.split(" (")[0] in text
    assert "not a model of linearhead" in text


def test_other_things_than_files(tmp_path, good):
    assert "is empty" in refused(tmp_path / "empty", b"")
    assert "is cut off, or no model file: it has 5 bytes" in refused(tmp_path / "short", b"hello")
    (tmp_path / "run").mkdir()
    assert f"is a folder, not a model file. Name the file in it: {tmp_path}/run/model.safetensors" in refused(
        tmp_path / "run"
    )
    os.mkfifo(tmp_path / "pipe")
    assert "a device or a pipe" in refused(tmp_path / "pipe")
    assert "a device or a pipe" in refused(Path("/dev/zero"))
    assert "no such file" in refused(tmp_path / "missing")
    (tmp_path / "loop").symlink_to("loop")
    assert "round in a circle" in refused(tmp_path / "loop")
    (tmp_path / "file").write_bytes(good)
    (tmp_path / "link").symlink_to("file")
    assert load(str(tmp_path / "link")).loss == "cross_entropy"


def test_a_newer_format_is_told_from_damage(tmp_path, good):
    info = parts_of(good)[0] | {"format": 3, "version": "9.9", "something": "new"}
    text = refused(tmp_path / "m", forged(json.dumps(info, separators=(",", ":")), good=good))
    assert "model format 3 by linearhead '9.9', newer than format 2" in text
    assert text.endswith("Upgrade linearhead.")


# ---- hostile headers, their digests correct ----

DEEP = 100_000
VALUES: list[Any] = [None, True, False, 0, -1, 1.5, "", "x", [], {}, [[]], [None], {"a": 1}, 10**30, [1, "2"], "0" * 64]


def _hostile_texts(info: dict[str, Any]) -> dict[str, str]:
    """Changes of the inner JSON text."""

    def text(**changes: Any) -> str:
        return json.dumps({**info, **changes}, separators=(",", ":"))

    plain = text()
    cases = {f"{key} = {v!r}": text(**{key: v}) for key in info for v in VALUES if not _harmless(key, v)}
    for key in info:
        if key != "header_sha256":  # without it, the file does not begin like a model
            cases[f"no {key}"] = json.dumps({k: v for k, v in info.items() if k != key}, separators=(",", ":"))
        cases[f"{key} twice"] = plain[:-1] + f',"{key}":{json.dumps(info[key])}}}'
    classes = info["classes"]
    for name, value in {
        "one too many": [*classes, "x"],
        "one too few": classes[:-1],
        "twice the same": [classes[0], *classes[:-1]],
        "number": [*classes[:-1], 3],
        "empty": [*classes[:-1], ""],
        "null": [*classes[:-1], None],
        "list": [*classes[:-1], ["a"]],
    }.items():
        cases[f"classes: {name}"] = text(classes=value)
    for number in (
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "9" * 5000,
        "9" * 200,
        "0x10",
        "01",
        "+1",
        ".5",
        "1_000",
    ):
        cases[f"facts hold {number[:20]}"] = plain[:-1].replace('"alpha":0.0001', f'"alpha":{number}') + "}"
    for name, value in {
        "lists": "[" * DEEP + "]" * DEEP,
        "objects": '{"a":' * DEEP + "1" + "}" * DEEP,
        "open lists": "[" * DEEP,
        "65 lists": "[" * 65 + "]" * 65,
    }.items():
        cases[f"deep {name}"] = plain.replace('"alpha":0.0001', f'"alpha":{value}')
    for junk in ("", " ", ",", "}", "]", "\x00", "// comment", "{}", "null", "\ufeff", "é", '"'):
        cases[f"{junk!r} at the end"] = plain + junk if junk.strip() else plain[:-1]
    cases["escapes in a name"] = text(preprocessing={"height": 8, "width": 8, "\x1b[31m\r\n": 1})
    cases["extra entry"] = text(code="import os")
    cases["trailing comma"] = plain[:-1] + ",}"
    cases["single quotes"] = plain.replace('"classes"', "'classes'")
    cases["control character"] = plain.replace('"note":"ok"', '"note":"o\x01k"')
    cases["nested twice"] = plain.replace('"n":12', '"n":12,"n":13')
    for value in (
        {"name": "os.system"},
        {"name": ["pixels"]},
        {"name": "pixels", "options": {"__class__": "x"}},
        {"py/object": "os.system"},
    ):
        cases[f"extractor {value}"] = text(extractor=value, preprocessing={"height": 8, "width": 8})
        cases[f"extractor without preprocessing {value}"] = text(extractor=value)
    for value in (
        {"height": -1, "width": 8},
        {"height": 1e9, "width": 1e9},
        {"height": "8"},
        {"height": 8, "width": 8, "mode": "X"},
    ):
        cases[f"preprocessing {value}"] = text(preprocessing=value)
    return {name: case for name, case in cases.items() if case != plain}


def _harmless(key: str, value: Any) -> bool:
    """Values that are right, or that nothing depends on."""
    return (
        key in ("header_sha256", "payload_sha256", "version")  # replaced when sealed; only shown
        or (key == "facts" and isinstance(value, dict))
        or (key in ("preprocessing", "extractor") and value is None)
    )


def _hostile_tables(table: dict[str, Any], size: int) -> dict[str, dict[str, Any]]:
    """Changes of the table of tensors."""
    cases: dict[str, dict[str, Any]] = {}

    def change(name: str, **changes: Any) -> dict[str, Any]:
        return {**table, name: {**table[name], **changes}}

    for dtype in ["F16", "F32", "I64", "BF16", "BOOL", "U8", "C64", "f8", "<f8", "O", "object", "", None, 8, [], {}]:
        cases[f"dtype {dtype!r}"] = change("coef", dtype=dtype)
    for shape in [[], [0, 4], [3], [4, 3], [12], [-3, -4], [3.0, 4.0], ["3", "4"], [True, 12], [1 << 62, 4], [3, 4, 1]]:
        cases[f"shape {shape}"] = change("coef", shape=shape)
    for shape in [None, 12, "34", {}, [None, 4], [[3, 4]], [1] * 99 + [3, 4], [1 << 32, 1 << 32], [10**400], [6, 2]]:
        cases[f"shape {str(shape)[:40]}"] = change("coef", shape=shape)
    for offsets in [[], [0], [0, 96, 96], [0, 95], [0, 97], [1, 97], [96, 0], [-96, 0], [0, 1 << 60], [0, size]]:
        cases[f"offsets {offsets}"] = change("coef", data_offsets=offsets)
    for offsets in [
        None,
        "0,96",
        {},
        [None, 96],
        [0.0, 96.0],
        ["0", "96"],
        [True, 96],
        [0, -1],
        [8, 104],
        [10**400, 1],
    ]:
        cases[f"offsets {str(offsets)[:40]}"] = change("coef", data_offsets=offsets)
    for name in table:
        if name in ("coef", "intercept"):
            cases[f"no {name}"] = {key: entry for key, entry in table.items() if key != name}
        cases[f"{name} over coef"] = (
            change(name, data_offsets=[0, 24]) if name != "coef" else change(name, data_offsets=[96, 192])
        )
        cases[f"{name} with extra"] = change(name, code="x")
        cases[f"{name} is a list"] = {**table, name: [1, 2]}
        cases[f"{name} is null"] = {**table, name: None}
        cases[f"{name} renamed"] = {("x" if key == name else key): entry for key, entry in table.items()}
    end = {"dtype": "U8", "shape": [1], "data_offsets": [size, size + 1]}
    cases["a tensor beyond the end"] = {**table, "extractor.x": end}
    cases["a tensor of nothing"] = {**table, "extractor.x": {"dtype": "U8", "shape": [0], "data_offsets": [size, size]}}
    cases["no tensors"] = {}
    cases["reversed"] = dict(reversed(table.items()))
    return cases


def test_hostile_headers_are_refused(tmp_path, good):
    info, table, payload = parts_of(good)
    files = {name: forged(text, good=good) for name, text in _hostile_texts(info).items()}
    text = json.dumps(info, separators=(",", ":"))
    outers = {
        name: json.dumps({"__metadata__": {"linearhead": text}, **changed}, separators=(",", ":"))
        for name, changed in _hostile_tables(table, len(payload)).items()
    }
    plain = json.dumps({"__metadata__": {"linearhead": text}, **table}, separators=(",", ":"))
    outers |= {
        "another entry": json.dumps({"__metadata__": {"linearhead": text, "x": "y"}, **table}, separators=(",", ":")),
        "a tensor twice": plain[:-1] + f',"coef":{json.dumps(table["coef"])}}}',
        "metadata twice": plain[:-1] + ',"__metadata__":{}}',
        "not closed": plain[:-1],
        "NUL at the end": plain + "\0",
        "raw UTF-8": plain.replace('\\"ok\\"', '\\"é\\"'),
        "surrogate tensor": plain.replace('"coef"', '"\\ud800"'),
        "long tensor name": plain.replace('"coef"', f'"{"c" * 100_000}"'),
        "a tower outside": plain[:-1] + ',"x":' + "[" * DEEP + "]" * DEEP + "}",
    }
    files |= {name: forged(None, outer, good=good) for name, outer in outers.items()}
    for name, number in {"NaN": np.nan, "inf": np.inf, "-inf": -np.inf}.items():
        for at in range(0, len(payload), 8):  # in coef, intercept, mean and scale
            broken = payload[:at] + np.float64(number).tobytes() + payload[at + 8 :]
            files[f"{name} at {at}"] = forged(text, good=good, payload=broken)
    files["payload cut"] = forged(text, good=good, payload=payload[:-8])
    files["payload longer"] = forged(text, good=good, payload=payload + bytes(8))
    extra = {**table, "extractor.w": {"dtype": "U8", "shape": [8], "data_offsets": [len(payload), len(payload) + 8]}}
    outer = compact({"__metadata__": {"linearhead": text}, **extra})
    files["tensors without extractor"] = forged(None, outer, good=good, payload=payload + bytes(8))

    shifted = {"extractor.x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    for name, entry in table.items():
        shifted[name] = {**entry, "data_offsets": [offset + 1 for offset in entry["data_offsets"]]}
    outer = compact({"__metadata__": {"linearhead": text}, **shifted})
    files["numbers at odd places"] = forged(None, outer, good=good, payload=b"x" + payload)

    (tmp_path / "m").write_bytes(forged(text, good=good))
    assert load(tmp_path / "m").classes == info["classes"]  # so the forgery itself is sound
    assert len(files) >= 200
    for name, data in files.items():
        message = refused(tmp_path / "m", data)
        assert "match" not in message, (name, message)  # refused for what it says
        assert len(message) < 1000, (name, message)
        assert name != "numbers at odd places" or "tensor 'coef' should lie at [1, 97]" in message


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all entries within nested dicts and lists, the containers included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [leaf for key, item in inner for leaf in _leaves(item, (*path, key))]


def test_hostile_contracts_are_refused_or_mean_something(tmp_path, good_pictures):
    """Every entry of the two contracts replaced by every kind of value, removed, or given a stranger beside it."""
    info = parts_of(good_pictures)[0]
    outcomes = {"refused": 0, "loaded": 0}
    huge = [10**9, 10**18, -(10**9), 1e30, "a" * 10_000, [[1] * 50] * 50]
    for room in ("preprocessing", "extractor"):
        for leaf in _leaves(info[room]):
            for value in [*VALUES, *huge, ...]:
                changed = json.loads(json.dumps(info))
                place = changed[room]
                for key in leaf[:-1]:
                    place = place[key]
                if value is ...:
                    del place[leaf[-1]]
                else:
                    place[leaf[-1]] = value
                (tmp_path / "m").write_bytes(forged(json.dumps(changed, separators=(",", ":")), good=good_pictures))
                try:
                    model = load(tmp_path / "m")
                except FileError:
                    outcomes["refused"] += 1
                else:
                    outcomes["loaded"] += 1
                    assert model.features(np.zeros((1, 8, 6, 3), np.uint8)).shape == (1, model.dimension)
    assert outcomes["refused"] >= 300
    assert 0 < outcomes["loaded"] < 200  # such as another background


def test_a_header_that_claims_to_be_huge_costs_nothing(tmp_path, good):
    for length in (1 << 24, (1 << 24) + 1, 1 << 40, 1 << 62, (1 << 64) - 1, 0, 1, 60):
        assert "claims to be" in refused(tmp_path / "m", length.to_bytes(8, "little") + good[8:]) or length == 1 << 24


AUDIT = """
import json, os, random, sys
sys.path.insert(0, {tests!r})
from test_store import sealed
from linearhead.errors import FileError
from linearhead.store import load

path, good = {path!r}, open({path!r}, "rb").read()
load(path)  # what a load imports for the first time is not the mutation's doing
header = int.from_bytes(good[:8], "little")
events, watching = set(), [False]

def hook(event, args):
    if watching[0]:
        if event == "open":
            event = "open the model for reading" if args == (mutant, "r", READ) else f"open{{args}}"
        events.add(event)

random.seed(1)
mutant, READ = path + ".mutant", os.O_RDONLY | os.O_CLOEXEC
sys.addaudithook(hook)
loaded = refused = 0
alphabet = bytes(range(256)) + b'{{}}[]",:0123456789eE.-+\\\\' * 8
for trial in range({trials}):
    head, payload = bytearray(good[8:8 + header]), bytearray(good[8 + header:])
    for _ in range(random.choice((1, 1, 2, 5))):
        part = head if random.random() < 0.8 else payload
        at, kind = random.randrange(len(part)), random.randrange(4)
        if kind == 0: part[at] = random.choice(alphabet)
        elif kind == 1: del part[at : at + random.randrange(1, 9)]
        elif kind == 2: part[at:at] = bytes(random.choices(alphabet, k=random.randrange(1, 9)))
        else: part[at : at + 8] = part[random.randrange(len(part)) :][:8]
    data = bytes(head) + bytes(payload)
    data = sealed(bytes(head), bytes(payload)) if trial % 4 else good[:8] + data
    with open(mutant, "wb") as file:
        file.write(data)
    watching[0] = True
    try:
        load(mutant)
        loaded += 1
    except FileError:
        refused += 1
    watching[0] = False
print(json.dumps([loaded, refused, sorted(events)]))
"""


def _run(script: str) -> Any:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["good", "good_pictures"])
def test_loading_mutated_files_runs_imports_and_writes_nothing(kind, tmp_path, request):
    (tmp_path / "m").write_bytes(request.getfixturevalue(kind))
    script = AUDIT.format(tests=str(Path(__file__).parent), path=str(tmp_path / "m"), trials=2500)
    loaded, refusals, events = _run(script)
    assert loaded + refusals == 2500
    assert loaded > 0  # a changed letter in a class name, correctly sealed, is a model
    assert refusals > 1000
    assert events == ["open the model for reading"]


# ---- a failed save ----


def test_a_failed_save_keeps_the_old_model(tmp_path, good, monkeypatch):
    (tmp_path / "m").write_bytes(good)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="no space left on the device"):
        save(model_of(), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


BROKEN = {
    "list of texts": {"classes": ["a", 3, "c"]},
    "none empty": {"classes": ["a", "", "c"]},
    "'a' stands there 2 times": {"classes": ["a", "b", "a"]},
    r"shape \(2, 4\)": {"classes": ["a", "b"]},
    "loss 'foo' is not known here; known are cross_entropy": {"loss": "foo"},
    "facts must be a dict": {"facts": [1]},
    "coef must be a float32 or float64 array; found float16": {"coef": np.zeros((3, 4), np.float16)},
    "coef must be a float32 or float64 array; found list": {"coef": [[0.0] * 4] * 3},
    "coef must have the shape": {"coef": np.zeros((3, 0))},
    "coef has 2 values": {"coef": np.array([[np.nan, np.inf, 0, 0]] + [[0.0] * 4] * 2)},
    "intercept must have the shape": {"intercept": np.zeros((3, 1))},
    "mean and scale belong together": {"mean": np.zeros(4)},
    "scale has 4 values": {"mean": np.zeros(4), "scale": np.full(4, np.inf)},
    "not plain JSON": {"facts": {"f": print}},
    "nested more than 64 deep": {"facts": {"deep": json.loads("[" * 70 + "]" * 70)}},
    "preprocessing and extractor belong together": {"extractor": make("pixels")},
    r"pictures are \(8, 8, 3\), but the extractor is for \(8, 6, 3\)": {
        "extractor": make("pixels").fit(np.zeros((1, 8, 6, 3), np.uint8)),
        "preprocessing": Preprocessing(8, 8),
    },
    "extractor makes 192 features, but coef has 4": {"extractor": make("pixels"), "preprocessing": Preprocessing(8, 8)},
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_model_that_does_not_fit_itself_is_not_saved(words, tmp_path):
    with pytest.raises(DataError, match=words):
        save(dataclasses.replace(model_of(), **BROKEN[words]), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# ---- the model at work ----


def test_scores_and_predictions_by_hand():
    coef, intercept = np.array([[1.0, 2.0], [0.0, -1.0], [1.0, 2.0]]), np.array([0.5, 0.0, 0.5])
    model = Model(["a", "b", "c"], coef, intercept, None, None, "cross_entropy")
    np.testing.assert_array_equal(model.scores([[1, 1], [0, -2]]), [[3.5, -1, 3.5], [-3.5, 2, -3.5]])
    assert model.predict(np.array([[1, 1], [0, -2]], np.int8)).tolist() == ["a", "b"]  # the first of equals
    assert model.scores(np.zeros((0, 2))).shape == (0, 3)
    p = model.probabilities(model.scores([[1, 1]]))
    assert p is not None
    np.testing.assert_allclose(
        p, [[1 / (2 + np.exp(-4.5)), 1 / (1 + 2 * np.exp(4.5)), 1 / (2 + np.exp(-4.5))]], rtol=1e-14
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_where_the_loss_has_them(loss):
    s = np.random.default_rng(0).normal(size=(50, 3)) * 10
    p = dataclasses.replace(model_of(), loss=loss).probabilities(s)
    assert (p is None) == (not LOSSES[loss].proper)
    if p is not None:
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_array_equal(p.argmax(axis=1), s.argmax(axis=1))


def test_sparse_features_give_the_same_scores():
    import scipy.sparse

    model, X = model_of(), np.random.default_rng(0).normal(size=(20, 4)) * (np.arange(4) % 2)
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csc_array):
        np.testing.assert_allclose(model.scores(kind(X)), model.scores(X), atol=1e-15)
    X[7, 2] = np.nan
    with pytest.raises(DataError, match=r"Row 7 .* feature 2 is nan"):
        model.scores(scipy.sparse.csc_matrix(X))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_a_number_without_finite_scores_is_named(value):
    X = np.zeros((9, 4))
    X[5, 3] = value
    with pytest.raises(DataError, match=r"Row 5 has no finite scores: its feature 3 is (nan|-?inf|1e\+308)"):
        dataclasses.replace(model_of(), coef=np.full((3, 4), 1e9)).scores(X)


@pytest.mark.parametrize(
    "X", [np.zeros(4), np.zeros((2, 5)), np.zeros((2, 4), complex), np.full((2, 4), "a"), [[None] * 4]]
)
def test_features_of_another_kind_are_refused(X):
    with pytest.raises(DataError, match=r"needs features as real \(n, 4\); found"):
        model_of().scores(X)


def test_a_model_of_rows_has_no_pictures():
    with pytest.raises(UsageError, match="trained on feature rows"):
        model_of().features(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("shape", [(8, 6, 3), (1, 6, 8, 3), (1, 8, 6, 1), (1, 8, 6), (1, 8, 6, 3)])
def test_pictures_of_another_kind_are_refused(shape):
    dtype = np.float32 if shape == (1, 8, 6, 3) else np.uint8
    with pytest.raises(DataError, match=r"needs pictures as uint8 \(n, 8, 6, 3\); found (uint8|float32) \("):
        picture_model().features(np.zeros(shape, dtype))
