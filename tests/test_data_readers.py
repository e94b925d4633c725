"""Manifests, CIFAR, NumPy files and WebDataset: the form as it is published, and the ways in which it breaks."""

import csv
import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linearhead.data import detect, open_dataset, split
from linearhead.data.numpy_files import inputs
from linearhead.errors import DataError, FileError
from linearhead.experiment.extract import Sources
from linearhead.images import Preprocessing, decode, decode_many

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray = PIXELS, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def classes_of(dataset) -> list[str]:
    return [dataset.classes[label] for label in dataset.labels]


# ---------------------------------------------------------------- manifests


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("column", ["file_name", "path", "image", "filepath", "filename", "Image_Path"])
@pytest.mark.parametrize("label", ["label", "class", "target", "CATEGORY"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_the_usual_columns(tmp_path, column, label, delimiter):
    lines = [("extra", column, label), ("1", "a/1.png", "cat"), ("2", "b.png", "dog")]
    path = write(tmp_path / "list.csv", "\n".join(delimiter.join(line) for line in lines))
    (tmp_path / "a").mkdir()
    for name in ("a/1.png", "b.png"):
        (tmp_path / name).write_bytes(encoded())
    dataset = open_dataset(path)
    assert (dataset.reader, dataset.names, classes_of(dataset)) == ("manifest", ["a/1.png", "b.png"], ["cat", "dog"])
    assert dataset.groups is None
    (batch,) = decode_many(Sources(dataset, np.arange(len(dataset))), Preprocessing(9, 8))
    assert len(batch.indices) == 2
    np.testing.assert_array_equal(batch.pictures[0], PIXELS)


def test_a_table_as_windows_writes_it(tmp_path):
    """UTF-16 ("Unicode text" of a spreadsheet), ends of lines of two characters, paths with \\."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(encoded())
    text = "file_name\tlabel\r\na\\1.png\tgrün\r\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-be"):
        mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
        (tmp_path / "list.tsv").write_bytes(mark + text.encode(encoding))
        dataset = open_dataset(tmp_path / "list.tsv")
        assert (dataset.classes, dataset.read(0)) == (("grün",), tmp_path / "a" / "1.png")
    (tmp_path / "list.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(FileError, match="CSV UTF-8"):
        open_dataset(tmp_path / "list.csv")


def test_arrays_in_a_folder_are_pointed_at(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 1])
    with pytest.raises(DataError, match=r"holds no picture .* give .*/a\.npz itself"):
        open_dataset(tmp_path)


def test_json_lines_with_splits_and_groups(tmp_path):
    rows = [
        {"file_name": "1.png", "label": 3, "split": "train", "group": "anna"},
        {"file_name": "2.png", "label": 10, "split": "Validation", "group": "anna"},
        {"file_name": "3.png", "label": 3.0, "split": "testing"},
        {"file_name": "4.png", "label": "3"},
    ]
    path = write(tmp_path / "list.jsonl", "\n\n".join(map(json.dumps, rows)) + "\n")
    dataset = open_dataset(path)
    assert classes_of(dataset) == ["3", "10", "3", "3"]
    assert dataset.classes == ("3", "10")
    assert dataset.splits.tolist() == ["train", "valid", "test", ""]
    assert dataset.groups is not None
    assert dataset.groups[0] == dataset.groups[1]
    assert len(set(dataset.groups.tolist())) == 3


def test_a_folder_with_a_manifest_is_read_by_it(tmp_path):
    write(tmp_path / "metadata.csv", "file_name,label\nx/1.png,cat\ny/2.png,dog\n")
    assert detect(tmp_path) == "manifest"
    assert open_dataset(tmp_path).names == ["x/1.png", "y/2.png"]
    assert open_dataset(tmp_path).read(0) == tmp_path / "x" / "1.png"


@pytest.mark.parametrize("text", ["subject,age\n1,2\n", "", "file_name,caption\nx/1.png,hi\n", "\xff"])
def test_a_table_about_something_else_leaves_the_folders_to_speak(tmp_path, text):
    write(tmp_path / "metadata.csv", text)
    for name in ("cat/1.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(encoded())
    dataset = open_dataset(tmp_path)
    assert dataset.reader == "folder"
    assert [s.path for s in dataset.skipped] == ["metadata.csv"]


def test_lines_that_cannot_be_used_are_skipped_with_their_number(tmp_path):
    text = "file_name,label\n1.png,cat\n,dog\n2.png,\n1.png,dog\nhttp://x/3.png,cat\n4.png,dog,what\n5.png\n6.png,dog\n"
    dataset = open_dataset(write(tmp_path / "list.csv", text))
    assert dataset.names == ["1.png", "6.png"]
    assert [s.reason for s in dataset.skipped] == [
        "line 3: no picture is named",
        "line 4: no label",
        "line 5: named before, in line 2",
        "line 6: an address, not a file; nothing is fetched from a network",
        "line 7: more fields than the head has columns",
        "line 8: no label",
    ]
    assert dataset.found == 8
    text = '{"file_name": "1.png", "label": "a"}\n[1]\n{"file_name"\n{"file_name": "2.png", "label": [1]}\n'
    dataset = open_dataset(write(tmp_path / "list.jsonl", text))
    assert [s.reason for s in dataset.skipped] == ["line 2: not a JSON object", "line 3: not JSON", "line 4: no label"]


def test_manifests_that_cannot_be_used_at_all(tmp_path):
    with pytest.raises(DataError, match=r"columns 'file_name', 'caption', but lacks one of these: label: label, class"):
        open_dataset(write(tmp_path / "a.csv", "file_name,caption\n1.png,hello\n"))
    with pytest.raises(DataError, match="line 2: the split is 'maybe'"):
        open_dataset(write(tmp_path / "b.csv", "file_name,label,split\n1.png,a,maybe\n"))
    with pytest.raises(DataError, match="holds no picture"):
        open_dataset(write(tmp_path / "c.csv", "file_name,label\n1.png,\n"))
    for text in ("", "\n", "file_name,label\n"):
        with pytest.raises(DataError, match="names no picture"):
            open_dataset(write(tmp_path / "d.csv", text))
    with pytest.raises(DataError, match=r"line 3, cannot be read: .* quotation mark"):  # csv takes the rest for a label
        open_dataset(write(tmp_path / "f.csv", 'file_name,label\n1.png,a\n2.png,"b\n3.png,a\n4.png,a\n'))
    (tmp_path / "e.csv").write_bytes(b"file_name,label\n\xff\xfe.png,a\n")
    with pytest.raises(FileError, match="UTF-8"):
        open_dataset(tmp_path / "e.csv")


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_a_json_array(tmp_path, ending):
    rows = [{"path": "1.png", "label": "b"}, ["2.png", "a"], {"path": "3.png", "label": "a"}, {"path": "1.png"}]
    dataset = open_dataset(write(tmp_path / f"list{ending}", "\n " + json.dumps(rows, indent=1)))
    assert (dataset.reader, dataset.names, classes_of(dataset)) == ("manifest", ["1.png", "3.png"], ["b", "a"])
    assert [s.reason for s in dataset.skipped] == ["entry 2: not a JSON object", "entry 4: no label"]
    assert open_dataset(write(tmp_path / "labels.json", json.dumps(rows)).parent).names == dataset.names
    with pytest.raises(DataError, match=r"begins as a JSON array, but is none \(.*one object a picture"):
        open_dataset(write(tmp_path / f"cut{ending}", json.dumps(rows)[:-9]))
    with pytest.raises(DataError, match=r'columns none.*Needed: \[\{"file_name"'):
        open_dataset(write(tmp_path / f"other{ending}", json.dumps({"images": [], "annotations": []}, indent=1)))


def test_a_table_without_a_head(tmp_path):
    for name in ("x/a.png", "x/b.png"):
        write(tmp_path / name, "")
    for text in ("x/a.png,cat\nx/b.png,dog\n", "cat;a.png\ndog;b.png\n"):
        dataset = open_dataset(write(tmp_path / "list.csv", text))
        assert classes_of(dataset) == ["cat", "dog"]
        assert [dataset.read(i) for i in range(2)] == [tmp_path / "x" / "a.png", tmp_path / "x" / "b.png"]
    named = open_dataset(write(tmp_path / "list.csv", 'x/a.png, "cat, black"\nx/b.png, "dog, white"\n'))
    assert classes_of(named) == ["cat, black", "dog, white"]
    with pytest.raises(DataError, match="there is no head: put one above it, such as file_name,label"):
        open_dataset(write(tmp_path / "list.csv", "x/a.png,cat,7\nx/b.png,dog,8\n"))
    with pytest.raises(DataError, match="Name the column so"):
        open_dataset(write(tmp_path / "list.csv", "nowhere.png,cat\nlost.png,dog\n"))


def test_a_byte_order_mark_and_quotes(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes('\ufefffile_name,label\r\n"a, b.png","big ""cat"""\r\n'.encode())
    dataset = open_dataset(path)
    assert (dataset.names, dataset.classes) == (["a, b.png"], ('big "cat"',))


@pytest.mark.parametrize("name", ["list.csv", "metadata.csv"])
def test_fields_longer_than_csv_itself_takes(tmp_path, name):
    limit = csv.field_size_limit()
    path = write(tmp_path / name, f"file_name,label,note\n1.png,a,{'x' * 200_000}\n2.png,b,y\n")
    dataset = open_dataset(path if name == "list.csv" else tmp_path)
    assert (dataset.classes, [len(note) for note in dataset.columns["note"]]) == (("a", "b"), [200_000, 1])
    assert csv.field_size_limit() == limit  # which is one for the whole process


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("\n \nfile_name,label,note", "{},{},x"),
        ("sep=;\nfile_name;label;note", "{};{};a,b,c,d"),
        ('"file_name";"label";"how, when, where, why"', '"{}";"{}";"x"'),
        ("File Name,LABEL,note", '{},{},"one\ntwo"'),
        ("image-path,label,note", '{},{},5" wide\n'),
    ],
)
def test_heads_and_notes_as_people_have_them(tmp_path, head, line):
    rows = [line.format(f"pics/{i}.png", "ab"[i % 2]) for i in range(4)]
    dataset = open_dataset(write(tmp_path / "list.csv", "\n".join([head, *rows, ""])))
    assert dataset.names == [f"pics/{i}.png" for i in range(4)]
    assert classes_of(dataset) == ["a", "b", "a", "b"]
    assert not dataset.skipped


