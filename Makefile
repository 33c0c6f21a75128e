# `make demo` and `make test` need Python 3.11 or later, pip and make; they make the environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test test-all lint types benchmark clean

demo: $(VENV)/installed
	$(BIN)/mc-connect --pair=fc_digits --methods=all --output_dir=demo
	$(BIN)/mc-connect --pair=fc1_digits --methods=linear,arc,ot,rnvp_bijection,rnvp_bijection+wa \
		--output_dir=demo/learned

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy mc_keras zoo tools

benchmark: $(VENV)/installed
	$(BIN)/mc-benchmark

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) demo build *.egg-info
