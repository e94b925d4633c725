"""What `evaluate` says beside its numbers: what trained, how often the pictures have judged; rows are called rows."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import fake_run
from linearhead.data import open_dataset
from linearhead.errors import DataError
from linearhead.experiment import Recipe, judging, ledger, roles
from linearhead.experiment.judging import Judged, match_classes, trained_pictures
from linearhead.records import Skipped


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluate")
    for name in "ab":
        (root / "photos" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (4, 4), 10 * i).save(root / "photos" / name / f"{i}.png")
    return root


def test_why_trained_pictures_cannot_be_looked_at(folder):
    source, recipe = str(folder / "photos"), Recipe().to_dict()
    here = open_dataset(source)
    other = SimpleNamespace(dataset=replace(here, names=[f"new/{name}" for name in here.names]))
    known = {"recipe": recipe, "source": source, "fingerprint": roles.fingerprint(here)}

    def told(**facts):
        return trained_pictures(SimpleNamespace(facts=facts, classes=["a", "b"], extractor=object()), other)

    for facts in ({}, {"recipe": recipe}, {"source": source}):
        assert told(**facts) == "the model does not say which they were"
    gone = str(folder / "gone")
    assert told(**known | {"source": gone}) == f"{gone} is not there"
    assert told(**known | {"fingerprint": "of others"}) == f"{source} has changed since"


@pytest.mark.parametrize("features", [None, np.zeros((6, 2))])
def test_none_of_a_known_class_is_told_in_words_of_what_there_is(folder, features):
    data = replace(open_dataset(folder / "photos"), features=features)
    with pytest.raises(DataError) as error:
        match_classes(data, np.arange(6), SimpleNamespace(classes=["c"], facts={}))
    one = "pictures" if features is None else "rows"
    assert str(error.value).startswith(f"None of the 6 {one} in ")
    assert str(error.value).endswith(f"rename the sub-folders, or train on these {one}.")


def test_of_more_than_eight_names_the_first_eight_and_how_many():
    many = judging._few([f"c{i}" for i in range(9)])
    assert many == "c0, c1, c2, c3, c4, c5, c6, c7, … (9 in all)"
    assert judging._few("abcdefgh") == "a, b, c, d, e, f, g, h"


def test_pictures_that_judge_are_counted_where_the_model_lies_in_a_run_folder(tmp_path):
    models = [SimpleNamespace(coef=np.full((2, 3), i), intercept=np.zeros(2)) for i in range(3)]
    run, beside, loose, said = tmp_path / "run", tmp_path / "beside", tmp_path / "apart" / "loose", []
    for place in (run, beside, loose):
        place.mkdir(parents=True)
        if place != loose:
            (place / judging.RECORD).write_text("{}")

    def judged(place, pictures, model, accuracy):
        numbers = SimpleNamespace(n=8, accuracy=accuracy)
        return judging.counted(place, pictures, models[model], numbers, SimpleNamespace(say=said.append))

    assert judged(run, "these", 0, 0.9) == {"models": 0, "times": 0, "best": None}
    assert judged(run, "these", 0, 0.9) == {"models": 0, "times": 1, "best": None}  # its own is no other
    assert judged(beside, "these", 1, 0.7) == {"models": 1, "times": 2, "best": 0.9}
    assert judged(beside, "others", 2, 0.1) == {"models": 0, "times": 0, "best": None}
    assert judged(run, "these", 2, 0.8) == {"models": 2, "times": 3, "best": 0.9}
    assert judged(run, "these", 0, 0.9) == {"models": 2, "times": 4, "best": 0.8}
    judged(loose, "these", 0, 0.9)
    assert not (loose / ledger.FILE).exists()  # a model alone has nowhere to write
    assert not said
    lines = [json.loads(line) for line in (beside / ledger.FILE).read_text().splitlines()]
    assert [(line["verb"], line["pictures"], line["n"]) for line in lines] == [
        ("evaluate", "these", 8),
        ("evaluate", "others", 8),
    ]


def test_what_is_judged_as_json_leaves_out_what_was_not_asked():
    numbers = replace(fake_run.digits_run().evaluations["test"], nearest_accuracy=None)
    judged = Judged(Path("m"), "test", "8 test pictures", numbers, 370, [Skipped("x", "y")] * 10)
    told = judged.to_json()
    assert (told["found"], told["used"], told["skipped"]) == (370, 360, 10)
    assert told["judged_before"] is None
    assert told["duplicates"] is None
    assert not {"nearest_accuracy", "nearest"} & set(told)
    assert replace(judged, reuse={"times": 3}).to_json()["judged_before"] == {"times": 3}
    assert replace(judged, evaluation=replace(numbers, nearest_accuracy=0.5)).to_json()["nearest_accuracy"] == 0.5
    rows = judging.said_of_rows(replace(judged, compared="9 trained pictures of x"))
    assert (rows.of_rows, rows.sentence, rows.compared) == (True, "8 test rows", "9 trained rows of x")
    assert repr(rows).endswith("of 360 rows)")
    assert repr(judged).endswith("of 360 pictures)")