def test_lines_are_counted_from_the_top_of_the_file(tmp_path):
    dataset = open_dataset(write(tmp_path / "list.csv", "sep=;\n\nfile_name;label\n1.png;a\n\n2.png;\n3.png;b\n"))
    assert [s.reason for s in dataset.skipped] == ["line 6: no label"]


def test_names_without_their_ending_lead_to_the_files(tmp_path):
    (tmp_path / "train").mkdir()
    for name in ("x1.png", "x2.png", "x1.txt"):
        (tmp_path / "train" / name).write_bytes(encoded())
    dataset = open_dataset(write(tmp_path / "train.csv", "image_id,label\nx1,a\nx2,b\n"))
    assert [dataset.read(i) for i in range(2)] == [tmp_path / "train" / "x1.png", tmp_path / "train" / "x2.png"]


def test_a_number_that_is_none_is_no_label(tmp_path):
    rows = '{"file_name": "1.png", "label": NaN}\n{"file_name": "2.png", "label": 2.0}\n'
    dataset = open_dataset(write(tmp_path / "list.jsonl", rows))
    assert classes_of(dataset) == ["2"]
    assert [s.reason for s in dataset.skipped] == ["line 1: no label"]


def test_pictures_that_are_not_there_are_bad_one_by_one(tmp_path):
    dataset = open_dataset(write(tmp_path / "list.csv", "path,label\n1.png,a\n2.png,b\n"))
    (batch,) = decode_many(Sources(dataset, np.arange(len(dataset))), Preprocessing(4, 4))
    assert batch.bad == [(0, "no such file"), (1, "no such file")]


