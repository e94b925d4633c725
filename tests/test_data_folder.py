"""Folders as people have them: every layout and every mess, and found = used + skipped."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linearhead.data import READERS, open_dataset
from linearhead.errors import DataError, FileError, UsageError
from linearhead.experiment.extract import Sources
from linearhead.images import Preprocessing, decode_many

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".png", ".jpg", ".webp", ".bmp", ".gif", ".tiff"):
        Image.fromarray(PIXELS).save(path)
    else:
        Image.fromarray(PIXELS).save(path, "PNG")


def make(root: Path, *names: str) -> Path:
    for name in names:
        picture(root / name)
    return root


def rows(dataset) -> dict[str, tuple[str, str]]:
    return {
        name: (dataset.classes[label], str(split))
        for name, label, split in zip(dataset.names, dataset.labels, dataset.splits, strict=True)
    }


def test_one_folder_per_class(tmp_path):
    dataset = open_dataset(make(tmp_path, "dog/b.png", "dog/a.jpg", "cat/1.webp", "cat/old/deep/2.bmp"))
    assert rows(dataset) == {
        "cat/1.webp": ("cat", ""),
        "cat/old/deep/2.bmp": ("cat", ""),
        "dog/a.jpg": ("dog", ""),
        "dog/b.png": ("dog", ""),
    }
    assert dataset.names == sorted(dataset.names)
    assert dataset.classes == ("cat", "dog")
    assert dataset.reader == "folder"
    assert dataset.source == str(tmp_path)
    assert dataset.skipped == []
    assert dataset.read(0) == tmp_path / "cat" / "1.webp"
    assert [dataset.read(i) for i in range(len(dataset))] == [tmp_path / name for name in dataset.names]


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("valid", ["val", "valid", "validation", "dev"])
@pytest.mark.parametrize("test", ["test", "testing", "Test"])
def test_the_split_words_people_use(tmp_path, train, valid, test):
    dataset = open_dataset(
        make(tmp_path, f"{train}/a/1.png", f"{train}/b/2.png", f"{valid}/a/3.png", f"{test}/b/4.png")
    )
    assert rows(dataset) == {
        f"{train}/a/1.png": ("a", "train"),
        f"{train}/b/2.png": ("b", "train"),
        f"{valid}/a/3.png": ("a", "valid"),
        f"{test}/b/4.png": ("b", "test"),
    }


def test_folder_order_never_shifts_labels(tmp_path):
    dataset = open_dataset(make(tmp_path, "train/b/1.png", "train/c/1.png", "test/a/1.png", "test/c/1.png"))
    assert dataset.classes == ("a", "b", "c")
    assert rows(dataset)["test/c/1.png"][0] == rows(dataset)["train/c/1.png"][0] == "c"


def test_numbered_classes_count(tmp_path):
    assert open_dataset(make(tmp_path, "10/1.png", "2/1.png", "1/1.png")).classes == ("1", "2", "10")


def test_a_class_may_be_called_train(tmp_path):
    vehicles = open_dataset(make(tmp_path / "a", "train/1.png", "bus/1.png"))
    assert vehicles.classes == ("bus", "train")
    deep = open_dataset(make(tmp_path / "b", "train/steam/1.png", "bus/1.png"))
    assert deep.classes == ("bus", "train")
    assert set(deep.splits.tolist()) == {""}


def test_folders_beside_the_splits_are_told(tmp_path):
    dataset = open_dataset(
        make(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "extra/c/3.png", "test/5.png")
    )
    assert dataset.classes == ("a", "b")
    assert {s.path: s.reason for s in dataset.skipped} == {
        "extra/c/3.png": "outside the split folders 'test', 'train'",
        "test/5.png": "not inside a class folder",
    }


def test_unlabelled_test_pictures_are_told(tmp_path):
    dataset = open_dataset(make(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png"))
    assert set(dataset.splits.tolist()) == {"train"}
    assert [s.path for s in dataset.skipped] == ["test/1.png", "test/2.png"]


def test_a_messy_folder_loses_nothing(tmp_path):
    make(tmp_path, "a/1.png", "a/2.PNG", "a/no ending", "b/1.jpg", "b/ümlaut 猫.jpeg", "b/new\nline.png", "loose.png")
    made = 7
    for name in ("a/notes.txt", "b/README", "readme.md", "a/x.heic", "b/x.zip", "a/x.svg", "b/x.cr2"):
        (tmp_path / name).write_text("text")
        made += 1
    (tmp_path / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    os.mkfifo(tmp_path / "a" / "fifo.jpg")
    os.symlink("nowhere.jpg", tmp_path / "b" / "dangling.jpg")
    os.symlink("self.jpg", tmp_path / "b" / "self.jpg")
    os.symlink("1.png", tmp_path / "a" / "link.png")
    os.symlink("..", tmp_path / "a" / "up")
    os.symlink(tmp_path / "b", tmp_path / "a" / "b-again")
    (tmp_path / "empty").mkdir()
    made += 8
    for name in (".DS_Store", "Thumbs.db", "._1.png", "desktop.ini"):
        (tmp_path / "a" / name).write_text("hidden")
    make(tmp_path, ".cache/1.png", "__MACOSX/a/1.png")

    dataset = open_dataset(tmp_path)
    assert dataset.found == made == len(dataset) + len(dataset.skipped)
    assert len({*dataset.names, *(s.path for s in dataset.skipped)}) == made
    assert sorted(dataset.names) == sorted(
        [
            "a/1.png",
            "a/2.PNG",
            "a/broken.jpg",
            "a/link.png",
            "a/no ending",
            "b/1.jpg",
            "b/ümlaut 猫.jpeg",
            "b/new\nline.png",
        ]
    )
    reasons = {s.path: s.reason for s in dataset.skipped}
    for path, word in {
        "a/notes.txt": "not a picture (.txt)",
        "b/README": "no ending",
        "readme.md": "not a picture (.md)",
        "a/x.heic": "HEIC",
        "b/x.zip": "unpack",
        "a/x.svg": "PNG",
        "b/x.cr2": "convert",
        "a/fifo.jpg": "pipe",
        "b/dangling.jpg": "not there",
        "b/self.jpg": "cannot be followed",
        "a/up": "read already",
        "a/b-again": "read already",
        "empty": "empty folder",
        "loose.png": "class folder",
    }.items():
        assert word in reasons[path], path
    decoded = list(decode_many(Sources(dataset, np.arange(len(dataset))), Preprocessing(9, 8)))
    used, bad = sum(len(b.indices) for b in decoded), sum(len(b.bad) for b in decoded)
    assert (used, bad) == (7, 1)
    assert dataset.found == used + bad + len(dataset.skipped)


def test_links_to_folders_elsewhere_are_followed_once(tmp_path):
    make(tmp_path / "pool", "cats/1.png", "dogs/1.png")
    (tmp_path / "data").mkdir()
    for name, target in (("cat", "cats"), ("dog", "dogs"), ("hound", "dogs")):
        os.symlink(tmp_path / "pool" / target, tmp_path / "data" / name)
    dataset = open_dataset(tmp_path / "data")
    assert dataset.names == ["cat/1.png", "dog/1.png"]
    assert [s.path for s in dataset.skipped] == ["hound"]


def test_a_real_folder_goes_before_a_link_to_it(tmp_path):
    make(tmp_path, "zebra/1.png", "cat/1.png")
    os.symlink("zebra", tmp_path / "alias")
    dataset = open_dataset(tmp_path)
    assert dataset.classes == ("cat", "zebra")
    assert [s.path for s in dataset.skipped] == ["alias"]


def test_loops_of_links_end(tmp_path):
    make(tmp_path, "a/1.png", "b/1.png")
    for i in range(8):
        for side, other in (("a", "b"), ("b", "a")):
            os.symlink(f"../{other}", tmp_path / side / f"to-{other}-{i}")
    dataset = open_dataset(tmp_path)
    assert dataset.names == ["a/1.png", "b/1.png"]
    assert len(dataset.skipped) == 16


def test_a_folder_without_permission_is_told(tmp_path, monkeypatch):
    make(tmp_path, "a/1.png", "b/1.png", "b/locked/2.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    dataset = open_dataset(tmp_path)
    assert dataset.names == ["a/1.png", "b/1.png"]
    assert dataset.skipped[0].reason == "a folder that cannot be read (Permission denied)"


# ---------------------------------------------------------------- errors


def test_paths_that_are_not_there(tmp_path):
    for path in (tmp_path / "no" / "such", tmp_path / "nul\0", "x" * 300):
        with pytest.raises(FileError) as error:
            open_dataset(path)
        assert error.value.exit_code == 4
    os.symlink("loop", tmp_path / "loop")
    with pytest.raises(FileError, match=r"Could not read .*Mend the links"):
        open_dataset(tmp_path / "loop")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), ["holds nothing", "cat/1.jpg"]),
        (("a/notes.txt", "b/more.txt"), ["no picture but 2 other entries (2 .txt)", "a/notes.txt"]),
        (("1.png", "2.png"), ["2 pictures but no class folders", "cat/1.jpg"]),
        (("train/1.png", "test/2.png"), ["no class folders", "cat/1.jpg"]),
    ],
)
def test_folders_without_labelled_pictures(tmp_path, files, words):
    for name in files:
        if name.endswith(".png"):
            make(tmp_path, name)
        else:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("text")
    with pytest.raises(DataError) as error:
        open_dataset(tmp_path)
    assert error.value.exit_code == 2
    for word in [str(tmp_path), *words]:
        assert word in str(error.value)


def test_one_class_is_enough_to_judge_but_not_to_train(tmp_path):
    make(tmp_path, "cat/1.png", "cat/2.png")
    assert open_dataset(tmp_path).classes == ("cat",)
    with pytest.raises(DataError, match=r"2 pictures of 1 class \('cat'\).*at least 2.*something else"):
        open_dataset(tmp_path, min_classes=2)


@pytest.mark.parametrize("above", ["images", "set/images"])
def test_classes_too_deep_are_pointed_at(tmp_path, above):
    make(tmp_path, f"{above}/cat/1.png", f"{above}/dog/2.png")
    with pytest.raises(DataError, match=rf"2 sub-folders \('cat', 'dog'\).*give .*{above} instead"):
        open_dataset(tmp_path, min_classes=2)
    make(tmp_path, f"{above}/3.png")
    with pytest.raises(DataError, match="something else"):
        open_dataset(tmp_path, min_classes=2)


def test_files_that_are_no_data(tmp_path):
    path = tmp_path / "thing.bin"
    path.write_bytes(b"whatever")
    with pytest.raises(DataError, match=r"no data set in a form known here \(8 bytes\)"):
        open_dataset(path)
    with pytest.raises(UsageError, match="'tarot', but one of auto, "):
        open_dataset(tmp_path, reader="tarot")
    with pytest.raises(FileError, match="cannot be read"):
        open_dataset(path, reader="folder")


def test_every_reader_says_what_it_reads(tmp_path):
    for name, reader in READERS.items():
        assert name.islower()
        assert len(reader.what) > 5
        assert reader.recognises(tmp_path) is (name == "folder")


@pytest.mark.parametrize(
    ("name", "n", "k"), [("sign-digits", 2062, 10), ("omniglot-small", 2720, 136), ("trash-photos", 220, 6)]
)
def test_real_folders(shared_data, name, n, k):
    dataset = open_dataset(shared_data / name, min_classes=2)
    assert (len(dataset), len(dataset.classes), len(dataset.skipped)) == (n, k, 0)
    assert set(dataset.splits.tolist()) == {""}


@pytest.mark.parametrize("place", ["", "images/"])
def test_a_table_beside_the_pictures_is_pointed_at(tmp_path, place):
    for name in ("1.png", "2.png"):
        (tmp_path / place).mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / f"{place}{name}")
    (tmp_path / "train.csv").write_text("image_id,category\n1.png,cat\n2.png,dog\n")
    table = open_dataset(
        tmp_path / "train.csv"
    )  # its paths lead to files beside it, or in the one folder that has them
    assert (table.classes, [table.read(i).exists() for i in (0, 1)]) == (("cat", "dog"), [True, True])
    with pytest.raises(DataError, match=r"if train.csv says what each picture shows, give .*train\.csv itself"):
        open_dataset(tmp_path, min_classes=2)
