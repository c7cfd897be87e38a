# One command each; CI calls the same ones.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CODE := kubelet_lite

.PHONY: help install demo test check generate bench conformance soak clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.make/installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "kubelet-lite needs Python 3.11: $(PYTHON) is not on PATH (set PYTHON=...)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	$(BIN)/python -m compileall -q kubelet_lite controllers runtimes proxy
	$(BIN)/python scripts/fetch_helm.py $(BIN)/helm
	@mkdir -p .make && touch $@

install: .make/installed  ## the virtual environment in .venv, with everything in it

demo: install  ## a three-node cluster runs the guestbook: start, heal, scale, roll out under load
	$(BIN)/python -m examples.demo

test: install check  ## the whole suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: install  ## linters, types, layering: before every commit
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

generate: install  ## the API types and tables from scripts/facts and kubernetes-validate
	$(BIN)/python scripts/generate.py
	$(BIN)/python scripts/generate_template_layout.py

bench: install  ## every benchmark; one alone: python -m benchmarks.NAME
	$(BIN)/python -m benchmarks

conformance: install  ## replays the recorded Kubernetes and rewrites the table in docs/conformance.md
	$(BIN)/python -m tests.conformance --write

soak: install  ## what needs thousands of seeds
	$(BIN)/python -m tests.soak

clean:
	rm -rf $(VENV) .make
