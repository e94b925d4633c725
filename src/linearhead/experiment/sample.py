"""The embedded sample: scikit-learn's 1 797 scanned digits (Alpaydin & Kaynak 1998, 8×8, 17 greys) as PNG files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import UsageError, explained
from ..files import new_folder


def write_digits(folder: str | Path, force: bool = False) -> Path:
    """folder/0/0000.png … folder/9/1796.png, whole or not at all; UsageError if it exists. Its absolute path."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    if os.path.lexists(folder) and not force:
        raise UsageError(f"{folder} exists already; name a folder that does not, or give --force to replace a sample.")
    digits: Any = load_digits()
    pictures = np.round(digits.images * (255 / 16)).astype(np.uint8)
    with new_folder(folder, force, marker="0/0000.png") as new, explained("write", folder):
        for label in range(10):
            (new / str(label)).mkdir()
        for i, (picture, label) in enumerate(zip(pictures, digits.target, strict=True)):
            Image.fromarray(picture).save(new / str(label) / f"{i:04d}.png")
    return Path(folder).absolute()
