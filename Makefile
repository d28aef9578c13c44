# Each target makes its own environment: .venv, with a CPU build of torch where pip finds one.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := "torch>=2.11,<2.14"
TESTS := -m "not slow" -n 2 --dist loadfile

.PHONY: demo test test-slow lint format coverage docs clean

# Installed again whenever pyproject.toml changes; torch comes first, by its own bounded version.
$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

# Transcribe two real recordings; train on the spoken digits and commands that ship with the repository, score, transcribe.
demo: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" sh recipes/digits/demo.sh

# Style, types, and the floors of the package (docs/architecture.md).
lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_layers.py

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Two processes, each on one thread; a file's tests stay together, as they share the models that it trains.
test: lint
	$(BIN)/python -m pytest $(TESTS)

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

# The suite again, with the share of lines and branches that it runs. Numba's compiled code does not count.
coverage: $(VENV)/installed
	$(BIN)/python -m pytest $(TESTS) --cov --cov-report=term

# The documentation as a site, build/docs/site/index.html; needs no network once the tools are installed.
docs: $(VENV)/installed
	$(BIN)/python docs/make_site.py build/docs

clean:
	rm -rf $(VENV) build dist runs/demo .coverage .mypy_cache .pytest_cache .ruff_cache
