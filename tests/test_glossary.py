"""The glossary has every heading and label of the report and of the terminal, the page on findings every code."""

import re
from pathlib import Path

from linearhead import report
from linearhead.cli import words
from linearhead.diagnose import CHECKS, sound

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(report.__file__).parent / "templates"


def entries() -> str:
    """The first column of the glossary's tables, in lower case, without what is struck out by typography."""
    page = (TEMPLATES / "glossary.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)).lower().replace("`", "")


def labels() -> set[str]:
    """Fixed headings of parts and columns, names of rows, titles of charts."""
    page = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.html", "macros.html"))
    view = (Path(report.__file__).parent / "view.py").read_text(encoding="utf-8")
    found = re.findall(r'call part\("\w+", "([^"]+)"', page)
    found += re.findall(r"<(?:th|h3|dt)\b[^>{]*>([^<{]+)</", page)
    found += re.findall(r'term\("([^"]+)"\)', page)
    found += re.findall(r'title="([^"{]+)"', view)
    found += re.findall(r'"([^"]+)"', re.search(r"\(t\.before,.*", view).group())  # type: ignore[union-attr]
    found += re.findall(r'^        "([a-z ]+)": ', view.split("def fit(")[1].split("def cost(")[0], re.MULTILINE)
    return set(found)


def test_every_heading_and_label_of_the_report_is_in_the_glossary():
    found, known = labels(), entries()
    assert len(found) > 40
    assert {"mean recall", "Answering only when sure", "ended because", "Proof", "labels in a set"} <= found
    missing = sorted(label for label in found if not re.search(rf"(?<!\w){re.escape(label.lower())}(?!\w)", known))
    assert missing == []


def test_every_label_of_the_terminal_is_in_the_glossary():
    text, known = Path(words.__file__).read_text(encoding="utf-8"), entries()
    found = set(re.findall(r'f?"(Pictures|Features|Fit|Copies|Trust): ', text))
    assert len(found) == 5
    assert all(label.lower() in known for label in found)
    for phrase in (
        "log loss",
        "always the largest class",
        "95 % interval",
        "stated confidence and share right differ by",
    ):
        assert phrase in text, phrase
        assert phrase in known, phrase
    assert "ece" in known


def test_every_finding_is_explained():
    page = (ROOT / "docs" / "diagnoses.md").read_text(encoding="utf-8").split("<!-- generated -->")[0]
    told = set(re.findall(r"`([a-z-]+)`", "\n".join(re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE))))
    assert told == {*CHECKS, sound.CODE}