# ---------------------------------------------------------------- CIFAR

CIFAR = RNG.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
PLANES = CIFAR.transpose(0, 3, 1, 2).reshape(7, 3072)
NAMES = ["airplane", "bird", "cat"]


def cifar_binary(folder: Path, coarse: bool = False) -> Path:
    labels = np.arange(7, dtype=np.uint8)[:, None] % 3
    records = np.hstack([labels * 0 + 9, labels, PLANES] if coarse else [labels, PLANES]).astype(np.uint8)
    train, test, names = ("train.bin", "test.bin", "fine_label_names.txt") if coarse else (
        "data_batch_2.bin", "test_batch.bin", "batches.meta.txt")  # fmt: skip
    (folder / train).write_bytes(records[:5].tobytes())
    (folder / test).write_bytes(records[5:].tobytes())
    (folder / names).write_text("\n".join(NAMES) + "\n\n")
    return folder


def cifar_pickles(folder: Path, protocol: int = 2, fine: bool = False, text: bool = False) -> Path:
    key = (lambda k: k) if text else (lambda k: k.encode())
    label = key("fine_labels" if fine else "labels")
    train, test, meta = ("train", "test", "meta") if fine else ("data_batch_1", "test_batch", "batches.meta")
    for name, rows in ((train, slice(0, 5)), (test, slice(5, 7))):
        content = {key("data"): PLANES[rows], label: [i % 3 for i in range(7)][rows], key("filenames"): [b"a.png"] * 5}
        (folder / name).write_bytes(pickle.dumps(content, protocol))
    names = key("fine_label_names" if fine else "label_names")
    (folder / meta).write_bytes(pickle.dumps({names: NAMES, b"num_vis": 3072}, protocol))
    return folder


def check_cifar(dataset):
    assert dataset.reader == "cifar"
    assert dataset.names == [f"train[{i}]" for i in range(5)] + ["test[0]", "test[1]"]
    assert classes_of(dataset) == [NAMES[i % 3] for i in range(7)]
    assert dataset.splits.tolist() == ["train"] * 5 + ["test"] * 2
    for i in range(7):
        np.testing.assert_array_equal(decode(dataset.read(i), Preprocessing(32, 32))[0], CIFAR[i])


@pytest.mark.parametrize("coarse", [False, True])
def test_cifar_binary(tmp_path, coarse):
    check_cifar(open_dataset(cifar_binary(tmp_path, coarse)))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_cifar_pickles_of_every_protocol(tmp_path, protocol, fine, text):
    check_cifar(open_dataset(cifar_pickles(tmp_path, protocol, fine, text)))


def test_cifar_pickles_as_python_2_wrote_them(tmp_path):
    """The published files: protocol 2, byte strings as text, array bytes in a text opcode."""
    cifar_pickles(tmp_path)
    body = PLANES[:5].tobytes()
    stream = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87R"
        b"(K\x01K\x05M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + len(body).to_bytes(4, "little") + body + b"tbU\x06labelsq\x05](K\x00K\x01K\x02K\x00K\x01eu."
    )
    (tmp_path / "data_batch_1").write_bytes(stream)
    check_cifar(open_dataset(tmp_path))


def test_cifar_without_names_has_numbers(tmp_path):
    (cifar_binary(tmp_path) / "batches.meta.txt").unlink()
    assert open_dataset(tmp_path).classes == ("0", "1", "2")


@pytest.mark.parametrize(("fine", "meta"), [(False, "batches.meta"), (True, "meta")])
def test_cifar_pickles_without_names_have_numbers(tmp_path, fine, meta):
    (cifar_pickles(tmp_path, fine=fine) / meta).unlink()
    dataset = open_dataset(tmp_path)
    assert (dataset.reader, dataset.classes, len(dataset)) == ("cifar", ("0", "1", "2"), 7)


def test_files_called_train_and_test_that_are_no_pickles_are_not_taken_for_cifar(tmp_path):
    (tmp_path / "train").write_bytes(b"\x80\x01 and so on")
    (tmp_path / "test").write_text("")
    assert detect(tmp_path) == "folder"


@pytest.mark.parametrize("make", [cifar_pickles, cifar_binary, lambda folder: cifar_pickles(folder, fine=True)])
@pytest.mark.parametrize("below", ["cifar-batches", "raw/cifar-batches"])
def test_the_folder_that_an_archive_was_unpacked_into(tmp_path, make, below):
    (tmp_path / below).mkdir(parents=True)
    make(tmp_path / below)
    (tmp_path / "archive.tar.gz").write_bytes(b"\x1f\x8b")
    dataset = open_dataset(tmp_path)
    check_cifar(dataset)
    assert dataset.source == str(tmp_path / below)


