"""IDX: the official split, plain and gzipped, and every way in which such files are broken."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from linearhead.data import open_dataset
from linearhead.errors import DataError, FileError
from linearhead.images import Preprocessing, choose_preprocessing, decode, probe

RNG = np.random.default_rng(0)


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape) + values.tobytes()


def write(folder: Path, part: str, pictures, labels, dot: str = "-", gz: bool = False, before: str = "") -> None:
    ndim = pictures.ndim
    for name, values in ((f"{part}-images{dot}idx{ndim}-ubyte", pictures), (f"{part}-labels{dot}idx1-ubyte", labels)):
        data = idx(values)
        (folder / (before + name + ".gz" * gz)).write_bytes(gzip.compress(data) if gz else data)


def pictures(n: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (n, *(shape or (5, 4))), dtype=np.uint8)


def labels(n: int, k: int = 3) -> np.ndarray:
    return (np.arange(n) % k).astype(np.uint8)


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("test", ["t10k", "test"])
def test_the_official_split(tmp_path, gz, dot, test):
    train, held = pictures(7), pictures(4)
    write(tmp_path, "train", train, labels(7), dot, gz)
    write(tmp_path, test, held, labels(4), dot, gz)
    dataset = open_dataset(tmp_path)
    assert dataset.reader == "idx"
    assert dataset.names == [f"train[{i}]" for i in range(7)] + [f"test[{i}]" for i in range(4)]
    assert dataset.splits.tolist() == ["train"] * 7 + ["test"] * 4
    assert dataset.classes == ("0", "1", "2")
    assert dataset.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 0]
    assert dataset.found == 11
    for i in range(11):
        np.testing.assert_array_equal(dataset.read(i), train[i] if i < 7 else held[i - 7])


def test_colour_and_one_file_alone(tmp_path):
    train = pictures(3, 5, 4, 3)
    write(tmp_path, "train", train, labels(3))
    for path in (tmp_path, tmp_path / "train-images-idx4-ubyte"):
        dataset = open_dataset(path)
        np.testing.assert_array_equal(decode(dataset.read(2), Preprocessing(5, 4))[0], train[2])
        assert set(dataset.splits.tolist()) == {"train"}


def test_a_plain_file_beside_its_gzip_counts_once(tmp_path):
    write(tmp_path, "train", pictures(3), labels(3))
    write(tmp_path, "train", pictures(3), labels(3), gz=True)
    assert len(open_dataset(tmp_path)) == 3


def test_two_sets_in_one_folder_have_to_be_chosen_from(tmp_path):
    for name in ("emnist-letters-", "emnist-digits-"):
        write(tmp_path, "train", pictures(3), labels(3), before=name)
    with pytest.raises(DataError, match="2 IDX data sets"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path / "emnist-letters-train-images-idx3-ubyte")) == 3


def test_numbers_that_do_not_begin_at_zero_and_pass_nine(tmp_path):
    write(tmp_path, "train", pictures(26), np.arange(1, 27, dtype=np.uint8))
    assert open_dataset(tmp_path).classes == tuple(str(i) for i in range(1, 27))


def test_labels_that_do_not_fit(tmp_path):
    write(tmp_path, "train", pictures(5), labels(4))
    with pytest.raises(DataError, match=r"5 pictures but .* 4 labels"):
        open_dataset(tmp_path)


def test_missing_and_swapped_partners(tmp_path):
    write(tmp_path, "train", pictures(5), labels(5))
    images, truth = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    kept = truth.read_bytes()
    truth.unlink()
    with pytest.raises(FileError, match="train-labels-idx1-ubyte is missing"):
        open_dataset(tmp_path)
    truth.write_bytes(images.read_bytes())
    images.write_bytes(kept)
    with pytest.raises(FileError, match=r"no IDX file of pictures.*swapped"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("gz", [False, True])
def test_every_cut_and_every_excess_is_found(tmp_path, gz):
    write(tmp_path, "train", pictures(5), labels(5), gz=gz)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for end in range(len(whole)):
            path.write_bytes(whole[:end])
            with pytest.raises(FileError, match=path.name):
                open_dataset(tmp_path)
        path.write_bytes(gzip.compress(gzip.decompress(whole) + b"x") if gz else whole + b"x")
        with pytest.raises(FileError, match="more found"):
            open_dataset(tmp_path)
        path.write_bytes(whole)
    assert len(open_dataset(tmp_path)) == 5


def test_flipped_bits_in_gzip_are_found(tmp_path):
    write(tmp_path, "train", pictures(50), labels(50), gz=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for _ in range(200):
        broken = bytearray(whole)
        place = int(RNG.integers(10, len(whole)))  # the first 10 bytes are gzip's date, flags and the like
        broken[place] ^= 1 << int(RNG.integers(8))
        path.write_bytes(bytes(broken))
        with pytest.raises(FileError):
            open_dataset(tmp_path)


@pytest.mark.parametrize("kind", [0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0])
def test_other_number_types_are_refused(tmp_path, kind):
    write(tmp_path, "train", pictures(2), labels(2))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pictures(2), kind))
    with pytest.raises(FileError, match="00 00 08 03 or 00 00 08 04 is needed"):
        open_dataset(tmp_path)


def test_a_header_that_promises_a_universe_takes_no_memory(tmp_path):
    write(tmp_path, "train", pictures(2), labels(2))
    for sizes in ([2**32 - 1] * 3, [2**31, 200, 200]):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, *sizes))
        with pytest.raises(FileError, match="only 0 found"):
            open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("kana-train-imgs", "kana-train-lbls.gz", "kana_t10k.x", "kana_t10k.y"), {"train": 5, "test": 3}),
        (("shapes", "truth", None, None), {"": 5}),
        (("a", "b", "c", "d"), None),  # two pairs that nothing tells apart
    ],
)
def test_files_of_other_names_are_told_by_their_content(tmp_path, names, splits):
    contents = [idx(pictures(5, 4, 4)), idx(labels(5)), idx(pictures(3, 4, 4)), idx(labels(3))]
    for name, content in zip(names, contents, strict=True):
        if name is not None:
            (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "README").write_text("of pictures")
    (tmp_path / "notes").mkdir()
    if splits is None:
        with pytest.raises(DataError):
            open_dataset(tmp_path)
        return
    dataset = open_dataset(tmp_path)
    assert dataset.reader == "idx"
    assert dict(zip(*np.unique(dataset.splits, return_counts=True), strict=True)) == splits
    np.testing.assert_array_equal(dataset.labels[:5], labels(5))


def test_fashion_mnist(shared_data):
    dataset = open_dataset(shared_data / "fashion-mnist", min_classes=2)
    assert dataset.reader == "idx"
    assert (dataset.splits == "train").sum() == 60_000
    assert (dataset.splits == "test").sum() == 10_000
    assert dataset.classes == tuple("0123456789")
    assert np.bincount(dataset.labels).tolist() == [7000] * 10
    p = choose_preprocessing(probe(dataset.read(i)) for i in range(0, 70_000, 1000))
    assert p == Preprocessing(28, 28, "L")
    np.testing.assert_array_equal(decode(dataset.read(69_999), p)[0][:, :, 0], dataset.read(69_999))
