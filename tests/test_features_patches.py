"""Patches: the fused layer against its definition, rules for every size, what fit learns, accuracy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from threadpoolctl import threadpool_info

from linearhead.errors import DataError, FileError, UsageError
from linearhead.features import Hog, Patches, Pixels, from_contract, make
from linearhead.features.windows import CONTRAST, area_average


def noise(n, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def naive(extractor, picture):
    """The docstring's formulas one window and one filter at a time, float64; pictures that need no averaging down."""
    h, w = picture.shape[:2]
    p, bank = extractor.patch, extractor.bank.astype(np.float64)
    whitening = extractor.whitening.astype(np.float64) if extractor.unit else None
    x = picture / 255.0

    def response(row, column):
        window = x[row * extractor.stride :, column * extractor.stride :][:p, :p].ravel()
        u = (window - window.mean()) / np.sqrt(window.var() + (10 / 255) ** 2)
        z = u @ bank[:-1] + bank[-1]
        return z if whitening is None else z / np.sqrt(np.sum((u @ whitening[:-1] + whitening[-1]) ** 2) + 0.5)

    rows, columns = extractor.layout(h, w)
    features = []
    for top in rows.firsts:
        for left in columns.firsts:
            z = [response(top + i, left + j) for i in range(rows.count) for j in range(columns.count)]
            for sign in (1, -1):
                features.append(np.sqrt(np.mean([np.maximum(sign * v - extractor.threshold, 0) for v in z], axis=0)))
    if not extractor.mirror:
        return np.concatenate(features)
    phi = np.reshape(features, (len(rows.firsts), len(columns.firsts), 2, 2, -1))  # the last but one: of mirrored pairs
    return (0.5 * (phi[..., 0, :] + phi[:, ::-1, :, 1])).ravel()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(8, 20), st.integers(8, 20), st.sampled_from([1, 3])),
    patch=st.integers(2, 6),
    stride=st.integers(1, 3),
    grid=st.integers(1, 4),
    threshold=st.sampled_from([0.0, 0.3, 1.0]),
    unit=st.integers(0, 1),
    filters=st.integers(1, 12),
    mirror=st.integers(0, 1),
    seed=st.integers(0, 999),
)
def test_the_layer_is_its_definition(shape, patch, stride, grid, threshold, unit, filters, mirror, seed):
    pictures = noise(4, shape, seed)
    options = {"patch": patch, "stride": stride, "grid": grid, "threshold": threshold, "unit": unit, "side": 64}
    extractor = Patches(filters=filters, mirror=mirror, **options)
    extractor = extractor.fit(pictures, seed)
    rows = extractor.transform(pictures[:2])
    np.testing.assert_allclose(rows**2, [naive(extractor, picture) ** 2 for picture in pictures[:2]], atol=2e-6)


def test_faint_windows_keep_their_digits():
    """A mean of squares less a squared mean, of pixels that differ by two 255ths: float32 would leave three digits."""
    faint = 250 + noise(6, (14, 14, 3)) // 100
    extractor = Patches(filters=8, patch=4, threshold=0.0).fit(faint)
    rows = extractor.transform(faint)
    np.testing.assert_allclose(rows**2, [naive(extractor, picture) ** 2 for picture in faint], atol=2e-6)


@pytest.mark.parametrize("mirror", [0, 1])
def test_roots_of_what_is_a_little_beyond_the_threshold_keep_their_digits(mirror):
    """Thresholds that go into sums of 49 and come off at the end leave 2e-7, twice as much as this allows."""
    pictures = noise(4, (32, 32, 3))
    extractor = Patches(filters=40, grid=4, mirror=mirror).fit(pictures)
    error = extractor.transform(pictures) - [naive(extractor, picture) for picture in pictures]
    assert np.sqrt(np.mean(np.square(error))) < 1e-7


