# The commands of the project. They need only python3 (3.11 or newer), git and
# make, and create the virtual environment when it is needed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Arguments of the commands: make test TESTS="tests/domain -x", make run ARGS=...
TESTS ?=
IN_PARALLEL := --numprocesses 4 --dist loadgroup --no-loadscope-reorder
ARGS ?=
BENCH_ARGS ?=

.PHONY: help
help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.run  ## start the service on 127.0.0.1:9292, without configuration
	@echo "starting the service; it ends with Ctrl-C"
	@exec $(BIN)/glancelite-api $(ARGS)

.PHONY: demo
demo: $(VENV)/.test  ## show the service with real images and real clients
	$(BIN)/python -m contrib.demo $(ARGS)

.PHONY: test
test: $(VENV)/.test  ## run all tests, or TESTS=...; list programs that are missing
	$(BIN)/python -m pytest $(or $(TESTS),$(IN_PARALLEL))

.PHONY: test-long
test-long: $(VENV)/.test  ## run the long forms of tests, or those of TESTS=...
	$(BIN)/python -m pytest -m long $(TESTS)

.PHONY: test-next-gunicorn
test-next-gunicorn: NEXT := build/next-gunicorn
test-next-gunicorn:  ## tests of the server with the newest gunicorn
	@$(PYTHON) -m venv $(NEXT)
	@$(NEXT)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@$(NEXT)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade gunicorn
	@$(NEXT)/bin/python -c 'import gunicorn; print("gunicorn", gunicorn.__version__)'
	$(NEXT)/bin/python -m pytest $(or $(TESTS),tests/server)

.PHONY: lint
lint: $(VENV)/.lint  ## check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/.test  ## run the benchmark, with BENCH_ARGS=...
	$(BIN)/python contrib/bench/bench.py $(BENCH_ARGS)

.PHONY: bench-imports
bench-imports: $(VENV)/.test  ## run the benchmark of imports beside Glance, with BENCH_ARGS=...
	$(BIN)/python contrib/bench/imports.py $(BENCH_ARGS)

.PHONY: services
services:  ## install the Debian packages that the tests use
	.ci/install-packages

.PHONY: genconfig
genconfig: $(VENV)/.test  ## write etc/glancelite-api.conf.sample
	$(BIN)/oslo-config-generator --config-file etc/oslo-config-generator/glancelite-api.conf

.PHONY: genpolicy
genpolicy: $(VENV)/.test  ## write etc/policy.yaml.sample
	$(BIN)/oslopolicy-sample-generator --namespace glancelite --output-file etc/policy.yaml.sample

.PHONY: docs
docs: $(VENV)/.docs  ## write HTML pages and release notes to build/doc
	$(BIN)/sphinx-build -q -W --keep-going -d build/doctrees doc build/doc

.PHONY: clean
clean:  ## delete all files that these commands created here
	rm -rf $(VENV) .tox build *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find glancelite tests contrib -name __pycache__ -type d -exec rm -rf {} +

# Stamp files: pip runs again when setup.cfg or pyproject.toml is newer. Without
# a configuration the service needs none of EXTRAS_run; one in ARGS may need them.
EXTRAS_run := keystone,mysql,postgresql,http-basic,s3,swift
EXTRAS_test := test
EXTRAS_lint := test,lint
EXTRAS_docs := docs

# What pip does, in about ten lines instead of hundreds; its errors are on standard error.
PIP_PROGRESS := /^ *Collecting/ { if (++n % 10 == 0) { print "  " n " libraries found"; fflush() } } \
    /^Installing collected/ { print "  " n " libraries found; writing them"; fflush() }

$(VENV)/.%: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "installing glancelite[$(EXTRAS_$*)] into $(VENV): takes a minute or two, once"
	@PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --disable-pip-version-check --no-color \
	    --progress-bar off --editable '.[$(EXTRAS_$*)]' | awk '$(PIP_PROGRESS)'
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "glancelite needs Python 3.11 or newer: make PYTHON=... $(MAKECMDGOALS)"; exit 1; }
	@echo "creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) \
	    || { rm -rf $(VENV); echo "On Debian: make services, or apt-get install python3-venv"; exit 1; }
