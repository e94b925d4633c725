"""How many planted copies are found, and how many originals are called copies that nobody planted.

    python benchmarks/duplicates.py [--planted 1000] [--most 4000] [SET ...]

From every shared set (and scikit-learn's digits) up to `most` pictures are taken; exact copies, and near copies by one
edit each, are planted, decoded as `train` would, and looked for. Exact and near are two runs of `find_copies`; the
originals alone are a third. Results in duplicates.json beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

from linearhead import images
from linearhead.data import open_dataset
from linearhead.experiment import Recipe
from linearhead.experiment.extract import choose_pictures
from linearhead.images import Preprocessing, find_copies

SHARED = Path(__file__).parents[2] / "shared" / "data"
SETS = ("trash-photos", "sign-digits", "omniglot-small", "fashion-mnist", "digits")
KINDS = ("half the size", "0.7 times the size", "JPEG quality 50", "5 % cut", "5 % cut all round", "mirrored", "all")


def sources(name: str, most: int) -> tuple[list, Preprocessing]:
    """Up to `most` pictures as `decode` takes them, and how they are looked at."""
    if name == "digits":
        from sklearn.datasets import load_digits

        flat, _ = load_digits(return_X_y=True)
        return list((flat.reshape(-1, 8, 8) / 16 * 255).astype(np.uint8)[:most]), Preprocessing(8, 8, "L")
    dataset = open_dataset(SHARED / name)
    looks = choose_pictures(dataset, np.arange(len(dataset)), Recipe())
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[:most])
    return [dataset.read(int(row)) for row in rows], looks


def opened(source: object) -> Image.Image:
    image = Image.fromarray(source.squeeze()) if isinstance(source, np.ndarray) else Image.open(source)  # pyright: ignore
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def edited(image: Image.Image, kind: str, rng: np.random.Generator) -> bytes:
    """The file of a near copy."""
    w, h = image.size
    cut_x, cut_y = max(1, round(0.05 * w)), max(1, round(0.05 * h))
    if kind in ("5 % cut", "all"):
        x, y = int(rng.integers(0, cut_x + 1)), int(rng.integers(0, cut_y + 1))
        image = image.crop((x, y, x + w - cut_x, y + h - cut_y))
    if kind == "5 % cut all round":
        image = image.crop((cut_x, cut_y, w - cut_x, h - cut_y))
    if kind in ("half the size", "0.7 times the size", "all"):
        times = 0.5 if kind == "half the size" else 0.7
        image = image.resize((max(1, int(w * times)), max(1, int(h * times))), Image.Resampling.BICUBIC)
    if kind == "mirrored" or (kind == "all" and rng.random() < 0.5):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = io.BytesIO()
    image.save(file, *(("JPEG",) if kind in ("JPEG quality 50", "all") else ("PNG",)), quality=50)
    return file.getvalue()


def decoded(files: list, looks: Preprocessing) -> np.ndarray:
    return np.concatenate([batch.pictures for batch in images.decode_many(files, looks)])


def sought(pictures: np.ndarray, bytewise: list[bytes]) -> tuple[images.Copies, float]:
    start = time.process_time()
    found = find_copies((pictures[a : a + 256] for a in range(0, len(pictures), 256)), bytewise)
    return found, time.process_time() - start


def measure(name: str, planted: int, most: int) -> dict:
    rng = np.random.default_rng(1)
    files, looks = sources(name, most)
    pictures, n = decoded(files, looks), len(files)
    alone, seconds = sought(pictures, [b"%d" % i for i in range(n)])
    of = rng.integers(0, n, planted)
    exact, _ = sought(np.concatenate([pictures, pictures[of]]), [b"%d" % i for i in (*range(n), *of.tolist())])
    of = np.concatenate([rng.permutation(n) for _ in range(-(-planted // n))])[:planted]
    kinds = np.array([KINDS[i % len(KINDS)] for i in range(planted)])
    copies = decoded([edited(opened(files[i]), kind, rng) for i, kind in zip(of, kinds, strict=True)], looks)
    both = np.concatenate([pictures, copies])
    near, _ = sought(both, [hashlib.sha256(b"%d" % i).digest() for i in range(len(both))])
    hit = near.group[n:] == near.group[of]
    return {
        "set": name,
        "pictures": n,
        "seen_as": looks.shape,
        "planted": planted,
        "exact_found": float(np.mean(exact.exact[n:])),
        "near_found": float(hit.mean()),
        "near_found_by_kind": {kind: float(hit[kinds == kind].mean()) for kind in KINDS},
        "copies_of_another": int(np.sum((near.group[n:] != np.arange(n, len(both))) & ~hit)),
        "originals_called_equal": int(alone.exact.sum()),
        "originals_called_near": int(alone.near.sum()),
        "originals_called_near_beside_planted": int(near.near[:n].sum()),
        "processor_seconds": seconds,
        "groups_among_originals": [group.tolist() for group in alone.groups()][:20],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--planted", type=int, default=1000)
    parser.add_argument("--most", type=int, default=4000)
    options = parser.parse_args()
    results = []
    for name in options.sets:
        results.append(measure(name, options.planted, options.most))
        print(json.dumps(results[-1]), flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
