"""What a layer of patches learns: whitening and filters from random windows of the training pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .contract import picture_shape
from .layer import FLAT
from .windows import CONTRAST, LEVELS, View, contrast

if TYPE_CHECKING:
    from .patches import Patches

WINDOWS = 60_000  # random training windows from which whitening and filters are learned
SAMPLE = 4_000  # training pictures that they are cut from, and the bytes that those may take
SAMPLE_BYTES = 100_000_000


def learn(pictures: np.ndarray, extractor: Patches, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Bank, atoms and whitening as `Patches` has them; fewer filters than asked where there are fewer windows.

    whitening: [u, 1] → v/√(mean |v|²) in the eigenbasis, (K + 1, K), whose lengths alone are asked for.
    """
    u = _sample(pictures, extractor, rng)
    flat = contrast(u) < CONTRAST
    turned = _mirrored(np.arange(u.shape[1])[None], extractor)[0]
    mean, covariance = _moments(u, turned if extractor.mirror else np.arange(u.shape[1]))
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + extractor.regulariser * max(values.mean(), 1e-12)
    whitening = vectors / np.sqrt(values)  # v in the eigenbasis: its length is as in any other
    count = extractor.filters // (1 + extractor.mirror)
    atoms = (u[flat.all() | ~flat][:count] - mean) @ whitening @ vectors.T
    if extractor.mirror:
        atoms = np.vstack([atoms, atoms[:, turned]])
    length = np.linalg.norm(atoms, axis=1, keepdims=True)
    atoms /= np.where(length > 0, length, 1)
    bank = whitening @ (atoms @ vectors).T
    responses = (u[:4096] - mean) @ bank
    learned = {"atoms": atoms}
    if extractor.unit:
        squares = np.square((u[:4096] - mean) @ whitening).sum(axis=1, keepdims=True)
        usual = max(squares.mean(), 1e-12)
        responses /= np.sqrt(squares / usual + FLAT)
        learned["whitening"] = np.vstack([whitening, -mean @ whitening]) / np.sqrt(usual)
    spread = np.sqrt(np.mean(np.square(responses)))
    learned["bank"] = np.vstack([bank, -mean @ bank]) / (spread if spread > 0 else 1)
    return {name: array.astype(np.float32) for name, array in learned.items()}


def _sample(pictures: np.ndarray, extractor: Patches, rng: np.random.Generator) -> np.ndarray:
    """Random windows of random training pictures, no window twice, shuffled: float32 (n, K)."""
    shape = picture_shape(pictures)
    view = View(extractor.settled(*shape[:2]), *extractor.layout(*shape[:2]), shape)
    patch, height, width = view.patch, view.rows.pixels, view.columns.pixels
    most = min(SAMPLE, max(1, SAMPLE_BYTES // (4 * height * width * view.channels)))
    chosen = np.sort(rng.permutation(len(pictures))[:most])
    reduced = np.concatenate([view.reduced(pictures[i : i + 1]) for i in chosen]) / np.float32(LEVELS)
    cut = np.moveaxis(sliding_window_view(reduced, (patch, patch), axis=(2, 3)), 1, 5)
    total = int(np.prod(cut.shape[:3]))
    which = rng.choice(total, min(WINDOWS, total), replace=False)
    windows = np.empty((len(which), patch * patch * view.channels), dtype=np.float32)
    for block in (slice(i, i + 4096) for i in range(0, len(which), 4096)):
        windows[block] = cut[np.unravel_index(which[block], cut.shape[:3])].reshape(-1, windows.shape[1])
    return windows


def _moments(u: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (K,) and covariance (K, K) of windows (n, K), as if each had been seen with its columns turned, too."""
    mean, covariance = u.mean(axis=0, dtype=np.float64), np.zeros((u.shape[1],) * 2)
    mean = (mean + mean[turned]) / 2
    for block in np.array_split(u, -(-len(u) // 4096)):
        covariance += (block - mean).T @ (block - mean) / len(u)
    return mean, (covariance + covariance[np.ix_(turned, turned)]) / 2


def _mirrored(windows: np.ndarray, extractor: Patches) -> np.ndarray:
    """Rows (n, K) with left and right exchanged."""
    shape = (len(windows), extractor.patch, extractor.patch, -1)
    return windows.reshape(shape)[:, :, ::-1].reshape(windows.shape)
