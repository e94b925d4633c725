"""Extractors: the contract over the whole registry, HOG against scikit-image, colour, joins, specifications."""

import dataclasses
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import hog as oracle

from linearhead.errors import DataError, FileError, UsageError
from linearhead.features import FEATURES, Color, Hog, Joined, Pixels, contract, from_contract, make

SHAPES = [(8, 8, 1), (8, 8, 3), (28, 28, 1), (33, 47, 3), (64, 40, 3)]
SPECS = [*(name for name, kind in FEATURES.items() if kind.ready), "hog+color", "pixels+hog(cell=4)+color(grid=1)"]


def photos(n, shape, seed=0):
    """Pictures with smooth shapes and flat parts, not only noise: bytes in (n, h, w, c)."""
    rng = np.random.default_rng(seed)
    h, w, c = shape
    y, x = np.mgrid[0:h, 0:w][..., None]
    a, b, phase = rng.normal(0, 0.6, (3, n, 1, 1, c))
    waves = np.clip(np.sin(a * x + b * y + 3 * phase), -0.7, 0.9) * 90 + rng.normal(128, 12, (n, h, w, c))
    return np.clip(waves, 0, 255).astype(np.uint8)


def fitted(spec, pictures):
    return make(spec).fit(pictures, seed=3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spec", SPECS)
def test_rows_have_the_declared_dimension_and_are_finite(spec, shape):
    pictures = photos(12, shape)
    extractor = fitted(spec, pictures)
    rows = extractor.transform(pictures)
    assert rows.shape == (12, extractor.dimension(*shape))
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert (rows != rows[0]).any()


@pytest.mark.parametrize("spec", SPECS)
def test_contract_through_json_gives_the_same_bits(spec):
    pictures = photos(20, (30, 26, 3))
    extractor = fitted(spec, pictures)
    tensors = {key: value.copy() for key, value in extractor.tensors().items()}
    again = from_contract(json.loads(json.dumps(extractor.contract())), tensors)
    assert type(again) is type(extractor)
    assert again.contract() == extractor.contract()
    np.testing.assert_array_equal(again.transform(pictures), extractor.transform(pictures))


@pytest.mark.parametrize("shape", [(8, 8, 3), (30, 26, 1), (41, 30, 3)], ids=str)
@pytest.mark.parametrize("spec", SPECS)
def test_a_row_depends_on_its_picture_alone(spec, shape, monkeypatch):
    pictures = photos(23, shape)
    extractor = fitted(spec, pictures)
    rows = extractor.transform(pictures, threads=1)
    np.testing.assert_array_equal(extractor.transform(pictures, threads=3), rows)
    for i in (0, 7, 22):
        np.testing.assert_array_equal(extractor.transform(pictures[i : i + 1])[0], rows[i])
    np.testing.assert_array_equal(extractor.transform(pictures[::-1])[::-1], rows)
    np.testing.assert_array_equal(extractor.transform(np.asfortranarray(pictures)), rows)
    for memory in (1, 300_000):
        monkeypatch.setattr(contract, "MEMORY", memory)
        np.testing.assert_array_equal(extractor.transform(pictures, threads=2), rows)


@pytest.mark.parametrize("spec", SPECS)
def test_fit_is_seeded_and_leaves_the_original_alone(spec):
    pictures = photos(15, (24, 24, 3))
    original = make(spec)
    before = original.contract()
    one, two = original.fit(pictures, seed=1), original.fit(pictures, seed=1)
    assert original.contract() == before
    assert one.picture == (24, 24, 3)
    np.testing.assert_array_equal(one.transform(pictures), two.transform(pictures))


@pytest.mark.parametrize("spec", SPECS)
def test_pictures_are_not_written_to_and_empty_batches_pass(spec):
    pictures = photos(5, (24, 24, 3))
    pictures.flags.writeable = False
    extractor = fitted(spec, pictures)
    copy = pictures.copy()
    extractor.transform(pictures)
    np.testing.assert_array_equal(pictures, copy)
    assert extractor.transform(pictures[:0]).shape == (0, extractor.dimension(24, 24, 3))


@pytest.mark.parametrize("spec", SPECS)
def test_memory_beyond_the_output_does_not_grow_with_n(spec):
    pictures = photos(40, (48, 48, 3))
    extractor = fitted(spec, pictures)
    extractor.transform(pictures, threads=2)  # tables and imports

    def beyond(n):
        many = np.ascontiguousarray(np.broadcast_to(pictures[:1], (n, *pictures.shape[1:])))
        tracemalloc.start()
        rows = extractor.transform(many, threads=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - rows.nbytes

    assert beyond(800) < 2 * contract.MEMORY + 4_000_000


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 24, 25, 3), "u1"), np.zeros((2, 24, 24, 1), "u1")], ids=["other size", "other mode"]
)
def test_pictures_of_another_kind_are_refused(spec, wrong):
    with pytest.raises(DataError, match="24×24 colour"):
        fitted(spec, photos(5, (24, 24, 3))).transform(wrong)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 9, 9, 3)), np.zeros((9, 9, 3), "u1"), np.zeros((2, 9, 9, 4), "u1"), np.zeros((2, 0, 9, 3), "u1"), []],
    ids=["float", "one picture", "four channels", "no rows", "a list"],
)
def test_what_is_not_a_batch_of_pictures_is_refused(wrong):
    with pytest.raises(DataError, match="Pictures must"):
        Pixels().transform(wrong)


