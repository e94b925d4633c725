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
