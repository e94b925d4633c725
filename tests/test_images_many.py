"""Many pictures: in order, the same for any number of threads, little in flight, and every source accounted for."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linearhead.errors import UsageError
from linearhead.images import Preprocessing, Unreadable, choose_preprocessing, decode, decode_many, probe

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> list:
    """120 sources of every type and size, every seventh of them no picture."""
    folder = tmp_path_factory.mktemp("mixed")
    sources = []
    for i in range(120):
        pixels = RNG.integers(0, 256, (5 + i % 40, 5 + i % 23, 3), dtype=np.uint8)
        path = folder / f"{i}.{('png', 'jpg', 'bmp')[i % 3]}"
        if i % 7 == 3:
            path.write_text("no picture")
        else:
            Image.fromarray(pixels).save(path)
        sources.append((path, str(path), path.read_bytes(), pixels if i % 7 != 3 else pixels.astype(float))[i % 4])
    return sources


def collected(batches) -> tuple[list[int], np.ndarray, list, Counter]:
    indices, pictures, bad, notes = [], [], [], Counter()
    for batch_indices, batch_pictures, batch_bad, batch_notes in batches:
        assert len(batch_indices) == len(batch_pictures)
        indices += batch_indices
        pictures.append(batch_pictures)
        bad += batch_bad
        notes += batch_notes
    return indices, np.concatenate(pictures), bad, notes


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("batch", [1, 5, 16, 50, 256])
def test_threads_and_batches_change_nothing(mixed, threads, batch):
    p = Preprocessing(12, 14)
    indices, pictures, bad, notes = collected(decode_many(mixed, p, threads=threads, batch=batch))
    assert [i for i, _ in bad] == [i for i in range(120) if i % 7 == 3]
    assert indices == [i for i in range(120) if i % 7 != 3]
    assert all(reason for _, reason in bad)
    told: Counter = Counter()
    for i, pixels in zip(indices, pictures, strict=True):
        alone, alone_notes = decode(mixed[i], p)
        np.testing.assert_array_equal(pixels, alone)
        told.update(alone_notes)
    assert notes == told


@pytest.mark.parametrize(("n", "batch", "sizes"), [(0, 4, []), (3, 4, [3]), (8, 4, [4, 4]), (9, 4, [4, 4, 1])])
def test_batches_have_the_size_that_was_asked_for(n, batch, sizes):
    sources = list(np.zeros((n, 6, 6), np.uint8))
    assert [len(b.indices) for b in decode_many(sources, Preprocessing(6, 6, "L"), batch=batch)] == sizes


def test_a_batch_without_any_picture_is_still_told():
    (batch,) = decode_many([b"", b"x"], Preprocessing(6, 5, "L"))
    assert batch.indices == []
    assert batch.pictures.shape == (0, 6, 5, 1)
    assert [i for i, _ in batch.bad] == [0, 1]


def test_progress_is_told_in_order_and_ends_at_the_total(mixed):
    told = []
    here = threading.get_ident()
    collected(
        decode_many(
            mixed, Preprocessing(4, 4), progress=lambda done, total: told.append((done, total, threading.get_ident()))
        )
    )
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert told[-1][:2] == (120, 120)
    assert len(told) >= 5
    assert {(total, thread) for _, total, thread in told} == {(120, here)}


class Watched(Sequence):
    """Notes how far ahead sources are fetched."""

    def __init__(self, n: int) -> None:
        self.n, self.fetched = n, 0

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i):
        if i >= self.n:
            raise IndexError
        self.fetched += 1
        if i == 5:
            raise OSError(5, "Input/output error")
        return np.zeros((4, 4), np.uint8)


def test_little_is_in_flight_and_an_early_end_ends_the_threads():
    sources, before = Watched(100_000), threading.active_count()
    batches = decode_many(sources, Preprocessing(4, 4, "L"), threads=3, batch=64)
    first = next(iter(batches))
    assert first.bad == [(5, "cannot be read (Input/output error)")]
    time.sleep(0.05)
    assert sources.fetched <= 64 + (3 * 3 + 1) * 16
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert sources.fetched < 1000


def test_errors_that_are_no_pictures_fault_reach_the_caller():
    class Broken(Watched):
        def __getitem__(self, i):
            raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(decode_many(Broken(10), Preprocessing(4, 4)))
    assert threading.active_count() == before


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"batch": 0}, {"batch": -1}])
def test_wrong_numbers_fail_before_any_work(wrong):
    with pytest.raises(UsageError, match="at least 1"):
        decode_many([], Preprocessing(4, 4), **wrong)


def test_sixty_thousand_small_arrays_take_seconds():
    stack = RNG.integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    began = time.process_time()
    indices, pictures, bad, _ = collected(decode_many(stack, Preprocessing(28, 28, "L")))
    assert time.process_time() - began < 6  # 1 s where nothing else runs
    assert indices == list(range(60_000))
    np.testing.assert_array_equal(pictures[:, :, :, 0], stack)
    assert not bad


def test_real_photos_of_hands(shared_data: Path):
    files = sorted((shared_data / "sign-digits").rglob("*.[jJ][pP]*[gG]"))
    phone = [f for f in files if f.stat().st_size > 200_000]
    assert (len(files), len(phone)) == (2062, 3)
    files = sorted({*files[::5], *phone})
    p = choose_preprocessing(probe(f) for f in files[::10])
    assert p == Preprocessing(64, 64, "RGB")
    began = time.perf_counter()
    indices, pictures, bad, notes = collected(decode_many(files, p))
    seconds = time.perf_counter() - began
    assert len(indices) == len(files)
    assert bad == []
    assert notes["turned by EXIF"] == 3
    assert pictures.std(axis=(1, 2, 3)).min() > 5  # no picture is a flat field
    assert seconds < 60


@pytest.mark.parametrize("name", ["trash-photos", "omniglot-small"])
def test_other_real_pictures_decode_whole_and_are_refused_cut(shared_data: Path, name):
    files = sorted(p for p in (shared_data / name).rglob("*") if p.suffix in (".jpg", ".png"))[::40]
    p = choose_preprocessing(probe(f) for f in files)
    assert p.mode == ("L" if name == "omniglot-small" else "RGB")
    for f in files:
        data = f.read_bytes()
        assert decode(data, p)[0].shape == p.shape
        for end in (len(data) - 1, len(data) - 2, len(data) // 2, 40):
            with pytest.raises(Unreadable):
                decode(data[:end], p)
