"""The examples run and show what they say."""

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_the_one_dimensional_picture(tmp_path):
    example = runpy.run_path(str(EXAMPLES / "one_dimension.py"))
    visited = example["descend"]()
    assert visited == pytest.approx([12, 10, 8, 6, 4, 2])
    assert example["slope"](12.0) == 6
    for w in np.linspace(-2.9, 12.9, 50):  # the slope is the curve's
        numerical = (example["loss"](w + 1e-5) - example["loss"](w - 1e-5)) / 2e-5
        assert example["slope"](w) == pytest.approx(float(numerical), abs=1e-4)
    example["picture"](visited).save(tmp_path / "steps.svg")
    assert "Gradient descent" in (tmp_path / "steps.svg").read_text()
