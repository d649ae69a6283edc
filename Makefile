# The commands of the project. `make run` and `make test` start from nothing
# but python3 (3.11 or newer), git and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# What the targets hand on: make test TESTS="tests/domain -x", make run ARGS=...
TESTS ?=
BY_TWO := --numprocesses 2 --dist loadgroup
ARGS ?=
BENCH_ARGS ?=

.PHONY: help
help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.run  ## serve on 127.0.0.1:9292, with no configuration
	exec $(BIN)/glancelite-api $(ARGS)

.PHONY: demo
demo: $(VENV)/.test  ## real images through real clients, step by step
	$(BIN)/python -m contrib.demo $(ARGS)

.PHONY: test
test: $(VENV)/.test  ## all tests; names every program that is missing
	$(BIN)/python -m pytest $(or $(TESTS),$(BY_TWO))

.PHONY: lint
lint: $(VENV)/.lint  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/.test  ## benchmark (BENCH_ARGS=...)
	$(BIN)/python contrib/bench/bench.py $(BENCH_ARGS)

.PHONY: services
services:  ## install the Debian packages of the full test suite
	.ci/install-packages

.PHONY: genconfig
genconfig: $(VENV)/.test  ## write etc/glancelite-api.conf.sample
	$(BIN)/oslo-config-generator --config-file etc/oslo-config-generator/glancelite-api.conf

.PHONY: genpolicy
genpolicy: $(VENV)/.test  ## write etc/policy.yaml.sample
	$(BIN)/oslopolicy-sample-generator --namespace glancelite --output-file etc/policy.yaml.sample

.PHONY: docs
docs: $(VENV)/.docs  ## HTML pages with the release notes, in build/doc
	$(BIN)/sphinx-build -q -W --keep-going -d build/doctrees doc build/doc

.PHONY: clean
clean:  ## remove what the other targets made here
	rm -rf $(VENV) .tox build *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find glancelite tests contrib -name __pycache__ -type d -exec rm -rf {} +

# When a stamp is older than the files that it depends on, pip looks again.
# To run embedded takes no extras; a configuration given in ARGS may want these.
EXTRAS_run := keystone,mysql,postgresql,http-basic,s3,swift
EXTRAS_test := test
EXTRAS_lint := test,lint
EXTRAS_docs := docs

$(VENV)/.%: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "installing glancelite[$(EXTRAS_$*)] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --editable '.[$(EXTRAS_$*)]'
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "glancelite needs Python 3.11 or newer: make PYTHON=... $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	    || { rm -rf $(VENV); echo "On Debian: make services, or apt-get install python3-venv"; exit 1; }
