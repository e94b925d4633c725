"""Parquet files with pictures inside, as Hugging Face writes them."""

import io
import json
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from PIL import Image

import linearhead
from linearhead.data import open_dataset, parquet
from linearhead.errors import DataError, FileError, UsageError
from linearhead.experiment import plan

pytest.importorskip("pyarrow", reason="needs the extra parquet (pyarrow)")
pa: Any = import_module("pyarrow")
pq: Any = import_module("pyarrow.parquet")


def png(value):
    file = io.BytesIO()
    noise = np.random.default_rng(value).integers(0, 60, (12, 12, 3))
    Image.fromarray(np.uint8(noise + 150 * (value % 2))).save(file, "PNG")
    return file.getvalue()


def write(path, values, named=True, **more):
    labels = [v % 2 for v in values]
    columns = {"image": [{"bytes": png(v), "path": None} for v in values], "label": labels} | more
    table = pa.table(columns)
    if named:
        about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    pq.write_table(table, path, row_group_size=7)


def test_splits_names_and_pictures(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", range(20))
    write(tmp_path / "train-00001-of-00002.parquet", range(20, 40))
    write(tmp_path / "test-00000-of-00001.parquet", range(40, 60))
    data = open_dataset(tmp_path)
    assert data.reader == "parquet"
    assert data.classes == ("cat", "dog")
    assert dict(zip(*np.unique(data.splits, return_counts=True), strict=True)) == {"train": 40, "test": 20}
    first = [int(name.startswith("train-00001")) for name in data.names]
    assert data.read(first.index(1) + 15) == png(35)
    outcome = linearhead.train(tmp_path, out=tmp_path / "run", features="color", alpha=0.1)
    assert outcome.run.evaluations["test"].accuracy == 1.0
    assert outcome.run.evaluations["test"].n == 20


def test_groups_numbers_and_rows_without_label(tmp_path):
    write(tmp_path / "a.parquet", range(6), named=False, group=["a", "a", None, "b", "b", "b"])
    data = open_dataset(tmp_path / "a.parquet")
    assert data.classes == ("0", "1")
    assert data.groups is not None
    assert len(set(data.groups.tolist())) == 3
    table = pa.table({"image": [png(0), png(1), b"no", png(2)], "label": ["x", "y", None, " "]})  # plain bytes
    pq.write_table(table, tmp_path / "b.parquet")
    data = open_dataset(tmp_path / "b.parquet")
    assert (len(data), data.found, data.classes) == (2, 4, ("x", "y"))
    assert data.read(1) == png(1)


def test_the_four_row_groups_asked_for_last_stay_in_memory(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", range(42))  # six groups of seven
    data, asked, group = open_dataset(tmp_path / "a.parquet"), [], parquet._group
    monkeypatch.setattr(
        parquet, "_group", lambda file, place, g, columns: asked.append(g) or group(file, place, g, columns)
    )
    for which, fetched in ((0, True), (1, True), (2, True), (3, True), (0, False), (4, True), (0, False), (1, True)):
        asked.clear()
        assert data.read(7 * which + 2) == png(7 * which + 2)
        assert asked == [which] * fetched


@pytest.mark.parametrize(
    "labels",
    [
        [0.0, 1.0, None, 0.0, 1.0, 0.0],  # as pandas writes whole numbers of which one is missing
        ["cat", "dog", None, "cat", "dog", "cat"],
        [b"cat", b"dog", None, b"cat", b"dog", b"cat"],
        [0, 1, 7, 0, 1, 0],
    ],
)
def test_labels_of_every_kind_beside_the_names_of_classes(tmp_path, labels):
    write(tmp_path / "a.parquet", range(6), label=labels)
    data = open_dataset(tmp_path / "a.parquet")
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 1, 0, 1, 0]
    assert [s.path for s in data.skipped] == ["a.parquet[0][2]"]


@pytest.mark.parametrize("labels", [[[0], [1]], [{"a": 0}, {"a": 1}], [float("nan")] * 2])
def test_what_is_no_single_label_is_none(tmp_path, labels):
    write(tmp_path / "a.parquet", range(2), named=False, label=labels)
    with pytest.raises(DataError, match=r"no picture but 2 that cannot be used .* no label"):
        open_dataset(tmp_path / "a.parquet")


def test_a_row_without_a_picture_concerns_itself_alone(tmp_path):
    pictures = [{"bytes": None if v in (3, 12) else png(v), "path": f"{v}.png" if v == 3 else None} for v in range(20)]
    write(tmp_path / "a.parquet", range(20), image=pictures)
    options = {"features": "color", "alpha": 0.1, "max_bad": 0.2}
    outcome = linearhead.train(tmp_path / "a.parquet", out=tmp_path / "run", **options)
    assert (outcome.run.data.found, outcome.run.data.used) == (20, 18)
    assert sorted(s.reason for s in outcome.run.data.skipped) == [
        "cannot be read (the row holds no picture)",
        "cannot be read (the row holds no picture, only '3.png')",
    ]
    assert plan(tmp_path / "a.parquet", features="color", speed=1.0).pictures == 20


def test_places_lead_to_pictures_beside_the_file(tmp_path):
    (tmp_path / "x").mkdir()
    for v in range(4):
        (tmp_path / "x" / f"{v}.png").write_bytes(png(v))
    names = [f"x/{v}.png" for v in range(4)]
    pq.write_table(pa.table({"file_name": names, "label": ["a", "b"] * 2}), tmp_path / "a.parquet")
    data = open_dataset(tmp_path / "a.parquet")
    assert [data.read(v) for v in range(4)] == [tmp_path / name for name in names]
    write(tmp_path / "b.parquet", range(4), file_name=["elsewhere.png"] * 4)  # bytes go before names
    assert open_dataset(tmp_path / "b.parquet").read(3) == png(3)


def test_a_damaged_row_group_is_told_with_its_file(tmp_path):
    write(tmp_path / "a.parquet", range(20), label=[0, 1] * 10)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    about = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(2)
    start = about.dictionary_page_offset or about.data_page_offset
    data[start : start + about.total_compressed_size] = b"\xff" * about.total_compressed_size
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(FileError, match=r"a\.parquet cannot be read as Parquet: .* Fetch it again"):
        open_dataset(tmp_path / "a.parquet")


def test_what_is_wrong_is_said(tmp_path, monkeypatch):
    pq.write_table(pa.table({"photo": [b""], "label": [0]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match="lacks one of these: path"):
        open_dataset(tmp_path / "c.parquet")
    (tmp_path / "d.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(FileError, match="Parquet"):
        open_dataset(tmp_path / "d.parquet")

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(parquet, "import_module", missing)
    with pytest.raises(UsageError, match=r"linearhead\[parquet\]"):
        open_dataset(tmp_path / "c.parquet")
