"""What the cues see of a picture, number by number."""

import numpy as np
import pytest
from scipy.special import ndtr

from linearhead.experiment import probes


@pytest.mark.parametrize("shape", [(5, 8, 8, 3), (4, 6, 9, 1)])
def test_brightness_is_one_mean_and_the_border_four_sides(shape):
    seen = np.random.default_rng(0).random(shape)
    assert probes.brightness(seen).shape == (shape[0], 1)
    assert probes.border(seen).shape == (shape[0], 8 * shape[3])
    for picture, light, rim in zip(seen, probes.brightness(seen), probes.border(seen), strict=True):
        np.testing.assert_allclose(light, np.mean(picture))
        told = []
        for side in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            colours = side.T  # one after the other
            told += [np.mean(colour) for colour in colours] + [np.std(colour) for colour in colours]
        np.testing.assert_allclose(rim, told)
    inside = seen.copy()
    inside[:, 1:-1, 1:-1] = 0
    np.testing.assert_array_equal(probes.border(inside), probes.border(seen))


@pytest.mark.parametrize("shift", [0.0, 0.5, 4.0])
def test_sets_are_told_apart_as_far_as_they_lie_apart(shift):
    """Two normal sets at a distance in one column: the best rule is right in Φ(shift / 2) of all cases."""
    X = np.random.default_rng(1).normal(size=(2000, 6)) * [1, 5, 0.1, 1, 1, 1]
    X[1200:, 1] += 5 * shift
    found = probes.told_apart(X + 9, 1200, seed=0)
    assert (found["n"], found["independent"]) == (1600, 1600)
    assert found["accuracy"] == pytest.approx(ndtr(shift / 2), abs=0.04)
    assert probes.told_apart(X[:1219], 1200, seed=0) == {}  # of 19 nothing can be told
    assert probes.told_apart(X[:1220], 1200, seed=0)["n"] == 40
    one = np.zeros(2000)  # of one group: none could be asked of a fit to another
    assert probes.told_apart(X, 1200, 0, one) == {}
