"""Shared fixtures: where the real pictures are, if they are."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures beside the project; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real pictures not found at {SHARED}")
    return SHARED