@pytest.mark.parametrize("reader", ["idx", "cifar"])
def test_a_published_set_that_is_asked_for_by_name(tmp_path, reader):
    """Is looked for below, too; where there is none, what is needed is said."""
    with pytest.raises(FileError, match=r"(is|are) needed\. Give the folder that holds them"):
        open_dataset(tmp_path, reader)
    (tmp_path / "raw").mkdir()
    cifar_binary(tmp_path / "raw")
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, *[0, 0, 0, 1] * 3, 7]))
    (tmp_path / "raw" / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    assert open_dataset(tmp_path, reader).reader == reader


def test_several_data_sets_below_a_folder_are_named(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        cifar_binary(tmp_path / name)
    with pytest.raises(DataError, match=r"2 data sets and no pictures; give one of '.*one', '.*two'"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("end", [0, 1, 3072, 3074, -1])
def test_cut_cifar_records(tmp_path, end):
    path = cifar_binary(tmp_path) / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(FileError, match="whole number of records"):
        open_dataset(tmp_path)


def test_more_labels_than_names(tmp_path):
    (cifar_binary(tmp_path) / "batches.meta.txt").write_text("one\ntwo\n")
    with pytest.raises(FileError, match=r"names 2 classes, but the pictures have the label 2\. Fetch it"):
        open_dataset(tmp_path)


class Runs:
    """What a malicious pickle does."""

    def __init__(self, function, *arguments) -> None:
        self.made = function, arguments

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "made",
    [
        lambda flag: Runs(os.system, f"touch {flag}"),
        lambda flag: Runs(open, str(flag), "w"),
        lambda flag: Runs(eval, f"open({str(flag)!r}, 'w')"),
        lambda flag: Runs(os.mkdir, str(flag)),
        lambda flag: Runs(np.save, str(flag) + ".npy", 1),
        lambda flag: np.array([Runs(os.mkdir, str(flag))], dtype=object),
        lambda flag: {1, 2},
        lambda flag: Path(flag),
    ],
)
def test_pickles_with_a_program_are_refused_before_it_runs(tmp_path, protocol, made):
    cifar_pickles(tmp_path)
    flag = tmp_path / "it ran"
    content = {b"data": PLANES[:5], b"labels": [0] * 5, b"extra": made(flag)}
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(content, protocol))
    before = sorted(os.listdir(tmp_path))
    if made(flag) == {1, 2} and protocol >= 4:  # a set is data; only old protocols write it as a call
        assert len(open_dataset(tmp_path)) == 7
    else:
        with pytest.raises(FileError, match="CIFAR pickle"):
            open_dataset(tmp_path)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\x80\x02.",
        b"\x80\x02]q\x00.",
        b"hello",
        b"\x80\x02r\xff\xff\xff\x7f.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"(S'true'\nios\nsystem\n.",
        b"Pnot a memory\n.",
        b"\x80\x02}(U\x04data\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx",
        pickle.dumps({b"data": PLANES[:5].astype(np.int64), b"labels": [0] * 5}),
        pickle.dumps({b"data": PLANES[:5], b"labels": [0] * 4}),
        pickle.dumps({b"data": PLANES[:5, :100], b"labels": [0] * 5}),
        pickle.dumps({b"data": PLANES[:5], b"labels": ["a"] * 5}),
        pickle.dumps({b"data": PLANES[:5], b"labels": [-1] * 5}),
        pickle.dumps({b"labels": [0] * 5}),
        pickle.dumps([1, 2]),
    ],
)
def test_pickles_of_something_else_are_refused(tmp_path, stream):
    (cifar_pickles(tmp_path) / "data_batch_1").write_bytes(stream)
    with pytest.raises(FileError):
        open_dataset(tmp_path)


@pytest.mark.parametrize("put", [lambda n: b"r" + n.to_bytes(4, "little"), lambda n: b"p%d\n" % n])
def test_a_pickle_that_numbers_its_objects_beyond_all_measure_is_refused(tmp_path, monkeypatch, put):
    """The number is also how much memory it takes."""
    monkeypatch.setattr("linearhead.data.cifar.MOST_MEMOS", 1000)
    path = cifar_pickles(tmp_path) / "data_batch_1"
    head, rest = pickle.dumps({b"data": PLANES[:5], b"labels": [0] * 5}, 2).split(b"q\0", 1)
    path.write_bytes(head + put(1000) + rest)
    assert len(open_dataset(tmp_path)) == 7
    path.write_bytes(head + put(1001) + rest)
    with pytest.raises(FileError, match="it numbers an object 1001"):
        open_dataset(tmp_path)


def test_broken_cifar_pickles_never_do_more_than_fail(tmp_path):
    path = cifar_pickles(tmp_path) / "batches.meta"
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError):
            open_dataset(tmp_path)
    outcomes = set()
    for _ in range(300):
        broken = bytearray(whole)
        broken[int(RNG.integers(len(whole)))] ^= int(RNG.integers(1, 256))
        path.write_bytes(bytes(broken))
        try:
            outcomes.add(type(open_dataset(tmp_path)).__name__)
        except FileError:
            outcomes.add("FileError")
    assert outcomes <= {"Dataset", "FileError"}
    assert "FileError" in outcomes


