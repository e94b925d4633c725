"""Copies are found: equal pictures, and pictures resized, saved again, cut, mirrored; others are left alone."""

import io
import re

import numpy as np
import pytest
from PIL import Image

import linearhead
from linearhead import images
from linearhead.images import Preprocessing, find_copies

EDITS = {
    "resized": lambda p: p.resize((60, 60), Image.Resampling.BILINEAR),
    "saved again": lambda p: saved(p, 50),
    "cut": lambda p: p.crop((2, 3, 98, 97)),
    "cut at a side": lambda p: p.crop((5, 0, 100, 95)),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "all": lambda p: saved(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((0, 5, 95, 100)).resize((70, 70)), 50),
}


def saved(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def scenes(n, seed=0):
    """Photos of nothing: soft shapes in every colour, 100×100."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        rough = [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (4, 9, 20)]
        layers = [np.asarray(Image.fromarray(r).resize((100, 100), Image.Resampling.BICUBIC), float) for r in rough]
        yield Image.fromarray(np.uint8(0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]))


def look(pictures):
    p = Preprocessing(64, 64)
    return np.stack([images.decode(np.asarray(picture.convert("RGB")), p)[0] for picture in pictures])


def copies(pictures):
    return find_copies([pictures], [b"%d" % i for i in range(len(pictures))])


@pytest.mark.parametrize("edit", EDITS)
def test_near_copies_are_found_and_nothing_else(edit):
    originals = list(scenes(60))
    found = copies(look([*originals, *(EDITS[edit](p) for p in originals[:30])]))
    assert found.group[60:].tolist() == list(range(30))
    assert found.group[:60].tolist() == list(range(60))
    assert found.near.sum() + found.exact.sum() == 30


def test_exact_copies_by_pixels_and_by_bytes():
    pictures = look(scenes(6))
    same = find_copies([pictures[:4], pictures[[1, 4]]], [b"a", b"b", b"c", b"d", b"e", b"a"])
    assert same.exact.tolist() == [False, False, False, False, True, True]
    assert same.group.tolist() == [0, 1, 2, 3, 1, 0]
    assert not same.near.any()


def test_another_colour_is_another_picture():
    (scene,) = scenes(1)
    red, blue = (np.asarray(scene.convert("L"), float)[..., None] * c / 255 for c in ([255, 80, 80], [80, 80, 255]))
    found = copies(look([Image.fromarray(np.uint8(red)), Image.fromarray(np.uint8(blue)), *scenes(20, 1)]))
    assert not found.near.any()


def test_flat_tiny_single_and_no_pictures():
    flat = np.stack([np.full((32, 32, 3), v, np.uint8) for v in (0, 100, 101, 255)])
    assert not copies(flat).near.any()
    tiny = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), dtype=np.uint8)
    tiny[3] = tiny[2]
    assert copies(tiny).exact.sum() == 1
    assert len(find_copies([], []).group) == 0
    assert copies(look(scenes(1))).group.tolist() == [0]


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """Two classes of scenes; half of the test pictures are near copies of training pictures."""
    root = tmp_path_factory.mktemp("leaky")
    edits = list(EDITS.values())
    for label in (0, 1):
        pictures = list(scenes(30, seed=label + 5))
        for split, part in (("train", pictures[:24]), ("test", pictures[24:])):
            (root / split / f"c{label}").mkdir(parents=True)
            for i, picture in enumerate(part):
                picture.save(root / split / f"c{label}" / f"{i}.png")
        for i, picture in enumerate(pictures[:6]):
            edits[i](picture).save(root / "test" / f"c{label}" / f"copy{i}.png")
    pictures[0].save(root / "train" / "c0" / "wrong.png")  # c1's first picture again, under another label
    return root


def test_train_and_evaluate_report_copies_across_splits(leaky, tmp_path):
    outcome = linearhead.train(leaky, out=tmp_path / "run", features="color", loss="cross_entropy")
    found = outcome.run.duplicates
    assert (found.compared, found.judged) == (73, 12)
    assert found.exact == 1
    assert found.near == 12
    assert found.conflicting == 3  # the picture, its equal under the other label, and its resized copy
    assert found.without.n == 12
    assert found.contradicting == 2
    assert {name.split(" ")[-1] for name in found.contradictions[0]} == {"(c0)", "(c1)"}
    (told,) = (f for f in outcome.run.findings if f.code == "label-errors")
    assert (told.title, told.severity) == ("Equal pictures have several labels", "warning")
    assert " = ".join(found.contradictions[0]) in told.evidence
    (finding,) = (f for f in outcome.run.findings if f.code == "duplicates-across-splits")
    assert finding.severity == "warning"
    assert "12 of 24 test pictures" in finding.evidence
    page = outcome.report.read_text()
    assert "without them the accuracy is" in page
    assert re.search(r"<h1>Right on [^<]* of 24 test pictures</h1>", page)  # not "new": half of them are not
    assert "Without 12 copies of training pictures it is right on" in page
    judged = linearhead.evaluate(tmp_path / "run", leaky)
    assert judged.duplicates.judged == 12
    assert judged.duplicates.without == found.without
    assert judged.evaluation.accuracy == outcome.run.evaluations["test"].accuracy
    other = linearhead.evaluate(tmp_path / "run", leaky / "test")  # the source is still there to compare with
    assert other.duplicates.judged == 12
    assert other.to_json()["duplicates"]["compared_with"].startswith("49 trained pictures")
