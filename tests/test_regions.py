"""Where a score comes from: the regions add up to it, and they lie where the picture changed."""

import numpy as np
import pytest

from linearhead.features import make
from linearhead.features.regions import SIDE, contributions


@pytest.mark.parametrize("spec", ["pixels", "color", "hog", "patches(filters=16)", "hog+color"])
@pytest.mark.parametrize("shape", [(32, 32, 3), (40, 28, 1)])
def test_regions_add_up_to_the_score(spec, shape):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, *shape), dtype=np.uint8)
    extractor = make(spec).fit(pictures)
    X = extractor.transform(pictures)  # float32; regions and score are float64
    W, b, mean = rng.normal(size=(3, X.shape[1])), rng.normal(size=3), X.mean(axis=0, dtype=np.float64)
    for x in X:
        for w, intercept in zip(W, b, strict=True):
            canvas = contributions(extractor, w, x, mean)
            assert canvas is not None
            assert canvas.shape == (SIDE, SIDE)
            assert canvas.sum() + w @ mean + intercept == pytest.approx(w @ x.astype(np.float64) + intercept, abs=1e-9)


def test_what_changes_in_a_corner_is_drawn_there():
    pictures = np.full((2, 24, 24, 1), 100, np.uint8)
    pictures[1, :12, 12:] = 200
    extractor = make("pixels").fit(pictures)
    X = extractor.transform(pictures)
    canvas = contributions(extractor, np.ones(X.shape[1]), X[1], X[0])
    assert canvas is not None
    assert np.all(canvas[: SIDE // 2, SIDE // 2 :] > 0)
    assert canvas.sum() == pytest.approx(canvas[: SIDE // 2, SIDE // 2 :].sum())


@pytest.mark.parametrize(
    ("spec", "beyond"),
    [
        ("pixels", 0),
        ("color(grid=3)", 0),
        ("hog(cell=4)", 1),  # slopes are differences of the pixels on both sides
        ("patches(filters=16, grid=3, threshold=0)", 0),
        ("patches(filters=16, patch=4, stride=2, threshold=0, mirror=1)", 0),
    ],
)
@pytest.mark.parametrize("shape", [(24, 24, 1), (24, 48, 3)])
def test_a_feature_is_drawn_where_it_is_seen(spec, beyond, shape):
    """What else changes in the picture changes no feature of a place, and each edge of the place changes some."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (8, *shape), dtype=np.uint8)
    extractor = make(spec).fit(pictures)
    x = extractor.transform(pictures[:1])[0].astype(float)

    def drawn(f):
        canvas = contributions(extractor, np.eye(1, len(x), f)[0], x, x - 1)
        assert canvas.sum() == pytest.approx(1)
        return np.kron(canvas > 1e-12, np.ones((1, shape[1] // SIDE))) > 0

    for f in rng.integers(0, len(x), 4):
        seen, most = drawn(f), {"pixels": 2, "color(grid=3)": 200}.get(spec, 24)
        near = [g for g in range(max(f - most, 0), min(f + most, len(x))) if np.array_equal(drawn(g), seen)]
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        grown, square = np.pad(seen, 1), shape[1] // SIDE
        for axis in (0, 1) * beyond:
            grown = grown | np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
        changed = np.repeat(pictures[:1], 5, axis=0)
        changed[0][~grown[1:-1, 1:-1]] ^= 128
        edges = np.zeros((4, *seen.shape), bool)
        edges[0, rows[0]], edges[1, rows[-1]] = True, True
        edges[2, :, columns[:square]], edges[3, :, columns[-square:]] = True, True
        changed[1:][edges & seen] ^= 128
        moved = np.abs(extractor.transform(changed) - x)[:, near].max(axis=1)
        assert moved[0] < 1e-6
        assert moved[1:].min() > 1e-4