# ---------------------------------------------------------------- pixels


def test_pixels_are_the_picture_row_by_row():
    pictures = photos(3, (5, 4, 3))
    rows = Pixels().fit(pictures).transform(pictures)
    np.testing.assert_array_equal(rows, pictures.reshape(3, -1).astype(np.float32) / np.float32(255))
    assert Pixels().fit(pictures).picture == (5, 4, 3)
    assert (rows.min(), rows.max()) >= (0, 0)
    assert Pixels().transform(np.full((1, 2, 2, 1), 255, "u1")).tolist() == [[1.0] * 4]


# ---------------------------------------------------------------- HOG


def skimage_hog(picture, extractor, cell):
    grey = picture.shape[2] == 1
    return oracle(
        picture[..., 0] if grey else picture,
        orientations=extractor.orientations,
        pixels_per_cell=(cell, cell),
        cells_per_block=(extractor.block, extractor.block),
        block_norm="L2-Hys",
        transform_sqrt=False,
        channel_axis=None if grey else -1,
    )


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    channels=st.sampled_from([1, 3]),
    cell=st.integers(0, 9),
    block=st.integers(1, 3),
    orientations=st.integers(1, 12),
    kind=st.sampled_from(["noise", "photo", "two values", "ties", "flat"]),
    seed=st.integers(0, 10_000),
)
def test_hog_equals_scikit_image(height, width, channels, cell, block, orientations, kind, seed):
    extractor = Hog(cell=cell, block=block, orientations=orientations)
    size = extractor.cell_size(height, width)
    if min(height, width) < size * block:
        with pytest.raises(DataError, match="too small"):
            extractor.dimension(height, width, channels)
        return
    rng = np.random.default_rng(seed)
    pictures = {
        "noise": lambda: rng.integers(0, 256, (2, height, width, channels), dtype=np.uint8),
        "photo": lambda: photos(2, (height, width, channels), seed),
        "two values": lambda: rng.integers(0, 2, (2, height, width, channels), dtype=np.uint8) * 255,
        "ties": lambda: rng.integers(0, 12, (2, height, width, channels), dtype=np.uint8),  # 7² + 1² = 5² + 5²
        "flat": lambda: np.full((2, height, width, channels), seed % 256, np.uint8),
    }[kind]()
    expected = [skimage_hog(picture, extractor, size) for picture in pictures]
    np.testing.assert_allclose(extractor.transform(pictures), expected, rtol=0, atol=1e-6)


