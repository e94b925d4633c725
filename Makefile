PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs clean

$(BIN)/linearhead: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(BIN)/linearhead
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

demo: $(BIN)/linearhead  ## the main job on an embedded sample of real pictures
	rm -rf demo
	$(BIN)/linearhead sample digits demo/digits
	$(BIN)/linearhead train demo/digits --out demo/run --no-cache

test: $(VENV)/.dev  ## all tests
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

$(VENV)/.docs: pyproject.toml $(BIN)/linearhead
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch $@

docs: $(VENV)/.docs  ## the site, every chapter executed: docs/_build/index.html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

lint: $(VENV)/.dev  ## formatting, style, spelling, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/pyright

clean:
	rm -rf $(VENV) demo docs/_build docs/lecture docs/registries.md docs/benchmarks.md docs/choices.md docs/cost.md docs/sg_execution_times.rst .pytest_cache .ruff_cache
