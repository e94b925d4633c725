"""Every example in a docstring runs, and every public name has one."""

import doctest
import importlib
import pkgutil
import re
import shutil
from pathlib import Path

import pytest

import linearhead
from linearhead.experiment import train, write_digits

ROOT = Path(__file__).resolve().parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Where the examples run: thirty pictures of each digit in `digits`, two more in `more`, and a model in `run`."""
    place = tmp_path_factory.mktemp("examples")
    write_digits(place / "digits")
    for folder in (place / "digits").iterdir():
        pictures = sorted(folder.iterdir())
        (place / "more" / folder.name).mkdir(parents=True)
        for picture in pictures[30:32]:
            shutil.move(picture, place / "more" / folder.name)
        for picture in pictures[32:]:
            picture.unlink()
    train(place / "digits", out=place / "run", features="pixels", alpha=0.1, cache=None)
    return place


def modules():
    return [
        m.name for m in pkgutil.walk_packages(linearhead.__path__, "linearhead.") if not m.name.endswith("__main__")
    ]


def examples():
    """Every docstring with examples, as a doctest."""
    finder, found = doctest.DocTestFinder(exclude_empty=True), {}
    for name in modules():
        path = ROOT / "src" / Path(*name.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if ">>>" in source.read_text(encoding="utf-8"):
            found |= {test.name: test for test in finder.find(importlib.import_module(name)) if test.examples}
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs_and_says_what_it_shows(name, prepared, monkeypatch, tmp_path):
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("LINEARHEAD_CACHE", "")
    told = []
    doctest.DocTestRunner(optionflags=FLAGS).run(EXAMPLES[name], out=told.append)
    assert told == [], "".join(told)


def test_every_public_name_and_every_name_of_the_python_page_has_an_example():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = {name.rsplit(".", 1)[1] for name in re.findall(r"auto(?:class|function):: ([\w.]+)", page)}
    names |= {name for name in linearhead.__all__ if not name.startswith("__")}
    assert len(names) >= 17
    shown = {name.rsplit(".", 1)[1] for name in EXAMPLES}
    assert names - shown == set()
