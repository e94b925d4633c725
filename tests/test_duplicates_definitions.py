"""What the search for copies is made of, by its definitions: thumbnails, neighbours, one picture laid over another."""

import numpy as np
import pytest

from linearhead.images import duplicates
from linearhead.images.duplicates import NEIGHBOURS, left_over


def smooth(n, side=32, seed=0):
    """Pictures (n, side, side) that a small shift changes little, as functions: places → values."""
    rng = np.random.default_rng(seed)
    waves, phase, size = rng.normal(0, 3, (n, 6, 2)), rng.uniform(0, 6, (n, 6)), rng.uniform(20, 40, (n, 6))

    def at(x, y):
        along = waves[:, :, 0, None, None] * x[:, None, None, :] + waves[:, :, 1, None, None] * y[:, None, :, None]
        return np.sum(size[:, :, None, None] * np.sin(along + phase[:, :, None, None]), axis=1).astype(np.float32)

    return at, np.tile((np.arange(side) + 0.5) / side * 2 - 1, (n, 1))


@pytest.mark.parametrize(("height", "width"), [(64, 32), (50, 33), (20, 70), (31, 32)])
def test_thumbnails_are_means_by_area(height, width):
    """Every pixel in as many parts a side as the thumbnail has, and the mean of the parts that fall into its pixels."""
    pictures = np.random.default_rng(0).uniform(0, 255, (3, height, width)).astype(np.float32)
    h, w = min(height, 32), min(width, 32)
    expected = np.kron(pictures, np.ones((1, h, w))).reshape(3, h, height, w, width).mean(axis=(2, 4))
    np.testing.assert_allclose(duplicates._averaged(pictures, 32), expected, rtol=1e-5)


def test_neighbours_are_the_most_alike_in_either_orientation():
    """Cosines of blurred pictures of mean 0; of all rows that leave one remainder the best stands for them."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (24, 16, 16)).astype(np.uint8)
    coarse[5], coarse[6], coarse[7] = coarse[4], coarse[4][:, ::-1], 77  # the same, mirrored, and a flat one
    near, alike, mirrored = duplicates._neighbours(coarse)
    padded = np.pad(coarse.astype(float), ((0, 0), (1, 1), (1, 1)), mode="edge")
    mask = np.outer([1, 2, 1], [1, 2, 1]) / 16
    f = sum(mask[a, b] * padded[:, a : a + 16, b : b + 16] for a in range(3) for b in range(3))
    f -= f.mean(axis=(1, 2), keepdims=True)
    f[7] = 0
    length = np.maximum(np.sqrt(np.sum(f**2, axis=(1, 2))), 1e-9)
    straight, turned = (np.einsum("ihw,jhw->ij", f, g) / np.outer(length, length) for g in (f, f[:, :, ::-1]))
    cosine, parts = np.maximum(straight, turned), 23
    np.fill_diagonal(cosine, -2)
    assert near.shape == alike.shape == mirrored.shape == (24, NEIGHBOURS)
    for i in range(24):
        best = np.sort([cosine[i, part::parts].max() for part in range(parts)])[::-1]
        np.testing.assert_allclose(alike[i], best[:NEIGHBOURS], atol=1e-5)
        np.testing.assert_allclose(cosine[i, near[i]], alike[i], atol=1e-5)
        assert i == 7 or np.array_equal(mirrored[i], turned[i, near[i]] > straight[i, near[i]])
    assert set(near[4, :2]) == {5, 6}
    assert mirrored[4, list(near[4]).index(6)]


@pytest.mark.parametrize(
    "p", [(0, 0, 0, 0), (0.1, 0, 0, 0), (0, -0.1, 0, 0), (0, 0, 0.1, -0.1), (0.05, -0.08, 0.1, 0.06)]
)
def test_a_picture_seen_elsewhere_is_laid_over_whatever_its_gain_and_offset(p):
    """p: shift along and down in half sides, and how much smaller it is seen along and down."""
    at, u = smooth(4)
    a, b = at(u, u), at((u - p[0]) / (1 + p[2]), (u - p[1]) / (1 + p[3]))
    assert left_over(a, b).max() < 0.01
    np.testing.assert_allclose(left_over(a, 0.7 * b + 20), left_over(a, b), atol=1e-3)
    if any(p):
        far = left_over(a, b, steps=0)
        assert far.min() > 3 * left_over(a, b).max()


def test_what_is_left_is_one_less_the_correlation_of_gradients():
    at, u = smooth(6)
    a = at(u, u)
    for b in (a[::-1], -a):
        expected = []
        for one, other in zip(a, b, strict=True):
            slopes = [np.stack([x[1:-1, 2:] - x[1:-1, :-2], x[2:, 1:-1] - x[:-2, 1:-1]]).ravel() for x in (one, other)]
            expected.append(1 - np.corrcoef(*slopes)[0, 1])
        np.testing.assert_allclose(left_over(a, b, steps=0), expected, atol=0.02)  # one mean for both slopes
    assert left_over(a, np.roll(a, 1, axis=0)).min() > 0.1


def test_places_outside_the_other_picture_do_not_count():
    at, u = smooth(1)
    x = at(u, u)
    shift = np.array([[0.25, 0, 0, 0]], np.float32)  # four pixels of 32
    seen, inside = duplicates._warped(x, shift)
    np.testing.assert_allclose(seen[0, :, :-4], x[0, :, 4:], atol=1e-3)
    assert inside[0, :, :28].all()
    assert not inside[0, :, 28:].any()
    half = np.array([[0, 1 / 32, 0, 0]], np.float32)  # half a pixel down: between two rows
    seen, inside = duplicates._warped(x, half)
    np.testing.assert_allclose(seen[0, :-1], (x[0, 1:] + x[0, :-1]) / 2, atol=1e-3)
    assert inside[0].sum() == 31 * 32


@pytest.mark.parametrize(("side", "found"), [(28, True), (27, False)])
def test_near_copies_are_looked_for_from_28_pixels_a_side_on(side, found):
    """As MNIST's are; smaller ones are copies where they are equal."""
    at, u = smooth(20, side)
    pictures = np.clip(128 + at(u, u), 0, 255).astype(np.uint8)[..., None]
    pictures = np.concatenate([pictures, pictures[:3, :, ::-1], pictures[4:5]])
    copies = duplicates.find_copies([pictures], [b"%d" % i for i in range(24)])
    assert copies.near.nonzero()[0].tolist() == ([20, 21, 22] if found else [])
    assert copies.exact.nonzero()[0].tolist() == [23]
    assert copies.group[20:].tolist() == ([0, 1, 2, 4] if found else [20, 21, 22, 4])
    assert [group.tolist() for group in copies.groups()] == (
        [[0, 20], [1, 21], [2, 22], [4, 23]] if found else [[4, 23]]
    )
