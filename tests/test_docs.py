"""The site's sources: the lecture's table is complete, every chapter runs, links lead somewhere."""

import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

from linearhead import testing
from linearhead.cli import cli
from linearhead.losses import LOSSES
from linearhead.objective import misfit
from linearhead.penalties import PENALTIES
from linearhead.solvers import SOLVERS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CHAPTERS = sorted((DOCS / "chapters").glob("plot_*.py"))
QUICK = [path for path in CHAPTERS if path.stem[5:7] in ("01", "02", "05", "10")]


def rows():
    """(number, chapter, module, test) of the lecture's table."""
    text = (DOCS / "lecture-map.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (\d+) \|.*\(lecture/(\w+)\.rst\) \| `(.+?)` \| `(.+?)` \|$", text, re.MULTILINE)


def test_every_row_of_the_lecture_has_chapter_module_and_test():
    table = rows()
    assert [int(number) for number, *_ in table] == list(range(1, 18))
    for _, chapter, module, test in table:
        assert (DOCS / "chapters" / f"{chapter}.py").is_file(), chapter
        assert (ROOT / module).is_file(), module
        assert (ROOT / test).is_file(), test
        assert re.search(r"^def test_", (ROOT / test).read_text(encoding="utf-8"), re.MULTILINE), test
    assert {chapter for _, chapter, *_ in table} == {path.stem for path in CHAPTERS}


def test_every_row_of_the_lecture_has_something_to_try():
    """Commands with options that there are, scripts and functions that exist."""
    page = (DOCS / "lecture-map.md").read_text(encoding="utf-8")
    tried = [line.split(" | ")[2] for line in page.splitlines() if re.match(r"\| \d", line)]
    assert len(tried) == 17
    for row in tried:
        found = re.findall(r"`([^`]+)`", row)
        assert found, row
        for text in found:
            words = shlex.split(text)
            if words[0] == "linearhead":
                command, rest = reached(words[1:])
                command.make_context("try", rest, parent=click.Context(cli, **cli.context_settings))
            elif words[0] == "python":
                assert (ROOT / words[1]).is_file()
            else:
                assert callable(getattr(testing, text.split("(")[0].removeprefix("linearhead.testing.")))


def reached(words):
    """The command that words lead to, and its arguments."""
    command = cli
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_twelve_chapters_each_with_formula_picture_and_exercise():
    assert len(CHAPTERS) == 12
    for path in CHAPTERS:
        text = path.read_text(encoding="utf-8")
        assert ":math:" in text or ".. math::" in text, path.name
        assert re.search(r"_chart\(|\.plot\(", text), path.name
        exercise = text.split("**Exercise.**")[1]
        assert "answer" in exercise, path.name
        assert "assert " in exercise, path.name


def test_every_promise_is_held_by_tests_that_exist():
    text = (DOCS / "reliability.md").read_text(encoding="utf-8")
    promises = re.findall(r"^\| (?!fault|-).*\|$", text, re.MULTILINE)
    assert len(promises) > 15
    for row in promises:
        named = re.findall(r"`(tests/\w+\.py)(?:::(\w+))?`", row)
        assert named, row
        for file, test in named:
            assert f"def {test or 'test_'}" in (ROOT / file).read_text(encoding="utf-8"), (file, test)


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_quick_chapters_run(path):
    """The others run when the site is built."""
    assert "answer" in runpy.run_path(str(path))


def test_the_page_on_choosing_shows_everything_there_is(capsys):
    runpy.run_path(str(DOCS / "choices.py"))
    page = capsys.readouterr().out
    assert all(f"`{name}`" in page for name in [*LOSSES, *PENALTIES])
    assert all(f"`{name}`" in page for name in SOLVERS if not misfit("cross_entropy", "l2", name))
    assert page.count("<svg") == 4


def test_links_between_pages_lead_somewhere():
    chapters = {f"lecture/{path.stem}.rst" for path in CHAPTERS} | {
        "lecture/index.rst",
        "registries.md",
        "benchmarks.md",
        "cost.md",
    }
    seen = 0
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                seen += 1
                assert target in chapters or (page.parent / target).exists(), (page.name, target)
    assert seen > 30


def test_commands_that_the_pages_name_exist():
    for page in [*DOCS.glob("*.md"), *CHAPTERS]:
        for verb in re.findall(r"^linearhead (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert verb in cli.commands, (page.name, verb)
