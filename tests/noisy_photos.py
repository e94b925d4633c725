"""A folder of small noisy pictures, one sub-folder per class, brighter by a class's own amount, and one broken file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def write(root: Path, brighter: Mapping[str, int], each: int, noise: int) -> Path:
    """`each` pictures of 20 × 20 per class, noise in [0, noise) plus brighter[class]; the folder."""
    rng = np.random.default_rng(0)
    for label, amount in brighter.items():
        (root / label).mkdir()
        for i in range(each):
            pixels = rng.integers(0, noise, (20, 20, 3)) + amount
            Image.fromarray(np.uint8(pixels)).save(root / label / f"{i}.png")
    (root / "a" / "broken.png").write_bytes(b"\x89PNG")
    return root
