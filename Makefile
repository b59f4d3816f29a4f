# One folder, one virtual environment, one set of pinned versions.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Bytecode is written as modules are first imported: most of what is installed never is.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile -c constraints.txt

# A million-parameter model is many times slower with two contending threads.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
# Commands and tests are many processes: each would compile everything again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test torture ui viewer bench lint style types tests clean

demo: $(VENV)/installed
	$(BIN)/influence demo

ui: $(VENV)/installed
	$(BIN)/influence ui

viewer: $(VENV)/installed-viewer
	$(BIN)/influence viewer

# mypy takes one core for a minute where it has no cache: beside the tests, which wait now and then.
test: style
	@$(MAKE) --no-print-directory --jobs 2 types tests

# Every promise of docs/reliability.md in its long form: two hours. SOAK=60 for an hour of soak instead.
torture: $(VENV)/installed-test
	$(BIN)/python -m tests.torture $(if $(SOAK),--soak $(SOAK))

lint: style types

style: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-test
	$(BIN)/mypy

# In the order of tests/conftest.py, longest files first; xdist's own would start the files with the most tests.
tests: $(VENV)/compiled
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

bench: $(VENV)/installed-test
	$(BIN)/python -m benchmarks

$(VENV)/torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing pinned packages into $(VENV) (a minute or two the first time)"
	$(PIP) pip  # that of Python 3.11 takes twice as long over as many packages
	$(PIP) torch
	@touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(PIP) -e .
	@touch $@

$(VENV)/installed-viewer: $(VENV)/torch pyproject.toml
	$(PIP) -e '.[viewer]'
	@touch $(VENV)/installed $@

$(VENV)/installed-test: $(VENV)/torch pyproject.toml
	$(PIP) -e '.[test,dg,inspect,viewer,cluster]'
	@touch $(VENV)/installed $(VENV)/installed-viewer $@

# The bytecode of what tests import is written once, beside mypy, and not by each of their processes at the same time.
# What it finds wrong, the tests say right after.
$(VENV)/compiled: $(VENV)/installed-test
	-@$(BIN)/python -m pytest --collect-only --quiet > /dev/null 2>&1
	@touch $@

clean:
	rm -rf $(VENV) .dagster data/warehouse data/influence.duckdb* data/cache