def test_a_file_too_large_for_cifar_is_not_read(tmp_path):
    path = cifar_binary(tmp_path) / "data_batch_2.bin"
    with path.open("wb") as file:
        file.truncate(2**31)  # sparse: takes no room
    with pytest.raises(FileError, match="more than any CIFAR file"):
        open_dataset(tmp_path)


# ---------------------------------------------------------------- NumPy files

STACK = RNG.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])


def check_stack(dataset, n: int = 6):
    assert dataset.reader == "numpy"
    assert dataset.features is None
    for i in range(n):
        np.testing.assert_array_equal(decode(dataset.read(i), Preprocessing(5, 4))[0], STACK[i])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels"), ("X", "Y"), ("data", "targets")])
def test_npz(tmp_path, save, keys):
    save(tmp_path / "set.npz", **dict(zip(keys, (STACK, Y), strict=True)), unrelated=np.zeros(3))
    dataset = open_dataset(tmp_path / "set.npz")
    check_stack(dataset)
    assert classes_of(dataset) == ["0", "1", "2", "0", "1", "2"]
    assert dataset.names[5] == "[5]"


LISTS = {
    "one array": lambda files: np.stack([PIXELS] * 4),
    "channels first": lambda files: np.moveaxis(np.stack([PIXELS] * 4), 3, 1),
    "arrays of any size": lambda files: [PIXELS, PIXELS, PIXELS[:5], PIXELS[:, :5]],
    "Pillow images": lambda files: [Image.fromarray(PIXELS)] * 3 + [Image.fromarray(PIXELS).convert("CMYK")],
    "files": lambda files: [str(file) for file in files],
    "paths": lambda files: files,
    "bytes": lambda files: [file.read_bytes() for file in files],
}


@pytest.mark.parametrize("form", LISTS)
def test_pictures_in_memory(tmp_path, form):
    files = [tmp_path / f"{i}.png" for i in range(4)]
    for file in files:
        file.write_bytes(encoded())
    pictures = LISTS[form](files)
    for data in ((pictures, list("abab")), {"x": pictures, "y": np.array(list("abab"))}):
        dataset = open_dataset(data)
        assert classes_of(dataset) == list("abab")
        for i in range(4):
            seen, _ = decode(dataset.read(i), Preprocessing(9, 8))
            if i < 2:
                np.testing.assert_array_equal(seen, PIXELS)
    both = open_dataset({"x_train": pictures, "y_train": [1, 2, 1, 2], "x_test": pictures, "y_test": [2, 2, 1, 1]})
    assert both.splits.tolist() == ["train"] * 4 + ["test"] * 4
    assert classes_of(both) == list("12122211")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_come_back_in_whatever_order_they_lie(tmp_path, save, order):
    X = np.asarray(RNG.normal(size=(6, 3)), order=order)
    save(tmp_path / "set.npz", features=X, labels=Y)
    np.testing.assert_array_equal(open_dataset(tmp_path / "set.npz").features, X)
    np.testing.assert_array_equal(inputs(tmp_path / "set.npz"), X)


def test_inputs_alone_need_no_labels(tmp_path):
    """Of all splits, train first; pictures of one size are no rows of features."""
    X = RNG.normal(size=(6, 3))
    np.save(tmp_path / "rows.npy", X)
    np.savez(tmp_path / "parts.npz", val_x=X[4:5], x_test=X[5:], **{"X-Train": X[:4]})
    np.savez(tmp_path / "other.npz", weather=X)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "test_features.npy", X[3:])
    np.save(tmp_path / "folder" / "train_features.npy", X[:3])
    for name in ("rows.npy", "parts.npz", "folder"):
        np.testing.assert_array_equal(inputs(tmp_path / name), X)
    with pytest.raises(DataError, match=r"holds the arrays .weather.; needed"):
        inputs(tmp_path / "other.npz")
    np.savez(tmp_path / "wide.npz", x_train=X, x_test=X[:, :2])
    with pytest.raises(DataError, match="different shapes"):
        inputs(tmp_path / "wide.npz")


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("x", "y"), ""),
        (("x_train", "labels_train"), "train"),
        (("val_images", "validation_label"), "valid"),
        (("Test-Embeddings", "test_targets"), "test"),
        (("dev_x", "y_dev"), "valid"),
    ],
)
def test_arrays_are_found_by_names_in_many_ways(names, split):
    X = RNG.normal(size=(6, 3))
    data = dict(zip(names, (X, Y), strict=True)) | {f"groups_{split}".rstrip("_"): np.arange(6) // 2}
    dataset = open_dataset(data | {"class_names": ["owl", "ant", "bee"]})
    np.testing.assert_array_equal(dataset.features, X)
    assert dataset.splits.tolist() == [split] * 6
    assert dataset.groups.tolist() == list("001122")
    assert classes_of(dataset) == ["owl", "ant", "bee"] * 2


def test_features_in_memory_stay_where_they_are():
    X = RNG.normal(size=(6, 3))
    dataset = open_dataset((X, [0, 1, 2, 0, 1, 2]), min_classes=2)
    assert np.shares_memory(dataset.features, X)
    assert dataset.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((np.zeros((4, 3)), [1, 2]), "4 inputs but 2 labels"),
        ((np.zeros((4, 3)),), "tuple of 1"),
        ({"x": np.zeros((4, 3)), "weather": [1, 2, 3, 4]}, "what 'weather' is"),
        ({"x": np.zeros((4, 3))}, "needed are inputs"),
        ((np.zeros((4, 3, 3)), [1, 2, 1, 2]), "uint8"),
        ((np.zeros((4, 3)), [0.5, 1, 2, 3]), "one whole number"),
        ((np.zeros((4, 3)), [1, 1, 1, 1]), "classes"),
        (([], []), "inputs are"),
    ],
)
def test_arrays_in_memory_that_do_not_fit(data, said):
    with pytest.raises(DataError, match=said):
        open_dataset(data, min_classes=2)