@pytest.mark.parametrize("size", [(13, 3), (18, 1)])
def test_mirrored_pairs_take_half_the_multiply_adds(size):
    """Windows of an odd and of an even number of columns; the lengths of whitened windows stay what they are."""
    side, channels = size
    pictures = smooth(30, side, side, 1)[..., [0] * channels]
    extractor = Patches(filters=10, patch=5 - side % 2, mirror=1).fit(pictures)
    bank, whitening = extractor._kernels
    assert 2 * sum(half.size for half in bank) == extractor.bank.size
    assert 2 * sum(step.weights.size for step in whitening) < 1.1 * extractor.whitening.size
    p = extractor.patch
    u = np.random.default_rng(0).normal(size=(20, p, p, channels))
    sums, differences = (u + u[:, :, ::-1])[:, :, : p - p // 2], (u - u[:, :, ::-1])[:, :, : p // 2]
    ones = np.ones((20, 1))
    sums, differences = (half.swapaxes(1, 2).reshape(20, -1) for half in (sums, differences))
    seen = np.hstack([sums, ones, differences])
    v = np.hstack([seen[:, step.numbers] @ step.weights.T for step in whitening])
    whole = np.hstack([u.reshape(20, -1), ones]) @ extractor.whitening
    np.testing.assert_allclose(np.square(v).sum(axis=1), np.square(whole).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("filters", [1, 7, 16, 25, 61])
def test_what_is_never_beyond_the_threshold_is_nothing(filters):
    """Not the root of a last bit: the sum of thresholds rounds otherwise in the last columns of a product."""
    pictures = noise(5, (14, 15, 3))
    for threshold in (0.3, 1.0):
        extractor = Patches(filters=filters, threshold=threshold, dtype="float32").fit(pictures)
        faint = replace(extractor, bank=extractor.bank / 1000)
        assert not faint.transform(pictures).any()


def smooth(n, height, width, seed):
    """Grey pictures whose neighbouring pixels are alike: of white noise there would be nothing to whiten."""
    fine = noise(n, (height + 2, width + 2, 1), seed).astype(float)
    return np.mean([fine[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0).astype(
        np.uint8
    )


def windows_of(pictures, p):
    """Contrast-normalised windows (n, p²) of grey pictures, float64."""
    u = np.lib.stride_tricks.sliding_window_view(pictures[..., 0] / 255.0, (p, p), axis=(1, 2)).reshape(-1, p * p)
    u = u - u.mean(axis=1, keepdims=True)
    return u / np.sqrt(u.var(axis=1, keepdims=True) + CONTRAST)


def test_filters_are_whitened_training_windows_of_unit_length():
    pictures = smooth(50, 16, 16, 1)
    extractor = Patches(filters=40, patch=4, regulariser=1e-6, unit=0).fit(pictures)
    np.testing.assert_allclose(np.linalg.norm(extractor.atoms, axis=1), 1, rtol=1e-6)
    u = windows_of(pictures, 4)
    z = u @ extractor.bank[:-1].astype(np.float64) + extractor.bank[-1]
    assert np.abs(z.mean(axis=0)).max() < 0.05  # centred
    assert z.std() == pytest.approx(1, rel=0.03)  # of variance 1 over all filters
    # whitened: the responses of all filters vary alike, though the windows' own directions differ much
    assert z.std(axis=0).max() < 1.2 * z.std(axis=0).min()
    directions = np.linalg.svd(u - u.mean(axis=0), compute_uv=False)
    assert directions[0] > 5 * directions[14]


@pytest.mark.parametrize("mirror", [0, 1])
def test_responses_are_near_cosines_of_whitened_windows_and_filters(mirror):
    """By the formulas, whitening included, of pictures whose windows are all learned from."""
    pictures = smooth(20, 10, 13, 2)
    extractor = Patches(filters=12, patch=4, threshold=0.0, grid=1, mirror=mirror).fit(pictures)
    u = windows_of(pictures, 4)
    both = np.vstack([u, u.reshape(-1, 4, 4)[:, :, ::-1].reshape(u.shape)]) if mirror else u
    values, vectors = np.linalg.eigh(np.cov(both.T, bias=True))
    v = (u - both.mean(axis=0)) @ (vectors / np.sqrt(values + 0.3 * values.mean())) @ vectors.T
    cosine = v @ extractor.atoms.T / np.linalg.norm(v, axis=1, keepdims=True)
    np.testing.assert_allclose(cosine[:, :6].max(axis=0), 1, atol=1e-5)  # a filter is one of these windows itself
    squares = np.square(v).sum(axis=1, keepdims=True)
    wanted = v @ extractor.atoms.T / np.sqrt(squares + 0.5 * squares.mean())
    z = u @ extractor.bank[:-1] + extractor.bank[-1]
    z /= np.sqrt(np.square(u @ extractor.whitening[:-1] + extractor.whitening[-1]).sum(axis=1, keepdims=True) + 0.5)
    np.testing.assert_allclose(z, wanted / np.sqrt(np.mean(np.square(wanted))), atol=1e-4)
    positive = np.sqrt(np.maximum(z, 0).reshape(20, -1, 12).mean(axis=1))
    rows = replace(extractor, mirror=0).transform(pictures)
    np.testing.assert_allclose(rows[:, :12], positive, atol=1e-4)


@pytest.mark.parametrize(
    "size", [(8, 8), (8, 30), (12, 9), (28, 28), (33, 200), (64, 64), (100, 75), (200, 200)], ids=str
)
@pytest.mark.parametrize("quality", ["fast", "balanced", "best"])
def test_rules_hold_from_8_to_200_pixels(size, quality):
    extractor = Patches(quality=quality).settled(*size)
    rows, columns = Patches(quality=quality).layout(*size)
    grid = {"fast": 3, "balanced": 4, "best": 4}[quality]
    assert 3 <= extractor.patch <= min(size)
    assert extractor.patch / extractor.side == pytest.approx(1 / 4.5, abs=0.16)
    assert min(rows.pixels, columns.pixels) == extractor.side <= 48
    assert len(rows.firsts) == len(columns.firsts) == grid
    for along in (rows, columns):
        last = (along.firsts[-1] + along.count - 1) * extractor.stride + extractor.patch
        assert along.pixels - extractor.stride < last <= along.pixels  # the windows reach the far edge
        assert along.firsts[0] == 0
        assert all(b - a <= along.count for a, b in zip(along.firsts, along.firsts[1:], strict=False))  # no gap
    assert rows.count * columns.count * grid**2 <= 1.5 * 4_000
    assert extractor.settled(*size).options() == extractor.options()


@pytest.mark.parametrize("shape", [(8, 8, 3), (12, 9, 1), (33, 150, 3), (200, 200, 3)], ids=str)
def test_any_size_gives_finite_rows_that_tell_pictures_apart(shape):
    pictures = noise(3, shape)
    extractor = Patches(filters=10).fit(pictures)
    rows = extractor.transform(pictures)
    assert rows.shape == (3, extractor.dimension(*shape))
    assert np.isfinite(rows).all()
    assert np.abs(rows[0] - rows[1]).max() > 0.01


def test_area_average_is_the_mean_over_the_area():
    line = noise(1, (90, 1, 1))[0, :, 0, 0].astype(np.float32)
    for target in (1, 7, 32, 89, 90):
        fine = np.repeat(line.astype(np.float64), target).reshape(target, 90)  # each pixel in `target` equal parts
        np.testing.assert_allclose(area_average(90, target) @ line, fine.mean(axis=1), rtol=1e-5)


def test_large_pictures_are_pillow_box_averages_first():
    large = noise(3, (120, 96, 3))
    half = [Image.fromarray(picture).resize((48, 60), Image.Resampling.BOX) for picture in large]
    small = np.stack([np.asarray(picture) for picture in half])
    options = {"filters": 20, "side": 48, "patch": 5}
    rows = Patches(**options).fit(large).transform(large)
    assert np.abs(rows - Patches(**options).fit(small).transform(small)).max() < 0.05  # but for rounding to bytes
    assert np.abs(rows - rows[::-1]).max() > 0.1


def test_flat_pictures_and_too_few_windows():
    flat = Patches(filters=50).fit(np.full((3, 10, 10, 3), 77, np.uint8))
    assert np.isfinite(flat.transform(noise(4, (10, 10, 3)))).all()
    few = Patches(filters=50, patch=8).fit(noise(1, (10, 10, 1)))
    assert few.filters == few.bank.shape[1] == 9
    assert few.transform(noise(2, (10, 10, 1))).shape == (2, few.dimension(10, 10, 1))
    half = np.full((2, 16, 16, 1), 200, np.uint8)
    half[:, :, 12:] = noise(2, (16, 4, 1))
    assert np.abs(Patches(filters=30).fit(half).atoms).max(axis=1).min() > 0  # flat windows become no filter


def test_seed_decides_the_filters():
    pictures = noise(30, (16, 16, 1))
    one, same, other = (Patches(filters=20).fit(pictures, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.bank, same.bank)
    assert np.abs(one.bank - other.bank).max() > 0.1
    again = one.fit(noise(30, (24, 24, 3), 5), seed=1)  # a fitted extractor can be fitted to other pictures
    assert again.picture == (24, 24, 3)


def test_float16_rows_are_rounded_float32_rows():
    pictures = noise(6, (20, 20, 3))
    full = Patches(filters=30).fit(pictures)
    half = Patches(filters=30, dtype="float16").fit(pictures)
    rows = half.transform(pictures)
    assert rows.dtype == np.float16
    np.testing.assert_array_equal(rows, full.transform(pictures).astype(np.float16))


def test_uint8_rows_are_255ths_of_the_ceiling():
    pictures = noise(70, (20, 20, 3))
    full = Patches(filters=30).fit(pictures)
    small = Patches(filters=30, dtype="uint8").fit(pictures)
    rows = small.transform(pictures)
    assert rows.dtype == np.uint8
    assert np.abs(rows * (full.ceiling / 255) - full.transform(pictures)).max() <= 0.51 * full.ceiling / 255
    assert from_contract(small.contract(), small.tensors()).transform(pictures).dtype == np.uint8


def test_many_pictures_have_rows_of_a_byte_a_number():
    for quality, types in (("fast", "float32 float32"), ("balanced", "float32 uint8"), ("best", "float32 uint8")):
        assert [Patches(quality=quality).settled(32, 32, n).dtype for n in (3000, 50_000)] == types.split()
    assert Patches(dtype="float16").settled(32, 32, 50_000).row_type == np.float16
    assert Patches(dtype="float32").settled(32, 32, 50_000).row_type == np.float32


def test_with_mirror_a_picture_and_its_mirror_image_are_one():
    for shape, stride in (((13, 17, 3), 1), ((28, 28, 1), 1), ((32, 24, 3), 1)):
        pictures = noise(20, shape)
        extractor = Patches(filters=21, mirror=1, stride=stride).fit(pictures)
        rows = extractor.transform(pictures)
        assert rows.shape == (20, extractor.dimension(*shape))
        np.testing.assert_allclose(rows, extractor.transform(pictures[:, :, ::-1].copy()), atol=2e-5)
        assert np.abs(rows[0] - rows[1]).max() > 0.05


def test_mirrored_rows_give_the_classifier_of_pictures_and_their_mirror_images():
    """½(φ + Pφ) of n rows against φ of 2n rows: by convexity one and the same optimum, at half the width and length."""
    from linearhead import SoftmaxClassifier

    pictures, y = noise(60, (12, 12, 1)), np.arange(60) % 3
    folded = Patches(filters=8, mirror=1, grid=2).fit(pictures)
    whole = replace(folded, mirror=0)  # the same filters, nothing folded
    both = np.concatenate([pictures, pictures[:, :, ::-1]])
    # a folded column stands for two equal weights, of which the penalty of one is half that of the pair
    short = SoftmaxClassifier(alpha=0.02, tol=1e-8).fit(folded.transform(pictures).astype(float) * np.sqrt(2), y)
    long = SoftmaxClassifier(alpha=0.02, tol=1e-8).fit(whole.transform(both).astype(float), np.tile(y, 2))
    new = noise(40, (12, 12, 1), 5)
    p = short.predict_proba(folded.transform(new) * np.sqrt(2))
    np.testing.assert_allclose(
        p,
        long.predict_proba(whole.transform(new)) * 0.5
        + 0.5 * long.predict_proba(whole.transform(new[:, :, ::-1].copy())),
        atol=2e-4,
    )


def test_filters_grow_with_the_pictures():
    assert [Patches().settled(28, 28, n).filters for n in (2_000, 20_000, 60_000)] == [99, 560, 640]
    assert Patches(quality="best").settled(32, 32, 10**6).filters == 2000  # a row's numbers are bounded
    assert Patches(quality="fast").settled(28, 28, 60_000).filters == 244
    assert Patches().settled(28, 28, 100).filters == 64
    assert [Patches(quality="best").settled(32, 32, n).filters for n in (2_000, 20_000, 42_500)] == [400, 1131, 1649]
    assert Patches(mirror=1).settled(28, 28, 100).filters == 128
    assert Patches().fit(noise(9, (12, 12, 1))).filters == 64
    assert [Patches().settled(28, 28, n).grid for n in (100, 60_000)] == [3, 4]
    assert Patches(quality="fast", filters=7).settled(28, 28, 60_000).filters == 7


def test_unfitted_patches_say_so():
    for use in (lambda e: e.transform(noise(1, (9, 9, 1))), Patches.filters_as_pictures):
        with pytest.raises(UsageError, match="Call fit"):
            use(Patches())
    with pytest.raises(DataError, match="no picture"):
        Patches().fit(noise(0, (9, 9, 1)))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("patches(quality=great)", "fast, balanced, best"),
        ("patches(dtype=int8)", "float32, float16, uint8"),
        ("patches(filters=-1)", "filters must lie"),
        ("patches(regulariser=0)", "regulariser must lie"),
        ("patches(threshold=nan)", "threshold must lie"),
        ("patches(bank=3)", "no option"),
    ],
)
def test_options_are_checked(spec, words):
    with pytest.raises(UsageError, match=words):
        make(spec)


def test_a_window_larger_than_the_picture_is_refused():
    with pytest.raises(DataError, match=r"20×20 pixels do not fit into pictures of 12×16"):
        Patches(patch=20).fit(noise(2, (16, 12, 1)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: {},
        lambda t: {"bank": t["bank"]},
        lambda t: {name: t[name] for name in ("bank", "atoms", "ceiling")},
        lambda t: t | {"whitening": t["whitening"][:, 1:]},
        lambda t: t | {"bank": t["bank"][:-1]},
        lambda t: t | {"bank": t["bank"].astype(np.float64)},
        lambda t: t | {"atoms": t["atoms"] * np.float32(np.nan)},
    ],
)
def test_damaged_tensors_are_refused(damage):
    extractor = Patches(filters=5).fit(noise(3, (12, 12, 1)))
    with pytest.raises(FileError, match="damaged"):
        from_contract(extractor.contract(), damage(extractor.tensors()))


def test_patches_saved_before_windows_had_unit_length_answer_as_ever():
    pictures = noise(6, (12, 12, 1))
    extractor = Patches(filters=5, unit=0, threshold=0.5).fit(pictures)
    contract = extractor.contract()
    del contract["options"]["unit"]
    assert "whitening" not in extractor.tensors()
    again = from_contract(contract, extractor.tensors())
    np.testing.assert_array_equal(again.transform(pictures), extractor.transform(pictures))
    now = Patches(filters=5, threshold=0.5).fit(pictures)
    assert np.abs(again.transform(pictures) - now.transform(pictures)).max() > 0.01
    with pytest.raises(FileError, match="of another version"):  # what an older program says of an option it lacks
        from_contract(extractor.contract() | {"options": extractor.options() | {"newer": 1}}, extractor.tensors())


def test_filters_as_pictures_show_the_filters():
    extractor = Patches(filters=7).fit(noise(9, (20, 16, 3)))
    shown = extractor.filters_as_pictures()
    assert shown.shape == (7, extractor.patch, extractor.patch, 3)
    assert shown.dtype == np.uint8
    centred = shown.reshape(7, -1) - 127.5
    assert (np.abs(centred).max(axis=1) >= 127).all()
    cosine = (centred * extractor.atoms).sum(axis=1) / np.linalg.norm(centred, axis=1)
    assert cosine.min() > 0.999


def test_blas_threads_are_as_before_afterwards():
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    pictures = noise(4, (12, 12, 1))
    Patches(filters=5).fit(pictures).transform(pictures)
    assert [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()] == before


def test_patches_make_scanned_digits_linear():
    digits = load_digits()
    pictures = (digits.images * 15.9).astype(np.uint8)[..., None]
    train, test = np.arange(0, 1797, 2), np.arange(1, 1797, 2)

    def errors(extractor):
        extractor = extractor.fit(pictures[train])
        model = RidgeClassifier(alpha=1.0).fit(extractor.transform(pictures[train]), digits.target[train])
        return (model.predict(extractor.transform(pictures[test])) != digits.target[test]).sum()

    found = {"patches": errors(Patches(filters=100)), "pixels": errors(Pixels()), "hog": errors(Hog())}
    assert found["patches"] <= 18  # of 898
    assert found["patches"] < 0.5 * min(found["pixels"], found["hog"])


@pytest.mark.parametrize("mirror", [0, 1])
def test_templates_draw_weights_through_the_filters(mirror):
    """A weight on one place and sign is drawn as that filter there, and with mirror as its image across, too."""
    extractor = Patches(filters=6, grid=2, mirror=mirror).fit(noise(9, (12, 16, 3)))
    p, d = extractor.patch, extractor.dimension(12, 16, 3)
    W = np.zeros((2, 2, 2, 2, d // 8))
    W[0, 1, 0, 0, 2] = 3  # lower left, the sign as it is
    W[1, 1, 0, 1, 2] = 3  # the other sign
    drawn = extractor.templates(W.reshape(2, d))
    assert drawn.shape == (2, 2 * p, 2 * p, 3)
    filter_ = extractor.atoms[2].reshape(p, p, 3)
    np.testing.assert_allclose(drawn[0, p:, :p], 3 * filter_, rtol=1e-5)
    np.testing.assert_allclose(drawn[1], -drawn[0], rtol=1e-5)
    np.testing.assert_allclose(drawn[0, p:, p:], 3 * filter_[:, ::-1] if mirror else 0, atol=1e-5)
    assert not drawn[:, :p].any()
    used = extractor.importance(W.reshape(2, d))
    assert used.shape == (6,)
    assert set(np.flatnonzero(used)) == ({2, 5} if mirror else {2})


def test_the_last_of_many_to_hold_one_thread_lifts_the_limit():
    """Two that overlap: the first to leave must not give the other's products more threads."""
    import threading

    from threadpoolctl import threadpool_info

    from linearhead.arrays import one_blas_thread

    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, entered, leave, seen = threads(), threading.Event(), threading.Event(), []

    def other():
        with one_blas_thread():
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(30)
    with one_blas_thread():
        leave.set()
        thread.join()
        seen += threads()
    assert set(seen) == {1}
    assert threads() == before


def test_the_search_for_blas_opens_no_other_library(monkeypatch):
    """And finds all that threadpoolctl finds, which follows every library's path."""
    from threadpoolctl import ThreadpoolController

    from linearhead.arrays import _found

    every = {library["filepath"] for library in ThreadpoolController().info() if library["user_api"] == "blas"}
    opened, before = [], ThreadpoolController._make_controller_from_path

    def watched(self, path):
        opened.append(path)
        before(self, path)

    monkeypatch.setattr(ThreadpoolController, "_make_controller_from_path", watched)
    assert {library["filepath"] for library in _found.__wrapped__(True).info()} == every
    assert 0 < len(opened) < 10