def test_hog_equals_scikit_image_on_real_photos(shared_data):
    from PIL import Image

    paths = sorted(shared_data.glob("trash-photos/*/*.jpg"))[::23]
    pictures = np.stack([np.asarray(Image.open(path).convert("RGB").resize((128, 96))) for path in paths])
    for batch in (pictures, np.asarray(pictures.mean(axis=3, keepdims=True), np.uint8)):
        expected = [skimage_hog(picture, Hog(), 12) for picture in batch]
        np.testing.assert_allclose(Hog().transform(batch), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("side", "cell"), [(8, 2), (16, 2), (20, 3), (28, 4), (32, 4), (64, 8), (96, 12), (200, 25)], ids=str
)
def test_hog_cell_follows_the_picture_and_is_pinned_by_fit(side, cell):
    assert Hog().cell_size(side, 2 * side) == cell
    assert Hog().fit(np.zeros((1, side, side, 1), "u1")).cell == cell
    assert Hog().blocks(side, side)[0] >= 3
    assert Hog().dimension(side, side, 1) <= 81 * 36


# ---------------------------------------------------------------- colour


def test_color_of_one_colour_is_one_vote_split_between_neighbours():
    grey = np.full((1, 6, 6, 3), 255, np.uint8)
    rows = Color(grid=1).transform(grey).reshape(8, 5, 5)
    assert rows[7, 2, 2] == pytest.approx(1, abs=1e-6)
    assert (rows.sum()) == pytest.approx(1, abs=1e-2)
    black = Color(grid=1).transform(np.zeros((1, 6, 6, 3), np.uint8)).reshape(8, 5, 5)
    assert black[0, 2, 2] == pytest.approx(1, abs=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(4, 40), st.integers(4, 40), st.sampled_from([1, 3])),
    grid=st.integers(1, 4),
    lightness=st.integers(2, 12),
    chroma=st.integers(2, 6),
    seed=st.integers(0, 999),
)
def test_color_is_a_square_rooted_histogram_per_place(shape, grid, lightness, chroma, seed):
    """A bin's share of a pixel falls along each axis from 1 at its centre to 0 at its neighbours' centres."""
    height, width, channels = shape
    pictures = np.random.default_rng(seed).integers(0, 256, (3, *shape), dtype=np.uint8)
    pictures[0] = pictures[0, 0, 0]
    rows = Color(lightness=lightness, chroma=chroma, grid=grid).transform(pictures).reshape(3, grid**2, -1)
    x = np.moveaxis(pictures / 255, 3, 0)
    if channels == 1:
        axes, bins = [x[0]], [2 * lightness]
    else:
        (r, g, b), bins = x, [lightness, chroma, chroma]
        axes = [(r + g + b) / 3, np.clip(r - g + 0.5, 0, 1), np.clip((r + g) / 2 - b + 0.5, 0, 1)]
    votes = np.ones((*x[0].shape, 1))
    for along, n in zip(axes, bins, strict=True):
        own = np.maximum(0, 1 - np.abs(along[..., None] * (n - 1) - np.arange(n)))
        votes = (votes[..., None] * own[..., None, :]).reshape(*x[0].shape, -1)
    down, across = (np.arange(length) * grid // length for length in (height, width))
    for i, j in np.ndindex(grid, grid):
        expected = votes[:, down == i][:, :, across == j].mean(axis=(1, 2))
        np.testing.assert_allclose(rows[:, i * grid + j].astype(float) ** 2, expected, atol=1e-5)


def test_color_sees_where_a_colour_is_and_not_how_it_is_arranged_there():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture[:, :4] //= 4
    mirrored = picture[:, ::-1]
    shuffled = picture.copy()
    shuffled[:4, :4] = rng.permutation(picture[:4, :4].reshape(16, 3)).reshape(4, 4, 3)
    batch = np.stack([picture, mirrored, shuffled])
    one, four = Color(grid=1).transform(batch), Color(grid=2).transform(batch)
    np.testing.assert_allclose(one, one[[0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(four[2], four[0], atol=1e-6)
    assert np.abs(four[1] - four[0]).max() > 0.3


def test_color_changes_little_with_the_light():
    picture = photos(1, (32, 32, 3))
    brighter = np.minimum(picture.astype(int) + 2, 255).astype(np.uint8)
    other = photos(1, (32, 32, 3), seed=9)
    near, far = (np.linalg.norm(Color().transform(picture) - Color().transform(p)) for p in (brighter, other))
    assert near < 0.25 * far


# ---------------------------------------------------------------- joins and specifications


def test_joined_blocks_have_mean_squared_norm_one():
    pictures = photos(60, (32, 32, 3))
    joined = fitted("pixels+hog+color", pictures)
    rows = joined.transform(pictures).astype(np.float64)
    start = 0
    for part in joined.parts:
        width = part.dimension(32, 32, 3)
        block = rows[:, start : start + width]
        assert (block**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)
        start += width
    assert start == rows.shape[1]
    np.testing.assert_allclose(rows[:, : 32 * 32 * 3], Pixels().transform(pictures) * joined.scales[0], rtol=1e-6)


def test_joined_scale_is_learned_from_a_sample_that_is_close_to_all(monkeypatch):
    pictures = photos(3000, (8, 8, 1))
    joined = fitted("pixels+color", pictures)
    rows = joined.transform(pictures).astype(np.float64)
    assert (rows[:, :64] ** 2).sum(axis=1).mean() == pytest.approx(1, rel=0.05)


def test_a_block_of_zeros_keeps_its_scale():
    joined = fitted("hog+color", np.full((4, 16, 16, 1), 90, np.uint8))
    assert joined.scales[0] == 1.0
    assert np.isfinite(joined.transform(np.full((1, 16, 16, 1), 7, np.uint8))).all()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hog", Hog()),
        (" hog ( cell = 8 , orientations = 12 ) ", Hog(cell=8, orientations=12)),
        ("color(grid=3)", Color(grid=3)),
        ("hog()", Hog()),
        ("hog + color(grid=1)", Joined(parts=(Hog(), Color(grid=1)))),
    ],
)
def test_specifications(spec, expected):
    assert make(spec) == expected
    assert make(make(spec).spec) == expected


@pytest.mark.parametrize(
    "spec", ["hgo", "", "hog+", "+hog", "hog++color", "hog(", "hog)", "hog(cell=8)x", "Hog", "a b"]
)
def test_unknown_names_list_the_registry(spec):
    with pytest.raises(UsageError) as error:
        make(spec)
    assert all(name in str(error.value) for name in FEATURES)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("hog(cells=8)", "Its options: cell, orientations, block"),
        ("hog(8)", "Its options"),
        ("hog(cell=8,cell=9)", "twice"),
        ("hog(cell=big)", "found 'big'"),
        ("hog(cell=-1)", "between 0 and 1024"),
        ("hog(orientations=0)", "between 1 and 180"),
        ("color(grid=0)", "between 1 and 16"),
        ("pixels(size=3)", "Its options: none"),
        ("hog(picture=3)", "no option"),
        ("hog+color+hog", "has hog twice"),
        ("hog(cell=4)+hog(cell=4)", r"has hog\(cell=4\) twice"),
    ],
)
def test_bad_options_say_what_is_possible(spec, words):
    with pytest.raises(UsageError, match=words):
        make(spec)


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c | {"name": "clip"},
        lambda c: c | {"name": None},
        lambda c: {"name": "hog"},
        lambda c: c | {"options": {"cell": 4, "colour": 2}},
        lambda c: c | {"options": {"cell": -4}},
        lambda c: c | {"options": {"cell": "4"}},
        lambda c: c | {"options": 7},
        lambda c: c | {"picture": [3]},
        lambda c: c | {"picture": [4, 4, 3]},
        lambda c: c | {"picture": "big"},
        lambda c: {"parts": [c], "scales": [1.0], "picture": None},
        lambda c: {"parts": [c, c], "scales": [1.0], "picture": None},
        lambda c: {"parts": [c, c], "scales": [1.0, float("nan")], "picture": None},
        lambda c: {"parts": [c, {}], "scales": [1.0, 1.0], "picture": None},
        lambda c: {"parts": 3},
        lambda c: [c],
        lambda c: None,
    ],
)
def test_damaged_contracts_are_refused(damage):
    good = Hog().fit(photos(2, (24, 24, 3))).contract()
    assert from_contract(good, {}) == Hog(cell=3, picture=(24, 24, 3))
    with pytest.raises(FileError):
        from_contract(damage(good), {})


def test_extractors_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make("hog").cell = 3