@pytest.mark.parametrize("form", ["{role}_{split}", "{split}_{role}"])
def test_npz_with_splits(tmp_path, form):
    arrays = {}
    for part, rows in (("train", slice(0, 3)), ("val", slice(3, 4)), ("test", slice(4, 6))):
        arrays[form.format(role="images", split=part)] = STACK[rows]
        arrays[form.format(role="labels", split=part)] = Y[rows, None]  # (n, 1), as in MedMNIST
    np.savez_compressed(tmp_path / "set.npz", **arrays)
    dataset = open_dataset(tmp_path / "set.npz")
    check_stack(dataset)
    assert dataset.splits.tolist() == ["train"] * 3 + ["valid"] + ["test"] * 2
    assert dataset.names[3] == "valid[0]"
    assert dataset.labels.tolist() == Y.tolist()


def test_folder_of_npy_and_single_npy(tmp_path):
    for name, labels in (("labels.npy", Y), ("pictures_y.npy", Y + 1)):
        np.save(tmp_path / "pictures.npy", STACK)
        np.save(tmp_path / name, labels)
        check_stack(open_dataset(tmp_path / "pictures.npy"))
        if name == "labels.npy":
            check_stack(open_dataset(tmp_path))
    assert open_dataset(tmp_path / "pictures.npy").classes == ("1", "2", "3")  # its own labels go before others


@pytest.mark.parametrize(
    ("labels", "where"),
    [
        (["a", "", "b", " "], r"2 of 4 labels are empty, those of '\[1\]', '\[3\]';"),
        ([0.0, float("nan"), 1.0, 1.0], r"1 of 4 .* those of '\[1\]'"),
        (np.array(["a", "b", None, "b"], dtype=object), r"1 of 4 .* those of '\[2\]'"),
        ([b"a", b"b", b"", b"a"], r"1 of 4 .* those of '\[2\]'"),
    ],
)
def test_a_label_that_is_missing_is_refused_with_its_row(labels, where):
    with pytest.raises(DataError, match=where):
        open_dataset((np.zeros((4, 3)), labels))


def test_names_as_tables_have_them():
    """pandas keeps text in arrays of objects."""
    dataset = open_dataset((np.zeros((3, 2)), np.array(["b", "a", "b"], dtype=object)))
    assert classes_of(dataset) == ["b", "a", "b"]


def test_labels_as_text_and_classes_by_name(tmp_path):
    np.save(tmp_path / "x.npy", STACK)
    write(tmp_path / "labels.txt", "cat\ndog\nfox\ncat\ndog\nfox\n")
    assert open_dataset(tmp_path / "x.npy").classes == ("cat", "dog", "fox")
    np.savez(tmp_path / "set.npz", x=STACK, y=Y, classes=np.array(["zebra", "ant", "bee"]))
    dataset = open_dataset(tmp_path / "set.npz")
    assert classes_of(dataset)[:3] == ["zebra", "ant", "bee"]
    assert dataset.classes == ("ant", "bee", "zebra")


def test_channels_first_and_grey(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).integers(0, 256, (6, 3, 8, 9), dtype=np.uint8), y=Y)
    assert np.shape(open_dataset(tmp_path / "a.npz").read(0)) == (8, 9, 3)
    np.savez(tmp_path / "b.npz", x=STACK[:, :, :, 0], y=Y)
    assert np.shape(open_dataset(tmp_path / "b.npz").read(0)) == (5, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, np.uint8])
def test_features_computed_elsewhere(tmp_path, dtype):
    X = (RNG.standard_normal((6, 10)) * 20).astype(dtype)
    np.savez(tmp_path / "f.npz", features=X, labels=np.array(list("abcabc")), groups=np.array([1, 1, 2, 2, 3, 3]))
    dataset = open_dataset(tmp_path / "f.npz")
    np.testing.assert_array_equal(dataset.features, X)
    assert dataset.features.dtype == dtype
    assert isinstance(dataset.features, np.memmap)  # not read, mapped
    assert dataset.classes == ("a", "b", "c")
    assert dataset.groups.tolist() == ["1", "1", "2", "2", "3", "3"]
    with pytest.raises(DataError, match="no pictures"):
        dataset.read(0)
    np.savez(tmp_path / "s.npz", x_train=X[:4], y_train=Y[:4], x_test=X[4:], y_test=Y[4:])
    parted = open_dataset(tmp_path / "s.npz")
    np.testing.assert_array_equal(parted.features, X)
    assert parted.splits.tolist() == ["train"] * 4 + ["test"] * 2


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": STACK, "y": Y}, "holds the arrays 'a', 'y'; needed are inputs"),
        ({"x": STACK}, "needed are inputs"),
        ({"x": STACK, "y": Y[:5]}, "6 inputs but 5 labels"),
        ({"x": STACK.astype(float), "y": Y}, "the inputs are float64"),
        ({"x": STACK[:, :, :, :2, None], "y": Y}, "of shape"),
        ({"x": np.zeros((6, 5, 9, 7), np.uint8), "y": Y}, "1 to 4"),
        ({"x": np.zeros((6, 9, 9, 5), np.uint8), "y": Y}, "1 to 4"),
        ({"x": np.zeros((6, 9, 9, 0), np.uint8), "y": Y}, "1 to 4"),
        ({"x": STACK, "y": np.eye(6)}, "argmax"),
        ({"x": STACK, "y": Y + 0.5}, "the labels are float64"),
        ({"x": STACK, "y": Y, "images": STACK}, "two arrays"),
        ({"x": STACK, "y": Y, "x_train": STACK, "y_train": Y}, "not clear"),
        ({"x": STACK, "y": Y, "classes": np.array(["one"])}, "names 1 classes"),
        ({"x": STACK, "y": [8, 9, 9, 10, 8, 0], "classes": np.array(list("abcdefghij"))}, "beyond them, such as 10"),
        ({"x": STACK, "y": ["0", "1", "\u00b2", "0", "1", "1"], "classes": np.array(list("abc"))}, "such as \u00b2"),
        ({"x_train": np.ones((6, 4)), "y_train": Y, "x_test": np.ones((6, 5)), "y_test": Y}, "different shapes"),
        (
            {"x_train": STACK, "y_train": Y, "x_test": STACK, "y_test": Y, "groups": Y},
            "is groups_train and groups_test",
        ),
        ({"x": STACK, "y": Y, "groups_train": Y}, r"not by the names of the rows \(x\); needed is groups\."),
    ],
)
def test_arrays_that_do_not_fit_together(tmp_path, arrays, words):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError, match=words):
        open_dataset(tmp_path / "set.npz")


