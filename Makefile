# Both of the README's commands make their own environment: .venv, with a CPU build of torch where pip finds one.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := "torch>=2.11,<2.14"

.PHONY: demo test test-slow lint clean

# Installed again whenever pyproject.toml changes; torch comes first, by its own bounded version.
$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

# Train on the spoken digits and commands that ship with the repository, score, transcribe two held-out files.
demo: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" sh recipes/digits/demo.sh

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two processes, each on one thread; a file's tests stay together, as they share what it has trained.
test: lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf $(VENV) build dist runs/demo .mypy_cache .pytest_cache .ruff_cache
