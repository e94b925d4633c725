"""A phone's photo to a small picture: linearhead's decoding beside a plain Pillow open, convert and resize.

    python benchmarks/decode.py ../shared/data/trash-photos [--pictures 12] [--repeats 5]

JPEG files of 4032 × 3024 are made of real photos (enlarged, with fresh sensor noise, quality 90), read from memory and
brought to 96 × 96. The peer is Image.open(file).convert("RGB").resize((96, 96)), bilinear and with Pillow's default.
One thread each, in turn; medians a picture. `differ` is the mean distance of the pixels in grey levels: linearhead
lets the JPEG decoder shrink by 2, 4 or 8 before it resizes. Then all pictures with as many threads as there are
processors (`decode_many`). Results in decode.json.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from pathlib import Path

import numpy as np
from measure import versions
from PIL import Image

WIDTH, HEIGHT, SIDE = 4032, 3024, 96


def photos(folder: str, number: int) -> list[bytes]:
    """JPEG files as a phone writes them."""
    from linearhead.data import open_dataset

    dataset, rng = open_dataset(folder), np.random.default_rng(0)
    files = []
    for row in rng.permutation(len(dataset))[:number]:
        image = Image.open(dataset.read(int(row))).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        pixels = np.asarray(image, dtype=np.int16) + rng.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.int16)
        out = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
        files.append(out.getvalue())
    return files


def plain(file: bytes, *how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB").resize((SIDE, SIDE), *how))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("data")
    options.add_argument("--pictures", type=int, default=12)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    from linearhead.images import Preprocessing, decode, decode_many

    files, looks = photos(given.data, given.pictures), Preprocessing(SIDE, SIDE)
    works = {
        "linearhead": lambda file: decode(file, looks)[0],
        "Pillow, bilinear": lambda file: plain(file, Image.Resampling.BILINEAR),
        "Pillow, its default": plain,
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    seen: dict[str, list[np.ndarray]] = {name: [] for name in works}
    for _ in range(given.repeats):
        for file in files:
            for name, work in works.items():
                start = time.perf_counter()
                pixels = work(file)
                seconds[name].append(time.perf_counter() - start)
                seen[name].append(pixels.reshape(SIDE, SIDE, 3).astype(float))
    start = time.perf_counter()
    shown = sum(len(batch.pictures) for batch in decode_many(files * given.repeats, looks))
    together = (time.perf_counter() - start) / shown
    medians = {name: statistics.median(all_) for name, all_ in seconds.items()}
    bilinear = np.array(seen["Pillow, bilinear"])
    record = {
        "pictures": len(files),
        "megabytes": sum(map(len, files)) / len(files) / 2**20,
        "seconds_a_picture": medians | {"linearhead, all threads": together},
        "times_as_fast_as": {name: medians[name] / medians["linearhead"] for name in medians if name != "linearhead"},
        "differ": float(np.abs(np.array(seen["linearhead"]) - bilinear).mean()),
        "versions": versions(),
    }
    print(json.dumps(record, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