def test_objects_are_never_unpickled(tmp_path):
    flag = tmp_path / "it ran"
    evil = np.array([Runs(os.mkdir, str(flag))] * 6, dtype=object)
    np.savez(tmp_path / "set.npz", x=STACK, y=evil)
    with pytest.raises(FileError, match=r"Python objects, which are programs.*y\.astype\(str\)"):
        open_dataset(tmp_path / "set.npz")
    np.save(tmp_path / "x.npy", evil)
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(FileError, match="Python objects, which are programs"):
        open_dataset(tmp_path / "x.npy")
    (tmp_path / "z.npy").write_bytes(pickle.dumps(Runs(os.mkdir, str(flag))))
    with pytest.raises(FileError):
        open_dataset(tmp_path / "z.npy")
    assert not flag.exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_cut_npz_is_refused(tmp_path, save):
    path = tmp_path / "set.npz"
    save(path, x=STACK, y=Y)
    whole = path.read_bytes()
    for end in range(0, len(whole), 3):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError, match="cannot be read as NumPy data"):
            open_dataset(path)


def test_cut_npy_and_a_missing_partner(tmp_path):
    np.save(tmp_path / "x.npy", STACK)
    with pytest.raises(DataError, match=r"no labels beside it; needed is one of 'x_y.npy', 'y.npy'"):
        open_dataset(tmp_path / "x.npy")
    np.save(tmp_path / "y.npy", Y)
    whole = (tmp_path / "x.npy").read_bytes()
    for end in range(0, len(whole), 7):
        (tmp_path / "x.npy").write_bytes(whole[:end])
        with pytest.raises(FileError, match="cannot be read as NumPy data"):
            open_dataset(tmp_path / "x.npy")


def test_arrays_by_other_names_are_listed(tmp_path):
    np.savez(tmp_path / "set.npz", foo=np.ones((3, 4)), bar=np.arange(3))
    with pytest.raises(DataError, match="the arrays 'foo', 'bar'; needed are inputs"):
        open_dataset(tmp_path / "set.npz")


def test_a_zip_that_holds_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("x.npy", "no array")
        archive.writestr("y.npy", "no array")
    with pytest.raises(FileError, match="cannot be read as NumPy data"):
        open_dataset(tmp_path / "set.npz")


# ---------------------------------------------------------------- WebDataset


