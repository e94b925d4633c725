"""Pictures as data: URIs, for pages that load nothing."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

LOSSLESS = 40 * 40  # pictures of up to so many pixels stay as they are
BRIGHTEST = 0.995  # quantile of |weights| that is white or black: a single large one would turn the rest grey


def data_uri(pixels: np.ndarray | Image.Image, lossless: bool = False) -> str:
    """uint8 (h, w) or (h, w, c) as PNG where it is tiny or shall be lossless, else as JPEG of about 2 kB."""
    if isinstance(pixels, Image.Image):
        image = pixels
    else:
        image = Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    lossless = lossless or image.width * image.height <= LOSSLESS
    if lossless:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=72, optimize=True)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def weights_uri(weights: np.ndarray) -> str:
    """Weights (h, w) or (h, w, c) as a PNG: grey is 0, bright is positive."""
    scale = np.quantile(np.abs(weights), BRIGHTEST) or 1.0
    return data_uri(np.clip(127.5 + 127.5 * weights / scale, 0, 255).astype(np.uint8), lossless=True)
