# Each target makes its own environment: .venv, with a CPU build of torch where pip finds one.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := "torch>=2.11,<2.14"
TESTS := -m "not slow and not browser" -n 2 --dist loadfile

.PHONY: demo test test-slow test-browser chromium lint format coverage docs clean

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

# The page of `asr serve` in headless Chromium. It is given up after five failures, or where a test hangs.
test-browser: $(VENV)/installed chromium
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[browser]"
	ASR_BROWSER=needed $(BIN)/python -m pytest -m browser --maxfail 5 \
	  -o faulthandler_timeout=400 -o faulthandler_exit_on_timeout=true tests/serve/page

# The distribution's Chromium, by apt where it is absent. CHROMIUM=/path names another one.
chromium:
	@test -n "$$CHROMIUM" && exit; \
	for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; \
	get="apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=30"; \
	($$get update && DEBIAN_FRONTEND=noninteractive $$get install -y --no-install-recommends chromium) >/dev/null || { \
	  echo "the page is not tested: it needs Chromium, which apt-get cannot install here; install it, or set CHROMIUM=/path/to/it" >&2; \
	  exit 1; }

# The suite again, with the share of lines and branches that it runs. Numba's compiled code does not count.
coverage: $(VENV)/installed
	$(BIN)/python -m pytest $(TESTS) --cov --cov-report=term

# The documentation as a site, build/docs/site/index.html; needs no network once the tools are installed.
docs: $(VENV)/installed
	$(BIN)/python docs/make_site.py build/docs

clean:
	rm -rf $(VENV) build dist runs/demo .coverage .mypy_cache .pytest_cache .ruff_cache