def tar(path: Path, members: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar_of_samples(tmp_path, format):
    deep = "a" * 60 + "/" + "b" * 70
    members = {}
    for i, key in enumerate(["0001", "dir/0002", f"{deep}/ü 3"]):
        members[f"{key}.png"] = encoded(PIXELS + np.uint8(i))
        members[f"{key}.cls"] = f"{i % 2}\n".encode()
    dataset = open_dataset(tar(tmp_path / "set.tar", members, format))
    assert dataset.reader == "webdataset"
    assert dataset.names == ["0001", "dir/0002", f"{deep}/ü 3"]
    assert classes_of(dataset) == ["0", "1", "0"]
    assert dataset.groups is None
    for i in range(3):
        np.testing.assert_array_equal(decode(dataset.read(i), Preprocessing(9, 8))[0], PIXELS + np.uint8(i))
    assert os.listdir(tmp_path) == ["set.tar"]


def test_shards_with_splits_json_and_groups(tmp_path):
    about = json.dumps({"label": "cat", "group": "g"}).encode()
    tar(tmp_path / "set-train-0000.tar", {"1.jpg": encoded(format="JPEG"), "1.json": about})
    tar(tmp_path / "set-train-0001.tar", {"1.json": b'{"class": 7, "caption": "x"}', "1.webp": encoded(format="WEBP")})
    tar(tmp_path / "val.tar", {"1.jpg": encoded(format="JPEG"), "1.json": b'{"label": "dog", "split": "test"}'})
    tar(tmp_path / "constraint.tar", {"1.jpg": encoded(format="JPEG"), "1.cls": b"cat"})
    dataset = open_dataset(tmp_path)
    assert dict(zip(dataset.names, zip(classes_of(dataset), dataset.splits.tolist(), strict=True), strict=True)) == {
        "constraint.tar/1": ("cat", ""),
        "set-train-0000.tar/1": ("cat", "train"),
        "set-train-0001.tar/1": ("7", "train"),
        "val.tar/1": ("dog", "test"),
    }
    assert dataset.groups is not None
    assert len(set(dataset.groups.tolist())) == 4


def test_samples_that_cannot_be_used_are_told(tmp_path):
    picture = encoded()
    members = {
        "good.png": picture, "good.cls": b"1", "good.txt": b"caption", "good.seg.png": picture,
        "lonely.png": picture, "orphan.cls": b"1", "empty.png": picture, "empty.cls": b" ",
        "broken.png": picture, "broken.json": b"{", "list.png": picture, "list.json": b"[1]",
        "odd.png": picture, "odd.json": b'{"label": "a", "split": "maybe"}', "twice.png": picture, "twice.jpg": picture,
        "twice.cls": b"2", "._good.png": b"", "README": b"",
    }  # fmt: skip
    path = tar(tmp_path / "set.tar", members)
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    dataset = open_dataset(path)
    assert dataset.names == ["good", "twice"]
    assert {s.path: s.reason.split(" ")[0] for s in dataset.skipped} == {
        "set.tar/good.txt": "neither", "set.tar/good.seg.png": "neither", "lonely": "no", "orphan": "a", "empty": "no",
        "broken": "its", "list": "its", "odd": "its", "set.tar/twice.jpg": "a", "set.tar/README": "neither",
        "set.tar/link.png": "not",
    }  # fmt: skip


def test_the_first_picture_and_the_first_label_of_a_sample_count(tmp_path):
    first, second = encoded(), encoded(255 - PIXELS)
    path = tar(tmp_path / "set.tar", {"1.png": first, "1.cls": b"a", "2.png": first, "2.cls": b"b"})
    with tarfile.open(path, "a") as archive:
        for name, data in (("1.png", second), ("1.cls", b"b")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    dataset = open_dataset(path)
    assert classes_of(dataset) == ["a", "b"]
    assert dataset.read(0) == first
    assert [s.path for s in dataset.skipped] == ["set.tar/1.png", "set.tar/1.cls"]


def test_fields_of_json_that_say_nothing_and_whole_numbers(tmp_path):
    about = b'{"label": %d.0, "split": null, "group": null}'
    members = {f"{i}{end}": data for i in range(3) for end, data in ((".png", encoded()), (".json", about % i))}
    dataset = open_dataset(tar(tmp_path / "set.tar", members))
    assert dataset.classes == ("0", "1", "2")
    assert dataset.groups is None
    assert not dataset.skipped


def test_what_is_left_out_is_told_where_nothing_is_left(tmp_path):
    path = tar(tmp_path / "set.tar", {f"{name}/1.png": encoded() for name in ("cat", "dog")})
    with pytest.raises(DataError, match=r"no picture but 2 that cannot be used .* cat/1: no label \(.cls or .json\)"):
        open_dataset(path)


def test_cut_and_damaged_tars_are_refused(tmp_path):
    path = tar(tmp_path / "set.tar", {f"{i}.{e}": d for i in range(3) for e, d in (("png", encoded()), ("cls", b"1"))})
    whole = path.read_bytes()
    end_mark = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for end in range(0, end_mark + 511, 64):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError):
            open_dataset(path)
    broken = bytearray(whole)
    second = whole.index(b"0.cls")
    broken[second + 150] ^= 1  # in its header's checksum: tarfile alone would just stop here
    path.write_bytes(bytes(broken))
    with pytest.raises(FileError, match="is damaged"):
        open_dataset(path)


def test_compressed_tars_say_what_to_do(tmp_path):
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz"):
        pass
    with pytest.raises(DataError, match=r"gunzip set.tar.gz"):
        open_dataset(tmp_path / "set.tar.gz")


def test_a_backup_among_class_folders_is_no_data_set(tmp_path):
    for name in ("cat/1.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(encoded())
    tar(tmp_path / "backup.tar", {"1.png": encoded(), "1.cls": b"1"})
    dataset = open_dataset(tmp_path)
    assert dataset.reader == "folder"
    assert dataset.skipped[0].reason == "an archive; unpack it"


def test_a_tar_that_shrinks_afterwards_concerns_single_pictures(tmp_path):
    path = tar(tmp_path / "set.tar", {"0.png": encoded(), "0.cls": b"1", "1.png": encoded(), "1.cls": b"1"})
    dataset = open_dataset(path)
    with path.open("r+b") as file:
        file.truncate(600)
    (batch,) = decode_many(Sources(dataset, np.arange(len(dataset))), Preprocessing(9, 8))
    assert (len(batch.indices), len(batch.bad)) == (0, 2)
    path.unlink()
    (batch,) = decode_many(Sources(dataset, np.arange(len(dataset))), Preprocessing(9, 8))
    assert [reason for _, reason in batch.bad] == ["cannot be read (No such file or directory)"] * 2


def test_groups_of_a_reader_stay_on_one_side_of_a_split(tmp_path):
    rows = "".join(f"{i}.png,{'ab'[i % 2]},track{i // 5}\n" for i in range(100))
    dataset = open_dataset(write(tmp_path / "list.csv", "path,label,group\n" + rows))
    parts = split(dataset.labels, {"train": 0.7, "test": 0.3}, 0, dataset.groups)
    assert dataset.groups is not None
    for group in set(dataset.groups.tolist()):
        assert len(set(parts[dataset.groups == group].tolist())) == 1
    assert 20 <= (parts == "test").sum() <= 40
