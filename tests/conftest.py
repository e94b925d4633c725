"""Shared fixtures: where the real pictures are, and a browser, if they are."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["LINEARHEAD_CACHE"] = ""  # no test reads what an earlier one kept, or writes into the user's home

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures beside the project; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real pictures not found at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Headless Chromium, by playwright, one for all tests of a worker; they skip where either is absent."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    options = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync"]
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=options)
        yield running
        running.close()
